"""How dataclasses are declared to the codec, and the plans they are compiled to. Names meant for others are re-exported by `codec`."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar, dataclass_transform

from lxml import etree

from onvifd.onvif.soap import values
from onvifd.onvif.soap.namespaces import PREFIXES, XML

Element: TypeAlias = etree._Element
AnyElements: TypeAlias = tuple[Element, ...]
"""Content that the schema leaves open: elements as they came, with their namespace context."""

T = TypeVar("T")
PREFIX_OF = {uri: prefix for prefix, uri in PREFIXES.items()} | {XML: "xml"}


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
    absent: Any = None
    """What a mandatory part that was left out is read as; None where it must be there."""


def _field(spec: Spec, default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"xml": spec})


def element(
    name: str,
    *,
    default: Any = dataclasses.MISSING,
    ns: str | None = None,
    form: Form = Form.PLAIN,
    nillable: bool = False,
    tokens: bool = False,
    absent: Any = None,
) -> Any:
    """A child element; repeated if the field is a tuple. `ns` defaults to the namespace of the class.

    `absent` is for what clients leave out although the schema wants it, and what nobody looks at: it is read as that."""
    return _field(Spec("element", name, ns, form, nillable, tokens, absent), default)


def attribute(
    name: str, *, default: Any = dataclasses.MISSING, ns: str = "", form: Form = Form.PLAIN, tokens: bool = False
) -> Any:
    """An attribute, unqualified unless `ns` is given."""
    return _field(Spec("attribute", name, ns, form, tokens=tokens), default)


def text(*, default: Any = dataclasses.MISSING, form: Form = Form.PLAIN, tokens: bool = False) -> Any:
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
    name: str = ""
    """The prefixed name it is written with."""
    qname: bool = False


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
            name=f"{PREFIX_OF[spec.ns]}:{spec.name}" if spec.ns else spec.name,
            qname=spec.form is Form.QNAME,
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
