"""Where TLS ends: bytes between an encrypted connection and a socket pair, whose other end a worker gets.

Keys stay in this process. Each byte passes through it, which costs what a worker would pay for the encryption and a copy
besides (see the decision note on RTSP in TLS). Each side stops being read while the other does not take what came.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import cast

log = logging.getLogger(__name__)

HIGH_WATER = 256 << 10
"""Bytes that may wait on each side before the other is no longer read."""
PAIR_BUFFER = 256 << 10


class Splice:
    """Joins `outer`, the transport of a client, with one end of a socket pair; `far` is the other end, for whoever serves.

    The owner of the outer protocol passes its callbacks on (`data_received`, `pause_writing`, `resume_writing`, `lost`).
    """

    def __init__(self, outer: asyncio.Transport, initial: bytes = b"") -> None:
        self._outer = outer
        self._inner: asyncio.Transport | None = None
        self._early = bytearray(initial)
        self._ended = False
        near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.far.setblocking(False)
        near.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PAIR_BUFFER)
        outer.pause_reading()
        outer.set_write_buffer_limits(high=HIGH_WATER)
        self._task = asyncio.ensure_future(self._begin(near))

    async def _begin(self, near: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            inner, _ = await loop.create_unix_connection(lambda: _Inner(self), sock=near)
        except OSError as error:
            log.error("relay: %s", error)
            near.close()
            self._outer.abort()
            return
        inner.set_write_buffer_limits(high=HIGH_WATER)
        self._inner = inner
        if self._ended:
            inner.close()
            return
        if self._early:
            inner.write(bytes(self._early))
            self._early.clear()
        if not self._outer.is_closing():
            self._outer.resume_reading()

    # ---- of the client

    def data_received(self, data: bytes) -> None:
        if self._inner is None:
            self._early += data  # what was read before the pause took hold
        elif not self._inner.is_closing():
            self._inner.write(data)

    def pause_writing(self) -> None:
        if self._inner is not None and not self._inner.is_closing():
            self._inner.pause_reading()

    def resume_writing(self) -> None:
        if self._inner is not None and not self._inner.is_closing():
            self._inner.resume_reading()

    def abort(self) -> None:
        """End both sides at once, for the end of the process."""
        self._outer.abort()

    def lost(self) -> None:
        """The client is gone, or has said that nothing more comes."""
        self._ended = True
        if self._inner is not None:
            self._inner.close()

    # ---- of the pair

    def inner_data(self, data: bytes) -> None:
        self._outer.write(data)

    def inner_lost(self) -> None:
        self._ended = True
        self._outer.close()

    def throttle(self, on: bool) -> None:
        """The worker does not take what the client sent; or does again."""
        if not self._outer.is_closing():
            self._outer.pause_reading() if on else self._outer.resume_reading()


class _Inner(asyncio.Protocol):
    def __init__(self, splice: Splice) -> None:
        self._splice = splice

    def data_received(self, data: bytes) -> None:
        self._splice.inner_data(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._splice.inner_lost()

    def pause_writing(self) -> None:
        self._splice.throttle(True)

    def resume_writing(self) -> None:
        self._splice.throttle(False)


class TlsRelay(asyncio.Protocol):
    """The outer protocol of an RTSPS connection. `ready` gets the far end once the handshake is done, unless `kept_out`
    says of the TLS connection (an ssl.SSLObject) why the client is not let in; `ended` is called in any case."""

    def __init__(
        self,
        peer: str,
        kept_out: Callable[[ssl.SSLObject], str | None],
        ready: Callable[[socket.socket], None],
        ended: Callable[[], None],
    ) -> None:
        self._peer = peer
        self._kept_out = kept_out
        self._ready = ready
        self._ended = ended
        self._splice: Splice | None = None
        self.made = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = True
        outer = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        reason = self._kept_out(outer.get_extra_info("ssl_object"))
        if reason is not None:
            log.warning("TLS client %s is kept out: %s", self._peer, reason)
            outer.abort()
            return
        self._splice = Splice(outer)
        self._ready(self._splice.far)

    def abort(self) -> None:
        if self._splice is not None:
            self._splice.abort()

    def data_received(self, data: bytes) -> None:
        if self._splice is not None:
            self._splice.data_received(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._splice is not None:
            self._splice.lost()
        self._ended()

    def pause_writing(self) -> None:
        if self._splice is not None:
            self._splice.pause_writing()

    def resume_writing(self) -> None:
        if self._splice is not None:
            self._splice.resume_writing()
