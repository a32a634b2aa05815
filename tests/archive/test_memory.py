"""What every segment store must do: in memory, and over the catalogue."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.index import (
    EndReason,
    Fragment,
    FragmentFlag,
    SegmentChange,
    SegmentRow,
    SegmentState,
    SegmentStore,
    pack_fragments,
    unpack_fragments,
)
from onvifd.archive.memory import MemorySegmentStore
from onvifd.clock import US
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.store.catalogue import Catalogue
from tests.archive.conftest import PCMA, PCMU, T0

VIDEO, AUDIO = FragmentFlag.VIDEO, FragmentFlag.AUDIO


@pytest.fixture(params=["memory", "catalogue"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SegmentStore]:
    if request.param == "memory":
        yield MemorySegmentStore()
        return
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.db'}", migrate=True)
    yield CatalogueSegmentStore(catalogue)
    catalogue.close()


def row(
    minute: int,
    recording: str = "rec-1",
    *,
    kinds: FragmentFlag = VIDEO,
    state: SegmentState = SegmentState.CLOSED,
    volume: str = "v1",
    formats: tuple[TrackFormat, ...] = (PCMU,),
) -> SegmentRow:
    start = T0 + minute * 60 * US
    return SegmentRow(
        recording=recording,
        volume=volume,
        path=f"{recording}/{minute}.mp4",
        start=start,
        end=start + 60 * US,
        size=1000 + minute,
        formats=formats,
        fragments=pack_fragments([Fragment(700, 300, start, 60_000_000, VIDEO)]),
        kinds=kinds,
        state=state,
        end_reason=EndReason.TIME,
    )


def starts(rows: tuple[SegmentRow, ...]) -> list[int]:
    return [(each.start - T0) // (60 * US) for each in rows]


def test_a_row_comes_back_as_it_was(index: SegmentStore) -> None:
    number = index.insert_segment(row(3))
    found = index.segment_by_path("v1", "rec-1/3.mp4")
    assert found is not None
    assert found.id == number
    assert unpack_fragments(found.fragments) == unpack_fragments(row(3).fragments)
    assert found == dataclasses.replace(row(3), id=number, fragments=found.fragments)
    assert index.segment_by_path("v2", "rec-1/3.mp4") is None


def test_changes_and_the_last_change(index: SegmentStore) -> None:
    number = index.insert_segment(row(0, state=SegmentState.OPEN))
    index.update_segment(number, SegmentChange(end=T0 + 5, size=7, kinds=VIDEO | AUDIO, fragments=b""))
    (found,) = index.open_segments()
    assert (found.end, found.size, found.kinds, found.fragments) == (T0 + 5, 7, VIDEO | AUDIO, b"")
    change = SegmentChange(end=T0 + 6, size=8, kinds=VIDEO, fragments=b"")
    index.close_segment(number, change, state=SegmentState.RECOVERED, reason=EndReason.CRASH)
    assert index.open_segments() == ()
    found_again = index.segment_by_path("v1", "rec-1/0.mp4")
    assert found_again is not None
    assert (found_again.end, found_again.state, found_again.end_reason) == (
        T0 + 6,
        SegmentState.RECOVERED,
        EndReason.CRASH,
    )


def test_a_segment_that_is_gone_is_no_error(index: SegmentStore) -> None:
    number = index.insert_segment(row(0))
    index.delete_segment(number)
    index.delete_segment(number)
    change = SegmentChange(end=T0, size=1, kinds=VIDEO, fragments=b"")
    index.update_segment(number, change)
    index.close_segment(number, change, state=SegmentState.CLOSED, reason=EndReason.STOP)
    assert index.segment_by_path("v1", "rec-1/0.mp4") is None


def test_the_same_path_is_replaced(index: SegmentStore) -> None:
    index.insert_segment(row(0))
    index.insert_segment(row(0))
    assert len(index.segments_between("rec-1", 0, 1 << 62)) == 1


def test_searching_by_time(index: SegmentStore) -> None:
    for minute in (5, 1, 2):
        index.insert_segment(row(minute))
    index.insert_segment(row(2, "rec-2"))
    minute = 60 * US
    assert starts(index.segments_between("rec-1", 0, 1 << 62)) == [1, 2, 5]
    assert starts(index.segments_between("rec-1", 0, 1 << 62, limit=2)) == [1, 2]
    # Half open: a segment that ends at the start or begins at the end is outside.
    assert starts(index.segments_between("rec-1", T0 + 2 * minute, T0 + 5 * minute)) == [2]
    at = index.segment_at("rec-1", T0 + 4 * minute)
    assert at is not None
    assert starts((at,)) == [2]
    assert index.segment_at("rec-1", T0) is None
    after = index.segment_after("rec-1", T0 + 2 * minute)
    assert after is not None
    assert starts((after,)) == [5]
    assert index.segment_after("rec-1", T0 + 5 * minute) is None


def test_open_segments_end_in_the_future(index: SegmentStore) -> None:
    index.insert_segment(row(1, state=SegmentState.OPEN))
    assert starts(index.segments_between("rec-1", T0 + 3600 * US, T0 + 3601 * US)) == [1]


def test_times_per_recording_and_kind(index: SegmentStore) -> None:
    assert index.recording_times("rec-1") is None
    index.insert_segment(row(1))
    index.insert_segment(row(2, kinds=VIDEO | AUDIO))
    index.insert_segment(row(9, kinds=FragmentFlag(0)))
    minute = 60 * US
    assert index.recording_times("rec-1") == (T0 + minute, T0 + 3 * minute)
    assert index.track_times("rec-1") == {
        Kind.VIDEO: (T0 + minute, T0 + 3 * minute),
        Kind.AUDIO: (T0 + 2 * minute, T0 + 3 * minute),
    }
    index.insert_segment(row(1, "rec-0"))
    assert index.recorded() == ("rec-0", "rec-1")


def test_walking_a_volume(index: SegmentStore) -> None:
    for minute in range(5):
        index.insert_segment(row(minute, volume="v1" if minute else "v2"))
    first = index.volume_segments("v1", 0, 3)
    rest = index.volume_segments("v1", first[-1].id, 3)
    assert (starts(first), starts(rest)) == ([1, 2, 3], [4])


def test_the_oldest_of_a_volume(index: SegmentStore) -> None:
    for minute, recording in ((3, "rec-1"), (1, "rec-2"), (2, "rec-1")):
        index.insert_segment(row(minute, recording))
    index.insert_segment(row(0, state=SegmentState.OPEN))
    assert starts(index.oldest_segments("v1", 2)) == [1, 2]
    assert index.volume_bytes("v1") == 4006
    assert index.volume_bytes("v9") == 0


def test_playback_passes_over_copies_but_space_counts_them(index: SegmentStore) -> None:
    first = index.insert_segment(row(1))
    index.insert_segment(dataclasses.replace(row(1, volume="v2"), copy=True))
    index.insert_segment(dataclasses.replace(row(3, volume="v2"), copy=True))
    assert [each.id for each in index.segments_between("rec-1", 0, 1 << 62)] == [first]
    assert index.segment_at("rec-1", 1 << 62) == index.segments_between("rec-1", 0, 1 << 62)[0]
    assert index.segment_after("rec-1", T0 + 60 * US) is None
    assert index.recording_times("rec-1") == (T0 + 60 * US, T0 + 120 * US)
    assert index.track_times("rec-1") == {Kind.VIDEO: (T0 + 60 * US, T0 + 120 * US)}
    assert starts(index.oldest_segments("v2", 9)) == [1, 3]
    assert [each.copy for each in index.volume_segments("v2")] == [True, True]
    assert (index.volume_bytes("v2"), index.recording_bytes("rec-1")) == (2004, 3005)


H264 = TrackFormat(codec=Codec.H264, clock_rate=90_000)


def test_formats_the_newest_first(index: SegmentStore) -> None:
    for minute, formats, kinds in (
        (0, (H264, PCMU), VIDEO | AUDIO),
        (1, (H264, PCMA), VIDEO | AUDIO),
        (2, (H264, PCMU), VIDEO),
    ):
        index.insert_segment(row(minute, formats=formats, kinds=kinds))
    assert index.formats("rec-1") == (H264, PCMA, PCMU)
    assert index.formats("rec-2") == ()


def test_the_next_segment_with_other_tracks(index: SegmentStore) -> None:
    """Other formats, or data of other kinds."""
    rows = [
        row(0, formats=(PCMA,)),
        row(1, formats=(PCMA,)),
        row(2),
        row(3),
        row(4),
        row(5, kinds=VIDEO | AUDIO),
        row(6, formats=(PCMA,)),
        row(3, "rec-2", formats=(PCMA,)),
    ]
    rows = [dataclasses.replace(each, id=index.insert_segment(each)) for each in rows]

    def minutes(found: SegmentRow | None) -> list[int]:
        return starts((found,)) if found is not None else []

    assert minutes(index.unlike_after(rows[2])) == minutes(index.unlike_after(rows[4])) == [5]
    assert minutes(index.unlike_before(rows[3])) == minutes(index.unlike_before(rows[2])) == [1]
    assert minutes(index.unlike_before(rows[0])) == minutes(index.unlike_after(rows[6])) == []
    # Retention may have taken it meanwhile: then the next one is not told from it.
    index.delete_segment(rows[0].id)
    found = index.unlike_after(rows[0])
    assert found is not None
    assert found.start <= rows[2].start
