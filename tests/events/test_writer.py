"""The way of events to the store: batches, unavailability, bounds, closing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from onvifd.clock import SimulatedClock
from onvifd.errors import Unavailable
from onvifd.events import topics, writer
from onvifd.events.types import Event
from onvifd.events.writer import EventWriter


class Store:
    """Does to each batch what the test says, then keeps it."""

    def __init__(self, act: Callable[[int], None] = lambda attempt: None) -> None:
        self.batches: list[list[Event]] = []
        self.attempts = 0
        self.threads: set[threading.Thread] = set()
        self._act = act

    def insert_events(self, events: Sequence[Event]) -> None:
        self.attempts += 1
        self.threads.add(threading.current_thread())
        self._act(self.attempts)
        self.batches.append(list(events))

    def events_between(self, **_: object) -> tuple[Event, ...]:
        return ()

    def states_at(self, at: int, recordings: frozenset[str] | None) -> tuple[Event, ...]:
        return ()


def event(number: int) -> Event:
    return topics.profile_changed("p", number)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop and its threads run until something holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_events_are_written_in_order_in_batches_off_the_loop() -> None:
    store = Store()
    pen = EventWriter(store, SimulatedClock())
    for number in range(writer.BATCH + 1):
        pen.put(event(number))
    pen.start()
    await pen.close()
    assert [len(batch) for batch in store.batches] == [writer.BATCH, 1]
    assert [each.utc for batch in store.batches for each in batch] == list(range(writer.BATCH + 1))
    assert threading.current_thread() not in store.threads


async def test_an_unavailable_store_is_tried_again_without_loss() -> None:
    def twice_away(attempt: int) -> None:
        if attempt <= 2:
            raise Unavailable("database is locked")

    clock = SimulatedClock()
    store = Store(twice_away)
    pen = EventWriter(store, clock)
    pen.start()
    pen.put(event(1))
    await until(lambda: store.attempts == 1)
    await clock.advance(0.5)
    assert store.attempts == 1
    await clock.advance(0.6)
    await until(lambda: store.attempts == 2)
    pen.put(event(2))
    # The back-off timer begins when the thread's answer has reached the loop.
    for _ in range(20):
        await clock.advance(1)
        await asyncio.sleep(0.001)
    await until(lambda: len(store.batches) >= 2)
    assert [each.utc for batch in store.batches for each in batch] == [1, 2]
    await pen.close()


async def test_a_batch_the_store_cannot_take_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def first_fails(attempt: int) -> None:
        if attempt == 1:
            raise ValueError("row")

    store = Store(first_fails)
    pen = EventWriter(store, SimulatedClock())
    pen.start()
    pen.put(event(1))
    await until(lambda: store.attempts == 1)
    pen.put(event(2))
    await pen.close()
    assert [each.utc for batch in store.batches for each in batch] == [2]
    assert "could not be stored" in caplog.text


async def test_the_queue_is_bounded_and_drops_the_newest(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    pen = EventWriter(store, SimulatedClock(), limit=3)
    for number in range(5):
        pen.put(event(number))
    assert pen.dropped == 2
    assert caplog.text.count("events are dropped") == 1
    pen.start()
    await pen.close()
    assert [each.utc for batch in store.batches for each in batch] == [0, 1, 2]


async def test_closing_gives_up_on_a_store_that_stays_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(attempt: int) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(writer, "CLOSE_TIMEOUT", 0.05)
    pen = EventWriter(Store(away), SimulatedClock())
    pen.start()
    pen.put(event(1))
    await pen.close()
    assert "1 events were not stored" in caplog.text
    await pen.close()
