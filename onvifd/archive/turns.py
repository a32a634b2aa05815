"""Who writes next: recordings that have something for the disk in the same moment begin one after the other.

Cameras that were started together end their groups of pictures together, and then a hundred recordings have half a megabyte
each. Threads that write all of that at once keep the event loop, on which live pictures pass, from its processor. So a few
begin in each step, more of them the more wait: in an eighth of a second most of any number have begun. What has been ready for
longest goes first: that is what would be lost with the process.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools

STEP = 0.004
"""Seconds between two steps."""
AT_ONCE = 2
"""That begin in one step at least."""
SHARE = 16
"""Of so many that wait one begins in each step."""


class Turns:
    """Belongs to the event loop on which it is used. Who comes alone does not wait."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        """A heap: since when it is ready, and in which order it came."""
        self._numbers = itertools.count()
        self._free = AT_ONCE
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, since: float = 0.0) -> None:
        """Wait for a turn with what is ready since a moment (monotonic seconds)."""
        if self._timer is None:
            self._begin(AT_ONCE)
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (since, next(self._numbers), turn))
        await turn

    def _begin(self, free: int) -> None:
        self._free = free
        self._timer = asyncio.get_running_loop().call_later(STEP, self._next)

    def _next(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        free = max(AT_ONCE, len(self._waiting) // SHARE)
        while free and self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():  # else who waited has given up
                turn.set_result(None)
                free -= 1
        self._begin(free)

    def close(self) -> None:
        """Nobody writes any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for _, _, turn in self._waiting:
            turn.cancel()
        self._waiting.clear()
