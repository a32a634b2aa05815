"""ONVIF accounts as stored, and the former passwords of all accounts. Passwords are opaque here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, insert, select, update

from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import AccountRow
from onvifd.store.settings import bump

ONVIF, CONSOLE = "onvif", "console"
MAX_HISTORY = 16
"""Former passwords kept of an account, whatever the policy asks for today: it may ask for more tomorrow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEdit:
    """Rows to insert or replace, names to delete, and hashes of passwords that accounts had until now."""

    put: tuple[AccountRow, ...] = ()
    remove: tuple[str, ...] = ()
    former: tuple[tuple[str, str], ...] = ()


class Accounts:
    """Reads and changes accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[AccountRow, ...]:
        """In order of creation, then name."""
        return self._database.read(_load)

    def history(self, face: str, name: str, length: int) -> tuple[str, ...]:
        """Hashes of the last `length` passwords before the present one, the newest first."""
        t = schema.password_history
        query = select(t.c.hash).where(t.c.face == face, t.c.account == name).order_by(t.c.id.desc()).limit(length)
        return self._database.read(lambda connection: tuple(connection.scalars(query)))

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
                for name in edit.remove:
                    forget_history(connection, ONVIF, name)
            for name, hashed in edit.former:
                remember(connection, ONVIF, name, hashed)
            bump(connection)

        self._database.write(work)


def remember(connection: Connection, face: str, name: str, hashed: str) -> None:
    """Keep a former password, and no more than `MAX_HISTORY` of an account."""
    t = schema.password_history
    connection.execute(insert(t).values(face=face, account=name, hash=hashed))
    mine = (t.c.face == face) & (t.c.account == name)
    kept = select(t.c.id).where(mine).order_by(t.c.id.desc()).limit(MAX_HISTORY)
    # As a list: PostgreSQL and SQLite differ in what they take of LIMIT within a deletion.
    connection.execute(delete(t).where(mine, t.c.id.not_in(list(connection.scalars(kept)))))


def forget_history(connection: Connection, face: str, name: str) -> None:
    t = schema.password_history
    connection.execute(delete(t).where(t.c.face == face, t.c.account == name))


def _load(connection: Connection) -> tuple[AccountRow, ...]:
    t = schema.accounts
    query = select(t).order_by(t.c.created, t.c.name)
    return tuple(AccountRow(**row) for row in connection.execute(query).mappings())
