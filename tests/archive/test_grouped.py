"""Growth of segments, many in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping

import pytest

from onvifd.archive.grouped import GroupedRows
from onvifd.archive.index import EndReason, FragmentFlag, SegmentChange, SegmentRow, SegmentState
from onvifd.archive.memory import MemorySegmentStore
from onvifd.errors import Unavailable

VIDEO = FragmentFlag.VIDEO


class Store(MemorySegmentStore):
    """Counts transactions, and refuses them when told."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[dict[int, SegmentChange]] = []
        self.refuses = False
        self.stored = threading.Event()

    def update_segments(self, changes: Mapping[int, SegmentChange]) -> None:
        if self.refuses:
            raise Unavailable("locked")
        self.transactions.append(dict(changes))
        super().update_segments(changes)
        self.stored.set()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def rows(store: Store) -> Iterator[GroupedRows]:
    grouped = GroupedRows(store, interval=3600)
    yield grouped
    grouped.close()


def begin(rows: GroupedRows, number: int) -> int:
    return rows.insert_segment(
        SegmentRow(recording=f"rec-{number}", volume="v", path=f"{number}.mp4", start=0, end=0, size=0, formats=())
    )


def grown(end: int) -> SegmentChange:
    return SegmentChange(end=end, size=end, kinds=VIDEO, fragments=b"")


def test_the_newest_growth_of_each_goes_in_one_transaction(store: Store, rows: GroupedRows) -> None:
    first, second = begin(rows, 1), begin(rows, 2)
    for end in range(1, 6):
        rows.update_segment(first, grown(end))
    rows.update_segment(second, grown(9))
    assert store.transactions == []
    rows.flush()
    rows.flush()
    assert store.transactions == [{first: grown(5), second: grown(9)}]
    assert store.recording_bytes("rec-1") == 5


def test_nothing_is_stored_behind_the_end(store: Store, rows: GroupedRows) -> None:
    number = begin(rows, 1)
    rows.update_segment(number, grown(5))
    rows.close_segment(number, grown(7), state=SegmentState.CLOSED, reason=EndReason.STOP)
    rows.flush()
    assert store.transactions == []
    row = store.segment_by_path("v", "1.mp4")
    assert row is not None
    assert (row.end, row.state) == (7, SegmentState.CLOSED)


def test_what_is_refused_is_offered_again_and_said_once(
    store: Store, rows: GroupedRows, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = begin(rows, 1), begin(rows, 2)
    store.refuses = True
    with caplog.at_level(logging.INFO):
        rows.update_segment(first, grown(1))
        rows.update_segment(second, grown(1))
        rows.flush()
        rows.update_segment(first, grown(2))
        rows.flush()
        store.refuses = False
        rows.flush()
    assert store.transactions == [{first: grown(2), second: grown(1)}]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_it_stores_by_itself_and_the_rest_at_its_end() -> None:
    store = Store()
    rows = GroupedRows(store, interval=0.01)
    number = begin(rows, 1)
    rows.update_segment(number, grown(1))
    assert store.stored.wait(10)
    rows.close()
    late = GroupedRows(store, interval=3600)
    late.update_segment(number, grown(2))
    late.close()
    assert store.recording_bytes("rec-1") == 2


def test_growth_that_is_refused_while_a_segment_ends_does_not_come_back(
    store: Store, rows: GroupedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = begin(rows, 1)
    rows.update_segment(number, grown(5))
    asked = threading.Event()

    class Told:
        """The lock of what has grown, that tells when the end is on its way through it."""

        def __init__(self, lock: threading.Lock) -> None:
            self._lock = lock

        def __enter__(self) -> None:
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()
            if threading.current_thread() is ending:
                asked.set()

    ending = threading.Thread(
        target=lambda: rows.close_segment(number, grown(7), state=SegmentState.CLOSED, reason=EndReason.STOP)
    )
    monkeypatch.setattr(rows, "_lock", Told(rows._lock))
    refuse = store.update_segments

    def hang(changes: Mapping[int, SegmentChange]) -> None:
        monkeypatch.setattr(store, "update_segments", refuse)
        ending.start()
        asked.wait(0.2)  # the end waits for this transaction, before or behind the lock
        raise Unavailable("locked")

    monkeypatch.setattr(store, "update_segments", hang)
    rows.flush()
    ending.join(10)
    rows.flush()
    row = store.segment_by_path("v", "1.mp4")
    assert row is not None
    assert (row.end, row.state) == (7, SegmentState.CLOSED)
    assert store.transactions == []
