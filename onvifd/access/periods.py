"""Times of the week in which an account may sign in, in the recorder's local time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from onvifd.clock import US
from onvifd.errors import InvalidArgument

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
MAX_PERIODS = 42
"""Periods of one account: six a day."""

_TIMES = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})")


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From minute `start` to before minute `end` of a day; Monday is 0."""

    day: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class WeekPlan:
    """Periods of a week. None at all means always."""

    periods: tuple[Period, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """`mon-fri 08:00-12:00,13:00-18:00; sat 09:00-24:00`; empty for always. Raises InvalidArgument.

        What lasts past midnight is written as two entries.
        """
        found: set[Period] = set()
        for entry in filter(None, (part.strip().lower() for part in text[:2000].split(";"))):
            days, _, times = entry.partition(" ")
            for start, end in _times(times):
                found.update(Period(day, start, end) for day in _days(days))
        if len(found) > MAX_PERIODS:
            raise InvalidArgument(f"there may be {MAX_PERIODS} periods")
        return cls(tuple(sorted(found)))

    def format(self) -> str:
        """What `parse` takes, one entry per day."""
        entries = []
        for day, name in enumerate(DAYS):
            times = [f"{_clock(one.start)}-{_clock(one.end)}" for one in self.periods if one.day == day]
            if times:
                entries.append(f"{name} {','.join(times)}")
        return "; ".join(entries)

    def allows(self, local: datetime) -> bool:
        """Whether a moment of local time lies in a period."""
        minute = local.hour * 60 + local.minute
        return not self.periods or any(
            one.day == local.weekday() and one.start <= minute < one.end for one in self.periods
        )

    def allows_utc(self, utc: int) -> bool:
        """The same for microseconds UTC, in the time zone of this host."""
        return not self.periods or self.allows(datetime.fromtimestamp(utc / US).astimezone())


ALWAYS = WeekPlan()


def _days(text: str) -> set[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise InvalidArgument(f"{part[:20]!r} is no day; days are {', '.join(DAYS)}")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return days


def _times(text: str) -> list[tuple[int, int]]:
    found = []
    for part in text.replace(" ", "").split(","):
        match = _TIMES.fullmatch(part)
        if match is None:
            raise InvalidArgument(f"{part[:20]!r} is no time; write 08:00-18:00")
        h1, m1, h2, m2 = (int(group) for group in match.groups())
        start, end = h1 * 60 + m1, h2 * 60 + m2
        if m1 > 59 or m2 > 59 or not 0 <= start < end <= DAY_MINUTES:
            raise InvalidArgument(f"{part[:20]!r} is no stretch of a day")
        found.append((start, end))
    return found


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
