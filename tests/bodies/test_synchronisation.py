"""Wishes of media workers for key frames, on their way to the cameras."""

from __future__ import annotations

import asyncio
import logging

import pytest

from onvifd.bodies.synchronisation import INTERVAL, Synchronisation
from onvifd.clock import SystemClock
from onvifd.errors import Timeout
from onvifd.workers.messages import KeyframeWanted

WISH = KeyframeWanted(camera="cam-1", stream="main")
OTHER = KeyframeWanted(camera="cam-1", stream="sub")


class SteppedClock(SystemClock):
    now = 0.0

    def monotonic(self) -> float:
        return self.now


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_wishes_within_a_second_are_one_request_per_stream() -> None:
    asked: list[tuple[str, str]] = []

    async def ask(camera: str, stream: str) -> None:
        asked.append((camera, stream))

    clock = SteppedClock()
    parts = Synchronisation(ask, clock)
    for wish in (WISH, WISH, OTHER):
        parts.wanted(wish)
    await settle()
    parts.wanted(WISH)
    await settle()
    assert asked == [("cam-1", "main"), ("cam-1", "sub")]
    clock.now += INTERVAL
    parts.wanted(WISH)
    await settle()
    assert asked[2:] == [("cam-1", "main")]
    await parts.close()


async def test_a_request_under_way_is_not_repeated_and_ends_with_the_recorder() -> None:
    begun = 0

    async def ask(camera: str, stream: str) -> None:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()

    clock = SteppedClock()
    parts = Synchronisation(ask, clock)
    parts.wanted(WISH)
    await settle()
    clock.now += 100 * INTERVAL
    parts.wanted(WISH)
    await settle()
    assert begun == 1
    await parts.close()


async def test_a_camera_that_fails_is_logged_once_until_it_answers(caplog: pytest.LogCaptureFixture) -> None:
    silent = True

    async def ask(camera: str, stream: str) -> None:
        if silent:
            raise Timeout("no answer")

    clock = SteppedClock()
    parts = Synchronisation(ask, clock)

    async def wish() -> None:
        clock.now += INTERVAL
        parts.wanted(WISH)
        await settle()

    with caplog.at_level(logging.WARNING, logger="onvifd.bodies.synchronisation"):
        await wish()
        await wish()
        assert len(caplog.records) == 1
        silent = False
        await wish()
        silent = True
        await wish()
    assert len(caplog.records) == 2
    assert "cam-1/main" in caplog.text
    await parts.close()
