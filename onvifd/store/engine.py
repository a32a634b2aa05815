"""The way to the database: engines for SQLite and PostgreSQL, transactions, bounded retries.

SQLite runs in WAL mode, so readers never wait. Several processes write: a write transaction takes the lock at once
(BEGIN IMMEDIATE), is short, and is tried again a bounded number of times.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from onvifd.errors import InvalidArgument, OnvifdError, Timeout, Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often a transaction is tried when another writer is in the way."""
POOL: Final = 4
"""Connections per process that are kept open."""
READ_ONLY: Final = "onvifd_read_only"
LOG_BOUND: Final = 32 << 20
"""Bytes of SQLite's write-ahead log above which it is taken into the database and emptied."""
LOG_CHECKED: Final = 64
"""Transactions of a process between two looks at the size of that log."""
LOG_PATIENCE: Final = 1.0
"""Seconds that emptying the log waits for readers; writers wait as long. Without success it is tried at the next look."""
# PostgreSQL: serialization failure, deadlock, lock not available.
_RETRIED_STATES = frozenset({"40001", "40P01", "55P03"})


def open_engine(url: str, *, timeout: float = 5.0) -> Engine:
    """An engine for a SQLite file or a PostgreSQL database. `timeout` is the longest wait for a lock, in seconds."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise InvalidArgument("the database URL is not understood") from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "postgresql+psycopg":
        return _postgresql(parsed, timeout)
    if parsed.drivername in ("sqlite", "sqlite+pysqlite") and parsed.database not in (None, "", ":memory:"):
        return _sqlite(parsed, timeout)
    raise InvalidArgument(f"databases of kind {parsed.drivername} are not supported, nor SQLite in memory")


def _sqlite(url: Any, timeout: float) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=POOL,
        max_overflow=POOL,
        pool_timeout=timeout,
        connect_args={"timeout": timeout, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # The driver must not open transactions of its own: `_begin` below decides how they start.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        # Taken into the database in small steps; a log that became large through a long reader gives its space back.
        cursor.execute("PRAGMA wal_autocheckpoint=1000")
        cursor.execute(f"PRAGMA journal_size_limit={LOG_BOUND}")
        # 8 MiB a connection: the upper pages of the indices of a month.
        cursor.execute("PRAGMA cache_size=-8192")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={round(timeout * 1000)}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: Any, timeout: float) -> Engine:
    milliseconds = round(timeout * 1000)
    return create_engine(
        url,
        pool_size=POOL,
        max_overflow=POOL,
        pool_timeout=timeout,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": max(2, round(timeout)),
            "options": f"-c lock_timeout={milliseconds} -c statement_timeout={milliseconds * 6} -c timezone=UTC",
            "application_name": "onvifd",
        },
    )


class Database:
    """Runs short units of work in transactions. Every method blocks and may be called from any thread."""

    def __init__(self, engine: Engine, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.engine = engine
        # PostgreSQL would otherwise give each statement of a transaction a view of its own.
        view = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self._reader = engine.execution_options(**{READ_ONLY: True}, **view)
        self._sleep = sleep
        self._written = itertools.count(1)
        self._log = Path(f"{engine.url.database}-wal") if engine.dialect.name == "sqlite" else None

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one consistent view. Raises Unavailable or Timeout."""
        return self._attempt(self._reader, work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` and commit, all or nothing. `work` may run more than once. Raises Unavailable or Timeout."""
        done = self._attempt(self.engine, work)
        if next(self._written) % LOG_CHECKED == 0:
            self._bound_log()
        return done

    def _bound_log(self) -> None:
        """Empty a log that has become long. SQLite takes it in by itself, but begins it anew only when no reader is left
        in it, and with many readers that moment may never come."""
        try:
            if self._log is None or self._log.stat().st_size <= LOG_BOUND:
                return
        except OSError:
            return
        try:
            with self.engine.connect() as connection:
                raw = connection.connection.cursor()
                raw.execute("PRAGMA busy_timeout")
                ((patience,),) = raw.fetchall()
                raw.execute(f"PRAGMA busy_timeout={round(LOG_PATIENCE * 1000)}")
                try:
                    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    raw.fetchall()
                finally:
                    raw.execute(f"PRAGMA busy_timeout={patience}")
                    raw.close()
        except (SQLAlchemyError, sqlite3.Error) as error:
            log.warning("the write-ahead log stays long: %s", error)

    def quick_check(self) -> tuple[str, ...]:
        """What SQLite finds wrong with its file; empty if it is whole (and for other databases)."""
        if not self.is_sqlite:
            return ()
        found = self.read(lambda connection: tuple(connection.exec_driver_sql("PRAGMA quick_check(20)").scalars()))
        return () if found == ("ok",) else tuple(str(line) for line in found)

    def close(self) -> None:
        self.engine.dispose()

    def _attempt(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with engine.begin() as connection:
                    return work(connection)
            except OnvifdError:
                raise
            except PoolTimeout as error:
                raise Timeout("the database has no free connection") from error
            except DBAPIError as error:
                if attempt == ATTEMPTS or not _worth_retrying(error):
                    log.error("database: %s", error.orig)
                    raise Unavailable("the database refuses the operation") from error
                # Random, so that two writers do not meet again.
                self._sleep(random.uniform(0.5, 1.0) * 0.05 * 2**attempt)
            except SQLAlchemyError as error:
                log.error("database: %s", error)
                raise Unavailable("the database refuses the operation") from error
        raise AssertionError("unreachable")


def _worth_retrying(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    if getattr(error.orig, "sqlstate", None) in _RETRIED_STATES:
        return True
    return getattr(error.orig, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def make_private(url: str) -> None:
    """Create the file of a SQLite database with mode 0600 before SQLite does so with the umask's."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
    except OSError as error:
        raise Unavailable(f"database file {path} cannot be made: {error.strerror}") from error
