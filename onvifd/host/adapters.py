"""Which adapter a host gets."""

from __future__ import annotations

from pathlib import Path

from onvifd.errors import Unavailable
from onvifd.host import reading
from onvifd.host.iproute2 import IpRoute2
from onvifd.host.networkmanager import NetworkManager
from onvifd.host.run import Runner
from onvifd.host.timedated import TimeDate
from onvifd.host.types import ClockAdapter, Features, InterfaceChange, Network, NetworkAdapter

NETWORK_ADAPTERS = ("none", "iproute2", "NetworkManager")
CLOCK_ADAPTERS = ("none", "timedatectl")


class ReadOnly:
    """The host's network as somebody else made it, for containers and managed hosts."""

    features = Features()

    def __init__(self, bound: str) -> None:
        self._bound = bound

    def network(self) -> Network:
        return reading.network(self._bound)

    def set_hostname(self, name: str) -> None:
        self._refuse()

    def set_hostname_from_dhcp(self, wanted: bool) -> None:
        self._refuse()

    def set_dns(self, from_dhcp: bool, search: tuple[str, ...], servers: tuple[str, ...]) -> None:
        self._refuse()

    def set_interface(self, name: str, change: InterfaceChange) -> None:
        self._refuse()

    def set_gateways(self, gateways: tuple[str, ...]) -> None:
        self._refuse()

    def set_zero_configuration(self, name: str, enabled: bool) -> None:
        self._refuse()

    def _refuse(self) -> None:
        raise Unavailable("the network of this host is not the recorder's to change")


class HostClock:
    """The host's clock as somebody else keeps it."""

    max_servers = 0

    def synchronized(self) -> bool:
        return bool(reading.ntp_servers())

    def servers(self) -> tuple[bool, tuple[str, ...]]:
        return False, reading.ntp_servers()

    def set_servers(self, from_dhcp: bool, servers: tuple[str, ...]) -> None:
        self._refuse()

    def follow(self, ntp: bool) -> None:
        """Nothing to do: what keeps the clock goes on doing so."""

    def set_time(self, utc: int) -> None:
        self._refuse()

    def _refuse(self) -> None:
        raise Unavailable("the clock of this host is not the recorder's to set")


def network_adapter(kind: str, *, bound: str, run: Path, prefix: tuple[str, ...] = ()) -> NetworkAdapter:
    """One of `NETWORK_ADAPTERS`. Raises Unavailable when the host lacks its tool."""
    runner = Runner(prefix)
    if kind == "none":
        return ReadOnly(bound)
    if not runner.has("ip"):
        raise Unavailable(f"host.network = {kind} needs the tool ip (iproute2)")
    reader = IpRoute2(runner, run=run, bound=bound)
    if kind == "iproute2":
        return reader
    if not runner.has("nmcli"):
        raise Unavailable("host.network = NetworkManager needs the tool nmcli")
    return NetworkManager(runner, reader)


def clock_adapter(kind: str) -> ClockAdapter:
    """One of `CLOCK_ADAPTERS`. Raises Unavailable when the host lacks its tool."""
    runner = Runner()
    if kind == "none":
        return HostClock()
    if not runner.has("timedatectl"):
        raise Unavailable("host.clock = timedatectl needs the tool timedatectl (systemd)")
    return TimeDate(runner)
