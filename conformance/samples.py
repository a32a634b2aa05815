"""Requests with arbitrary but valid content, made from the official schemas."""

from __future__ import annotations

import functools
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from conformance.names import NS, PREFIXES
from conformance.schema import folder

XS = "{http://www.w3.org/2001/XMLSchema}"
MAX_DEPTH = 12

_SIMPLE = {
    "boolean": "false",
    "int": "1",
    "integer": "1",
    "long": "1",
    "short": "1",
    "byte": "1",
    "unsignedInt": "1",
    "unsignedShort": "1",
    "positiveInteger": "1",
    "nonNegativeInteger": "1",
    "unsignedLong": "1",
    "float": "1",
    "double": "1",
    "decimal": "1",
    "duration": "PT10S",
    "dateTime": "2030-01-01T00:00:00Z",
    "date": "2030-01-01",
    "time": "00:00:00Z",
    "anyURI": "http://192.0.2.1/",
    "base64Binary": "AAAA",
    "hexBinary": "00",
    "QName": "xs:string",
}


@functools.cache
def _schemas() -> tuple[Any, ...]:
    """All schema elements, files and WSDL types alike."""
    found: list[Any] = []
    for path in sorted(folder().rglob("*")):
        if path.is_file() and (path.suffix in (".xsd", ".wsdl") or path.parent.name == "common"):
            root = etree.parse(path).getroot()
            found += [root] if root.tag == f"{XS}schema" else root.findall(f".//{XS}schema")
    return tuple(found)


@functools.cache
def _globals() -> dict[tuple[str, str], Any]:
    """Global elements and types by kind and Clark name."""
    found: dict[tuple[str, str], Any] = {}
    for schema in _schemas():
        for each in schema:
            if isinstance(each.tag, str) and each.get("name"):
                kind = "element" if each.tag == f"{XS}element" else "type"
                if each.tag in (f"{XS}element", f"{XS}complexType", f"{XS}simpleType"):
                    found.setdefault((kind, f"{{{schema.get('targetNamespace')}}}{each.get('name')}"), each)
    return found


def operations(service: str) -> frozenset[str]:
    """Names of requests that the schema of a service knows."""
    elements = _globals()
    names = {
        name.rpartition("}")[2]
        for kind, name in elements
        if kind == "element" and name.startswith(f"{{{NS[service]}}}")
    }
    return frozenset(each for each in names if f"{each}Response" in names)


def request(service: str, operation: str) -> str:
    """The request element of an operation with what it must contain. Usual prefixes are not declared."""
    return _element(_globals()["element", f"{{{NS[service]}}}{operation}"], 0)


def _clark(name: str, node: Any) -> str:
    prefix, colon, local = name.rpartition(":")
    uri = node.nsmap.get(prefix if colon else None)
    return f"{{{uri}}}{local}"


def _namespace(node: Any) -> str:
    schema = next(each for each in node.iterancestors(f"{XS}schema"))
    return str(schema.get("targetNamespace"))


def _tag(uri: str, local: str) -> tuple[str, str]:
    """A tag and the declaration that it needs."""
    prefix = PREFIXES.get(uri)
    return (f"{prefix}:{local}", "") if prefix else (f"q:{local}", f' xmlns:q="{uri}"')


def _element(node: Any, depth: int) -> str:
    if node.get("ref"):
        return _element(_globals()["element", _clark(node.get("ref"), node)], depth)
    if depth > MAX_DEPTH:
        raise ValueError(f"{node.get('name')} is nested too deeply")
    schema = next(each for each in node.iterancestors(f"{XS}schema"))
    qualified = node.getparent() is schema or node.get("form", schema.get("elementFormDefault")) == "qualified"
    tag, declared = _tag(_namespace(node), node.get("name")) if qualified else (node.get("name"), "")
    attributes, content = _typed(node, depth)
    return f"<{tag}{declared}{attributes}>{content}</{tag}>"


def _typed(node: Any, depth: int) -> tuple[str, str]:
    """Attributes and content of an element."""
    if node.get("type"):
        return _type(_clark(node.get("type"), node), depth)
    inner = node.find(f"{XS}complexType")
    if inner is not None:
        return _complex(inner, depth)
    inner = node.find(f"{XS}simpleType")
    return ("", _restricted(inner)) if inner is not None else ("", "")


def _type(name: str, depth: int) -> tuple[str, str]:
    if name.startswith(XS):
        local = name.removeprefix(XS)
        return "", "" if local == "anyType" else _SIMPLE.get(local, "a")
    node = _globals()["type", name]
    return ("", _restricted(node)) if node.tag == f"{XS}simpleType" else _complex(node, depth)


def _restricted(node: Any) -> str:
    """A value of a simple type."""
    choice = node.find(f"{XS}restriction/{XS}enumeration")
    if choice is not None:
        return escape(choice.get("value"))
    restriction = node.find(f"{XS}restriction")
    if restriction is not None:
        pattern = restriction.find(f"{XS}pattern")
        if pattern is not None:
            return _SIMPLE.get("duration", "") if "P" in pattern.get("value", "")[:3] else "1"
        least = restriction.find(f"{XS}minInclusive")
        if least is not None:
            return str(least.get("value"))
        if restriction.get("base"):
            return _type(_clark(restriction.get("base"), restriction), MAX_DEPTH)[1]
    union = node.find(f"{XS}union")
    if union is not None and union.get("memberTypes"):
        return _type(_clark(union.get("memberTypes").split()[0], union), MAX_DEPTH)[1]
    listed = node.find(f"{XS}list")
    if listed is not None and listed.get("itemType"):
        return _type(_clark(listed.get("itemType"), listed), MAX_DEPTH)[1]
    return "a"


def _complex(node: Any, depth: int) -> tuple[str, str]:
    attributes = content = ""
    extension = node.find(f"{XS}complexContent/{XS}extension")
    if extension is None:
        extension = node.find(f"{XS}simpleContent/{XS}extension")
    if extension is not None:
        attributes, content = _type(_clark(extension.get("base"), extension), depth)
        node = extension
    for group in node:
        if group.tag in (f"{XS}sequence", f"{XS}choice", f"{XS}all"):
            content += _group(group, depth)
    for attribute in node.findall(f"{XS}attribute"):
        if attribute.get("use") == "required" and attribute.get("name"):
            value = _typed(attribute, depth)[1]
            attributes += f' {attribute.get("name")}="{value}"'
    return attributes, content


def _group(group: Any, depth: int) -> str:
    if group.get("minOccurs") == "0":
        return ""
    content = ""
    for each in group:
        if each.tag == f"{XS}element" and each.get("minOccurs") != "0":
            content += _element(each, depth + 1) * int(each.get("minOccurs", "1"))
        elif each.tag in (f"{XS}sequence", f"{XS}choice"):
            content += _group(each, depth)
        if group.tag == f"{XS}choice" and content:
            break
    return content
