"""How a volume is, from what was seen of it. No file, no task; time is given."""

from __future__ import annotations

from dataclasses import dataclass

from onvifd.volumes.look import Look
from onvifd.volumes.model import Access, VolumeState

LOW = 32 << 20
"""Free bytes below which a volume is full: a few segments' worth, which retention should have made."""
_LOW_PART = 50
"""On a small file system a fiftieth of it is enough."""
FIRST_HOLD, LAST_HOLD = 10.0, 300.0
"""Seconds for which a volume that refused footage is not tried again; doubled for each time that it did so again."""
CALM = 600.0
"""Seconds without trouble after which a volume is trusted again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What else counts: the policy, bounds (`reserve` is a part, 0 to 1), bytes of footage by the index, and whether retention
    found nothing but locked footage."""

    access: Access
    overwrite: bool
    reserve: float
    max_bytes: int
    used: int
    locked_up: bool


def judge(seen: Look, about: Circumstances, former: VolumeState | None) -> tuple[VolumeState, str]:
    """State and reason."""
    if seen.state is not VolumeState.OK or about.access is Access.READ_ONLY:
        return seen.state, seen.reason
    if seen.free < min(LOW, seen.total // _LOW_PART):
        return VolumeState.FULL, "there is no room left"
    if about.overwrite:
        if about.locked_up:
            return VolumeState.FULL, "all that it holds is locked"
        return VolumeState.OK, ""
    floor = int(seen.total * about.reserve)
    if former is VolumeState.FULL:
        # What was deleted by age is not filled again in the next moment.
        floor += min(seen.total // 100, 1 << 30)
    if seen.free < floor or (about.max_bytes and about.used >= about.max_bytes):
        return VolumeState.FULL, "it is full and is not overwritten"
    return VolumeState.OK, ""


def room_of(seen: Look, about: Circumstances) -> int:
    """Bytes until something has to be overwritten or recording stops."""
    room = seen.free - int(seen.total * about.reserve)
    if about.max_bytes:
        room = min(room, about.max_bytes - about.used)
    return max(0, room)


def capacity_of(total: int, about: Circumstances) -> int:
    """Bytes that a volume can hold at all."""
    return min(about.max_bytes, total) if about.max_bytes else int(total * (1 - about.reserve))


class Distrust:
    """Remembers that a volume refused footage though it looks well."""

    def __init__(self) -> None:
        self._until = 0.0
        self._hold = 0.0
        self._last = -CALM
        self.reason = ""

    def refused(self, reason: str, now: float) -> None:
        """A worker could not write."""
        if now < self._until:
            return
        self._hold = min(LAST_HOLD, self._hold * 2) if self._hold and now - self._last < CALM else FIRST_HOLD
        self._until, self._last, self.reason = now + self._hold, now, reason

    def holds(self, now: float) -> bool:
        return now < self._until
