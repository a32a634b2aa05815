"""The HTTP face of a body: ONVIF services, snapshots and pages on one web server, in clear and by TLS."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable

from aiohttp import web

from onvifd.access.digest import DigestVerifier
from onvifd.access.types import CredentialLookup
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

BACKLOG = 512


class HttpFace:
    """Serves a body's services. `pages` adds further routes (status page)."""

    def __init__(
        self,
        services: Iterable[Service],
        media: MediaBackend,
        *,
        lookup: CredentialLookup,
        realm: str,
        clock: Clock,
        pages: Callable[[web.Application, DigestVerifier], None] | None = None,
    ) -> None:
        verifier = DigestVerifier(realm, lookup)
        dispatcher = Dispatcher(services, lookup=lookup, clock=clock, digest=verifier)
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
        )

    async def start(self) -> None:
        """Get ready to listen."""
        await self._runner.setup()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Serve on a port, 0 for a free one; gives the port. Raises OSError when it cannot bind."""
        site = web.TCPSite(self._runner, host, port, ssl_context=tls, backlog=BACKLOG, reuse_address=True)
        await site.start()
        sockets = self._runner.addresses
        return int(sockets[-1][1])

    async def close(self) -> None:
        await self._runner.cleanup()
