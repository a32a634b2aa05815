"""Many who wait for a time, one task for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from onvifd.clock import SimulatedClock
from onvifd.onvif.notification.deadlines import Deadlines


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
async def deadlines(clock: SimulatedClock) -> AsyncIterator[Deadlines]:
    made = Deadlines(clock)
    yield made
    await made.close()


@pytest.fixture
def rung() -> list[str]:
    return []


def bell(rung: list[str], name: str) -> Callable[[], None]:
    return lambda: rung.append(name)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_each_rings_at_its_time_whatever_the_order(
    deadlines: Deadlines, clock: SimulatedClock, rung: list[str]
) -> None:
    for name, at in (("late", 30.0), ("soon", 5.0), ("middle", 10.0)):
        deadlines.set(name, at, bell(rung, name))
        await settle()
    await clock.advance(4.9)
    assert rung == []
    await clock.advance(0.2)
    assert rung == ["soon"]
    await clock.advance(5)
    assert rung == ["soon", "middle"]
    await clock.advance(100)
    assert rung == ["soon", "middle", "late"]


async def test_what_is_dropped_or_replaced_does_not_ring(
    deadlines: Deadlines, clock: SimulatedClock, rung: list[str]
) -> None:
    deadlines.set("one", 5.0, bell(rung, "one"))
    deadlines.set("two", 6.0, bell(rung, "two"))
    deadlines.drop("one")
    deadlines.set("two", 9.0, bell(rung, "two again"))
    await clock.advance(8)
    assert rung == []
    await clock.advance(2)
    assert rung == ["two again"]
    deadlines.drop("nobody")


async def test_all_share_one_task_which_ends_with_the_last(deadlines: Deadlines, clock: SimulatedClock) -> None:
    before = len(asyncio.all_tasks())
    for number in range(200):
        deadlines.set(number, 20.0 + number, lambda: None)
    await settle()
    assert len(asyncio.all_tasks()) == before + 1
    for number in range(200):
        deadlines.drop(number)
    await clock.advance(20)
    assert len(asyncio.all_tasks()) == before


async def test_who_comes_after_the_task_has_ended(deadlines: Deadlines, clock: SimulatedClock, rung: list[str]) -> None:
    for at in (5.0, 15.0):
        deadlines.set("one", at, bell(rung, f"{at:g}"))
        await clock.advance(10)
    assert rung == ["5", "15"]


async def test_after_the_end_nobody_is_called(deadlines: Deadlines, clock: SimulatedClock, rung: list[str]) -> None:
    deadlines.set("one", 5.0, bell(rung, "one"))
    await settle()
    await deadlines.close()
    await clock.advance(10)
    assert rung == []
