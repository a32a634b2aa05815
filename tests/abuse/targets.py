"""What is fuzzed: each parser that strangers' bytes reach, with seeds, tokens and the errors it may raise.

A target takes any bytes. Everything but the declared errors is a crash. The same targets serve hypothesis (`test_fuzz.py`) and
atheris (`python -m tests.abuse`).
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Sequence
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from lxml import etree

from onvifd.access.digest import ClientDigest, DigestVerifier, split_challenges
from onvifd.access.types import Account, Credential, Level
from onvifd.clock import SimulatedClock
from onvifd.errors import NotSupported, OnvifdError
from onvifd.events.bus import EventBus
from onvifd.events.topics import RECORDER_TOPICS
from onvifd.events.types import Event
from onvifd.onvif.discovery.core import Responder, Sender
from onvifd.onvif.discovery.messages import NS_DN, NS_WSD, Target
from onvifd.onvif.notification.faults import NotificationFault
from onvifd.onvif.notification.filters import parse_filter
from onvifd.onvif.notification.item_filter import ITEM_FILTER, parse_item_filter
from onvifd.onvif.notification.topic_expression import CONCRETE, CONCRETE_SET, parse_topic_expression
from onvifd.onvif.search.xpath import RecordingFilter
from onvifd.onvif.services.common import ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.services.events import EventService
from onvifd.onvif.services.media import MediaService
from onvifd.onvif.services.media2 import Media2Service
from onvifd.onvif.services.recording import RecordingService
from onvifd.onvif.services.replay import ReplayService
from onvifd.onvif.services.search import SearchService
from onvifd.onvif.soap import envelope, faults, mtom, values, wsse
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.soap.dispatch import Dispatcher, HttpRequest
from onvifd.onvif.soap.namespaces import SOAP, TNS1, TT
from onvifd.onvif.types import tse
from onvifd.rtsp import headers as rtsp_headers
from onvifd.rtsp import sdp
from onvifd.rtsp.messages import Headers, Parser
from onvifd.workers.first import FirstRequest
from tests.abuse.fuzzed import Fuzzed
from tests.abuse.stream_targets import STREAMS
from tests.onvif.soap import samples

XML_TOKENS = (
    *(
        b"<",
        b">",
        b"/>",
        b"</",
        b"&",
        b"&amp;",
        b"&lt;",
        b"&#0;",
        b"&#x110000;",
        b"&e;",
        b"<!DOCTYPE a>",
        b"<![CDATA[",
        b"]]>",
    ),
    *(
        b"<!--",
        b"-->",
        b"<?pi?>",
        b'xmlns=""',
        b'xmlns:x="urn:x"',
        b'xsi:nil="true"',
        b"x:",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
    ),
    *(b"-1", b"99999999999999999999", b"1e999", b"NaN", b"-INF", b"true", b"PT-1S", b"P1Y", b"PT1000000000000000S"),
    *(b"9999-12-31T23:59:59Z", b"0000-01-01T00:00:00Z", b"-0001-01-01T00:00:00", b"2020-02-30T25:61:61+15:00"),
    *("\u0661\u00b2\u2460".encode(), "\u202e\U0001f600\ufffe".encode(), b" ", b"\r\n", b"A" * 300, b"<a>" * 70),
)
TEXT_TOKENS = (
    *(
        b"(",
        b")",
        b"[",
        b"]",
        b"@",
        b"|",
        b"/",
        b"//",
        b"//.",
        b"*",
        b"..",
        b"::",
        b":",
        b"'",
        b'"',
        b"=",
        b"!=",
        b",",
        b" and ",
        b" or ",
    ),
    *(
        b"not(",
        b"boolean(",
        b"tns1:",
        b"tt:",
        b"$x",
        b"-",
        b"+",
        b"1",
        b"1e400",
        b"9" * 400,
        b"\\",
        b"\0",
        b"\xff",
        b";",
        b"\r\n",
        b" ",
    ),
    *("\u0661\u00b2".encode(), "\U0001f600".encode(), b"(" * 200, b"//*" * 30),
)
PAIR_TOKENS = (
    *TEXT_TOKENS,
    b'realm="',
    b'nonce="',
    b"nc=",
    b'qop="auth"',
    b"qop=auth-int",
    b"algorithm=SHA-256",
    b"Digest ",
    b"Basic ",
)
LINE_TOKENS = (
    *TEXT_TOKENS,
    *(
        b"RTSP/1.0",
        b"Content-Length: ",
        b"CSeq: ",
        b"Range: clock=",
        b"Range: npt=",
        b"Transport: RTP/AVP/TCP;interleaved=",
        b"$\x00\xff\xff",
    ),
    *(b"a=rtpmap:", b"a=fmtp:", b"m=video 0 RTP/AVP ", b"20200227T081350.000Z-", b"smpte=", b"; ", b"-"),
)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


_ACCOUNT = Account("admin", Level.ADMINISTRATOR)
_CREDENTIAL = Credential(account=_ACCOUNT, ha1="0" * 32, password="secret")


def _lookup(name: str) -> Credential | None:
    return _CREDENTIAL if name == "admin" else None


# ---- SOAP


def _envelope(data: bytes) -> None:
    try:
        message = envelope.parse(data)
        if message.security is not None and (token := wsse.read(message.security)) is not None:
            _TOKENS.verify(token, 1_767_225_600_000_000)
    except OnvifdError as error:
        etree.fromstring(envelope.write_fault(faults.from_error(error)))
        return
    etree.fromstring(envelope.write_fault(envelope.sender("WellFormed", "x"), message.addressing))


_TOKENS = wsse.TokenVerifier(_lookup, capacity=1000)
_SECURED = etree.tostring(wsse.security_header("admin", "secret", b"n" * 16, 1_767_225_600_000_000))
_ENVELOPES = tuple(
    f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP}" xmlns:a="{wsa}"><s:Header><a:Action s:mustUnderstand="1">urn:x'
    f"</a:Action><a:MessageID>urn:uuid:1</a:MessageID><a:ReplyTo><a:Address>http://x</a:Address></a:ReplyTo>{security}</s:Header>"
    '<s:Body><GetServices xmlns="http://www.onvif.org/ver10/device/wsdl"><IncludeCapability>true</IncludeCapability></GetServices>'
    "</s:Body></s:Envelope>".encode()
    for wsa in ("http://www.w3.org/2005/08/addressing", "http://schemas.xmlsoap.org/ws/2004/08/addressing")
    for security in ("", _SECURED.decode())
)


def _values(data: bytes) -> None:
    text = _text(data)
    for parse in (
        *(
            values.parse_datetime,
            values.parse_duration,
            values.parse_boolean,
            values.parse_loose_boolean,
            values.parse_int,
        ),
        *(values.parse_loose_int, values.parse_float, values.parse_base64),
    ):
        try:
            parse(text)
        except ValueError:
            continue


def _package(data: bytes) -> None:
    kind, _, body = data.partition(b"\n")
    try:
        mtom.unpack(kind.decode("latin-1"), body)
        mtom.unpack('multipart/related; boundary="b"; start="<r>"', body)
    except OnvifdError:
        return


@cache
def _services() -> tuple[Dispatcher, asyncio.AbstractEventLoop, SimulatedClock]:
    name = "onvif_sample_body"
    if name not in sys.modules:
        spec = spec_from_file_location(name, Path(__file__).parents[1] / "onvif" / "sample_body.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    body, clock, registry = sys.modules[name].SampleBody(), SimulatedClock(), ServiceRegistry()
    services = (
        MediaService(body, body),
        Media2Service(body, body),
        EventService(EventBus(clock), clock, RECORDER_TOPICS),
        RecordingService(body, body, body),
        SearchService(body, body, clock, RECORDER_TOPICS),
        ReplayService(body, body),
    )
    for service in services:
        registry.add(service)
    dispatcher = Dispatcher((DeviceService(body, registry), *services), lookup=_lookup, clock=clock)
    return dispatcher, asyncio.new_event_loop(), clock


_NONCES = itertools.count()


def _operation(data: bytes) -> None:
    dispatcher, loop, clock = _services()
    security = etree.tostring(wsse.security_header("admin", "secret", next(_NONCES).to_bytes(8, "big"), clock.utc()))
    body = b'<s:Envelope xmlns:s="%s"><s:Header>%s</s:Header><s:Body>%s</s:Body></s:Envelope>' % (
        SOAP.encode(),
        security,
        data,
    )
    request = HttpRequest(
        method="POST",
        target="/onvif/device_service",
        path="/onvif/device_service",
        scheme="http",
        host="192.0.2.1",
        local_address="192.0.2.1",
        peer="192.0.2.9",
        authorization=None,
        body=body,
    )

    async def ask() -> bytes:
        try:
            async with asyncio.timeout(0.2):
                return (await dispatcher.handle(request)).body
        except TimeoutError:
            return b""  # it may wait, as PullMessages does; the clock stands still here

    answer = loop.run_until_complete(ask())
    assert b"internal error" not in answer, data
    if answer:
        etree.fromstring(answer)


@cache
def _operation_seeds() -> tuple[bytes, ...]:
    dispatcher, _, _ = _services()
    kinds = [item.request for service in dispatcher.services for item in service.operations()]
    found = []
    for kind in kinds:
        parent = etree.Element("x")
        encode(samples.sample(kind), parent=parent)
        found.append(etree.tostring(parent[0]))
    return tuple(found)


# ---- expressions

_TOPICS = tuple(topic.path if hasattr(topic, "path") else topic.name for topic in RECORDER_TOPICS)
_NAMESPACES: dict[str | None, str] = {"tns1": TNS1, "tt": TT}


def _topic(data: bytes) -> None:
    for dialect in (CONCRETE, CONCRETE_SET):
        try:
            expression = parse_topic_expression(_text(data), dialect, _NAMESPACES, _TOPICS)
        except OnvifdError:
            continue
        for topic in _TOPICS:
            expression.matches(topic)


def _event() -> Event:
    return Event(topic="VideoSource/MotionAlarm", source=(("Source", "v1"),), data=(("State", "true"),), utc=0)


def _items(data: bytes) -> None:
    try:
        found = parse_item_filter(_text(data), ITEM_FILTER, _NAMESPACES)
    except OnvifdError:
        return
    found.matches(_event())


def _filter(data: bytes) -> None:
    try:
        root = envelope.parse_xml(data)
        found = parse_filter(list(root), _TOPICS)
    except NotificationFault as fault:
        etree.fromstring(envelope.write_fault(faults.invalid_filter(0, fault.reason, fault.unknown)))
        return
    except OnvifdError:
        return
    found.matches(_event())


def _xpath(data: bytes) -> None:
    try:
        RecordingFilter(_text(data), _NAMESPACES).select([_recording()])
    except OnvifdError:
        return


@cache
def _recording() -> Any:
    parent = etree.Element("x")
    encode(samples.sample(tse.GetRecordingInformationResponse), parent=parent)
    return parent[0][0]


# ---- discovery


def _discovery(data: bytes) -> None:
    for multicast in (True, False):
        _RESPONDER.receive(
            data,
            Sender("192.0.2.9", next(_NONCES), True),
            "route",
            multicast=multicast,
            xaddrs=("http://x/",),
            now=_now(),
        )
    for datagram in _RESPONDER.datagrams_to_send(float("inf")):
        etree.fromstring(datagram.data)


def _now() -> float:
    return next(_TICKS) / 10


_TICKS = itertools.count()
_RESPONDER: Responder[str] = Responder(
    Target(
        address="urn:uuid:1b4e28ba-2fa1-11d2-883f-b9a761bde3fb",
        scopes=(
            "onvif://www.onvif.org/name/a",
            "http://[::1]:80/x%20y",
            "urn:uuid:1b4e28ba-2fa1-11d2-883f-b9a761bde3fb",
        ),
        metadata_version=1,
    ),
    instance_id=1,
    random=lambda: 0.5,
)
_DISCOVERY = tuple(
    f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="{NS_WSD}" xmlns:dn="{NS_DN}">'
    f"<s:Header><a:MessageID>urn:1</a:MessageID><a:Action>{NS_WSD}/{kind}</a:Action></s:Header><s:Body>{body}</s:Body></s:Envelope>".encode()
    for kind, body in (
        (
            "Probe",
            "<d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org</d:Scopes></d:Probe>",
        ),
        (
            "Probe",
            f'<d:Probe><d:Scopes MatchBy="{NS_WSD}/uuid">urn:uuid:1b4e28ba-2fa1-11d2-883f-b9a761bde3fb</d:Scopes></d:Probe>',
        ),
        ("Probe", f'<d:Probe><d:Scopes MatchBy="{NS_WSD}/strcmp0">http://[::1]:80/x%20y</d:Scopes></d:Probe>'),
        (
            "Resolve",
            "<d:Resolve><a:EndpointReference><a:Address>urn:uuid:x</a:Address></a:EndpointReference></d:Resolve>",
        ),
    )
)


# ---- digest


def _digest(data: bytes) -> None:
    text = data.decode("latin-1")
    for verifier in (_HTTP, _RTSP):
        try:
            verifier.verify(text, "POST", "/onvif/device_service", 1.0, peer="192.0.2.9")
        except OnvifdError:
            continue


def _challenge(data: bytes) -> None:
    text = data.decode("latin-1")
    split_challenges([text, text[::-1]])
    client = ClientDigest("admin", "secret")
    try:
        client.receive_challenge([text])
        client.authorization("POST", "/x")
    except NotSupported:
        return


_HTTP = DigestVerifier("onvifd", _lookup, b"s" * 32, algorithms=("MD5", "SHA-256"))
_RTSP = DigestVerifier.for_rtsp("onvifd", _lookup, b"s" * 32)
_CLIENT = ClientDigest("admin", "secret")
_CLIENT.receive_challenge(list(_HTTP.challenges(0.5)[:1]))
_PLAIN = ClientDigest("admin", "secret")
_PLAIN.receive_challenge([_RTSP.challenge(0.5).replace('qop="auth", ', "")])
_AUTHORIZATIONS = tuple(
    (client.authorization("POST", "/onvif/device_service") or "").encode() for client in (_CLIENT, _PLAIN, _CLIENT)
)
_CHALLENGES = (
    *(text.encode() for text in _HTTP.challenges(0.5)),
    b'Basic realm="x", Digest realm="y", nonce="z", qop="auth,auth-int"',
)


# ---- RTSP


def _rtsp(data: bytes) -> None:
    parser = Parser()
    for start in range(0, len(data), 100):
        parser.receive_data(data[start : start + 100])
        try:
            while parser.next_message() is not None:
                pass
        except OnvifdError:
            continue
    first = FirstRequest()
    try:
        first.receive_data(data)
    except ValueError as error:
        error.args[0].startswith(b"RTSP/1.0 400")  # the answer to send


def _rtsp_headers(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for parse in (
        *(
            rtsp_headers.parse_transport,
            rtsp_headers.parse_range,
            rtsp_headers.parse_session,
            rtsp_headers.parse_rtp_info,
        ),
        *(rtsp_headers.parse_frames, rtsp_headers.parse_utc),
    ):
        try:
            parse(text)
        except (OnvifdError, ValueError):
            continue
    Headers([("a", text)]).get("A")


def _sdp(data: bytes) -> None:
    try:
        sdp.parse_sdp(data, "rtsp://camera/stream", None)
    except OnvifdError:
        return


_REQUESTS = (
    b"DESCRIBE rtsp://h:554/live/cam-1/main?x=1 RTSP/1.0\r\nCSeq: 2\r\nAccept: application/sdp\r\n\r\n",
    b"SET_PARAMETER rtsp://h/x RTSP/1.0\r\nCSeq: 3\r\nSession: abc;timeout=60\r\nContent-Length: 5\r\n\r\na: b\n$\x00\x00\x04abcd",
    b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: 0\r\n\r\n",
    b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n continued\r\n\r\n",
)
_FIELDS = (
    *(
        b"RTP/AVP/TCP;unicast;interleaved=0-1,RTP/AVP;multicast;client_port=5000-5001;ttl=5",
        b"clock=20200227T081350.000Z-20200227T081351Z",
    ),
    *(
        b"npt=0.5-12:05:35.3",
        b"abc;timeout=60",
        b"url=rtsp://h/x;seq=1;rtptime=2,url=y;seq=3",
        b"intra/4000",
        b"smpte=10:07:00-",
    ),
)
_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=x\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkA2D3n,aMuDyyA=\r\na=control:track1\r\nm=audio 0 RTP/AVP 97\r\n"
    b"a=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=fmtp:97 streamtype=5;mode=AAC-hbr;config=1408;sizelength=13;indexlength=3\r\n",
)

TARGETS = (
    Fuzzed("envelope", _envelope, _ENVELOPES, XML_TOKENS),
    Fuzzed(
        "values", _values, (b"2026-11-21T07:15:40.5Z", b"PT1H2M3.5S", b"true", b"-12", b"1.5E3", b"YWJj"), XML_TOKENS
    ),
    Fuzzed(
        "mtom",
        _package,
        (b'multipart/related; boundary="b"; start="<r>"\n--b\r\nContent-ID: <r>\r\n\r\n<x/>\r\n--b\r\n\r\ny\r\n--b--',),
        LINE_TOKENS,
    ),
    Fuzzed("operation", _operation, _operation_seeds(), XML_TOKENS),
    Fuzzed(
        "topic expression",
        _topic,
        (
            b"tns1:VideoSource//.",
            b"tns1:RuleEngine/CellMotionDetector/Motion|tns1:Device//.",
            b"tns1:Media/ProfileChanged",
        ),
        TEXT_TOKENS,
    ),
    Fuzzed(
        "item filter",
        _items,
        (
            b'boolean(//tt:SimpleItem[@Name="State" and @Value="true"])',
            b'boolean(//tt:SimpleItem[@Name="a"]) and not(boolean(//tt:SimpleItem[@Value="b"]))',
        ),
        TEXT_TOKENS,
    ),
    Fuzzed(
        "event filter",
        _filter,
        (
            f'<f xmlns:tns1="{TNS1}" xmlns:w="http://docs.oasis-open.org/wsn/b-2"><w:TopicExpression Dialect="{CONCRETE_SET}">tns1:VideoSource//.'
            f'</w:TopicExpression><w:MessageContent Dialect="{ITEM_FILTER}">boolean(//tt:SimpleItem[@Name="a"])</w:MessageContent></f>'.encode(),
        ),
        XML_TOKENS,
    ),
    Fuzzed(
        "recording filter",
        _xpath,
        (
            b'boolean(//Track[TrackType = "Video"])',
            b"boolean(//Source[Name='x']) and count(//Track) > 1",
            b"//Track/*[position()=last()] | //tt:Source",
            b"string-length(concat(//Track, 'x')) * 2 div 3 mod 4 = number('1')",
            b"translate(substring(//Content, 1, 3), 'a', 'b') = id('x')",
        ),
        TEXT_TOKENS,
    ),
    Fuzzed("discovery", _discovery, _DISCOVERY, XML_TOKENS),
    Fuzzed("digest credentials", _digest, _AUTHORIZATIONS, PAIR_TOKENS),
    Fuzzed("digest challenge", _challenge, _CHALLENGES, PAIR_TOKENS),
    Fuzzed("RTSP messages", _rtsp, _REQUESTS, LINE_TOKENS),
    Fuzzed("RTSP header fields", _rtsp_headers, _FIELDS, LINE_TOKENS),
    Fuzzed("SDP", _sdp, _SDP, LINE_TOKENS),
    *STREAMS,
)


def mutate(seed: bytes, edits: Sequence[tuple[float, int, bytes]]) -> bytes:
    """`seed` with each edit done: at a place (part of the length) cut some octets and put others in."""
    for place, cut, insert in edits:
        at = int(place * len(seed))
        seed = seed[:at] + insert + seed[at + cut :]
    return seed
