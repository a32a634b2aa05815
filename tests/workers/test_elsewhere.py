"""A URL of another worker on a connection that this one has."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from onvifd.access.digest import ClientDigest, make_ha1
from onvifd.store.catalogue import Catalogue
from onvifd.workers.link import LocalLink
from onvifd.workers.media import MediaWorker
from onvifd.workers.messages import Cameras, Credentials
from onvifd.workers.replay import ReplayWorker
from onvifd.workers.specs import CredentialSpec
from tests.workers.conftest import worker_setup

SETUP = worker_setup(name="w")
ACCOUNTS = Credentials(
    accounts=(CredentialSpec(name="admin", level="Administrator", ha1=make_ha1("admin", "onvifd", "pass-word-1")),)
)


class Client:
    """One RTSP connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._digest = ClientDigest("admin", "pass-word-1", allow_basic=False)
        self._cseq = 0

    async def ask(self, method: str, path: str, *headers: str) -> tuple[int, str]:
        """Status and head of the answer; a challenge is answered."""
        url = f"rtsp://recorder{path}"
        status, head = await self._exchange(method, url, headers)
        if status == 401:
            self._digest.receive_challenge(re.findall(r"(?im)^WWW-Authenticate: (.+?)\r$", head))
            status, head = await self._exchange(method, url, headers)
        return status, head

    async def _exchange(self, method: str, url: str, headers: tuple[str, ...]) -> tuple[int, str]:
        self._cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._cseq}", *headers]
        if (authorization := self._digest.authorization(method, url)) is not None:
            lines.append(f"Authorization: {authorization}")
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)).decode()
        return int(head.split()[1]), head

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def client_of(worker: MediaWorker | ReplayWorker) -> Client:
    assert worker._server is not None
    port = await worker._server.serve("127.0.0.1", 0)
    return Client(*await asyncio.open_connection("127.0.0.1", port))


@pytest.fixture
async def media() -> AsyncIterator[Client]:
    """A connection to a media worker that has no camera; cam-2 is with another."""
    ours, theirs = LocalLink.pair()
    worker = MediaWorker(theirs)
    await worker.handle(SETUP)
    await worker.handle(ACCOUNTS)
    await worker.handle(Cameras(cameras=(), elsewhere=("cam-2",)))
    client = await client_of(worker)
    yield client
    await client.close()
    await worker.stop()
    await theirs.close()
    await ours.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DESCRIBE", "/live/cam-2/main"),
        ("SETUP", "/live/cam-2/main/trackID=0"),
        ("DESCRIBE", "/replay/rec-cam-1"),
    ],
)
async def test_what_another_worker_has_is_asked_for_on_another_connection(
    media: Client, method: str, path: str
) -> None:
    status, head = await media.ask(method, path, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
    assert status == 302
    assert f"\r\nLocation: rtsp://recorder{path}\r\n" in head  # RFC 2326 12.25
    assert (await media.ask("OPTIONS", path))[0] == 200  # the connection stays


@pytest.mark.parametrize("path", ["/live/cam-9/main", "/live", "/live/cam-9", "/elsewhere/cam-2"])
async def test_what_nobody_has_is_not_found(media: Client, path: str) -> None:
    assert (await media.ask("DESCRIBE", path))[0] == 404


async def test_live_on_a_connection_of_replay(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/catalogue.sqlite3"
    (await asyncio.to_thread(Catalogue.open, url, migrate=True)).close()
    ours, theirs = LocalLink.pair()
    worker = ReplayWorker(theirs)
    await worker.handle(msgspec.structs.replace(SETUP, database_url=url))
    await worker.handle(ACCOUNTS)
    client = await client_of(worker)
    try:
        assert (await client.ask("DESCRIBE", "/live/cam-1/main"))[0] == 302
        assert (await client.ask("DESCRIBE", "/replay/rec-none"))[0] == 404
    finally:
        await client.close()
        await worker.stop()
        await theirs.close()
        await ours.close()
