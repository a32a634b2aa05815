"""Locks of footage: what they cover is not deleted. Exports lock what they read, with an end, so that a crash frees it."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, and_, delete, exists, insert, or_, select, true, update

from onvifd.errors import InvalidArgument, NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import LockRow

MAX_REASON = 255


class Locks:
    """All methods block. A lock that ended covers nothing, and is dropped when the next is added."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        recording: str,
        start: int,
        end: int,
        *,
        account: str,
        now: int,
        reason: str = "",
        until: int | None = None,
    ) -> LockRow:
        """Lock `start` to before `end` of a recording, for ever or `until` then. Raises InvalidArgument."""
        if not 0 <= start < end:
            raise InvalidArgument("the end of a lock is after its start")
        if until is not None and until <= now:
            raise InvalidArgument("a lock does not end before it begins")
        lock = LockRow(
            recording=recording,
            start=start,
            end=end,
            account=account[:64],
            reason=reason[:MAX_REASON],
            created=now,
            until=until,
        )
        t = schema.locks
        values = asdict(lock)
        del values["id"]

        def work(connection: Connection) -> int:
            connection.execute(delete(t).where(t.c.until <= now))
            return int(connection.execute(insert(t).values(values).returning(t.c.id)).scalar_one())

        number = self._database.write(work)
        return LockRow(**{**asdict(lock), "id": number})

    def prolong(self, lock: int, until: int | None) -> None:
        """Another end. Raises NotFound."""
        t = schema.locks
        query = update(t).where(t.c.id == lock).values(until=until)
        if not self._database.write(lambda connection: connection.execute(query).rowcount):
            raise NotFound(f"there is no lock {lock}")

    def remove(self, lock: int) -> None:
        """Raises NotFound."""
        query = delete(schema.locks).where(schema.locks.c.id == lock)
        if not self._database.write(lambda connection: connection.execute(query).rowcount):
            raise NotFound(f"there is no lock {lock}")

    def all(self, recording: str | None = None) -> tuple[LockRow, ...]:
        """Of all recordings or of one, in order of recording and start."""
        t = schema.locks
        query = select(t).where(true() if recording is None else t.c.recording == recording)
        query = query.order_by(t.c.recording, t.c.start, t.c.id)
        return self._database.read(
            lambda connection: tuple(LockRow(**row) for row in connection.execute(query).mappings())
        )

    def between(self, recording: str, start: int, end: int, now: int = 0) -> tuple[LockRow, ...]:
        """Locks that cover part of `start` to before `end` and have not ended `now`."""
        t = schema.locks
        query = select(t).where(
            t.c.recording == recording,
            t.c.start < end,
            t.c.end > start,
            or_(t.c.until.is_(None), t.c.until > now),
        )
        query = query.order_by(t.c.start, t.c.id)
        return self._database.read(
            lambda connection: tuple(LockRow(**row) for row in connection.execute(query).mappings())
        )

    def covers(self, recording: str, start: int, end: int, now: int) -> bool:
        """Whether a part of it is locked."""
        t = schema.locks
        query = select(
            exists().where(
                and_(
                    t.c.recording == recording,
                    t.c.start < end,
                    t.c.end > start,
                    or_(t.c.until.is_(None), t.c.until > now),
                )
            )
        )
        return self._database.read(lambda connection: bool(connection.scalar(query)))
