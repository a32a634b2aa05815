"""Deleting footage: by age and quota of each recording, and the oldest of a volume that has grown over its bounds.

It goes segment by segment in small batches with pauses, so that writing never waits for it. Open segments, those that are
locked and those on volumes that are not there or may only be read stay. A disk that hangs keeps no other from being swept. The file goes first, then its row: a crash in between
leaves a row without file, which the check finds and a later sweep removes, never a file that nobody knows.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.index import SegmentRow
from onvifd.archive.upkeep import START, LockTable, Upkeep
from onvifd.clock import Alarm, Clock
from onvifd.errors import OnvifdError

log = logging.getLogger(__name__)

BATCH = 20
"""Segments that are deleted before others get the disk again."""
PAGE = 50
"""Segments that are looked at at once."""
_PAUSE_SECONDS = 0.2
_SWEEP_SECONDS = 30.0
STUCK_SECONDS = 60.0
"""A batch that takes longer hangs on a disk: it is left to itself, and other volumes are gone on with."""
MAX_STUCK = 8
"""Batches that may hang at once; then nothing more is deleted until one of them comes back."""

OnDeleted = Callable[[SegmentRow], None]
"""Called on the event loop after a segment is gone."""
Forget = Callable[[str, int, bool], None]
"""`forget(recording, utc, crowded)`: what describes footage before `utc` goes with it. `crowded` is whether it went to make room
on a volume. Blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeBounds:
    """What is kept of a volume: `max_bytes` (0: no bound), and `reserve` is the part (0 to 1) of the file system that stays
    free."""

    volume: Volume
    max_bytes: int = 0
    reserve: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What retention has to keep to now. `volumes` are those that are there and may be written, by id.

    Without `overwrite` a full volume stays full. Ages are microseconds: `max_age` holds for recordings that `ages` does not
    name, 0 is for ever. `quotas` are bytes.
    """

    volumes: Mapping[str, VolumeBounds] = field(default_factory=dict)
    overwrite: bool = True
    max_age: int = 0
    ages: Mapping[str, int] = field(default_factory=dict)
    quotas: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did: segments deleted, and the volumes that stay over their bounds because what is left is locked."""

    deleted: int = 0
    locked_up: frozenset[str] = frozenset()


Thin = Callable[[Volume, int], int]
"""`thin(volume, bytes)`: delete so much of what else is stored on a volume, oldest first; gives how much that was. Blocks."""

OnSwept = Callable[[Swept], None]


@dataclass(slots=True)
class _Batch:
    """What was done in one go. `after` is where to go on; None at the end of the list or when enough was deleted."""

    deleted: list[SegmentRow] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    after: tuple[int, int] | None = None


_T = TypeVar("_T")
_Step = Callable[[tuple[int, int]], _Batch]
_LANES = tuple(f"retention {number}" for number in range(MAX_STUCK))
STUCK = "the disk does not answer"


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError) and not error.errno:
        return STUCK
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _came_back(late: asyncio.Future[Any]) -> None:
    """What hung has ended after all; what it did is seen at the next sweep."""
    if not late.cancelled() and (error := late.exception()) is not None:
        log.info("retention: a disk that did not answer has failed: %s", error)


class Retention:
    """Keeps the archive inside its rules, which are asked anew for each sweep."""

    def __init__(
        self,
        store: Upkeep,
        rules: Callable[[], Rules],
        *,
        pool: DiskPool,
        clock: Clock,
        on_deleted: OnDeleted | None = None,
        on_swept: OnSwept | None = None,
        forget: Forget | None = None,
        thin: Thin | None = None,
    ) -> None:
        self._store = store
        self._rules = rules
        self._pool = pool
        self._clock = clock
        self._on_deleted = on_deleted
        self._on_swept = on_swept
        self._forget = forget
        self._thin = thin
        self._failed: dict[str, str] = {}
        self._stuck: dict[str, asyncio.Future[Any]] = {}
        """Lanes of the pool whose thread does not come back."""
        self._alarm = Alarm(clock)

    def wake(self) -> None:
        """Sweep now: a disk is full."""
        self._alarm.ring()

    async def run(self) -> None:
        """Sweep for ever; to be run as a task and cancelled."""
        while True:
            try:
                await self.sweep()
            except Exception:
                # a defect must cost one sweep, not all that follow
                log.exception("retention: the sweep failed")
            await self._alarm.wait(_SWEEP_SECONDS)

    async def sweep(self) -> Swept:
        """Delete what the rules do not let stay, in batches."""
        rules = self._rules()
        failures: dict[str, str] = {}
        touched: dict[str, int] = {}
        crowded: dict[str, int] = {}
        total = 0
        locked_up = set()
        try:
            locks = await self._pool.run(lambda: LockTable(self._store.locks(self._clock.utc())))
            total += await self._by_recording(rules, locks, failures, touched)
            for bounds in rules.volumes.values():
                deleted, full = await self._by_volume(rules, bounds, locks, failures, crowded)
                total += deleted
                if full:
                    locked_up.add(bounds.volume.id)
        except OnvifdError as error:
            failures["the catalogue"] = error.reason
        await self._describe(touched, crowded, failures)
        self._report(failures)
        if total:
            log.info("retention: %d segments deleted", total)
        swept = Swept(deleted=total, locked_up=frozenset(locked_up))
        if self._on_swept is not None:
            self._on_swept(swept)
        return swept

    async def _by_recording(
        self, rules: Rules, locks: LockTable, failures: dict[str, str], touched: dict[str, int]
    ) -> int:
        """What is older than its recording may keep, and what is over its quota."""
        if not (rules.max_age or any(rules.ages.values()) or rules.quotas):
            return 0
        total = 0
        for recording in await self._pool.run(self._store.recorded):
            age = rules.ages.get(recording, rules.max_age)
            if age:
                before = self._clock.utc() - age

                def expired(after: tuple[int, int], recording: str = recording, before: int = before) -> _Batch:
                    rows = self._store.oldest(
                        recording=recording, before=before, after=after, limit=PAGE, locks=locks.stretches
                    )
                    return self._delete(rows, rules, locks, None)

                total += await self._of_recording(recording, expired, failures, touched)
            quota = rules.quotas.get(recording, 0)
            if quota:

                def over(after: tuple[int, int], recording: str = recording, quota: int = quota) -> _Batch:
                    excess = self._store.recording_bytes(recording) - quota
                    rows = self._after(after, locks, recording=recording) if excess > 0 else ()
                    return self._delete(rows, rules, locks, excess)

                total += await self._of_recording(recording, over, failures, touched)
        return total

    async def _of_recording(
        self, recording: str, step: _Step, failures: dict[str, str], touched: dict[str, int]
    ) -> int:
        try:
            return await self._batches(step, failures, touched)
        except OSError as error:
            failures[recording] = _reason(error)
            return 0

    async def _by_volume(
        self, rules: Rules, bounds: VolumeBounds, locks: LockTable, failures: dict[str, str], touched: dict[str, int]
    ) -> tuple[int, bool]:
        """The oldest of a volume that is over its bounds; true if that was not enough because of locks."""
        volume = bounds.volume
        if not rules.overwrite:
            return 0, False

        def oldest(after: tuple[int, int]) -> _Batch:
            excess = self._excess(bounds)
            rows = self._after(after, locks, volume=volume.id) if excess > 0 else ()
            return self._delete(rows, rules, locks, excess)

        def locked_up() -> bool:
            left = self._store.oldest(volume=volume.id, limit=1)
            return bool(left) and locks.covers(left[0]) and self._excess(bounds) > 0

        try:
            deleted = await self._batches(oldest, failures, touched)
            await self._in_time(self._make_room, bounds, locks)
            full = await self._in_time(locked_up)
        except OSError as error:
            failures[volume.id] = _reason(error)
            return 0, False
        return deleted, full

    def _make_room(self, bounds: VolumeBounds, locks: LockTable) -> None:
        """Where no footage is left that may go, snapshots do. Raises OSError, Unavailable."""
        short = _short(bounds)
        if self._thin is not None and short > 0 and not self._after(START, locks, volume=bounds.volume.id):
            self._thin(bounds.volume, short)

    async def _in_time(self, work: Callable[..., _T], *args: object) -> _T:
        """In a thread. Raises TimeoutError if it does not come back, and leaves it alone then."""
        self._stuck = {lane: pending for lane, pending in self._stuck.items() if not pending.done()}
        lane = next((each for each in _LANES if each not in self._stuck), None)
        if lane is None:
            raise TimeoutError(STUCK)
        pending = asyncio.ensure_future(self._pool.run_in(lane, work, *args))
        try:
            done, _ = await asyncio.wait({pending}, timeout=STUCK_SECONDS)
        except asyncio.CancelledError:
            pending.cancel()
            raise
        if done:
            return pending.result()
        self._stuck[lane] = pending
        pending.add_done_callback(_came_back)
        raise TimeoutError(STUCK)

    async def _batches(self, step: _Step, failures: dict[str, str], touched: dict[str, int]) -> int:
        """Run batches until there is nothing left to do. Raises OSError, Unavailable."""
        total, after = 0, START
        while True:
            batch = await self._in_time(step, after)
            failures |= batch.failures
            for row in batch.deleted:
                touched[row.recording] = max(row.end, touched.get(row.recording, 0))
                if self._on_deleted is not None:
                    self._on_deleted(row)
            total += len(batch.deleted)
            if batch.after is None:
                return total
            after = batch.after
            await self._clock.sleep(_PAUSE_SECONDS)

    def _after(
        self, after: tuple[int, int], locks: LockTable, *, volume: str | None = None, recording: str | None = None
    ) -> tuple[SegmentRow, ...]:
        """The next page of what may be deleted."""
        return self._store.oldest(volume=volume, recording=recording, after=after, limit=PAGE, locks=locks.stretches)

    def _delete(self, rows: tuple[SegmentRow, ...], rules: Rules, locks: LockTable, excess: int | None) -> _Batch:
        """Delete from a page of segments, oldest first, at most a batch and no more than `excess` bytes ask for.

        A file that cannot be deleted is left out, so that it does not keep the volume full.
        """
        batch = _Batch()
        for row in rows:
            if excess is not None and excess <= 0:
                return batch
            batch.after = (row.start, row.id)
            if locks.covers(row):
                continue
            bounds = rules.volumes.get(row.volume)
            if bounds is None:
                continue
            try:
                # asked again: it may have been locked since the sweep began
                if self._store.is_locked(row.recording, row.start, max(row.end, row.start + 1), self._clock.utc()):
                    continue
                delete_segment(self._store, bounds.volume, row)
            except OSError as error:
                batch.failures[row.volume] = _reason(error)
                continue
            batch.deleted.append(row)
            if excess is not None:
                excess -= row.size
            if len(batch.deleted) == BATCH:
                return batch
        if len(rows) < PAGE:
            batch.after = None
        return batch

    def _excess(self, bounds: VolumeBounds) -> int:
        """Bytes to be deleted. Raises OSError."""
        over = 0
        if bounds.max_bytes:
            over = self._store.volume_bytes(bounds.volume.id) - bounds.max_bytes
        return max(over, _short(bounds))

    async def _describe(self, touched: dict[str, int], crowded: dict[str, int], failures: dict[str, str]) -> None:
        """What tells of deleted time is forgotten with it."""
        if self._forget is None:
            return
        for recording in sorted(touched.keys() | crowded.keys()):
            reached = max(touched.get(recording, 0), crowded.get(recording, 0))
            try:
                earliest = await self._pool.run(self._store.earliest, recording)
                # Locked footage in front keeps what describes it.
                before = reached if earliest is None else min(earliest, reached)
                await self._in_time(self._forget, recording, before, recording in crowded)
            except OnvifdError as error:
                failures[recording] = error.reason
            except OSError as error:
                failures[recording] = _reason(error)

    def _report(self, failures: dict[str, str]) -> None:
        """Once for each subject and reason until it works again."""
        for subject, reason in failures.items():
            if self._failed.get(subject) != reason:
                log.error("retention: %s: %s", subject, reason)
        self._failed = failures


def _short(bounds: VolumeBounds) -> int:
    """Bytes that are missing in what is to stay free. Raises OSError."""
    info = os.statvfs(bounds.volume.root)
    reserve = int(info.f_blocks * info.f_frsize * bounds.reserve)
    return reserve - info.f_bavail * info.f_frsize


def delete_segment(store: Upkeep, volume: Volume, row: SegmentRow) -> None:
    """Remove a segment's file, then its row, then folders that became empty. Raises OSError or Unavailable."""
    path = volume.path(row.path)
    try:
        path.unlink()
    except FileNotFoundError:
        # Of a volume that has just been pulled nothing is gone.
        if not volume.is_there():
            raise
    store.forget(row.id)
    for folder in list(path.parents)[:3]:
        if folder == volume.root:
            break
        try:
            folder.rmdir()
        except OSError:
            # Not empty: others are still in there.
            break
