"""Pictures by HTTP: what the addresses of GetSnapshotUri lead to (Media2 5.5.1).

`Snapshots` decides, `add_routes` ties it to aiohttp.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from onvifd.access.digest import DigestRejected, DigestVerifier
from onvifd.access.types import AccessClass, may
from onvifd.clock import Clock
from onvifd.errors import Forbidden, LimitReached, OnvifdError, Timeout
from onvifd.onvif.backend import MediaBackend
from onvifd.onvif.services.common import SNAPSHOT_PATH

logger = logging.getLogger(__name__)

SNAPSHOT_TIMEOUT = 10.0
"""Seconds until a picture must be there."""
MAX_ACTIVE = 32
"""Pictures in work at once; each may mean the decoding of a key frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotReply:
    """What to answer to a request for a picture."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()


class Snapshots:
    """Serves pictures of profiles to accounts that may read media, authenticated by HTTP Digest."""

    def __init__(
        self,
        backend: MediaBackend,
        digest: DigestVerifier,
        clock: Clock,
        *,
        timeout: float = SNAPSHOT_TIMEOUT,
        max_active: int = MAX_ACTIVE,
    ) -> None:
        self._backend = backend
        self._digest = digest
        self._clock = clock
        self._timeout = timeout
        self._max_active = max_active
        self._active = 0

    async def handle(
        self, token: str, *, method: str, target: str, authorization: str | None, peer: str = ""
    ) -> SnapshotReply:
        """The picture of a profile, or what stands in its way. `target` is the request target as sent, for the digest."""
        try:
            self._authorize(method, target, authorization, peer)
            picture = await self._take(token)
        except DigestRejected as error:
            values = self._digest.challenges(self._clock.monotonic(), error.stale)
            return _problem(error, tuple((hdrs.WWW_AUTHENTICATE, value) for value in values))
        except OnvifdError as error:
            return _problem(error)
        return SnapshotReply(
            status=200, content_type="image/jpeg", body=picture, headers=((hdrs.CACHE_CONTROL, "no-store"),)
        )

    def _authorize(self, method: str, target: str, authorization: str | None, peer: str) -> None:
        if authorization is None:
            raise DigestRejected("authentication is required")
        account = self._digest.verify(authorization, method, target, self._clock.monotonic(), peer=peer)
        if not may(account.level, AccessClass.READ_MEDIA):
            raise Forbidden("the account's level does not allow pictures")

    async def _take(self, token: str) -> bytes:
        if self._active >= self._max_active:
            raise LimitReached("too many pictures are asked for at once")
        self._active += 1
        try:
            async with asyncio.timeout(self._timeout) as limit:
                return await self._backend.snapshot(token)
        except TimeoutError:
            if not limit.expired():
                raise
            logger.warning("no picture of %.64s within %g s", token, self._timeout)
            raise Timeout("no picture was ready in time") from None
        finally:
            self._active -= 1


def _problem(error: OnvifdError, headers: tuple[tuple[str, str], ...] = ()) -> SnapshotReply:
    """An error as RFC 9457 problem details."""
    body = json.dumps({"title": error.reason, "status": error.http_status}).encode()
    return SnapshotReply(status=error.http_status, content_type="application/problem+json", body=body, headers=headers)


def add_routes(app: web.Application, snapshots: Snapshots) -> None:
    """Serve pictures below `SNAPSHOT_PATH`."""

    async def get(request: web.Request) -> web.Response:
        reply = await snapshots.handle(
            request.match_info["token"],
            method=request.method,
            target=request.raw_path,
            authorization=request.headers.get(hdrs.AUTHORIZATION),
            peer=request.remote or "",
        )
        response = web.Response(status=reply.status, body=reply.body, content_type=reply.content_type)
        for name, value in reply.headers:
            response.headers.add(name, value)
        return response

    app.router.add_get(SNAPSHOT_PATH + "/{token}", get)
