"""From the bus to the catalogue on disk and back through the event search."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from onvifd.clock import US, SimulatedClock
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.events.catalogue_store import CatalogueEventStore
from onvifd.events.store import EventStore
from onvifd.events.types import Event, Operation
from onvifd.store.catalogue import Catalogue


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.db'}", migrate=True)
    yield CatalogueEventStore(catalogue)
    catalogue.close()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
async def bus(store: EventStore, clock: SimulatedClock) -> AsyncIterator[EventBus]:
    made = EventBus(clock, store)
    await made.start()
    yield made
    await made.close()


def between(store: EventStore, start: int, end: int | None, *, backward: bool = False) -> list[Event]:
    return list(
        store.events_between(start=start, end=end, recordings=frozenset({"rec-1"}), backward=backward, limit=100)
    )


async def test_what_was_published_is_found_as_it_was(bus: EventBus, store: EventStore, clock: SimulatedClock) -> None:
    now = clock.utc()
    published = [
        bus.publish(topics.motion_alarm("vs-1", state, now + step * US, "rec-1"))
        for step, state in enumerate([False, False, True, False])
    ]
    bus.publish(topics.motion_alarm("vs-2", True, now, "rec-2"))
    await bus.close()
    kept = [event for event in published if event is not None]
    assert [event.operation for event in kept] == [Operation.INITIALIZED, Operation.CHANGED, Operation.CHANGED]
    assert between(store, now, None) == kept
    assert between(store, now, now + 3 * US, backward=True) == kept[::-1]
    (state,) = store.states_at(now + 2 * US, frozenset({"rec-1"}))
    assert state == kept[1]


async def test_history_found_later_takes_its_place_in_time(
    bus: EventBus, store: EventStore, clock: SimulatedClock
) -> None:
    now = clock.utc()
    began = bus.publish(topics.track_state("rec-1", "VIDEO001", True, now))
    ended = topics.track_state("rec-1", "VIDEO001", False, now - 5 * US)
    bus.record(ended)
    await bus.close()
    assert between(store, now - 10 * US, None) == [ended, began]
    (state,) = store.states_at(now, frozenset({"rec-1"}))
    assert dict(state.data)["IsDataPresent"] == "true"


async def test_a_deleted_property_has_no_state(bus: EventBus, store: EventStore, clock: SimulatedClock) -> None:
    now = clock.utc()
    event = topics.motion_alarm("vs-1", True, now, "rec-1")
    bus.publish(event)
    bus.publish(replace(event, operation=Operation.DELETED, utc=now + US))
    await bus.close()
    assert len(store.states_at(now, None)) == 1
    assert store.states_at(now + US, None) == ()
