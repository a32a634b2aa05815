"""Queues of clients: same bytes for all, whole units, drop to the next key unit."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from onvifd.media.types import Codec, FlushUnit, TrackFormat
from onvifd.rtsp import outlet as module
from onvifd.rtsp import outlet_udp as paced
from onvifd.rtsp.forms import GSO_BYTES, GSO_SEGMENTS, MAX_FORMS, datagram_runs, renumber
from onvifd.rtsp.outlet import Link, TcpOutlet
from onvifd.rtsp.outlet_udp import UdpOutlet
from onvifd.rtsp.play import Outlet, Playback, TrackDescription
from onvifd.rtsp.server_events import Session


@dataclass
class Sample:
    replay: bool = False
    range: tuple[int, int] | None = None
    name: str = "sample"
    session_timeout: int = 60
    tracks: tuple[TrackDescription, ...] = (
        TrackDescription(format=TrackFormat(codec=Codec.H264, clock_rate=90000), payload_type=96, control="0"),
        TrackDescription(format=TrackFormat(codec=Codec.PCMU, clock_rate=8000), payload_type=0, control="1"),
    )

    def open(self, outlet: Outlet) -> Playback:
        raise NotImplementedError


def unit(size: int, *, track: int = 0, key: bool = False, number: int = 0, rtcp: bool = False) -> FlushUnit:
    """One unit of packets of at most 1,000 bytes, all with `number`."""
    data, starts = b"", []
    while size > 0:
        length = min(1000, size)
        starts.append(len(data))
        data += bytes((0x24, 2 * track + rtcp)) + length.to_bytes(2, "big") + bytes((number,)) * length
        size -= length
    return FlushUnit(track, data, tuple(starts), key, number, number, True, rtcp)


class Pair:
    """An outlet, and the client's end of its connection."""

    def __init__(self, replay: bool = False, tracks: dict[int, tuple[int, int]] | None = None) -> None:
        server, self.client = socket.socketpair()
        self.server = server
        server.setblocking(False)
        self.client.setblocking(False)
        for sock in (server, self.client):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.lost: list[str] = []
        self.link = Link(server, self.lost.append)
        self.session = Session("s", "/p", "rtsp://h/p", Sample(replay), 0.0, tracks or {0: (0, 1), 1: (2, 3)})
        self.ended: list[Session] = []
        self.outlet = TcpOutlet(self.session, self.link, self.ended.append)

    async def read(self) -> bytes:
        """All that arrives until nothing is queued any more."""
        found = b""
        while True:
            await asyncio.sleep(0)
            try:
                found += self.client.recv(1 << 20)
            except BlockingIOError:
                if not self.link.queued:
                    return found

    def close(self) -> None:
        self.link.close()
        self.server.close()
        self.client.close()


@pytest.fixture
async def pair() -> Iterator[Pair]:  # type: ignore[misc]
    made = Pair()
    yield made
    made.close()


def numbers(data: bytes) -> list[int]:
    """The numbers of the packets, and proof that the framing is whole."""
    found, place = [], 0
    while place < len(data):
        assert data[place] == 0x24
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 4 + length]
        assert len(body) == length
        assert len(set(body)) == 1
        found.append(body[0])
        place += 4 + length
    return list(dict.fromkeys(found))


async def test_units_pass_unchanged(pair: Pair) -> None:
    first, second = unit(3000, key=True, number=1), unit(100, track=1, number=2)
    pair.outlet.send(first)
    pair.outlet.send(second)
    assert await pair.read() == first.data + second.data


async def test_channels_are_renumbered_once_per_unit() -> None:
    pair = Pair(tracks={0: (4, 5)})
    sent = unit(2500, number=1)
    for _ in range(2):
        pair.outlet.send(sent)
    data = await pair.read()
    assert sorted(sent.cache) == [(4, 5)]
    assert data == renumber(sent, (4, 5)) * 2
    assert {data[start + 1] for start in sent.starts} == {4}
    pair.outlet.send(unit(8, rtcp=True))
    assert (await pair.read())[1] == 5
    pair.outlet.send(unit(100, track=1))  # not set up
    pair.outlet.send(unit(100, track=7))  # no such track
    assert await pair.read() == b""
    pair.close()


def test_clients_cannot_fill_the_memory_with_channels() -> None:
    sent = unit(2500)
    for channel in range(4, 256, 2):
        assert {renumber(sent, (channel, channel + 1))[start + 1] for start in sent.starts} == {channel}
    datagram_runs(sent)
    assert len(sent.cache) <= MAX_FORMS + 1


async def test_slow_client_goes_on_at_a_key_unit(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUE", 60_000)
    for number in range(10):
        pair.outlet.send(unit(20_000, key=number == 0, number=number))
    assert pair.outlet.dropped
    pair.outlet.send(unit(100, track=1, number=100))
    pair.outlet.send(unit(20_000, number=101))
    pair.outlet.send(unit(8, rtcp=True, number=102))
    pair.outlet.send(unit(20_000, key=True, number=103))
    pair.outlet.send(unit(100, track=1, number=104))
    found = numbers(await pair.read())
    # the unit that had begun is whole, then reports and what follows the key
    assert found == [0, 102, 103, 104]


async def test_what_a_session_begins_with_is_not_too_much(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUE", 60_000)
    pair.outlet.expect(200_000)
    for number in range(10):
        pair.outlet.send(unit(20_000, key=number == 0, number=number))
    pair.outlet.send(unit(20_000, number=10))  # and what comes while that is on its way
    assert not pair.outlet.dropped
    assert numbers(await pair.read()) == list(range(11))
    monkeypatch.setattr(module, "MAX_DELAY", 0.0)
    pair.outlet.expect(200_000)
    monkeypatch.undo()
    monkeypatch.setattr(module, "MAX_QUEUE", 60_000)
    for number in range(10):
        pair.outlet.send(unit(20_000, key=number == 0, number=number))
    assert pair.outlet.dropped, "it is for the beginning alone"


async def test_late_client_goes_on_at_a_key_unit(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.outlet.send(unit(100_000, key=True, number=1))
    pair.outlet.send(unit(1000, number=2))
    monkeypatch.setattr(module, "MAX_DELAY", -1.0)
    pair.outlet.send(unit(1000, number=3))
    monkeypatch.undo()
    pair.outlet.send(unit(1000, key=True, number=4))
    assert numbers(await pair.read()) == [1, 4]


async def test_answers_overtake_media_but_never_split_a_unit(pair: Pair) -> None:
    first, second = unit(100_000, key=True, number=1), unit(3000, number=2)
    pair.outlet.send(first)
    pair.outlet.send(second)
    pair.link.send_answer(b"A")
    pair.link.send_answer(b"B")
    assert await pair.read() == first.data + b"AB" + second.data


async def test_answers_that_nobody_reads_are_bounded(pair: Pair) -> None:
    pair.outlet.send(unit(100_000, key=True))
    for _ in range(30):
        pair.link.send_answer(bytes(10_000))
    assert pair.lost == ["does not read its answers"]


async def test_replay_drops_nothing_and_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(replay=True)
    monkeypatch.setattr(module, "MAX_DELAY", -1.0)
    for number in range(1, 60):
        pair.outlet.send(unit(60_000, number=number))
    waiting = asyncio.create_task(pair.outlet.drain())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert numbers(await pair.read()) == list(range(1, 60))
    await asyncio.wait_for(waiting, 5)
    pair.close()


async def test_replay_that_does_not_wait_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(replay=True)
    monkeypatch.setattr(module, "MAX_LOSSLESS", 200_000)
    for _ in range(8):
        pair.outlet.send(unit(60_000))
    assert len(pair.lost) == 1
    await asyncio.wait_for(pair.outlet.drain(), 5)
    pair.close()


async def test_vanished_client(pair: Pair) -> None:
    pair.client.close()
    pair.outlet.send(unit(1000, key=True))
    pair.outlet.send(unit(1000, key=True))
    assert len(pair.lost) == 1
    assert pair.link.closed


async def test_forget_leaves_the_framing_whole(pair: Pair) -> None:
    pair.outlet.send(unit(100_000, key=True, number=1))
    pair.outlet.send(unit(1000, number=2))
    pair.outlet.forget()
    pair.link.send_answer(b"")
    assert numbers(await pair.read()) == [1]


def test_datagrams_of_a_unit_in_batches_for_segmentation_offload() -> None:
    data = b""
    starts = []
    sizes = [20, 8, 1200, 1200, 1200, 300, 1200, 1200]
    for number, size in enumerate(sizes):
        starts.append(len(data))
        data += bytes((0x24, 0)) + size.to_bytes(2, "big") + bytes((number,)) * size
    starts.append(len(data))
    data += bytes((0x24, 1, 0, 4)) + b"rtcp"
    sample = FlushUnit(0, data, tuple(starts), True, 0, 0)
    runs = datagram_runs(sample)
    assert [(rtcp, size, len(run)) for rtcp, run, size in runs] == [
        (False, 20, 28),
        (False, 1200, 3900),
        (False, 1200, 2400),
        (True, 4, 4),
    ]
    cut = [run[at : at + size] for _, run, size in runs for at in range(0, len(run), size)]
    assert [len(piece) for piece in cut] == [*sizes, 4]
    assert sample.cache["udp"] is runs


def test_batches_stay_below_the_bounds_of_the_kernel() -> None:
    for rtcp, run, size in datagram_runs(unit(500_000)):
        assert not rtcp
        assert len(run) <= GSO_BYTES
        assert -(-len(run) // size) <= GSO_SEGMENTS


class FakePair:
    """The sockets of a track: takes `room` bytes, then says that it is full."""

    def __init__(self) -> None:
        self.room = 0
        self.sent: list[tuple[bool, bytes]] = []
        self.writable: Callable[[], None] | None = None

    def send(self, rtcp: bool, data: bytes | memoryview, size: int) -> int:
        if self.room < len(data):
            return 0
        self.room -= len(data)
        self.sent.append((rtcp, bytes(data)))
        return len(data)

    def watch(self, writable: Callable[[], None] | None) -> None:
        self.writable = writable


def udp_outlet(replay: bool = False) -> tuple[UdpOutlet, FakePair]:
    pair = FakePair()
    session = Session("s", "/p", "rtsp://h/p", Sample(replay), 0.0)
    return UdpOutlet(session, {0: pair}, lambda _: None), pair  # type: ignore[dict-item]


async def test_udp_waits_for_a_full_socket() -> None:
    outlet, pair = udp_outlet()
    outlet.send(unit(10, track=1))  # not set up
    for number in range(3):
        outlet.send(unit(1000, number=number, key=not number))
    assert pair.sent == []
    assert pair.writable is not None
    pair.room = 2500
    pair.writable()
    assert [data[0] for _, data in pair.sent] == [0, 1]
    pair.room = 10_000
    pair.writable()
    assert [data[0] for _, data in pair.sent] == [0, 1, 2]
    assert pair.writable is None


async def test_udp_drops_to_a_key_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "MAX_QUEUE", 3000)
    outlet, pair = udp_outlet()
    for number in range(5):
        outlet.send(unit(1000, number=number, key=not number))
    pair.room = 10_000
    outlet.send(unit(1000, number=5))
    outlet.send(unit(1000, number=6, key=True))
    assert [data[0] for _, data in pair.sent] == [6]
    assert outlet.dropped


async def test_udp_begins_with_more_than_may_wait_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "MAX_QUEUE", 3000)
    outlet, _ = udp_outlet()
    outlet.expect(5000)
    for number in range(6):
        outlet.send(unit(1000, number=number, key=not number))
    assert not outlet.dropped
    outlet.send(unit(1000, number=6))
    outlet.send(unit(1000, number=7))
    assert outlet.dropped


async def test_udp_replay_waits_and_drops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "MAX_QUEUE", 3000)
    monkeypatch.setattr(paced, "LOW_WATER", 1500)
    outlet, pair = udp_outlet(replay=True)
    for number in range(5):
        outlet.send(unit(1000, number=number))
    waiting = asyncio.create_task(outlet.drain())
    await asyncio.sleep(0)
    assert not waiting.done()
    pair.room = 4000
    assert pair.writable is not None
    pair.writable()
    await asyncio.wait_for(waiting, 5)
    assert [data[0] for _, data in pair.sent] == [0, 1, 2, 3]
