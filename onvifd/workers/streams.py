"""A client's connection as long as control has it: bytes in and out, in clear or within TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from onvifd.pki.handshake import Handshake
from onvifd.pki.records import RecordLayer, TlsFailure

HANDSHAKE_TIMEOUT = 10.0
_PIECE = 16 << 10


async def shake_hands(sock: socket.socket, context: ssl.SSLContext, timeout: float = HANDSHAKE_TIMEOUT) -> Handshake:
    """The handshake of a client that has just connected. Raises OSError, of which ssl.SSLError and TimeoutError are kinds."""
    loop = asyncio.get_running_loop()
    hands = Handshake(context)
    async with asyncio.timeout(timeout):
        while not hands.done:
            data = await loop.sock_recv(sock, _PIECE)
            if not data:
                raise ConnectionAbortedError("client has closed the connection")
            try:
                hands.receive(data)
            finally:
                if out := hands.data_to_send():
                    await loop.sock_sendall(sock, out)
    return hands


class Stream:
    """A socket, and what is between it and its content. The socket is the caller's to close."""

    def __init__(self, sock: socket.socket, layer: RecordLayer | None = None) -> None:
        self.sock = sock
        self.layer = layer

    async def receive(self) -> bytes:
        """What came; empty at the end. Raises OSError."""
        loop = asyncio.get_running_loop()
        if self.layer is None:
            return await loop.sock_recv(self.sock, _PIECE)
        data = self._open(b"")
        while not data and not self.layer.closed:
            wire = await loop.sock_recv(self.sock, _PIECE)
            if not wire:
                return b""
            data = self._open(wire)
            if replies := self.layer.replies():
                await loop.sock_sendall(self.sock, replies)
        return data

    def _open(self, wire: bytes) -> bytes:
        assert self.layer is not None
        try:
            return self.layer.feed(wire)
        except TlsFailure as failure:
            with contextlib.suppress(OSError):
                self.sock.send(failure.alert)
            raise ConnectionAbortedError(str(failure)) from None

    async def send(self, data: bytes) -> None:
        wire = data if self.layer is None else self.layer.seal(data)
        await asyncio.get_running_loop().sock_sendall(self.sock, wire)

    def say(self, data: bytes) -> bool:
        """Send a few bytes that fit every socket buffer; false if the client is gone."""
        wire = data if self.layer is None else self.layer.seal(data)
        with contextlib.suppress(OSError):
            return self.sock.send(wire) == len(wire)
        return False

    def pack(self) -> bytes:
        """The state of TLS for whoever goes on; empty in clear."""
        return b"" if self.layer is None else self.layer.pack()
