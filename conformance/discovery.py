"""WS-Discovery (2005/04) from the client's side: probes, and an ear for Hello and Bye."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from conformance.model import Failure
from conformance.names import NS, name_of, resolve, text

GROUP, GROUP6, PORT = "239.255.255.250", "ff02::c", 3702
TO = "urn:schemas-xmlsoap-org:ws:2005:04:discovery"
ACTION = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
Note = Callable[[str, "str | bytes", "str | bytes"], None]


@dataclass(frozen=True, slots=True)
class Message:
    """One received discovery message, a fault included."""

    kind: str
    """`Hello`, `Bye`, `ProbeMatches`, `ResolveMatches`, `Fault` ..."""
    relates_to: str
    endpoint: str
    types: tuple[str, ...]
    """With usual prefixes."""
    scopes: tuple[str, ...]
    xaddrs: tuple[str, ...]
    metadata_version: int
    instance: int
    number: int
    """InstanceId and MessageNumber of AppSequence; -1 where missing."""
    sender: tuple[str, int]
    content: bytes
    root: Any


def read(content: bytes, sender: tuple[str, int]) -> Message | None:
    """A discovery message, or None where it is none."""
    try:
        root = etree.fromstring(content, _PARSER)
    except etree.XMLSyntaxError:
        return None
    body = root.find("env:Body", NS)
    element = next((each for each in body if isinstance(each.tag, str)), None) if body is not None else None
    if element is None:
        return None
    kind = etree.QName(element).localname
    holder = element
    if kind.endswith("Matches"):
        holder = next((each for each in element if isinstance(each.tag, str)), element)
    types = holder.find("d:Types", NS)
    sequence = root.find("env:Header/d:AppSequence", NS)
    return Message(
        kind=kind if name_of(element) != "env:Fault" else "Fault",
        relates_to=text(root, "env:Header/wsadis:RelatesTo"),
        endpoint=text(holder, "wsadis:EndpointReference/wsadis:Address"),
        types=tuple(resolve(each, types) for each in text(types).split()) if types is not None else (),
        scopes=tuple(text(holder, "d:Scopes").split()),
        xaddrs=tuple(text(holder, "d:XAddrs").split()),
        metadata_version=_number(text(holder, "d:MetadataVersion")),
        instance=_number(sequence.get("InstanceId", "")) if sequence is not None else -1,
        number=_number(sequence.get("MessageNumber", "")) if sequence is not None else -1,
        sender=sender,
        content=content,
        root=root,
    )


def _number(value: str) -> int:
    return int(value) if value.strip().isdigit() else -1


def probe_message(
    types: str | None = "dn:NetworkVideoTransmitter", scopes: str | None = None, rule: str | None = None
) -> tuple[bytes, str]:
    """A Probe and its MessageID. `None` leaves the element out."""
    identity = f"urn:uuid:{uuid.uuid4()}"
    inside = "" if types is None else f"<d:Types>{types}</d:Types>"
    if scopes is not None:
        inside += f"<d:Scopes{f' MatchBy={chr(34)}{rule}{chr(34)}' if rule else ''}>{scopes}</d:Scopes>"
    return (
        f"""<?xml version="1.0" encoding="utf-8"?>
<env:Envelope xmlns:env="{NS["env"]}" xmlns:a="{NS["wsadis"]}" xmlns:d="{NS["d"]}" xmlns:dn="{NS["dn"]}" xmlns:tds="{NS["tds"]}">\
<env:Header><a:MessageID>{identity}</a:MessageID><a:To>{TO}</a:To><a:Action>{ACTION}/Probe</a:Action></env:Header>\
<env:Body><d:Probe>{inside}</d:Probe></env:Body></env:Envelope>""".encode(),
        identity,
    )


class _Ear(asyncio.DatagramProtocol):
    def __init__(self, queue: asyncio.Queue[tuple[bytes, tuple[str, int]]]) -> None:
        self.queue = queue

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if not self.queue.full():
            self.queue.put_nowait((data, (str(addr[0]), int(addr[1]))))


@dataclass(slots=True)
class Ear:
    """Received messages, in order."""

    queue: asyncio.Queue[tuple[bytes, tuple[str, int]]]
    transport: asyncio.DatagramTransport
    note: Note

    async def wait(self, wanted: Callable[[Message], bool], timeout: float) -> Message | None:
        """The next message that is wanted, or None after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                content, sender = await asyncio.wait_for(self.queue.get(), left)
            except TimeoutError:
                return None
            message = read(content, sender)
            if message is not None and wanted(message):
                self.note(f"{message.kind} from {sender[0]}", "", content)
                return message
        return None

    def send(self, content: bytes, to: tuple[str, int]) -> None:
        self.transport.sendto(content, to)


@dataclass(slots=True)
class Prober:
    """Discovery of one device. `host` is the device's address, `interface` ours."""

    host: str
    interface: str = ""
    timeout: float = 5.0
    note: Note = lambda title, request, response: None
    endpoint: str = ""
    """Endpoint reference of the device once it is known."""
    port: int = PORT
    service: str = ""
    """Address of its device service."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def local(self) -> str:
        """Our address on the way to the device."""
        if self.interface:
            return self.interface
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((self.host, self.port))
            return str(sock.getsockname()[0])

    def addresses(self) -> set[str]:
        """What the device may send from."""
        return {str(each[4][0]) for each in socket.getaddrinfo(self.host, None, type=socket.SOCK_DGRAM)}

    def is_ours(self, message: Message) -> bool:
        """Is the message from the device under test?"""
        if self.endpoint and message.endpoint:
            return message.endpoint == self.endpoint
        if self.service and message.xaddrs:
            # Several devices may share a host: the address of the service tells them apart.
            wanted = urlsplit(self.service)
            return any(
                (given := urlsplit(each)).hostname == wanted.hostname and given.port == wanted.port
                for each in message.xaddrs
            )
        return message.sender[0].partition("%")[0] in self.addresses()

    @contextlib.asynccontextmanager
    async def listen(self, *, multicast: bool = True) -> AsyncIterator[Ear]:
        """Hear what arrives at the group (Hello, Bye) or, without `multicast`, at a port of our own (answers)."""
        sock = self._socket(multicast)
        queue: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue(1000)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(queue), sock=sock)
        except BaseException:
            sock.close()
            raise
        try:
            yield Ear(queue, transport, self.note)
        finally:
            transport.close()

    def _socket(self, multicast: bool) -> socket.socket:
        local = self.local()
        six = ":" in local
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if six:
                index = self._index(local)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
                sock.bind(("::", self.port if multicast else 0))
                if multicast:
                    group = socket.inet_pton(socket.AF_INET6, GROUP6) + struct.pack("@I", index)
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
                return sock
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(local))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            sock.bind(("", self.port if multicast else 0))
            if multicast:
                member = socket.inet_aton(GROUP) + socket.inet_aton(local)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except OSError as error:
            sock.close()
            raise Failure(f"cannot listen for discovery on {local}: {error}") from None
        return sock

    @staticmethod
    def _index(local: str) -> int:
        scope = local.partition("%")[2]
        if scope:
            return int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
        return 0

    async def probe(
        self,
        types: str | None = "dn:NetworkVideoTransmitter",
        scopes: str | None = None,
        *,
        rule: str | None = None,
        unicast: bool = False,
        timeout: float | None = None,
        raw: tuple[bytes, str] | None = None,
    ) -> Message | None:
        """The device's answer to a Probe (matches or fault), or None in DISCOVERY_TIMEOUT (Base Test 9.7)."""
        content, identity = raw or probe_message(types, scopes, rule)
        async with self._lock, self.listen(multicast=False) as ear:
            group = GROUP6 if ":" in self.local() else GROUP
            to = ((self.host if unicast else group), self.port)
            self.note(f"Probe to {to[0]}", content, "")
            limit = self.timeout if timeout is None else timeout

            def wanted(message: Message) -> bool:
                related = not identity or message.relates_to == identity
                return related and (message.kind == "Fault" or message.kind == "ProbeMatches") and self.is_ours(message)

            deadline = time.monotonic() + limit
            # SOAP over UDP: datagrams get lost, so the probe is sent again with the same MessageID.
            for share in (0.2, 1.0):
                ear.send(content, to)
                left = (deadline - time.monotonic()) * share
                if (answer := await ear.wait(wanted, left)) is not None:
                    return answer
        self.note("no answer to the Probe", "", "")
        return None
