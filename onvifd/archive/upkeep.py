"""What retention and accounting ask of the index: all segments, second copies and those of removed cameras too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from onvifd.archive.index import FragmentFlag, SegmentRow, SegmentState

START = (-(1 << 62), 0)
"""Where a walk in order of age begins."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Footage that must stay: `start` to before `end`, microseconds UTC."""

    recording: str
    start: int
    end: int


class Upkeep(Protocol):
    """Methods are synchronous and thread-safe. Errors of the database are raised as Unavailable."""

    def oldest(
        self,
        *,
        volume: str | None = None,
        recording: str | None = None,
        before: int | None = None,
        after: tuple[int, int] = START,
        limit: int = 100,
        locks: Mapping[str, Sequence[tuple[int, int]]] | None = None,
    ) -> tuple[SegmentRow, ...]:
        """Segments that are not open, in order of start and id behind `after`, without formats and fragments.

        Of one volume, or of one recording, or of both; `before` takes those alone that ended before. `locks` has by recording
        stretches of time (start, end): segments that overlap one are passed over, at no cost however many they are.
        """
        ...

    def locks(self, now: int) -> tuple[Lock, ...]:
        """All locks that have not ended."""
        ...

    def is_locked(self, recording: str, start: int, end: int, now: int) -> bool:
        """Whether a part of it is locked."""
        ...

    def forget(self, segment: int) -> None:
        """Delete a segment's row."""
        ...

    def recorded(self) -> tuple[str, ...]:
        """Tokens of all recordings that have segments."""
        ...

    def recording_bytes(self, recording: str) -> int:
        """Sum of the sizes of a recording's segments, second copies included."""
        ...

    def volume_bytes(self, volume: str) -> int:
        """Sum of the sizes of the segments on a volume."""
        ...

    def earliest(self, recording: str) -> int | None:
        """Least start of what can be played of a recording."""
        ...


class LockTable:
    """Locks by recording, asked for many segments."""

    def __init__(self, locks: Sequence[Lock]) -> None:
        self.stretches: dict[str, list[tuple[int, int]]] = {}
        for lock in locks:
            self.stretches.setdefault(lock.recording, []).append((lock.start, lock.end))

    def covers(self, row: SegmentRow) -> bool:
        """Whether a part of a segment is locked. What has no length is covered by a lock around its start."""
        end = max(row.end, row.start + 1)
        return any(low < end and high > row.start for low, high in self.stretches.get(row.recording, ()))


def light_row(
    *,
    id: int,
    recording: str,
    volume: str,
    path: str,
    start: int,
    end: int,
    size: int,
    kinds: int,
    copy: bool,
    state: str = SegmentState.CLOSED.value,
) -> SegmentRow:
    """A segment without its formats and its table of fragments."""
    return SegmentRow(
        id=id,
        recording=recording,
        volume=volume,
        path=path,
        start=start,
        end=end,
        size=size,
        formats=(),
        kinds=FragmentFlag(kinds),
        state=SegmentState(state),
        copy=copy,
    )
