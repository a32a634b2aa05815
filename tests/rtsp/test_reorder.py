"""Datagrams back into their order."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.rtsp.reorder import HOLD, MAX_HELD, Reorder


def packet(number: int) -> bytes:
    return number.to_bytes(4, "big")


def feed(order: Reorder, numbers: list[int], now: float = 0.0) -> list[int]:
    found = []
    for number in numbers:
        found += order.take(number & 0xFFFF, packet(number), now)
    return [int.from_bytes(each, "big") for each in found]


def test_swapped_packets_wait_for_each_other_over_the_wrap() -> None:
    order = Reorder()
    assert feed(order, [65534, 65536, 65535, 65538, 65537]) == [65534, 65535, 65536, 65537, 65538]
    assert (order.held, order.deadline, order.dropped) == (0, None, 0)


def test_what_is_missing_is_given_up_after_its_time_alone() -> None:
    order = Reorder()
    assert feed(order, [1, 3], now=0.0) == [1]
    assert feed(order, [5], now=0.04) == []
    assert order.expire(HOLD - 0.001) == []
    assert order.expire(HOLD) == [packet(3)]
    assert order.deadline == 0.04 + HOLD
    assert order.expire(0.04 + HOLD) == [packet(5)]
    assert feed(order, [2, 4], now=1.0) == []
    assert order.dropped == 2


def test_no_more_than_the_bound_waits() -> None:
    order = Reorder()
    got = feed(order, [0, *range(2, 3 + MAX_HELD)])
    assert got == [0, *range(2, 3 + MAX_HELD)]
    assert order.held == 0


def test_a_stray_is_dropped_and_a_new_numbering_followed() -> None:
    order = Reorder()
    assert feed(order, [10, 11, 40_000, 12]) == [10, 11, 12]
    assert feed(order, [30_000, 30_001, 30_002]) == [30_001, 30_002]


def test_a_straight_run_is_taken_whole() -> None:
    order = Reorder()
    assert order.straight([65534, 65535, 0, 1])
    assert order.expected == 2
    assert not order.straight([3, 4])
    assert not order.straight([2, 4, 3, 5])
    assert order.straight([2])


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 65535), st.integers(1, 400), st.integers(1, 32), st.sets(st.integers(1, 399)), st.integers(0, 1000)
)
def test_whatever_happens_the_order_holds(first: int, count: int, spread: int, lost: set[int], seed: int) -> None:
    """Shuffled within `spread`, some lost, some twice: out come growing numbers, each once, and all that was not lost."""
    chance = random.Random(seed)
    numbers = [first + index for index in range(count) if index not in lost]
    arriving = sorted(numbers, key=lambda number: number + chance.random() * spread)
    arriving.remove(first)
    arriving = [first, *arriving]
    # not from far behind: that would be a new numbering
    late = [number for number in arriving if number > first + count - 60]
    arriving += chance.sample(late, min(len(late), 10))
    order = Reorder()
    got = feed(order, arriving)
    got += [int.from_bytes(each, "big") for each in order.expire(1.0)]
    assert got == sorted(set(got))
    assert order.held == 0
    assert set(got) <= set(numbers)
    if len(lost) == 0:
        assert got == numbers
