"""Finds ONVIF cameras in the network by WS-Discovery (Core 7)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import ifaddr
from wsdiscovery import QName
from wsdiscovery.discovery import ThreadedWSDiscovery

from onvifd.cameras.onvif_driver import NAME_SCOPE
from onvifd.errors import InvalidArgument, Unavailable

log = logging.getLogger(__name__)

SECONDS = 3.0
MAX_SECONDS = 30.0
MAX_FOUND = 512
SCOPES = "onvif://www.onvif.org/"

# Core 7.3.2.1: every device answers one of these.
TYPES = (
    ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
    ("http://www.onvif.org/ver10/device/wsdl", "Device"),
)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """A device that answered. `uuid` is its endpoint reference without `urn:uuid:`; `addresses` are its device services."""

    uuid: str
    addresses: tuple[str, ...]
    name: str = ""
    hardware: str = ""
    location: str = ""
    types: tuple[str, ...] = ()


async def search(host: str = "0.0.0.0", seconds: float = SECONDS) -> tuple[FoundDevice, ...]:
    """Devices that answer within `seconds`, in order of address.

    `host` chooses interfaces: an address of this machine, or 0.0.0.0 for all but loopback; 127.0.0.1 searches on lo alone.
    Raises InvalidArgument for an address that this machine does not have, Unavailable if the network refuses.
    """
    seconds = min(max(seconds, 0.1), MAX_SECONDS)
    chosen = await asyncio.to_thread(interfaces, host)
    return await asyncio.to_thread(_search, chosen, seconds)


def interfaces(host: str) -> tuple[_Address, ...]:
    """The addresses of this machine from which `host` wants to search."""
    wanted = ipaddress.ip_address(host)
    found: list[_Address] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else f"{ip.ip[0]}%{ip.ip[2]}"
            address = ipaddress.ip_address(text)
            bare = ipaddress.ip_address(text.partition("%")[0])
            if wanted.is_unspecified:
                # An IPv6 wildcard listens to IPv4 as well, the IPv4 one to IPv4 alone.
                if not address.is_loopback and (wanted.version == 6 or address.version == 4):
                    found.append(address)
            elif bare == wanted:
                found.append(address)
    if not found and not wanted.is_unspecified:
        raise InvalidArgument(f"{host} is no address of this machine")
    return tuple(found)


class _NoMonitor:
    """Stands in for the package's monitor of addresses."""

    _addrs: frozenset[_Address] = frozenset()


class _Search(ThreadedWSDiscovery):  # type: ignore[misc]
    """The package's client, on chosen addresses alone."""

    def __init__(self, chosen: Sequence[_Address]) -> None:
        # relates_to: an answer may come with our own message's id again.
        super().__init__(relates_to=True)
        self._chosen = chosen

    def _startThreads(self) -> None:
        # Its receiving thread asks for the addresses before the monitor that has them exists.
        self._addrsMonitorThread_v4: Any = _NoMonitor()
        super()._startThreads()
        # Its monitors take every address but loopback and link-local ones, and would come back to them every 5 s.
        monitor: Any
        for monitor in (self._addrsMonitorThread_v4, self._addrsMonitorThread_v6):
            if monitor is not None:
                monitor.schedule_stop()
        for address in self._chosen:
            self.addSourceAddr(address)

    def _networkAddressAdded(self, address: Any) -> None:
        """The addresses are chosen already."""


def _search(chosen: Sequence[_Address], seconds: float) -> tuple[FoundDevice, ...]:
    if not chosen:
        return ()
    discovery = _Search(chosen)
    try:
        discovery.start()
        # All types in one probe would ask for devices that have all of them (WS-Discovery 5.1).
        for namespace, name in TYPES:
            discovery._sendProbe(types=[QName(namespace, name)])
        time.sleep(seconds)
        services = list(discovery._remoteServices.values())[:MAX_FOUND]
    except OSError as error:
        raise Unavailable(f"the search cannot use the network: {error.strerror or error}") from error
    finally:
        discovery.stop()
    found: dict[str, FoundDevice] = {}
    for service in services:
        device = read_service(
            service.getEPR(),
            service.getXAddrs(),
            [str(scope.getValue()) for scope in service.getScopes()],
            [type_.getLocalname() for type_ in service.getTypes()],
        )
        if device is not None:
            found[device.uuid] = device
    log.debug("search from %s found %d devices", ", ".join(map(str, chosen)), len(found))
    return tuple(sorted(found.values(), key=_order))


def read_service(
    endpoint: str, addresses: Sequence[str], scopes: Sequence[str], types: Sequence[str]
) -> FoundDevice | None:
    """A device from what it said of itself; None for what is no ONVIF device or has no usable address."""
    onvif = [scope for scope in scopes if scope.startswith(SCOPES)]
    urls = tuple(address for address in addresses if urlsplit(address).scheme in ("http", "https"))
    if not urls or not (onvif or set(types) & {name for _, name in TYPES}):
        return None

    def first(kind: str) -> str:
        return next((unquote(one[len(kind) :]).strip() for one in onvif if one.startswith(kind)), "")

    return FoundDevice(
        uuid=endpoint.removeprefix("urn:").removeprefix("uuid:"),
        addresses=urls,
        name=first(NAME_SCOPE),
        hardware=first(f"{SCOPES}hardware/"),
        location=first(f"{SCOPES}location/"),
        types=tuple(types),
    )


def _order(device: FoundDevice) -> tuple[int, bytes, str]:
    """By numeric address, names last."""
    host = urlsplit(device.addresses[0]).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (9, host.encode(), device.uuid)
    return (address.version, address.packed, device.uuid)
