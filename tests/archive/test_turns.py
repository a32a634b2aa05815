"""Recordings that have something for the disk in the same moment."""

from __future__ import annotations

import asyncio

import pytest

from onvifd.archive.turns import AT_ONCE, SHARE, Turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Many that want to begin at once; `steps` says how many began in each step."""

    def __init__(self, number: int) -> None:
        self.turns = Turns()
        self.begun: list[int] = []
        self.tasks = [asyncio.create_task(self._wait(each)) for each in range(number)]
        self.steps: list[int] = []

    async def _wait(self, number: int) -> None:
        await self.turns.take()
        self.begun.append(number)

    async def step(self) -> None:
        """The time of one step passes."""
        before = len(self.begun)
        if self.turns._timer is not None:
            self.turns._timer.cancel()
            self.turns._next()
        await settle()
        self.steps.append(len(self.begun) - before)


async def test_who_comes_alone_does_not_wait() -> None:
    crowd = Crowd(1)
    await settle()
    assert crowd.begun == [0]
    crowd.turns.close()


async def test_a_crowd_begins_in_steps_and_in_order() -> None:
    crowd = Crowd(100)
    await settle()
    assert crowd.begun == list(range(AT_ONCE))
    while len(crowd.begun) < 100:
        await crowd.step()
    assert crowd.begun == list(range(100))
    assert max(crowd.steps) <= 100 // SHARE
    assert len(crowd.steps) < 40
    # after a step in which nobody came, the next one does not wait
    await crowd.step()
    await crowd.step()
    assert crowd.turns._timer is None
    crowd.turns.close()


async def test_what_is_ready_for_longest_goes_first() -> None:
    turns = Turns()
    begun: list[int] = []

    async def wait(number: int, since: float) -> None:
        await turns.take(since)
        begun.append(number)

    tasks = [asyncio.create_task(wait(number, since)) for number, since in enumerate((9.0, 9.0, 3.0, 2.0, 1.0, 2.0))]
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)
    # Those who came first met nobody; a second fragment of one recording does not wait behind younger ones of others.
    assert begun == [0, 1, 4, 3, 5, 2]
    turns.close()


async def test_time_lets_them_begin() -> None:
    turns = Turns()
    async with asyncio.timeout(10):
        await asyncio.gather(*(turns.take() for _ in range(20)))
    turns.close()


async def test_who_gives_up_takes_no_turn() -> None:
    crowd = Crowd(AT_ONCE + 4)
    await settle()
    for task in crowd.tasks[AT_ONCE : AT_ONCE + 2]:
        task.cancel()
    await settle()
    await crowd.step()
    assert crowd.begun == [*range(AT_ONCE), AT_ONCE + 2, AT_ONCE + 3]
    crowd.turns.close()


async def test_at_the_end_nobody_is_left_waiting() -> None:
    crowd = Crowd(AT_ONCE + 1)
    await settle()
    crowd.turns.close()
    with pytest.raises(asyncio.CancelledError):
        await crowd.tasks[-1]
