"""The examiner's parsers of streams: what is in order passes, what is not is named."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conformance import pattern
from conformance.model import Failure
from conformance.nal import H264, sps_h264
from conformance.payloads import Jpeg, Metadata, Samples, judge_of
from conformance.rtp import Media, Report, Rtp, read_reports, read_rtp, read_sdp
from conformance.session import Track
from conformance.watch import Flow, early_key
from conformance.wires import Socket, _frame

SDP = "v=0\r\nc=IN IP4 239.1.2.3/1\r\nm=video 4000 RTP/AVP 96\r\na=rtpmap:96 {}/90000\r\na=control:v\r\na=recvonly\r\n"


def media(name: str, kind: str = "video", payload_type: str = "96", fmtp: str = "") -> Media:
    pairs = ((payload_type, fmtp),) if fmtp else ()
    return Media(kind, "", "", name, 90_000, (payload_type,), ((payload_type, f"{name}/90000"),), pairs)


def rtp(payload: bytes, sequence: int = 0, stamp: int = 0, *, marker: bool = True, payload_type: int = 96) -> Rtp:
    head = struct.pack("!BBHII", 0x80, payload_type | marker << 7, sequence & 0xFFFF, stamp, 7)
    return read_rtp(head + payload, float(sequence))


# ---- descriptions -------------------------------------------------------------------------------------


def test_descriptions_tell_groups_ports_directions_and_static_types() -> None:
    (found,) = read_sdp(SDP.format("H264")).media
    assert (found.group, found.port, found.direction, found.formats) == ("239.1.2.3", 4000, "recvonly", ("96",))
    (sound,) = read_sdp("v=0\r\nm=audio 0 RTP/AVP 0\r\na=sendonly\r\n").media
    assert (sound.codec, sound.encoding, sound.clock, sound.direction) == ("PCMU", "", 8000, "sendonly")
    assert read_sdp("v=0\r\nm=audio\r\n").media[0].formats == ()


def test_sender_reports_are_read() -> None:
    data = struct.pack("!BBHIIIIII", 0x80, 200, 6, 7, 3_900_000_000, 1 << 31, 1000, 5, 600)
    (report,) = read_reports(data, 1.0)
    assert (report.ssrc, report.stamp, report.packets, report.time.microsecond) == (7, 1000, 5, 500_000)
    with pytest.raises(Failure):
        read_reports(struct.pack("!BBHI", 0x80, 200, 1, 7), 1.0)


# ---- video --------------------------------------------------------------------------------------------


def test_h264_wants_parameter_sets_and_a_key_frame() -> None:
    judge = H264(media("H264"))
    assert sps_h264(pattern.sps(96, 64)) == (96, 64)
    picture = pattern.idr(96, 64, 1)
    judge.take([rtp(pattern.sps(96, 64), 0), rtp(pattern.pps(), 1), rtp(picture, 2)])
    assert (judge.size, [each.at for each in judge.keys], judge.ready) == ((96, 64), [2.0], False)
    head = bytes([picture[0] & 0xE0 | 28])
    middle = len(picture) // 2
    first, last = head + b"\x85" + picture[1:middle], head + b"\x45" + picture[middle:]
    judge.take([rtp(first, 3), rtp(last, 4)])
    assert judge.ready
    for wrong in ([last], [first], [first, first], [b"\x9c\x41"], [b"\x1e\0"], [b"\x18\0\x09\x41"], [b""]):
        with pytest.raises(Failure):
            judge.take([rtp(each) for each in wrong])


def test_jpeg_offsets_must_follow() -> None:
    head = bytes([0, 0, 0, 0, 1, 80, 80, 45])
    judge = Jpeg(media("JPEG", payload_type="26"))
    second = bytes([0, 0, 0, 100]) + head[4:]
    judge.take([rtp(head + bytes(100), marker=False), rtp(second + bytes(10))])
    assert (judge.size, judge.units) == ((640, 360), 1)
    for wrong in ([head[:7]], [head + bytes(99), second], [head[:6] + b"\0\0"], [head[:4] + b"\x07" + head[5:]]):
        with pytest.raises(Failure):
            judge.take([rtp(each) for each in wrong])


def test_the_extension_of_jpeg_overrules_its_size() -> None:
    segment = bytes.fromhex("ffc0000b08" + "0870" + "0f00" + "01012200")
    padded = segment + b"\xff" * (-len(segment) % 4)
    payload = bytes([0, 0, 0, 0, 1, 80, 0, 0]) + b"scan"
    head = struct.pack("!BBHII", 0x90, 26 | 0x80, 0, 0, 7) + struct.pack("!HH", 0xFFD8, len(padded) // 4)
    judge = Jpeg(media("JPEG", payload_type="26"))
    judge.take([read_rtp(head + padded + payload, 0.0)])
    assert (judge.size, judge.extended) == ((3840, 2160), True)
    other = head[:12] + b"\xff\xff" + head[14:]
    with pytest.raises(Failure, match="expected 0xffd8"):
        judge.take([read_rtp(other + padded + payload, 0.0)])


# ---- sound and metadata -------------------------------------------------------------------------------


def test_time_of_sound_runs_with_its_samples() -> None:
    judge = Samples(media("PCMU", "audio", "0"), 8)
    judge.take([rtp(bytes(160), 1, 0, marker=False)])
    judge.take([rtp(bytes(160), 2, 160, marker=False)])
    with pytest.raises(Failure, match="samples off"):
        judge.take([rtp(bytes(160), 3, 1000, marker=False)])
    with pytest.raises(Failure, match="empty"):
        judge.take([rtp(b"", 4, 1160)])


def test_aac_names_the_size_of_its_units() -> None:
    judge = judge_of(
        media("MPEG4-GENERIC", "audio", fmtp="config=1408; sizelength=13;indexlength=3; indexdeltalength=3")
    )
    judge.take([rtp(struct.pack("!HHH", 32, 4 << 3, 5 << 3) + bytes(9))])
    with pytest.raises(Failure, match="AU headers"):
        judge.take([rtp(struct.pack("!HH", 16, 4 << 3) + bytes(5))])
    with pytest.raises(Failure, match="config"):
        judge_of(media("MPEG4-GENERIC", "audio"))


def test_metadata_is_judged_by_the_official_schemas() -> None:
    name = 'xmlns:tt="http://www.onvif.org/ver10/schema"'
    judge = judge_of(media("VND.ONVIF.METADATA", "application"))
    assert isinstance(judge, Metadata)
    judge.take([rtp(f"<tt:MetadataStream {name}>".encode(), marker=False), rtp(b"</tt:MetadataStream>")])
    assert len(judge.documents) == 1
    for wrong in (b"<a/>", b"no XML", f"<tt:MetadataStream {name}><tt:Nothing/></tt:MetadataStream>".encode()):
        with pytest.raises(Failure):
            judge.take([rtp(wrong)])


# ---- flows --------------------------------------------------------------------------------------------


def flow(transport: str, *packets: Rtp) -> Flow:
    made = Flow(Track(media("PCMU", "audio", "0"), "", list(packets)), "G711", transport)
    made.update()
    return made


def test_datagrams_may_overtake_each_other_and_get_lost() -> None:
    def packet(number: int) -> Rtp:
        return rtp(bytes(160), number, 160 * number, marker=False, payload_type=0)

    assert flow("UDP", *(packet(each) for each in (0, 2, 1, 3))).judge.units == 4
    lossy = flow("UDP", packet(0), *(packet(each) for each in range(3, 60)))
    assert (lossy.lost, lossy.judge.units) == (2, 58)
    with pytest.raises(Failure, match="go from 0 to 2"):
        flow("RTSP", packet(0), packet(2))


def test_who_joins_a_group_may_miss_the_beginning_of_a_picture() -> None:
    track = Track(media("H264"), "", [rtp(b"\x7c\x45end", 5, 1), rtp(b"\x65\x88\x84", 6, 2)])
    made = Flow(track, "H264", "MULTICAST")
    made.update()
    assert (made.judge.units, [each.at for each in made.judge.keys]) == (1, [6.0])


@pytest.mark.parametrize(
    ("reports", "wrong"),
    [
        ([(0, 1600, 2)], ""),
        ([(0, 1600, 1)], "counts 1 packets, 2 had come"),
        ([(0, 1600, 2), (5, 451_600, 300)], ""),
        ([(0, 1600, 2), (5, 226_600, 300)], "wall clock runs 5.0 s, the RTP time 2.5 s"),
    ],
)
def test_sender_reports_agree_with_each_other_and_with_what_came(
    reports: list[tuple[int, int, int]], wrong: str
) -> None:
    """By what they say, not by when they come: on a busy machine both come at once."""
    now = datetime.now(UTC)
    made = flow("RTSP", *(rtp(bytes(160), each, 160 * each, marker=False, payload_type=0) for each in range(2)))
    began = time.monotonic()
    made.track.reports = [
        Report(began + seconds, 7, now + timedelta(seconds=seconds), stamp, packets, 320, 2)
        for seconds, stamp, packets in reports
    ]
    with pytest.raises(Failure, match=wrong) if wrong else contextlib.nullcontext():
        made.check_reports(0.0)


async def test_key_frames_are_told_apart_by_the_time_of_the_stream() -> None:
    """Late on its way is not late in the stream, and early on its way not early."""

    class Client:
        async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
            return condition()

    def picture(number: int, seconds: float, *, key: bool = False) -> Rtp:
        return rtp(b"\x65\x88\x84" if key else b"\x41\x9a\x21", number, int(90_000 * seconds))

    client: Any = Client()
    begun = [picture(0, 0.0, key=True), picture(1, 1.0)]
    for packets, wanted in (
        ([picture(2, 2.5, key=True)], True),
        ([picture(2, 10.0, key=True), picture(3, 12.5, key=True)], True),
        ([picture(2, 10.0, key=True), picture(3, 20.0, key=True)], False),
        ([picture(2, 8.5)], False),
    ):
        made = Flow(Track(media("H264"), "", begun + packets), "H264", "RTSP")
        made.update()
        assert await early_key(client, made, made.judge.keys[0], 9.0, 25.0) is wanted


def test_a_flow_wants_what_was_described() -> None:
    with pytest.raises(Failure, match="payload type 8"):
        flow("RTSP", rtp(bytes(160), payload_type=8))


# ---- WebSocket ----------------------------------------------------------------------------------------


class Sink:
    """What a client sends to a device."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        return None

    def close(self) -> None:
        return None


async def test_messages_of_a_websocket_are_one_stream() -> None:
    raw, sink = asyncio.StreamReader(), Sink()
    writer: Any = sink
    wire = Socket(raw, writer)
    raw.feed_data(b"\x02\x03RTS" + b"\x80\x02P/" + b"\x89\x02hi" + b"\x82\x7e\x00\x80" + bytes(128))
    assert await wire.reader.readexactly(5) == b"RTSP/"
    assert await wire.reader.readexactly(128) == bytes(128)
    assert sink.sent[:2] == b"\x8a\x82", "a ping is answered by a masked pong"
    raw.feed_data(b"\x81\x01x")
    with pytest.raises(Failure, match="opcode 1"):
        await wire.reader.readexactly(1)
    await wire.close()
    assert _frame(2, bytes(70_000))[1] == 0xFF
