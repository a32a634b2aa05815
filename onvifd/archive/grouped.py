"""The rows of segments of a process, behind a short queue: many grow in one transaction, and nobody waits for a database
that is busy.

Each open segment grows once a second. A transaction of its own for each costs more than the footage it tells of, and
writers of several processes stand in each other's way. So growth is collected for a moment. Beginning and end of a segment
are stored at once, but whoever writes the file waits only a second for it: the file is the truth, and a database that
another process has locked must not hold up footage. What is not stored yet is offered again until it is taken.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from dataclasses import dataclass

from onvifd.archive.index import EndReason, SegmentChange, SegmentRow, SegmentState, SegmentStore
from onvifd.errors import OnvifdError, Unavailable

log = logging.getLogger(__name__)

INTERVAL = 0.25
"""Seconds between two transactions of growth: how far the index may lag behind the files, besides what it does anyhow."""
PATIENCE = 1.0
"""Seconds that the beginning or end of a segment waits to be stored; then it is stored later."""
MOST = 20_000
"""Segments whose beginning or end may wait: a hundred recordings for more than an hour. Further ones are refused."""


@dataclass(frozen=True, slots=True)
class _End:
    change: SegmentChange
    state: SegmentState
    reason: EndReason


class GroupedRows:
    """`SegmentRows` in front of a store. Thread-safe; `close` must be called. Bounded by MOST and the number of open segments.

    A segment that is not stored yet has a negative number, which goes on to name it.
    """

    def __init__(self, store: SegmentStore, interval: float = INTERVAL, patience: float = PATIENCE) -> None:
        self._store = store
        self._interval = interval
        self._patience = patience
        # Locks: one for what is below, one for the database. The second is held around the first, never the other way.
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._stored = threading.Condition(self._lock)
        # What waits, by number.
        self._begun: dict[int, SegmentRow] = {}
        self._grown: dict[int, SegmentChange] = {}
        self._done: dict[int, _End] = {}
        # Numbers in the store of segments that were given a negative one.
        self._numbers: dict[int, int] = {}
        self._last = 0
        # The thread.
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._work, name="segment-rows", daemon=True)
        self._thread.start()

    # ---- what writers call

    def insert_segment(self, row: SegmentRow) -> int:
        """See SegmentStore. Raises Unavailable if too much waits already."""
        with self._lock:
            self._check_bound()
            self._last -= 1
            number = self._last
            self._begun[number] = row
            self._wake.set()
            self._stored.wait_for(lambda: number in self._numbers, self._patience)
            return self._numbers.pop(number, number)

    def update_segment(self, segment: int, change: SegmentChange) -> None:
        """Remember the newest growth of a segment; it is stored with the next transaction."""
        with self._lock:
            self._grown[segment] = change

    def close_segment(self, segment: int, change: SegmentChange, *, state: SegmentState, reason: EndReason) -> None:
        """See SegmentStore. No growth of this segment is stored after this. Raises Unavailable if too much waits already."""
        with self._lock:
            self._check_bound()
            self._grown.pop(segment, None)
            self._done[segment] = _End(change, state, reason)
            self._wake.set()
            self._stored.wait_for(lambda: segment not in self._done, self._patience)

    def _check_bound(self) -> None:
        if len(self._begun) + len(self._done) >= MOST:
            raise Unavailable("too many rows of segments wait for the database")

    # ---- what is stored

    def flush(self) -> None:
        """Store what is waiting. What the store refuses waits on, unless something newer came."""
        with self._writing:
            for step in (self._begin_segments, self._grow_segments, self._end_segments):
                # At the end one refusal is enough: each may take the time-outs of the database.
                if not step() and self._ended.is_set():
                    return

    def _begin_segments(self) -> bool:
        """False if the store refused one; also below."""
        with self._lock:
            waiting = list(self._begun)
        for number in waiting:
            with self._lock:
                row, end = self._begun[number], self._done.get(number)
            if end is not None:
                # Over already: one row says it all.
                row = _ended(row, end)
            try:
                stored = self._store.insert_segment(row)
            except OnvifdError as error:
                self._refused(error)
                with self._lock:
                    # Behind the others: what is never taken must not hold them up.
                    self._begun[number] = self._begun.pop(number)
                return False
            except Exception:
                with self._lock:
                    # A defect: recovery takes the file in at the next start.
                    del self._begun[number]
                raise
            self._taken()
            with self._lock:
                del self._begun[number]
                if end is not None:
                    del self._done[number]
                else:
                    self._numbers[number] = stored
                self._stored.notify_all()
        return True

    def _grow_segments(self) -> bool:
        with self._lock:
            grown = {number: change for number, change in self._grown.items() if number not in self._begun}
            named = {
                self._numbers.get(number, number): change
                for number, change in grown.items()
                if number not in self._done
            }
            for number in grown:
                del self._grown[number]
        if not named:
            return True
        try:
            self._store.update_segments(named)
        except OnvifdError as error:
            with self._lock:
                # What ended meanwhile does not come back, and what is newer stays.
                back = {number: change for number, change in grown.items() if number not in self._done}
                self._grown = back | self._grown
            self._refused(error)
            return False
        self._taken()
        return True

    def _end_segments(self) -> bool:
        with self._lock:
            waiting = [(number, end) for number, end in self._done.items() if number not in self._begun]
        for number, end in waiting:
            with self._lock:
                named = self._numbers.get(number, number)
            try:
                self._store.close_segment(named, end.change, state=end.state, reason=end.reason)
            except OnvifdError as error:
                self._refused(error)
                with self._lock:
                    self._done[number] = self._done.pop(number)
                return False
            except Exception:
                with self._lock:
                    del self._done[number]
                raise
            self._taken()
            with self._lock:
                self._numbers.pop(number, None)
                del self._done[number]
                self._stored.notify_all()
        return True

    def _refused(self, error: OnvifdError) -> None:
        if not self._failed:
            with self._lock:
                waiting = len(self._begun.keys() | self._grown.keys() | self._done.keys())
            log.error("catalogue does not take segment rows, footage is kept, %d wait: %s", waiting, error.reason)
        self._failed = True

    def _taken(self) -> None:
        if self._failed:
            log.info("catalogue takes segment rows again")
        self._failed = False

    # ---- the thread

    def close(self) -> None:
        """Store the rest, trying once, and end."""
        self._ended.set()
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        due = time.monotonic() + self._interval
        while not self._ended.is_set():
            if self._wake.wait(max(0.0, due - time.monotonic())):
                self._wake.clear()
                if self._ended.is_set():
                    break
                self._try(growth=False)
                if self._failed:
                    # What is refused is not offered again at once.
                    self._ended.wait(self._interval)
            if time.monotonic() >= due:
                self._try(growth=True)
                due = time.monotonic() + self._interval
        self._try(growth=True)

    def _try(self, growth: bool) -> None:
        try:
            if growth:
                self.flush()
            else:
                with self._writing:
                    self._begin_segments()
                    self._end_segments()
        except Exception:
            # The thread serves all recordings: a defect must not end it, and growth is repeated each second.
            log.exception("rows of segments were not stored")


def _ended(row: SegmentRow, end: _End) -> SegmentRow:
    return dataclasses.replace(
        row,
        end=end.change.end,
        size=end.change.size,
        kinds=end.change.kinds,
        fragments=end.change.fragments,
        state=end.state,
        end_reason=end.reason,
    )
