"""Days on which the row of holidays holds. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from onvifd.errors import InvalidArgument
from onvifd.recording.schedule import check_name

MAX_HOLIDAYS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """From `first` to `last`, both included. `yearly` repeats it on the same days of every year, and may reach over New Year;
    one on 29 February alone comes in leap years only."""

    name: str
    first: date
    last: date
    yearly: bool = False
    enabled: bool = True

    def covers(self, day: date) -> bool:
        """Whether it falls on a day; disabled ones do on none."""
        if not self.enabled:
            return False
        if not self.yearly:
            return self.first <= day <= self.last
        first, last, today = ((each.month, each.day) for each in (self.first, self.last, day))
        return first <= today <= last if first <= last else today >= first or today <= last


def is_holiday(holidays: Iterable[Holiday], day: date) -> bool:
    return any(holiday.covers(day) for holiday in holidays)


def check_holiday(holiday: Holiday) -> Holiday:
    """The holiday with its name cleaned. Raises InvalidArgument."""
    name = check_name(holiday.name)
    if holiday.last < holiday.first:
        raise InvalidArgument(f"the holiday {name} ends on {holiday.last}, before it begins on {holiday.first}")
    if holiday.yearly and (holiday.last - holiday.first).days >= 365:
        raise InvalidArgument(f"the holiday {name} is longer than the year in which it repeats")
    return replace(holiday, name=name)


def parse_date(text: str) -> date:
    """`2026-12-24`. Raises InvalidArgument."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise InvalidArgument(f"{text[:20]!r} is no date; write 2026-12-24") from None
