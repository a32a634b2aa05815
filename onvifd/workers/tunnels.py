"""HTTP tunnels before a worker takes over: joins the GET and the POST of a client and reads what path they are for.

The sockets come from the RTSP port and from the web server's ports (`HttpGate`), with their TLS if they have it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from onvifd.access.doorkeeper import party_of
from onvifd.errors import OnvifdError
from onvifd.pki.records import RecordLayer
from onvifd.rtsp import tunnel
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.tunnel import Base64Stream, TunnelHead
from onvifd.rtsp.websocket import Upgrade
from onvifd.workers.first import FirstRequest
from onvifd.workers.streams import Stream
from onvifd.workers.websockets import WebSockets

log = logging.getLogger(__name__)

Route = Callable[[str, Arrival], Awaitable[None]]
"""Takes the path of the first request and the connection; hands it over."""

JOIN_TIMEOUT = 15.0
"""Seconds from the first half of a tunnel to the path."""
MAX_WAITING = 256
"""Halves that wait for the other. At the bound the oldest of the address that has most must go."""
MAX_JOINING = 256
"""Tunnels whose path is not known yet. At the bound the oldest of the address that has most must go."""
MAX_KNOWN = 2048
"""Tunnels remembered, so that a client may go on in another POST."""
_ANSWER_TIMEOUT = 1.0


Key = tuple[str, str, bool]
"""Cookie, address of the client, whether it is encrypted."""


@dataclass(frozen=True, slots=True)
class WebVisitor:
    """A connection to the web server that asks for RTSP within WebSocket; the rest as in `Half`."""

    asked: Upgrade
    sock: socket.socket
    rest: bytes
    peer: str
    local: str
    layer: RecordLayer | None = None


@dataclass(frozen=True, slots=True)
class Half:
    """One connection of a tunnel. `rest` is what was read behind its head; addresses as in `Arrival`; `layer` is its TLS."""

    head: TunnelHead
    sock: socket.socket
    rest: bytes
    peer: str
    local: str
    layer: RecordLayer | None = None

    @property
    def secure(self) -> bool:
        return self.layer is not None

    @property
    def stream(self) -> Stream:
        return Stream(self.sock, self.layer)

    @property
    def key(self) -> Key:
        # the address belongs to it: a cookie seen on the way is of no use elsewhere, nor one of TLS in the clear
        return self.head.cookie, self.peer, self.secure


class Tunnels:
    """Joins halves and hands tunnels over by `route`."""

    def __init__(
        self,
        route: Route,
        *,
        max_waiting: int = MAX_WAITING,
        max_joining: int = MAX_JOINING,
        timeout: float = JOIN_TIMEOUT,
    ) -> None:
        self._route = route
        self._websockets = WebSockets(route)
        self._max_waiting = max_waiting
        self._max_joining = max_joining
        self._timeout = timeout
        self._waiting: OrderedDict[Key, Half] = OrderedDict()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._known: OrderedDict[Key, str] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._joining: dict[asyncio.Task[None], str] = {}
        """Those that read a first request, in order of arrival, with whom they come from."""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def joining(self) -> int:
        return len(self._joining)

    def take(self, half: Half | WebVisitor) -> None:
        """One connection whose head has been read; its socket is ours from now on."""
        if isinstance(half, WebVisitor):
            self._take_websocket(half)
            return
        if not half.head.post and not half.stream.say(tunnel.ANSWER):
            half.sock.close()
            return
        other = self._waiting.get(half.key)
        if other is not None and other.head.post != half.head.post:
            self._forget(half.key)
            get, post = (other, half) if half.head.post else (half, other)
            self._begin(get, post)
        elif half.head.post and half.key in self._known:
            self._own(self._go_on(half, self._known[half.key]))
        else:
            if other is not None:
                self._forget(half.key).sock.close()
            self._wait(half)

    def _take_websocket(self, visitor: WebVisitor) -> None:
        if not visitor.asked.accepted:
            Stream(visitor.sock, visitor.layer).say(visitor.asked.answer)
            visitor.sock.close()
            return
        arrival = Arrival(
            client=visitor.sock,
            rest=visitor.rest,
            peer=visitor.peer,
            local=visitor.local,
            secure=visitor.layer is not None,
            websocket=True,
        )
        self._websockets.take(arrival, visitor.asked.answer, visitor.layer)

    def _wait(self, half: Half) -> None:
        if len(self._waiting) >= self._max_waiting:
            crowd, _ = Counter(party_of(each.peer) for each in self._waiting.values()).most_common(1)[0]
            oldest = next(key for key, each in self._waiting.items() if party_of(each.peer) == crowd)
            self._forget(oldest).sock.close()
        self._waiting[half.key] = half
        loop = asyncio.get_running_loop()
        self._timers[half.key] = loop.call_later(self._timeout, self._late, half.key)

    def _late(self, key: Key) -> None:
        log.info("HTTP tunnel of %s: the other connection does not come", key[1])
        self._forget(key).sock.close()

    def _forget(self, key: Key) -> Half:
        self._timers.pop(key).cancel()
        return self._waiting.pop(key)

    def _own(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _begin(self, get: Half, post: Half) -> None:
        # Nobody has logged in yet: connections that only wait must not use up the descriptors of the process.
        if len(self._joining) >= self._max_joining:
            crowd, _ = Counter(self._joining.values()).most_common(1)[0]
            oldest = next(task for task, party in self._joining.items() if party == crowd)
            del self._joining[oldest]
            oldest.cancel()
        task = self._own(self._join(get, post))
        self._joining[task] = party_of(get.peer)

        def done(_: asyncio.Task[None]) -> None:
            self._joining.pop(task, None)
            # the worker has descriptors of its own; a task that was cancelled early never saw these
            get.sock.close()
            post.sock.close()

        task.add_done_callback(done)

    async def _join(self, get: Half, post: Half) -> None:
        """Read up to the first RTSP request that names a path, and hand both connections over."""
        stream, first = Base64Stream(), FirstRequest()
        try:
            async with asyncio.timeout(self._timeout):
                await self._read_path(get, post, stream, first)
            if first.path is not None:
                self._remember(get.key, first.path)
                if (me := asyncio.current_task()) is not None:
                    self._joining.pop(me, None)  # it is being handed over and must not be dropped any more
                await self._route(
                    first.path,
                    Arrival(
                        client=get.sock,
                        initial=first.buffer,
                        post=post.sock,
                        rest=stream.rest,
                        cookie=get.head.cookie,
                        peer=get.peer,
                        local=get.local,
                        secure=get.secure,
                        tls=get.stream.pack(),
                        post_tls=post.stream.pack(),
                    ),
                )
        except ValueError:
            log.info("HTTP tunnel of %s carries no RTSP", get.peer)
            get.stream.say(b"RTSP/1.0 400 Bad Request\r\n\r\n")
        except TimeoutError:
            log.info("HTTP tunnel of %s: no request in %g s", get.peer, self._timeout)
        except OnvifdError as error:
            log.warning("HTTP tunnel: no worker for %s: %s", get.peer, error.reason)
            get.stream.say(b"RTSP/1.0 503 Service Unavailable\r\n\r\n")
        except OSError as error:
            log.debug("HTTP tunnel of %s: %s", get.peer, error)

    async def _read_path(self, get: Half, post: Half, stream: Base64Stream, first: FirstRequest) -> None:
        data = post.rest
        while True:
            answer = first.receive_data(stream.feed(data))
            if answer:
                await get.stream.send(answer)
            if first.path is not None:
                return
            data = await post.stream.receive()
            if not data:
                return

    def _remember(self, key: Key, path: str) -> None:
        self._known[key] = path
        self._known.move_to_end(key)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    async def _go_on(self, post: Half, path: str) -> None:
        """A further POST of a tunnel that a worker has."""
        with post.sock:
            try:
                arrival = Arrival(
                    client=post.sock,
                    rest=post.rest,
                    cookie=post.head.cookie,
                    peer=post.peer,
                    local=post.local,
                    secure=post.secure,
                    tls=post.stream.pack(),
                )
                await self._route(path, arrival)
            except OnvifdError as error:
                log.warning("HTTP tunnel: no worker for %s: %s", post.peer, error.reason)
            except OSError as error:
                log.debug("HTTP tunnel of %s: %s", post.peer, error)

    async def close(self) -> None:
        """Drop what was not handed over yet."""
        await self._websockets.close()
        for key in list(self._waiting):
            self._forget(key).sock.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
