"""One message in several spellings of its namespaces (Event Test 6.2)."""

from __future__ import annotations

import itertools
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

STYLES = ("default per tag", "default in parent", "unusual prefixes", "many prefixes", "one prefix")


def restyle(message: bytes, style: str) -> bytes:
    """The same message with other declarations. Content with prefixes of its own (QNames) is not understood."""
    if style not in STYLES:
        raise ValueError(style)
    root = etree.fromstring(message)
    return ('<?xml version="1.0" encoding="utf-8"?>\n' + _Writer(style, root).write(root, "")).encode()


class _Writer:
    def __init__(self, style: str, root: Any) -> None:
        self.style = style
        self.numbers = itertools.count(1)
        uris = {etree.QName(name).namespace for each in root.iter(etree.Element) for name in (each.tag, *each.attrib)}
        self.table = {uri: f"prefix{number}" for number, uri in enumerate(sorted(uri for uri in uris if uri))}
        self.root = root

    def write(self, element: Any, inherited: str) -> str:
        """`inherited` is the default namespace in force."""
        name = etree.QName(element)
        uri = name.namespace or ""
        default = inherited
        match self.style:
            case "default per tag":
                tag, declared, default = name.localname, f" xmlns={quoteattr(uri)}", uri
            case "default in parent":
                tag, declared, default = name.localname, "" if uri == inherited else f" xmlns={quoteattr(uri)}", uri
            case "unusual prefixes":
                tag, declared = f"{self.table[uri]}:{name.localname}", ""
                if element is self.root:
                    declared = "".join(f" xmlns:{prefix}={quoteattr(each)}" for each, prefix in self.table.items())
            case "many prefixes":
                prefix = f"e{next(self.numbers)}"
                tag, declared = f"{prefix}:{name.localname}", f" xmlns:{prefix}={quoteattr(uri)}"
            case _:
                tag, declared = f"p1:{name.localname}", f" xmlns:p1={quoteattr(uri)}"
        content = escape(element.text or "")
        for child in element:
            if isinstance(child.tag, str):
                content += self.write(child, default)
            content += escape(child.tail or "")
        return f"<{tag}{declared}{self._attributes(element)}>{content}</{tag}>"

    def _attributes(self, element: Any) -> str:
        written = ""
        for full, value in element.attrib.items():
            name = etree.QName(full)
            if name.namespace is None:
                written += f" {name.localname}={quoteattr(value)}"
            elif self.style == "unusual prefixes":
                written += f" {self.table[name.namespace]}:{name.localname}={quoteattr(value)}"
            else:
                written += f" u:{name.localname}={quoteattr(value)} xmlns:u={quoteattr(name.namespace)}"
        return written
