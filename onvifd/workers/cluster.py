"""All workers of a recorder as control sees them: who owns which camera, who takes which connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import msgspec

from onvifd.errors import NotFound, OnvifdError, Unavailable
from onvifd.rtsp.arrival import Arrival
from onvifd.workers.lines import PictureLines
from onvifd.workers.link import Link
from onvifd.workers.load import SharedLoad
from onvifd.workers.messages import (
    AnyMessage,
    Cameras,
    Credentials,
    GetKeyframe,
    Jpeg,
    Keyframe,
    Kick,
    LivePart,
    MakeJpeg,
    MetadataDocument,
    Orders,
    PictureLineLost,
    Presentations,
    ReplayTimeout,
    Setup,
    Stats,
    Synchronize,
    Volumes,
)
from onvifd.workers.specs import CameraSpec, PresentationSpec, VolumeSpec
from onvifd.workers.supervisor import Launch, Worker

log = logging.getLogger(__name__)

SNAPSHOT_AGE = 1.0
"""Seconds for which a snapshot is given again, whoever asks."""

BRIEF_TIMEOUT = 60.0
"""Seconds for a worker to take its cameras: recovery of what its predecessor left open included."""

LET_GO_TIMEOUT = 10.0
"""Seconds that a worker has to close what another one is to go on with."""

REPLAY, VISION = "replay", "vision"


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One worker for the status page."""

    name: str
    running: bool
    pid: int
    restarts: int
    load: Stats | None = None
    """What it said of itself last."""


class Cluster:
    """Keeps `media` media workers, one replay and one vision worker running.

    `heard` takes every notice of a worker; `lost` the ids of the cameras whose worker died, before it is started again.
    """

    def __init__(
        self,
        setup: Setup,
        media: int,
        launch: Launch,
        *,
        heard: Callable[[AnyMessage], None],
        lost: Callable[[tuple[str, ...]], Awaitable[None]],
    ) -> None:
        self._heard = heard
        self._lost = lost
        self._replay_timeout = setup.replay_timeout
        self._media = tuple(self._worker(setup, "media", f"media-{number}", launch) for number in range(media))
        self._replay = self._worker(setup, REPLAY, REPLAY, launch)
        self._vision = self._worker(setup, VISION, VISION, launch)
        self._lines = PictureLines(self._vision)
        self._owner: dict[str, int] = {}
        self._cameras: dict[str, CameraSpec] = {}
        self._recorded_by: dict[str, int] = {}
        """Which media worker feeds a recording."""
        self._held: list[set[str]] = [set() for _ in self._media]
        """Recordings that each media worker may be writing: until it has said that it let go of them nobody else gets them."""
        self._letting_go: set[asyncio.Task[None]] = set()
        self._volumes = Volumes(volumes=setup.volumes)
        self._orders: dict[int, Orders] = {}
        self._presentations: tuple[PresentationSpec, ...] = ()
        self._loads: dict[str, Stats] = {}
        self._presented: dict[int, Presentations] = {}
        self._active: frozenset[str] = frozenset()
        self._credentials = Credentials(accounts=())
        self._load = SharedLoad()
        self._snapshots: dict[tuple[str, str], tuple[float, asyncio.Task[bytes]]] = {}

    def _worker(self, setup: Setup, kind: str, name: str, launch: Launch) -> Worker:
        return Worker(
            msgspec.structs.replace(setup, kind=kind, name=name), launch, self._receive, self._brief, self._died
        )

    @property
    def workers(self) -> tuple[Worker, ...]:
        return (*self._media, self._replay, self._vision)

    def states(self) -> tuple[WorkerState, ...]:
        return tuple(
            WorkerState(
                w.name, w.handle is not None, w.handle.pid if w.handle else 0, w.restarts, self._loads.get(w.name)
            )
            for w in self.workers
        )

    async def start(self, timeout: float = 30.0) -> None:
        """Start all workers and wait until they serve. Raises Unavailable if they do not in time."""
        for worker in self.workers:
            worker.start()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(worker.started.wait() for worker in self.workers))
        except TimeoutError:
            missing = ", ".join(worker.name for worker in self.workers if not worker.started.is_set())
            raise Unavailable(f"workers do not start: {missing}") from None

    async def stop(self) -> None:
        for _, task in self._snapshots.values():
            task.cancel()
        await self._lines.stop()
        handing = list(self._letting_go)
        for each in handing:
            each.cancel()
        await asyncio.gather(*(worker.stop() for worker in self.workers), *handing, return_exceptions=True)

    # ---- desired state -------------------------------------------------------------------------

    def set_credentials(self, credentials: Credentials) -> None:
        """Who may log in by RTSP, how, and who is locked."""
        self._credentials = credentials
        for worker in (*self._media, self._replay):
            worker.send(self._credentials)

    async def kick(self, worker: str, session: str) -> None:
        """End an RTSP session of a worker. Raises Unavailable if the worker or the session is gone."""
        for each in (*self._media, self._replay):
            if each.name == worker:
                await each.request(Kick(session=session))
                return
        raise Unavailable(f"there is no worker {worker}")

    def set_replay_timeout(self, seconds: int) -> None:
        self._replay_timeout = seconds
        self._replay.send(ReplayTimeout(seconds=seconds))

    def set_cameras(self, cameras: Iterable[CameraSpec]) -> None:
        """All cameras. A camera stays with its worker; new ones go where fewest are."""
        self._cameras = {camera.id: camera for camera in cameras}
        self._owner = {camera: owner for camera, owner in self._owner.items() if camera in self._cameras}
        for camera in self._cameras:
            if camera not in self._owner:
                owners = list(self._owner.values())
                self._owner[camera] = min(range(len(self._media)), key=owners.count)
        self._recorded_by = {
            record.recording: self._owner[camera.id]
            for camera in self._cameras.values()
            for stream in camera.streams
            for record in stream.recordings
        }
        self._snapshots = {
            key: made for key, made in self._snapshots.items() if key[0] in self._cameras or not made[1].done()
        }
        for number in range(len(self._media)):
            self._send_cameras(number)
        self._send_orders()
        self._send_presentations()

    def set_presentations(self, presentations: Iterable[PresentationSpec]) -> None:
        """All media profiles that can be asked for by RTSP; workers hear of what changed for them."""
        self._presentations = tuple(presentations)
        self._send_presentations()

    def _send_presentations(self) -> None:
        for number, worker in enumerate(self._media):
            wanted = self._presentations_of(number)
            if self._presented.get(number) != wanted:
                self._presented[number] = wanted
                worker.send(wanted)

    def _presentations_of(self, number: int) -> Presentations:
        mine = (each for each in self._presentations if self._owner.get(each.camera) == number)
        return Presentations(presentations=tuple(mine))

    def synchronize(self, camera: str, path: str) -> None:
        """Clients ask for a synchronisation point of a presentation."""
        if camera in self._owner:
            self._media[self._owner[camera]].send(Synchronize(path=path))

    def _send_cameras(self, number: int) -> None:
        """Tell a worker that runs. One that loses recordings is waited for: what another one did with their open files would be
        undone, and the end of its footage told after the begin of the other's."""
        worker = self._media[number]
        if worker.handle is None:
            return
        cameras = self._cameras_of(number)
        told = _recordings_of(cameras)
        gone = self._held[number] - told
        self._held[number] |= told
        if not gone:
            worker.send(cameras)
            return
        task = asyncio.create_task(self._let_go(number, cameras, gone), name=f"recordings leave {worker.name}")
        self._letting_go.add(task)
        task.add_done_callback(self._letting_go.discard)

    async def _let_go(self, number: int, cameras: Cameras, gone: set[str]) -> None:
        worker = self._media[number]
        try:
            await worker.request(cameras, LET_GO_TIMEOUT)
        except OnvifdError as error:
            log.warning("worker %s: %s; others go on with its recordings", worker.name, error.reason)
        # It may have been given some back meanwhile.
        free = {recording for recording in gone if self._recorded_by.get(recording) != number}
        self._held[number] -= free
        for other in {self._recorded_by[recording] for recording in free & self._recorded_by.keys()}:
            self._send_cameras(other)

    def set_orders(self, active: frozenset[str]) -> None:
        """The recordings that are to be written now; workers hear of what changed for them."""
        self._active = active
        self._send_orders()

    def _send_orders(self) -> None:
        for number, worker in enumerate(self._media):
            orders = self._orders_of(number)
            if self._orders.get(number) != orders:
                self._orders[number] = orders
                worker.send(orders)

    def _orders_of(self, number: int) -> Orders:
        mine = (each for each in self._active if self._recorded_by.get(each) == number)
        return Orders(active=tuple(sorted(mine)))

    def set_volumes(self, volumes: Iterable[VolumeSpec]) -> None:
        """All volumes that may be written now."""
        wanted = Volumes(volumes=tuple(volumes))
        if wanted != self._volumes:
            self._volumes = wanted
            for worker in self._media:
                worker.send(wanted)

    def send_metadata(self, message: MetadataDocument) -> None:
        """A tt:MetadataStream document for the metadata track of a recording; without one it is dropped."""
        number = self._recorded_by.get(message.recording)
        if number is not None:
            self._media[number].send(message)

    def send_live(self, message: LivePart) -> None:
        """Something for the live metadata of a camera; without the camera it is dropped."""
        number = self._owner.get(message.camera)
        if number is not None:
            self._media[number].send(message)

    def _cameras_of(self, number: int) -> Cameras:
        mine = (camera for camera in self._cameras.values() if self._owner[camera.id] == number)
        others = (camera for camera, owner in self._owner.items() if owner != number)
        held = {
            recording
            for other, worker in enumerate(self._media)
            if other != number and worker.handle is not None
            for recording in self._held[other]
        }
        return Cameras(cameras=tuple(_without(camera, held) for camera in mine), elsewhere=tuple(others))

    async def _brief(self, name: str, link: Link) -> None:
        """Tell a new worker all it must know, and wait until it does."""
        if name == VISION:
            for media in self._media:
                await self._lines.lay(media)
            return
        for number, worker in enumerate(self._media):
            if worker.name == name:
                self._held[number] = set()
        await link.request(self._credentials, BRIEF_TIMEOUT)
        if name == REPLAY:
            await link.request(ReplayTimeout(seconds=self._replay_timeout), BRIEF_TIMEOUT)
        for number, worker in enumerate(self._media):
            if worker.name == name:
                self._orders[number] = self._orders_of(number)
                await link.request(self._volumes, BRIEF_TIMEOUT)
                await link.request(self._orders[number], BRIEF_TIMEOUT)
                cameras = self._cameras_of(number)
                self._held[number] |= _recordings_of(cameras)
                await link.request(cameras, BRIEF_TIMEOUT)
                self._presented[number] = self._presentations_of(number)
                link.send(self._presented[number])
                await self._lines.lay(worker)

    async def _died(self, name: str) -> None:
        self._load.died(name)
        for number, worker in enumerate(self._media):
            if worker.name == name:
                await self._lost(tuple(camera for camera, owner in self._owner.items() if owner == number))

    async def _receive(self, name: str, message: AnyMessage) -> AnyMessage | None:
        if isinstance(message, PictureLineLost):
            for worker in self._media:
                if worker.name == name:
                    self._lines.broken(worker)
            return None
        if isinstance(message, Stats):
            self._load.heard(name, message)
            for worker in (*self._media, self._replay):
                if worker.handle is not None and (news := self._load.news(worker.name)) is not None:
                    worker.send(news)
        if isinstance(message, Stats):
            self._loads[name] = message
        self._heard(message)
        return None

    # ---- requests ------------------------------------------------------------------------------

    async def route(self, path: str, arrival: Arrival) -> None:
        """Hand a connection to the worker that owns `path`; unknown paths go to one that will say so properly."""
        parts = path.strip("/").split("/")
        if parts[0] == "replay":
            await self._replay.hand_over(arrival)
            return
        owner = self._owner.get(parts[1], 0) if len(parts) > 1 else 0
        await self._media[owner].hand_over(arrival)

    def _owner_of(self, camera: str) -> Worker:
        if camera not in self._owner:
            raise NotFound(f"There is no camera {camera}.")
        return self._media[self._owner[camera]]

    async def snapshot(self, camera: str, stream: str) -> bytes:
        """A JPEG of the latest key frame. Those who ask within a second get the same one."""
        now = asyncio.get_running_loop().time()
        made, task = self._snapshots.get((camera, stream), (0.0, None))
        # One that takes long is waited for: asking again would only make it longer.
        if task is None or (task.done() and (now - made > SNAPSHOT_AGE or task.cancelled() or task.exception())):
            task = asyncio.create_task(self._make_snapshot(camera, stream))
            self._snapshots[camera, stream] = (now, task)
        return await asyncio.shield(task)

    async def _make_snapshot(self, camera: str, stream: str) -> bytes:
        keyframe = await self._owner_of(camera).request(GetKeyframe(camera=camera, stream=stream))
        if not isinstance(keyframe, Keyframe):
            raise Unavailable("the media worker gave no key frame")
        return await self.picture(
            MakeJpeg(
                codec=keyframe.codec, parameter_sets=keyframe.parameter_sets, data=keyframe.data, config=keyframe.config
            )
        )

    async def picture(self, wanted: MakeJpeg) -> bytes:
        """A JPEG of a key frame, wherever it comes from. Raises Unavailable."""
        jpeg = await self._vision.request(wanted, timeout=10.0)
        if not isinstance(jpeg, Jpeg):
            raise Unavailable("the vision worker gave no picture")
        return jpeg.data


def _recordings_of(cameras: Cameras) -> set[str]:
    return {each.recording for camera in cameras.cameras for stream in camera.streams for each in stream.recordings}


def _without(camera: CameraSpec, held: set[str]) -> CameraSpec:
    """The camera without recordings that another worker has still."""
    if not any(each.recording in held for stream in camera.streams for each in stream.recordings):
        return camera
    streams = tuple(
        msgspec.structs.replace(
            stream, recordings=tuple(each for each in stream.recordings if each.recording not in held)
        )
        for stream in camera.streams
    )
    return msgspec.structs.replace(camera, streams=streams)
