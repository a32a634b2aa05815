"""Recording to disk: bounded, honest about what is lost, whole after a crash."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from onvifd.archive import disk
from onvifd.archive.disk import DiskPool, SegmentFiles, Volume
from onvifd.archive.doctor import examine
from onvifd.archive.index import EndReason, SegmentChange, SegmentRow, SegmentState, unpack_fragments
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.places import Places
from onvifd.archive.recovery import recover
from onvifd.archive.segment import Append, Close, SegmentWriter
from onvifd.archive.writer import STALLED, RecordingWriter
from onvifd.clock import US, SimulatedClock
from onvifd.errors import Unavailable
from onvifd.media.types import AccessUnit
from tests.archive.conftest import T0, Clip, assert_decodes, segment_files, video_units

States = list[tuple[str, bool, int, str]]


class Bench:
    """Writers on simulated time, and what they report."""

    def __init__(self, volume: Volume, store: MemorySegmentStore, pool: DiskPool) -> None:
        self.volume, self.store, self.pool = volume, store, pool
        self.clock = SimulatedClock(T0)
        self.states: States = []
        self.writers: list[RecordingWriter] = []

    def writer(self, clip: Clip, recording: str = "rec-1", **settings: object) -> RecordingWriter:
        made = RecordingWriter(
            recording,
            [clip.format],
            volumes=[self.volume.id],
            places=Places([self.volume]),
            store=self.store,
            pool=self.pool,
            clock=self.clock,
            on_state=lambda *state: self.states.append(state),
            **settings,  # type: ignore[arg-type]
        )
        made.start()
        self.writers.append(made)
        return made

    async def feed(self, units: Iterable[AccessUnit], *writers: RecordingWriter) -> None:
        """Units at the pace of their times, with the disk keeping up."""
        for unit in units:
            late = (unit.utc - self.clock.utc()) / US
            if late > 0:
                await self.clock.advance(late)
            for each in writers:
                each.feed(unit)
                await each.drain()


@pytest.fixture
async def bench(volume: Volume, store: MemorySegmentStore, pool: DiskPool) -> AsyncIterator[Bench]:
    made = Bench(volume, store, pool)
    yield made
    for writer in made.writers:
        await writer.stop()


def rows_of(store: MemorySegmentStore, recording: str = "rec-1") -> tuple[SegmentRow, ...]:
    return store.segments_between(recording, 0, 1 << 62)


async def test_records_and_stops_cleanly(bench: Bench, h264: Clip) -> None:
    writer = bench.writer(h264)
    await bench.feed(video_units(h264, seconds=3.4), writer)
    await writer.stop()
    (row,) = rows_of(bench.store)
    assert (row.state, row.end_reason) == (SegmentState.CLOSED, EndReason.STOP)
    assert (row.start, row.end) == (T0, T0 + 3_400_000)
    assert bench.states == [("rec-1", True, T0, ""), ("rec-1", False, T0 + 3_400_000, "stop")]
    assert writer.stats.lost == 0
    assert list(examine(bench.store, [bench.volume])) == []
    assert_decodes(bench.volume.path(row.path))


async def test_the_row_follows_the_data(bench: Bench, h264: Clip) -> None:
    writer = bench.writer(h264)
    await bench.feed(video_units(h264, seconds=2.1), writer)
    (row,) = rows_of(bench.store)
    assert row.state is SegmentState.OPEN
    assert len(unpack_fragments(row.fragments)) == 2
    assert row.size == bench.volume.path(row.path).stat().st_size


async def test_pause_and_resume(bench: Bench, h264: Clip) -> None:
    writer = bench.writer(h264)
    units = list(video_units(h264, seconds=6))
    await bench.feed(units[:50], writer)
    writer.pause()
    await bench.feed(units[50:90], writer)
    writer.resume()
    await bench.feed(units[90:], writer)
    await writer.stop()
    first, second = rows_of(bench.store)
    assert (first.end_reason, first.end) == (EndReason.PAUSE, T0 + 2 * US)
    assert second.start == T0 + 4 * US
    assert [(active, reason) for _, active, _, reason in bench.states] == [
        (True, ""),
        (False, "pause"),
        (True, ""),
        (False, "stop"),
    ]


async def test_a_silent_camera_ends_the_segment_in_time(bench: Bench, h264: Clip) -> None:
    writer = bench.writer(h264)
    await bench.feed(video_units(h264, seconds=1.6), writer)
    await bench.clock.advance(4)
    await writer.drain()
    (row,) = rows_of(bench.store)
    assert (row.end_reason, row.end) == (EndReason.GAP, T0 + 1_600_000)
    assert bench.states[-1] == ("rec-1", False, T0 + 1_600_000, "gap")


class SlowFiles(SegmentFiles):
    """A disk that takes nothing until it is let go."""

    def __init__(self, volume: Volume, store: MemorySegmentStore) -> None:
        super().__init__(volume, store)
        self.gate = threading.Event()

    def append(self, action: Append) -> None:
        assert self.gate.wait(60)
        super().append(action)


async def test_a_slow_disk_costs_whole_groups_of_pictures(
    bench: Bench, h264: Clip, caplog: pytest.LogCaptureFixture
) -> None:
    slow = SlowFiles(bench.volume, bench.store)
    writer = bench.writer(h264, files=slow)
    other = bench.writer(h264, "rec-2")
    units = list(video_units(h264, seconds=40))
    for unit in units[:750]:
        writer.feed(unit)
        other.feed(unit)
        await asyncio.sleep(0)
        await other.drain()
    assert other.stats.lost == 0
    # 20 s stand in the queue, the rest was dropped.
    assert writer.stats.lost > 0
    slow.gate.set()
    await writer.drain()
    for unit in units[750:]:
        writer.feed(unit)
    await writer.stop()
    first, second = rows_of(bench.store)
    assert first.end_reason is EndReason.OVERLOAD
    assert 19 * US <= first.end - T0 <= 22 * US
    assert second.start == T0 + 30 * US
    kept = (first.end - first.start + second.end - second.start) * 25 // US
    assert kept + writer.stats.lost == len(units)
    assert ("rec-1", False, first.end, "overload") in bench.states
    assert any("too slow" in record.message for record in caplog.records)
    assert list(examine(bench.store, [bench.volume])) == []
    assert_decodes(bench.volume.path(first.path))


async def test_a_disk_that_hangs_is_told_of_and_keeps_nobody_from_another(
    bench: Bench, h264: Clip, tmp_path: Path
) -> None:
    slow = SlowFiles(bench.volume, bench.store)
    units = list(video_units(h264, seconds=22))
    writers = [
        bench.writer(h264, f"rec-{n}", files=slow if n == 1 else SlowFiles(bench.volume, bench.store))
        for n in range(1, 10)
    ]
    for each in writers[1:]:
        each.pause()
    await bench.feed([], *writers)
    slow.gate.set()
    await bench.feed(units[:60], writers[0])
    slow.gate.clear()
    for each in writers[1:]:
        each.resume()
    root = tmp_path / "other"
    root.mkdir()
    bench.volume = Volume("v2", root)
    other = bench.writer(h264, "rec-other")
    for unit in units[60:]:
        await bench.clock.advance(max(0.0, (unit.utc - bench.clock.utc()) / US))
        for each in writers:
            each.feed(unit)
        other.feed(unit)
        await other.drain()  # more hang than there are threads for one disk
    assert other.stats.lost == 0
    assert ("rec-1", False, T0 + 2 * US, "disk") in bench.states
    assert writers[0].stats.error == STALLED
    for each in writers:
        each._files.gate.set()  # type: ignore[attr-defined]
    await writers[0].drain()
    assert writers[0].stats.error == ""
    assert ("rec-1", True, T0 + 2 * US, "") in bench.states


async def test_the_queue_is_bounded_in_bytes(bench: Bench, h264: Clip) -> None:
    slow = SlowFiles(bench.volume, bench.store)
    writer = bench.writer(h264, files=slow, max_bytes=8000)
    for unit in video_units(h264, seconds=15):
        writer.feed(unit)
    assert writer.stats.queued < 20_000
    assert writer.stats.lost > 100
    slow.gate.set()


async def test_stop_does_not_wait_for_a_disk_that_hangs(
    bench: Bench, h264: Clip, caplog: pytest.LogCaptureFixture
) -> None:
    slow = SlowFiles(bench.volume, bench.store)
    writer = bench.writer(h264, files=slow)
    for unit in video_units(h264, seconds=3):
        writer.feed(unit)
    await writer.stop(timeout=0.05)
    assert "did not take" in caplog.text
    slow.gate.set()


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """Writes over `limit` bytes into any file really fail (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_disk_that_refuses_is_tried_again(bench: Bench, h264: Clip, caplog: pytest.LogCaptureFixture) -> None:
    writer = bench.writer(h264)
    units = list(video_units(h264, seconds=12))
    with file_size_limit(8000):
        await bench.feed(units[:150], writer)
    assert any(not active for _, active, _, _ in bench.states)
    await bench.feed(units[150:], writer)
    await writer.stop()
    assert (writer.stats.error, writer.stats.lost) == ("", 0)
    rows = rows_of(bench.store)
    assert rows[0].end_reason is EndReason.DISK
    assert rows[-1].end_reason is EndReason.STOP
    assert rows[-1].end == T0 + 12 * US
    failures = [record for record in caplog.records if os.strerror(errno.EFBIG) in record.message]
    assert len(failures) == sum(row.end_reason is EndReason.DISK for row in rows)
    assert all(before.end == after.start for before, after in itertools.pairwise(rows))
    # What the disk refused is not said to be recorded.
    assert [utc for _, active, utc, _ in bench.states if not active] == [row.end for row in rows]
    assert list(examine(bench.store, [bench.volume])) == []
    for path in segment_files(bench.volume):
        assert_decodes(path)


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Volume]:
    """A file system of 64 KiB."""
    root = tmp_path / "small"
    root.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", root], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small file system: {done.stderr.strip()}")
    yield Volume("small", root)
    subprocess.run(["umount", "-l", root], check=True)


@pytest.mark.covers("REC-21")
async def test_a_full_disk_stops_nobody_else(
    bench: Bench, small_volume: Volume, h264_large: Clip, caplog: pytest.LogCaptureFixture
) -> None:
    other = bench.writer(h264_large, "rec-2")
    bench.volume, roomy = small_volume, bench.volume
    writer = bench.writer(h264_large)
    await bench.feed(video_units(h264_large, seconds=20), writer, other)
    assert writer.stats.error == os.strerror(errno.ENOSPC)
    assert (other.stats.error, other.stats.lost) == ("", 0)
    assert sum("disk failed" in record.message for record in caplog.records) == 1
    await writer.stop()
    await other.stop()
    assert rows_of(bench.store, "rec-2")[-1].end == T0 + 20 * US
    assert list(examine(bench.store, [small_volume, roomy])) == []
    for path in segment_files(small_volume):
        assert_decodes(path)


async def test_a_volume_that_is_not_there_is_not_made(bench: Bench, h264: Clip) -> None:
    bench.volume.root.rmdir()
    writer = bench.writer(h264)
    await bench.feed(video_units(h264, seconds=2.5), writer)
    assert writer.stats.error
    assert not bench.volume.root.exists()


class FailingStore(MemorySegmentStore):
    """A catalogue that is away at times."""

    away = False

    def insert_segment(self, row: SegmentRow) -> int:
        self._check()
        return super().insert_segment(row)

    def update_segment(self, segment: int, change: SegmentChange) -> None:
        self._check()
        super().update_segment(segment, change)

    def close_segment(self, segment: int, change: SegmentChange, *, state: SegmentState, reason: EndReason) -> None:
        self._check()
        super().close_segment(segment, change, state=state, reason=reason)

    def _check(self) -> None:
        if self.away:
            raise Unavailable("catalogue is away")


async def test_footage_survives_a_catalogue_that_is_away(
    volume: Volume, pool: DiskPool, h264: Clip, caplog: pytest.LogCaptureFixture
) -> None:
    store = FailingStore()
    bench = Bench(volume, store, pool)
    writer = bench.writer(h264)
    units = list(video_units(h264, seconds=6))
    store.away = True
    await bench.feed(units[:60], writer)
    writer.pause()
    await writer.drain()
    writer.resume()
    await bench.feed(units[60:90], writer)
    store.away = False
    await bench.feed(units[90:], writer)
    await writer.stop()
    assert [row.end_reason for row in rows_of(store)] == [EndReason.PAUSE, EndReason.STOP]
    assert list(examine(store, [volume])) == []
    assert sum("catalogue" in record.message for record in caplog.records if record.levelno >= logging.ERROR) == 1


async def test_row_is_closed_though_the_file_system_complains(
    bench: Bench, h264: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS and quotas tell at close what went wrong; the fragments were synced and are there."""
    writer = bench.writer(h264)
    await bench.feed(video_units(h264, seconds=2), writer)
    await bench.feed([], writer)
    close = os.close
    refused: list[int] = []

    def complain(fd: int) -> None:
        close(fd)
        if not refused and fd in open_files:
            refused.append(fd)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    file = writer._files._file
    assert file is not None
    open_files = {file.fd}
    monkeypatch.setattr(os, "close", complain)
    writer.pause()
    await writer.drain()
    assert refused
    (row,) = rows_of(bench.store)
    assert (row.state, row.end) == (SegmentState.CLOSED, T0 + 2 * US)
    assert [state[1] for state in bench.states] == [True, False]


def test_folder_that_retention_removes_meanwhile_is_made_again(
    volume: Volume, store: MemorySegmentStore, h264: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    core, files = SegmentWriter("rec-1", volume.id, [h264.format]), SegmentFiles(volume, store)
    for unit in video_units(h264, seconds=1):
        core.feed(unit, 0.0)
    append = core.finish(EndReason.STOP)[0]
    assert isinstance(append, Append)
    mkdir = Path.mkdir
    removed: list[Path] = []

    def made_and_removed(path: Path, *arguments: Any, **named: Any) -> None:
        mkdir(path, *arguments, **named)
        if not removed and path == volume.path(append.row.path).parent:
            removed.append(path)
            path.rmdir()

    monkeypatch.setattr(Path, "mkdir", made_and_removed)
    files.append(append)
    assert removed
    assert len(segment_files(volume)) == 1


async def test_the_same_name_twice(volume: Volume, store: MemorySegmentStore, h264: Clip) -> None:
    """A clock that was set back gives the same start again: both files are kept."""

    for _ in range(2):
        core, files = SegmentWriter("rec-1", volume.id, [h264.format]), SegmentFiles(volume, store)
        for unit in video_units(h264, seconds=1):
            core.feed(unit, 0.0)
        append, close = core.finish(EndReason.STOP)
        assert isinstance(append, Append)
        assert isinstance(close, Close)
        files.append(append)
        files.close(close)
    assert len(segment_files(volume)) == 2
    assert len(rows_of(store)) == 2
    assert list(examine(store, [volume])) == []


_VICTIM = """
import asyncio, sys, time
from pathlib import Path
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.places import Places
from onvifd.archive.writer import RecordingWriter
from onvifd.clock import SystemClock
from tests.archive.conftest import PCMU, T0, encode, g711_units, in_order, video_units
from onvifd.media.types import Codec

async def main():
    clip = encode(Codec.H264)
    writer = RecordingWriter("rec-1", [clip.format, PCMU], volumes=["v1"],
        places=Places([Volume("v1", Path(sys.argv[1]))]), store=MemorySegmentStore(), pool=DiskPool(2), clock=SystemClock(), segment_seconds=5)
    writer.start()
    for number, unit in enumerate(in_order(video_units(clip, seconds=600), g711_units(seconds=600))):
        writer.feed(unit)
        await writer.drain()
        if unit.track == 0:
            print(unit.utc - T0, flush=True)

asyncio.run(main())
"""


@pytest.mark.covers("INI-19")
@pytest.mark.parametrize("fed_seconds", [3, 17])
def test_kill_9_loses_one_fragment_at_most(tmp_path: Path, volume: Volume, fed_seconds: int) -> None:
    root = Path(__file__).parents[2]
    victim = subprocess.Popen(
        [sys.executable, "-c", _VICTIM, str(volume.root)], cwd=root, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert victim.stdout is not None
    fed = 0
    for line in victim.stdout:
        fed = int(line)
        if fed >= fed_seconds * US:
            break
    os.kill(victim.pid, signal.SIGKILL)
    rest = victim.stdout.read().split("\n")
    victim.stdout.close()
    victim.wait(10)
    fed = max([fed, *(int(each) for each in rest[:-1] if each)])
    store = MemorySegmentStore()
    report = recover(store, [volume])
    assert report.failed == ()
    rows = rows_of(store)
    assert report.adopted == len(rows) > 0
    assert T0 + fed - rows[-1].end <= 1_100_000
    assert list(examine(store, [volume])) == []
    for path in segment_files(volume):
        assert_decodes(path)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
async def test_footage_is_not_for_everybody(bench: Bench, h264: Clip, mask: int) -> None:
    before = os.umask(mask)
    try:
        writer = bench.writer(h264)
        await bench.feed(video_units(h264, seconds=2), writer)
        await writer.stop()
    finally:
        os.umask(before)
    (row,) = rows_of(bench.store)
    path = bench.volume.path(row.path)
    assert path.stat().st_mode & 0o777 == 0o640 & ~mask
    folders = [folder for folder in path.parents if bench.volume.root in folder.parents]
    assert len(folders) >= 2
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o750 & ~mask}


def test_footage_does_not_fill_the_page_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, start, length, advice: released.append((start, length)))
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        row = SegmentRow(recording="r", volume="v", path="p", start=0, end=0, size=0, formats=())
        file = disk._File(fd, tmp_path / "file", row)
        for written in range(300_000, 4_000_000, 300_000):
            file.release(written)
    finally:
        os.close(fd)
    # whole pages behind each other, and what was written last stays
    assert all(start % disk.PAGE == length % disk.PAGE == 0 and length > 0 for start, length in released)
    assert [start for start, _ in released[1:]] == [start + length for start, length in released[:-1]]
    assert released[0][0] == 0
    kept = 3_900_000 - sum(length for _, length in released)
    assert disk.CACHED <= kept < disk.CACHED + disk.RELEASED + disk.PAGE
    assert all(length >= disk.RELEASED for _, length in released)


async def test_a_file_system_that_takes_no_advice_is_recorded_to(
    bench: Bench, h264: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    monkeypatch.setattr(disk, "CACHED", 0)
    monkeypatch.setattr(disk, "RELEASED", 1)
    writer = bench.writer(h264)
    await bench.feed(video_units(h264, seconds=4), writer)
    await writer.stop()
    (row,) = rows_of(bench.store)
    assert (row.start, row.end, writer.stats.error) == (T0, T0 + 4 * US, "")
