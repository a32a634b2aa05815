"""Test/Search 5.3: events of recordings."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import etree

from conformance.cases.event_common import ask_event
from conformance.cases.event_values import moment, stamp, topics_of
from conformance.cases.search_common import (
    DELTA,
    DOCUMENT,
    EVENTS,
    NOWHERE,
    SEARCH,
    Footage,
    check_order,
    configured_tracks,
    expires,
    footage,
    inside,
    kept_alive,
    refuse_token,
    results_request,
    scope,
    search,
)
from conformance.model import Examination, case
from conformance.names import find, findall, text

RECORDING_STATE = "RecordingHistory/Recording/State"
TRACK_STATE = "RecordingHistory/Track/State"
VIDEO_PARAMETERS = "RecordingHistory/Track/VideoParameters"
AUDIO_PARAMETERS = "RecordingHistory/Track/AudioParameters"
EMPTY = "<tse:SearchFilter/>"


@dataclass(frozen=True, slots=True)
class Found:
    """One result of FindEvents."""

    recording: str
    track: str
    time: datetime
    virtual: bool
    topic: str
    """Path without the prefix of its root."""
    operation: str
    source: tuple[tuple[str, str], ...]
    data: tuple[tuple[str, str], ...]
    content: str
    """tt:Message, for comparison (Search Test 6.6)."""

    def value(self, name: str) -> str:
        return dict((*self.source, *self.data)).get(name, "")


def read(x: Examination, result: Any) -> Found:
    event = find(result, "tt:Event")
    topic = text(event, "wsnt:Topic").rpartition(":")[2] if event is not None else ""
    message = find(event, "wsnt:Message/tt:Message")
    x.check(topic and message is not None, "a result of FindEvents has no topic or no tt:Message")
    time_ = text(result, "tt:Time")
    x.check(time_, f"a result of FindEvents with topic {topic} has no Time")

    def items(part: str) -> tuple[tuple[str, str], ...]:
        found = findall(message, f"tt:{part}/tt:SimpleItem")
        return tuple((each.get("Name", ""), each.get("Value", "")) for each in found)

    data = find(message, "tt:Data")
    return Found(
        text(result, "tt:RecordingToken"),
        text(result, "tt:TrackToken"),
        moment(time_),
        text(result, "tt:StartStateEvent") in ("true", "1"),
        topic,
        message.get("PropertyOperation", ""),
        items("Source"),
        items("Data"),
        "" if data is None else etree.tostring(data, method="c14n", with_tail=False).decode(),
    )


async def _search(
    x: Examination, place: Footage, start: datetime, end: datetime, *, states: bool, most: int | None = None
) -> list[Found]:
    where = scope(recording=place.token)
    found = await search(x, EVENTS, where, start=start, end=end, inside=EMPTY, states=states, most=most)
    events = [read(x, each) for each in found]
    check_order(x, [each.time for each in events if not each.virtual], end < start, EVENTS, strict=False)
    return events


def _same(x: Examination, one: list[Found], other: list[Found]) -> None:
    """The same set of results but for virtual events (Search Test 6.6)."""

    def key(event: Found) -> tuple[Any, ...]:
        return event.recording, event.track, event.time, event.topic, event.source, event.content

    first, second = (sorted((key(e) for e in events if not e.virtual), key=repr) for events in (one, other))
    if first != second:
        odd = next((each for each in first if each not in second), None) or next(
            (each for each in second if each not in first), None
        )
        x.fail(f"forward {len(first)} results were found, backward {len(second)}; in one of them only: {odd}")


async def _tokens(x: Examination, place: Footage, events: list[Found]) -> None:
    """Events of the recording history must name the recording and its tracks."""
    known = await configured_tracks(x, place.token) if x.has("Recording Control Service") else place.tracks
    for event in events:
        if event.topic.startswith("RecordingHistory/"):
            token = event.value("RecordingToken") or event.value("Recording")
            x.check(token == place.token, f"an event {event.topic} names the recording {token!r}, not {place.token}")
        if event.topic.startswith("RecordingHistory/Track/"):
            track = event.value("Track") or event.value("TrackToken")
            x.check(track in known, f"an event {event.topic} names the track {track!r}, which {place.token} has not")


def _alternates(x: Examination, events: list[Found], topic: str, name: str, *, begins: bool, least: int) -> None:
    """IsRecording and IsDataPresent must change from event to event, for each source."""
    sources: dict[tuple[tuple[str, str], ...], list[Found]] = {}
    for event in events:
        if event.topic == topic and not event.virtual:
            sources.setdefault(event.source, []).append(event)
    for source, own in sources.items():
        values = [each.value(name) for each in own]
        x.check(
            all(one != other for one, other in itertools.pairwise(values)),
            f"{name} of {topic} {dict(source)} does not alternate: {', '.join(values)}",
        )
        if begins:
            x.check(
                values[0] == "true" or own[0].operation != "Changed",
                f"the first event {topic} {dict(source)} has {name} {values[0]}",
            )
        x.check(len(own) >= least, f"{len(own)} events {topic} {dict(source)} were found, at least {least} are wanted")
    if least:
        x.check(sources, f"no event {topic} was found")


def _virtual(
    x: Examination, events: list[Found], place: Footage, at: datetime, known: dict[str, str], topics: set[str]
) -> None:
    """The state of the recording and of each track at one moment."""
    there = [event for event in events if event.virtual and event.time == at]

    def has(topic: str, **items: str) -> bool:
        return any(
            event.topic == topic
            and all(value in (event.value(n) for n in (name, f"{name}Token")) for name, value in items.items())
            for event in there
        )

    moment_ = stamp(at)
    x.check(has(RECORDING_STATE), f"there is no virtual event {RECORDING_STATE} at {moment_}")
    for track, kind in known.items():
        x.check(has(TRACK_STATE, Track=track), f"there is no virtual event {TRACK_STATE} of {track} at {moment_}")
        for wanted, topic in (("Video", VIDEO_PARAMETERS), ("Audio", AUDIO_PARAMETERS)):
            if kind == wanted and topic in topics and place.of_track(track) is not None:
                x.check(has(topic, Track=track), f"there is no virtual event {topic} of {track} at {moment_}")


@case("SEARCH-3-1-5", document=DOCUMENT, name="FIND EVENTS (MAXMATCHES = 1)", requires=(SEARCH,))
async def one_match(x: Examination) -> None:
    async with footage(x) as place:
        found = await _search(x, place, place.start, place.end, states=False, most=1)
        x.check(len(found) <= 1, f"{len(found)} events were found though MaxMatches was 1")


@case("SEARCH-3-1-10", document=DOCUMENT, name="GET EVENT SEARCH RESULTS WITH INVALID SEARCHTOKEN", requires=(SEARCH,))
async def invalid_token(x: Examination) -> None:
    await refuse_token(x, results_request(EVENTS, NOWHERE))


@case(
    "SEARCH-3-1-11",
    document=DOCUMENT,
    name="FIND EVENTS - FORWARD AND BACKWARD SEARCH (SEARCH ENDPOINTS INSIDE RECORDING ENDPOINTS)",
    requires=(SEARCH,),
)
async def inside_recording(x: Examination) -> None:
    async with footage(x) as place:
        answer = await ask_event(x, "GetEventProperties", "<tev:GetEventProperties/>")
        topics = {str(each).partition(":")[2] for each in topics_of(find(answer, "wstop:TopicSet"))}
        known = await configured_tracks(x, place.token) if x.has("Recording Control Service") else place.tracks
        known = {track: kind for track, kind in known.items() if place.of_track(track) is not None}
        delta = min(DELTA, (place.end - place.start) / 4)
        since, until = _whole(place.start + delta), _whole(place.end - delta)
        forward = await _search(x, place, since, until, states=True)
        backward = await _search(x, place, until, since, states=True)
        for events, moments in ((forward, (since,)), (backward, (until, since))):
            await _tokens(x, place, events)
            for each in moments:
                _virtual(x, events, place, each, known, topics)
            for event in events:
                x.check(
                    not event.virtual or event.time in moments,
                    f"a virtual event {event.topic} has the time {stamp(event.time)}, which is no end point",
                )
                x.check(
                    inside(event.time, since, until),
                    f"an event {event.topic} of {stamp(event.time)} is outside the search's end points",
                )
            ordered = events if events is forward else list(reversed(events))
            _alternates(x, ordered, TRACK_STATE, "IsDataPresent", begins=False, least=0)
            _alternates(x, ordered, RECORDING_STATE, "IsRecording", begins=False, least=0)
        _same(x, forward, backward)


def _whole(value: datetime) -> datetime:
    """With milliseconds, as requests state times: what comes back must equal what was asked for."""
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


async def _both_ways(x: Examination, place: Footage, since: datetime, until: datetime) -> list[Found]:
    forward = await _search(x, place, since, until, states=False)
    backward = await _search(x, place, until, since, states=False)
    for events in (forward, backward):
        await _tokens(x, place, events)
        for event in events:
            x.check(not event.virtual, f"a virtual event {event.topic} was found though IncludeStartState was false")
            x.check(
                inside(event.time, since, until),
                f"an event {event.topic} of {stamp(event.time)} is outside the search's end points",
            )
    _same(x, forward, backward)
    _alternates(x, forward, TRACK_STATE, "IsDataPresent", begins=True, least=2)
    _alternates(x, forward, RECORDING_STATE, "IsRecording", begins=True, least=2)
    return forward


@case(
    "SEARCH-3-1-13",
    document=DOCUMENT,
    name="FIND EVENTS - FORWARD AND BACKWARD SEARCH (SEARCH ENDPOINTS EQUAL TO RECORDING ENDPOINTS)",
    requires=(SEARCH,),
)
async def equal_to_recording(x: Examination) -> None:
    async with footage(x) as place:
        found = await _both_ways(x, place, place.start, place.end)
        reported = {event.value("Track") for event in found if event.topic == TRACK_STATE}
        missing = [track for track in place.tracks if track not in reported]
        x.check(not missing, f"there is no event {TRACK_STATE} of {', '.join(missing)}")


@case(
    "SEARCH-3-1-14",
    document=DOCUMENT,
    name="FIND EVENTS - FORWARD AND BACKWARD SEARCH (SEARCH ENDPOINTS OUTSIDE RECORDING ENDPOINTS)",
    requires=(SEARCH,),
)
async def outside_recording(x: Examination) -> None:
    async with footage(x) as place:
        for event in await _both_ways(x, place, place.start - DELTA, place.end + DELTA):
            x.check(
                inside(event.time, place.start, place.end),
                f"an event {event.topic} of {stamp(event.time)} is outside the recording ({stamp(place.start)} to {stamp(place.end)})",
            )
            if event.topic.startswith("RecordingHistory/Track/"):
                times = place.of_track(event.value("Track"))
                x.check(
                    times is not None and inside(event.time, *times),
                    f"an event {event.topic} of {stamp(event.time)} is outside the track {event.value('Track')}",
                )


@case("SEARCH-3-1-15", document=DOCUMENT, name="EVENTS SEARCH - KEEP ALIVE", requires=(SEARCH,))
async def keep_alive(x: Examination) -> None:
    async with footage(x) as place:
        where = scope(recording=place.token)
        await kept_alive(x, EVENTS, where, start=place.start, end=place.end, inside=EMPTY, states=False)


@case("SEARCH-3-1-16", document=DOCUMENT, name="EVENTS SEARCH EXPIRATION", requires=(SEARCH,))
async def expiration(x: Examination) -> None:
    async with footage(x) as place:
        where = scope(recording=place.token)
        await expires(x, EVENTS, where, start=place.start, end=place.end, inside=EMPTY, states=False)
