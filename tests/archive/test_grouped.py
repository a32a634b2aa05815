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
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = GroupedRows(store, interval=3600, patience=0.05)
    number = begin(rows, 1)
    rows.update_segment(number, grown(5))
    take = store.update_segments

    def end_meanwhile(changes: Mapping[int, SegmentChange]) -> None:
        monkeypatch.setattr(store, "update_segments", take)
        rows.close_segment(number, grown(7), state=SegmentState.CLOSED, reason=EndReason.STOP)
        raise Unavailable("locked")

    monkeypatch.setattr(store, "update_segments", end_meanwhile)
    rows.flush()
    rows.close()
    row = store.segment_by_path("v", "1.mp4")
    assert row is not None
    assert (row.end, row.state) == (7, SegmentState.CLOSED)
    assert store.transactions == []


class Busy(MemorySegmentStore):
    """Takes nothing while `busy`."""

    busy = True

    def insert_segment(self, row: SegmentRow) -> int:
        self._check()
        return super().insert_segment(row)

    def update_segments(self, changes: Mapping[int, SegmentChange]) -> None:
        self._check()
        super().update_segments(changes)

    def close_segment(self, segment: int, change: SegmentChange, *, state: SegmentState, reason: EndReason) -> None:
        self._check()
        super().close_segment(segment, change, state=state, reason=reason)

    def _check(self) -> None:
        if self.busy:
            raise Unavailable("locked")


def test_whole_lives_of_segments_are_stored_when_the_database_is_free_again() -> None:
    store = Busy()
    rows = GroupedRows(store, interval=3600, patience=0.01)
    before = begin_free(store, rows)
    rows.close_segment(before, grown(60), state=SegmentState.CLOSED, reason=EndReason.TIME)
    over = begin(rows, 2)
    rows.update_segment(over, grown(5))
    rows.close_segment(over, grown(70), state=SegmentState.CLOSED, reason=EndReason.LOSS)
    going = begin(rows, 3)
    rows.update_segment(going, grown(8))
    assert (over < 0, going < 0) == (True, True)
    assert store.recorded() == ("rec-1",)
    store.busy = False
    rows.flush()
    found = {row.path: (row.end, row.size, row.state, row.end_reason) for row in store.volume_segments("v")}
    assert found == {
        "1.mp4": (60, 60, SegmentState.CLOSED, EndReason.TIME),
        "2.mp4": (70, 70, SegmentState.CLOSED, EndReason.LOSS),
        "3.mp4": (8, 8, SegmentState.OPEN, EndReason.NONE),
    }
    # Its number goes on to name it.
    rows.update_segment(going, grown(9))
    rows.flush()
    rows.close_segment(going, grown(10), state=SegmentState.CLOSED, reason=EndReason.STOP)
    rows.close()
    assert store.open_segments() == ()
    assert store.recording_bytes("rec-3") == 10


def begin_free(store: Busy, rows: GroupedRows) -> int:
    store.busy = False
    number = begin(rows, 1)
    store.busy = True
    return number


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.archive.grouped.MOST", 2)
    store = Busy()
    rows = GroupedRows(store, interval=3600, patience=0.01)
    begin(rows, 1)
    begin(rows, 2)
    with pytest.raises(Unavailable):
        begin(rows, 3)
    store.busy = False
    rows.flush()
    begin(rows, 3)
    rows.close()
    assert store.recorded() == ("rec-1", "rec-2", "rec-3")
