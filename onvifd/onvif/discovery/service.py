"""Discovery on the wire: datagram endpoints on every link in use around one `Responder`."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from onvifd.clock import US, Alarm, Clock, wait_for
from onvifd.errors import OnvifdError
from onvifd.onvif.backend import DeviceBackend
from onvifd.onvif.discovery.control import (
    Announced,
    DiscoveryControl,
    DiscoveryMemory,
    announcing,
    digest_of,
    restarted,
)
from onvifd.onvif.discovery.core import Responder, Sender
from onvifd.onvif.discovery.links import Address, Link, present, xaddrs
from onvifd.onvif.discovery.messages import Target
from onvifd.onvif.discovery.sockets import GROUPS, PORT, group_socket, unicast_socket
from onvifd.onvif.discovery.watch import NetworkWatch

logger = logging.getLogger(__name__)

REFRESH_SECONDS = 10.0
"""How often links, scopes and discovery mode are looked at again though nobody has told of a change."""

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
    bound: set[Address] = field(default_factory=set)

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
    uses all if it is unspecified (`links.present`). `path` is that of the device service. `control` tells of changes; without
    `memory` the metadata version grows with every start.
    """

    def __init__(
        self,
        backend: DeviceBackend,
        clock: Clock,
        *,
        host: str | None,
        path: str = "/onvif/device_service",
        control: DiscoveryControl | None = None,
        memory: DiscoveryMemory | None = None,
        links: LinkSource | None = None,
        randomness: Callable[[], float] = random.random,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._path = path
        self._control = control or DiscoveryControl()
        self._memory = memory
        self._links = links or (lambda: present(host))
        self._randomness = randomness
        self._announced = restarted(None, clock.utc() // US)
        self._responder = self._make_responder()
        self._attachments: dict[Link, _Attachment] = {}
        self._watch = NetworkWatch(self._control.changed)
        self._alarm = Alarm(clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._changing = asyncio.Lock()
        self._leaving = False

    @property
    def links(self) -> tuple[Link, ...]:
        """The links that are served now."""
        return tuple(self._attachments)

    async def start(self) -> None:
        """Open the sockets and say Hello. A link that cannot be opened is logged and tried again later."""
        await self._recall()
        self._watch.start()
        self._tasks = [
            asyncio.create_task(self._pump(), name="discovery-pump"),
            asyncio.create_task(self._refresh(), name="discovery-refresh"),
        ]
        try:
            await self.update()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Say Bye, wait until its repetition has left (a quarter of a second) and close."""
        self._watch.stop()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self._changing:
            await self._leave()

    async def update(self) -> None:
        """Take over changes of discovery mode, scopes, ports and addresses now, with the Hello or Bye that they call for."""
        async with self._changing:
            self._control.take()
            if not self._backend.discoverable():
                await self._leave()
                return
            served = set(self._attachments)
            await self._attach(await asyncio.to_thread(self._links))
            if not self._attachments:
                return
            changed = self._describe()
            for link, attachment in self._attachments.items():
                if changed or link not in served:
                    self._responder.hello((link, attachment.group), self._xaddrs(link), self._clock.monotonic())
            self._alarm.ring()
            if changed:
                await self._keep()

    # ---- what is announced

    def _make_responder(self) -> Responder[Route]:
        announced = self._announced
        target = Target(
            address=f"urn:uuid:{self._backend.identity().uuid}",
            scopes=self._scopes(),
            metadata_version=announced.metadata_version,
        )
        return Responder(target, instance_id=announced.instance_id, random=self._randomness)

    def _describe(self) -> bool:
        """Bring the responder in line with scopes and addresses; whether there is something to announce."""
        scopes = self._scopes()
        every = [xaddr for link in self._attachments for xaddr in self._xaddrs(link)]
        announced = announcing(self._announced, digest_of(scopes, every))
        changed = announced != self._announced
        self._announced = announced
        self._responder.describe(scopes=scopes, metadata_version=announced.metadata_version)
        return changed

    async def _recall(self) -> None:
        last: Announced | None = None
        if self._memory is not None:
            try:
                last = await self._memory.recall()
            except OnvifdError as error:
                logger.warning("discovery: what was announced before is not known: %s", error.reason)
        self._announced = restarted(last, self._clock.utc() // US)
        self._responder = self._make_responder()
        await self._keep()

    async def _keep(self) -> None:
        if self._memory is not None:
            try:
                await self._memory.keep(self._announced)
            except OnvifdError as error:
                logger.warning("discovery: what is announced cannot be stored: %s", error.reason)

    def _scopes(self) -> tuple[str, ...]:
        return tuple(scope.uri for scope in self._backend.scopes())

    def _xaddrs(self, link: Link) -> tuple[str, ...]:
        return xaddrs(link, self._backend.ports(), self._path)

    # ---- tasks

    async def _refresh(self) -> None:
        while True:
            await wait_for(self._clock, self._control.wait, REFRESH_SECONDS)
            try:
                await self.update()
            except OSError as error:
                logger.warning("discovery: cannot look at the network: %s", error)

    async def _pump(self) -> None:
        """Send what has waited its time."""
        while True:
            self._flush()
            due = self._responder.next_due()
            await self._alarm.wait(None if due is None else due - self._clock.monotonic())

    # ---- sockets

    async def _attach(self, links: tuple[Link, ...]) -> None:
        for link in [link for link in self._attachments if link not in links]:
            self._attachments.pop(link).close()
            logger.info("discovery: left %s (IPv%d)", link.name, link.version)
        for link in links:
            if (attachment := self._attachments.get(link)) is not None:
                await self._open_addresses(attachment)
            elif (attachment := await self._open(link)) is not None:
                self._attachments[link] = attachment
                logger.info("discovery: listening on %s (IPv%d)", link.name, link.version)

    async def _open(self, link: Link) -> _Attachment | None:
        attachment = _Attachment(link)
        try:
            await self._listen(attachment, group_socket(link), multicast=True)
            refused = await self._open_addresses(attachment)
            if not attachment.unicast:
                raise refused or OSError("no address")
        except OSError as error:
            attachment.close()
            logger.warning("discovery: cannot listen on %s (IPv%d): %s", link.name, link.version, error)
            return None
        return attachment

    async def _open_addresses(self, attachment: _Attachment) -> OSError | None:
        """Listen on the addresses of a link that are not open yet; gives the last refusal.

        An IPv6 address that has just come may not be bound before the kernel has made sure that it is nobody else's.
        """
        refused = None
        link = attachment.link
        for address, _ in sorted(link.addresses, key=lambda pair: link.version == 4 or not pair[0].is_link_local):
            if address in attachment.bound:
                continue
            try:
                await self._listen(attachment, unicast_socket(link, address), multicast=False)
                attachment.bound.add(address)
            except OSError as error:
                refused = error
                logger.debug("discovery: cannot listen on %s: %s", address, error)
        return refused

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
        self._leaving = True  # who asks now must not keep us here
        self._responder.forget()
        for link, attachment in self._attachments.items():
            self._responder.bye((link, attachment.group), self._clock.monotonic())
        self._flush()
        while (due := self._responder.next_due()) is not None:
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            self._flush()
        for attachment in self._attachments.values():
            attachment.close()
        self._attachments.clear()
        self._leaving = False

    # ---- datagrams

    def _received(self, data: bytes, peer: Peer, link: Link, multicast: bool) -> None:
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
        if self._leaving or not link.local(address):
            return
        # The kernel takes no datagram from outside that bears an address of this machine.
        here = address.is_loopback or any(address == own for own, _ in link.addresses)
        self._responder.receive(
            data,
            Sender(str(address), int(str(peer[1])), here),
            (link, peer),
            multicast=multicast,
            xaddrs=self._xaddrs(link),
            now=self._clock.monotonic(),
        )
        self._flush()
        self._alarm.ring()

    def _flush(self) -> None:
        """Send what is due."""
        for datagram in self._responder.datagrams_to_send(self._clock.monotonic()):
            link, peer = datagram.route
            attachment = self._attachments.get(link)
            if attachment is None or not attachment.unicast:
                continue
            try:
                attachment.unicast[0].sendto(datagram.data, peer)
            except OSError as error:
                # Such as port 0, which a forged request may have named.
                logger.debug("discovery on %s: cannot send: %s", link.name, error)
