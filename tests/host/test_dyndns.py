"""Updates by RFC 2136 against a small name server of our own, which keeps what it is told."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update
import pytest

from onvifd.errors import Unavailable
from onvifd.host.dyndns import Updater, update
from onvifd.onvif.device_backend import DnsUpdates, DynamicDns

ZONE = "example.org."


class NameServer(asyncio.DatagramProtocol):
    """Primary of example.org, over UDP and TCP."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.refuse = False
        self.updates = 0
        self.told = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own is none by inheritance

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(self.answer(data), addr)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
        answer = self.answer(await reader.readexactly(length))
        writer.write(struct.pack("!H", len(answer)) + answer)
        await writer.drain()
        writer.close()

    def answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        if isinstance(query, dns.update.UpdateMessage):
            self.updates += 1
            if self.refuse:
                reply.set_rcode(dns.rcode.REFUSED)
            else:
                self._take(query)
            self.told.set()
            return reply.to_wire()
        reply.flags |= dns.flags.AA
        (question,) = query.question
        name, kind = str(question.name), dns.rdatatype.to_text(question.rdtype)
        if name == ZONE and kind == "SOA":
            reply.answer.append(dns.rrset.from_text(ZONE, 60, "IN", "SOA", f"ns.{ZONE} h.{ZONE} 1 2 3 4 5"))
        elif name == f"ns.{ZONE}" and kind == "A":
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "127.0.0.1"))
        return reply.to_wire()

    def _take(self, query: dns.update.UpdateMessage) -> None:
        for rrset in query.update:
            key = (str(rrset.name), dns.rdatatype.to_text(rrset.rdtype))
            if rrset.deleting is not None:
                self.records.pop(key, None)
            else:
                self.records.setdefault(key, []).extend(f"{item} {rrset.ttl}" for item in rrset)


@dataclass
class Running:
    server: NameServer
    port: int
    addresses: tuple[str, ...] = ("192.0.2.10", "2001:db8::10")
    sleeps: list[asyncio.Future[None]] = field(default_factory=list)

    async def where(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return ("127.0.0.1",), self.addresses

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleeps.append(future)
        await future


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    server = NameServer()
    loop = asyncio.get_running_loop()
    tcp = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", port))
    udp, _ = await loop.create_datagram_endpoint(lambda: server, sock=sock)
    yield Running(server, port)
    udp.close()
    tcp.close()
    await tcp.wait_closed()


async def test_a_name_has_exactly_the_addresses_that_it_was_given(running: Running) -> None:
    name = "nvr.example.org"
    await update(name, ("192.0.2.10", "2001:db8::10"), 60, ("127.0.0.1",), port=running.port)
    assert running.server.records == {
        (f"{name}.", "A"): ["192.0.2.10 60"],
        (f"{name}.", "AAAA"): ["2001:db8::10 60"],
    }
    await update(name, ("192.0.2.11",), 60, ("127.0.0.1",), port=running.port)
    assert running.server.records == {(f"{name}.", "A"): ["192.0.2.11 60"]}


async def test_a_server_that_refuses_is_an_error_that_says_why(running: Running) -> None:
    running.server.refuse = True
    with pytest.raises(Unavailable, match="REFUSED"):
        await update("nvr.example.org", ("192.0.2.10",), 60, ("127.0.0.1",), port=running.port)


@pytest.mark.covers("S-SetDynamicDNS", "S-GetDynamicDNS", "NET-27", "P246")
async def test_the_name_follows_the_addresses(running: Running) -> None:
    updater = Updater(running.where, sleep=running.sleep, port=running.port)
    updater.set(DynamicDns(updates=DnsUpdates.CLIENT, name="nvr.example.org", ttl=300))

    async def rested() -> None:
        while not running.sleeps:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(rested(), 10)
    assert running.server.updates == 1
    running.sleeps.pop().set_result(None)
    await asyncio.wait_for(rested(), 10)
    assert running.server.updates == 1  # nothing has changed
    running.addresses = ("192.0.2.99",)
    running.sleeps.pop().set_result(None)
    await asyncio.wait_for(rested(), 10)
    assert running.server.records == {("nvr.example.org.", "A"): ["192.0.2.99 300"]}
    updater.set(DynamicDns())
    await asyncio.sleep(0)
    assert running.server.updates == 2
    await updater.close()
