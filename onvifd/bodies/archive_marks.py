"""What people make of footage: tags, locks, stored pictures. Implements web.archive_marks.MarksBackend.

Whatever changes something is told to the audit log, with who did it.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Protocol

from onvifd.access.audit import Kind, Log
from onvifd.archive.index import SegmentStore
from onvifd.archive.reader import DEFAULT_GAP
from onvifd.bodies.archive_view import camera_of, tag_view
from onvifd.bodies.channel import replay_path
from onvifd.clock import US, Clock, isoformat, to_datetime
from onvifd.errors import LimitReached, NotFound, Unavailable
from onvifd.recording.types import RecordType
from onvifd.store.catalogue import AsyncCatalogue
from onvifd.store.locks import Locks
from onvifd.store.rows import LockRow, SnapshotRow
from onvifd.web.archive import Place, TagView
from onvifd.web.archive_marks import LockView, PlayPoint, SnapshotView, Thumbnail
from onvifd.web.guard import Visitor

CONSOLE = "console"
MAX_LOCKS = 10_000
"""Locks of all recordings; at the bound further ones are refused."""
MAX_ZIP = 256 << 20
"""Bytes of pictures in one file."""


class Pictures(Protocol):
    """What takes, reads and deletes stored pictures (`recording.pictures.Pictures`)."""

    async def take(self, camera: str, kind: RecordType = RecordType.MANUAL, stream: str = "") -> SnapshotRow: ...
    async def read(self, snapshot: int) -> bytes: ...
    async def delete(self, rows: Sequence[SnapshotRow]) -> int: ...


class Small(Protocol):
    """What makes small pictures of footage (`Thumbnails`)."""

    async def at(self, recording: str, utc: int, width: int) -> Thumbnail: ...


class ArchiveMarks:
    """Everything that blocks runs in the catalogue's threads."""

    def __init__(
        self,
        catalogue: AsyncCatalogue,
        segments: SegmentStore,
        pictures: Pictures,
        small: Small,
        audit: Log,
        clock: Clock,
        cameras: Callable[[], tuple[str, ...]],
    ) -> None:
        self._catalogue = catalogue
        self._segments = segments
        self._pictures = pictures
        self._small = small
        self._audit = audit
        self._clock = clock
        self._cameras = cameras

    def _told(self, action: str, visitor: Visitor, detail: str) -> None:
        self._audit.put(
            Kind.CHANGE, action, account=visitor.account.name, address=visitor.peer, face=CONSOLE, detail=detail
        )

    # ---- tags ----------------------------------------------------------------------------------

    async def find_tags(
        self,
        places: Sequence[Place],
        start: int | None,
        end: int | None,
        text: str,
        after: tuple[int, int] | None,
        limit: int,
    ) -> tuple[TagView, ...]:
        """See MarksBackend."""
        found = await self._catalogue.run(
            self._catalogue.sync.tags.find,
            recordings=[place.recording for place in places],
            start=start,
            end=end,
            text=text,
            after=after,
            limit=limit,
        )
        return tuple(map(tag_view, found))

    async def tags(self, ids: Sequence[int]) -> tuple[TagView, ...]:
        """See MarksBackend. Raises NotFound if one is missing."""
        found = await self._catalogue.run(self._catalogue.sync.tags.some, ids)
        if missing := set(ids) - {tag.id for tag in found}:
            raise NotFound(f"there is no tag {min(missing)}")
        return tuple(map(tag_view, found))

    async def add_tag(self, place: Place, utc: int, name: str, visitor: Visitor) -> TagView:
        """See MarksBackend."""
        tag = await self._catalogue.run(
            self._catalogue.sync.tags.add,
            place.recording,
            utc,
            name,
            account=visitor.account.name,
            now=self._clock.utc(),
        )
        self._told("add tag", visitor, f"{tag.name} in {tag.recording} at {isoformat(utc)}")
        return tag_view(tag)

    async def rename_tag(self, tag: TagView, name: str, visitor: Visitor) -> TagView:
        """See MarksBackend."""
        renamed = await self._catalogue.run(self._catalogue.sync.tags.rename, tag.id, name)
        self._told("rename tag", visitor, f"{tag.name} to {renamed.name} in {tag.recording}")
        return tag_view(renamed)

    async def remove_tags(self, tags: Sequence[TagView], visitor: Visitor) -> int:
        """See MarksBackend."""
        count = await self._catalogue.run(self._catalogue.sync.tags.remove, [tag.id for tag in tags])
        names = ", ".join(f"{tag.name} in {tag.recording}" for tag in tags[:10])
        self._told("delete tags", visitor, f"{count}: {names}")
        return count

    async def play_point(self, tag: TagView, lead: int) -> PlayPoint:
        """See MarksBackend."""
        start, recorded = await self._catalogue.run(self._play_point, tag, lead)
        return PlayPoint(
            recording=tag.recording, start=start, utc=tag.utc, recorded=recorded, url=replay_path(tag.recording)
        )

    def _play_point(self, tag: TagView, lead: int) -> tuple[int, bool]:
        """As many seconds before as are recorded without a gap (PLY-31). Blocks."""
        stretches = self._segments.covered(tag.recording, max(0, tag.utc - lead * US), tag.utc + US, DEFAULT_GAP)
        if not stretches or stretches[-1][1] <= tag.utc:
            return tag.utc, False
        return min(stretches[-1][0], tag.utc), stretches[-1][0] <= tag.utc

    # ---- locks ---------------------------------------------------------------------------------

    async def locks(self, places: Sequence[Place]) -> tuple[LockView, ...]:
        """See MarksBackend."""
        wanted = {place.recording for place in places}
        now = self._clock.utc()
        found = await self._catalogue.run(self._catalogue.sync.locks.all)
        return tuple(_lock(row) for row in found if row.recording in wanted and (row.until is None or row.until > now))

    async def lock(self, lock: int) -> LockView:
        """See MarksBackend."""
        found = await self._catalogue.run(self._catalogue.sync.locks.all)
        row = next((row for row in found if row.id == lock), None)
        if row is None:
            raise NotFound(f"there is no lock {lock}")
        return _lock(row)

    async def add_lock(
        self, place: Place, start: int, end: int, reason: str, until: int | None, visitor: Visitor
    ) -> LockView:
        """See MarksBackend."""
        locks: Locks = self._catalogue.sync.locks
        if len(await self._catalogue.run(locks.all)) >= MAX_LOCKS:
            raise LimitReached(f"there are {MAX_LOCKS} locks")
        row = await self._catalogue.run(
            locks.add,
            place.recording,
            start,
            end,
            account=visitor.account.name,
            now=self._clock.utc(),
            reason=reason,
            until=until,
        )
        self._told("lock footage", visitor, f"{place.recording} from {isoformat(start)} to {isoformat(end)}")
        return _lock(row)

    async def remove_lock(self, lock: LockView, visitor: Visitor) -> None:
        """See MarksBackend."""
        await self._catalogue.run(self._catalogue.sync.locks.remove, lock.id)
        what = f"{lock.recording} from {isoformat(lock.start)} to {isoformat(lock.end)}"
        self._told("unlock footage", visitor, what)

    # ---- stored pictures -----------------------------------------------------------------------

    def cameras(self) -> tuple[str, ...]:
        """See MarksBackend."""
        return self._cameras()

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
    ) -> tuple[SnapshotView, ...]:
        """See MarksBackend."""
        found = await self._catalogue.run(
            self._catalogue.sync.snapshots.list,
            cameras=cameras,
            kinds=types,
            start=start,
            end=end,
            after=after,
            limit=limit,
            newest_first=newest_first,
        )
        return tuple(map(_snapshot, found))

    async def _rows(self, ids: Sequence[int]) -> list[SnapshotRow]:
        get = self._catalogue.sync.snapshots.get
        return await self._catalogue.run(lambda: [get(each) for each in ids])

    async def some_snapshots(self, ids: Sequence[int]) -> tuple[SnapshotView, ...]:
        """See MarksBackend."""
        return tuple(map(_snapshot, await self._rows(ids)))

    async def picture(self, snapshot: SnapshotView) -> bytes:
        """See MarksBackend."""
        return await self._pictures.read(snapshot.id)

    async def pictures(self, snapshots: Sequence[SnapshotView], visitor: Visitor) -> bytes:
        """See MarksBackend."""
        if sum(each.bytes for each in snapshots) > MAX_ZIP:
            raise LimitReached(f"one file holds at most {MAX_ZIP >> 20} MB of pictures")
        files = [(_file_name(each), await self._pictures.read(each.id)) for each in snapshots]
        made = await asyncio.to_thread(_zip, files)
        self._told("export snapshots", visitor, f"{len(files)} pictures")
        return made

    async def take_snapshot(self, place: Place, visitor: Visitor) -> SnapshotView:
        """See MarksBackend."""
        if place.camera is None:
            raise Unavailable("there is no camera to take a picture of")
        row = await self._pictures.take(place.camera, stream=place.stream)
        self._told("take snapshot", visitor, f"{row.camera} at {isoformat(row.utc)}")
        return _snapshot(row)

    async def remove_snapshots(self, snapshots: Sequence[SnapshotView], visitor: Visitor) -> int:
        """See MarksBackend."""
        count = await self._pictures.delete(await self._rows([each.id for each in snapshots]))
        names = ", ".join(f"{each.camera} {isoformat(each.utc)}" for each in snapshots[:10])
        self._told("delete snapshots", visitor, f"{count}: {names}")
        if count < len(snapshots):
            raise Unavailable(f"{len(snapshots) - count} pictures could not be deleted: their volume is not there")
        return count

    async def thumbnail(self, place: Place, at: int, width: int) -> Thumbnail:
        """See MarksBackend."""
        return await self._small.at(place.recording, at, width)


def _lock(row: LockRow) -> LockView:
    return LockView(
        id=row.id,
        recording=row.recording,
        camera=camera_of(row.recording),
        start=row.start,
        end=row.end,
        account=row.account,
        reason=row.reason,
        created=row.created,
        until=row.until,
    )


def _snapshot(row: SnapshotRow) -> SnapshotView:
    return SnapshotView(id=row.id, camera=row.camera, utc=row.utc, kind=row.kind, bytes=row.size)


def _file_name(snapshot: SnapshotView) -> str:
    """Unique by its id: two pictures may be of one second."""
    return f"{snapshot.camera}/{to_datetime(snapshot.utc):%Y%m%dT%H%M%SZ}-{snapshot.id}.jpg"


def _zip(files: Sequence[tuple[str, bytes]]) -> bytes:
    """JPEG does not get smaller: it is stored as it is."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()
