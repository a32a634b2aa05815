"""Downloads and the upload that GetSystemUris and StartSystemRestore lead to (Core 8.3.2, 8.3.5).

`SystemFiles` decides, `add_routes` ties it to aiohttp. Callers are authenticated by HTTP Digest; what an operation of the device
service would ask of their level is asked here too.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from onvifd.access.digest import DigestRejected, DigestVerifier
from onvifd.access.types import AccessClass, Account, may
from onvifd.clock import Clock
from onvifd.errors import BadInput, Forbidden, InvalidArgument, LimitReached, NotFound, OnvifdError
from onvifd.onvif.device_backend import Download, LogKind, SystemControl

logger = logging.getLogger(__name__)

SYSTEM_PATH = "/onvif/system"
SYSTEM_LOG, ACCESS_LOG, SUPPORT, BACKUP, RESTORE = (
    f"{SYSTEM_PATH}/{name}" for name in ("log/system", "log/access", "support", "backup", "restore")
)
MAX_UPLOAD = 32 << 20
"""Octets of a backup that is accepted."""
UPLOAD_TIMEOUT = 60.0
"""Seconds an upload may take."""
MAX_ACTIVE = 2
"""Files in work at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReply:
    """What to answer."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    headers: tuple[tuple[str, str], ...] = ()


class SystemFiles:
    def __init__(self, system: SystemControl, digest: DigestVerifier, clock: Clock) -> None:
        self._system = system
        self._digest = digest
        self._clock = clock
        self._active = 0

    async def get(self, path: str, *, target: str, authorization: str | None, peer: str) -> FileReply:
        """A file. `target` is the request target as sent, for the digest."""
        try:
            account = self._authorize("GET", target, authorization, peer, AccessClass.READ_SYSTEM_SECRET)
            with _Slot(self):
                found = await self._make(path)
        except OnvifdError as error:
            return self.problem(error)
        logger.info("%s at %s has fetched %s", account.name, peer, found.name)
        kept = (hdrs.CONTENT_DISPOSITION, f'attachment; filename="{found.name}"')
        return FileReply(
            status=200,
            content_type=found.content_type,
            body=found.data,
            headers=((hdrs.CACHE_CONTROL, "no-store"), kept),
        )

    async def _make(self, path: str) -> Download:
        match path:
            case _ if path == SYSTEM_LOG:
                return await self._system.log(LogKind.SYSTEM)
            case _ if path == ACCESS_LOG:
                return await self._system.log(LogKind.ACCESS)
            case _ if path == SUPPORT:
                return await self._system.support()
            case _ if path == BACKUP:
                return await self._system.backup()
        raise NotFound("There is no such file.")

    def admit(self, *, target: str, authorization: str | None, peer: str) -> Account:
        """Who wants to upload a backup. To be asked before its body is read. Raises OnvifdError."""
        return self._authorize("POST", target, authorization, peer, AccessClass.UNRECOVERABLE)

    async def restore(self, archive: bytes, account: Account, peer: str) -> FileReply:
        """Core 8.3.5: 415 for a file that is no backup, 500 if something else is wrong."""
        try:
            with _Slot(self):
                await self._system.restore(archive)
        except InvalidArgument as error:
            logger.warning("%s at %s has sent a backup that cannot be used: %s", account.name, peer, error.reason)
            return self.problem(error, status=415)
        except LimitReached as error:
            return self.problem(error)
        except OnvifdError as error:
            return self.problem(error, status=500)
        logger.warning("%s at %s has restored a backup", account.name, peer)
        return FileReply(status=200, content_type="text/plain", body=b"The backup is taken over; restarting.\n")

    def _authorize(
        self, method: str, target: str, authorization: str | None, peer: str, access: AccessClass
    ) -> Account:
        if authorization is None:
            raise DigestRejected("authentication is required")
        account = self._digest.verify(authorization, method, target, self._clock.monotonic(), peer=peer)
        if not may(account.level, access):
            logger.warning("%s at %s may not use %s", account.name, peer, target)
            raise Forbidden("the account's level does not allow this")
        return account

    def problem(self, error: OnvifdError, status: int | None = None) -> FileReply:
        """An error as RFC 9457 problem details."""
        headers: tuple[tuple[str, str], ...] = ()
        if isinstance(error, DigestRejected):
            values = self._digest.challenges(self._clock.monotonic(), error.stale)
            headers = tuple((hdrs.WWW_AUTHENTICATE, value) for value in values)
        code = status or (404 if type(error) is BadInput else error.http_status)
        body = json.dumps({"title": error.reason, "status": code}).encode()
        return FileReply(status=code, content_type="application/problem+json", body=body, headers=headers)

    def enter(self) -> None:
        if self._active >= MAX_ACTIVE:
            raise LimitReached("too many files are asked for at once")
        self._active += 1

    def leave(self) -> None:
        self._active -= 1


class _Slot:
    """One of the files in work."""

    def __init__(self, files: SystemFiles) -> None:
        self._files = files

    def __enter__(self) -> None:
        self._files.enter()

    def __exit__(self, *_: object) -> None:
        self._files.leave()


def add_routes(app: web.Application, files: SystemFiles) -> None:
    """Serve everything below `SYSTEM_PATH`."""

    async def get(request: web.Request) -> web.Response:
        return _response(
            await files.get(
                request.path,
                target=request.raw_path,
                authorization=request.headers.get(hdrs.AUTHORIZATION),
                peer=_peer(request),
            )
        )

    async def post(request: web.Request) -> web.Response:
        try:
            account = files.admit(
                target=request.raw_path, authorization=request.headers.get(hdrs.AUTHORIZATION), peer=_peer(request)
            )
            body = await _read(request)
        except OnvifdError as error:
            response = _response(files.problem(error, 413 if isinstance(error, InvalidArgument) else None))
            response.force_close()  # what is left of the body is not read
            return response
        return _response(await files.restore(body, account, _peer(request)))

    for path in (SYSTEM_LOG, ACCESS_LOG, SUPPORT, BACKUP):
        app.router.add_get(path, get)
    app.router.add_post(RESTORE, post)


async def _read(request: web.Request) -> bytes:
    """The whole body. Raises InvalidArgument when it is too long, BadInput when it does not come."""
    too_long = InvalidArgument(f"more than {MAX_UPLOAD} octets")
    if request.content_length is not None and request.content_length > MAX_UPLOAD:
        raise too_long
    parts = bytearray()
    try:
        async with asyncio.timeout(UPLOAD_TIMEOUT):
            async for chunk in request.content.iter_any():
                parts += chunk
                if len(parts) > MAX_UPLOAD:
                    raise too_long
    except (TimeoutError, HttpProcessingError, web.RequestPayloadError, ValueError) as error:
        raise BadInput("the body cannot be read") from error
    return bytes(parts)


def _peer(request: web.Request) -> str:
    transport = request.transport
    peer = transport.get_extra_info("peername") if transport is not None else None
    return str(peer[0]) if isinstance(peer, tuple) else ""


def _response(reply: FileReply) -> web.Response:
    response = web.Response(status=reply.status, body=reply.body)
    response.headers[hdrs.CONTENT_TYPE] = reply.content_type
    for name, value in reply.headers:
        response.headers.add(name, value)
    return response
