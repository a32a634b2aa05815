"""What a media worker and the vision worker say to each other about pictures in the making, over a Unix socket of their own.

Control hands the ends to both and never sees what passes: it is video.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable

import msgspec

from onvifd.workers.tasks import tell_fault

log = logging.getLogger(__name__)

MAX_MESSAGE = 16 << 20
MAX_WAITING = 16 << 20
"""Bytes (a long group of pictures) that wait for a peer that does not read before what is said further is dropped."""

_LENGTH = struct.Struct(">I")


class Begin(msgspec.Struct, frozen=True, tag=True):
    """To the vision worker: make pictures of what comes under this number. `width` and `height` 0 keep the size of the source,
    `height` 0 its shape. `rate` is pictures per second, 0 for all. `quality` is 1 to 100."""

    number: int
    codec: str
    parameter_sets: tuple[bytes, ...]
    config: bytes
    width: int
    height: int
    rate: float
    quality: float


class Unit(msgspec.Struct, frozen=True, tag=True):
    """An access unit as media.types has it."""

    number: int
    utc: int
    key: bool
    data: bytes


class End(msgspec.Struct, frozen=True, tag=True):
    """Nobody wants this number any more."""

    number: int


class Picture(msgspec.Struct, frozen=True, tag=True):
    """A JPEG of a moment, microseconds UTC."""

    number: int
    utc: int
    data: bytes


class Refused(msgspec.Struct, frozen=True, tag=True):
    """There will be no pictures of this number: the reason for a person."""

    number: int
    reason: str


Word = Begin | Unit | End | Picture | Refused

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Word).decode


class PictureLine:
    """One end. `hear` takes every word of the other side; `closed` is done when it is gone."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hear: Callable[[PictureLine, Word], None]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._hear = hear
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pump = asyncio.create_task(self._read(), name="picture line")
        self._pump.add_done_callback(tell_fault)

    @classmethod
    async def open(cls, sock: socket.socket, hear: Callable[[PictureLine, Word], None]) -> PictureLine:
        """Take over a connected socket. Raises OSError; the socket is then closed."""
        sock.setblocking(False)
        try:
            reader, writer = await asyncio.open_unix_connection(sock=sock, limit=1 << 20)
        except BaseException:
            sock.close()
            raise
        return cls(reader, writer, hear)

    def send(self, word: Word) -> bool:
        """Say something without waiting. False for a Unit or Picture that was dropped, because the other side does not keep up
        or it is too large."""
        if self.closed.done():
            return False
        waiting = self._writer.transport.get_write_buffer_size()
        if waiting > MAX_WAITING and isinstance(word, Unit | Picture):
            return False
        if waiting > 2 * MAX_WAITING:
            log.error("the other side of a picture line does not read; closing it")
            self._writer.transport.abort()
            return False
        data = _encode(word)
        if len(data) > MAX_MESSAGE:
            return False
        self._writer.write(_LENGTH.pack(len(data)))
        self._writer.write(data)
        return True

    async def _read(self) -> None:
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(4))
                if length > MAX_MESSAGE:
                    log.error("%d bytes on a picture line exceed the bound", length)
                    break
                self._hear(self, _decode(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side ended: `closed` tells the owner
        except msgspec.MsgspecError as error:
            log.error("a picture line carries what is not understood: %s", error)
        finally:
            if not self.closed.done():
                self.closed.set_result(None)

    async def close(self) -> None:
        """End it; what still waits is dropped."""
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        self._writer.transport.abort()
        if not self.closed.done():
            self.closed.set_result(None)
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
