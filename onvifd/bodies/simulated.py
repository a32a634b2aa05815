"""The simulated camera as an ONVIF device: one video source, a main and a sub stream, sound, motion events, snapshots.

It implements DeviceBackend and MediaBackend. Its streams are live hubs that an RTSP server mounts through `lookup`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote

from onvifd.access.types import Level
from onvifd.bodies import host
from onvifd.cameras.simulated.clip import Clip
from onvifd.cameras.simulated.encode import CameraClips
from onvifd.cameras.simulated.loudspeaker import Loudspeaker
from onvifd.cameras.simulated.picture import motion_at, next_motion_change
from onvifd.cameras.simulated.player import Loop, SimulatedSource, StreamPlayer
from onvifd.cameras.simulated.scene import Scene
from onvifd.clock import US, Clock
from onvifd.errors import NotFound
from onvifd.events import topics
from onvifd.events.types import Event
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.live.parts import Composition
from onvifd.media import video
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.backend import (
    AudioEncoder,
    AudioSource,
    Identity,
    MediaModel,
    MediaProfile,
    Network,
    Ports,
    Scope,
    SystemTime,
    VideoEncoder,
    VideoSource,
)
from onvifd.workers.vision import jpeg_of_keyframe

log = logging.getLogger(__name__)

VERSION = "1.0"
PROFILE_SCOPES = ("Profile/Streaming", "Profile/T")

_NAMESPACE = uuid.UUID("7b0ba1e5-6d0c-5d35-8c4f-9a5f6a1f2c11")
_STREAMS = ("main", "sub")
_AUDIO_BITRATE = {Codec.PCMU: 64, Codec.PCMA: 64}
_MAX_WAIT = 1.0
"""Seconds after which motion looks at the clock again: it may have been set."""


class EventSink(Protocol):
    """The event bus of this device."""

    def publish(self, event: Event) -> object: ...


class SimulatedCamera:
    """One camera that plays `clips`.

    `seed` together with `number` gives the stable uuid and serial number. `bound` is the address that the servers listen on. `latency`
    (microseconds) is how long after its time a frame leaves; None takes one that differs from camera to camera.
    """

    def __init__(
        self,
        number: int,
        clips: CameraClips,
        *,
        seed: str,
        bound: str,
        ports: Ports,
        clock: Clock,
        bus: EventSink,
        users: Callable[[], tuple[tuple[str, Level], ...]],
        latency: int | None = None,
        motion: bool = True,
    ) -> None:
        self.number = number
        self._clips = {"main": clips.main, "sub": clips.sub}
        self._bound = bound
        self._ports = ports
        self._clock = clock
        self._bus = bus
        self._users = users
        self._motion = motion
        self._latency = number * 7919 % 30_000 if latency is None else latency
        self._timezone = "UTC0"
        self._ntp = False
        self._identity = _identity(number, seed)
        self._model = _model(number, clips)
        self.loudspeaker = Loudspeaker(f"simulated camera {number}")
        self.streams: dict[str, LiveStream] = {}
        self._players: dict[str, StreamPlayer] = {}
        scene = Scene(number, motion=motion)
        for name in _STREAMS:
            loops: list[Loop] = [self._clips[name], clips.audio]
            player = StreamPlayer([*loops, scene] if name == "main" else loops)
            stream = LiveStream(name)
            stream.set_tracks(tuple(map(LiveTrack, player.formats, player.payload_types, player.ssrcs)))
            stream.online = True
            self._players[name], self.streams[name] = player, stream

    async def start(self) -> None:
        """Read once from the host what later must be answered from memory."""
        self._timezone = await asyncio.to_thread(host.posix_timezone)
        self._ntp = bool(await asyncio.to_thread(host.ntp_servers))

    async def run(self) -> None:
        """Play both streams and raise motion events until cancelled."""
        pairs = [(self._players[name], self.streams[name]) for name in _STREAMS]
        async with asyncio.TaskGroup() as group:
            group.create_task(SimulatedSource(pairs, self._clock, latency=self._latency).run())
            if self._motion:
                group.create_task(self._run_motion())

    async def _run_motion(self) -> None:
        """One property that is true exactly while the object moves."""
        source = self._model.video_sources[0].token
        last: bool | None = None
        while True:
            now = self._clock.utc()
            state = motion_at(now)
            if state is not last:
                self._bus.publish(topics.motion_alarm(source, state, now))
                last = state
            wait = (next_motion_change(now) - now) / US
            await self._clock.sleep(min(wait, _MAX_WAIT))

    def lookup(self, path: str) -> Composition | None:
        """What is at an RTSP path (`/main`, `/sub`); None for others."""
        name = path.strip("/")
        stream = self.streams.get(name)
        if stream is None:
            return None
        metadata = stream if name == "main" else None
        return Composition(
            name=name, profile="", video=stream, audio=stream, metadata=metadata, talk=self.loudspeaker.line
        )

    # ---- device --------------------------------------------------------------------------------

    def identity(self) -> Identity:
        return self._identity

    def scopes(self) -> tuple[Scope, ...]:
        base, me = "onvif://www.onvif.org/", self._identity
        names = (f"hardware/{quote(me.hardware_id, safe='')}", f"name/{quote(me.name, safe='')}")
        fixed = (*PROFILE_SCOPES, *names, "type/video_encoder", "type/audio_encoder")
        return tuple(Scope(base + path, True) for path in fixed)

    def discoverable(self) -> bool:
        return True

    def ports(self) -> Ports:
        return self._ports

    def system_time(self) -> SystemTime:
        return host.system_time(self._clock.utc(), self._timezone, self._ntp)

    async def network(self) -> Network:
        return await asyncio.to_thread(host.network, self._bound)

    async def users(self) -> tuple[tuple[str, Level], ...]:
        return self._users()

    # ---- media ---------------------------------------------------------------------------------

    def media(self) -> MediaModel:
        return self._model

    async def snapshot(self, profile_token: str) -> bytes:
        """See MediaBackend: the key frame that was shown last."""
        clip = self._clip(profile_token)
        number = clip.number_at(self._clock.utc() - self._latency + 1) - 1
        while not clip.key(number):
            number -= 1
        codec, sets = clip.format.codec, clip.format.parameter_sets
        return await asyncio.to_thread(jpeg_of_keyframe, codec, sets, clip.data(number))

    async def synchronize(self, profile_token: str) -> None:
        """See MediaBackend. The pictures are encoded beforehand: the next key frame comes by itself, at most a GOP later."""
        self._clip(profile_token)

    def _clip(self, profile_token: str) -> Clip:
        for profile in self._model.profiles:
            if profile.token == profile_token:
                return self._clips[profile.path.strip("/")]
        raise NotFound("There is no such profile.", detail="NoProfile")


def _identity(number: int, seed: str) -> Identity:
    stable = uuid.uuid5(_NAMESPACE, f"{seed}/{number}")
    return Identity(
        uuid=str(stable),
        manufacturer="onvifd",
        model="Simulated camera",
        firmware_version=VERSION,
        serial_number=stable.hex[:12].upper(),
        hardware_id="simulated",
        name=f"Camera {number}",
        location="",
    )


def _model(number: int, clips: CameraClips) -> MediaModel:
    """What the media services show; it never changes."""
    sound = clips.audio.format
    streams = (("main", clips.main), ("sub", clips.sub))
    source, audio_source, audio_encoder = f"vs-{number}", f"as-{number}", f"ae-{number}"
    return MediaModel(
        video_sources=(
            VideoSource(
                token=source,
                config_token=f"vsc-{number}",
                name=f"Camera {number}",
                width=clips.main.format.width,
                height=clips.main.format.height,
                framerate=float(clips.main.rate),
            ),
        ),
        video_encoders=tuple(_video_encoder(number, name, clip) for name, clip in streams),
        audio_sources=(
            AudioSource(
                token=audio_source, config_token=f"asc-{number}", name="Microphone", channels=max(1, sound.channels)
            ),
        ),
        audio_encoders=(
            AudioEncoder(
                token=audio_encoder,
                name="Microphone",
                codec=sound.codec,
                bitrate=_AUDIO_BITRATE.get(sound.codec, max(1, round(clips.audio.bitrate / 1000))),
                sample_rate=sound.clock_rate,
                channels=max(1, sound.channels),
            ),
        ),
        profiles=tuple(
            MediaProfile(
                token=f"profile-{name}",
                name=name,
                fixed=True,
                video_source=source,
                video_encoder=f"ve-{number}-{name}",
                audio_source=audio_source,
                audio_encoder=audio_encoder,
                path=f"/{name}",
                snapshot=True,
            )
            for name, _ in streams
        ),
    )


def _video_encoder(number: int, name: str, clip: Clip) -> VideoEncoder:
    return VideoEncoder(
        token=f"ve-{number}-{name}",
        name=name,
        codec=clip.format.codec,
        width=clip.format.width,
        height=clip.format.height,
        framerate=float(clip.rate),
        bitrate=max(1, round(clip.bitrate / 1000)),
        gov_length=clip.gov_length,
        profile=_profile(clip.format),
    )


def _profile(track: TrackFormat) -> str:
    return next(
        (
            video.parse_sps(track.codec, unit).profile
            for unit in track.parameter_sets
            if video.is_sps(track.codec, unit)
        ),
        "Main",
    )
