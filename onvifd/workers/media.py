"""The media worker: intake, relay and recording of the cameras it was given."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from dataclasses import dataclass, field

from onvifd.cameras.intake import Intake
from onvifd.cameras.intake_track import InboundTrack
from onvifd.clock import Clock, SystemClock
from onvifd.errors import NotFound, OnvifdError, Unavailable
from onvifd.host.descriptors import descriptors
from onvifd.live.hub import LiveStream
from onvifd.live.mount import LiveMount
from onvifd.media.rtp import jpeg
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import AccessUnit, Kind, TrackFormat
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.multicast import Groups
from onvifd.rtsp.play import Mount
from onvifd.rtsp.poller import ReadPoller
from onvifd.rtsp.server import RtspServer
from onvifd.workers import pictures
from onvifd.workers.accounts import AccountTable, kick
from onvifd.workers.elsewhere import AlwaysElsewhere, Elsewhere
from onvifd.workers.groups import StartedGroups
from onvifd.workers.intakes import awake, must_restart, on_demand, source_of
from onvifd.workers.link import Link
from onvifd.workers.live_metadata import LiveMetadata
from onvifd.workers.load import door_of, elsewhere
from onvifd.workers.messages import (
    AnyMessage,
    Cameras,
    CameraState,
    CertificateSeen,
    Credentials,
    DigestSeen,
    Done,
    Failure,
    GetKeyframe,
    Keyframe,
    KeyframeWanted,
    Kick,
    LivePart,
    MetadataDocument,
    Orders,
    PictureLineLost,
    Ping,
    Pong,
    Presentations,
    Ready,
    RtspLoad,
    Setup,
    Stats,
    Stop,
    StreamFormats,
    Synchronize,
    Volumes,
)
from onvifd.workers.presentations import PresentationTable
from onvifd.workers.recorder import Sink
from onvifd.workers.recording import Recordings, StreamFeed
from onvifd.workers.specs import CameraSpec, StreamSpec, StreamStats, TrackSpec
from onvifd.workers.talking import Talking
from onvifd.workers.tasks import tell_fault

STATS_INTERVAL = 2.0
COUNTED = 8
"""Streams that are counted without a pause."""


def to_spec(format: TrackFormat) -> TrackSpec:
    """A format as it travels between processes."""
    return TrackSpec(
        codec=format.codec,
        clock_rate=format.clock_rate,
        parameter_sets=format.parameter_sets,
        config=format.config,
        width=format.width,
        height=format.height,
        channels=format.channels,
        bits=format.bits,
        rtpmap=format.rtpmap,
        fmtp=format.fmtp,
    )


@dataclass(slots=True)
class _Rates:
    """Counters at the last report, for rates."""

    at: float = 0.0
    frames: int = 0
    bytes: int = 0
    audio: int = 0


@dataclass(slots=True)
class _Running:
    """One stream at work."""

    camera: str
    spec: StreamSpec
    stream: LiveStream
    intake: Intake
    task: asyncio.Task[None]
    feed: StreamFeed
    rates: _Rates = field(default_factory=_Rates)


class MediaWorker:
    """Serves the messages of control; everything it owns ends with `stop`."""

    def __init__(self, link: Link, clock: Clock | None = None) -> None:
        self._link = link
        self._clock = clock or SystemClock()
        self.stopped = asyncio.Event()
        self._setup: Setup | None = None
        self._accounts = AccountTable(self._clock, link.send)
        self._streams: dict[tuple[str, str], _Running] = {}
        self._metadata = LiveMetadata(self._clock)
        self._talking = Talking(
            self._clock, lambda camera, pin: link.send(CertificateSeen(camera=camera, stream="main", fingerprint=pin))
        )
        self.presentations = PresentationTable(self._stream, self._metadata.stream, self._talking.line)
        self._groups = Groups()
        self._started = StartedGroups(self.presentations, self._groups)
        self._pictures = pictures.Pictures(self._stream, lost=lambda: link.send(PictureLineLost()))
        self._elsewhere: frozenset[str] = frozenset()
        """Cameras of other workers."""
        self._poller: ReadPoller | None = None
        self._server: RtspServer | None = None
        self._recordings = Recordings(self._clock, link.send)
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._changing = asyncio.Lock()
        self._stopping = False

    async def handle(self, message: AnyMessage) -> AnyMessage | None:
        """Serve one message of control."""
        match message:
            case Setup():
                return await self._begin(message)
            case Credentials():
                self._accounts.replace(message)
                return Done()
            case RtspLoad():
                if self._server is not None:
                    self._server.door.elsewhere = elsewhere(message)
                return Done()
            case Kick():
                return Done() if kick(self._server, message.session) else Failure(reason="no such session")
            case Cameras():
                async with self._changing:
                    if not self._stopping:
                        self._elsewhere = frozenset(message.elsewhere)
                        await self._configure(message.cameras)
                        self._withdraw()
                return Done()
            case Presentations():
                self._present(message)
                return Done()
            case Synchronize():
                found = self.presentations.synchronise(message.path)
                return Done() if found else Failure(reason=f"nothing is at {message.path}")
            case Orders():
                self._recordings.set_orders(frozenset(message.active))
                return Done()
            case Volumes():
                self._recordings.set_volumes(message.volumes)
                return Done()
            case MetadataDocument():
                self._recordings.document(message)
                return Done()
            case LivePart():
                self._metadata.part(message)
                return Done()
            case GetKeyframe():
                return await self._keyframe(message)
            case Ping():
                return Pong()
            case Stop():
                self.stopped.set()
                return Done()
        return None

    async def _begin(self, setup: Setup) -> AnyMessage:
        self._setup = setup
        await self._recordings.begin(setup)
        self._groups = Groups(setup.multicast_interface)
        self._started = StartedGroups(self.presentations, self._groups)
        live = LiveMount(self.presentations.lookup, setup.session_timeout, groups=self._groups)
        mounts: dict[str, Mount] = {
            "/live/": Elsewhere(self._is_elsewhere, live),
            "/replay/": AlwaysElsewhere(),
        }
        verifier = self._accounts.verifier(setup)
        self._poller = ReadPoller(self._watched)
        self._server = RtspServer(
            mounts,
            verifier,
            self._clock,
            max_connections=setup.max_clients,
            door=door_of(setup, self._clock, self._link.send),
        )
        self._accounts.server = self._server
        self._tasks = (
            asyncio.create_task(self._report(), name="reports"),
            asyncio.create_task(self._metadata.run(), name="live metadata"),
        )
        for task in self._tasks:
            task.add_done_callback(tell_fault)
        return Ready(name=setup.name, pid=os.getpid())

    def _stream(self, camera: str, name: str) -> LiveStream | None:
        if name == pictures.NAME:
            return self._pictures.stream(camera)
        running = self._streams.get((camera, name))
        return running.stream if running else None

    def _watched(self) -> bool:
        return self._server is not None and self._server.connections > 0

    def _is_elsewhere(self, path: str) -> bool:
        parts = path.strip("/").split("/")
        return len(parts) > 1 and parts[1] in self._elsewhere

    def adopt(self, arrival: Arrival) -> None:
        """Take over a connection of the front door with what was read from it."""
        if self._server is None:
            arrival.close()
        else:
            self._server.admit(arrival)

    def _present(self, message: Presentations) -> None:
        self._metadata.replace(message)
        self.presentations.replace(message)
        self._talking.tune(message.presentations)
        self._pictures.replace(message)
        self._started.refresh()
        self._withdraw()

    def _withdraw(self) -> None:
        """Sessions end with their profile: nobody could change, start or list what they show any more. The specification leaves
        it open (Media2 5.1.5, 5.6.1); a session whose profile was changed goes on as described (Media2 5.3.3)."""
        if self._server is not None:
            self._server.withdraw(lambda path: path.startswith("/live/") and not self.presentations.names(path))

    def connect(self, sock: socket.socket) -> None:
        """Take the line to the vision worker."""
        self._pictures.connect(sock)

    # ---- cameras -------------------------------------------------------------------------------

    async def _configure(self, cameras: tuple[CameraSpec, ...]) -> None:
        """Start, change and stop streams until they are as wanted."""
        wanted = {(camera.id, stream.name): stream for camera in cameras for stream in camera.streams}
        self._recordings.keep(each.recording for spec in wanted.values() for each in spec.recordings)
        await self._recordings.recover(tuple(each for spec in wanted.values() for each in spec.recordings))
        ending = [key for key in self._streams if key not in wanted or self._must_restart(key, wanted[key])]
        # Together: each may have to wait for its camera, and the others are not to be without pictures for the sum of it.
        await asyncio.gather(*(self._end(self._streams.pop(key)) for key in ending))
        # What goes from one stream to another ends there before it begins here.
        await asyncio.gather(*(running.feed.leave(wanted[key].recordings) for key, running in self._streams.items()))
        await self._talking.configure(cameras)
        for key, spec in wanted.items():
            running = self._streams.get(key)
            if running is None:
                self._start(key[0], spec)
            else:
                running.spec = spec
                running.intake.demand.on_demand = on_demand(spec)
                await running.feed.change(spec.recordings)
        self._pictures.forget()

    def _must_restart(self, key: tuple[str, str], spec: StreamSpec) -> bool:
        return must_restart(self._streams[key].intake, "/".join(key), spec)

    def _start(self, camera: str, spec: StreamSpec) -> None:
        setup = self._setup
        if setup is None:
            raise Unavailable("cameras came before the set-up")
        name = f"{camera}/{spec.name}"
        stream = LiveStream(name)

        def on_state(online: bool, reason: str) -> None:
            self._link.send(
                CameraState(camera=camera, stream=spec.name, online=online, utc=self._clock.utc(), reason=reason)
            )

        def on_tracks(tracks: tuple[InboundTrack, ...]) -> None:
            self._tracks(camera, spec.name, tracks)

        def on_keyframe_wanted() -> None:
            intake.ask_keyframe()
            self._link.send(KeyframeWanted(camera=camera, stream=spec.name))

        stream.on_keyframe_wanted = on_keyframe_wanted
        intake = Intake(
            source_of(name, spec),
            stream,
            self._clock,
            on_state=on_state,
            on_tracks=on_tracks,
            on_document=lambda unit: self._metadata.document(camera, spec.name, unit),
            on_pin=lambda pin: self._link.send(CertificateSeen(camera=camera, stream=spec.name, fingerprint=pin)),
            on_digest=lambda: self._link.send(DigestSeen(camera=camera, stream=spec.name)),
            on_demand=on_demand(spec),
            connect_timeout=setup.camera_connect,
            silence=setup.camera_silence,
            poller=self._poller,
        )

        def wire(sink: Sink | None) -> None:
            # Access units are joined only where somebody wants them.
            intake.on_frame = sink

        task = asyncio.create_task(intake.run(), name=f"intake {name}")
        task.add_done_callback(tell_fault)
        self._streams[camera, spec.name] = _Running(
            camera, spec, stream, intake, task, self._recordings.open(spec.recordings, wire)
        )

    def _tracks(self, camera: str, name: str, tracks: tuple[InboundTrack, ...]) -> None:
        running = self._streams.get((camera, name))
        if running is None:
            return
        formats = tuple(track.format for track in tracks)
        # The metadata track is recorded, not relayed: it is no part of what the stream is.
        shown = tuple(to_spec(each) for each in formats if each.kind is not Kind.METADATA)
        self._link.send(StreamFormats(camera=camera, stream=name, tracks=shown))
        running.feed.set_formats(formats)

    async def _end(self, running: _Running) -> None:
        """Stop a stream. Its clients are ended too: what takes its place is another stream, to be described anew."""
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        await running.feed.stop()
        running.stream.end()

    # ---- key frames ----------------------------------------------------------------------------

    async def _keyframe(self, message: GetKeyframe) -> AnyMessage:
        running = self._streams.get((message.camera, message.stream))
        if running is None:
            return Failure(reason=f"no stream {message.camera}/{message.stream}")
        if running.intake.demand.on_demand:
            await awake(running.stream)
        try:
            unit = keyframe_of(running.stream)
        except OnvifdError as error:
            return Failure(reason=error.reason)
        format = unit[1]
        frame = unit[0]
        return Keyframe(
            codec=format.codec,
            parameter_sets=format.parameter_sets,
            data=frame.data,
            utc=frame.utc,
            config=format.config,
        )

    # ---- reports -------------------------------------------------------------------------------

    async def _report(self) -> None:
        while True:
            await self._clock.sleep(STATS_INTERVAL)
            now = self._clock.monotonic()
            streams = await self._count(now)
            self._measure(now)
            self._started.refresh()
            if self._setup is not None and self._server is not None:
                self._link.send(
                    Stats(
                        sessions=self._accounts.sessions(),
                        worker=self._setup.name,
                        clients=self._server.connections,
                        tasks=len(asyncio.all_tasks()),
                        descriptors=descriptors(),
                        streams=streams,
                    )
                )

    async def _count(self, now: float) -> tuple[StreamStats, ...]:
        """Look after all streams, a few at a time: pictures are not to wait until a hundred were counted."""
        found = []
        for number, (key, running) in enumerate(tuple(self._streams.items())):
            if number % COUNTED == COUNTED - 1:
                await asyncio.sleep(0)
            if self._streams.get(key) is running:
                running.feed.check()
                found.append(self._stats(running, now))
        return tuple(found)

    def _measure(self, now: float) -> None:
        """What everything takes that clients can watch: what cameras send, and pictures and metadata made of it."""
        relayed = (each.stream for each in self._streams.values())
        for stream in (*relayed, *self._pictures.streams, *self._metadata.streams):
            stream.measure(now)

    def _stats(self, running: _Running, now: float) -> StreamStats:
        counters, rates = running.intake.counters, running.rates
        passed = now - rates.at if rates.at else 0.0
        framerate = (counters.frames - rates.frames) / passed if passed else 0.0
        bitrate = round((counters.bytes - rates.bytes) * 8 / passed) if passed else 0
        audio = sum(track.octets for track in running.intake.tracks if track.format.kind is Kind.AUDIO)
        sound = max(0, round((audio - rates.audio) * 8 / passed)) if passed else 0
        running.rates = _Rates(now, counters.frames, counters.bytes, audio)
        return StreamStats(
            camera=running.camera,
            stream=running.spec.name,
            online=running.intake.online,
            frames=counters.frames,
            bytes=counters.bytes,
            lost_packets=counters.lost_packets,
            bad_frames=counters.bad_frames,
            reconnects=running.intake.reconnects,
            clients=running.stream.clients,
            bitrate=bitrate,
            framerate=framerate,
            gov_length=counters.gov_length,
            last_utc=counters.last_utc,
            recorded_bytes=running.feed.written,
            dropped_frames=running.feed.lost,
            audio_bitrate=sound,
            ptz=self._metadata.ptz(running.camera),
        )

    async def stop(self) -> None:
        """Close files and connections."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with self._changing:
            streams, self._streams = list(self._streams.values()), {}
            await asyncio.gather(*(self._end(running) for running in streams))
            await self._talking.close()
        await self._pictures.stop()
        if self._server is not None:
            await self._server.close()
        self._started.close()
        self._groups.close()
        if self._poller is not None:
            self._poller.close()
        await self._recordings.close()


def keyframe_of(stream: LiveStream) -> tuple[AccessUnit, TrackFormat]:
    """The latest key frame of a live stream. Raises Unavailable when there is none yet, NotFound without video."""
    track = next((track for track in stream.tracks if track.format.kind is Kind.VIDEO), None)
    if track is None:
        raise NotFound(f"{stream.name} has no video")
    joiner = depacketizer(track.format)
    for unit in stream.keyframe():
        bounds = (*unit.starts, len(unit.data))
        for start, end in itertools.pairwise(bounds):
            packet = parse_rtp(unit.data, start + 4, end)
            payload = memoryview(unit.data)[packet.start : packet.end]
            jpeg.tell_extension(joiner, packet)
            for frame in joiner.feed(payload, packet.marker, packet.rtp_time, True):
                if frame.key and not frame.damaged:
                    return AccessUnit(unit.track, unit.utc, 0, True, frame.data), joiner.format
    raise Unavailable(f"{stream.name} has delivered no key frame yet")
