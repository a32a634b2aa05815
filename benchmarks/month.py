"""A month of many cameras in the catalogue: how long questions take while a worker writes, and whether they stay flat.

`python -m benchmarks month [--cameras 100 --days 30 --events 10000000] [--database URL|postgresql]`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from benchmarks.clip import ROOT
from benchmarks.measure import Figure, report
from benchmarks.month_ask import Asker, Took
from benchmarks.month_data import Month, fill
from benchmarks.month_server import postgresql
from onvifd.bodies import garbage
from onvifd.store.catalogue import Catalogue

HOLD = 50.0
"""Milliseconds that 99 of 100 answers may take."""
NEEDED = 1200
"""Bytes of disk per row that is made, index and log included."""


@dataclass(frozen=True, slots=True)
class Result:
    month: Month
    took: dict[str, Took]
    rate: float
    writer: dict[str, float]
    size: int
    log: int
    """Bytes of the write-ahead log at the end; 0 for PostgreSQL."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks month", description=__doc__)
    parser.add_argument("--cameras", type=int, default=100)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=5, help="for each question")
    parser.add_argument(
        "--database", default="", help="URL of an empty PostgreSQL database; `postgresql` starts a server of its own"
    )
    options = parser.parse_args(arguments)
    month = Month(options.cameras, options.days, options.events)
    tenth = Month(options.cameras, max(1, options.days // 10), options.events // 10)
    kind = "postgresql" if options.database else "sqlite"
    results = [run(each, options.database, options.seconds) for each in (tenth, month)]
    report(f"month {kind}", figures(*results), command=f"month{' --database postgresql' if options.database else ''}")


def run(month: Month, database: str, seconds: float) -> Result:
    """Make a catalogue and ask it; nothing of it is left."""
    begin = time.monotonic()

    def progress(what: str) -> None:
        print(f"{time.monotonic() - begin:7.1f} s  {what}", flush=True)

    with _place(database, month) as url:
        catalogue = Catalogue.open(url, migrate=True)
        try:
            fill(catalogue, month, progress)
            progress("questions")
            return _asked(catalogue, url, month, seconds)
        finally:
            if database and database != "postgresql":
                _clear(catalogue)
            catalogue.close()


@contextmanager
def _place(database: str, month: Month) -> Iterator[str]:
    if database == "postgresql":
        with postgresql() as url:
            yield url
    elif database:
        yield database
    else:
        folder = Path(tempfile.mkdtemp(prefix="onvifd-month-"))
        try:
            needed = NEEDED * (month.segments + month.events)
            if shutil.disk_usage(folder).free < needed:
                raise SystemExit(f"{folder} has less than {needed >> 20} MiB free")
            yield f"sqlite:///{folder / 'catalogue.sqlite3'}"
        finally:
            shutil.rmtree(folder)


def _clear(catalogue: Catalogue) -> None:
    tables = "segments, usage, events, spans, formats, topics"
    query = text(f"TRUNCATE {tables}")
    catalogue.database.write(lambda connection: connection.execute(query))


def _asked(catalogue: Catalogue, url: str, month: Month, seconds: float) -> Result:
    size = _size(catalogue, url)
    writer = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.month_writer", url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    try:
        assert writer.stdout.readline().strip() == "ready"
        asker = Asker(catalogue, month, seconds)
        # As the recorder does when it is up.
        garbage.settle()
        asyncio.run(asker.run())
        output, _ = writer.communicate("", timeout=60)
    finally:
        if writer.poll() is None:
            writer.kill()
            writer.wait(10)
    wrong = catalogue.segments.usage.check()
    if wrong:
        raise RuntimeError(f"counters are wrong: {wrong[:3]}")
    log = Path(url.removeprefix("sqlite:///") + "-wal")
    return Result(month, asker.took, asker.rate, json.loads(output), size, os.path.getsize(log) if log.exists() else 0)


def _size(catalogue: Catalogue, url: str) -> int:
    if catalogue.database.is_sqlite:
        return os.path.getsize(url.removeprefix("sqlite:///"))
    query = text("SELECT pg_database_size(current_database())")
    return catalogue.database.read(lambda connection: int(connection.execute(query).scalar_one()))


def figures(tenth: Result, month: Result) -> list[Figure]:
    """Lines of the table: the month, and a tenth of it for comparison."""
    lines = []
    for name, took in month.took.items():
        before = tenth.took[name]
        p99 = took.share(0.99)
        ratio = took.share(0.5, cpu=True) / max(before.share(0.5, cpu=True), 0.01)
        lines.append(Figure(name, _took(took), _took(before), f"{ratio:.1f}", f"p99 < {HOLD:g} ms", p99 < HOLD))
    lines.append(
        Figure("events read on through a day", f"{month.rate:.0f} a second", f"{tenth.rate:.0f} a second", "", "", None)
    )
    growing = f"transactions of a writer meanwhile ({month.month.cameras} segments grow each second)"
    lines.append(Figure(growing, _writer(month), _writer(tenth), "", "", None))
    rows = f"size of {month.month.segments:,} segments and {month.month.events:,} events"
    lines.append(Figure(rows, _sizes(month), _sizes(tenth), "", "", None))
    return lines


def _took(took: Took) -> str:
    return (
        f"p50 {took.share(0.5):.1f} ms, p99 {took.share(0.99):.1f} ms "
        f"({took.share(0.5, cpu=True):.1f} and {took.share(0.99, cpu=True):.1f} ms CPU)"
    )


def _writer(result: Result) -> str:
    took = result.writer
    return f"p50 {took['p50']:.1f} ms, p99 {took['p99']:.1f} ms, {took['failed']:.0f} of {took['count']:.0f} failed"


def _sizes(result: Result) -> str:
    return f"{result.size / 1e6:.0f} MB" + (f", log {result.log / 1e6:.0f} MB" if result.log else "")
