"""Events in the catalogue, on both databases."""

from __future__ import annotations

import pytest

from onvifd.events.catalogue_store import CatalogueEventStore
from onvifd.events.store import EventStore
from onvifd.events.types import Event, Operation
from onvifd.store.catalogue import Catalogue


@pytest.fixture
def store(catalogue: Catalogue) -> EventStore:
    return CatalogueEventStore(catalogue)


def motion(utc: int, state: bool, *, source: str = "vs-1", recording: str = "rec-1", **about: object) -> Event:
    return Event(
        topic="VideoSource/MotionAlarm",
        utc=utc,
        source=(("Source", source),),
        data=(("State", "true" if state else "false"),),
        operation=Operation.CHANGED,
        recording=recording,
        **about,  # type: ignore[arg-type]
    )


def test_an_event_comes_back_whole(store: EventStore) -> None:
    event = Event(
        topic="RecordingConfig/JobState",
        utc=1_767_225_600_000_001,
        source=(("RecordingJobToken", "jöb"),),
        key=(("Key", "1"), ("Key", "2")),
        data=(("State", "Active"), ("Quote", "\"'<&\\")),
        elements=(("Information", "<tt:x xmlns:tt='urn:t'>ü</tt:x>"),),
        operation=Operation.INITIALIZED,
        recording="rec-1",
    )
    plain = Event(topic="Device/Restart", utc=5)
    store.insert_events([event, plain])
    assert store.events_between(start=0, end=None, recordings=None, backward=False, limit=10) == (plain, event)


def test_nothing_to_insert_is_nothing(store: EventStore) -> None:
    store.insert_events([])
    assert store.events_between(start=0, end=None, recordings=None, backward=False, limit=10) == ()


def test_order_bounds_and_choice(store: EventStore) -> None:
    events = [
        motion(10, True),
        motion(20, True, recording="rec-2"),
        motion(20, False),
        Event(topic="Other", utc=30),
        motion(40, True),
    ]
    store.insert_events(events[3:])
    store.insert_events(events[:3])

    def ask(
        start: int = 0,
        end: int | None = None,
        recordings: frozenset[str] | None = None,
        backward: bool = False,
        limit: int = 100,
        topics: frozenset[str] | None = None,
    ) -> list[int]:
        found = store.events_between(
            start=start, end=end, recordings=recordings, backward=backward, limit=limit, topics=topics
        )
        return [events.index(event) for event in found]

    assert ask() == [0, 1, 2, 3, 4]
    assert ask(backward=True) == [4, 3, 2, 1, 0]
    assert ask(20, 30) == [1, 2, 3]
    assert ask(limit=2) == [0, 1]
    assert ask(backward=True, limit=2) == [4, 3]
    assert ask(recordings=frozenset({"rec-1"})) == [0, 2, 4]
    assert ask(recordings=frozenset({""})) == [3]
    assert ask(recordings=frozenset()) == []
    assert ask(topics=frozenset({"Other"})) == [3]
    assert ask(topics=frozenset()) == []


def test_the_state_at_a_moment_is_the_last_event_of_each_property(store: EventStore) -> None:
    a, b = motion(10, True), motion(10, True, source="vs-2", recording="rec-2")
    later, keyed = motion(20, False), motion(15, True, key=(("Rule", "r"),))
    gone = Event(
        topic="VideoSource/MotionAlarm",
        utc=30,
        source=(("Source", "vs-2"),),
        operation=Operation.DELETED,
        recording="rec-2",
    )
    store.insert_events([a, b, Event(topic="Plain", utc=12), keyed, later, gone])
    assert store.states_at(9, None) == ()
    assert store.states_at(10, None) == (a, b)
    assert store.states_at(20, None) == (b, keyed, later)
    assert store.states_at(30, None) == (keyed, later)
    assert store.states_at(30, frozenset({"rec-2"})) == ()
    assert store.states_at(20, frozenset({"rec-2"})) == (b,)


def test_of_two_events_at_one_time_the_later_inserted_counts(store: EventStore) -> None:
    store.insert_events([motion(10, True), motion(10, False)])
    assert store.states_at(10, None) == (motion(10, False),)


def test_forgetting_keeps_the_state_of_properties(store: EventStore, catalogue: Catalogue) -> None:
    old, state, new = motion(10, True), motion(20, False), motion(100, True)
    lonely = motion(15, True, source="vs-2")
    store.insert_events([old, state, new, lonely, Event(topic="Plain", utc=12)])
    assert catalogue.events.forget_before(50) == 2
    kept = store.events_between(start=0, end=None, recordings=None, backward=False, limit=10)
    assert kept == (lonely, state, new)
    assert store.states_at(50, None) == (lonely, state)
    assert catalogue.events.forget_before(50) == 0


def test_forgetting_goes_in_steps(store: EventStore, catalogue: Catalogue) -> None:
    store.insert_events([Event(topic="Plain", utc=utc) for utc in range(2500)])
    assert catalogue.events.forget_before(2400) == 2400
    assert len(store.events_between(start=0, end=None, recordings=None, backward=False, limit=5000)) == 100
