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
from onvifd.bodies.simulated_media import SimulatedMedia
from onvifd.bodies.simulated_streams import SimulatedStream, SimulatedStreams
from onvifd.cameras.simulated.encode import CameraClips
from onvifd.cameras.simulated.loudspeaker import Loudspeaker
from onvifd.cameras.simulated.picture import motion_at, next_motion_change
from onvifd.cameras.simulated.scene import Scene
from onvifd.clock import US, Clock
from onvifd.errors import NotFound
from onvifd.events import topics
from onvifd.events.types import Event
from onvifd.live.parts import Composition
from onvifd.onvif.backend import (
    Identity,
    MediaModel,
    Network,
    Ports,
    Scope,
    SystemTime,
)
from onvifd.rtsp.multicast import Groups
from onvifd.workers.vision import jpeg_of_keyframe

log = logging.getLogger(__name__)

VERSION = "1.0"
PROFILE_SCOPES = ("Profile/Streaming", "Profile/T")

_NAMESPACE = uuid.UUID("7b0ba1e5-6d0c-5d35-8c4f-9a5f6a1f2c11")
_MAX_WAIT = 1.0
"""Seconds after which motion looks at the clock again: it may have been set."""


class EventSink(Protocol):
    """The event bus of this device."""

    def publish(self, event: Event) -> object: ...


class SimulatedCamera:
    """One camera that plays `clips`.

    `seed` together with `number` gives the stable uuid and serial number. `bound` is the address that the servers listen on. `latency`
    (microseconds) is how long after its time a frame leaves; None takes one that differs from camera to camera. `groups` sends
    by multicast. `control` is the MediaControl by which its encoders are set.
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
        groups: Groups | None = None,
    ) -> None:
        self.number = number
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
        scene = Scene(number, motion=motion)
        self._streams = SimulatedStreams(clips, scene, clock, self._latency)
        self.loudspeaker = Loudspeaker(f"simulated camera {number}")
        self.control = SimulatedMedia(
            number, self._streams, scene, clips.audio, groups or Groups(bound), self.loudspeaker
        )
        self.streams = {name: stream.live for name, stream in self._streams.all.items()}

    async def start(self) -> None:
        """Read once from the host what later must be answered from memory."""
        self._timezone = await asyncio.to_thread(host.posix_timezone)
        self._ntp = bool(await asyncio.to_thread(host.ntp_servers))

    async def run(self) -> None:
        """Play both streams and raise motion events until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._streams.run())
            if self._motion:
                group.create_task(self._run_motion())

    async def _run_motion(self) -> None:
        """One property that is true exactly while the object moves."""
        source = self.media().video_sources[0].token
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
        profile = next((each for each in self.media().profiles if each.path == f"/{path.strip('/')}"), None)
        return None if profile is None else self.control.composition(profile)

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
        return self.control.model

    async def snapshot(self, profile_token: str) -> bytes:
        """See MediaBackend: the key frame that was shown last."""
        clip = self._stream(profile_token).clip
        number = clip.number_at(self._clock.utc() - self._latency + 1) - 1
        while not clip.key(number):
            number -= 1
        codec, sets = clip.format.codec, clip.format.parameter_sets
        return await asyncio.to_thread(jpeg_of_keyframe, codec, sets, clip.data(number))

    async def synchronize(self, profile_token: str) -> None:
        """See MediaBackend: a key frame comes within a moment."""
        self._stream(profile_token).live.want_keyframe()

    def _stream(self, profile_token: str) -> SimulatedStream:
        for profile in self.media().profiles:
            if profile.token == profile_token:
                return self._streams.all[profile.path.strip("/")]
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
