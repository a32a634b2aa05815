"""Finding and reading footage."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import threading

import pytest

from onvifd.archive.cache import FragmentCache
from onvifd.archive.disk import DiskPool, Volume, change_of
from onvifd.archive.index import EndReason, SegmentState, pack_fragments, unpack_fragments
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.reader import Position, RecordingReader, Span
from onvifd.clock import US
from onvifd.errors import Unavailable
from tests.archive.conftest import (
    FRAME,
    PCMU,
    T0,
    Clip,
    Record,
    g711_units,
    in_order,
    segment_files,
    video_units,
)

GAP_AT, AGAIN_AT, END = T0 + 12 * US, T0 + 20 * US, T0 + 26 * US


@pytest.fixture
def footage(record: Record, h264_long: Clip) -> None:
    """12 s, a gap of 8 s, 6 s; groups of 3 s, segments of 5 s or more."""
    for start, seconds in ((T0, 12), (AGAIN_AT, 6)):
        record([h264_long.format], video_units(h264_long, start, seconds), segment_us=5 * US)


def start_of(position: Position | None) -> int | None:
    return None if position is None else position.fragment.start


@pytest.mark.usefixtures("footage")
async def test_times_and_spans(reader: RecordingReader) -> None:
    assert await reader.times() == (T0, END)
    assert await reader.spans(0, 1 << 62) == (Span(T0, GAP_AT), Span(AGAIN_AT, END))
    assert await reader.spans(T0 + 13 * US, T0 + 19 * US) == ()
    (touched,) = await reader.spans(T0 + 11 * US, T0 + 13 * US)
    assert touched.end == GAP_AT


async def test_an_empty_recording(reader: RecordingReader) -> None:
    assert await reader.times() is None
    assert await reader.newest_formats() == await reader.all_formats() == ()
    assert await reader.spans(0, 1 << 62) == ()
    assert await reader.find(T0) is None
    assert await reader.find(T0, forward=False) is None


@pytest.mark.parametrize(
    ("asked", "forward", "reverse"),
    [
        (T0 - 5 * US, T0, None),
        (T0, T0, T0),
        (T0 + 2_999_999, T0, T0),
        (T0 + 3 * US, T0 + 3 * US, T0 + 3 * US),
        (T0 + 11 * US + 1, T0 + 9 * US, T0 + 9 * US),
        (GAP_AT - 1, T0 + 9 * US, T0 + 9 * US),
        (GAP_AT, AGAIN_AT, T0 + 9 * US),
        (AGAIN_AT - 1, AGAIN_AT, T0 + 9 * US),
        (AGAIN_AT, AGAIN_AT, AGAIN_AT),
        (END + 100 * US, None, AGAIN_AT + 3 * US),
    ],
)
@pytest.mark.usefixtures("footage")
async def test_where_replay_starts(
    reader: RecordingReader, asked: int, forward: int | None, reverse: int | None
) -> None:
    """Streaming 6.5.4."""
    assert start_of(await reader.find(asked)) == forward
    assert start_of(await reader.find(asked, forward=False)) == reverse


@pytest.mark.usefixtures("footage")
async def test_all_fragments_forward_and_backward(reader: RecordingReader) -> None:
    forward = [loaded.fragment.start async for loaded in reader.fragments(T0)]
    assert forward == [T0 + n * US for n in range(12)] + [AGAIN_AT + n * US for n in range(6)]
    backward = [loaded.fragment.start async for loaded in reader.fragments(END - 1, forward=False)]
    # Backward from the clean point at or before.
    assert backward == forward[: forward.index(AGAIN_AT + 3 * US) + 1][::-1]


@pytest.mark.usefixtures("footage")
async def test_units_are_what_was_recorded(reader: RecordingReader, h264_long: Clip) -> None:
    units = [unit async for unit in reader.units(T0 + 4 * US, T0 + 7 * US)]
    assert [unit.utc for unit in units] == [T0 + 3 * US + n * FRAME for n in range(101)]
    recorded = {unit.utc: unit for unit in video_units(h264_long, T0, 12)}
    assert all((unit.data, unit.key) == (recorded[unit.utc].data, recorded[unit.utc].key) for unit in units)


async def test_tracks_are_interleaved_in_recording_order(record: Record, reader: RecordingReader, h264: Clip) -> None:
    record([h264.format, PCMU], in_order(video_units(h264, seconds=4), g711_units(T0 + 5_000, 4)))
    units = [unit async for unit in reader.units(T0)]
    assert [unit.utc for unit in units] == sorted(unit.utc for unit in units)
    assert sum(unit.track for unit in units) == 200


async def test_after_a_hole_without_clean_point_the_next_one_is_found(
    record: Record, reader: RecordingReader, h264_long: Clip
) -> None:
    units = list(video_units(h264_long, seconds=9))
    record([h264_long.format], units[:80] + units[130:])
    assert start_of(await reader.find(T0 + 5_500_000)) == T0 + 6 * US


async def test_an_open_file_is_read_further_than_the_index_knows(
    record: Record, reader: RecordingReader, store: MemorySegmentStore, h264: Clip
) -> None:
    record([h264.format], video_units(h264, seconds=5.2), reason=None)
    (row,) = store.open_segments()
    # The index says what it knew after the second fragment.
    known = unpack_fragments(row.fragments)[:2]
    stale = dataclasses.replace(row, fragments=pack_fragments(known), end=known[-1].end, size=known[-1].offset)
    store.update_segment(row.id, change_of(stale))
    assert await reader.times() == (T0, T0 + 5 * US)
    position = await reader.find(T0 + 4_500_000)
    assert start_of(position) == T0 + 4 * US
    assert position is not None
    assert await reader.next(position) is None
    assert await reader.growing(position)


async def test_a_fragment_that_is_being_written_is_not_seen(
    record: Record, reader: RecordingReader, volume: Volume, h264: Clip
) -> None:
    record([h264.format], video_units(h264, seconds=3.2), reason=None)
    (path,) = segment_files(volume)
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(whole[700:5000])
    assert await reader.times() == (T0, T0 + 3 * US)


@pytest.mark.parametrize(
    ("reason", "growing"), [(EndReason.STOP, False), (EndReason.GAP, False), (EndReason.TIME, True)]
)
async def test_whether_more_is_to_come(
    record: Record, reader: RecordingReader, h264: Clip, reason: EndReason, growing: bool
) -> None:
    record([h264.format], video_units(h264, seconds=2), reason=reason)
    position = await reader.find(T0)
    assert position is not None
    assert position.segment.row.state is SegmentState.CLOSED
    assert await reader.growing(position) is growing


@pytest.mark.usefixtures("footage")
async def test_what_cannot_be_read_is_unavailable(reader: RecordingReader, volume: Volume) -> None:
    position = await reader.find(T0)
    assert position is not None
    path = segment_files(volume)[0]
    os.truncate(path, 800)
    with pytest.raises(Unavailable):
        await reader.load(position)
    path.unlink()
    with pytest.raises(Unavailable):
        await reader.load(position)


@pytest.mark.usefixtures("footage")
async def test_a_fragment_is_read_once_for_all(
    reader: RecordingReader, store: MemorySegmentStore, volume: Volume, pool: DiskPool
) -> None:
    cache = FragmentCache()
    readers = [RecordingReader(store, {"v1": volume}, "rec-1", cache=cache, pool=pool) for _ in range(2)]
    loaded = []
    for each in readers:
        position = await each.find(T0)
        assert position is not None
        loaded.append(await each.load(position))
    assert loaded[0] is loaded[1]


@pytest.mark.usefixtures("footage")
@pytest.mark.parametrize("hangs", ["v-other", ""])
async def test_what_hangs_elsewhere_does_not_hold_up_reading(
    reader: RecordingReader, pool: DiskPool, hangs: str
) -> None:
    """Another volume, or what is asked of the index."""
    position = await reader.find(T0)
    assert position is not None
    freed = threading.Event()
    hung = [asyncio.ensure_future(pool.run_in(hangs, freed.wait, 60)) for _ in range(4)]
    await asyncio.sleep(0)  # all threads of that lane are taken
    try:
        async with asyncio.timeout(30):
            assert (await reader.load(position)).fragment == position.fragment
    finally:
        freed.set()
        await asyncio.gather(*hung)


@pytest.mark.usefixtures("footage")
async def test_a_volume_that_hangs_does_not_hold_up_the_index(
    reader: RecordingReader, pool: DiskPool, volume: Volume
) -> None:
    freed = threading.Event()
    hung = [asyncio.ensure_future(pool.run_in(volume.id, freed.wait, 60)) for _ in range(4)]
    await asyncio.sleep(0)  # all threads of that lane are taken
    try:
        async with asyncio.timeout(30):
            assert await reader.find(T0) is not None
    finally:
        freed.set()
        await asyncio.gather(*hung)
