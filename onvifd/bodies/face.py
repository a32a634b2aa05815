"""The HTTP face of a body: ONVIF services, snapshots and pages on one web server, in clear and by TLS."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from onvifd.access.digest import DigestVerifier
from onvifd.access.doorkeeper import Doorkeeper
from onvifd.access.types import CredentialLookup
from onvifd.bodies.access import AccessControl
from onvifd.bodies.admission import TlsPeers
from onvifd.bodies.gate import GateLimits, HttpGate
from onvifd.clock import Clock
from onvifd.onvif import server
from onvifd.onvif.backend import MediaBackend
from onvifd.onvif.services import snapshot
from onvifd.onvif.soap import envelope
from onvifd.onvif.soap.dispatch import Dispatcher, Service
from onvifd.web.problems import problems
from onvifd.workers.tunnels import Half, WebVisitor

log = logging.getLogger(__name__)

KEEP_ALIVE = 75.0
"""Seconds that an idle HTTP connection is kept."""

SHUTDOWN = 1.0
"""Seconds that requests under way get at the end; a blocking PullMessages must not hold up a stop."""

MAX_CONNECTIONS = 512
"""HTTP connections at once, TLS handshakes included; further ones are reset as soon as they are accepted."""

MAX_PER_ADDRESS = 256
"""HTTP connections at once from one address. A VMS with a waiting PullMessages for each of its cameras needs many."""


class HttpFace:
    """Serves a body's services. `pages` adds further routes (status page); `created_window` is the allowed distance of a
    UsernameToken's Created from now in seconds. `access` brings locks, login periods and audit; `peers`
    judges the clients of TLS connections; `permits` is the address filter; `tunnels` takes RTSP within HTTP and WebSocket."""

    def __init__(
        self,
        services: Iterable[Service],
        media: MediaBackend,
        *,
        lookup: CredentialLookup,
        realm: str,
        clock: Clock,
        pages: Callable[[web.Application, DigestVerifier], None] | None = None,
        max_connections: int = MAX_CONNECTIONS,
        max_per_address: int = MAX_PER_ADDRESS,
        permits: Callable[[str], bool] = lambda address: True,
        limits: GateLimits | None = None,
        created_window: int = 300,
        access: AccessControl | None = None,
        peers: TlsPeers | None = None,
        tunnels: Callable[[Half | WebVisitor], None] | None = None,
    ) -> None:
        verifier = access.verifier if access is not None else DigestVerifier(realm, lookup)
        dispatcher = Dispatcher(
            services,
            lookup=lookup,
            clock=clock,
            digest=verifier,
            created_window=created_window,
            gate=access.gate if access is not None else None,
            observer=access,
        )
        keeper = Doorkeeper(total=max_connections, per_address=max_per_address, permits=permits)
        self._gate = HttpGate(self._protocol, keeper, limits=limits, peers=peers, tunnels=tunnels)
        app = web.Application(client_max_size=envelope.MAX_BODY + 1, middlewares=[self._gate.middleware, problems])
        app[server.ADMITTED] = self._gate.admitted
        if access is not None:
            access.attach(self._gate)
        if peers is not None:
            app[server.CERTIFICATE_USER] = peers.user
        app.on_response_prepare.append(_anonymous)
        snapshot.add_routes(app, snapshot.Snapshots(media, verifier, clock))
        if pages is not None:
            pages(app, verifier)
        server.add_routes(app, dispatcher)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
            shutdown_timeout=SHUTDOWN,
            handler_cancellation=True,  # a client that went away need not be waited for
            logger=_Requests(logging.getLogger("aiohttp.server"), {}),
        )

    async def start(self) -> None:
        """Get ready to listen."""
        await self._runner.setup()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Serve on a port, 0 for a free one; gives the port. Raises OSError when it cannot bind."""
        return self._gate.listen(host, port, tls)

    def unlisten(self, port: int) -> None:
        """Take no further connections on a port; those that stand go on."""
        self._gate.unlisten(port)

    def _protocol(self) -> asyncio.Protocol | None:
        return None if self._runner.server is None else self._runner.server()

    async def close(self) -> None:
        await self._gate.close()
        await self._runner.cleanup()


async def _anonymous(request: web.Request, response: web.StreamResponse) -> None:
    """The versions of what serves are nobody's business."""
    response.headers["Server"] = "onvifd"


class _Requests(logging.LoggerAdapter[logging.Logger]):
    """Requests that are no HTTP are the client's fault: one line instead of aiohttp's traceback."""

    def exception(self, msg: object, *args: object, exc_info: object = True, **more: Any) -> None:
        if isinstance(exc_info, HttpProcessingError | web.RequestPayloadError):
            reason = " ".join(str(exc_info).split())[:120]
            self.info("request refused: %s", reason)
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)  # type: ignore[arg-type]
