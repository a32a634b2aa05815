"""What is armed when, by the wall clock: exact over daylight saving, and the next change is the next change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.clock import US, from_datetime
from onvifd.host.timezone import parse
from onvifd.recording.calendar import HORIZON, Calendar
from onvifd.recording.holidays import Holiday
from onvifd.recording.localtime import LocalTime
from onvifd.recording.schedule import DAY_MINUTES, Period, Week, all_week
from onvifd.recording.types import SCHEDULED, RecordType

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
SYDNEY = "AEST-10AEDT,M10.1.0,M4.1.0/3"
ZONES = (BERLIN, SYDNEY, "UTC0", "EST5EDT,M3.2.0,M11.1.0", "<+0545>-5:45", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0")
MOTION = frozenset((RecordType.MOTION,))
GENERAL = frozenset((RecordType.GENERAL,))


def at(text: str) -> int:
    """UTC."""
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def night(start: int, end: int) -> Week:
    return Week(((Period(start, end, MOTION),),) * 7)


@pytest.mark.covers("REC-01", "P126")
def test_periods_go_by_the_wall() -> None:
    calendar = Calendar(LocalTime(parse(BERLIN)), night(8 * 60, 18 * 60))
    winter, summer = "2026-01-15", "2026-07-15"
    assert calendar.armed(at(f"{winter}T06:59:59.999999")) == frozenset()
    assert calendar.armed(at(f"{winter}T07:00")) == MOTION
    assert calendar.armed(at(f"{summer}T06:00")) == MOTION
    assert calendar.armed(at(f"{summer}T16:00")) == frozenset()
    assert calendar.next_change(at(f"{summer}T05:00")) == at(f"{summer}T06:00")
    without = Calendar(LocalTime(parse(BERLIN), daylight=False), night(8 * 60, 18 * 60))
    assert without.armed(at(f"{summer}T06:00")) == frozenset()


def test_an_hour_that_is_skipped_arms_nothing() -> None:
    # 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC
    calendar = Calendar(LocalTime(parse(BERLIN)), night(2 * 60 + 10, 2 * 60 + 50))
    assert calendar.next_change(at("2026-03-28T12:00")) == at("2026-03-30T00:10")
    half = Calendar(LocalTime(parse(BERLIN)), night(2 * 60 + 30, 3 * 60 + 30))
    assert half.next_change(at("2026-03-28T12:00")) == at("2026-03-29T01:00")
    assert half.next_change(at("2026-03-29T01:00")) == at("2026-03-29T01:30")


def test_an_hour_that_comes_twice_arms_twice() -> None:
    # 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC
    calendar = Calendar(LocalTime(parse(BERLIN)), night(2 * 60 + 10, 2 * 60 + 50))
    changes, now = [], at("2026-10-24T23:00")
    while now < at("2026-10-25T12:00"):
        following = calendar.next_change(now)
        assert following is not None
        changes.append(following)
        now = following
    assert changes[:4] == [at(f"2026-10-25T{time}") for time in ("00:10", "00:50", "01:10", "01:50")]


@pytest.mark.covers("REC-08", "SYS-08")
def test_holidays_have_a_row_of_their_own() -> None:
    local = LocalTime(parse(BERLIN))
    holidays = (Holiday(name="May", first=date(2026, 5, 1), last=date(2026, 5, 1)),)
    week = all_week(GENERAL)
    assert Calendar(local, week, {}, holidays).armed(at("2026-05-01T10:00")) == GENERAL
    own = week.with_row(7, (Period(0, DAY_MINUTES, MOTION),))
    calendar = Calendar(local, own, {}, holidays)
    assert calendar.next_change(at("2026-04-30T10:00")) == at("2026-04-30T22:00")
    assert calendar.armed(at("2026-05-01T10:00")) == MOTION
    assert calendar.next_change(at("2026-05-01T10:00")) == at("2026-05-01T22:00")
    nothing = week.with_row(7, ())
    assert Calendar(local, nothing, {}, holidays).armed(at("2026-05-01T10:00")) == frozenset()


@pytest.mark.covers("P122")
def test_a_named_schedule_takes_the_place_of_a_types_own_times() -> None:
    local = LocalTime(parse("UTC0"))
    week = all_week((RecordType.GENERAL, RecordType.MOTION))
    saturday, monday = at("2026-01-03T12:00"), at("2026-01-05T12:00")
    weekend = Week(((),) * 5 + ((Period(0, DAY_MINUTES),),) * 2)
    calendar = Calendar(local, week, {RecordType.MOTION: weekend, RecordType.ALARM: weekend})
    assert calendar.armed(saturday) == {RecordType.GENERAL, RecordType.MOTION, RecordType.ALARM}
    assert calendar.armed(monday) == GENERAL
    assert Calendar(local, week, {RecordType.GENERAL: None}).armed(monday) == MOTION


def test_what_never_changes_has_no_next_change() -> None:
    calendar = Calendar(LocalTime(parse(BERLIN)), all_week(GENERAL))
    assert calendar.next_change(at("2026-03-27T00:00")) is None


times = st.tuples(st.integers(0, DAY_MINUTES), st.integers(0, DAY_MINUTES)).filter(lambda t: t[0] != t[1]).map(sorted)
periods = st.builds(
    lambda t, kinds: Period(t[0], t[1], kinds), times, st.frozensets(st.sampled_from(SCHEDULED), min_size=1)
)
rows = st.lists(periods, max_size=6).map(tuple)
weeks = st.builds(Week, st.tuples(*[rows] * 7), st.none() | rows)
moments = st.integers(at("2025-12-01T00:00"), at("2027-02-01T00:00"))
# Close to what is difficult: shifts of the wall clock, and New Year.
difficult = st.builds(
    lambda text, off: at(text) + off,
    st.sampled_from(
        ["2026-03-29T00:00", "2026-10-24T20:00", "2026-04-04T14:00", "2026-10-03T15:00", "2026-12-31T20:00"]
    ),
    st.integers(-3600 * US, 8 * 3600 * US),
)
dates = st.dates(date(2026, 1, 1), date(2026, 12, 31))
holidays = st.builds(
    lambda first, days, yearly: Holiday(name="h", first=first, last=first + timedelta(days=days), yearly=yearly),
    dates,
    st.integers(0, 20),
    st.booleans(),
)
calendars = st.builds(
    lambda zone, daylight, week, free: Calendar(LocalTime(parse(zone), daylight), week, {}, tuple(free)),
    st.sampled_from(ZONES),
    st.booleans(),
    weeks,
    st.lists(holidays, max_size=3),
)


@settings(max_examples=150, deadline=None)
@given(calendars, moments | difficult, st.lists(st.floats(0, 1), max_size=8))
def test_nothing_changes_before_the_next_change(calendar: Calendar, utc: int, parts: list[float]) -> None:
    now, following = calendar.armed(utc), calendar.next_change(utc)
    end = utc + HORIZON if following is None else following
    assert end > utc
    if following is not None:
        assert calendar.armed(following) != now
        assert calendar.armed(following - 1) == now
    for part in parts:
        assert calendar.armed(min(end - 1, utc + int((end - utc) * part))) == now


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ZONES), moments | difficult)
def test_the_offset_changes_at_shifts_alone(zone: str, utc: int) -> None:
    local = LocalTime(parse(zone))
    shift = local.next_shift(utc)
    if shift is not None:
        assert shift > utc
        assert local.offset(shift - 1) == local.offset(utc)
    else:
        assert local.offset(utc + HORIZON * 50) == local.offset(utc)
