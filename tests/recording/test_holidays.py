"""Holidays: once or every year, over New Year, in leap years."""

from __future__ import annotations

from datetime import date

import pytest

from onvifd.errors import InvalidArgument
from onvifd.recording.holidays import Holiday, check_holiday, is_holiday, parse_date


def holiday(first: str, last: str, **more: bool) -> Holiday:
    return Holiday(name="x", first=date.fromisoformat(first), last=date.fromisoformat(last), **more)


@pytest.mark.covers("SYS-08", "REC-08")
@pytest.mark.parametrize(
    ("given", "day", "covered"),
    [
        (holiday("2026-05-01", "2026-05-01"), "2026-05-01", True),
        (holiday("2026-05-01", "2026-05-01"), "2027-05-01", False),
        (holiday("2026-05-01", "2026-05-01", yearly=True), "2027-05-01", True),
        (holiday("2026-05-01", "2026-05-03"), "2026-05-03", True),
        (holiday("2026-05-01", "2026-05-03"), "2026-05-04", False),
        (holiday("2026-12-24", "2027-01-02"), "2027-01-01", True),
        (holiday("2026-12-24", "2027-01-02", yearly=True), "2030-12-31", True),
        (holiday("2026-12-24", "2027-01-02", yearly=True), "2031-01-02", True),
        (holiday("2026-12-24", "2027-01-02", yearly=True), "2031-01-03", False),
        (holiday("2024-02-29", "2024-02-29", yearly=True), "2025-03-01", False),
        (holiday("2024-02-29", "2024-02-29", yearly=True), "2028-02-29", True),
        (holiday("2026-05-01", "2026-05-01", enabled=False), "2026-05-01", False),
    ],
)
def test_days_that_are_covered(given: Holiday, day: str, covered: bool) -> None:
    assert given.covers(date.fromisoformat(day)) is covered
    assert is_holiday([given], date.fromisoformat(day)) is covered


def test_what_is_refused() -> None:
    assert check_holiday(Holiday(name=" a  b ", first=date(2026, 1, 1), last=date(2026, 1, 1))).name == "a b"
    with pytest.raises(InvalidArgument, match="before it begins"):
        check_holiday(holiday("2026-05-02", "2026-05-01"))
    with pytest.raises(InvalidArgument, match="longer than the year"):
        check_holiday(holiday("2026-01-01", "2027-01-01", yearly=True))
    for text in ("24.12.2026", "2026-02-30", ""):
        with pytest.raises(InvalidArgument, match="is no date"):
            parse_date(text)
