"""XML Schema values to Python and back: dateTime, duration, boolean, numbers, binary (XML Schema part 2).

Parsers raise ValueError and accept surrounding white space; formatters write the canonical form that ONVIF clients read best.
"""

from __future__ import annotations

import base64
import math
import re
from datetime import UTC, datetime, timedelta, timezone

from onvifd.clock import from_datetime, isoformat

_DATETIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,20}))?(Z|[+-]\d{2}:\d{2})?", re.ASCII | re.IGNORECASE
)
_DURATION = re.compile(
    r"(-)?P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,9})D)?(T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,15})(?:\.(\d{0,20}))?S)?)?",
    re.ASCII,
)
_INT64 = 1 << 63


def parse_datetime(text: str) -> int:
    """xs:dateTime to microseconds UTC. Without a zone it is taken as UTC, as many clients mean it."""
    match = _DATETIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("not an xs:dateTime")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    micros = int((match[7] or "0")[:6].ljust(6, "0"))
    zone = UTC
    if match[8] and match[8] not in "Zz":
        sign = -1 if match[8][0] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(match[8][1:3]), minutes=int(match[8][4:6])))
    midnight = hour == 24 and minute == second == micros == 0  # XML Schema 3.2.7: 24:00:00 is the next day's 00:00:00
    try:
        moment = datetime(year, month, day, 0 if midnight else hour, minute, second, micros, zone)
        return from_datetime(moment + timedelta(days=1) if midnight else moment)
    except OverflowError as error:
        raise ValueError("xs:dateTime out of range") from error


def format_datetime(value: int) -> str:
    """Microseconds UTC to xs:dateTime ending in `Z`."""
    return isoformat(value)


def parse_duration(text: str) -> timedelta:
    """xs:duration; a year counts 365 days and a month 30."""
    text = text.strip()
    match = _DURATION.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise ValueError("not an xs:duration")
    years, months, days, hours, minutes, seconds = (int(match[i] or 0) for i in (2, 3, 4, 6, 7, 8))
    micros = int((match[9] or "0")[:6].ljust(6, "0"))
    try:
        value = timedelta(
            days=years * 365 + months * 30 + days, hours=hours, minutes=minutes, seconds=seconds, microseconds=micros
        )
        return -value if match[1] else value
    except OverflowError as error:
        raise ValueError("xs:duration out of range") from error


def format_duration(value: timedelta) -> str:
    """A timedelta as xs:duration in seconds, for example `PT60S`, the form that clients parse most reliably."""
    micros = value // timedelta(microseconds=1)
    sign = "-" if micros < 0 else ""
    seconds, fraction = divmod(abs(micros), 1_000_000)
    return f"{sign}PT{seconds}.{fraction:06d}".rstrip("0") + "S" if fraction else f"{sign}PT{seconds}S"


def parse_boolean(text: str) -> bool:
    match text.strip():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise ValueError("not an xs:boolean")


def parse_loose_boolean(text: str) -> bool:
    """As `parse_boolean`, but in any letter case: some cameras write `True`."""
    return parse_boolean(text.lower())


def format_boolean(value: bool) -> str:
    return "true" if value else "false"


def parse_int(text: str) -> int:
    """Any of the integer types up to 64 bits."""
    text = text.strip()
    if len(text) > 24 or "_" in text or not text.isascii():
        raise ValueError("not an integer")
    value = int(text)
    if not -_INT64 <= value < 2 * _INT64:
        raise ValueError("integer out of range")
    return value


def parse_loose_int(text: str) -> int:
    """As `parse_int`, but takes `25.0`, which some cameras send."""
    try:
        return parse_int(text)
    except ValueError:
        number = parse_float(text)
        if not math.isfinite(number):
            raise
        return int(number)


def parse_float(text: str) -> float:
    text = text.strip()
    if len(text) > 64 or "_" in text or not text.isascii():
        raise ValueError("not a number")
    return float(text)


def format_float(value: float) -> str:
    """Shortest form that reads back the same; whole numbers without a fraction; INF and NaN as XML Schema spells them."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(float(value))


def parse_base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise ValueError("not base64") from error


def format_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
