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
from onvifd.access.types import CredentialLookup
from onvifd.bodies.access import AccessControl
from onvifd.bodies.admission import Admission, TlsPeers
from onvifd.clock import Clock
from onvifd.onvif import server
from onvifd.onvif.backend import MediaBackend
from onvifd.onvif.services import snapshot
from onvifd.onvif.soap import envelope
from onvifd.onvif.soap.dispatch import Dispatcher, Service

log = logging.getLogger(__name__)

KEEP_ALIVE = 75.0
"""Seconds that an idle HTTP connection is kept."""

SHUTDOWN = 1.0
"""Seconds that requests under way get at the end; a blocking PullMessages must not hold up a stop."""

HANDSHAKE = 10.0
"""Seconds that a TLS handshake may take."""

BACKLOG = 512

MAX_CONNECTIONS = 512
"""HTTP connections at once; further ones are closed as soon as they are accepted."""

REFUSALS_LOGGED = 10.0
"""Seconds between two log lines about refused connections."""


class HttpFace:
    """Serves a body's services. `pages` adds further routes (status page); `created_window` is the allowed distance of a
    UsernameToken's Created from now in seconds. `access` brings locks, login periods and audit; `peers`
    judges the clients of TLS connections."""

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
        created_window: int = 300,
        access: AccessControl | None = None,
        peers: TlsPeers | None = None,
    ) -> None:
        self._peers = peers
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
        app = web.Application(client_max_size=envelope.MAX_BODY + 1)
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
        self._max_connections = max_connections
        self._refused_at = -REFUSALS_LOGGED
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Get ready to listen."""
        await self._runner.setup()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Serve on a port, 0 for a free one; gives the port. Raises OSError when it cannot bind."""
        server = await asyncio.get_running_loop().create_server(
            self._connection if tls is None else self._tls_connection,
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE if tls is not None else None,
            backlog=BACKLOG,
            reuse_address=True,
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _tls_connection(self) -> asyncio.Protocol:
        return self._connection() if self._peers is None else Admission(self._peers, self._connection)

    def _connection(self) -> asyncio.Protocol:
        """The protocol of a new connection, within the bound."""
        manager = self._runner.server
        if manager is None:
            return _Refused()
        if len(manager.connections) < self._max_connections:
            return manager()
        now = asyncio.get_running_loop().time()
        if now - self._refused_at >= REFUSALS_LOGGED:
            self._refused_at = now
            log.warning("all %d HTTP connections are in use: new ones are refused", self._max_connections)
        return _Refused()

    async def close(self) -> None:
        for listener in self._servers:
            listener.close()
        await self._runner.cleanup()


class _Refused(asyncio.Protocol):
    """A connection beyond the bound."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _Requests(logging.LoggerAdapter[logging.Logger]):
    """Requests that are no HTTP are the client's fault: one line instead of aiohttp's traceback."""

    def exception(self, msg: object, *args: object, exc_info: object = True, **more: Any) -> None:
        if isinstance(exc_info, HttpProcessingError | web.RequestPayloadError):
            reason = " ".join(str(exc_info).split())[:120]
            self.info("request refused: %s", reason)
        else:
            super().exception(msg, *args, exc_info=exc_info, **more)  # type: ignore[arg-type]
