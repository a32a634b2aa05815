"""Waking those who wait until a time, though most of them are woken by something else long before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from onvifd.clock import Clock

Call = Callable[[], None]


class Deadlines:
    """One sleeping task for all: two hundred waiting PullMessages need neither two hundred tasks, nor to end as many when an
    event comes. Belongs to one event loop; bounded by who waits. `close` must be called."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[Hashable, tuple[float, Call]] = {}
        self._until = float("inf")
        """When the task looks next."""
        self._task: asyncio.Task[None] | None = None

    def set(self, key: Hashable, at: float, call: Call) -> None:
        """Call once at or after the monotonic time `at`, never before; it must not raise. Takes the place of what was set for `key`."""
        self._waiting[key] = (at, call)
        if at < self._until:
            if self._task is not None:
                self._task.cancel()
            self._until = at
            self._task = asyncio.get_running_loop().create_task(self._watch(), name="deadlines of pulls")

    def drop(self, key: Hashable) -> None:
        """Do not call any more. The task goes on sleeping: the next one to wait needs it."""
        self._waiting.pop(key, None)

    async def _watch(self) -> None:
        while self._waiting:
            now = self._clock.monotonic()
            for key in [key for key, (at, _) in self._waiting.items() if at <= now]:
                self._waiting.pop(key)[1]()
            self._until = min((at for at, _ in self._waiting.values()), default=now)
            await self._clock.sleep(self._until - now)
        self._until, self._task = float("inf"), None

    async def close(self) -> None:
        """Call nobody any more."""
        self._waiting.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
