"""Counters of segments: how many, how many bytes, per recording, volume, copy or not, and kinds of track with data.

They are changed in the transaction that changes the segments, so they are exact to the byte whoever asks. A check compares
them with the rows; what it finds is added to them, which is right even if writers went on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from onvifd.errors import Conflict
from onvifd.store import schema
from onvifd.store.engine import Database

Key = tuple[str, str, bool, int]
"""Recording, volume, copy, kinds."""
_GENERATION = "usage"
"""Key in `settings`: how often the counters were put right."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What must be added to the counters of one key to make them right."""

    recording: str
    volume: str
    copy: bool
    kinds: int
    segments: int
    bytes: int


class Tally:
    """Collects what a transaction changes, and stores it at its end."""

    def __init__(self) -> None:
        self._changes: dict[Key, list[int]] = {}

    def add(self, row: Any, *, kinds: int, size: int, length: int) -> None:
        """A segment with `recording`, `volume` and `copy` of `row` is there now."""
        change = self._of(row, bool(row.copy), kinds)
        change[0] += 1
        change[1] += size
        change[2] = max(change[2], length)

    def take(self, row: Any, *, copy: bool | None = None) -> None:
        """A segment with `recording`, `volume`, `copy` (or another), `kinds` and `size` of `row` is no more."""
        change = self._of(row, bool(row.copy) if copy is None else copy, row.kinds)
        change[0] -= 1
        change[1] -= row.size

    def _of(self, row: Any, copy: bool, kinds: int) -> list[int]:
        return self._changes.setdefault((row.recording, row.volume, copy, kinds), [0, 0, 0])

    def store(self, connection: Connection) -> None:
        _add(connection, {key: (change[0], change[1], change[2]) for key, change in self._changes.items()})


def _add(connection: Connection, changes: Mapping[Key, tuple[int, int, int]]) -> None:
    t = schema.usage
    # In one order, so that two transactions do not wait for each other's rows.
    values = [
        {
            "recording": recording,
            "volume": volume,
            "copy": copy,
            "kinds": kinds,
            "segments": segments,
            "bytes": size,
            "longest": longest,
        }
        for (recording, volume, copy, kinds), (segments, size, longest) in sorted(changes.items())
    ]
    if not values:
        return
    connection.execute(_upsert(connection.dialect.name), values)
    emptied = [
        and_(t.c.recording == key[0], t.c.volume == key[1], t.c.copy == key[2], t.c.kinds == key[3])
        for key, change in sorted(changes.items())
        if change[0] < 0
    ]
    for start in range(0, len(emptied), 100):
        connection.execute(delete(t).where(t.c.segments == 0, t.c.bytes == 0, or_(*emptied[start : start + 100])))


@cache
def _upsert(dialect: str) -> Any:
    """Made once: it runs each second, and making it takes longer than that."""
    t = schema.usage
    make: Any = sqlite.insert if dialect == "sqlite" else postgresql.insert
    query = make(t)
    new = query.excluded
    return query.on_conflict_do_update(
        index_elements=[t.c.recording, t.c.volume, t.c.copy, t.c.kinds],
        set_={
            "segments": t.c.segments + new.segments,
            "bytes": t.c.bytes + new.bytes,
            "longest": case((new.longest > t.c.longest, new.longest), else_=t.c.longest),
        },
    )


class Usage:
    """Answers of the counters, and their check."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def bytes(self, *, recording: str | None = None, volume: str | None = None) -> int:
        """Bytes of all segments of a recording, on a volume, or of a recording on a volume."""
        return self._sum(schema.usage.c.bytes, recording, volume)

    def segments(self, *, recording: str | None = None, volume: str | None = None) -> int:
        return self._sum(schema.usage.c.segments, recording, volume)

    def _sum(self, column: Any, recording: str | None, volume: str | None) -> int:
        query = select(func.coalesce(func.sum(column), 0))
        if recording is not None:
            query = query.where(schema.usage.c.recording == recording)
        if volume is not None:
            query = query.where(schema.usage.c.volume == volume)
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def recorded(self) -> tuple[str, ...]:
        """Tokens of the recordings that have segments, sorted."""
        query = select(schema.usage.c.recording).distinct()
        # Sorted here: the collation of PostgreSQL may not be by code point.
        return self._database.read(lambda connection: tuple(sorted(connection.scalars(query))))

    def by_volume(self) -> dict[tuple[str, str], int]:
        """Bytes of each recording on each volume."""
        t = schema.usage
        query = select(t.c.recording, t.c.volume, func.sum(t.c.bytes).label("total"))
        query = query.group_by(t.c.recording, t.c.volume)
        return self._database.read(
            lambda connection: {(row.recording, row.volume): int(row.total) for row in connection.execute(query)}
        )

    def volumes(self) -> dict[str, tuple[int, int]]:
        """Per volume: how many segments, and their bytes."""
        t = schema.usage
        query = select(t.c.volume, func.sum(t.c.segments).label("segments"), func.sum(t.c.bytes).label("total"))
        query = query.group_by(t.c.volume)
        return self._database.read(
            lambda connection: {row.volume: (int(row.segments), int(row.total)) for row in connection.execute(query)}
        )

    def check(self) -> tuple[Difference, ...]:
        """Compare with the rows, all of which are read; nothing is changed and no writer waits."""
        return self._database.read(lambda connection: _differences(connection)[0])

    def repair(self) -> tuple[Difference, ...]:
        """Put the counters right and give what was wrong. Raises Conflict if another process did so meanwhile."""
        # The rows are read on a snapshot. Writers change rows and counters alike after it, so the difference stays the same.
        found, longest, generation = self._database.read(
            lambda connection: (*_differences(connection), _generation(connection))
        )
        changes = {(d.recording, d.volume, d.copy, d.kinds): (d.segments, d.bytes, 0) for d in found}
        for key, length in longest.items():
            segments, size, _ = changes.get(key, (0, 0, 0))
            changes[key] = (segments, size, length)

        def work(connection: Connection) -> None:
            if _generation(connection, lock=True) != generation:
                raise Conflict("the counters of segments are being repaired by another process")
            _raise_generation(connection, generation)
            _add(connection, changes)
            connection.execute(delete(schema.usage).where(schema.usage.c.segments == 0, schema.usage.c.bytes == 0))

        if changes:
            self._database.write(work)
        return found


def _differences(connection: Connection) -> tuple[tuple[Difference, ...], dict[Key, int]]:
    """What is wrong, and by key the longest segment where the counters say less."""
    t, u = schema.segments, schema.usage
    columns = (t.c.recording, t.c.volume, t.c.copy, t.c.kinds)
    query = select(*columns, func.count(), func.sum(t.c.size), func.max(t.c.end - t.c.start)).group_by(*columns)
    right = {_key(row): (int(row[4]), int(row[5]), int(row[6])) for row in connection.execute(query)}
    counted = {
        _key(row): (int(row[4]), int(row[5]), int(row[6]))
        for row in connection.execute(
            select(u.c.recording, u.c.volume, u.c.copy, u.c.kinds, u.c.segments, u.c.bytes, u.c.longest)
        )
    }
    wrong = []
    for key in sorted(right.keys() | counted.keys()):
        segments, size, _ = right.get(key, (0, 0, 0))
        known = counted.get(key, (0, 0, 0))
        if (segments, size) != known[:2]:
            wrong.append(Difference(*key, segments - known[0], size - known[1]))
    longer = {key: values[2] for key, values in right.items() if values[2] > counted.get(key, (0, 0, 0))[2]}
    return tuple(wrong), longer


def _key(row: Iterable[Any]) -> Key:
    recording, volume, copy, kinds, *_ = row
    return recording, volume, bool(copy), kinds


def _generation(connection: Connection, *, lock: bool = False) -> int:
    query = select(schema.settings.c.value).where(schema.settings.c.key == _GENERATION)
    value = connection.scalar(query.with_for_update() if lock else query)
    return int(value) if value is not None else 0


def _raise_generation(connection: Connection, generation: int) -> None:
    t = schema.settings
    if generation:
        connection.execute(update(t).where(t.c.key == _GENERATION).values(value=str(generation + 1)))
    else:
        connection.execute(insert(t).values(key=_GENERATION, value="1"))
