"""A worker's part of the catalogue: `python -m benchmarks.month_writer URL`, until its input ends.

Every open segment grows once a second, in transactions of a quarter of a second as `archive.grouped` makes them; each is
closed after a minute and another begun.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from benchmarks.month_data import MINUTE, VOLUME
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.index import EndReason, SegmentChange, SegmentRow, SegmentState
from onvifd.clock import US
from onvifd.errors import OnvifdError
from onvifd.store.catalogue import Catalogue
from onvifd.store.engine import Database

PARTS = 4
"""Transactions a second."""


class Writer:
    def __init__(self, url: str) -> None:
        self._catalogue = Catalogue.open(url)
        self._store = CatalogueSegmentStore(self._catalogue)
        self._open = list(self._store.open_segments())
        self._tables = {row.id: row.fragments for row in self._open}
        self.took: list[float] = []
        self.failed = 0

    def second(self, number: int, ended: threading.Event | None = None) -> None:
        """What happens in a second; with `ended` it takes one, unless that is set."""
        for part in range(PARTS):
            begin = time.monotonic()
            rows = self._open[part::PARTS]
            changes = {row.id: self._change(row, number) for row in rows}
            self._timed(partial(self._store.update_segments, changes))
            for at in range(part, len(self._open), PARTS):
                if at % 60 == number % 60:
                    self._timed(partial(self._next, at, number))
            if ended is not None:
                ended.wait(max(0.0, 1 / PARTS - (time.monotonic() - begin)))

    def _change(self, row: SegmentRow, number: int) -> SegmentChange:
        grown = number % 60 + 1
        return SegmentChange(
            end=row.start + grown * US, size=grown * 500_000, kinds=row.kinds, fragments=self._tables.get(row.id, b"")
        )

    def _next(self, at: int, number: int) -> None:
        row = self._open[at]
        change = dataclasses.replace(self._change(row, number), end=row.start + MINUTE)
        self._store.close_segment(row.id, change, state=SegmentState.CLOSED, reason=EndReason.TIME)
        start = row.start + MINUTE
        new = dataclasses.replace(
            row, id=0, start=start, end=start, size=0, path=f"{row.recording}/next/{start}.mp4", volume=VOLUME
        )
        self._open[at] = dataclasses.replace(new, id=self._store.insert_segment(new))

    def _timed(self, work: Callable[[], None]) -> None:
        begin = time.perf_counter()
        try:
            work()
        except OnvifdError:
            self.failed += 1
        self.took.append(time.perf_counter() - begin)

    @property
    def database(self) -> Database:
        return self._catalogue.database

    def close(self) -> None:
        self._catalogue.close()


def main() -> None:
    writer = Writer(sys.argv[1])
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    print("ready", flush=True)
    number = 0
    while not ended.is_set():
        writer.second(number, ended)
        number += 1
    writer.close()
    took = sorted(writer.took) or [0.0]
    print(
        json.dumps(
            {
                "p50": took[len(took) // 2] * 1e3,
                "p99": took[len(took) * 99 // 100] * 1e3,
                "count": len(took),
                "failed": writer.failed,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
