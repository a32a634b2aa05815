"""Paging through the history of events, forward and backward, with virtual events (Search 5.9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.events import topics
from onvifd.events.types import Event, Operation
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.topic_expression import CONCRETE, parse_topic_expression
from onvifd.onvif.search import events as search
from onvifd.onvif.search.events import EventSearch, FoundEvent

MOTION = topics.MOTION_ALARM.name
NAMES = tuple(topic.name for topic in topics.RECORDER_TOPICS)


class History:
    """Answers as the catalogue does; the only methods that the search calls."""

    def __init__(self, events: list[Event]) -> None:
        self.stored = sorted(events, key=lambda event: event.utc)
        self.asked = 0

    async def events(
        self,
        *,
        start: int,
        end: int | None,
        recordings: frozenset[str],
        backward: bool,
        limit: int,
        topics: Callable[[str], bool] | None = None,
    ) -> tuple[tuple[str, Event], ...]:
        assert end is not None
        assert start <= end
        self.asked += 1
        chosen = [event for event in self.stored if start <= event.utc <= end and event.recording in recordings]
        chosen = [event for event in chosen if topics is None or topics(event.topic)]
        if backward:
            chosen.reverse()
        return tuple((event.recording, event) for event in chosen[:limit])

    async def states_at(self, at: int, recordings: frozenset[str]) -> tuple[tuple[str, Event], ...]:
        last = {event.instance: event for event in self.stored if event.utc <= at and event.recording in recordings}
        return tuple(
            (event.recording, replace(event, utc=at, operation=Operation.INITIALIZED)) for event in last.values()
        )

    async def recording_data(self, tokens: object = None) -> tuple[()]:
        return ()

    async def media_attributes(self, tokens: tuple[str, ...], at: int) -> tuple[()]:
        return ()

    async def scan_metadata(self, recording: str, start: int, end: int, take: Any, *, backward: bool) -> Any:
        raise NotImplementedError


class Collector:
    """A sink that takes `most` results."""

    def __init__(self, most: int = 10**9) -> None:
        self.found: list[FoundEvent] = []
        self.reached: list[int | None] = []
        self._most = most

    def reach(self, utc: int) -> None:
        raise NotImplementedError

    async def put(self, result: FoundEvent, reached: int | None = None) -> bool:
        self.found.append(result)
        self.reached.append(reached)
        return len(self.found) < self._most


def motion(utc: int, state: bool = True, number: int = 0) -> Event:
    return topics.motion_alarm(f"vs-{number}", state, utc, f"rec-{number}")


async def find(
    history: History,
    start: int,
    end: int,
    *,
    states: bool = False,
    filter_: EventFilter | None = None,
    most: int = 10**9,
) -> list[FoundEvent]:
    sink = Collector(most)
    await EventSearch(
        backend=history,
        start=start,
        end=end,
        recordings=frozenset({"rec-0", "rec-1"}),
        filter=filter_ or EventFilter(),
        start_state=states,
    ).run(sink)
    return sink.found


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAGE", 3)


@pytest.mark.usefixtures("small_pages")
@given(st.lists(st.integers(0, 12), max_size=40), st.integers(-2, 14), st.integers(-2, 14))
@settings(deadline=None)
async def test_every_event_between_the_points_is_found_once_in_order(times: list[int], start: int, end: int) -> None:
    history = History([motion(utc, number=index % 2) for index, utc in enumerate(times)])
    found = [(each.event, each.virtual) for each in await find(history, start, end)]
    low, high = min(start, end), max(start, end)
    wanted = [event for event in history.stored if low <= event.utc <= high]
    if end < start:
        wanted.reverse()
    assert found == [(event, False) for event in wanted]


async def test_forward_begins_with_the_state_at_the_start_point() -> None:
    history = History([motion(1, True), motion(5, False), motion(9, True)])
    found = await find(history, 3, 7, states=True)
    assert [(each.event.utc, dict(each.event.data)["State"], each.virtual) for each in found] == [
        (3, "true", True),
        (5, "false", False),
    ]
    assert found[0].event.operation is Operation.INITIALIZED


async def test_backward_has_states_at_both_points_and_descends_without_inverting_values() -> None:
    history = History([motion(1, True), motion(5, False), motion(9, True)])
    found = await find(history, 7, 3, states=True)
    assert [(each.event.utc, dict(each.event.data)["State"], each.virtual) for each in found] == [
        (7, "false", True),
        (5, "false", False),
        (3, "true", True),
    ]


async def test_the_filter_selects_virtual_events_too() -> None:
    history = History([motion(1), topics.track_state("rec-0", "VIDEO001", True, 2)])
    only = EventFilter(
        (parse_topic_expression(f"t:{MOTION}", CONCRETE, {"t": "http://www.onvif.org/ver10/topics"}, NAMES),)
    )
    found = await find(history, 0, 5, filter_=only)
    assert [each.event.topic for each in found] == [MOTION]
    found = await find(history, 5, 9, states=True, filter_=only)
    assert [each.event.topic for each in found] == [MOTION]


async def test_the_search_stops_when_the_sink_has_enough() -> None:
    history = History([motion(utc) for utc in range(5000)])
    assert len(await find(history, 0, 5000, most=7)) == 7
    assert history.asked == 1
    assert len(await find(history, 100, 0, states=True, most=1)) == 1
    assert history.asked == 1


async def test_more_events_of_one_instant_than_a_page_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAGE", 4)
    events = [motion(5, number=index % 2) for index in range(50)] + [motion(6), motion(7)]
    assert len(await find(History(events), 0, 10)) == 52
    assert len(await find(History(events), 10, 0)) == 52


@pytest.mark.parametrize(("start", "end", "last"), [(0, 10, 7), (10, 0, 3)])
async def test_too_many_events_of_one_instant_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, start: int, end: int, last: int
) -> None:
    monkeypatch.setattr(search, "PAGE", 4)
    monkeypatch.setattr(search, "MAX_PAGE", 16)
    events = [motion(3), *(motion(5, number=index % 2) for index in range(50)), motion(7)]
    found = await find(History(events), start, end)
    assert found[-1].event.utc == last
    assert len(found) >= 16


async def test_no_recordings_no_events() -> None:
    sink = Collector()
    history = History([motion(1)])
    await EventSearch(
        backend=history, start=0, end=5, recordings=frozenset(), filter=EventFilter(), start_state=True
    ).run(sink)
    assert (sink.found, history.asked) == ([], 0)


async def test_the_point_reached_is_reported() -> None:
    sink = Collector()
    await EventSearch(
        backend=History([motion(2), motion(4)]),
        start=3,
        end=9,
        recordings=frozenset({"rec-0"}),
        filter=EventFilter(),
        start_state=True,
    ).run(sink)
    assert sink.reached == [3, 4]


@pytest.mark.parametrize(("start", "end"), [(0, 10), (10, 0)])
async def test_what_happened_outside_of_the_footage_is_left_out(start: int, end: int) -> None:
    """An event of a recording is one that is available in its tracks (Search 5.9)."""
    history = History([motion(utc, number=number) for utc in range(10) for number in (0, 1)])
    sink = Collector()
    await EventSearch(
        backend=history,
        start=start,
        end=end,
        recordings=frozenset({"rec-0", "rec-1"}),
        filter=EventFilter(),
        start_state=False,
        bounds={"rec-0": (2, 4), "rec-1": (7, None)},
    ).run(sink)
    found = [(each.event.recording, each.event.utc) for each in sink.found]
    wanted = [("rec-0", 2), ("rec-0", 3), ("rec-0", 4), ("rec-1", 7), ("rec-1", 8), ("rec-1", 9)]
    assert found == (wanted if end else wanted[::-1])


async def test_what_is_told_to_subscribers_at_the_start_is_no_change_of_the_history() -> None:
    """Presence of data alternates (Search 5.21), whenever the recorder was started anew."""
    said = [
        replace(topics.track_state("rec-0", "VIDEO001", state, utc), operation=operation)
        for utc, state, operation in (
            (1, False, Operation.INITIALIZED),
            (2, True, Operation.CHANGED),
            (5, False, Operation.CHANGED),
            (6, False, Operation.INITIALIZED),
            (7, True, Operation.INITIALIZED),
            (8, False, Operation.CHANGED),
        )
    ]
    found = await find(History([*said, replace(motion(9, False), operation=Operation.INITIALIZED)]), 0, 10)
    assert [(each.event.utc, dict(each.event.data).get("IsDataPresent")) for each in found] == [
        (2, "true"),
        (5, "false"),
        (7, "true"),
        (8, "false"),
        (9, None),
    ]
