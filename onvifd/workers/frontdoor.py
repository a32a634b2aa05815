"""The one public RTSP port: reads the first request and passes the connection to the worker that owns its path.

The door answers OPTIONS that name no path (`*` or `/`) itself, because nothing in them tells which worker is meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

from onvifd.access.doorkeeper import Doorkeeper, bind, party_of
from onvifd.errors import OnvifdError

log = logging.getLogger(__name__)

Route = Callable[[str, socket.socket, bytes], Awaitable[None]]
"""Takes the path of the first request, the client's socket and what was read; hands the connection over."""

MAX_HEAD = 16 << 10
"""Bytes of a request head; RFC 2326 sets no bound."""

BACKLOG = 1024
FIRST_REQUEST_TIMEOUT = 10.0
MAX_WAITING = 512
"""Connections that have not yet sent a whole request. At the bound the one that has waited longest must go, of the address that
has the most of them: who means it sends its request at once, and those who only connect cannot keep the others out."""

_LOG_INTERVAL = 10.0

_REQUEST_LINE = re.compile(rb"^([A-Z_]{1,32}) ([^ \r\n]{1,2048}) RTSP/(\d\.\d)\r?$")
_CSEQ = re.compile(rb"^cseq[ \t]*:[ \t]*(\d{1,10})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_URL_PATH = re.compile(r"^rtsps?://[^/?#]*(/[^?#]*)?", re.IGNORECASE)
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"


def path_of(target: str) -> str:
    """The path of a request target: `rtsp://host:port/a/b?c` gives `/a/b`, `*` gives `/`."""
    match = _URL_PATH.match(target)
    if match:
        return match.group(1) or "/"
    return target.split("?", 1)[0] if target.startswith("/") else "/"


class FirstRequest:
    """Sans-IO reader of what a connection sends until its path is known (RFC 2326 section 6)."""

    def __init__(self) -> None:
        self.buffer = b""
        self.path: str | None = None

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes; returns bytes to answer. `path` is set when the connection can be handed over.

        Raises ValueError with the answer to send before closing, as its argument, when the bytes are no RTSP.
        """
        self.buffer += data
        answers = b""
        while self.path is None:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if len(head) > MAX_HEAD:
                raise ValueError(b"RTSP/1.0 400 Bad Request\r\n\r\n")
            if not separator:
                first, newline, _ = self.buffer.partition(b"\n")
                if newline and not _REQUEST_LINE.match(first):
                    raise ValueError(b"RTSP/1.0 400 Bad Request\r\n\r\n")
                break
            line = _REQUEST_LINE.match(head.partition(b"\n")[0])
            if line is None:
                raise ValueError(b"RTSP/1.0 400 Bad Request\r\n\r\n")
            path = path_of(line.group(2).decode("utf-8", "replace"))
            if line.group(1) != b"OPTIONS" or path != "/":
                self.path = path
                break
            answers += self._options(head)
            self.buffer = rest
        return answers

    @staticmethod
    def _options(head: bytes) -> bytes:
        cseq = _CSEQ.search(head)
        number = f"CSeq: {cseq.group(1).decode()}\r\n" if cseq else ""
        return f"RTSP/1.0 200 OK\r\n{number}Public: {_METHODS}\r\n\r\n".encode()


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
    ) -> None:
        self._route = route
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

    def listen(self, host: str, port: int) -> int:
        """Bind and start accepting; gives the port (useful when asked for 0). Raises OSError when it cannot bind."""
        sockets = bind(host, port, BACKLOG)
        number = int(sockets[0].getsockname()[1])
        self._listeners[number] = [(sock, self._own(self._accept(sock))) for sock in sockets]
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

    async def _accept(self, listener: socket.socket) -> None:
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
            refusal = self._keeper.enter(peer)
            if refusal is not None:
                client.close()
                if line := self._keeper.note(refusal, peer, loop.time()):
                    log.warning("RTSP port: %s", line)
            else:
                if len(self._waiting) >= self._max_waiting:
                    self._drop_oldest()
                self._wait_for(client, peer)
            await asyncio.sleep(0)  # a queue of connections must not keep the loop from those who are in

    def _wait_for(self, client: socket.socket, peer: str) -> None:
        """Read the first request of a client."""
        task = self._own(self._admit(client, peer))
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

    async def _admit(self, client: socket.socket, peer: str) -> None:
        loop = asyncio.get_running_loop()
        me = asyncio.current_task()
        first = FirstRequest()
        with client:
            try:
                async with asyncio.timeout(FIRST_REQUEST_TIMEOUT):
                    while first.path is None:
                        data = await loop.sock_recv(client, 16 << 10)
                        if not data:
                            return
                        answer = first.receive_data(data)
                        if answer:
                            await loop.sock_sendall(client, answer)
                if me is not None:
                    self._waiting.pop(me, None)  # it is being handed over and must not be dropped any more
                await self._route(first.path, client, first.buffer)
            except ValueError as error:
                log.info("RTSP port: %s does not speak RTSP", peer)
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        await loop.sock_sendall(client, error.args[0])
            except TimeoutError:
                log.info("RTSP port: %s sent no request in %g s", peer, FIRST_REQUEST_TIMEOUT)
            except OnvifdError as error:
                log.warning("RTSP port: no worker for %s: %s", peer, error.reason)
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        await loop.sock_sendall(client, b"RTSP/1.0 503 Service Unavailable\r\n\r\n")
            except OSError as error:
                log.debug("RTSP port: %s: %s", peer, error)

    async def close(self) -> None:
        """Stop listening and drop connections that were not handed over yet."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listeners in self._listeners.values():
            for sock, _ in listeners:
                sock.close()
