"""A camera that means harm, live: nothing dies, nothing grows."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onvifd.rtsp.client_connection import BUFFER, MAX_EARLY
from onvifd.rtsp.client_transport import Way
from tests.cameras.fault_camera import LIMIT, SDP, Camera, Rig, frame

ROUNDS = 40


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Hostile:
    """Each connection does another bad thing, drawn from the seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.connections = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def url(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        try:
            yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/cam"
        finally:
            server.close()
            for writer in list(self.writers):
                writer.transport.abort()
            await asyncio.gather(*self.tasks, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.writers.add(writer)
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(3):
                await self.misbehave(reader, writer)
        writer.transport.abort()
        self.writers.discard(writer)
        self.tasks.discard(task)

    async def misbehave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chance = self.chance
        stage = chance.choice(("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "media"))
        buffered = b""
        while True:
            data = await reader.read(65536)
            if not data:
                return
            buffered += data
            while b"\r\n\r\n" in buffered:
                head, _, buffered = buffered.partition(b"\r\n\r\n")
                method = head.split(b" ")[0].decode("latin-1")
                cseq = head.partition(b"CSeq: ")[2].partition(b"\r\n")[0]
                if method == stage:
                    await self.flood(writer, cseq)
                    return
                writer.write(self.good(method, cseq, head))
                if method == "PLAY":
                    await self.flood(writer, cseq, media=True)
                    return

    @staticmethod
    def good(method: str, cseq: bytes, head: bytes) -> bytes:
        answer = b"RTSP/1.0 200 OK\r\nCSeq: " + cseq + b"\r\n"
        if method == "DESCRIBE":
            return answer + b"Content-Length: %d\r\n\r\n" % len(SDP) + SDP
        if method == "SETUP":
            answer += b"Session: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n"
        return answer + b"\r\n"

    async def flood(self, writer: asyncio.StreamWriter, cseq: bytes, *, media: bool = False) -> None:
        chance = self.chance
        ok = b"RTSP/1.0 200 OK\r\nCSeq: " + cseq + b"\r\n"
        media_evils = [
            lambda: chance.randbytes(65536),
            lambda: b"$" * 65536,
            lambda: frame(0, b"\x80\x60" + chance.randbytes(60_000)),
            lambda: frame(0, b"\xbf\xe0" + chance.randbytes(20)) * 3000,
            lambda: frame(0, b"\x80\x60" + chance.randbytes(10) + b"\x7c\x85" + bytes(40_000)),
            lambda: b"".join(
                frame(0, b"\x80\x60" + (n & 0xFFFF).to_bytes(2, "big") + bytes(8) + b"\x7c\x05" + bytes(1400))
                for n in range(600)
            ),
            lambda: b"RTSP/1.0 200 OK\r\nX: " + b"a" * 60_000,
            lambda: b"RTSP/1.0 401 No\r\nCSeq: 1\r\n\r\n" * 3000,
            lambda: b"OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 1000,
            lambda: frame(1, chance.randbytes(1000)) * 60,
            lambda: bytes(65536),
        ]
        evils = [
            lambda: ok + b"Content-Length: 99999999999\r\n\r\n",
            lambda: ok + b"Content-Length: 262144\r\n\r\n" + b"m=video 0 RTP/AVP 96\r\n" * 11_000,
            lambda: ok + b"X: " + b"y" * 1_000_000,
            lambda: (ok + b"\r\n") * 5000,
            lambda: b"RTSP/1.0 100 Continue\r\nCSeq: " + cseq + b"\r\n\r\n",
            lambda: (
                b"RTSP/1.0 401 No\r\nCSeq: " + cseq + b"\r\nWWW-Authenticate: Digest " + b"a=b," * 900 + b"\r\n\r\n"
            ),
            lambda: b"RTSP/1.0 302 Go\r\nCSeq: " + cseq + b"\r\nLocation: rtsp://127.0.0.1:1/\r\n\r\n",
            lambda: b"HTTP/1.1 200 OK\r\n\r\n",
            lambda: chance.randbytes(200_000),
            lambda: frame(0, bytes(60_000)) * 40,
            lambda: b"GET_PARAMETER rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 2000,
            lambda: b"",
        ]
        evil = chance.choice(media_evils if media else evils)
        for _ in range(chance.randrange(1, 8)):
            writer.write(evil())
            await writer.drain()
        if chance.random() < 0.3:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("transport", [Way.AUTO, Way.UDP])
async def test_nothing_dies_and_nothing_grows(seed: int, transport: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.rtsp.client.ANSWER_TIMEOUT", 0.3)
    hostile = Hostile(seed)
    async with hostile.url() as url:
        rig = Rig(url, user="user", password="p", transport=transport, quirks=["no-libav"], silence=0.3, watched=False)
        async with rig.running():
            tracemalloc.start()
            marks = []
            try:
                for most in (ROUNDS // 2, ROUNDS):
                    await rig.until(lambda most=most: hostile.connections >= most)  # type: ignore[misc]
                    rig.frames.clear()
                    rig.formats.clear()
                    gc.collect()
                    marks.append((tracemalloc.get_traced_memory()[0], descriptors(), len(asyncio.all_tasks())))
            finally:
                tracemalloc.stop()
            (memory, open_files, tasks), (memory2, open_files2, tasks2) = marks
            # What a connection may hold: its receive buffer, media that came early, the unit and frame under way.
            assert memory2 < memory + 4 * (BUFFER + MAX_EARLY) + (24 << 20)
            assert open_files2 <= open_files + 6
            assert tasks2 <= tasks + 6
        # And it serves a good camera afterwards as if nothing had been.
    async with Camera().url() as good, Rig(good).running() as after:
        await after.until(lambda: len(after.frames) >= 10)


async def test_a_camera_that_never_answers_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and is silent; stopping does not wait for it."""
    opened: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)

    before = descriptors()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for way in (Way.TCP, Way.HTTP):
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(LIMIT):
            async with Rig(url, transport=way, tunnel_port=port, watched=False).running() as rig:
                await rig.until(lambda: bool(opened))
            for writer in opened:
                writer.transport.abort()
            opened.clear()
    server.close()
    await server.wait_closed()
    for _ in range(100):
        if descriptors() <= before:
            break
        gc.collect()
        await asyncio.sleep(0.01)
    assert descriptors() <= before + 1
