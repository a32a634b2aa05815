"""The recorder's local time: UTC to the time on its wall, and when the two drift apart (daylight saving)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from onvifd.clock import US, to_datetime
from onvifd.host.timezone import Zone

DAY_SECONDS = 86_400
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class LocalTime:
    """`daylight` is whether the zone's daylight saving applies (Core 8.3.6)."""

    zone: Zone
    daylight: bool = True

    def offset(self, utc: int) -> int:
        """Seconds that the wall is ahead of UTC."""
        return self.zone.utc_offset(to_datetime(utc), daylight=self.daylight)

    def wall(self, utc: int) -> tuple[date, int]:
        """The date on the wall, and the microseconds since its midnight by the wall."""
        days, rest = divmod(utc + self.offset(utc) * US, DAY_SECONDS * US)
        return date.fromordinal(_EPOCH + days), rest

    def next_shift(self, utc: int) -> int | None:
        """The first moment after `utc` at which the offset may change; None if it never does."""
        zone = self.zone
        if not self.daylight or zone.summer is None or zone.begin is None or zone.end is None:
            return None
        year = to_datetime(utc + zone.offset * US).year
        moments = []
        for each in (year - 1, year, year + 1):
            moments.append(zone.begin.moment(each) - timedelta(seconds=zone.offset))
            moments.append(zone.end.moment(each) - timedelta(seconds=zone.summer))
            # The rules of another year apply from New Year on, which matters where they reach beyond their year.
            moments.append(datetime(each, 1, 1) - timedelta(seconds=zone.offset))  # noqa: DTZ001 - compared as UTC below
        return min((at for moment in moments if (at := _micros(moment)) > utc), default=None)


def _micros(plain: datetime) -> int:
    """A moment in UTC written without its zone, as microseconds."""
    delta = plain - datetime(1970, 1, 1)  # noqa: DTZ001 - both without a zone
    return (delta.days * DAY_SECONDS + delta.seconds) * US + delta.microseconds
