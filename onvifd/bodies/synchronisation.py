"""Key frames that clients want and media workers cannot give: asked for at the camera (SetSynchronizationPoint)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from onvifd.clock import Clock
from onvifd.errors import OnvifdError
from onvifd.workers.messages import KeyframeWanted

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds in which a stream is asked once at most."""
MAX_PENDING = 512
"""Streams that are asked at the same time; further wishes are dropped, clients repeat theirs."""

Ask = Callable[[str, str], Awaitable[None]]
"""Camera id and stream name; raises OnvifdError when the camera gives none."""


class Synchronisation:
    """Takes every `KeyframeWanted`. What comes while a stream is asked, or within INTERVAL, is one with that.

    A camera that cannot be asked, or does not answer, is logged once until it gives one again.
    """

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._asked: dict[tuple[str, str], float] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._failing: set[tuple[str, str]] = set()

    def wanted(self, message: KeyframeWanted) -> None:
        """A worker says that somebody waits for a key frame."""
        key = (message.camera, message.stream)
        now = self._clock.monotonic()
        if key in self._tasks or len(self._tasks) >= MAX_PENDING:
            return
        if now - self._asked.get(key, -INTERVAL) < INTERVAL:
            return
        self._asked[key] = now
        task = asyncio.create_task(self._request(key), name=f"key frame wanted of {key[0]}/{key[1]}")
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _request(self, key: tuple[str, str]) -> None:
        try:
            await self._ask(*key)
        except OnvifdError as error:
            if key not in self._failing:
                self._failing.add(key)
                log.warning("%s/%s: clients wait for its own key frames: %s", *key, error.reason)
        else:
            self._failing.discard(key)

    def keep(self, cameras: frozenset[str]) -> None:
        """The cameras that there are: what is known of others is forgotten."""
        self._asked = {key: at for key, at in self._asked.items() if key[0] in cameras}
        self._failing = {key for key in self._failing if key[0] in cameras}

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
