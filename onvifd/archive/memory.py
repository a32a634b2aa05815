"""Segment rows in memory, for tests and for tools that work on files alone."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Mapping, Sequence

from onvifd.archive.index import (
    KIND_FLAGS,
    EndReason,
    SegmentChange,
    SegmentRow,
    SegmentState,
    merged,
)
from onvifd.archive.tracks import TrackNumbers
from onvifd.media.types import Codec, Kind, TrackFormat


class MemorySegmentStore:
    """A `SegmentStore` without a database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[int, SegmentRow] = {}
        self._next = 1

    def insert_segment(self, row: SegmentRow) -> int:
        with self._lock:
            for known in [each for each in self._rows.values() if (each.volume, each.path) == (row.volume, row.path)]:
                del self._rows[known.id]
            number = self._next
            self._next += 1
            self._rows[number] = dataclasses.replace(row, id=number)
            return number

    def update_segment(self, segment: int, change: SegmentChange) -> None:
        with self._lock:
            self._change(segment, change)

    def update_segments(self, changes: Mapping[int, SegmentChange]) -> None:
        with self._lock:
            for segment, change in changes.items():
                self._change(segment, change)

    def close_segment(self, segment: int, change: SegmentChange, *, state: SegmentState, reason: EndReason) -> None:
        with self._lock:
            self._change(segment, change)
            if segment in self._rows:
                self._rows[segment] = dataclasses.replace(self._rows[segment], state=state, end_reason=reason)

    def _change(self, segment: int, change: SegmentChange) -> None:
        if segment in self._rows:
            self._rows[segment] = dataclasses.replace(
                self._rows[segment],
                end=change.end,
                size=change.size,
                kinds=change.kinds,
                fragments=change.fragments,
            )

    def delete_segment(self, segment: int) -> None:
        self.delete_segments((segment,))

    def delete_segments(self, segments: Sequence[int]) -> None:
        with self._lock:
            for segment in segments:
                self._rows.pop(segment, None)

    def _sorted(self, recording: str) -> list[SegmentRow]:
        """What playback sees of a recording."""
        with self._lock:
            rows = [row for row in self._rows.values() if row.recording == recording and not row.copy]
        return sorted(rows, key=lambda row: (row.start, row.id))

    def segments_between(self, recording: str, start: int, end: int, limit: int = 100) -> tuple[SegmentRow, ...]:
        found = [
            row
            for row in self._sorted(recording)
            if row.start < end and (row.end > start or row.state is SegmentState.OPEN)
        ]
        return tuple(found[:limit])

    def segment_at(self, recording: str, utc: int) -> SegmentRow | None:
        return next((row for row in reversed(self._sorted(recording)) if row.start <= utc), None)

    def segments_at(self, recordings: Sequence[str], utc: int) -> dict[str, SegmentRow]:
        found = ((recording, self.segment_at(recording, utc)) for recording in recordings)
        return {recording: row for recording, row in found if row is not None}

    def segment_after(self, recording: str, utc: int) -> SegmentRow | None:
        return next((row for row in self._sorted(recording) if row.start > utc), None)

    def unlike_before(self, row: SegmentRow) -> SegmentRow | None:
        rows = reversed(self._sorted(row.recording))
        return next((each for each in rows if each.start < row.start and _unlike(each, row)), None)

    def unlike_after(self, row: SegmentRow) -> SegmentRow | None:
        rows = self._sorted(row.recording)
        return next((each for each in rows if each.start > row.start and _unlike(each, row)), None)

    def recording_times(self, recording: str) -> tuple[int, int] | None:
        return _times(row for row in self._sorted(recording) if row.kinds)

    def track_times(self, recording: str) -> dict[Kind, tuple[int, int]]:
        rows = self._sorted(recording)
        found: dict[Kind, tuple[int, int]] = {}
        for kind, flag in KIND_FLAGS.items():
            times = _times(row for row in rows if row.kinds & flag)
            if times is not None:
                found[kind] = times
        return found

    def encoding_times(self, recording: str) -> dict[Codec, tuple[int, int]]:
        rows = self._sorted(recording)
        found: dict[Codec, tuple[int, int]] = {}
        for codec in Codec:
            times = _times(row for row in rows if any(_holds(row, each, codec) for each in row.formats))
            if times is not None:
                found[codec] = times
        return found

    def formats(self, recording: str) -> tuple[TrackFormat, ...]:
        rows = sorted(self._sorted(recording), key=lambda row: row.end, reverse=True)
        return tuple(dict.fromkeys(each for row in rows for each in row.formats if row.kinds & KIND_FLAGS[each.kind]))

    def track_numbers(self, recording: str) -> TrackNumbers:
        return TrackNumbers().with_formats(each for row in self._sorted(recording) for each in row.formats)

    def all_times(self) -> dict[str, dict[Kind, tuple[int, int]]]:
        found = {recording: self.track_times(recording) for recording in self.recorded()}
        return {recording: times for recording, times in found.items() if times}

    def covered(self, recording: str, start: int, end: int, tolerance: int = 0) -> tuple[tuple[int, int], ...]:
        return merged(((row.start, row.end) for row in self._sorted(recording) if row.kinds), start, end, tolerance)

    def timelines(
        self, recordings: Sequence[str], start: int, end: int, tolerance: int = 0
    ) -> dict[str, tuple[tuple[int, int], ...]]:
        return {recording: self.covered(recording, start, end, tolerance) for recording in recordings}

    def calendar(self, recording: str, days: Sequence[tuple[int, int]]) -> tuple[bool, ...]:
        return tuple(bool(self.covered(recording, *day)) for day in days)

    def recorded(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted({row.recording for row in self._rows.values()}))

    def open_segments(self) -> tuple[SegmentRow, ...]:
        with self._lock:
            return tuple(row for row in self._rows.values() if row.state is SegmentState.OPEN)

    def segment_by_path(self, volume: str, path: str) -> SegmentRow | None:
        with self._lock:
            return next((row for row in self._rows.values() if (row.volume, row.path) == (volume, path)), None)

    def volume_segments(self, volume: str, after: int = 0, limit: int = 1000) -> tuple[SegmentRow, ...]:
        with self._lock:
            rows = sorted(row.id for row in self._rows.values() if row.volume == volume and row.id > after)
            return tuple(self._rows[each] for each in rows[:limit])

    def oldest_segments(
        self,
        volume: str | None,
        limit: int,
        *,
        recording: str | None = None,
        before: int | None = None,
        locks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    ) -> tuple[SegmentRow, ...]:
        with self._lock:
            rows = [
                row
                for row in self._rows.values()
                if row.state is not SegmentState.OPEN
                and volume in (None, row.volume)
                and recording in (None, row.recording)
                and (before is None or row.end < before)
                and not any(start < row.end and end > row.start for start, end in (locks or {}).get(row.recording, ()))
            ]
        return tuple(sorted(rows, key=lambda row: (row.start, row.id))[:limit])

    def recording_bytes(self, recording: str) -> int:
        with self._lock:
            return sum(row.size for row in self._rows.values() if row.recording == recording)

    def volume_bytes(self, volume: str) -> int:
        with self._lock:
            return sum(row.size for row in self._rows.values() if row.volume == volume)


def _unlike(row: SegmentRow, other: SegmentRow) -> bool:
    return row.formats != other.formats or row.kinds != other.kinds


def _holds(row: SegmentRow, format: TrackFormat, codec: Codec) -> bool:
    return format.codec is codec and bool(row.kinds & KIND_FLAGS[codec.kind])


def _times(rows: Iterable[SegmentRow]) -> tuple[int, int] | None:
    spans = [(row.start, row.end) for row in rows]
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None
