"""Fragmented MP4: reading back what `media.mp4` builds, with every length checked.

Nothing here trusts the file: a box that reaches over its parent, a table that is longer than its box and a sample outside
`mdat` raise InvalidArgument.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from onvifd.clock import US, ntp_to_utc
from onvifd.errors import InvalidArgument
from onvifd.media import mp4, nal
from onvifd.media.types import Codec, TrackFormat

Buffer = bytes | memoryview

MAX_MOOV = 1 << 20
"""Most bytes of a `moov` that is read."""
MAX_MOOF = 1 << 22
"""Most bytes of a `moof` that is read: 250,000 samples."""
_MAX_SAMPLES = 250_000


class Box(NamedTuple):
    """A box in a buffer: offsets of its header, its payload and its end."""

    kind: bytes
    start: int
    body: int
    end: int


def boxes(data: Buffer, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes between two offsets. Raises InvalidArgument where a size does not fit."""
    stop = len(data) if end is None else end
    while start < stop:
        found = box_at(data, start, stop)
        yield found
        start = found.end


def box_at(data: Buffer, start: int, stop: int) -> Box:
    """The box that begins at an offset."""
    if stop - start < 8:
        raise InvalidArgument("box header is cut")
    size, kind = struct.unpack_from(">I4s", data, start)
    body = start + 8
    if size == 1:
        if stop - start < 16:
            raise InvalidArgument("box header is cut")
        (size,) = struct.unpack_from(">Q", data, body)
        body += 8
    if size < body - start or start + size > stop:
        raise InvalidArgument("box size does not fit")
    return Box(kind, start, body, start + size)


def _children(data: Buffer, parent: Box, skip: int = 0) -> dict[bytes, Box]:
    """Children by kind, the first of each."""
    found: dict[bytes, Box] = {}
    for each in boxes(data, parent.body + skip, parent.end):
        found.setdefault(each.kind, each)
    return found


def _child(data: Buffer, parent: Box, *path: bytes) -> Box:
    for kind in path:
        child = _children(data, parent).get(kind)
        if child is None:
            raise InvalidArgument(f"box {kind.decode('latin-1')} is missing")
        parent = child
    return parent


def _unpack(layout: str, data: Buffer, parent: Box, skip: int = 0) -> tuple[int, ...]:
    """Numbers from a box's payload."""
    if parent.body + skip + struct.calcsize(layout) > parent.end:
        raise InvalidArgument("box is too short")
    return struct.unpack_from(layout, data, parent.body + skip)


# ---- moov ------------------------------------------------------------------------------------------


def parse_init(data: Buffer) -> tuple[TrackFormat, ...]:
    """Formats of the tracks in a buffer with `ftyp` and `moov`, in order of track_ID from 1."""
    moov = next((each for each in boxes(data) if each.kind == b"moov"), None)
    if moov is None:
        raise InvalidArgument("file has no moov")
    formats: dict[int, TrackFormat] = {}
    for trak in boxes(data, moov.body, moov.end):
        if trak.kind == b"trak":
            (number,) = _unpack(">I", data, _child(data, trak, b"tkhd"), 12)
            formats[number] = _format(data, _child(data, trak, b"mdia"))
    if sorted(formats) != list(range(1, len(formats) + 1)) or not formats:
        raise InvalidArgument("track numbers are not 1, 2, ...")
    return tuple(formats[number] for number in sorted(formats))


_SOUND = {b"ulaw": Codec.PCMU, b"alaw": Codec.PCMA, b"mp4a": Codec.AAC, b"Opus": Codec.OPUS}


def _format(data: Buffer, mdia: Box) -> TrackFormat:
    (rate,) = _unpack(">I", data, _child(data, mdia, b"mdhd"), 12)
    stsd = _child(data, mdia, b"minf", b"stbl", b"stsd")
    entry = next(boxes(data, stsd.body + 8, stsd.end), None)
    if entry is None:
        raise InvalidArgument("stsd is empty")
    if entry.kind in (b"avc1", b"hvc1"):
        return _video_format(data, entry)
    if entry.kind == b"mp4v":
        width, height = _unpack(">HH", data, entry, 24)
        config = _specific_config(data, entry, 78)
        return TrackFormat(codec=Codec.MPEG4, clock_rate=90_000, config=config, width=width, height=height)
    if entry.kind == b"jpeg":
        width, height = _unpack(">HH", data, entry, 24)
        return TrackFormat(codec=Codec.JPEG, clock_rate=90_000, width=width, height=height)
    if entry.kind in _SOUND:
        (channels,) = _unpack(">H", data, entry, 16)
        codec = _SOUND[entry.kind]
        config = _specific_config(data, entry, 28) if codec is Codec.AAC else b""
        return TrackFormat(codec=codec, clock_rate=rate, config=config, channels=channels)
    if entry.kind == b"metx":
        return TrackFormat(codec=Codec.METADATA, clock_rate=90_000)
    raise InvalidArgument("sample entry is unknown")


def _video_format(data: Buffer, entry: Box) -> TrackFormat:
    width, height = _unpack(">HH", data, entry, 24)
    codec, kind = (Codec.H264, b"avcC") if entry.kind == b"avc1" else (Codec.H265, b"hvcC")
    found = _children(data, entry, 78).get(kind)
    if found is None:
        raise InvalidArgument("decoder configuration is missing")
    record = bytes(data[found.body : found.end])
    sets = _avc_sets(record) if codec is Codec.H264 else _hevc_sets(record)
    return TrackFormat(codec=codec, clock_rate=90_000, parameter_sets=sets, width=width, height=height)


def _avc_sets(record: bytes) -> tuple[bytes, ...]:
    """NAL units of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1.2)."""
    sets: list[bytes] = []
    position = 5
    for mask in (0x1F, 0xFF):
        if position >= len(record):
            raise InvalidArgument("avcC is cut")
        count = record[position] & mask
        position = _take(record, position + 1, count, sets)
    return tuple(sets)


def _hevc_sets(record: bytes) -> tuple[bytes, ...]:
    """NAL units of an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1.2)."""
    if len(record) < 23:
        raise InvalidArgument("hvcC is cut")
    sets: list[bytes] = []
    position = 23
    for _ in range(record[22]):
        if position + 3 > len(record):
            raise InvalidArgument("hvcC is cut")
        count = int.from_bytes(record[position + 1 : position + 3], "big")
        position = _take(record, position + 3, count, sets)
    # VPS, SPS, PPS: their type numbers grow in that order (H.265 table 7-1)
    return tuple(sorted(sets, key=lambda unit: unit[0] >> 1))


def _take(record: bytes, position: int, count: int, sets: list[bytes]) -> int:
    for _ in range(count):
        size = int.from_bytes(record[position : position + 2], "big")
        position += 2 + size
        if not size or position > len(record):
            raise InvalidArgument("parameter set does not fit")
        sets.append(record[position - size : position])
    return position


def _specific_config(data: Buffer, entry: Box, fixed: int) -> bytes:
    """DecoderSpecificInfo out of `esds`; `fixed` is the length of the fields of the sample entry before its boxes."""
    found = _children(data, entry, fixed).get(b"esds")
    if found is None:
        raise InvalidArgument("esds is missing")
    record = bytes(data[found.body + 4 : found.end])
    body = _descriptor(record, 3)[3:]
    return _descriptor(_descriptor(body, 4)[13:], 5)


def _descriptor(record: bytes, tag: int) -> bytes:
    size, position = 0, 1
    if not record or record[0] != tag:
        raise InvalidArgument("descriptor is missing")
    for _ in range(4):
        if position >= len(record):
            raise InvalidArgument("descriptor is cut")
        byte = record[position]
        size, position = size << 7 | byte & 0x7F, position + 1
        if not byte & 0x80:
            break
    if position + size > len(record):
        raise InvalidArgument("descriptor does not fit")
    return record[position : position + size]


# ---- fragments -------------------------------------------------------------------------------------


class SampleRef(NamedTuple):
    """A sample in a fragment. `offset` counts from the start of the fragment's buffer; `utc` is its capture time."""

    utc: int
    track: int
    offset: int
    size: int
    key: bool


@dataclass(frozen=True, slots=True)
class ParsedRun:
    """One track's part of a fragment. `end` is the UTC at which its last sample ends."""

    track: int
    utc: int
    end: int
    samples: tuple[SampleRef, ...]


def parse_fragment(
    data: Buffer, formats: tuple[TrackFormat, ...], *, header_only: bool = False
) -> tuple[ParsedRun, ...]:
    """The runs of one fragment that fills `data` (prft, moof, mdat).

    With `header_only` the buffer ends behind `moof` and sample offsets are not held against `mdat`.
    """
    anchors: dict[int, tuple[int, int]] = {}
    moof: Box | None = None
    limit = 1 << 62 if header_only else 0
    for each in boxes(data):
        if each.kind == b"prft":
            track, utc, media_time = _reference(data, each)
            anchors[track] = (utc, media_time)
        elif each.kind == b"moof":
            moof = each
        elif each.kind == b"mdat":
            limit = each.end
    if moof is None:
        raise InvalidArgument("fragment has no moof")
    runs = []
    for traf in boxes(data, moof.body, moof.end):
        if traf.kind == b"traf":
            runs.append(_run(data, moof, traf, formats, anchors, limit))
    if not runs:
        raise InvalidArgument("fragment has no samples")
    return tuple(runs)


def _reference(data: Buffer, prft: Box) -> tuple[int, int, int]:
    version, track, ntp = _unpack(">B3xIQ", data, prft)
    (media_time,) = _unpack(">Q" if version else ">I", data, prft, 16)
    return track, ntp_to_utc(ntp), media_time


def _run(
    data: Buffer,
    moof: Box,
    traf: Box,
    formats: tuple[TrackFormat, ...],
    anchors: dict[int, tuple[int, int]],
    limit: int,
) -> ParsedRun:
    parts = _children(data, traf)
    if not {b"tfhd", b"tfdt", b"trun"} <= parts.keys():
        raise InvalidArgument("traf is not complete")
    flags, number = _unpack(">II", data, parts[b"tfhd"])
    if flags & 0xFFFFFF != mp4.TFHD_BASE_IS_MOOF or not 1 <= number <= len(formats) or number not in anchors:
        raise InvalidArgument("traf is not of a form that is written here")
    version, decode_time = _unpack(">B3xI", data, parts[b"tfdt"])
    if version == 1:
        (decode_time,) = _unpack(">Q", data, parts[b"tfdt"], 4)
    trun = parts[b"trun"]
    flags, count, offset = _unpack(">IIi", data, trun)
    wanted = mp4.TRUN_DATA_OFFSET | mp4.TRUN_DURATION | mp4.TRUN_SIZE | mp4.TRUN_FLAGS
    reordered = bool(flags & mp4.TRUN_COMPOSITION)
    if flags & 0xFFFFFF & ~mp4.TRUN_COMPOSITION != wanted or not 0 < count <= _MAX_SAMPLES:
        raise InvalidArgument("trun is not of a form that is written here")
    columns = 4 if reordered else 3
    table = _unpack(f">{count * columns}I", data, trun, 12)
    scale = mp4.timescale(formats[number - 1])
    anchor_utc, anchor = anchors[number]
    base = decode_time - anchor
    position = moof.start + offset
    if offset < moof.end - moof.start:
        raise InvalidArgument("samples lie outside of the fragment")
    samples: list[SampleRef] = []
    # The anchor lies behind a picture that is shown before the file's media time begins (mp4_edit).
    end = -(1 << 62)
    for row in range(0, count * columns, columns):
        duration, size, sample_flags = table[row : row + 3]
        presented = base + _signed(table[row + 3]) if reordered else base
        utc = anchor_utc + (presented if scale == US else presented * US // scale)
        samples.append(SampleRef(utc, number - 1, position, size, not sample_flags & mp4.NON_SYNC))
        position += size
        base += duration
        end = max(end, utc + (duration if scale == US else duration * US // scale))
    if position > limit:
        raise InvalidArgument("samples reach over mdat")
    return ParsedRun(number - 1, samples[0].utc, end, tuple(samples))


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


# ---- walking a file --------------------------------------------------------------------------------

ReadAt = Callable[[int, int], bytes]
"""`read(offset, size)` of a file; short at its end."""


@dataclass(frozen=True, slots=True)
class FoundFragment:
    """A complete fragment in a file."""

    offset: int
    size: int
    runs: tuple[ParsedRun, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """What a file holds up to the first thing that is not whole. `end` is the offset of that; `torn` is true if `end` is
    not the end of the file."""

    formats: tuple[TrackFormat, ...]
    fragments: tuple[FoundFragment, ...]
    end: int
    torn: bool


def read_init(read: ReadAt, size: int) -> tuple[tuple[TrackFormat, ...], int]:
    """Formats and the length of the head (`ftyp`, `moov`) of a file. Raises InvalidArgument."""
    position = 0
    while position < size:
        found = _file_box(read, position, size)
        if found.kind == b"moov":
            if found.end > MAX_MOOV:
                raise InvalidArgument("moov is too large")
            return parse_init(read(0, found.end)), found.end
        if found.kind != b"ftyp":
            break
        position = found.end
    raise InvalidArgument("file does not begin with ftyp and moov")


def walk_file(read: ReadAt, size: int) -> Walk:
    """Find all complete fragments from the start of a file. Raises InvalidArgument when it has no usable head."""
    formats, begin = read_init(read, size)
    fragments, end = walk_fragments(read, begin, size, formats)
    return Walk(formats, fragments, end, end != size)


def walk_fragments(
    read: ReadAt, begin: int, size: int, formats: tuple[TrackFormat, ...], limit: int = 1 << 20
) -> tuple[tuple[FoundFragment, ...], int]:
    """Complete fragments from an offset on, at most `limit`, and the offset behind the last."""
    found: list[FoundFragment] = []
    while begin < size and len(found) < limit:
        try:
            fragment = _next_fragment(read, begin, size, formats)
        except InvalidArgument:
            break
        found.append(fragment)
        begin += fragment.size
    return tuple(found), begin


def _next_fragment(read: ReadAt, begin: int, size: int, formats: tuple[TrackFormat, ...]) -> FoundFragment:
    position = begin
    moof: Box | None = None
    while True:
        each = _file_box(read, position, size)
        if each.kind == b"moof":
            moof = each
        elif each.kind == b"mdat" and moof is not None:
            break
        elif each.kind != b"prft" or moof is not None:
            raise InvalidArgument("box is out of place")
        if each.end - begin > MAX_MOOF:
            raise InvalidArgument("moof is too large")
        position = each.end
    runs = parse_fragment(read(begin, each.start - begin), formats, header_only=True)
    last = max(sample.offset + sample.size for run in runs for sample in run.samples)
    first = min(sample.offset for run in runs for sample in run.samples)
    if begin + first < each.body or begin + last > each.end:
        raise InvalidArgument("samples lie outside of mdat")
    return FoundFragment(begin, each.end - begin, runs)


def _file_box(read: ReadAt, position: int, size: int) -> Box:
    head = read(position, min(16, size - position))
    if len(head) < 8:
        raise InvalidArgument("box header is cut")
    length, kind = struct.unpack_from(">I4s", head)
    body = 8
    if length == 1:
        if len(head) < 16:
            raise InvalidArgument("box header is cut")
        (length,) = struct.unpack_from(">Q", head, 8)
        body = 16
    if length < body or position + length > size:
        raise InvalidArgument("box size does not fit")
    return Box(kind, position, position + body, position + length)


def samples_whole(read: ReadAt, fragment: FoundFragment, formats: tuple[TrackFormat, ...]) -> bool:
    """Whether the lengths inside the video samples add up.

    A power cut can leave zeros where data had not reached the disk, with all boxes in place.
    """
    data = read(fragment.offset, fragment.size)
    if len(data) != fragment.size:
        return False
    for run in fragment.runs:
        track = formats[run.track]
        if track.codec not in (Codec.H264, Codec.H265):
            continue
        for sample in run.samples:
            try:
                deque(nal.iterate(data[sample.offset : sample.offset + sample.size]), maxlen=0)
            except InvalidArgument:
                return False
    return True
