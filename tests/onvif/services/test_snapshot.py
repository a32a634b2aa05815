"""Pictures by HTTP, over a real server and connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from onvifd.access.types import Account, Level
from onvifd.clock import SimulatedClock
from onvifd.errors import NotAuthorized, Unavailable
from onvifd.onvif.services.snapshot import Snapshots, add_routes

TOKEN = "cam-1a2b3c4d-main"


class Gate:
    """Lets in whoever names a level, and remembers what was to be verified."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def challenge(self, now: int, *, stale: bool = False) -> tuple[str, ...]:
        return (f'Digest realm="a", stale={str(stale).lower()}', 'Digest realm="b"')

    def verify(self, authorization: str, method: str, uri: str, now: int) -> Account:
        self.seen.append((method, uri))
        if authorization in ("stale", "wrong"):
            raise NotAuthorized("not let in", detail=authorization)
        return Account("x", Level(authorization))


@asynccontextmanager
async def serving(backend: Any, gate: Gate, **bounds: Any) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    app = web.Application()
    add_routes(app, Snapshots(backend, gate, SimulatedClock(), **bounds))
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield session, str(server.make_url("/onvif/snapshot/"))


async def test_picture(body: Any, sample: ModuleType) -> None:
    gate = Gate()
    async with (
        serving(body, gate) as (session, base),
        session.get(base + TOKEN, headers={"Authorization": "User"}) as answer,
    ):
        assert answer.status == 200
        assert answer.content_type == "image/jpeg"
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.read() == sample.JPEG
    assert gate.seen == [("GET", f"/onvif/snapshot/{TOKEN}")]


@pytest.mark.parametrize(
    ("authorization", "status", "stale"), [(None, 401, "false"), ("wrong", 401, "false"), ("stale", 401, "true")]
)
async def test_challenge(body: Any, authorization: str | None, status: int, stale: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with serving(body, Gate()) as (session, base), session.get(base + TOKEN, headers=headers) as answer:
        assert answer.status == status
        assert answer.headers.getall("WWW-Authenticate") == [
            f'Digest realm="a", stale={stale}',
            'Digest realm="b"',
        ]
        assert (await answer.json(content_type="application/problem+json"))["status"] == status


async def test_account_without_the_right(body: Any) -> None:
    headers = {"Authorization": "Anonymous"}
    async with serving(body, Gate()) as (session, base), session.get(base + TOKEN, headers=headers) as answer:
        assert answer.status == 403
        assert "WWW-Authenticate" not in answer.headers


async def test_unknown_profile_and_other_methods(body: Any) -> None:
    headers = {"Authorization": "User"}
    async with serving(body, Gate()) as (session, base):
        async with session.get(base + "nothing", headers=headers) as answer:
            assert answer.status == 404
            assert json.loads(await answer.read())["title"] == "There is no such profile."
        async with session.post(base + TOKEN, headers=headers) as answer:
            assert answer.status == 405


class Slow:
    """A camera that gives no picture until told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def snapshot(self, profile_token: str) -> bytes:
        self.asked.set()
        await self.go.wait()
        raise Unavailable("the camera does not answer")


async def test_pictures_are_bounded_in_number_and_time() -> None:
    slow = Slow()
    snapshots = Snapshots(slow, Gate(), SimulatedClock(), max_active=1)  # type: ignore[arg-type]

    async def take() -> int:
        reply = await snapshots.handle(TOKEN, method="GET", target="/", authorization="User")
        return reply.status

    first = asyncio.create_task(take())
    await slow.asked.wait()
    assert await take() == 429
    slow.go.set()
    assert await first == 503
    slow.go.clear()
    hasty = Snapshots(slow, Gate(), SimulatedClock(), timeout=0.01)  # type: ignore[arg-type]
    reply = await hasty.handle(TOKEN, method="GET", target="/", authorization="User")
    assert reply.status == 504
