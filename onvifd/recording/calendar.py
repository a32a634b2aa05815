"""Schedules in time: what is armed at a moment, and when that changes next. Exact over daylight saving and holidays.

At a shift of the wall clock the schedule follows the wall: an hour that is skipped arms nothing, one that comes twice arms
twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onvifd.clock import US
from onvifd.recording.holidays import Holiday, is_holiday
from onvifd.recording.localtime import DAY_SECONDS, LocalTime
from onvifd.recording.schedule import Week
from onvifd.recording.types import RecordType

HORIZON = 8 * DAY_SECONDS * US
"""How far ahead the next change is looked for, microseconds: every week begins anew within it."""

_MINUTE = 60 * US
Armed = frozenset[RecordType]


@dataclass(frozen=True, slots=True)
class Calendar:
    """What a channel's schedules come to: a week with types, and named weeks that take the place of a type's own times.

    `assigned` maps a record type to the week that arms it, or to None for never.
    """

    local: LocalTime
    week: Week
    assigned: Mapping[RecordType, Week | None] = field(default_factory=dict)
    holidays: tuple[Holiday, ...] = ()

    def armed(self, utc: int) -> Armed:
        """The types that are armed at a moment."""
        day, rest = self.local.wall(utc)
        holiday = is_holiday(self.holidays, day)
        weekday, minute = day.weekday(), rest // _MINUTE
        found = {
            kind
            for period in self.week.row(weekday, holiday)
            if period.start <= minute < period.end
            for kind in period.types
            if kind not in self.assigned
        }
        for kind, week in self.assigned.items():
            if week is not None and any(p.start <= minute < p.end for p in week.row(weekday, holiday)):
                found.add(kind)
        return frozenset(found)

    def next_change(self, utc: int, horizon: int = HORIZON) -> int | None:
        """The first moment after `utc` at which other types are armed; None if there is none within `horizon`."""
        now, end = self.armed(utc), utc + horizon
        at = utc
        while (at := self._next_edge(at)) <= end:
            if self.armed(at) != now:
                return at
        return None

    def _next_edge(self, utc: int) -> int:
        """The first moment after `utc` at which a period may begin or end: no later than the next midnight by the wall."""
        day, rest = self.local.wall(utc)
        holiday = is_holiday(self.holidays, day)
        edges = [DAY_SECONDS * US]
        for week in (self.week, *(each for each in self.assigned.values() if each is not None)):
            for period in week.row(day.weekday(), holiday):
                edges += [period.start * _MINUTE, period.end * _MINUTE]
        edge = utc + min(each for each in edges if each > rest) - rest
        shift = self.local.next_shift(utc)
        return edge if shift is None else min(edge, shift)
