"""Media profiles and configurations over a real catalogue, with two cameras whose streams are what a test says they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onvifd.access.keyfile import SecretBox
from onvifd.access.types import Level
from onvifd.bodies.channel import Channel, ChannelStream
from onvifd.bodies.media_control import MediaParts
from onvifd.bodies.media_plan import presentations
from onvifd.bodies.recorder import Actions, Recorder
from onvifd.cameras.registry import Driver, NewCamera, Registry, Role, Stream
from onvifd.cameras.settings import EncoderChoice, EncoderSettings
from onvifd.clock import US, SimulatedClock
from onvifd.errors import Unavailable
from onvifd.events.bus import EventBus
from onvifd.events.types import Event
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.backend import Identity, MediaModel, Network, Ports, Scope, SystemTime
from onvifd.onvif.services.media import MediaService
from onvifd.onvif.services.media2 import Media2Service
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.workers.messages import StreamFormats
from onvifd.workers.specs import PresentationSpec, StreamStats, TrackSpec

T0 = 1_767_225_600 * US
TOPICS = ("VideoSource/MotionAlarm", "RuleEngine/CellMotionDetector/Motion", "Device/Trigger/DigitalInput")


class _Device:
    def scopes(self) -> tuple[Scope, ...]:
        return ()

    def discoverable(self) -> bool:
        return True

    def ports(self) -> Ports:
        return Ports(http=8080, https=8443, rtsp=8554)

    def system_time(self) -> SystemTime:
        return SystemTime(utc=T0, timezone="UTC0", ntp=False, daylight=False, utc_offset=0)

    async def network(self) -> Network:
        return Network(hostname="h")


class Encoders:
    """The encoders of the second camera; the first one's are out of reach. `told` is what they were set to."""

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self.told: list[EncoderSettings] = []
        self.silent = False
        self.untold: dict[str, Any] = {}
        """What the camera offers otherwise for H.264."""

    async def options(self, camera: str, stream: str) -> tuple[EncoderChoice, ...]:
        if self.silent:
            raise Unavailable("The camera does not answer.")
        if camera != self.camera:
            return ()
        common: dict[str, Any] = {
            "resolutions": ((1920, 1080), (1280, 720), (640, 360)),
            "framerates": (25.0, 12.5, 5.0),
            "bitrates": (64, 8192),
            "quality": (0.0, 10.0),
            "gov_lengths": (1, 100),
        }
        return (
            EncoderChoice(codec=Codec.H264, **{"profiles": ("Baseline", "Main", "High"), **common, **self.untold}),
            EncoderChoice(codec=Codec.H265, profiles=("Main",), **common),
        )

    async def set_encoder(self, camera: str, stream: str, settings: EncoderSettings) -> EncoderSettings:
        if self.silent:
            raise Unavailable("The camera does not answer.")
        assert camera == self.camera
        self.told.append(settings)
        return settings


def _formats(camera: int, width: int, height: int) -> tuple[TrackFormat, ...]:
    video = TrackFormat(codec=Codec.H264, clock_rate=90_000, width=width, height=height)
    return (video, TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)) if camera == 1 else (video,)


class MediaStage:
    """`one` has sound and is known by RTSP only, `two` has none and takes settings. `presented` is what workers were told last."""

    def __init__(
        self, folder: Path, *, pictures: bool = True, multicast: bool = True, secure: int | None = 322
    ) -> None:
        self.clock = SimulatedClock(T0)
        self.catalogue = Catalogue.open(f"sqlite:///{folder / 'catalogue.sqlite3'}", migrate=True)
        self._async = AsyncCatalogue(self.catalogue)
        registry = Registry(self.catalogue, SecretBox(bytes(32)), self.clock)
        if not registry.all():
            for number in (1, 2):
                streams = tuple(
                    Stream(role=role, uri=f"rtsp://192.0.2.{number}/{role}", video_codec=Codec.H264)
                    for role in (Role.MAIN, Role.SUB)
                )
                registry.add(
                    NewCamera(name=f"Cam {number}", driver=Driver.RTSP, address="rtsp://192.0.2.1/", streams=streams)
                )
        self.one, self.two = (camera.id for camera in registry.all())
        self.bus = EventBus(self.clock)
        self.seen: list[Event] = []
        self.bus.subscribe(self.seen.append)
        self.presented: dict[str, PresentationSpec] = {}
        self.synchronized: list[tuple[str, str]] = []
        self.asked: list[tuple[str, str]] = []
        self.encoders = Encoders(self.two)
        self.talk: dict[str, tuple[TrackFormat, ...]] = {}
        """What the loudspeakers of cameras decode; none has one until a test says so."""
        self.recorder = Recorder(
            identity=Identity(
                **dict.fromkeys(("uuid", "manufacturer", "model", "firmware_version", "serial_number"), "x"),
                **dict.fromkeys(("hardware_id", "name", "location"), "x"),
            ),
            device=_Device(),
            replay_timeout=60,
            clock=self.clock,
            bus=self.bus,
            actions=Actions(
                snapshot=self._picture,
                synchronize=self._ask,
                synchronized=lambda camera, path: self.synchronized.append((camera, path)),
                set_replay_timeout=self._nothing,
                users=lambda: (("admin", Level.ADMINISTRATOR),),
                presented=self._present,
            ),
        )
        self.recorder.pictures = pictures
        self.parts = MediaParts(
            self._async,
            self.clock,
            model=self.recorder.media,
            change=self._change,
            expect=self._expect,
            max_cameras=2,
            cameras=self.encoders,
        )
        self.recorder.shaper = self.parts
        named: dict[str, Any] = {"multicast": multicast, "secure": lambda: secure, "topics": TOPICS}
        self.media = MediaService(self.recorder, self.recorder, self.parts, **named)
        self.media2 = Media2Service(self.recorder, self.recorder, self.parts, **named)

    def _expect(self, camera: str, stream: str, settings: EncoderSettings) -> asyncio.Event:
        """These cameras never send anything: nobody waits for it."""
        begun = self.recorder.expect(camera, stream, settings)
        begun.set()
        return begun

    async def _picture(self, camera: str, stream: str) -> bytes:
        return f"{camera}/{stream}".encode()

    async def _ask(self, camera: str, stream: str) -> None:
        self.asked.append((camera, stream))

    async def _nothing(self, *_: object) -> None:
        pass

    def _present(self, model: MediaModel) -> None:
        self.presented = {spec.profile: spec for spec in presentations(model)}

    async def _change(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        result = call(*args, **named)
        await self.take_over()
        return result

    async def take_over(self) -> None:
        await self.parts.read()
        known = {row.id for row in self.catalogue.cameras.all()}
        channels = tuple(
            self._channel(number, camera) for number, camera in ((1, self.one), (2, self.two)) if camera in known
        )
        self.recorder.configure(channels)

    def _channel(self, number: int, camera: str) -> Channel:
        sizes = {"main": (1920, 1080), "sub": (640, 360)}
        return Channel(
            camera=camera,
            number=number,
            name=f"Cam {number}",
            address="",
            location="",
            record=True,
            talk=self.talk.get(camera, ()),
            streams={
                name: ChannelStream(name=name, formats=_formats(number, *size), bitrate=2_000_000, gov_length=50)
                for name, size in sizes.items()
            },
        )

    def deliver(self, camera: str, stream: str, codec: Codec, width: int, height: int) -> None:
        """A stream comes with another picture from now on."""
        track = TrackSpec(codec=codec.value, clock_rate=90_000, width=width, height=height)
        self.recorder.stream_formats(StreamFormats(camera=camera, stream=stream, tracks=(track,)))

    def deliver_online(self, camera: str, stream: str) -> None:
        self.recorder.channels[0 if camera == self.one else 1].streams[stream].online = True

    def measure(self, camera: str, stream: str, ptz: str = "") -> bool:
        """A worker tells what it measured; whether that is worth keeping."""
        counted: dict[str, Any] = dict.fromkeys(
            ("frames", "bytes", "lost_packets", "bad_frames", "reconnects", "clients"), 0
        )
        rates = {"bitrate": 2_000_000, "framerate": 25.0, "gov_length": 50, "last_utc": T0}
        stats = StreamStats(camera=camera, stream=stream, online=True, ptz=ptz, **counted, **rates)
        return self.recorder.stream_stats(stats)

    def events(self, topic: str) -> list[tuple[str, ...]]:
        """Values of the sources of what was announced, and forgotten with that."""
        found = [tuple(value for _, value in event.source) for event in self.seen if event.topic == topic]
        self.seen.clear()
        return found

    async def close(self) -> None:
        await self._async.close()
