"""WS-Discovery messages (April 2005) on WS-Addressing (August 2004): reading requests, writing announcements and answers.

Pure functions between bytes and dataclasses; no socket, no clock, no state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from lxml import etree

NS_SOAP = "http://www.w3.org/2003/05/soap-envelope"
NS_WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
NS_WSA_LATER = "http://www.w3.org/2005/08/addressing"
"""Not what WS-Discovery 2005/04 asks for, but some clients write their headers in it; accepted, never sent."""
NS_WSD = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
NS_TDS = "http://www.onvif.org/ver10/device/wsdl"
NS_DN = "http://www.onvif.org/ver10/network/wsdl"

TO_DISCOVERY = "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
TO_ANONYMOUS = NS_WSA + "/role/anonymous"
ACTION_FAULT = NS_WSD + "/fault"

MAX_DATAGRAM = 8192
"""Octets of a request that is read; a longer one is no probe of any known client."""
MAX_MESSAGE_ID = 256
MAX_ITEMS = 64
"""Types or scopes in one probe."""


class Kind(StrEnum):
    """What a request asks for."""

    PROBE = "Probe"
    RESOLVE = "Resolve"


class Malformed(Exception):
    """The datagram is no request that can be understood; it is dropped (Core 7.3.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A Probe or a Resolve.

    `types` are expanded names (namespace, local name). `rule` is the MatchBy URI, None for the default. `address` is the
    endpoint that a Resolve asks for.
    """

    kind: Kind
    message_id: str
    types: tuple[tuple[str, str], ...] = ()
    scopes: tuple[str, ...] = ()
    rule: str | None = None
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a device announces of itself. `address` is its stable `urn:uuid:`; `metadata_version` grows with every change."""

    address: str
    scopes: tuple[str, ...]
    metadata_version: int
    types: tuple[tuple[str, str], ...] = field(default=((NS_DN, "NetworkVideoTransmitter"), (NS_TDS, "Device")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """Position of a message among those of this run of the device (WS-Discovery section 7: AppSequence)."""

    instance_id: int
    message_number: int


# ---- reading


def may_be_request(data: bytes) -> bool:
    """Whether a datagram is worth parsing: cheap, and never wrong about a request."""
    if len(data) > MAX_DATAGRAM:
        return False
    # An element's name cannot be written in any other way, unless in another encoding (UTF-16, with or without mark).
    return b"Probe" in data or b"Resolve" in data or b"\0" in data[:4]


def parse(data: bytes) -> Request:
    """Read a datagram. Raises Malformed for anything but a well-formed Probe or Resolve."""
    if len(data) > MAX_DATAGRAM:
        raise Malformed("datagram is too long")
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Malformed("datagram is no well-formed XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("a document type declaration is not allowed")
    if root.tag != f"{{{NS_SOAP}}}Envelope":
        raise Malformed("not a SOAP 1.2 envelope")
    body = root.find(f"{{{NS_SOAP}}}Body")
    content = None if body is None else next(body.iterchildren(tag=etree.Element), None)
    if content is None:
        raise Malformed("the body is empty")
    message_id, action = _header(root, "MessageID"), _header(root, "Action")
    if not message_id or len(message_id) > MAX_MESSAGE_ID:
        # RelatesTo of the answer is mandatory, so a request without an id cannot be answered.
        raise Malformed("MessageID is missing or too long")
    for kind in Kind:
        if content.tag == f"{{{NS_WSD}}}{kind}":
            if action and action != f"{NS_WSD}/{kind}":
                raise Malformed("the action contradicts the body")
            return _probe(content, message_id) if kind is Kind.PROBE else _resolve(content, message_id)
    raise Malformed("neither Probe nor Resolve")


def _header(root: etree._Element, name: str) -> str:
    for namespace in (NS_WSA, NS_WSA_LATER):
        text: str | None = root.findtext(f"{{{NS_SOAP}}}Header/{{{namespace}}}{name}")
        if text is not None:
            return text.strip()
    return ""


def _probe(element: etree._Element, message_id: str) -> Request:
    types = element.find(f"{{{NS_WSD}}}Types")
    scopes = element.find(f"{{{NS_WSD}}}Scopes")
    return Request(
        kind=Kind.PROBE,
        message_id=message_id,
        types=() if types is None else tuple(_expand(types, name) for name in _items(types)),
        scopes=() if scopes is None else _items(scopes),
        rule=None if scopes is None else _rule(scopes),
    )


def _rule(scopes: etree._Element) -> str | None:
    return (scopes.get("MatchBy") or "").strip() or None


def _items(element: etree._Element) -> tuple[str, ...]:
    items = tuple((element.text or "").split())
    if len(items) > MAX_ITEMS:
        raise Malformed("too many types or scopes")
    return items


def _expand(element: etree._Element, name: str) -> tuple[str, str]:
    """A QName in element content takes its namespace from the declarations in scope, the default one included."""
    prefix, colon, local = name.rpartition(":")
    if not colon:
        return element.nsmap.get(None, ""), local
    namespace = element.nsmap.get(prefix)
    if namespace is None:
        raise Malformed("a type has an undeclared prefix")
    return namespace, local


def _resolve(element: etree._Element, message_id: str) -> Request:
    for namespace in (NS_WSA, NS_WSA_LATER):
        address = element.findtext(f"{{{namespace}}}EndpointReference/{{{namespace}}}Address")
        if address is not None and address.strip():
            return Request(kind=Kind.RESOLVE, message_id=message_id, address=address.strip())
    raise Malformed("Resolve without an endpoint address")


# ---- writing

_NSMAP = {"s": NS_SOAP, "a": NS_WSA, "d": NS_WSD, "dn": NS_DN, "tds": NS_TDS}
_PREFIXES = {namespace: prefix for prefix, namespace in _NSMAP.items()}


def hello(target: Target, xaddrs: tuple[str, ...], message_id: str, sequence: Sequence) -> bytes:
    """One-way announcement that the device is there or has changed."""
    envelope, body = _envelope(f"{NS_WSD}/Hello", TO_DISCOVERY, message_id, sequence)
    _describe(etree.SubElement(body, f"{{{NS_WSD}}}Hello"), target, xaddrs)
    return _serialize(envelope)


def bye(target: Target, message_id: str, sequence: Sequence) -> bytes:
    """One-way announcement that the device is about to leave."""
    envelope, body = _envelope(f"{NS_WSD}/Bye", TO_DISCOVERY, message_id, sequence)
    _endpoint(etree.SubElement(body, f"{{{NS_WSD}}}Bye"), target)
    return _serialize(envelope)


def matches(
    kind: Kind, relates_to: str, target: Target, xaddrs: tuple[str, ...], message_id: str, sequence: Sequence
) -> bytes:
    """ProbeMatches or ResolveMatches with this device as its only match."""
    envelope, body = _envelope(f"{NS_WSD}/{kind}Matches", TO_ANONYMOUS, message_id, sequence, relates_to)
    answer = etree.SubElement(body, f"{{{NS_WSD}}}{kind}Matches")
    _describe(etree.SubElement(answer, f"{{{NS_WSD}}}{kind}Match"), target, xaddrs)
    return _serialize(envelope)


def rule_fault(relates_to: str, rules: tuple[str, ...], message_id: str, sequence: Sequence) -> bytes:
    """d:MatchingRuleNotSupported with the rules that are supported (Core 7.3.6)."""
    envelope, body = _envelope(ACTION_FAULT, TO_ANONYMOUS, message_id, sequence, relates_to)
    fault = etree.SubElement(body, f"{{{NS_SOAP}}}Fault")
    code = etree.SubElement(fault, f"{{{NS_SOAP}}}Code")
    _text(code, NS_SOAP, "Value", "s:Sender")
    _text(etree.SubElement(code, f"{{{NS_SOAP}}}Subcode"), NS_SOAP, "Value", "d:MatchingRuleNotSupported")
    reason = etree.SubElement(fault, f"{{{NS_SOAP}}}Reason")
    text = _text(reason, NS_SOAP, "Text", "The matching rule is not supported.")
    text.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
    _text(etree.SubElement(fault, f"{{{NS_SOAP}}}Detail"), NS_WSD, "SupportedMatchingRules", " ".join(rules))
    return _serialize(envelope)


def _envelope(
    action: str, to: str, message_id: str, sequence: Sequence, relates_to: str = ""
) -> tuple[etree._Element, etree._Element]:
    envelope = etree.Element(f"{{{NS_SOAP}}}Envelope", nsmap=_NSMAP)
    header = etree.SubElement(envelope, f"{{{NS_SOAP}}}Header")
    _text(header, NS_WSA, "MessageID", message_id)
    if relates_to:
        _text(header, NS_WSA, "RelatesTo", relates_to)
    _text(header, NS_WSA, "To", to)
    _text(header, NS_WSA, "Action", action)
    # WS-Discovery section 7: mandatory in every announcement and match; Windows drops answers without it.
    application = etree.SubElement(header, f"{{{NS_WSD}}}AppSequence")
    application.set("InstanceId", str(sequence.instance_id))
    application.set("MessageNumber", str(sequence.message_number))
    return envelope, etree.SubElement(envelope, f"{{{NS_SOAP}}}Body")


def _endpoint(parent: etree._Element, target: Target) -> None:
    _text(etree.SubElement(parent, f"{{{NS_WSA}}}EndpointReference"), NS_WSA, "Address", target.address)


def _describe(parent: etree._Element, target: Target, xaddrs: tuple[str, ...]) -> None:
    _endpoint(parent, target)
    _text(parent, NS_WSD, "Types", " ".join(f"{_PREFIXES[namespace]}:{local}" for namespace, local in target.types))
    _text(parent, NS_WSD, "Scopes", " ".join(target.scopes))
    if xaddrs:
        _text(parent, NS_WSD, "XAddrs", " ".join(xaddrs))
    _text(parent, NS_WSD, "MetadataVersion", str(target.metadata_version))


def _text(parent: etree._Element, namespace: str, name: str, text: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    element.text = text
    return element


def _serialize(envelope: etree._Element) -> bytes:
    data: bytes = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
    return data
