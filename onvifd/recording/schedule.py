"""Weekly schedules: which record types are armed at which time of the week and on holidays. Pure; times of day are minutes.

A day has up to six periods, each with its own types; periods may overlap, then all their types are armed. What lasts past
midnight is written as two periods.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from onvifd.errors import InvalidArgument
from onvifd.recording.types import RecordType, ordered, record_type

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = "holiday"
ROWS = (*DAYS, HOLIDAY)
HOLIDAY_ROW = len(DAYS)
DAY_MINUTES = 24 * 60
MAX_PERIODS = 6
MAX_TEXT = 20_000

_TIME = re.compile(r"(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Period:
    """From minute `start` to before minute `end` of a day. A plan of a named schedule has no types."""

    start: int
    end: int
    types: frozenset[RecordType] = frozenset()

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in its day."""
        return self.start, self.end


Row = tuple[Period, ...]


@dataclass(frozen=True, slots=True)
class Week:
    """A row for each day, Monday first, and one for holidays; None for holidays is the row of the day on which they fall."""

    days: tuple[Row, ...] = ((),) * len(DAYS)
    holiday: Row | None = None

    def row(self, weekday: int, holiday: bool) -> Row:
        """What holds on a day; Monday is 0."""
        return self.holiday if holiday and self.holiday is not None else self.days[weekday]

    def with_row(self, index: int, row: Row | None) -> Self:
        """With another row for a day, or for holidays (7). Raises InvalidArgument."""
        if index == HOLIDAY_ROW:
            return replace(self, holiday=None if row is None else check_row(row))
        if row is None:
            raise InvalidArgument("only the row of holidays can be left to the days")
        days = list(self.days)
        days[index] = check_row(row)
        return replace(self, days=tuple(days))

    def copy_row(self, source: int, targets: Iterable[int]) -> Self:
        """The row of one day for others, too. Raises InvalidArgument."""
        row = self.holiday if source == HOLIDAY_ROW else self.days[source]
        made = self
        for target in targets:
            made = made.with_row(target, row)
        return made

    def types(self) -> frozenset[RecordType]:
        """All types that are armed at some time."""
        rows = (*self.days, self.holiday or ())
        return frozenset(kind for row in rows for period in row for kind in period.types)

    def to_json(self) -> str:
        rows = [_row_json(row) for row in self.days]
        holiday = None if self.holiday is None else _row_json(self.holiday)
        return json.dumps({"days": rows, "holiday": holiday}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, *, typed: bool = True) -> Self:
        """What `to_json` wrote. Raises InvalidArgument for everything else."""
        try:
            data: dict[str, Any] = json.loads(text[:MAX_TEXT])
            days = tuple(_row_of(row) for row in data["days"])
            holiday = None if data.get("holiday") is None else _row_of(data["holiday"])
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise InvalidArgument("that is no weekly schedule") from error
        return cls(days, holiday).checked(typed=typed)

    def checked(self, *, typed: bool = True) -> Self:
        """Itself. `typed` is whether periods must have types, or none may. Raises InvalidArgument."""
        if len(self.days) != len(DAYS):
            raise InvalidArgument(f"a week has {len(DAYS)} days, not {len(self.days)}")
        days = tuple(check_row(row, typed=typed) for row in self.days)
        return replace(self, days=days, holiday=None if self.holiday is None else check_row(self.holiday, typed=typed))


def check_row(row: Sequence[Period], *, typed: bool | None = None) -> Row:
    """A day's periods in order. Raises InvalidArgument."""
    if len(row) > MAX_PERIODS:
        raise InvalidArgument(f"a day has at most {MAX_PERIODS} periods, not {len(row)}")
    for period in row:
        if not 0 <= period.start < DAY_MINUTES:
            raise InvalidArgument(f"a period begins between 00:00 and 23:59, not at minute {period.start}")
        if not 0 < period.end <= DAY_MINUTES:
            raise InvalidArgument(f"a period ends between 00:01 and 24:00, not at minute {period.end}")
        if period.end <= period.start:
            raise InvalidArgument(
                f"the period {clock(period.start)}-{clock(period.end)} ends before it begins: what lasts past midnight "
                "is written as two periods"
            )
        if typed and not period.types:
            raise InvalidArgument(f"the period {clock(period.start)}-{clock(period.end)} has no record type")
        if typed is False and period.types:
            raise InvalidArgument("a named schedule has no record types: it is assigned to them")
        if RecordType.MANUAL in period.types:
            raise InvalidArgument("what is recorded by hand needs no schedule")
    return tuple(sorted(row, key=lambda period: period.place))


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def parse_time(text: str) -> int:
    """`08:00` to `24:00` as minutes. Raises InvalidArgument."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"{text[:20]!r} is no time; write 08:00")
    hours, minutes = int(match[1]), int(match[2])
    if minutes > 59 or hours * 60 + minutes > DAY_MINUTES:
        raise InvalidArgument(f"{text[:20]!r} is no time of a day")
    return hours * 60 + minutes


def parse_days(text: str) -> tuple[int, ...]:
    """`mon-fri,sun`, `holiday` or `all` (the seven days) as rows. Raises InvalidArgument."""
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if part == "all":
            found.update(range(len(DAYS)))
        elif part == HOLIDAY:
            found.add(HOLIDAY_ROW)
        elif first in DAYS and (not dash or last in DAYS):
            begin, end = DAYS.index(first), DAYS.index(last or first)
            found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
        else:
            raise InvalidArgument(f"{part[:20]!r} is no day; days are {', '.join(ROWS)} and all")
    return tuple(sorted(found))


def parse_period(text: str, *, typed: bool = True) -> Period:
    """`08:00-18:00=motion,alarm`, or `08:00-18:00` without types. Raises InvalidArgument."""
    times, equals, names = text.partition("=")
    start, dash, end = times.partition("-")
    if not dash:
        raise InvalidArgument(f"{text[:40]!r} is no period; write 08:00-18:00{'=motion,alarm' if typed else ''}")
    types = frozenset(record_type(name) for name in names.split(",")) if equals else frozenset()
    return check_row((Period(parse_time(start), parse_time(end), types),), typed=typed)[0]


def format_row(row: Row) -> str:
    """What `parse_period` takes, several with a blank between."""
    return " ".join(format_period(period) for period in row)


def format_period(period: Period) -> str:
    times = f"{clock(period.start)}-{clock(period.end)}"
    return f"{times}={','.join(ordered(period.types))}" if period.types else times


def all_week(kinds: Iterable[RecordType]) -> Week:
    """Armed day and night; holidays are days like others."""
    row = (Period(0, DAY_MINUTES, frozenset(kinds)),)
    return Week((row,) * len(DAYS))


def _row_json(row: Row) -> list[list[Any]]:
    return [[period.start, period.end, list(ordered(period.types))] for period in row]


def _row_of(data: Any) -> Row:
    return tuple(
        Period(int(start), int(end), frozenset(RecordType(one) for one in types)) for start, end, types in data
    )


# ---- named schedules -----------------------------------------------------------------------------


MAX_NAME = 32
FIXED = "24x7"
"""It can be neither changed nor deleted."""


@dataclass(frozen=True, slots=True)
class NamedSchedule:
    """Times of the week under a name, to be assigned to a record type of a channel."""

    name: str
    week: Week

    @property
    def fixed(self) -> bool:
        return self.name == FIXED


def check_name(name: str) -> str:
    """A name for a schedule or holiday. Raises InvalidArgument."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidArgument(f"a name has 1 to {MAX_NAME} printable characters")
    return name


# ---- one click -----------------------------------------------------------------------------------

_WORDS = {
    "always": RecordType.GENERAL,
    "motion": RecordType.MOTION,
    "sensor": RecordType.ALARM,
    "analytics": RecordType.INTELLIGENT,
}
ONE_CLICK = (
    "motion",
    "sensor",
    "motion+sensor",
    "always+motion",
    "always+sensor",
    "always+motion+sensor",
    "analytics",
    "motion+analytics",
    "sensor+analytics",
    "always+analytics",
    "always+motion+analytics",
    "always+sensor+analytics",
    "always+motion+sensor+analytics",
)
"""Ready-made weeks, day and night: the first six are offered at once, the others as advanced ones."""


def one_click(name: str) -> Week:
    """The week of a ready-made mode. Raises InvalidArgument."""
    name = name.lower().replace(" ", "")
    if name not in ONE_CLICK:
        raise InvalidArgument(f"{name[:40]!r} is no ready-made mode; there are {', '.join(ONE_CLICK)}")
    return all_week(_WORDS[word] for word in name.split("+"))
