from __future__ import annotations

import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import NotSupported
from onvifd.media import nal
from onvifd.media.rtp.depack import MAX_DOCUMENT, MAX_FRAME, Frame, depacketizer
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import AccessUnit, Codec, TrackFormat

UNREAD = (Codec.OTHER_VIDEO, Codec.OTHER_AUDIO)
FORMATS = {codec: TrackFormat(codec=codec, clock_rate=90000) for codec in Codec if codec not in UNREAD}
Clip = tuple[TrackFormat, list[AccessUnit]]


def payloads(clip: Clip) -> list[tuple[bytes, bool, int, int]]:
    """Payload, marker, RTP time and sequence number of every packet of a clip."""
    format, units = clip
    packer = Packer(format, track=0, payload_type=96, ssrc=1)
    found = []
    for unit in units:
        flush = packer.pack(unit)
        for begin, end in zip(flush.starts, (*flush.starts[1:], len(flush.data)), strict=True):
            head = parse_rtp(flush.data, begin + 4, end)
            found.append((flush.data[head.start : head.end], head.marker, head.rtp_time, head.seq))
    return found


@given(
    codec=st.sampled_from(sorted(FORMATS)),
    steps=st.lists(st.tuples(st.binary(max_size=80), st.booleans(), st.integers(0, 3), st.booleans()), max_size=40),
)
def test_garbage_never_raises(codec: Codec, steps: list[tuple[bytes, bool, int, bool]]) -> None:
    depack = depacketizer(FORMATS[codec])
    reported = 0
    for payload, marker, rtp_time, contiguous in steps:
        for frame in depack.feed(memoryview(payload), marker, rtp_time, contiguous):
            assert bool(frame.data) is not frame.damaged
            reported += frame.damaged
            if codec in (Codec.H264, Codec.H265) and frame.data:
                list(nal.iterate(frame.data))
    assert depack.damaged == reported


def pictures(codec: Codec, data: bytes) -> list[bytes]:
    """The slices of an access unit: parameter sets and SEI in front of them may be lost without harm."""
    first_byte = range(1, 6) if codec is Codec.H264 else range(64)
    return [unit for unit in nal.iterate(data) if (unit[0] & 0x1F if codec is Codec.H264 else unit[0]) in first_byte]


def test_a_lost_packet_costs_its_frame_and_no_other(clip: Clip) -> None:
    sent = payloads(clip)
    for lost in range(len(sent)):
        depack = depacketizer(TrackFormat(codec=clip[0].codec, clock_rate=90000))
        frames: list[Frame] = []
        last = None
        for payload, marker, rtp_time, seq in sent[:lost] + sent[lost + 1 :]:
            frames += depack.feed(payload, marker, rtp_time, last is None or seq == (last + 1) & 0xFFFF)
            last = seq
        whole = {frame.rtp_time: frame.data for frame in frames if not frame.damaged}
        for unit in clip[1]:
            if unit.ticks in whole:
                assert pictures(clip[0].codec, whole[unit.ticks]) == pictures(clip[0].codec, unit.data)
        if 0 < lost < len(sent) - 1:
            assert sum(frame.damaged for frame in frames) >= 1
        assert len(whole) >= len(clip[1]) - 1


def test_random_loss_gives_only_whole_frames(clip: Clip) -> None:
    sent = payloads(clip)
    known = {unit.ticks: unit.data for unit in clip[1]}
    slices = {ticks: data[-100:] for ticks, data in known.items()}
    for seed in range(30):
        kept = [packet for packet in sent if random.Random(seed * 1000 + packet[3]).random() > 0.05]
        depack = depacketizer(TrackFormat(codec=clip[0].codec, clock_rate=90000))
        last = None
        for payload, marker, rtp_time, seq in kept:
            for frame in depack.feed(payload, marker, rtp_time, last is None or seq == (last + 1) & 0xFFFF):
                assert frame.damaged or frame.data[-100:] == slices[frame.rtp_time]
            last = seq


def test_without_markers_the_next_time_ends_a_frame(clip: Clip) -> None:
    depack = depacketizer(TrackFormat(codec=clip[0].codec, clock_rate=90000))
    frames: list[Frame] = []
    for payload, _, rtp_time, _ in payloads(clip):
        frames += depack.feed(payload, False, rtp_time, True)
    assert [frame.data for frame in frames] == [unit.data for unit in clip[1][:-1]]


def test_a_marker_on_parameter_sets_does_not_end_the_frame(clip: Clip) -> None:
    depack = depacketizer(TrackFormat(codec=clip[0].codec, clock_rate=90000))
    frames: list[Frame] = []
    sets = len(clip[0].parameter_sets)
    for index, (payload, marker, rtp_time, _) in enumerate(payloads(clip)):
        frames += depack.feed(payload, marker or index < sets, rtp_time, True)
    assert [frame.data for frame in frames] == [unit.data for unit in clip[1]]


def test_aggregation_packets() -> None:
    units = [b"\x67\x42\x00\x0a", b"\x68\xce\x01", b"\x65\x88\x80\x01"]
    stap = b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)
    assert depacketizer(FORMATS[Codec.H264]).feed(stap, True, 9, True) == (Frame(9, nal.join(units), True),)
    units = [b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc1", b"\x26\x01\xaf\x00"]
    packet = b"\x60\x01" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)
    depack = depacketizer(FORMATS[Codec.H265])
    assert depack.feed(packet, True, 9, True) == (Frame(9, nal.join(units), True),)
    assert depack.format.parameter_sets == tuple(units[:3])


@pytest.mark.parametrize(
    "payload", [b"\x78\x00", b"\x78\x00\x09\x65", b"\x7b\x00\x00", b"\x7c\x05\x00", b"\0\0\0\1\x65\x88"]
)
def test_what_cannot_be_used_is_reported_as_damage(payload: bytes) -> None:
    assert depacketizer(FORMATS[Codec.H264]).feed(payload, True, 1, True) == (Frame(1, b"", False, True),)


H264_PICTURE, H265_PICTURE = b"\x65\x88picture", b"\x26\x01\xafpicture"


@pytest.mark.parametrize(
    ("codec", "other", "picture", "kept"),
    [
        pytest.param(Codec.H265, b"\x46\x01\x50", H265_PICTURE, True, id="h265-delimiter"),
        pytest.param(Codec.H265, b"\x48\x01", H265_PICTURE, False, id="h265-end-of-sequence"),
        pytest.param(Codec.H265, b"\x4a\x01", H265_PICTURE, False, id="h265-end-of-stream"),
        pytest.param(Codec.H265, b"\x78\x01own", H265_PICTURE, False, id="h265-own"),
        pytest.param(Codec.H264, b"\x09\xf0", H264_PICTURE, True, id="h264-delimiter"),
        pytest.param(Codec.H264, b"\x0a", H264_PICTURE, False, id="h264-end-of-sequence"),
        pytest.param(Codec.H264, b"\x0b", H264_PICTURE, False, id="h264-end-of-stream"),
        pytest.param(Codec.H264, b"\x00\x01\x02", H264_PICTURE, False, id="h264-own-0"),
        pytest.param(Codec.H264, b"\x7e\x01\x02", H264_PICTURE, False, id="h264-own-30"),
        pytest.param(Codec.H264, b"\x1f\x01\x02", H264_PICTURE, False, id="h264-own-31"),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_small_and_odd_units_do_not_cost_the_picture(
    codec: Codec, other: bytes, picture: bytes, kept: bool, behind: bool
) -> None:
    """The quirk units-own, and units that are as small as they may be."""
    depack = depacketizer(FORMATS[codec])
    sent = [picture, other] if behind else [other, picture]
    found = *depack.feed(sent[0], False, 1, True), *depack.feed(sent[1], True, 1, True)
    units = [unit for unit in sent if unit is picture or kept]
    assert found == (Frame(1, nal.join(units), True),)


@pytest.mark.parametrize("marker", [False, True])
def test_fragments_without_an_end_bit_end_with_what_follows(marker: bool) -> None:
    """No packet is missing, so nothing of the unit is (the quirk fragments-open)."""
    depack = depacketizer(FORMATS[Codec.H264])
    sent = [
        (b"\x7c\x85\x88one", 1),
        (b"\x7c\x05two", 1),
        (b"\x7c\x85\x48three", 1),
        (b"\x7c\x05four", 1),
        (b"\x41\x9a", 2),
    ]
    found: list[Frame] = []
    for at, (payload, rtp_time) in enumerate(sent):
        found += depack.feed(payload, marker and at == 3, rtp_time, True)
    assert found == [Frame(1, nal.join([b"\x65\x88onetwo", b"\x65\x48threefour"]), True)]


@pytest.mark.parametrize(
    ("codec", "start", "end", "whole"),
    [
        (Codec.H264, b"\x7c\x85\x88one", b"\x7c\x45", b"\x65\x88one"),
        (Codec.H265, b"\x62\x01\x93\xafone", b"\x62\x01\x53", b"\x26\x01\xafone"),
    ],
)
def test_a_last_fragment_may_be_empty(codec: Codec, start: bytes, end: bytes, whole: bytes) -> None:
    depack = depacketizer(FORMATS[codec])
    assert depack.feed(start, False, 1, True) == ()
    assert depack.feed(end, True, 1, True) == (Frame(1, nal.join([whole]), True),)


def test_an_aggregate_that_is_filled_up() -> None:
    depack = depacketizer(FORMATS[Codec.H264])
    for number, rest in enumerate((b"\0", b"\0\0", b"\0\0\0")):
        found = depack.feed(b"\x78\0\5\x65\x88abc" + rest, True, number, True)
        assert found == (Frame(number, nal.join([b"\x65\x88abc"]), True),)


def test_new_parameter_sets_show_in_the_format(h264_clip: Clip) -> None:
    format, units = h264_clip
    old = TrackFormat(codec=Codec.H264, clock_rate=90000, parameter_sets=(b"\x67old", b"\x68old"), width=8, height=8)
    depack = depacketizer(old)
    for payload, marker, rtp_time, _ in payloads((format, units[:1])):
        depack.feed(payload, marker, rtp_time, True)
    assert depack.format == format


def test_a_frame_without_end_is_given_up() -> None:
    depack = depacketizer(FORMATS[Codec.H264])
    chunk = b"\x7c\x05" + bytes(60_000)
    depack.feed(b"\x7c\x85\x80" + bytes(60_000), False, 1, True)
    for _ in range(MAX_FRAME // 60_000 + 2):
        assert depack.feed(chunk, False, 1, True) == ()
    assert depack.feed(chunk, True, 1, True) == (Frame(1, b"", False, True),)


def test_several_aac_frames_in_one_packet() -> None:
    frames = [b"one", b"three", b"five5"]
    heads = b"".join((len(frame) << 3).to_bytes(2, "big") for frame in frames)
    track = TrackFormat(codec=Codec.AAC, clock_rate=16000, config=b"\x14\x08", channels=1)
    found = depacketizer(track).feed(b"\x00\x30" + heads + b"".join(frames), True, 100, True)
    assert found == tuple(Frame(100 + 1024 * index, data, True) for index, data in enumerate(frames))


def test_a_lost_audio_packet_is_reported() -> None:
    depack = depacketizer(FORMATS[Codec.PCMU])
    assert depack.feed(b"ab", False, 1, True) == (Frame(1, b"ab", True),)
    assert depack.feed(b"cd", False, 5, False) == (Frame(5, b"", False, True), Frame(5, b"cd", True))


def test_a_metadata_document_ends_at_its_marker_only() -> None:
    depack = depacketizer(FORMATS[Codec.METADATA])
    begin, end = b'\xef\xbb\xbf<?xml version="1.0"?><tt:MetadataStream xmlns:tt="urn:x">', b"</tt:MetadataStream>\n"
    assert depack.feed(begin, False, 1, True) == ()
    assert depack.feed(end, True, 2, True) == (Frame(2, begin + end, True),)
    assert depack.feed(begin, False, 3, True) == ()
    assert depack.feed(end, True, 3, False) == (Frame(3, b"", False, True),)
    assert depack.feed(b"<MetadataStream/>", True, 4, True) == (Frame(4, b"<MetadataStream/>", True),)
    assert depack.feed(b"", True, 5, True) == ()


@pytest.mark.parametrize(
    "data",
    [
        b"<a/>",
        b"<tt:MetadataStream>",
        b"<tt:MetadataStream><a/>",
        b"</tt:MetadataStream>",
        b"{}",
        b"\x1f\x8b\x08",
        bytes(3000),
    ],
)
def test_what_is_no_whole_metadata_document_is_damaged(data: bytes) -> None:
    depack = depacketizer(FORMATS[Codec.METADATA])
    assert depack.feed(data, True, 1, True) == (Frame(1, b"", False, True),)
    assert depack.damaged == 1


def test_a_compressed_metadata_document_is_unpacked_and_bounded() -> None:
    depack = depacketizer(FORMATS[Codec.METADATA])
    document = b"<tt:MetadataStream><tt:Event/></tt:MetadataStream>"
    packed = gzip.compress(document)
    assert depack.feed(packed[:20], False, 1, True) == ()
    assert depack.feed(packed[20:], True, 1, True) == (Frame(1, document, True),)
    assert depack.feed(packed[:-9], True, 2, True)[0].damaged
    bomb = gzip.compress(b"<tt:MetadataStream>" + bytes(2 * MAX_DOCUMENT) + b"</tt:MetadataStream>")
    assert depack.feed(bomb, True, 3, True)[0].damaged
    piece = b"<tt:MetadataStream>" + b" " * 60_000
    for _ in range(MAX_DOCUMENT // len(piece) + 1):
        assert depack.feed(piece, False, 4, True) == ()
    assert depack.feed(b"</tt:MetadataStream>", True, 4, True)[0].damaged
    assert depack.feed(document, True, 5, True) == (Frame(5, document, True),)


@pytest.mark.parametrize("codec", UNREAD)
def test_what_is_relayed_unread_is_not_joined(codec: Codec) -> None:
    with pytest.raises(NotSupported):
        depacketizer(TrackFormat(codec=codec, clock_rate=90000, rtpmap="X/90000"))


@pytest.mark.parametrize(
    ("codec", "start", "middle"),
    [
        (Codec.H264, b"\x7c\x85\x80", b"\x7c\x05\x00"),
        (Codec.H265, b"\x62\x01\x93\x80", b"\x62\x01\x13\x00"),
    ],
)
def test_a_frame_of_tiny_parts_is_bounded_by_what_it_costs(codec: Codec, start: bytes, middle: bytes) -> None:
    depack = depacketizer(TrackFormat(codec=codec, clock_rate=90_000))
    depack.feed(start, False, 0, True)
    assert depack._parts  # type: ignore[attr-defined]
    for _ in range(MAX_FRAME // 64 + 10):
        depack.feed(middle, False, 0, True)
    assert not depack._parts, "given up long before it has MAX_FRAME bytes"  # type: ignore[attr-defined]
