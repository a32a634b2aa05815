"""RTSP by every way in: plain, in TLS, within HTTP and within HTTPS, on the RTSP port and on the ports of the web server."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from onvifd.bodies.face import HttpFace
from onvifd.bodies.gate import GateLimits
from onvifd.clock import SystemClock
from onvifd.live.hub import LiveStream
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.server import RtspServer
from onvifd.rtsp.server_events import Limits
from onvifd.workers import tunnels as tunnels_module
from onvifd.workers.frontdoor import FrontDoor
from tests.bodies.test_gate import GET, pages
from tests.bodies.test_gate import tls as tls
from tests.e2e.rtsp_client import RtspClient, unverified
from tests.rtsp.sample import PASSWORD, USER, feeding, live, verifier

T = TypeVar("T")
PATH = "/live/cam-1/main"


@dataclass
class House:
    """Everything that listens, in one process."""

    stream: LiveStream
    server: RtspServer
    door: FrontDoor
    ports: dict[str, int]
    face: HttpFace

    def client(self, way: str, **more: Any) -> RtspClient:
        """`way` is door, door+tls, door+http, door+tls+http, web+http or web+tls+http."""
        port = self.ports["+".join(part for part in way.split("+") if part != "http")]
        context = unverified() if "tls" in way else None
        url = f"rtsp://127.0.0.1:{port}{PATH}"
        return RtspClient(url, USER, PASSWORD, tls=context, tunnel="http" in way, **more)


WAYS = ("door", "door+tls", "door+http", "door+tls+http", "web+http", "web+tls+http")
TUNNELS = tuple(way for way in WAYS if way.endswith("http"))


@asynccontextmanager
async def housing(
    tls: ssl.SSLContext, limits: Limits | None = None, gate: GateLimits | None = None
) -> AsyncIterator[House]:
    stream, mount = live(PATH)
    server = RtspServer({"/live": mount}, verifier(), SystemClock(), limits=limits)

    async def route(path: str, arrival: Arrival) -> None:
        server.admit(arrival.duplicate())

    door = FrontDoor(route)
    face = HttpFace(
        (),
        object(),  # type: ignore[arg-type]
        lookup=lambda name: None,
        realm="onvifd",
        clock=SystemClock(),
        pages=pages,
        limits=gate or GateLimits(),
        tunnels=door.tunnels.take,
    )
    await face.start()
    ports = {
        "door": door.listen("127.0.0.1", 0),
        "door+tls": door.listen("127.0.0.1", 0, tls),
        "web": await face.listen("127.0.0.1", 0),
        "web+tls": await face.listen("127.0.0.1", 0, tls),
    }
    try:
        async with feeding(stream, 0.01):
            yield House(stream, server, door, ports, face)
    finally:
        await door.close()
        await server.close()
        await face.close()


@pytest.fixture
async def house(tls: ssl.SSLContext) -> AsyncIterator[House]:
    async with housing(tls) as found:
        yield found


async def aside(work: Callable[[], T]) -> T:
    """The client blocks, and everything else runs on this loop."""
    async with asyncio.timeout(30):
        return await asyncio.to_thread(work)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.covers(
    *(
        "M-RTP-RTSP-HTTP-TCP",
        "M-RTP-RTSP-HTTPS-TCP",
        "S-RTP-RTSP-HTTP-TCP",
        "T-RTP-RTSP-HTTP-TCP",
        "T-RTP-RTSP-HTTPS-TCP",
        "SEC-17",
        "NET-43",
    )
)
@pytest.mark.parametrize("way", WAYS)
async def test_every_way_in(house: House, way: str) -> None:
    def watch() -> None:
        with house.client(way) as client:
            assert client.request("OPTIONS").status == 200
            (media,) = client.describe()
            assert f":{house.ports['+'.join(p for p in way.split('+') if p != 'http')]}/" in media.control
            client.setup(media)
            client.demand("PLAY")
            packets = client.packets(seconds=20)
            first = next(packets)
            for number in range(1, 100):
                assert next(packets).sequence == (first.sequence + number) & 0xFFFF
            assert client.request("GET_PARAMETER").status == 200
            assert client.request("TEARDOWN").status == 200

    await aside(watch)
    await until(lambda: house.server.connections == 0)
    assert house.stream.clients == 0


@pytest.mark.parametrize("way", ["door+http", "web+tls+http"])
@pytest.mark.parametrize("line_length", [7, 76])
async def test_base64_with_line_breaks(house: House, way: str, line_length: int) -> None:
    def ask() -> None:
        with house.client(way, line_length=line_length) as client:
            assert client.describe()

    await aside(ask)


@pytest.mark.parametrize("way", TUNNELS)
async def test_a_client_goes_on_in_another_post(house: House, way: str) -> None:
    def ask() -> None:
        with house.client(way) as client:
            (media,) = client.describe()
            client.setup(media)
            client.post_anew()
            client.demand("PLAY")
            assert next(client.packets(seconds=20))
            client.post_anew()
            assert client.request("TEARDOWN").status == 200

    await aside(ask)


@pytest.mark.covers("M-RTSPTunnelDigest", "T-RTSPTunnelDigest")
@pytest.mark.parametrize("way", TUNNELS)
async def test_who_the_client_is_settles_rtsp_within(house: House, way: str) -> None:
    """Core 5.9: no challenge of HTTP, one of RTSP."""

    def ask() -> None:
        with house.client(way) as client:
            assert client.tunnel_answer.startswith("HTTP/1.0 200")
            assert "application/x-rtsp-tunnelled" in client.tunnel_answer
            reply = client._exchange("DESCRIBE", client.url, {})
            assert reply.status == 401
            assert reply.headers["www-authenticate"].startswith("Digest")

    await aside(ask)


@pytest.mark.parametrize("way", ["door+tls", "door+http", "web+tls+http"])
async def test_media_does_not_leave_the_connection(house: House, way: str) -> None:
    """UDP beside TLS would show what TLS hides; beside a tunnel it would not arrive."""

    def ask() -> None:
        with house.client(way) as client:
            (media,) = client.describe()
            transport = "RTP/AVP;unicast;client_port=40000-40001"
            assert client.request("SETUP", media.control, Transport=transport).status == 461
            # the transport of the test tool: neither interleaved channels nor ports that mean anything
            reply = client.request("SETUP", media.control, Transport="RTP/AVP/TCP;unicast;client_port=40000-40001")
            assert reply.status == 200
            assert "interleaved=0-1" in reply.headers["transport"]

    await aside(ask)


@pytest.mark.parametrize("way", TUNNELS)
async def test_the_end_of_the_post_after_teardown_ends_the_tunnel(house: House, way: str) -> None:
    def ask() -> None:
        with house.client(way) as client:
            (media,) = client.describe()
            client.setup(media)
            client.demand("TEARDOWN")
            assert client.post is not None
            client.post.close()
            client.socket.settimeout(10)
            assert client.socket.recv(100) == b""

    await aside(ask)


async def test_a_client_that_leaves_is_noticed(house: House) -> None:
    def leave() -> None:
        for way in WAYS:
            with house.client(way) as client:
                (media,) = client.describe()
                client.setup(media)
                client.demand("PLAY")
                assert next(client.packets(seconds=20))

    await aside(leave)
    await until(lambda: house.server.connections == 0)


async def test_halves_of_two_clients_are_not_joined(house: House) -> None:
    """The cookie is seen by whoever listens on the way: from another address it is of no use."""

    def ask() -> None:
        head = b" / HTTP/1.0\r\nx-sessioncookie: abc\r\n\r\n"
        with (
            socket.create_connection(("127.0.0.1", house.ports["door"])) as get,
            socket.create_connection(("127.0.0.1", house.ports["door"]), source_address=("127.0.0.2", 0)) as post,
        ):
            get.sendall(b"GET" + head)
            post.sendall(b"POST" + head + b"T1BUSU9OUyAqIFJUU1AvMS4wDQpDU2VxOiAxDQoNCg==")
            get.settimeout(0.5)
            assert b"tunnelled" in get.recv(1000)
            with pytest.raises(TimeoutError):
                get.recv(1000)

    await aside(ask)
    assert house.door.tunnels.waiting == 2


async def test_a_half_in_the_clear_does_not_join_one_in_tls(house: House) -> None:
    head = b" / HTTP/1.0\r\nx-sessioncookie: abc\r\n\r\n"
    get = await asyncio.open_connection("127.0.0.1", house.ports["web+tls"], ssl=unverified())
    get[1].write(b"GET" + head)
    async with asyncio.timeout(10):
        assert b"200" in await get[0].readline()
    post = await asyncio.open_connection("127.0.0.1", house.ports["web"])
    post[1].write(b"POST" + head)
    await until(lambda: house.door.tunnels.waiting == 2)
    assert house.door.tunnels.joining == 0
    for _, writer in (get, post):
        writer.close()


async def test_halves_that_wait_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.door.tunnels, "_max_waiting", 3)
    port = house.ports["web"]
    held = []
    for number in range(8):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\nx-sessioncookie: %d\r\n\r\n" % number)
        held.append(writer)
    await until(lambda: house.door.tunnels.waiting == 3)

    def ask() -> None:
        with house.client("web+http") as client:
            assert client.describe()

    await aside(ask)
    for writer in held:
        writer.close()


async def test_tunnels_that_ask_nothing_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both halves are there and no request comes: nobody has logged in, so they may not pile up."""
    monkeypatch.setattr(house.door.tunnels, "_max_joining", 3)
    held = []
    for number in range(8):
        for method in (b"GET", b"POST"):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["web"])
            writer.write(b"%s / HTTP/1.0\r\nx-sessioncookie: %d\r\n\r\n" % (method, number))
            held.append((reader, writer))
    oldest = held[0][0]
    async with asyncio.timeout(10):
        assert b"tunnelled" in await oldest.read()  # up to its end: both of its connections were closed
    assert house.door.tunnels.joining <= 3

    def ask() -> None:
        with house.client("web+http") as client:
            assert client.describe()

    await aside(ask)
    for _, writer in held:
        writer.close()


async def test_a_half_does_not_wait_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.door.tunnels, "_timeout", 0.1)
    for port in (house.ports["web"], house.ports["door"]):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\nx-sessioncookie: a\r\n\r\n")
        async with asyncio.timeout(10):
            assert b"tunnelled" in await reader.read()
        writer.close()
    assert tunnels_module.JOIN_TIMEOUT == 15.0


@pytest.mark.parametrize("posted", [b"!!!!", b"R0VUIC8gSFRUUC8xLjENCg0K"])
async def test_what_is_no_rtsp_ends_the_tunnel(house: House, posted: bytes) -> None:
    readers = []
    for method, body in ((b"GET", b""), (b"POST", posted)):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["web"])
        writer.write(method + b" / HTTP/1.0\r\nx-sessioncookie: a\r\n\r\n" + body)
        readers.append((reader, writer))
    async with asyncio.timeout(10):
        assert (await readers[0][0].read()).endswith(b"RTSP/1.0 400 Bad Request\r\n\r\n")
    for _, writer in readers:
        writer.close()


@pytest.mark.parametrize("request_", [GET, b"GET /?x-sessioncookie=1 HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_the_web_server_gets_what_is_its_own(house: House, request_: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["web"])
    for byte in request_:
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_other_http_on_the_rtsp_port_is_refused(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["door"])
    writer.write(GET)
    async with asyncio.timeout(10):
        assert (await reader.read()).startswith(b"HTTP/1.0 400")
    writer.close()


async def test_a_slow_client_of_tls_holds_up_nobody(house: House, tmp_path: Path) -> None:
    """What it does not take waits in bounded buffers, and its sessions drop to the next key frame."""

    def watch() -> None:
        with house.client("door+tls") as slow, house.client("door+tls") as other:
            for client in (slow, other):
                (media,) = client.describe()
                client.setup(media)
                client.demand("PLAY")
            count = sum(1 for _ in other.packets(seconds=2.0))
            assert count > 100

    await aside(watch)


async def test_one_address_cannot_take_all_of_tls(tls: ssl.SSLContext) -> None:
    async def route(path: str, arrival: Arrival) -> None:
        raise AssertionError("nothing is asked")

    door = FrontDoor(route, max_tls=4)
    port = door.listen("127.0.0.1", 0, tls)

    def shake(source: str) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
        return unverified().wrap_socket(plain)

    held = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
    await until(lambda: door.handshakes == 3)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(shake, "127.0.0.1")
    held.append(await asyncio.to_thread(shake, "127.0.0.2"))
    # Those that have shaken hands make room for others.
    held.append(await asyncio.to_thread(shake, "127.0.0.2"))
    for each in held:
        each.close()
    await door.close()
