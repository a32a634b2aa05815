"""Spans: stretches of recorded time with the record type that counts most and all that apply."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import SpanRow

UNSTORED = 60_000_000
"""Microseconds of footage that a worker that dies may leave behind without an entry in the index; what is farther back is due to
a clock that was set."""


class Spans:
    """Every method blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, recording: str, kind: str, start: int, marks: Sequence[str] = ()) -> int:
        """A span starts; gives its id."""
        t = schema.spans
        values = {"recording": recording, "kind": kind, "start": start, "end": None, "marks": ",".join(marks)}
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
        """A span ends; one that would have no length is deleted. If its footage ended before it began, as the worker had not
        stored yet what was recorded then, the span before ends there too."""
        t = schema.spans

        def work(connection: Connection) -> None:
            query = delete(t).where(t.c.id == span, t.c.start >= end).returning(t.c.recording, t.c.start)
            empty = connection.execute(query).first()
            if empty is None:
                connection.execute(update(t).where(t.c.id == span).values(end=end))
            elif empty.start - end <= UNSTORED:
                before = and_(t.c.recording == empty.recording, t.c.end == empty.start, t.c.start < end)
                connection.execute(update(t).where(before).values(end=end))

        self._database.write(work)

    def between(
        self, recording: str, start: int, end: int, limit: int = 1000, *, kinds: Sequence[str] = ()
    ) -> tuple[SpanRow, ...]:
        """At most `limit` spans in order of start that begin before `end` and end after `start` or still last.

        With `kinds`, those alone that one of these types applies to.
        """
        t = schema.spans
        query = select(t.c.id, t.c.recording, t.c.kind, t.c.start, t.c.end, t.c.marks).where(
            and_(t.c.recording == recording, t.c.start < end, or_(t.c.end.is_(None), t.c.end > start))
        )
        # Spans of a recording follow each other: of those that began before `start` only the last can reach into it.
        last = select(func.max(t.c.start)).where(t.c.recording == recording, t.c.start <= start).scalar_subquery()
        query = query.where(t.c.start >= func.coalesce(last, start))
        if kinds:
            marked = ("," + t.c.marks + ",").contains
            query = query.where(or_(t.c.kind.in_(kinds), *(marked(f",{kind},", autoescape=True) for kind in kinds)))
        query = query.order_by(t.c.start, t.c.id).limit(limit)

        def work(connection: Connection) -> tuple[SpanRow, ...]:
            # A day of many channels has thousands: by name of each column it would take twice as long.
            return tuple(
                SpanRow(id=number, recording=recording, kind=kind, start=first, end=last, marks=marks)
                for number, recording, kind, first, last, marks in connection.execute(query)
            )

        return self._database.read(work)

    def forget_before(self, recording: str, utc: int) -> None:
        """Delete the spans that ended before `utc`, with the footage they described."""
        t = schema.spans
        self._database.write(
            lambda connection: connection.execute(
                delete(t).where(t.c.recording == recording, t.c.start <= utc, t.c.end <= utc)
            )
        )
