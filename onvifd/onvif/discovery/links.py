"""The network links on which a device can be found, and its addresses there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import ifaddr

from onvifd.onvif.backend import Ports

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One address family on one interface. `addresses` are (address, prefix length), link-local ones included."""

    name: str
    index: int
    version: int
    """4 or 6."""
    addresses: tuple[tuple[Address, int], ...]

    def local(self, peer: Address) -> bool:
        """Whether a sender may be answered: on this link, or at least from no public address.

        Discovery answers are larger than probes; without this a forged sender address turns the device into a reflector.
        """
        if not peer.is_global:
            return True
        return any(
            peer.version == address.version and peer in ipaddress.ip_network((address, prefix), strict=False)
            for address, prefix in self.addresses
        )


def present(host: str | None) -> tuple[Link, ...]:
    """The links on which a server bound to `host` can be reached.

    An unspecified address means every interface but loopback (loopback too where nothing else is there): `0.0.0.0` for
    IPv4, `::` or None for both families. Any other address or name means the interfaces that have it. Reads the state of
    the kernel and may look a name up: not for the event loop. Raises OSError for an unknown name.
    """
    every = _all_links()
    wanted: list[Address] = _addresses_of(host) if host else [ipaddress.IPv6Address(0)]
    if not any(address.is_unspecified for address in wanted):
        return tuple(narrowed for link in every if (narrowed := _only(link, wanted)) is not None)
    if all(address.version == 4 for address in wanted):
        every = tuple(link for link in every if link.version == 4)
    outer = tuple(link for link in every if not _loopback(link))
    return outer or every


def _addresses_of(host: str) -> list[Address]:
    try:
        return [ipaddress.ip_address(host.partition("%")[0])]
    except ValueError:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        return [ipaddress.ip_address(str(item[4][0]).partition("%")[0]) for item in found]


def xaddrs(link: Link, ports: Ports, path: str) -> tuple[str, ...]:
    """Addresses of the device service on a link, for each scheme that is served (Core 7.3.2.3), http first."""
    # A link-local IPv6 address means nothing in a URI, which has no zone; it is given only where there is no other.
    addresses = [address for address, _ in link.addresses if address.version == 4 or not address.is_link_local]
    hosts = [_host(address) for address in addresses or [address for address, _ in link.addresses]]
    schemes = (("http", ports.http, 80), ("https", ports.https, 443))
    return tuple(
        f"{scheme}://{host}{'' if port == default else f':{port}'}{path}"
        for scheme, port, default in schemes
        if port is not None
        for host in hosts
    )


def _host(address: Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def _all_links() -> tuple[Link, ...]:
    links: list[Link] = []
    for adapter in ifaddr.get_adapters():
        if adapter.index is None:
            continue
        for version in (4, 6):
            if addresses := _addresses(adapter.ips, version):
                links.append(
                    Link(name=str(adapter.name), index=adapter.index, version=version, addresses=tuple(addresses))
                )
    return tuple(links)


def _addresses(ips: Iterable[ifaddr.IP], version: int) -> list[tuple[Address, int]]:
    found: list[tuple[Address, int]] = []
    for ip in ips:
        text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
        address = ipaddress.ip_address(text.partition("%")[0])
        if address.version == version:
            found.append((address, ip.network_prefix))
    return found


def _only(link: Link, wanted: list[Address]) -> Link | None:
    addresses = tuple(pair for pair in link.addresses if pair[0] in wanted)
    if not addresses:
        return None
    return Link(name=link.name, index=link.index, version=link.version, addresses=addresses)


def _loopback(link: Link) -> bool:
    return all(address.is_loopback for address, _ in link.addresses)
