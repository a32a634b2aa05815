"""Packer against Depacketizer, and the packets themselves."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.clock import utc_to_ntp
from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import nal
from onvifd.media.rtp.depack import Frame, depacketizer
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import (
    SenderReport,
    parse_replay_extension,
    parse_rtcp,
    parse_rtp,
    replay_extension,
)
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat

AAC_CONFIG = bytes.fromhex("1190")
FORMATS = {
    Codec.H264: TrackFormat(codec=Codec.H264, clock_rate=90000),
    Codec.H265: TrackFormat(codec=Codec.H265, clock_rate=90000),
    Codec.PCMU: TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1),
    Codec.PCMA: TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1),
    Codec.AAC: TrackFormat(codec=Codec.AAC, clock_rate=48000, config=AAC_CONFIG, channels=2),
    Codec.METADATA: TrackFormat(codec=Codec.METADATA, clock_rate=90000),
}


def packets(unit: FlushUnit) -> list[bytes]:
    """The RTP packets of a unit; asserts that framing and `starts` agree."""
    found = []
    position = 0
    for start in unit.starts:
        assert start == position
        dollar, channel, size = struct.unpack_from(">BBH", unit.data, start)
        assert (dollar, channel) == (0x24, 2 * unit.track + (1 if unit.rtcp else 0))
        found.append(unit.data[start + 4 : start + 4 + size])
        position = start + 4 + size
    assert position == len(unit.data)
    return found


def receive(codec: Codec, units: list[FlushUnit]) -> list[Frame]:
    depack = depacketizer(FORMATS[codec])
    frames: list[Frame] = []
    for unit in units:
        for packet in packets(unit):
            head = parse_rtp(packet)
            frames += depack.feed(packet[head.start : head.end], head.marker, head.rtp_time, True)
    return frames


def h264_nals() -> st.SearchStrategy[list[bytes]]:
    body = st.binary(min_size=1, max_size=4000)
    other = st.tuples(st.sampled_from([0x06, 0x09, 0x41]), body)
    picture = st.tuples(st.sampled_from([0x65, 0x41, 0x01]), body)
    return st.tuples(st.lists(other, max_size=3), picture).map(
        lambda both: [bytes((kind,)) + data for kind, data in [*both[0], both[1]]]
    )


def h265_nals() -> st.SearchStrategy[list[bytes]]:
    body = st.binary(min_size=2, max_size=4000)
    other = st.tuples(st.sampled_from([39, 35, 1]), body)
    picture = st.tuples(st.sampled_from([19, 20, 1, 0]), body)
    return st.tuples(st.lists(other, max_size=3), picture).map(
        lambda both: [bytes((kind << 1, 1)) + data for kind, data in [*both[0], both[1]]]
    )


def mark_first(codec: Codec, nals: list[bytes]) -> list[bytes]:
    """Set the bit that says first slice of the picture in every slice, as a receiver that has just joined expects."""
    at = 1 if codec is Codec.H264 else 2
    return [unit[:at] + bytes((unit[at] | 0x80,)) + unit[at + 1 :] for unit in nals]


@given(
    codec=st.sampled_from([Codec.H264, Codec.H265]),
    data=st.data(),
    mtu=st.integers(128, 3000),
    seq=st.integers(0, 65535),
    ticks=st.integers(0, 1 << 34),
    extended=st.booleans(),
    final=st.booleans(),
)
def test_video_comes_back_as_it_was(
    codec: Codec, data: st.DataObject, mtu: int, seq: int, ticks: int, extended: bool, final: bool
) -> None:
    nals = mark_first(codec, data.draw(h264_nals() if codec is Codec.H264 else h265_nals()))
    unit = AccessUnit(1, 5, ticks, False, nal.join(nals))
    packer = Packer(FORMATS[codec], track=1, payload_type=96, ssrc=7, seq=seq, mtu=mtu)
    extension = replay_extension(5, clean=False, end=False, discontinuity=True, terminal=False, cseq=3)
    final &= extended
    last = replay_extension(5, clean=False, end=False, discontinuity=True, terminal=True, cseq=3)
    flush = packer.pack(unit, extension if extended else b"", last if final else b"")
    sent = packets(flush)
    assert all(len(packet) <= mtu for packet in sent)
    heads = [parse_rtp(packet) for packet in sent]
    assert [head.seq for head in heads] == [(seq + index) & 0xFFFF for index in range(len(sent))]
    assert packer.seq == (seq + len(sent)) & 0xFFFF
    assert [head.marker for head in heads] == [False] * (len(sent) - 1) + [True]
    assert {head.rtp_time for head in heads} == {ticks & 0xFFFFFFFF} == {flush.rtp_time}
    found = [parse_replay_extension(head.extension) for head in heads]
    assert [each is not None for each in found] == [extended] + [False] * (len(sent) - 2) + [final] * (len(sent) > 1)
    assert [each is not None and each.terminal for each in found] == [False] * (len(sent) - 1) + [final]
    assert packer.packets == len(sent)
    assert packer.octets == sum(len(packet) - 12 for packet in sent)
    (frame,) = receive(codec, [flush])
    assert frame.data == unit.data
    assert not frame.damaged


@given(codec=st.sampled_from([Codec.PCMU, Codec.METADATA]), data=st.binary(min_size=1, max_size=9000))
def test_bytes_come_back_as_they_were(codec: Codec, data: bytes) -> None:
    if codec is Codec.METADATA:
        data = b"<tt:MetadataStream>" + data + b"</tt:MetadataStream>"
    flush = Packer(FORMATS[codec], track=0, payload_type=0, ssrc=1).pack(AccessUnit(0, 0, 100, True, data))
    frames = receive(codec, [flush])
    assert b"".join(frame.data for frame in frames) == data
    at = 100
    for frame in frames:
        assert frame.rtp_time == at
        at += len(frame.data) if codec is Codec.PCMU else 0


@given(frames=st.lists(st.binary(min_size=1, max_size=8191), min_size=1, max_size=4), mtu=st.integers(128, 1500))
def test_aac_comes_back_as_it_was(frames: list[bytes], mtu: int) -> None:
    packer = Packer(FORMATS[Codec.AAC], track=2, payload_type=97, ssrc=1, mtu=mtu)
    units = [packer.pack(AccessUnit(2, 0, 1024 * index, True, data)) for index, data in enumerate(frames)]
    back = receive(Codec.AAC, units)
    assert [frame.data for frame in back] == frames
    assert [frame.rtp_time for frame in back] == [1024 * index for index in range(len(frames))]


@pytest.mark.covers("P002")
def test_real_video_survives_packing(clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    format, units = clip
    packer = Packer(format, track=0, payload_type=96, ssrc=1, seq=65530)
    depack = depacketizer(TrackFormat(codec=format.codec, clock_rate=90000))
    frames: list[Frame] = []
    for unit in units:
        for packet in packets(packer.pack(unit)):
            head = parse_rtp(packet)
            frames += depack.feed(packet[head.start : head.end], head.marker, head.rtp_time, True)
    assert [frame.data for frame in frames] == [unit.data for unit in units]
    assert [frame.key for frame in frames] == [unit.key for unit in units]
    assert depack.format == format


def test_parameter_sets_are_put_before_a_key_unit_without(clip: tuple[TrackFormat, list[AccessUnit]]) -> None:
    format, units = clip
    bare = nal.join([item for item in nal.iterate(units[0].data) if item not in format.parameter_sets])
    flush = Packer(format, track=0, payload_type=96, ssrc=1).pack(AccessUnit(0, 0, 0, True, bare))
    (frame,) = receive(format.codec, [flush])
    assert tuple(nal.iterate(frame.data))[: len(format.parameter_sets)] == format.parameter_sets


@pytest.mark.covers("G-ReplayHeaderExtension")
def test_replay_extension_is_on_the_first_packet() -> None:
    utc = 1_767_225_600_040_000
    extension = replay_extension(utc, clean=True, end=False, discontinuity=True, terminal=False, cseq=0x1FE)
    assert len(extension) == 16
    assert extension[:4] == b"\xab\xac\x00\x03"
    packer = Packer(FORMATS[Codec.H264], track=0, payload_type=96, ssrc=1)
    unit = AccessUnit(0, utc, 0, False, nal.join([b"\x41\x80" + bytes(5000)]))
    sent = packets(packer.pack(unit, extension))
    found = parse_replay_extension(parse_rtp(sent[0]).extension)
    assert found is not None
    assert found.ntp == utc_to_ntp(utc)
    assert (found.clean, found.end, found.discontinuity, found.terminal, found.cseq) == (True, False, True, False, 0xFE)
    assert all(parse_rtp(packet).extension is None for packet in sent[1:])
    assert all(len(packet) <= 1400 for packet in sent)


def test_sender_report_counts_and_ties_times() -> None:
    packer = Packer(FORMATS[Codec.PCMU], track=1, payload_type=0, ssrc=9, ticks_offset=5)
    packer.pack(AccessUnit(1, 0, 0, True, bytes(320)))
    unit = packer.sender_report(1_767_225_600_000_000, 1 << 32)
    assert unit.rtcp
    (report,) = parse_rtcp(packets(unit)[0])
    assert report == SenderReport(ssrc=9, ntp=utc_to_ntp(1_767_225_600_000_000), rtp_time=5, packets=1, octets=320)


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x00\x09ab", b"\x00\x00\x00\x00", b"\x00\x00\x01", b"\0\0\0\1a"])
def test_broken_lengths_are_refused(data: bytes) -> None:
    packer = Packer(FORMATS[Codec.H264], track=0, payload_type=96, ssrc=1)
    with pytest.raises(InvalidArgument):
        packer.pack(AccessUnit(0, 0, 0, False, data))


def test_what_is_relayed_unread_is_not_packed() -> None:
    with pytest.raises(NotSupported):
        Packer(TrackFormat(codec=Codec.OTHER_VIDEO, clock_rate=90000), track=0, payload_type=26, ssrc=1)
