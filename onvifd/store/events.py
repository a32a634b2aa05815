"""Events as stored, for search."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import EventRow, Pairs

_DELETED = "Deleted"
CHUNK = 1000
"""Most rows deleted in one transaction, so that writers of segments need not wait."""
GLANCE = 4
"""How many times the rows that are wanted are looked at before runs are merged."""
FEW = 4
"""Runs that are merged at once, without a glance."""
RUNS = 400
"""Most runs that are merged (SQLite merges 500); of more recordings, nearly all that there are, rows are just filtered."""


class Events:
    """Appends, finds and forgets events. Order is by time, then by insertion."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._topics = _Topics()

    def insert(self, rows: Sequence[EventRow]) -> None:
        """Keep all of them or none."""
        values = [values_of(row) for row in rows]

        def work(connection: Connection) -> dict[str, int]:
            numbers = self._topics.made(connection, {row.topic for row in rows})
            numbered = [{**each, "topic": numbers[row.topic]} for each, row in zip(values, rows, strict=True)]
            connection.execute(insert(schema.events), numbered)
            return numbers

        if values:
            # Kept only now: a transaction that was undone made no rows.
            self._topics.keep(self._database.write(work))

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
        window = _Window(start, end, backward, limit)

        def work(connection: Connection) -> tuple[EventRow, ...]:
            names = self._topics.names(connection)
            numbers = None if topics is None else [number for number, name in names.items() if name in topics]
            found = _find(connection, window, recordings, numbers)
            return tuple(_event(row, names) for row in found)

        return self._database.read(work)

    def topics(self) -> tuple[str, ...]:
        """All topics that events ever had."""
        return self._database.read(lambda connection: tuple(self._topics.names(connection).values()))

    def states_at(self, at: int, recordings: Collection[str] | None) -> tuple[EventRow, ...]:
        """The last event with utc <= `at` of every property instance, unless it is a deletion."""
        t = schema.events
        # Steps from instance to instance through the index: there are few of them, each with very many events.
        first = select(t.c.instance).where(t.c.instance.is_not(None)).order_by(t.c.instance).limit(1)
        names = select(first.scalar_subquery().label("instance")).cte("instances", recursive=True)
        step = t.alias()
        following = select(step.c.instance).where(step.c.instance > names.c.instance).order_by(step.c.instance).limit(1)
        names = names.union_all(select(following.scalar_subquery()).where(names.c.instance.is_not(None)))
        each = t.alias()
        latest = (
            select(each.c.id)
            .where(each.c.instance == names.c.instance, each.c.utc <= at)
            .order_by(each.c.utc.desc(), each.c.id.desc())
            .limit(1)
        )
        wanted = select(latest.scalar_subquery()).select_from(names)

        def work(connection: Connection) -> tuple[EventRow, ...]:
            topics = self._topics.names(connection)
            # Two steps: in one, the planner would rather walk through all events of a recording.
            ids = [number for number in connection.scalars(wanted) if number is not None]
            found = [
                row
                for at in range(0, len(ids), CHUNK)
                for row in connection.execute(select(t).where(t.c.id.in_(ids[at : at + CHUNK])))
                if row.operation != _DELETED and (recordings is None or row.recording in recordings)
            ]
            return tuple(_event(row, topics) for row in sorted(found, key=lambda row: (row.utc, row.id)))

        return self._database.read(work)

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
        # The sum keeps the planner from walking by number: time leads.
        number = t.c.id + 0
        query = select(t).where(number > numbers[0], number <= numbers[1]).limit(limit)
        if reverse:
            query = query.where(t.c.utc <= utc).order_by(t.c.utc.desc(), t.c.id.desc())
        else:
            query = query.where(t.c.utc >= utc).order_by(t.c.utc, t.c.id)
        if behind is not None:
            time, last = behind
            # The first condition alone lets the index be used; the second is exact.
            if reverse:
                query = query.where(t.c.utc <= time, (t.c.utc < time) | (t.c.id < last))
            else:
                query = query.where(t.c.utc >= time, (t.c.utc > time) | (t.c.id > last))

        def work(connection: Connection) -> tuple[tuple[int, EventRow], ...]:
            names = self._topics.names(connection)
            chosen = query
            if topics is not None:
                chosen = query.where(t.c.topic.in_([number for number, name in names.items() if name in topics]))
            return tuple((row.id, _event(row, names)) for row in connection.execute(chosen))

        return self._database.read(work)

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
            # The first condition alone lets the index be used; the second is exact.
            .where(newer.c.utc >= t.c.utc, (newer.c.utc > t.c.utc) | (newer.c.id > t.c.id))
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


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of time, an order and a bound: what a question about events begins with."""

    start: int
    end: int | None
    backward: bool
    limit: int

    def of(self, query: Select[Any]) -> Select[Any]:
        query = query.where(schema.events.c.utc >= self.start)
        return query if self.end is None else query.where(schema.events.c.utc <= self.end)

    def sorted(self, query: Any, columns: Any, limit: int) -> Any:
        order = (columns.utc.desc(), columns.id.desc()) if self.backward else (columns.utc, columns.id)
        return query.order_by(*order).limit(limit)


def _find(
    connection: Connection, window: _Window, recordings: Collection[str] | None, topics: Collection[int] | None
) -> Sequence[Row[Any]]:
    """Rows of these recordings and topics, at a cost that does not grow with what lies between them.

    Where a glance at the next events of any kind gives enough, that is it. Otherwise each recording (or topic) is a run of
    its own in an index, and the database merges the runs.
    """
    t = schema.events

    def plain() -> Sequence[Row[Any]]:
        query = _with(window.of(select(t)), recordings, topics)
        return connection.execute(window.sorted(query, t.c, window.limit)).all()

    by_recording = recordings is not None and (topics is None or len(recordings) <= FEW)
    runs = recordings if by_recording else topics
    if runs is None or len(runs) == 1 or len(runs) > RUNS:
        return plain() if runs is None or runs else []
    if not runs or recordings == frozenset():
        return []
    if len(runs) > FEW:
        glance = window.sorted(window.of(select(t)), t.c, GLANCE * window.limit).subquery()
        found = connection.execute(
            window.sorted(_with(select(glance), recordings, topics, glance.c), glance.c, window.limit)
        ).all()
        if len(found) >= window.limit:
            return found
        passed = connection.scalar(select(func.count()).select_from(glance)) or 0
        if passed < GLANCE * window.limit:
            return found
    column = t.c.recording if by_recording else t.c.topic
    each = [
        _with(
            window.of(select(t).where(column == run)),
            None if by_recording else recordings,
            topics if by_recording else None,
        )
        for run in sorted(runs)
    ]
    union = union_all(*each)
    return connection.execute(window.sorted(union, union.selected_columns, window.limit)).all()


def _with(
    query: Select[Any], recordings: Collection[str] | None, topics: Collection[int] | None, columns: Any = None
) -> Select[Any]:
    columns = schema.events.c if columns is None else columns
    if recordings is not None:
        query = query.where(columns.recording.in_(sorted(recordings)))
    if topics is not None:
        query = query.where(columns.topic.in_(sorted(topics)))
    return query


class _Topics:
    """Numbers of topics. Those that are stored once are kept in memory: rows of topics never change. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}

    def names(self, connection: Connection) -> Mapping[int, str]:
        """All topics by number: few, and other processes make some too, so they are read each time."""
        return {row.id: row.name for row in connection.execute(select(schema.topics))}

    def made(self, connection: Connection, names: set[str]) -> dict[str, int]:
        """Numbers of these topics; rows for new ones are made."""
        t = schema.topics
        with self._lock:
            known = {name: self._numbers[name] for name in names if name in self._numbers}
        missing = sorted(names - known.keys())
        if missing:
            make: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            # Another process may store the same at this moment.
            connection.execute(make(t).on_conflict_do_nothing(), [{"name": name} for name in missing])
            known |= {row.name: row.id for row in connection.execute(select(t).where(t.c.name.in_(missing)))}
        return known

    def keep(self, numbers: Mapping[str, int]) -> None:
        with self._lock:
            self._numbers.update(numbers)


def _of(query: Select[Any], recordings: Collection[str] | None) -> Select[Any]:
    if recordings is None:
        return query
    return query.where(schema.events.c.recording.in_(sorted(recordings)))


def values_of(row: EventRow) -> dict[str, Any]:
    """The columns of a row, but for the number of its topic."""
    body = [row.source, row.key, row.data, row.elements]
    return {
        "utc": row.utc,
        "recording": row.recording,
        "operation": row.operation,
        "instance": _instance(row) if row.operation else None,
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    }


def _instance(row: EventRow) -> bytes:
    identity = json.dumps([row.topic, row.source, row.key], ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(identity.encode(), digest_size=16).digest()


def _event(row: Row[Any], topics: Mapping[int, str]) -> EventRow:
    source, key, data, elements = (_pairs(part) for part in json.loads(row.body))
    return EventRow(
        utc=row.utc,
        topic=topics[row.topic],
        recording=row.recording,
        operation=row.operation,
        source=source,
        key=key,
        data=data,
        elements=elements,
    )


def _pairs(part: list[list[str]]) -> Pairs:
    return tuple((name, value) for name, value in part)
