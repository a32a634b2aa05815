"""RTSP within WebSocket on the ports of the web server, asked by a client that is not ours."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import socket
import ssl
import struct

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.websocket import PATH, PROTOCOL
from onvifd.workers.websockets import WebSockets
from tests.bodies.test_gate import tls as tls
from tests.bodies.test_tunnels import PATH as STREAM
from tests.bodies.test_tunnels import House, until
from tests.bodies.test_tunnels import house as house
from tests.e2e.rtsp_client import unverified
from tests.rtsp.sample import PASSWORD, USER

URL = f"rtsp://127.0.0.1{STREAM}"


def digest(challenge: str, method: str, url: str, user: str, password: str) -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce = (re.search(f'{name}="([^"]*)"', challenge)[1] for name in ("realm", "nonce"))  # type: ignore[index]
    response = md5(f"{md5(f'{user}:{realm}:{password}')}:{nonce}:{md5(f'{method}:{url}')}")
    return f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{url}", response="{response}"'


class Client:
    """RTSP by messages of the `websockets` package."""

    def __init__(self, connection: ClientConnection, user: str = USER, password: str = PASSWORD) -> None:
        self.connection = connection
        self.user, self.password = user, password
        self.buffer = b""
        self.cseq = 0
        self.challenge = ""
        self.frames: list[tuple[int, bytes]] = []

    async def more(self) -> None:
        message = await asyncio.wait_for(self.connection.recv(), 20)
        assert isinstance(message, bytes)
        self.buffer += message

    async def fill(self, size: int) -> None:
        while len(self.buffer) < size:
            await self.more()

    async def frame(self) -> tuple[int, bytes]:
        await self.fill(4)
        assert self.buffer[0] == 0x24
        channel, size = self.buffer[1], int.from_bytes(self.buffer[2:4], "big")
        await self.fill(4 + size)
        data, self.buffer = self.buffer[4 : 4 + size], self.buffer[4 + size :]
        return channel, data

    async def request(self, method: str, url: str = URL, *fields: str) -> tuple[int, str]:
        self.cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self.cseq}", *fields]
        if self.challenge:
            lines.append("Authorization: " + digest(self.challenge, method, url, self.user, self.password))
        await self.connection.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        await self.fill(1)
        while self.buffer[0] == 0x24:
            self.frames.append(await self.frame())
            await self.fill(1)
        while b"\r\n\r\n" not in self.buffer:
            await self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        text = head.decode()
        if match := re.search(r"Content-Length: (\d+)", text):
            await self.fill(int(match[1]))
            text += "\n" + self.buffer[: int(match[1])].decode()
            self.buffer = self.buffer[int(match[1]) :]
        status = int(text.split()[1])
        if status == 401:
            self.challenge = next(line for line in text.split("\r\n") if line.startswith("WWW-Authenticate: Digest"))
            return await self.request(method, url, *fields)
        return status, text


def ways(house: House, way: str) -> tuple[str, ssl.SSLContext | None]:
    secure = way == "wss"
    return f"{way}://127.0.0.1:{house.ports['web+tls' if secure else 'web']}{PATH}", unverified() if secure else None


@pytest.mark.covers("T-RTP-RTSP-TCP-WebSocket")
@pytest.mark.parametrize("way", ["ws", "wss"])
@pytest.mark.covers("NET-43")
async def test_live_video_by_a_foreign_client(house: House, way: str) -> None:
    url, tls = ways(house, way)
    async with connect(url, subprotocols=[PROTOCOL], ssl=tls, compression=None) as connection:  # type: ignore[list-item]
        assert connection.subprotocol == PROTOCOL
        client = Client(connection)
        assert (await client.request("OPTIONS", "*"))[0] == 200
        status, text = await client.request("DESCRIBE")
        assert status == 200
        assert "m=video" in text
        control = re.search(r"a=control:(track\S*|\S+/\S+|[^*\s]+)", text)
        assert control
        status, text = await client.request(
            "SETUP", f"{URL}/{control[1]}", "Transport: RTP/AVP;unicast;client_port=5000-5001"
        )
        assert status == 461
        status, text = await client.request(
            "SETUP", f"{URL}/{control[1]}", "Transport: RTP/AVP/TCP;unicast;interleaved=6-7"
        )
        assert status == 200
        session = re.search(r"Session: ([^;\s]+)", text)
        assert session
        status, _ = await client.request("PLAY", URL, f"Session: {session[1]}")
        assert status == 200
        numbers: list[int] = []
        while len(numbers) < 100:
            channel, data = await client.frame()
            if channel == 6:
                numbers.append(struct.unpack_from(">H", data, 2)[0])
        assert all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(numbers))
        await (await connection.ping())
        assert (await client.request("TEARDOWN", URL, f"Session: {session[1]}"))[0] == 200
    assert connection.close_code == 1000
    await until(lambda: house.server.connections == 0)


@pytest.mark.parametrize("way", ["ws", "wss"])
async def test_another_subprotocol_or_none_is_refused(house: House, way: str) -> None:
    url, tls = ways(house, way)
    for offered in ([], ["chat"]):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, subprotocols=offered or None, ssl=tls):  # type: ignore[arg-type]
                pass
        assert refused.value.response.status_code == 400


async def test_a_text_message_closes_with_its_code(house: House) -> None:
    url, _ = ways(house, "ws")
    for first in (False, True):
        async with connect(url, subprotocols=[PROTOCOL]) as connection:  # type: ignore[list-item]
            if first:
                assert (await Client(connection).request("DESCRIBE"))[0] == 200
            await connection.send("OPTIONS * RTSP/1.0\r\n\r\n")
            with pytest.raises(ConnectionClosed) as closed:
                await connection.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1003
    await until(lambda: house.server.connections == 0)


async def test_what_is_no_rtsp_is_refused_within(house: House) -> None:
    url, _ = ways(house, "ws")
    async with connect(url, subprotocols=[PROTOCOL]) as connection:  # type: ignore[list-item]
        await connection.send(b"HELO there\r\n\r\n")
        assert str(await connection.recv(), "ascii", "strict").startswith("RTSP/1.0 400")  # type: ignore[arg-type]
        with pytest.raises(ConnectionClosed):
            await connection.recv()


async def test_the_end_of_the_server_is_said(house: House) -> None:
    url, _ = ways(house, "ws")
    async with connect(url, subprotocols=[PROTOCOL]) as connection:  # type: ignore[list-item]
        assert (await Client(connection).request("DESCRIBE"))[0] == 200
        await house.server.close()
        await connection.wait_closed()
        assert connection.close_code == 1001


async def test_who_only_opens_makes_room_and_is_told_when_it_waits_too_long() -> None:
    async def route(path: str, arrival: Arrival) -> None:
        raise AssertionError(path)

    waiting = WebSockets(route, max_waiting=2, timeout=0.2)
    pairs = [socket.socketpair() for _ in range(3)]
    for near, far in pairs:
        near.setblocking(False)
        far.settimeout(20)
        waiting.take(Arrival(client=near, peer="127.0.0.1", websocket=True), b"answer")
        await asyncio.sleep(0)
    assert waiting.waiting == 2
    first = await asyncio.to_thread(_all, pairs[0][1])
    assert first == b"answer"
    last = await asyncio.to_thread(_all, pairs[2][1])
    assert last == b"answer" + bytes((0x88, 2)) + (1001).to_bytes(2, "big")
    await waiting.close()
    for _, far in pairs:
        far.close()


def _all(sock: socket.socket) -> bytes:
    data = b""
    while more := sock.recv(4096):
        data += more
    return data
