"""The API of the archive, reading: calendar, time line, pieces, events, storage, how recording stands (`docs/api.md`).

Times are microseconds UTC. Whoever asks sees the cameras that it may play.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from aiohttp import web

from onvifd.access.permissions import ConsoleAccount, Right, may
from onvifd.errors import InvalidArgument
from onvifd.recording.types import STREAMS, RecordType
from onvifd.web.archive_query import (
    answer,
    cursor_of,
    day_of,
    limit_of,
    month_of,
    needed_time,
    newest_first,
    several,
    span_of,
    types_of,
)
from onvifd.web.guard import Guard, Visitor

DAY = 86_400_000_000
MAX_TIMELINE = 32 * DAY
MAX_RANGE = 3660 * DAY
Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A recording, and the camera whose rights count; without one (`None`) only who may all cameras may this."""

    recording: str
    camera: str | None
    channel: int | None = None
    stream: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingView:
    """What a recording holds and how it stands. `mode` is auto, manual, off or job; `days` how far back it reaches."""

    recording: str
    camera: str | None
    channel: int | None
    stream: str
    name: str
    mode: str
    active: bool
    kind: str
    marks: tuple[str, ...]
    reason: str
    since: int | None
    earliest: int | None
    latest: int | None
    bytes: int
    days: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of footage with the record type that counts most and all that apply; `end` is None while it lasts."""

    id: int
    recording: str
    kind: str
    marks: tuple[str, ...]
    start: int
    end: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagView:
    """A named moment."""

    id: int
    recording: str
    camera: str | None
    utc: int
    name: str
    account: str
    created: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """One recording between two times: where footage is and is not, why it was recorded, what is locked and marked."""

    recording: str
    camera: str | None
    channel: int | None
    footage: tuple[Stretch, ...]
    gaps: tuple[Stretch, ...]
    spans: tuple[Piece, ...]
    locks: tuple[Stretch, ...]
    tags: tuple[TagView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileView:
    """A segment. `state` is open, closed or recovered; `reason` why it ended; `types` are the record types in it."""

    id: int
    recording: str
    start: int
    end: int
    bytes: int
    volume: str
    state: str
    reason: str
    video: str
    width: int
    height: int
    audio: str
    metadata: bool
    types: tuple[str, ...]
    locked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Footage around a moment: the contiguous stretch that it lies in, the one before and the one after, and the ends."""

    at: Stretch | None
    previous: Stretch | None
    next: Stretch | None
    earliest: int | None
    latest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """A stored event."""

    utc: int
    topic: str
    recording: str
    operation: str
    source: dict[str, str]
    key: dict[str, str]
    data: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageView:
    """A volume: `bytes` of footage on it, `free` and `total` bytes of its file system."""

    volume: str
    name: str
    path: str
    state: str
    reason: str
    access: str
    group: int
    bytes: int
    free: int
    total: int


class ArchiveBackend(Protocol):
    """What the archive is asked for."""

    def places(self, channels: Sequence[str], recordings: Sequence[str], stream: str) -> tuple[Place, ...]:
        """Recordings by channel (number or camera's id; `stream` of it) or by token; all if none is named. Raises NotFound."""
        ...

    def day(self, day: date, zone: str) -> Stretch:
        """Start and end of a day on the wall; `zone` is a POSIX zone, empty for the recorder's. Raises InvalidArgument."""
        ...

    async def recordings(self, places: Sequence[Place]) -> tuple[RecordingView, ...]: ...

    async def calendar(self, place: Place, year: int, month: int, zone: str) -> tuple[list[int], list[int]]:
        """Days of a month with footage, and those with stored pictures."""
        ...

    async def timeline(
        self, places: Sequence[Place], start: int, end: int, types: Sequence[RecordType]
    ) -> tuple[Timeline, ...]: ...

    async def files(
        self, place: Place, start: int, end: int, types: Sequence[RecordType], after: int | None, limit: int
    ) -> tuple[tuple[FileView, ...], int | None]:
        """A page of segments in order of start, and where the next begins."""
        ...

    async def neighbours(self, place: Place, at: int) -> Neighbours: ...

    async def spans(
        self,
        places: Sequence[Place],
        start: int,
        end: int,
        types: Sequence[RecordType],
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[Piece, ...]:
        """A page of stretches by type, in order of start and id; `after` is start and id of the last of the page before."""
        ...

    async def events(
        self,
        places: Sequence[Place],
        start: int,
        end: int,
        topics: Sequence[str],
        after: tuple[int, int] | None,
        limit: int,
        *,
        newest_first: bool,
    ) -> tuple[tuple[EventView, ...], tuple[int, int] | None]:
        """A page of events in order of time, and where the next begins. Topics are names; with `/*` at the end, all below."""
        ...

    async def storage(self) -> tuple[StorageView, ...]: ...


def allowed(places: Sequence[Place], account: ConsoleAccount, right: Right) -> tuple[Place, ...]:
    """Those on which an account has a right."""
    return tuple(place for place in places if may(account, right, place.camera))


def add_routes(app: web.Application, backend: ArchiveBackend, guard: Guard) -> None:
    """Mount the API."""
    api = _Archive(backend)
    for name, handler in (
        ("recordings", api.recordings),
        ("calendar", api.calendar),
        ("timeline", api.timeline),
        ("files", api.files),
        ("neighbours", api.neighbours),
        ("spans", api.spans),
        ("events", api.events),
        ("storage", api.storage),
    ):
        app.router.add_get(f"/api/archive/{name}", guard.reads(handler))


def places_of(
    backend: ArchiveBackend, request: web.Request, visitor: Visitor, right: Right = Right.PLAYBACK
) -> tuple[Place, ...]:
    """The recordings that a request names. Raises NotFound, Forbidden; without names, those that the visitor may."""
    channels, recordings = several(request, "channel"), several(request, "recording")
    stream = request.query.get("stream", "main")
    if stream not in STREAMS:
        raise InvalidArgument(f"stream is {' or '.join(STREAMS)}")
    found = backend.places(channels, recordings, stream)
    if not channels and not recordings:
        return allowed(found, visitor.account, right)
    for place in found:
        visitor.require(right, place.camera)
    return found


def place_of(backend: ArchiveBackend, request: web.Request, visitor: Visitor, right: Right = Right.PLAYBACK) -> Place:
    """The one recording that a request names."""
    found = places_of(backend, request, visitor, right)
    if len(found) != 1 or not (request.query.get("channel") or request.query.get("recording")):
        raise InvalidArgument("name one channel or recording")
    return found[0]


class _Archive:
    def __init__(self, backend: ArchiveBackend) -> None:
        self._backend = backend

    async def recordings(self, request: web.Request, visitor: Visitor) -> web.Response:
        """All recordings, or those named: what they hold, how far back they reach, how recording stands."""
        named = request.query.get("channel") or request.query.get("recording")
        if named:
            places = places_of(self._backend, request, visitor)
        else:
            places = allowed(self._backend.places((), (), ""), visitor.account, Right.PLAYBACK)
        return answer({"recordings": await self._backend.recordings(places)})

    async def calendar(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`month`: the days of it with footage and with pictures."""
        place = place_of(self._backend, request, visitor)
        month = request.query.get("month", "")
        days, pictures = await self._backend.calendar(place, *month_of(month), request.query.get("zone", ""))
        return answer({"recording": place.recording, "month": month, "days": days, "pictures": pictures})

    async def timeline(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`day`, or `start` and `end`; `type` restricts footage and spans."""
        places = places_of(self._backend, request, visitor)
        day = request.query.get("day")
        if day is not None:
            start, end = self._backend.day(day_of(day), request.query.get("zone", ""))
        else:
            start, end = span_of(request, MAX_TIMELINE)
        found = await self._backend.timeline(places, start, end, types_of(request))
        return answer({"start": start, "end": end, "channels": found})

    async def files(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Segments between `start` and `end`."""
        place = place_of(self._backend, request, visitor)
        start, end = span_of(request, MAX_RANGE)
        after = cursor_of(request)
        found, following = await self._backend.files(
            place, start, end, types_of(request), None if after is None else after[0], limit_of(request)
        )
        return answer({"files": found, "next": None if following is None else f"{following}.0"})

    async def neighbours(self, request: web.Request, visitor: Visitor) -> web.Response:
        """The footage around `time`: for jumps over gaps, and to the recording before or after."""
        place = place_of(self._backend, request, visitor)
        return answer({"neighbours": await self._backend.neighbours(place, needed_time(request, "time"))})

    async def spans(self, request: web.Request, visitor: Visitor) -> web.Response:
        """What was recorded for which reason, over several channels."""
        places = places_of(self._backend, request, visitor)
        start, end = span_of(request, MAX_RANGE)
        limit = limit_of(request)
        found = await self._backend.spans(places, start, end, types_of(request), cursor_of(request), limit)
        return answer({"spans": found, "next": _next([(each.start, each.id) for each in found], limit)})

    async def events(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Events of channels between `start` and `end`; `topic` may be repeated, `order` is oldest or newest."""
        places = places_of(self._backend, request, visitor)
        start, end = span_of(request, MAX_RANGE)
        found, following = await self._backend.events(
            places,
            start,
            end,
            several(request, "topic"),
            cursor_of(request),
            limit_of(request),
            newest_first=newest_first(request),
        )
        place = None if following is None else f"{following[0]}.{following[1]}"
        return answer({"events": found, "next": place})

    async def storage(self, request: web.Request, visitor: Visitor) -> web.Response:
        """How full volumes are (with the right to them), and how far back each recording reaches."""
        places = allowed(self._backend.places((), (), ""), visitor.account, Right.PLAYBACK)
        body: dict[str, Any] = {"recordings": await self._backend.recordings(places)}
        if may(visitor.account, Right.STORAGE):
            body["volumes"] = await self._backend.storage()
        return answer(body)


def _next(places: Sequence[tuple[int, int]], limit: int) -> str | None:
    """Where the next page begins, if there may be one."""
    if len(places) < limit:
        return None
    return f"{places[-1][0]}.{places[-1][1]}"
