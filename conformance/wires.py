"""Ways for RTSP to a device: TCP, TLS, an HTTP tunnel, a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
import ssl
import struct
from urllib.parse import SplitResult

from conformance.model import Examination, Failure

MAX_FRAME = 4 << 20
LINE = 64
"""Characters of a line of base64 (RFC 1421 4.3.2.4)."""
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SUBPROTOCOL = "rtsp.onvif.org"
CLOSING = 5.0
"""Seconds in which a device must close the GET of a tunnel whose POST is gone."""


async def connect(host: str, port: int, tls: bool, timeout: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = None
    if tls:
        context = ssl.create_default_context()
        # A device's certificate is its own; who it belongs to is what other cases ask.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.open_connection(host, port, ssl=context, limit=1 << 20)
    except (OSError, TimeoutError) as error:
        raise Failure(f"no connection to {host}:{port}: {error or 'time-out'}") from None


def authority(target: SplitResult) -> tuple[str, int, bool]:
    """Host, port and whether TLS is used, by an address of HTTP, WebSocket or RTSP."""
    tls = target.scheme in ("https", "wss", "rtsps")
    usual = {"http": 80, "ws": 80, "https": 443, "wss": 443, "rtsp": 554, "rtsps": 322}[target.scheme]
    return target.hostname or "", target.port or usual, tls


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Wire:
    """RTSP on a TCP connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writers = [writer]

    async def write(self, data: bytes) -> None:
        self._writers[-1].write(data)
        await self._writers[-1].drain()

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()

    async def finish(self, x: Examination) -> None:
        """What a client does after TEARDOWN, and what the device must do then."""


class Tunnel(Wire):
    """RTSP through an HTTP GET and an HTTP POST, joined by a cookie (Streaming 5.1.1.5)."""

    line_breaks = False
    """Whether requests are sent with line breaks in their base64."""

    @classmethod
    async def open(cls, x: Examination, host: str, port: int, path: str, tls: bool) -> Tunnel:
        timeout = x.settings.message_timeout
        cookie = secrets.token_hex(11)
        common = f"x-sessioncookie: {cookie}\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\r\n"
        head = f"{path} HTTP/1.0\r\nHost: {bracketed(host)}:{port}\r\nUser-Agent: examiner\r\n"
        getter, get_writer = await connect(host, port, tls, timeout)
        request = f"GET {head}Accept: application/x-rtsp-tunnelled\r\n{common}"
        get_writer.write(request.encode())
        try:
            async with asyncio.timeout(timeout):
                await get_writer.drain()
                answer = await getter.readuntil(b"\r\n\r\n")
        except (OSError, EOFError, TimeoutError) as error:
            get_writer.close()
            raise Failure(f"the GET of the HTTP tunnel was not answered: {error!r}") from None
        x.note("HTTP tunnel: GET", request, answer)
        status, *_ = answer.split(b"\r\n")
        if b" 200" not in status or b"application/x-rtsp-tunnelled" not in answer:
            get_writer.close()
            if b" 200" not in status:
                raise Failure(f"the GET of the HTTP tunnel was answered {status.decode('latin-1')!r}")
            raise Failure("the answer to the GET of the HTTP tunnel is not application/x-rtsp-tunnelled")
        _poster, post_writer = await connect(host, port, tls, timeout)
        request = f"POST {head}Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n{common}"
        post_writer.write(request.encode())
        await post_writer.drain()
        x.note("HTTP tunnel: POST", request)
        made = cls(getter, get_writer)
        made._writers.append(post_writer)
        return made

    async def write(self, data: bytes) -> None:
        encoded = base64.b64encode(data)
        if self.line_breaks:
            encoded = b"".join(encoded[at : at + LINE] + b"\r\n" for at in range(0, len(encoded), LINE))
        await super().write(encoded)

    async def finish(self, x: Examination) -> None:
        """Close the POST; the device closes the GET (Streaming using Media2 Test 6.11)."""
        self._writers[-1].close()
        try:
            async with asyncio.timeout(CLOSING):
                while await self.reader.read(1 << 16):
                    continue
        except TimeoutError:
            raise Failure(
                f"the GET of the HTTP tunnel is still open {CLOSING:g} s after TEARDOWN and the end of the POST"
            ) from None
        except OSError as error:
            x.note("the GET of the HTTP tunnel was reset by the device", "", repr(error))


class Socket(Wire):
    """RTSP in the binary messages of a WebSocket (Streaming 5.1.1.6 and 7, RFC 6455)."""

    def __init__(self, raw: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(asyncio.StreamReader(limit=MAX_FRAME), writer)
        self._raw = raw
        self._pump = asyncio.create_task(self._receive())

    @classmethod
    async def open(cls, x: Examination, target: SplitResult) -> Socket:
        """Handshake of Streaming using Media2 Test 6.26."""
        host, port, tls = authority(target)
        raw, writer = await connect(host, port, tls, x.settings.message_timeout)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        path = target.path + (f"?{target.query}" if target.query else "")
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {bracketed(host)}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        try:
            writer.write(request.encode())
            async with asyncio.timeout(x.settings.message_timeout):
                await writer.drain()
                answer = (await raw.readuntil(b"\r\n\r\n")).decode("latin-1")
            x.note("WebSocket handshake", request, answer)
            _check_handshake(answer, key)
        except (OSError, EOFError, TimeoutError) as error:
            writer.close()
            raise Failure(f"the WebSocket handshake was not answered: {error!r}") from None
        except Failure:
            writer.close()
            raise
        return cls(raw, writer)

    async def write(self, data: bytes) -> None:
        await super().write(_frame(0x2, data))

    async def _receive(self) -> None:
        """Payload of the device's messages to the reader; pings are answered (RFC 6455 5.5.2)."""
        try:
            fragmented = False
            while True:
                first, second = await self._raw.readexactly(2)
                size = second & 0x7F
                if size == 126:
                    (size,) = struct.unpack("!H", await self._raw.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self._raw.readexactly(8))
                if size > MAX_FRAME or second & 0x80 or first & 0x70:
                    raise Failure(f"a WebSocket frame begins with {first:02x}{second:02x} (RFC 6455 5.1, 5.2)")
                data = await self._raw.readexactly(size)
                code = first & 0x0F
                if code == 0x8:
                    break
                if code == 0x9:
                    await Wire.write(self, _frame(0xA, data))
                elif code == (0x0 if fragmented else 0x2):
                    fragmented = not first & 0x80
                    self.reader.feed_data(data)
                elif code != 0xA:
                    raise Failure(f"a WebSocket frame has the opcode {code}; RTSP comes in binary messages")
            self.reader.feed_eof()
        except (OSError, EOFError):
            self.reader.feed_eof()
        except Failure as failure:
            self.reader.set_exception(failure)

    async def close(self) -> None:
        with contextlib.suppress(OSError):
            # 1000: a normal end.
            await Wire.write(self, _frame(0x8, b"\x03\xe8"))
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        await super().close()


def _frame(code: int, data: bytes) -> bytes:
    """A client's frames are masked (RFC 6455 5.3)."""
    size = len(data)
    head = bytes([0x80 | code])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    mask = secrets.token_bytes(4)
    stream = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
    return head + mask + masked


def _check_handshake(answer: str, key: str) -> None:
    status, *lines = answer.split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    if " 101" not in status:
        raise Failure(f"the WebSocket handshake was answered {status!r}, expected 101")
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()
    for name, wanted in (("Upgrade", "websocket"), ("Connection", "upgrade"), ("Sec-WebSocket-Protocol", SUBPROTOCOL)):
        given = headers.get(name.lower(), "")
        if wanted not in given.lower():
            raise Failure(f"{name} in the answer to the WebSocket handshake is {given!r}, expected {wanted!r}")
    if headers.get("sec-websocket-accept") != accept:
        raise Failure("Sec-WebSocket-Accept in the answer to the WebSocket handshake is wrong (RFC 6455 4.1)")
