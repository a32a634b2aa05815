"""Recording control and receivers put together: between the catalogue, the workers and the services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from onvifd.access.keyfile import SecretBox
from onvifd.archive.catalogue_upkeep import CatalogueUpkeep
from onvifd.archive.disk import Volume
from onvifd.archive.index import SegmentStore
from onvifd.bodies.configured import spec_of
from onvifd.bodies.events_parts import EventParts
from onvifd.bodies.receivers import Receivers
from onvifd.bodies.reception import Receptions
from onvifd.bodies.recorder import Recorder
from onvifd.bodies.recording_control import ControlActions, RecordingControl
from onvifd.bodies.recording_export import RecordingExport
from onvifd.bodies.recording_plan import Watch, record_specs, watches
from onvifd.bodies.recording_purge import Purge
from onvifd.bodies.recording_tables import Tables, read_tables
from onvifd.bodies.recording_tracks import NewTracks
from onvifd.cameras.registry import Camera, Role, job_row, recording_row
from onvifd.clock import Clock
from onvifd.config import Config
from onvifd.events.bus import EventBus
from onvifd.onvif.device_backend import StorageControl
from onvifd.recording.settings import Changes, with_active
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.store.policies import MAIN, OFF
from onvifd.store.rows import PolicyRow
from onvifd.workers.cluster import Cluster
from onvifd.workers.specs import CameraSpec, RecordSpec

NO_STORAGE = "no volume for recordings is there"

Found = tuple[tuple[PolicyRow, ...], Tables]
"""Policies of all streams, and the tables of recordings."""


class RecordingWiring:
    """`change` changes the catalogue and has `take_over` called. `ordered`, if given, is told what is to be watched and
    decides itself what is written when; without it everything that is taken is written."""

    def __init__(
        self,
        config: Config,
        catalogue: AsyncCatalogue,
        segments: SegmentStore,
        box: SecretBox,
        bus: EventBus,
        clock: Clock,
        *,
        recorder: Recorder,
        cluster: Cluster,
        events: EventParts,
        volumes: Callable[[], Sequence[Volume]],
        deletable: Callable[[], Sequence[Volume]],
        change: Callable[..., Awaitable[Any]],
    ) -> None:
        self._catalogue = catalogue
        self._segments = segments
        self._cluster = cluster
        self._recorder = recorder
        self._events = events
        self._volumes = volumes
        self._change = change
        self._cameras: tuple[Camera, ...] = ()
        self._policies: dict[tuple[str, str], PolicyRow] = {}
        self.ordered: Callable[[tuple[Watch, ...]], None] | None = None
        self.fed: Callable[[Sequence[CameraSpec]], None] = lambda sources: None
        """Told which source feeds which recordings."""
        self.volumes_for: Callable[[str], tuple[str, ...]] = lambda _: tuple(each.id for each in volumes())
        self.copies_for: Callable[[str], tuple[str, ...]] = lambda _: ()
        self.storage: StorageControl | None = None
        """Where exports may go; known once the device can be configured."""
        self._tracks = NewTracks(catalogue.sync.recordings, change)
        self._purge = Purge(catalogue, CatalogueUpkeep(catalogue.sync), deletable, clock, events.deleted)
        self.receivers = Receivers(catalogue.sync, box, bus, clock, change=change, told=self._receiver_changed)
        self.control = self._make_control(config, bus, clock, no_storage="" if volumes() else NO_STORAGE)
        self.export = RecordingExport(
            segments,
            bus,
            clock,
            volumes=volumes,
            find=self.control.recording,
            recordings=self.control.recordings,
            storages=self._storages,
            locks=catalogue.sync.locks,
        )
        recorder.control = self.control
        self.receptions = Receptions(catalogue)

    def _make_control(self, config: Config, bus: EventBus, clock: Clock, *, no_storage: str) -> RecordingControl:
        return RecordingControl(
            catalogue=self._catalogue.sync,
            segments=self._segments,
            streams=self._recorder,
            receivers=self.receivers,
            bus=bus,
            clock=clock,
            actions=ControlActions(
                change=self._change,
                set_record=self.set_record,
                purge=lambda _: self._purge.wake(),
                replanned=self.push,
                written=self._tracks.written,
            ),
            retention=config.archive.retention_seconds,
            cameras=config.limits.cameras,
            no_storage=no_storage,
            storages=self._storages,
            segment=config.archive.segment_seconds,
        )

    def start(self) -> None:
        self._purge.start()
        self.export.start()

    async def stop(self) -> None:
        await self.receptions.close()
        await self.export.stop()
        await self._tracks.stop()
        await self._purge.stop()

    async def _storages(self) -> Mapping[str, Path]:
        """Folders of storage configurations by token."""
        known = await self.storage.storages() if self.storage is not None else ()
        return {each.token: Path(each.path) for each in known if each.path}

    # ---- from the catalogue to the workers -----------------------------------------------------

    async def read(self, cameras: tuple[Camera, ...]) -> Found:
        """What the catalogue says now; `cameras` are those in use."""
        await self.receptions.read()
        return await self._catalogue.run(_read, self._catalogue.sync, self._segments, cameras)

    def take_over(self, cameras: tuple[Camera, ...], found: Found) -> None:
        """From now on that holds. The recorder knows the channels of the cameras already."""
        self._cameras = cameras
        policies, tables = found
        self._policies = {(row.camera, row.stream): row for row in policies}
        self.control.configure(tables)
        self._events.configured(self.control.recordings(), self.control.jobs())
        self.push()

    def push(self) -> None:
        """Tell the workers what to pull and what to record of it."""
        plan = self.control.plan()
        specs = record_specs(plan, {each.recording: self._rule(each.recording) for each in plan})
        cameras = self.receptions.applied(spec_of(camera, specs) for camera in self._cameras)
        sources = (*cameras, *self.receivers.specs(specs))
        self._cluster.set_cameras(sources)
        self.fed(sources)
        if self.ordered is not None:
            self.ordered(watches(plan))
        else:
            self.order(frozenset(each.recording for each in plan))

    def order(self, active: frozenset[str]) -> None:
        """From now on these recordings are to be written, and no others."""
        self._cluster.set_orders(active)
        self.control.set_orders(active)

    def _rule(self, recording: str) -> RecordSpec:
        """Where a recording is written, and how much is kept before an event."""
        spec = RecordSpec(recording=recording, volumes=self.volumes_for(recording))
        row = self.control.row(recording)
        policy = self._policies.get((row.camera, row.role)) if row is not None and row.camera is not None else None
        if policy is None:
            return spec
        copies = self.copies_for(recording) if policy.redundant else ()
        return RecordSpec(
            recording=recording, volumes=spec.volumes, copies=copies, pre=float(policy.pre), audio=policy.audio
        )

    async def set_record(self, camera: str, stream: str, active: bool) -> None:
        """Persist the mode of a camera's own job: off, or what it was before."""

        changes = Changes(self._catalogue.sync)
        await self._change(changes.policies, lambda known: with_active(known, active), (camera,), stream)

    # ---- from the workers ----------------------------------------------------------------------

    def _receiver_changed(self, token: str, utc: int) -> None:
        self.control.source_changed(token, utc)

    async def ends_of(self, cameras: frozenset[str]) -> Mapping[str, int]:
        """Where the recordings that these fill end by the index."""
        tokens = self.control.of_cameras(cameras)

        def work() -> dict[str, int]:
            found = ((token, self._segments.recording_times(token)) for token in tokens)
            return {token: times[1] for token, times in found if times is not None}

        return await asyncio.to_thread(work)


def _read(catalogue: Catalogue, segments: SegmentStore, cameras: tuple[Camera, ...]) -> Found:
    """Policies and tables; the recording of a second stream is made when somebody wants it for the first time. Blocks."""
    policies = catalogue.policies.all()
    wanted = {row.camera for row in policies if row.stream != MAIN and row.mode != OFF}
    known = {row.token for row in catalogue.recordings.jobs()}
    for camera in cameras:
        if camera.id in wanted and camera.sub is not None:
            recording = recording_row(camera, Role.SUB)
            job = job_row(camera, recording)
            if job.token not in known:
                catalogue.recordings.keep_second(recording, job)
    return policies, read_tables(catalogue, segments, frozenset(camera.id for camera in cameras))
