"""RTSP within WebSocket before a worker takes over: reads what path it is for (Streaming 7).

The sockets come from the web server's ports (`HttpGate`), with a handshake that was accepted and not answered yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from onvifd.access.doorkeeper import party_of
from onvifd.errors import OnvifdError
from onvifd.pki.records import RecordLayer
from onvifd.rtsp.arrival import Arrival
from onvifd.rtsp.websocket import GOING_AWAY, WebSocketStream, close_frame, frame
from onvifd.workers.first import MAX_HEAD, FirstRequest
from onvifd.workers.streams import Stream

log = logging.getLogger(__name__)

Route = Callable[[str, Arrival], Awaitable[None]]

TIMEOUT = 15.0
"""Seconds from the handshake to the path."""
MAX_WAITING = 256
"""Connections whose path is not known yet. At the bound the oldest of the address that has most must go."""


class WebSockets:
    """Reads first requests and hands connections over by `route`."""

    def __init__(self, route: Route, *, max_waiting: int = MAX_WAITING, timeout: float = TIMEOUT) -> None:
        self._route = route
        self._max_waiting = max_waiting
        self._timeout = timeout
        self._waiting: dict[asyncio.Task[None], str] = {}
        """Those that read a first request, in order of arrival, with whom they come from."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def take(self, arrival: Arrival, answer: bytes, layer: RecordLayer | None = None) -> None:
        """One connection to be answered with `answer`; its socket is ours from now on. `rest` is what was read behind its head."""
        if len(self._waiting) >= self._max_waiting:
            crowd, _ = Counter(self._waiting.values()).most_common(1)[0]
            oldest = next(task for task, party in self._waiting.items() if party == crowd)
            del self._waiting[oldest]
            oldest.cancel()
        task = asyncio.ensure_future(self._serve(arrival, answer, layer))
        self._waiting[task] = party_of(arrival.peer)
        self._tasks.add(task)

        def done(_: asyncio.Task[None]) -> None:
            self._waiting.pop(task, None)
            self._tasks.discard(task)
            arrival.close()  # the worker has a descriptor of its own

        task.add_done_callback(done)

    async def _serve(self, arrival: Arrival, answer: bytes, layer: RecordLayer | None) -> None:
        sock, peer = arrival.client, arrival.peer
        now = asyncio.get_running_loop().time()
        way, stream, first = Stream(sock, layer), WebSocketStream(now, limit=MAX_HEAD), FirstRequest()
        try:
            async with asyncio.timeout(self._timeout):
                await way.send(answer)
                await self._read_path(way, arrival.rest, stream, first)
            if first.path is None:
                return
            if (me := asyncio.current_task()) is not None:
                self._waiting.pop(me, None)  # it is being handed over and must not be dropped any more
            found = Arrival(
                client=sock,
                initial=first.buffer,
                rest=stream.rest,
                peer=peer,
                local=arrival.local,
                secure=arrival.secure,
                websocket=True,
                fragmented=stream.fragmented,
                tls=way.pack(),
            )
            await self._route(first.path, found)
        except ValueError as error:
            log.info("WebSocket of %s carries no RTSP", peer)
            way.say(frame(error.args[0]) + close_frame())
        except TimeoutError:
            log.info("WebSocket of %s: no request in %g s", peer, self._timeout)
            way.say(close_frame(GOING_AWAY))
        except OnvifdError as error:
            log.warning("WebSocket: no worker for %s: %s", peer, error.reason)
            way.say(frame(b"RTSP/1.0 503 Service Unavailable\r\n\r\n") + close_frame(GOING_AWAY))
        except OSError as error:
            log.debug("WebSocket of %s: %s", peer, error)

    async def _read_path(self, way: Stream, data: bytes, stream: WebSocketStream, first: FirstRequest) -> None:
        while True:
            payload = stream.feed(data, asyncio.get_running_loop().time())
            answer = first.receive_data(payload) if payload else b""
            out = stream.replies() if not answer else frame(answer) + stream.replies()
            if out:
                await way.send(out)
            if stream.closed is not None:
                log.debug("WebSocket: %s", stream.closed)
                return
            if first.path is not None:
                return
            data = await way.receive()
            if not data:
                return

    async def close(self) -> None:
        """Drop what was not handed over yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
