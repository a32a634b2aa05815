"""Keeps a name pointing at this host: updates by RFC 2136 at the primary server of the name's zone.

Updates are unsigned, as ONVIF has no place for a key: the server decides by address who may update.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rcode
import dns.rdatatype
import dns.update

from onvifd.errors import Timeout, Unavailable

log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds a server may take."""
RETRY = 300.0
"""Seconds until a failed update is tried again, and after which addresses are looked at."""


class Wanted(Protocol):
    """What to keep up to date (onvif.device_backend.DynamicDns, which is above this room)."""

    @property
    def updates(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def ttl(self) -> int: ...


Addresses = Callable[[], Awaitable[tuple[tuple[str, ...], tuple[str, ...]]]]
"""Gives the servers of the host's resolver and the addresses that the name should have."""


async def update(name: str, addresses: tuple[str, ...], ttl: int, servers: tuple[str, ...], *, port: int = 53) -> None:
    """Give `name` exactly these addresses. Raises Unavailable or Timeout."""
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = list(servers)
    resolver.port, resolver.lifetime = port, TIMEOUT
    try:
        full = dns.name.from_text(name)
        zone = await dns.asyncresolver.zone_for_name(full, resolver=resolver)
        start = (await resolver.resolve(zone, "SOA")).rrset
        primary = start[0].mname if start else zone
        where = [item.to_text() for item in await resolver.resolve(primary, "A")]
        message = dns.update.UpdateMessage(zone)
        for kind in ("A", "AAAA"):
            message.delete(full, kind)
        for address in addresses:
            message.add(full, ttl, "A" if ipaddress.ip_address(address).version == 4 else "AAAA", address)
        reply = await dns.asyncquery.tcp(message, where[0], timeout=TIMEOUT, port=port)
    except dns.exception.Timeout as error:
        raise Timeout(f"no DNS server answers for {name}") from error
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise Unavailable(f"the zone of {name} is not found: {error}") from error
    if reply.rcode() != dns.rcode.NOERROR:
        raise Unavailable(f"the server refuses the update of {name}: {dns.rcode.to_text(reply.rcode())}")


class Updater:
    """Updates when told to, and whenever the addresses of the host change."""

    def __init__(
        self, addresses: Addresses, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, port: int = 53
    ):
        self._addresses = addresses
        self._sleep = sleep
        self._port = port
        self._task: asyncio.Task[None] | None = None

    def set(self, wanted: Wanted) -> None:
        """Begin anew with what is wanted."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if wanted.updates == "ClientUpdates" and wanted.name:
            self._task = asyncio.create_task(self._keep(wanted), name="dynamic DNS")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _keep(self, wanted: Wanted) -> None:
        told: tuple[str, ...] | None = None
        while True:
            try:
                servers, addresses = await self._addresses()
                if servers and addresses and addresses != told:
                    await update(wanted.name, addresses, wanted.ttl, servers, port=self._port)
                    told = addresses
                    log.info("dynamic DNS: %s is %s", wanted.name, ", ".join(addresses))
            except Unavailable as error:
                log.warning("dynamic DNS: %s", error.reason)
            await self._sleep(RETRY)
