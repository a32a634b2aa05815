"""A NotificationConsumer (WS-BaseNotification 1.3, 3): where a device pushes what was subscribed to."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web
from lxml import etree

MAX_WAITING = 1000
MAX_BODY = 4 << 20
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


@dataclass(frozen=True, slots=True)
class Push:
    """One HTTP request that arrived at the consumer."""

    path: str
    host: str
    content: bytes
    root: Any
    """Root element; None where the content is no XML."""


@dataclass(slots=True)
class Consumer:
    """`async with Consumer(address, note) as consumer`; every instance has an address of its own."""

    local: str
    """Our address on the way to the device."""
    note: Callable[[str, str | bytes, str | bytes], None]
    path: str = field(default_factory=lambda: f"/consumer/{secrets.token_hex(8)}")
    url: str = ""
    _queue: asyncio.Queue[Push] = field(default_factory=lambda: asyncio.Queue(MAX_WAITING))
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Consumer:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.local, 0)
        await site.start()
        port = self._runner.addresses[0][1]
        host = f"[{self.local}]" if ":" in self.local else self.local
        self.url = f"http://{host}:{port}{self.path}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        content = await request.read()
        try:
            root = etree.fromstring(content, _PARSER)
        except etree.XMLSyntaxError:
            root = None
        self.note(f"{request.method} {request.path} from the device", content, "HTTP 202")
        if not self._queue.full():
            self._queue.put_nowait(Push(request.path, request.headers.get("Host", ""), content, root))
        return web.Response(status=202)

    async def next(self, deadline: float) -> Push | None:
        """The next push, or None when `deadline` (time.monotonic) passes."""
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        try:
            return await asyncio.wait_for(self._queue.get(), left)
        except TimeoutError:
            return None
