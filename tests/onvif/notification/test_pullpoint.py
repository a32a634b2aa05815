"""The core of a pull point: queue, properties, lifetime, with `now` as argument (Core 9.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onvifd.clock import US
from onvifd.events import topics
from onvifd.events.types import Event, Operation
from onvifd.onvif.notification import pullpoint, subscription
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.pullpoint import PullPoint
from onvifd.onvif.notification.subscription import Moment
from onvifd.onvif.notification.termination import lifetime_of

BASE = 1_767_225_600 * US


def at(seconds: float) -> Moment:
    return Moment(BASE + round(seconds * US), seconds)


def make(lifetime: float = 60, *, changed_only: bool = False) -> PullPoint:
    return PullPoint("id", EventFilter(), now=at(0), lifetime=lifetime, changed_only=changed_only)


def event(number: int) -> Event:
    return topics.profile_changed("p", number)


def state(source: str, operation: Operation, value: bool = True) -> Event:
    return replace(topics.motion_alarm(source, value, 1), operation=operation)


def test_waiting_messages_are_given_at_once_up_to_the_limit_and_the_rest_kept() -> None:
    point = make()
    for number in range(5):
        point.offer(event(number))
    point.begin(at(1), 20, 2)
    assert [each.utc for each in point.collect(at(1)) or ()] == [0, 1]
    point.finish(at(1))
    point.begin(at(2), 20, 10)
    assert [each.utc for each in point.collect(at(2)) or ()] == [2, 3, 4]


def test_nothing_is_answered_before_the_timeout_and_zero_messages_at_it() -> None:
    point = make()
    point.begin(at(0), 20, 10)
    assert point.collect(at(0)) is None
    assert point.collect(at(19.999)) is None
    assert point.collect(at(20)) == ()


def test_the_first_message_ends_the_wait() -> None:
    point = make()
    woken: list[bool] = []
    point.on_ready = lambda: woken.append(True)
    point.begin(at(0), 20, 10)
    assert point.collect(at(5)) is None
    point.offer(event(1))
    assert woken == [True]
    assert point.collect(at(5)) == (event(1),)


@pytest.mark.parametrize(("asked", "given"), [(0, 1), (-3, 1), (1, 1), (10**9, pullpoint.MAX_MESSAGES)])
def test_message_limit_is_adapted_not_refused(asked: int, given: int) -> None:
    point = make()
    for number in range(pullpoint.MAX_MESSAGES + 5):
        point.offer(event(number))
    point.begin(at(0), 1, asked)
    assert len(point.collect(at(0)) or ()) == given


def test_a_longer_timeout_than_the_limit_is_refused_with_the_limits() -> None:
    point = make()
    point.begin(at(0), pullpoint.MAX_PULL_TIMEOUT, 1)
    point.finish(at(0))
    with pytest.raises(NotificationFault) as caught:
        point.begin(at(0), pullpoint.MAX_PULL_TIMEOUT + 1, 1)
    assert caught.value.kind is FaultKind.PULL_LIMITS
    assert caught.value.limits == (600, pullpoint.MAX_MESSAGES)


def test_a_second_request_cannot_wait_beside_the_first() -> None:
    point = make()
    point.begin(at(0), 20, 1)
    with pytest.raises(NotificationFault) as caught:
        point.begin(at(1), 20, 1)
    assert caught.value.kind is FaultKind.UNABLE_TO_GET_MESSAGES
    point.finish(at(2))
    point.begin(at(3), 20, 1)


def test_the_answer_leaves_the_subscription_alive_for_the_timeout_of_the_request() -> None:
    point = make(lifetime=10)
    point.begin(at(5), 80, 1)
    point.offer(event(1))
    point.collect(at(6))
    point.finish(at(6))
    assert point.termination(at(6)) == BASE + 86 * US
    assert not point.expired(at(85))
    assert point.expired(at(86))


def test_pulling_alone_keeps_it_alive_with_short_timeouts() -> None:
    point = make(lifetime=60)
    for second in range(0, 600, 5):
        assert not point.expired(at(second))
        point.begin(at(second), 1, 1)
        point.finish(at(second + 1))
    assert point.expired(at(596 + 60))


def test_it_cannot_expire_while_a_request_waits() -> None:
    point = make(lifetime=10)
    point.begin(at(9), 300, 1)
    assert not point.expired(at(200))


def test_it_ends_when_it_is_not_pulled() -> None:
    point = make(lifetime=20)
    assert not point.expired(at(19.9))
    assert point.expired(at(20))


def test_renew_sets_the_end_also_earlier() -> None:
    point = make(lifetime=600)
    point.renew(at(10), 5)
    assert point.termination(at(10)) == BASE + 15 * US
    assert point.expired(at(15))


def test_the_end_does_not_move_when_the_wall_clock_steps() -> None:
    point = make(lifetime=20)
    stepped = Moment(BASE + 3600 * US, 10)
    assert not point.expired(stepped)
    assert point.termination(stepped) == stepped.utc + 10 * US


def test_unsubscribing_wakes_and_fails_the_waiting_request() -> None:
    point = make()
    woken: list[bool] = []
    point.begin(at(0), 20, 1)
    point.on_ready = lambda: woken.append(True)
    point.close()
    assert woken == [True]
    with pytest.raises(NotificationFault) as caught:
        point.collect(at(1))
    assert caught.value.kind is FaultKind.RESOURCE_UNKNOWN
    assert point.expired(at(1))


@pytest.mark.covers(
    *("G-SetSynchronizationPoint", "M-SetSynchronizationPoint", "S-SetSynchronizationPoint"),
    *("T-SetSynchronizationPoint",),
)
def test_synchronization_queues_the_state_of_selected_properties() -> None:
    point = make()
    point.offer(event(1))
    point.synchronize([state("vs-1", Operation.INITIALIZED), state("vs-2", Operation.INITIALIZED)])
    assert len(point) == 3


def test_repeated_synchronization_does_not_grow_the_queue() -> None:
    point = make()
    point.offer(event(1))
    for value in (True, False, True):
        point.synchronize([state("vs-1", Operation.INITIALIZED, value)])
    point.begin(at(0), 1, 10)
    assert point.collect(at(0)) == (event(1), state("vs-1", Operation.INITIALIZED))


def test_changed_only_gives_neither_initialized_nor_deleted() -> None:
    point = make(changed_only=True)
    point.synchronize([state("vs-1", Operation.INITIALIZED)])
    for operation in Operation:
        point.offer(state("vs-1", operation))
    point.offer(event(1))
    point.begin(at(0), 1, 10)
    assert point.collect(at(0)) == (state("vs-1", Operation.CHANGED), event(1))


def test_the_queue_is_bounded_and_drops_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscription, "QUEUE_LIMIT", 3)
    point = make()
    assert [point.offer(event(number)) for number in range(5)] == [False, False, False, True, True]
    assert point.lost
    point.begin(at(0), 1, 10)
    assert [each.utc for each in point.collect(at(0)) or ()] == [2, 3, 4]


# ---- termination times


KIND = FaultKind.UNACCEPTABLE_INITIAL_TIME


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 60),
        ("", 60),
        ("PT10S", 10),
        (" PT10M ", 600),
        ("P1D", 86_400),
        ("PT0S", 1),
        ("PT0.2S", 1),
        ("2026-01-01T00:00:30Z", 30),
        ("2026-01-01T01:00:30+01:00", 30),
        ("2026-01-02T00:00:00Z", 86_400),
    ],
)
def test_relative_and_absolute_times(text: str | None, seconds: float) -> None:
    assert lifetime_of(text, at(0), KIND) == seconds


@pytest.mark.parametrize(
    "text",
    ["-PT1S", "2025-12-31T23:59:59Z", "P1DT1S", "PT1000H", "2027-01-01T00:00:00Z", "60", "soon", "P", "P99999999999Y"],
)
def test_other_times_are_unacceptable_with_the_range_that_is(text: str) -> None:
    with pytest.raises(NotificationFault) as caught:
        lifetime_of(text, at(0), KIND)
    assert caught.value.kind is KIND
    assert caught.value.times == (BASE + US, BASE + 86_400 * US)
