"""What requests to the API of the archive say: times, choices, pages and small JSON bodies. Everything is bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from typing import Any

from aiohttp import web

from onvifd.clock import from_datetime
from onvifd.errors import InvalidArgument
from onvifd.recording.types import RecordType, record_type

MAX_BODY = 65_536
BODY_TIMEOUT = 10.0
MAX_PLACES = 64
"""Channels and recordings that one request may name."""
MAX_IDS = 1000
MAX_LIMIT = 1000
LATEST = 253_402_300_799_999_999
"""The end of the year 9999: no time is later."""


def moment(text: str, name: str = "time") -> int:
    """Microseconds UTC, from a whole number of them or from ISO 8601 with a zone. Raises InvalidArgument."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 18:
        value = int(text)
    else:
        try:
            # A plus sign in a query is a space once it is decoded.
            found = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
            if found.tzinfo is None:
                raise InvalidArgument(f"{name} needs a zone: 2026-01-31T12:00:00Z")
            value = from_datetime(found)
        except (ValueError, OverflowError):
            raise InvalidArgument(f"{name} is microseconds UTC or like 2026-01-31T12:00:00Z") from None
    if not 0 <= value <= LATEST:
        raise InvalidArgument(f"{name} is out of range")
    return value


def time_of(request: web.Request, name: str) -> int | None:
    """A time of the query."""
    text = request.query.get(name)
    return None if text is None else moment(text, name)


def needed_time(request: web.Request, name: str) -> int:
    found = time_of(request, name)
    if found is None:
        raise InvalidArgument(f"{name} is missing")
    return found


def span_of(request: web.Request, longest: int) -> tuple[int, int]:
    """`start` and `end` of the query, at most `longest` microseconds apart."""
    start, end = needed_time(request, "start"), needed_time(request, "end")
    if not start < end <= start + longest:
        raise InvalidArgument(f"end is after start, and at most {longest // 86_400_000_000} days later")
    return start, end


def day_of(text: str) -> date:
    """A day like 2026-01-31."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidArgument("a day is like 2026-01-31") from None


def month_of(text: str) -> tuple[int, int]:
    """A month like 2026-01, as year and month."""
    day = day_of(f"{text}-01")
    return day.year, day.month


def number(request: web.Request, name: str, usual: int, low: int, high: int) -> int:
    """A number of the query, `usual` where it is left out."""
    text = request.query.get(name)
    if text is None:
        return usual
    if not text.isascii() or not text.isdigit() or len(text) > 18 or not low <= int(text) <= high:
        raise InvalidArgument(f"{name} is a number of {low} to {high}")
    return int(text)


def limit_of(request: web.Request) -> int:
    return number(request, "limit", 100, 1, MAX_LIMIT)


def newest_first(request: web.Request) -> bool:
    """Whether `order` is newest; oldest where it is left out."""
    order = request.query.get("order", "oldest")
    if order not in ("oldest", "newest"):
        raise InvalidArgument("order is oldest or newest")
    return order == "newest"


def several(request: web.Request, name: str) -> tuple[str, ...]:
    """All values of a name, which may be repeated or have commas."""
    given = (part.strip() for text in request.query.getall(name, []) for part in text.split(","))
    found = tuple(dict.fromkeys(part for part in given if part))
    if len(found) > MAX_PLACES:
        raise InvalidArgument(f"at most {MAX_PLACES} can be named at once")
    return found


def types_of(request: web.Request) -> tuple[RecordType, ...]:
    """Record types to look for; none for all."""
    return tuple(record_type(text) for text in several(request, "type"))


def cursor_of(request: web.Request) -> tuple[int, int] | None:
    """Where the page before ended: two numbers with a dot between them."""
    text = request.query.get("after")
    if text is None:
        return None
    first, _, second = text.partition(".")
    if not (text.isascii() and first.isdigit() and second.isdigit() and len(first) <= 18 and len(second) <= 18):
        raise InvalidArgument("after is what the page before gave as next")
    return int(first), int(second)


def ids_of(value: object) -> tuple[int, ...]:
    """A list of ids of a body."""
    if not isinstance(value, list) or not value or len(value) > MAX_IDS:
        raise InvalidArgument(f"ids is a list of 1 to {MAX_IDS} numbers")
    if not all(isinstance(each, int) and not isinstance(each, bool) and 0 < each < 1 << 62 for each in value):
        raise InvalidArgument("an id is a positive number")
    return tuple(dict.fromkeys(value))


def id_of(request: web.Request) -> int:
    """The id in the path; routes take digits only."""
    return int(request.match_info["id"][:18])


async def read_json(request: web.Request, known: Sequence[str]) -> dict[str, Any]:
    """The members of a small JSON object, of which none may be unknown. Raises InvalidArgument."""
    if request.content_type != "application/json":
        raise InvalidArgument("JSON is expected")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for part in request.content.iter_any():
                body += part
                if len(body) > MAX_BODY:
                    raise InvalidArgument("the body is too long")
        found = json.loads(body)
    except TimeoutError:
        raise InvalidArgument("the body did not arrive in time") from None
    except (ValueError, RecursionError):
        raise InvalidArgument("the body is no JSON") from None
    if not isinstance(found, dict):
        raise InvalidArgument("a JSON object is expected")
    if unknown := found.keys() - set(known):
        raise InvalidArgument(f"there is no {sorted(unknown)[0][:32]!r} here; there are {', '.join(known)}")
    return found


def text_of(body: dict[str, Any], name: str, longest: int) -> str:
    """A text of a body, empty where it is left out."""
    value = body.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidArgument(f"{name} is a text of at most {longest} characters")
    return value


def time_in(body: dict[str, Any], name: str) -> int:
    """A time of a body: microseconds UTC or ISO 8601."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidArgument(f"{name} is microseconds UTC or like 2026-01-31T12:00:00Z")
    return moment(str(value), name)


def answer(body: dict[str, Any], status: int = 200) -> web.Response:
    """JSON that nobody keeps. Dataclasses are written as their fields."""
    return web.json_response(
        body,
        status=status,
        dumps=_dumps,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )


def _dumps(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
