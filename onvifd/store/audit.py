"""The audit log as stored: appended in batches, bounded in rows, read by time, kind, account and address."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, func, insert, select

from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import AuditRow

CHUNK = 1000
"""Most rows deleted in one transaction, so that other writers need not wait."""


class Audit:
    """Appends and finds entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, rows: Sequence[AuditRow]) -> None:
        """Keep all of them or none; the database numbers them."""
        values = [asdict(row) for row in rows]
        for value in values:
            del value["id"]
        if values:
            self._database.write(lambda connection: connection.execute(insert(schema.audit), values))

    def find(
        self,
        *,
        start: int | None = None,
        end: int | None = None,
        kinds: Collection[str] = (),
        account: str | None = None,
        address: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[AuditRow, ...]:
        """At most `limit` entries with `start` <= utc <= `end`, the newest first.

        `before` is the id of the last entry of the page before this one. No kinds stand for all.
        """
        t = schema.audit
        query = select(t)
        if start is not None:
            query = query.where(t.c.utc >= start)
        if end is not None:
            query = query.where(t.c.utc <= end)
        if kinds:
            query = query.where(t.c.kind.in_(sorted(kinds)))
        if account is not None:
            query = query.where(t.c.account == account)
        if address is not None:
            query = query.where(t.c.address == address)
        if before is not None:
            query = query.where(t.c.id < before)
        query = query.order_by(t.c.id.desc()).limit(limit)
        return self._database.read(
            lambda connection: tuple(AuditRow(**row) for row in connection.execute(query).mappings())
        )

    def trim(self, keep: int) -> int:
        """Delete the oldest until `keep` are left, at most `CHUNK` at a time; gives how many went."""
        t = schema.audit

        def work(connection: Connection) -> int:
            surplus = (connection.scalar(select(func.count()).select_from(t)) or 0) - keep
            if surplus <= 0:
                return 0
            oldest = select(t.c.id).order_by(t.c.id).limit(min(surplus, CHUNK))
            return int(connection.execute(delete(t).where(t.c.id.in_(oldest))).rowcount)

        return self._database.write(work)
