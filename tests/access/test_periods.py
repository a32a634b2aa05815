"""Times of the week."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from onvifd.access.periods import ALWAYS, WeekPlan
from onvifd.errors import InvalidArgument

MONDAY = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


@pytest.mark.covers("ACC-07")
@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", ""),
        ("mon 08:00-18:00", "mon 08:00-18:00"),
        (" MON-tue  08:00-12:00, 13:00-18:00 ;", "mon 08:00-12:00,13:00-18:00; tue 08:00-12:00,13:00-18:00"),
        ("sat,sun 00:00-24:00", "sat 00:00-24:00; sun 00:00-24:00"),
        ("sun-mon 10:00-11:00", "mon 10:00-11:00; sun 10:00-11:00"),
    ],
)
def test_is_read_and_written(text: str, written: str) -> None:
    plan = WeekPlan.parse(text)
    assert plan.format() == written
    assert WeekPlan.parse(written) == plan


@pytest.mark.parametrize(
    "text", ["mon", "someday 08:00-09:00", "mon 8:00-9:00", "mon 09:00-08:00", "mon 08:60-09:00", "mon 08:00-24:01"]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        WeekPlan.parse(text)


def test_number_of_periods_is_bounded() -> None:
    many = ",".join(f"{h:02}:00-{h:02}:30" for h in range(8))
    with pytest.raises(InvalidArgument):
        WeekPlan.parse(f"mon-sun {many}")


@pytest.mark.covers("ACC-07")
def test_decides_by_day_and_minute() -> None:
    plan = WeekPlan.parse("mon 08:00-18:00")
    assert plan.allows(MONDAY)
    assert plan.allows(MONDAY.replace(hour=17, minute=59))
    assert not plan.allows(MONDAY.replace(hour=18))
    assert not plan.allows(MONDAY.replace(hour=7, minute=59))
    assert not plan.allows(MONDAY.replace(day=6))
    assert ALWAYS.allows(MONDAY.replace(day=6))
