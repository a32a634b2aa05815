"""An RTSP client by every transport, with what arrives for each track."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import urljoin, urlsplit, urlunsplit

from conformance.auth import Digest, read_challenges
from conformance.model import Examination, Failure
from conformance.rtp import Description, Media, Report, Rtp, check_rtcp, read_reports, read_rtp, read_sdp
from conformance.rtsp import MAX_BODY, MAX_HEAD, RtspReply
from conformance.wires import Socket, Tunnel, Wire, authority, connect

MAX_PACKETS = 400_000
"""What one session keeps; a device that sends more is not read on."""
UDP_BUFFER = 8 << 20
PAIR_TRIES = 50
PROFILE_T = "onvif://www.onvif.org/Profile/T"
DATAGRAMS = ("UDP", "MULTICAST")


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, arrived: Callable[[bytes], None]) -> None:
        self._arrived = arrived

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._arrived(data)


@dataclass(slots=True)
class Track:
    """A track that was set up, and what came for it."""

    media: Media
    uri: str
    rtp: list[Rtp] = field(default_factory=list)
    rtcp: int = 0
    wrong: str = ""
    """What was wrong with a packet that could not be read."""
    reports: list[Report] = field(default_factory=list)
    transport: dict[str, str] = field(default_factory=dict)
    """Parameters of the Transport header that the device answered."""
    _udp: asyncio.DatagramTransport | None = None
    _peer: tuple[str, int] = ("", 0)

    def arrived(self, control: bool, data: bytes) -> None:
        try:
            now = time.monotonic()
            if control:
                check_rtcp(data)
                self.rtcp += 1
                self.reports += (replace(each, heard=len(self.rtp)) for each in read_reports(data, now))
            else:
                self.rtp.append(read_rtp(data, now))
        except Failure as failure:
            self.wrong = self.wrong or str(failure)


@dataclass
class StreamClient:
    """`async with StreamClient(x, uri, "UDP") as client:`

    Transports are UDP, MULTICAST, RTSP (interleaved), HTTP and HTTPS (tunnel) and WS (WebSocket; `websocket` is its address).
    """

    x: Examination
    uri: str
    transport: str
    tracks: list[Track] = field(default_factory=list)
    session: str = ""
    cseq: int = 0
    description: Description | None = None
    require: str = ""
    """Feature tag of DESCRIBE, SETUP, PLAY and TEARDOWN."""
    line_breaks: bool = False
    websocket: str = ""
    destination: tuple[str, int] = ("", 0)
    """Group and port that SETUP names for multicast; otherwise the device chooses."""
    answer: RtspReply | None = None
    """To DESCRIBE."""
    required: ClassVar[frozenset[str]] = frozenset({"DESCRIBE", "SETUP", "PLAY", "TEARDOWN"})
    _wire: Wire | None = None
    _digest: Digest | None = None
    _answers: asyncio.Queue[RtspReply | None] = field(default_factory=lambda: asyncio.Queue(16))
    _channels: dict[int, tuple[Track, bool]] = field(default_factory=dict)
    _udp: list[asyncio.DatagramTransport] = field(default_factory=list)
    _reader: asyncio.Task[None] | None = None
    _ended: str = ""
    _count: int = 0
    _base: str = ""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        target = urlsplit(self.uri)
        if target.scheme not in ("rtsp", "rtsps", "http", "https") or not target.hostname:
            raise Failure(f"the URI {self.uri!r} is no RTSP URI")
        if self.transport in ("HTTP", "HTTPS"):
            place = target if target.scheme.startswith("http") else urlsplit(self.x.soap.address("tds"))
            path = target.path + (f"?{target.query}" if target.query else "")
            host, port, tls = authority(place)
            tunnel = await Tunnel.open(self.x, host, port, path, tls)
            tunnel.line_breaks = self.line_breaks
            self._wire = tunnel
        elif self.transport == "WS":
            self._wire = await Socket.open(self.x, urlsplit(self.websocket))
        else:
            host, port, tls = authority(target)
            self._wire = Wire(*await connect(host, port, tls, self.x.settings.message_timeout))
        if target.scheme.startswith("http"):
            # "converted to rtsp address" (Streaming using Media2 Test 6.11)
            self.uri = urlunsplit(target._replace(scheme="rtsp"))
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
                    place = self._channels.get(channel)
                    data = await reader.readexactly(size)
                    if place is not None:
                        self._arrived(*place, data)
                else:
                    await self._answers.put(await self._answer(first, reader))
        except (OSError, EOFError, Failure, asyncio.LimitOverrunError) as error:
            self._ended = str(error) or repr(error)
            self._news.set()
            # Who waits for an answer need not wait on.
            await self._answers.put(None)

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

    def _arrived(self, track: Track, control: bool, data: bytes) -> None:
        self._count += 1
        if self._count <= MAX_PACKETS:
            track.arrived(control, data)
            self._news.set()

    # ---- requests

    async def request(
        self, method: str, uri: str = "", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> RtspReply:
        """Send a request and await its answer; a 401 is answered with Digest once."""
        reply = await self._exchange(method, uri or self.uri, headers or {}, body)
        if reply.status == 401:
            offered = reply.all("WWW-Authenticate")
            if not any(each.lower().startswith("digest") for each in offered):
                raise Failure(
                    f"RTSP {method} was answered 401 without WWW-Authenticate: Digest (RTSP Authentication Check)"
                )
            challenges = [each for each in read_challenges(offered) if each.known]
            if challenges and self.x.settings.user:
                self._digest = Digest(self.x.settings.user, self.x.settings.password, challenges[0])
                reply = await self._exchange(method, uri or self.uri, headers or {}, body)
        elif method == "DESCRIBE" and self._digest is None and self.x.settings.user and self._must_challenge:
            raise Failure(
                f"an anonymous DESCRIBE was answered {reply.status}, expected 401 (RTSP Authentication Check)"
            )
        return reply

    @property
    def _must_challenge(self) -> bool:
        """Streaming Test 6.26: devices of Profile T challenge whoever is unknown."""
        return PROFILE_T in self.x.features.scopes

    async def ask(
        self, method: str, uri: str = "", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> RtspReply:
        """A request that must be answered 200."""
        reply = await self.request(method, uri, headers, body)
        if reply.status != 200:
            raise Failure(f"RTSP {method} was answered {reply.status} {reply.reason}, expected 200 OK")
        return reply

    async def _exchange(self, method: str, uri: str, headers: Mapping[str, str], body: bytes) -> RtspReply:
        assert self._wire is not None
        self.cseq += 1
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self.cseq}", "User-Agent: examiner"]
        if self.session:
            lines.append(f"Session: {self.session}")
        if self._digest is not None:
            lines.append(f"Authorization: {self._digest.authorize(method, uri)}")
        if self.require and method in self.required:
            lines.append(f"Require: {self.require}")
        lines += [f"{key}: {value}" for key, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        message = "\r\n".join((*lines, "", "")).encode() + body
        try:
            async with asyncio.timeout(self.x.settings.message_timeout):
                await self._wire.write(message)
                reply = await self._answers.get()
        except TimeoutError:
            self.x.note(f"RTSP {method}", message)
            raise Failure(f"RTSP {method}: no answer in time{': ' + self._ended if self._ended else ''}") from None
        except OSError as error:
            raise Failure(f"RTSP {method}: the connection ended: {error}") from None
        if reply is None:
            self.x.note(f"RTSP {method}", message)
            raise Failure(f"RTSP {method}: the connection ended: {self._ended}")
        self.x.note(f"RTSP {method}", message, str(reply))
        if reply.header("CSeq").strip() != str(self.cseq):
            raise Failure(f"the answer to {method} has CSeq {reply.header('CSeq')!r}, expected {self.cseq}")
        return reply

    # ---- steps

    async def describe(self) -> Description:
        reply = await self.ask("DESCRIBE", headers={"Accept": "application/sdp"})
        self._base = reply.header("Content-Base") or reply.header("Content-Location") or self.uri
        self.description = read_sdp(reply.body.decode("utf-8", "replace"))
        self.answer = reply
        return self.description

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
        elif self.transport == "MULTICAST":
            transport = self._multicast_request(media)
        else:
            first = 2 * len(self.tracks)
            transport = f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}"
        reply = await self.ask("SETUP", track.uri, {"Transport": transport})
        chosen = reply.header("Transport")
        pairs = (each.strip().partition("=") for each in chosen.split(";"))
        track.transport = {name.lower(): value for name, _, value in pairs}
        wanted = {"UDP": "client_port", "MULTICAST": "multicast"}.get(self.transport, "interleaved")
        if wanted not in track.transport:
            raise Failure(f"SETUP for {transport} was answered with Transport: {chosen!r}")
        if self.transport == "MULTICAST":
            await self._join(track)
        elif self.transport == "UDP":
            self._find_peer(track)
        else:
            low = int(track.transport["interleaved"].partition("-")[0])
            self._channels[low], self._channels[low + 1] = (track, False), (track, True)
        self.session = reply.header("Session").partition(";")[0].strip()
        self.tracks.append(track)
        return reply

    def _find_peer(self, track: Track) -> None:
        port = track.transport.get("server_port", "").partition("-")[0]
        host = track.transport.get("source") or urlsplit(self.uri).hostname or ""
        if port.isdigit():
            track._peer = (host, int(port))

    async def _open_pair(self, track: Track) -> int:
        host = self.x.prober.local()
        for _ in range(PAIR_TRIES):
            port = 2 * secrets.randbelow(10_000) + 30_000
            try:
                await self._listen(track, lambda number: bound(host, number), port)
            except OSError:
                continue
            return port
        raise Failure("the examiner finds no pair of free UDP ports")

    async def _listen(self, track: Track, make: Callable[[int], socket.socket], port: int) -> None:
        """Sockets for RTP and RTCP of a track at `port` and the next."""
        opened: list[asyncio.DatagramTransport] = []
        try:
            for control in (False, True):

                def arrived(data: bytes, control: bool = control) -> None:
                    self._arrived(track, control, data)

                opened.append(await receive(make(port + control), arrived))
        except OSError:
            for transport in opened:
                transport.close()
            raise
        self._udp += opened
        track._udp = opened[0]

    # ---- multicast

    def _multicast_request(self, media: Media) -> str:
        group, port = self.destination
        if group:
            return f"RTP/AVP;multicast;destination={group};port={port}-{port + 1}"
        port = media.port or 2 * secrets.randbelow(10_000) + 30_000
        return f"RTP/AVP;multicast;client_port={port}-{port + 1}"

    async def _join(self, track: Track) -> None:
        """Listen where the device says that it sends: in SETUP's answer, else in the session description."""
        given = track.transport
        group = given.get("destination") or track.media.group
        port = (given.get("port") or given.get("client_port") or str(track.media.port)).partition("-")[0]
        try:
            good = ipaddress.ip_address(group).is_multicast
        except ValueError:
            good = False
        if not good or not port.isdigit() or not int(port):
            raise Failure(f"neither Transport nor the session description name a multicast address and port: {given}")
        track._peer = (group, int(port))
        await self.listen(track, group, int(port))

    async def listen(self, track: Track, group: str, port: int) -> None:
        """Receive what is sent to a group and port, and the one above, as the RTP and RTCP of a track."""
        local = self.x.prober.local()
        try:
            await self._listen(track, lambda number: member(group, number, local), port)
        except OSError as error:
            raise Failure(f"the examiner cannot join {group} at port {port}: {error}") from None

    # ---- sending

    async def send(self, track: Track, packet: bytes) -> None:
        """Send RTP on a track of the back channel."""
        if self.transport == "UDP":
            if track._udp is None or not track._peer[1]:
                raise Failure(f"SETUP of the back channel gave no server_port: {track.transport}")
            track._udp.sendto(packet, track._peer)
            return
        assert self._wire is not None
        channel = int(track.transport["interleaved"].partition("-")[0])
        try:
            async with asyncio.timeout(self.x.settings.message_timeout):
                await self._wire.write(struct.pack("!BBH", 0x24, channel, len(packet)) + packet)
        except (OSError, TimeoutError) as error:
            raise Failure(f"RTP cannot be sent on the back channel: {error or 'time-out'}") from None

    # ---- control

    @property
    def aggregate(self) -> str:
        return self.address(self.description.control if self.description is not None else "")

    async def start(self, **headers: str) -> RtspReply:
        """PLAY of the whole session."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("PLAY", self.aggregate, named)

    async def pause(self, **headers: str) -> RtspReply:
        return await self.ask("PAUSE", self.aggregate, headers)

    async def tear_down(self) -> None:
        """End the session; the device must know it no more (RFC 2326 10.7), if it has not closed the connection as well."""
        await self.ask("TEARDOWN", self.aggregate)
        reply = None
        try:
            if not self._ended:
                reply = await self._exchange("PLAY", self.aggregate, {}, b"")
        except Failure:
            if not self._ended:
                raise
        if reply is not None and reply.status == 200:
            raise Failure("PLAY of a session after its TEARDOWN was answered 200, expected 454 Session Not Found")

    async def finish(self) -> None:
        """End the connection in the way of its transport, after TEARDOWN."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._wire is not None:
            await self._wire.finish(self.x)

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


# ---- sockets ------------------------------------------------------------------------------------------


async def receive(sock: socket.socket, arrived: Callable[[bytes], None]) -> asyncio.DatagramTransport:
    made = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Datagrams(arrived), sock=sock)
    return made[0]


def bound(host: str, port: int) -> socket.socket:
    """A socket for datagrams to one of our addresses."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
        sock.setblocking(False)
        sock.bind(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4])
    except OSError:
        sock.close()
        raise
    return sock


def member(group: str, port: int, local: str) -> socket.socket:
    """A socket that has joined a group on the network of one of our addresses."""
    six = ":" in group
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
        sock.setblocking(False)
        if six:
            index = interface_of(local)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((group, port, 0, index))
            membership = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
        else:
            # Bound to the group: what others of the same port get is not for us.
            sock.bind((group, port))
            interface = socket.inet_aton(local) if ":" not in local else socket.inet_aton("0.0.0.0")
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + interface)
    except OSError:
        sock.close()
        raise
    return sock


def interface_of(local: str) -> int:
    """Index of the interface that has an IPv6 address; 0 if it cannot be told."""
    address, _, scope = local.partition("%")
    if scope:
        return int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
    wanted = ipaddress.IPv6Address(address).packed.hex() if ":" in address else ""
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as lines:
            return next((int(each.split()[1], 16) for each in lines if each.startswith(wanted) and wanted), 0)
    except OSError:
        # Not Linux: the system chooses.
        return 0
