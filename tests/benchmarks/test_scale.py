"""How the benchmark of scale finds what workers carry, with workers that are made up."""

from __future__ import annotations

from typing import cast

import pytest

from benchmarks.clip import FPS
from benchmarks.floor_server import runs
from benchmarks.scale import scaled
from benchmarks.scale_load import Crowd, Level, climb


class MadeUp:
    """Workers that carry `strength` clients each, on cores of which others take a share."""

    def __init__(self, *strengths: int, others: float = 0.0) -> None:
        self._strengths = strengths
        self._others = others
        self.counts = [0] * len(strengths)
        self.levels = 0

    def grow(self, wanted: list[int]) -> None:
        assert all(count >= now for count, now in zip(wanted, self.counts, strict=True))
        self.counts = list(wanted)

    def settle(self) -> None: ...

    def measure(self, seconds: float) -> Level:
        self.levels += 1
        shares = tuple(count / strength for count, strength in zip(self.counts, self._strengths, strict=True))
        room = 1 - self._others
        return Level(
            counts=tuple(self.counts),
            fps=tuple(FPS * min(1.0, room / share) for share in shares),
            lost=0,
            latency=1.0,
            shares=tuple(min(room, share) for share in shares),
            busy=tuple(min(1.0, share + self._others) for share in shares),
            arrived=1.0,
            gbits=0.004 * sum(self.counts),
            cost=0.1,
            joined=8.0,
            octets=10_000.0,
        )


def climbed(made: MadeUp, most: int = 6000, limit: float = 60.0) -> tuple[Level | None, str, bool]:
    return climb(cast(Crowd, made), most, limit)


@pytest.mark.parametrize("strengths", [(3000,), (3000, 3000), (3000, 2500), (700,)])
def test_all_that_is_carried_is_found_in_few_levels(strengths: tuple[int, ...]) -> None:
    made = MadeUp(*strengths)
    best, why, full = climbed(made)
    assert best is not None
    assert best.carried
    assert full, why
    for count, strength in zip(best.counts, strengths, strict=True):
        assert 0.96 * strength <= count <= strength
    assert made.levels <= 8


def test_what_others_take_is_not_taken_for_the_workers_end() -> None:
    best, why, full = climbed(MadeUp(3000, others=0.5))
    assert best is not None
    assert best.counts[0] <= 1500
    assert not full, why


def test_what_is_never_filled_is_said_to_be_so() -> None:
    best, why, full = climbed(MadeUp(100_000), most=2000)
    assert best is not None
    assert best.counts == (2000,)
    assert (full, why) == (False, "2000 clients of a worker are all that are tried")
    best, why, full = climbed(MadeUp(100_000), limit=-1.0)
    assert (full, why) == (False, "the time was over")


def test_workers_that_bear_nothing_have_no_level() -> None:
    assert climbed(MadeUp(50))[0] is None


def test_scale_is_told_of_clients_or_computed_from_cost() -> None:
    one = {
        "clients": 3000,
        "gbits": 12.0,
        "cost": 0.08,
        "fps": 25.0,
        "lost": 0,
        "latency_p99": 5.0,
        "shares": [0.97],
        "memory": 100.0,
        "ended": "each core is full",
        "full": True,
    }
    two = one | {"clients": 5700, "shares": [0.97, 0.93], "cost": 0.084}
    figure = scaled(one, two)
    assert (figure.ratio, figure.held) == ("1.90", True)
    figure = scaled(one, two | {"full": False})
    assert (figure.ratio, figure.held) == ("1.90 (computed)", True)
    assert scaled(one, two | {"clients": 5000}).held is False


def test_the_floor_sends_packets_of_one_size_together() -> None:
    def packet(size: int, channel: int = 0) -> bytes:
        return b"$" + bytes([channel]) + size.to_bytes(2, "big") + bytes([size & 0xFF]) * size

    whole = packet(28, 1) + packet(60) + packet(1400) * 3 + packet(900) + packet(900)
    assert [len(data) for data, _ in runs(whole)] == [60, 3 * 1400 + 900, 900]
    many = runs(packet(1000) * 200)
    assert [len(data) for data, _ in many] == [64_000, 64_000, 64_000, 8000]
