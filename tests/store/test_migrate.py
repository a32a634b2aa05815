"""Migrations lead to the tables that the code expects."""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from onvifd.errors import Conflict
from onvifd.store.engine import make_private, open_engine
from onvifd.store.migrate import upgrade, versions
from onvifd.store.schema import metadata


def test_the_migrated_schema_is_the_schema_of_the_code(url: str) -> None:
    engine = open_engine(url)
    assert versions(engine)[0] is None
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    current, head = versions(engine)
    assert current == head
    engine.dispose()


def test_upgrading_again_changes_nothing(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO settings (key, value) VALUES ('uuid', 'kept')"))
    upgrade(engine)
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT value FROM settings")) == "kept"
    engine.dispose()


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    engine = open_engine(url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict):
        upgrade(engine)
    engine.dispose()


def _upgrade(url: str) -> None:
    engine = open_engine(url, timeout=20)
    upgrade(engine)
    engine.dispose()


def test_two_processes_may_upgrade_at_once(url: str) -> None:
    context = get_context("spawn")
    workers = [context.Process(target=_upgrade, args=(url,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]


def test_the_sqlite_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite3"
    make_private(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o600
