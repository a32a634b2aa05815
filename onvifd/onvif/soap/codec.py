"""Frozen dataclasses to XML and back, by way of lxml.

A class is declared once::

    @schema(TT)
    class IntRange:
        min_: int = element("Min")
        max_: int | None = element("Max", default=None)

and is compiled to a plan on first use. Exact out: elements are written in the order of declaration, base classes first. Liberal
in: unknown parts are skipped, any order is taken, white space is trimmed. A missing mandatory part raises BadInput
(ter:InvalidArgs) unless its declaration says what it is then, and a value of the wrong form InvalidArgument (ter:InvalidArgVal), Core 5.8.2.

With `lenient=True`, for what cameras answer, unreadable parts are left out, missing mandatory ones become zero values, and
enumeration values that the schema does not know stay plain strings.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from lxml import etree

from onvifd.errors import BadInput, InvalidArgument
from onvifd.onvif.soap.namespaces import PREFIXES, XSI
from onvifd.onvif.soap.schema import (
    PREFIX_OF,
    AnyElements,
    Element,
    FieldPlan,
    Form,
    Plan,
    any_elements,
    attribute,
    element,
    plan_of,
    schema,
    tag_of,
    text,
)

T = TypeVar("T")
_NIL = f"{{{XSI}}}nil"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPECIAL = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]')
_REFERENCES = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ('"', "&quot;"),
    ("\r", "&#13;"),
    ("\n", "&#10;"),
    ("\t", "&#9;"),
)
DECLARATIONS = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())
"""Namespace declarations of `PREFIXES`, as they stand in a start tag."""


# ---- writing ------------------------------------------------------------------------------------
#
# Text is put together directly: building an lxml tree first takes four times as long, and replies are many and large.


def encode_text(value: object, tag: str | None = None, *, declare: bool = True) -> str:
    """`value` as XML text, named `tag` (Clark notation; by default the class's own name).

    Without `declare` the text is only good inside an element that declares `PREFIXES`.
    """
    cls = type(value)
    uri, _, local = (tag or tag_of(cls)).rpartition("}")
    declarations = DECLARATIONS if declare else ""
    prefix = PREFIX_OF.get(uri[1:])
    if uri and prefix is None:
        prefix = "ns"
        declarations += f' xmlns:ns="{_escape(uri[1:])}"'
    name = f"{prefix}:{local}" if prefix else local
    out: list[str] = []
    _write(plan_of(cls), out, name, value)
    out[0] = f"<{name}{declarations}{out[0][len(name) + 1 :]}"
    return "".join(out)


def encode_bytes(value: object, tag: str | None = None) -> bytes:
    """As `encode_text`, in UTF-8."""
    return encode_text(value, tag).encode()


def encode(value: object, tag: str | None = None, parent: Element | None = None) -> Element:
    """As `encode_text`, as an element, under `parent` if given."""
    node = etree.fromstring(encode_text(value, tag))
    if parent is not None:
        parent.append(node)
    return node


def _write(plan: Plan, out: list[str], name: str, value: Any) -> None:
    if plan.attributes:
        out.append(f"<{name}")
        for field in plan.attributes:
            item = getattr(value, field.py)
            if item is not None:
                declaration, content = _content(field, item)
                out.append(f'{declaration} {field.name}="{content}"')
        out.append(">")
    else:
        out.append(f"<{name}>")
    start = len(out)
    if plan.text is not None:
        item = getattr(value, plan.text.py)
        if item is not None:
            declaration, content = _content(plan.text, item)
            out[-1] = f"{out[-1][:-1]}{declaration}>{content}"
    if plan.get is not None:
        for field, item in zip(plan.children, plan.get(value), strict=True):
            if item is None:
                if field.required and field.spec.nillable:
                    out.append(f'<{field.name} xsi:nil="true"/>')
            elif field.repeated:
                for each in item:
                    _child(field, out, each)
            else:
                _child(field, out, item)
    if len(out) == start and out[-1].endswith(">"):
        out[-1] = out[-1][:-1] + "/>"
    else:
        out.append(f"</{name}>")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A child that was written before, by `encode_text` without declarations under the child's name: for what many replies hold."""

    text: str


def _child(field: FieldPlan, out: list[str], item: Any) -> None:
    if field.plan is not None:
        if type(item) is field.hint:
            _write(field.plan, out, field.name, item)
        elif type(item) is Encoded:
            out.append(item.text)
        else:
            # An object of a derived class is written whole.
            _write(plan_of(type(item)), out, field.name, item)
    elif field.write is not None:
        declaration, content = _content(field, item)
        out.append(f"<{field.name}{declaration}>{content}</{field.name}>")
    else:
        out.append(_raw(item))


def _content(field: FieldPlan, item: Any) -> tuple[str, str]:
    """A declaration that the content needs, mostly empty, and the content itself."""
    if field.qname and item.startswith("{"):
        uri, _, local = item[1:].partition("}")
        prefix = PREFIX_OF.get(uri)
        return ("", f"{prefix}:{local}") if prefix else (f' xmlns:q="{_escape(uri)}"', f"q:{_escape(local)}")
    return "", _escape(field.write(item))  # type: ignore[misc]


def _raw(node: Element) -> str:
    """Open content as text for where `PREFIXES` are declared. The element stays in its own tree."""
    holder = etree.Element("r", nsmap=PREFIXES)
    holder.append(copy.deepcopy(node))
    holder[0].tail = None
    written: str = etree.tostring(holder, encoding="unicode")
    content = written[written.index(">") + 1 : -len("</r>")]
    # lxml drops prefixes whose namespace we declare by another one; names within text (topic expressions) need them.
    known = holder[0].nsmap
    lost = {
        prefix: uri
        for prefix, uri in node.nsmap.items()
        if prefix is not None and prefix not in known and re.search(rf"(?<![\w.-]){re.escape(prefix)}:", content)
    }
    if lost:
        at = 1 + len(re.split(r"[\s/>]", content[1:], maxsplit=1)[0])
        declarations = "".join(f' xmlns:{prefix}="{_escape(uri)}"' for prefix, uri in lost.items())
        content = content[:at] + declarations + content[at:]
    return content


def _escape(content: str) -> str:
    """Text or attribute value. Characters that XML 1.0 cannot carry become U+FFFD."""
    if _SPECIAL.search(content) is None:
        return content
    content = _ILLEGAL.sub("\ufffd", content)
    for character, reference in _REFERENCES:
        content = content.replace(character, reference)
    return content


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
        if field.spec.absent is not None:
            return field.spec.absent
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
    "Encoded",
    "Form",
    "any_elements",
    "attribute",
    "clark_to_prefixed",
    "decode",
    "element",
    "encode",
    "encode_bytes",
    "encode_text",
    "plan_of",
    "prefixed_to_clark",
    "schema",
    "tag_of",
    "text",
]
