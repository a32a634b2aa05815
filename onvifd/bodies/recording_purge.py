"""Footage of recordings that clients have deleted: it goes in the background, and what a stop cut short goes on at the next
start (RecordingControl 5.5). What is locked stays until it is unlocked, and what lies on a volume that is only read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from onvifd.archive.disk import Volume
from onvifd.archive.index import SegmentRow
from onvifd.archive.retention import delete_segment
from onvifd.archive.upkeep import START, Upkeep
from onvifd.clock import Clock
from onvifd.errors import Conflict, NotFound, OnvifdError
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)

BATCH = 20
PAUSE = 0.2
"""Seconds in which others have the disk between two batches."""
LATER = 5.0
"""Seconds until a recording is looked at again of which something could not be deleted yet: it is still open, locked, or on a
volume that is away."""


class Purge:
    """One task from `start` to `stop`. `volumes` are those from which may be deleted; `deleted` is told of every segment that is
    gone."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        upkeep: Upkeep,
        volumes: Callable[[], Sequence[Volume]],
        clock: Clock,
        deleted: Callable[[SegmentRow], None],
    ) -> None:
        self._catalogue = catalogue
        self._upkeep = upkeep
        self._volumes = volumes
        self._clock = clock
        self._deleted = deleted
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="purge of deleted recordings")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """A recording was deleted."""
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                left = await self._once()
            except OnvifdError as error:
                log.error("deleted recordings are not cleared: %s", error.reason)
                left = True
            except Exception:
                # a defect must cost one attempt, not all that follow
                log.exception("deleted recordings are not cleared")
                left = True
            if left:
                await self._clock.sleep(LATER)
                self._wake.set()

    async def _once(self) -> bool:
        """Whether something is left to be done."""
        rows = await self._catalogue.run(self._catalogue.sync.recordings.all)
        left = False
        for row in rows:
            if row.removing and not await self._clear(row.token):
                left = True
        return left

    async def _clear(self, token: str) -> bool:
        """Delete a recording's footage, then its row. False if some must wait."""
        after, failed = START, False
        while True:
            deleted, after, wrong = await asyncio.to_thread(self._batch, token, after)
            failed = failed or wrong
            for row in deleted:
                self._deleted(row)
            if after == START:
                break
            await self._clock.sleep(PAUSE)
        if failed:
            return False
        try:
            await self._catalogue.run(self._catalogue.sync.recordings.remove, token)
        except NotFound:
            return True  # housekeeping was faster
        except Conflict:
            return False  # its last segment is still being closed
        log.info("recording %s and its footage are deleted", token)
        return True

    def _batch(self, token: str, after: tuple[int, int]) -> tuple[list[SegmentRow], tuple[int, int], bool]:
        """What was deleted, where to go on (START for the end), and whether something could not be. Blocks."""
        volumes = {volume.id: volume for volume in self._volumes()}
        deleted: list[SegmentRow] = []
        failed = False
        rows = self._upkeep.oldest(recording=token, after=after, limit=BATCH)
        for row in rows:
            volume = volumes.get(row.volume)
            end = max(row.end, row.start + 1)
            if volume is None or self._upkeep.is_locked(token, row.start, end, self._clock.utc()):
                failed = True
                continue
            try:
                delete_segment(self._upkeep, volume, row)
            except OSError as error:
                log.error("segment %s: %s", row.path, error.strerror)
                failed = True
                continue
            deleted.append(row)
        return deleted, (rows[-1].start, rows[-1].id) if len(rows) == BATCH else START, failed
