"""A device that can be configured, held in memory: the recorder's own rules over a host that only remembers what it was told."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from onvifd.access.ip_filter import IpFilter
from onvifd.bodies.device_filter import DeviceFilter
from onvifd.bodies.device_network import DeviceNetwork
from onvifd.bodies.device_outputs import DeviceOutputs
from onvifd.bodies.device_places import DevicePlaces, DeviceStorage
from onvifd.bodies.device_ports import DevicePorts
from onvifd.bodies.device_scopes import DeviceScopes
from onvifd.bodies.device_state import DeviceState, PortSection
from onvifd.bodies.device_time import DeviceTime
from onvifd.clock import SimulatedClock
from onvifd.errors import BadInput, InvalidArgument, Unavailable
from onvifd.host.types import Dhcp6, Features, Interface, InterfaceChange, Link, Network
from onvifd.onvif.backend import Identity
from onvifd.onvif.device_backend import DeviceControl, Download, LogKind


@dataclass
class Host:
    """Network and clock adapter in one."""

    features: Features = field(
        default_factory=lambda: Features(
            configurable=True,
            hostname_from_dhcp=True,
            dhcp=True,
            dhcp6=frozenset((Dhcp6.OFF, Dhcp6.STATEFUL)),
            zero_configuration=True,
            volatile=True,
        )
    )
    max_servers: int = 4
    now: Network = field(
        default_factory=lambda: Network(
            hostname="before",
            dns_servers=("192.0.2.53",),
            interfaces=(
                Interface(
                    token="eth0",
                    name="eth0",
                    mac="02:00:00:00:00:01",
                    mtu=1500,
                    enabled=True,
                    ipv4=(("192.0.2.10", 24),),
                    ipv6=(("2001:db8::10", 64),),
                    dhcp=False,
                    link=Link(auto=True, speed=1000, full_duplex=True),
                    mtu_range=(68, 9000),
                ),
            ),
        )
    )
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    broken: str = ""
    """A method that fails."""
    ntp: bool = False
    ntp_servers: tuple[bool, tuple[str, ...]] = (False, ())

    def _call(self, *call: Any) -> None:
        if call[0] == self.broken:
            raise Unavailable("the tool failed")
        self.calls.append(call)

    def network(self) -> Network:
        return self.now

    def set_hostname(self, name: str) -> None:
        self._call("set_hostname", name)
        self.now = replace(self.now, hostname=name, hostname_from_dhcp=False)

    def set_hostname_from_dhcp(self, wanted: bool) -> None:
        self._call("set_hostname_from_dhcp", wanted)
        self.now = replace(self.now, hostname_from_dhcp=wanted)

    def set_dns(self, from_dhcp: bool, search: tuple[str, ...], servers: tuple[str, ...]) -> None:
        self._call("set_dns", from_dhcp, search, servers)
        self.now = replace(self.now, dns_from_dhcp=from_dhcp, search_domains=search, dns_servers=servers)

    def set_interface(self, name: str, change: InterfaceChange) -> None:
        self._call("set_interface", name, change)
        (eth0,) = self.now.interfaces
        changes = {
            "mtu": change.mtu,
            "ipv4": change.ipv4_manual,
            "ipv6": change.ipv6_manual,
            "dhcp": change.ipv4_dhcp,
            "enabled": change.enabled,
        }
        given = {name: value for name, value in changes.items() if value is not None}
        self.now = replace(self.now, interfaces=(replace(eth0, **given),))

    def set_gateways(self, gateways: tuple[str, ...]) -> None:
        self._call("set_gateways", gateways)
        self.now = replace(self.now, gateways=gateways)

    def set_zero_configuration(self, name: str, enabled: bool) -> None:
        self._call("set_zero_configuration", name, enabled)
        (eth0,) = self.now.interfaces
        plain = tuple(entry for entry in eth0.ipv4 if not entry[0].startswith("169.254."))
        self.now = replace(
            self.now, interfaces=(replace(eth0, ipv4=(*plain, *((("169.254.7.7", 16),) if enabled else ()))),)
        )

    def synchronized(self) -> bool:
        return self.ntp

    def servers(self) -> tuple[bool, tuple[str, ...]]:
        return self.ntp_servers

    def set_servers(self, from_dhcp: bool, servers: tuple[str, ...]) -> None:
        self._call("set_servers", from_dhcp, servers)
        self.ntp_servers = (from_dhcp, servers)

    def follow(self, ntp: bool) -> None:
        self._call("follow", ntp)
        self.ntp = ntp

    def set_time(self, utc: int) -> None:
        self._call("set_time", utc)


class Listeners:
    """Ports that are opened and closed; those in `taken` belong to somebody else."""

    def __init__(self) -> None:
        self.open: dict[int, str] = {}
        self.taken: set[int] = set()

    def take(self, port: int, what: str) -> int:
        if port in self.taken or port in self.open:
            raise OSError(98, "Address already in use")
        self.open[port] = what
        return port

    def unlisten(self, port: int) -> None:
        del self.open[port]


class HttpPorts(Listeners):
    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        return self.take(port, "http" if tls is None else "https")


class RtspPorts(Listeners):
    def listen(self, host: str, port: int) -> int:
        return self.take(port, "rtsp")


class System:
    """Logs, backups and restarts that only remember what was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.silent = False

    async def log(self, kind: LogKind) -> Download:
        if self.silent:
            raise BadInput("There is no such log.", detail=f"{kind.capitalize()}logUnavailable")
        return Download("x.log", "text/plain; charset=utf-8", f"{kind} entries\n".encode())

    async def support(self) -> Download:
        return Download("support.txt", "text/plain; charset=utf-8", b"all is well & <good>\n")

    async def backup(self) -> Download:
        return Download("x.backup", "application/octet-stream", b"\x00backup\xff")

    async def restore(self, archive: bytes) -> None:
        if not archive.startswith(b"\x00backup"):
            raise InvalidArgument("no", detail="InvalidBackupFile")
        self.asked.append(archive)

    async def reboot(self, why: str) -> float:
        self.asked.append(why)
        return 1.0

    async def reset(self, *, hard: bool) -> None:
        self.asked.append("hard" if hard else "soft")


class Hashing:
    def __init__(self) -> None:
        self.names: tuple[str, ...] = ("MD5",)

    def supported_hashing_algorithms(self) -> tuple[str, ...]:
        return ("MD5", "SHA-256")

    def hashing_algorithms(self) -> tuple[str, ...]:
        return self.names

    async def set_hashing_algorithms(self, names: tuple[str, ...]) -> None:
        if not names or not set(names) <= {"MD5", "SHA-256"}:
            raise InvalidArgument("unknown")
        self.names = names


class Stage:
    """Everything behind `control`; tests look at and turn the parts."""

    def __init__(self, *, relays: int = 1, roots: tuple[Path, ...] = (), volume: Path = Path("/volume")) -> None:
        self.clock = SimulatedClock()
        self.state = DeviceState()
        self.host = Host()
        self.filter = IpFilter()
        self.http, self.rtsp = HttpPorts(), RtspPorts()
        self.certificate = True
        self.announced = 0
        self.told: list[tuple[str, bool]] = []
        self.recorded: list[bool] = []
        self.system = System()
        self.hashing = Hashing()
        self.used: set[Path] = set()
        self.waiting: list[asyncio.Future[None]] = []
        identity = Identity(
            uuid="u",
            manufacturer="m",
            model="m",
            firmware_version="1",
            serial_number="s",
            hardware_id="h",
            name="n",
            location="here",
        )
        self.scopes = DeviceScopes(identity, ("Profile/G",), self.state)
        self.scopes.announce = self.announce
        self.time = DeviceTime(self.state, self.host, self.clock)
        self.network = DeviceNetwork(self.state, self.host, self.host, self.time, sleep=self._wait)
        self.network.announce = self.announce
        defaults = {"HTTP": PortSection(True, 80), "HTTPS": PortSection(True, 443), "RTSP": PortSection(True, 554)}
        self.ports = DevicePorts(self.state, "0.0.0.0", defaults)
        self.ports.attach(self.http, self.rtsp, self._tls)
        self.outputs = DeviceOutputs(
            self.state,
            self.clock,
            count=relays,
            told=lambda token, active: self.told.append((token, active)),
            commands={"onvifd:Recording|On": self._record},
        )
        self.volumes = [("vol-1", volume)]
        self.control = DeviceControl(
            hashing=self.hashing,
            scopes=self.scopes,
            network=self.network,
            ports=self.ports,
            filter=DeviceFilter(self.state, self.filter),
            time=self.time,
            places=DevicePlaces(self.state),
            relays=self.outputs,
            storage=DeviceStorage(self.state, lambda: self.volumes, roots, lambda path: path in self.used),
            system=self.system,
        )

    async def start(self) -> None:
        await self.time.load()
        await self.ports.listen()

    async def announce(self) -> None:
        self.announced += 1

    async def _wait(self, seconds: float) -> None:
        """What was put off waits until `go_on`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        await future

    async def go_on(self) -> None:
        """Let pass the time that changes were put off by."""
        await asyncio.sleep(0)
        for future in self.waiting:
            future.set_result(None)
        self.waiting.clear()
        await asyncio.gather(*self.network._tasks)

    async def _tls(self) -> ssl.SSLContext:
        if not self.certificate:
            raise Unavailable("no certificate")
        return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    async def _record(self) -> str:
        self.recorded.append(True)
        return "on"
