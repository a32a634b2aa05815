"""The pace of replay with rate control: playback time, and one beat for all sessions of a process."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from onvifd.clock import US, Clock

log = logging.getLogger(__name__)

GRID = 0.02
"""Access units leave at multiples of so many seconds: waking for each unit of each session would cost more than sending."""
EARLY = GRID / 2
"""They leave at the multiple that is nearest."""
COMMON = 2 * GRID
"""Sessions begin at multiples of this. So pictures of 25 a second keep their distance, and those of all sessions leave together:
what a beat costs beside sending is shared by all, and what sends the first of them is at hand for the others."""
_ROUNDING = 1e-4
LATE = 0.5
"""Pacing starts anew when it is this many seconds behind (client stalled, live edge reached)."""


@dataclass(slots=True)
class Pace:
    """Playback time: `media` (UTC) is shown at `due` (monotonic) and has the RTP time of `rtp` (UTC).

    `scale` is how media time passes in playback time, negative in reverse; `speed` how playback time passes in real time
    (RFC 2326 12.34, 12.35).
    """

    media: int
    due: float
    rtp: int
    scale: float
    speed: float = 1.0

    def rtp_utc(self, utc: int) -> int:
        """Playback time of a media time, as UTC."""
        return self.rtp + (utc - self.media if self.scale == 1.0 else round((utc - self.media) / self.scale))

    def rtp_now(self, now: float) -> int:
        """Playback time of the present, as UTC."""
        return self.rtp + round((now - self.due) * self.speed * US)

    def moment(self, utc: int) -> float:
        """When a media time is due, in monotonic seconds."""
        return self.due + (utc - self.media) / US / (self.scale * self.speed)

    def skip(self, ended: int, utc: int, now: float) -> None:
        """A gap in the footage from `ended` to `utc` takes no time."""
        passed = abs(ended - self.media) / US / abs(self.scale * self.speed)
        self.rtp = self.rtp_utc(ended)
        self.due = max(now, self.due + passed)
        self.media = utc


def common_before(moment: float) -> float:
    """The last common moment, in monotonic seconds."""
    return moment // COMMON * COMMON


class Metronome:
    """Calls many back at common moments. One waiting task serves them all, whatever their number."""

    def __init__(self, clock: Clock, grid: float = GRID) -> None:
        self._clock = clock
        self._grid = grid
        self._slots: dict[int, dict[Callable[[], None], None]] = {}
        self._order: list[int] = []
        self._slot_of: dict[Callable[[], None], int] = {}
        self._task: asyncio.Task[None] | None = None
        self._until = self._served = -1

    def at(self, due: float, call: Callable[[], None]) -> None:
        """Call once, at the first beat at or after `due`. It must not raise, and has one appointment at most."""
        # Beyond the beat that is now: a due time that rounding puts just behind it must not keep us here for ever.
        slot = max(math.ceil(due / self._grid - _ROUNDING), self._served + 1)
        calls = self._slots.get(slot)
        if calls is None:
            calls = self._slots[slot] = {}
            heapq.heappush(self._order, slot)
        calls[call] = None
        self._slot_of[call] = slot
        if self._task is None or (slot < self._until and self._task is not asyncio.current_task()):
            if self._task is not None:
                self._task.cancel()
            self._until = slot
            self._task = asyncio.get_running_loop().create_task(self._beat())

    def forget(self, call: Callable[[], None]) -> None:
        """Do not call any more."""
        slot = self._slot_of.pop(call, None)
        if slot is not None:
            self._slots[slot].pop(call, None)

    async def _beat(self) -> None:
        while self._order:
            slot = self._until = self._order[0]
            wait = slot * self._grid - self._clock.monotonic()
            if wait > 0:
                await self._clock.sleep(wait)
                continue  # an earlier one may have come
            heapq.heappop(self._order)
            calls = self._slots.pop(slot)
            self._served = slot
            for call in list(calls):
                if self._slot_of.get(call) == slot:
                    del self._slot_of[call]
                    call()
        self._task = None
