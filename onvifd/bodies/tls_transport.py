"""HTTPS for the web server: TLS between a transport and the protocol that serves it, which can be taken off again.

asyncio's own TLS cannot let go of a connection; this one gives its state, so that RTSP within HTTPS or a secure WebSocket goes
to the worker that has the media (`workers.tunnels`).
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from onvifd.pki.handshake import Handshake
from onvifd.pki.records import RecordLayer, TlsFailure


class TlsTransport(asyncio.Transport):
    """What the protocol within writes to. `layer` is the state of TLS."""

    def __init__(self, outer: asyncio.Transport, layer: RecordLayer, hands: Handshake) -> None:
        super().__init__({"ssl_object": hands.connection, "sslcontext": hands.connection.context})
        self._outer = outer
        self._closing = False
        self.layer = layer

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        found = super().get_extra_info(name)
        return self._outer.get_extra_info(name, default) if found is None else found

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        cast(TlsProtocol, self._outer.get_protocol()).inner = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast(TlsProtocol, self._outer.get_protocol()).inner

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self.is_closing():
            self._outer.write(self.layer.seal(bytes(data)))
            if self.layer.worn:
                self.close()  # whoever gets an answer as long as that can ask for the rest

    def close(self) -> None:
        if not self.is_closing():
            self._closing = True
            self._outer.write(self.layer.close())
            self._outer.close()

    def abort(self) -> None:
        self._closing = True
        self._outer.abort()

    def is_closing(self) -> bool:
        return self._closing or self._outer.is_closing()

    def can_write_eof(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return self._outer.is_reading()

    def pause_reading(self) -> None:
        self._outer.pause_reading()

    def resume_reading(self) -> None:
        self._outer.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._outer.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._outer.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._outer.get_write_buffer_limits()


class TlsProtocol(asyncio.Protocol):
    """Between a transport and `inner`, behind a handshake."""

    def __init__(self, hands: Handshake, inner: asyncio.Protocol) -> None:
        """Raises ValueError when the connection cannot be gone on with."""
        self._hands = hands
        self._layer = hands.finish()
        self._transport: TlsTransport | None = None
        self.inner = inner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        outer = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport = TlsTransport(outer, self._layer, self._hands)
        self.inner.connection_made(self._transport)
        self.data_received(b"")  # what came with the end of the handshake

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        try:
            content = self._layer.feed(data)
        except TlsFailure as failure:
            transport._outer.write(failure.alert)
            transport._outer.close()
            return
        if content and self._layer.spent:
            # What it asked for before is answered when a client goes on; this it brings by another connection (RFC 9110 9.2.2).
            transport.close()
            return
        if content and not transport.is_closing():
            self.inner.data_received(content)
        # behind it: when the connection has left meanwhile, what it still owes left with it
        if not transport.is_closing() and (replies := self._layer.replies()):
            transport._outer.write(replies)
        if self._layer.closed:
            transport.close()

    def eof_received(self) -> bool:
        self.inner.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()
