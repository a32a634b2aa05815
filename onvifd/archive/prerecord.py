"""What is kept in memory of a stream that is not being written, for the seconds before somebody orders it. No I/O, no clock.

Whole groups of pictures are kept, so that what is taken out begins with a clean point; sound and documents lie between the
pictures as they came. The oldest group goes when the others alone reach back far enough, or when there is no more room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from onvifd.archive.budget import Budget
from onvifd.media.types import AccessUnit, Kind, TrackFormat

MAX_SECONDS = 60.0
MAX_BYTES = 64 << 20
"""Bytes that one recording may keep: 60 s of 8 Mbit/s. At the bound the oldest group goes, so that less time is kept; a single
group that is larger goes as a whole, and memory begins anew with the next clean point."""
WORKER_BYTES = 512 << 20
"""Bytes that all recordings of a worker may keep. At the bound each recording that grows loses its own oldest group."""

_SOUND_GROUP = 1.0
"""Seconds of a group where there are no pictures."""

Formats = tuple[TrackFormat, ...]


@dataclass(slots=True)
class _Group:
    """A clean point and what follows it; or what follows the last written picture. Times are monotonic seconds of arrival."""

    formats: Formats
    began: float
    reached: float
    units: deque[AccessUnit] = field(default_factory=deque)
    size: int = 0


class Memory:
    """The last `seconds` of one recording. `now` is monotonic seconds."""

    def __init__(self, seconds: float, formats: Sequence[TrackFormat], budget: Budget, limit: int = MAX_BYTES) -> None:
        self.seconds = min(MAX_SECONDS, seconds)
        self.size = 0
        self._budget = budget
        self._limit = limit
        self._groups: deque[_Group] = deque()
        self._open: _Group | None = None
        self.set_formats(formats)

    def __bool__(self) -> bool:
        return bool(self._groups)

    @property
    def full(self) -> bool:
        return self.size > self._limit or self._budget.spent

    def set_formats(self, formats: Sequence[TrackFormat]) -> None:
        """What comes next has other formats."""
        self._formats = tuple(formats)
        self._open = None
        self._main = next((n for n, each in enumerate(formats) if each.kind is Kind.VIDEO), 0)
        self._pictures = bool(formats) and formats[self._main].kind is Kind.VIDEO

    def follow(self, now: float) -> None:
        """What comes next follows what was written last: it is kept although no clean point begins it."""
        self._begin(now)

    def remember(self, unit: AccessUnit, now: float) -> None:
        """Keep a unit, and forget what is too old."""
        if self._is_start(unit, now):
            self._begin(now)
            while len(self._groups) > 1 and self._groups[1].began <= now - self.seconds:
                self._drop()
        self._add(unit, now)
        while self.full and self._groups:
            self._drop()

    def append(self, unit: AccessUnit, now: float) -> None:
        """Keep a unit while what is kept is being taken: nothing is forgotten."""
        if self._is_start(unit, now):
            self._begin(now)
        self._add(unit, now)

    def expire(self, now: float) -> None:
        """Forget what is too old now: a camera that was lost brings no new units that would push it out."""
        while self._groups and self._groups[0].reached < now - self.seconds:
            self._drop()

    def take(self) -> tuple[Formats, AccessUnit] | None:
        """The oldest unit; None when all were taken."""
        while self._groups:
            group = self._groups[0]
            if group.units:
                unit = group.units.popleft()
                self._release(group, len(unit.data))
                return group.formats, unit
            self._drop()
        return None

    def clear(self) -> None:
        while self._groups:
            self._drop()

    def _is_start(self, unit: AccessUnit, now: float) -> bool:
        if unit.track != self._main or not unit.key:
            return False
        return self._pictures or self._open is None or now - self._open.began >= _SOUND_GROUP

    def _begin(self, now: float) -> None:
        self._open = _Group(self._formats, now, now)
        self._groups.append(self._open)

    def _add(self, unit: AccessUnit, now: float) -> None:
        group = self._open
        if group is None:
            return
        size = len(unit.data)
        group.units.append(unit)
        group.reached = now
        group.size += size
        self.size += size
        self._budget.take(size)

    def _release(self, group: _Group, size: int) -> None:
        group.size -= size
        self.size -= size
        self._budget.give(size)

    def _drop(self) -> None:
        group = self._groups.popleft()
        self._release(group, group.size)
        if group is self._open:
            self._open = None
