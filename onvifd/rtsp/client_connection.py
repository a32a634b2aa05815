"""One connection of the RTSP client: bytes to the parser during the conversation, and to a receiver afterwards."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import Callable
from typing import Any, cast

from onvifd.errors import Timeout, Unavailable
from onvifd.rtsp.client_messages import AnswerParser
from onvifd.rtsp.messages import Interleaved, Request, Response, RtspError
from onvifd.rtsp.poller import ReadPoller

log = logging.getLogger(__name__)

BUFFER = 256 << 10
"""Bytes of a connection's receive buffer; more than the largest interleaved frame and RTSP message together."""

SMALL = 80 << 10
"""When less than this is free the unfinished rest moves to the front."""

MAX_EARLY = 1 << 20
"""Bytes of media that are kept when they come before the answer to PLAY."""

MAX_UNSENT = 256 << 10
"""Bytes of ours that wait for a camera that does not read; beyond that it is given up."""

MAX_HTTP_HEAD = 16 << 10
_HTTP_END = re.compile(rb"\r?\n\r?\n")

Receiver = Callable[[bytearray, int, int], int]
"""Takes buffer, start and end; returns up to where it used the bytes."""


class Connection(asyncio.BufferedProtocol):
    """`poller` reads media past the transport; not to be given for TLS. `on_request` answers requests of the camera.

    With `http` the connection begins with the head of an HTTP answer (`http_head`), and `way_out` sends what is ours.
    """

    def __init__(self, poller: ReadPoller | None = None, *, http: bool = False) -> None:
        self.transport: asyncio.Transport | None = None
        self.way_out: Callable[[bytes], None] | None = None
        self.on_request: Callable[[Request], bytes] | None = None
        self._poller = poller
        self._socket: socket.socket | None = None
        """The connection's socket once more, from which the poller reads media past the transport."""
        loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.http_head: asyncio.Future[bytes] = loop.create_future()
        self.misunderstood = False
        """It ended since what came was no RTSP."""
        self._http = http
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._parser = AnswerParser()
        self._answers: asyncio.Queue[Response] = asyncio.Queue(8)
        self._receiver: Receiver | None = None
        self._early: list[bytes] = []
        self._early_size = 0
        self.hold = False
        """Stop parsing behind each answer: what follows the answer to PLAY is media for the receiver."""
        self._held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # not isinstance: uvloop's transports are no subclasses
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"connection lost: {exc}" if exc else "the camera closed the connection")

    def fail(self, reason: str) -> None:
        """End the connection at once."""
        if not self.lost.done():
            self.lost.set_result(reason)
        if not self.http_head.done():
            self.http_head.cancel()
        self.leave_poller()
        if self.transport is not None:
            self.transport.abort()

    def send(self, data: bytes) -> None:
        """Send what is ours; nothing once the connection has ended."""
        if self.transport is None or self.lost.done():
            return
        if self.way_out is not None:
            self.way_out(data)
            return
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > MAX_UNSENT:
            self.fail("the camera does not read")

    @property
    def unsent(self) -> int:
        """Bytes of ours that wait."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    # ---- bytes in --------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._end += nbytes
        try:
            if self._receiver is None:
                data = self._view[: self._end]
                self._end = 0
                self._conversation(data)
                return
            self._start = self._receiver(self._buffer, self._start, self._end)
        except RtspError as error:
            self.misunderstood = True
            self.fail(f"no RTSP: {error.reason}")
            return
        except Exception as error:
            # Whatever the bytes did, only this connection may suffer from it.
            log.debug("receiver failed", exc_info=True)
            self.misunderstood = True
            self.fail(str(error))
            return
        if self._start == self._end:
            self._start = self._end = 0
        elif BUFFER - self._end < SMALL:
            rest = self._end - self._start
            if rest > BUFFER - SMALL:
                self.fail("a frame exceeds every bound")
                return
            self._buffer[:rest] = self._buffer[self._start : self._end]
            self._start, self._end = 0, rest

    def _conversation(self, data: memoryview) -> None:
        self._parser.receive_data(data)
        if self._http:
            gathered = self._parser.take_rest()
            end = _HTTP_END.search(gathered, 0, MAX_HTTP_HEAD)
            if end is None:
                if len(gathered) > MAX_HTTP_HEAD:
                    raise RtspError(400, "head of the HTTP answer is too large", fatal=True)
                self._parser.receive_data(gathered)
                return
            self._http = False
            if not self.http_head.done():
                self.http_head.set_result(gathered[: end.start()])
            self._parser.receive_data(gathered[end.end() :])
        self._parse()

    def _parse(self) -> None:
        if self._held:
            return
        while (message := self._parser.next_message()) is not None:
            if isinstance(message, Response):
                if self._answers.full():
                    raise RtspError(400, "too many answers", fatal=True)
                self._answers.put_nowait(message)
                if self.hold:
                    # What follows waits in the kernel, where the camera's window bounds it.
                    self._held = True
                    self._read(False)
                    return
            elif isinstance(message, Request):
                if self.on_request is not None:
                    self.send(self.on_request(message))
            elif self.hold:
                self._keep_early(message)

    def _keep_early(self, frame: Interleaved) -> None:
        """Media in front of the answer to PLAY: a camera that is quick with its first picture and slow with its answer."""
        self._early_size += len(frame.data)
        if self._early_size <= MAX_EARLY:
            self._early.append(frame.serialise())

    def _read(self, on: bool) -> None:
        if self.transport is not None and not self.lost.done():
            if on:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    async def answer(self, timeout: float) -> Response:
        """The next answer. Raises Unavailable or Timeout."""
        if self.hold and self._answers.empty():
            if self._held:
                self._held = False
                self._read(True)
            self._parse()
        get = asyncio.ensure_future(self._answers.get())
        either: set[asyncio.Future[Any]] = {get, self.lost}
        try:
            done, _ = await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if get in done:
                return get.result()
            if self.lost in done:
                raise Unavailable(self.lost.result())
            raise Timeout(f"the camera does not answer in {timeout:g} s")
        finally:
            get.cancel()

    def switch(self, receiver: Receiver) -> None:
        """From here on bytes are media; what came early and what the parser holds already are given first."""
        self._receiver = receiver
        early, self._early = self._early, []
        rest = memoryview(b"".join((*early, self._parser.take_rest())))
        while rest and not self.lost.done():
            room = self.get_buffer(-1)
            size = min(len(room), len(rest))
            room[:size] = rest[:size]
            rest = rest[size:]
            self.buffer_updated(size)
        if self._poller is not None and self.transport is not None and not self.lost.done():
            self._enter_poller(self._poller, self.transport)
        elif self._held:
            self._read(True)
        self._held = False

    # ---- past the transport ----------------------------------------------------------------------

    def _enter_poller(self, poller: ReadPoller, transport: asyncio.Transport) -> None:
        sock = transport.get_extra_info("socket")
        if not self._held:
            self._read(False)
        self._socket = socket.socket(fileno=os.dup(sock.fileno()))
        self._socket.setblocking(False)
        poller.add(self._socket.fileno(), self._readable)

    def leave_poller(self) -> None:
        """Read no more."""
        if self._socket is not None and self._poller is not None:
            self._poller.remove(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def read_now(self) -> None:
        """Take what the socket holds, if the poller reads it."""
        if self._socket is not None:
            self._readable()

    def _readable(self) -> None:
        assert self._socket is not None
        try:
            count = self._socket.recv_into(self._view[self._end :])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.fail(f"connection lost: {error.strerror or error}")
            return
        if count:
            self.buffer_updated(count)
        else:
            self.fail("the camera closed the connection")
