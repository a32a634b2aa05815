"""Growth of segments in one transaction for all recordings of a process.

Each open segment grows once a second. A transaction of its own for each costs more than the footage it tells of, and
writers of several processes stand in each other's way. Growth may be lost in a crash (the file is the truth, recovery reads
it), so it is collected here for a moment. Beginning and end of a segment are stored at once.
"""

from __future__ import annotations

import logging
import threading
import time

from onvifd.archive.index import EndReason, SegmentChange, SegmentRow, SegmentState, SegmentStore
from onvifd.errors import OnvifdError, Unavailable

log = logging.getLogger(__name__)

REFUSAL = 2.0
"""Seconds for which a store that did not answer is not asked again: each question waits for its lock, and what is to be written
meanwhile waits behind it."""

INTERVAL = 0.25
"""Seconds between two transactions: how far the index may lag behind the files, besides what it does anyhow."""


class GroupedRows:
    """`SegmentRows` in front of a store. Thread-safe; `close` must be called. Bounded by the number of open segments."""

    def __init__(self, store: SegmentStore, interval: float = INTERVAL) -> None:
        self._store = store
        self._interval = interval
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._grown: dict[int, SegmentChange] = {}
        self._ended = threading.Event()
        self._failed = False
        self._refused = -REFUSAL
        """When the store did not answer last, monotonic seconds."""
        self._thread = threading.Thread(target=self._work, name="segment-rows", daemon=True)
        self._thread.start()

    def insert_segment(self, row: SegmentRow) -> int:
        """See SegmentStore."""
        self._check()
        try:
            return self._store.insert_segment(row)
        except Unavailable:
            self._refused = time.monotonic()
            raise

    def _check(self) -> None:
        if time.monotonic() < self._refused + REFUSAL:
            raise Unavailable("catalogue does not answer")

    def update_segment(self, segment: int, change: SegmentChange) -> None:
        """Remember the newest growth of a segment; it is stored with the next transaction."""
        with self._lock:
            self._grown[segment] = change

    def close_segment(self, segment: int, change: SegmentChange, *, state: SegmentState, reason: EndReason) -> None:
        """See SegmentStore. No growth of this segment is stored after this."""
        # A transaction under way may still hold older growth, and puts it back if it is refused.
        with self._writing:
            self._check()
            with self._lock:
                self._grown.pop(segment, None)
            try:
                self._store.close_segment(segment, change, state=state, reason=reason)
            except Unavailable:
                self._refused = time.monotonic()
                raise

    def flush(self) -> None:
        """Store what is waiting. What the store refuses waits on, unless something newer came."""
        with self._writing:
            with self._lock:
                grown, self._grown = self._grown, {}
            if not grown:
                return
            try:
                self._store.update_segments(grown)
            except OnvifdError as error:
                with self._lock:
                    self._grown = grown | self._grown
                if not self._failed:
                    log.error("catalogue does not take the growth of %d segments: %s", len(grown), error.reason)
                self._failed = True
            else:
                if self._failed:
                    log.info("catalogue takes the growth of segments again")
                self._failed = False

    def close(self) -> None:
        """Store the rest and end."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended.wait(self._interval):
            if time.monotonic() >= self._refused + REFUSAL:
                self._try()
        self._try()

    def _try(self) -> None:
        try:
            self.flush()
        except Exception:
            # The thread serves all recordings: a defect must not end it, and growth is repeated each second.
            log.exception("growth of segments was not stored")
