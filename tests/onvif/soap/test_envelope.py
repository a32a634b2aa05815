from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from onvifd.onvif.soap import envelope
from onvifd.onvif.soap.codec import decode
from onvifd.onvif.soap.envelope import Addressing
from onvifd.onvif.soap.faults import SoapFault
from onvifd.onvif.types import tds, trt

SOAP = "http://www.w3.org/2003/05/soap-envelope"
TDS = "http://www.onvif.org/ver10/device/wsdl"
HEAD = f'<s:Envelope xmlns:s="{SOAP}">'
CALL = f'<GetHostname xmlns="{TDS}"/>'


def message(body: str = CALL, header: str = "") -> bytes:
    block = f"<s:Header>{header}</s:Header>" if header else ""
    return f"{HEAD}{block}<s:Body>{body}</s:Body></s:Envelope>".encode()


def assert_fault(data: bytes, code: str, *subcodes: str) -> SoapFault:
    with pytest.raises(SoapFault) as caught:
        envelope.parse(data)
    assert (caught.value.code, caught.value.subcodes) == (code, subcodes)
    return caught.value


class TestReading:
    @pytest.mark.parametrize(
        "data",
        [
            message(),
            b'<?xml version="1.0"?>' + message(),
            b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?>' + message(),
            b"\n  " + message() + b"\n\n",
            ('<?xml version="1.0" encoding="utf-16"?>' + message().decode()).encode("utf-16"),
            ('<?xml version="1.0" encoding="utf-16"?>' + message().decode()).encode("utf-16-le"),
            b'<?xml version="1.0" encoding="ISO-8859-1"?>' + message(),
            f'<Envelope xmlns="{SOAP}"><Body><d:GetHostname xmlns:d="{TDS}"/></Body></Envelope>'.encode(),
            f'<x:Envelope xmlns:x="{SOAP}"><x:Body><x:GetHostname xmlns:x="{TDS}"/></x:Body></x:Envelope>'.encode(),
            f'<a:Envelope xmlns:a="{SOAP}" xmlns:b="{SOAP}"><b:Header/><b:Body>{CALL}</b:Body></a:Envelope>'.encode(),
            message("<!-- a --><?pi?>" + CALL),
        ],
        ids=[
            "plain",
            "declaration",
            "BOM",
            "white space",
            "UTF-16",
            "UTF-16 without mark",
            "Latin-1",
            "default namespaces",
            "one prefix for two namespaces",
            "two prefixes for one namespace",
            "comments",
        ],
    )
    def test_what_clients_send(self, data: bytes) -> None:
        assert envelope.parse(data).content.tag == f"{{{TDS}}}GetHostname"

    @pytest.mark.parametrize(
        "data",
        [
            b"GET / HTTP/1.1",
            b"<",
            message()[:-5],
            message().replace(b"</s:Body>", b"</t:Body>"),
            message().replace(b"GetHostname", b"u:GetHostname"),
            message("\x00"),
            message() + b"\0",
            message("&nbsp;"),
            message("&#0;"),
            message("<a b='1' b='2'/>"),
            message(f"<a xmlns:p='{TDS}' xmlns:q='{TDS}' p:b='1' q:b='2'/>"),
            message() + message(),
            message().replace(b"GetHostname", b"Get\xffHostname"),
            b'<?xml version="1.0" encoding="EBCDIC-CP-US"?>' + message(),
            b'<?xml version="1.0" encoding="utf-7"?>' + message(),
            b'<?xml version="1.0" encoding="utf-16"?>' + message(),
            b"\xff\xfe" + message(),
            b"\xff\xfe\x00\xd8",
            b"\0\0\0\0",
        ],
    )
    def test_what_is_not_well_formed(self, data: bytes) -> None:
        assert_fault(data, "Sender", "WellFormed")

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_document_types_are_refused(self, encoding: str) -> None:
        bomb = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
            f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(12)
        )
        outside = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">'
        remote = '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd" ['
        for start in (bomb, outside, remote):
            data = f'<?xml version="1.0" encoding="{encoding}"?>{start}]>' + message("<x>&a;&x;</x>").decode()
            before = time.process_time()
            assert_fault(data.encode(encoding), "Sender", "WellFormed")
            assert time.process_time() - before < 1

    def test_deep_nesting(self) -> None:
        envelope.parse(message("<a>" * 60 + "</a>" * 60))
        assert_fault(message("<a>" * 70 + "</a>" * 70), "Sender", "WellFormed")
        assert_fault(message("<a>" * 15_000 + "</a>" * 15_000), "Sender", "WellFormed")

    def test_floods(self) -> None:
        assert_fault(message("<a/>" * 100_000), "Sender", "WellFormed")
        assert_fault(message("<a " + " ".join(f'a{i}=""' for i in range(50_000)) + "/>"), "Sender", "WellFormed")
        assert assert_fault(message("<a>" + "x" * 10_000_000 + "</a>"), "Sender", "WellFormed").status == 413

    def test_other_versions(self) -> None:
        old = message().replace(SOAP.encode(), b"http://schemas.xmlsoap.org/soap/envelope/")
        fault = assert_fault(old, "VersionMismatch")
        assert "SOAP 1.1" in fault.reason
        assert fault.headers[0].tag == f"{{{SOAP}}}Upgrade"
        assert_fault(b"<html/>", "VersionMismatch")
        assert_fault(b"<Envelope/>", "VersionMismatch")

    @pytest.mark.parametrize(
        ("data", "subcode"),
        [
            (f"{HEAD}</s:Envelope>", "Tag"),
            (f"{HEAD}<s:Header/></s:Envelope>", "Tag"),
            (f"{HEAD}<s:Body/></s:Envelope>", "Tag"),
            (f"{HEAD}<s:Body>GetHostname</s:Body></s:Envelope>", "Tag"),
            (f"{HEAD}<Body>{CALL}</Body></s:Envelope>", "TagMismatch"),
            (f"{HEAD}<s:Body>{CALL}</s:Body><s:Body>{CALL}</s:Body></s:Envelope>", "TagMismatch"),
            (f"{HEAD}<s:Body>{CALL}{CALL}</s:Body></s:Envelope>", "TagMismatch"),
            (f"{HEAD}<s:Body>{CALL}</s:Body><s:Header/></s:Envelope>", "TagMismatch"),
        ],
    )
    def test_misshapen_envelopes(self, data: str, subcode: str) -> None:
        assert_fault(data.encode(), "Sender", subcode)

    def test_mandatory_headers_must_be_known(self) -> None:
        fault = assert_fault(message(header='<o:Pay xmlns:o="urn:o" s:mustUnderstand="1"/>'), "MustUnderstand")
        assert fault.headers[0].get("qname") == "h:Pay"
        assert fault.headers[0].nsmap["h"] == "urn:o"
        assert_fault(message(header='<Pay s:mustUnderstand="true"/>'), "MustUnderstand")

    def test_headers_that_may_pass(self) -> None:
        for header in (
            '<o:Pay xmlns:o="urn:o"/>',
            '<o:Pay xmlns:o="urn:o" s:mustUnderstand="0"/>',
            '<o:Pay xmlns:o="urn:o" s:mustUnderstand="1" s:role="http://www.w3.org/2003/05/soap-envelope/role/none"/>',
            '<o:Pay xmlns:o="urn:o" s:mustUnderstand="1" xmlns:a="http://www.w3.org/2005/08/addressing" '
            'a:IsReferenceParameter="true"/>',
            '<a:To xmlns:a="http://www.w3.org/2005/08/addressing" s:mustUnderstand="1">x</a:To>',
        ):
            envelope.parse(message(header=header))

    @pytest.mark.parametrize(
        "ns", ["http://www.w3.org/2005/08/addressing", "http://schemas.xmlsoap.org/ws/2004/08/addressing"]
    )
    def test_addressing(self, ns: str) -> None:
        header = f"""<a:MessageID xmlns:a="{ns}"> urn:uuid:1 </a:MessageID><a:To xmlns:a="{ns}">http://x/</a:To>
        <a:Action xmlns:a="{ns}">urn:act</a:Action><a:ReplyTo xmlns:a="{ns}"><a:Address>urn:me</a:Address></a:ReplyTo>
        <t:Subscription xmlns:t="urn:t">7</t:Subscription>"""
        found = envelope.parse(message(header=header)).addressing
        assert (found.namespace, found.message_id, found.to) == (ns, "urn:uuid:1", "http://x/")
        assert (found.action, found.reply_to) == ("urn:act", "urn:me")
        assert [node.text for node in found.reference_parameters] == ["7"]

    @given(st.binary(max_size=300))
    def test_any_octets_parse_or_fault(self, data: bytes) -> None:
        with pytest.raises(SoapFault):
            envelope.parse(data)

    @given(st.integers(0, len(message()) - 1), st.binary(min_size=0, max_size=4))
    def test_any_damage_parses_or_faults(self, position: int, patch: bytes) -> None:
        data = message()
        try:
            envelope.parse(data[:position] + patch + data[position + len(patch) :])
        except SoapFault as fault:
            envelope.write_fault(fault)


class TestWriting:
    def test_reply(self, assert_valid: Any) -> None:
        data = envelope.write(tds.GetHostnameResponse(hostname_information=HOSTNAME))
        assert data.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
        assert b"<tds:GetHostnameResponse>" in data
        assert b"<tt:Name>h\xc3\xa4</tt:Name>" in data
        assert decode(tds.GetHostnameResponse, assert_valid(data)).hostname_information == HOSTNAME

    def test_reply_relates_to_the_request(self) -> None:
        wsa = "http://www.w3.org/2005/08/addressing"
        asked = Addressing(namespace=wsa, message_id="urn:uuid:1", action="urn:p/GetProfilesRequest")
        root = etree.fromstring(envelope.write(trt.GetProfilesResponse(), asked))
        assert root.findtext(f"{{{SOAP}}}Header/{{{wsa}}}RelatesTo") == "urn:uuid:1"
        assert root.findtext(f"{{{SOAP}}}Header/{{{wsa}}}Action") == "urn:p/GetProfilesResponse"

    def test_no_header_without_addressing(self) -> None:
        assert b"Header" not in envelope.write(trt.GetProfilesResponse(), Addressing())

    def test_request_reads_back(self) -> None:
        found = envelope.parse(envelope.write_request(trt.GetProfile(profile_token="a")))
        assert decode(trt.GetProfile, found.content) == trt.GetProfile(profile_token="a")


HOSTNAME = tds.tt.HostnameInformation(from_dhcp=False, name="hä")


def test_header_block_of_a_namespace_that_cannot_be_written_is_still_not_understood() -> None:
    text = f'<s:Envelope xmlns:s="{envelope.SOAP}"><s:Header><h:x xmlns:h="htt`://x" s:mustUnderstand="1"/></s:Header><s:Body><a xmlns="relative"/></s:Body></s:Envelope>'
    with pytest.raises(SoapFault) as caught:
        envelope.parse(text.encode())
    assert caught.value.code == "MustUnderstand"
    assert caught.value.headers[0].get("qname") == "x"


@pytest.mark.parametrize(
    "text", ["<s:Envelope/>", '<Envelope xmlns="urn:x"><p:a/></Envelope>', '<a:b:c xmlns:a="urn:x"/>']
)
def test_undeclared_prefixes_are_not_well_formed(text: str) -> None:
    with pytest.raises(SoapFault) as caught:
        envelope.parse(text.encode())
    assert caught.value.subcodes == ("WellFormed",)
