"""Questions of retention and accounting about the index, and what a rebuild puts into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, exists, func, or_, select

from onvifd.store import schema
from onvifd.store.ages import Ages, Stretch
from onvifd.store.engine import Database
from onvifd.store.recordings import insert_recording
from onvifd.store.rows import RecordingRow
from onvifd.store.segments import Segments
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
        locks: Mapping[str, Sequence[Stretch]] | None = None,
    ) -> tuple[dict[str, Any], ...]:
        """Rows that are not open in order of start, second copies too, without the large columns.

        `locks` has by recording stretches of time; rows that overlap one are passed over, however many.
        """
        t = schema.segments
        columns = (t.c.id, t.c.recording, t.c.volume, t.c.path, t.c.start, t.c.end, t.c.size, t.c.kinds, t.c.copy)
        ages = Ages(limit=limit, volume=volume, recording=recording, before=before, after=after, locks=locks or {})

        def work(connection: Connection) -> tuple[dict[str, Any], ...]:
            query = select(*columns).where(t.c.id.in_(ages.ids(connection))).order_by(t.c.start, t.c.id)
            return tuple(dict(row) for row in connection.execute(query).mappings())

        return self._database.read(work)

    def holds_any(self, volume: str, recording: str, start: int, end: int) -> bool:
        """Whether a segment of a recording that touches this time lies on a volume, second copies and open ones included."""
        t, u = schema.segments, schema.usage
        # No segment is longer: what begins before does not reach into it.
        longest = (
            select(func.coalesce(func.max(u.c.longest), 0))
            .where(u.c.recording == recording, u.c.volume == volume)
            .scalar_subquery()
        )
        query = select(
            exists().where(
                t.c.volume == volume,
                t.c.recording == recording,
                t.c.start < end,
                t.c.start > start - longest - 1,
                or_(t.c.end > start, t.c.start >= start),
            )
        )
        return self._database.read(lambda connection: bool(connection.scalar(query)))

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
        return self._segments.usage.volumes()

    def volume_times(self, volume: str) -> tuple[int, int] | None:
        """Least start and greatest end of what a volume holds."""
        t, u = schema.segments, schema.usage
        runs = select(u.c.recording, func.max(u.c.longest).label("longest")).where(u.c.volume == volume)
        run = runs.group_by(u.c.recording).subquery()
        mine = (t.c.volume == volume, t.c.recording == run.c.recording)
        first = select(func.min(t.c.start)).where(*mine).correlate(run).scalar_subquery()
        other = t.alias()
        latest = select(func.max(other.c.start)).where(other.c.volume == volume, other.c.recording == run.c.recording)
        edge = latest.correlate(run).scalar_subquery() - run.c.longest
        last = select(func.max(t.c.end)).where(*mine, t.c.start >= edge).correlate(run).scalar_subquery()

        def work(connection: Connection) -> tuple[int, int] | None:
            found = [
                (row.first, row.last)
                for row in connection.execute(select(first.label("first"), last.label("last")).select_from(run))
            ]
            times = [each for each in found if each[0] is not None]
            return (min(low for low, _ in times), max(high for _, high in times)) if times else None

        return self._database.read(work)

    def times(self, recording: str) -> tuple[int, int] | None:
        """Least start and greatest end of what can be played of a recording."""
        found = self._segments.times_by_kinds(recording).get(recording, {})
        times = [each for kinds, each in found.items() if kinds]
        return (min(first for first, _ in times), max(last for _, last in times)) if times else None

    def newest(self, volume: str, recording: str, limit: int) -> tuple[str, ...]:
        """Paths of the newest segments of a recording on a volume."""
        t = schema.segments
        query = select(t.c.path).where(t.c.volume == volume, t.c.recording == recording)
        query = query.order_by(t.c.start.desc()).limit(limit)
        return self._database.read(lambda connection: tuple(connection.scalars(query)))

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
        chosen = select(t.c.id).where(t.c.volume == volume, t.c.copy.is_(True), ~original)
        return self._segments.promote(chosen)
