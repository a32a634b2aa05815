"""Accounts as stored: passwords are opaque here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import AccountRow
from onvifd.store.settings import bump


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEdit:
    """Rows to insert or replace, and names to delete."""

    put: tuple[AccountRow, ...] = ()
    remove: tuple[str, ...] = ()


class Accounts:
    """Reads and changes accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[AccountRow, ...]:
        """In order of creation, then name."""
        return self._database.read(_load)

    def edit(self, decide: Callable[[Mapping[str, AccountRow]], AccountEdit]) -> None:
        """Change accounts, all or nothing. `decide` sees the present accounts by name, within the transaction that writes.

        It may run more than once and raises what the caller of `edit` shall see. The revision is bumped.
        """

        def work(connection: Connection) -> None:
            # PostgreSQL: two editors must not both see the same "last but one" administrator. SQLite has one writer.
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE")
            present = {row.name: row for row in _load(connection)}
            edit = decide(present)
            t = schema.accounts
            for row in edit.put:
                if row.name in present:
                    connection.execute(update(t).where(t.c.name == row.name).values(asdict(row)))
                else:
                    connection.execute(insert(t).values(asdict(row)))
            if edit.remove:
                connection.execute(delete(t).where(t.c.name.in_(edit.remove)))
            bump(connection)

        self._database.write(work)


def _load(connection: Connection) -> tuple[AccountRow, ...]:
    t = schema.accounts
    query = select(t).order_by(t.c.created, t.c.name)
    return tuple(AccountRow(**row) for row in connection.execute(query).mappings())
