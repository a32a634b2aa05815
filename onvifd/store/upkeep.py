"""Questions of retention and accounting about the index, and what a rebuild puts into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, exists, func, or_, select, update

from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.recordings import insert_recording
from onvifd.store.rows import RecordingRow
from onvifd.store.segments import OPEN, Segments
from onvifd.store.settings import bump


class Upkeep:
    """All methods block."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._segments = Segments(database)

    def oldest(
        self,
        *,
        volume: str | None,
        recording: str | None,
        before: int | None,
        after: tuple[int, int],
        limit: int,
    ) -> tuple[dict[str, Any], ...]:
        """Rows that are not open in order of start, second copies too, without the large columns."""
        t = schema.segments
        columns = (t.c.id, t.c.recording, t.c.volume, t.c.path, t.c.start, t.c.end, t.c.size, t.c.kinds, t.c.copy)
        start, number = after
        query = select(*columns).where(t.c.state != OPEN, t.c.start >= start)
        query = query.where(or_(t.c.start > start, and_(t.c.start == start, t.c.id > number)))
        if volume is not None:
            query = query.where(t.c.volume == volume)
        if before is not None:
            query = query.where(t.c.start < before, t.c.end < before)
        query = query.order_by(t.c.start, t.c.id).limit(limit)
        # Each part is walked in the order of an index (recording and copy, or volume and recording): nothing is sorted by the
        # database, however large the archive.
        if recording is not None:
            parts = [query.where(t.c.recording == recording, t.c.copy.is_(copy)) for copy in (False, True)]
        else:
            parts = [query.where(t.c.recording == each) for each in self._segments.recorded()]

        def work(connection: Connection) -> tuple[dict[str, Any], ...]:
            found = [dict(row) for part in parts for row in connection.execute(part).mappings()]
            return tuple(sorted(found, key=lambda row: (row["start"], row["id"]))[:limit])

        return self._database.read(work)

    def recorded_between(self, recording: str, start: int, end: int) -> tuple[int, int]:
        """Bytes of a recording's segments that began in that time, second copies included, and the microseconds that they
        cover without the copies."""
        t = schema.segments

        def work(connection: Connection) -> tuple[int, int]:
            size = covered = 0
            for copy in (False, True):
                query = select(
                    func.coalesce(func.sum(t.c.size), 0), func.coalesce(func.sum(t.c.end - t.c.start), 0)
                ).where(t.c.recording == recording, t.c.copy.is_(copy), t.c.start >= start, t.c.start < end)
                taken, length = connection.execute(query).one()
                size += int(taken)
                covered += 0 if copy else int(length)
            return size, covered

        return self._database.read(work)

    def volume_bytes(self) -> dict[str, tuple[int, int]]:
        """Per volume: how many segments, and the sum of their sizes."""
        t = schema.segments
        query = select(t.c.volume, func.count().label("segments"), func.sum(t.c.size).label("bytes")).group_by(
            t.c.volume
        )
        return self._database.read(
            lambda connection: {row.volume: (int(row.segments), int(row.bytes)) for row in connection.execute(query)}
        )

    def volume_times(self, volume: str) -> tuple[int, int] | None:
        """Least start and greatest end of what a volume holds."""
        t = schema.segments
        query = select(func.min(t.c.start).label("first"), func.max(t.c.end).label("last")).where(t.c.volume == volume)

        def work(connection: Connection) -> tuple[int, int] | None:
            row = connection.execute(query).one()
            return None if row.first is None else (int(row.first), int(row.last))

        return self._database.read(work)

    def sizes(self, volume: str, after: int = 0, limit: int = 10_000) -> tuple[tuple[int, str, int, str], ...]:
        """Id, path, size and state of a volume's segments in order of id, for walking all of them in steps."""
        t = schema.segments
        query = select(t.c.id, t.c.path, t.c.size, t.c.state).where(t.c.volume == volume, t.c.id > after)
        query = query.order_by(t.c.id).limit(limit)
        return self._database.read(
            lambda connection: tuple((row.id, row.path, row.size, row.state) for row in connection.execute(query))
        )

    def archive(self, recordings: Sequence[RecordingRow]) -> tuple[str, ...]:
        """Make recordings that are not known part of the catalogue, with their tracks; gives those that were new."""

        def work(connection: Connection) -> tuple[str, ...]:
            made = []
            for row in recordings:
                if not connection.scalar(select(exists().where(schema.recordings.c.token == row.token))):
                    insert_recording(connection, row)
                    made.append(row.token)
            if made:
                bump(connection)
            return tuple(made)

        return self._database.write(work)

    def promote(self, volume: str) -> int:
        """What lies on a volume and is a second copy of nothing that is left becomes footage that is played; gives how many
        segments."""
        t, other = schema.segments, schema.segments.alias("other")
        original = exists().where(
            other.c.recording == t.c.recording,
            other.c.copy.is_(False),
            other.c.start < t.c.end,
            other.c.end > t.c.start,
        )
        query = update(t).where(t.c.volume == volume, t.c.copy.is_(True), ~original).values(copy=False)
        return self._database.write(lambda connection: connection.execute(query).rowcount)
