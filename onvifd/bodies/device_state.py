"""What was configured of the recorder as a device: typed, kept in the catalogue, read from memory."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_type_hints

import msgspec

from onvifd.host.types import Dhcp6
from onvifd.onvif.device_backend import DynamicDns, Place, Relay
from onvifd.store.catalogue import AsyncCatalogue

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSection:
    """`timezone` None is the host's; `daylight` None follows the zone; `ntp` None follows the host's clock."""

    timezone: str | None = None
    daylight: bool | None = None
    ntp: bool | None = None


@dataclass(frozen=True, slots=True)
class PortSection:
    """A protocol's port; 0 leaves it to the settings file."""

    enabled: bool
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSection:
    allow: bool = False
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceSection:
    """What was asked of one interface, in the words of `InterfaceChange`."""

    enabled: bool | None = None
    mtu: int | None = None
    ipv4_enabled: bool | None = None
    ipv4_manual: tuple[tuple[str, int], ...] | None = None
    ipv4_dhcp: bool | None = None
    ipv6_enabled: bool | None = None
    ipv6_manual: tuple[tuple[str, int], ...] | None = None
    ipv6_dhcp: Dhcp6 | None = None
    accept_ra: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSection:
    """What was asked of the host's network, to be asked again where the host forgets it."""

    hostname: str | None = None
    dns: tuple[bool, tuple[str, ...], tuple[str, ...]] | None = None
    gateways: tuple[str, ...] | None = None
    interfaces: dict[str, InterfaceSection] = field(default_factory=dict)
    zero: tuple[str, ...] = ()
    """Interfaces with a link-local address."""
    dynamic_dns: DynamicDns = field(default_factory=DynamicDns)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfiguration:
    """One field per section of the catalogue's table `device`. None stands for what the settings file says."""

    scopes: tuple[str, ...] | None = None
    discoverable: bool = True
    time: TimeSection = TimeSection()
    ports: dict[str, PortSection] = field(default_factory=dict)
    """By name: HTTP, HTTPS, RTSP."""
    filter: FilterSection = FilterSection()
    network: NetworkSection = NetworkSection()
    places: tuple[Place, ...] = ()
    relays: tuple[Relay, ...] = ()
    storages: tuple[tuple[str, str, str], ...] = ()
    """Folders for recordings beyond those of the settings file: token, kind and path."""


NETWORK_SECTIONS = frozenset(("ports", "filter", "network"))
"""What a soft factory default leaves alone (Core 8.3.8: the device stays reachable)."""
SECTIONS = frozenset(each.name for each in fields(DeviceConfiguration))
_HINTS = get_type_hints(DeviceConfiguration)


class DeviceState:
    """The present configuration. Whoever reads, decides and writes holds `changing` meanwhile."""

    def __init__(
        self, catalogue: AsyncCatalogue | None = None, configuration: DeviceConfiguration | None = None
    ) -> None:
        self._catalogue = catalogue
        self.now = configuration or DeviceConfiguration()
        self.changing = asyncio.Lock()

    async def load(self) -> None:
        """Read what is kept. A section that cannot be read is logged and taken to be as at first."""
        if self._catalogue is None:
            return
        found: dict[str, Any] = {}
        for name, body in (await self._catalogue.run(self._catalogue.sync.device.all)).items():
            if name not in SECTIONS:
                continue
            try:
                found[name] = msgspec.json.decode(body, type=_HINTS[name])
            except msgspec.DecodeError as error:
                log.error("configuration of the device: section %s is ignored: %s", name, error)
        self.now = DeviceConfiguration(**found)

    async def change(self, **sections: Any) -> None:
        """Keep new values of sections, then let them be seen. Raises Unavailable, and nothing is changed."""
        after = replace(self.now, **sections)
        if self._catalogue is not None:
            encoded = {name: msgspec.json.encode(getattr(after, name)).decode() for name in sections}
            await self._catalogue.run(self._catalogue.sync.device.put, encoded)
        self.now = after
        log.info("configuration of the device: %s changed", ", ".join(sorted(sections)))

    async def forget(self, sections: frozenset[str]) -> None:
        """Take sections back to what they were at first."""
        if self._catalogue is not None:
            await self._catalogue.run(self._catalogue.sync.device.remove, sorted(sections))
        fresh = DeviceConfiguration()
        self.now = replace(self.now, **{name: getattr(fresh, name) for name in sections})
