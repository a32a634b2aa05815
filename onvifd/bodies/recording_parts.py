"""When is recorded, as one part of the recorder: the director, its settings, and snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from onvifd.archive.disk import Volume
from onvifd.archive.index import SegmentStore
from onvifd.bodies.recording_plan import Watch
from onvifd.clock import Clock
from onvifd.errors import Unavailable
from onvifd.events.bus import EventBus
from onvifd.host import timezone as zones
from onvifd.onvif.backend import SystemTime
from onvifd.recording.director import Director
from onvifd.recording.localtime import LocalTime
from onvifd.recording.pictures import Pictures
from onvifd.recording.settings import Settings, load
from onvifd.recording.triggers import Watched
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.schedules import SNAPSHOT
from onvifd.volumes.model import snapshots_of
from onvifd.workers.messages import RecordingState


class Planning(Protocol):
    """Who knows what job fills what (bodies.recording_wiring.RecordingWiring)."""

    ordered: Callable[[tuple[Watch, ...]], None] | None

    def order(self, active: frozenset[str]) -> None:
        """These recordings are to be written now, and no others."""
        ...


class Storage(Protocol):
    """Where things may be written (volumes.keeper.VolumeKeeper)."""

    def volumes_for(self, recording: str) -> tuple[str, ...]:
        """Ids of volumes for a recording, or for the snapshots of a camera, the best first."""
        ...

    def reason_for(self, recording: str) -> str:
        """Why a recording can be written nowhere; empty if it can."""
        ...

    def present(self) -> Sequence[Volume]:
        """Volumes that are there."""
        ...


class Workers(Protocol):
    """workers.cluster.Cluster"""

    async def snapshot(self, camera: str, stream: str) -> bytes: ...


class RecordingParts:
    """One per recorder. Use: `attach`; `read` and what is planned in turn, from before the workers start; `start`; `stop` after
    the workers. `system_time` gives the time zone."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        segments: SegmentStore,
        bus: EventBus,
        clock: Clock,
        system_time: Callable[[], SystemTime],
    ) -> None:
        self._catalogue = catalogue
        self._segments = segments
        self._system_time = system_time
        self._workers: Workers | None = None
        self._planning: Planning | None = None
        self._storage: Storage | None = None
        self._settings = Settings()
        self.director = Director(
            catalogue,
            clock,
            bus,
            local=self._local,
            on_orders=self._order,
            storage=lambda recording: self._storage.reason_for(recording) if self._storage else "",
            ends=self._end,
            rezoned=self._configure_pictures,
        )
        self.pictures = Pictures(
            catalogue,
            clock,
            take=self._take,
            volumes=self._for_snapshots,
            all_volumes=lambda: self._storage.present() if self._storage else (),
            active=self.director.active,
        )
        self.director.subscribe(self.pictures.event)

    def attach(self, workers: Workers, planning: Planning, storage: Storage) -> None:
        """From now on what is decided is done."""
        self._workers, self._planning, self._storage = workers, planning, storage
        planning.ordered = self.watch

    def _order(self, active: frozenset[str]) -> None:
        if self._planning is not None:
            self._planning.order(active)

    async def _take(self, camera: str, stream: str) -> bytes:
        if self._workers is None:
            raise Unavailable("the recorder is starting")
        return await self._workers.snapshot(camera, stream)

    def _local(self) -> LocalTime:
        time = self._system_time()
        return LocalTime(zones.parse(time.timezone), time.daylight)

    def _end(self, recording: str) -> int | None:
        """Where the footage of a recording ends. Blocks."""
        times = self._segments.recording_times(recording)
        return None if times is None else times[1]

    def _for_snapshots(self, camera: str) -> Sequence[Volume]:
        if self._storage is None:
            return ()
        there = {volume.id: volume for volume in self._storage.present()}
        return [there[each] for each in self._storage.volumes_for(snapshots_of(camera)) if each in there]

    async def read(self) -> None:
        """What the catalogue says now; it counts when what is planned is told next."""
        self._settings = await self._catalogue.run(load, self._catalogue.sync)
        self._configure_pictures()

    def _configure_pictures(self) -> None:
        local = self._local()
        cameras = self._settings.cameras
        calendars = {camera: self._settings.calendar(camera, local, SNAPSHOT) for camera in cameras}
        self.pictures.configure(self._settings.snapshots, calendars)

    def watch(self, watches: Iterable[Watch]) -> None:
        """The recordings that a job fills, and from what."""
        self.director.configure(self._settings, [self._watched(each) for each in watches])

    def _watched(self, watch: Watch) -> Watched:
        policy = None if watch.always else self._settings.policies.get((watch.camera, watch.stream))
        return Watched(recording=watch.recording, camera=watch.camera, policy=policy)

    async def start(self) -> None:
        await self.director.start()
        self.pictures.start()

    async def stop(self) -> None:
        await self.pictures.stop()
        await self.director.stop()

    def recording_changed(self, state: RecordingState) -> None:
        """A worker says that writing began or ended."""
        self.director.recording_changed(state)
