"""The event bus: property semantics, subscribers, threads, history."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from onvifd.clock import SimulatedClock
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.events.types import Event, Operation


class MemoryStore:
    """Keeps events in a list."""

    def __init__(self) -> None:
        self.rows: list[Event] = []

    def insert_events(self, events: Sequence[Event]) -> None:
        self.rows.extend(events)

    def events_between(self, **_: object) -> tuple[Event, ...]:
        return tuple(self.rows)

    def states_at(self, at: int, recordings: frozenset[str] | None) -> tuple[Event, ...]:
        return ()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def bus(clock: SimulatedClock) -> EventBus:
    return EventBus(clock)


def collect(bus: EventBus) -> list[Event]:
    seen: list[Event] = []
    bus.subscribe(seen.append)
    return seen


def test_property_is_initialized_then_changed_and_repeats_are_suppressed(bus: EventBus) -> None:
    seen = collect(bus)
    for utc, state in enumerate([False, False, True, True, False]):
        bus.publish(topics.motion_alarm("vs-1", state, utc))
    assert [(event.operation, event.data, event.utc) for event in seen] == [
        (Operation.INITIALIZED, (("State", "false"),), 0),
        (Operation.CHANGED, (("State", "true"),), 2),
        (Operation.CHANGED, (("State", "false"),), 4),
    ]


def test_instances_of_a_property_are_told_apart_by_source(bus: EventBus) -> None:
    seen = collect(bus)
    assert bus.publish(topics.motion_alarm("vs-1", True, 1)) is not None
    assert bus.publish(topics.motion_alarm("vs-2", True, 1)) is not None
    assert bus.publish(topics.motion_alarm("vs-1", True, 2)) is None
    assert len(seen) == 2


def test_deleted_property_is_gone_and_begins_anew(bus: EventBus) -> None:
    seen = collect(bus)
    event = topics.motion_alarm("vs-1", True, 1)
    assert bus.publish(replace(event, operation=Operation.DELETED)) is None
    bus.publish(event)
    bus.publish(replace(event, operation=Operation.DELETED, utc=2))
    assert bus.properties() == ()
    bus.publish(event)
    assert [each.operation for each in seen] == [Operation.INITIALIZED, Operation.DELETED, Operation.INITIALIZED]


def test_forget_deletes_with_the_present_time(bus: EventBus, clock: SimulatedClock) -> None:
    bus.publish(topics.motion_alarm("vs-1", True, 1))
    seen = collect(bus)
    bus.forget(bus.properties())
    assert [(event.operation, event.utc, event.data) for event in seen] == [(Operation.DELETED, clock.utc(), ())]


def test_plain_events_are_never_suppressed_and_carry_no_operation(bus: EventBus) -> None:
    seen = collect(bus)
    event = topics.profile_changed("cam-1-main", 1)
    bus.publish(event)
    bus.publish(event)
    assert seen == [event, event]
    assert event.operation is None
    assert bus.properties() == ()


def test_properties_tell_the_present_state_of_selected_topics(bus: EventBus) -> None:
    bus.publish(topics.motion_alarm("vs-1", False, 1))
    bus.publish(topics.motion_alarm("vs-1", True, 5))
    bus.publish(topics.signal_loss("vs-1", False, 2))
    (state,) = bus.properties(lambda topic: topic == topics.MOTION_ALARM.name)
    assert (state.operation, state.data, state.utc) == (Operation.INITIALIZED, (("State", "true"),), 5)
    assert len(bus.properties()) == 2


def test_properties_are_bounded(clock: SimulatedClock, caplog: pytest.LogCaptureFixture) -> None:
    bus = EventBus(clock, max_properties=2)
    seen = collect(bus)
    for number in range(5):
        bus.publish(topics.motion_alarm(f"vs-{number}", True, 1))
    assert len(bus.properties()) == 2
    assert len(seen) == 5, "at the bound events are still delivered"
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1


def test_a_faulty_subscriber_costs_nobody_else_the_event(bus: EventBus, caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise ValueError("broken")

    bus.subscribe(broken)
    seen = collect(bus)
    bus.publish(topics.profile_changed("p", 1))
    assert len(seen) == 1
    assert "subscriber failed" in caplog.text


def test_a_closed_subscription_gets_nothing(bus: EventBus) -> None:
    seen: list[Event] = []
    subscription = bus.subscribe(seen.append)
    subscription.close()
    subscription.close()
    bus.publish(topics.profile_changed("p", 1))
    assert seen == []


def test_a_subscriber_may_unsubscribe_while_it_is_called(bus: EventBus) -> None:
    seen: list[Event] = []

    def once(event: Event) -> None:
        seen.append(event)
        subscription.close()

    subscription = bus.subscribe(once)
    other = collect(bus)
    bus.publish(topics.profile_changed("p", 1))
    bus.publish(topics.profile_changed("p", 2))
    assert (len(seen), len(other)) == (1, 2)


async def test_queue_drops_the_oldest_at_its_bound(bus: EventBus) -> None:
    queue = bus.queue(limit=3)
    for utc in range(5):
        bus.publish(topics.profile_changed("p", utc))
    queue.close()
    assert [event.utc async for event in queue] == [2, 3, 4]
    assert queue.dropped == 2


async def test_queue_waits_for_events(bus: EventBus) -> None:
    queue = bus.queue()

    async def first() -> Event:
        return await anext(queue)

    reader = asyncio.create_task(first())
    await asyncio.sleep(0)
    assert not reader.done()
    bus.publish(topics.profile_changed("p", 7))
    assert (await reader).utc == 7


async def test_events_of_other_threads_are_delivered_on_the_loop(bus: EventBus) -> None:
    await bus.start()
    where: list[threading.Thread] = []
    arrived = asyncio.Event()

    def note(event: Event) -> None:
        where.append(threading.current_thread())
        arrived.set()

    bus.subscribe(note)
    await asyncio.to_thread(bus.publish_threadsafe, topics.profile_changed("p", 1))
    await asyncio.wait_for(arrived.wait(), 5)
    assert where == [threading.current_thread()]
    await bus.close()


async def test_foreign_events_are_bounded_and_refused_when_closed(
    bus: EventBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("onvifd.events.bus.MAX_FOREIGN", 2)
    seen = collect(bus)
    event = topics.profile_changed("p", 1)
    bus.publish_threadsafe(event)
    await bus.start()
    for _ in range(5):
        bus.publish_threadsafe(event)
    await asyncio.sleep(0)
    assert len(seen) == 2
    await bus.close()
    bus.publish_threadsafe(event)
    await asyncio.sleep(0)
    assert len(seen) == 2
    assert caplog.text.count("dropped") == 5


async def test_history_gets_every_delivered_event_and_what_is_recorded(clock: SimulatedClock) -> None:
    store = MemoryStore()
    bus = EventBus(clock, store)
    await bus.start()
    seen = collect(bus)
    for state in (False, False, True):
        bus.publish(topics.motion_alarm("vs-1", state, 1))
    past = topics.track_state("rec-1", "VIDEO001", False, 0)
    bus.record(past)
    await bus.close()
    assert store.rows == [*seen, past]
    assert past not in seen
