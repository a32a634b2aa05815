"""When snapshots are due."""

from __future__ import annotations

import pytest

from onvifd.clock import US
from onvifd.host.timezone import parse
from onvifd.recording.calendar import Calendar
from onvifd.recording.localtime import LocalTime
from onvifd.recording.schedule import Period, Week, all_week
from onvifd.recording.snapshots import SnapshotPlan
from onvifd.recording.triggers import FAR, Now
from onvifd.recording.types import RecordType
from onvifd.store.rows import SnapshotPolicyRow

R = RecordType
NOON = 1_767_268_800 * US


def now(seconds: float) -> Now:
    return Now(NOON + round(seconds * US), 500.0 + seconds)


class Made:
    """A plan for one camera, and the events that last."""

    def __init__(self, week: Week, **policy: object) -> None:
        self.active: frozenset[R] = frozenset()
        self.plan = SnapshotPlan(lambda camera: self.active)
        values: dict[str, object] = {"enabled": True, "interval": 60} | policy
        self.policies = {"a": SnapshotPolicyRow(camera="a", **values)}  # type: ignore[arg-type]
        self.calendars = {"a": Calendar(LocalTime(parse("UTC0")), week)}
        self.plan.configure(self.policies, self.calendars)


@pytest.mark.covers("REC-15", "ENC-14", "ENC-17")
def test_by_schedule_one_each_interval() -> None:
    hour = Week(((Period(12 * 60 + 10, 13 * 60, frozenset((R.GENERAL,))),),) * 7)
    made = Made(hour)
    assert made.plan.due(now(0)) == []
    assert made.plan.next_look(now(0)) == 600
    assert made.plan.due(now(600)) == [("a", R.GENERAL)]
    assert made.plan.due(now(601)) == []
    assert made.plan.next_look(now(601)) == 59
    made.plan.configure(made.policies, made.calendars)  # the interval goes on
    assert made.plan.due(now(659.9)) == []
    assert made.plan.due(now(660)) == [("a", R.GENERAL)]
    assert made.plan.due(now(1900)) == [("a", R.GENERAL)]  # what was missed is not made up for
    assert made.plan.due(now(1901)) == []
    assert made.plan.due(now(3600)) == []


@pytest.mark.covers("REC-15", "ENC-14", "P188")
def test_at_events_that_are_armed() -> None:
    made = Made(all_week((R.MOTION,)))
    assert made.plan.event("a", R.MOTION, now(0))
    assert not made.plan.event("a", R.ALARM, now(0))
    assert not made.plan.event("b", R.MOTION, now(0))
    assert made.plan.due(now(100)) == []
    assert made.plan.stream("a") == "main"


@pytest.mark.covers("ENC-17")
def test_again_while_an_event_lasts() -> None:
    made = Made(all_week((R.MOTION,)), event_interval=10)
    made.active = frozenset((R.MOTION,))
    assert made.plan.event("a", R.MOTION, now(0))
    assert made.plan.due(now(9)) == []
    assert made.plan.due(now(10)) == [("a", R.MOTION)]
    assert made.plan.due(now(20)) == [("a", R.MOTION)]
    made.active = frozenset()
    assert made.plan.due(now(30)) == []
    assert made.plan.next_look(now(30)) > 0


def test_none_where_it_is_switched_off() -> None:
    made = Made(all_week((R.GENERAL, R.MOTION)), enabled=False)
    assert made.plan.due(now(0)) == []
    assert not made.plan.event("a", R.MOTION, now(0))
    assert made.plan.next_look(now(0)) == FAR
