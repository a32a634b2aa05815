"""The frame of the examiner: it passes what is right, it fails what is wrong, and it never passes by accident."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from lxml import etree

from conformance import cli, report, runner
from conformance.auth import Challenge, Digest, read_challenges, username_token
from conformance.clock import date_time, device_time, moment
from conformance.discovery import Prober, probe_message, read
from conformance.feature_set import Features, State, check_names, judge
from conformance.feature_tables import BY_CAPABILITY, Row
from conformance.features import topics_of
from conformance.masks import Masks
from conformance.model import REGISTRY, Case, Examination, Failure, Outcome, Settings, Verdict, case
from conformance.names import NS, clark, renamed, resolve, short
from conformance.profiles import judge_profiles
from conformance.rtsp import RtspClient
from conformance.schema import faults_of, official_schema
from conformance.soap import Http, envelope, expect_fault, expect_response, read_fault, read_reply
from conformance.spelling import Spelling, respell
from tests.conformance.little_device import Device, soap_answer

ROOT = Path(__file__).resolve().parents[2]
INFORMATION = (
    "<tds:GetDeviceInformationResponse><tds:Manufacturer>a</tds:Manufacturer><tds:Model>b</tds:Model>"
    "<tds:FirmwareVersion>c</tds:FirmwareVersion><tds:SerialNumber>d</tds:SerialNumber><tds:HardwareId>e</tds:HardwareId>"
    "</tds:GetDeviceInformationResponse>"
)
ASK = "<tds:GetDeviceInformation/>"


def fault(code: str, *subcodes: str, reason: bool = True) -> str:
    nested = ""
    for each in reversed(subcodes):
        nested = f"<env:Subcode><env:Value>{each}</env:Value>{nested}</env:Subcode>"
    text = '<env:Reason><env:Text xml:lang="en">no</env:Text></env:Reason>' if reason else ""
    return f"<env:Fault><env:Code><env:Value>{code}</env:Value>{nested}</env:Code>{text}</env:Fault>"


# ---- credentials --------------------------------------------------------------------------------------


def test_digest_answers_the_example_of_rfc_2617_without_qop() -> None:
    digest = Digest("Mufasa", "Circle Of Life", Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093"))
    header = digest.authorize("GET", "/dir/index.html")
    # RFC 2617 3.2.2.1 without qop: H(H(A1):nonce:H(A2))
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in header
    assert "nc=" not in header


@pytest.mark.parametrize(("algorithm", "make"), [("MD5", hashlib.md5), ("SHA-256", hashlib.sha256)])
def test_digest_with_qop_counts_up(algorithm: str, make: Any) -> None:
    digest = Digest("u", "p", Challenge("r", "n", algorithm, "auth,auth-int", "o"))
    for count in ("00000001", "00000002"):
        header = digest.authorize("POST", "/x")
        fields = dict(re.findall(r'(\w+)="?([^",]+)"?', header))
        ha1, ha2 = make(b"u:r:p").hexdigest(), make(b"POST:/x").hexdigest()
        expected = make(f"{ha1}:n:{count}:{fields['cnonce']}:auth:{ha2}".encode()).hexdigest()
        assert fields["nc"] == count
        assert fields["response"] == expected
        assert fields["opaque"] == "o"
        assert fields["algorithm"] == algorithm


def test_several_challenges_in_one_header_are_read_apart() -> None:
    value = 'Digest realm="a, b", nonce="1", algorithm=SHA-256, qop="auth", stale=true, Digest realm="c", nonce="2"'
    first, second = read_challenges([value, "Basic realm=x"])
    assert (first.realm, first.algorithm, first.stale) == ("a, b", "SHA-256", True)
    assert (second.realm, second.nonce, second.algorithm) == ("c", "2", "MD5")


def test_username_token_can_be_recomputed() -> None:
    root = etree.fromstring(envelope("<tds:GetUsers/>", username_token("a<b", "secret")))
    nonce = base64.b64decode(root.findtext(".//wsse:Nonce", None, NS))
    created = root.findtext(".//wsu:Created", None, NS)
    proof = base64.b64encode(hashlib.sha1(nonce + created.encode() + b"secret").digest()).decode()
    assert root.findtext(".//wsse:Password", None, NS) == proof
    assert root.findtext(".//wsse:Username", None, NS) == "a<b"


# ---- masks --------------------------------------------------------------------------------------------


def test_secrets_do_not_reach_the_log() -> None:
    masks = Masks()
    masks.add("Tele-scope47", "abc")
    text = masks(
        'Authorization: Digest username="u", response="0123"\nProxy-Authorization: Basic dTpw\n'
        "<tt:Password>hidden1</tt:Password><tas:Passphrase Type='x'>hidden2</tas:Passphrase> rtsp://u:hidden3@host/ Tele-scope47 abc"
    )
    for secret in ("0123", "dTpw", "hidden1", "hidden2", "hidden3", "Tele-scope47"):
        assert secret not in text
    assert 'username="u"' in text
    assert text.endswith("abc"), "short words are innocent text"


def test_long_texts_are_cut() -> None:
    assert len(Masks()("x" * 1_000_000)) < 110_000


# ---- names and spellings ------------------------------------------------------------------------------


def expanded(element: Any) -> Any:
    """What a message means, whatever its prefixes."""
    text = (element.text or "").strip()
    words = tuple(resolve(each, element) if ":" in each and "//" not in each else each for each in text.split())
    return element.tag, sorted(element.attrib.items()), words, [expanded(each) for each in element]


@pytest.mark.parametrize("spelling", Spelling)
@pytest.mark.parametrize(
    "message",
    [
        probe_message("dn:NetworkVideoTransmitter", "onvif://www.onvif.org/name", "http://rule")[0],
        envelope(
            '<tev:CreatePullPointSubscription><tev:Filter><wsnt:TopicExpression Dialect="d">tns1:Media//.</wsnt:TopicExpression>'
            "</tev:Filter></tev:CreatePullPointSubscription>",
            username_token("u", "p"),
        ),
        envelope(
            "<tds:SetDNS><tds:FromDHCP>false</tds:FromDHCP><tds:DNSManual><tt:Type>IPv4</tt:Type></tds:DNSManual></tds:SetDNS>"
        ),
    ],
)
def test_every_spelling_means_the_same(spelling: Spelling, message: bytes) -> None:
    assert expanded(etree.fromstring(respell(message, spelling))) == expanded(etree.fromstring(message))


def test_spellings_look_as_the_specification_shows_them() -> None:
    message = envelope("<tds:SetDNS><tds:DNSManual><tt:Type>IPv4</tt:Type></tds:DNSManual></tds:SetDNS>")
    texts = {each: respell(message, each).decode() for each in Spelling}
    tags = {each: re.findall(r"<([\w:]+)", text.partition("?>")[2]) for each, text in texts.items()}
    assert tags[Spelling.EACH_TAG] == ["Envelope", "Body", "SetDNS", "DNSManual", "Type"]
    assert texts[Spelling.EACH_TAG].count(' xmlns="') == 5
    assert texts[Spelling.PARENT_TAG].count(' xmlns="') == 3
    assert all(each.startswith("prefix") for each in tags[Spelling.ODD_PREFIXES])
    assert tags[Spelling.DIFFERENT_PREFIXES] == ["p1:Envelope", "p2:Body", "p3:SetDNS", "p4:DNSManual", "p5:Type"]
    assert {each.partition(":")[0] for each in tags[Spelling.SAME_PREFIX]} == {"p1"}


def test_names_go_both_ways() -> None:
    assert short(clark("ter:InvalidArgVal")) == "ter:InvalidArgVal"
    element = etree.fromstring(envelope("<tt:DNSManual><tt:Type>IPv4</tt:Type></tt:DNSManual>"))[0][0]
    assert etree.fromstring(renamed(element, "tds:DNSManual")).tag == clark("tds:DNSManual")
    assert element.tag == clark("tt:DNSManual")


# ---- reading answers ----------------------------------------------------------------------------------


def http(content: bytes, status: int = 200, kind: str = "application/soap+xml") -> Http:
    return Http(status, (("Content-Type", kind),), content)


def test_nested_subcodes_are_read_with_the_usual_prefixes() -> None:
    message = envelope(fault("env:Sender", "ter:InvalidArgVal", "ter:NoProfile"))
    reply = read_reply(http(message.replace(b"ter:", b"x:").replace(b"xmlns:ter", b"xmlns:x"), 400))
    assert reply.fault is not None
    assert str(reply.fault) == 'env:Sender/ter:InvalidArgVal/ter:NoProfile ("no")'
    assert reply.fault.matches("env:Sender", "ter:InvalidArgVal")
    assert not reply.fault.matches("env:Sender", "ter:NoProfile")


@pytest.mark.parametrize(
    "wrong",
    [fault("env:Sender", reason=False), fault(""), fault("ter:Sender"), "<env:Fault><env:Reason/></env:Fault>"],
)
def test_faults_that_are_not_built_as_soap_1_2_wants_are_failures(wrong: str) -> None:
    with pytest.raises(Failure, match=r"invalid SOAP 1\.2 fault"):
        read_reply(http(envelope(wrong), 400))


def test_subcode_without_value_is_a_failure() -> None:
    root = etree.fromstring(envelope(fault("env:Sender", "ter:X").replace("<env:Value>ter:X</env:Value>", "")))
    with pytest.raises(Failure, match="Subcode without env:Value"):
        read_fault(root[0][0])


def test_expectations_quote_what_was_received() -> None:
    refused = read_reply(http(envelope(fault("env:Sender", "ter:NotAuthorized")), 400))
    with pytest.raises(Failure, match="received HTTP 400 with fault env:Sender/ter:NotAuthorized"):
        expect_response(refused, "GetUsers")
    with pytest.raises(Failure, match="must be refused with env:Sender/ter:InvalidArgVal, received fault"):
        expect_fault(refused, "GetUsers", ("env:Sender", "ter:InvalidArgVal"))
    assert expect_fault(refused, "GetUsers", ("env:Sender", "ter:InvalidArgVal"), strict=False) is refused.fault
    accepted = read_reply(http(envelope(INFORMATION)))
    with pytest.raises(Failure, match="must be refused"):
        expect_fault(accepted, "GetDeviceInformation", strict=False)
    with pytest.raises(Failure, match="expected GetUsersResponse"):
        expect_response(accepted, "GetUsers")
    with pytest.raises(Failure, match="content type"):
        expect_response(read_reply(http(envelope(INFORMATION), kind="text/xml")), "GetDeviceInformation")


def test_the_envelope_of_an_mtom_answer_is_its_first_part() -> None:
    content = (
        b"--b\r\nContent-Type: application/xop+xml\r\n\r\n" + envelope(INFORMATION) + b"\r\n--b\r\n\r\nlog\r\n--b--"
    )
    reply = read_reply(http(content, kind='multipart/related; boundary="b"; type="application/xop+xml"'))
    assert reply.body is not None
    assert etree.QName(reply.body).localname == "GetDeviceInformationResponse"


def test_official_schemas_judge() -> None:
    official_schema()
    good = etree.fromstring(envelope(INFORMATION))[0][0]
    assert faults_of(good) == ""
    good.remove(good[0])
    assert "Manufacturer" in faults_of(good)


# ---- asking -------------------------------------------------------------------------------------------


async def test_digest_is_answered_and_remembered(x: Examination, device: Device) -> None:
    async def answer(request: web.Request, content: bytes) -> web.StreamResponse:
        if "Authorization" not in request.headers:
            headers = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'}
            return web.Response(status=401, headers=headers)
        return soap_answer(INFORMATION)

    device.answer = answer
    for _ in range(2):
        await x.ask("tds", ASK)
    sent = [request.headers.get("Authorization", "") for request, _ in device.seen]
    assert [bool(each) for each in sent] == [False, True, True]
    assert "nc=00000002" in sent[2]
    assert not any("Security" in content.decode() for _, content in device.seen)
    assert "Tele-scope47" not in repr(x.steps)


async def test_a_not_authorized_fault_is_answered_with_a_username_token(x: Examination, device: Device) -> None:
    async def answer(request: web.Request, content: bytes) -> web.StreamResponse:
        if b"UsernameToken>" not in content:
            return soap_answer(fault("env:Sender", "ter:NotAuthorized"), 400)
        return soap_answer(INFORMATION)

    device.answer = answer
    await x.ask("tds", ASK)
    assert len(device.seen) == 2


async def test_no_credentials_means_no_credentials(x: Examination, device: Device) -> None:
    async def answer(request: web.Request, content: bytes) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": 'Digest realm="r", nonce="n"'})

    device.answer = answer
    reply = await x.soap.call("tds", ASK, auth="none")
    assert reply.status == 401
    assert len(device.seen) == 1


async def test_silence_is_a_failure_in_time(x: Examination, device: Device) -> None:
    async def answer(request: web.Request, content: bytes) -> web.StreamResponse:
        await asyncio.sleep(30)
        raise AssertionError

    device.answer = answer
    with pytest.raises(Failure, match=r"GetDeviceInformation: no answer within 0\.1 s"):
        await x.soap.call("tds", ASK, timeout=0.1)


async def test_answers_that_violate_the_schemas_are_failures(x: Examination, device: Device) -> None:
    async def answer(request: web.Request, content: bytes) -> web.StreamResponse:
        return soap_answer(INFORMATION.replace("<tds:Model>b</tds:Model>", ""))

    device.answer = answer
    with pytest.raises(Failure, match="violates the official schemas"):
        await x.ask("tds", ASK)
    assert (await x.soap.call("tds", ASK, validate=False)).status == 200


async def test_unknown_services_are_failures(x: Examination) -> None:
    with pytest.raises(Failure, match="no service tptz"):
        await x.ask("tptz", "<tptz:GetNodes/>")


# ---- verdicts -----------------------------------------------------------------------------------------


def made_case(run: Any, *, requires: tuple[str, ...] = (), destructive: bool = False, bound: float = 0.0) -> Case:
    return Case("TEST-1", "Test", "a case", frozenset(requires), run, destructive, bound)


async def test_verdicts(x: Examination) -> None:
    async def passes(x: Examination) -> None:
        x.check(True, "")

    async def fails(x: Examination) -> None:
        x.fail("password Tele-scope47 was told")

    async def lacks(x: Examination) -> None:
        x.require("PTZ Service")

    async def helpless(x: Examination) -> None:
        x.cannot("no DHCP server")

    async def breaks(x: Examination) -> None:
        raise KeyError("token")

    async def hangs(x: Examination) -> None:
        await asyncio.sleep(60)

    x.features.set("PTZ Service", False)
    for run, verdict, why in (
        (passes, Verdict.PASS, ""),
        (fails, Verdict.FAIL, "password *** was told"),
        (lacks, Verdict.NOT_APPLICABLE, "PTZ Service"),
        (helpless, Verdict.NOT_RUN, "no DHCP server"),
        (breaks, Verdict.FAIL, "the case could not be finished: KeyError: 'token'"),
        (hangs, Verdict.FAIL, "not finished after 0.05 s"),
    ):
        outcome = await runner.run_case(made_case(run, bound=0.05), x)
        assert (outcome.verdict, outcome.why) == (verdict, why)


async def test_destructive_cases_run_only_if_asked_for(x: Examination) -> None:
    async def passes(x: Examination) -> None:
        return None

    assert (await runner.run_case(made_case(passes, destructive=True), x)).verdict is Verdict.NOT_RUN
    x.settings = replace(x.settings, destructive=True)
    assert (await runner.run_case(made_case(passes, destructive=True), x)).verdict is Verdict.PASS


async def test_missing_features_are_named(x: Examination) -> None:
    async def passes(x: Examination) -> None:
        return None

    x.features.set("Media Service", False)
    x.features.set("Media2 Service", False)
    outcome = await runner.run_case(made_case(passes, requires=("Media Service OR Media2 Service",)), x)
    assert (outcome.verdict, outcome.why) == (Verdict.NOT_APPLICABLE, "Media Service OR Media2 Service")
    x.features.set("Media2 Service", None)
    outcome = await runner.run_case(made_case(passes, requires=("Media Service OR Media2 Service",)), x)
    assert outcome.verdict is Verdict.PASS, "what is undefined counts as supported (Feature Discovery 5.1)"


def test_ids_are_unique_and_requirements_name_features() -> None:
    chosen = runner.select()
    assert len({each.id for each in chosen}) == len(chosen) >= 136
    assert check_names(["PTZ Service", "NOT Media Service OR Event Service", "Ptz"]) == ["Ptz"]
    with pytest.raises(ValueError, match="two cases are called DEVICE-1-1-2"):
        case("DEVICE-1-1-2", document="Base", name="")(REGISTRY["DEVICE-1-1-2"].run)
    assert [each.id for each in runner.select(["DISCOVERY-2-*"])] == [f"DISCOVERY-2-1-{n}" for n in range(1, 6)]


# ---- features and profiles ----------------------------------------------------------------------------


def test_rules_of_the_feature_tables() -> None:
    def rule(name: str, value: str | None) -> bool:
        return judge(Row("", "", "", "", name), value)

    assert [rule("true", each) for each in ("true", "1", "false", None)] == [True, True, False, False]
    assert [rule("not-true", each) for each in ("true", "false", None)] == [False, True, True]
    assert [rule("positive", each) for each in ("2", "0", "x", None)] == [True, False, False, False]
    assert [rule("positive-or-missing", each) for each in ("2", "0", None)] == [True, False, True]
    assert [rule("contains:H264,JPEG", each) for each in ("AAC H264", "H265", None)] == [True, False, False]
    assert [rule("filled", each) for each in ("a", " ", None)] == [True, False, False]
    for row in BY_CAPABILITY:
        judge(row, None)


def test_topics_of_a_topic_set() -> None:
    root = etree.fromstring(
        f'<wstop:TopicSet xmlns:wstop="{NS["wstop"]}" xmlns:tns1="{NS["tns1"]}" xmlns:tt="{NS["tt"]}"><tns1:Device><Trigger>'
        '<Relay wstop:topic="true"><tt:MessageDescription/></Relay></Trigger></tns1:Device></wstop:TopicSet>'
    )
    assert topics_of(root) == ["tns1:Device/Trigger/Relay"]


def outcome(verdict: Verdict) -> Outcome:
    async def run(x: Examination) -> None:
        return None

    return Outcome(made_case(run), verdict, "<why> & Tele-scope47"[:7], 0.25)


def test_a_profile_holds_only_with_its_features_and_without_failures() -> None:
    features = Features(scopes=("onvif://www.onvif.org/Profile/G",))

    def holding(*verdicts: Verdict) -> Any:
        return {each.profile: each for each in judge_profiles(features, map(outcome, verdicts), ())}

    assert holding(Verdict.PASS)["G"].holds
    assert not holding(Verdict.PASS, Verdict.FAIL)["G"].holds
    assert not holding(Verdict.PASS)["S"].holds
    assert not holding()["S"].examined, "what is not claimed is not examined unless asked for"
    features.set("Replay Service", False)
    assert holding(Verdict.PASS)["G"].missing == ("Replay Service",)
    asked = {each.profile: each for each in judge_profiles(features, [], ["T"])}
    assert asked["T"].examined
    assert not asked["T"].holds
    assert not asked["G"].examined


def test_reports(tmp_path: Path) -> None:
    features = Features(scopes=("onvif://www.onvif.org/Profile/G",), information={"Model": "<b>"})
    result = runner.Result(Settings("http://h/"), features, [outcome(Verdict.PASS), outcome(Verdict.FAIL)])
    result.profiles = judge_profiles(features, result.outcomes, ())
    assert not result.holds
    report.write(result, tmp_path)
    read_back = json.loads((tmp_path / "report.json").read_text())
    assert list(read_back["cases"][1]) == ["id", "document", "name", "verdict", "why", "seconds"]
    assert [each["verdict"] for each in read_back["cases"]] == ["PASS", "FAIL"]
    assert read_back["profiles"]["G"]["failed"] == ["TEST-1"]
    page = (tmp_path / "report.html").read_text()
    assert "&lt;why&gt;" in page
    assert "<b>" not in page
    assert "does not hold" in page


def test_states_of_features() -> None:
    features = Features()
    assert features.state("PTZ Service") is State.UNDEFINED
    features.set("PTZ Service", False)
    assert features.has("NOT PTZ Service")
    assert not features.has("PTZ Service")


# ---- clock --------------------------------------------------------------------------------------------


def test_dates_go_both_ways() -> None:
    value = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)
    inside = date_time("tt:UTCDateTime", value)
    response = etree.fromstring(
        envelope(
            f"<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>{inside}</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )
    )[0][0]
    assert moment(response.find(".//tt:UTCDateTime", NS)) == value
    assert device_time(response, value) == 0.0
    response.find(".//tt:Month", NS).text = "13"
    assert moment(response.find(".//tt:UTCDateTime", NS)) is None


# ---- discovery and RTSP -------------------------------------------------------------------------------

MATCH = """<e:Envelope xmlns:e="{env}" xmlns:a="{wsadis}" xmlns:d="{d}" xmlns:x="{dn}"><e:Header><a:RelatesTo>{identity}</a:RelatesTo>
<d:AppSequence InstanceId="7" MessageNumber="9"/></e:Header><e:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference>
<a:Address>urn:uuid:1</a:Address></a:EndpointReference><d:Types>x:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://a onvif://b
</d:Scopes><d:XAddrs>http://127.0.0.1/onvif/device_service</d:XAddrs><d:MetadataVersion>3</d:MetadataVersion></d:ProbeMatch>
</d:ProbeMatches></e:Body></e:Envelope>"""


def test_matches_are_read_by_namespace() -> None:
    content = MATCH.format(identity="urn:uuid:2", **{key: NS[key] for key in ("env", "wsadis", "d", "dn")}).encode()
    message = read(content, ("127.0.0.1", 3702))
    assert message is not None
    assert (message.kind, message.endpoint, message.relates_to) == ("ProbeMatches", "urn:uuid:1", "urn:uuid:2")
    assert message.types == ("dn:NetworkVideoTransmitter",)
    assert (message.metadata_version, message.instance, message.number) == (3, 7, 9)
    assert read(b"not xml", ("127.0.0.1", 1)) is None


async def test_probes_are_sent_again_until_they_are_answered() -> None:
    class Responder(asyncio.DatagramProtocol):
        seen = 0

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.seen += 1
            if self.seen == 2:
                identity = etree.fromstring(data).findtext(".//wsadis:MessageID", None, NS)
                names = {key: NS[key] for key in ("env", "wsadis", "d", "dn")}
                self.transport.sendto(MATCH.format(identity="urn:uuid:other", **names).encode(), addr)
                self.transport.sendto(MATCH.format(identity=identity, **names).encode(), addr)

    loop = asyncio.get_running_loop()
    transport, responder = await loop.create_datagram_endpoint(Responder, local_addr=("127.0.0.1", 0))
    prober = Prober("127.0.0.1", port=transport.get_extra_info("sockname")[1], timeout=1.0)
    try:
        answer = await prober.probe(unicast=True)
        assert answer is not None
        assert answer.endpoint == "urn:uuid:1"
        assert responder.seen == 2
        assert await prober.probe(unicast=True, timeout=0.1) is None
    finally:
        transport.close()


async def test_rtsp_answers_digest_and_keeps_interleaved_packets() -> None:
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                break
            seen.append(head)
            if "Authorization" not in head:
                writer.write(b'RTSP/1.0 401 No\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\n\r\n')
            else:
                writer.write(
                    b"$\x00\x00\x03abcRTSP/1.0 200 OK\r\nSession: 12;timeout=60\r\nContent-Length: 2\r\n\r\nv=$\x01\x00\x01z"
                )
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, RtspClient(f"rtsp://u:p%40@127.0.0.1:{port}/live", timeout=2) as client:
        reply = await client.request("DESCRIBE", headers={"Accept": "application/sdp"})
        assert (reply.status, reply.body, client.session) == (200, b"v=", "12")
        assert await client.packet() == (0, b"abc")
        assert await client.packet() == (1, b"z")
    assert "u:p" not in seen[0]
    ha1, ha2 = (
        hashlib.md5(b"u:r:p@").hexdigest(),
        hashlib.md5(f"DESCRIBE:rtsp://127.0.0.1:{port}/live".encode()).hexdigest(),
    )
    assert hashlib.md5(f"{ha1}:n:{ha2}".encode()).hexdigest() in seen[1]


# ---- command ------------------------------------------------------------------------------------------


def test_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["nowhere"]) == cli.UNUSABLE
    assert cli.main(["http://h/", "--profiles", "X"]) == cli.UNUSABLE
    assert cli.main(["http://h/", "--only", "NOTHING-1"]) == cli.UNUSABLE
    assert "no case is called NOTHING-1" in capsys.readouterr().err


def test_command_lists_the_cases() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "--list", "--only", "SECURITY-1-1-*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["SECURITY-1-1-1", "SECURITY-1-1-2"]


async def test_a_device_out_of_reach_ends_the_examination() -> None:
    with pytest.raises(Failure, match="GetSystemDateAndTime"):
        await runner.examine(Settings("http://127.0.0.1:9/onvif/device_service", message_timeout=1.0), [])
