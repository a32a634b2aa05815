"""One message in five spellings (Base Test 9.11): what a namespace is called must not matter to a device."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from enum import Enum
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from conformance.names import NS, clark

QNAME_CONTENT = frozenset(
    clark(name) for name in ("d:Types", "wsnt:TopicExpression", "wsnt:Topic", "wsnt:MessageContent", "tev:Type")
)
"""Elements whose text uses prefixes; these stay declared on the element itself, as the examples of 9.11 do."""


class Spelling(Enum):
    """The official names of the namespace cases."""

    EACH_TAG = "default namespaces for each tag"
    PARENT_TAG = "default namespaces for parent tag"
    ODD_PREFIXES = "not standard prefixes"
    DIFFERENT_PREFIXES = "different prefixes for the same namespace"
    SAME_PREFIX = "the same prefix for different namespaces"


def respell(message: bytes | str, spelling: Spelling) -> bytes:
    """The same XML, spelled otherwise."""
    root = etree.fromstring(message.encode() if isinstance(message, str) else message)
    uris = list(dict.fromkeys(etree.QName(each).namespace or "" for each in root.iter() if isinstance(each.tag, str)))
    odd = {uri: f"prefix{number}" for number, uri in enumerate((each for each in uris if each), 1)}
    numbers = itertools.count(1)
    return ('<?xml version="1.0" encoding="utf-8"?>\n' + _write(root, spelling, odd, numbers, {}, True)).encode()


def _write(
    element: Any, spelling: Spelling, odd: dict[str, str], numbers: Iterator[int], scope: dict[str, str], root: bool
) -> str:
    name = etree.QName(element)
    uri, declared = name.namespace or "", {}
    match spelling:
        case Spelling.EACH_TAG:
            prefix, declared = "", {"": uri}
        case Spelling.PARENT_TAG:
            prefix = ""
            if scope.get("", "") != uri:
                declared[""] = uri
        case Spelling.ODD_PREFIXES:
            prefix = odd.get(uri, "")
            if root:
                declared = {odd[each]: each for each in odd}
        case Spelling.DIFFERENT_PREFIXES:
            prefix = f"p{next(numbers)}"
            declared[prefix] = uri
        case Spelling.SAME_PREFIX:
            prefix = "p1"
            if scope.get(prefix) != uri:
                declared[prefix] = uri
    for key in element.attrib:
        if (space := etree.QName(key).namespace) and space != NS["xml"]:
            declared[f"at{len(declared)}"] = space
    if element.tag in QNAME_CONTENT:
        declared |= {key: value for key, value in element.nsmap.items() if key and _uses(element.text, key)}
    scope = scope | declared
    attributes = "".join(f" {_attribute(key, scope)}={quoteattr(value)}" for key, value in element.attrib.items())
    spaces = "".join(f" xmlns{':' + key if key else ''}={quoteattr(value)}" for key, value in declared.items())
    tag = f"{prefix}:{name.localname}" if prefix else name.localname
    inside = escape(element.text or "")
    for child in element:
        if isinstance(child.tag, str):
            inside += _write(child, spelling, odd, numbers, scope, False) + escape(child.tail or "")
    return f"<{tag}{spaces}{attributes}>{inside}</{tag}>" if inside else f"<{tag}{spaces}{attributes}/>"


def _uses(content: str | None, prefix: str) -> bool:
    return f"{prefix}:" in (content or "")


def _attribute(key: str, scope: dict[str, str]) -> str:
    name = etree.QName(key)
    if not name.namespace:
        return str(name.localname)
    if name.namespace == NS["xml"]:
        return f"xml:{name.localname}"
    prefix = next(each for each, uri in scope.items() if each and uri == name.namespace)
    return f"{prefix}:{name.localname}"
