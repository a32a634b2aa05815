"""RTSP over HTTP as a client: a GET that brings what the camera says and a POST that takes what we say, in base64.

Both carry the same x-sessioncookie. Authentication normally is inside, at RTSP; cameras that ask for it at HTTP get it.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import secrets
import ssl
from collections.abc import Callable
from typing import Any, cast

from onvifd.access.digest import ClientDigest, split_challenges
from onvifd.errors import NotAuthorized, NotSupported, Timeout, Unavailable
from onvifd.rtsp.client_connection import MAX_UNSENT, Connection
from onvifd.rtsp.client_session import USER_AGENT, BasicRefused, NotUnderstood
from onvifd.rtsp.poller import ReadPoller

log = logging.getLogger(__name__)

POST_LENGTH = 32_767
"""The Content-Length that every such client has given since the first; servers take what goes beyond."""


class _Post(asyncio.Protocol):
    """The connection of the POST: what the camera answers on it means nothing."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None


class Tunnel:
    """Opens both connections; `check` judges the certificate of each (TLS), `context` is None for plain HTTP. `basic` is
    whether the password may be sent in clear then."""

    def __init__(
        self,
        host: str,
        port: int,
        path: str,
        user: str,
        password: str,
        context: ssl.SSLContext | None,
        check: Callable[[Any], None],
        *,
        basic: bool = True,
    ) -> None:
        self._address = (host, port)
        self._path = path or "/"
        self._host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._digest = ClientDigest(user, password, allow_basic=basic or context is not None) if user else None
        self._context = context
        self._check = check
        self._cookie = secrets.token_hex(11)
        self._post: _Post | None = None
        self._waiting = bytearray()
        self._opening: asyncio.Task[None] | None = None
        self._connection: Connection | None = None

    async def open(self, poller: ReadPoller | None) -> Connection:
        """The connection of the GET, ready for the conversation. Raises Unavailable, NotAuthorized or OSError."""
        for attempt in range(2):
            connection = Connection(None if self._context else poller, http=True)
            await self._connect(lambda made=connection: made)  # type: ignore[misc]
            assert connection.transport is not None
            connection.transport.write(self._head("GET", "Accept: application/x-rtsp-tunnelled\r\n"))
            head = await self._answer(connection)
            try:
                status = self._status(head)
            except NotUnderstood:
                connection.fail("no HTTP")
                raise
            if status == 200:
                break
            connection.fail("refused")
            if status != 401:
                raise NotUnderstood(f"camera answers the HTTP tunnel with {status}")
            self._challenged(head, again=attempt > 0)
        else:
            raise NotAuthorized("camera refuses the user name or password")
        self._connection = connection
        try:
            self._post = await self._open_post()
        except BaseException:
            connection.fail("given up")
            raise
        connection.way_out = self.send
        return connection

    @staticmethod
    async def _answer(connection: Connection) -> bytes:
        """The head of what the GET is answered. Raises Unavailable."""
        try:
            await asyncio.wait((connection.http_head, connection.lost), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            connection.fail("given up")
            raise
        if connection.http_head.done() and not connection.http_head.cancelled():
            return connection.http_head.result()
        raise Unavailable(connection.lost.result())

    @staticmethod
    def _status(head: bytes) -> int:
        match = re.match(rb"(?:HTTP|RTSP)/\d\.\d\s+(\d{3})", head)
        if match is None:
            raise NotUnderstood("what answers the HTTP tunnel is no HTTP")
        return int(match.group(1))

    def _challenged(self, head: bytes, *, again: bool) -> None:
        values = re.findall(rb"(?im)^www-authenticate\s*:\s*([^\r\n]+)", head)
        if self._digest is None or not values:
            raise NotAuthorized("camera asks for credentials")
        challenges = [value.decode("latin-1") for value in values]
        try:
            hopeful = self._digest.receive_challenge(challenges)
        except NotSupported as error:
            if any(scheme == "basic" for scheme, _ in split_challenges(challenges)):
                raise BasicRefused from None
            raise NotUnderstood(error.reason) from None
        if again and not hopeful:
            raise NotAuthorized("camera refuses the user name or password")

    def _head(self, method: str, more: str) -> bytes:
        lines = (
            f"{method} {self._path} HTTP/1.0\r\nHost: {self._host}\r\nUser-Agent: {USER_AGENT}\r\n"
            f"x-sessioncookie: {self._cookie}\r\n{more}Pragma: no-cache\r\nCache-Control: no-cache\r\n"
        )
        authorization = self._digest.authorization(method, self._path) if self._digest else None
        if authorization:
            lines += f"Authorization: {authorization}\r\n"
        return (lines + "\r\n").encode("utf-8", "surrogateescape")

    @property
    def challenged(self) -> bool:
        """Whether the camera has asked for a login at HTTP, in a way that we answer."""
        return self._digest is not None and bool(self._digest.scheme)

    @property
    def offered_digest(self) -> bool:
        """Whether the camera has asked for Digest at HTTP."""
        return self._digest is not None and self._digest.scheme == "digest"

    @property
    def unsent(self) -> int:
        """Bytes of ours that wait for the camera."""
        post = self._post
        return len(self._waiting) + (post.transport.get_write_buffer_size() if post and post.transport else 0)

    async def _connect(self, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.BaseTransport:
        loop = asyncio.get_running_loop()
        host, port = self._address
        name = host if self._context is not None else None
        transport, _ = await loop.create_connection(factory, host, port, ssl=self._context, server_hostname=name)
        if self._context is not None:
            try:
                self._check(transport.get_extra_info("ssl_object"))
            except Unavailable:
                transport.abort()
                raise
        return transport

    async def _open_post(self) -> _Post:
        post = _Post()
        await self._connect(lambda: post)
        if post.transport is None:
            raise Unavailable("the camera closed the connection")
        more = f"Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: {POST_LENGTH}\r\nExpires: Sun, 9 Jan 1972 00:00:00 GMT\r\n"
        post.transport.write(self._head("POST", more))
        return post

    def send(self, data: bytes) -> None:
        """One message. Cameras that close the POST behind each get another one."""
        encoded = base64.b64encode(data)
        post = self._post
        if post is not None and post.transport is not None and self._opening is None:
            post.transport.write(encoded)
            if post.transport.get_write_buffer_size() > MAX_UNSENT and self._connection is not None:
                self._connection.fail("the camera does not read")
            return
        if len(self._waiting) > MAX_UNSENT:
            return
        self._waiting += encoded
        if self._opening is None:
            self._opening = asyncio.create_task(self._reopen())

    async def _reopen(self) -> None:
        try:
            async with asyncio.timeout(10):
                self._post = await self._open_post()
        except (OSError, TimeoutError, Unavailable, Timeout) as error:
            if self._connection is not None:
                self._connection.fail(f"the camera closed the tunnel: {error}")
        else:
            if self._post.transport is not None:
                self._post.transport.write(bytes(self._waiting))
        finally:
            self._waiting.clear()
            self._opening = None

    async def close(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        if self._post is not None and self._post.transport is not None:
            self._post.transport.close()
