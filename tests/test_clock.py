"""Clocks and waits."""

import asyncio

from onvifd.clock import Alarm, SimulatedClock


async def test_an_alarm_ends_a_wait_and_is_never_missed() -> None:
    clock = SimulatedClock()
    alarm = Alarm(clock)
    waiting = asyncio.create_task(alarm.wait(10))
    await clock.advance(9)
    assert not waiting.done()
    alarm.ring()
    await waiting
    alarm.ring()  # while nobody waits
    await alarm.wait(None)
    waiting = asyncio.create_task(alarm.wait(10))
    await clock.advance(0)
    await clock.advance(10)
    await waiting
