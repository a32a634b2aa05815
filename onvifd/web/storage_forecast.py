"""The API of storage, how far it reaches: forecast and calculator (`docs/api.md`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from aiohttp import web

from onvifd.errors import InvalidArgument
from onvifd.volumes.calculator import ChannelEstimate, days_from, estimated_bitrate, space_for
from onvifd.volumes.forecast import Reach
from onvifd.web.archive_query import answer, read_json, text_of
from onvifd.web.guard import Guard, Visitor
from onvifd.web.recording_body import choice_of, names_of, whole_of
from onvifd.web.storage import MOST_BYTES, needs_storage

MAX_ESTIMATES = 1000
MAX_DAYS = 36_600
CODECS = ("h264", "h265", "jpeg")
CHANNEL = ("name", "count", "bitrate", "width", "height", "framerate", "codec", "hours", "alarm_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthView:
    """A recording. `days` is how far it reaches back, `will_reach` how far at today's rate (None: for ever); `rate` is bytes a
    day, `recorded` the part of the last day of which there is footage."""

    recording: str
    camera: str | None
    earliest: int | None
    latest: int | None
    bytes: int
    rate: float
    recorded: float
    days: float
    will_reach: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """`utc` is when it was made."""

    utc: int
    groups: tuple[Reach, ...]
    recordings: tuple[DepthView, ...]


class ForecastBackend(Protocol):
    """What is known of space and of what comes in."""

    async def forecast(self) -> Forecast:
        """At most half a minute old."""
        ...

    async def capacity(self, volumes: Sequence[str] | None) -> int:
        """Bytes of footage that volumes can hold; all of them for None. Raises NotFound."""
        ...

    async def cameras(self, hours: float, alarm_rate: float) -> tuple[tuple[ChannelEstimate, ...], tuple[str, ...]]:
        """The main streams of the cameras as far as they are known, and the names of those of which nothing is."""
        ...


def add_routes(app: web.Application, backend: ForecastBackend, guard: Guard) -> None:
    """Mount the API."""
    api = _Forecast(backend)
    app.router.add_get("/api/storage/forecast", guard.reads(needs_storage(api.forecast)))
    # It changes nothing: the question is too long for an address.
    app.router.add_post("/api/storage/calculate", guard.reads(needs_storage(api.calculate)))


class _Forecast:
    def __init__(self, backend: ForecastBackend) -> None:
        self._backend = backend

    async def forecast(self, request: web.Request, visitor: Visitor) -> web.Response:
        """How far each recording reaches back, and how far volumes will at today's rate."""
        return answer(asdict(await self._backend.forecast()))

    async def calculate(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`days` gives the space; `space` or `volumes` (all if nothing is said) give the days. `channels` are what may be; without
        them the cameras, with `hours` and `alarm_rate`."""
        body = await read_json(request, ("channels", "days", "space", "volumes", "hours", "alarm_rate"))
        if sum(name in body for name in ("days", "space", "volumes")) > 1:
            raise InvalidArgument("say one of days, space, volumes")
        unknown: tuple[str, ...] = ()
        if "channels" in body:
            channels = _channels(body["channels"])
        else:
            hours, rate = _number(body, "hours", 24.0, 0, 24), _number(body, "alarm_rate", 1.0, 0, 1)
            channels, unknown = await self._backend.cameras(hours, rate)
        result: dict[str, Any] = {
            "channels": [
                {
                    "name": each.name,
                    "bitrate": round(each.bitrate / 1000),
                    "per_hour": round(each.per_hour),
                    "per_day": round(each.per_day),
                }
                for each in channels
            ],
            "unknown": unknown,
        }
        if "days" in body:
            days = _number(body, "days", 0.0, 0, MAX_DAYS)
            return answer(result | {"days": days, "space": space_for(channels, days)})
        if "space" in body:
            space = whole_of(body, "space", 0, MOST_BYTES)
        else:
            space = await self._backend.capacity(names_of(body, "volumes") if "volumes" in body else None)
        return answer(result | {"space": space, "days": days_from(channels, space)})


def _number(body: Mapping[str, Any], name: str, usual: float, low: float, high: float) -> float:
    value = body.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidArgument(f"{name} is a number of {low:g} to {high:g}")
    return float(value)


def _channels(value: object) -> tuple[ChannelEstimate, ...]:
    if not isinstance(value, list) or not value or len(value) > MAX_ESTIMATES:
        raise InvalidArgument(f"channels is a list of 1 to {MAX_ESTIMATES}")
    found = [each for one in value for each in _estimates(one)]
    if len(found) > MAX_ESTIMATES:
        raise InvalidArgument(f"at most {MAX_ESTIMATES} channels are calculated at once")
    return tuple(found)


def _estimates(value: object) -> list[ChannelEstimate]:
    """`count` channels like this: `bitrate` in kbit/s, or picture, frame rate and codec."""
    if not isinstance(value, dict) or value.keys() - set(CHANNEL):
        raise InvalidArgument(f"a channel has {', '.join(CHANNEL)}")
    if "bitrate" in value:
        bitrate = _number(value, "bitrate", 0, 1, 10_000_000) * 1000
    else:
        width, height = whole_of(value, "width", 1, 16_384), whole_of(value, "height", 1, 16_384)
        framerate = _number(value, "framerate", 25, 0.1, 240)
        bitrate = estimated_bitrate(width, height, framerate, choice_of(value, "codec", CODECS, CODECS[0]))
    made = ChannelEstimate(
        name=text_of(value, "name", 64),
        bitrate=bitrate,
        hours=_number(value, "hours", 24.0, 0, 24),
        alarm_rate=_number(value, "alarm_rate", 1.0, 0, 1),
    )
    return [made] * (whole_of(value, "count", 1, MAX_ESTIMATES) if "count" in value else 1)
