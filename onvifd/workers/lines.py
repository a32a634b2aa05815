"""Lines for pictures between the media workers and the vision worker, as control lays them (see picture_line).

Whoever starts gets its lines with its brief. Either end that finds a line broken closes it, which the media worker at the other
end sees: it says so, and another is laid. One that breaks again and again is laid at growing intervals, so that it costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from onvifd.workers.supervisor import Handle, Worker

log = logging.getLogger(__name__)

WAITS = (0.2, 1.0, 5.0, 30.0, 60.0)
"""Seconds before a line is laid again: after the first break, the next, and so on."""

STEADY = 60.0
"""Seconds that a line must have stood for the waits to begin anew."""


class PictureLines:
    """Lays lines, and lays them again when they broke while both workers live."""

    def __init__(self, vision: Worker, *, waits: tuple[float, ...] = WAITS, steady: float = STEADY) -> None:
        self._vision = vision
        self._waits = waits
        self._steady = steady
        self._laying: dict[str, asyncio.Task[None]] = {}
        """By media worker: what lays its line again."""
        self._breaks: dict[str, int] = {}
        """How often in a row the line of a media worker broke."""
        self._laid: dict[str, float] = {}
        self._stopping = False

    async def lay(self, media: Worker) -> None:
        """Lay a line if both workers run; who starts second gets both to it. One that does not take it is tried again."""
        if self._running(media) is not None and not await self._lay(media):
            self.broken(media)

    async def _lay(self, media: Worker) -> bool:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with one, other:
            laid = await self._vision.give_line(one) and await media.give_line(other)
        if laid:
            self._laid[media.name] = asyncio.get_running_loop().time()
        return laid

    def broken(self, media: Worker) -> None:
        """A media worker says that it has no line any more."""
        pair = self._running(media)
        if pair is not None and media.name not in self._laying and not self._stopping:
            task = asyncio.create_task(self._lay_again(media, pair), name=f"line for pictures of {media.name}")
            self._laying[media.name] = task
            task.add_done_callback(lambda _: self._laying.pop(media.name, None))

    async def _lay_again(self, media: Worker, pair: tuple[Handle, Handle]) -> None:
        name = media.name
        if asyncio.get_running_loop().time() - self._laid.get(name, float("-inf")) > self._steady:
            self._breaks[name] = 0
        while True:
            breaks = self._breaks[name] = self._breaks.get(name, 0) + 1
            await asyncio.sleep(self._waits[min(breaks, len(self._waits)) - 1])
            now = self._running(media)
            if now is None or now[0] is not pair[0] or now[1] is not pair[1]:
                return  # one of them died, which was what broke the line: it gets another with its brief
            if await self._lay(media):
                log.warning("worker %s: its line for pictures broke and was laid again", name)
                return

    def _running(self, media: Worker) -> tuple[Handle, Handle] | None:
        if media.handle is None or self._vision.handle is None:
            return None
        return media.handle, self._vision.handle

    async def stop(self) -> None:
        """Lay nothing more."""
        self._stopping = True
        tasks = list(self._laying.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
