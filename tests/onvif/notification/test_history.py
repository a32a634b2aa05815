"""Seek over the store of a catalogue (Core 9.1.5, 9.11), and the state behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from onvifd.clock import US, SimulatedClock
from onvifd.errors import NotSupported, Unavailable
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.events.catalogue_store import CatalogueEventStore
from onvifd.events.types import Event, Operation
from onvifd.onvif.notification import manager as module
from onvifd.onvif.notification import subscription
from onvifd.onvif.notification.faults import NotificationFault
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.manager import SubscriptionManager
from onvifd.onvif.notification.topic_expression import CONCRETE_SET, parse_topic_expression
from onvifd.onvif.soap.namespaces import TNS1
from onvifd.store.catalogue import Catalogue

NAMES = tuple(topic.name for topic in topics.RECORDER_TOPICS)
BEGIN = topics.BUFFER_BEGIN.name


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CatalogueEventStore]:
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.db'}", migrate=True)
    yield CatalogueEventStore(catalogue)
    catalogue.close()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
async def bus(store: CatalogueEventStore, clock: SimulatedClock) -> AsyncIterator[EventBus]:
    made = EventBus(clock, store)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def manager(bus: EventBus, clock: SimulatedClock) -> AsyncIterator[SubscriptionManager]:
    made = SubscriptionManager(bus, clock, topics=NAMES)
    yield made
    await made.close()


def only(text: str) -> EventFilter:
    return EventFilter((parse_topic_expression(text, CONCRETE_SET, {"tns1": TNS1}, NAMES),))


def fill(bus: EventBus, start: int, count: int) -> None:
    """`count` events a second apart."""
    for number in range(count):
        bus.publish(topics.profile_changed(f"p{number}", start + number * US))


def names(events: tuple[Event, ...]) -> list[str]:
    return [event.source[0][1] if event.source else "BEGIN" for event in events]


async def all_of(manager: SubscriptionManager, id_: str, limit: int = 1) -> list[str]:
    """Everything that can be pulled now, `limit` at a time."""
    found: list[str] = []
    while events := (await manager.pull(id_, 0, limit)).events:
        assert len(events) <= limit
        found += names(events)
    return found


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_forward_from_before_the_begin(manager: SubscriptionManager, bus: EventBus, limit: int) -> None:
    base = 1000 * US + 123_456
    fill(bus, base, 5)
    point = manager.create(EventFilter(), 60)
    await manager.seek(point.id, base - US, reverse=False)
    assert await all_of(manager, point.id, limit) == ["BEGIN", "p0", "p1", "p2", "p3", "p4"]


async def test_forward_begins_at_the_asked_time_inclusive(manager: SubscriptionManager, bus: EventBus) -> None:
    fill(bus, 1000 * US, 5)
    point = manager.create(EventFilter(), 60)
    await manager.seek(point.id, 1002 * US, reverse=False)
    assert await all_of(manager, point.id) == ["p2", "p3", "p4"]


async def test_backward_ends_with_the_begin_once(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock
) -> None:
    fill(bus, 1000 * US, 4)
    point = manager.create(EventFilter(), 60)
    await manager.seek(point.id, 1002 * US, reverse=True)
    assert await all_of(manager, point.id, 2) == ["p2", "p1", "p0", "BEGIN"]
    bus.publish(topics.profile_changed("new", clock.utc()))
    assert await all_of(manager, point.id) == []
    await manager.seek(point.id, 999 * US, reverse=True)
    assert await all_of(manager, point.id) == ["BEGIN"]


async def test_the_time_of_the_begin_leads_back_to_it_even_in_milliseconds(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock
) -> None:
    fill(bus, 1000 * US + 999_999, 3)
    point = manager.create(only(f"tns1:{BEGIN}"), 60)
    await manager.seek(point.id, clock.utc(), reverse=True)
    (begin,) = (await manager.pull(point.id, 0, 1)).events
    assert (begin.topic, begin.utc, begin.operation) == (BEGIN, 1000 * US + 999_000, None)
    assert await all_of(manager, point.id) == []
    await manager.seek(point.id, begin.utc, reverse=False)
    assert await all_of(manager, point.id) == ["BEGIN"]


async def test_an_empty_store_is_its_own_begin(manager: SubscriptionManager, clock: SimulatedClock) -> None:
    point = manager.create(EventFilter(), 60)
    for reverse in (False, True):
        await manager.seek(point.id, clock.utc(), reverse=reverse)
        assert await all_of(manager, point.id) == ["BEGIN"]


async def test_live_events_follow_the_past_without_gap_or_repetition(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock
) -> None:
    fill(bus, 1000 * US, 3)
    point = manager.create(EventFilter(), 60)
    seeking = asyncio.create_task(manager.seek(point.id, 1000 * US + 1, reverse=False))
    await asyncio.sleep(0)
    bus.publish(topics.profile_changed("meanwhile", clock.utc()))
    await seeking
    bus.publish(topics.profile_changed("after", clock.utc()))
    assert await all_of(manager, point.id) == ["p1", "p2", "meanwhile", "after"]
    bus.publish(topics.profile_changed("later", clock.utc()))
    assert await all_of(manager, point.id) == ["later"]


async def test_what_overflows_while_the_past_is_read_comes_from_the_store(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "QUEUE_LIMIT", 3)
    monkeypatch.setattr(module, "HISTORY_PAGE", 2)
    fill(bus, 1000 * US, 3)
    point = manager.create(EventFilter(), 60)
    await manager.seek(point.id, 1000 * US + 1, reverse=False)
    for number in range(7):
        bus.publish(topics.profile_changed(f"n{number}", clock.utc() + number))
    assert await all_of(manager, point.id, 2) == ["p1", "p2", *(f"n{number}" for number in range(7))]


async def test_what_overflows_after_the_past_was_read_comes_from_the_store(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "QUEUE_LIMIT", 3)
    monkeypatch.setattr(module, "HISTORY_PAGE", 2)
    fill(bus, 1000 * US, 1)
    point = manager.create(only("tns1:Media/ProfileChanged"), 60)
    await manager.seek(point.id, 1000 * US, reverse=False)
    assert await all_of(manager, point.id) == ["p0"]  # nothing is left of the past
    for round_ in range(3):
        for number in range(9):
            bus.publish(topics.profile_changed(f"n{round_}{number}", clock.utc() + number))
            bus.publish(topics.motion_alarm("vs-1", bool(number % 2), clock.utc() + number))
        assert len(point) == 4
        assert await all_of(manager, point.id, 2) == [f"n{round_}{number}" for number in range(9)]
        bus.publish(topics.profile_changed("live", 5 * US))  # far before the time of the Seek
        assert await all_of(manager, point.id) == ["live"]


async def test_a_waiting_pull_goes_on_from_the_store(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "QUEUE_LIMIT", 2)
    point = manager.create(only("tns1:Media/ProfileChanged"), 60)
    await manager.seek(point.id, 1000 * US, reverse=False)
    assert await all_of(manager, point.id) == []
    waiting = asyncio.create_task(manager.pull(point.id, 10, 100))
    await asyncio.sleep(0)
    fill(bus, clock.utc(), 6)
    found = names((await waiting).events)
    assert found + await all_of(manager, point.id) == [f"p{number}" for number in range(6)]


async def test_states_are_not_told_after_a_seek(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock
) -> None:
    bus.publish(topics.motion_alarm("vs-1", True, clock.utc()))
    point = manager.create(EventFilter(), 60)
    await manager.seek(point.id, clock.utc() + US, reverse=False)
    assert await all_of(manager, point.id) == []
    manager.synchronize(point.id)
    assert await all_of(manager, point.id) == []
    bus.publish(topics.motion_alarm("vs-1", False, clock.utc() + 1))
    (event,) = (await manager.pull(point.id, 0, 5)).events
    assert event.operation is Operation.CHANGED


async def test_filters_hold_for_the_past(manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock) -> None:
    fill(bus, 1000 * US, 3)
    bus.publish(topics.motion_alarm("vs-1", True, 1001 * US))
    point = manager.create(only("tns1:VideoSource//."), 60)
    await manager.seek(point.id, 0, reverse=False)
    assert await all_of(manager, point.id) == ["vs-1"]


async def test_a_waiting_pull_is_answered_from_the_past(
    manager: SubscriptionManager, bus: EventBus, clock: SimulatedClock
) -> None:
    fill(bus, 1000 * US, 2)
    point = manager.create(only("tns1:Media//."), 60)
    pull = asyncio.create_task(manager.pull(point.id, 20, 10))
    await asyncio.sleep(0)
    await manager.seek(point.id, 1001 * US, reverse=False)
    assert names((await pull).events) == ["p1"]


async def test_events_of_one_time_keep_their_order_and_none_is_skipped_at_a_page(
    manager: SubscriptionManager, bus: EventBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HISTORY_PAGE", 2)
    for number in range(7):
        bus.publish(topics.profile_changed(f"p{number}", 1000 * US))
    point = manager.create(EventFilter(), 60)
    await manager.seek(point.id, 1000 * US + 1, reverse=True)
    assert await all_of(manager, point.id, 3) == [*(f"p{number}" for number in range(6, -1, -1)), "BEGIN"]
    await manager.seek(point.id, 1000 * US, reverse=False)
    assert await all_of(manager, point.id, 3) == ["BEGIN", *(f"p{number}" for number in range(7))]


async def test_without_a_store_there_is_no_seek(clock: SimulatedClock) -> None:
    bus = EventBus(clock)
    manager = SubscriptionManager(bus, clock)
    point = manager.create(EventFilter(), 60)
    with pytest.raises(NotSupported):
        await manager.seek(point.id, 0, reverse=False)
    with pytest.raises(NotificationFault):
        await manager.seek("nobody", 0, reverse=False)
    await manager.close()


async def test_a_store_that_has_ended_says_so(bus: EventBus, manager: SubscriptionManager) -> None:
    point = manager.create(EventFilter(), 60)
    await bus.close()
    with pytest.raises(Unavailable):
        await manager.seek(point.id, 0, reverse=False)
