"""Whether notifications may be pushed to an address that a client names.

A subscriber is believed when it names itself. Other addresses could make the recorder knock at doors that are open to it alone: its
own services, the link, the metadata services of clouds. Those are refused unless the settings allow their network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from onvifd.onvif.notification.faults import FaultKind, NotificationFault

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL = 2048
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_METADATA = tuple(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254")
)
"""Metadata services of the large clouds; those of the link are refused as such, too."""


@dataclass(frozen=True, slots=True)
class Target:
    """A consumer's address, read. `host` is a name or an IP literal without brackets."""

    url: str
    host: str
    port: int
    tls: bool


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks separated by commas. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def refused(why: str) -> NotificationFault:
    return NotificationFault(FaultKind.CREATION_FAILED, f"The consumer's address cannot be used: {why}.")


def parse_target(url: str | None) -> Target:
    """Read the Address of a ConsumerReference. Raises NotificationFault (SubscribeCreationFailed)."""
    url = (url or "").strip()
    if not url or len(url) > MAX_URL or any(c <= " " or c == "\x7f" for c in url):
        raise refused("it is no URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refused("it is no URL") from None
    if parts.scheme not in ("http", "https"):
        raise refused("it is neither http nor https")
    if not parts.hostname:
        raise refused("it names no host")
    if parts.username is not None or parts.password is not None:
        raise refused("it carries credentials")
    if port == 0:
        raise refused("its port is 0")
    tls = parts.scheme == "https"
    return Target(url=url, host=parts.hostname, port=port or (443 if tls else 80), tls=tls)


def plain(text: str) -> Address:
    """An IP address without scope; IPv4 where it is only dressed as IPv6. Raises ValueError."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def literal(host: str) -> str | None:
    """`host` if it is an IP address, None for a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return host


def choose(addresses: Iterable[str], *, peer: str, own: Sequence[str], networks: Sequence[Network]) -> str:
    """The first address that notifications may go to.

    `peer` is the subscriber's address, `own` are the recorder's, `networks` those that the settings allow.
    Raises NotificationFault (SubscribeCreationFailed) when none may be used.
    """
    for text in addresses:
        if permitted(text, peer=peer, own=own, networks=networks):
            return text
    raise refused("notifications must not be sent there")


def permitted(text: str, *, peer: str, own: Sequence[str], networks: Sequence[Network]) -> bool:
    """Whether one address may be used."""
    try:
        address = plain(text)
    except ValueError:
        return False
    if address.is_unspecified or address.is_multicast or address == ipaddress.IPv4Address("255.255.255.255"):
        return False
    if address == _or_none(peer) or any(address in network for network in networks):
        return True
    if address.is_loopback or address.is_link_local or address in _METADATA:
        return False
    return all(address != _or_none(mine) for mine in own)


def _or_none(text: str) -> Address | None:
    try:
        return plain(text)
    except ValueError:
        return None
