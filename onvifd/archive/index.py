"""The index of the archive: one row per segment with a packed table of its fragments, and what keeps the rows.

The files are the truth: every row can be rebuilt from its file (`archive.recovery`).
"""

from __future__ import annotations

import base64
import itertools
import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag, StrEnum
from functools import lru_cache
from typing import Any, Protocol

from onvifd.archive.tracks import TrackNumbers
from onvifd.errors import InvalidArgument
from onvifd.media.types import Codec, Kind, TrackFormat


class SegmentState(StrEnum):
    """`OPEN` is being written, `CLOSED` ended in order, `RECOVERED` was completed from its file after a crash."""

    OPEN = "open"
    CLOSED = "closed"
    RECOVERED = "recovered"


class EndReason(StrEnum):
    """Why a segment ended."""

    NONE = ""
    """It is still open."""
    TIME = "time"
    """Its minute is over and footage continues in the next segment."""
    FORMAT = "format"
    """The format of a track changed."""
    LOSS = "loss"
    """Frames are missing in it; footage continues in the next segment."""
    CLOCK = "clock"
    """The clock jumped; footage continues in a segment with the new time."""
    VOLUME = "volume"
    """Another volume is to be used, or this one failed: footage continues there."""
    GAP = "gap"
    """No more frames came, or none that could be decoded."""
    OVERLOAD = "overload"
    """Frames were dropped because the disk was too slow."""
    DISK = "disk"
    """The disk failed or is full."""
    FAULT = "fault"
    """A defect of the recorder itself; recording was begun anew."""
    PAUSE = "pause"
    """Recording was switched off."""
    STOP = "stop"
    """The recorder was stopped."""
    CRASH = "crash"
    """It was found open at start."""

    @property
    def continues(self) -> bool:
        """Whether footage goes on at once in another segment, which may not be in the index yet."""
        return self in (EndReason.TIME, EndReason.FORMAT, EndReason.LOSS, EndReason.CLOCK, EndReason.VOLUME)


class FragmentFlag(IntFlag):
    """What a fragment holds. The kind bits are also those of `SegmentRow.kinds`."""

    VIDEO = 1
    AUDIO = 2
    METADATA = 4
    CLEAN = 16
    """Its first video frame (or, without video, its first unit) is a clean point."""
    SILENT = 32
    """All of its metadata documents say nothing."""


EMPTY_DOCUMENT = b'<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema"/>'
"""A metadata document that says nothing. Recordings have one where a second has no other. What is not longer than this has no
room for anything but its root."""

KIND_FLAGS: dict[Kind, FragmentFlag] = {
    Kind.VIDEO: FragmentFlag.VIDEO,
    Kind.AUDIO: FragmentFlag.AUDIO,
    Kind.METADATA: FragmentFlag.METADATA,
}

KIND_MASK = FragmentFlag.VIDEO | FragmentFlag.AUDIO | FragmentFlag.METADATA

NO_KIND = FragmentFlag(0)


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment (prft, moof and mdat) of a segment.

    `offset` and `size` are bytes in the file. `start` is the time of the first video sample, or of the earliest sample if
    there is no video, in microseconds UTC; `duration` is microseconds to the end of the last one. Other tracks may reach
    a little over both ends.
    """

    offset: int
    size: int
    start: int
    duration: int
    flags: FragmentFlag

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def clean(self) -> bool:
        return bool(self.flags & FragmentFlag.CLEAN)


_ENTRY = struct.Struct(">QIqIHxx")
"""offset, size, start, duration, flags: 28 bytes."""

FRAGMENT_BYTES = _ENTRY.size
_COMPACT = 1
"""First byte of a table of `compact_fragments`."""
_MOST_EXPANDED = 4 << 20


def pack_fragments(fragments: Iterable[Fragment]) -> bytes:
    """The table as the catalogue stores it."""
    return b"".join(_ENTRY.pack(f.offset, f.size, f.start, f.duration, f.flags) for f in fragments)


def compact_fragments(table: bytes) -> bytes:
    """The table of a segment that grows no more, at about a sixth of the size; one that is compact already stays as it is.

    Fragments follow each other without holes, and are of nearly the same length: differences are kept, by column, as numbers
    of variable length, and deflated. The first byte is the version; that of a plain table is 0, as it begins with an offset.
    """
    if not table or table[0] == _COMPACT:
        return table
    columns: tuple[list[int], ...] = ([], [], [], [], [])
    at = then = length = 0
    for each in unpack_fragments(table):
        values = (each.offset - at, each.start - then, each.duration - length, each.flags, each.size)
        for column, value in zip(columns, values, strict=True):
            column.append(value)
        at, then, length = each.offset + each.size, each.end, each.duration
    made = bytearray()
    for value in itertools.chain.from_iterable(columns):
        # Zigzag: small numbers of either sign are short.
        rest = value << 1 if value >= 0 else (-value << 1) - 1
        while rest > 0x7F:
            made.append(rest & 0x7F | 0x80)
            rest >>= 7
        made.append(rest)
    return bytes((_COMPACT,)) + zlib.compress(bytes(made), 9, -zlib.MAX_WBITS)


def _expand(table: bytes) -> tuple[Fragment, ...]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(table[1:], _MOST_EXPANDED)
    except zlib.error as error:
        raise InvalidArgument("fragment table cannot be read") from error
    values = []
    rest = shift = 0
    for byte in plain:
        rest |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(rest >> 1 if not rest & 1 else -((rest + 1) >> 1))
            rest = shift = 0
    count, left = divmod(len(values), 5)
    if not inflate.eof or left or shift:
        raise InvalidArgument("fragment table has a bad length")
    found = []
    at = then = length = 0
    for number in range(count):
        gap, start, longer, flags, size = values[number::count]
        length += longer
        found.append(Fragment(at + gap, size, then + start, length, FragmentFlag(flags)))
        at, then = at + gap + size, then + start + length
    return tuple(found)


def unpack_fragments(table: bytes) -> tuple[Fragment, ...]:
    """The reverse of `pack_fragments` and `compact_fragments`. Raises InvalidArgument for a table that was cut."""
    if table[:1] == bytes((_COMPACT,)):
        return _expand(table)
    if len(table) % FRAGMENT_BYTES:
        raise InvalidArgument("fragment table has a bad length")
    return tuple(
        Fragment(offset, size, start, duration, FragmentFlag(flags))
        for offset, size, start, duration, flags in _ENTRY.iter_unpack(table)
    )


def encode_formats(formats: Iterable[TrackFormat]) -> str:
    """Track formats as compact JSON text."""
    return json.dumps(
        [
            {
                "codec": each.codec.value,
                "rate": each.clock_rate,
                "sets": [base64.b64encode(nal).decode() for nal in each.parameter_sets],
                "config": base64.b64encode(each.config).decode(),
                "width": each.width,
                "height": each.height,
                "channels": each.channels,
            }
            for each in formats
        ],
        separators=(",", ":"),
    )


@lru_cache(maxsize=1024)
def decode_formats(text: str) -> tuple[TrackFormat, ...]:
    """The reverse of `encode_formats`. Raises InvalidArgument for anything else."""
    try:
        entries: list[dict[str, Any]] = json.loads(text)
        return tuple(
            TrackFormat(
                codec=Codec(each["codec"]),
                clock_rate=int(each["rate"]),
                parameter_sets=tuple(base64.b64decode(nal) for nal in each["sets"]),
                config=base64.b64decode(each["config"]),
                width=int(each["width"]),
                height=int(each["height"]),
                channels=int(each["channels"]),
            )
            for each in entries
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidArgument("track formats of a segment cannot be read") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """One segment file.

    `id` is given by the store (0 before). `path` is relative to the volume, with `/`. `start` and `end` are microseconds UTC
    of the first sample and of the end of the last (`end` == `start` while nothing is written). `size` is bytes of the
    file. `fragments` is the packed table (`unpack_fragments`). `kinds` has the bits of the kinds of track with data.
    A `copy` is the second one on a redundant volume: it takes space and is kept like others, but playback passes over it.
    While `state` is open, `end`, `size`, `kinds` and `fragments` may lag behind the file.
    """

    id: int = 0
    recording: str
    volume: str
    path: str
    start: int
    end: int
    size: int
    formats: tuple[TrackFormat, ...]
    fragments: bytes = b""
    kinds: FragmentFlag = NO_KIND
    copy: bool = False
    state: SegmentState = SegmentState.OPEN
    end_reason: EndReason = EndReason.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentChange:
    """What grew in a segment: the new values of these columns (the whole fragment table)."""

    end: int
    size: int
    kinds: FragmentFlag
    fragments: bytes


def merged(
    stretches: Iterable[tuple[int, int]], start: int, end: int, tolerance: int = 0
) -> tuple[tuple[int, int], ...]:
    """Stretches of time, given in order of start, cut to `start` and `end` and joined where at most `tolerance` apart."""
    found: list[tuple[int, int]] = []
    low = high = start
    # A month has tens of thousands: what is not at either end is only compared.
    for first, last in stretches:
        if first >= end:
            break
        if first - high <= tolerance and low < high:
            if last > high:
                high = last
            continue
        first = max(first, start)
        if first >= last:
            continue
        if low < high:
            found.append((low, high))
        low, high = first, last
    if low < high:
        found.append((low, min(high, end)))
    return tuple(found)


class SegmentRows(Protocol):
    """Where a recording tells of its segments: the part of `SegmentStore` that writers need."""

    def insert_segment(self, row: SegmentRow) -> int: ...

    def update_segment(self, segment: int, change: SegmentChange) -> None: ...

    def close_segment(self, segment: int, change: SegmentChange, *, state: SegmentState, reason: EndReason) -> None: ...


class SegmentStore(Protocol):
    """Keeper of segment rows. Methods are synchronous and thread-safe; they are called in threads.

    Errors of the database are raised as Unavailable. Methods that name a segment by an id that is gone do nothing
    (retention may have deleted it).
    """

    def insert_segment(self, row: SegmentRow) -> int:
        """Store a new row and give its id; `row.id` is ignored. A row with the same volume and path is replaced."""
        ...

    def update_segment(self, segment: int, change: SegmentChange) -> None:
        """A fragment was added (about once a second per open segment). May be lost in a crash: the file is the truth."""
        ...

    def update_segments(self, changes: Mapping[int, SegmentChange]) -> None:
        """`update_segment` for many, in one transaction."""
        ...

    def close_segment(self, segment: int, change: SegmentChange, *, state: SegmentState, reason: EndReason) -> None:
        """The last change of a segment."""
        ...

    def delete_segment(self, segment: int) -> None: ...

    def delete_segments(self, segments: Sequence[int]) -> None:
        """`delete_segment` for many, in one transaction."""
        ...

    def segments_between(self, recording: str, start: int, end: int, limit: int = 100) -> tuple[SegmentRow, ...]:
        """At most `limit` segments in order of start with `row.start < end` that end after `start`, copies left out.

        Open segments count as ending in the future.
        """
        ...

    def segment_at(self, recording: str, utc: int) -> SegmentRow | None:
        """The last segment with `row.start <= utc`; it may end before `utc`. No copy."""
        ...

    def segments_at(self, recordings: Sequence[str], utc: int) -> dict[str, SegmentRow]:
        """`segment_at` for many recordings at once, by recording; those without are left out."""
        ...

    def segment_after(self, recording: str, utc: int) -> SegmentRow | None:
        """The first segment with `row.start > utc` that is no copy."""
        ...

    def unlike_before(self, row: SegmentRow) -> SegmentRow | None:
        """The last segment that begins before `row` and has other formats or other kinds of data. No copy. May look at all rows
        in between."""
        ...

    def unlike_after(self, row: SegmentRow) -> SegmentRow | None:
        """The same for the first one that begins after it."""
        ...

    def recording_times(self, recording: str) -> tuple[int, int] | None:
        """Least start and greatest end of a recording's segments that hold data and are no copies."""
        ...

    def track_times(self, recording: str) -> dict[Kind, tuple[int, int]]:
        """The same per kind of track, by `row.kinds`; kinds without data are left out."""
        ...

    def encoding_times(self, recording: str) -> dict[Codec, tuple[int, int]]:
        """The same per encoding. Looks at all rows of the recording: to be asked only where a kind has several."""
        ...

    def formats(self, recording: str) -> tuple[TrackFormat, ...]:
        """All formats of tracks that hold data, those of the newest footage first. Looks at all rows of the recording."""
        ...

    def track_numbers(self, recording: str) -> TrackNumbers:
        """The encodings that the recording has had, by which its tracks are numbered."""
        ...

    def all_times(self) -> dict[str, dict[Kind, tuple[int, int]]]:
        """`track_times` of all recordings that hold data, at once."""
        ...

    def covered(self, recording: str, start: int, end: int, tolerance: int = 0) -> tuple[tuple[int, int], ...]:
        """The stretches of time that are recorded, in order and within `start` and `end`; copies are left out.

        Stretches that are no more than `tolerance` microseconds apart are one. The times are those of the index: tables of
        fragments are not read, and an open segment ends where its row says.
        """
        ...

    def timelines(
        self, recordings: Sequence[str], start: int, end: int, tolerance: int = 0
    ) -> dict[str, tuple[tuple[int, int], ...]]:
        """`covered` of several recordings at once."""
        ...

    def calendar(self, recording: str, days: Sequence[tuple[int, int]]) -> tuple[bool, ...]:
        """For each day, given by its start and end, whether something is recorded in it; copies are left out."""
        ...

    def recorded(self) -> tuple[str, ...]:
        """Tokens of all recordings that have segments, sorted."""
        ...

    def open_segments(self) -> tuple[SegmentRow, ...]:
        """All rows whose state is open, of all recordings."""
        ...

    def segment_by_path(self, volume: str, path: str) -> SegmentRow | None: ...

    def volume_segments(self, volume: str, after: int = 0, limit: int = 1000) -> tuple[SegmentRow, ...]:
        """Segments on a volume in order of id, those with `id > after`, for walking all of them in steps."""
        ...

    def oldest_segments(
        self,
        volume: str | None,
        limit: int,
        *,
        recording: str | None = None,
        before: int | None = None,
        locks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    ) -> tuple[SegmentRow, ...]:
        """The oldest segments on a volume (None: all) that are not open, in order of start; copies count.

        `recording` chooses one, `before` those that end before that time. `locks` has by recording stretches of time (start,
        end) of which no segment is wanted that overlaps them.
        """
        ...

    def recording_bytes(self, recording: str) -> int:
        """Sum of `size` over all segments of a recording."""
        ...

    def volume_bytes(self, volume: str) -> int:
        """Sum of `size` over all segments on a volume."""
        ...
