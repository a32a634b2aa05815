"""The API of the archive, what people make: tags, locks, stored pictures and small pictures of footage (`docs/api.md`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from onvifd.access.permissions import Right
from onvifd.clock import to_datetime
from onvifd.errors import InvalidArgument
from onvifd.web.archive import ArchiveBackend, Place, TagView, allowed, place_of, places_of
from onvifd.web.archive_query import (
    answer,
    cursor_of,
    id_of,
    ids_of,
    limit_of,
    needed_time,
    newest_first,
    number,
    read_json,
    several,
    text_of,
    time_in,
    time_of,
    types_of,
)
from onvifd.web.guard import Guard, Visitor

MAX_LEAD = 3600
MIN_WIDTH, MAX_WIDTH = 64, 1920
MAX_NAME, MAX_REASON = 64, 255
MAX_EXPORT = 200
"""Pictures in one file."""
KEPT = "private, max-age=3600"
"""Pictures of the past do not change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockView:
    """Footage that is not deleted, from `start` to before `end`; `until` is when that ends, None for never."""

    id: int
    recording: str
    camera: str | None
    start: int
    end: int
    account: str
    reason: str
    created: int
    until: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotView:
    """A stored picture; `kind` is why it was taken."""

    id: int
    camera: str
    utc: int
    kind: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A picture of footage. `utc` is the time of the key frame that it shows; `final` is false near the live edge."""

    utc: int
    jpeg: bytes
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayPoint:
    """Where playback of a tag begins: the lead-in before it as far as there is footage; `recorded` if there is any at it."""

    recording: str
    start: int
    utc: int
    recorded: bool
    url: str


class MarksBackend(Protocol):
    """What people make of footage. Who does it is told to the audit log."""

    async def find_tags(
        self,
        places: Sequence[Place],
        start: int | None,
        end: int | None,
        text: str,
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[TagView, ...]: ...

    async def tags(self, ids: Sequence[int]) -> tuple[TagView, ...]: ...
    async def add_tag(self, place: Place, utc: int, name: str, visitor: Visitor) -> TagView: ...
    async def rename_tag(self, tag: TagView, name: str, visitor: Visitor) -> TagView: ...
    async def remove_tags(self, tags: Sequence[TagView], visitor: Visitor) -> int: ...
    async def play_point(self, tag: TagView, lead: int) -> PlayPoint: ...

    async def locks(self, places: Sequence[Place]) -> tuple[LockView, ...]: ...
    async def lock(self, lock: int) -> LockView:
        """Raises NotFound."""
        ...

    async def add_lock(
        self, place: Place, start: int, end: int, reason: str, until: int | None, visitor: Visitor
    ) -> LockView: ...
    async def remove_lock(self, lock: LockView, visitor: Visitor) -> None: ...

    def cameras(self) -> tuple[str, ...]:
        """Ids of the cameras of all channels."""
        ...

    async def snapshots(
        self,
        cameras: Sequence[str],
        types: Sequence[str],
        start: int | None,
        end: int | None,
        after: tuple[int, int] | None,
        limit: int,
        *,
        newest_first: bool,
    ) -> tuple[SnapshotView, ...]: ...
    async def some_snapshots(self, ids: Sequence[int]) -> tuple[SnapshotView, ...]:
        """Raises NotFound."""
        ...

    async def picture(self, snapshot: SnapshotView) -> bytes:
        """Raises NotFound, Unavailable."""
        ...

    async def pictures(self, snapshots: Sequence[SnapshotView], visitor: Visitor) -> bytes:
        """All of them as one zip file. Raises LimitReached, Unavailable."""
        ...

    async def take_snapshot(self, place: Place, visitor: Visitor) -> SnapshotView:
        """Raises Unavailable."""
        ...

    async def remove_snapshots(self, snapshots: Sequence[SnapshotView], visitor: Visitor) -> int: ...

    async def thumbnail(self, place: Place, at: int, width: int) -> Thumbnail:
        """Raises NotFound, LimitReached, Unavailable."""
        ...


def add_routes(app: web.Application, archive: ArchiveBackend, backend: MarksBackend, guard: Guard) -> None:
    """Mount the API."""
    api = _Marks(archive, backend)
    root, number_ = "/api/archive", r"{id:\d{1,18}}"
    app.router.add_get(f"{root}/tags", guard.reads(api.find_tags))
    app.router.add_post(f"{root}/tags", guard.changes(api.add_tag))
    app.router.add_post(f"{root}/tags/delete", guard.changes(api.remove_tags))
    app.router.add_patch(f"{root}/tags/{number_}", guard.changes(api.rename_tag))
    app.router.add_delete(f"{root}/tags/{number_}", guard.changes(api.remove_tag))
    app.router.add_get(f"{root}/tags/{number_}/play", guard.reads(api.play_tag))
    app.router.add_get(f"{root}/locks", guard.reads(api.locks))
    app.router.add_post(f"{root}/locks", guard.changes(api.add_lock))
    app.router.add_delete(f"{root}/locks/{number_}", guard.changes(api.remove_lock))
    app.router.add_get(f"{root}/snapshots", guard.reads(api.snapshots))
    app.router.add_post(f"{root}/snapshots", guard.changes(api.take_snapshot))
    app.router.add_post(f"{root}/snapshots/delete", guard.changes(api.remove_snapshots))
    app.router.add_post(f"{root}/snapshots/export", guard.changes(api.export_snapshots))
    app.router.add_get(f"{root}/snapshots/{number_}", guard.reads(api.snapshot))
    app.router.add_delete(f"{root}/snapshots/{number_}", guard.changes(api.remove_snapshot))
    app.router.add_get(f"{root}/thumbnail", guard.reads(api.thumbnail))


class _Marks:
    def __init__(self, archive: ArchiveBackend, backend: MarksBackend) -> None:
        self._archive = archive
        self._backend = backend

    def _place_in(self, body: dict[str, Any], visitor: Visitor, right: Right) -> Place:
        """The one recording that a body names by `channel` and `stream`, or by `recording`."""
        channel, recording = body.get("channel"), text_of(body, "recording", 64)
        if isinstance(channel, bool) or not isinstance(channel, int | str | None) or bool(channel) == bool(recording):
            raise InvalidArgument("name one channel or recording")
        stream = text_of(body, "stream", 8) or "main"
        found = self._archive.places((str(channel),) if channel else (), (recording,) if recording else (), stream)
        if len(found) != 1:
            raise InvalidArgument("name one channel or recording")
        visitor.require(right, found[0].camera)
        return found[0]

    # ---- tags

    async def find_tags(self, request: web.Request, visitor: Visitor) -> web.Response:
        """By channel or recording, time and part of the name."""
        named = request.query.get("channel") or request.query.get("recording")
        places = (
            places_of(self._archive, request, visitor)
            if named
            else allowed(self._archive.places((), (), ""), visitor.account, Right.PLAYBACK)
        )
        text, limit = request.query.get("text", "")[:MAX_NAME], limit_of(request)
        found = await self._backend.find_tags(
            places, time_of(request, "start"), time_of(request, "end"), text, cursor_of(request), limit
        )
        following = f"{found[-1].utc}.{found[-1].id}" if len(found) == limit else None
        return answer({"tags": found, "next": following})

    async def add_tag(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channel` or `recording`, `time`, `name` (the time if it is left out)."""
        body = await read_json(request, ("channel", "stream", "recording", "time", "name"))
        place = self._place_in(body, visitor, Right.PLAYBACK)
        tag = await self._backend.add_tag(place, time_in(body, "time"), text_of(body, "name", MAX_NAME), visitor)
        return answer({"tag": tag}, 201)

    async def _tags(self, ids: Sequence[int], visitor: Visitor) -> tuple[TagView, ...]:
        found = await self._backend.tags(ids)
        for tag in found:
            visitor.require(Right.PLAYBACK, tag.camera)
        return found

    async def _tag(self, request: web.Request, visitor: Visitor) -> TagView:
        (found,) = await self._tags((id_of(request),), visitor)
        return found

    async def rename_tag(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`name`."""
        tag = await self._tag(request, visitor)
        body = await read_json(request, ("name",))
        return answer({"tag": await self._backend.rename_tag(tag, text_of(body, "name", MAX_NAME), visitor)})

    async def remove_tag(self, request: web.Request, visitor: Visitor) -> web.Response:
        await self._backend.remove_tags((await self._tag(request, visitor),), visitor)
        return web.Response(status=204)

    async def remove_tags(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`ids`: several at once."""
        ids = ids_of((await read_json(request, ("ids",))).get("ids"))
        found = await self._tags(ids, visitor)
        return answer({"deleted": await self._backend.remove_tags(found, visitor)})

    async def play_tag(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`lead`: seconds before the tag at which playback begins."""
        tag = await self._tag(request, visitor)
        return answer({"play": await self._backend.play_point(tag, number(request, "lead", 0, 0, MAX_LEAD))})

    # ---- locks

    async def locks(self, request: web.Request, visitor: Visitor) -> web.Response:
        named = request.query.get("channel") or request.query.get("recording")
        places = (
            places_of(self._archive, request, visitor)
            if named
            else allowed(self._archive.places((), (), ""), visitor.account, Right.PLAYBACK)
        )
        return answer({"locks": await self._backend.locks(places)})

    async def add_lock(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channel` or `recording`, `start`, `end`, `reason`, and `until` where the lock is to end."""
        body = await read_json(request, ("channel", "stream", "recording", "start", "end", "reason", "until"))
        place = self._place_in(body, visitor, Right.CONFIGURE)
        start, end = time_in(body, "start"), time_in(body, "end")
        if start >= end:
            raise InvalidArgument("end is after start")
        until = time_in(body, "until") if body.get("until") is not None else None
        reason = text_of(body, "reason", MAX_REASON)
        return answer({"lock": await self._backend.add_lock(place, start, end, reason, until, visitor)}, 201)

    async def remove_lock(self, request: web.Request, visitor: Visitor) -> web.Response:
        lock = await self._backend.lock(id_of(request))
        visitor.require(Right.CONFIGURE, lock.camera)
        await self._backend.remove_lock(lock, visitor)
        return web.Response(status=204)

    # ---- stored pictures

    async def snapshots(self, request: web.Request, visitor: Visitor) -> web.Response:
        """By camera, type and time; `order` is oldest or newest."""
        asked, limit = several(request, "camera"), limit_of(request)
        for camera in asked:
            visitor.require(Right.PLAYBACK, camera)
        cameras: Sequence[str] = asked
        if not asked and not visitor.account.permissions.allow(Right.PLAYBACK):
            cameras = tuple(
                each for each in self._backend.cameras() if visitor.account.permissions.allow(Right.PLAYBACK, each)
            )
            if not cameras:
                return answer({"snapshots": [], "next": None})
        found = await self._backend.snapshots(
            cameras,
            tuple(each.value for each in types_of(request)),
            time_of(request, "start"),
            time_of(request, "end"),
            cursor_of(request),
            limit,
            newest_first=newest_first(request),
        )
        following = f"{found[-1].utc}.{found[-1].id}" if len(found) == limit else None
        return answer({"snapshots": found, "next": following})

    async def _snapshots(self, ids: Sequence[int], visitor: Visitor, right: Right) -> tuple[SnapshotView, ...]:
        found = await self._backend.some_snapshots(ids)
        for each in found:
            visitor.require(right, each.camera)
        return found

    async def snapshot(self, request: web.Request, visitor: Visitor) -> web.Response:
        """The picture; with `download` as a file, which needs the right to export."""
        download = "download" in request.query
        right = Right.EXPORT if download else Right.PLAYBACK
        (found,) = await self._snapshots((id_of(request),), visitor, right)
        headers = {"Cache-Control": KEPT, "X-Content-Type-Options": "nosniff"}
        if download:
            taken = to_datetime(found.utc).strftime("%Y%m%dT%H%M%SZ")
            headers["Content-Disposition"] = f'attachment; filename="{found.camera}-{taken}.jpg"'
        return web.Response(body=await self._backend.picture(found), content_type="image/jpeg", headers=headers)

    async def take_snapshot(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`channel`: a picture of now is stored."""
        body = await read_json(request, ("channel", "stream"))
        place = self._place_in(body, visitor, Right.LIVE)
        return answer({"snapshot": await self._backend.take_snapshot(place, visitor)}, 201)

    async def export_snapshots(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`ids`: several pictures as one zip file."""
        ids = ids_of((await read_json(request, ("ids",))).get("ids"))
        if len(ids) > MAX_EXPORT:
            raise InvalidArgument(f"at most {MAX_EXPORT} pictures go into one file")
        found = await self._snapshots(ids, visitor, Right.EXPORT)
        return web.Response(
            body=await self._backend.pictures(found, visitor),
            content_type="application/zip",
            headers={"Content-Disposition": 'attachment; filename="snapshots.zip"', "Cache-Control": "no-store"},
        )

    async def remove_snapshot(self, request: web.Request, visitor: Visitor) -> web.Response:
        found = await self._snapshots((id_of(request),), visitor, Right.CONFIGURE)
        await self._backend.remove_snapshots(found, visitor)
        return web.Response(status=204)

    async def remove_snapshots(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`ids`: several at once."""
        ids = ids_of((await read_json(request, ("ids",))).get("ids"))
        found = await self._snapshots(ids, visitor, Right.CONFIGURE)
        return answer({"deleted": await self._backend.remove_snapshots(found, visitor)})

    async def thumbnail(self, request: web.Request, visitor: Visitor) -> web.Response:
        """A small picture of the footage at or before `time`, `width` pixels wide."""
        place = place_of(self._archive, request, visitor)
        width = number(request, "width", 320, MIN_WIDTH, MAX_WIDTH)
        found = await self._backend.thumbnail(place, needed_time(request, "time"), width)
        headers = {
            "Cache-Control": KEPT if found.final else "no-store",
            "X-Picture-Time": str(found.utc),
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(body=found.jpeg, content_type="image/jpeg", headers=headers)
