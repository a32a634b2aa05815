"""Work on volumes for the console: implements web.storage_jobs.JobsBackend. One job at a time, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from onvifd.access.audit import Log
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import Volume
from onvifd.archive.doctor import Depth, Finding, examine
from onvifd.archive.index import SegmentRow
from onvifd.bodies.recording_view import Change, Told
from onvifd.clock import Clock
from onvifd.errors import Conflict, NotFound, OnvifdError, Unavailable
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.rows import VolumeRow
from onvifd.volumes import register
from onvifd.volumes.model import INITIALISING
from onvifd.volumes.repair import repair
from onvifd.web.guard import Visitor
from onvifd.web.storage_jobs import JobKind, JobState, JobView

log = logging.getLogger(__name__)

REMEMBERED = 20
SHOWN = 1000
"""Findings that are shown; a volume that was lost has one for every file."""
MOST = 100_000
"""Findings that one repair takes up; another one takes up the rest."""
LEAVE = 30.0
"""Seconds for those who write to leave a volume that is to be made anew."""
CLOSE = 20.0


class _Stopped(Exception):
    """Somebody stopped the job."""


@dataclass(slots=True)
class _Job:
    """Counters are written by the job's thread and read by others: each is one whole number or list that only grows."""

    id: int
    kind: JobKind
    rows: tuple[VolumeRow, ...]
    depth: Depth
    visitor: Visitor
    began: int
    state: JobState = JobState.RUNNING
    ended: int | None = None
    done: int = 0
    total: int = 0
    found: int = 0
    result: str = ""
    findings: list[Finding] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    fixed: bool = False
    """Past the point where it can be stopped."""

    def check(self) -> None:
        """Raises _Stopped."""
        if self.stop.is_set():
            raise _Stopped

    def view(self) -> JobView:
        return JobView(
            id=self.id,
            kind=self.kind,
            volumes=tuple(row.id for row in self.rows),
            depth=self.depth,
            state=self.state,
            account=self.visitor.account.name,
            began=self.began,
            ended=self.ended,
            done=self.done,
            total=max(self.total, self.done),
            found=self.found,
            result=self.result,
            findings=tuple(
                {"volume": each.volume, "path": each.path, "kind": each.kind.value, "detail": each.detail}
                for each in self.findings[:SHOWN]
            ),
            left=tuple(self.left[:SHOWN]),
        )


class _Stoppable(CatalogueSegmentStore):
    """The index for a job that may be stopped between two files, also while it looks for files that nobody knows."""

    def __init__(self, catalogue: AsyncCatalogue, job: _Job) -> None:
        super().__init__(catalogue.sync)
        self._job = job

    def segment_by_path(self, volume: str, path: str) -> SegmentRow | None:
        self._job.check()
        return super().segment_by_path(volume, path)


class StorageJobs:
    """`active` are the volumes in use. Use: `start` and the others; `close`."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        clock: Clock,
        active: Callable[[], tuple[VolumeRow, ...]],
        audit: Log,
        change: Change,
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._active = active
        self._told = Told(audit)
        self._change = change
        self._jobs: dict[int, _Job] = {}
        self._task: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="volume job")

    async def close(self) -> None:
        """Stop what runs, after the file that it is at."""
        for job in self._jobs.values():
            job.stop.set()
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=CLOSE)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # ---- what is asked -------------------------------------------------------------------------

    def jobs(self) -> tuple[JobView, ...]:
        """See JobsBackend."""
        return tuple(job.view() for job in reversed(self._jobs.values()))

    def job(self, job: int) -> JobView:
        """See JobsBackend."""
        return self._one(job).view()

    def _one(self, job: int) -> _Job:
        found = self._jobs.get(job)
        if found is None:
            raise NotFound(f"there is no job {job}")
        return found

    async def stop(self, job: int, visitor: Visitor) -> JobView:
        """See JobsBackend."""
        found = self._one(job)
        if found.state is not JobState.RUNNING or found.fixed:
            raise Conflict(f"job {job} has ended" if found.ended else f"job {job} cannot be stopped any more")
        found.stop.set()
        self._told("stop volume job", f"{found.kind} of {_named(found.rows)}", visitor)
        return found.view()

    async def start(self, kind: JobKind, volumes: Sequence[str] | None, depth: Depth, visitor: Visitor) -> JobView:
        """See JobsBackend."""
        async with self._starting:
            if self._task is not None and not self._task.done():
                raise Conflict("another job runs: wait for its end, or stop it")
            rows = await self._catalogue.run(self._chosen, volumes)
            now = self._clock.utc()
            if kind is JobKind.INITIALISE:
                await self._catalogue.run(register.check_erasable, self._catalogue.sync, rows[0], erase=True, now=now)
            job = _Job(max(self._jobs, default=0) + 1, kind, rows, depth, visitor, now)
            self._jobs[job.id] = job
            while len(self._jobs) > REMEMBERED:
                del self._jobs[min(self._jobs)]
            self._told(f"{kind} volumes", f"{_named(rows)}, {depth}", visitor)
            self._task = asyncio.create_task(self._run(job), name=f"{kind} volumes")
            return job.view()

    def _chosen(self, volumes: Sequence[str] | None) -> tuple[VolumeRow, ...]:
        rows = {row.id: row for row in self._active()}
        for volume in volumes or ():
            if volume not in rows:
                raise NotFound(f"there is no volume {volume[:32]}")
        return tuple(rows.values()) if volumes is None else tuple(rows[each] for each in volumes)

    # ---- the work ------------------------------------------------------------------------------

    async def _run(self, job: _Job) -> None:
        loop = asyncio.get_running_loop()
        try:
            if job.kind is JobKind.INITIALISE:
                await self._initialise(job)
            else:
                work = self._check if job.kind is JobKind.CHECK else self._repair
                await loop.run_in_executor(self._pool, work, job)
            job.state = JobState.DONE
        except _Stopped:
            job.state = JobState.STOPPED
        except (OSError, OnvifdError) as error:
            job.state = JobState.FAILED
            job.result = error.reason if isinstance(error, OnvifdError) else error.strerror or type(error).__name__
        except asyncio.CancelledError:
            job.state = JobState.STOPPED
            raise
        except Exception:
            # a defect must cost one job, not those that follow
            log.exception("%s of volumes", job.kind)
            job.state, job.result = JobState.FAILED, "it failed: see the log"
        finally:
            job.ended = self._clock.utc()
            text = f"{_named(job.rows)}: {job.state.value}, {job.result or f'{job.found} findings'}"
            log.info("%s of %s", job.kind, text)
            self._told(f"end of {job.kind}", text, job.visitor)

    def _examined(self, job: _Job) -> None:
        job.done += 1
        job.check()

    def _found(self, job: _Job, row: VolumeRow, store: CatalogueSegmentStore) -> Iterator[Finding]:
        for finding in examine(store, [_volume(row)], lambda: self._examined(job), depth=job.depth):
            job.check()
            job.found += 1
            if len(job.findings) < SHOWN:
                job.findings.append(finding)
            yield finding

    def _count(self, job: _Job) -> None:
        segments = self._catalogue.sync.segments
        job.total = sum(segments.count(row.id) for row in job.rows)

    def _check(self, job: _Job) -> None:
        self._count(job)
        store = _Stoppable(self._catalogue, job)
        for row in job.rows:
            for _ in self._found(job, row, store):
                pass
        job.result = f"{job.done} segments looked at, {job.found} findings"
        if job.depth is Depth.FULL and (wrong := self._catalogue.sync.segments.usage.check()):
            job.result += f", {len(wrong)} counters of bytes are wrong"

    def _repair(self, job: _Job) -> None:
        self._count(job)
        sync, watching = self._catalogue.sync, _Stoppable(self._catalogue, job)
        said = []
        for row in job.rows:
            findings: list[Finding] = []
            for finding in self._found(job, row, watching):
                findings.append(finding)
                if len(findings) == MOST:
                    break
            copy = row.access == "redundant"
            done = repair(sync, CatalogueSegmentStore(sync), _volume(row), _until(findings, job), copy=copy)
            said.append(f"{row.id}: {done.said()}" + (", more are left" if len(findings) == MOST else ""))
            job.left += done.left[:SHOWN]
            job.result = "; ".join(said)
            job.check()
        counters = sync.segments.usage.repair()
        if counters:
            job.result += f"; {len(counters)} counters of bytes put right"

    async def _initialise(self, job: _Job) -> None:
        """Nobody writes to it, then it is erased and marked anew. What stops it before it is erased leaves it as it was."""
        (row,) = job.rows
        sync = self._catalogue.sync
        try:
            await self._change(register.begin_initialising, sync, row)
            await self._left_alone(job, row)
        except BaseException:
            if row.uuid != INITIALISING:
                await asyncio.shield(self._change(sync.volumes.change, row.id, uuid=row.uuid))
            raise
        job.fixed = True
        loop = asyncio.get_running_loop()
        count = await loop.run_in_executor(self._pool, register.finish_initialising, sync, row, self._clock.utc())
        job.result = f"{count} files deleted"

    async def _left_alone(self, job: _Job, row: VolumeRow) -> None:
        until = self._clock.monotonic() + LEAVE
        while any(each.volume == row.id for each in await self._catalogue.run(self._catalogue.sync.segments.open)):
            job.check()
            if self._clock.monotonic() > until:
                raise Unavailable(f"volume {row.id} is still being written")
            await self._clock.sleep(0.5)
        job.check()


def _until(findings: Iterable[Finding], job: _Job) -> Iterator[Finding]:
    """What is to be put right, until somebody stops it: never in the middle of a file."""
    for finding in findings:
        if job.stop.is_set():
            return
        yield finding


def _volume(row: VolumeRow) -> Volume:
    return Volume(row.id, Path(row.path), row.uuid)


def _named(rows: Sequence[VolumeRow]) -> str:
    return ", ".join(row.id for row in rows)
