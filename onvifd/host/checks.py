"""Which names and addresses may be given to the host. Pure; raises InvalidArgument with the fault that the caller names."""

from __future__ import annotations

import ipaddress
import re

from onvifd.errors import InvalidArgument

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,14}", re.ASCII)
MAX_HOSTNAME = 63
"""Longest host name that Linux keeps whole (HOST_NAME_MAX is 64)."""


def is_dns_name(name: str) -> bool:
    """RFC 1123 2.1 and RFC 952: labels of letters, digits and inner hyphens; the last one is not a number."""
    name = name.removesuffix(".")
    labels = name.split(".")
    return 0 < len(name) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def hostname(name: str) -> str:
    """A name for this host. Raises InvalidArgument (InvalidHostname)."""
    if not is_dns_name(name) or len(name) > MAX_HOSTNAME or name.endswith("."):
        raise InvalidArgument("This is no host name (RFC 1123 2.1).", detail="InvalidHostname")
    return name


def dns_name(name: str, detail: str | None = "InvalidDnsName") -> str:
    if not is_dns_name(name):
        raise InvalidArgument("This is no DNS name (RFC 1123 2.1).", detail=detail)
    return name.removesuffix(".")


def ipv4(text: str | None, detail: str = "InvalidIPv4Address", *, host: bool = True) -> str:
    """A dotted IPv4 address; for `host` one that a host can have or be reached at. Raises InvalidArgument (`detail`)."""
    try:
        address = ipaddress.IPv4Address((text or "").strip())
    except ValueError:
        raise InvalidArgument("This is no IPv4 address.", detail=detail) from None
    first = int(address) >> 24
    if host and (first in (0, 127) or first >= 224):
        # Test specification 9.6: 0/8, 127/8, 240/4 and the multicast range are no addresses of a host.
        raise InvalidArgument(f"No host has the address {address}.", detail=detail)
    return str(address)


def ipv6(text: str | None, detail: str = "InvalidIPv6Address", *, host: bool = True) -> str:
    """As `ipv4`. A zone is not accepted."""
    try:
        address = ipaddress.IPv6Address((text or "").strip())
    except ValueError:
        raise InvalidArgument("This is no IPv6 address.", detail=detail) from None
    if address.scope_id is not None or (
        host and (address.is_unspecified or address.is_loopback or address.is_multicast)
    ):
        raise InvalidArgument(f"No host has the address {address}.", detail=detail)
    return str(address)


def prefix(bits: int, most: int, detail: str) -> int:
    if not 0 <= bits <= most:
        raise InvalidArgument(f"A prefix has at most {most} bits.", detail=detail)
    return bits


def interface_name(name: str) -> str:
    """A name as it may stand in a command. Raises InvalidArgument (InvalidNetworkInterface)."""
    if not _INTERFACE.fullmatch(name):
        raise InvalidArgument("There is no such network interface.", detail="InvalidNetworkInterface")
    return name
