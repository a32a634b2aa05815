"""Errors of the API that no handler makes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from onvifd.web.problems import problems

Client = TestClient[web.Request, web.Application]


async def good(request: web.Request) -> web.Response:
    return web.json_response({})


async def broken(request: web.Request) -> web.Response:
    raise RuntimeError("a secret of the inside")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application(middlewares=[problems])
    app.router.add_get("/api/good", good)
    app.router.add_get("/api/broken", broken)
    app.router.add_get("/page", good)
    async with TestClient(TestServer(app)) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/nothing", 404), ("PUT", "/api/good", 405), ("GET", "/api/broken", 500)],
)
async def test_every_error_of_the_api_is_a_problem(client: Client, method: str, path: str, status: int) -> None:
    reply = await client.request(method, path)
    assert (reply.status, reply.content_type) == (status, "application/problem+json")
    body = await reply.json()
    assert body["status"] == status
    assert "secret" not in str(body)
    assert ("Allow" in reply.headers) == (status == 405)


async def test_what_is_good_and_what_is_no_api_stays(client: Client) -> None:
    assert (await client.get("/api/good")).status == 200
    reply = await client.get("/nothing")
    assert (reply.status, reply.content_type) == (404, "text/plain")
