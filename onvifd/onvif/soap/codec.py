"""Frozen dataclasses to XML and back, by way of lxml.

A class is declared once::

    @schema(TT)
    class IntRange:
        min_: int = element("Min")
        max_: int | None = element("Max", default=None)

and is compiled to a plan on first use. Exact out: elements are written in the order of declaration, base classes first. Liberal
in: unknown parts are skipped, any order is taken, white space is trimmed. A missing mandatory part raises BadInput
(ter:InvalidArgs) and a value of the wrong form InvalidArgument (ter:InvalidArgVal), Core 5.8.2.

With `lenient=True`, for what cameras answer, unreadable parts are left out, missing mandatory ones become zero values, and
enumeration values that the schema does not know stay plain strings.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import types
import typing
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar, dataclass_transform

from lxml import etree

from onvifd.errors import BadInput, InvalidArgument
from onvifd.onvif.soap import values
from onvifd.onvif.soap.namespaces import PREFIXES, XSI

Element: TypeAlias = etree._Element
AnyElements: TypeAlias = tuple[Element, ...]
"""Content that the schema leaves open: elements as they came, with their namespace context."""

T = TypeVar("T")
_NIL = f"{{{XSI}}}nil"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MISSING: Any = dataclasses.MISSING
_PREFIX_OF = {uri: prefix for prefix, uri in PREFIXES.items()}


class Form(StrEnum):
    """How the text of a value is written where the Python type does not tell."""

    PLAIN = ""
    DATETIME = "dateTime"
    QNAME = "QName"
    HEX = "hexBinary"
    RAW = "raw"
    """A string whose white space matters."""


@dataclasses.dataclass(slots=True)
class Spec:
    """Where a field stands in the XML. `kind` is element, attribute, text or any."""

    kind: str
    name: str = ""
    ns: str | None = None
    form: Form = Form.PLAIN
    nillable: bool = False
    tokens: bool = False
    """One value that is a list separated by white space (xs:list), not a repeated element."""


def _field(spec: Spec, default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"xml": spec})


def element(
    name: str,
    *,
    default: Any = _MISSING,
    ns: str | None = None,
    form: Form = Form.PLAIN,
    nillable: bool = False,
    tokens: bool = False,
) -> Any:
    """A child element; repeated if the field is a tuple. `ns` defaults to the namespace of the class."""
    return _field(Spec("element", name, ns, form, nillable, tokens), default)


def attribute(
    name: str, *, default: Any = _MISSING, ns: str = "", form: Form = Form.PLAIN, tokens: bool = False
) -> Any:
    """An attribute, unqualified unless `ns` is given."""
    return _field(Spec("attribute", name, ns, form, tokens=tokens), default)


def text(*, default: Any = _MISSING, form: Form = Form.PLAIN, tokens: bool = False) -> Any:
    """The character content of the element itself."""
    return _field(Spec("text", form=form, tokens=tokens), default)


def any_elements(*, default: AnyElements = ()) -> Any:
    """Everything no other field takes (xs:any), an `AnyElements`. Type checkers want to see the default at each use."""
    return _field(Spec("any"), default)


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(element, attribute, text, any_elements)
)
def schema(ns: str, name: str | None = None) -> Callable[[type[T]], type[T]]:
    """Make a frozen, slotted, keyword-only dataclass of a class whose XML namespace is `ns`."""

    def decorate(cls: type[T]) -> type[T]:
        for value in vars(cls).values():
            if isinstance(value, dataclasses.Field):
                spec = value.metadata.get("xml")
                if spec is not None and spec.ns is None:
                    spec.ns = ns
        made = dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)
        setattr(made, "__xml_tag__", f"{{{ns}}}{name or cls.__name__}")  # noqa: B010
        return made

    return decorate


def tag_of(cls: type) -> str:
    """The element name of a class in Clark notation, `{namespace}Name`."""
    tag: str = cls.__dict__["__xml_tag__"]
    return tag


# ---- plans --------------------------------------------------------------------------------------


@dataclasses.dataclass(slots=True)
class FieldPlan:
    """One field, ready to be written and read. Exactly one of `scalar`, `plan` and `raw` applies to its items."""

    py: str
    spec: Spec
    tag: str
    repeated: bool
    required: bool
    default: Any
    hint: type
    write: Callable[[Any], str] | None = None
    read: Callable[[str], Any] | None = None
    read_loose: Callable[[str], Any] | None = None
    plan: Plan | None = None

    @property
    def qname(self) -> bool:
        return self.spec.form is Form.QNAME


@dataclasses.dataclass(slots=True)
class Plan:
    """A class, ready to be written and read."""

    cls: type
    attributes: list[FieldPlan] = dataclasses.field(default_factory=list)
    children: list[FieldPlan] = dataclasses.field(default_factory=list)
    text: FieldPlan | None = None
    any: FieldPlan | None = None
    by_tag: dict[str, FieldPlan] = dataclasses.field(default_factory=dict)
    by_local: dict[str, FieldPlan] = dataclasses.field(default_factory=dict)
    fields: list[FieldPlan] = dataclasses.field(default_factory=list)
    get: Callable[[Any], tuple[Any, ...]] | None = None
    """The values of `children` in order."""


_plans: dict[type, Plan] = {}


def plan_of(cls: type) -> Plan:
    """The plan of a schema class, made on first use."""
    plan = _plans.get(cls)
    if plan is None:
        plan = _plans[cls] = Plan(cls)
        try:
            _compile(plan)
        except BaseException:
            del _plans[cls]
            raise
    return plan


def _compile(plan: Plan) -> None:
    hints = typing.get_type_hints(plan.cls)
    for item in dataclasses.fields(plan.cls):
        spec: Spec = item.metadata["xml"]
        hint, repeated = _unwrap(hints[item.name], spec)
        field = FieldPlan(
            py=item.name,
            spec=spec,
            tag=f"{{{spec.ns}}}{spec.name}" if spec.ns else spec.name,
            repeated=repeated,
            required=item.default is dataclasses.MISSING,
            default=None if item.default is dataclasses.MISSING else item.default,
            hint=hint,
        )
        if dataclasses.is_dataclass(hint):
            field.plan = plan_of(hint)
        elif hint is not Element:
            field.write, field.read, field.read_loose = _scalar(hint, spec)
        plan.fields.append(field)
        _place(plan, field)
    if len(plan.children) == 1:
        single = attrgetter(plan.children[0].py)
        plan.get = lambda value: (single(value),)
    elif plan.children:
        plan.get = attrgetter(*(f.py for f in plan.children))


def _place(plan: Plan, field: FieldPlan) -> None:
    match field.spec.kind:
        case "attribute":
            plan.attributes.append(field)
        case "text":
            plan.text = field
        case kind:
            plan.children.append(field)
            if kind == "any":
                plan.any = field
            else:
                plan.by_tag[field.tag] = field
                plan.by_local[field.spec.name] = field


def _unwrap(hint: Any, spec: Spec) -> tuple[type, bool]:
    """The item type of a field, and whether it repeats."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (hint,) = (arg for arg in typing.get_args(hint) if arg is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], not spec.tokens
    return hint, False


def _scalar(hint: type, spec: Spec) -> tuple[Callable[[Any], str], Callable[[str], Any], Callable[[str], Any]]:
    write, read, loose = _single(hint, spec.form)
    if not spec.tokens:
        return write, read, loose
    return (
        lambda items: " ".join(write(item) for item in items),
        lambda content: tuple(read(item) for item in content.split()),
        lambda content: tuple(loose(item) for item in content.split()),
    )


def _single(hint: type, form: Form) -> tuple[Callable[[Any], str], Callable[[str], Any], Callable[[str], Any]]:
    if form is Form.DATETIME:
        return values.format_datetime, values.parse_datetime, values.parse_datetime
    if form is Form.HEX:
        return bytes.hex, bytes.fromhex, bytes.fromhex
    if issubclass(hint, StrEnum):
        return str.__str__, *_enum_readers(hint)
    if hint is bool:
        return values.format_boolean, values.parse_boolean, values.parse_loose_boolean
    if hint is int:
        return str, values.parse_int, values.parse_loose_int
    if hint is float:
        return values.format_float, values.parse_float, values.parse_float
    if hint is timedelta:
        return values.format_duration, values.parse_duration, values.parse_duration
    if hint is bytes:
        return values.format_base64, values.parse_base64, values.parse_base64
    if hint is str:
        read: Callable[[str], str] = str if form is Form.RAW else str.strip
        return str, read, read
    raise TypeError(f"no XML form for {hint!r}")


def _enum_readers(hint: type[StrEnum]) -> tuple[Callable[[str], Any], Callable[[str], Any]]:
    members = {str(member): member for member in hint}

    def read(content: str) -> Any:
        try:
            return members[content.strip()]
        except KeyError:
            raise ValueError(f"not one of {', '.join(members)[:200]}") from None

    def loose(content: str) -> Any:
        content = content.strip()
        return members.get(content, content)

    return read, loose


# ---- writing ------------------------------------------------------------------------------------


def encode(value: object, tag: str | None = None, parent: Element | None = None) -> Element:
    """Write `value` as an element named `tag` (Clark notation; by default the class's own name), under `parent` if given."""
    cls = type(value)
    tag = tag or tag_of(cls)
    node = etree.Element(tag, nsmap=PREFIXES) if parent is None else etree.SubElement(parent, tag)
    _write(plan_of(cls), node, value)
    return node


def encode_bytes(value: object, tag: str | None = None) -> bytes:
    """As `encode`, serialized without an XML declaration."""
    result: bytes = etree.tostring(encode(value, tag), encoding="utf-8")
    return result


def _write(plan: Plan, node: Element, value: Any) -> None:
    for field in plan.attributes:
        item = getattr(value, field.py)
        if item is not None:
            content = clark_to_prefixed(item, node) if field.qname else field.write(item)  # type: ignore[misc]
            _set(node, field.tag, content)
    if plan.text is not None:
        item = getattr(value, plan.text.py)
        if item is not None:
            _put(node, clark_to_prefixed(item, node) if plan.text.qname else plan.text.write(item))  # type: ignore[misc]
    if plan.get is not None:
        for field, item in zip(plan.children, plan.get(value), strict=True):
            if item is None:
                if field.required and field.spec.nillable:
                    etree.SubElement(node, field.tag).set(_NIL, "true")
            elif field.repeated:
                for each in item:
                    _child(field, node, each)
            else:
                _child(field, node, item)


def _child(field: FieldPlan, node: Element, item: Any) -> None:
    if field.plan is not None:
        child = etree.SubElement(node, field.tag)
        # An object of a derived class is written whole.
        _write(field.plan if type(item) is field.hint else plan_of(type(item)), child, item)
    elif field.write is not None:
        child = etree.SubElement(node, field.tag)
        content = clark_to_prefixed(item, child) if field.qname else field.write(item)
        try:
            child.text = content
        except ValueError:
            child.text = _ILLEGAL.sub("\ufffd", content)
    else:
        # Copied, for lxml would move the element out of its own tree.
        node.append(copy.deepcopy(item))


def _put(node: Element, content: str) -> None:
    try:
        node.text = content
    except ValueError:
        node.text = _ILLEGAL.sub("\ufffd", content)


def _set(node: Element, tag: str, content: str) -> None:
    try:
        node.set(tag, content)
    except ValueError:
        node.set(tag, _ILLEGAL.sub("\ufffd", content))


def clark_to_prefixed(name: str, node: Element) -> str:
    """`{namespace}local` as a prefixed QName valid at `node`."""
    if not name.startswith("{"):
        return name
    uri, _, local = name[1:].partition("}")
    for prefix, known in node.nsmap.items():
        if known == uri and prefix:
            return f"{prefix}:{local}"
    raise ValueError(f"no prefix for the namespace {uri} is in scope")


def prefixed_to_clark(name: str, node: Element) -> str:
    """A prefixed QName in the content of `node` as `{namespace}local`. Raises ValueError for an unknown prefix."""
    prefix, colon, local = name.strip().rpartition(":")
    uri = node.nsmap.get(prefix or None)
    if uri is None:
        if colon:
            raise ValueError(f"unknown namespace prefix {prefix!r}")
        return local
    return f"{{{uri}}}{local}"


# ---- reading ------------------------------------------------------------------------------------


def decode(cls: type[T], node: Element, *, lenient: bool = False) -> T:
    """Read an object of `cls` from `node`, whose own name is not looked at."""
    result: T = _read(plan_of(cls), node, lenient)
    return result


def _read(plan: Plan, node: Element, lenient: bool) -> Any:
    found: dict[str, Any] = {}
    for field in plan.attributes:
        content = node.get(field.tag)
        if content is not None:
            _take(found, field, node, content, lenient)
    if plan.text is not None and node.text is not None:
        content = node.text
        if content.strip() or not len(node):
            _take(found, plan.text, node, content, lenient)
    for child in node:
        if isinstance(child.tag, str):
            _read_child(plan, found, child, lenient)
    for field in plan.fields:
        value = found.get(field.py)
        if value is None:
            if field.required and not (field.spec.nillable and field.py in found):
                found[field.py] = _missing(plan, field, node, lenient)
        elif field.repeated:
            found[field.py] = tuple(value)
    return plan.cls(**found)


def _read_child(plan: Plan, found: dict[str, Any], child: Element, lenient: bool) -> None:
    field = plan.by_tag.get(child.tag) or _by_local_name(plan, child)
    if field is None:
        if plan.any is not None:
            found.setdefault(plan.any.py, []).append(child)
        return
    if child.get(_NIL) in ("true", "1"):
        if not field.repeated:
            found.setdefault(field.py, None)
        return
    if field.plan is not None:
        item = _read(field.plan, child, lenient)
    elif field.read is not None:
        _take(found, field, child, child.text or "", lenient)
        return
    else:
        item = child
    if field.repeated:
        found.setdefault(field.py, []).append(item)
    else:
        found[field.py] = item


def _by_local_name(plan: Plan, child: Element) -> FieldPlan | None:
    """Clients often leave children unqualified, or in the namespace of the parent where the schema wants another."""
    ns, _, local = child.tag.rpartition("}")
    if plan.any is not None and ns and ns != child.getparent().tag.rpartition("}")[0]:
        return None
    return plan.by_local.get(local)


def _take(found: dict[str, Any], field: FieldPlan, node: Element, content: str, lenient: bool) -> None:
    """Read one scalar into `found`."""
    try:
        if field.qname:
            value: Any = prefixed_to_clark(content, node)
        else:
            value = (field.read_loose if lenient else field.read)(content)  # type: ignore[misc]
    except (ValueError, OverflowError) as error:
        if lenient:
            return
        raise InvalidArgument(f"{field.spec.name or etree.QName(node).localname}: {error}") from None
    if field.repeated:
        found.setdefault(field.py, []).append(value)
    else:
        found[field.py] = value


def _missing(plan: Plan, field: FieldPlan, node: Element, lenient: bool) -> Any:
    if not lenient:
        if field.spec.kind == "text":
            if field.hint is str:
                return ""
            raise InvalidArgument(f"{etree.QName(node).localname} has no value")
        raise BadInput(f"{field.spec.name} is missing in {etree.QName(node).localname}")
    if field.repeated or field.spec.tokens:
        return ()
    if field.plan is not None:
        return _read(field.plan, etree.Element("missing"), True)
    if field.hint is Element:
        return etree.Element("missing")
    return "" if issubclass(field.hint, str) else field.hint()


__all__ = [
    "AnyElements",
    "Element",
    "Form",
    "any_elements",
    "attribute",
    "clark_to_prefixed",
    "decode",
    "element",
    "encode",
    "encode_bytes",
    "plan_of",
    "prefixed_to_clark",
    "schema",
    "tag_of",
    "text",
]
