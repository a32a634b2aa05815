"""What a camera says on an RTSP connection, read liberally: bare line feeds, odd headers, rubbish between messages.

The strict parser for what clients send us is in `messages`. This one is bounded as well: a head of MAX_HEAD bytes, a body
of `max_body`, MAX_RUBBISH bytes of rubbish.
"""

from __future__ import annotations

import re

from onvifd.rtsp.messages import MAX_HEAD, MAX_HEADERS, Headers, Interleaved, Message, Request, Response, RtspError

MAX_RUBBISH = 16 << 10

_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"RTSP/(\d{1,3}\.\d{1,3})\s+(\d{3})\b\s*(.*)\Z", re.DOTALL)
_REQUEST = re.compile(r"([A-Z_]{3,20})\s+(\S{1,4096})\s+RTSP/(\d{1,3}\.\d{1,3})\s*\Z")
_START = re.compile(rb"\$|RTSP/\d|[A-Z_]{3,20} [^\r\n]{1,4096} RTSP/\d")
_MAYBE = re.compile(rb"R(?:T(?:S(?:P/?)?)?)?\Z|[A-Z_]{1,20}(?: [^\r\n\0]{0,4104})?\Z")
"""The end of a buffer that may become the start of a message."""


class AnswerParser:
    """Bytes in, messages out."""

    def __init__(self, *, max_body: int = 256 << 10) -> None:
        self._buffer = bytearray()
        self._max_body = max_body
        self._rubbish = 0

    @property
    def size(self) -> int:
        """Bytes received and not yet part of a message."""
        return len(self._buffer)

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes; messages are then ready from `next_message`."""
        self._buffer += data

    def take_rest(self) -> bytes:
        """What follows the last message, for a reader that goes on by itself."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def next_message(self) -> Message | None:
        """The next whole message, None until more bytes come. Raises RtspError for what is no RTSP at all."""
        buffer = self._buffer
        self._skip()
        if not buffer:
            return None
        if buffer[0] == 0x24:
            if len(buffer) < 4:
                return None
            after = 4 + (buffer[2] << 8 | buffer[3])
            if len(buffer) < after:
                return None
            frame = Interleaved(buffer[1], bytes(buffer[4:after]))
            del buffer[:after]
            return frame
        return self._message()

    def _skip(self) -> None:
        """Step over what is no message: empty lines, NULs, rubbish."""
        buffer = self._buffer
        if not buffer or buffer[0] == 0x24:
            return
        blank = len(buffer) - len(buffer.lstrip(b"\r\n\0 "))
        if blank:
            self._count_rubbish(blank)
            del buffer[:blank]
        if buffer.startswith(b"HTTP/"):
            raise RtspError(400, "not an RTSP message", fatal=True)
        if not buffer or _START.match(buffer) or _MAYBE.match(buffer[:4200]):
            return
        found = _START.search(buffer)
        skipped = found.start() if found else len(buffer) - min(len(buffer) - 1, 16)
        self._count_rubbish(skipped)
        del buffer[:skipped]

    def _count_rubbish(self, size: int) -> None:
        self._rubbish += size
        if self._rubbish > MAX_RUBBISH:
            raise RtspError(400, "not an RTSP message", fatal=True)

    def _message(self) -> Message | None:
        buffer = self._buffer
        end = _END.search(buffer, 0, MAX_HEAD + 4)
        if end is None:
            if len(buffer) > MAX_HEAD:
                raise RtspError(400, "message head is too large", fatal=True)
            return None
        lines = re.split(r"\r?\n", bytes(buffer[: end.start()]).decode("utf-8", "surrogateescape"))
        headers = _headers(lines[1:])
        length = re.match(r"\d{1,10}", headers.get("Content-Length") or "")
        size = int(length.group()) if length else 0
        if size > self._max_body:
            raise RtspError(413, "body is too large", fatal=True)
        after = end.end() + size
        if len(buffer) < after:
            return None
        body = bytes(buffer[end.end() : after])
        del buffer[:after]
        self._rubbish = 0
        status = _STATUS.match(lines[0])
        if status:
            return Response(int(status.group(2)), headers, body, status.group(3).strip(), status.group(1))
        request = _REQUEST.match(lines[0])
        if request:
            return Request(request.group(1), request.group(2), headers, body, request.group(3))
        raise RtspError(400, "not an RTSP message", fatal=True)


def _headers(lines: list[str]) -> Headers:
    """Header fields; lines that are none are left out, and those beyond MAX_HEADERS."""
    items: list[tuple[str, str]] = []
    for raw in lines[:MAX_HEADERS]:
        line = raw.replace("\r", "").replace("\0", "")  # in names and in what continues a line as well
        if line[:1] in (" ", "\t") and items:
            name, value = items[-1]
            items[-1] = (name, f"{value} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if colon and name.strip():
            items.append((name.strip(), value.strip()))
    return Headers(items)
