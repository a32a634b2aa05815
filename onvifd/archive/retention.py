"""Deleting the oldest footage: by age, by a bound of bytes per volume and by the part of the file system that stays free.

The file goes first, then its row: a crash in between leaves a row without file, which the doctor finds and a later sweep
removes, never a file that nobody knows.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.index import SegmentRow, SegmentStore
from onvifd.clock import Clock
from onvifd.errors import OnvifdError

log = logging.getLogger(__name__)

BATCH = 20
"""Segments that are deleted before others get the disk again."""
_PAUSE_SECONDS = 0.2
_SWEEP_SECONDS = 30.0

OnDeleted = Callable[[SegmentRow], None]
"""Called on the event loop after a segment is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """`max_bytes` per volume (0: none), `reserve` the part of the file system (0 to 1) that stays free, `max_age` in
    microseconds (0: none)."""

    max_bytes: int = 0
    reserve: float = 0.1
    max_age: int = 0


class Retention:
    """Keeps volumes inside their bounds. Open segments are never touched."""

    def __init__(
        self,
        store: SegmentStore,
        volumes: Sequence[Volume],
        bounds: Bounds,
        *,
        pool: DiskPool,
        clock: Clock,
        on_deleted: OnDeleted | None = None,
    ) -> None:
        self._store = store
        self._volumes = tuple(volumes)
        self._bounds = bounds
        self._pool = pool
        self._clock = clock
        self._on_deleted = on_deleted
        self._failed: set[str] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Sweep now: a disk is full."""
        self._wake.set()

    async def run(self) -> None:
        """Sweep for ever; to be run as a task and cancelled."""
        while True:
            self._wake.clear()
            await self.sweep()
            pauses = [
                asyncio.ensure_future(self._clock.sleep(_SWEEP_SECONDS)),
                asyncio.ensure_future(self._wake.wait()),
            ]
            try:
                await asyncio.wait(pauses, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pause in pauses:
                    pause.cancel()
                await asyncio.gather(*pauses, return_exceptions=True)

    async def sweep(self) -> int:
        """Delete what is over the bounds on every volume, in batches; gives the number of segments deleted."""
        total = 0
        for volume in self._volumes:
            while True:
                try:
                    deleted, failure = await self._pool.run(self._batch, volume)
                except (OSError, OnvifdError) as error:
                    self._report(volume, error)
                    break
                if failure is None:
                    self._failed.discard(volume.id)
                else:
                    self._report(volume, failure)
                for row in deleted:
                    if self._on_deleted is not None:
                        self._on_deleted(row)
                total += len(deleted)
                if len(deleted) < BATCH:
                    break
                await self._clock.sleep(_PAUSE_SECONDS)
        if total:
            log.info("retention: %d segments deleted", total)
        return total

    def _report(self, volume: Volume, error: OSError | OnvifdError) -> None:
        """Once per volume until it works again."""
        if volume.id not in self._failed:
            reason = error.reason if isinstance(error, OnvifdError) else error.strerror
            log.error("retention: volume %s: %s", volume.id, reason)
        self._failed.add(volume.id)

    def _batch(self, volume: Volume) -> tuple[list[SegmentRow], OSError | None]:
        """What was deleted. A file that cannot be deleted is left out, so that it does not keep the volume full."""
        deleted: list[SegmentRow] = []
        failure: OSError | None = None
        excess = self._excess(volume)
        for row in self._store.oldest_segments(volume.id, BATCH):
            too_old = self._bounds.max_age and row.end < self._clock.utc() - self._bounds.max_age
            if excess <= 0 and not too_old:
                break
            try:
                delete_segment(self._store, volume, row)
            except OSError as error:
                failure = error
                continue
            excess -= row.size
            deleted.append(row)
        return deleted, failure

    def _excess(self, volume: Volume) -> int:
        """Bytes to be deleted."""
        over = 0
        if self._bounds.max_bytes:
            over = self._store.volume_bytes(volume.id) - self._bounds.max_bytes
        info = os.statvfs(volume.root)
        reserve = int(info.f_blocks * info.f_frsize * self._bounds.reserve)
        return max(over, reserve - info.f_bavail * info.f_frsize)


def delete_segment(store: SegmentStore, volume: Volume, row: SegmentRow) -> None:
    """Remove a segment's file, then its row, then folders that became empty. Raises OSError or Unavailable."""
    path = volume.path(row.path)
    path.unlink(missing_ok=True)
    store.delete_segment(row.id)
    for folder in list(path.parents)[:3]:
        if folder == volume.root:
            break
        try:
            folder.rmdir()
        except OSError:
            # Not empty: others are still in there.
            break
