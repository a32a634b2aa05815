"""The public RTSP ports: read the first request and pass the connection to the worker that owns its path.

The door answers OPTIONS that name no path (`*` or `/`) itself, because nothing in them tells which worker is meant. HTTP
tunnels come by the same port (and by those of the web server, which has `tunnels` for them). TLS handshakes are made here; the
worker gets the keys of the connection with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable

from onvifd.access.doorkeeper import Doorkeeper, bind, party_of
from onvifd.errors import OnvifdError
from onvifd.pki.records import RecordLayer
from onvifd.rtsp import tunnel
from onvifd.rtsp.arrival import Arrival
from onvifd.workers.first import MAX_HEAD, FirstRequest
from onvifd.workers.streams import Stream, shake_hands
from onvifd.workers.tunnels import Half, Route, Tunnels

log = logging.getLogger(__name__)

BACKLOG = 1024
FIRST_REQUEST_TIMEOUT = 10.0
HANDSHAKE_TIMEOUT = 10.0
MAX_TLS = 128
"""TLS handshakes at once, three quarters of them from one address."""
MAX_WAITING = 512
"""Connections that have not yet sent a whole request. At the bound the one that has waited longest must go, of the address that
has the most of them: who means it sends its request at once, and those who only connect cannot keep the others out."""

_LOG_INTERVAL = 10.0


def closing(sock: socket.socket) -> Callable[[asyncio.Task[None]], None]:
    """What closes a socket once the task that uses it has ended."""
    return lambda _: sock.close()


class FrontDoor:
    """Listens on the public RTSP port and hands every connection over by `route`."""

    def __init__(
        self,
        route: Route,
        *,
        max_waiting: int = MAX_WAITING,
        permits: Callable[[str], bool] = lambda address: True,
        kept_out: Callable[[ssl.SSLObject], str | None] = lambda connection: None,
        max_tls: int = MAX_TLS,
    ) -> None:
        self._route = route
        self.tunnels = Tunnels(self._route_permitted)
        self._kept_out = kept_out
        self._tls_keeper = Doorkeeper(total=max_tls, per_address=max(1, max_tls * 3 // 4), permits=permits)
        """Handshakes."""
        self._max_waiting = max_waiting
        self._keeper = Doorkeeper(total=2 * max_waiting, per_address=2 * max_waiting, permits=permits)
        """Those who wait and those who are being handed over."""
        self._waiting: dict[asyncio.Task[None], str] = {}
        """Those whose path is not known yet, in order of arrival, with whom they come from."""
        self._dropped = 0
        self._drop_logged = float("-inf")
        self._listeners: dict[int, list[tuple[socket.socket, asyncio.Task[None]]]] = {}
        """By port: each socket with the task that accepts on it."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def handshakes(self) -> int:
        """TLS handshakes that are not over."""
        return self._tls_keeper.count

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Bind and start accepting; gives the port (useful when asked for 0). Raises OSError when it cannot bind."""
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

    def _own(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(listener)
            except OSError as error:
                # Out of file descriptors: those who are connected must not suffer from those who want to be.
                log.error("RTSP port cannot accept: %s", error)
                await asyncio.sleep(0.2)
                continue
            client.setblocking(False)
            peer = str(address[0])
            if tls is None:
                self._enter(client, peer)
            else:
                self._own(self._secure(client, peer, tls)).add_done_callback(closing(client))
            await asyncio.sleep(0)  # a queue of connections must not keep the loop from those who are in

    def _let_in(self, keeper: Doorkeeper, client: socket.socket, peer: str) -> bool:
        refusal = keeper.enter(peer)
        if refusal is None:
            return True
        client.close()
        if line := keeper.note(refusal, peer, asyncio.get_running_loop().time()):
            log.warning("RTSP port: %s", line)
        return False

    async def _secure(self, client: socket.socket, peer: str, tls: ssl.SSLContext) -> None:
        """TLS first; what is within goes the way of all connections."""
        if not self._let_in(self._tls_keeper, client, peer):
            return
        try:
            hands = await shake_hands(client, tls, HANDSHAKE_TIMEOUT)
            reason = self._kept_out(hands.connection)
            if reason is None:
                layer = hands.finish()
                self._enter(socket.socket(fileno=client.detach()), peer, layer)
            else:
                log.warning("TLS client %s is kept out: %s", peer, reason)
        except (OSError, ValueError) as error:  # ssl.SSLError and TimeoutError are of the first kind
            log.debug("RTSPS: connection from %s: %s", peer, error)
        finally:
            client.close()
            self._tls_keeper.leave(peer)

    def _enter(self, client: socket.socket, peer: str, layer: RecordLayer | None = None) -> None:
        """Read the first request of a client, within TLS if there is a `layer`."""
        if not self._let_in(self._keeper, client, peer):
            return
        if len(self._waiting) >= self._max_waiting:
            self._drop_oldest()
        task = self._own(self._admit(client, peer, layer))
        self._waiting[task] = party_of(peer)

        def done(_: asyncio.Task[None]) -> None:
            self._waiting.pop(task, None)
            self._keeper.leave(peer)
            client.close()  # it may have been dropped before it began

        task.add_done_callback(done)

    def _drop_oldest(self) -> None:
        crowd, _ = Counter(self._waiting.values()).most_common(1)[0]
        oldest = next(task for task, party in self._waiting.items() if party == crowd)
        del self._waiting[oldest]
        oldest.cancel()
        self._dropped += 1
        now = asyncio.get_running_loop().time()
        if now - self._drop_logged >= _LOG_INTERVAL:
            log.warning(
                "RTSP port: %d connections wait without a request, %d dropped", self._max_waiting, self._dropped
            )
            self._drop_logged, self._dropped = now, 0

    async def _admit(self, client: socket.socket, peer: str, layer: RecordLayer | None) -> None:
        stream = Stream(client, layer)
        me = asyncio.current_task()
        with client:
            try:
                async with asyncio.timeout(FIRST_REQUEST_TIMEOUT):
                    found = await self._read_first(stream, peer)
                if found is None or not self._keeper.permits(peer):  # the filter may have changed while it waited
                    return
                if me is not None:
                    self._waiting.pop(me, None)  # it is being handed over and must not be dropped any more
                path, initial = found
                secure = layer is not None
                await self._route(path, Arrival(client=client, initial=initial, secure=secure, tls=stream.pack()))
            except ValueError as error:
                log.info("RTSP port: %s does not speak RTSP", peer)
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        await stream.send(error.args[0])
            except TimeoutError:
                log.info("RTSP port: %s sent no request in %g s", peer, FIRST_REQUEST_TIMEOUT)
            except OnvifdError as error:
                log.warning("RTSP port: no worker for %s: %s", peer, error.reason)
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        await stream.send(b"RTSP/1.0 503 Service Unavailable\r\n\r\n")
            except OSError as error:
                log.debug("RTSP port: %s: %s", peer, error)

    async def _route_permitted(self, path: str, arrival: Arrival) -> None:
        """The way of tunnels and WebSockets: the filter may have changed while their first request was awaited."""
        if self._keeper.permits(arrival.peer):
            await self._route(path, arrival)

    async def _read_first(self, stream: Stream, peer: str) -> tuple[str, bytes] | None:
        """Path and bytes of the first request; None when the client is gone or opens an HTTP tunnel."""
        first = FirstRequest()
        data = b""
        while first.path is None:
            more = await stream.receive()
            if not more:
                return None
            data += more
            if not first.begun and tunnel.may_be_http(data):
                head, end, rest = data.partition(tunnel.END_OF_HEAD)
                if len(head) > MAX_HEAD:
                    raise ValueError(tunnel.REFUSED)
                if not end:
                    continue
                asked = tunnel.tunnel_head(head + b"\r\n")
                if asked is None:
                    raise ValueError(tunnel.REFUSED)
                here = str(stream.sock.getsockname()[0])
                taken = socket.socket(fileno=stream.sock.detach())
                self.tunnels.take(Half(asked, taken, rest, peer, here, stream.layer))
                return None
            answer = first.receive_data(data)
            data = b""
            if answer:
                await stream.send(answer)
        return first.path, first.buffer

    async def close(self) -> None:
        """Stop listening, drop connections that were not handed over yet."""
        await self.tunnels.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listeners in self._listeners.values():
            for sock, _ in listeners:
                sock.close()
