"""TLS behind the handshake, against OpenSSL's own client: its updates of keys, ours, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from onvifd.pki import records
from onvifd.workers.streams import Stream, shake_hands
from tests.bodies.test_gate import tls as tls

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


class Echo:
    """Answers each piece in capitals; ends the connection when its keys are spent."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.secrets: set[bytes] = set()
        """Of the client."""
        self.failure = ""

    async def serve(self, listener: socket.socket) -> None:
        sock, _ = await asyncio.get_running_loop().sock_accept(listener)
        with sock:
            sock.setblocking(False)
            layer = (await shake_hands(sock, self._context)).finish()
            stream = Stream(sock, layer)
            try:
                while data := await stream.receive():
                    self.secrets.add(layer._in.secret)
                    await stream.send(data.upper())
                    if layer.spent:
                        sock.send(layer.close())
                        sock.shutdown(socket.SHUT_WR)
                        await asyncio.get_running_loop().sock_recv(sock, 100)
                        return
            except ConnectionAbortedError as error:
                self.failure = str(error)


@asynccontextmanager
async def talking(context: ssl.SSLContext, *options: str) -> AsyncIterator[tuple[Process, Echo]]:
    echo = Echo(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        serving = asyncio.create_task(echo.serve(listener))
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        client = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", "-connect", where, *options), stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        try:
            async with asyncio.timeout(20):
                yield client, echo
        finally:
            with contextlib.suppress(ProcessLookupError):
                client.kill()
            await client.communicate()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def say(client: Process, line: str) -> None:
    assert client.stdin is not None
    client.stdin.write(line.encode() + b"\n")
    await client.stdin.drain()


async def hear(stream: asyncio.StreamReader | None, wanted: str) -> None:
    assert stream is not None
    while wanted.encode() not in (line := await stream.readline()):
        assert line, f"{wanted} does not come"


async def command(client: Process, letter: str, said: str) -> None:
    """Have it do something. Now and then it takes a letter that comes just behind an answer for nothing."""
    for _ in range(5):
        await say(client, letter)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await hear(client.stderr, said)
                return
    raise AssertionError(f"{letter} is not heard")


async def test_it_updates_its_keys_and_asks_for_ours(tls: ssl.SSLContext) -> None:
    """RFC 8446 4.6.3. `k` updates the client's keys, `K` asks for ours as well."""
    async with talking(tls, "-tls1_3") as (client, echo):
        await say(client, "one")
        await hear(client.stdout, "ONE")
        for letter in ("k", "K", "K"):
            await command(client, letter, "KEYUPDATE")
            await say(client, "again")
            await hear(client.stdout, "AGAIN")
        assert len(echo.secrets) == 4
        assert not echo.failure


async def test_it_follows_our_updates_and_does_as_it_is_asked(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that outlasts its keys on both sides goes on."""
    for name, number in (("KEY_UPDATE_AFTER", 3), ("ASK_AFTER", 4), ("SPENT_AFTER", 12), ("WORN_AFTER", 14)):
        monkeypatch.setattr(records, name, number)
    async with talking(tls, "-tls1_3") as (client, echo):
        for number in range(30):
            await say(client, f"line {number}")
            await hear(client.stdout, f"LINE {number}")
        assert len(echo.secrets) > 4
        assert not echo.failure


async def test_where_keys_cannot_be_updated_the_end_is_said(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "SPENT_AFTER", 5)
    async with talking(tls, "-tls1_2", "-cipher", "ECDHE+AESGCM") as (client, _):
        for number in range(4):
            await say(client, f"line {number}")
            await hear(client.stdout, f"LINE {number}")
        await hear(client.stdout, "closed")  # by close_notify; an end without it is an error
        assert await client.wait() == 0
        assert client.stderr is not None
        assert b"unexpected eof" not in await client.stderr.read()


async def test_a_renegotiation_is_refused(tls: ssl.SSLContext) -> None:
    async with talking(tls, "-tls1_2", "-cipher", "ECDHE+AESGCM") as (client, echo):
        await say(client, "one")
        await hear(client.stdout, "ONE")
        await command(client, "R", "RENEGOTIATING")
        await say(client, "two")  # with which it begins
        async with asyncio.timeout(20):
            while not echo.failure:
                await asyncio.sleep(0.02)
        assert "wrong time" in echo.failure
