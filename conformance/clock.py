"""A device's idea of the time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from conformance.names import find, text


def moment(element: Any) -> datetime | None:
    """tt:DateTime as UTC; None where a field is missing or out of range."""
    if element is None:
        return None
    names = ("Date/tt:Year", "Date/tt:Month", "Date/tt:Day", "Time/tt:Hour", "Time/tt:Minute", "Time/tt:Second")
    fields = [text(element, f"tt:{name}") for name in names]
    try:
        year, month, day, hour, minute, second = (int(each) for each in fields)
        # tt:Time allows the leap second.
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None


def device_time(response: Any, now: datetime | None = None) -> float | None:
    """Seconds that the clock in a GetSystemDateAndTimeResponse is ahead of ours."""
    found = moment(find(response, "tds:SystemDateAndTime/tt:UTCDateTime"))
    return None if found is None else (found - (now or datetime.now(UTC))).total_seconds()


def date_time(name: str, value: datetime) -> str:
    """A tt:DateTime under another name (with its prefix)."""
    return (
        f"<{name}><tt:Time><tt:Hour>{value.hour}</tt:Hour><tt:Minute>{value.minute}</tt:Minute><tt:Second>{value.second}</tt:Second></tt:Time>"
        f"<tt:Date><tt:Year>{value.year}</tt:Year><tt:Month>{value.month}</tt:Month><tt:Day>{value.day}</tt:Day></tt:Date></{name}>"
    )
