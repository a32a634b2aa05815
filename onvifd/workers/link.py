"""A two-way channel of typed messages: over a Unix stream socket between processes, or in memory within one.

Every message travels in order. A request is a message that waits, bounded, for its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

from onvifd.errors import Timeout, Unavailable
from onvifd.rtsp.arrival import Arrival
from onvifd.workers.messages import AnyMessage, Envelope, Failure, decode, encode

log = logging.getLogger(__name__)

Handler = Callable[[AnyMessage], Awaitable[AnyMessage | None]]
"""Takes a message of the other side; what it returns answers a request."""

MAX_MESSAGE = 32 << 20
MAX_PENDING = 10_000
MAX_HANDLERS = 256
_LENGTH = struct.Struct(">I")


class Link(ABC):
    """What both kinds have in common; subclasses say how an envelope gets across."""

    def __init__(self) -> None:
        self._handler: Handler | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[AnyMessage]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @abstractmethod
    def _transmit(self, envelope: Envelope) -> None: ...

    def listen(self, handler: Handler) -> None:
        """Hand every incoming message to `handler`; requests and notices run as tasks that this link owns."""
        self._handler = handler

    def send(self, message: AnyMessage) -> None:
        """Send without waiting. Silently dropped after the link closed: `closed` tells the owner."""
        if not self.closed.done():
            self._transmit(Envelope(0, 0, message))

    async def request(self, message: AnyMessage, timeout: float = 5.0) -> AnyMessage:
        """Send and wait for the answer. Raises Unavailable if the other side fails or is gone, Timeout if it is silent."""
        if self.closed.done():
            raise Unavailable("the worker is not running")
        if len(self._waiting) >= MAX_PENDING:
            raise Unavailable("too many requests wait for the worker")
        number = next(self._ids)
        future: asyncio.Future[AnyMessage] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._transmit(Envelope(number, 0, message))
            async with asyncio.timeout(timeout):
                answer = await future
        except TimeoutError:
            raise Timeout(f"the worker did not answer {type(message).__name__} in {timeout:g} s") from None
        finally:
            del self._waiting[number]
        if isinstance(answer, Failure):
            raise Unavailable(answer.reason)
        return answer

    def _received(self, envelope: Envelope) -> None:
        if envelope.re:
            waiter = self._waiting.get(envelope.re)
            if waiter is not None and not waiter.done():
                waiter.set_result(envelope.body)
            return
        if self._handler is None or (envelope.id and len(self._tasks) >= MAX_HANDLERS):
            if envelope.id:
                self._transmit(Envelope(0, envelope.id, Failure(reason="the worker is busy")))
            return
        task = asyncio.create_task(self._handle(envelope, self._handler))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, envelope: Envelope, handler: Handler) -> None:
        try:
            answer = await handler(envelope.body)
        except Exception as error:
            log.exception("handling %s failed", type(envelope.body).__name__)
            answer = Failure(reason=f"{type(envelope.body).__name__}: {error}")
        if envelope.id and not self.closed.done():
            self._transmit(Envelope(0, envelope.id, answer or Failure(reason="no answer")))

    def _lost(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(Unavailable("the worker ended"))

    async def close(self) -> None:
        """End the link and every handler still running on it."""
        self._lost()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class SocketLink(Link):
    """A link over one end of a Unix stream socket pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer
        self._pump = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, sock: socket.socket) -> SocketLink:
        """Take over a connected socket."""
        sock.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=1 << 20)
        return cls(reader, writer)

    def _transmit(self, envelope: Envelope) -> None:
        data = encode(envelope)
        if self._writer.transport.get_write_buffer_size() > MAX_MESSAGE * 2:
            log.error("the other side of a worker link does not read; closing it")
            self._writer.transport.abort()
            return
        self._writer.write(_LENGTH.pack(len(data)) + data)

    async def _read(self) -> None:
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(4))
                if length > MAX_MESSAGE:
                    log.error("worker message of %d bytes exceeds the bound", length)
                    break
                self._received(decode(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side ended: `closed` tells the owner
        finally:
            self._lost()

    async def close(self) -> None:
        # What was written last (a Stop, a final state) must still get across.
        if not self._writer.is_closing():
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._writer.drain()
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        await super().close()
        self._writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()


class LocalLink(Link):
    """One end of a link within a process. Messages are encoded all the same, so that tests see the real wire types."""

    def __init__(self) -> None:
        super().__init__()
        self._peer: LocalLink | None = None

    @classmethod
    def pair(cls) -> tuple[LocalLink, LocalLink]:
        """Two connected ends."""
        one, two = cls(), cls()
        one._peer, two._peer = two, one
        return one, two

    def _transmit(self, envelope: Envelope) -> None:
        peer = self._peer
        if peer is not None and not peer.closed.done():
            asyncio.get_running_loop().call_soon(peer._received, decode(encode(envelope)))

    async def close(self) -> None:
        await super().close()
        if self._peer is not None:
            self._peer._lost()


class FdChannel:
    """Hands sockets to another process (SCM_RIGHTS over SOCK_SEQPACKET): connections with the bytes already read from them, and
    lines to other workers."""

    MAX_PAPERS = 64 << 10
    LINE = b"line"
    """Instead of papers. Those are a map (msgpack), so that they never begin like this."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock

    @staticmethod
    def pair() -> tuple[socket.socket, socket.socket]:
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    async def send(self, arrival: Arrival, timeout: float = 2.0) -> None:
        """Pass a connection on. The caller closes its own copy. Raises Unavailable when the worker does not take it."""
        await self._pass(arrival.pack(), [sock.fileno() for sock in arrival.sockets], timeout)

    async def send_line(self, sock: socket.socket, timeout: float = 2.0) -> None:
        """Pass the end of a line on, as `send` does."""
        await self._pass(self.LINE, [sock.fileno()], timeout)

    async def _pass(self, papers: bytes, descriptors: list[int], timeout: float) -> None:
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                socket.send_fds(self._sock, [papers], descriptors)
            except BlockingIOError:
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable("the worker takes no connections") from None
                await asyncio.sleep(0.005)
            except OSError as error:
                raise Unavailable(f"the worker is gone: {error.strerror}") from None
            else:
                return

    def listen(
        self, adopt: Callable[[Arrival], None] | None, connect: Callable[[socket.socket], None] | None = None
    ) -> None:
        """Give every connection that arrives to `adopt`, every line to `connect`. What nobody takes is closed."""
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._readable, adopt, connect)

    def _readable(
        self, adopt: Callable[[Arrival], None] | None, connect: Callable[[socket.socket], None] | None
    ) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._sock, self.MAX_PAPERS, 2)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self.close()
            return
        sockets = [socket.socket(fileno=fd) for fd in fds]
        if data == self.LINE and len(sockets) == 1 and connect is not None:
            connect(sockets[0])
            return
        try:
            arrival = Arrival.unpack(sockets, data)
        except ValueError as error:  # msgspec's errors are of its kind
            log.error("a connection was lost on its way: %s", error)
            for sock in sockets:
                sock.close()
        else:
            if adopt is None:
                arrival.close()
            else:
                adopt(arrival)

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            with contextlib.suppress(ValueError, RuntimeError):
                asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()
