"""Time zones as POSIX writes them (IEEE 1003.1 section 8.3, with the wider hours of RFC 8536 3.3.1): parsed, and asked.

CET-1CEST,M3.5.0,M10.5.0/3      <+03>-3      EST5EDT,J60/2,300/26:30      UTC0
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

MAX_LENGTH = 64
"""Characters of a zone that is accepted."""

_NAME = r"(?:[A-Za-z]{3,16}|<[A-Za-z0-9+-]{3,16}>)"
_OFFSET = r"[+-]?\d{1,2}(?::\d{2}(?::\d{2})?)?"
_TIME = r"[+-]?\d{1,3}(?::\d{2}(?::\d{2})?)?"
_DATE = r"(?:J\d{1,3}|\d{1,3}|M\d{1,2}\.\d\.\d)"
_ZONE = re.compile(
    rf"({_NAME})({_OFFSET})(?:({_NAME})({_OFFSET})?(?:,({_DATE})(?:/({_TIME}))?,({_DATE})(?:/({_TIME}))?)?)?", re.ASCII
)
_DEFAULT_RULES = ("M3.2.0", "M11.1.0")
"""When daylight saving applies where a zone has a name for it and no rules; left open by POSIX, these are glibc's."""
_TWO_O_CLOCK = 2 * 3600


@dataclass(frozen=True, slots=True)
class Rule:
    """A day of every year and the local time at which the clock changes, seconds after midnight (which may be negative).

    `kind` is J (day 1 to 365, 29 February never counted), D (day 0 to 365) or M (month, week 1 to 5, weekday from Sunday).
    """

    kind: str
    numbers: tuple[int, ...]
    time: int

    def moment(self, year: int) -> datetime:
        """When the rule strikes in `year`, as local time without a zone."""
        return datetime(year, 1, 1) + timedelta(days=self._day(year), seconds=self.time)  # noqa: DTZ001 - local time

    def _day(self, year: int) -> int:
        first = date(year, 1, 1)
        if self.kind == "D":
            return self.numbers[0]
        if self.kind == "J":
            leap = date(year, 12, 31).timetuple().tm_yday == 366
            return self.numbers[0] - 1 + (1 if leap and self.numbers[0] >= 60 else 0)
        month, week, weekday = self.numbers
        begin = date(year, month, 1)
        # isoweekday is 7 on Sundays, which POSIX counts as 0.
        day = begin + timedelta(days=(weekday - begin.isoweekday()) % 7 + 7 * (week - 1))
        if day.month != month:
            day -= timedelta(days=7)
        return (day - first).days


@dataclass(frozen=True, slots=True)
class Zone:
    """A parsed zone. Offsets are seconds east of UTC; `summer` is None without daylight saving."""

    text: str
    offset: int
    summer: int | None = None
    begin: Rule | None = None
    end: Rule | None = None

    def daylight(self, utc: datetime) -> bool:
        """Whether daylight saving applies at `utc`."""
        if self.summer is None or self.begin is None or self.end is None:
            return False
        # The year is that of the zone, which may differ from that of UTC around New Year.
        plain = utc.astimezone(UTC).replace(tzinfo=None)
        year = (plain + timedelta(seconds=self.offset)).year
        begin = self.begin.moment(year) - timedelta(seconds=self.offset)
        end = self.end.moment(year) - timedelta(seconds=self.summer)
        if begin <= end:
            return begin <= plain < end
        return not end <= plain < begin

    def utc_offset(self, utc: datetime, *, daylight: bool = True) -> int:
        """Seconds east of UTC at `utc`; without `daylight` the part for daylight saving is left out of account."""
        if daylight and self.summer is not None and self.daylight(utc):
            return self.summer
        return self.offset


def parse(text: str) -> Zone:
    """A zone. Raises ValueError for what is not formed as POSIX says."""
    if len(text) > MAX_LENGTH:
        raise ValueError("the time zone is too long")
    match = _ZONE.fullmatch(text)
    if match is None:
        raise ValueError("not a POSIX time zone")
    offset = -_seconds(match[2], 24)  # POSIX counts hours west of Greenwich
    if match[3] is None:
        return Zone(text, offset)
    summer = -_seconds(match[4], 24) if match[4] else offset + 3600
    begin = _rule(match[5] or _DEFAULT_RULES[0], match[6])
    end = _rule(match[7] or _DEFAULT_RULES[1], match[8])
    return Zone(text, offset, summer, begin, end)


def _seconds(text: str, most: int) -> int:
    sign = -1 if text.startswith("-") else 1
    parts = [int(part) for part in text.lstrip("+-").split(":")] + [0, 0]
    hours, minutes, seconds = parts[:3]
    if hours > most or minutes > 59 or seconds > 59:
        raise ValueError("a time of the zone is out of range")
    return sign * (hours * 3600 + minutes * 60 + seconds)


def _rule(text: str, time: str | None) -> Rule:
    seconds = _TWO_O_CLOCK if time is None else _seconds(time, 167)
    if text[0] == "M":
        month, week, weekday = (int(part) for part in text[1:].split("."))
        if not (1 <= month <= 12 and 1 <= week <= 5 and weekday <= 6):
            raise ValueError("a date of the zone is out of range")
        return Rule("M", (month, week, weekday), seconds)
    day = int(text.lstrip("J"))
    if not (1 <= day <= 365 if text[0] == "J" else day <= 365):
        raise ValueError("a day of the zone is out of range")
    return Rule("J" if text[0] == "J" else "D", (day,), seconds)
