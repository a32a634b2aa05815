"""A camera with every fault on demand: a live RTSP server whose answers and packets are spoiled by functions of the test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from onvifd.cameras.intake import Intake, Source
from onvifd.cameras.intake_track import InboundTrack
from onvifd.clock import SystemClock, utc_to_ntp
from onvifd.live.hub import LiveStream
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import SenderReport, build_sender_report, parse_rtp
from onvifd.media.types import AccessUnit, FlushUnit, TrackFormat
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge, Trust
from onvifd.rtsp.messages import Headers, Parser, Request, Response
from onvifd.rtsp.poller import ReadPoller
from tests.local import beside
from tests.rtsp.sample import encoded

LIMIT = 20.0
SSRC = 0xCAFE
SDP = b"v=0\r\ns=x\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"

Packet = bytearray
"""One RTP packet without framing."""
Spoil = Callable[[int, list[Packet]], Iterable[Packet]]
"""Number of the picture and its packets to those that are sent."""


def frame(channel: int, packet: bytes) -> bytes:
    return b"$" + bytes((channel,)) + len(packet).to_bytes(2, "big") + packet


def set_seq(packet: Packet, seq: int) -> None:
    packet[2:4] = (seq & 0xFFFF).to_bytes(2, "big")


def seq_of(packet: Packet) -> int:
    return packet[2] << 8 | packet[3]


def set_time(packet: Packet, time: int) -> None:
    packet[4:8] = (time & 0xFFFFFFFF).to_bytes(4, "big")


def time_of(packet: Packet) -> int:
    return int.from_bytes(packet[4:8], "big")


def pictures(mtu: int = 1200) -> Iterator[tuple[int, list[Packet]]]:
    """The packets of one picture after the other, for ever."""
    format, frames = encoded()
    packer = Packer(format, track=0, payload_type=96, ssrc=SSRC, seq=100, mtu=mtu)
    for number in itertools.count():
        key, data = frames[number % len(frames)]
        unit = packer.pack(AccessUnit(0, 0, number * 3600, key, data))
        ends = (*unit.starts[1:], len(unit.data))
        yield number, [bytearray(unit.data[at + 4 : end]) for at, end in zip(unit.starts, ends, strict=True)]


def straight(number: int, packets: list[Packet]) -> Iterable[Packet]:
    return packets


@dataclass
class Camera:
    """What it says and sends. `answer` makes of a request and its good answer the bytes that are sent; None closes."""

    sdp: bytes = SDP
    answer: Callable[[Request, Response], bytes | None] = lambda request, response: response.serialise()
    spoil: Spoil = straight
    plays: Callable[[], Iterator[tuple[int, list[Packet]]]] = pictures
    wire: Callable[[int, bytes], bytes] = frame
    channel: int | None = None
    """Where RTP goes, whatever was agreed."""
    reports: bool = True
    interval: float = 0.005
    refuse: frozenset[str] = frozenset()
    """Ways that are answered with 461: tcp, udp."""
    context: ssl.SSLContext | None = None
    source_port: bool = True
    """Whether datagrams come from the announced ports."""
    group: str = "239.77.1.2"
    group_port: int = 0
    requests: list[Request] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    """Interleaved and UDP packets of ours."""
    connections: int = 0
    before_play: bytes = b""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def url(self, scheme: str = "rtsp", path: str = "/cam") -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        try:
            yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
        finally:
            server.close()
            # Not cancelled: asyncio logs handlers that end so.
            for writer in list(self._writers):
                writer.transport.abort()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        sending: list[asyncio.Task[None]] = []
        session = _Session(self, writer)
        parser = Parser()
        try:
            while data := await reader.read(65536):
                parser.receive_data(data)
                while (message := parser.next_message()) is not None:
                    if not isinstance(message, Request):
                        self.received.append(message.data if hasattr(message, "data") else b"")
                        continue
                    self.requests.append(message)
                    said = self.answer(message, session.good(message))
                    if said is None:
                        return
                    if message.method == "PLAY":
                        writer.write(self.before_play)
                    writer.write(said)
                    if message.method == "PLAY" and not sending:
                        sending.append(asyncio.create_task(session.send()))
                    if message.method == "TEARDOWN":
                        return
        except ConnectionError:
            pass
        finally:
            for one in sending:
                one.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
            session.close()
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)


class _Session:
    """One connection of the camera."""

    def __init__(self, camera: Camera, writer: asyncio.StreamWriter) -> None:
        self.camera = camera
        self.writer = writer
        self.channels = (0, 1)
        self.sockets: list[socket.socket] = []
        self.to: tuple[str, int] | None = None

    def good(self, request: Request) -> Response:
        headers = Headers([("CSeq", request.headers.get("CSeq") or "")])
        if request.method == "OPTIONS":
            headers.add("Public", "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
        if request.method == "DESCRIBE":
            headers.add("Content-Type", "application/sdp")
            return Response(200, headers, self.camera.sdp)
        if request.method == "SETUP":
            return self._setup(request.headers.get("Transport") or "", headers)
        if request.method == "PLAY":
            headers.add("Session", "77")
        return Response(200, headers)

    def _setup(self, asked: str, headers: Headers) -> Response:
        headers.add("Session", "77;timeout=60")
        way = "tcp" if "TCP" in asked else "multicast" if "multicast" in asked else "udp"
        if way in self.camera.refuse:
            return Response(461, headers)
        if way == "tcp":
            headers.add("Transport", asked)
            return Response(200, headers)
        for _ in range(2):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
            self.sockets.append(sock)
        asyncio.get_running_loop().add_reader(self.sockets[1].fileno(), self._hear)
        if way == "multicast":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("", 0))
                self.camera.group_port = self.camera.group_port or (probe.getsockname()[1] & ~1)
            port, group = self.camera.group_port, self.camera.group
            self.sockets[0].setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            self.to = (group, port)
            headers.add("Transport", f"RTP/AVP;multicast;destination={group};port={port}-{port + 1};ttl=1")
            return Response(200, headers)
        port = int(asked.partition("client_port=")[2].partition("-")[0])
        self.to = ("127.0.0.1", port)
        ports = [sock.getsockname()[1] for sock in self.sockets]
        headers.add("Transport", f"RTP/AVP;unicast;client_port={port}-{port + 1};server_port={ports[0]}-{ports[1]}")
        return Response(200, headers)

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            self.camera.received.append(self.sockets[1].recv(2000))

    async def send(self) -> None:
        camera = self.camera
        channel = camera.channel if camera.channel is not None else self.channels[0]
        with contextlib.suppress(ConnectionError):
            for number, packets in camera.plays():
                if camera.reports and number % 25 == 0:
                    now = utc_to_ntp(SystemClock().utc())
                    report = build_sender_report(SenderReport(ssrc=SSRC, ntp=now, rtp_time=number * 3600))
                    if self.to is None:
                        self.writer.write(camera.wire(self.channels[1], report))
                for packet in camera.spoil(number, packets):
                    if self.to is None:
                        self.writer.write(camera.wire(channel, bytes(packet)))
                    else:
                        self.sockets[0 if camera.source_port else 1].sendto(packet, self.to)
                if self.writer.transport.is_closing():
                    return
                await self.writer.drain()
                await asyncio.sleep(camera.interval)

    def close(self) -> None:
        if self.sockets:
            asyncio.get_running_loop().remove_reader(self.sockets[1].fileno())
        for sock in self.sockets:
            sock.close()


class Rig:
    """An intake that runs, with all that it says."""

    def __init__(
        self,
        url: str,
        *,
        user: str = "",
        password: str = "",
        transport: Way = Way.AUTO,
        quirks: Iterable[str] = (),
        trust: Trust | None = None,
        tunnel_port: int = 0,
        on_demand: bool = False,
        linger: float = 0.05,
        watched: bool = True,
        silence: float = 5.0,
        frames: bool = True,
        digest: bool = False,
    ) -> None:
        self.stream = LiveStream("cam-1/main")
        self.units: list[FlushUnit] = []
        self.frames: list[AccessUnit] = []
        self.states: list[tuple[bool, str]] = []
        self.formats: list[tuple[TrackFormat, ...]] = []
        self.pins: list[str] = []
        self.digests = 0
        if watched:
            self.watch()
        self.intake = Intake(
            Source(
                "cam-1/main",
                url,
                user,
                password,
                transport=transport,
                tunnel_port=tunnel_port,
                trust=trust or Trust(Judge.PIN),
                quirks=frozenset(quirks),
                digest=digest,
            ),
            self.stream,
            SystemClock(),
            on_state=lambda online, reason: self.states.append((online, reason)),
            on_tracks=self._tracks,
            on_frame=self.frames.append if frames else None,
            on_pin=self.pins.append,
            on_digest=self._digest,
            on_demand=on_demand,
            linger=linger,
            silence=silence,
            back_off=(0.01, 0.02),
            poller=ReadPoller(lambda: True),
        )

    def watch(self) -> None:
        self.stream.attach(self.units.append, lambda: None)

    def leave(self) -> None:
        self.stream.detach(self.units.append)

    def _digest(self) -> None:
        self.digests += 1

    def _tracks(self, tracks: tuple[InboundTrack, ...]) -> None:
        self.formats.append(tuple(track.format for track in tracks))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Rig]:
        async with beside(self.intake.run()):
            yield self

    async def until(self, true: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(LIMIT):
                while not true():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"{self.states[-3:]} {self.intake.counters} {len(self.frames)} frames") from None

    def packets(self) -> list[tuple[int, int, int, bool]]:
        """(seq, rtp_time, ssrc, marker) of what was relayed."""
        found = []
        for unit in self.units:
            for start in () if unit.rtcp else unit.starts:
                packet = parse_rtp(unit.data, start + 4)
                found.append((packet.seq, packet.rtp_time, packet.ssrc, packet.marker))
        return found

    def check_laundered(self, *, gaps: bool = False) -> None:
        """One SSRC, numbers that grow, times that do not go back."""
        packets = self.packets()
        assert len({ssrc for _, _, ssrc, _ in packets}) <= 1
        for before, after in itertools.pairwise(packets):
            step = after[0] - before[0] & 0xFFFF
            assert step == 1 or (gaps and 0 < step < 0x8000), (before, after)
            assert after[1] - before[1] & 0xFFFFFFFF < 1 << 31, (before, after)
        ticks = [each.ticks for each in self.frames]
        assert ticks == sorted(ticks)
