"""Which sessions there are, ending one, and whom the verifier is told of."""

from __future__ import annotations

import asyncio

import pytest

from onvifd.errors import OnvifdError
from onvifd.rtsp.client import RtspClient
from onvifd.rtsp.messages import RtspError
from tests.rtsp.sample import PASSWORD, USER, feeding, live, serving

LIMIT = 20.0


@pytest.mark.covers("ACC-16", "P238")
async def test_a_session_is_listed_and_ended() -> None:
    stream, mount = live()
    async with serving(mount) as (server, port), feeding(stream):
        client = RtspClient(f"rtsp://127.0.0.1:{port}/live/cam-1/main", USER, PASSWORD)
        await client.connect()
        description = await client.describe()
        assert server.listing() == ()
        await client.setup(description.tracks[0], 0)
        await client.play(lambda buffer, start, end: end)
        ((session, account, peer, path, kinds),) = server.listing()
        assert (account, peer, path, kinds) == (USER, "127.0.0.1", "/live/cam-1/main", ("video",))
        assert not server.kick("other")
        assert server.kick(session)
        async with asyncio.timeout(LIMIT):
            while server.connections:
                await asyncio.sleep(0.005)
        assert server.listing() == ()
        assert not server.kick(session)
        await client.close()


async def test_the_verifier_knows_the_addresses() -> None:
    _, mount = live()
    async with serving(mount) as (server, port):
        asked: list[tuple[str, str]] = []
        inner = server.verifier.verify

        def verify(*arguments: object, peer: str = "", local: str = "", held: str = "") -> object:
            asked.append((peer, local))
            return inner(*arguments, peer=peer, local=local, held=held)  # type: ignore[arg-type]

        server.verifier.verify = verify  # type: ignore[method-assign, assignment]
        client = RtspClient(f"rtsp://127.0.0.1:{port}/live/cam-1/main", USER, "wrong")
        await client.connect()
        with pytest.raises((RtspError, OnvifdError)):
            await client.describe()
        await client.close()
    assert set(asked) == {("127.0.0.1", "127.0.0.1")}
