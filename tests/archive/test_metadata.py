"""Reading metadata tracks: documents between two times, in both directions, from files as the writer makes them."""

from __future__ import annotations

import os

import pytest
from msgspec import structs

from onvifd.archive.disk import Volume
from onvifd.archive.index import EMPTY_DOCUMENT, FragmentFlag, SegmentState, pack_fragments, unpack_fragments
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.metadata import MetadataReader, Scan
from onvifd.archive.recovery import fragment_of, scan
from onvifd.clock import US
from onvifd.media.types import AccessUnit, Codec, TrackFormat
from tests.archive.conftest import T0, Clip, Record, in_order, video_units

META = TrackFormat(codec=Codec.METADATA, clock_rate=90000)
AGAIN = T0 + 40 * US
SECONDS = 20
EVERY = US // 2


def document(utc: int) -> bytes:
    return f'<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema" at="{utc}"/>'.encode()


def documents(start: int, seconds: float, track: int = 1) -> list[AccessUnit]:
    times = range(start + 1000, start + int(seconds * US), EVERY)
    return [AccessUnit(track, utc, (utc - start) * 90_000 // US, True, document(utc)) for utc in times]


ALL = [unit.utc for start in (T0, AGAIN) for unit in documents(start, SECONDS)]


@pytest.fixture
def footage(record: Record, h264: Clip) -> None:
    """Twice 20 s with a gap; segments of 5 s or more."""
    for start in (T0, AGAIN):
        units = in_order(video_units(h264, start, SECONDS), documents(start, SECONDS))
        record([h264.format, META], units, segment_us=5 * US)


@pytest.fixture
def metadata(store: MemorySegmentStore, volume: Volume) -> MetadataReader:
    return MetadataReader(store, lambda: {volume.id: volume})


def whole(utc: int, data: bytes) -> int:
    assert data == document(utc)
    return utc


def scanned(scan: Scan[int]) -> list[int]:
    assert all(utc == taken for utc, taken in scan.found)
    return [utc for utc, _ in scan.found]


@pytest.mark.usefixtures("footage")
@pytest.mark.parametrize("backward", [False, True])
def test_all_documents_in_order(metadata: MetadataReader, backward: bool) -> None:
    wanted = ALL[::-1] if backward else ALL
    scan = metadata.scan("rec-1", 0, 1 << 60, whole, backward=backward, budget=60)
    assert scanned(scan) == wanted
    assert scan.reached == (0 if backward else 1 << 60)


@pytest.mark.usefixtures("footage")
@pytest.mark.parametrize("backward", [False, True])
def test_a_range_is_exact_with_both_ends(metadata: MetadataReader, backward: bool) -> None:
    first, last = ALL[7], AGAIN + 1000 + 9 * EVERY
    scan = metadata.scan("rec-1", first, last, whole, backward=backward, budget=60)
    wanted = [utc for utc in ALL if first <= utc <= last]
    assert scanned(scan) == (wanted[::-1] if backward else wanted)
    assert scanned(metadata.scan("rec-1", ALL[3] + 1, ALL[4] - 1, whole)) == []


@pytest.mark.usefixtures("footage")
@pytest.mark.parametrize("backward", [False, True])
def test_steps_without_time_give_the_same_as_one(metadata: MetadataReader, backward: bool) -> None:
    found: list[int] = []
    start, end, steps = T0, T0 + 100 * US, 0
    while start <= end:
        scan = metadata.scan("rec-1", start, end, whole, backward=backward, budget=0)
        found += scanned(scan)
        start, end = (start, scan.reached - 1) if backward else (scan.reached + 1, end)
        steps += 1
    assert found == (ALL[::-1] if backward else ALL)
    assert steps > 3
    units = metadata.units("rec-1", T0, T0 + 100 * US, backward=backward)
    assert [utc for utc, _ in units] == found


@pytest.mark.usefixtures("footage")
def test_what_is_of_no_interest_is_left_out(metadata: MetadataReader) -> None:
    scan = metadata.scan("rec-1", 0, 1 << 60, lambda utc, _: utc if utc == ALL[5] else None)
    assert scan.found == ((ALL[5], ALL[5]),)


@pytest.mark.usefixtures("footage")
def test_the_tail_of_an_open_file_is_read(metadata: MetadataReader, store: MemorySegmentStore) -> None:
    row = store.segment_at("rec-1", 1 << 60)
    assert row is not None
    known = unpack_fragments(row.fragments)
    store._rows[row.id] = store._rows[row.id].__class__(
        **{
            **{name: getattr(row, name) for name in row.__slots__},
            "state": SegmentState.OPEN,
            "fragments": pack_fragments(known[:1]),
            "end": known[0].end,
        }
    )
    for backward in (False, True):
        scan = metadata.scan("rec-1", 0, 1 << 60, whole, backward=backward, budget=60)
        assert scanned(scan) == (ALL[::-1] if backward else ALL)


@pytest.mark.usefixtures("footage")
def test_a_damaged_file_costs_its_own_documents_alone(
    metadata: MetadataReader, store: MemorySegmentStore, volume: Volume, caplog: pytest.LogCaptureFixture
) -> None:
    row = store.segment_at("rec-1", T0 + 7 * US)
    assert row is not None
    path = volume.path(row.path)
    path.write_bytes(bytes(path.stat().st_size))
    found = scanned(metadata.scan("rec-1", 0, 1 << 60, whole, budget=60))
    assert found == [utc for utc in ALL if not row.start <= utc < row.end]
    os.unlink(path)
    assert scanned(metadata.scan("rec-1", 0, 1 << 60, whole, budget=60)) == found
    assert "cannot be" in caplog.text


def test_footage_without_metadata(record: Record, h264: Clip, metadata: MetadataReader) -> None:
    record([h264.format], video_units(h264, T0, 6))
    assert metadata.scan("rec-1", 0, 1 << 60, whole) == Scan((), 1 << 60)
    assert metadata.sample("rec-1", T0 + US) == ()
    assert metadata.scan("rec-2", 0, 5, whole, backward=True) == Scan((), 0)


@pytest.mark.usefixtures("footage")
def test_a_sample_of_what_a_track_carries(metadata: MetadataReader) -> None:
    assert metadata.sample("rec-1", T0 + 2 * US, limit=3) == tuple(document(utc) for utc in ALL[:3])
    assert metadata.sample("rec-1", T0 - 1) == ()


def test_documents_that_say_nothing_are_not_found(
    record: Record, store: MemorySegmentStore, metadata: MetadataReader, volume: Volume, h264: Clip
) -> None:
    units = [
        structs.replace(unit, data=document(unit.utc) if unit.utc == ALL[5] else EMPTY_DOCUMENT) if unit.track else unit
        for unit in in_order(video_units(h264, T0, SECONDS), documents(T0, SECONDS))
    ]
    record([h264.format, META], units)
    row = store.segment_at("rec-1", 1 << 60)
    assert row is not None
    assert row.kinds == FragmentFlag.VIDEO | FragmentFlag.METADATA
    fragments = unpack_fragments(row.fragments)
    assert [bool(each.flags & FragmentFlag.SILENT) for each in fragments].count(False) == 1
    with volume.path(row.path).open("rb") as file:
        _, found = scan(file.fileno(), row.size)
    # an index that is built anew says the same
    assert tuple(fragment_of(each, row.formats) for each in found) == fragments
    assert scanned(metadata.scan("rec-1", 0, 1 << 60, whole, budget=60)) == [ALL[5]]
