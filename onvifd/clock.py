"""Real and simulated time behind one interface.

Wall time is an integer count of microseconds since 1970-01-01 UTC (`utc`). Monotonic time is float seconds, for
time-outs only. Media time is in 90 kHz ticks unless a track says otherwise.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

US = 1_000_000
"""Microseconds in a second."""

NTP_EPOCH_OFFSET = 2_208_988_800
"""Seconds from 1900-01-01 to 1970-01-01 (RFC 5905 section 6)."""


class Clock(Protocol):
    """What the engine needs to know of time."""

    def utc(self) -> int:
        """Wall time in microseconds UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step; the origin is arbitrary."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock's monotonic time."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def utc(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SimulatedClock:
    """A clock that moves only when told to, for tests."""

    def __init__(self, utc: int = 1_767_225_600 * US) -> None:
        self._utc = utc
        self._monotonic = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def utc(self) -> int:
        return self._utc

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move both clocks on by `seconds`, waking sleepers in order of their due time."""
        end = self._monotonic + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._utc += round((due - self._monotonic) * US)
            self._monotonic = due
            if not future.done():
                future.set_result(None)
            for _ in range(5):
                await asyncio.sleep(0)
        self._utc += round((end - self._monotonic) * US)
        self._monotonic = end
        for _ in range(5):
            await asyncio.sleep(0)

    def step(self, seconds: float) -> None:
        """Step the wall clock alone, as an NTP correction does."""
        self._utc += round(seconds * US)


async def wait_for(clock: Clock, event: Callable[[], Coroutine[object, None, object]], seconds: float | None) -> None:
    """Wait until `event()` is done, at most some seconds of the clock."""
    waits = [asyncio.ensure_future(event())]
    if seconds is not None:
        waits.append(asyncio.ensure_future(clock.sleep(max(0.0, seconds))))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


class Alarm:
    """Ends a wait before its time. What rings while nobody waits ends the next wait at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits."""
        self._rung.set()

    async def wait(self, seconds: float | None) -> None:
        """Wait until it rings, at most some seconds."""
        await wait_for(self._clock, self._heard, seconds)

    async def _heard(self) -> None:
        await self._rung.wait()
        # What rings from here on is for the next wait.
        self._rung.clear()


def utc_to_ntp(utc: int) -> int:
    """Microseconds UTC to a 64-bit NTP time stamp (32.32, rounded to nearest so that `ntp_to_utc` returns `utc`)."""
    seconds, micros = divmod(utc, US)
    return ((seconds + NTP_EPOCH_OFFSET) << 32) + ((micros << 32) + US // 2) // US


def ntp_to_utc(ntp: int) -> int:
    """64-bit NTP time stamp to microseconds UTC, rounded to nearest."""
    return ((ntp >> 32) - NTP_EPOCH_OFFSET) * US + (((ntp & 0xFFFFFFFF) * US + (1 << 31)) >> 32)


def to_datetime(utc: int) -> datetime:
    """Microseconds UTC to an aware datetime."""
    seconds, micros = divmod(utc, US)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


def from_datetime(value: datetime) -> int:
    """Aware datetime to microseconds UTC, exact."""
    delta = value.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * US + delta.microseconds


@lru_cache(256)  # each of many answers and records has the same few of them
def _iso_second(seconds: int) -> str:
    # Not strftime, which writes years before 1000 with fewer than four digits.
    return to_datetime(seconds * US).replace(tzinfo=None).isoformat()


def isoformat(utc: int) -> str:
    """Microseconds UTC as xs:dateTime with milliseconds or microseconds as needed, ending in `Z`."""
    seconds, micros = divmod(utc, US)
    text = _iso_second(seconds)
    if micros == 0:
        return text + "Z"
    if micros % 1000 == 0:
        return f"{text}.{micros // 1000:03d}Z"
    return f"{text}.{micros:06d}Z"
