from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from onvifd.access.digest import DigestVerifier
from onvifd.bodies.face import HttpFace
from onvifd.clock import SystemClock
from onvifd.onvif.backend import MediaBackend


def pages(app: web.Application, verifier: DigestVerifier) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app.router.add_get("/", hello)


@pytest.fixture
async def port(media: MediaBackend) -> AsyncIterator[int]:
    """A face with room for two connections."""
    face = HttpFace(
        (),
        media,
        lookup=lambda name: None,
        realm="onvifd",
        clock=SystemClock(),
        pages=pages,
        max_connections=2,
    )
    await face.start()
    yield await face.listen("127.0.0.1", 0)
    await face.close()


@pytest.fixture
def media() -> MediaBackend:
    class NoMedia:
        pass

    return NoMedia()  # type: ignore[return-value]


async def ask(port: int, request: bytes = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_connections_are_bounded(port: int, caplog: pytest.LogCaptureFixture) -> None:
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    assert await ask(port) == b""
    assert await ask(port) == b""
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "HTTP: connection from 127.0.0.1 refused: all connections are in use"
    ]
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(5):
        while not (await ask(port)).startswith(b"HTTP/1.1 200"):
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_one_line_in_the_log(
    port: int, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert b" 400 " in await ask(port, request_)
    [record] = [record for record in caplog.records if record.name == "aiohttp.server"]
    assert (record.levelno, record.exc_info) == (logging.INFO, None)
    assert "request refused" in record.getMessage()
    assert "\n" not in record.getMessage()
