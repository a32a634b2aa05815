"""Which link-local IPv4 addresses to try (RFC 3927 2.1): the same ones after every start, different ones per interface."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator

_FIRST = int(ipaddress.IPv4Address("169.254.1.0"))
_COUNT = 254 * 256
"""169.254.1.0 to 169.254.254.255; the 256 addresses at either end are reserved."""


def candidates(mac: str, count: int) -> Iterator[str]:
    """Addresses for the interface with hardware address `mac`, evenly spread."""
    for number in range(count):
        digest = hashlib.sha256(f"{mac.lower()}/{number}".encode()).digest()
        yield str(ipaddress.IPv4Address(_FIRST + int.from_bytes(digest[:8], "big") % _COUNT))
