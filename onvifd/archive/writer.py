"""Recording to disk: the glue between a `SegmentWriter` and the file system.

`feed` never waits. What the disk has not taken yet stands in a bounded queue; at the bound whole groups of pictures are
dropped and counted. A volume that fails is left at once for the next one: what it did not take is written there. Without
another one it is tried again with growing pauses, the queue is kept, and nobody else's recording notices.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onvifd.archive.actions import Action, Append, Close
from onvifd.archive.budget import Budget
from onvifd.archive.disk import DiskPool, SegmentFiles
from onvifd.archive.index import EndReason, SegmentRows
from onvifd.archive.places import Places
from onvifd.archive.segment import SegmentWriter
from onvifd.clock import US, Clock
from onvifd.media.types import AccessUnit, Codec, TrackFormat

log = logging.getLogger(__name__)

OnState = Callable[[str, bool, int, str], None]
"""`on_state(recording, active, utc, reason)`, called on the event loop when footage begins or ends."""

MAX_QUEUE_BYTES = 32 << 20
MAX_QUEUE_US = 20 * US
_POLL_SECONDS = 1.0
_FIRST_RETRY, _LAST_RETRY = 1.0, 5.0
"""Seconds between attempts when no volume takes anything; less than the queue holds."""
STALLED_SECONDS = 10.0
"""A disk that has not taken a fragment for so long is said to have failed; half of what the queue holds."""
NO_VOLUME = "no volume takes this recording"
STALLED = "disk does not answer"


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
    """Records one recording to the first of `volumes` that takes it. All methods are called on one event loop.

    `copy` makes it the second copy of a recording. `budget` bounds what all writers of a process have queued. `phase` is by which share
    of their length its segments end earlier than those of others.
    """

    def __init__(
        self,
        recording: str,
        formats: Sequence[TrackFormat],
        *,
        volumes: Sequence[str],
        places: Places,
        store: SegmentRows,
        pool: DiskPool,
        clock: Clock,
        on_state: OnState | None = None,
        segment_seconds: int = 60,
        fragment_seconds: float = 1.0,
        phase: float = 0.0,
        max_bytes: int = MAX_QUEUE_BYTES,
        budget: Budget | None = None,
        copy: bool = False,
        files: SegmentFiles | None = None,
    ) -> None:
        self.recording = recording
        self._volumes = tuple(volumes)
        self._places = places
        self._core = SegmentWriter(
            recording,
            places.choose(volumes, clock.monotonic()),
            formats,
            segment_us=segment_seconds * US,
            fragment_us=round(fragment_seconds * US),
            phase_us=round(phase * segment_seconds * US),
            copy=copy,
        )
        self._files = files or SegmentFiles(places.get, store)
        self._pool = pool
        self._clock = clock
        self._on_state = on_state
        self._max_bytes = max_bytes
        self._budget = budget or Budget(max_bytes * 2)

        self._queue: deque[Action] = deque()
        self._ready: deque[float] = deque()
        """Since when each that is queued is."""
        self._queued = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._paused = False
        self._tasks: list[asyncio.Task[None]] = []

        self._active = False
        self._encodings: frozenset[Codec] = frozenset()
        """Of the footage of which was told last."""
        self._reached = 0
        """Where the footage on disk ends."""
        self._written = 0
        self._fragments = 0
        self._lost = 0
        self._error = ""
        self._asked: float | None = None
        """Since when the disk has what it is to write now."""
        self._refused: frozenset[str] = frozenset()
        """Volumes that did not take what is to be written next."""
        self._given_up = False
        """The file that it was for is given up: it has to go into another one."""
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
            error=self._error or ("" if self._core.volume or self._paused else NO_VOLUME),
        )

    @property
    def room(self) -> bool:
        """Whether more can be fed without being dropped."""
        return self._room()

    @property
    def waiting(self) -> bool:
        """Whether nothing is being recorded until the next clean point, or for want of an order or a volume."""
        return self._paused or self._core.waiting

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._poll())]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def feed(self, unit: AccessUnit) -> None:
        """Take one access unit."""
        if not self._paused:
            actions = self._core.feed(unit, self._clock.monotonic(), self._room())
            if actions:
                self._push(actions)

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

    def set_volumes(self, volumes: Sequence[str]) -> None:
        """Other volumes, or other ones are there: the open file ends if there is a better place, without loss."""
        self._volumes = tuple(volumes)
        place = self._core.place
        self._choose()
        if place and (place not in self._volumes or self._places.get(place) is None):
            reason = EndReason.VOLUME if self._core.volume else EndReason.DISK
            self._push(self._core.finish(reason, self._room()))
        elif place != self._core.volume:
            self._core.cut()
        self._refused, self._retry, self._retry_at = frozenset(), _FIRST_RETRY, 0.0
        self._wake.set()

    def _choose(self) -> None:
        self._core.volume = self._places.choose(self._volumes, self._clock.monotonic())

    async def drain(self) -> None:
        """Wait until the disk has taken, or refused, all that is queued."""
        await self._idle.wait()

    async def stop(self, timeout: float = 5.0) -> None:
        """Write what is pending, close the file and end; a disk that hangs is left alone after `timeout` seconds."""
        self._paused = True
        self._retry_at = 0.0
        self._push(self._core.finish(EndReason.STOP, self._room()))
        if self._queue and self._tasks:
            self._idle.clear()
            self._wake.set()
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            log.error("%s: disk did not take the last %d bytes in time", self.recording, self._queued)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._forget()

    def _forget(self) -> None:
        """What is queued is lost."""
        while self._queue:
            action = self._take()
            if isinstance(action, Append):
                self._lost += action.frames

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("%s: recording ended by a fault", self.recording, exc_info=error)

    def _room(self) -> bool:
        """Whether the queue takes one more fragment."""
        if self._queued > self._max_bytes or self._budget.spent:
            return False
        if len(self._queue) < 2:
            return True
        return self._queue[-1].row.end - self._queue[0].row.end < MAX_QUEUE_US

    def _push(self, actions: list[Action]) -> None:
        for action in actions:
            self._queue.append(action)
            self._ready.append(self._clock.monotonic())
            if isinstance(action, Append):
                self._queued += action.size
                self._budget.take(action.size)
        if actions:
            self._idle.clear()
            self._wake.set()

    async def _poll(self) -> None:
        while True:
            await self._clock.sleep(_POLL_SECONDS)
            self._choose()
            self._watch()
            if self._queue:
                self._wake.set()
            if not self._paused:
                self._push(self._core.poll(self._clock.monotonic(), self._room()))

    def _watch(self) -> None:
        """Tell of a disk that hangs. What it is given waits: nobody knows whether it will be taken after all."""
        now = self._clock.monotonic()
        if self._asked is None or now < self._asked + STALLED_SECONDS or self._error:
            return
        self._error = STALLED
        log.error("%s: recording stopped, %s", self.recording, STALLED)
        self._places.failed(self._queue[0].row.volume, STALLED, now)
        if self._active:
            self._state(False, self._reached, EndReason.DISK.value)

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue and self._clock.monotonic() >= self._retry_at:
                await self._perform(self._queue[0])
            self._idle.set()

    def _take(self) -> Action:
        action = self._queue.popleft()
        self._ready.popleft()
        if isinstance(action, Append):
            self._queued -= action.size
            self._budget.give(action.size)
        return action

    async def _perform(self, action: Action) -> None:
        if isinstance(action, Close):
            await self._close(action)
            return
        if self._given_up:
            if not self._move():
                return
            action = self._queue[0]
            assert isinstance(action, Append)
        await self._pool.turns.take(self._ready[0])
        self._asked = self._clock.monotonic()
        try:
            await self._pool.run_in(action.row.volume, self._files.append, action)
        except OSError as error:
            self._asked = None
            await self._failed(action, error)
            return
        self._asked = None
        self._take()
        self._appended(action)

    async def _close(self, action: Close) -> None:
        try:
            await self._pool.run_in(action.row.volume, self._files.close, action)
        except OSError as error:
            # All of it was synced before.
            log.warning("%s: closing a segment failed: %s", self.recording, error.strerror or error)
        self._take()
        self._closed(action)

    def _appended(self, action: Append) -> None:
        began = self._reached if action.offset else action.row.start
        self._reached = action.row.end
        self._written += action.size
        self._fragments += 1
        self._places.works(action.row.volume)
        if self._error:
            log.info("%s: recording again", self.recording)
            self._error = ""
        self._refused, self._retry = frozenset(), _FIRST_RETRY
        # Another encoding goes to another track, which is told without an end in between.
        encodings = frozenset(each.codec for each in action.row.formats)
        if not self._active or encodings != self._encodings:
            self._encodings = encodings
            self._state(True, began, "")

    def _closed(self, action: Close) -> None:
        reason = action.row.end_reason
        if reason is EndReason.CLOCK:
            log.warning("%s: the clock of its footage jumped, a new segment begins", self.recording)
        if reason is EndReason.OVERLOAD:
            log.warning("%s: disk is too slow, %d frames dropped", self.recording, self._core.lost)
        if self._active and not reason.continues:
            self._state(False, action.row.end, reason.value)

    async def _failed(self, action: Append, error: OSError) -> None:
        """Give up the file. What it did not take goes to the next volume, or waits."""
        reason, volume = error.strerror or str(error), action.row.volume
        self._places.failed(volume, reason, self._clock.monotonic())
        self._refused |= {volume}
        self._given_up = True
        elsewhere = self._places.choose(self._volumes, self._clock.monotonic(), self._refused)
        await self._pool.run_in(volume, self._files.abandon, EndReason.VOLUME if elsewhere else EndReason.DISK)
        if elsewhere:
            if not self._error:
                log.warning("%s: goes on on volume %s, %s failed: %s", self.recording, elsewhere, volume, reason)
            return
        if not self._error:
            log.error("%s: recording stopped, disk failed: %s", self.recording, reason)
        self._error = reason
        self._retry_at = self._clock.monotonic() + self._retry
        self._retry = min(_LAST_RETRY, self._retry * 2)
        if self._active:
            self._state(False, self._reached, EndReason.DISK.value)

    def _move(self) -> bool:
        """Bring what is queued to another volume than those that refused it, or to any if all did."""
        now = self._clock.monotonic()
        volume = self._places.choose(self._volumes, now, self._refused)
        if not volume:
            self._refused = frozenset()
            volume = self._places.choose(self._volumes, now)
        if not volume:
            self._retry_at = now + self._retry
            self._error = NO_VOLUME
            return False
        unwritten = list(self._queue)
        while self._queue:
            self._take()
        self._push(self._core.move(volume, unwritten))
        self._given_up = False
        return True

    def _state(self, active: bool, utc: int, reason: str) -> None:
        self._active = active
        if self._on_state is not None:
            self._on_state(self.recording, active, utc, reason)
