"""Segments: the index of the archive."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from onvifd.store import schema
from onvifd.store.ages import Ages, Stretch
from onvifd.store.engine import Database
from onvifd.store.rows import SegmentRow
from onvifd.store.usage import Tally, Usage

OPEN = "open"
DAYS = 50
"""Stretches that one statement looks into."""

_t, _f = schema.segments, schema.formats
# Written out: an index of the open ones is used only where the statement itself names the state.
_IS_OPEN = _t.c.state == literal_column("'open'")
_COLUMNS: tuple[Any, ...] = (
    *(column for column in _t.c if column.name != "format"),
    func.coalesce(_f.c.body, "[]").label("formats"),
)
# Made once: all that grow are told of each second, and making a statement takes longer than running it.
_GROWING = (
    select(_t.c.id, _t.c.recording, _t.c.volume, _t.c.copy, _t.c.kinds, _t.c.size, _t.c.start)
    .where(_t.c.id.in_(bindparam("wanted", expanding=True)))
    .order_by(_t.c.id)
    .with_for_update()
)
_GROW = (
    update(_t)
    .where(_t.c.id == bindparam("segment"))
    .values({name: bindparam(f"new_{name}") for name in ("end", "size", "kinds", "fragments")})
)


class Segments:
    """Rows of segments. Several processes insert and change them at once, each its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.usage = Usage(database)

    # ---- changes

    def insert(self, row: SegmentRow) -> int:
        """Store a row and give its id. One with the same volume and path is replaced."""
        values = asdict(row)
        del values["id"], values["formats"]

        def work(connection: Connection) -> int:
            tally = Tally()
            _delete(connection, and_(_t.c.volume == row.volume, _t.c.path == row.path), tally)
            values["format"] = format_row(connection, row.formats)
            number = int(connection.execute(insert(_t).values(values).returning(_t.c.id)).scalar_one())
            tally.add(row, kinds=row.kinds, size=row.size, length=row.end - row.start)
            tally.store(connection)
            return number

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

        def work(connection: Connection) -> None:
            if _count_growth(connection, {segment: values}):
                connection.execute(update(_t).where(_t.c.id == segment).values(values))

        self._database.write(work)

    def grow(self, changes: Mapping[int, Mapping[str, Any]]) -> None:
        """Set `end`, `size`, `kinds` and `fragments` of many rows in one transaction; rows that are gone are left out."""

        def work(connection: Connection) -> None:
            values = [
                {"segment": segment, **{f"new_{name}": value for name, value in changes[segment].items()}}
                for segment in _count_growth(connection, changes)
            ]
            if values:
                connection.execute(_GROW, values)

        if changes:
            self._database.write(work)

    def remove(self, *segments: int) -> None:
        """Delete rows in one transaction."""

        def work(connection: Connection) -> None:
            tally = Tally()
            _delete(connection, _t.c.id.in_(segments), tally)
            tally.store(connection)

        if segments:
            self._database.write(work)

    def promote(self, chosen: Select[tuple[int]]) -> int:
        """Make these copies footage that is played; gives how many."""
        columns = (_t.c.id, _t.c.recording, _t.c.volume, _t.c.copy, _t.c.kinds, _t.c.size, _t.c.start, _t.c.end)

        def work(connection: Connection) -> int:
            tally = Tally()
            # The row is taken as it was, and added as it is: RETURNING gives it as it is.
            rows = connection.execute(
                update(_t).where(_t.c.id.in_(chosen)).values(copy=False).returning(*columns)
            ).all()
            for row in rows:
                tally.take(row, copy=True)
                tally.add(row, kinds=row.kinds, size=row.size, length=row.end - row.start)
            tally.store(connection)
            return len(rows)

        return self._database.write(work)

    # ---- playback: copies are left out

    def between(self, recording: str, start: int, end: int, limit: int) -> tuple[SegmentRow, ...]:
        """At most `limit` rows in order of start that begin before `end` and end after `start`, or are open; no copies."""
        reach = _reach(recording)
        # The inner query is answered from the index alone; only the rows that it names are read. No segment is longer than
        # the reach, so those that began before it can only be open ones.
        near = (
            select(_t.c.id)
            .where(*_played(recording), _t.c.start < end, _t.c.start > start - reach, or_(_t.c.end > start, _IS_OPEN))
            .order_by(_t.c.start, _t.c.id)
            .limit(limit)
        )
        long = select(_t.c.id).where(*_played(recording), _IS_OPEN, _t.c.start < end, _t.c.start <= start - reach)

        def work(connection: Connection) -> list[int]:
            return [*connection.scalars(long), *connection.scalars(near)]

        def read(connection: Connection) -> tuple[SegmentRow, ...]:
            wanted = work(connection)
            if not wanted:
                return ()
            query = _select().where(_t.c.id.in_(wanted)).order_by(_t.c.start, _t.c.id).limit(limit)
            return _read(connection, query)

        return self._database.read(read)

    def at(self, recording: str, utc: int) -> SegmentRow | None:
        """The last row with `start` <= utc, copies left out."""
        return self._one(_AT, {"recording": recording, "utc": utc})

    def at_once(self, recordings: Sequence[str], utc: int) -> tuple[SegmentRow, ...]:
        """`at` for many recordings."""
        u = schema.usage
        run = select(u.c.recording).where(~u.c.copy, u.c.recording.in_(recordings)).distinct().subquery()
        last = (
            select(_t.c.id)
            .where(_t.c.recording == run.c.recording, ~_t.c.copy, _t.c.start <= utc)
            .order_by(_t.c.start.desc(), _t.c.id.desc())
            .limit(1)
            .correlate(run)
            .scalar_subquery()
        )
        return self._rows(_select().where(_t.c.id.in_(select(last).select_from(run))))

    def after(self, recording: str, utc: int) -> SegmentRow | None:
        """The first row with `start` > utc, copies left out."""
        return self._one(_AFTER, {"recording": recording, "utc": utc})

    def unlike(self, recording: str, segment: int, start: int, kinds: int, *, before: bool) -> SegmentRow | None:
        """The last row that begins before `start`, or the first after it, with another format than `segment` has or other `kinds`;
        copies left out. Walks the rows in between. Where `segment` is gone any other row will do."""
        t = _t.alias()
        known = func.coalesce(select(t.c.format).where(t.c.id == segment).scalar_subquery(), 0)
        query = _select().where(*_played(recording), or_(_t.c.format != known, _t.c.kinds != kinds))
        if before:
            query = query.where(_t.c.start < start).order_by(_t.c.start.desc(), _t.c.id.desc())
        else:
            query = query.where(_t.c.start > start).order_by(_t.c.start, _t.c.id)
        return self._one(query.limit(1))

    def times_by_kinds(self, recording: str | None = None) -> dict[str, dict[int, tuple[int, int]]]:
        """By recording (all, or one): least start and greatest end for each combination of kind bits that occurs."""
        query, values = (_TIMES, {}) if recording is None else (_TIMES_OF, {"recording": recording})

        def work(connection: Connection) -> dict[str, dict[int, tuple[int, int]]]:
            found: dict[str, dict[int, tuple[int, int]]] = {}
            for row in connection.execute(query, values):
                if row.first is not None:
                    found.setdefault(row.recording, {})[row.kinds] = (row.first, row.last)
            return found

        return self._database.read(work)

    def times_by_formats(self, recording: str) -> tuple[tuple[str, int, int, int], ...]:
        """Body of the formats, kind bits, least start and greatest end for each combination that occurs. Walks all rows of
        the recording."""
        found = (_t.c.format, _t.c.kinds)
        grouped = select(*found, func.min(_t.c.start).label("first"), func.max(_t.c.end).label("last"))
        times = grouped.where(*_played(recording)).group_by(*found).subquery()
        query = select(_f.c.body, times.c.kinds, times.c.first, times.c.last)
        query = query.select_from(times.join(_f, times.c.format == _f.c.id)).order_by(times.c.first)

        def work(connection: Connection) -> tuple[tuple[str, int, int, int], ...]:
            return tuple((row.body, row.kinds, row.first, row.last) for row in connection.execute(query))

        return self._database.read(work)

    def stretches(self, recordings: Sequence[str], start: int, end: int) -> dict[str, Sequence[tuple[int, int]]]:
        """By recording: start and end of all segments with data that touch this time, in order of start, and perhaps of some
        just before. Answered from the index alone."""

        def work(connection: Connection) -> dict[str, Sequence[tuple[int, int]]]:
            found = {}
            for recording in recordings:
                # As the driver gives them: there may be tens of thousands.
                values = {"recording": recording, "first": start, "last": end}
                found[recording] = connection.execute(_STRETCHES, values).cursor.fetchall()
            return found

        return self._database.read(work)

    def any_in(self, recording: str, stretches: Sequence[Stretch]) -> tuple[bool, ...]:
        """For each stretch of time, whether there is a segment with data in it."""
        reach = _reach(recording)

        def work(connection: Connection) -> tuple[bool, ...]:
            found: list[bool] = []
            for at in range(0, len(stretches), DAYS):
                days = [
                    select(
                        literal(number, Integer).label("day"),
                        literal(start, BigInteger).label("first"),
                        literal(end, BigInteger).label("last"),
                    )
                    for number, (start, end) in enumerate(stretches[at : at + DAYS])
                ]
                day = (union_all(*days) if len(days) > 1 else days[0]).subquery()
                # A row with a bound, not EXISTS: PostgreSQL would join all rows of the recording with all days.
                segment = (
                    select(_t.c.id)
                    .where(
                        *_played(recording),
                        _t.c.kinds != 0,
                        _t.c.start < day.c.last,
                        _t.c.start > day.c.first - reach,
                        _t.c.end > day.c.first,
                    )
                    .order_by(_t.c.start)
                    .limit(1)
                    .correlate(day)
                    .scalar_subquery()
                )
                query = select(segment.label("segment")).select_from(day).order_by(day.c.day)
                found += [row.segment is not None for row in connection.execute(query)]
            return tuple(found)

        return self._database.read(work)

    # ---- retention, recovery, accounts: copies count

    def recorded(self) -> tuple[str, ...]:
        """Tokens of the recordings that have segments, sorted."""
        return self.usage.recorded()

    def open(self) -> tuple[SegmentRow, ...]:
        return self._rows(_select().where(_IS_OPEN).order_by(_t.c.id))

    def by_path(self, volume: str, path: str) -> SegmentRow | None:
        return self._one(_select().where(_t.c.volume == volume, _t.c.path == path))

    def on_volume(self, volume: str, after: int, limit: int) -> tuple[SegmentRow, ...]:
        """Rows of a volume in order of id, those with a greater id than `after`."""
        return self._rows(_select().where(_t.c.volume == volume, _t.c.id > after).order_by(_t.c.id).limit(limit))

    def oldest(
        self,
        volume: str | None,
        limit: int,
        *,
        recording: str | None = None,
        before: int | None = None,
        locks: Mapping[str, Sequence[Stretch]] | None = None,
    ) -> tuple[SegmentRow, ...]:
        """The oldest rows of a volume, a recording or both that are neither open nor locked, and end before `before`."""
        ages = Ages(limit=limit, volume=volume, recording=recording, before=before, locks=locks or {})

        def read(connection: Connection) -> tuple[SegmentRow, ...]:
            ids = ages.ids(connection)
            return _read(connection, _select().where(_t.c.id.in_(ids)).order_by(_t.c.start, _t.c.id)) if ids else ()

        return self._database.read(read)

    def recording_bytes(self, recording: str) -> int:
        return self.usage.bytes(recording=recording)

    def volume_bytes(self, volume: str) -> int:
        return self.usage.bytes(volume=volume)

    def count(self, volume: str) -> int:
        """How many segments a volume holds."""
        return self.usage.segments(volume=volume)

    def _rows(self, query: Select[Any]) -> tuple[SegmentRow, ...]:
        return self._database.read(lambda connection: _read(connection, query))

    def _one(self, query: Select[Any], values: Mapping[str, Any] | None = None) -> SegmentRow | None:
        rows = self._database.read(lambda connection: _read(connection, query, values))
        return rows[0] if rows else None


def _select() -> Select[Any]:
    return select(*_COLUMNS).select_from(_t.outerjoin(_f, _t.c.format == _f.c.id))


def _read(
    connection: Connection, query: Select[Any], values: Mapping[str, Any] | None = None
) -> tuple[SegmentRow, ...]:
    return tuple(SegmentRow(**row) for row in connection.execute(query, values).mappings())


def _played(recording: Any) -> tuple[ColumnElement[bool], ...]:
    return (_t.c.recording == recording, ~_t.c.copy)


def _reach(recording: Any) -> Any:
    """Microseconds that no segment of a recording is longer than."""
    u = schema.usage
    return (
        select(func.coalesce(func.max(u.c.longest), 0)).where(u.c.recording == recording, ~u.c.copy).scalar_subquery()
    )


def _times(recording: Any = None) -> Select[Any]:
    """By recording and combination of kinds: least start and greatest end."""
    u = schema.usage
    runs = select(u.c.recording, u.c.kinds, func.max(u.c.longest).label("longest")).where(~u.c.copy)
    if recording is not None:
        runs = runs.where(u.c.recording == recording)
    run = runs.group_by(u.c.recording, u.c.kinds).subquery()

    def seek(column: Any, *more: Any) -> Any:
        t = _t.alias()
        where = (t.c.recording == run.c.recording, ~t.c.copy, t.c.kinds == run.c.kinds)
        return select(column(t)).where(*where, *(each(t) for each in more)).correlate(run).scalar_subquery()

    first, latest = seek(lambda t: func.min(t.c.start)), seek(lambda t: func.max(t.c.start))
    # No segment of the kind is longer than `longest`: the one that ends last starts at most so long before the last start.
    last = seek(lambda t: func.max(t.c.end), lambda t: t.c.start >= latest - run.c.longest)
    return select(run.c.recording, run.c.kinds, first.label("first"), last.label("last"))


# Made once: to make a statement takes longer than to answer it, and what it leaves behind goes only when all garbage is collected,
# for which whoever begins to play has to wait.
_AT = (
    _select()
    .where(*_played(bindparam("recording")), _t.c.start <= bindparam("utc"))
    .order_by(_t.c.start.desc(), _t.c.id.desc())
    .limit(1)
)
_AFTER = (
    _select()
    .where(*_played(bindparam("recording")), _t.c.start > bindparam("utc"))
    .order_by(_t.c.start, _t.c.id)
    .limit(1)
)
_TIMES, _TIMES_OF = _times(), _times(bindparam("recording"))
_STRETCHES = (
    select(_t.c.start, _t.c.end)
    .where(
        *_played(bindparam("recording")),
        _t.c.kinds != 0,
        _t.c.start < bindparam("last", type_=BigInteger),
        _t.c.start > bindparam("first", type_=BigInteger) - _reach(bindparam("recording")),
    )
    .order_by(_t.c.start, _t.c.end)
)


def format_row(connection: Connection, body: str) -> int:
    """The row of formats with this body, made if it is new."""
    digest = hashlib.blake2b(body.encode(), digest_size=16).digest()
    known = select(_f.c.id).where(_f.c.digest == digest)
    number = connection.scalar(known)
    if number is None:
        make: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        # Another process may store the same at this moment.
        connection.execute(make(_f).values(digest=digest, body=body).on_conflict_do_nothing())
        number = connection.execute(known).scalar_one()
    return int(number)


def _delete(connection: Connection, which: ColumnElement[bool], tally: Tally) -> None:
    columns = (_t.c.recording, _t.c.volume, _t.c.copy, _t.c.kinds, _t.c.size)
    for gone in connection.execute(delete(_t).where(which).returning(*columns)).all():
        tally.take(gone)


def _count_growth(connection: Connection, changes: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Bring the counters to what these rows will be; gives the numbers of those that are still there."""
    tally = Tally()
    found = []
    wanted = sorted(changes)
    for at in range(0, len(wanted), 500):
        for row in connection.execute(_GROWING, {"wanted": wanted[at : at + 500]}).all():
            change = changes[row.id]
            tally.take(row)
            tally.add(row, kinds=change["kinds"], size=change["size"], length=change["end"] - row.start)
            found.append(row.id)
    tally.store(connection)
    return found
