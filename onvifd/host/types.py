"""The host's network as plain values, and what may be changed of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

Prefixed = tuple[str, int]
"""An address and the bits of its prefix."""

ETHERNET = 6
LOOPBACK = 24
WIRELESS = 71
"""Kinds of interfaces (IANA ifType)."""


class Dhcp6(StrEnum):
    """How IPv6 addresses are asked for (tt:IPv6DHCPConfiguration)."""

    AUTO = "Auto"
    STATEFUL = "Stateful"
    STATELESS = "Stateless"
    OFF = "Off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """How fast an interface talks: Mbit/s, 0 if it cannot be told."""

    auto: bool
    speed: int
    full_duplex: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One network interface. `mac` is `aa:bb:cc:dd:ee:ff`; prefixes are bits. `dhcp` is None when it cannot be told.

    `ipv4` and `ipv6` are all addresses; `leased` those of them that DHCP gave, `advertised` those made from router
    advertisements. `ipv4_off` and `ipv6_off`: the family is switched off.
    """

    token: str
    name: str
    mac: str
    mtu: int | None
    enabled: bool
    ipv4: tuple[Prefixed, ...] = ()
    ipv6: tuple[Prefixed, ...] = ()
    dhcp: bool | None = None
    leased: tuple[Prefixed, ...] = ()
    advertised: tuple[Prefixed, ...] = ()
    ipv4_off: bool = False
    ipv6_off: bool = False
    dhcp6: Dhcp6 = Dhcp6.OFF
    accept_ra: bool | None = None
    kind: int = ETHERNET
    link: Link | None = None
    mtu_range: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The host's network as it is now. Manual servers are `dns_servers` without `dns_leased`, likewise for NTP."""

    hostname: str
    hostname_from_dhcp: bool = False
    search_domains: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_from_dhcp: bool = False
    ntp_servers: tuple[str, ...] = ()
    ntp_from_dhcp: bool = False
    gateways: tuple[str, ...] = ()
    interfaces: tuple[Interface, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceChange:
    """What to change of an interface; None leaves it as it is. An empty tuple takes all manual addresses away."""

    enabled: bool | None = None
    mtu: int | None = None
    link: Link | None = None
    ipv4_enabled: bool | None = None
    ipv4_manual: tuple[Prefixed, ...] | None = None
    ipv4_dhcp: bool | None = None
    ipv6_enabled: bool | None = None
    ipv6_manual: tuple[Prefixed, ...] | None = None
    ipv6_dhcp: Dhcp6 | None = None
    accept_ra: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What an adapter can change. Without `configurable` it can change nothing at all."""

    configurable: bool = False
    hostname_from_dhcp: bool = False
    dhcp: bool = False
    dhcp6: frozenset[Dhcp6] = frozenset((Dhcp6.OFF,))
    zero_configuration: bool = False
    volatile: bool = False
    """What was changed is forgotten when the host restarts, so that it must be applied again."""


class NetworkAdapter(Protocol):
    """A way to read and change the host's network. Every method blocks and is called by one thread at a time.

    Arguments were checked before. Raises Unavailable when the host's tools fail; nothing is retried.
    """

    @property
    def features(self) -> Features: ...
    def network(self) -> Network: ...
    def set_hostname(self, name: str) -> None: ...
    def set_hostname_from_dhcp(self, wanted: bool) -> None: ...
    def set_dns(self, from_dhcp: bool, search: tuple[str, ...], servers: tuple[str, ...]) -> None: ...
    def set_interface(self, name: str, change: InterfaceChange) -> None: ...
    def set_gateways(self, gateways: tuple[str, ...]) -> None: ...
    def set_zero_configuration(self, name: str, enabled: bool) -> None: ...


class ClockAdapter(Protocol):
    """A way to set the host's clock and its time servers. Blocks, as above."""

    @property
    def max_servers(self) -> int:
        """Time servers that can be set; 0 where the host's time is not ours to set."""
        ...

    def synchronized(self) -> bool:
        """Whether the clock follows NTP."""
        ...

    def servers(self) -> tuple[bool, tuple[str, ...]]:
        """Whether time servers come from DHCP, and those in use."""
        ...

    def set_servers(self, from_dhcp: bool, servers: tuple[str, ...]) -> None: ...
    def follow(self, ntp: bool) -> None: ...

    def set_time(self, utc: int) -> None:
        """Microseconds UTC."""
        ...
