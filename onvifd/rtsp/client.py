"""RTSP client: the conversation on a real connection, with media interleaved in it or by UDP beside it.

After `play` all bytes go to the receiver given, straight from the receive buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from typing import Any, cast

from onvifd.errors import OnvifdError, Timeout, Unavailable
from onvifd.rtsp.client_session import MAX_REDIRECTS, ClientSession, parse_url
from onvifd.rtsp.client_udp import DatagramTrack
from onvifd.rtsp.messages import Interleaved, Parser, Response, RtspError
from onvifd.rtsp.poller import ReadPoller
from onvifd.rtsp.sdp import DescribedTrack, Description

log = logging.getLogger(__name__)

BUFFER = 256 << 10
"""Bytes of a connection's receive buffer; more than the largest interleaved frame and RTSP message together."""

SMALL = 80 << 10
"""When less than this is free the unfinished rest moves to the front."""

SEND_BUFFER = 64 << 10
"""Bytes to a camera that wait; sound beyond is left out."""

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 10.0

Receiver = Callable[[bytearray, int, int], int]
"""Takes buffer, start and end; returns up to where it used the bytes."""


class _Connection(asyncio.BufferedProtocol):
    """Bytes of one connection, to the parser during the conversation and to the receiver afterwards."""

    def __init__(self, poller: ReadPoller | None = None) -> None:
        self.transport: asyncio.Transport | None = None
        self._poller = poller
        self._socket: socket.socket | None = None
        """The connection's socket once more, from which the poller reads media past the transport."""
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._parser = Parser(max_body=256 << 10)
        self._answers: asyncio.Queue[Response] = asyncio.Queue(8)
        self._receiver: Receiver | None = None
        self.hold = False
        """Stop parsing behind each answer: what follows the answer to PLAY is media for the receiver."""
        self._held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # not isinstance: uvloop's transports are no subclasses
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"connection lost: {exc}" if exc else "the camera closed the connection")

    def _fail(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)
        self.leave_poller()
        if self.transport is not None:
            self.transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._end += nbytes
        try:
            if self._receiver is None:
                self._parser.receive_data(self._view[: self._end])
                self._start = self._end = 0
                self._parse()
                return
            self._start = self._receiver(self._buffer, self._start, self._end)
        except RtspError as error:
            self._fail(f"no RTSP: {error.reason}")
            return
        except Exception as error:
            # Whatever the bytes did, only this connection may suffer from it.
            log.debug("receiver failed", exc_info=True)
            self._fail(str(error))
            return
        if self._start == self._end:
            self._start = self._end = 0
        elif BUFFER - self._end < SMALL:
            rest = self._end - self._start
            if rest > BUFFER - SMALL:
                self._fail("a frame exceeds every bound")
                return
            self._buffer[:rest] = self._buffer[self._start : self._end]
            self._start, self._end = 0, rest

    def _parse(self) -> None:
        if self._held:
            return
        while (message := self._parser.next_message()) is not None:
            # Media before the answer to PLAY is early, and requests of a server are none of ours: both are left out.
            if isinstance(message, Response):
                if self._answers.full():
                    raise RtspError(400, "too many answers", fatal=True)
                self._answers.put_nowait(message)
                if self.hold:
                    # What follows waits in the kernel, where the camera's window bounds it.
                    self._held = True
                    self._read(False)
                    return

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
        """From here on bytes are media; what the parser holds already is given first."""
        self._receiver = receiver
        rest = memoryview(self._parser.take_rest())
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

    def _enter_poller(self, poller: ReadPoller, transport: asyncio.Transport) -> None:
        sock = transport.get_extra_info("socket")
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
            self._fail(f"connection lost: {error.strerror or error}")
            return
        if count:
            self.buffer_updated(count)
        else:
            self._fail("the camera closed the connection")


class RtspClient:
    """One connection to a camera. Use: `connect`, `describe`, `setup` each track, `play`, then await `lost`; `close` at the end."""

    def __init__(
        self, url: str, user: str = "", password: str = "", poller: ReadPoller | None = None, require: str = ""
    ) -> None:
        self.session = ClientSession(url, user, password, require=require)
        self._poller = poller
        self._connection: _Connection | None = None
        self._datagrams: list[DatagramTrack] = []

    async def connect(self, timeout: float = CONNECT_TIMEOUT) -> None:
        """Open the connection. Raises Unavailable or Timeout."""
        address = parse_url(self.session.url)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, self._connection = await loop.create_connection(
                    lambda: _Connection(self._poller), address.host, address.port
                )
        except TimeoutError:
            raise Timeout(f"no connection to {address.host}:{address.port} in {timeout:g} s") from None
        except OSError as error:
            raise Unavailable(f"no connection to {address.host}:{address.port}: {error.strerror or error}") from None
        transport = self._connection.transport
        sock = transport.get_extra_info("socket") if transport else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _open(self) -> _Connection:
        if self._connection is None or self._connection.transport is None:
            raise Unavailable("not connected")
        return self._connection

    async def _ask(self, data: bytes, timeout: float = ANSWER_TIMEOUT) -> Response:
        connection = self._open()
        while True:
            assert connection.transport is not None
            connection.transport.write(data)
            async with asyncio.timeout(timeout):
                response = await connection.answer(timeout)
                while not self.session.awaits(response):
                    response = await connection.answer(timeout)
            again = self.session.response(response)
            if again is None:
                return response
            data = again

    async def describe(self) -> Description:
        """OPTIONS and DESCRIBE, with credentials if asked, following redirections.

        Raises NotAuthorized, Unavailable, Timeout, BadInput.
        """
        for _ in range(MAX_REDIRECTS + 1):
            await self._options()
            response = await self._ask(
                self.session.request("DESCRIBE", self.session.url, (("Accept", "application/sdp"),))
            )
            if not self.session.redirect:
                return self.session.described(response)
            target, self.session.redirect = self.session.redirect, ""
            parse_url(target)
            await self.close()
            self.session = ClientSession(
                target, self.session.user, self.session.password, require=self.session.require
            )
            await self.connect()
        raise Unavailable("camera redirects too often")

    async def _options(self) -> None:
        try:
            await self._ask(self.session.request("OPTIONS", self.session.url))
        except (Timeout, Unavailable):
            if self._open().lost.done():
                raise
            # A camera without OPTIONS is still a camera.

    async def setup(self, track: DescribedTrack, channel: int) -> tuple[int, int | None]:
        """Set a track up; gives the interleaved channel on which its packets will come, and their SSRC if it was told."""
        response = await self._ask(self.session.setup(track, channel))
        return self.session.channel_of(response, channel)

    async def setup_udp(self, track: DescribedTrack, channel: int) -> int | None:
        """Set a track up by UDP; its packets will come as if interleaved on `channel`. Gives their SSRC if it was told.

        Raises Unavailable if the camera does not send by UDP.
        """
        transport = self._open().transport
        assert transport is not None
        sock, peer = transport.get_extra_info("socket"), transport.get_extra_info("peername")[0]
        datagrams = DatagramTrack.open(channel, sock.family, sock.getsockname()[0])
        self._datagrams.append(datagrams)
        try:
            response = await self._ask(self.session.setup_udp(track, datagrams.port))
            ports, ssrc = self.session.ports_of(response)
        except OnvifdError:
            self._datagrams.remove(datagrams)
            datagrams.close()
            raise
        datagrams.connect(peer, ports)
        return ssrc

    async def play(self, receiver: Receiver) -> Response:
        """Start; from its answer on every byte goes to `receiver`, datagrams as well."""
        connection = self._open()
        connection.hold = True
        for datagrams in self._datagrams:
            datagrams.start(receiver, self._poller)
        response = await self._ask(self.session.request("PLAY", "", (("Range", "npt=0.000-"),)))
        connection.switch(receiver)
        return response

    def read_now(self) -> None:
        """Take what has come since the poller looked last."""
        if self._connection is not None:
            self._connection.read_now()
        for datagrams in self._datagrams:
            datagrams.read_now()

    def send(self, channel: int, packet: bytes) -> bool:
        """Send an RTP packet on the track that was set up on `channel`; false if the camera takes nothing at present."""
        for datagrams in self._datagrams:
            if datagrams.channel == channel:
                return datagrams.send(packet)
        transport = self._open().transport
        if transport is None or transport.get_write_buffer_size() > SEND_BUFFER:
            return False
        transport.write(Interleaved(channel, packet).serialise())
        return True

    def keep_alive(self) -> None:
        """Send a request that keeps the session alive; give its answer, which arrives among the media, to `answered`."""
        connection = self._open()
        if connection.transport is not None:
            connection.transport.write(self.session.keep_alive())
        for datagrams in self._datagrams:
            datagrams.report()

    def answered(self, message: bytes) -> None:
        """Take an RTSP message from among the media. A nonce may have become too old: then the request is repeated."""
        parser = Parser()
        parser.receive_data(message)
        try:
            response = parser.next_message()
        except RtspError as error:
            log.debug("unreadable message among the media: %s", error.reason)
            return
        if isinstance(response, Response) and response.status == 401 and self.session.renew(response):
            self.keep_alive()

    @property
    def lost(self) -> asyncio.Future[str]:
        """Done, with the reason, when the connection has ended."""
        return self._open().lost

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        self._open()._fail(reason)

    async def close(self) -> None:
        """Say TEARDOWN if a session is open, and close. Never raises for what the camera does."""
        connection, self._connection = self._connection, None
        while self._datagrams:
            self._datagrams.pop().close()
        if connection is None or connection.transport is None:
            return
        connection.leave_poller()
        if self.session.session and not connection.lost.done():
            connection.transport.write(self.session.request("TEARDOWN"))
        connection.transport.close()
        try:
            async with asyncio.timeout(1):
                await asyncio.shield(connection.lost)
        except TimeoutError:
            connection.transport.abort()


async def describe(url: str, user: str = "", password: str = "", timeout: float = 10.0) -> Description:
    """What a camera offers at `url`, for probing. Raises OnvifdError leaves."""
    client = RtspClient(url, user, password)
    try:
        async with asyncio.timeout(timeout):
            await client.connect(timeout)
            return await client.describe()
    except TimeoutError:
        raise Timeout(f"the camera does not answer in {timeout:g} s") from None
    finally:
        with contextlib.suppress(OnvifdError):
            await client.close()
