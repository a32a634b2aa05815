"""SOAP 1.2 envelopes: read with suspicion, written exactly (SOAP 1.2 part 1 section 5; WS-Addressing 1.0)."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from onvifd.onvif.soap import faults
from onvifd.onvif.soap.codec import Element, encode_text
from onvifd.onvif.soap.faults import SoapFault, sender
from onvifd.onvif.soap.namespaces import PREFIXES, SOAP, SOAP11, WSA, WSA_2004, WSSE, WSU

MAX_BODY = 1 << 20
"""Octets of a request."""
MAX_DEPTH = 64
MAX_TAGS = 40_000
"""Start and end tags, and at most as many attributes: bounds what the parser allocates before it starts."""
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
CONTENT_TYPE = "application/soap+xml; charset=utf-8"

_ENCODING = re.compile(rb"""\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_TRUE = ("1", "true")
_PARSER = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
)
"""For all messages: making one takes longer than reading a request. Threads wait for each other."""
_OURS = frozenset(f"http://www.w3.org/2003/05/soap-envelope/role/{role}" for role in ("next", "ultimateReceiver")) | {
    ""
}
_END = "</SOAP-ENV:Body></SOAP-ENV:Envelope>"
_EMPTY = "<SOAP-ENV:Body/></SOAP-ENV:Envelope>"
_PREFIX_OF = {uri: prefix for prefix, uri in PREFIXES.items()}
_OPEN = (
    DECLARATION.decode()
    + "<SOAP-ENV:Envelope"
    + "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())
    + ">"
)
_ENVELOPE, _HEADER, _BODY = (f"{{{SOAP}}}{name}" for name in ("Envelope", "Header", "Body"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressing:
    """WS-Addressing properties of a request. `namespace` is empty when it carried none."""

    namespace: str = ""
    message_id: str | None = None
    to: str | None = None
    action: str | None = None
    reply_to: str | None = None
    reference_parameters: tuple[Element, ...] = ()
    """Header blocks of other namespaces; an endpoint's reference parameters come back this way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A message: `content` is the one child of Body, `security` the wsse:Security block if there is one."""

    content: Element
    addressing: Addressing
    security: Element | None


def parse_xml(data: bytes, *, limit: int = MAX_BODY, tags: int = MAX_TAGS) -> Element:
    """The root of a bounded document without DTD, comments and processing instructions. Raises SoapFault (ter:WellFormed)."""
    if len(data) > limit:
        raise sender("WellFormed", f"more than {limit} octets", http_status=413)
    data = _as_utf8(data)
    if data.count(b"<") > tags or data.count(b"=") > tags:
        raise sender("WellFormed", "too many elements or attributes")
    if b"<!DOCTYPE" in data:
        # SOAP 1.2 part 1 section 5: a message shall not contain a document type declaration.
        raise sender("WellFormed", "a document type declaration is not allowed")
    try:
        root = etree.fromstring(data, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise sender("WellFormed", f"not well-formed XML: {str(error)[:200]}", http_status=400) from None
    if root is None or root.getroottree().docinfo.internalDTD is not None:
        raise sender("WellFormed", "not a SOAP message", http_status=400)
    # Each element that holds another has a start and an end tag.
    _check_elements(root, deep=data.count(b"<") > 2 * MAX_DEPTH)
    return root


def _as_utf8(data: bytes) -> bytes:
    """The document in UTF-8 whatever it came in; so the checks on octets hold for every encoding."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None:
        if b"\0" in data[:4]:
            encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        else:
            declared = _ENCODING.match(data)
            name = declared[1].decode("ascii").lower() if declared else "utf-8"
            encoding = _ENCODINGS.get(name)
            if encoding is None or encoding == "utf-16":
                raise sender("WellFormed", f"encoding {name} is not supported", http_status=400)
    if encoding == "utf-8":
        return data[3:] if data.startswith(codecs.BOM_UTF8) else data
    try:
        return data.decode(encoding).encode("utf-8")
    except UnicodeError:
        raise sender("WellFormed", "the text does not agree with its encoding", http_status=400) from None


def _check_elements(root: Element, *, deep: bool) -> None:
    """`deep` says that elements may be nested beyond the bound."""
    if deep:
        depth = 0
        for event, _ in etree.iterwalk(root, events=("start", "end")):
            depth += 1 if event == "start" else -1
            if depth > MAX_DEPTH:
                raise sender("WellFormed", f"nested deeper than {MAX_DEPTH}")
    for element in root.iter():
        if ":" in element.tag.rpartition("}")[2]:
            # The parser lets undeclared prefixes pass as part of the name; SOAP 1.2 part 1 section 5 wants namespaces.
            raise sender("WellFormed", "the prefix of an element is not declared", http_status=400)


def parse(data: bytes, *, limit: int = MAX_BODY, tags: int = MAX_TAGS) -> Envelope:
    """Read a message. Raises SoapFault for everything that is none."""
    root = parse_xml(data, limit=limit, tags=tags)
    if root.tag != _ENVELOPE:
        raise _version_mismatch(root)
    header, body = None, None
    for child in root:
        if child.tag == _HEADER and header is None and body is None:
            header = child
        elif child.tag == _BODY and body is None:
            body = child
        else:
            raise sender("TagMismatch", f"{etree.QName(child).localname} is out of place in the Envelope")
    if body is None:
        raise sender("Tag", "the Envelope has no Body")
    if len(body) == 0:
        raise sender("Tag", "the Body is empty")
    if len(body) > 1:
        raise sender("TagMismatch", "the Body holds more than one element")
    blocks = [] if header is None else list(header)
    _check_understood(blocks)
    security = next((block for block in blocks if block.tag == f"{{{WSSE}}}Security"), None)
    return Envelope(content=body[0], addressing=_addressing(blocks), security=security)


def _version_mismatch(root: Element) -> SoapFault:
    # SOAP 1.2 part 1 section 5.4.7: the Upgrade block names the versions that are understood.
    upgrade = etree.Element(f"{{{SOAP}}}Upgrade", nsmap={"SOAP-ENV": SOAP})
    etree.SubElement(upgrade, f"{{{SOAP}}}SupportedEnvelope").set("qname", "SOAP-ENV:Envelope")
    what = "SOAP 1.1" if root.tag == f"{{{SOAP11}}}Envelope" else etree.QName(root).localname[:60]
    return SoapFault("VersionMismatch", (), f"expected a SOAP 1.2 Envelope, got {what}", headers=(upgrade,))


def _check_understood(blocks: list[Element]) -> None:
    unknown = []
    for block in blocks:
        mandatory = (block.get(f"{{{SOAP}}}mustUnderstand") or "").strip() in _TRUE
        for_us = (block.get(f"{{{SOAP}}}role") or "").strip() in _OURS
        if mandatory and for_us and etree.QName(block).namespace not in (WSSE, WSU, WSA, WSA_2004):
            if (block.get(f"{{{WSA}}}IsReferenceParameter") or "").strip() in _TRUE:
                continue  # WS-Addressing SOAP binding 3.4: echoed because we asked for it
            unknown.append(block)
    if not unknown:
        return
    headers = []
    for block in unknown[:10]:
        name = etree.QName(block)
        namespace = name.namespace if name.namespace and faults.can_be_written(name.namespace) else None
        # SOAP 1.2 part 1 section 5.4.8
        node = etree.Element(
            f"{{{SOAP}}}NotUnderstood", nsmap={"SOAP-ENV": SOAP, **({"h": namespace} if namespace else {})}
        )
        node.set("qname", f"h:{name.localname}" if namespace else name.localname)
        headers.append(node)
    names = ", ".join(etree.QName(block).localname[:60] for block in unknown[:10])
    raise SoapFault("MustUnderstand", (), f"header blocks not understood: {names}", headers=tuple(headers))


def _addressing(blocks: list[Element]) -> Addressing:
    found: dict[str, str] = {}
    reference: list[Element] = []
    version = ""
    for block in blocks:
        name = etree.QName(block)
        if name.namespace in (WSA, WSA_2004):
            version = version or name.namespace
            value = block.findtext(f"{{{name.namespace}}}Address") if len(block) else block.text
            found.setdefault(name.localname, (value or "").strip()[:1024])
        elif name.namespace not in (WSSE, WSU):
            reference.append(block)
    return Addressing(
        namespace=version,
        message_id=found.get("MessageID"),
        to=found.get("To"),
        action=found.get("Action"),
        reply_to=found.get("ReplyTo"),
        reference_parameters=tuple(reference),
    )


# ---- writing ------------------------------------------------------------------------------------


def _start(addressing: Addressing | None, action: str | None, headers: tuple[Element, ...]) -> tuple[Element, Element]:
    root = etree.Element(_ENVELOPE, nsmap=PREFIXES)
    echo = addressing is not None and addressing.namespace and (addressing.message_id or addressing.action)
    if echo or headers:
        header = etree.SubElement(root, _HEADER)
        for block in headers:
            header.append(block)
        if addressing is not None and echo:
            # WS-Addressing 1.0 core 3.4: a reply relates to the request's message id.
            if addressing.message_id:
                etree.SubElement(header, f"{{{addressing.namespace}}}RelatesTo").text = addressing.message_id
            if action:
                etree.SubElement(header, f"{{{addressing.namespace}}}Action").text = action
    return root, etree.SubElement(root, _BODY)


def _finish(root: Element) -> bytes:
    return DECLARATION + bytes(etree.tostring(root, encoding="utf-8"))


def reply_action(action: str | None) -> str | None:
    """The action of the reply to a request's action (WS-Addressing metadata 4.4.4)."""
    return None if action is None else action.removesuffix("Request") + "Response"


def write(value: object, addressing: Addressing | None = None, tag: str | None = None) -> bytes:
    """A reply around `value`, related to the request's `addressing`.

    Put together as text: two hundred waiting PullMessages are answered at once.
    """
    header = _echo(addressing) if addressing is not None else ""
    content = encode_text(value, tag, declare=False)
    return (_OPEN + header + "<SOAP-ENV:Body>" + content + _END).encode()


def _echo(addressing: Addressing) -> str:
    """The Header of a reply; empty if the request carried nothing to refer to (WS-Addressing 1.0 core 3.4)."""
    action = reply_action(addressing.action)
    if not addressing.namespace or not (addressing.message_id or action):
        return ""
    prefix = _PREFIX_OF.get(addressing.namespace)
    declaration = "" if prefix else f' xmlns:wsa="{escape(addressing.namespace)}"'
    parts = (("RelatesTo", addressing.message_id), ("Action", action))
    blocks = "".join(
        f"<{prefix or 'wsa'}:{name}{declaration}>{escape(text)}</{prefix or 'wsa'}:{name}>"
        for name, text in parts
        if text
    )
    return f"<SOAP-ENV:Header>{blocks}</SOAP-ENV:Header>"


def write_fault(fault: SoapFault, addressing: Addressing | None = None) -> bytes:
    """A reply around a fault."""
    root, body = _start(addressing, faults.FAULT_ACTION, fault.headers)
    faults.write(fault, body)
    return _finish(root)


def write_request(value: object, *, headers: tuple[Element, ...] = ()) -> bytes:
    """A request around `value`, with the given header blocks."""
    root, _ = _start(None, None, headers)
    return _around(value, root)


def _around(value: object, root: Element, tag: str | None = None) -> bytes:
    """An envelope with an empty Body, serialized with `value` put into it."""
    start = etree.tostring(root, encoding="unicode").removesuffix(_EMPTY)
    return DECLARATION + f"{start}<SOAP-ENV:Body>{encode_text(value, tag, declare=False)}{_END}".encode()
