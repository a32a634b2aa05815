"""A simulated camera with all its faces: ONVIF services, snapshots, RTSP and discovery on ports of its own."""

from __future__ import annotations

import asyncio
import socket

from onvifd.access.digest import DigestVerifier, make_ha1
from onvifd.access.types import Account, Credential, Level
from onvifd.bodies.face import HttpFace
from onvifd.bodies.simulated import SimulatedCamera
from onvifd.cameras.simulated.encode import CameraClips
from onvifd.cameras.simulated.loudspeaker import Loudspeaker
from onvifd.clock import Clock
from onvifd.events.bus import EventBus
from onvifd.events.topics import CAMERA_TOPICS
from onvifd.events.types import Event
from onvifd.live.mount import LiveMount
from onvifd.onvif.backend import Ports
from onvifd.onvif.discovery.service import DiscoveryService
from onvifd.onvif.services.common import ServiceRegistry
from onvifd.onvif.services.device import DeviceService
from onvifd.onvif.services.events import EventService
from onvifd.onvif.services.media import MediaService
from onvifd.onvif.services.media2 import Media2Service
from onvifd.onvif.types import tds
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.multicast import Groups
from onvifd.rtsp.server import RtspServer
from onvifd.workers.tunnels import Tunnels

REALM = "simulated camera"
SESSION_TIMEOUT = 60
MAX_CONNECTIONS = 256


class SimulatedDevice:
    """One camera on the network. `http_port` and `rtsp_port` 0 take free ports; `start` tells which."""

    def __init__(
        self,
        number: int,
        clips: CameraClips,
        *,
        seed: str,
        host: str,
        http_port: int,
        rtsp_port: int,
        user: str,
        password: str,
        clock: Clock,
        motion: bool = True,
        discovery: bool = True,
    ) -> None:
        self._number = number
        self._clips = clips
        self._seed = seed
        self._host = host
        self._asked = (http_port, rtsp_port)
        self._clock = clock
        self._motion = motion
        self._discovery_wanted = discovery
        account = Account(user, Level.ADMINISTRATOR)
        self._credential = Credential(account, make_ha1(user, REALM, password), password)
        self._bus = EventBus(clock)
        self._events = EventService(self._bus, clock, CAMERA_TOPICS)
        self._body: SimulatedCamera | None = None
        self._face: HttpFace | None = None
        self._rtsp: RtspServer | None = None
        self._discovery: DiscoveryService | None = None
        self._task: asyncio.Task[None] | None = None
        self.http_port = http_port
        self.rtsp_port = rtsp_port

    def _lookup(self, name: str) -> Credential | None:
        return self._credential if name == self._credential.account.name else None

    @property
    def device_url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.http_port}/onvif/device_service"

    async def start(self) -> None:
        """Listen and play. Raises OSError when a port is taken."""
        await self._bus.start()
        body: SimulatedCamera | None = None
        self._groups = groups = Groups(self._host)
        mount = LiveMount(lambda path: body.lookup(path) if body else None, SESSION_TIMEOUT, groups=groups)
        verifier = DigestVerifier.for_rtsp(REALM, self._lookup)
        self._rtsp = RtspServer({"/": mount}, verifier, self._clock, max_connections=MAX_CONNECTIONS)
        self.rtsp_port = await self._rtsp.serve(self._host, self._asked[1])
        self.http_port = self._asked[0] or self._free_port()
        body = SimulatedCamera(
            self._number,
            self._clips,
            seed=self._seed,
            bound=self._host,
            ports=Ports(http=self.http_port, https=None, rtsp=self.rtsp_port),
            clock=self._clock,
            bus=self._bus,
            users=lambda: ((self._credential.account.name, self._credential.account.level),),
            motion=self._motion,
            groups=groups,
        )
        self._body = body
        await body.start()
        registry = ServiceRegistry()
        device = DeviceService(
            body,
            registry,
            discovery=self._discovery_wanted,
            ipv6=":" in self._host,
            hardware_type=tds.HardwareTypes.CAMERA,
        )
        media = MediaService(body, body, body.control, multicast=True)
        media2 = Media2Service(body, body, body.control, multicast=True)
        for service in (media, media2, self._events):
            registry.add(service)
        self._tunnels = Tunnels(self._route)
        self._face = HttpFace(
            (device, media, media2, self._events),
            body,
            lookup=self._lookup,
            realm=REALM,
            clock=self._clock,
            tunnels=self._tunnels.take,
        )
        await self._face.start()
        await self._face.listen(self._host, self.http_port)
        self._task = asyncio.create_task(body.run(), name=f"simulated camera {self._number}")
        if self._discovery_wanted:
            self._discovery = DiscoveryService(body, self._clock, host=self._host)
            await self._discovery.start()

    async def _route(self, path: str, arrival: Arrival) -> None:
        """RTSP within HTTP: the sockets that come are closed by who gives them."""
        if self._rtsp is not None:
            self._rtsp.admit(arrival.duplicate())

    @property
    def loudspeaker(self) -> Loudspeaker:
        """What keeps the sound that was sent to the camera; it is there once the camera has started."""
        assert self._body is not None
        return self._body.loudspeaker

    def publish(self, event: Event) -> None:
        """Raise an event as the camera would."""
        self._bus.publish(event)

    def _free_port(self) -> int:
        """A port for HTTP: the body must know it before it listens."""
        with socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET) as probe:
            probe.bind((self._host, 0))
            return int(probe.getsockname()[1])

    @property
    def ended(self) -> asyncio.Task[None] | None:
        """The player; it ends by a fault only."""
        return self._task

    async def stop(self) -> None:
        """Say Bye and close everything."""
        if self._discovery is not None:
            await self._discovery.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._events.close()
        if self._face is not None:
            await self._face.close()
            await self._tunnels.close()
        if self._rtsp is not None:
            await self._rtsp.close()
            self._groups.close()
        await self._bus.close()
