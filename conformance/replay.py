"""A replay client: RTSP by TCP, UDP or an HTTP tunnel, and what arrives judged as the Replay and Streaming specifications demand."""

from __future__ import annotations

import asyncio
import base64
import secrets
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urljoin, urlsplit

from conformance.auth import Digest, read_challenges
from conformance.model import Examination, Failure
from conformance.rtp import Description, Media, Rtp, check_rtcp, read_rtp, read_sdp
from conformance.rtsp import MAX_BODY, MAX_HEAD, RtspReply

MAX_PACKETS = 400_000
"""What one session keeps; a device that sends more is not read on."""
UDP_BUFFER = 8 << 20
PAIR_TRIES = 50


# ---- wires --------------------------------------------------------------------------------------------


async def _connect(
    host: str, port: int, tls: bool, timeout: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = None
    if tls:
        context = ssl.create_default_context()
        # A device's certificate is its own; who it belongs to is what other cases ask.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError) as error:
        raise Failure(f"no connection to {host}:{port}: {error or 'time-out'}") from None


class _Wire:
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


class _Tunnel(_Wire):
    """RTSP through an HTTP GET and an HTTP POST, joined by a cookie (Streaming 5.1.1.3)."""

    @classmethod
    async def open(cls, x: Examination, host: str, port: int, path: str, tls: bool) -> _Tunnel:
        timeout = x.settings.message_timeout
        cookie = secrets.token_hex(11)
        common = f"x-sessioncookie: {cookie}\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\r\n"
        head = f"{path} HTTP/1.0\r\nHost: {host}:{port}\r\nUser-Agent: examiner\r\n"
        getter, get_writer = await _connect(host, port, tls, timeout)
        request = f"GET {head}Accept: application/x-rtsp-tunnelled\r\n{common}"
        get_writer.write(request.encode())
        try:
            async with asyncio.timeout(timeout):
                await get_writer.drain()
                answer = await getter.readuntil(b"\r\n\r\n")
        except (OSError, EOFError, TimeoutError) as error:
            raise Failure(f"the GET of the HTTP tunnel was not answered: {error!r}") from None
        x.note("HTTP tunnel: GET", request, answer)
        status, *_ = answer.split(b"\r\n")
        if b" 200" not in status:
            raise Failure(f"the GET of the HTTP tunnel was answered {status.decode('latin-1')!r}")
        if b"application/x-rtsp-tunnelled" not in answer:
            raise Failure("the answer to the GET of the HTTP tunnel is not application/x-rtsp-tunnelled")
        _poster, post_writer = await _connect(host, port, tls, timeout)
        request = f"POST {head}Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n{common}"
        post_writer.write(request.encode())
        await post_writer.drain()
        x.note("HTTP tunnel: POST", request)
        made = cls(getter, get_writer)
        made._writers.append(post_writer)
        return made

    async def write(self, data: bytes) -> None:
        await super().write(base64.b64encode(data))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, arrived: Callable[[bytes], None]) -> None:
        self._arrived = arrived

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._arrived(data)


# ---- client -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Track:
    """A track that was set up, and what came for it."""

    media: Media
    uri: str
    rtp: list[Rtp] = field(default_factory=list)
    rtcp: int = 0
    wrong: str = ""
    """What was wrong with a packet that could not be read."""


@dataclass
class ReplayClient:
    """`async with ReplayClient(x, uri, "UDP") as client:`; transports are UDP, RTSP (interleaved) and HTTP (tunnel)."""

    x: Examination
    uri: str
    transport: str
    tracks: list[Track] = field(default_factory=list)
    session: str = ""
    cseq: int = 0
    description: Description | None = None
    _wire: _Wire | None = None
    _digest: Digest | None = None
    _answers: asyncio.Queue[RtspReply] = field(default_factory=lambda: asyncio.Queue(16))
    _channels: dict[int, tuple[Track, bool]] = field(default_factory=dict)
    _udp: list[asyncio.DatagramTransport] = field(default_factory=list)
    _reader: asyncio.Task[None] | None = None
    _ended: str = ""
    _count: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> ReplayClient:
        target = urlsplit(self.uri)
        if target.scheme not in ("rtsp", "rtsps", "http", "https") or not target.hostname:
            raise Failure(f"the URI {self.uri!r} is no RTSP URI")
        timeout = self.x.settings.message_timeout
        if self.transport == "HTTP":
            place = target if target.scheme.startswith("http") else urlsplit(self.x.soap.address("tds"))
            tls = place.scheme == "https"
            path = target.path + (f"?{target.query}" if target.query else "")
            host, port = place.hostname or "", place.port or (443 if tls else 80)
            self._wire = await _Tunnel.open(self.x, host, port, path, tls)
        else:
            tls = target.scheme == "rtsps"
            self._wire = _Wire(*await _connect(target.hostname, target.port or (322 if tls else 554), tls, timeout))
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._wire is not None:
            await self._wire.close()
        for transport in self._udp:
            transport.close()

    # ---- what arrives

    async def _read(self) -> None:
        assert self._wire is not None
        reader = self._wire.reader
        try:
            while True:
                first = await reader.readexactly(1)
                if first == b"$":
                    channel, size = struct.unpack("!BH", await reader.readexactly(3))
                    self._interleaved(channel, await reader.readexactly(size))
                else:
                    await self._answers.put(await self._answer(first, reader))
        except (OSError, EOFError, Failure, asyncio.LimitOverrunError) as error:
            self._ended = str(error) or repr(error)
            self._news.set()

    async def _answer(self, first: bytes, reader: asyncio.StreamReader) -> RtspReply:
        head = first + await reader.readuntil(b"\r\n\r\n")
        start, *rest = head[:MAX_HEAD].decode("utf-8", "replace").strip().split("\r\n")
        version, _, more = start.partition(" ")
        status, _, reason = more.partition(" ")
        if version != "RTSP/1.0" or not status.isdigit():
            raise Failure(f"something else than an RTSP answer arrived: {start!r}")
        pairs = (each.partition(":") for each in rest)
        headers = tuple((key.strip(), value.strip()) for key, colon, value in pairs if colon)
        length = next((int(value) for key, value in headers if key.lower() == "content-length" and value.isdigit()), 0)
        body = await reader.readexactly(min(length, MAX_BODY)) if length else b""
        return RtspReply(int(status), reason, headers, body)

    def _interleaved(self, channel: int, data: bytes) -> None:
        place = self._channels.get(channel)
        if place is not None:
            self._arrived(*place, data)

    def _arrived(self, track: Track, control: bool, data: bytes) -> None:
        self._count += 1
        if self._count > MAX_PACKETS:
            return
        try:
            if control:
                check_rtcp(data)
                track.rtcp += 1
            else:
                track.rtp.append(read_rtp(data, time.monotonic()))
        except Failure as failure:
            track.wrong = track.wrong or str(failure)
        self._news.set()

    # ---- requests

    async def request(self, method: str, uri: str = "", headers: Mapping[str, str] | None = None) -> RtspReply:
        """Send a request and await its answer; a 401 is answered with Digest once."""
        reply = await self._exchange(method, uri or self.uri, headers or {})
        if reply.status == 401:
            offered = reply.all("WWW-Authenticate")
            if not any(each.lower().startswith("digest") for each in offered):
                raise Failure(f"RTSP {method} was answered 401 without WWW-Authenticate: Digest (Replay Test 6.4)")
            challenges = [each for each in read_challenges(offered) if each.known]
            if challenges and self.x.settings.user:
                self._digest = Digest(self.x.settings.user, self.x.settings.password, challenges[0])
                reply = await self._exchange(method, uri or self.uri, headers or {})
        return reply

    async def ask(self, method: str, uri: str = "", headers: Mapping[str, str] | None = None) -> RtspReply:
        """A request that must be answered 200."""
        reply = await self.request(method, uri, headers)
        if reply.status != 200:
            raise Failure(f"RTSP {method} was answered {reply.status} {reply.reason}, expected 200 OK")
        return reply

    async def _exchange(self, method: str, uri: str, headers: Mapping[str, str]) -> RtspReply:
        assert self._wire is not None
        self.cseq += 1
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self.cseq}", "User-Agent: examiner"]
        if self.session:
            lines.append(f"Session: {self.session}")
        if self._digest is not None:
            lines.append(f"Authorization: {self._digest.authorize(method, uri)}")
        message = "\r\n".join((*lines, *(f"{key}: {value}" for key, value in headers.items()), "", ""))
        try:
            async with asyncio.timeout(self.x.settings.message_timeout):
                await self._wire.write(message.encode())
                reply = await self._answers.get()
        except TimeoutError:
            self.x.note(f"RTSP {method}", message)
            raise Failure(f"RTSP {method}: no answer in time{': ' + self._ended if self._ended else ''}") from None
        except OSError as error:
            raise Failure(f"RTSP {method}: the connection ended: {error}") from None
        self.x.note(f"RTSP {method}", message, str(reply))
        if reply.header("CSeq").strip() != str(self.cseq):
            raise Failure(f"the answer to {method} has CSeq {reply.header('CSeq')!r}, expected {self.cseq}")
        return reply

    # ---- steps

    async def describe(self) -> Description:
        reply = await self.ask("DESCRIBE", headers={"Accept": "application/sdp"})
        base = reply.header("Content-Base") or reply.header("Content-Location") or self.uri
        self._base = base
        self.description = read_sdp(reply.body.decode("utf-8", "replace"))
        self.answer = reply
        return self.description

    _base: str = ""
    answer: RtspReply | None = None

    def address(self, control: str) -> str:
        """RFC 2326 C.1.1."""
        if not control or control == "*":
            return self._base
        if "://" in control:
            return control
        base = self._base if self._base.endswith("/") else f"{self._base}/"
        return urljoin(base, control)

    async def set_up(self, media: Media) -> RtspReply:
        track = Track(media, self.address(media.control))
        if self.transport == "UDP":
            port = await self._open_pair(track)
            transport = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
        else:
            first = 2 * len(self.tracks)
            transport = f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"
        reply = await self.ask("SETUP", track.uri, {"Transport": transport, "Require": "onvif-replay"})
        chosen = reply.header("Transport")
        wanted = "client_port" if self.transport == "UDP" else "interleaved"
        if wanted not in chosen:
            raise Failure(f"SETUP for {transport} was answered with Transport: {chosen!r}")
        if self.transport != "UDP":
            values = dict(each.strip().partition("=")[::2] for each in chosen.split(";"))
            low = int(values["interleaved"].partition("-")[0])
            self._channels[low], self._channels[low + 1] = (track, False), (track, True)
        self.session = reply.header("Session").partition(";")[0].strip()
        self.tracks.append(track)
        return reply

    async def _open_pair(self, track: Track) -> int:
        loop = asyncio.get_running_loop()
        host = self.x.prober.local()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for _ in range(PAIR_TRIES):
            port = 2 * secrets.randbelow(10_000) + 30_000
            opened = []
            try:
                for control in (False, True):
                    sock = socket.socket(family, socket.SOCK_DGRAM)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
                    sock.setblocking(False)
                    try:
                        sock.bind((host, port + control))
                    except OSError:
                        sock.close()
                        raise

                    def arrived(data: bytes, control: bool = control) -> None:
                        self._arrived(track, control, data)

                    made = await loop.create_datagram_endpoint(lambda arrived=arrived: _Datagrams(arrived), sock=sock)  # type: ignore[misc]
                    opened.append(made[0])
            except OSError:
                for transport in opened:
                    transport.close()
                continue
            self._udp += opened
            return port
        raise Failure("the examiner finds no pair of free UDP ports")

    async def play(self, **headers: str) -> tuple[RtspReply, int]:
        """PLAY of the whole session; gives the answer and the low byte of its CSeq."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        control = self.description.control if self.description is not None else ""
        reply = await self.ask("PLAY", self.address(control), {"Require": "onvif-replay", **named})
        return reply, self.cseq & 0xFF

    async def pause(self, **headers: str) -> RtspReply:
        control = self.description.control if self.description is not None else ""
        return await self.ask("PAUSE", self.address(control), headers)

    async def tear_down(self) -> None:
        control = self.description.control if self.description is not None else ""
        await self.ask("TEARDOWN", self.address(control))

    # ---- waiting

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds of what arrived; False if it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self._ended:
                raise Failure(f"the RTSP session was ended by the device: {self._ended}")
            self._news.clear()
            try:
                async with asyncio.timeout(min(left, 0.5)):
                    await self._news.wait()
            except TimeoutError:
                continue
        return True

    async def quiet(self, silence: float, seconds: float) -> bool:
        """Wait until no RTP has come for `silence` seconds; False if it goes on for `seconds`."""

        def still() -> bool:
            latest = max((track.rtp[-1].at for track in self.tracks if track.rtp), default=began)
            return time.monotonic() - max(latest, began) >= silence

        began = time.monotonic()
        return await self.until(still, seconds)
