"""What the recorder remembers by name, and the revision that tells a running recorder of changes."""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, String, cast, delete, insert, select, update

from onvifd.store import schema
from onvifd.store.engine import Database

REVISION = "revision"


class Settings:
    """Small named values."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> str | None:
        return self._database.read(lambda connection: _get(connection, key))

    def put(self, key: str, value: str) -> None:
        self._database.write(lambda connection: _put(connection, key, value))

    def put_default(self, key: str, value: str) -> str:
        """Keep `value` unless there is one already; gives the one that is kept."""

        def work(connection: Connection) -> str:
            present = _get(connection, key)
            if present is not None:
                return present
            connection.execute(insert(schema.settings).values(key=key, value=value))
            return value

        return self._database.write(work)

    def remove(self, key: str) -> None:
        self._database.write(
            lambda connection: connection.execute(delete(schema.settings).where(schema.settings.c.key == key))
        )

    def revision(self) -> int:
        """Grows with every change of cameras, recordings, jobs and accounts; cheap enough to be asked every second."""
        return int(self.get(REVISION) or 0)


def bump(connection: Connection) -> None:
    """Raise the revision within the caller's transaction."""
    t = schema.settings
    raised = cast(cast(t.c.value, BigInteger) + 1, String)
    if connection.execute(update(t).where(t.c.key == REVISION).values(value=raised)).rowcount == 0:
        connection.execute(insert(t).values(key=REVISION, value="1"))


def _get(connection: Connection, key: str) -> str | None:
    return connection.scalar(select(schema.settings.c.value).where(schema.settings.c.key == key))


def _put(connection: Connection, key: str, value: str) -> None:
    t = schema.settings
    if connection.execute(update(t).where(t.c.key == key).values(value=value)).rowcount == 0:
        connection.execute(insert(t).values(key=key, value=value))


def put_setting(database: Database, key: str, value: str) -> None:
    """Keep a value that a running recorder shall notice: the revision is raised with it."""

    def work(connection: Connection) -> None:
        _put(connection, key, value)
        bump(connection)

    database.write(work)
