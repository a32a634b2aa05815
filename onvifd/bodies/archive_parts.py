"""The archive as one part of the recorder: volumes and their keeper, recovery at the start, retention."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from onvifd.archive.catalogue_upkeep import CatalogueUpkeep
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.index import SegmentRow, SegmentStore
from onvifd.archive.recovery import RecoveryReport, recover
from onvifd.archive.retention import Retention
from onvifd.bodies.storage_report import storage_report
from onvifd.clock import US, Clock
from onvifd.config import Config
from onvifd.errors import OnvifdError
from onvifd.events.bus import EventBus
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.volumes.keeper import VolumeKeeper
from onvifd.volumes.look import recordings_on
from onvifd.volumes.register import register
from onvifd.volumes.repair import catch_up
from onvifd.volumes.snapshots import forget_snapshots, thin_snapshots
from onvifd.workers.cluster import Cluster
from onvifd.workers.messages import AnyMessage, RecordingState, VolumeTrouble
from onvifd.workers.specs import VolumeSpec

log = logging.getLogger(__name__)


class ArchiveParts:
    """One per recorder; `added` are folders that ONVIF clients named."""

    def __init__(
        self,
        config: Config,
        catalogue: AsyncCatalogue,
        segments: SegmentStore,
        bus: EventBus,
        clock: Clock,
        added: tuple[Path, ...] = (),
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._segments = segments
        self._clock = clock
        self._paths = tuple(dict.fromkeys((*config.volume_paths, *added)))
        self._cluster: Cluster | None = None
        self._moved: Callable[[], Awaitable[None]] | None = None
        self._mover: asyncio.Task[None] | None = None
        self._move = asyncio.Event()
        self._deleted: Callable[[SegmentRow], None] = lambda row: None
        self._gone: frozenset[str] = frozenset()
        self._returned: dict[str, asyncio.Task[None]] = {}
        self._pool = DiskPool(1)
        archive = config.archive
        self.keeper = VolumeKeeper(
            catalogue,
            clock,
            bus.publish,
            paths=self._paths,
            reserve=archive.reserve_percent / 100,
            max_age=archive.retention_seconds * US,
            changed=self._changed,
            full=lambda: self.retention.wake(),
        )
        self.retention = Retention(
            CatalogueUpkeep(catalogue.sync),
            self.keeper.rules,
            pool=self._pool,
            clock=clock,
            on_deleted=lambda row: self._deleted(row),
            on_swept=self.keeper.swept,
            forget=self._forget,
            thin=partial(thin_snapshots, catalogue.sync),
        )

    async def open(self) -> None:
        """Find the volumes, put their files and the index in order, and begin to watch. Raises OnvifdError."""
        archive, sync = self._config.archive, self._catalogue.sync
        await asyncio.to_thread(self._make_default)
        await asyncio.to_thread(register, sync, self._paths, archive.max_bytes, self._clock.utc())
        await self.keeper.start()
        report = await asyncio.to_thread(self._recover)
        for failure in report.failed:
            log.error("archive: %s", failure)
        self._gone = self._absent()

    def _make_default(self) -> None:
        """The volume inside the data folder is the only one that is made here."""
        if not self._config.archive.volumes:
            self._config.volume_paths[0].mkdir(mode=0o700, exist_ok=True)

    def _recover(self) -> RecoveryReport:
        """Of recordings that are known: what else lies on a volume is taken in by a rebuild, when people ask for it."""
        known = {row.token for row in self._catalogue.sync.recordings.all()} | set(self._segments.recorded())
        present = self.keeper.present()
        for volume in present:
            strange = [each for each in recordings_on(volume.root) if each not in known]
            if strange:
                log.warning(
                    "volume %s holds %d recordings that nobody knows (%s, ...): onvifd volume rebuild takes them in",
                    *(volume.id, len(strange), strange[0]),
                )
        return recover(self._segments, present, recordings=frozenset(known))

    async def close(self) -> None:
        """After the workers and the retention."""
        tasks = [*self._returned.values(), *([self._mover] if self._mover is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.keeper.close()
        self._pool.close()

    # ---- what it has to do with others ---------------------------------------------------------

    def attach(
        self, cluster: Cluster, moved: Callable[[], Awaitable[None]], deleted: Callable[[SegmentRow], None]
    ) -> None:
        """From now on the workers hear which volumes may be written, and `moved` is called when recordings go elsewhere."""
        self._cluster, self._moved, self._deleted = cluster, moved, deleted
        cluster.set_volumes(self._specs(self.keeper.writable()))
        self._mover = asyncio.create_task(self._tell(), name="moved recordings")

    async def reload(self) -> None:
        """Take over what was changed in the catalogue. Raises OnvifdError."""
        await self.keeper.reload()

    def volumes(self) -> list[Volume]:
        """All volumes, there or not: those that can be written first."""
        writable = self.keeper.writable()
        ids = {volume.id for volume in writable}
        return [*writable, *(volume for volume in self.keeper.known() if volume.id not in ids)]

    def heard(self, message: AnyMessage) -> None:
        """A worker says something."""
        if isinstance(message, VolumeTrouble):
            self.keeper.trouble(message.volume, message.reason)
        elif isinstance(message, RecordingState) and message.error:
            # The disk refused, perhaps for want of room: it is made at once.
            self.retention.wake()

    async def report(self) -> str:
        """Volumes, depth of the archive and forecast, for people."""
        return await self._catalogue.run(
            storage_report, self._catalogue.sync, self.keeper.statuses(), self._config, self._clock.utc()
        )

    def _changed(self) -> None:
        if self._cluster is not None:
            self._cluster.set_volumes(self._specs(self.keeper.writable()))
            self._move.set()
        absent, before = self._absent(), self._gone
        self._gone = absent
        for volume in self.keeper.present():
            if volume.id in before and volume.id not in absent and volume.id not in self._returned:
                task = asyncio.create_task(self._take_up(volume), name=f"take up {volume.id}")
                self._returned[volume.id] = task
                task.add_done_callback(partial(self._took_up, volume.id))

    def _took_up(self, volume: str, task: asyncio.Task[None]) -> None:
        self._returned.pop(volume, None)

    async def _tell(self) -> None:
        while True:
            await self._move.wait()
            self._move.clear()
            try:
                if self._moved is not None:
                    await self._moved()
            except OnvifdError as error:
                log.error("recordings do not follow the volumes: %s", error.reason)
            except Exception:
                # a defect must cost one change, not all that follow
                log.exception("recordings do not follow the volumes")

    def _absent(self) -> frozenset[str]:
        return frozenset(each.id for each in self.keeper.known()) - {each.id for each in self.keeper.present()}

    async def _take_up(self, volume: Volume) -> None:
        """What was torn when a volume went is put in order when it is back, while recording goes on."""
        try:
            report = await self._catalogue.run(catch_up, self._catalogue.sync, self._segments, volume)
        except (OSError, OnvifdError) as error:
            log.error("volume %s: what it held is not checked: %s", volume.id, error)
            return
        log.info("volume %s: %s", volume.id, report.said())

    def _specs(self, volumes: tuple[Volume, ...]) -> list[VolumeSpec]:
        return [VolumeSpec(id=each.id, path=str(each.root), uuid=each.uuid) for each in volumes]

    def _forget(self, recording: str, utc: int, crowded: bool) -> None:
        """Spans and tags go with the footage that they describe. Snapshots have an age of their own: they go with footage
        that made room, for they take room themselves. Blocks."""
        sync = self._catalogue.sync
        sync.spans.forget_before(recording, utc)
        while tags := sync.tags.find(recordings=[recording], end=utc, limit=1000):
            sync.tags.remove([tag.id for tag in tags])
        if crowded:
            forget_snapshots(sync, {volume.id: volume for volume in self.keeper.present()}, recording, utc)
