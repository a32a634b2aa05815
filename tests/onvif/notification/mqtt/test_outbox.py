"""What waits for a broker: order, bound, and what is made good afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onvifd.events import topics
from onvifd.events.types import Event, Operation
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.mqtt import outbox as module
from onvifd.onvif.notification.mqtt.outbox import Outbox


def make() -> Outbox:
    return Outbox("d", EventFilter(), {topic.name: topic for topic in topics.RECORDER_TOPICS})


def motion(source: str, state: bool = True, utc: int = 1) -> Event:
    return topics.motion_alarm(source, state, utc)


def drain(outbox: Outbox) -> list[tuple[str, bool]]:
    """Last part of the topics and whether there was a payload."""
    found = []
    while (message := outbox.next()) is not None:
        found.append((message.topic.rpartition("&")[2], bool(message.payload)))
        outbox.sent(message)
    return found


def test_a_message_stays_until_it_is_sent() -> None:
    outbox = make()
    outbox.offer(motion("a"))
    outbox.offer(motion("b"))
    assert outbox.next() is outbox.next()
    assert drain(outbox) == [("a", True), ("b", True)]


def test_readiness_is_told() -> None:
    outbox, told = make(), []
    outbox.on_ready = lambda: told.append(len(outbox))
    outbox.offer(motion("a"))
    assert told == [1]


def test_at_the_bound_the_oldest_goes_and_states_are_published_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_LIMIT", 2)
    outbox = make()
    for source in "abc":
        outbox.offer(motion(source))
    assert outbox.lost
    assert drain(outbox) == [("b", True), ("c", True)]
    outbox.resynchronize([motion("a"), motion("c")])
    assert not outbox.lost
    # what the broker still retains of `b`, which is no more, is cleared first
    assert drain(outbox) == [("b", False), ("a", True), ("c", True)]


def test_a_deletion_clears_what_is_retained_once() -> None:
    outbox = make()
    outbox.offer(motion("a"))
    outbox.offer(replace(motion("a"), operation=Operation.DELETED, data=()))
    assert drain(outbox) == [("a", True), ("a", False)]
    outbox.resynchronize([])
    assert drain(outbox) == []


def test_a_message_that_was_overtaken_by_the_bound_is_not_removed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_LIMIT", 1)
    outbox = make()
    outbox.offer(motion("a"))
    sending = outbox.next()
    assert sending is not None
    outbox.offer(motion("b"))
    outbox.sent(sending)
    assert drain(outbox) == [("b", True)]
