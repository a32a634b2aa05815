"""Reading of WS-Discovery requests: namespaces, bounds, garbage."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from onvifd.onvif.discovery import messages
from onvifd.onvif.discovery.messages import Kind, Malformed, Sequence, Target, parse

DN = "http://www.onvif.org/ver10/network/wsdl"
TDS = "http://www.onvif.org/ver10/device/wsdl"
NVT = (DN, "NetworkVideoTransmitter")

PLAIN = f"""<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing">
 <s:Header>
  <a:Action s:mustUnderstand="1">http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>
  <a:MessageID> uuid:1 </a:MessageID>
  <a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>
  <a:To s:mustUnderstand="1">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>
 </s:Header>
 <s:Body>
  <Probe xmlns="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:d="http://www.w3.org/2001/XMLSchema">
   <d:unknown xmlns:d="urn:x"/>
   <Types xmlns:dp0="{DN}" xmlns:q="{TDS}"> dp0:NetworkVideoTransmitter
      q:Device </Types>
   <Scopes> onvif://www.onvif.org/Profile/T  onvif://www.onvif.org/name </Scopes>
  </Probe>
 </s:Body>
</s:Envelope>"""


def test_probe_with_foreign_prefixes_and_white_space() -> None:
    request = parse(PLAIN.encode())
    assert request.kind is Kind.PROBE
    assert request.message_id == "uuid:1"
    assert request.types == (NVT, (TDS, "Device"))
    assert request.scopes == ("onvif://www.onvif.org/Profile/T", "onvif://www.onvif.org/name")
    assert request.rule is None


NAMESPACE_VARIANTS = {
    "default namespace on each element": """<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Header>
        <MessageID xmlns="http://schemas.xmlsoap.org/ws/2004/08/addressing">urn:1</MessageID></Header><Body>
        <Probe xmlns="http://schemas.xmlsoap.org/ws/2005/04/discovery">
        <Types xmlns:n="{dn}">n:NetworkVideoTransmitter</Types></Probe></Body></Envelope>""",
    "one prefix for different namespaces": """<p:Envelope xmlns:p="http://www.w3.org/2003/05/soap-envelope"><p:Header>
        <p:MessageID xmlns:p="http://schemas.xmlsoap.org/ws/2004/08/addressing">urn:1</p:MessageID></p:Header><p:Body>
        <p:Probe xmlns:p="http://schemas.xmlsoap.org/ws/2005/04/discovery"><q:Types
        xmlns:q="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:p="{dn}"><!-- a comment -->p:NetworkVideoTransmitter</q:Types></p:Probe></p:Body></p:Envelope>""",
    "type in the default namespace": """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns="{dn}"><s:Header>
        <a:MessageID xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing">urn:1</a:MessageID></s:Header><s:Body>
        <d:Probe xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><d:Types>NetworkVideoTransmitter</d:Types>
        </d:Probe></s:Body></s:Envelope>""",
    "different prefixes for one namespace": """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">
        <t:Header xmlns:t="http://www.w3.org/2003/05/soap-envelope">
        <a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing">urn:1</a:MessageID></t:Header>
        <u:Body xmlns:u="http://www.w3.org/2003/05/soap-envelope"><e:Probe
        xmlns:e="http://schemas.xmlsoap.org/ws/2005/04/discovery"><d:Types xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
        xmlns:x="{dn}">x:NetworkVideoTransmitter</d:Types></e:Probe></u:Body></s:Envelope>""",
}


@pytest.mark.parametrize("name", NAMESPACE_VARIANTS)
def test_names_are_compared_expanded(name: str) -> None:
    request = parse(NAMESPACE_VARIANTS[name].replace("{dn}", DN).encode())
    assert request.message_id == "urn:1"
    assert request.types == (NVT,)


def _wrap(body: str, header: str = "<a:MessageID>urn:1</a:MessageID>") -> bytes:
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
        f' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
    ).encode()


MALFORMED = {
    "nothing": b"",
    "noise": bytes(range(256)),
    "not XML": b"M-SEARCH * HTTP/1.1\r\n\r\n",
    "cut off": PLAIN.encode()[:-30],
    "too long": _wrap("<d:Probe/>") + b" " * messages.MAX_DATAGRAM,
    "SOAP 1.1": _wrap("<d:Probe/>").replace(b"2003/05/soap-envelope", b"2001/12/soap-envelope"),
    "no body": b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"/>',
    "empty body": _wrap(""),
    "no message id": _wrap("<d:Probe/>", ""),
    "long message id": _wrap("<d:Probe/>", f"<a:MessageID>{'x' * 257}</a:MessageID>"),
    "other body": _wrap("<d:Hello/>"),
    "probe without namespace": _wrap("<Probe/>"),
    "wrong action": _wrap("<d:Probe/>", f"<a:MessageID>u</a:MessageID><a:Action>{messages.NS_WSD}/Resolve</a:Action>"),
    "undeclared prefix": _wrap("<d:Probe><d:Types>zz:Device</d:Types></d:Probe>"),
    "too many scopes": _wrap(f"<d:Probe><d:Scopes>{'a:b ' * 65}</d:Scopes></d:Probe>"),
    "resolve without address": _wrap("<d:Resolve/>"),
    "document type": b'<!DOCTYPE x [<!ENTITY e "v">]>' + _wrap("<d:Probe><d:Scopes>&e;</d:Scopes></d:Probe>"),
    "deep": _wrap("<d:Probe>" + "<x>" * 400 + "</x>" * 400 + "</d:Probe>"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_is_told_apart(name: str) -> None:
    with pytest.raises(Malformed):
        parse(MALFORMED[name])


@given(st.binary(max_size=600) | st.text(max_size=300).map(lambda text: _wrap(f"<d:Probe>{text}</d:Probe>")))
def test_any_octets_are_a_request_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert parse(data).message_id


def test_unicode_declaration_and_bom_are_read() -> None:
    assert parse(b"\xef\xbb\xbf" + _wrap("<d:Probe/>")).kind is Kind.PROBE
    assert parse(_wrap("<d:Probe/>").decode().encode("utf-16")).kind is Kind.PROBE


def test_answer_escapes_and_declares_the_prefixes_of_its_types() -> None:
    target = Target(address="urn:uuid:1", scopes=("onvif://www.onvif.org/name/a&b",), metadata_version=7)
    data = messages.matches(
        Kind.PROBE, "urn:<1>", target, ("http://192.0.2.1/x",), "urn:2", Sequence(instance_id=3, message_number=4)
    )
    assert data.startswith(b"<?xml version='1.0' encoding='UTF-8'?>")
    root = etree.fromstring(data)
    assert root.findtext(f".//{{{messages.NS_WSA}}}RelatesTo") == "urn:<1>"
    assert root.findtext(f".//{{{messages.NS_WSA}}}To") == messages.TO_ANONYMOUS
    sequence = root.find(f".//{{{messages.NS_WSD}}}AppSequence")
    assert sequence is not None
    assert dict(sequence.attrib) == {"InstanceId": "3", "MessageNumber": "4"}
    types = root.find(f".//{{{messages.NS_WSD}}}Types")
    assert types is not None
    names = [name.split(":") for name in (types.text or "").split()]
    assert [(types.nsmap[prefix], local) for prefix, local in names] == [NVT, (TDS, "Device")]
    match = root.find(f".//{{{messages.NS_WSD}}}ProbeMatches/{{{messages.NS_WSD}}}ProbeMatch")
    assert match is not None
    # The order is that of the schema of WS-Discovery.
    assert [etree.QName(child).localname for child in match] == [
        "EndpointReference",
        "Types",
        "Scopes",
        "XAddrs",
        "MetadataVersion",
    ]
