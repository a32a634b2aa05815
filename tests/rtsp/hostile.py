"""Clients that mean harm, by every way to the RTSP server, and an honest one beside them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from onvifd.access.digest import ClientDigest
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.client_session import ClientOptions
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.messages import Headers, Parser, Request, Response
from onvifd.rtsp.server_events import Limits
from onvifd.rtsp.websocket import PATH as WEB_PATH
from onvifd.rtsp.websocket import PROTOCOL, frame
from tests.e2e.rtsp_client import unverified
from tests.rtsp.sample import PASSWORD, USER

LIMITS = Limits(login_timeout=1.0, idle_timeout=0.5)
PATH = "/live/cam-1/main"
MASK = b"\x01\x80\xff\x37"

_numbers = itertools.count()


def request(method: str, cseq: int, *fields: tuple[str, str], uri: str = "rtsp://h" + PATH) -> bytes:
    return Request(method, uri, Headers([("CSeq", str(cseq)), *fields])).serialise()


def masked(data: bytes, opcode: int = 2, *, final: bool = True) -> bytes:
    """A frame of a client."""
    head = bytearray(frame(data, opcode)[: -len(data) or None])
    head[0] &= 0xFF if final else 0x7F
    head[1] |= 0x80
    size = len(data)
    key = (MASK * (size // 4 + 1))[:size]
    return bytes(head) + MASK + (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(size)


# ---- ways ----------------------------------------------------------------------------------------


class Wire:
    """A connection that carries RTSP as bytes, whatever is around them. `raw` sends past that."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str = "door") -> None:
        self.reader, self.writer = reader, writer
        self.out = writer
        """Where requests go: in a tunnel the POST."""
        self.cookie = b""
        self._way = way
        self._frames = b""

    def write(self, data: bytes) -> None:
        if self._way.endswith("http"):
            data = base64.b64encode(data)
        elif self._way.startswith("ws"):
            data = b"".join(masked(data[at : at + 60_000]) for at in range(0, len(data), 60_000))
        self.out.write(data)

    def raw(self, data: bytes) -> None:
        self.out.write(data)

    async def drain(self) -> None:
        await self.out.drain()

    async def read(self) -> bytes:
        """What is within; empty at the end."""
        while True:
            data = await self.reader.read(1 << 16)
            if not data or not self._way.startswith("ws"):
                return data
            self._frames += data
            if found := self._unframed():
                return found

    def _unframed(self) -> bytes:
        found = b""
        while len(self._frames) >= 2:
            size, at = self._frames[1], 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(self._frames[2 : 2 + width]), 2 + width
            if len(self._frames) < at + size:
                break
            if self._frames[0] & 0x0F == 2:
                found += self._frames[at : at + size]
            self._frames = self._frames[at + size :]
        return found

    async def closed(self) -> bytes:
        """What comes until the server closes."""
        found = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await self.read():
                found += data
        return found

    async def close(self) -> None:
        for writer in {self.writer, self.out}:
            writer.close()
        for writer in {self.writer, self.out}:
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def abort(self) -> None:
        for writer in {self.writer, self.out}:
            writer.transport.abort()


Dial = Callable[[], AbstractAsyncContextManager[Wire]]
Attack = Callable[[Dial], Awaitable[None]]


async def open_stream(port: int, *, tls: bool, deaf: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`deaf` takes almost nothing before it is read."""
    sock = socket.socket()
    sock.setblocking(False)
    if deaf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    context = unverified() if tls else None
    limit = 2048 if deaf else 1 << 16
    return await asyncio.open_connection(sock=sock, ssl=context, server_hostname="" if tls else None, limit=limit)


async def answered(reader: asyncio.StreamReader, status: bytes) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert status in head.split(b"\r\n")[0], head


def dialling(ports: dict[str, int], way: str, *, deaf: bool = False) -> Dial:
    """`way` is door, door+tls, door+http, door+tls+http, web+http, web+tls+http, ws or wss."""
    secure = way == "wss" or "tls" in way
    house = "web" if way.startswith("w") else "door"
    port = ports[house + ("+tls" if secure else "")]

    async def within(wire: Wire) -> None:
        if way.startswith("ws"):
            wire.writer.write(upgrade_request())
            await answered(wire.reader, b"101")
        elif way.endswith("http"):
            wire.cookie = b"hostile-%d" % next(_numbers)
            wire.writer.write(half(b"GET", wire.cookie))
            await answered(wire.reader, b"200")
            _, wire.out = await open_stream(port, tls=secure)
            wire.out.write(half(b"POST", wire.cookie))

    @asynccontextmanager
    async def dial() -> AsyncIterator[Wire]:
        wire = Wire(*await open_stream(port, tls=secure, deaf=deaf), way)
        try:
            await within(wire)
            yield wire
        finally:
            await wire.close()

    return dial


def half(method: bytes, cookie: bytes) -> bytes:
    """The head of one connection of a tunnel."""
    return b"%s /live HTTP/1.0\r\nx-sessioncookie: %s\r\n\r\n" % (method, cookie)


def upgrade_request() -> bytes:
    lines = (
        *(f"GET {WEB_PATH} HTTP/1.1", "Host: h", "Upgrade: websocket", "Connection: Upgrade"),
        *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", f"Sec-WebSocket-Protocol: {PROTOCOL}"),
        *("Sec-WebSocket-Version: 13", "", ""),
    )
    return "\r\n".join(lines).encode()


def greeted(dial: Dial) -> Dial:
    """Past whoever reads the first request: it is asked for a login before it does harm."""

    @asynccontextmanager
    async def met() -> AsyncIterator[Wire]:
        async with dial() as wire:
            wire.write(request("DESCRIBE", 1))
            assert b" 401 " in await wire.read()
            yield wire

    return met


# ---- harm within RTSP ----------------------------------------------------------------------------


async def slow_head(dial: Dial) -> None:
    async with dial() as wire:
        with contextlib.suppress(ConnectionError):
            for byte in request("OPTIONS", 1, ("X-Much", "a" * 400)):
                wire.write(bytes((byte,)))
                await asyncio.sleep(0.01)
                if wire.reader.at_eof():
                    return
        await wire.closed()


async def half_a_body(dial: Dial) -> None:
    async with dial() as wire:
        wire.write(b"SET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 60000\r\n\r\nabc")
        await wire.closed()


async def half_a_frame(dial: Dial) -> None:
    async with dial() as wire:
        wire.write(b"$\x00\xff\xff" + b"x" * 100)
        await wire.closed()


async def garbage(dial: Dial) -> None:
    async with dial() as wire:
        with contextlib.suppress(ConnectionError):
            wire.write(random.Random(7).randbytes(50_000))
            await wire.drain()
        await wire.closed()


async def endless_head(dial: Dial) -> None:
    async with dial() as wire:
        with contextlib.suppress(ConnectionError):
            wire.write(b"OPTIONS * RTSP/1.0\r\n")
            for number in range(2000):
                wire.write(b"X-%d: %s\r\n" % (number, b"y" * 100))
                await wire.drain()
        await wire.closed()


async def ten_thousand_requests(dial: Dial) -> None:
    async with dial() as wire:
        with contextlib.suppress(ConnectionError):
            wire.write(b"".join(request("OPTIONS", number) for number in range(10_000)))
            await wire.drain()
        answers = await wire.closed()
        assert answers.count(b"RTSP/1.0 200") <= LIMITS.request_burst + 100


async def frames_without_end(dial: Dial) -> None:
    async with dial() as wire:
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                wire.write(b"$\x01\x00\x04abcd" * 100)
                await wire.drain()
        await wire.closed()


async def never_reads(dial: Dial) -> None:
    """Asks and takes nothing."""
    async with dial() as wire:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(3):
                for number in range(100_000):
                    wire.write(request("OPTIONS", number))
                    await wire.drain()
                    await asyncio.sleep(0.004)
        wire.abort()


class Conversation:
    """Requests with a login."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.session = ""
        self._parser = Parser()
        self._digest = ClientDigest(USER, PASSWORD)

    async def _once(self, method: str, uri: str, *fields: tuple[str, str]) -> Response:
        value = self._digest.authorization(method, uri)
        login = (("Authorization", value),) if value else ()
        session = (("Session", self.session),) if self.session else ()
        self.wire.write(request(method, 1, *fields, *session, *login, uri=uri))
        while True:
            message = self._parser.next_message()
            if isinstance(message, Response):
                return message
            if message is None:
                data = await self.wire.read()
                if not data:
                    raise ConnectionResetError("the server has closed the connection")
                self._parser.receive_data(data)

    async def ask(self, method: str, uri: str, *fields: tuple[str, str]) -> Response:
        answer = await self._once(method, uri, *fields)
        if answer.status == 401 and self._digest.receive_challenge(answer.headers.all("WWW-Authenticate")):
            answer = await self._once(method, uri, *fields)
        assert answer.status == 200, answer
        self.session = (answer.headers.get("Session") or self.session).partition(";")[0]
        return answer


async def sets_up_and_leaves(dial: Dial) -> None:
    uri = f"rtsp://127.0.0.1{PATH}/trackID=0"
    async with dial() as wire:
        await Conversation(wire).ask("SETUP", uri, ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1"))
        wire.write(request("PLAY", 2)[:20])
        wire.abort()


async def plays_and_leaves(dial: Dial) -> None:
    uri = f"rtsp://127.0.0.1{PATH}"
    async with dial() as wire:
        talk = Conversation(wire)
        await talk.ask("SETUP", uri + "/trackID=0", ("Transport", "RTP/AVP/TCP;unicast;interleaved=4-5"))
        await talk.ask("PLAY", uri)
        wire.write(b"$\x05\x00\x10" + random.Random(3).randbytes(16))
        wire.abort()


WITHIN: tuple[Attack, ...] = (
    *(slow_head, half_a_body, half_a_frame, garbage, endless_head, ten_thousand_requests),
    *(frames_without_end, never_reads, sets_up_and_leaves, plays_and_leaves),
)


# ---- harm around RTSP ----------------------------------------------------------------------------


def websocket_attacks() -> dict[str, bytes]:
    """What is sent behind a request, as it goes over the wire."""
    long = bytes((0x82, 0xFF))
    return {
        "in the clear": frame(b"x" * 1000),
        "text": masked(b"x", 1),
        "pings": masked(b"p" * 125, 9) * 20_000,
        "pongs": masked(b"", 10) * 20_000,
        "empty": masked(b"") * 20_000,
        "fragments": masked(b"", 2, final=False) + masked(b"", 0, final=False) * 20_000,
        "crumbs": masked(b"x") * 20_000,
        "giant": long + (1 << 62).to_bytes(8) + MASK + b"x" * 100_000,
        "half a frame": bytes((0x82, 0xFF)) + (200_000).to_bytes(8) + MASK + b"x" * 1000,
        "reserved": bytes((0xF2, 0x81)) + MASK + b"x",
        "noise": random.Random(5).randbytes(50_000),
    }


async def sends_raw(dial: Dial, data: bytes) -> None:
    async with dial() as wire:
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(data), 10_000):
                wire.raw(data[at : at + 10_000])
                await wire.drain()
        await wire.closed()


async def never_takes_pongs(dial: Dial) -> None:
    """Asks for answers of the WebSocket itself, at a pace that is allowed, and takes none."""
    async with dial() as wire:
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(3):
                while True:
                    wire.raw(masked(b"p" * 125, 9))
                    await wire.drain()
                    await asyncio.sleep(0.03)
        wire.abort()


async def tunnels_by_halves(port: int, *, tls: bool) -> None:
    """GETs and POSTs without the other, twice the same, and POSTs without end for one GET."""
    streams = []
    heads = [half(method, b"lonely-%d" % next(_numbers)) for method in (b"GET", b"POST") for _ in range(4)]
    twice = b"twice-%d" % next(_numbers)
    heads += [half(b"GET", twice)] * 3 + [half(b"POST", twice)] * 6
    try:
        for head in heads:
            reader, writer = await open_stream(port, tls=tls)
            streams.append((reader, writer))
            writer.write(head)
        for reader, _ in streams:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await reader.read()
    finally:
        for _, writer in streams:
            writer.transport.abort()


async def posts_anew(dial: Dial, port: int, *, tls: bool) -> None:
    """A tunnel that stands gets one POST after the other, some of them with rubbish, and is left."""
    async with dial() as wire:
        wire.write(request("DESCRIBE", 1))
        assert b" 401 " in await wire.read()
        for number in range(10):
            _, writer = await open_stream(port, tls=tls)
            writer.write(half(b"POST", wire.cookie) + (b"!!!" if number == 9 else b"T1BU"))
            await asyncio.sleep(0.01)
            writer.close()
        wire.abort()


async def no_tls(port: int) -> None:
    """What is no handshake, half of one, and rubbish where records are due."""
    hello = client_hello()
    beginnings = (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(1000), hello[:50], hello + b"\x17\x03\x03")
    streams = [await open_stream(port, tls=False) for _ in beginnings]
    try:
        for (_, writer), data in zip(streams, beginnings, strict=True):
            writer.write(data)
        for reader, _ in streams:
            with contextlib.suppress(ConnectionError):
                await reader.read()
    finally:
        for _, writer in streams:
            writer.transport.abort()


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = unverified().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def breaks_tls(port: int) -> None:
    """Shakes hands, then sends records that are none."""
    for rubbish in (b"\x17\x03\x03\x00\x20" + bytes(32), b"\x17\x03\x03\x40\x00" + bytes(100), b"$$$$$$$$", b""):
        reader, writer = await open_stream(port, tls=False)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = unverified().wrap_bio(incoming, outgoing)
        try:
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(1 << 16))
            client.write(request("DESCRIBE", 1))
            writer.write(outgoing.read() + rubbish)
            with contextlib.suppress(ConnectionError):
                if rubbish:
                    await reader.read()
        finally:
            writer.transport.abort()


# ---- harm by datagrams ---------------------------------------------------------------------------


def datagrams() -> list[bytes]:
    """RTCP and RTP of every wrong kind."""
    chance = random.Random(11)
    report = struct.pack(">BBHIIIIIII", 0x81, 201, 7, 1, 0xDEAD, 0xFFFFFFFF, 0, 0, 0, 0)
    bye = struct.pack(">BBHI", 0x81, 203, 1, 0xBAD)
    return [
        b"",
        b"\x80",
        report,
        report[:9],
        struct.pack(">BBH", 0x9F, 201, 0xFFFF) + bytes(40),
        bye,
        struct.pack(">BBHII", 0x81, 206, 2, 1, 0xDEAD),
        struct.pack(">BBHII", 0x84, 206, 4, 1, 0) + bytes(8),
        struct.pack(">BBHII", 0x80, 96, 1, 2, 3) + bytes(1200),
        bytes(60_000),
        *(chance.randbytes(chance.randrange(2000)) for _ in range(200)),
    ]


class DatagramClient:
    """A session by UDP with sockets of its own. `server` are the ports that send to it."""

    def __init__(self, wire: Wire) -> None:
        self.talk = Conversation(wire)
        self.socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for sock in self.socks:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        self.server: list[int] = []

    async def play(self) -> None:
        uri = f"rtsp://127.0.0.1{PATH}"
        ports = "-".join(str(sock.getsockname()[1]) for sock in self.socks)
        asked = ("Transport", f"RTP/AVP;unicast;client_port={ports}")
        told = (await self.talk.ask("SETUP", uri + "/trackID=0", asked)).headers.get("Transport") or ""
        found = told.partition("server_port=")[2].partition(";")[0]
        self.server = [int(port) for port in found.split("-")]
        await self.talk.ask("PLAY", uri)

    def send(self, data: bytes) -> None:
        for sock, port in zip(self.socks, self.server, strict=True):
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                sock.sendto(data, ("127.0.0.1", port))

    def close(self) -> None:
        for sock in self.socks:
            sock.close()


async def datagrams_of_a_client(dial: Dial) -> None:
    """From the ports that it has agreed on."""
    async with dial() as wire:
        client = DatagramClient(wire)
        try:
            await client.play()
            for _ in range(3):
                for data in datagrams():
                    client.send(data)
                await asyncio.sleep(0.05)
        finally:
            client.close()
        wire.abort()


def spoof(ports: list[int]) -> None:
    """From ports that nobody has agreed on, to those of somebody else's session."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        for port in ports:
            for data in datagrams():
                with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                    sock.sendto(data, ("127.0.0.1", port))


# ---- beside them ---------------------------------------------------------------------------------


class Honest:
    """Watches, and notices every packet that is missing."""

    def __init__(self, port: int, way: Way) -> None:
        options = ClientOptions(way=way)
        self.client = RtspClient(f"rtsp://127.0.0.1:{port}{PATH}", USER, PASSWORD, options=options)
        self.packets = 0
        self.gaps: list[tuple[int, int]] = []
        self._last: int | None = None

    def _take(self, buffer: bytearray, start: int, end: int) -> int:
        while end - start >= 4 and buffer[start] == 0x24:
            size = int.from_bytes(buffer[start + 2 : start + 4])
            if end - start < 4 + size:
                return start
            if buffer[start + 1] == 0:
                self._count(int.from_bytes(buffer[start + 6 : start + 8]))
            start += 4 + size
        return start if end - start < 4 else end

    def _count(self, number: int) -> None:
        if self._last is not None and number != (self._last + 1) & 0xFFFF:
            self.gaps.append((self._last, number))
        self._last = number
        self.packets += 1

    async def begin(self) -> None:
        await self.client.connect()
        description = await self.client.describe()
        await self.client.place(description.tracks[0], 0)
        await self.client.play(self._take)


@asynccontextmanager
async def honest(port: int) -> AsyncIterator[tuple[Honest, Honest]]:
    """One by TCP and one by UDP."""
    watching = Honest(port, Way.TCP), Honest(port, Way.UDP)
    try:
        for each in watching:
            await each.begin()
        yield watching
    finally:
        for each in watching:
            await each.client.close()
