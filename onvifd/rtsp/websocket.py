"""RTSP over WebSocket, without sockets (Streaming 7; RFC 6455): handshake, frames in, frames out.

Binary messages carry the bytes of RTSP with interleaved media. Where a message ends has no meaning: what comes is one stream.
Who the client is settles RTSP within (Streaming 7.2); that a page of another site opened the socket gives it nothing, since a
browser adds no credentials of its own, so `Origin` is not looked at.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from onvifd.rtsp.server_events import Bucket

PATH = "/onvif/rtsp"
"""Where the web server takes WebSocket connections."""
URI = f"ws:{PATH}"
"""As capabilities tell it: an absolute path without host (Media2 5.11, Replay 5.4.1)."""
PROTOCOL = "rtsp.onvif.org"
MAX_FRAME = 256 << 10
"""Bytes of one frame from a client; requests and audio of a back channel are far smaller."""

FRAMES_PER_SECOND = 1000.0
"""Frames of all kinds; each request and each packet of a back channel may be one of its own."""
CONTROLS_PER_SECOND = 50.0
"""Control frames, and frames that carry nothing: pings every second are many already. What is within is counted there."""
CONTROL_BURST = 200.0

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LINE = re.compile(r"GET (\S{1,2048}) HTTP/1\.(\d)\Z")
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED = 1000, 1001, 1002, 1003
BAD_TEXT, POLICY, TOO_BIG = 1007, 1008, 1009


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request for `PATH`: what to answer, and whether WebSocket is spoken from then on."""

    answer: bytes
    accepted: bool


def upgrade(head: bytes) -> Upgrade | None:
    """What a whole HTTP head (up to the empty line) asks for; None if it is for another path or by another method."""
    lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    line = _LINE.match(lines[0])
    if line is None or line.group(1).partition("?")[0] != PATH:
        return None
    fields: dict[str, list[str]] = {}
    for each in lines[1:]:
        name, mark, value = each.partition(":")
        if not mark or name != name.strip():
            return _refused("400 Bad Request")
        fields.setdefault(name.lower(), []).append(value.strip())
    if line.group(2) == "0" or len(fields.get("host", ())) != 1:  # RFC 6455 4.2.1 items 1 and 2
        return _refused("400 Bad Request")
    if "websocket" not in _tokens(fields, "upgrade") or "upgrade" not in _tokens(fields, "connection"):
        return _refused("426 Upgrade Required", "Upgrade: websocket", "Connection: Upgrade")
    if fields.get("sec-websocket-version") != ["13"]:  # RFC 6455 4.2.2 item 4, 4.4
        return _refused(
            "426 Upgrade Required", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"
        )
    keys = fields.get("sec-websocket-key", [])
    if len(keys) != 1 or not _is_key(keys[0]):
        return _refused("400 Bad Request")
    offered = [each.strip() for value in fields.get("sec-websocket-protocol", ()) for each in value.split(",")]
    if PROTOCOL not in offered:
        return _refused("400 Bad Request")
    accept = b64encode(hashlib.sha1((keys[0] + _GUID).encode(), usedforsecurity=False).digest()).decode()
    answer = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
    )
    return Upgrade(answer.encode(), True)


def _tokens(fields: dict[str, list[str]], name: str) -> set[str]:
    return {each.strip().lower() for value in fields.get(name, ()) for each in value.split(",")}


def _is_key(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == 16
    except ValueError:
        return False


def _refused(status: str, *fields: str) -> Upgrade:
    lines = (f"HTTP/1.1 {status}", *fields, "Content-Length: 0")
    if not any(each.startswith("Connection:") for each in fields):
        lines += ("Connection: close",)
    return Upgrade(("\r\n".join(lines) + "\r\n\r\n").encode(), False)


def frame(data: bytes, opcode: int = _BINARY) -> bytes:
    """One whole message of the server's: never masked, never in fragments (RFC 6455 5.2)."""
    size = len(data)
    if size < 126:
        return bytes((0x80 | opcode, size)) + data
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + data
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + data


def close_frame(code: int = NORMAL) -> bytes:
    return frame(code.to_bytes(2, "big"), _CLOSE)


class _Refusal(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class WebSocketStream:
    """Reads what a client sends. `rest` and `fragmented` are its state, by which another process can go on; `now` is monotonic
    seconds."""

    def __init__(self, now: float, rest: bytes = b"", fragmented: bool = False, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._frames = Bucket(FRAMES_PER_SECOND, FRAMES_PER_SECOND, now)
        self._controls = Bucket(CONTROLS_PER_SECOND, CONTROL_BURST, now)
        self._now = now
        self._buffer = bytearray(rest)
        self.fragmented = fragmented
        """Whether a message has begun whose last fragment has not come."""
        self.closed: str | None = None
        """Why nothing more is read; the frame that says so is among the replies."""
        self._pong = b""
        self._end = b""

    @property
    def rest(self) -> bytes:
        """What is not a whole frame yet; at most a frame."""
        return bytes(self._buffer)

    def feed(self, data: bytes, now: float) -> bytes:
        """Take bytes; gives the payload of data frames. What is to be sent in return is in `replies`."""
        if self.closed is not None:
            return b""
        self._now = now
        self._buffer += data
        payload: list[bytes] = []
        try:
            while self.closed is None and (found := self._next()) is not None:
                payload.append(found)
        except _Refusal as refusal:
            self.closed = str(refusal)
            self._end = close_frame(refusal.code)
        if self.closed is not None:
            self._buffer.clear()
        return b"".join(payload)

    def replies(self) -> bytes:
        """Control frames that are ready to be sent: at most one pong, and the close."""
        data = self._pong + self._end
        self._pong = self._end = b""
        return data

    def _next(self) -> bytes | None:
        """The payload of the next frame, empty for control frames; None if it is not whole yet."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        final, opcode = bool(buffer[0] & 0x80), buffer[0] & 0x0F
        self._check(buffer[0], buffer[1], final, opcode)
        size, at = buffer[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(buffer) < 2 + width:
                return None
            size, at = int.from_bytes(buffer[2 : 2 + width], "big"), 2 + width
            if size < (126 if width == 2 else 1 << 16):
                raise _Refusal(PROTOCOL_ERROR, "length takes more bytes than it needs")  # 5.2
            if size > self._limit:
                raise _Refusal(TOO_BIG, "frame is too large")
        if len(buffer) < at + 4 + size:
            return None
        payload = _unmask(bytes(buffer[at + 4 : at + 4 + size]), bytes(buffer[at : at + 4]))
        del buffer[: at + 4 + size]
        if not self._frames.take(self._now):
            raise _Refusal(POLICY, "floods us with frames")
        if (opcode & 0x8 or not size) and not self._controls.take(self._now):
            raise _Refusal(POLICY, "floods us with frames that carry nothing")
        if opcode & 0x8:
            self._control(opcode, payload)
            return b""
        self.fragmented = not final
        return payload

    def _check(self, first: int, second: int, final: bool, opcode: int) -> None:
        if first & 0x70:
            raise _Refusal(PROTOCOL_ERROR, "reserved bits are set")  # 5.2: no extension was negotiated
        if not second & 0x80:
            raise _Refusal(PROTOCOL_ERROR, "frame is not masked")  # 5.1
        if opcode == _TEXT:
            raise _Refusal(UNSUPPORTED, "text frame")  # Streaming 7.3.2.1
        if opcode not in (_CONTINUATION, _BINARY, _CLOSE, _PING, _PONG):
            raise _Refusal(PROTOCOL_ERROR, "frame of an unknown kind")
        if opcode & 0x8:
            if not final or second & 0x7F > 125:
                raise _Refusal(PROTOCOL_ERROR, "control frame in fragments or too long")  # 5.5
        elif self.fragmented != (opcode == _CONTINUATION):
            raise _Refusal(PROTOCOL_ERROR, "fragments out of order")  # 5.4

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self._pong = frame(payload, _PONG)  # 5.5.3: of several the latest may be the only one to be answered
        elif opcode == _CLOSE:
            code = _close_code(payload)
            self.closed = "client has closed the connection"
            self._end = frame(payload[:2], _CLOSE) if code else frame(b"", _CLOSE)  # 5.5.1: answered in kind


def _close_code(payload: bytes) -> int:
    """The code of a close frame, 0 without one. Raises _Refusal for one that may not be sent (7.4)."""
    if not payload:
        return 0
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise _Refusal(PROTOCOL_ERROR, "close frame without a valid code")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise _Refusal(BAD_TEXT, "reason of a close frame is no UTF-8") from None
    return code


def _unmask(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    long_mask = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(long_mask, "little")).to_bytes(size, "little")
