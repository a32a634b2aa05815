"""Composition of the recorder: config -> parts -> start -> wait -> stop. This module alone knows every room."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from onvifd.access.keyfile import load_key
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.index import SegmentStore
from onvifd.bodies import garbage
from onvifd.bodies.access import AccessControl
from onvifd.bodies.archive_parts import ArchiveParts
from onvifd.bodies.broker_tls import BrokerTls
from onvifd.bodies.camera_parts import CameraParts
from onvifd.bodies.configured import channel_of, setup_of
from onvifd.bodies.device_archive import Premises, take_over
from onvifd.bodies.device_parts import DeviceParts
from onvifd.bodies.discovery_memory import SettingsMemory
from onvifd.bodies.events_parts import EventParts
from onvifd.bodies.face import HttpFace
from onvifd.bodies.feeds import EventFeeds
from onvifd.bodies.footage_parts import FootageParts
from onvifd.bodies.formats import FormatMemory
from onvifd.bodies.housekeeping import Housekeeping
from onvifd.bodies.identity import identity_of
from onvifd.bodies.media_control import media_parts
from onvifd.bodies.premises import free_port, lock, raise_descriptors
from onvifd.bodies.recorder import Actions, Recorder
from onvifd.bodies.recording_parts import RecordingParts
from onvifd.bodies.recording_wiring import RecordingWiring
from onvifd.bodies.rtsps import listen_rtsps
from onvifd.bodies.services import Parts, offered
from onvifd.bodies.settings_parts import SettingsParts
from onvifd.bodies.tls import Tls
from onvifd.cameras.registry import Camera, Registry
from onvifd.cameras.ways import parse_ways
from onvifd.clock import US, Clock, SystemClock
from onvifd.config import Config, prepare_data_folder
from onvifd.errors import OnvifdError, Unavailable
from onvifd.events.bus import EventBus
from onvifd.events.catalogue_store import CatalogueEventStore
from onvifd.host.sensors import Sensors
from onvifd.onvif.backend import Ports
from onvifd.onvif.discovery.control import DiscoveryControl
from onvifd.onvif.discovery.service import DiscoveryService
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.workers.cluster import Cluster
from onvifd.workers.frontdoor import FrontDoor
from onvifd.workers.messages import (
    AnyMessage,
    CameraState,
    RecordingState,
    Stats,
    StreamFormats,
)
from onvifd.workers.process import start_local
from onvifd.workers.supervisor import launch_local, launch_process

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often the revision of the catalogue is looked at."""

REPLAY_TIMEOUT_SETTING = "replay.session_timeout"


class RecorderApp:
    """A recorder from start to stop. `addresses` is known after `start`."""

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self.config = config
        self.again = False
        """Whether the recorder is to begin anew after `run`."""
        self.discovery = DiscoveryControl()
        self._clock = clock or SystemClock()
        self._tasks: list[asyncio.Task[None]] = []
        self._revision = -1
        self._cameras: tuple[Camera, ...] = ()
        self._executor = ThreadPoolExecutor(4, thread_name_prefix="search")
        self._changing = asyncio.Lock()
        """One change of the configuration at a time: what was read last must not be overtaken by what was read before."""
        self.rtsps_port: int | None = None
        self._stopped = asyncio.Event()
        self._parts = AsyncExitStack()
        """Everything that was started, in order; ends in reverse."""

    # ---- start ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring every part up; returns when all ports listen. Raises OnvifdError or OSError, with nothing left running."""
        try:
            await self._open()
            await self._serve()
        except BaseException:
            await self.stop()
            raise

    async def _open(self) -> None:
        """Catalogue, accounts, archive: what is on disk."""
        config = self.config
        raise_descriptors()
        await asyncio.to_thread(prepare_data_folder, config)
        self._parts.callback(os.close, await asyncio.to_thread(lock, config.data))
        catalogue = await asyncio.to_thread(
            Catalogue.open, config.database_url, timeout=config.database.timeout, migrate=True
        )
        self._catalogue = AsyncCatalogue(catalogue, threads=config.database.threads)
        self._parts.push_async_callback(self._catalogue.close)
        self._parts.callback(self._executor.shutdown, wait=False, cancel_futures=True)
        await asyncio.to_thread(take_over, catalogue.configuration, Premises(config.data, config.key_file))
        self._box = box = await asyncio.to_thread(load_key, config.key_file)
        self._access = AccessControl(config, catalogue, box, self._clock, self._catalogue.run)
        self._registry = Registry(catalogue, box, self._clock, limit=config.limits.cameras)
        self._segments: SegmentStore = CatalogueSegmentStore(catalogue)
        self._events = CatalogueEventStore(catalogue)
        self._identity = await self._catalogue.run(identity_of, config, catalogue)
        await self._catalogue.run(self._access.reload)
        if not self._access.users():
            raise Unavailable("there is no account yet: run `onvifd init` first")
        self._device = DeviceParts(
            config,
            self._catalogue,
            box,
            self._clock,
            self._identity,
            restart=self._restart,
            changed=self.discovery.changed,
        )
        self._parts.push_async_callback(self._device.close)
        await self._device.load()
        self._access.follow(self._device.ip_filter)
        self.bus = EventBus(self._clock, self._events)
        await self.bus.start()
        self._parts.push_async_callback(self.bus.close)
        folders = self._device.folders
        self.archive = ArchiveParts(config, self._catalogue, self._segments, self.bus, self._clock, folders)
        self._parts.push_async_callback(self.archive.close)
        await self.archive.open()
        await self._open_events()

    async def _open_events(self) -> None:
        """Who tells events to others, and with which certificates."""
        config = self.config
        trust = BrokerTls(lambda: self.tls, config.events.ca_file)
        sensors = await asyncio.to_thread(Sensors)
        self._event_parts = EventParts(
            *(config, self._catalogue, self._box, self.bus, self._clock),
            name=self._identity.uuid,
            tls=trust,
            sensors=sensors,
        )
        self._parts.push_async_callback(self._event_parts.close)
        self.tls = Tls(
            self._catalogue, self._box, self._clock, self.bus, config, enabled=lambda: self.ports.https is not None
        )
        self._parts.push_async_callback(self.tls.close)
        await self._access.start(self.bus.publish)
        self._parts.push_async_callback(self._access.close)

    async def _serve(self) -> None:
        """Workers, ports and faces."""
        stored = await self._catalogue.run(self._catalogue.sync.settings.get, REPLAY_TIMEOUT_SETTING)
        replay_timeout = int(stored) if stored else self.config.timeouts.replay_session
        door = self._prepare(replay_timeout)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._parts.push_async_callback(self._session.close)
        self._present(replay_timeout)
        self._record()
        self._use_footage()
        await self._reload()
        await self._when.start()
        await self._housekeeping.start(frozenset(each.token for each in self.recorder.recordings()))
        await self.cluster.start()
        self._recording.start()
        await self._listen(door)
        self._parts.push_async_callback(self._stop_tasks)
        self._tasks.append(asyncio.create_task(self._poll(), name="catalogue poll"))
        await self._discover()

    def _prepare(self, replay_timeout: int) -> FrontDoor:
        """Workers, not started yet, and the door to them."""
        config = self.config
        self._housekeeping = Housekeeping(
            self._catalogue,
            self._segments,
            self._events,
            self.bus,
            self.archive.retention,
            config.archive.event_retention_seconds * US,
            self._clock,
        )
        # It ends after the workers: they tell at their end where the recordings end.
        self._parts.push_async_callback(self._housekeeping.stop)
        self._when = RecordingParts(self._catalogue, self._segments, self.bus, self._clock, self._device.system_time)
        self._parts.push_async_callback(self._when.stop)
        self._formats = FormatMemory(self._catalogue, self._registry)
        self._parts.push_async_callback(self._formats.close)
        launch = launch_local(start_local) if config.workers.one_process else launch_process
        setup = setup_of(config, self.archive.volumes(), replay_timeout)
        self.cluster = Cluster(setup, config.media_workers, launch, heard=self._heard, lost=self._worker_lost)
        self._parts.push_async_callback(self.cluster.stop)
        self.archive.attach(self.cluster, self._reload, self._event_parts.deleted)
        permits = self._device.ip_filter.permits
        door = FrontDoor(self.cluster.route, permits=permits, kept_out=self.tls.refusal)
        self._parts.push_async_callback(door.close)
        self._device.ports_control.reserve(free_port)
        return door

    def _present(self, replay_timeout: int) -> None:
        """What clients see of the cameras, and what is asked of those."""
        self._at_cameras = CameraParts(
            self._session,
            self._catalogue,
            self._registry,
            self._clock,
            lambda camera, stream: self._recording.receptions.reach(camera, stream),
            parse_ways(self.config.cameras.ways),
        )
        self._parts.push_async_callback(self._at_cameras.close)
        self.recorder = Recorder(
            identity=self._identity,
            device=self._device,
            replay_timeout=replay_timeout,
            clock=self._clock,
            bus=self.bus,
            actions=Actions(
                snapshot=self.cluster.snapshot,
                synchronize=self._at_cameras.ask_keyframe,
                synchronized=self.cluster.synchronize,
                set_replay_timeout=self._set_replay_timeout,
                users=self._access.users,
                presented=lambda model: self._footage.present(model),
            ),
        )
        self._media = media_parts(
            self.recorder, self._catalogue, self._clock, self.config, self._change, self._at_cameras
        )

    def _record(self) -> None:
        """What is recorded when."""
        self._recording = RecordingWiring(
            self.config,
            self._catalogue,
            self._segments,
            self._box,
            self.bus,
            self._clock,
            recorder=self.recorder,
            cluster=self.cluster,
            events=self._event_parts,
            volumes=self.archive.volumes,
            deletable=self.archive.keeper.deletable,
            change=self._change,
        )
        self._parts.push_async_callback(self._recording.stop)
        self._recording.volumes_for = self.archive.keeper.volumes_for
        self._recording.copies_for = self.archive.keeper.copies_for
        self._recording.control.reason_for = self.archive.keeper.reason_for
        self._when.attach(self.cluster, self._recording, self.archive.keeper)

    def _use_footage(self) -> None:
        """What is done with footage and with events of cameras."""
        shared = (self._catalogue, self._segments, self._events, self.bus, self._clock)
        self._footage = FootageParts(
            *shared,
            recorder=self.recorder,
            cluster=self.cluster,
            storage=self.archive,
            when=self._when,
            audit=self._access.audit,
            topics=self._event_parts.topics,
        )
        self._parts.push_async_callback(self._footage.close)
        self._recording.fed = self._footage.tracks.configure
        self._settings = SettingsParts(
            self.config, self._catalogue, self._clock, self._when, self.archive, self._change, self._access.audit
        )
        self._parts.push_async_callback(self._settings.close)
        self._feeds = EventFeeds(self._session, self.recorder.motion, self._clock, self._event_parts.relay)
        self._parts.push_async_callback(self._feeds.close)

    async def _discover(self) -> None:
        """Be found by WS-Discovery, where that is wanted."""
        network = self.config.network
        if not network.discovery:
            return
        discovery = DiscoveryService(
            self.recorder,
            self._clock,
            host=network.host,
            control=self.discovery,
            memory=SettingsMemory(self._catalogue),
        )
        self._parts.push_async_callback(discovery.stop)
        await discovery.start()

    async def _listen(self, door: FrontDoor) -> None:
        """The HTTP face with all services."""
        config = self.config
        shown = await offered(
            Parts(
                config=config,
                clock=self._clock,
                bus=self.bus,
                segments=self._segments,
                spans=self._events,
                executor=self._executor,
                recorder=self.recorder,
                cluster=self.cluster,
                access=self._access,
                device=self._device,
                archive=self.archive,
                events=self._event_parts,
                when=self._when,
                recording=self._recording,
                media=self._media,
                footage=self._footage,
                settings=self._settings,
                tls=self.tls,
                rtsps_port=lambda: self.rtsps_port,
            )
        )
        face = HttpFace(
            shown.services,
            self.recorder,
            lookup=self._access.accounts.lookup,
            access=self._access,
            realm=config.access.realm,
            clock=self._clock,
            pages=shown.pages,
            max_connections=config.limits.http_connections,
            max_per_address=config.limits.http_connections_per_address,
            permits=self._device.ip_filter.permits,
            created_window=config.access.clock_skew,
            peers=self.tls,
            tunnels=door.tunnels.take,
        )
        # In reverse: waiting PullMessages and searches end first, so that the face need not wait for them.
        self._parts.push_async_callback(face.close)
        self._parts.push_async_callback(shown.events.close)
        self._parts.push_async_callback(shown.searches.close)
        await face.start()
        await self.tls.start()
        self._device.ports_control.attach(face, door, self.tls.https)
        await self._device.ports_control.listen()
        self.rtsps_port = await listen_rtsps(door, config.network.host, config.network.rtsps_port, self.tls.https)

    # ---- what happens while it runs ------------------------------------------------------------

    async def _poll(self) -> None:
        """Notice what the command line changed."""
        while True:
            await self._clock.sleep(POLL_SECONDS)
            try:
                revision = await self._catalogue.run(self._catalogue.sync.revision)
                if revision != self._revision:
                    await self._reload()
            except OnvifdError as error:
                log.error("catalogue: %s", error.reason)
            except Exception:
                # a defect must cost one look, not all that follow
                log.exception("catalogue: what changed could not be taken over")

    async def _reload(self) -> None:
        """Bring accounts and cameras in line with the catalogue."""
        async with self._changing:
            await self._take_over()

    async def _take_over(self) -> None:
        self._revision = await self._catalogue.run(self._catalogue.sync.revision)
        await self._catalogue.run(self._access.reload)
        await self.tls.refresh()
        await self.archive.reload()
        self._cameras = tuple(camera for camera in await self._catalogue.run(self._registry.all) if camera.enabled)
        modes = await self._catalogue.run(self._registry.modes)
        self._access.reloaded(self.cluster)
        await self._when.read()
        found = await self._recording.read(self._cameras)
        await self._media.read()
        self.recorder.configure(tuple(channel_of(camera, modes[camera.id] != "off") for camera in self._cameras))
        self._recording.take_over(self._cameras, found)
        self._at_cameras.set_cameras(self._cameras)
        await self._feeds.adjust(self._cameras)

    def _heard(self, message: AnyMessage) -> None:
        self._access.heard(message)
        self.archive.heard(message)
        self._recording.receptions.heard(message)
        self._at_cameras.heard(message)
        match message:
            case CameraState():
                self.recorder.stream_state(message)
                self._footage.stream_state(message)
            case StreamFormats():
                if self.recorder.stream_formats(message):
                    self._event_parts.configured(self.recorder.recordings(), self.recorder.jobs())
                    self._formats.keep(message)
            case RecordingState():
                self.recorder.recording_state(message)
                self._when.recording_changed(message)
                self._footage.tracks.recording_state(message)
            case Stats():
                self._event_parts.heard(message, self.recorder.media())
                for stats in message.streams:
                    if self.recorder.stream_stats(stats):
                        self._formats.keep(stats)

    async def _worker_lost(self, cameras: tuple[str, ...]) -> None:
        """A media worker died: its cameras are not received nor recorded until it is back."""
        now = self._clock.utc()
        lost = frozenset(cameras)
        ends: Mapping[str, int] = {}
        try:
            ends = await self._recording.ends_of(lost)
        except OnvifdError as error:
            log.error("catalogue: %s; recordings are taken to end now", error.reason)
        self.recorder.interrupted(lost, now, ends, self._when.recording_changed)

    async def _change(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Change the catalogue and take over what it says then."""
        async with self._changing:
            result = await self._catalogue.run(call, *args, **named)
            await self._take_over()
            return result

    async def _set_replay_timeout(self, seconds: int) -> None:
        await self._catalogue.run(self._catalogue.sync.settings.put, REPLAY_TIMEOUT_SETTING, str(seconds))
        self.cluster.set_replay_timeout(seconds)

    # ---- end -----------------------------------------------------------------------------------

    @property
    def ports(self) -> Ports:
        """What is listened on now."""
        return self._device.ports()

    def _restart(self) -> None:
        self.again = True
        self.request_stop()

    def request_stop(self) -> None:
        """Make `run` return."""
        self._stopped.set()

    async def run(self) -> None:
        """Wait until `request_stop`, SIGTERM or SIGINT, then stop everything."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_stop)
        garbage.settle()
        try:
            await self._stopped.wait()
            log.info("stopping")
            await self._event_parts.farewell()
        finally:
            await self.stop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def stop(self) -> None:
        """End every part that was started, faces first, so that nobody is promised what is going away."""
        await self._parts.aclose()

    async def _stop_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
