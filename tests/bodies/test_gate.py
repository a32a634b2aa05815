"""The gate before the web server: what a connection may take."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from onvifd.access.digest import DigestVerifier
from onvifd.access.ip_filter import FilterRules, IpFilter
from onvifd.bodies.face import HttpFace
from onvifd.bodies.gate import GateLimits
from onvifd.clock import SystemClock

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
QUICK = GateLimits(handshake=0.3, head=0.3, head_size=4096, pace_window=0.2, pace=100, unread=0.5)


def pages(app: web.Application, verifier: DigestVerifier) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def upload(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def idle(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
        return ws

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response(text="at last")

    for path, handler in (("/", hello), ("/ws", idle), ("/endless", endless), ("/slow", slow)):
        app.router.add_get(path, handler)
    app.router.add_post("/upload", upload)


@dataclass
class Face:
    port: int
    filter: IpFilter
    face: HttpFace

    @property
    def open(self) -> int:
        return self.face._gate.keeper.count


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext | None = None, limits: GateLimits = QUICK, host: str = "127.0.0.1", **more: int
) -> AsyncIterator[Face]:
    rules = IpFilter()
    face = HttpFace(
        (),
        object(),  # type: ignore[arg-type]
        lookup=lambda name: None,
        realm="onvifd",
        clock=SystemClock(),
        pages=pages,
        permits=rules.permits,
        limits=limits,
        **more,
    )
    await face.start()
    try:
        yield Face(await face.listen(host, 0, tls), rules, face)
    finally:
        await face.close()


async def connect(face: Face, source: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", face.port, local_addr=(source, 0))


async def rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""


async def refused(face: Face, source: str) -> bool:
    try:
        reader, writer = await connect(face, source)
        writer.write(GET)
    except ConnectionError:
        return True
    answer = await rest(reader)
    writer.close()
    return answer == b""


async def until_empty(face: Face) -> None:
    async with asyncio.timeout(5):
        while face.open:
            await asyncio.sleep(0.01)


@pytest.mark.covers("SEC-07", "SEC-08", "P237")
async def test_address_filter_refuses_at_accept_and_lets_in_again_without_restart() -> None:
    async with serving() as face:
        face.filter.replace(FilterRules(prefixes=(ipaddress.ip_network("127.0.0.2/32"),)))
        assert await refused(face, "127.0.0.2")
        reader, writer = await connect(face, "127.0.0.3")
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        # A connection that stands is judged with its next request.
        await asyncio.wait_for(reader.readuntil(b"hello"), 5)
        face.filter.replace(FilterRules(allow=True, prefixes=(ipaddress.ip_network("127.0.0.2/32"),)))
        writer.write(GET)
        assert (await rest(reader)).startswith(b"HTTP/1.1 403")
        writer.close()
        reader, writer = await connect(face, "127.0.0.2")
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_one_address_cannot_take_all_connections() -> None:
    async with serving(limits=GateLimits(), max_connections=6, max_per_address=4) as face:
        held = [await connect(face, "127.0.0.2") for _ in range(4)]
        assert await refused(face, "127.0.0.2")
        reader, writer = await connect(face, "127.0.0.3")
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        for _, each in (*held, (reader, writer)):
            each.close()
        await until_empty(face)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [(b"", b""), (b"GET /", b"HTTP/1.1 408"), (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"HTTP/1.1 408")],
    ids=["silence", "request line", "header"],
)
async def test_head_that_does_not_end_is_cut_off(sent: bytes, answer: bytes) -> None:
    async with serving() as face:
        reader, writer = await connect(face)
        writer.write(sent)

        async def drip() -> None:
            while not writer.is_closing():
                writer.write(b"a" if sent else b"")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        got = await rest(reader)
        dripping.cancel()
        assert got.startswith(answer) if answer else not got
        writer.close()
        await until_empty(face)


async def test_second_head_of_a_connection_is_cut_off_too_but_idleness_is_not() -> None:
    async with serving() as face:
        reader, writer = await connect(face)
        writer.write(GET)
        await asyncio.wait_for(reader.readuntil(b"hello"), 5)
        await asyncio.sleep(2 * QUICK.head)
        writer.write(GET)
        await asyncio.wait_for(reader.readuntil(b"hello"), 5)
        writer.write(b"GET /")
        assert (await rest(reader)).startswith(b"HTTP/1.1 408")
        writer.close()


@pytest.mark.parametrize("field", [b"X: " + b"a" * 500 + b"\r\n", b"a:b\r\n"], ids=["large", "many"])
async def test_flood_of_header_fields_is_refused(field: bytes) -> None:
    async with serving() as face:
        reader, writer = await connect(face)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + field * (20_000 // len(field)))
        assert (await rest(reader))[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b"")
        writer.close()
        await until_empty(face)
        reader, writer = await connect(face)
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_body_in_one_piece_with_its_head_is_no_head() -> None:
    body = b"y" * 100_000
    async with serving() as face:
        reader, writer = await connect(face)
        head = f"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for _ in range(3):
            writer.write(head + body)
            assert await asyncio.wait_for(reader.readuntil(b"100000"), 5)
        writer.close()


async def test_end_of_head_is_seen_wherever_the_pieces_break() -> None:
    async with serving() as face:
        for cut in range(1, len(GET)):
            reader, writer = await connect(face)
            writer.write(GET[:cut])
            await asyncio.sleep(0)
            writer.write(GET[cut:] + GET)
            assert (await asyncio.wait_for(reader.readuntil(b"hello"), 5)).startswith(b"HTTP/1.1 200")
            await asyncio.wait_for(reader.readuntil(b"hello"), 5)
            writer.close()


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_that_drips_is_cut_off(chunked: bool) -> None:
    async with serving() as face:
        reader, writer = await connect(face)
        how = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 100000"
        writer.write(b"POST /upload HTTP/1.1\r\nHost: x\r\n" + how + b"\r\n\r\n")

        async def drip() -> None:
            while not writer.is_closing():
                writer.write(b"1\r\na\r\n" if chunked else b"a")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await rest(reader) == b""
        dripping.cancel()
        writer.close()
        await until_empty(face)


async def test_body_at_a_modest_pace_is_taken() -> None:
    async with serving() as face:
        reader, writer = await connect(face)
        writer.write(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(20):
            writer.write(b"a" * 50)
            await asyncio.sleep(0.04)
        assert (await asyncio.wait_for(reader.readuntil(b"1000"), 5)).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_answers_that_take_long_and_web_sockets_are_left_alone() -> None:
    async with serving() as face, aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{face.port}"
        async with session.get(base + "/slow") as answer:
            assert await answer.text() == "at last"
        async with session.ws_connect(base + "/ws") as ws:
            await asyncio.sleep(1)
            await ws.send_str("still here")
            assert await ws.receive_str(timeout=5) == "still here"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no TCP_USER_TIMEOUT")
async def test_client_that_leaves_its_answer_unread_is_cut_off() -> None:
    async with serving() as face:
        _, writer = await connect(face)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(30):
            while not face.open:
                await asyncio.sleep(0.01)
            while face.open:
                await asyncio.sleep(0.05)
        writer.transport.abort()


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "both.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@pytest.mark.covers("SEC-10")
async def test_handshakes_count_and_end(tls: ssl.SSLContext) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with serving(tls, max_connections=2) as face:
        held = [await connect(face) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert face.open == 2
        assert await refused(face, "127.0.0.1")
        await until_empty(face)  # the handshakes have run out of time
        for _, writer in held:
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", face.port, ssl=trusting)
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        face.filter.replace(FilterRules(prefixes=(ipaddress.ip_network("127.0.0.2/32"),)))
        with pytest.raises(OSError):  # noqa: PT011 - reset or end of file, as the system sees it
            await asyncio.open_connection("127.0.0.1", face.port, ssl=trusting, local_addr=("127.0.0.2", 0))
        await until_empty(face)
