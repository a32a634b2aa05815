"""A relay for RTSP with interleaved media, and what a device may do wrong there.

Digest covers method and URI only, so that headers of requests can be changed on their way.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conformance.defects.model import Defect, add

MAX_HEAD = 64 << 10

Packet = Callable[[bytes, dict[str, Any]], bytes | None]
"""Changes one RTP packet; None loses it."""
Text = Callable[[str, dict[str, Any]], str]
"""Changes the head, or the head and body, of one message."""


@dataclass(frozen=True, slots=True)
class StreamDefect:
    packet: Packet | None = None
    request: Text | None = None
    """Sees the head of each request."""
    answer: Text | None = None
    """Sees head and body of each answer."""
    control: Packet | None = None
    """Changes one RTCP packet of the device."""


STREAMS: dict[str, StreamDefect] = {}
"""By the name of the defect."""


def stream_defect(
    name: str,
    what: str,
    case: str,
    *,
    packet: Packet | None = None,
    request: Text | None = None,
    answer: Text | None = None,
    control: Packet | None = None,
) -> None:
    add(Defect(name, what, case, streams=True))
    STREAMS[name] = StreamDefect(packet, request, answer, control)


@dataclass
class RtspRelay:
    """Between one client and the device, on one port."""

    host: str
    defect: StreamDefect | None = None
    target: tuple[str, int] = ("", 0)
    port: int = 0
    memory: dict[str, Any] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.host, 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        # Tasks of connections end by themselves when these are gone; asyncio complains of cancelled ones.
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def seed(self, defect: StreamDefect | None) -> None:
        self.defect = defect
        self.memory.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            async with asyncio.timeout(10):
                far_reader, far_writer = await asyncio.open_connection(*self.target)
        except (OSError, TimeoutError):
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)
            return
        ways = (self._pass(reader, far_writer, answers=False), self._pass(far_reader, writer, answers=True))
        running = [asyncio.create_task(each) for each in ways]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            far_writer.close()
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            while True:
                first = await reader.readexactly(1)
                if first == b"$":
                    channel, size = struct.unpack("!BH", await reader.readexactly(3))
                    data = self._packet(channel, await reader.readexactly(size), answers)
                    if data is not None:
                        writer.write(struct.pack("!BBH", 0x24, channel, len(data)) + data)
                else:
                    writer.write(self._message(*await _read(first, reader), answers))
                await writer.drain()

    def _packet(self, channel: int, data: bytes, answers: bool) -> bytes | None:
        made = self.defect
        if made is None or not answers:
            return data
        change = made.control if channel & 1 else made.packet
        return data if change is None else change(data, self.memory)

    def _message(self, head: str, body: bytes, answers: bool) -> bytes:
        made = self.defect
        if made is None:
            return head.encode() + body
        if not answers:
            return (made.request(head, self.memory) if made.request is not None else head).encode() + body
        if made.answer is None:
            return head.encode() + body
        changed = made.answer(head + body.decode("utf-8", "replace"), self.memory)
        head, _, rest = changed.partition("\r\n\r\n")
        if body:
            head = re.sub(r"(?im)^content-length:.*$", f"Content-Length: {len(rest.encode())}", head)
        return f"{head}\r\n\r\n{rest}".encode()


async def _read(first: bytes, reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (first + await reader.readuntil(b"\r\n\r\n"))[:MAX_HEAD].decode("utf-8", "replace")
    found = re.search(r"(?im)^content-length:\s*(\d+)", head)
    return head, await reader.readexactly(int(found[1])) if found else b""


# ---- edits of messages --------------------------------------------------------------------------------


def of_method(method: str, change: Text) -> Text:
    """Only requests of one method."""

    def apply(head: str, memory: dict[str, Any]) -> str:
        return change(head, memory) if head.startswith(f"{method} ") else head

    return apply


def header(name: str, value: str | None) -> Text:
    """Write a header that is there, or remove it (None)."""

    def apply(head: str, memory: dict[str, Any]) -> str:
        if value is None:
            return re.sub(rf"(?im)^{re.escape(name)}\s*:.*\r\n", "", head)
        return re.sub(rf"(?im)^{re.escape(name)}\s*:.*$", f"{name}: {value}\r", head)

    return apply


def replace(pattern: str, by: str) -> Text:
    def apply(text: str, memory: dict[str, Any]) -> str:
        return re.sub(pattern, by, text)

    return apply


# ---- edits of packets ---------------------------------------------------------------------------------


def extension_at(data: bytes) -> int:
    """Where the content of the replay extension begins; 0 if there is none."""
    start = 12 + 4 * (data[0] & 0x0F)
    if not data[0] & 0x10 or data[start : start + 2] != b"\xab\xac":
        return 0
    return start + 4


def in_extension(change: Callable[[bytearray, int, dict[str, Any]], None]) -> Packet:
    """Changes packets that have a replay extension: buffer and offset of its content."""

    def apply(data: bytes, memory: dict[str, Any]) -> bytes:
        at = extension_at(data)
        if not at:
            return data
        buffer = bytearray(data)
        change(buffer, at, memory)
        return bytes(buffer)

    return apply
