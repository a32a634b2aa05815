"""RTSP messages: an incremental parser for both directions, and their serialisation (RFC 2326 sections 4 to 7, 10.12)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from onvifd.errors import OnvifdError

MAX_HEAD = 16 << 10
"""Bytes of start line and headers."""
MAX_BODY = 64 << 10
MAX_HEADERS = 64

REASONS = {
    100: "Continue",
    200: "OK",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Time-out",
    413: "Request Entity Too Large",
    414: "Request-URI Too Large",
    451: "Parameter Not Understood",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    456: "Header Field Not Valid for Resource",
    457: "Invalid Range",
    459: "Aggregate Operation Not Allowed",
    460: "Only aggregate operation allowed",
    461: "Unsupported transport",
    463: "Key management failure",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version not supported",
    551: "Option not supported",
}
"""Reason phrases of RFC 2326 section 7.1.1, and of RFC 4567 (key management)."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_REQUEST = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S{1,4096}) RTSP/(\d{1,3}\.\d{1,3})\Z")
_RESPONSE = re.compile(r"RTSP/(\d{1,3}\.\d{1,3}) (\d{3})(?: (.*))?\Z")


class RtspError(OnvifdError):
    """A request cannot be answered with success, or a message cannot be read. `status` is the RTSP status code.

    `headers` belong into the answer. `fatal`: where the next message starts is not known, so the connection must close.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        fatal: bool = False,
        cseq: str = "",
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers
        self.fatal = fatal
        self.cseq = cseq


class Headers:
    """Header fields in order; names compare without case (RFC 2326 4.2)."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str]] = list(items)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of `name`."""
        wanted = name.lower()
        for key, value in self._items:
            if key.lower() == wanted:
                return value
        return default

    def all(self, name: str) -> list[str]:
        """Every value of `name`, in order."""
        wanted = name.lower()
        return [value for key, value in self._items if key.lower() == wanted]

    def add(self, name: str, value: str) -> None:
        self._items.append((name, value))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._items == other._items

    def __repr__(self) -> str:
        # credentials must not reach a log
        shown = [(key, "..." if key.lower() == "authorization" else value) for key, value in self._items]
        return f"Headers({shown!r})"


def _serialise(start: str, headers: Headers, body: bytes) -> bytes:
    lines = [start]
    for name, value in headers:
        if "\r" in value or "\n" in value or "\r" in name or "\n" in name:
            raise ValueError("line break in a header")
        lines.append(f"{name}: {value}")
    if body and "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Request:
    """`uri` is the request target as sent."""

    method: str
    uri: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    version: str = "1.0"

    def serialise(self) -> bytes:
        return _serialise(f"{self.method} {self.uri} RTSP/{self.version}", self.headers, self.body)


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    reason: str = ""
    version: str = "1.0"

    def serialise(self) -> bytes:
        reason = self.reason or REASONS.get(self.status, "Unknown")
        return _serialise(f"RTSP/{self.version} {self.status} {reason}", self.headers, self.body)


@dataclass(frozen=True, slots=True)
class Interleaved:
    """Binary data of one channel (RFC 2326 10.12)."""

    channel: int
    data: bytes

    def serialise(self) -> bytes:
        return b"$" + bytes((self.channel,)) + len(self.data).to_bytes(2, "big") + self.data


Message = Request | Response | Interleaved


class Parser:
    """Bytes in, messages out. Bounded: a head of MAX_HEAD, MAX_HEADERS fields and a body of MAX_BODY bytes.

    After a fatal RtspError it takes nothing more.
    """

    def __init__(self, *, max_body: int = MAX_BODY) -> None:
        self._buffer = bytearray()
        self._max_body = max_body
        self._scanned = 0
        self._failed = False
        self._head: tuple[Request | Response, int] | None = None

    @property
    def size(self) -> int:
        """Bytes received and not yet part of a message."""
        return len(self._buffer)

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes; messages are then ready from `next_message`."""
        if not self._failed:
            self._buffer += data

    def take_rest(self) -> bytes:
        """What follows the last message, for a reader that goes on by itself."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return rest

    def next_message(self) -> Message | None:
        """The next whole message, None until more bytes come. Raises RtspError for what is no RTSP message."""
        if self._failed:
            return None
        try:
            return self._next()
        except RtspError as error:
            if error.fatal:
                self._failed = True
                self._buffer.clear()
            raise

    def _next(self) -> Message | None:
        buffer = self._buffer
        if self._head is None:
            # RFC 2326 4.1: empty lines before a message are skipped
            if buffer and buffer[0] in b"\r\n":
                del buffer[: len(buffer) - len(buffer.lstrip(b"\r\n"))]
                self._scanned = 0
            if not buffer:
                return None
            if buffer[0] == 0x24:
                return self._interleaved()
            if not self._read_head():
                return None
        if self._head is None:
            return None
        message, size = self._head
        if len(buffer) < size:
            return None
        body = bytes(buffer[:size])
        del buffer[:size]
        self._head = None
        if isinstance(message, Request):
            return Request(message.method, message.uri, message.headers, body, message.version)
        return Response(message.status, message.headers, body, message.reason, message.version)

    def _interleaved(self) -> Interleaved | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        end = 4 + (buffer[2] << 8 | buffer[3])
        if len(buffer) < end:
            return None
        frame = Interleaved(buffer[1], bytes(buffer[4:end]))
        del buffer[:end]
        return frame

    def _read_head(self) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3), MAX_HEAD + 4)
        if end < 0:
            self._scanned = len(buffer)
            self._check_start()
            if len(buffer) > MAX_HEAD:
                raise RtspError(400, "message head is too large", fatal=True)
            return False
        text = buffer[:end].decode("utf-8", "surrogateescape")
        del buffer[: end + 4]
        self._scanned = 0
        lines = text.split("\r\n")
        headers = _parse_headers(lines[1:])
        message = _parse_start(lines[0], headers)
        self._head = (message, self._body_size(headers))
        return True

    def _check_start(self) -> None:
        """Tell garbage from RTSP before a whole head is there."""
        end = self._buffer.find(b"\r\n")
        if end >= 0:
            _parse_start(self._buffer[:end].decode("utf-8", "surrogateescape"), Headers())
        elif any(byte < 0x20 or byte > 0x7E for byte in self._buffer[:16].rstrip(b"\r")):
            raise RtspError(400, "not an RTSP message", fatal=True)

    def _body_size(self, headers: Headers) -> int:
        value = headers.get("Content-Length")
        if value is None:
            return 0
        cseq = headers.get("CSeq") or ""
        if not re.fullmatch("[0-9]{1,10}", value):
            raise RtspError(400, "Content-Length is malformed", fatal=True, cseq=cseq)
        if int(value) > self._max_body:
            raise RtspError(413, "body is too large", fatal=True, cseq=cseq)
        return int(value)


def _parse_headers(lines: list[str]) -> Headers:
    if len(lines) > MAX_HEADERS:
        raise RtspError(400, "too many headers", fatal=True)
    items: list[tuple[str, str]] = []
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            raise RtspError(400, "malformed header", fatal=True)
        if line[:1] in (" ", "\t") and items:
            # RFC 2326 4.2 and RFC 2068 4.2: a line that starts with space continues the one before
            name, value = items[-1]
            items[-1] = (name, f"{value} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not _TOKEN.match(name):
            raise RtspError(400, "malformed header", fatal=True)
        items.append((name, value.strip()))
    return Headers(items)


def _parse_start(line: str, headers: Headers) -> Request | Response:
    request = _REQUEST.match(line)
    if request:
        return Request(request.group(1), request.group(2), headers, b"", request.group(3))
    response = _RESPONSE.match(line)
    if response:
        return Response(int(response.group(2)), headers, b"", response.group(3) or "", response.group(1))
    raise RtspError(400, "not an RTSP message", fatal=True)
