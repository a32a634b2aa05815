"""What a device must be able to do so that its device service can change it (Core 8), as protocols and plain types.

Reading is in `onvif.backend`. All faults of the operations arise behind these protocols, so that whoever else changes the
device (console, command line) is bound by the same rules. Times are integer microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from onvifd.access.ip_filter import FilterRules, Prefix
from onvifd.host.types import Features, InterfaceChange


class ScopeControl(Protocol):
    """Configurable scopes and the discovery mode. Every change is announced to the network (Core 7.3)."""

    async def set_scopes(self, scopes: tuple[str, ...]) -> None:
        """Replace the configurable scopes. Raises LimitReached (TooManyScopes), InvalidArgument."""
        ...

    async def add_scopes(self, scopes: tuple[str, ...]) -> None: ...

    async def remove_scopes(self, scopes: tuple[str, ...]) -> None:
        """Raises Prohibited (FixedScope), NotFound (NoScope)."""
        ...

    async def set_discoverable(self, wanted: bool) -> None: ...


class DnsUpdates(StrEnum):
    """tt:DynamicDNSType."""

    NONE = "NoUpdate"
    CLIENT = "ClientUpdates"
    SERVER = "ServerUpdates"


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicDns:
    """`ttl` is seconds."""

    updates: DnsUpdates = DnsUpdates.NONE
    name: str = ""
    ttl: int = 300


@dataclass(frozen=True, slots=True)
class ZeroConfiguration:
    """Link-local addresses of one interface (RFC 3927)."""

    interface: str
    enabled: bool
    addresses: tuple[str, ...]


class NetworkControl(Protocol):
    """The host's network. Where `features().configurable` is false every change raises NotSupported."""

    def features(self) -> Features: ...
    def max_time_servers(self) -> int: ...
    async def set_hostname(self, name: str) -> None: ...
    async def set_hostname_from_dhcp(self, wanted: bool) -> None: ...
    async def set_dns(self, from_dhcp: bool, search: tuple[str, ...], servers: tuple[str, ...]) -> None: ...
    async def set_time_servers(self, from_dhcp: bool, servers: tuple[str, ...]) -> None:
        """Raises InvalidArgument (TimeSyncedToNtp) if the clock follows NTP and nothing would be left to follow."""
        ...

    async def set_interface(self, token: str, change: InterfaceChange, here: str) -> None:
        """Change an interface. `here` is the address at which the client reached the device: when it goes away the change is
        made a moment after the answer. Raises NotFound (InvalidNetworkInterface), InvalidArgument (InvalidMtuValue, ...)."""
        ...

    async def set_gateways(self, gateways: tuple[str, ...]) -> None: ...
    async def zero_configuration(self) -> tuple[ZeroConfiguration, ...]: ...
    async def set_zero_configuration(self, token: str, enabled: bool) -> None: ...
    def updates_dns(self) -> bool:
        """Whether there is dynamic DNS at all."""
        ...

    def dynamic_dns(self) -> DynamicDns: ...
    async def set_dynamic_dns(self, wanted: DynamicDns) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolPort:
    """`name` is HTTP, HTTPS or RTSP."""

    name: str
    enabled: bool
    port: int


class PortControl(Protocol):
    """The ports that the recorder itself listens on."""

    def protocols(self) -> tuple[ProtocolPort, ...]:
        """Those that can be served, also when they are switched off."""
        ...

    async def set_protocols(self, wanted: tuple[ProtocolPort, ...]) -> None:
        """Apply now, all or nothing. Raises InvalidArgument (ServiceNotSupported, PortAlreadyInUse), NotSupported
        (EnablingTlsFailed)."""
        ...


class FilterControl(Protocol):
    """The IP address filter."""

    def rules(self) -> FilterRules: ...

    async def replace(self, rules: FilterRules) -> None:
        """Raises InvalidArgument (IPFilterListIsFull)."""
        ...

    async def add(self, prefixes: Iterable[Prefix]) -> None: ...

    async def remove(self, prefixes: Iterable[Prefix]) -> None:
        """Raises NotFound (NoIPv4Address, NoIPv6Address)."""
        ...


class TimeControl(Protocol):
    async def set_time(self, *, ntp: bool, daylight: bool, timezone: str | None, utc: int | None) -> None:
        """Raises InvalidArgument (InvalidTimeZone, NtpServerUndefined), NotSupported where the clock is not ours to set."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an entity is (tt:LocationEntity). Components that are None are not known."""

    entity: str
    token: str
    source: str | None = None
    geo_location: tuple[float | None, float | None, float | None] | None = None
    """Longitude and latitude in degrees (WGS 84), elevation in metres."""
    geo_orientation: tuple[float | None, float | None, float | None] | None = None
    """Roll, pitch, yaw in degrees."""
    local_location: tuple[float | None, float | None, float | None] | None = None
    """x, y, z in metres."""
    local_orientation: tuple[float | None, float | None, float | None] | None = None
    """Pan, tilt, roll in degrees."""


class PlaceControl(Protocol):
    def max_places(self) -> int: ...
    def places(self) -> tuple[Place, ...]: ...

    async def set_places(self, places: tuple[Place, ...]) -> None:
        """Make or replace entries by entity and token. Raises LimitReached (TooManyEntries)."""
        ...

    async def delete_places(self, names: tuple[tuple[str, str], ...]) -> None:
        """By entity and token. Raises NotFound (NoConfig)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """An output. `delay` is microseconds that a monostable one stays active; `idle_open` its contact while inactive."""

    token: str
    bistable: bool = True
    delay: int = 1_000_000
    idle_open: bool = True
    active: bool = False


class RelayControl(Protocol):
    def relays(self) -> tuple[Relay, ...]: ...

    async def configure_relay(self, token: str, *, bistable: bool, delay: int, idle_open: bool) -> None:
        """Raises NotFound (RelayToken), InvalidArgument (ModeError)."""
        ...

    async def set_relay(self, token: str, active: bool) -> None: ...

    def commands(self) -> tuple[str, ...]:
        """Auxiliary commands of the device."""
        ...

    async def command(self, name: str) -> str:
        """Carry one out; gives what to tell the client. Raises InvalidArgument (AuxiliaryDataNotSupported)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """A place for recordings: a folder, as the host shows it. `kind` is a tds:StorageType value or `Local`."""

    token: str
    kind: str
    path: str
    uri: str = ""


class StorageControl(Protocol):
    def max_storages(self) -> int: ...
    async def storages(self) -> tuple[Storage, ...]: ...

    async def create_storage(self, kind: str, path: str) -> str:
        """Gives the token. Raises Prohibited-like SoapFault R/OP/MaxStorageConfigurations, InvalidArgument."""
        ...

    async def set_storage(self, token: str, kind: str, path: str) -> None:
        """Raises NotFound (NoConfig), InvalidArgument (ConfigModify)."""
        ...

    async def delete_storage(self, token: str) -> None:
        """Raises NotFound (NoConfig), Conflict (ConfigurationConflict)."""
        ...


class LogKind(StrEnum):
    """tt:SystemLogType."""

    SYSTEM = "System"
    ACCESS = "Access"


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is made for a client."""

    name: str
    content_type: str
    data: bytes = field(repr=False)


class SystemControl(Protocol):
    """Maintenance of the recorder itself."""

    async def log(self, kind: LogKind) -> Download:
        """Raises BadInput (SystemlogUnavailable, AccesslogUnavailable)."""
        ...

    async def support(self) -> Download: ...

    async def backup(self) -> Download:
        """The configuration as an encrypted archive."""
        ...

    async def restore(self, archive: bytes) -> None:
        """Check an archive and restart with what it holds. Raises InvalidArgument (InvalidBackupFile)."""
        ...

    async def reboot(self, why: str) -> float:
        """Restart the recorder in the number of seconds that it gives."""
        ...

    async def reset(self, *, hard: bool) -> None:
        """Take everything back that was configured, and restart."""
        ...


class HashingControl(Protocol):
    """Algorithms of HTTP and RTSP digest (Core 5.9.3)."""

    def supported_hashing_algorithms(self) -> tuple[str, ...]: ...

    def hashing_algorithms(self) -> tuple[str, ...]:
        """Those in force, the preferred one first."""
        ...

    async def set_hashing_algorithms(self, names: tuple[str, ...]) -> None:
        """Raises InvalidArgument."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceControl:
    """All of it."""

    hashing: HashingControl

    scopes: ScopeControl
    network: NetworkControl
    ports: PortControl
    filter: FilterControl
    time: TimeControl
    places: PlaceControl
    relays: RelayControl
    storage: StorageControl
    system: SystemControl
