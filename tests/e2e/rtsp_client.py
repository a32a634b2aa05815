"""A small RTSP client over TCP (RFC 2326), written for these tests alone so that nothing of the server is tested with itself."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

NTP_TO_UNIX = 2_208_988_800
SECOND = 1_000_000
REPLAY = "onvif-replay"


def clock(utc: int) -> str:
    """UTC in the form of RFC 2326 3.7."""
    return datetime.fromtimestamp(utc // SECOND, UTC).strftime("%Y%m%dT%H%M%S") + f".{utc % SECOND:06d}Z"


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Media:
    """One media section: kind, encoding name in lower case, control URL, `a=x-onvif-track` if any."""

    kind: str
    encoding: str
    control: str
    track: str | None


@dataclass(frozen=True, slots=True)
class Extension:
    """The replay header extension (ONVIF Streaming, RTP header extension 0xABAC)."""

    utc: int
    clean: bool
    end: bool
    discontinuity: bool
    terminal: bool
    cseq: int


@dataclass(frozen=True, slots=True)
class Packet:
    channel: int
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    extension: Extension | None


@dataclass(slots=True)
class Unit:
    """One access unit of H.264: its NAL units and the packet that began it. That it is the terminal one is said in its last."""

    first: Packet
    nals: list[bytes] = field(default_factory=list)

    @property
    def extension(self) -> Extension:
        assert self.first.extension is not None, "the first packet of an access unit must carry 0xABAC"
        return self.first.extension

    @property
    def annex_b(self) -> bytes:
        return b"".join(b"\0\0\0\1" + nal for nal in self.nals)


def parse_packet(channel: int, data: bytes) -> Packet:
    first, second, sequence, timestamp, _ = struct.unpack_from(">BBHII", data)
    assert first >> 6 == 2
    offset = 12 + 4 * (first & 15)
    extension = None
    if first & 0x10:
        profile, words = struct.unpack_from(">HH", data, offset)
        if profile == 0xABAC:
            seconds, fraction, flags, cseq = struct.unpack_from(">IIBB", data, offset + 4)
            micros = (seconds - NTP_TO_UNIX) * 1_000_000 + ((fraction * 1_000_000 + (1 << 31)) >> 32)
            extension = Extension(micros, *(bool(flags & bit) for bit in (0x80, 0x40, 0x20, 0x10)), cseq)
        offset += 4 + 4 * words
    end = len(data) - (data[-1] if first & 0x20 else 0)
    return Packet(channel, sequence, timestamp, bool(second & 0x80), data[offset:end], extension)


def units(packets: Iterator[Packet]) -> Iterator[Unit]:
    """H.264 access units (RFC 6184: single NAL units, STAP-A and FU-A). Lost packets fail the test."""
    current: Unit | None = None
    expected: int | None = None
    for packet in packets:
        assert expected in (None, packet.sequence), f"packet {expected} is missing"
        expected = (packet.sequence + 1) & 0xFFFF
        current = current or Unit(packet)
        kind = packet.payload[0] & 31
        if kind == 24:
            offset = 1
            while offset < len(packet.payload):
                size = int.from_bytes(packet.payload[offset : offset + 2], "big")
                current.nals.append(packet.payload[offset + 2 : offset + 2 + size])
                offset += 2 + size
        elif kind == 28:
            indicator, header = packet.payload[:2]
            if header & 0x80:
                current.nals.append(bytes([indicator & 0xE0 | header & 31]))
            current.nals[-1] += packet.payload[2:]
        else:
            current.nals.append(packet.payload)
        if packet.marker:
            if packet.extension is not None and packet.extension.terminal:
                current.first = replace(current.first, extension=replace(current.extension, terminal=True))
            yield current
            current = None


def unverified() -> ssl.SSLContext:
    """For a recorder whose authority this client does not know."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class RtspClient:
    """One connection, or with `tunnel` two that make an HTTP tunnel, by `tls` or not. `with` closes them; every read has a
    deadline. `url` keeps the scheme rtsp in its requests, whatever it is carried by."""

    def __init__(
        self,
        url: str,
        user: str,
        password: str,
        timeout: float = 10.0,
        *,
        tunnel: bool = False,
        tls: ssl.SSLContext | None = None,
        line_length: int = 0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https"):
            url = url.replace(parts.scheme, "rtsp", 1)
        self.url = url
        self.timeout = timeout
        self.session = ""
        self.cseq = 0
        self._user, self._password = user, password
        self._challenge: dict[str, str] = {}
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._buffer = bytearray()
        self._address = (parts.hostname or "", parts.port or 554)
        self._path = parts.path
        self._tls = tls
        self._line_length = line_length
        self.cookie = os.urandom(12).hex()
        self.socket = self._connect()
        self.post: socket.socket | None = None
        if tunnel:
            self.socket.sendall(self._head("GET", "Accept: application/x-rtsp-tunnelled"))
            while (end := self._buffer.find(b"\r\n\r\n")) < 0:
                assert self._fill(len(self._buffer) + 1, time.monotonic() + timeout), "no answer to the GET"
            self.tunnel_answer = self._buffer[:end].decode()
            del self._buffer[: end + 4]
            self.post_anew()

    def __enter__(self) -> RtspClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        if self.post is not None:
            self.post.close()

    # ---- ways ------------------------------------------------------------------------------------

    def _connect(self) -> socket.socket:
        plain = socket.create_connection(self._address, self.timeout)
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self._address[0])

    def _head(self, method: str, *lines: str) -> bytes:
        first = (f"{method} {self._path} HTTP/1.0", f"x-sessioncookie: {self.cookie}", *lines, "", "")
        return "\r\n".join(first).encode()

    def post_anew(self) -> None:
        """Go on in another POST of the tunnel."""
        if self.post is not None:
            self.post.close()
        self.post = self._connect()
        length = ("Content-Type: application/x-rtsp-tunnelled", "Content-Length: 32767")
        self.post.sendall(self._head("POST", *length))

    def send(self, data: bytes) -> None:
        if self.post is None:
            self.socket.sendall(data)
            return
        text = base64.b64encode(data)
        if self._line_length:
            size = self._line_length
            text = b"".join(text[begin : begin + size] + b"\r\n" for begin in range(0, len(text), size))
        self.post.sendall(text)

    # ---- requests --------------------------------------------------------------------------------

    def request(self, method: str, url: str = "", **headers: str) -> Reply:
        """Send a request, answer a digest challenge once, and return the reply whatever its status."""
        reply = self._exchange(method, url or self.url, headers)
        if reply.status == 401:
            challenge = reply.headers["www-authenticate"]
            assert challenge.lower().startswith("digest")
            self._challenge = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
            reply = self._exchange(method, url or self.url, headers)
        return reply

    def demand(self, method: str, url: str = "", **headers: str) -> Reply:
        reply = self.request(method, url, **headers)
        assert reply.status == 200, f"{method}: {reply.status} {reply.headers}"
        return reply

    def describe(self) -> list[Media]:
        reply = self.demand("DESCRIBE", Accept="application/sdp")
        base = reply.headers.get("content-base", self.url)
        found = []
        for section in re.split(r"(?m)^m=", reply.body)[1:]:
            control = re.search(r"(?m)^a=control:(\S+)", section)
            encoding = re.search(r"(?m)^a=rtpmap:\d+ ([^/\s]+)", section)
            track = re.search(r"(?m)^a=x-onvif-track:(\S+)", section)
            assert control
            address = control[1] if "://" in control[1] else f"{base.rstrip('/')}/{control[1]}"
            name = encoding[1].lower() if encoding else ""
            found.append(Media(section.split()[0], name, address, track[1] if track else None))
        return found

    def setup(self, media: Media, channel: int = 0, *, port: int | None = None, **headers: str) -> Reply:
        """Set a track up on interleaved channels `channel` and the next, or on UDP ports `port` and the next."""
        transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        if port is not None:
            transport = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
        reply = self.demand("SETUP", media.control, Transport=transport, **headers)
        self.session = reply.headers["session"].split(";")[0]
        return reply

    def left_over(self) -> bytes:
        """What was read and not yet used, as it came; for callers that read the socket themselves from here on."""
        waiting = b"".join(
            b"$" + bytes([channel]) + len(data).to_bytes(2, "big") + data for channel, data in self._waiting
        )
        return waiting + bytes(self._buffer)

    def _exchange(self, method: str, url: str, headers: dict[str, str]) -> Reply:
        self.cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self.cseq}", "User-Agent: onvifd-tests"]
        if self.session:
            lines.append(f"Session: {self.session}")
        if self._challenge:
            lines.append(f"Authorization: {self._authorization(method, url)}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        while True:
            reply = self._next_reply()
            if int(reply.headers.get("cseq", "-1")) == self.cseq:
                return reply

    def _authorization(self, method: str, url: str) -> str:
        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        realm, nonce = self._challenge["realm"], self._challenge["nonce"]
        ha1, ha2 = md5(f"{self._user}:{realm}:{self._password}"), md5(f"{method}:{url}")
        start = f'Digest username="{self._user}", realm="{realm}", nonce="{nonce}", uri="{url}"'
        if "auth" in self._challenge.get("qop", ""):
            response = md5(f"{ha1}:{nonce}:{self.cseq:08x}:abcdef01:auth:{ha2}")
            return f'{start}, response="{response}", qop=auth, nc={self.cseq:08x}, cnonce="abcdef01"'
        return f'{start}, response="{md5(f"{ha1}:{nonce}:{ha2}")}"'

    # ---- incoming bytes --------------------------------------------------------------------------

    def packets(self, channel: int | None = 0, *, seconds: float = 30.0) -> Iterator[Packet]:
        """RTP packets of an interleaved channel (None: of all with an even number) until `seconds` have passed or the server
        closes."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                item = self._waiting.popleft() if self._waiting else self._read(deadline)
            except TimeoutError:
                return
            if item is None:
                return
            if isinstance(item, tuple) and (item[0] == channel or (channel is None and item[0] % 2 == 0)):
                yield parse_packet(*item)

    def _next_reply(self) -> Reply:
        deadline = time.monotonic() + self.timeout
        while True:
            item = self._read(deadline)
            assert item is not None, "the server closed the connection"
            if isinstance(item, Reply):
                return item
            self._waiting.append(item)

    def _read(self, deadline: float) -> Reply | tuple[int, bytes] | None:
        """The next reply or interleaved packet; None at the end of the connection."""
        if not self._fill(4, deadline):
            return None
        if self._buffer[0] == 0x24:
            size = int.from_bytes(self._buffer[2:4], "big")
            if not self._fill(4 + size, deadline):
                return None
            item = self._buffer[1], bytes(self._buffer[4 : 4 + size])
            del self._buffer[: 4 + size]
            return item
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not self._fill(len(self._buffer) + 1, deadline):
                return None
        lines = self._buffer[:end].decode().split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        size = int(headers.get("content-length", "0"))
        if not self._fill(end + 4 + size, deadline):
            return None
        body = self._buffer[end + 4 : end + 4 + size].decode()
        del self._buffer[: end + 4 + size]
        return Reply(int(lines[0].split()[1]), headers, body)

    def _fill(self, size: int, deadline: float) -> bool:
        while len(self._buffer) < size:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            data = self.socket.recv(65536)
            if not data:
                return False
            self._buffer += data
        return True
