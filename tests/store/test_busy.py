"""SQLite with several processes: a lock that lasts, and the length of the write-ahead log."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.grouped import GroupedRows
from onvifd.archive.index import EndReason, FragmentFlag, SegmentChange, SegmentRow, SegmentState
from onvifd.clock import US
from onvifd.store import engine
from onvifd.store.catalogue import Catalogue

LOCKED = 8.0
"""Seconds; all attempts of one transaction with a time-out of 0.5 s take less, as those of 5 s take less than 30."""
LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("COMMIT")
"""


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Another process has the database for itself."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.wait(60)


def row(number: int) -> SegmentRow:
    return SegmentRow(recording=f"rec-{number}", volume="v", path=f"{number}.mp4", start=0, end=0, size=0, formats=())


def grown(seconds: int) -> SegmentChange:
    return SegmentChange(end=seconds * US, size=seconds, kinds=FragmentFlag.VIDEO, fragments=b"")


def test_nothing_is_lost_while_another_process_has_locked_the_database(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "catalogue.sqlite3"
    catalogue = Catalogue.open(f"sqlite:///{path}", timeout=0.5, migrate=True)
    store = CatalogueSegmentStore(catalogue)
    rows = GroupedRows(store, interval=0.05, patience=0.1)
    going, ending = rows.insert_segment(row(1)), rows.insert_segment(row(2))
    slowest = 0.0
    with locked(path, LOCKED) as process:
        second = 0
        while process.poll() is None:
            second += 1
            begin = time.monotonic()
            rows.update_segment(going, grown(second))
            if second == 3:
                rows.close_segment(ending, grown(60), state=SegmentState.CLOSED, reason=EndReason.TIME)
                ending = rows.insert_segment(dataclasses.replace(row(2), path="next.mp4", start=60 * US, end=60 * US))
            rows.update_segment(ending, grown(60 + second))
            slowest = max(slowest, time.monotonic() - begin)
            time.sleep(0.1)
    rows.close()
    assert "catalogue does not take segment rows" in caplog.text
    # A writer of footage waited for the patience of an end and a beginning, never for the lock.
    assert slowest < LOCKED / 2
    found = {each.path: (each.end, each.state) for each in store.volume_segments("v")}
    assert found == {
        "1.mp4": (second * US, SegmentState.OPEN),
        "2.mp4": (60 * US, SegmentState.CLOSED),
        "next.mp4": ((60 + second) * US, SegmentState.OPEN),
    }
    assert catalogue.segments.usage.check() == ()
    catalogue.close()


def put(catalogue: Catalogue, number: int) -> None:
    """A transaction of some 28 kB."""
    query = text("INSERT OR REPLACE INTO settings (key, value) VALUES (:key, :value)")
    values = {"key": f"key-{number % 50}", "value": "x" * 20_000}
    catalogue.database.write(lambda connection: connection.execute(query, values))


def test_the_log_stays_short_however_readers_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite alone never begins its log anew while one reader follows the other."""
    monkeypatch.setattr(engine, "LOG_BOUND", 1 << 20)
    monkeypatch.setattr(engine, "LOG_CHECKED", 8)
    path = tmp_path / "catalogue.sqlite3"
    catalogue = Catalogue.open(f"sqlite:///{path}", migrate=True)
    ended = threading.Event()
    begun = threading.Semaphore(0)

    def hold(connection: Connection, ending: threading.Semaphore, beginning: threading.Semaphore) -> None:
        connection.exec_driver_sql("SELECT 1 FROM settings").all()
        beginning.release()
        # Until the other one has begun.
        ending.acquire(timeout=1)

    def read(ending: threading.Semaphore, beginning: threading.Semaphore) -> None:
        while not ended.is_set():
            catalogue.database.read(lambda connection: hold(connection, ending, beginning))

    pair = threading.Semaphore(0), begun
    readers = [threading.Thread(target=read, args=each) for each in (pair, pair[::-1])]
    for reader in readers:
        reader.start()
    longest = 0
    try:
        for number in range(400):
            put(catalogue, number)
            longest = max(longest, Path(f"{path}-wal").stat().st_size)
    finally:
        ended.set()
        for reader in readers:
            reader.join()
    catalogue.close()
    # 400 transactions; the bound and what is written between two looks.
    assert longest < 3 << 20


def test_a_log_that_a_long_reader_made_long_is_emptied_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOG_BOUND", 1 << 20)
    monkeypatch.setattr(engine, "LOG_CHECKED", 8)
    monkeypatch.setattr(engine, "LOG_PATIENCE", 0.01)
    path = tmp_path / "catalogue.sqlite3"
    catalogue = Catalogue.open(f"sqlite:///{path}", migrate=True)
    log = Path(f"{path}-wal")

    def write(count: int) -> None:
        for number in range(count):
            put(catalogue, number)

    def work(connection: Connection) -> int:
        connection.exec_driver_sql("SELECT 1 FROM settings").all()
        write(100)
        return log.stat().st_size

    assert catalogue.database.read(work) > 2 << 20
    write(16)
    assert log.stat().st_size <= 1 << 20
    catalogue.close()
