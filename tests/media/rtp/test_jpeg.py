"""JPEG over RTP: the packets themselves, and pictures put together again."""

from __future__ import annotations

import itertools
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.clock import utc_to_ntp
from onvifd.errors import InvalidArgument
from onvifd.media import jpeg
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.frame import PART, Frame
from onvifd.media.rtp.jpeg import FIRST, FURTHER, MAX_EXTENSION, JpegDepacketizer, extension_of
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import RtpPacket, parse_replay_extension, parse_rtp, replay_extension
from onvifd.media.types import AccessUnit, Codec, FlushUnit, TrackFormat
from tests.media.pictures import make_jpeg, pattern, show

FORMAT = TrackFormat(codec=Codec.JPEG, clock_rate=90000)
UTC = 1_700_000_000_000_000


def packer(mtu: int = 1400) -> Packer:
    return Packer(FORMAT, track=0, payload_type=26, ssrc=7, mtu=mtu)


def packets(unit: FlushUnit) -> list[tuple[RtpPacket, bytes]]:
    ends = (*unit.starts[1:], len(unit.data))
    found = []
    for start, end in zip(unit.starts, ends, strict=True):
        assert struct.unpack_from(">BBH", unit.data, start) == (0x24, 0, end - start - 4)
        head = parse_rtp(unit.data, start + 4, end)
        found.append((head, unit.data[head.start : head.end]))
    return found


def pack(data: bytes, ticks: int = 0, mtu: int = 1400) -> list[tuple[RtpPacket, bytes]]:
    return packets(packer(mtu).pack(AccessUnit(0, UTC, ticks, True, data)))


def feed(joiner: JpegDepacketizer, parts: list[tuple[RtpPacket, bytes]], contiguous: bool = True) -> list[Frame]:
    frames: list[Frame] = []
    for head, payload in parts:
        if head.extension is not None:
            joiner.extend(*head.extension)
        frames += joiner.feed(payload, head.marker, head.rtp_time, contiguous)
        contiguous = True
    return frames


def same(one: bytes, two: bytes) -> bool:
    """Whether two files hold the same picture: tables may be numbered differently."""
    a, b = (jpeg.parse(each) for each in (one, two))
    shapes = [[(c.horizontal, c.vertical) for c in each.components] for each in (a, b)]
    plain = [replace(each, components=()) for each in (a, b)]
    return plain[0] == plain[1] and shapes[0] == shapes[1]


# ---- as RFC 2435 has it --------------------------------------------------------------------------


def test_headers_of_a_plain_picture() -> None:
    data = make_jpeg(640, 360)
    parts = pack(data)
    scan = b""
    for number, (head, payload) in enumerate(parts):
        special, high, low, kind, quality, width, height = struct.unpack_from(">BBHBBBB", payload)
        assert (special, kind, quality, width, height) == (0, 1, 255, 80, 45)
        assert (high << 16 | low) == len(scan), "offset of the fragment"
        assert head.extension is None
        assert head.payload_type == 26
        assert head.marker == (number == len(parts) - 1)
        assert len(payload) + 12 <= 1400
        position = 8
        if not number:
            # RFC 2435 3.1.8
            assert payload[8:12] == b"\0\0\0\x80"
            assert payload[12:140] == b"".join(jpeg.parse(data).quantization[:2])
            position = 140
        scan += payload[position:]
    assert scan == jpeg.parse(data).scan


def test_standard_tables_are_told_by_their_quality() -> None:
    picture = jpeg.parse(make_jpeg(640, 360))
    for quality in (1, 33, 50, 75, 99):
        luminance, chrominance = jpeg.tables_of_quality(quality)
        data = jpeg.build(replace(picture, quantization=(luminance, chrominance, chrominance)))
        parts = pack(data)
        assert parts[0][1][5] == quality
        assert parts[0][1][8:] == jpeg.parse(data).scan[: len(parts[0][1]) - 8], "no table header"
        (frame,) = feed(JpegDepacketizer(FORMAT), parts)
        assert same(frame.data, data)


def test_restart_markers() -> None:
    data = make_jpeg(640, 368, slices=True)
    parts = pack(data)
    for _, payload in parts:
        # RFC 2435 3.1.7: only whole pictures are decoded
        assert payload[4] == 65
        assert struct.unpack_from(">HH", payload, 8) == (40, 0xFFFF)
    (frame,) = feed(JpegDepacketizer(FORMAT), parts)
    assert same(frame.data, data)
    assert (show(frame.data) == show(data)).all()


def test_four_two_two_is_type_0() -> None:
    picture = jpeg.parse(make_jpeg(640, 360))
    wide = (picture.components[0]._replace(vertical=1), *picture.components[1:])
    data = jpeg.build(replace(picture, components=wide))
    parts = pack(data)
    assert parts[0][1][4] == 0
    assert parts[0][0].extension is None
    (frame,) = feed(JpegDepacketizer(FORMAT), parts)
    assert same(frame.data, data)


def test_tables_sent_once_are_meant_by_their_q() -> None:
    """RFC 2435 3.1.8: Q from 128 to 254 with a length of 0."""
    data = make_jpeg(640, 360)
    once, meant = [], []
    for number, (head, payload) in enumerate(pack(data)):
        own = payload[:5] + b"\x80" + payload[6:]
        once.append((head, own))
        meant.append((head, own if number else own[:8] + b"\0\0\0\0" + own[140:]))
    joiner = JpegDepacketizer(FORMAT)
    (first,) = feed(joiner, once)
    (second,) = feed(joiner, meant)
    assert same(first.data, data)
    assert same(second.data, data)
    (unknown,) = feed(JpegDepacketizer(FORMAT), meant)
    assert unknown.damaged


# ---- the extension of ONVIF ----------------------------------------------------------------------


@pytest.mark.covers("S-JPEG-extension")
@pytest.mark.parametrize(
    ("width", "height", "pixels", "huffman"),
    [
        (2560, 1440, "yuvj420p", "default"),
        (642, 362, "yuvj420p", "default"),
        (640, 360, "yuvj420p", "optimal"),
        (640, 360, "yuvj444p", "default"),
        (640, 360, "yuvj422p", "default"),
    ],
)
def test_what_does_not_fit_travels_in_the_extension(width: int, height: int, pixels: str, huffman: str) -> None:
    data = make_jpeg(width, height, pixels, huffman=huffman)
    parts = pack(data)
    head, payload = parts[0]
    assert head.extension is not None
    word, segments = head.extension
    assert word == FIRST
    headers = jpeg.Headers()
    assert headers.read(segments) == len(segments), "nothing behind SOS"
    assert (headers.width, headers.height) == (width, height)
    assert headers.scanned
    fits = max(width, height) <= 2040
    assert tuple(payload[6:8]) == ((-(-width // 8), -(-height // 8)) if fits else (0, 0))
    assert all(each[0].extension is None for each in parts[1:])
    joiner = JpegDepacketizer(FORMAT)
    (frame,) = feed(joiner, parts)
    assert same(frame.data, data)
    assert (show(frame.data) == show(data)).all()
    assert (joiner.format.width, joiner.format.height) == (width, height)


def test_headers_longer_than_a_packet_go_on_in_the_next() -> None:
    data = make_jpeg(2560, 1440)
    parts = pack(data, mtu=400)
    words = [head.extension[0] for head, _ in parts if head.extension is not None]
    assert words[0] == FIRST
    assert set(words[1:]) == {FURTHER}
    assert len(words) > 1
    for head, payload in parts:
        assert 12 + (4 + len(head.extension[1]) if head.extension else 0) + len(payload) <= 400
    # 5.1.4.1: a whole RTP/JPEG header in the first packet, with tables, and offset 0 with the first data
    assert len(parts[0][1]) == 140
    assert all(not payload for _, payload in parts[1 : len(words)])
    (frame,) = feed(JpegDepacketizer(FORMAT), parts)
    assert same(frame.data, data)


@pytest.mark.parametrize("size", [(2560, 1440), (640, 360), (32, 32)])
def test_replay_extension_comes_first(size: tuple[int, int]) -> None:
    """Streaming 6.3.2; the last packet may have another one, also where it is the first."""
    data = make_jpeg(*size)
    unit = AccessUnit(0, UTC, 0, True, data)
    begin, last = (
        replay_extension(UTC, clean=True, end=terminal, discontinuity=False, terminal=terminal, cseq=3)
        for terminal in (False, True)
    )
    parts = packets(packer().pack(unit, begin, last))
    extension = parts[0][0].extension
    assert extension is not None
    told = parse_replay_extension(extension)
    assert told is not None
    assert told.ntp == utc_to_ntp(UTC)
    assert told.terminal == (len(parts) == 1)
    found = extension_of(*extension)
    assert (found is not None) == (size[0] > 2040)
    if found is not None:
        assert found[0] == FIRST
        assert len(extension[1]) == 12 + 4 + len(found[1])
    ending = parse_replay_extension(parts[-1][0].extension)
    assert ending is not None
    assert ending.terminal
    (frame,) = feed(JpegDepacketizer(FORMAT), parts)
    assert same(frame.data, data)


def test_one_packet_with_both_extensions_and_an_end() -> None:
    picture = jpeg.parse(make_jpeg(32, 32))
    data = jpeg.build(replace(picture, width=30, height=30))
    last = replay_extension(UTC, clean=True, end=True, discontinuity=False, terminal=True, cseq=3)
    first = replay_extension(UTC, clean=True, end=False, discontinuity=False, terminal=False, cseq=3)
    parts = packets(packer().pack(AccessUnit(0, UTC, 0, True, data), first, last))
    assert len(parts) == 1
    told = parse_replay_extension(parts[0][0].extension)
    assert told is not None
    assert told.terminal
    (frame,) = feed(JpegDepacketizer(FORMAT), parts)
    assert jpeg.size_of(frame.data) == (30, 30)


def test_what_a_picture_leaves_out_is_that_of_the_last_one() -> None:
    """5.1.4.2: size and tables of the previous frame; an extension without SOF, with sizes of zero."""
    data = make_jpeg(2560, 1440, huffman="optimal")
    joiner = JpegDepacketizer(FORMAT)
    feed(joiner, pack(data))
    short = []
    for number, (head, payload) in enumerate(pack(data, 3000)):
        own = payload
        if not number:
            head = head._replace(extension=(FIRST, b""))
            own = payload[:5] + b"\0" + payload[6:8] + payload[140:]  # Q 0: no tables
        else:
            own = payload[:5] + b"\0" + payload[6:]
        short.append((head, own))
    (frame,) = feed(joiner, short)
    assert same(frame.data, data)
    (nothing,) = feed(JpegDepacketizer(FORMAT), short)
    assert nothing.damaged


def test_foreign_extensions_are_none_of_ours() -> None:
    assert extension_of(0xBEDE, b"\xff\xd8\0\0") is None
    assert extension_of(0xABAC, bytes(12)) is None
    assert extension_of(0xABAC, bytes(12) + b"\xff\xd8\0\2abcd") == (FIRST, b"abcd")


# ---- loss and hostile input ----------------------------------------------------------------------


def test_a_lost_packet_costs_its_picture_only() -> None:
    data = make_jpeg(640, 360)
    joiner = JpegDepacketizer(FORMAT)
    parts = pack(data)
    assert not feed(joiner, parts[:2])
    (broken,) = feed(joiner, parts[3:], contiguous=False)
    assert broken.damaged
    assert joiner.damaged == 1
    (frame,) = feed(joiner, pack(data, 3000))
    assert not frame.damaged
    assert frame.rtp_time == 3000


def test_joining_in_the_middle_and_a_marker_that_was_lost() -> None:
    data = make_jpeg(640, 360)
    joiner = JpegDepacketizer(FORMAT)
    first, second = pack(data), pack(data, 3000)
    assert [frame.damaged for frame in feed(joiner, first[1:])] == [True]
    unmarked = [(head._replace(marker=False), payload) for head, payload in first]
    frames = feed(joiner, unmarked) + feed(joiner, second)
    assert [(frame.rtp_time, frame.damaged) for frame in frames] == [(0, False), (3000, False)]


def test_end_of_image_may_be_sent() -> None:
    data = make_jpeg(640, 360)
    parts = pack(data)
    parts[-1] = (parts[-1][0], parts[-1][1] + b"\xff\xd9\0\0")
    (frame,) = feed(JpegDepacketizer(FORMAT), parts)
    assert same(frame.data, data)


def test_a_picture_without_end_is_given_up() -> None:
    joiner = JpegDepacketizer(FORMAT)
    head = struct.pack(">BBHBBBB", 0, 0, 0, 1, 50, 80, 45)
    for _ in range(200):
        assert not joiner.feed(head + bytes(60_000), False, 0, True)
    assert joiner._size <= jpeg.MAX_PICTURE
    assert not joiner._parts
    (frame,) = joiner.feed(head, True, 0, True)
    assert frame.damaged


@pytest.mark.parametrize(("content", "count"), [(b"", 150_000), (b"\xff" * 60_000, 200)])
@pytest.mark.parametrize("behind", [False, True])
def test_a_picture_of_extensions_alone_is_given_up(content: bytes, count: int, behind: bool) -> None:
    """Whether they stand in front of the data or behind it."""
    joiner = JpegDepacketizer(FORMAT)
    if behind:
        joiner.feed(struct.pack(">BBHBBBB", 0, 0, 0, 1, 50, 2, 2) + b"x", False, 7, True)
    for number in range(count):
        joiner.extend(FURTHER if number or behind else FIRST, content)
        assert not joiner.feed(b"", False, 7, True)
    assert len(joiner._front) <= MAX_EXTENSION
    assert joiner._size <= jpeg.MAX_PICTURE
    assert len(joiner._parts) <= jpeg.MAX_PICTURE // PART
    assert joiner.feed(b"", True, 7, True)[-1].damaged


def test_what_is_no_picture_is_not_packed() -> None:
    for data in (b"", b"\xff\xd8\xff\xd9", make_jpeg(640, 360)[2:]):
        with pytest.raises(InvalidArgument):
            pack(data)
    with pytest.raises(InvalidArgument, match="do not fit"):
        pack(make_jpeg(640, 360), mtu=128)


def test_depacketizer_of_the_format() -> None:
    assert isinstance(depacketizer(FORMAT), JpegDepacketizer)


@st.composite
def pictures(draw: st.DrawFn) -> jpeg.Picture:
    """Anything that is a baseline picture by its headers."""
    count = draw(st.sampled_from([1, 3, 3, 3]))
    samplings = draw(
        st.sampled_from(
            [((2, 2), (1, 1), (1, 1)), ((2, 1), (1, 1), (1, 1)), ((1, 1), (1, 1), (1, 1)), ((4, 1), (1, 1), (1, 2))]
        )
    )
    wide = draw(st.booleans())
    own = [draw(st.binary(min_size=128 if wide else 64, max_size=128 if wide else 64)) for _ in range(2)]
    tables = draw(st.sampled_from([jpeg.tables_of_quality(q) for q in (1, 20, 80)] + [tuple(own)]))
    codes = draw(st.binary(min_size=1, max_size=12))
    huffman = bytes((len(codes),)) + bytes(15) + codes
    dc = draw(st.sampled_from([jpeg.STANDARD_DC, (huffman, huffman), (jpeg.DC_LUMINANCE, huffman)]))
    ac = draw(st.sampled_from([jpeg.STANDARD_AC, (huffman, jpeg.AC_CHROMINANCE)]))
    scan = draw(st.binary(min_size=1, max_size=6000)).replace(b"\xff", b"\xff\0")
    chosen = [min(index, 1) for index in range(count)]
    return jpeg.Picture(
        width=draw(st.integers(1, 5000)),
        height=draw(st.integers(1, 5000)),
        components=tuple(
            jpeg.Component(index + 1, across, down, min(index, 1), min(index, 1), min(index, 1))
            for index, (across, down) in enumerate(samplings[:count])
        ),
        quantization=tuple(tables[index] for index in chosen),
        dc=tuple(dc[index] for index in chosen),
        ac=tuple(ac[index] for index in chosen),
        restart=draw(st.sampled_from([0, 0, 1, 40, 65535])),
        scan=scan,
        aspect=draw(st.sampled_from([(1, 1), (2, 1), (12, 11)])),
    )


@given(st.lists(pictures(), min_size=1, max_size=4), st.integers(450, 1500), st.booleans())
@settings(deadline=None)
def test_pictures_arrive_as_they_left(sent: list[jpeg.Picture], mtu: int, replayed: bool) -> None:
    joiner = JpegDepacketizer(FORMAT)
    sender = packer(mtu)
    extension = replay_extension(UTC, clean=True, end=False, discontinuity=False, terminal=False, cseq=1)
    for number, picture in enumerate(sent):
        data = jpeg.build(picture)
        unit = sender.pack(AccessUnit(0, UTC, number * 3000, True, data), extension if replayed else b"")
        parts = packets(unit)
        sizes = [end - start - 4 for start, end in itertools.pairwise((*unit.starts, len(unit.data)))]
        assert max(sizes) <= mtu
        (frame,) = feed(joiner, parts)
        assert not frame.damaged
        got = jpeg.parse(frame.data)
        want = picture
        if picture.aspect[0] == picture.aspect[1]:
            want = replace(want, aspect=(1, 1))
        assert replace(got, components=()) == replace(want, components=())
        assert [(c.horizontal, c.vertical) for c in got.components] == [
            (c.horizontal, c.vertical) for c in picture.components
        ]


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=200),
            st.booleans(),
            st.integers(0, 3),
            st.booleans(),
            st.one_of(st.none(), st.tuples(st.sampled_from([FIRST, FURTHER, 0xABAC, 1]), st.binary(max_size=80))),
        ),
        max_size=30,
    )
)
def test_garbage_is_damage_and_nothing_else(
    parts: list[tuple[bytes, bool, int, bool, tuple[int, bytes] | None]],
) -> None:
    joiner = JpegDepacketizer(FORMAT)
    for payload, marker, rtp_time, contiguous, extension in parts:
        if extension is not None:
            joiner.extend(*extension)
        for frame in joiner.feed(payload, marker, rtp_time, contiguous):
            assert frame.damaged or frame.data


@given(st.data())
@settings(deadline=None)
def test_flipped_bytes_are_damage_or_another_picture(data: st.DataObject) -> None:
    parts = pack(make_jpeg(2560, 1440, huffman="optimal"))[:4]
    joiner = JpegDepacketizer(FORMAT)
    for head, payload in parts:
        body = bytearray(payload)
        extension = head.extension
        if extension is not None:
            segments = bytearray(extension[1])
            for _ in range(data.draw(st.integers(0, 3))):
                segments[data.draw(st.integers(0, len(segments) - 1))] = data.draw(st.integers(0, 255))
            joiner.extend(extension[0], bytes(segments))
        body[data.draw(st.integers(0, min(150, len(body)) - 1))] = data.draw(st.integers(0, 255))
        for frame in joiner.feed(bytes(body), data.draw(st.booleans()), 0, True):
            if not frame.damaged:
                jpeg.parse(frame.data)


def test_a_marker_amidst_the_scan_is_damage() -> None:
    """Found by a search: such a picture was given as whole, and could not be sent again."""
    joiner = JpegDepacketizer(FORMAT)
    found: list[Frame] = []
    parts = pack(make_jpeg(320, 240))
    for number, (head, payload) in enumerate(parts):
        body = bytearray(payload)
        if number == 1:
            body[100:102] = b"\xff\x84"
        if head.extension is not None:
            joiner.extend(*head.extension)
        found += joiner.feed(bytes(body), number == len(parts) - 1, 0, True)
    assert [frame.damaged for frame in found] == [True]


def test_the_pattern_can_be_told_by_its_colours() -> None:
    shown = show(make_jpeg(2560, 1440))
    assert abs(int(shown[100, 100, 0]) - int(pattern(16, 32)[0, 0, 0])) < 30
    assert shown[100, 100, 1] < 60
