"""Discovery on the wire: datagram endpoints on every link in use around one `Responder`."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from onvifd.clock import US, Clock
from onvifd.onvif.backend import DeviceBackend
from onvifd.onvif.discovery.core import Responder
from onvifd.onvif.discovery.links import Address, Link, present, xaddrs
from onvifd.onvif.discovery.messages import Target

logger = logging.getLogger(__name__)

PORT = 3702
GROUPS = {4: "239.255.255.250", 6: "ff02::c"}
"""WS-Discovery section 2.4."""
HOP_LIMIT = 1
REFRESH_SECONDS = 10.0
"""How often links, scopes and discovery mode are looked at again."""

# Linux delivers a group that any socket of the machine has joined to every socket bound to it unless told otherwise; the
# module `socket` does not name these options (linux/in.h, linux/in6.h).
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29

LinkSource = Callable[[], tuple[Link, ...]]
Peer = tuple[object, ...]
"""A socket address as the event loop gives and takes it."""
Route = tuple[Link, Peer]


@dataclass(slots=True, eq=False)
class _Attachment:
    """The open sockets of one link. Everything is sent from the first of `unicast`."""

    link: Link
    transports: list[asyncio.DatagramTransport] = field(default_factory=list)
    unicast: list[asyncio.DatagramTransport] = field(default_factory=list)

    @property
    def group(self) -> Peer:
        return (GROUPS[4], PORT) if self.link.version == 4 else (GROUPS[6], PORT, 0, self.link.index)

    def close(self) -> None:
        for transport in self.transports:
            transport.close()


class _Endpoint(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Peer], None], name: str) -> None:
        self._received = received
        self._name = name

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        self._received(data, addr)

    def error_received(self, exc: Exception) -> None:
        # A client that closed its port before the answer came; nothing to do about it.
        logger.debug("discovery on %s: %s", self._name, exc)


class DiscoveryService:
    """Makes a device findable for as long as it runs and its backend says that it is discoverable.

    `host` is the IP address to which the device's web service is bound: discovery keeps to the interface that has it, or
    uses all if it is unspecified (`links.present`). `path` is that of the device service.
    """

    def __init__(
        self,
        backend: DeviceBackend,
        clock: Clock,
        *,
        host: str | None,
        path: str = "/onvif/device_service",
        links: LinkSource | None = None,
        randomness: Callable[[], float] = random.random,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._path = path
        self._links = links or (lambda: present(host))
        # Both numbers must grow over restarts, for which the wall clock serves without anything being stored.
        started = clock.utc() // US
        target = Target(address=f"urn:uuid:{backend.identity().uuid}", scopes=self._scopes(), metadata_version=started)
        self._responder: Responder[Route] = Responder(target, instance_id=started, random=randomness)
        self._attachments: dict[Link, _Attachment] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._refresher: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()

    @property
    def links(self) -> tuple[Link, ...]:
        """The links that are served now."""
        return tuple(self._attachments)

    async def start(self) -> None:
        """Open the sockets and say Hello. A link that cannot be opened is logged and tried again later."""
        await self.update()
        self._refresher = asyncio.create_task(self._refresh(), name="discovery-refresh")

    async def stop(self) -> None:
        """Say Bye, wait until its repetition has left (a quarter of a second) and close."""
        if self._refresher is not None:
            self._refresher.cancel()
            await asyncio.gather(self._refresher, return_exceptions=True)
            self._refresher = None
        async with self._changing:
            await self._leave()

    async def update(self) -> None:
        """Take over changes of discovery mode, scopes and addresses now, with the Hello or Bye that they call for."""
        async with self._changing:
            if not self._backend.discoverable():
                await self._leave()
                return
            rescoped = self._responder.update(scopes=self._scopes())
            served = set(self._attachments)
            await self._attach(await asyncio.to_thread(self._links))
            if served and served != set(self._attachments):
                self._responder.readdressed()
                rescoped = True
            for link, attachment in self._attachments.items():
                if rescoped or link not in served:
                    self._responder.hello((link, attachment.group), self._xaddrs(link), self._clock.monotonic())
            self._flush()

    def _scopes(self) -> tuple[str, ...]:
        return tuple(scope.uri for scope in self._backend.scopes())

    def _xaddrs(self, link: Link) -> tuple[str, ...]:
        return xaddrs(link, self._backend.ports(), self._path)

    async def _refresh(self) -> None:
        while True:
            await self._clock.sleep(REFRESH_SECONDS)
            try:
                await self.update()
            except OSError as error:
                logger.warning("discovery: cannot look at the network: %s", error)

    # ---- sockets

    async def _attach(self, links: tuple[Link, ...]) -> None:
        for link in [link for link in self._attachments if link not in links]:
            self._attachments.pop(link).close()
            logger.info("discovery: left %s (IPv%d)", link.name, link.version)
        for link in links:
            if link not in self._attachments and (attachment := await self._open(link)) is not None:
                self._attachments[link] = attachment
                logger.info("discovery: listening on %s (IPv%d)", link.name, link.version)

    async def _open(self, link: Link) -> _Attachment | None:
        attachment = _Attachment(link)
        try:
            await self._listen(attachment, _group_socket(link), multicast=True)
            for address, _ in sorted(link.addresses, key=lambda pair: link.version == 4 or not pair[0].is_link_local):
                await self._listen(attachment, _unicast_socket(link, address), multicast=False)
        except OSError as error:
            attachment.close()
            logger.warning("discovery: cannot listen on %s (IPv%d): %s", link.name, link.version, error)
            return None
        return attachment

    async def _listen(self, attachment: _Attachment, sock: socket.socket, *, multicast: bool) -> None:
        link = attachment.link

        def received(data: bytes, peer: Peer) -> None:
            self._received(data, peer, link, multicast)

        try:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Endpoint(received, link.name), sock=sock
            )
        except BaseException:
            sock.close()
            raise
        attachment.transports.append(transport)
        if not multicast:
            attachment.unicast.append(transport)

    async def _leave(self) -> None:
        """Bye on every link, then silence (Core 7.2: a device that is not discoverable neither listens nor sends)."""
        self._responder.forget()
        for link, attachment in self._attachments.items():
            self._responder.bye((link, attachment.group), self._clock.monotonic())
        self._flush()
        while (due := self._responder.next_due()) is not None:
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            self._flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for attachment in self._attachments.values():
            attachment.close()
        self._attachments.clear()

    # ---- datagrams

    def _received(self, data: bytes, peer: Peer, link: Link, multicast: bool) -> None:
        source = str(peer[0])
        if not link.local(ipaddress.ip_address(source.partition("%")[0])):
            return
        self._responder.receive(
            data,
            source,
            (link, peer),
            multicast=multicast,
            xaddrs=self._xaddrs(link),
            now=self._clock.monotonic(),
        )
        self._flush()

    def _flush(self) -> None:
        """Send what is due and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.monotonic()
        for datagram in self._responder.datagrams_to_send(now):
            link, peer = datagram.route
            if (attachment := self._attachments.get(link)) is not None and attachment.unicast:
                attachment.unicast[0].sendto(datagram.data, peer)
        if (due := self._responder.next_due()) is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._flush)


def _socket(link: Link) -> socket.socket:
    sock = socket.socket(socket.AF_INET if link.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setblocking(False)
    # Several devices and clients on one host share the port; each gets its copy of every multicast datagram.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not sys.platform.startswith("linux") and hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if link.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _group_socket(link: Link) -> socket.socket:
    """Receives the group on this link alone."""
    sock = _socket(link)
    linux = sys.platform.startswith("linux")
    try:
        if link.version == 4:
            if linux:
                sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            sock.bind((GROUPS[4], PORT))
            membership = socket.inet_aton(GROUPS[4]) + link.addresses[0][0].packed
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        else:
            if linux:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            sock.bind((GROUPS[6], PORT, 0, link.index))
            membership = socket.inet_pton(socket.AF_INET6, GROUPS[6]) + struct.pack("@I", link.index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
    except OSError:
        sock.close()
        raise
    return sock


def _unicast_socket(link: Link, address: Address) -> socket.socket:
    """Receives what is sent to one address and sends, multicast included, from it."""
    sock = _socket(link)
    try:
        if link.version == 4:
            sock.bind((str(address), PORT))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, address.packed)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOP_LIMIT)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        else:
            scope = link.index if cast(ipaddress.IPv6Address, address).is_link_local else 0
            sock.bind((str(address), PORT, 0, scope))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link.index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
    except OSError:
        sock.close()
        raise
    return sock
