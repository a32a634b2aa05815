"""What requests to the API of recording say: channels, types, weeks and numbers. Everything is bounded and checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from onvifd.errors import InvalidArgument
from onvifd.recording.schedule import (
    DAYS,
    HOLIDAY,
    HOLIDAY_ROW,
    MAX_PERIODS,
    ROWS,
    Period,
    Row,
    Week,
    check_row,
    clock,
    parse_time,
)
from onvifd.recording.types import STREAMS, RecordType, ordered, record_type
from onvifd.store.schedules import SNAPSHOT, VIDEO

ALL = "all"
MAX_CHANNELS = 256
PURPOSES = (VIDEO, SNAPSHOT)


def names_of(body: Mapping[str, Any], name: str, *, most: int = MAX_CHANNELS) -> tuple[str, ...] | None:
    """Channels or tokens of a body: a list of numbers and texts, one alone, or `all` (None). Raises InvalidArgument."""
    value = body.get(name)
    if value == ALL:
        return None
    given = value if isinstance(value, list) else [value]
    if not given or len(given) > most:
        raise InvalidArgument(f"{name} is {ALL}, or a list of 1 to {most}")
    for each in given:
        if isinstance(each, bool) or not isinstance(each, int | str) or not str(each) or len(str(each)) > 64:
            raise InvalidArgument(f"{name} is {ALL}, or a list of numbers and ids")
    return tuple(dict.fromkeys(str(each) for each in given))


def choice_of(body: Mapping[str, Any], name: str, among: Collection[str], usual: str | None = None) -> str:
    """A word of a few. Raises InvalidArgument."""
    value = body.get(name, usual)
    if not isinstance(value, str) or value not in among:
        raise InvalidArgument(f"{name} is one of {', '.join(among)}")
    return value


def stream_of(body: Mapping[str, Any]) -> str:
    return choice_of(body, "stream", STREAMS, STREAMS[0])


def purpose_of(body: Mapping[str, Any]) -> str:
    return choice_of(body, "purpose", PURPOSES, VIDEO)


def flag_of(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} is true or false")
    return value


def whole_of(body: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """A whole number. Raises InvalidArgument."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidArgument(f"{name} is a whole number of {low} to {high}")
    return value


def type_of(value: object) -> RecordType:
    if not isinstance(value, str):
        raise InvalidArgument("a record type is a text")
    return record_type(value)


# ---- weeks ---------------------------------------------------------------------------------------


def week_json(week: Week) -> dict[str, Any]:
    """A week as people write it; `holiday` is null where holidays are days like others."""
    rows = {name: _row_json(row) for name, row in zip(DAYS, week.days, strict=True)}
    return {**rows, HOLIDAY: None if week.holiday is None else _row_json(week.holiday)}


def _row_json(row: Row) -> list[dict[str, Any]]:
    return [
        {"start": clock(each.start), "end": clock(each.end)}
        | ({"types": list(ordered(each.types))} if each.types else {})
        for each in row
    ]


def rows_of(value: object, *, typed: bool, whole: bool = False) -> dict[int, Row | None]:
    """Rows of a week by their numbers; with `whole` all days must be there (a holiday left out is a day like others).

    Raises InvalidArgument.
    """
    if not isinstance(value, dict) or not value:
        raise InvalidArgument(f"the week has periods for {', '.join(ROWS)}")
    if unknown := value.keys() - set(ROWS):
        raise InvalidArgument(f"{sorted(unknown)[0][:20]!r} is no day; days are {', '.join(ROWS)}")
    if whole and (missing := [day for day in DAYS if day not in value]):
        raise InvalidArgument(f"the week lacks {', '.join(missing)}")
    rows: dict[int, Row | None] = {}
    for name, periods in value.items():
        number = ROWS.index(name)
        if periods is None and number == HOLIDAY_ROW:
            rows[number] = None
            continue
        if not isinstance(periods, list) or len(periods) > MAX_PERIODS:
            raise InvalidArgument(f"{name} has a list of at most {MAX_PERIODS} periods")
        rows[number] = check_row([_period(each) for each in periods], typed=typed)
    return rows


def week_of(value: object, *, typed: bool) -> Week:
    """A whole week. Raises InvalidArgument."""
    return with_rows(Week(), rows_of(value, typed=typed, whole=True))


def with_rows(week: Week, rows: Mapping[int, Row | None]) -> Week:
    for number, row in rows.items():
        week = week.with_row(number, row)
    return week


def _period(value: object) -> Period:
    if not isinstance(value, dict) or value.keys() - {"start", "end", "types"}:
        raise InvalidArgument("a period has start, end and types")
    start, end, types = value.get("start"), value.get("end"), value.get("types", [])
    if not isinstance(start, str) or not isinstance(end, str):
        raise InvalidArgument("a period has start and end like 08:00 and 18:00")
    if not isinstance(types, list) or len(types) > len(RecordType):
        raise InvalidArgument("types is a list of record types")
    return Period(parse_time(start), parse_time(end), frozenset(type_of(each) for each in types))


def days_of(value: object, name: str) -> tuple[int, ...]:
    """Numbers of rows: a list of names, or `all` for the seven days. Raises InvalidArgument."""
    if value == ALL:
        return tuple(range(len(DAYS)))
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each in ROWS for each in value):
        raise InvalidArgument(f"{name} is {ALL}, or a list of {', '.join(ROWS)}")
    return tuple(ROWS.index(each) for each in dict.fromkeys(value))


def assigned_of(value: object) -> dict[RecordType, str | None]:
    """Named schedules by record type; null is never. Raises InvalidArgument."""
    if not isinstance(value, dict):
        raise InvalidArgument("assigned has a named schedule, or null for never, by record type")
    found: dict[RecordType, str | None] = {}
    for kind, name in value.items():
        if name is not None and not isinstance(name, str):
            raise InvalidArgument("assigned has a named schedule, or null for never, by record type")
        found[type_of(kind)] = name
    return found


def only(body: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Those of some members that are there. Raises InvalidArgument if none is."""
    found = {name: body[name] for name in names if name in body}
    if not found:
        raise InvalidArgument(f"say what is to be changed: {', '.join(names)}")
    return found
