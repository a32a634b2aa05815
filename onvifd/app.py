"""Composition of the recorder: config -> parts -> start -> wait -> stop. This module alone knows every room."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any

import aiohttp
from aiohttp import web

from onvifd.access.digest import DigestVerifier
from onvifd.access.keyfile import load_key
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.index import SegmentStore
from onvifd.bodies import garbage
from onvifd.bodies.access import AccessControl
from onvifd.bodies.archive_parts import ArchiveParts
from onvifd.bodies.broker_tls import BrokerTls
from onvifd.bodies.camera_parts import CameraParts
from onvifd.bodies.configured import channel_of, setup_of
from onvifd.bodies.console import Console
from onvifd.bodies.device_archive import Premises, take_over
from onvifd.bodies.device_parts import DeviceParts
from onvifd.bodies.discovery_memory import SettingsMemory
from onvifd.bodies.events_parts import EventParts
from onvifd.bodies.face import HttpFace
from onvifd.bodies.feeds import EventFeeds
from onvifd.bodies.footage_parts import FootageParts
from onvifd.bodies.housekeeping import Housekeeping
from onvifd.bodies.media_control import media_parts
from onvifd.bodies.premises import free_port, lock, raise_descriptors
from onvifd.bodies.recorder import Actions, Recorder, to_format
from onvifd.bodies.recorder_search import RecorderSearch
from onvifd.bodies.recorder_status import RecorderStatus
from onvifd.bodies.recording_parts import RecordingParts
from onvifd.bodies.recording_wiring import RecordingWiring
from onvifd.bodies.rtsps import listen_rtsps
from onvifd.bodies.settings_parts import SettingsParts
from onvifd.bodies.tls import Tls
from onvifd.cameras.registry import Camera, Registry
from onvifd.clock import US, Clock, SystemClock
from onvifd.config import Config, prepare_data_folder
from onvifd.errors import OnvifdError, Unavailable
from onvifd.events.bus import EventBus
from onvifd.events.catalogue_store import CatalogueEventStore
from onvifd.host.sensors import Sensors
from onvifd.onvif.backend import Identity, Ports
from onvifd.onvif.discovery.control import DiscoveryControl
from onvifd.onvif.discovery.service import DiscoveryService
from onvifd.onvif.services import device_files
from onvifd.onvif.services.common import ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.services.media import MediaService
from onvifd.onvif.services.media2 import Media2Service
from onvifd.onvif.services.receiver import ReceiverService
from onvifd.onvif.services.recording import RecordingService
from onvifd.onvif.services.replay import ReplayService
from onvifd.onvif.services.search import SearchService
from onvifd.onvif.services.security import SecurityService
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.web import certificate, console, status
from onvifd.web.guard import Guard
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

UUID_SETTING = "device.uuid"
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
        await self._catalogue.run(self._access.reload)
        if not self._access.users():
            raise Unavailable("there is no account yet: run `onvifd init` first")
        self._device = DeviceParts(
            config,
            self._catalogue,
            box,
            self._clock,
            await self._identity(),
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
        name = (await self._identity()).uuid
        trust = BrokerTls(lambda: self.tls, config.events.ca_file)
        sensors = await asyncio.to_thread(Sensors)
        self._event_parts = EventParts(
            config, self._catalogue, box, self.bus, self._clock, name=name, tls=trust, sensors=sensors
        )
        self._parts.push_async_callback(self._event_parts.close)
        self.tls = Tls(
            self._catalogue, box, self._clock, self.bus, config, enabled=lambda: self.ports.https is not None
        )
        self._parts.push_async_callback(self.tls.close)
        await self._access.start(self.bus.publish)
        self._parts.push_async_callback(self._access.close)

    async def _identity(self) -> Identity:
        settings = self._catalogue.sync.settings
        device = self.config.device
        stable = await self._catalogue.run(settings.put_default, UUID_SETTING, str(uuid.uuid4()))
        return Identity(
            uuid=stable,
            manufacturer=device.manufacturer,
            model=device.model,
            firmware_version=version("onvifd"),
            serial_number=stable.replace("-", "")[:12].upper(),
            hardware_id="onvifd",
            name=device.name,
            location=device.location,
        )

    async def _serve(self) -> None:
        """Workers, ports and faces."""
        config, network = self.config, self.config.network
        settings = self._catalogue.sync.settings
        stored = await self._catalogue.run(settings.get, REPLAY_TIMEOUT_SETTING)
        replay_timeout = int(stored) if stored else config.timeouts.replay_session
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
        launch = launch_local(start_local) if config.workers.one_process else launch_process
        setup = setup_of(config, self.archive.volumes(), replay_timeout)
        self.cluster = Cluster(setup, config.media_workers, launch, heard=self._heard, lost=self._worker_lost)
        self._parts.push_async_callback(self.cluster.stop)
        self.archive.attach(self.cluster, self._reload, self._event_parts.deleted)
        permits = self._device.ip_filter.permits
        door = FrontDoor(self.cluster.route, permits=permits, kept_out=self.tls.refusal)
        self._parts.push_async_callback(door.close)
        self._device.ports_control.reserve(free_port)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._parts.push_async_callback(self._session.close)
        self._at_cameras = CameraParts(self._session, self._catalogue, self._registry, self._clock)
        self._parts.push_async_callback(self._at_cameras.close)
        self.recorder = Recorder(
            identity=await self._identity(),
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
        self._media = media_parts(self.recorder, self._catalogue, self._clock, config, self._change, self._at_cameras)
        self._recording = RecordingWiring(
            config,
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
            config, self._catalogue, self._clock, self._when, self.archive, self._change, self._access.audit
        )
        self._parts.push_async_callback(self._settings.close)
        self._feeds = EventFeeds(self._session, self.recorder.motion, self._clock, self._event_parts.relay)
        self._parts.push_async_callback(self._feeds.close)
        await self._reload()
        await self._when.start()
        await self._housekeeping.start(frozenset(each.token for each in self.recorder.recordings()))
        await self.cluster.start()
        self._recording.start()
        await self._listen(door)
        self._parts.push_async_callback(self._stop_tasks)
        self._tasks.append(asyncio.create_task(self._poll(), name="catalogue poll"))
        if network.discovery:
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
        config, recorder = self.config, self.recorder
        registry = ServiceRegistry()
        stands, forecast = self._when.director.status, self._settings.forecast
        page = RecorderStatus(
            recorder, self.cluster, self._segments, self.archive, self._executor, self._clock, stands, forecast
        )
        control = await self._device.control(
            self._access, self.bus, self.archive.volumes, page.report, self._record_all
        )
        device = DeviceService(
            recorder,
            registry,
            discovery=config.network.discovery,
            ipv6=":" in config.network.host,
            users=self._access,
            control=control,
        )
        self._recording.storage = control.storage
        search = RecorderSearch(recorder, self._segments, self._events, self._executor, self._footage.volumes)
        await self._event_parts.start()
        self._device.tell(self._event_parts.monitor)
        events = await self._event_parts.service()
        searches = SearchService(
            search, recorder, self._clock, self._event_parts.topics, max_searches=config.limits.searches
        )
        topics = tuple(topic.name for topic in self._event_parts.topics)
        shown: dict[str, Any] = {"multicast": True, "secure": lambda: self.rtsps_port, "topics": topics}
        others = (
            *(kind(recorder, recorder, self._media, **shown) for kind in (MediaService, Media2Service)),
            events,
            RecordingService(self._recording.control, self._recording.export, search),
            ReceiverService(self._recording.receivers),
            searches,
            ReplayService(recorder, recorder, reverse=True),
            SecurityService(self.tls.manager, lambda: recorder.ports().https is not None),
        )
        for service in others:
            registry.add(service)
        signed_in = Console(self._access, self._clock, recorder)

        def pages(app: web.Application, verifier: DigestVerifier) -> None:
            guard = Guard(verifier, signed_in)
            status.add_routes(app, page, guard)
            console.add_routes(app, signed_in, guard)
            self._footage.add_routes(app, guard)
            self._settings.add_routes(app, guard)
            certificate.add_routes(app, self.tls)
            device_files.add_routes(app, device_files.SystemFiles(control.system, verifier, self._clock))

        face = HttpFace(
            (device, *others),
            recorder,
            lookup=self._access.accounts.lookup,
            access=self._access,
            realm=config.access.realm,
            clock=self._clock,
            pages=pages,
            max_connections=config.limits.http_connections,
            max_per_address=config.limits.http_connections_per_address,
            permits=self._device.ip_filter.permits,
            created_window=config.access.clock_skew,
            peers=self.tls,
            tunnels=door.tunnels.take,
        )
        # In reverse: waiting PullMessages and searches end first, so that the face need not wait for them.
        self._parts.push_async_callback(face.close)
        self._parts.push_async_callback(events.close)
        self._parts.push_async_callback(searches.close)
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
                    self._keep(message)
            case RecordingState():
                self.recorder.recording_state(message)
                self._when.recording_changed(message)
                self._footage.tracks.recording_state(message)
            case Stats():
                self._event_parts.heard(message, self.recorder.media())
                for stats in message.streams:
                    self.recorder.stream_stats(stats)

    def _keep(self, message: StreamFormats) -> None:
        """Remember what a stream carries, so that the device looks the same after a restart while the camera is away."""
        self._event_parts.configured(self.recorder.recordings(), self.recorder.jobs())
        task = asyncio.create_task(self._store_formats(message))
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def _store_formats(self, message: StreamFormats) -> None:
        formats = tuple(to_format(track) for track in message.tracks)
        try:
            await self._catalogue.run(self._registry.learn, message.camera, message.stream, formats)
        except OnvifdError as error:
            log.error("camera %s: its formats cannot be stored: %s", message.camera, error.reason)

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

    async def _record_all(self, active: bool) -> None:
        for job in self.recorder.jobs():
            if job.fixed:
                await self.recorder.set_job_mode(job.token, active)

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
