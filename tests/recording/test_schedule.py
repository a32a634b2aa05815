"""Weeks: periods of days, holidays' row, copies, what is refused and with which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.recording.schedule import (
    DAY_MINUTES,
    DAYS,
    HOLIDAY_ROW,
    ONE_CLICK,
    NamedSchedule,
    Period,
    Week,
    all_week,
    check_name,
    check_row,
    clock,
    format_row,
    one_click,
    parse_days,
    parse_period,
    parse_time,
)
from onvifd.recording.types import SCHEDULED, RecordType

MOTION = frozenset((RecordType.MOTION,))

types = st.frozensets(st.sampled_from(SCHEDULED), min_size=1)
times = st.tuples(st.integers(0, DAY_MINUTES), st.integers(0, DAY_MINUTES)).filter(lambda t: t[0] != t[1]).map(sorted)
periods = st.builds(lambda t, kinds: Period(t[0], t[1], kinds), times, types)
rows = st.lists(periods, max_size=6).map(lambda found: tuple(sorted(found, key=lambda p: p.place)))
weeks = st.builds(Week, st.tuples(*[rows] * 7), st.none() | rows)


@given(weeks)
def test_a_week_survives_being_stored(week: Week) -> None:
    assert Week.from_json(week.to_json()) == week


@given(rows)
def test_what_is_shown_can_be_typed_in(row: tuple[Period, ...]) -> None:
    assert tuple(parse_period(text) for text in format_row(row).split()) == row


@pytest.mark.covers("REC-05")
def test_six_periods_a_day_and_no_seventh() -> None:
    row = [Period(60 * hour, 60 * hour + 30, MOTION) for hour in range(7)]
    assert len(check_row(row[:6])) == 6
    with pytest.raises(InvalidArgument, match="a day has at most 6 periods, not 7"):
        check_row(row)


@pytest.mark.covers("REC-01", "REC-05")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("18:00-08:00=motion", "the period 18:00-08:00 ends before it begins"),
        ("08:00-08:00=motion", "ends before it begins"),
        ("08:00-24:01=motion", "'24:01' is no time of a day"),
        ("08:61-09:00=motion", "'08:61' is no time of a day"),
        ("8-9=motion", "'8' is no time; write 08:00"),
        ("0800=motion", "is no period; write 08:00-18:00=motion,alarm"),
        ("24:00-24:00=motion", "a period begins between 00:00 and 23:59"),
        ("08:00-09:00", "the period 08:00-09:00 has no record type"),
        ("08:00-09:00=", "'' is no record type"),
        ("08:00-09:00=motion,fire", "'fire' is no record type"),
        ("08:00-09:00=manual", "what is recorded by hand needs no schedule"),
    ],
)
def test_periods_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse_period(text)


@pytest.mark.covers("REC-02")
def test_a_period_takes_several_types() -> None:
    assert parse_period("00:00-24:00=general,motion") == Period(
        0, DAY_MINUTES, frozenset((RecordType.GENERAL, RecordType.MOTION))
    )
    assert parse_time("24:00") == DAY_MINUTES
    assert clock(DAY_MINUTES) == "24:00"


@pytest.mark.covers("REC-07", "P124")
def test_a_row_is_copied_to_other_days() -> None:
    row = (Period(480, 1080, MOTION),)
    week = Week().with_row(0, row).copy_row(0, parse_days("wed-fri,holiday"))
    assert week.days == (row, (), row, row, row, (), ())
    assert week.holiday == row
    assert week.with_row(HOLIDAY_ROW, None).holiday is None
    with pytest.raises(InvalidArgument):
        week.with_row(0, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("mon", (0,)), ("fri-mon", (0, 4, 5, 6)), ("all", tuple(range(7))), ("holiday,tue", (1, 7)), ("Sat, Sun", (5, 6))],
)
def test_days(text: str, expected: tuple[int, ...]) -> None:
    assert parse_days(text) == expected


@pytest.mark.parametrize("text", ["", "monday", "mon-", "holiday-mon", "mon-x"])
def test_days_that_are_none(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is no day"):
        parse_days(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"days":[]}',
        '{"days":[[],[],[],[],[],[],[[0,1440,["x"]]]],"holiday":null}',
        '{"days":[[],[],[],[],[],[],[[1]]]}',
        '{"days":[[],[],[],[],[],[],[["a","b",[]]]]}',
        '{"days":5}',
    ],
)
def test_what_is_no_week(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Week.from_json(text)


def test_a_named_schedule_has_no_types() -> None:
    whole = Week(((Period(0, DAY_MINUTES),),) * 7)
    assert Week.from_json(whole.to_json(), typed=False) == whole
    assert NamedSchedule("24x7", whole).fixed
    with pytest.raises(InvalidArgument, match="a named schedule has no record types"):
        all_week(MOTION).checked(typed=False)


@pytest.mark.covers("P118", "P119")
@pytest.mark.parametrize("name", ONE_CLICK)
def test_one_click(name: str) -> None:
    words = {"always": "general", "motion": "motion", "sensor": "alarm", "analytics": "intelligent"}
    assert one_click(name).types() == {words[word] for word in name.split("+")}
    assert one_click(name).days == (one_click(name).days[0],) * len(DAYS)
    assert one_click(name).checked(typed=True)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="ready-made mode"):
        one_click("always")


@pytest.mark.parametrize("name", ["", " ", "x" * 33, "a\x07b"])
def test_names(name: str) -> None:
    assert check_name("  Night  shift ") == "Night shift"
    with pytest.raises(InvalidArgument):
        check_name(name)
