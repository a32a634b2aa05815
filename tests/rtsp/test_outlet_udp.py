"""The pace of datagrams, on a clock that is turned by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from onvifd.rtsp import outlet_udp as module
from onvifd.rtsp.outlet_udp import MIN_RATE, UDP_RATE, UdpOutlet
from onvifd.rtsp.server_events import Session, Udp
from tests.rtsp.test_outlet import FakePair, Sample, unit

STEP = 0.02
PORTS = Udp((5000, 5001), (6000, 6001))


class Loop:
    """Time, and the one timer of a queue."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timer: Callable[[], None] | None = None

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, work: Callable[[], None]) -> object:
        self.timer = work
        return object()

    def pass_by(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += module.UDP_TICK
            if self.timer is not None:
                work, self.timer = self.timer, None
                work()


def outlet_of(pairs: dict[int, FakePair]) -> tuple[UdpOutlet, Session, Loop]:
    session = Session("s", "/p", "rtsp://h/p", Sample(), 0.0, dict.fromkeys(pairs, PORTS))
    outlet, loop = UdpOutlet(session, pairs, lambda _: None), Loop()  # type: ignore[arg-type]
    outlet._queue._loop, outlet._queue._refilled = loop, 0.0  # type: ignore[assignment]
    return outlet, session, loop


@pytest.mark.parametrize("rate", [200_000, 1_200_000, 3_000_000])
async def test_losses_slow_bursts_and_not_the_stream(rate: int) -> None:
    pair = FakePair()
    pair.room = 1 << 40
    outlet, _, loop = outlet_of({0: pair})
    lost: list[float] = []
    for number in range(round(120 / STEP)):
        if number % 250 == 0:
            outlet.reported(0.04)  # a poor wireless network, which loses as much however slowly it is sent to
        before = outlet.dropped
        outlet.send(unit(round(rate * STEP), number=number & 0xFF, key=number % 50 == 0))
        if outlet.dropped > before:
            lost.append(loop.now)
        loop.pass_by(STEP)
    assert len(lost) <= 1, "the pace of the stream is found once"
    assert MIN_RATE <= outlet._queue.rate < UDP_RATE


async def test_a_track_that_is_torn_down_holds_up_no_other() -> None:
    pairs = {0: FakePair(), 1: FakePair()}
    pairs[1].room = 1 << 20
    outlet, session, _ = outlet_of(pairs)
    outlet.send(unit(1000, number=1, key=True))
    outlet.send(unit(500, number=2, track=1))
    assert not pairs[1].sent, "it waits behind the picture, for whose socket there is no room"
    left = pairs.pop(0)
    del session.tracks[0]
    outlet.refresh()
    assert left.writable is None
    outlet.send(unit(500, number=3, track=1))
    if pairs[1].writable is not None:
        pairs[1].writable()
    assert [data[0] for _, data in pairs[1].sent] == [2, 3]
