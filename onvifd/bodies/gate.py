"""The gate before the web server: takes connections within bounds, and ends those that waste them.

The web server itself bounds the single line, the number of header fields and idle connections; here is what it does not
bound: TLS handshakes, connections per address, the time and size of a request's head, the pace of its body, and how long a
client may leave an answer unread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import StreamReader, web

from onvifd.access.doorkeeper import Doorkeeper, bind
from onvifd.bodies.admission import TlsPeers
from onvifd.bodies.tls_transport import TlsProtocol, TlsTransport
from onvifd.rtsp import tunnel, websocket
from onvifd.rtsp.tunnel import TunnelHead
from onvifd.workers.frontdoor import closing
from onvifd.workers.streams import shake_hands
from onvifd.workers.tunnels import Half, WebVisitor

log = logging.getLogger(__name__)

BACKLOG = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """What one connection may take; seconds and octets."""

    handshake: float = 10.0
    head: float = 15.0
    """From the connection, or from the first octet of a further request, to the end of the request's head."""
    head_size: int = 64 << 10
    pace_window: float = 15.0
    pace: int = 1 << 10
    """Octets per second that a body must come at, seen over each window."""
    dismissal: float = 2.0
    """What a request under way still gets when its connection is no longer allowed; it may be the one that asked for that."""
    unread: float = 30.0
    """How long the client's system may take none of an answer (TCP_USER_TIMEOUT)."""


_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_END_OF_HEAD = b"\r\n\r\n"


class HttpGate:
    """Listens, and puts a watched connection before each protocol that `make` gives (None: not ready)."""

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol | None],
        keeper: Doorkeeper,
        *,
        limits: GateLimits | None = None,
        peers: TlsPeers | None = None,
        tunnels: Callable[[Half | WebVisitor], None] | None = None,
    ) -> None:
        self.tunnels = tunnels
        """Takes the connections of RTSP within HTTP (Streaming 5.1.1.5) and within WebSocket (Streaming 7)."""
        self.limits = limits or GateLimits()
        self.keeper = keeper
        self._make = make
        self._peers = peers
        self._listeners: dict[int, list[tuple[socket.socket, asyncio.Task[None]]]] = {}
        """By port: each socket with the task that accepts on it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: dict[asyncio.Protocol, _Connection] = {}

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Serve on a port, 0 for a free one; gives the port. Raises OSError when it cannot bind."""
        sockets = bind(host, port, BACKLOG)
        number = int(sockets[0].getsockname()[1])
        self._listeners[number] = [(sock, self._own(self._accept(sock, tls))) for sock in sockets]
        return number

    def unlisten(self, port: int) -> None:
        """Take no further connections on a port; those that stand go on."""
        for sock, task in self._listeners.pop(port, ()):
            # The loop watches the socket until the task has ended.
            task.add_done_callback(closing(sock))
            task.cancel()

    async def close(self) -> None:
        """Listen no more, drop handshakes. Connections that stand are for the web server to end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listeners in self._listeners.values():
            for sock, _ in listeners:
                sock.close()
        self._listeners.clear()

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Tells the connection where a request begins and ends. The address filter holds for connections that stand, too."""
        connection = self._connections.get(request.protocol)
        if connection is None:
            return await handler(request)
        if not self.keeper.permits(connection.address):
            response = web.Response(status=403)
            response.force_close()
            return response
        connection.begin(request.content)
        try:
            answer = await handler(request)
        finally:
            connection.end()
        if connection.dismissed:
            answer.force_close()
        return answer

    def admitted(self, request: web.Request, account: str) -> None:
        """The ONVIF account that a request comes from."""
        connection = self._connections.get(request.protocol)
        if connection is not None:
            connection.account = account

    def expel(self, refusal: Callable[[str, str], str]) -> None:
        """End the connections that `refusal` gives a reason against; it is asked with the account of the last request (empty
        for none) and the address."""
        for connection in list(self._connections.values()):
            if reason := refusal(connection.account, connection.address):
                log.info("HTTP: %s is cut: %s", connection.address, reason)
                connection.dismiss()

    # ---- accepting

    def _own(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, peer = await loop.sock_accept(listener)
            except OSError as error:
                # Out of file descriptors: those who are connected must not suffer from those who want to be.
                log.error("HTTP port cannot accept: %s", error)
                await asyncio.sleep(0.2)
                continue
            address = str(peer[0])
            refusal = self.keeper.enter(address)
            if refusal is None:
                self._own(self._serve(client, address, tls))
            else:
                refuse(client)
                if line := self.keeper.note(refusal, address, loop.time()):
                    log.warning("HTTP: %s", line)
            await asyncio.sleep(0)  # a queue of connections must not keep the loop from those who are in

    async def _serve(self, client: socket.socket, address: str, tls: ssl.SSLContext | None) -> None:
        connection = _Connection(self, address)
        try:
            inner = self._make()
            if inner is None:
                refuse(client)
                return
            connection.inner = inner
            set_patience(client, self.limits.unread)
            outer: asyncio.Protocol = connection
            if tls is not None:
                outer = TlsProtocol(await shake_hands(client, tls, self.limits.handshake), connection)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: outer, client)
        except (OSError, ValueError) as error:  # ssl.SSLError and TimeoutError are of the first kind
            log.debug("HTTP: connection from %s: %s", address, error)
        finally:
            if not connection.made:
                client.close()
                self.keeper.leave(address)

    def kept_out(self, transport: asyncio.BaseTransport, address: str) -> bool:
        """Whether a TLS client is refused for its certificate."""
        ssl_object = transport.get_extra_info("ssl_object")
        if self._peers is None or ssl_object is None:
            return False
        reason = self._peers.refusal(ssl_object)
        if reason is not None:
            log.warning("TLS client %s is kept out: %s", address, reason)
        return reason is not None

    def opened(self, connection: _Connection) -> None:
        self._connections[connection.inner] = connection

    def closed(self, connection: _Connection) -> None:
        self._connections.pop(connection.inner, None)
        self.keeper.leave(connection.address)


class _Connection(asyncio.Protocol):
    """One connection: passes everything on to the web server's protocol and watches what comes."""

    inner: asyncio.Protocol

    def __init__(self, gate: HttpGate, address: str) -> None:
        self.address = address
        self.account = ""
        self.made = False
        self.dismissed = False
        self._gate = gate
        self._limits = gate.limits
        self._transport: asyncio.Transport | None = None
        self._forward = False
        self._busy = False
        self._head = 0
        self._head_done = False
        self._tail = b""
        self._content: StreamReader | None = None
        self._arrived = 0
        self._timer: asyncio.TimerHandle | None = None
        self._first: bytearray | None = bytearray() if gate.tunnels is not None else None
        """What came before it is known whether this is a tunnel; None once it is."""

    # ---- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = True
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        if self._gate.kept_out(transport, self.address):
            self._transport.abort()
            return
        self._gate.opened(self)
        self._arm(self._limits.head, self._head_is_late)
        if self._first is None:
            self._begin(self._transport)

    def _begin(self, transport: asyncio.Transport) -> None:
        """The connection is one for the web server."""
        self._forward = True
        self.inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._gate.closed(self)
        if self._forward:
            self.inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._first is not None:
            self._first += data
            if self._may_be_tunnel(self._first):
                return
            data, self._first = bytes(self._first), None
            self._begin(self._transport)
        if not self._forward:
            return
        if not self._busy and (self._content is None or self._content.is_eof()) and not self._take_head(data):
            self._answer(_TOO_LARGE)
            return
        self.inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self._forward else None

    def pause_writing(self) -> None:
        if self._forward:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        if self._forward:
            self.inner.resume_writing()

    # ---- RTSP within HTTP

    def _may_be_tunnel(self, first: bytearray) -> bool:
        """Whether the web server must not see these bytes: they may yet begin a tunnel, or they did and it was taken."""
        end = first.find(_END_OF_HEAD)
        if end < 0:
            return tunnel.may_be_http(bytes(first[:5])) and len(first) <= tunnel.MAX_HEAD
        head = bytes(first[: end + 2])
        asked = tunnel.tunnel_head(head) or websocket.upgrade(head)
        if asked is None:
            return False
        self._tunnel(asked, bytes(first[end + len(_END_OF_HEAD) :]))
        return True

    def _tunnel(self, asked: TunnelHead | websocket.Upgrade, rest: bytes) -> None:
        """The connection is one of a tunnel or WebSocket: it leaves the web server, as a socket with its TLS."""
        transport, tunnels = self._transport, self._gate.tunnels
        if transport is None or tunnels is None:
            return
        self._disarm()
        local = str(transport.get_extra_info("sockname")[0])
        sock = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        # A client of replay steers by not reading (Streaming 6.5.2); the RTSP server has its own patience with live.
        set_patience(sock, 0.0)
        layer = transport.layer if isinstance(transport, TlsTransport) else None
        transport.pause_reading()
        transport.abort()  # closes its own descriptor, not the connection
        if isinstance(asked, TunnelHead):
            tunnels(Half(asked, sock, rest, self.address, local, layer))
        else:
            tunnels(WebVisitor(asked, sock, rest, self.address, local, layer))

    # ---- requests

    def begin(self, content: StreamReader) -> None:
        """The head is whole and the request under way."""
        self._busy = True
        self._content = content
        self._disarm()
        if not content.is_eof():
            self._arrived = content.total_bytes
            self._arm(self._limits.pace_window, self._check_pace)

    def end(self) -> None:
        """The request has been handled; what comes next is a new head, or the rest of a body nobody wanted."""
        self._busy = False
        self._head, self._head_done, self._tail = 0, False, b""
        self._disarm()

    def dismiss(self) -> None:
        """Close: at once when nothing is asked, else when that is answered, or after a moment."""
        if self.dismissed or self._transport is None:
            return
        self.dismissed = True
        if self._busy:
            self._arm(self._limits.dismissal, self._transport.abort)
        else:
            self._transport.close()

    def _take_head(self, data: bytes) -> bool:
        """Count the octets of a head; False when they are too many."""
        if self._head_done:
            return True
        if self._timer is None:
            self._arm(self._limits.head, self._head_is_late)
        seam = self._tail + data[:3]
        if _END_OF_HEAD in data or _END_OF_HEAD in seam:
            self._head_done = True
            return self._head + data.find(_END_OF_HEAD) <= self._limits.head_size
        self._tail = (self._tail + data)[-3:]
        self._head += len(data)
        return self._head <= self._limits.head_size

    def _head_is_late(self) -> None:
        log.info("HTTP: %s sent no whole request in %g s", self.address, self._limits.head)
        if self._head:
            self._answer(_TOO_SLOW)
        elif self._transport is not None:
            self._transport.abort()

    def _check_pace(self) -> None:
        content, transport = self._content, self._transport
        if content is None or transport is None or content.is_eof():
            self._timer = None
            return
        arrived = content.total_bytes
        # While the handler takes its time the transport does not read, and the client is not to blame.
        if transport.is_reading() and arrived - self._arrived < self._limits.pace * self._limits.pace_window:
            log.info("HTTP: the body from %s comes too slowly", self.address)
            transport.abort()
            return
        self._arrived = arrived
        self._arm(self._limits.pace_window, self._check_pace)

    def _answer(self, answer: bytes) -> None:
        """Say why and close; the web server learns by the end of the connection."""
        self._disarm()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)
            self._transport.close()

    def _arm(self, seconds: float, call: Callable[[], None]) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, call)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def refuse(client: socket.socket) -> None:
    """Close with a reset, which leaves no state behind."""
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    client.close()


_LINGER_NOT = struct.pack("ii", 1, 0)


def set_patience(client: Any, unread: float) -> None:
    """How long the system keeps a connection whose other end neither takes data nor is there any more."""
    options = (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
    for name, value in (*options, ("TCP_USER_TIMEOUT", round(unread * 1000))):
        number = getattr(socket, name, None)
        if number is not None:
            level = socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP
            with contextlib.suppress(OSError):
                client.setsockopt(level, number, value)
