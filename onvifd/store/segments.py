"""Segments and spans: the index of the archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, delete, func, insert, or_, select, update

from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import SegmentRow, SpanRow

OPEN = "open"


class Segments:
    """Rows of segments. Several processes insert and change them at once, each its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, row: SegmentRow) -> int:
        """Store a row and give its id. One with the same volume and path is replaced."""
        t = schema.segments
        values = asdict(row)
        del values["id"]

        def work(connection: Connection) -> int:
            connection.execute(delete(t).where(t.c.volume == row.volume, t.c.path == row.path))
            return int(connection.execute(insert(t).values(values).returning(t.c.id)).scalar_one())

        return self._database.write(work)

    def change(
        self,
        segment: int,
        *,
        end: int,
        size: int,
        kinds: int,
        fragments: bytes,
        state: str | None = None,
        end_reason: str | None = None,
    ) -> None:
        """Set these columns; nothing happens if the row is gone."""
        values: dict[str, Any] = {"end": end, "size": size, "kinds": kinds, "fragments": fragments}
        if state is not None:
            values["state"] = state
        if end_reason is not None:
            values["end_reason"] = end_reason
        t = schema.segments
        self._database.write(lambda connection: connection.execute(update(t).where(t.c.id == segment).values(values)))

    def grow(self, changes: Mapping[int, Mapping[str, Any]]) -> None:
        """Set `end`, `size`, `kinds` and `fragments` of many rows in one transaction; rows that are gone are left out."""
        t = schema.segments
        columns: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("end", "size", "kinds", "fragments")}
        query = update(t).where(t.c.id == bindparam("segment")).values(columns)
        values = [
            {"segment": segment, **{f"new_{name}": value for name, value in each.items()}}
            for segment, each in changes.items()
        ]
        if values:
            self._database.write(lambda connection: connection.execute(query, values))

    def remove(self, segment: int) -> None:
        t = schema.segments
        self._database.write(lambda connection: connection.execute(delete(t).where(t.c.id == segment)))

    def between(self, recording: str, start: int, end: int, limit: int) -> tuple[SegmentRow, ...]:
        """At most `limit` rows in order of start that begin before `end` and end after `start`, or are open; no copies."""
        t = schema.segments
        # The inner query is answered from the index alone; only the rows that it names are read.
        wanted = (
            select(t.c.id)
            .where(t.c.recording == recording, ~t.c.copy, t.c.start < end, or_(t.c.end > start, t.c.state == OPEN))
            .order_by(t.c.start, t.c.id)
            .limit(limit)
        )
        return self._rows(select(t).where(t.c.id.in_(wanted)).order_by(t.c.start, t.c.id))

    def at(self, recording: str, utc: int) -> SegmentRow | None:
        """The last row with `start` <= utc, copies left out."""
        t = schema.segments
        query = select(t).where(t.c.recording == recording, ~t.c.copy, t.c.start <= utc)
        return self._one(query.order_by(t.c.start.desc(), t.c.id.desc()).limit(1))

    def after(self, recording: str, utc: int) -> SegmentRow | None:
        """The first row with `start` > utc, copies left out."""
        t = schema.segments
        query = select(t).where(t.c.recording == recording, ~t.c.copy, t.c.start > utc)
        return self._one(query.order_by(t.c.start, t.c.id).limit(1))

    def times_by_kinds(self, recording: str) -> dict[int, tuple[int, int]]:
        """Least start and greatest end for each combination of kind bits that occurs, copies left out."""
        t = schema.segments
        query = select(t.c.kinds, func.min(t.c.start).label("first"), func.max(t.c.end).label("last"))
        query = query.where(t.c.recording == recording, ~t.c.copy).group_by(t.c.kinds)
        return self._database.read(
            lambda connection: {row.kinds: (row.first, row.last) for row in connection.execute(query)}
        )

    def recorded(self) -> tuple[str, ...]:
        """Tokens of the recordings that have segments, sorted."""
        t = schema.segments
        # Steps from token to token through the index: DISTINCT would walk the rows of all segments.
        tokens = select(func.min(t.c.recording).label("token")).cte("tokens", recursive=True)
        following = select(func.min(t.c.recording)).where(t.c.recording > tokens.c.token).scalar_subquery()
        tokens = tokens.union_all(select(following).where(tokens.c.token.is_not(None)))
        query = select(tokens.c.token).where(tokens.c.token.is_not(None))
        # Sorted here: the collation of PostgreSQL may not be by code point.
        return self._database.read(lambda connection: tuple(sorted(connection.scalars(query))))

    def open(self) -> tuple[SegmentRow, ...]:
        t = schema.segments
        return self._rows(select(t).where(t.c.state == OPEN).order_by(t.c.id))

    def by_path(self, volume: str, path: str) -> SegmentRow | None:
        t = schema.segments
        return self._one(select(t).where(t.c.volume == volume, t.c.path == path))

    def on_volume(self, volume: str, after: int, limit: int) -> tuple[SegmentRow, ...]:
        """Rows of a volume in order of id, those with a greater id than `after`."""
        t = schema.segments
        return self._rows(select(t).where(t.c.volume == volume, t.c.id > after).order_by(t.c.id).limit(limit))

    def oldest(self, volume: str, limit: int) -> tuple[SegmentRow, ...]:
        """The oldest rows of a volume that are not open."""
        t = schema.segments
        query = select(t).where(t.c.volume == volume, t.c.state != OPEN)
        return self._rows(query.order_by(t.c.start, t.c.id).limit(limit))

    def recording_bytes(self, recording: str) -> int:
        t = schema.segments
        query = select(func.coalesce(func.sum(t.c.size), 0)).where(t.c.recording == recording)
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def volume_bytes(self, volume: str) -> int:
        t = schema.segments
        query = select(func.coalesce(func.sum(t.c.size), 0)).where(t.c.volume == volume)
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def count(self, volume: str) -> int:
        """How many segments a volume holds."""
        t = schema.segments
        query = select(func.count()).select_from(t).where(t.c.volume == volume)
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def _rows(self, query: Select[Any]) -> tuple[SegmentRow, ...]:
        return self._database.read(
            lambda connection: tuple(SegmentRow(**row) for row in connection.execute(query).mappings())
        )

    def _one(self, query: Select[Any]) -> SegmentRow | None:
        rows = self._rows(query)
        return rows[0] if rows else None


class Spans:
    """Stretches of recorded time with a record type."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, recording: str, kind: str, start: int) -> int:
        """A span starts; gives its id."""
        t = schema.spans
        values = {"recording": recording, "kind": kind, "start": start, "end": None}
        return self._database.write(
            lambda connection: int(connection.execute(insert(t).values(values).returning(t.c.id)).scalar_one())
        )

    def unfinished(self) -> tuple[SpanRow, ...]:
        """Spans without an end: those that last, and after a crash those that nobody ended."""
        query = select(schema.spans).where(schema.spans.c.end.is_(None)).order_by(schema.spans.c.id)
        return self._database.read(
            lambda connection: tuple(SpanRow(**row) for row in connection.execute(query).mappings())
        )

    def finish(self, span: int, end: int) -> None:
        t = schema.spans
        self._database.write(lambda connection: connection.execute(update(t).where(t.c.id == span).values(end=end)))

    def between(self, recording: str, start: int, end: int, limit: int = 1000) -> tuple[SpanRow, ...]:
        """At most `limit` spans in order of start that begin before `end` and end after `start` or still last."""
        t = schema.spans
        query = select(t).where(
            and_(t.c.recording == recording, t.c.start < end, or_(t.c.end.is_(None), t.c.end > start))
        )
        query = query.order_by(t.c.start, t.c.id).limit(limit)
        return self._database.read(
            lambda connection: tuple(SpanRow(**row) for row in connection.execute(query).mappings())
        )

    def forget_before(self, recording: str, utc: int) -> None:
        """Delete the spans that ended before `utc`, with the footage they described."""
        t = schema.spans
        self._database.write(
            lambda connection: connection.execute(delete(t).where(t.c.recording == recording, t.c.end <= utc))
        )
