"""Who may come in: the address filter, and how many at once, in all and from one address. Decisions without I/O.

A listener asks `enter` as it accepts, before a byte is read or a TLS handshake begins, and calls `leave` at the connection's end.
"""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final

LOG_SECONDS: Final = 10.0
"""Time between two log lines about refused connections; a flood must not fill the log."""


class Refusal(StrEnum):
    """Why a connection is not taken."""

    FILTERED = "the IP address filter keeps it out"
    CROWDED = "the address has all the connections it may have"
    FULL = "all connections are in use"


def party_of(address: str) -> str:
    """Who an address counts as: an IPv4 address (also within IPv6) for itself, an IPv6 address for its /64, which a single
    host can walk through at will. What is no IP address counts for itself."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    if parsed.is_loopback:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class Doorkeeper:
    """Counts the connections of one kind. `permits` is the address filter (`IpFilter.permits`)."""

    def __init__(self, *, total: int, per_address: int, permits: Callable[[str], bool] = lambda address: True) -> None:
        self._total = total
        self._per_address = per_address
        self._permits = permits
        self._inside: Counter[str] = Counter()
        self._count = 0
        self._refused = 0
        self._logged_at = float("-inf")

    @property
    def count(self) -> int:
        """Connections that are open."""
        return self._count

    def permits(self, address: str) -> bool:
        """Whether the filter lets an address in now; also asked of those who are in already."""
        return self._permits(address)

    def enter(self, address: str) -> Refusal | None:
        """Let a connection in, which then counts until `leave`; or say why not."""
        if not self._permits(address):
            return Refusal.FILTERED
        party = party_of(address)
        if self._inside.get(party, 0) >= self._per_address:
            return Refusal.CROWDED
        if self._count >= self._total:
            return Refusal.FULL
        self._inside[party] += 1
        self._count += 1
        return None

    def leave(self, address: str) -> None:
        """A connection that was let in has ended."""
        party = party_of(address)
        self._count -= 1
        self._inside[party] -= 1
        if self._inside[party] <= 0:
            del self._inside[party]

    def note(self, refusal: Refusal, address: str, now: float) -> str | None:
        """Count a refusal; gives the line for the log when one is due."""
        self._refused += 1
        if now - self._logged_at < LOG_SECONDS:
            return None
        refused, self._refused, self._logged_at = self._refused, 0, now
        more = f" ({refused} refused since the last such line)" if refused > 1 else ""
        return f"connection from {address} refused: {refusal}{more}"


def bind(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Listening sockets, non-blocking, on one port (0 for a free one). Raises OSError.

    `::` means every address of both families, and there each family has its own socket, so that peers have their own form of
    address. Host names are not resolved here.
    """
    version = 6 if ":" in host else 4
    first = _listen(host, port, version, backlog)
    if host != "::":
        return [first]
    try:
        return [first, _listen("0.0.0.0", first.getsockname()[1], 4, backlog)]
    except OSError:
        first.close()
        raise


def _listen(host: str, port: int, version: int, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(backlog)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
