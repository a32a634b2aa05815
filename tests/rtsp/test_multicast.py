"""Live media to groups, on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import ifaddr
import pytest

from onvifd.errors import Unavailable
from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.live.mount import LiveMount
from onvifd.live.parts import Composition
from onvifd.media.rtp.pack import frame_rtcp
from onvifd.media.rtp.packet import SenderReport, build_sender_report, parse_rtcp, parse_rtp
from onvifd.media.types import Codec, FlushUnit, Kind, TrackFormat
from onvifd.rtsp import multicast
from onvifd.rtsp.interfaces import interface_index
from onvifd.rtsp.multicast import Groups, InBand, carries_sets
from onvifd.rtsp.play import Multicast, PlayRequest
from tests.rtsp import sample

covers = pytest.mark.covers("S-RTP-UDP-multicast", "T-RTP-UDP-multicast")
INTERFACES = os.environ.get("INTERFACES_FOR_GROUPS", "").split()
"""Where groups of IPv6 are tried: test_multicast_players has interfaces that carry them."""
SPS, PPS = b"\x67sps", b"\x68pps"
FORMAT = TrackFormat(codec=Codec.H264, clock_rate=90000, parameter_sets=(SPS, PPS))
TRACK = LiveTrack(FORMAT, 96, 0x11)


def packet(seq: int, payload: bytes, *, marker: bool = True, rtp_time: int = 0) -> bytes:
    rtp = struct.pack(">BBHII", 0x80, 96 | marker << 7, seq, rtp_time, 0x11) + payload
    return struct.pack(">BBH", 0x24, 0, len(rtp)) + rtp


def unit(seq: int, *payloads: bytes, key: bool = False) -> FlushUnit:
    data, starts = b"", []
    for number, payload in enumerate(payloads):
        starts.append(len(data))
        data += packet(seq + number, payload, marker=number == len(payloads) - 1, rtp_time=seq * 10)
    return FlushUnit(0, data, tuple(starts), key, seq * 10, seq * 1000)


def key(seq: int) -> FlushUnit:
    return unit(seq, SPS, PPS, b"\x65idr", key=True)


def stream() -> LiveStream:
    made = LiveStream("cam-1/main")
    made.set_tracks((TRACK,))
    return made


class Listener:
    """Receives what is sent to a group."""

    def __init__(self, group: Multicast, interface: str = "lo") -> None:
        self.socks = []
        for port in (group.port, group.port + 1):
            family = socket.AF_INET6 if ":" in group.address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socks.append(sock)
            sock.bind((group.address, port))
            if family == socket.AF_INET6:
                where = struct.pack("=I", socket.if_nametoindex(interface))
                joined = socket.inet_pton(family, group.address) + where
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)
            else:
                joined = socket.inet_aton(group.address) + socket.inet_aton("127.0.0.1")
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
            sock.setblocking(False)

    async def take(self, count: int = 1, which: int = 0) -> list[bytes]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            return [await loop.sock_recv(self.socks[which], 4096) for _ in range(count)]

    def nothing(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            self.socks[0].recv(4096)
            return False
        return True

    def close(self) -> None:
        for sock in self.socks:
            sock.close()


def free_group(address: str = "239.255.77.1") -> Multicast:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return Multicast(address, probe.getsockname()[1] & ~1, 1)


@pytest.fixture
def group() -> Multicast:
    return free_group()


@pytest.fixture
def listener(group: Multicast) -> Iterator[Listener]:
    made = Listener(group)
    yield made
    made.close()


@pytest.fixture
async def groups() -> AsyncIterator[Groups]:
    made = Groups("127.0.0.1")
    yield made
    made.close()


def numbers(packets: list[bytes]) -> list[int]:
    return [parse_rtp(each).seq for each in packets]


# ---- senders -------------------------------------------------------------------------------------


@covers
async def test_a_group_gets_the_cached_clean_point_then_every_unit_and_reports(
    group: Multicast, listener: Listener, groups: Groups
) -> None:
    source = stream()
    source.publish(key(10))
    source.publish(unit(13, b"\x41p"))
    member = groups.join(source, 0, group, lambda: None)
    source.publish(unit(14, b"\x41p", b"\x41q"))
    assert numbers(await listener.take(6)) == [10, 11, 12, 13, 14, 15]
    report = build_sender_report(SenderReport(ssrc=0x11, ntp=1 << 40, rtp_time=7, packets=1, octets=2))
    source.publish(frame_rtcp(0, report, rtp_time=7, utc=0))
    (told,) = parse_rtcp((await listener.take(which=1))[0])
    assert isinstance(told, SenderReport)
    member.leave()


@covers
async def test_sessions_share_one_sender_which_ends_with_the_last(
    group: Multicast, listener: Listener, groups: Groups
) -> None:
    source = stream()
    asked: list[int] = []
    source.on_keyframe_wanted = lambda: asked.append(1)
    first = groups.join(source, 0, group, lambda: None)
    assert not asked
    second = groups.join(source, 0, group, lambda: None)
    assert asked, "who comes later needs a clean point"
    assert source.clients == 1
    source.publish(key(1))
    assert numbers(await listener.take(3)) == [1, 2, 3]
    assert listener.nothing(), "it is sent once"
    first.leave()
    first.leave()
    source.publish(unit(4, b"\x41"))
    assert numbers(await listener.take()) == [4]
    second.leave()
    assert (source.clients, groups.senders) == (0, ())
    source.publish(unit(5, b"\x41"))
    await asyncio.sleep(0.05)
    assert listener.nothing()
    source.end()


async def test_a_group_carries_one_source(group: Multicast, groups: Groups) -> None:
    groups.join(stream(), 0, group, lambda: None)
    with pytest.raises(Unavailable):
        groups.join(stream(), 0, group, lambda: None)


async def test_members_hear_of_the_end_of_the_source(group: Multicast, groups: Groups) -> None:
    source = stream()
    ended: list[int] = []
    for number in range(2):
        groups.join(source, 0, group, lambda number=number: ended.append(number))  # type: ignore[misc]
    source.end()
    assert ended == [0, 1]


async def test_who_joins_while_members_of_the_former_source_leave_gets_what_is_sent_now(
    group: Multicast, listener: Listener, groups: Groups
) -> None:
    source = stream()
    slow = groups.join(source, 0, group, lambda: None)  # its session ends a little later
    source.end()
    assert groups.senders == ()
    source.set_tracks((TRACK,))
    joined = groups.join(source, 0, group, lambda: None)
    source.publish(key(1))
    assert numbers(await listener.take(3)) == [1, 2, 3]
    slow.leave()
    source.publish(unit(4, b"\x41"))
    assert numbers(await listener.take()) == [4]
    joined.leave()
    assert (source.clients, groups.senders) == (0, ())


async def test_other_tracks_stay_out(group: Multicast, listener: Listener, groups: Groups) -> None:
    source = stream()
    groups.join(source, 1, group, lambda: None)
    source.publish(key(1))
    await asyncio.sleep(0.05)
    assert listener.nothing()


def reachable(interface: str) -> str:
    """The address of an interface that carries groups of IPv6; empty where it does not, or is not there."""
    routes = Path("/proc/net/ipv6_route")
    lines = routes.read_text().splitlines() if routes.exists() else []
    if not any(line.startswith("ff") and line.split()[1] == "08" and line.endswith(f" {interface}") for line in lines):
        return ""
    table = Path("/proc/net/if_inet6").read_text().splitlines()
    found = (line.split()[0] for line in table if line.endswith(f" {interface}") and not line.startswith("fe80"))
    return next((str(ipaddress.IPv6Address(bytes.fromhex(address))) for address in found), "")


if INTERFACES:

    @pytest.mark.parametrize("interface", INTERFACES)
    async def test_ipv6(interface: str) -> None:
        """Loopback interfaces carry groups of IPv6 only where a local route was made (see the guide)."""
        address = reachable(interface)
        assert address, f"{interface} carries no groups of IPv6"
        group = free_group("ff18::7701")
        listener = Listener(group, interface)
        groups = Groups(address)
        source = stream()
        groups.join(source, 0, group, lambda: None)
        source.publish(key(1))
        assert numbers(await listener.take(3)) == [1, 2, 3]
        groups.close()
        listener.close()


@covers
async def test_time_to_live_is_that_of_the_group(groups: Groups) -> None:
    group = Multicast("239.255.77.2", free_group().port, 7)
    sender = groups.join(stream(), 0, group, lambda: None).sender
    sock = sender._pair.rtp
    assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 7
    assert sock.getsockname()[0] == "127.0.0.1", "nothing leaves a recorder that serves this machine alone"


async def test_what_cannot_be_reached_is_refused(groups: Groups) -> None:
    away = Groups("203.0.113.77")
    with pytest.raises(Unavailable):
        away.join(stream(), 0, free_group(), lambda: None)
    assert away.senders == ()


def test_interfaces() -> None:
    assert interface_index("") == interface_index("::") == interface_index("192.0.2.1") == 0
    assert interface_index("::1") == interface_index("127.0.0.1") == socket.if_nametoindex("lo")
    assert interface_index("2001:db8::77") == 0


def test_aliases_are_the_interface_that_they_belong_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def adapter(name: str, *addresses: str) -> ifaddr.Adapter:
        return ifaddr.Adapter(name, name, [ifaddr.IP(each, 24, name) for each in addresses])

    adapters = [adapter("lo:1", "192.0.2.2"), adapter("lo", "192.0.2.1", "192.0.2.3"), adapter("none0", "192.0.2.9")]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    indexes = {each: interface_index(f"192.0.2.{each}") for each in (1, 2, 3, 4, 9)}
    lo = socket.if_nametoindex("lo")
    assert indexes == {1: lo, 2: lo, 3: lo, 4: 0, 9: 0}


@covers
async def test_clients_on_several_addresses_of_an_interface_share_a_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    indexes = {"192.0.2.1": 2, "192.0.2.2": 2, "192.0.2.3": 2, "198.51.100.1": 3}
    monkeypatch.setattr(multicast, "interface_index", lambda address: indexes.get(address, 0))
    monkeypatch.setattr(multicast, "leads_to", lambda group: "192.0.2.3")
    real = multicast.open_group
    monkeypatch.setattr(multicast, "open_group", lambda group, interface: real(group, "127.0.0.1"))
    group, source, groups = free_group(), stream(), Groups("")
    first = groups.join(source, 0, group, lambda: None, local="192.0.2.1")
    for local in ("192.0.2.2", "", "127.0.0.1"):
        assert groups.join(source, 0, group, lambda: None, local=local).sender is first.sender
    assert groups.join(source, 0, group, lambda: None, local="198.51.100.1").sender is not first.sender
    groups.close()


@covers
async def test_another_time_to_live_is_the_one_that_counts(groups: Groups) -> None:
    near = free_group("239.255.77.3")
    far, source = Multicast(near.address, near.port, 9), stream()
    sender = groups.join(source, 0, near, lambda: None).sender
    assert groups.join(source, 0, far, lambda: None).sender is sender
    found = [
        sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) for sock in (sender._pair.rtp, sender._pair.rtcp)
    ]
    assert (found, sender.group) == ([9, 9], far)


# ---- parameter sets in band ----------------------------------------------------------------------


def in_band(track: LiveTrack | None = TRACK) -> InBand:
    return InBand(lambda: track)


def payloads(sent: FlushUnit) -> list[tuple[int, bytes]]:
    found = []
    for start, end in zip(sent.starts, (*sent.starts[1:], len(sent.data)), strict=True):
        parsed = parse_rtp(sent.data, start + 4, end)
        found.append((parsed.seq, sent.data[parsed.start : parsed.end]))
    return found


def test_units_pass_as_they_are_where_the_camera_sends_its_sets() -> None:
    line = in_band()
    for each in (key(1), unit(4, b"\x41"), unit(5, b"\x18\x00\x04" + SPS + b"\x00\x02\x65i", key=True)):
        assert line.feed(each) is each
    assert in_band(None).feed(unit(1, b"\x65", key=True)).starts == (0,)


@covers
def test_sets_are_put_before_key_frames_that_come_without() -> None:
    line = in_band()
    first = unit(0xFFFE, b"\x65a", b"\x65b", key=True)
    assert payloads(line.feed(first)) == [(0xFFFE, SPS), (0xFFFF, PPS), (0, b"\x65a"), (1, b"\x65b")]
    assert payloads(line.feed(unit(0, b"\x41"))) == [(2, b"\x41")]
    again = line.feed(unit(1, b"\x65", key=True))
    assert payloads(again) == [(3, SPS), (4, PPS), (5, b"\x65")]
    assert again.key
    times = {parse_rtp(again.data, start + 4, len(again.data)).rtp_time for start in again.starts}
    assert times == {again.rtp_time}, "they are part of the key frame"
    assert payloads(line.feed(key(2))) == [(6, SPS), (7, PPS), (8, b"\x65idr")]


def test_sets_of_h265_and_of_other_codecs() -> None:
    assert carries_sets(unit(1, b"\x42\x01sps"), Codec.H265)
    assert carries_sets(unit(1, b"\x60\x01\x00\x04\x42\x01ab"), Codec.H265)
    assert not carries_sets(unit(1, b"\x26\x01idr"), Codec.H265)
    assert not carries_sets(unit(1, b"\x60\x01\xff\xff"), Codec.H265)
    assert not carries_sets(unit(1, b"\x18\x00\x01\x68"), Codec.H264)
    assert not carries_sets(unit(1, b""), Codec.H264)
    assert carries_sets(unit(1, b"anything"), Codec.PCMU)


# ---- by RTSP -------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(group: Multicast, groups: Groups) -> AsyncIterator[tuple[LiveStream, int]]:
    stream, _ = sample.live()
    composition = Composition(name="n", profile="p", video=stream, multicast={Kind.VIDEO: group})
    async with sample.serving(LiveMount(lambda path: composition, 60, groups=groups)) as (_, port):
        yield stream, port


async def test_a_session_has_the_group_from_play_to_its_end(
    group: Multicast, listener: Listener, groups: Groups
) -> None:
    source = stream()
    composition = Composition(name="n", profile="p", video=source, multicast={Kind.VIDEO: group})
    mount = LiveMount(lambda path: composition, 60, groups=groups)
    presentation = await mount.find("/live/cam-1/main", sample.lookup(sample.USER).account)  # type: ignore[union-attr]
    source.publish(key(7))
    playback = presentation.open_groups(frozenset({0}), lambda: None, "127.0.0.1")
    reply = await playback.play(PlayRequest(cseq=1), frozenset({0}))
    assert (reply.start, [(each.track, each.seq, each.rtp_time) for each in reply.rtp]) == (7000, [(0, 7, 70)])
    again = await playback.play(PlayRequest(cseq=2), frozenset({0}))
    assert again.start is None, "a repeated PLAY keeps alive"
    playback.start()
    assert numbers(await listener.take(3)) == [7, 8, 9]
    await playback.pause()
    assert groups.senders == ()
    await playback.play(PlayRequest(cseq=3), frozenset({0}))
    assert len(groups.senders) == 1
    await playback.close()
    assert groups.senders == ()
