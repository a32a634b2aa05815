"""A recording that survives defects of its writer: what failed is closed with an honest end, and begun anew after a pause.

Disks that fail are the writer's own affair (`archive.writer`). Here is what nobody foresaw: the fault is logged once with its
trace, the recording is said to have ended, and the next attempt comes with growing pauses, so that a defect that returns at once
costs little. Nobody else's recording notices.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from onvifd.archive.actions import Append, Close
from onvifd.archive.budget import Budget
from onvifd.archive.disk import DiskPool, SegmentFiles, Volume
from onvifd.archive.index import EndReason, SegmentRows
from onvifd.archive.places import Places
from onvifd.archive.writer import OnState, RecordingWriter, WriterStats
from onvifd.clock import Clock
from onvifd.media.types import AccessUnit, Kind, TrackFormat

log = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY = 1.0, 30.0
"""Seconds before a writer is begun anew after a fault; doubled each time until footage comes again."""
ABANDON_TIMEOUT = 5.0
_NOTHING = WriterStats(active=False, lost=0, written=0, fragments=0, queued=0, error="")


class _Files(SegmentFiles):
    """Segment files that two writers may share one after the other: what is under way in a thread ends first."""

    def __init__(self, volumes: Volume | Callable[[str], Volume | None], store: SegmentRows) -> None:
        super().__init__(volumes, store)
        self._lock = threading.Lock()
        self.reached = 0
        """Where the footage on disk ends."""

    def append(self, action: Append) -> None:
        with self._lock:
            if not action.offset and self._file is not None:
                # A disk that hung has let a writer that was given up write on behind its end.
                super().abandon(EndReason.FAULT)
            super().append(action)
            self.reached = action.row.end

    def close(self, action: Close) -> None:
        with self._lock:
            super().close(action)

    def abandon(self, reason: EndReason) -> None:
        with self._lock:
            super().abandon(reason)


class _Watched(RecordingWriter):
    """A writer that tells when one of its tasks ends by a fault."""

    on_fault: Callable[[BaseException], None]

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._idle.set()  # nobody takes what is queued: it is not waited for
            self.on_fault(error)

    async def discard(self) -> None:
        """End the tasks and forget what is queued."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._forget()


class SupervisedWriter:
    """Records one recording, see `RecordingWriter`. All methods are called on one event loop."""

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
        on_state: OnState,
        segment_seconds: int = 60,
        fragment_seconds: float = 1.0,
        phase: float = 0.0,
        budget: Budget | None = None,
        copy: bool = False,
    ) -> None:
        self.recording = recording
        self._formats = tuple(formats)
        self._volumes = tuple(volumes)
        self._places = places
        self._store = store
        self._pool = pool
        self._clock = clock
        self._on_state = on_state
        self._segment_seconds = segment_seconds
        self._fragment_seconds = fragment_seconds
        self._phase = phase
        self._budget = budget
        self._copy = copy
        self._files = _Files(places.get, store)
        self._writer: _Watched | None = None
        self._restart: asyncio.Task[None] | None = None
        self._paused = False
        self._stopping = False
        self._active = False
        self._before = _NOTHING
        """What former writers counted, and what was lost between them."""
        self._fault = ""
        self._logged = ""
        self._retry = FIRST_RETRY

    @property
    def stats(self) -> WriterStats:
        now = self._writer.stats if self._writer is not None else _NOTHING
        return WriterStats(
            active=self._active,
            lost=self._before.lost + now.lost,
            written=self._before.written + now.written,
            fragments=self._before.fragments + now.fragments,
            queued=now.queued,
            error=now.error or self._fault,
        )

    def start(self) -> None:
        try:
            self._begin()
        except Exception as error:
            self._failed(error)

    def feed(self, unit: AccessUnit) -> None:
        """Take one access unit."""
        if self._writer is None:
            main = next((n for n, each in enumerate(self._formats) if each.kind is Kind.VIDEO), 0)
            if not self._paused and unit.track == main:
                self._before = replace(self._before, lost=self._before.lost + 1)
            return
        try:
            self._writer.feed(unit)
        except Exception as error:
            self._failed(error)

    def set_formats(self, formats: Sequence[TrackFormat]) -> None:
        """The stream's tracks have other formats from the next unit on."""
        self._formats = tuple(formats)
        self._tell(lambda writer: writer.set_formats(self._formats))

    def set_volumes(self, volumes: Sequence[str]) -> None:
        """Other volumes, or other ones are there now."""
        self._volumes = tuple(volumes)
        self._tell(lambda writer: writer.set_volumes(self._volumes))

    @property
    def room(self) -> bool:
        """Whether more can be fed without being dropped for want of room."""
        return self._writer is not None and self._writer.room

    @property
    def waiting(self) -> bool:
        """Whether nothing is being recorded until the next clean point."""
        return self._writer is None or self._writer.waiting

    def pause(self) -> None:
        """Stop recording until `resume` (job mode Idle)."""
        self._paused = True
        self._tell(lambda writer: writer.pause())

    def resume(self) -> None:
        self._paused = False
        self._tell(lambda writer: writer.resume())

    async def stop(self, timeout: float = 5.0) -> None:
        """Write what is pending, close the file and end; a disk that hangs is left alone after `timeout` seconds."""
        self._stopping = True
        if self._restart is not None:
            self._restart.cancel()
            await asyncio.gather(self._restart, return_exceptions=True)
            self._restart = None
        if self._writer is not None:
            try:
                await self._writer.stop(timeout)
            except Exception as error:
                self._failed(error)
            if self._fault:
                await self._give_up(self._writer)
        else:
            await self._abandon()

    # ---- faults --------------------------------------------------------------------------------

    def _begin(self) -> None:
        writer = _Watched(
            self.recording,
            self._formats,
            volumes=self._volumes,
            places=self._places,
            store=self._store,
            pool=self._pool,
            clock=self._clock,
            on_state=self._state,
            segment_seconds=self._segment_seconds,
            fragment_seconds=self._fragment_seconds,
            phase=self._phase,
            budget=self._budget,
            copy=self._copy,
            files=self._files,
        )
        writer.on_fault = self._failed
        if self._paused:
            writer.pause()
        self._writer = writer
        writer.start()

    def _tell(self, call: Callable[[_Watched], None]) -> None:
        if self._writer is None:
            return
        try:
            call(self._writer)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self._fault = f"internal fault ({type(error).__name__})"
        said = f"{type(error).__name__}: {error}"
        if said != self._logged:
            log.critical("%s: recording ended by a fault", self.recording, exc_info=error)
        self._logged = said
        if self._stopping or self._restart is not None:
            return
        if self._writer is not None:
            now = self._writer.stats
            self._before = WriterStats(
                active=False,
                lost=self._before.lost + now.lost,
                written=self._before.written + now.written,
                fragments=self._before.fragments + now.fragments,
                queued=0,
                error="",
            )
        failed, self._writer = self._writer, None
        self._restart = asyncio.create_task(self._again(failed), name=f"restart of {self.recording}")

    async def _again(self, failed: _Watched | None) -> None:
        """Close what the fault left open, wait, begin anew; until a writer stands."""
        await self._give_up(failed)
        while True:
            await self._clock.sleep(self._retry)
            self._retry = min(LAST_RETRY, self._retry * 2)
            try:
                self._begin()
            except Exception as error:
                self._failed(error)
                continue
            self._restart = None
            return

    async def _give_up(self, failed: _Watched | None) -> None:
        if failed is not None:
            await failed.discard()
        await self._abandon()

    async def _abandon(self) -> None:
        """End the open segment, if there is one, and say that the recording has ended."""
        try:
            async with asyncio.timeout(ABANDON_TIMEOUT):
                await self._pool.run(self._files.abandon, EndReason.FAULT)
        except Exception:
            # A disk that hangs, or a second defect: recovery completes the segment at the next start.
            log.exception("%s: its segment is not closed", self.recording)
        if self._active:
            try:
                self._state(self.recording, False, self._files.reached, EndReason.FAULT.value)
            except Exception:
                log.exception("%s: nobody hears that it has ended", self.recording)

    def _state(self, recording: str, active: bool, utc: int, reason: str) -> None:
        self._active = active
        if active:
            if self._fault:
                log.info("%s: recording again", self.recording)
            self._fault, self._logged, self._retry = "", "", FIRST_RETRY
        self._on_state(recording, active, utc, reason)
