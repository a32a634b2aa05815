"""A device of a few answers, for tests of the examiner itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from conformance.soap import envelope

Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


def soap_answer(body: str, status: int = 200, content_type: str = "application/soap+xml") -> web.Response:
    return web.Response(body=envelope(body), status=status, headers={"Content-Type": content_type})


@dataclass
class Device:
    """`answer` decides; `seen` keeps what arrived."""

    url: str = ""
    answer: Answer | None = None
    seen: list[tuple[web.Request, bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        self.seen.append((request, content))
        assert self.answer is not None
        return await self.answer(request, content)
