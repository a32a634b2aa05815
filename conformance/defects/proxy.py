"""The proxy: every byte of a client goes to the device and back, except where the defect has its hand in it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from aiohttp import web
from lxml import etree

from conformance.auth import Digest, read_challenges
from conformance.defects.model import Answer, Defect, Exchange, Stage, body_of, succeed
from conformance.defects.responder import Description, Responder
from conformance.defects.stream import STREAMS, RtspRelay
from conformance.names import clark, findall, text
from conformance.soap import envelope

MAX_BODY = 16 << 20
_HOP = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "content-length", "expect", "upgrade", "te", "trailer")
)
_RELAY = "/relay/"
_URIS = ("trp:Uri", "trt:MediaUri/tt:Uri", "tr2:Uri")
"""Where answers have the addresses of streams."""
RESTARTS = frozenset(("SystemReboot", "SetSystemFactoryDefault"))
"""Requests that the device itself never sees: the proxy says Bye and Hello in its place."""


@dataclass(slots=True)
class Proxy:
    """`async with Proxy(url, user, password) as proxy`; `proxy.defect` may be changed at any time, None is a faithful proxy."""

    target: str
    """Device service of the device."""
    user: str = ""
    password: str = field(default="", repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    discovery_port: int = 0
    """Port of the responder; 0: no discovery."""
    defect: Defect | None = None
    responder: Responder | None = None
    url: str = ""
    _memory: dict[str, dict[str, Any]] = field(default_factory=dict)
    _relays: dict[str, tuple[str, Callable[[bytes], bytes]]] = field(default_factory=dict)
    _session: aiohttp.ClientSession | None = None
    _runner: web.AppRunner | None = None
    _digest: Digest | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _rtsp: RtspRelay | None = None

    async def __aenter__(self) -> Proxy:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=False, limit=512, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = self._runner.addresses[0][1]
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.url = f"http://{name}:{self.port}{urlsplit(self.target).path}"
        self._rtsp = RtspRelay(self.host)
        await self._rtsp.start()
        if self.discovery_port:
            self.responder = Responder(self.host, self.discovery_port)
            self.responder.description = await self._describe()
            await self.responder.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.responder is not None:
            await self.responder.stop()
        if self._rtsp is not None:
            await self._rtsp.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def seed(self, defect: Defect | None) -> None:
        """Have this defect from now on, with an empty memory."""
        self.defect = defect
        self._memory.clear()
        if self._rtsp is not None:
            self._rtsp.seed(STREAMS.get(defect.name) if defect is not None else None)
        if self.responder is not None:
            self.responder.defect = defect.discovery if defect is not None else ""

    # ---- exchanges ---------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.Response:
        content = await request.read()
        if request.path.startswith(_RELAY):
            return await self._pass_on(request.path.removeprefix(_RELAY), content, request)
        exchange = Exchange(request.method, request.raw_path, tuple(request.headers.items()), content)
        answer = await self._answer(exchange)
        response = web.Response(status=answer.status, body=answer.content)
        for name, value in answer.headers:
            if name.lower() == "content-type":
                response.headers[name] = value
            elif name.lower() not in _HOP and name.lower() not in ("date", "server"):
                response.headers.add(name, value)
        return response

    async def _answer(self, exchange: Exchange) -> Answer:
        operation = exchange.operation
        made = self.defect
        if made is not None and made.apply is not None and (not made.operations or operation in made.operations):
            memory = self._memory.setdefault(made.name, {})
            stage = Stage(self._forward, self.as_administrator, self._relay, memory)
            answer = await made.apply(exchange, stage)
        else:
            answer = await self._forward(exchange)
        if operation in ("GetReplayUri", "GetStreamUri") and answer.status == 200:
            answer = self._through_relay(answer)
        if operation in ("SetScopes", "AddScopes", "RemoveScopes", "SetDiscoveryMode") and answer.status == 200:
            await self._announce(operation)
        return answer

    def _through_relay(self, answer: Answer) -> Answer:
        """Have the client fetch streams through the relay."""
        root = answer.root
        body = body_of(root)
        for each in [uri for path in _URIS for uri in findall(body, path)]:
            target = urlsplit(text(each))
            if target.scheme == "rtsp" and target.hostname and self._rtsp is not None:
                # The device repeats the host that it was asked by, which is the proxy's.
                self._rtsp.target = (urlsplit(self.target).hostname or target.hostname, target.port or 554)
                name = f"[{self.host}]" if ":" in self.host else self.host
                each.text = urlunsplit(target._replace(netloc=f"{name}:{self._rtsp.port}"))
        return answer.with_root(root)

    async def _forward(self, exchange: Exchange) -> Answer:
        if exchange.operation in RESTARTS and self.responder is not None:
            return await self._restart(exchange)
        assert self._session is not None
        target = urlsplit(self.target)
        url = f"{target.scheme}://{target.netloc}{exchange.target}"
        headers = [(name, value) for name, value in exchange.headers if name.lower() not in _HOP]
        async with self._session.request(
            exchange.method, url, data=exchange.content or None, headers=headers, allow_redirects=False
        ) as response:
            return Answer(response.status, tuple(response.headers.items()), await response.read())

    async def as_administrator(self, exchange: Exchange) -> Answer:
        """The same request with the proxy's own credentials."""
        bare = exchange.without_credentials()
        for _ in range(2):
            headers = bare.headers
            if self._digest is not None:
                headers = (*headers, ("Authorization", self._digest.authorize(bare.method, bare.target)))
            answer = await self._forward(replace(bare, headers=headers))
            if answer.status != 401:
                return answer
            challenges = read_challenges(
                [value for name, value in answer.headers if name.lower() == "www-authenticate"]
            )
            known = [each for each in challenges if each.known]
            if not known:
                return answer
            self._digest = Digest(self.user, self.password, known[0])
        return answer

    async def _ask(self, body: str) -> Any:
        """A request of the proxy itself to the device service; the response element."""
        host = urlsplit(self.url).netloc
        headers = (("Host", host), ("Content-Type", "application/soap+xml; charset=utf-8"))
        answer = await self.as_administrator(Exchange("POST", urlsplit(self.target).path, headers, envelope(body)))
        return body_of(answer.root)

    # ---- pushed messages ---------------------------------------------------------------------------

    def _relay(self, address: str, change: Callable[[bytes], bytes]) -> str:
        token = secrets.token_hex(8)
        self._relays[token] = (address, change)
        return f"http://{urlsplit(self.url).netloc}{_RELAY}{token}"

    async def _pass_on(self, token: str, content: bytes, request: web.Request) -> web.Response:
        found = self._relays.get(token)
        if found is None or self._session is None:
            return web.Response(status=404)
        address, change = found
        headers = {"Content-Type": request.headers.get("Content-Type", "application/soap+xml")}
        async with self._session.post(address, data=change(content), headers=headers) as response:
            return web.Response(status=response.status)

    # ---- discovery ---------------------------------------------------------------------------------

    async def _describe(self) -> Description:
        answer = await self._ask("<tds:GetScopes/>")
        reference = (
            text(await self._ask("<tds:GetEndpointReference/>"), "tds:GUID")
            or "urn:uuid:00000000-0000-4000-8000-00000000dead"
        )
        scopes = tuple(text(each, "tt:ScopeItem") for each in findall(answer, "tds:Scopes"))
        mode = text(await self._ask("<tds:GetDiscoveryMode/>"), "tds:DiscoveryMode")
        return Description(reference, scopes, self.url, mode != "NonDiscoverable")

    async def _announce(self, operation: str) -> None:
        """The device changed what it says about itself."""
        if self.responder is None:
            return
        before, now = self.responder.description, await self._describe()
        self.responder.change(now, quiet=operation == "SetDiscoveryMode" and before.discoverable == now.discoverable)

    async def _restart(self, exchange: Exchange) -> Answer:
        """Whoever may read the accounts (READ_SYSTEM_SECRET) is an administrator and may restart; others get the device's own refusal."""
        assert self.responder is not None
        name, root = exchange.operation, exchange.root
        body = body_of(root)
        body.getparent().replace(body, etree.Element(clark("tds:GetUsers")))
        check = await self._forward(exchange.with_root(root))
        if check.status != 200:
            return check
        task = asyncio.create_task(self.responder.restart())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        inside = "<tds:Message>restarting</tds:Message>" if name == "SystemReboot" else ""
        return succeed(f"<tds:{name}Response>{inside}</tds:{name}Response>")
