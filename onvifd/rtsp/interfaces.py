"""Which network interface has an address of ours."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import ifaddr

from onvifd.errors import InvalidArgument

ANY = ("", "0.0.0.0", "::")


def interface_index(address: str) -> int:
    """The number of the network interface with an address; 0 for none in particular."""
    if address in ANY:
        return 0
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        raise InvalidArgument("not an address of a network interface") from None
    if wanted.is_loopback:
        return socket.if_nametoindex("lo")
    return _index6(wanted.packed) if wanted.version == 6 else _index4(address)


def _index4(address: str) -> int:
    for adapter in ifaddr.get_adapters():
        if any(each.ip == address for each in adapter.ips):
            try:
                # An alias may have a label of its own: eth0:1 is eth0.
                return socket.if_nametoindex(str(adapter.name).partition(":")[0])
            except OSError:
                return 0
    return 0


def _index6(packed: bytes) -> int:
    try:
        table = Path("/proc/net/if_inet6").read_text("ascii")
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in table.splitlines() if line.startswith(packed.hex())), 0)
