"""Questions to cameras that several ask at once: whoever asks while one is under way, or soon after it, shares its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from onvifd.cameras.registry import Camera
from onvifd.clock import Clock
from onvifd.errors import Unavailable

T = TypeVar("T")

FAILED_WAIT = 5.0
"""Seconds for which a failure stands."""
REFUSED_WAIT = 300.0
"""The same after a refused login: cameras lock accounts that try too often."""

Key = tuple[str, str]
"""A camera's id and the name of a stream."""


class Refused(Unavailable):
    """The camera refuses our login."""


class SharedAnswers(Generic[T]):
    """One question for each stream. An answer is kept for `kept` seconds from the question on, a failure as long as it stands."""

    def __init__(self, clock: Clock, kept: float) -> None:
        self._clock = clock
        self._kept = kept
        self._began: dict[Key, float] = {}
        self.tasks: dict[Key, asyncio.Task[T]] = {}

    async def get(self, key: Key, ask: Callable[[], Coroutine[Any, Any, T]], what: str) -> T:
        """The answer; `ask` is called if there is none. Raises what it raises; Unavailable when it was forgotten meanwhile."""
        task = self.tasks.get(key)
        if task is None or self._is_over(key, task):
            task = self.tasks[key] = asyncio.create_task(ask(), name=f"{what} of {key[0]}/{key[1]}")
            self._began[key] = self._clock.monotonic()
            # The error is also what a later caller gets, so nobody may have waited for it.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise Unavailable("the camera's configuration has changed") from None
            raise

    def _is_over(self, key: Key, task: asyncio.Task[T]) -> bool:
        if not task.done():
            return False
        error = None if task.cancelled() else task.exception()
        wait = self._kept
        if error is not None:
            wait = REFUSED_WAIT if isinstance(error, Refused) else FAILED_WAIT
        return task.cancelled() or self._clock.monotonic() - self._began[key] >= wait

    def forget(self, camera: str, *, answered: bool = False) -> None:
        """End what is asked of a camera and forget what it said; with `answered` only that."""
        for key in [key for key in self.tasks if key[0] == camera]:
            if not answered or self.tasks[key].done():
                self.tasks.pop(key).cancel()

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self.tasks.values())
        self.tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def way_to(camera: Camera | None) -> object:
    """How a camera is reached: where this changes, its answers are no longer worth anything."""
    if camera is None:
        return None
    profiles = tuple((stream.role, stream.source_profile) for stream in camera.streams)
    return camera.address, camera.credentials, camera.driver, profiles
