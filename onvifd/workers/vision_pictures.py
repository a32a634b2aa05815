"""Pictures in the making: the vision worker's side of JPEG streams. Video in, JPEGs of the wanted size and rate out."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from onvifd.errors import InvalidArgument
from onvifd.workers.picture_line import Begin, End, Picture, PictureLine, Refused, Unit, Word
from onvifd.workers.tasks import tell_fault
from onvifd.workers.vision_codec import Transcoder

log = logging.getLogger(__name__)

MAX_MAKERS = 16
"""Decoders at a time, over all lines. Each takes memory of some pictures and a share of a core."""

MAX_LINES = 64
MAX_UNITS = 400
"""Access units that wait for a decoder, a long group of pictures. Then all up to the next key frame are dropped."""
MAX_BYTES = 16 << 20
BATCH = 64
"""Access units decoded in one step: the thread is then free for others."""
LATE = 8
"""Access units in one step from which on pictures are late: then only the last one is made."""


class _Maker:
    """One stream of pictures."""

    def __init__(self, line: PictureLine, begin: Begin, executor: ThreadPoolExecutor) -> None:
        self._line = line
        self._number = begin.number
        self._executor = executor
        self._coder = Transcoder(begin)
        self._queue: deque[Unit] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._lagging = True
        self.dropped = 0
        self.task = asyncio.create_task(self._work(), name=f"pictures {begin.number}")
        self.task.add_done_callback(self._over)

    def take(self, unit: Unit) -> None:
        """Queue a unit; at the bound all that wait are dropped, and what follows up to the next key frame."""
        if self._lagging and not unit.key:
            self.dropped += 1
            return
        if len(self._queue) >= MAX_UNITS or self._bytes + len(unit.data) > MAX_BYTES:
            self.dropped += len(self._queue)
            self._queue.clear()
            self._bytes = 0
            if not unit.key:
                self._lagging = True
                self.dropped += 1
                return
        self._lagging = False
        self._queue.append(unit)
        self._bytes += len(unit.data)
        self._wake.set()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._bytes -= sum(len(unit.data) for unit in batch)
            if not self._queue:
                self._wake.clear()
            made = await loop.run_in_executor(self._executor, self._coder.work, batch, len(batch) >= LATE)
            for utc, data in made:
                self._line.send(Picture(self._number, utc, data))

    def _over(self, task: asyncio.Task[None]) -> None:
        tell_fault(task)
        if not task.cancelled():
            # Who watches must not wait for ever.
            self._line.send(Refused(self._number, "the pictures cannot be made"))

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


class PictureMakers:
    """All lines of the vision worker, and what is made on them."""

    def __init__(self, *, most: int = MAX_MAKERS) -> None:
        self._most = most
        # Half of the cores: the others belong to what must not wait.
        self._executor = ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2), "pictures")
        self._lines: dict[PictureLine, dict[int, _Maker]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._arriving: set[socket.socket] = set()
        """Ends of lines whose task has not begun."""
        self._stopping = False

    @property
    def count(self) -> int:
        """Streams of pictures that are made now."""
        return sum(len(makers) for makers in self._lines.values())

    def connect(self, sock: socket.socket) -> None:
        """Serve a line to a media worker until it is closed."""
        if self._stopping or len(self._tasks) >= MAX_LINES:
            sock.close()
            return
        self._arriving.add(sock)
        self._own(self._serve(sock))

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(tell_fault)

    async def _serve(self, sock: socket.socket) -> None:
        self._arriving.discard(sock)
        line = await PictureLine.open(sock, self._heard)
        self._lines[line] = {}
        try:
            await line.closed
        finally:
            makers = self._lines.pop(line)
            await asyncio.gather(*(maker.stop() for maker in makers.values()))
            await line.close()

    def _heard(self, line: PictureLine, word: Word) -> None:
        makers = self._lines.get(line)
        if makers is None:
            return
        match word:
            case Begin():
                self._begin(line, makers, word)
            case Unit():
                if (maker := makers.get(word.number)) is not None:
                    maker.take(word)
            case End():
                if (maker := makers.pop(word.number, None)) is not None:
                    self._own(maker.stop())

    def _begin(self, line: PictureLine, makers: dict[int, _Maker], begin: Begin) -> None:
        if begin.number in makers:
            return
        if self.count >= self._most:
            log.warning("no more than %d streams of pictures are made at a time", self._most)
            line.send(Refused(begin.number, f"no more than {self._most} JPEG streams are made at a time"))
            return
        try:
            makers[begin.number] = _Maker(line, begin, self._executor)
        except InvalidArgument as error:
            line.send(Refused(begin.number, error.reason))

    async def stop(self) -> None:
        """End all lines and free the threads."""
        self._stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sock in self._arriving:
            sock.close()
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
