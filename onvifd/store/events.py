"""Events as stored, for search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, func, insert, select

from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import EventRow, Pairs

_DELETED = "Deleted"
CHUNK = 1000
"""Most rows deleted in one transaction, so that writers of segments need not wait."""


class Events:
    """Appends, finds and forgets events. Order is by time, then by insertion."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, rows: Sequence[EventRow]) -> None:
        """Keep all of them or none."""
        values = [_values(row) for row in rows]
        if values:
            self._database.write(lambda connection: connection.execute(insert(schema.events), values))

    def between(
        self,
        *,
        start: int,
        end: int | None,
        recordings: Collection[str] | None,
        backward: bool,
        limit: int,
        topics: Collection[str] | None = None,
    ) -> tuple[EventRow, ...]:
        """At most `limit` events with `start` <= utc <= `end`; None chooses all recordings, topics, or no end."""
        t = schema.events
        query = select(t).where(t.c.utc >= start).limit(limit)
        if end is not None:
            query = query.where(t.c.utc <= end)
        query = _of(query, recordings)
        if topics is not None:
            query = query.where(t.c.topic.in_(sorted(topics)))
        order = (t.c.utc.desc(), t.c.id.desc()) if backward else (t.c.utc, t.c.id)
        query = query.order_by(*order)
        return self._database.read(lambda connection: tuple(_event(row) for row in connection.execute(query)))

    def states_at(self, at: int, recordings: Collection[str] | None) -> tuple[EventRow, ...]:
        """The last event with utc <= `at` of every property instance, unless it is a deletion."""
        t = schema.events
        latest = func.row_number().over(partition_by=t.c.instance, order_by=(t.c.utc.desc(), t.c.id.desc()))
        inner = _of(
            select(t, latest.label("rank")).where(t.c.utc <= at, t.c.instance.is_not(None)), recordings
        ).subquery()
        query = select(inner).where(and_(inner.c.rank == 1, inner.c.operation != _DELETED))
        query = query.order_by(inner.c.utc, inner.c.id)
        return self._database.read(lambda connection: tuple(_event(row) for row in connection.execute(query)))

    def bounds(self) -> tuple[int, int | None]:
        """The highest number given (0: none), and the lowest time stored (None: nothing is)."""
        t = schema.events
        first = select(t.c.utc).order_by(t.c.utc, t.c.id).limit(1)
        last = select(t.c.id).order_by(t.c.id.desc()).limit(1)
        return self._database.read(lambda connection: (connection.scalar(last) or 0, connection.scalar(first)))

    def page(
        self,
        *,
        utc: int,
        reverse: bool,
        numbers: tuple[int, int],
        behind: tuple[int, int] | None,
        topics: Collection[str] | None,
        limit: int,
    ) -> tuple[tuple[int, EventRow], ...]:
        """At most `limit` numbered events from `utc` on, or back with `reverse`.

        `numbers` bounds their numbers (above, up to); `behind` is the time and number of the event after which to go on.
        """
        t = schema.events
        query = select(t).where(t.c.id > numbers[0], t.c.id <= numbers[1]).limit(limit)
        if topics is not None:
            query = query.where(t.c.topic.in_(sorted(topics)))
        if reverse:
            query = query.where(t.c.utc <= utc).order_by(t.c.utc.desc(), t.c.id.desc())
        else:
            query = query.where(t.c.utc >= utc).order_by(t.c.utc, t.c.id)
        if behind is not None:
            time, number = behind
            # The first condition alone lets the index be used; the second is exact.
            if reverse:
                query = query.where(t.c.utc <= time, (t.c.utc < time) | (t.c.id < number))
            else:
                query = query.where(t.c.utc >= time, (t.c.utc > time) | (t.c.id > number))
        return self._database.read(lambda connection: tuple((row.id, _event(row)) for row in connection.execute(query)))

    def forget_before(self, utc: int) -> int:
        """Delete events older than `utc`, but never the latest of a property instance: it is still its state.

        Gives the number deleted.
        """
        t = schema.events
        newer = schema.events.alias()
        # A later event of the same instance that is itself no younger than needed makes this one superfluous.
        superseded = (
            select(newer.c.id)
            .where(newer.c.instance == t.c.instance, newer.c.utc <= utc)
            .where((newer.c.utc > t.c.utc) | ((newer.c.utc == t.c.utc) & (newer.c.id > t.c.id)))
            .exists()
        )
        old = (
            select(t.c.id)
            .where(t.c.utc < utc)
            .where(t.c.instance.is_(None) | superseded)
            .order_by(t.c.utc)
            .limit(CHUNK)
        )
        total = 0

        def work(connection: Connection) -> int:
            ids = list(connection.scalars(old))
            if ids:
                connection.execute(delete(t).where(t.c.id.in_(ids)))
            return len(ids)

        while True:
            count = self._database.write(work)
            total += count
            if count < CHUNK:
                return total


def _of(query: Select[Any], recordings: Collection[str] | None) -> Select[Any]:
    if recordings is None:
        return query
    return query.where(schema.events.c.recording.in_(sorted(recordings)))


def _values(row: EventRow) -> dict[str, Any]:
    body = [row.source, row.key, row.data, row.elements]
    return {
        "utc": row.utc,
        "topic": row.topic,
        "recording": row.recording,
        "operation": row.operation,
        "instance": _instance(row) if row.operation else None,
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    }


def _instance(row: EventRow) -> bytes:
    identity = json.dumps([row.topic, row.source, row.key], ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(identity.encode(), digest_size=16).digest()


def _event(row: Row[Any]) -> EventRow:
    source, key, data, elements = (_pairs(part) for part in json.loads(row.body))
    return EventRow(
        utc=row.utc,
        topic=row.topic,
        recording=row.recording,
        operation=row.operation,
        source=source,
        key=key,
        data=data,
        elements=elements,
    )


def _pairs(part: list[list[str]]) -> Pairs:
    return tuple((name, value) for name, value in part)
