"""Live media to groups: one sender per track and group, however many sessions and starts need it (Streaming 5.2.2.5).

A sender watches its live stream as a session does, from the cached clean point on, and sends the packets as they are. What a
group carries can be decoded without RTSP: where a camera sends no parameter sets before a key frame, they are put there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

from onvifd.errors import Unavailable
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import Codec, FlushUnit, TrackFormat
from onvifd.rtsp.interfaces import ANY, interface_index
from onvifd.rtsp.outlet_udp import PacedQueue
from onvifd.rtsp.play import Multicast, PlayReply, PlayRequest, Protector, first_packet
from onvifd.rtsp.udp import SEND_BUFFER, DatagramPair

log = logging.getLogger(__name__)

FIRST_WAIT = 3.0
"""Seconds that the answer to PLAY waits for the first unit of groups to which nothing was sent yet."""

_H264_SPS, _H264_STAP_A = 7, 24
_H265_SPS, _H265_AP = 33, 48


class SourceTrack(Protocol):
    """How a track of a source leaves."""

    @property
    def format(self) -> TrackFormat: ...

    @property
    def payload_type(self) -> int: ...

    @property
    def ssrc(self) -> int: ...


class Source(Protocol):
    """A live stream (live.hub.LiveStream)."""

    @property
    def name(self) -> str: ...

    @property
    def tracks(self) -> Sequence[SourceTrack]: ...

    def backlog(self) -> list[FlushUnit]: ...

    def attach(self, sink: Callable[[FlushUnit], None], ended: Callable[[], None]) -> None: ...

    def detach(self, sink: Callable[[FlushUnit], None]) -> None: ...

    def want_keyframe(self) -> None: ...


# ---- where it leaves -----------------------------------------------------------------------------


def open_group(group: Multicast, interface: str) -> DatagramPair:
    """Sockets that send to a group by the network interface that has the address `interface`, or where the routes lead.

    Raises Unavailable where there is no way.
    """
    family = socket.AF_INET6 if ":" in group.address else socket.AF_INET
    socks: list[socket.socket] = []
    try:
        for port in (group.port, group.port + 1):  # RFC 3550 section 11
            sock = socket.socket(family, socket.SOCK_DGRAM)
            socks.append(sock)
            sock.setblocking(False)
            _steer(sock, group, interface)
            sock.connect((group.address, port))
        socks[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    except OSError as error:
        for sock in socks:
            sock.close()
        raise Unavailable(f"cannot send to {group.address}: {error.strerror or error}") from None
    return DatagramPair(socks[0], socks[1])


def _steer(sock: socket.socket, group: Multicast, interface: str) -> None:
    """TTL, interface and copies for listeners on this machine."""
    _set_ttl(sock, group.ttl)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        index = interface_index(interface)
        if index:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        return
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
    address = "127.0.0.1" if interface == "::1" else interface
    if address not in ANY and ":" not in address:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        sock.bind((address, 0))


def leads_to(group: Multicast) -> str:
    """The address of ours by which the routes lead to a group; empty where none does."""
    family = socket.AF_INET6 if ":" in group.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect((group.address, group.port))  # nothing is sent by this
        return str(sock.getsockname()[0])
    return ""


def _network(group: Multicast, interface: str) -> str:
    """What is the same for all ways by which packets come to the same listeners: who comes by an address of ours and who leaves
    it to the routes may mean one network interface, which may have several addresses."""
    address = interface or leads_to(group)
    return str(interface_index(address) or address)


def _set_ttl(sock: socket.socket, ttl: int) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)


# ---- what it carries -----------------------------------------------------------------------------


class InBand:
    """Puts parameter sets before key frames that come without (RFC 6184 8.4, RFC 7798 7.2). Bytes in, bytes out."""

    def __init__(self, track: Callable[[], SourceTrack | None]) -> None:
        self._track = track
        self._inserted = 0

    def feed(self, unit: FlushUnit) -> FlushUnit:
        """The unit as it is sent: itself as long as nothing had to be put in."""
        if unit.rtcp:
            return unit
        before = b""
        if unit.key:
            track = self._track()
            sets = track.format.parameter_sets if track is not None else ()
            if track is not None and sets and not carries_sets(unit, track.format.codec):
                before = self._packets(unit, sets)
        if not before and not self._inserted:
            return unit
        return self._renumbered(unit, before)

    def _packets(self, unit: FlushUnit, sets: tuple[bytes, ...]) -> bytes:
        """A packet for each set with the time of the key frame; their numbers begin where those of the unit did."""
        first = parse_rtp(unit.data, unit.starts[0] + 4, len(unit.data))
        found = bytearray()
        for number, nal in enumerate(sets):
            head = struct.pack(
                ">BBHII", 0x80, first.payload_type, first.seq + number & 0xFFFF, first.rtp_time, first.ssrc
            )
            size = len(head) + len(nal)
            found += struct.pack(">BBH", 0x24, unit.track << 1, size) + head + nal
        return bytes(found)

    def _renumbered(self, unit: FlushUnit, before: bytes) -> FlushUnit:
        """The unit behind what is put before it, its numbers moved by all that was put in so far."""
        rollover = unit.rollover
        if rollover is not None:
            first = unit.starts[0] + 6
            rollover = (rollover << 16 | unit.data[first] << 8 | unit.data[first + 1]) + self._inserted >> 16
        data = bytearray(before + unit.data)
        starts: list[int] = []
        at = 0
        while at < len(before):
            starts.append(at)
            at += 4 + int.from_bytes(before[at + 2 : at + 4], "big")
        for start in starts:
            _move(data, start, self._inserted)
        self._inserted += len(starts)
        for start in unit.starts:
            _move(data, len(before) + start, self._inserted)
            starts.append(len(before) + start)
        made = FlushUnit(unit.track, bytes(data), tuple(starts), unit.key, unit.rtp_time, unit.utc, unit.end_of_frame)
        made.rollover = rollover
        return made


def _move(data: bytearray, start: int, by: int) -> None:
    at = start + 6
    data[at : at + 2] = ((data[at] << 8 | data[at + 1]) + by & 0xFFFF).to_bytes(2, "big")


def carries_sets(unit: FlushUnit, codec: Codec) -> bool:
    """Whether a sequence parameter set is in a unit; true for codecs that have none."""
    if codec not in (Codec.H264, Codec.H265):
        return True
    data = unit.data
    for start, end in pairwise((*unit.starts, len(data))):
        packet = parse_rtp(data, start + 4, end)
        if packet.end <= packet.start + 2:
            continue
        if codec is Codec.H264:
            if _has_h264_sps(data, packet.start, packet.end):
                return True
        elif _has_h265_sps(data, packet.start, packet.end):
            return True
    return False


def _has_h264_sps(data: bytes, at: int, end: int) -> bool:
    kind = data[at] & 0x1F
    if kind != _H264_STAP_A:
        return kind == _H264_SPS
    return any(data[place] & 0x1F == _H264_SPS for place in _aggregated(data, at + 1, end))


def _has_h265_sps(data: bytes, at: int, end: int) -> bool:
    kind = data[at] >> 1 & 0x3F
    if kind != _H265_AP:
        return kind == _H265_SPS
    return any(data[place] >> 1 & 0x3F == _H265_SPS for place in _aggregated(data, at + 2, end))


def _aggregated(data: bytes, at: int, end: int) -> list[int]:
    """Where the NAL units of an aggregation packet begin (RFC 6184 5.7.1, RFC 7798 4.4.2)."""
    found = []
    while at + 2 < end:
        found.append(at + 2)
        at += 2 + int.from_bytes(data[at : at + 2], "big")
    return found


# ---- who sends -----------------------------------------------------------------------------------


class GroupSender:
    """Sends one track of a source to a group for as long as it has members. `over` is told when the source has ended."""

    def __init__(
        self,
        source: Source,
        track: int,
        group: Multicast,
        interface: str,
        protector: Protector | None,
        over: Callable[[GroupSender], None],
    ) -> None:
        self.source = source
        self.track = track
        self.group = group
        self.protector = protector
        """What encrypts it, once for all listeners."""
        self._over = over
        self.members: dict[Membership, Callable[[], None]] = {}
        self.last: FlushUnit | None = None
        """What was sent last, for those who join."""
        self.dropped = 0
        self._pair = open_group(group, interface)
        self._queue = PacedQueue()
        self._in_band = InBand(self._source_track)
        self._dropping = False
        backlog = source.backlog()
        self._queue.expect(sum(len(unit.data) for unit in backlog))
        for unit in backlog:
            self._send(unit)
        source.attach(self._send, self._end)

    def _source_track(self) -> SourceTrack | None:
        tracks = self.source.tracks
        return tracks[self.track] if self.track < len(tracks) else None

    def _send(self, unit: FlushUnit) -> None:
        if unit.track != self.track:
            return
        if self._dropping and not unit.rtcp:
            if not unit.key:
                return
            self._dropping = False
        # what is left out here counts in the numbers all the same: listeners see that something is missing
        sent = self._in_band.feed(unit)
        if self.protector is not None:
            sent = self.protector.protect(sent)
            if not sent.starts:
                return
        if not self._queue.has_room(len(sent.data)):
            self.dropped += self._queue.queued
            self._queue.forget()
            self._dropping = True
            return
        self._queue.send(self._pair, sent)
        if not unit.rtcp:
            self.last = sent

    def reach(self, ttl: int) -> None:
        """How far packets go from now on."""
        if ttl != self.group.ttl:
            self.group = Multicast(self.group.address, self.group.port, ttl)
            for sock in (self._pair.rtp, self._pair.rtcp):
                _set_ttl(sock, ttl)

    @property
    def sent(self) -> int:
        """Bytes that left."""
        return self._queue.sent

    def _end(self) -> None:
        """The source is gone or carries something else."""
        self._over(self)
        for ended in list(self.members.values()):
            ended()

    def close(self) -> None:
        """Stop sending."""
        self.source.detach(self._send)
        self._queue.forget()
        self._pair.close()


class Membership:
    """The need of one session or start for a group."""

    __slots__ = ("_groups", "sender")

    def __init__(self, groups: Groups, sender: GroupSender) -> None:
        self._groups = groups
        self.sender = sender

    def leave(self) -> None:
        """It is not needed any more; may be called twice."""
        self._groups.left(self)


class Groups:
    """All groups that a worker sends to. `interface` is an address of the network interface by which it does, empty or
    unspecified for the one by which a client came, or where the routes lead."""

    def __init__(self, interface: str = "") -> None:
        self._interface = interface
        self._senders: dict[tuple[str, int, str], GroupSender] = {}

    @property
    def senders(self) -> tuple[GroupSender, ...]:
        return tuple(self._senders.values())

    def join(
        self,
        source: Source,
        track: int,
        group: Multicast,
        ended: Callable[[], None],
        local: str = "",
        protector: Protector | None = None,
    ) -> Membership:
        """Have a track of `source` sent to a group. `ended` is called when the source ends; then `leave`. `local` is the
        address by which the client came.

        Raises Unavailable where the group cannot be reached, or carries something else.
        """
        interface = self._choose(group, local)
        key = (group.address, group.port, _network(group, interface))
        sender = self._senders.get(key)
        if sender is None:
            sender = self._senders[key] = GroupSender(source, track, group, interface, protector, self._drop)
            log.info("%s: sent to %s port %d", source.name, group.address, group.port)
        elif (sender.source, sender.track) != (source, track):
            raise Unavailable(f"{group.address} port {group.port} carries {sender.source.name}")
        elif sender.protector is not protector:
            raise Unavailable(f"{group.address} port {group.port} is sent in another way: in clear, or by SRTP")
        else:
            # One sender whatever the TTL: two would bring each packet twice to those that are near. The newest is what is set.
            sender.reach(group.ttl)
            source.want_keyframe()
        membership = Membership(self, sender)
        sender.members[membership] = ended
        return membership

    def _choose(self, group: Multicast, local: str) -> str:
        if self._interface not in ANY:
            return self._interface
        fitting = local not in ANY and (":" in local) == (":" in group.address)
        # who came by the loopback interface is on this machine, and may listen on any
        return local if fitting and not ipaddress.ip_address(local).is_loopback else ""

    def left(self, membership: Membership) -> None:
        """See Membership.leave."""
        sender = membership.sender
        if sender.members.pop(membership, None) is None or sender.members:
            return
        if sender in self._senders.values():
            self._drop(sender)

    def _drop(self, sender: GroupSender) -> None:
        """It sends no more. Its source may have ended while it has members: they leave in their own time, and who joins meanwhile
        must not join what is over."""
        sender.close()
        self._senders = {key: other for key, other in self._senders.items() if other is not sender}
        log.info("%s: no longer sent to %s", sender.source.name, sender.group.address)

    def close(self) -> None:
        """Stop all."""
        for sender in self._senders.values():
            sender.members.clear()
            sender.close()
        self._senders.clear()


class GroupPlayback:
    """A session whose tracks go to groups (rtsp.play.Playback). `wanted` are number, source, track and group of each; `check`
    raises Unavailable when they are not what was described any more."""

    def __init__(
        self,
        groups: Groups,
        wanted: Sequence[tuple[int, Source, int, Multicast]],
        ended: Callable[[], None],
        local: str,
        protect: Mapping[int, Protector] | None = None,
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._protect = protect or {}
        self._check = check
        self._groups = groups
        self._wanted = wanted
        self._ended = ended
        self._local = local
        self._members: list[Membership] = []

    async def play(self, request: PlayRequest, tracks: frozenset[int]) -> PlayReply:
        """Join the groups. Those that are sent to already go on as they are."""
        if self._members:
            return PlayReply(start=None)
        if self._check is not None:
            await self._check()
        try:
            for number, source, track, group in self._wanted:
                protector = self._protect.get(number)
                self._members.append(self._groups.join(source, track, group, self._ended, self._local, protector))
        except Unavailable:
            await self.close()
            raise
        if not (found := self._found()):
            await self._begun()
            found = self._found()
        if not found:
            return PlayReply(start=None)
        start = min(last.utc for _, last, _ in found)
        return PlayReply(
            start=start, rtp=tuple(first_packet(number, last, start, rate) for number, last, rate in found)
        )

    def _found(self) -> list[tuple[int, FlushUnit, int]]:
        """Number, what was sent last, and clock rate of each track to which something was sent."""
        return [
            (number, last, source.tracks[track].format.clock_rate)
            for (number, source, track, _), member in zip(self._wanted, self._members, strict=False)
            if (last := member.sender.last) is not None and track < len(source.tracks)
        ]

    async def _begun(self) -> None:
        """The first unit is sent, or the source has ended: before, nobody knows where numbers begin (RFC 2326 12.33)."""
        begun = asyncio.Event()

        def sent(unit: FlushUnit) -> None:
            if self._found():
                begun.set()

        sources = list({id(source): source for _, source, _, _ in self._wanted}.values())
        for source in sources:
            source.attach(sent, begun.set)
        try:
            async with asyncio.timeout(FIRST_WAIT):
                await begun.wait()
        except TimeoutError:
            log.debug("nothing is sent to the groups yet")
        finally:
            for source in sources:
                source.detach(sent)

    def start(self) -> None:
        """Nothing: a group knows no beginning of one session."""

    async def pause(self) -> None:
        """See Playback."""
        await self.close()

    async def close(self) -> None:
        """See Playback."""
        members, self._members = self._members, []
        for member in members:
            member.leave()
