"""Live hostile clients: a server goes on for all others, and keeps nothing of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from onvifd.access.digest import ClientDigest
from onvifd.live.hub import LiveStream
from onvifd.rtsp import server as server_module
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.messages import Headers, Parser, Request, Response
from onvifd.rtsp.server import RtspServer
from onvifd.rtsp.server_events import Limits
from tests.rtsp.sample import PASSWORD, USER, feeding, live, serving

LIMITS = Limits(login_timeout=1.0, idle_timeout=0.5)
PATH = "/live/cam-1/main"


def request(method: str, cseq: int, *fields: tuple[str, str], uri: str = "rtsp://h" + PATH) -> bytes:
    return Request(method, uri, Headers([("CSeq", str(cseq)), *fields])).serialise()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes."""
    with contextlib.suppress(ConnectionError):
        return await reader.read(16 << 20)
    return b""


async def slow_head(port: int) -> None:
    async with connected(port) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            for byte in request("OPTIONS", 1, ("X-Much", "a" * 400)):
                writer.write(bytes((byte,)))
                await asyncio.sleep(0.01)
                if reader.at_eof():
                    return
        await closed(reader)


async def half_a_body(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(b"SET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 60000\r\n\r\nabc")
        await closed(reader)


async def half_a_frame(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(b"$\x00\xff\xff" + b"x" * 100)
        await closed(reader)


async def garbage(port: int) -> None:
    async with connected(port) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(random.Random(port).randbytes(50_000))
            await writer.drain()
        await closed(reader)


async def endless_head(port: int) -> None:
    async with connected(port) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(b"OPTIONS * RTSP/1.0\r\n")
            for number in range(2000):
                writer.write(b"X-%d: %s\r\n" % (number, b"y" * 100))
                await writer.drain()
        await closed(reader)


async def ten_thousand_requests(port: int) -> None:
    async with connected(port) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(b"".join(request("OPTIONS", number) for number in range(10_000)))
            await writer.drain()
        answers = await closed(reader)
        assert answers.count(b"RTSP/1.0 200") <= LIMITS.request_burst + 100


async def frames_without_end(port: int) -> None:
    async with connected(port) as (reader, writer):
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                writer.write(b"$\x01\x00\x04abcd" * 100)
                await writer.drain()
        await closed(reader)


async def never_reads(port: int) -> None:
    """Asks and plays, and takes nothing."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(3):
                for number in range(100_000):
                    await loop.sock_sendall(sock, request("OPTIONS", number))
                    await asyncio.sleep(0.004)


async def sets_up_and_leaves(port: int) -> None:
    digest = ClientDigest(USER, PASSWORD)
    async with connected(port) as (reader, writer):
        parser = Parser()

        async def ask(method: str, uri: str, *fields: tuple[str, str]) -> Response:
            value = digest.authorization(method, uri)
            login = (("Authorization", value),) if value else ()
            writer.write(request(method, 1, *fields, *login, uri=uri))
            while True:
                message = parser.next_message()
                if isinstance(message, Response):
                    return message
                if message is None:
                    data = await reader.read(65536)
                    if not data:
                        raise ConnectionResetError("the server has closed the connection")
                    parser.receive_data(data)

        uri = f"rtsp://127.0.0.1:{port}{PATH}/trackID=0"
        digest.receive_challenge((await ask("DESCRIBE", uri)).headers.all("WWW-Authenticate"))
        udp = ("Transport", "RTP/AVP;unicast;client_port=9-10")
        assert (await ask("SETUP", uri, udp)).status == 200
        writer.write(request("PLAY", 2)[:20])
        writer.transport.abort()


ATTACKS: tuple[Callable[[int], Awaitable[None]], ...] = (
    *(slow_head, half_a_body, half_a_frame, garbage, endless_head),
    *(ten_thousand_requests, frames_without_end, never_reads, sets_up_and_leaves),
)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_others_go_on_and_nothing_stays(
    attack: Callable[[int], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "TICK", 0.05)
    stream, mount = live()
    async with serving(mount, limits=LIMITS) as (server, port), feeding(stream), viewer(port) as seen:
        await until(lambda: seen())
        before = state(server, stream)
        frames = seen()
        async with asyncio.timeout(60):
            await asyncio.gather(*(attack(port) for _ in range(5)))
        await until(lambda: state(server, stream) == before)
        await until(lambda: seen() > frames)


async def test_memory_does_not_grow_with_attacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "TICK", 0.05)
    _, mount = live()
    attacks = (garbage, half_a_frame, ten_thousand_requests, sets_up_and_leaves, endless_head)
    async with serving(mount, limits=LIMITS) as (server, port):

        async def round_of_attacks() -> int:
            async with asyncio.timeout(60):
                for attack in attacks:
                    await asyncio.gather(*(attack(port) for _ in range(4)))
            await until(lambda: server.connections == 0)
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        await round_of_attacks()
        tracemalloc.start()
        try:
            first = await round_of_attacks()
            for _ in range(3):
                last = await round_of_attacks()
        finally:
            tracemalloc.stop()
        assert last < first + 300_000, "each round leaves what the one before left"


@asynccontextmanager
async def viewer(port: int) -> AsyncIterator[Callable[[], int]]:
    """A client that watches; gives the number of bytes that it got."""
    client = RtspClient(f"rtsp://127.0.0.1:{port}{PATH}", USER, PASSWORD)
    got = 0

    def take(buffer: bytearray, start: int, end: int) -> int:
        nonlocal got
        got += end - start
        return end

    await client.connect()
    description = await client.describe()
    await client.setup(description.tracks[0], 0)
    await client.play(take)
    try:
        yield lambda: got
    finally:
        await client.close()


def state(server: RtspServer, stream: LiveStream) -> tuple[int, int, int, int]:
    """Connections, sessions, sinks and descriptors."""
    return server.connections, server.sessions, stream.clients, len(os.listdir("/proc/self/fd"))


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.02)
