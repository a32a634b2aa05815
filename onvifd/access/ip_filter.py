"""Who may connect at all: the IP address filter of Core 8.2.20 to 8.2.23, a decision without any I/O.

Whoever accepts connections asks `IpFilter.permits` with the peer's address before reading a byte.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_PREFIXES: Final = 64
"""Prefixes of one kind (IPv4 or IPv6) that a filter holds."""

_HOST: Final = frozenset((ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")))


@dataclass(frozen=True, slots=True)
class FilterRules:
    """`allow`: only the prefixes may connect; otherwise all but them. Without prefixes everyone may.

    Prefixes are in the order in which they were given, without repetitions.
    """

    allow: bool = False
    prefixes: tuple[Prefix, ...] = ()

    def of_version(self, version: int) -> tuple[Prefix, ...]:
        return tuple(prefix for prefix in self.prefixes if prefix.version == version)


class IpFilter:
    """The filter in force. One instance is shared by all listeners; `replace` takes effect with the next connection.

    `changed` is called then, for those who keep connections that stand.
    """

    def __init__(self, rules: FilterRules | None = None) -> None:
        self._rules = rules or FilterRules()
        self.changed: Callable[[], None] | None = None

    @property
    def rules(self) -> FilterRules:
        return self._rules

    def replace(self, rules: FilterRules) -> None:
        self._rules = rules
        if self.changed is not None:
            self.changed()

    def permits(self, address: str) -> bool:
        """Whether a peer may connect. `address` is as a socket names it: a zone is ignored, IPv4 within IPv6 is IPv4.

        127.0.0.1 and ::1 are always let in: a person at the machine can undo a filter that shuts everyone out. What is no
        IP address (a Unix socket) does not come over the network and is let in too.
        """
        rules = self._rules
        if not rules.prefixes:
            return True
        try:
            peer: Address = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return True
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        if peer in _HOST:
            return True
        return rules.allow == any(peer.version == prefix.version and peer in prefix for prefix in rules.prefixes)
