"""The "RTSP Simulator" of the test specifications: a source that the device under test connects to.

It serves two streams, `/one` and `/two`, that differ in resolution and rate, by UDP unicast and interleaved TCP, and notes what
the device did. Every other path is answered 404.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import urlsplit

from conformance import pattern
from conformance.model import Failure

MTU_PAYLOAD = 1200
MAX_HEAD = 16 << 10
MAX_CONNECTIONS = 16
IDLE = 120.0
"""Seconds without a request after which a connection ends."""
PAIR_TRIES = 50
_CLOCK = 90_000
_EPOCH = 2_208_988_800


@dataclass(frozen=True, slots=True)
class Stream:
    path: str
    width: int
    height: int
    rate: int

    def sdp(self) -> str:
        sets = pattern.sps(self.width, self.height), pattern.pps()
        shown = ",".join(base64.b64encode(each).decode() for each in sets)
        level = sets[0][1:4].hex().upper()
        lines = (
            *(
                "v=0",
                "o=- 1 1 IN IP4 0.0.0.0",
                "s=examiner",
                "c=IN IP4 0.0.0.0",
                "t=0 0",
                "a=control:*",
                "a=range:npt=now-",
            ),
            *("m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", f"a=framerate:{self.rate}"),
            *(
                f"a=fmtp:96 packetization-mode=1;profile-level-id={level};sprop-parameter-sets={shown}",
                "a=control:video",
            ),
        )
        return "".join(f"{line}\r\n" for line in lines)


ONE, TWO = Stream("/one", 64, 48, 10), Stream("/two", 96, 64, 5)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request of the device."""

    at: float
    method: str
    path: str
    transport: str = ""


class _Packets:
    """RTP and RTCP of one session."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._base = secrets.randbits(32)
        self._number = 0
        self._packets = self._octets = 0
        self.interval = 1 / stream.rate

    def _rtp(self, payload: bytes, time_: int, marker: bool) -> bytes:
        head = struct.pack("!BBHII", 0x80, 96 | marker << 7, self._sequence, time_, self._ssrc)
        self._sequence = self._sequence + 1 & 0xFFFF
        self._packets += 1
        self._octets += len(payload)
        return head + payload

    def picture(self) -> list[bytes]:
        """Packets of the next picture: SPS, PPS, IDR (RFC 6184 5.6, 5.8)."""
        stream = self._stream
        stamp = self._base + self._number * _CLOCK // stream.rate & 0xFFFFFFFF
        out = [
            self._rtp(pattern.sps(stream.width, stream.height), stamp, False),
            self._rtp(pattern.pps(), stamp, False),
        ]
        nal = pattern.idr(stream.width, stream.height, self._number)
        body = nal[1:]
        for start in range(0, len(body), MTU_PAYLOAD):
            part = body[start : start + MTU_PAYLOAD]
            last = start + MTU_PAYLOAD >= len(body)
            header = bytes([nal[0] & 0xE0 | 28, (0x80 if not start else 0) | (0x40 if last else 0) | nal[0] & 0x1F])
            out.append(self._rtp(header + part, stamp, last))
        self._number += 1
        return out

    def report(self) -> bytes:
        """Sender report and CNAME (RFC 3550 6.4.1, 6.5)."""
        now = time.time()
        stamp = self._base + self._number * _CLOCK // self._stream.rate & 0xFFFFFFFF
        ntp = int((now + _EPOCH) * (1 << 32))
        report = struct.pack("!BBHIQIII", 0x80, 200, 6, self._ssrc, ntp, stamp, self._packets, self._octets)
        name = struct.pack("!BBHIBB", 0x81, 202, 4, self._ssrc, 1, 8) + b"examiner\0\0"
        return report + name


@dataclass(slots=True)
class _Session:
    stream: Stream
    channel: int | None = None
    """RTP channel of interleaved transport."""
    client: tuple[str, int] | None = None
    """Where RTP goes by UDP; RTCP one port above."""
    task: asyncio.Task[None] | None = None


class _Quiet(asyncio.DatagramProtocol):
    """What the device sends by UDP (receiver reports) is not judged."""


Note = Callable[[str, "str | bytes", "str | bytes"], None]


@dataclass
class RtspSource:
    """`async with RtspSource(address, note) as source:` then `source.uri(ONE)`. One per case."""

    host: str
    note: Note
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _udp: list[asyncio.DatagramTransport] = field(default_factory=list)

    async def __aenter__(self) -> RtspSource:
        self._server = await asyncio.start_server(self._connected, self.host, 0, limit=MAX_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]
        await self._open_pair()
        return self

    async def _open_pair(self) -> None:
        """An even port for RTP and the next one for RTCP (RFC 3550 11)."""
        loop = asyncio.get_running_loop()
        for _ in range(PAIR_TRIES):
            port = 2 * secrets.randbelow(10_000) + 20_000
            try:
                for each in (port, port + 1):
                    made = await loop.create_datagram_endpoint(_Quiet, local_addr=(self.host, each))
                    self._udp.append(made[0])
                return
            except OSError:
                for transport in self._udp:
                    transport.close()
                self._udp.clear()
        raise Failure("the examiner finds no pair of free UDP ports")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        # Tasks of connections end by themselves when these are gone; asyncio complains of cancelled ones.
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in self._udp:
            transport.close()

    def uri(self, stream: Stream) -> str:
        place = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtsp://{place}:{self.port}{stream.path}"

    def did(self, method: str, since: float = 0.0) -> Seen | None:
        """The first such request after a moment (`time.monotonic()`)."""
        return next((each for each in self.seen if each.method == method and each.at >= since), None)

    async def wait_for(self, method: str, timeout: float, since: float = 0.0) -> Seen | None:
        """Wait until the device has sent such a request; None if it did not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: self.did(method, since) is not None)
        return self.did(method, since)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._tasks.add(task)
        self._writers.add(writer)
        session: list[_Session] = []
        try:
            while True:
                async with asyncio.timeout(IDLE):
                    request = await self._read(reader)
                if request is None:
                    break
                answer = self._answer(request, writer, session)
                self.note(f"device to RTSP simulator: {request[0]}", "\n".join(request), answer.decode())
                writer.write(answer)
                async with asyncio.timeout(IDLE):
                    await writer.drain()
                async with self._news:
                    self._news.notify_all()
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            self.note("a connection to the RTSP simulator ended", "", repr(error))
        finally:
            for each in session:
                if each.task is not None:
                    each.task.cancel()
                    await asyncio.gather(each.task, return_exceptions=True)
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _read(self, reader: asyncio.StreamReader) -> tuple[str, ...] | None:
        """Request line and headers; interleaved data is skipped. None at the end."""
        while True:
            first = await reader.read(1)
            if not first:
                return None
            if first != b"$":
                break
            _channel, high, low = await reader.readexactly(3)
            await reader.readexactly(high << 8 | low)
        head = first + await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("utf-8", "replace").split("\r\n")
        length = next((int(each.partition(":")[2]) for each in lines if each.lower().startswith("content-length:")), 0)
        await reader.readexactly(min(length, MAX_HEAD))
        return tuple(each for each in lines if each)

    def _answer(self, request: tuple[str, ...], writer: asyncio.StreamWriter, sessions: list[_Session]) -> bytes:
        start, *rest = request
        method, _, more = start.partition(" ")
        path = urlsplit(more.partition(" ")[0]).path.rstrip("/")
        headers = {key.strip().lower(): value.strip() for key, _, value in (each.partition(":") for each in rest)}
        transport = headers.get("transport", "")
        self.seen.append(Seen(time.monotonic(), method, path, transport))
        stream = next((each for each in (ONE, TWO) if path == each.path or path == f"{each.path}/video"), None)
        status, fields, body = self._serve(method, stream, transport, writer, sessions)
        text = [f"RTSP/1.0 {status}", f"CSeq: {headers.get('cseq', '0')}", *fields]
        if body:
            text.append(f"Content-Length: {len(body)}")
        return "\r\n".join((*text, "", body)).encode()

    def _serve(
        self,
        method: str,
        stream: Stream | None,
        transport: str,
        writer: asyncio.StreamWriter,
        sessions: list[_Session],
    ) -> tuple[str, tuple[str, ...], str]:
        known = ("Session: examiner;timeout=60",) if sessions else ()
        if method == "OPTIONS":
            methods = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
            return "200 OK", (f"Public: {methods}",), ""
        if stream is None:
            return "404 Not Found", (), ""
        if method == "DESCRIBE":
            fields = ("Content-Type: application/sdp", f"Content-Base: {self.uri(stream)}/")
            return "200 OK", fields, stream.sdp()
        if method == "SETUP":
            return self._set_up(stream, transport, writer, sessions)
        if not sessions:
            return "454 Session Not Found", (), ""
        if method == "PLAY":
            for each in sessions:
                if each.task is None:
                    each.task = asyncio.create_task(self._play(each, writer))
            return "200 OK", (*known, "Range: npt=now-"), ""
        if method in ("TEARDOWN", "PAUSE"):
            for each in sessions:
                if each.task is not None:
                    each.task.cancel()
                    self._tasks.add(each.task)
                    each.task.add_done_callback(self._tasks.discard)
                    each.task = None
            if method == "TEARDOWN":
                sessions.clear()
            return "200 OK", known, ""
        if method in ("GET_PARAMETER", "SET_PARAMETER"):
            return "200 OK", known, ""
        return "501 Not Implemented", (), ""

    def _set_up(
        self, stream: Stream, transport: str, writer: asyncio.StreamWriter, sessions: list[_Session]
    ) -> tuple[str, tuple[str, ...], str]:
        for offer in transport.split(","):
            protocol, *parts = (each.strip() for each in offer.split(";"))
            values = dict(each.partition("=")[::2] for each in parts)
            if protocol == "RTP/AVP/TCP":
                first = int((values.get("interleaved") or "0-1").partition("-")[0])
                sessions.append(_Session(stream, channel=first))
                answer = f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"
            elif protocol in ("RTP/AVP", "RTP/AVP/UDP") and "multicast" not in values and values.get("client_port"):
                port = int(values["client_port"].partition("-")[0])
                sessions.append(_Session(stream, client=(writer.get_extra_info("peername")[0], port)))
                ports = "-".join(str(each.get_extra_info("sockname")[1]) for each in self._udp)
                answer = f"RTP/AVP;unicast;client_port={port}-{port + 1};server_port={ports}"
            else:
                continue
            return "200 OK", (f"Transport: {answer}", "Session: examiner;timeout=60"), ""
        return "461 Unsupported Transport", (), ""

    async def _play(self, session: _Session, writer: asyncio.StreamWriter) -> None:
        packets = _Packets(session.stream)
        with contextlib.suppress(OSError):
            for number in range(1_000_000):
                self._send(session, writer, 0, packets.picture())
                if number % 10 == 0:
                    self._send(session, writer, 1, [packets.report()])
                if session.channel is not None:
                    async with asyncio.timeout(IDLE):
                        await writer.drain()
                await asyncio.sleep(packets.interval)

    def _send(self, session: _Session, writer: asyncio.StreamWriter, kind: int, packets: list[bytes]) -> None:
        if session.channel is not None:
            writer.write(
                b"".join(struct.pack("!BBH", 0x24, session.channel + kind, len(each)) + each for each in packets)
            )
        elif session.client is not None:
            host, port = session.client
            for each in packets:
                self._udp[kind].sendto(each, (host, port + kind))
