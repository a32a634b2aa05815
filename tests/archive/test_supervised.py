"""A defect of the writer costs the footage of a pause, and is told."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from onvifd.archive.disk import DiskPool, SegmentFiles, Volume
from onvifd.archive.doctor import examine
from onvifd.archive.index import EndReason, SegmentState
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.places import Places
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.archive.supervised import FIRST_RETRY, SupervisedWriter, _Files
from onvifd.clock import US, SimulatedClock
from onvifd.media.types import AccessUnit
from tests.archive.conftest import T0, Clip, assert_decodes, video_units


class Bench:
    """A supervised writer on simulated time, and what it reports."""

    def __init__(self, volume: Volume, store: MemorySegmentStore, pool: DiskPool, clip: Clip) -> None:
        self.volume, self.store, self.pool = volume, store, pool
        self.clock = SimulatedClock(T0)
        self.states: list[tuple[bool, int, str]] = []
        self.writer = SupervisedWriter(
            "rec-1",
            [clip.format],
            volumes=[volume.id],
            places=Places([volume]),
            store=store,
            pool=pool,
            clock=self.clock,
            on_state=lambda _, active, utc, reason: self.states.append((active, utc, reason)),
        )
        self.writer.start()

    async def feed(self, units: Iterable[AccessUnit]) -> None:
        """Units at the pace of their times, with the disk keeping up."""
        for unit in units:
            late = (unit.utc - self.clock.utc()) / US
            if late > 0:
                await self.clock.advance(late)
            self.writer.feed(unit)
            await self.settle()

    async def settle(self) -> None:
        """Until the disk has all, or the writer has failed and what it left is closed."""
        writer = self.writer._writer
        if writer is not None and writer._tasks:
            drained = asyncio.ensure_future(writer.drain())
            await asyncio.wait([drained, *writer._tasks], return_when=asyncio.FIRST_COMPLETED)
            drained.cancel()
        await asyncio.sleep(0)
        if self.writer._restart is not None:
            async with asyncio.timeout(5):
                while self.writer.stats.active or all(future.done() for *_, future in self.clock._sleepers):
                    await asyncio.sleep(0.001)


@pytest.fixture
async def bench(volume: Volume, store: MemorySegmentStore, pool: DiskPool, h264: Clip) -> AsyncIterator[Bench]:
    made = Bench(volume, store, pool, h264)
    yield made
    await made.writer.stop()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the writes that meet a defect."""
    numbers: list[int] = []
    done = 0
    append = SegmentFiles.append

    def broken(self: SegmentFiles, action: Append) -> None:
        nonlocal done
        done += 1
        if done in numbers:
            raise ValueError("a defect")
        append(self, action)

    monkeypatch.setattr(SegmentFiles, "append", broken)
    return numbers


async def test_recording_goes_on_after_a_defect(
    bench: Bench, h264: Clip, store: MemorySegmentStore, faults: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    faults.append(3)
    await bench.feed(video_units(h264, seconds=8))
    await bench.writer.stop()
    first, second = store.segments_between("rec-1", 0, 1 << 62)
    assert (first.state, first.end_reason, first.end) == (SegmentState.CLOSED, EndReason.FAULT, T0 + 2 * US)
    assert second.end_reason is EndReason.STOP
    assert second.start > first.end + FIRST_RETRY * US  # the fragment that met the defect is lost too
    assert bench.states == [
        (True, T0, ""),
        (False, first.end, "fault"),
        (True, second.start, ""),
        (False, second.end, "stop"),
    ]
    assert bench.writer.stats.error == ""
    assert bench.writer.stats.fragments == 2 + (second.end - second.start) // US
    assert bench.writer.stats.lost > 0
    assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == ["rec-1: recording ended by a fault"]
    assert list(examine(store, [bench.volume])) == []
    for row in (first, second):
        assert_decodes(bench.volume.path(row.path))


async def test_a_defect_that_returns_is_logged_once_and_tried_ever_less(
    bench: Bench, h264: Clip, faults: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    faults.extend(range(1, 1000))
    await bench.feed(video_units(h264, seconds=40))
    assert bench.states == []
    assert bench.writer.stats.error == "internal fault (ValueError)"
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1
    assert bench.writer._retry > 8 * FIRST_RETRY


async def test_a_defect_in_the_core_does_not_reach_the_camera(
    bench: Bench, h264: Clip, store: MemorySegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = list(video_units(h264, seconds=8))
    await bench.feed(units[:50])
    with monkeypatch.context() as patch:
        patch.setattr(SegmentWriter, "feed", lambda *_: 1 // 0)
        await bench.feed(units[50:51])
    assert bench.writer.stats.error == "internal fault (ZeroDivisionError)"
    assert not bench.writer.stats.active
    await bench.feed(units[51:])
    assert bench.writer.stats.active
    await bench.writer.stop()
    assert [row.end_reason for row in store.segments_between("rec-1", 0, 1 << 62)] == [EndReason.FAULT, EndReason.STOP]


async def test_pause_and_formats_are_kept_while_it_is_down(
    bench: Bench, h264: Clip, h265: Clip, store: MemorySegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = list(video_units(h264, seconds=2))
    await bench.feed(units[:30])
    with monkeypatch.context() as patch:
        patch.setattr(SegmentWriter, "feed", lambda *_: 1 // 0)
        await bench.feed(units[30:31])
    bench.writer.pause()
    bench.writer.set_formats([h265.format])
    await bench.feed(units[31:])
    await bench.clock.advance(5)
    await bench.feed(video_units(h265, T0 + 10 * US, seconds=2))
    bench.writer.resume()
    await bench.feed(video_units(h265, T0 + 20 * US, seconds=2))
    await bench.writer.stop()
    rows = store.segments_between("rec-1", 0, 1 << 62)
    assert [(row.start, row.end) for row in rows[1:]] == [(T0 + 20 * US, T0 + 22 * US)]
    assert_decodes(bench.volume.path(rows[-1].path))


async def test_stop_while_it_is_down(bench: Bench, h264: Clip, store: MemorySegmentStore, faults: list[int]) -> None:
    faults.append(2)
    await bench.feed(video_units(h264, seconds=2.2))
    assert bench.writer.stats.error
    await bench.writer.stop()
    assert [row.state for row in store.segments_between("rec-1", 0, 1 << 62)] == [SegmentState.CLOSED]
    assert bench.states[-1] == (False, T0 + US, "fault")


async def test_a_defect_at_the_very_end_leaves_nothing_open(
    bench: Bench, h264: Clip, store: MemorySegmentStore, faults: list[int]
) -> None:
    await bench.feed(video_units(h264, seconds=2.2))
    faults.append(3)
    async with asyncio.timeout(4):  # not what a disk that hangs is given
        await bench.writer.stop()
    (row,) = store.segments_between("rec-1", 0, 1 << 62)
    assert (row.state, row.end_reason, row.end) == (SegmentState.CLOSED, EndReason.FAULT, T0 + 2 * US)
    assert bench.states[-1] == (False, row.end, "fault")
    assert list(examine(store, [bench.volume])) == []


def test_what_a_writer_wrote_behind_its_end_is_closed_by_the_next(
    volume: Volume, store: MemorySegmentStore, h264: Clip
) -> None:
    files = _Files(volume, store)
    for start in (T0, T0 + 10 * US):
        writer = SegmentWriter("rec-1", volume.id, [h264.format])
        fed = (writer.feed(unit, 0.0) for unit in video_units(h264, start, seconds=1.2))
        (first,) = (action for actions in fed for action in actions)
        assert isinstance(first, Append)
        files.append(first)
    old, new = store.segments_between("rec-1", 0, 1 << 62)
    assert (old.state, old.end_reason) == (SegmentState.CLOSED, EndReason.FAULT)
    assert new.state is SegmentState.OPEN
    held = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    assert str(volume.path(old.path)) not in held
    assert str(volume.path(new.path)) in held
    files.abandon(EndReason.STOP)
