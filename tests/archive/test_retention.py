"""The oldest footage goes first, and never what is being written."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from pathlib import Path

import pytest

from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.doctor import examine
from onvifd.archive.index import SegmentRow
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.retention import Bounds, Retention
from onvifd.clock import US, SimulatedClock
from tests.archive.conftest import T0, Clip, Record, segment_files, video_units


@pytest.fixture
def rows(record: Record, store: MemorySegmentStore, h264: Clip) -> tuple[SegmentRow, ...]:
    """30 closed segments of a second, and an open one."""
    record([h264.format], video_units(h264, seconds=31), segment_us=US, fragment_us=US // 2, reason=None)
    return store.segments_between("rec-1", 0, 1 << 62)


def retention(store: MemorySegmentStore, volume: Volume, pool: DiskPool, bounds: Bounds, now: int = T0) -> Retention:
    return Retention(store, [volume], bounds, pool=pool, clock=SimulatedClock(now))


async def sweep(made: Retention) -> int:
    task = asyncio.create_task(made.sweep())
    clock = made._clock
    assert isinstance(clock, SimulatedClock)
    while not task.done():
        # Time passes only for the pause between batches.
        await clock.advance(0.2 if clock._sleepers else 0)
    return task.result()


@pytest.mark.covers("P134", "REC-17", "REC-18", "STO-01")
async def test_bytes(store: MemorySegmentStore, volume: Volume, pool: DiskPool, rows: tuple[SegmentRow, ...]) -> None:
    kept = sum(row.size for row in rows[5:])
    assert await sweep(retention(store, volume, pool, Bounds(max_bytes=kept, reserve=0))) == 5
    assert [row.id for row in store.segments_between("rec-1", 0, 1 << 62)] == [row.id for row in rows[5:]]
    assert len(segment_files(volume)) == len(rows) - 5
    assert list(examine(store, [volume])) == []


async def test_the_open_segment_stays(
    store: MemorySegmentStore, volume: Volume, pool: DiskPool, rows: tuple[SegmentRow, ...]
) -> None:
    assert await sweep(retention(store, volume, pool, Bounds(max_bytes=1, reserve=0))) == len(rows) - 1
    assert store.segments_between("rec-1", 0, 1 << 62) == rows[-1:]
    assert len(segment_files(volume)) == 1


@pytest.mark.covers("A040", "P137", "REC-17", "REC-19", "STO-01")
async def test_age(store: MemorySegmentStore, volume: Volume, pool: DiskPool, rows: tuple[SegmentRow, ...]) -> None:
    made = retention(store, volume, pool, Bounds(reserve=0, max_age=60 * US), now=rows[3].end + 60 * US + 1)
    assert await sweep(made) == 4


@pytest.mark.covers("A040", "REC-19")
async def test_inside_the_bounds_nothing_happens(
    store: MemorySegmentStore, volume: Volume, pool: DiskPool, rows: tuple[SegmentRow, ...]
) -> None:
    assert await sweep(retention(store, volume, pool, Bounds(max_bytes=1 << 40, reserve=0))) == 0
    assert len(store.segments_between("rec-1", 0, 1 << 62)) == len(rows)


@pytest.mark.covers("A040", "REC-19")
async def test_empty_folders_go_too(
    store: MemorySegmentStore, volume: Volume, pool: DiskPool, record: Record, h264: Clip
) -> None:
    record([h264.format], video_units(h264))
    assert await sweep(retention(store, volume, pool, Bounds(max_bytes=1, reserve=0))) == 1
    assert list(volume.root.iterdir()) == []


async def test_who_is_told(
    store: MemorySegmentStore, volume: Volume, pool: DiskPool, rows: tuple[SegmentRow, ...]
) -> None:
    told: list[int] = []
    made = Retention(
        store,
        [volume],
        Bounds(max_bytes=sum(row.size for row in rows[2:]), reserve=0),
        pool=pool,
        clock=SimulatedClock(T0),
        on_deleted=lambda row: told.append(row.id),
    )
    await sweep(made)
    assert told == [row.id for row in rows[:2]]


async def test_a_volume_that_fails_is_reported_once(
    store: MemorySegmentStore, volume: Volume, pool: DiskPool, caplog: pytest.LogCaptureFixture
) -> None:
    made = retention(store, Volume("v2", volume.root / "nowhere"), pool, Bounds(max_bytes=1, reserve=0.1))
    for _ in range(3):
        assert await sweep(made) == 0
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1


async def test_a_file_that_cannot_be_deleted_does_not_keep_the_volume_full(
    store: MemorySegmentStore,
    volume: Volume,
    pool: DiskPool,
    rows: tuple[SegmentRow, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == volume.path(rows[0].path):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    made = retention(store, volume, pool, Bounds(max_bytes=sum(row.size for row in rows[5:]), reserve=0))
    assert await sweep(made) >= 5
    left = [row.id for row in store.segments_between("rec-1", 0, 1 << 62)]
    assert left[0] == rows[0].id
    assert rows[1].id not in left
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1


async def test_a_full_disk_is_not_left_full_until_the_next_sweep(
    store: MemorySegmentStore, volume: Volume, pool: DiskPool, rows: tuple[SegmentRow, ...]
) -> None:
    made = retention(store, volume, pool, Bounds(max_bytes=1 << 40, reserve=0))
    task = asyncio.create_task(made.run())
    try:
        async with asyncio.timeout(10):
            while not made._clock._sleepers:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            made._bounds = Bounds(max_bytes=sum(row.size for row in rows[2:]), reserve=0)
            made.wake()
            while len(segment_files(volume)) > len(rows) - 2:
                await asyncio.sleep(0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
