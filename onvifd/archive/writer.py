"""Recording to disk: the glue between a `SegmentWriter` and the file system.

`feed` never waits. What the disk has not taken yet stands in a bounded queue; at the bound whole groups of pictures are
dropped and counted. A disk that fails is tried again with growing pauses, and nobody else's recording notices.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onvifd.archive.disk import DiskPool, SegmentFiles, Volume
from onvifd.archive.index import EndReason, SegmentRows
from onvifd.archive.segment import Action, Append, Close, SegmentWriter
from onvifd.clock import US, Clock
from onvifd.media.types import AccessUnit, TrackFormat

log = logging.getLogger(__name__)

OnState = Callable[[str, bool, int, str], None]
"""`on_state(recording, active, utc, reason)`, called on the event loop when footage begins or ends."""

MAX_QUEUE_BYTES = 32 << 20
MAX_QUEUE_US = 20 * US
_POLL_SECONDS = 1.0
_FIRST_RETRY, _LAST_RETRY = 1.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterStats:
    """`lost` main-track units were dropped; `queued` bytes wait for the disk; `error` says what is wrong with it, if anything."""

    active: bool
    lost: int
    written: int
    fragments: int
    queued: int
    error: str


class RecordingWriter:
    """Records one recording to one volume. All methods are called on one event loop."""

    def __init__(
        self,
        recording: str,
        formats: Sequence[TrackFormat],
        *,
        volume: Volume,
        store: SegmentRows,
        pool: DiskPool,
        clock: Clock,
        on_state: OnState | None = None,
        segment_seconds: int = 60,
        fragment_seconds: float = 1.0,
        max_bytes: int = MAX_QUEUE_BYTES,
        files: SegmentFiles | None = None,
    ) -> None:
        self.recording = recording
        self._core = SegmentWriter(
            recording,
            volume.id,
            formats,
            segment_us=segment_seconds * US,
            fragment_us=round(fragment_seconds * US),
        )
        self._files = files or SegmentFiles(volume, store)
        self._pool = pool
        self._clock = clock
        self._on_state = on_state
        self._max_bytes = max_bytes

        self._queue: deque[Action] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._paused = False
        self._tasks: list[asyncio.Task[None]] = []

        self._active = False
        self._reached = 0
        """Where the footage on disk ends."""
        self._written = 0
        self._fragments = 0
        self._lost = 0
        self._error = ""
        self._retry = _FIRST_RETRY
        self._retry_at = 0.0

    @property
    def stats(self) -> WriterStats:
        return WriterStats(
            active=self._active,
            lost=self._core.lost + self._lost,
            written=self._written,
            fragments=self._fragments,
            queued=self._queued,
            error=self._error,
        )

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._poll())]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def feed(self, unit: AccessUnit) -> None:
        """Take one access unit."""
        if not self._paused:
            self._push(self._core.feed(unit, self._clock.monotonic(), self._room()))

    def set_formats(self, formats: Sequence[TrackFormat]) -> None:
        """The stream's tracks have other formats from the next unit on."""
        self._push(self._core.set_formats(formats, self._room()))

    def pause(self) -> None:
        """Stop recording until `resume` (job mode Idle)."""
        if not self._paused:
            self._paused = True
            self._push(self._core.finish(EndReason.PAUSE, self._room()))

    def resume(self) -> None:
        self._paused = False

    async def drain(self) -> None:
        """Wait until the disk has taken, or refused, all that is queued."""
        await self._idle.wait()

    async def stop(self, timeout: float = 5.0) -> None:
        """Write what is pending, close the file and end; a disk that hangs is left alone after `timeout` seconds."""
        self._paused = True
        self._push(self._core.finish(EndReason.STOP, self._room()))
        try:
            await asyncio.wait_for(self._idle.wait(), timeout)
        except TimeoutError:
            log.error("%s: disk did not take the last %d bytes in time", self.recording, self._queued)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("%s: recording ended by a fault", self.recording, exc_info=error)

    def _room(self) -> bool:
        """Whether the queue takes one more fragment, and the disk is not in a pause after an error."""
        if self._clock.monotonic() < self._retry_at or self._queued > self._max_bytes:
            return False
        if len(self._queue) < 2:
            return True
        return self._queue[-1].row.end - self._queue[0].row.end < MAX_QUEUE_US

    def _push(self, actions: list[Action]) -> None:
        for action in actions:
            self._queue.append(action)
            if isinstance(action, Append):
                self._queued += len(action.data)
        if actions:
            self._idle.clear()
            self._wake.set()

    async def _poll(self) -> None:
        while True:
            await self._clock.sleep(_POLL_SECONDS)
            if not self._paused:
                self._push(self._core.poll(self._clock.monotonic(), self._room()))

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._perform(self._queue[0])
            self._idle.set()

    def _take(self) -> Action:
        action = self._queue.popleft()
        if isinstance(action, Append):
            self._queued -= len(action.data)
        return action

    async def _perform(self, action: Action) -> None:
        try:
            if isinstance(action, Append):
                await self._pool.run(self._files.append, action)
                self._take()
                self._appended(action)
            else:
                await self._pool.run(self._files.close, action)
                self._take()
                self._closed(action)
        except OSError as error:
            await self._failed(error)

    def _appended(self, action: Append) -> None:
        self._reached = action.row.end
        self._written += len(action.data)
        self._fragments += 1
        if self._error:
            log.info("%s: recording again", self.recording)
        self._error, self._retry, self._retry_at = "", _FIRST_RETRY, 0.0
        if not self._active:
            self._state(True, action.row.start, "")

    def _closed(self, action: Close) -> None:
        if self._active and not action.row.end_reason.continues:
            if action.row.end_reason is EndReason.OVERLOAD:
                log.warning("%s: disk is too slow, %d frames dropped", self.recording, self._core.lost)
            self._state(False, action.row.end, action.row.end_reason.value)

    async def _failed(self, error: OSError) -> None:
        """Give up the file and all that is queued; recording is tried again after a pause."""
        while self._queue:
            action = self._take()
            if isinstance(action, Append):
                self._lost += action.frames
        self._core.break_off()
        self._retry_at = self._clock.monotonic() + self._retry
        self._retry = min(_LAST_RETRY, self._retry * 2)
        if not self._error:
            log.error("%s: recording stopped, disk failed: %s", self.recording, error.strerror or error)
        self._error = error.strerror or str(error)
        await self._pool.run(self._files.abandon, EndReason.DISK)
        if self._active:
            self._state(False, self._reached, EndReason.DISK.value)

    def _state(self, active: bool, utc: int, reason: str) -> None:
        self._active = active
        if self._on_state is not None:
            self._on_state(self.recording, active, utc, reason)
