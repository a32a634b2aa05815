"""The configuration as a whole: copied out to a file, taken back from one, cleared. Footage and logs are no configuration."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Identity, Table, and_, delete, func, insert, select, text, update

from onvifd.errors import Conflict, InvalidArgument, Unavailable
from onvifd.store import schema
from onvifd.store.engine import Database, make_private, open_engine
from onvifd.store.migrate import upgrade
from onvifd.store.schedules import PREDEFINED
from onvifd.store.settings import REVISION, bump

DATA: Final = frozenset(
    (
        *("segments", "formats", "usage", "spans", "events", "topics", "volumes", "locks", "tags"),
        *("audit", "snapshots", "record_states"),
    )
)
"""Tables that tell what was recorded and what happened."""
MERGED: Final = frozenset(("recordings", "tracks", "settings"))
"""Tables whose rows stay when others come: footage must not lose its recording, nor the recorder what it needs to run."""
_FIXED = (schema.accounts, schema.console_accounts)
"""Their first administrator is neither deleted nor demoted."""


def tables() -> tuple[Table, ...]:
    """The tables of the configuration, those that others refer to first."""
    return tuple(table for table in schema.metadata.sorted_tables if table.name not in DATA)


class Configuration:
    """Every method blocks. A file of the configuration is a SQLite database with all tables of the version that wrote it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def copy_to(self, path: Path) -> None:
        """Write the configuration to a new file. Raises Unavailable."""
        rows = self._database.read(lambda connection: {t: _rows(connection, t) for t in tables()})
        make_private(f"sqlite:///{path}")
        copy = Database(open_engine(f"sqlite:///{path}"))
        try:
            upgrade(copy.engine, copy=True)

            def work(connection: Connection) -> None:
                for table in reversed(tables()):
                    connection.execute(delete(table))  # what migrations put in
                for table, found in rows.items():
                    if found:
                        connection.execute(insert(table), found)

            copy.write(work)
        finally:
            copy.close()

    @staticmethod
    def check(path: Path) -> None:
        """Bring a file up to this version's tables. Raises InvalidArgument (InvalidBackupFile) if that cannot be done."""
        copy = Database(open_engine(f"sqlite:///{path}"))
        try:
            upgrade(copy.engine, copy=True)
            if copy.quick_check():
                raise InvalidArgument("the configuration in the archive is damaged", detail="InvalidBackupFile")
            copy.read(lambda connection: [_rows(connection, table) for table in tables()])
        except (Conflict, Unavailable) as error:
            raise InvalidArgument(f"the archive cannot be used: {error.reason}", detail="InvalidBackupFile") from error
        finally:
            copy.close()

    def copy_from(self, path: Path) -> None:
        """Put the configuration of a checked file in the place of the present one, all or nothing."""
        copy = Database(open_engine(f"sqlite:///{path}"))
        try:
            rows = copy.read(lambda connection: {t: _rows(connection, t) for t in tables()})
        finally:
            copy.close()

        def work(connection: Connection) -> None:
            for table in reversed(tables()):
                if table.name not in MERGED:
                    connection.execute(delete(table))
            for table, found in rows.items():
                if table.name in MERGED:
                    for row in found:
                        _merge(connection, table, row)
                elif found:
                    connection.execute(insert(table), found)
                _advance(connection, table)
            bump(connection)

        self._database.write(work)

    def clear(self, settings: Iterable[str]) -> None:
        """Back to the beginning: no cameras, no accounts but the first administrators, nothing of the device service, and
        without the named settings. Recordings stay until retention deletes them."""
        names = tuple(settings)

        def work(connection: Connection) -> None:
            for table in reversed(tables()):
                if table.name in MERGED:
                    continue
                query = delete(table)
                if table in _FIXED:
                    query = query.where(table.c.fixed.is_(False))
                elif table is schema.console_groups:
                    used = select(schema.console_accounts.c.group)
                    query = query.where(table.c.builtin.is_(False), table.c.name.not_in(used))
                connection.execute(query)
            # What clients made has no job any more: it goes as that of removed cameras does.
            connection.execute(update(schema.recordings).values(dynamic=False))
            weeks = [{"name": name, "week": week} for name, week in PREDEFINED.items()]
            connection.execute(insert(schema.named_schedules), weeks)
            t = schema.settings
            connection.execute(delete(t).where(t.c.key.in_(names)))
            bump(connection)

        self._database.write(work)


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    found = [dict(row) for row in connection.execute(select(table)).mappings()]
    return [row for row in found if table is not schema.settings or row["key"] != REVISION]


def _merge(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    same = and_(*(column == row[column.name] for column in table.primary_key))
    if connection.execute(update(table).where(same).values(row)).rowcount == 0:
        connection.execute(insert(table).values(row))


def _advance(connection: Connection, table: Table) -> None:
    """PostgreSQL does not count on from numbers that were given."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key:
        if isinstance(column.identity, Identity):
            highest = connection.scalar(select(func.max(column)))
            if highest is not None:
                sequence = text("SELECT setval(pg_get_serial_sequence(:table, :column), :value)")
                connection.execute(sequence, {"table": table.name, "column": column.name, "value": highest})
