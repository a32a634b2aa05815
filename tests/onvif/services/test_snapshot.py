"""Pictures by HTTP, over a real server and connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from onvifd.access.digest import ClientDigest, DigestVerifier, make_ha1
from onvifd.access.types import Account, Credential, Level
from onvifd.clock import SimulatedClock
from onvifd.errors import Unavailable
from onvifd.onvif.services.snapshot import Snapshots, add_routes

TOKEN = "cam-1a2b3c4d-main"


REALM = "onvifd"


def _lookup(name: str) -> Credential | None:
    levels = {str(level).lower(): level for level in Level}
    if name not in levels:
        return None
    return Credential(account=Account(name, levels[name]), ha1=make_ha1(name, REALM, "secret"))


class Viewer:
    """A client of a real server. `signed` is the Authorization of a request, `learn` asks for a challenge first."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base
        self._digest = ClientDigest("user", "secret")

    async def learn(self, user: str = "user", password: str = "secret") -> None:
        self._digest = ClientDigest(user, password)
        async with self._session.get(self._base + TOKEN) as answer:
            assert answer.status == 401
            assert "image" not in answer.content_type
            self._digest.receive_challenge(answer.headers.getall("WWW-Authenticate"))

    def signed(self, token: str = TOKEN, method: str = "GET") -> dict[str, str]:
        return {"Authorization": self._digest.authorization(method, f"/onvif/snapshot/{token}") or ""}

    async def ask(
        self, token: str = TOKEN, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        headers = self.signed(token, method) if headers is None else headers
        async with self._session.request(method, self._base + token, headers=headers) as answer:
            return answer, await answer.read()


@asynccontextmanager
async def serving(backend: Any, clock: SimulatedClock | None = None) -> AsyncIterator[Viewer]:
    app = web.Application()
    add_routes(app, Snapshots(backend, DigestVerifier(REALM, _lookup), clock or SimulatedClock()))
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield Viewer(session, str(server.make_url("/onvif/snapshot/")))


@pytest.mark.covers("G-HTTPDigest", "M-HTTPDigest", "T-HTTPDigest", "T-media2-GetSnapshotUri")
async def test_picture_for_a_user_who_signs(body: Any, sample: ModuleType) -> None:
    async with serving(body) as viewer:
        await viewer.learn()
        answer, picture = await viewer.ask()
        assert answer.status == 200
        assert answer.content_type == "image/jpeg"
        assert answer.headers["Cache-Control"] == "no-store"
        assert picture == sample.JPEG


@pytest.mark.covers("G-HTTPDigest", "M-HTTPDigest", "T-HTTPDigest")
@pytest.mark.parametrize(("user", "password"), [("user", "wrong"), ("nobody", "secret")])
async def test_wrong_credentials_are_challenged_again(body: Any, user: str, password: str) -> None:
    async with serving(body) as viewer:
        await viewer.learn(user, password)
        answer, problem = await viewer.ask()
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Digest ")
        assert "stale" not in answer.headers["WWW-Authenticate"]
        assert answer.content_type == "application/problem+json"
        assert json.loads(problem)["status"] == 401


async def test_signature_for_another_picture_or_used_twice_is_refused(body: Any) -> None:
    async with serving(body) as viewer:
        await viewer.learn()
        other = viewer.signed("cam-1a2b3c4d-sub")
        assert (await viewer.ask(headers=other))[0].status == 401
        once = viewer.signed()
        assert (await viewer.ask(headers=once))[0].status == 200
        assert (await viewer.ask(headers=once))[0].status == 401


async def test_outdated_nonce_is_told_stale(body: Any) -> None:
    clock = SimulatedClock()
    async with serving(body, clock) as viewer:
        await viewer.learn()
        await clock.advance(3600)
        answer, _ = await viewer.ask()
        assert answer.status == 401
        assert "stale=true" in answer.headers["WWW-Authenticate"]


async def test_account_without_the_right(body: Any) -> None:
    async with serving(body) as viewer:
        await viewer.learn("anonymous")
        answer, _ = await viewer.ask()
        assert answer.status == 403
        assert "WWW-Authenticate" not in answer.headers


async def test_unknown_profile_and_other_methods(body: Any) -> None:
    async with serving(body) as viewer:
        await viewer.learn()
        answer, problem = await viewer.ask("nothing")
        assert answer.status == 404
        assert json.loads(problem)["title"] == "There is no such profile."
        assert (await viewer.ask(method="POST"))[0].status == 405


class Slow:
    """A camera that gives no picture until told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def snapshot(self, profile_token: str) -> bytes:
        self.asked.set()
        await self.go.wait()
        raise Unavailable("the camera does not answer")


def _signer(digest: DigestVerifier, clock: SimulatedClock) -> Callable[[], str]:
    client = ClientDigest("user", "secret")
    client.receive_challenge([digest.challenge(clock.monotonic())])
    return lambda: client.authorization("GET", "/p") or ""


async def test_pictures_are_bounded_in_number_and_time() -> None:
    slow, clock, digest = Slow(), SimulatedClock(), DigestVerifier(REALM, _lookup)
    sign = _signer(digest, clock)

    async def take(snapshots: Snapshots) -> int:
        return (await snapshots.handle(TOKEN, method="GET", target="/p", authorization=sign())).status

    narrow = Snapshots(slow, digest, clock, max_active=1)  # type: ignore[arg-type]
    first = asyncio.create_task(take(narrow))
    await slow.asked.wait()
    assert await take(narrow) == 429
    slow.go.set()
    assert await first == 503
    slow.go.clear()
    assert await take(Snapshots(slow, digest, clock, timeout=0.01)) == 504  # type: ignore[arg-type]
