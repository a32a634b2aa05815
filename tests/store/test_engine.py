"""Transactions: all or nothing, many writers, bounded retries."""

from __future__ import annotations

from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from onvifd.errors import Conflict, InvalidArgument, OnvifdError, Unavailable
from onvifd.store.catalogue import Catalogue
from onvifd.store.engine import ATTEMPTS, Database, open_engine
from onvifd.store.rows import SegmentRow


def test_a_write_that_fails_leaves_nothing(catalogue: Catalogue) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO settings (key, value) VALUES ('a', '1')"))
        raise Conflict("no")

    with pytest.raises(Conflict):
        catalogue.database.write(work)
    assert catalogue.settings.get("a") is None


def test_errors_of_the_database_become_unavailable(catalogue: Catalogue) -> None:
    with pytest.raises(Unavailable) as error:
        catalogue.database.read(lambda connection: connection.execute(text("SELECT * FROM nothing")))
    assert "SELECT" not in error.value.reason


def test_a_busy_database_is_tried_a_bounded_number_of_times(tmp_path: Path) -> None:
    waits: list[float] = []
    database = Database(open_engine(f"sqlite:///{tmp_path / 'x'}", timeout=0.01), sleep=waits.append)
    other = open_engine(f"sqlite:///{tmp_path / 'x'}", timeout=0.01)
    with other.begin() as holder:
        holder.execute(text("CREATE TABLE t (x INTEGER)"))
        with pytest.raises(Unavailable):
            database.write(lambda connection: connection.execute(text("CREATE TABLE u (x INTEGER)")))
    assert len(waits) == ATTEMPTS - 1
    assert waits == sorted(waits)
    database.write(lambda connection: connection.execute(text("CREATE TABLE u (x INTEGER)")))
    database.close()
    other.dispose()


def test_a_passing_obstacle_is_survived(tmp_path: Path) -> None:
    database = Database(open_engine(f"sqlite:///{tmp_path / 'x'}", timeout=0.01))
    other = open_engine(f"sqlite:///{tmp_path / 'x'}", timeout=0.01)
    holder = other.connect()
    transaction = holder.begin()

    def give_way(_seconds: float) -> None:
        if transaction.is_active:
            transaction.rollback()

    database._sleep = give_way
    database.write(lambda connection: connection.execute(text("CREATE TABLE u (x INTEGER)")))
    holder.close()
    database.close()
    other.dispose()


def test_readers_do_not_wait_for_a_writer(catalogue: Catalogue) -> None:
    catalogue.settings.put("a", "1")
    with catalogue.database.engine.begin() as writer:
        writer.execute(text("UPDATE settings SET value = '2' WHERE key = 'a'"))
        assert catalogue.settings.get("a") == "1"
    assert catalogue.settings.get("a") == "2"


def test_sqlite_is_set_up_for_many_processes(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x'}", timeout=3)
    with engine.connect() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert asked == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 3000}
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "nonsense"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidArgument):
        open_engine(url)


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(InvalidArgument) as error:
        open_engine("mysql://u:secret@h/d")
    assert "secret" not in error.value.reason


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        Catalogue.open("postgresql://nobody@127.0.0.1:9/none", timeout=2).revision()
    with pytest.raises(OnvifdError):
        Catalogue.open(f"sqlite:///{tmp_path}/no/folder/x", migrate=True)


def _insert_segments(url: str, recording: str, count: int, outcome: Queue[Any]) -> None:
    catalogue = Catalogue.open(url, timeout=10)
    try:
        for number in range(count):
            segment = catalogue.segments.insert(
                SegmentRow(
                    recording=recording,
                    volume="vol-1",
                    path=f"{recording}/{number}",
                    start=number,
                    end=number,
                    size=1,
                )
            )
            catalogue.segments.change(segment, end=number + 1, size=2, kinds=1, fragments=b"x" * 28 * 60)
        outcome.put("done")
    except BaseException as error:
        outcome.put(repr(error))
        raise
    finally:
        catalogue.close()


def test_several_processes_write_at_once(catalogue: Catalogue, url: str) -> None:
    context = get_context("spawn")
    outcome = context.Queue()
    count = 40
    workers = [context.Process(target=_insert_segments, args=(url, f"rec-{n}", count, outcome)) for n in range(3)]
    for worker in workers:
        worker.start()
    revisions = 0
    while any(worker.is_alive() for worker in workers):
        catalogue.settings.put("now", str(revisions))
        revisions += 1
    assert [outcome.get(timeout=30) for _ in workers] == ["done"] * 3
    for worker in workers:
        worker.join(30)
    assert revisions > 0
    for number in range(3):
        rows = catalogue.segments.between(f"rec-{number}", 0, 10_000, 1000)
        assert [row.start for row in rows] == list(range(count))
        assert all((row.size, row.kinds) == (2, 1) for row in rows)
