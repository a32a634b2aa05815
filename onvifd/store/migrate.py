"""Brings the tables of a database up to what this version needs."""

from __future__ import annotations

import logging
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine

from onvifd.errors import Conflict
from onvifd.store.engine import Database

# alembic is imported where it is used: it takes longer than all else that a worker imports, and no worker migrates.
if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger(__name__)

_LOCK = 0x6F6E7669_66640001
"""Key of the PostgreSQL advisory lock under which one process at a time migrates ("onvifd", 1)."""


def upgrade(engine: Engine, *, copy: bool = False) -> None:
    """Make or upgrade all tables, in one transaction. Raises Conflict if a newer version has been at work here.

    With `copy` it is not the recorder's own catalogue: nothing is said of it.
    """
    from alembic import command
    from alembic.runtime.migration import MigrationContext
    from alembic.util import CommandError

    def work(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        with as_file(files("onvifd.store") / "migrations") as folder:
            config = _config(str(folder), connection)
            before = MigrationContext.configure(connection).get_current_revision()
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise Conflict(f"the catalogue was made by another version of onvifd ({before})") from error
        after = MigrationContext.configure(connection).get_current_revision()
        if after != before and not copy:
            if before is None:
                log.info("catalogue made, version %s", after)
            else:
                log.info("catalogue migrated from version %s to %s", before, after)

    Database(engine).write(work)


def versions(engine: Engine) -> tuple[str | None, str | None]:
    """The version of the tables as they are, and the one that this program needs."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    def work(connection: Connection) -> tuple[str | None, str | None]:
        with as_file(files("onvifd.store") / "migrations") as folder:
            head = ScriptDirectory.from_config(_config(str(folder), connection)).get_current_head()
        return MigrationContext.configure(connection).get_current_revision(), head

    return Database(engine).read(work)


def _config(folder: str, connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    # The folder may contain %, which the configuration would interpolate.
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
