"""Targets of the streams: what players and cameras send beside and within RTSP."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Iterator
from itertools import pairwise

from onvifd.errors import InvalidArgument, OnvifdError
from onvifd.media import jpeg, latm
from onvifd.media.fmtp import format_from_fmtp
from onvifd.media.rtp import jpeg as rtp_jpeg
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.frame import MAX_FRAME, Frame
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import (
    Bye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build_bye,
    build_receiver_report,
    build_rtp,
    build_sender_report,
    parse_replay_extension,
    parse_rtcp,
    parse_rtp,
    replay_extension,
)
from onvifd.media.types import AccessUnit, Codec, TrackFormat
from onvifd.rtsp import mikey, srtp, tunnel, websocket
from onvifd.rtsp.client_messages import AnswerParser
from onvifd.rtsp.client_session import ClientSession, parse_url, redirected
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.feedback import SessionFeedback, pli
from onvifd.rtsp.messages import Interleaved, Request, Response, RtspError
from tests.abuse.fuzzed import Fuzzed
from tests.media.pictures import make_jpeg

OCTETS = (
    *(
        b"\0",
        b"\xff",
        b"\x7f\xff",
        b"\x80\x00",
        b"\0\0\0\1",
        b"\xff\xff\xff\xff",
        b"\0" * 12,
        b"\xff" * 12,
        b"\x80\x60",
    ),
    *(b"\x90\xe0", b"\xbf\xff", b"\xab\xac\x00\x03", b"\xff\xd8\x00\x10", b"\xff\xff\x00\x01", b"$\0\0\4", b"a" * 200),
)
NTP = 0xEC9B_0000_8000_0000


# ---- RTP and RTCP


def _rtp(data: bytes) -> None:
    try:
        packet = parse_rtp(data)
    except InvalidArgument:
        return
    assert 12 <= packet.start <= packet.end <= len(data)
    assert srtp.header_size(data) == packet.start
    parse_replay_extension(packet.extension)
    if packet.extension is not None:
        rtp_jpeg.extension_of(*packet.extension)


_REPLAY = replay_extension(1_767_225_600_000_000, clean=True, end=False, discontinuity=True, terminal=False, cseq=3)
_RTP = tuple(
    build_rtp(marker=True, payload_type=96, seq=65535, rtp_time=9, ssrc=7, payload=b"payload", extension=extension)
    for extension in (b"", _REPLAY, b"\xab\xac\0\4" + _REPLAY[4:] + b"\xff\xd8\0\0", b"\xff\xff\0\1abcd")
)


def _rtcp(data: bytes) -> None:
    """As from a client, and written anew."""
    session = SessionFeedback()
    found = session.take(0, 90_000, data, NTP)
    if session.unusable:
        return
    assert len(found.blocks) <= len(data) // 24
    assert session.worst is None or 0 <= session.worst.fraction < 1
    for report in parse_rtcp(data):
        if isinstance(report, SenderReport):
            assert report in parse_rtcp(build_sender_report(report))
        elif isinstance(report, ReceiverReport):
            assert report in parse_rtcp(build_receiver_report(report))
        else:
            assert isinstance(report, Bye)


_BLOCK = ReportBlock(
    ssrc=7, fraction=12, lost=-3, highest_seq=70_000, jitter=90, last_sr=NTP >> 16 & 0xFFFFFFFF, delay=1
)
_RTCP = (
    build_sender_report(SenderReport(ssrc=1, ntp=NTP, rtp_time=2, packets=3, octets=4, blocks=(_BLOCK, _BLOCK))),
    build_receiver_report(ReceiverReport(ssrc=1, blocks=(_BLOCK,))) + pli(1, 7),
    build_bye(1),
    pli(1, 7) + struct.pack(">BBHIIII", 0x84, 206, 4, 1, 0, 7, 1 << 24) + struct.pack(">BBHI", 0x80, 192, 1, 7),
)


# ---- payloads

SEPARATOR = b"~~RTP~~"
_AAC = TrackFormat(codec=Codec.AAC, clock_rate=16_000, channels=1, config=bytes.fromhex("1408"))
_LATM_FMTP = "cpresent=0;config=40002410adca00"


def _formats() -> Iterator[TrackFormat]:
    for codec in (Codec.H264, Codec.H265, Codec.MPEG4, Codec.JPEG, Codec.METADATA):
        yield TrackFormat(codec=codec, clock_rate=90_000)
    yield _AAC
    for name, fmtp in (("MP4A-LATM", _LATM_FMTP), ("MP4A-LATM", "cpresent=1"), ("MPEG4-GENERIC", _OTHER_AAC)):
        yield format_from_fmtp(name, 16_000, 1, fmtp, "audio")
    for codec in (Codec.PCMU, Codec.G726, Codec.L16, Codec.OPUS):
        yield TrackFormat(codec=codec, clock_rate=8000, channels=1, bits=2 if codec is Codec.G726 else 0)


_OTHER_AAC = "mode=AAC-lbr;config=1408;sizeLength=6;indexLength=2;indexDeltaLength=2"


def _payloads(data: bytes) -> None:
    """The first byte chooses the format; then packets, each behind a byte of flags."""
    if not data:
        return
    joiner = depacketizer(_FORMATS[data[0] % len(_FORMATS)])
    time = 0
    for part in data[1:].split(SEPARATOR):
        flags = part[0] if part else 0
        time += (flags >> 2 & 3) * 1800
        payload = memoryview(part)[1:]
        if flags & 0x10 and len(payload) > 8 and isinstance(joiner, rtp_jpeg.JpegDepacketizer):
            joiner.extend(int.from_bytes(payload[:2], "big"), bytes(payload[2:8]))
            payload = payload[8:]
        if flags & 0x20 and joiner.feed_run(memoryview(part * 3), 1, len(part), time):
            continue
        for frame in joiner.feed(payload, bool(flags & 1), time, not flags & 2):
            assert frame.damaged == (not frame.data)
            assert len(frame.data) <= MAX_FRAME


def _unit_of(format: TrackFormat) -> bytes:
    chance = random.Random(5)
    if format.codec in (Codec.H264, Codec.H265):
        types = (7, 8, 5, 1) if format.codec is Codec.H264 else (64, 66, 68, 38, 2)
        nals = [bytes((kind, 1)) + chance.randbytes(500 if kind in (5, 38) else 20) for kind in types]
        return b"".join(len(nal).to_bytes(4, "big") + nal for nal in nals)
    if format.codec is Codec.JPEG:
        return make_jpeg(64, 32)
    if format.codec is Codec.MPEG4:
        return bytes.fromhex("000001b6") + chance.randbytes(400)
    return b"<tt:MetadataStream/>" if format.codec is Codec.METADATA else chance.randbytes(300)


def _payload_seeds() -> Iterator[bytes]:
    for number, format in enumerate(_FORMATS):
        # LATM's own words are what other senders say; ours are packed from the plain format
        packer = Packer(
            _AAC if format.rtpmap else format,
            track=0,
            payload_type=96,
            ssrc=1,
            mtu=800 if format.codec is Codec.JPEG else 200,
        )
        parts = []
        for tick in (0, 1):
            unit = packer.pack(AccessUnit(0, 0, tick * 1800, True, _unit_of(format)))
            for start, end in pairwise((*unit.starts, len(unit.data))):
                packet = parse_rtp(unit.data, start + 4, end)
                flags = packet.marker | (4 if not parts else 0)
                parts.append(bytes((flags,)) + unit.data[packet.start : packet.end])
        yield bytes((number,)) + SEPARATOR.join(parts)


_FORMATS = tuple(_formats())


def _latm(data: bytes) -> None:
    for parse in (latm.parse_mux_config, latm.build_mux_config):
        try:
            parse(data)
        except InvalidArgument:
            continue
    mux = latm.StreamMux(b"\x14\x08")
    for known, in_band in ((mux, False), (None, True), (mux, True)):
        try:
            _, frames = latm.parse_element(data, known, in_band)
        except InvalidArgument:
            continue
        assert sum(map(len, frames)) <= len(data) + 8


# ---- JPEG


def _picture(data: bytes) -> None:
    with contextlib.suppress(InvalidArgument):
        jpeg.size_of(data)
    try:
        picture = jpeg.parse(data)
    except InvalidArgument:
        return
    again = jpeg.build(jpeg.with_own_numbers(picture))
    assert jpeg.parse(again).scan == picture.scan
    try:
        parts = list(rtp_jpeg.split(data, 1200))
    except InvalidArgument:
        return
    joiner = rtp_jpeg.JpegDepacketizer(TrackFormat(codec=Codec.JPEG, clock_rate=90_000))
    found: tuple[Frame, ...] = ()
    for part, following in pairwise((*parts, None)):
        if part.extension:
            joiner.extend(int.from_bytes(part.extension[:2], "big"), part.extension[4:])
        found += joiner.feed(part.head + bytes(part.data), following is None, 0, True)
    (frame,) = found
    assert not frame.damaged
    assert jpeg.parse(frame.data).scan == picture.scan


_PICTURES = (make_jpeg(32, 16), make_jpeg(48, 40, slices=True)[:-300] + b"\xff\xd9")
_JPEG_TOKENS = (
    *OCTETS,
    *(bytes((0xFF, kind, 0, 4)) for kind in (0xC0, 0xC2, 0xC4, 0xD0, 0xD9, 0xDA, 0xDB, 0xDD, 0xE1)),
)


# ---- keys and protected packets


def _mikey(data: bytes) -> None:
    for read in (mikey.parse, mikey.from_parameters):
        try:
            message = read(data)
        except OnvifdError:
            continue
        if message is not None:
            for suite in srtp.Suite:
                try:
                    message.material(suite)
                except OnvifdError:
                    continue
    text = data.decode("latin-1")
    for read_text in (mikey.from_text, mikey.from_header):
        try:
            read_text(text)
        except OnvifdError:
            continue


_MESSAGES = tuple(
    mikey.build(
        srtp.KeyMaterial(suite, bytes(suite.key_size), bytes(suite.salt_size), mki),
        *(7, mikey.CryptoSession(0, 1, 2), NTP, bytes(16)),
    )
    for suite in srtp.Suite
    for mki in (b"", b"mki4")
)
_MIKEY = (
    *_MESSAGES,
    mikey.to_header("rtsp://h/x", _MESSAGES[0]).encode(),
    b"MIKEY: " + mikey.to_text(_MESSAGES[1]).encode() + b"\r\nposition: 1",
    mikey.to_text(_MESSAGES[2]).encode(),
)


def _srtp(data: bytes) -> None:
    """Nothing strange is taken for authentic; what is protected comes out as it went in."""
    for suite in srtp.Suite:
        material = srtp.KeyMaterial(suite, bytes(suite.key_size), bytes(suite.salt_size), b"mki4")
        receiver, sender = srtp.Receiver(material), srtp.Sender(material, 7)
        assert receiver.packet(data) is None
        assert receiver.report(data) is None
        sealed = sender.packet(data)
        assert bool(sealed) == bool(srtp.header_size(data))
        if sealed:
            assert receiver.packet(sealed) == data
            assert receiver.packet(sealed) is None
        if reported := sender.report(data):
            assert receiver.report(reported) == data


# ---- tunnels


def _websocket(data: bytes) -> None:
    """In pieces as in one; then as what a masked frame carries, and as the head of a request."""
    whole, pieces = websocket.WebSocketStream(0), websocket.WebSocketStream(0)
    payload, answers = whole.feed(data, 0), whole.replies()
    cut = b"".join(pieces.feed(data[start : start + 7], 0) for start in range(0, len(data), 7))
    assert (cut, pieces.replies(), pieces.closed, pieces.fragmented) == (
        payload,
        answers,
        whole.closed,
        whole.fragmented,
    )
    assert len(payload) <= len(data)
    assert whole.closed is not None or len(whole.rest) <= len(data)
    head = bytes((0x82, 0xFE)) + min(len(data), 65_535).to_bytes(2, "big") + bytes(4)
    if len(data) >= 126:
        assert websocket.WebSocketStream(0).feed(head + data[:65_535], 0) == data[:65_535]
    found = websocket.upgrade(data)
    assert found is None or found.answer.startswith(b"HTTP/1.1 ")


_UPGRADE = (
    b"GET /onvif/rtsp HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: rtsp.onvif.org\r\n\r\n"
)
_FRAMES = (
    b"\x82\x85abcd01234\x89\x81abcd0\x88\x82abcd" + bytes((0x03 ^ 0x61, 0xE8 ^ 0x62)),
    b"\x02\x83abcd012\x80\x83abcd345\x8a\x80abcd",
    b"\x82\xfe\x00\x80abcd" + b"x" * 128,
    b"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00abcdxyz",
    _UPGRADE,
)
_FRAME_TOKENS = (*OCTETS, b"\x82\x80abcd", b"\x81\x80abcd", b"\x88\x80abcd", b"\x82\xff", b"\x00\x80", b": ", b"\r\n")


def _tunnel(data: bytes) -> None:
    head = tunnel.tunnel_head(data)
    assert head is None or 0 < len(head.cookie) <= 128
    tunnel.may_be_http(data)

    def decoded(step: int) -> bytes | None:
        stream, found = tunnel.Base64Stream(), b""
        try:
            for start in range(0, len(data), step):
                found += stream.feed(data[start : start + step])
        except ValueError:
            return None
        assert len(stream.rest) < 4
        return found

    pieces, whole = decoded(5), decoded(max(1, len(data)))
    # padding without data is refused, but within a piece passes for more of the padding before
    assert pieces == whole or None in (pieces, whole)


_TUNNELS = (
    b"GET /x HTTP/1.0\r\nx-sessioncookie: abc\r\nAccept: application/x-rtsp-tunnelled\r\n\r\n",
    b"POST /x HTTP/1.1\r\nX-SessionCookie: abc\r\nContent-Length: 32767\r\n\r\n",
    b"T1BUSU9OUyAqIFJUU1AvMS4wDQo=\r\nQ1NlcTogMQ0KDQo=",
    b"QQ==QUI=\r\nQUJD",
)
_TUNNEL_TOKENS = (
    b"=",
    b"==",
    b"\r\n",
    b"QQ==",
    b"QUJD",
    b"A",
    b" ",
    b"\0",
    b"x-sessioncookie:",
    b"GET / HTTP/1.0\r\n",
    b"-_",
)


# ---- what cameras answer


def _answers(data: bytes) -> None:
    """A camera says this to a client that asks, whatever it asked."""
    parser = AnswerParser()
    session = ClientSession("rtsp://camera/stream", "admin", "secret")
    requests = iter(("OPTIONS", "DESCRIBE", "SETUP", "PLAY") * 50)
    session.request(next(requests))
    for start in range(0, len(data), 64):
        parser.receive_data(data[start : start + 64])
        try:
            while (message := parser.next_message()) is not None:
                _judge(session, message)
                session.request(next(requests, "OPTIONS"))
        except RtspError:
            return


def _judge(session: ClientSession, message: object) -> None:
    if isinstance(message, Request):
        session.answer_to(message)
    elif isinstance(message, Response):
        session.awaits(message)
        for judge in (session.response, session.keep_alive_answer, session.described):
            try:
                judge(message)
            except OnvifdError:
                continue
        for way in Way:
            try:
                session.placed(message, way, 0)
            except OnvifdError:
                continue
        if session.redirect:
            try:
                parse_url(redirected(session.redirect, session.url))
            except OnvifdError:
                return
    else:
        assert isinstance(message, Interleaved)


_ANSWERS = (
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, GET_PARAMETER\r\nSession: a;timeout=30\r\n\r\n$\0\0\4abcd",
    b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="r", nonce="n", stale=true\r\n'
    b'WWW-Authenticate: Basic realm="r"\r\n\r\n',
    b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=0A0B0C0D\r\n\r\n",
    b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nTransport: RTP/AVP;multicast;destination=239.0.0.1;port=5000-5001;ttl=1;source=10.0.0.1\r\n\r\n",
    b"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://[::1]:99/x\r\n\r\nREDIRECT rtsp://h/ RTSP/1.0\r\nCSeq: 9\r\n\r\n",
    b"RTSP/1.0 200 OK\nCSeq: 3\nContent-Base: rtsp://h/\nContent-Length: 80\n\nv=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=x\r\n"
    b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\n\r\n",
)
_ANSWER_TOKENS = (
    *OCTETS,
    *(b"RTSP/1.0 200 OK\r\n", b"RTSP/1.0 401 x\r\n", b"CSeq: 1\r\n", b"\r\n\r\n", b"\n\n", b"Session: ", b"Location: "),
    *(
        b"Content-Length: 5\r\n",
        b"Transport: ",
        b";",
        b"=",
        b"WWW-Authenticate: Digest ",
        b"rtsp://",
        b"GET_PARAMETER x RTSP/1.0",
    ),
)

STREAMS = (
    Fuzzed("RTP packets", _rtp, _RTP, OCTETS),
    Fuzzed("RTCP packets", _rtcp, _RTCP, OCTETS),
    Fuzzed(
        "RTP payloads", _payloads, tuple(_payload_seeds()), (*OCTETS, SEPARATOR, SEPARATOR + b"\1", SEPARATOR + b"\2")
    ),
    Fuzzed("LATM", _latm, (bytes.fromhex("40002410adca00"), bytes.fromhex("20001190") + bytes(40), b"\5hello"), OCTETS),
    Fuzzed("JPEG pictures", _picture, _PICTURES, _JPEG_TOKENS),
    Fuzzed("MIKEY", _mikey, _MIKEY, (*OCTETS, b"prot=mikey;", b'data="', b"MIKEY:", b"AQAF")),
    Fuzzed("SRTP packets", _srtp, (*_RTP, *_RTCP), OCTETS),
    Fuzzed("WebSocket", _websocket, _FRAMES, _FRAME_TOKENS),
    Fuzzed("HTTP tunnel", _tunnel, _TUNNELS, _TUNNEL_TOKENS),
    Fuzzed("answers of cameras", _answers, _ANSWERS, _ANSWER_TOKENS),
)
