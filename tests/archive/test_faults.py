"""Faults of real file systems and of the clock, with the loss counted in frames."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import random
import sqlite3
import statistics
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import av
import pytest
from msgspec import structs

from onvifd.archive import disk
from onvifd.archive.cache import FragmentCache
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import DiskPool, SegmentFiles, Volume
from onvifd.archive.doctor import Depth, examine
from onvifd.archive.grouped import GroupedRows
from onvifd.archive.index import EndReason, unpack_fragments
from onvifd.archive.marker import new_marker, write_marker
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.places import Places
from onvifd.archive.reader import RecordingReader
from onvifd.archive.recovery import recover
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.archive.writer import RecordingWriter
from onvifd.clock import US
from onvifd.media.types import AccessUnit
from onvifd.store.catalogue import Catalogue
from tests.archive.conftest import FRAME, PCMU, T0, Clip, g711_units, in_order, segment_files, video_units
from tests.archive.test_failover import Bench, every

_SHUTDOWN, _WITHOUT_FLUSH = 0x8004587D, 2
"""FS_IOC_SHUTDOWN of Linux, and its flag for losing what was not synced."""
FRAGMENT_PICTURES = 26
"""In the longest fragment, a second, and the one that ended it."""


def run(*command: object) -> None:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[0]}: {done.stderr.strip()}")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[list[Path]]:
    """Mount points to be let go of at the end, the last first."""
    points: list[Path] = []
    yield points
    for point in reversed(points):
        subprocess.run(["umount", "-l", point], capture_output=True)


def small_memory(root: Path, mounted: list[Path], size: str) -> Volume:
    """A file system of some size on which nothing else is."""
    root.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", root)
    mounted.append(root)
    return Volume("v1", root)


def ext4(folder: Path, mounted: list[Path]) -> Path:
    """A file system of 8 MB in a file in `folder`, which becomes read-only with its first error."""
    image, root = folder / "image", folder.parent / "ext4"
    root.mkdir()
    run("truncate", "-s", "8M", image)
    run(
        "mkfs.ext4",
        "-q",
        "-F",
        "-b",
        "1024",
        "-E",
        "lazy_itable_init=0,lazy_journal_init=0",
        "-O",
        "^has_journal",
        image,
    )
    run("mount", "-o", "loop,errors=remount-ro", image, root)
    mounted.append(root)
    return root


@pytest.fixture
async def bench(tmp_path: Path, pool: DiskPool, h264: Clip, mounted: list[Path]) -> AsyncIterator[Bench]:
    folder = tmp_path / "volumes"
    folder.mkdir()
    made = Bench(folder, pool, h264)
    yield made
    await made.writer.stop()


def use(bench: Bench, first: Volume) -> None:
    """`first` in place of volume v1."""
    bench.volumes[0] = first
    bench.places.set(bench.volumes)


async def recorded(bench: Bench, units: Iterable[AccessUnit]) -> tuple[int, int]:
    """Frames that are missing, and frames that are there twice."""
    wanted, found = every(units), await bench.stamps()
    return len(set(wanted) - set(found)), len(found) - len(set(found))


async def test_a_full_volume_costs_no_frame(bench: Bench, h264: Clip, tmp_path: Path, mounted: list[Path]) -> None:
    use(bench, small_memory(tmp_path / "small", mounted, "64k"))
    units = list(video_units(h264, seconds=30))
    await bench.feed(units)
    await bench.writer.stop()
    assert {row.volume for row in bench.rows()} == {"v1", "v2"}
    assert await recorded(bench, units) == (0, 0)
    assert bench.trouble[0] == ("v1", "No space left on device")
    assert [state[0] for state in bench.states] == [True, False]
    assert list(examine(bench.store, bench.volumes)) == []


async def test_a_disk_that_fails_costs_no_frame(bench: Bench, h264: Clip, tmp_path: Path, mounted: list[Path]) -> None:
    """A file system that is shut down, as by a controller that is gone: from then on everything is EIO, reading too."""
    folder = tmp_path / "disk"
    folder.mkdir()
    root = ext4(folder, mounted)
    use(bench, Volume("v1", root))
    units = list(video_units(h264, seconds=12))
    await bench.feed(units[:110])
    fd = os.open(root, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSH))
    except OSError as error:
        pytest.skip(f"the kernel gives no way to make a file system fail: {error.strerror}")
    finally:
        os.close(fd)
    await bench.feed(units[110:])
    await bench.writer.stop()
    first, second = bench.rows()
    assert (first.volume, first.end_reason, second.volume) == ("v1", EndReason.VOLUME, "v2")
    assert first.end == second.start
    assert bench.trouble == [("v1", "Input/output error")]
    assert [state[0] for state in bench.states] == [True, False]
    # The disk works again: what it had taken is there.
    subprocess.run(["umount", root], check=True)
    run("mount", "-o", "loop", folder / "image", root)
    assert await recorded(bench, units) == (0, 0)


async def test_a_file_system_that_becomes_read_only_costs_no_frame(
    bench: Bench, h264: Clip, tmp_path: Path, mounted: list[Path]
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    root = ext4(folder, mounted)
    use(bench, Volume("v1", root))
    units = list(video_units(h264, seconds=12))
    await bench.feed(units[:110])
    device = subprocess.run(["findmnt", "-no", "SOURCE", root], capture_output=True, text=True).stdout.strip()
    trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
    if not trigger.exists():
        pytest.skip("the kernel gives no way to make a file system fail")
    trigger.write_text("1")
    await bench.feed(units[110:])
    await bench.writer.stop()
    assert {row.volume for row in bench.rows()} == {"v1", "v2"}
    assert await recorded(bench, units) == (0, 0)
    assert [state[0] for state in bench.states] == [True, False]


async def test_a_volume_mounted_read_only_is_passed_over(
    bench: Bench, h264: Clip, tmp_path: Path, mounted: list[Path]
) -> None:
    volume = small_memory(tmp_path / "small", mounted, "8m")
    use(bench, volume)
    units = list(video_units(h264, seconds=9))
    await bench.feed(units[:75])
    bench.writer.pause()
    await bench.writer.drain()
    run("mount", "-o", "remount,ro", volume.root)
    bench.writer.resume()
    await bench.feed(units[75:])
    await bench.writer.stop()
    assert [row.volume for row in bench.rows()] == ["v1", "v2"]
    assert await recorded(bench, units) == (0, 0)
    assert bench.trouble == [("v1", "Read-only file system")]


async def test_a_volume_that_is_pulled_costs_what_it_swallowed(
    bench: Bench, h264: Clip, tmp_path: Path, mounted: list[Path]
) -> None:
    volume = small_memory(tmp_path / "small", mounted, "8m")
    marker = new_marker(T0)
    write_marker(volume.root, marker)
    use(bench, Volume("v1", volume.root, marker.uuid))
    units = list(video_units(h264, seconds=75))  # a minute ends after 50 s
    await bench.feed(units[:500])
    # A file that is open is still written: the kernel keeps what was detached. Whoever watches volumes sees it in 2 s.
    run("umount", "-l", volume.root)
    await bench.feed(units[500:550])
    bench.places.set(bench.volumes[1:])
    bench.writer.set_volumes(["v1", "v2"])
    await bench.feed(units[550:])
    await bench.writer.stop()
    rows = bench.rows()
    assert [row.volume for row in rows] == ["v1", "v2", "v2"]
    assert rows[1].start == units[550].utc
    assert [state[0] for state in bench.states] == [True, False]
    assert list(volume.root.iterdir()) == []  # the empty mount point stays empty


async def test_a_pulled_volume_that_nobody_watches_is_noticed_with_the_next_file(
    bench: Bench, h264: Clip, tmp_path: Path, mounted: list[Path]
) -> None:
    volume = small_memory(tmp_path / "small", mounted, "8m")
    marker = new_marker(T0)
    write_marker(volume.root, marker)
    use(bench, Volume("v1", volume.root, marker.uuid))
    units = list(video_units(h264, seconds=75))
    await bench.feed(units[:500])
    run("umount", "-l", volume.root)
    await bench.feed(units[500:])
    await bench.writer.stop()
    assert [row.volume for row in bench.rows()] == ["v1", "v2"]
    assert bench.rows()[1].start == T0 + 50 * US
    assert bench.trouble == [("v1", "volume v1 is not there")]
    assert list(volume.root.iterdir()) == []


async def test_a_locked_database_costs_no_frame(
    tmp_path: Path, volume: Volume, pool: DiskPool, h264: Clip, bench: Bench
) -> None:
    path = tmp_path / "catalogue.sqlite3"
    (await asyncio.to_thread(Catalogue.open, f"sqlite:///{path}", migrate=True)).close()
    catalogue = await asyncio.to_thread(Catalogue.open, f"sqlite:///{path}", timeout=0.3)
    store = CatalogueSegmentStore(catalogue)
    rows = GroupedRows(store)
    writer = RecordingWriter(
        "rec-1",
        [h264.format],
        volumes=["v1"],
        places=Places([volume]),
        store=rows,
        pool=pool,
        clock=bench.clock,
        segment_seconds=2,
    )
    writer.start()
    units = list(video_units(h264, seconds=16))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for number, unit in enumerate(units):
            if number == 60:
                other.execute("BEGIN EXCLUSIVE")
            if number == 340:
                other.execute("COMMIT")
            late = (unit.utc - bench.clock.utc()) / US
            if late > 0:
                await bench.clock.advance(late)
            writer.feed(unit)
            if number % 25 == 0:
                await asyncio.wait_for(writer.drain(), 10)
        await writer.stop()
    finally:
        other.close()
    await asyncio.to_thread(rows.close)
    reader = RecordingReader(store, {"v1": volume}, "rec-1", cache=FragmentCache(), pool=pool)
    assert [unit.utc async for unit in reader.units(T0)] == every(units)
    assert writer.stats.lost == 0
    assert list(examine(store, [volume])) == []
    catalogue.close()


def power_loss(folder: Path, clip: Clip, seed: int) -> tuple[int, int]:
    """Everything up to the last sync is there; behind it the file has any length, and any of its pages may be missing.

    Gives how many pictures the camera had sent by then, and how many of them are found again.
    """
    chance = random.Random(seed)
    volume, store = Volume("v1", folder), MemorySegmentStore()
    core, files = SegmentWriter("rec-1", "v1", [clip.format, PCMU]), SegmentFiles(volume, store)
    units = in_order(video_units(clip, seconds=14), g711_units(seconds=14))
    sent, actions = 0, []
    for unit in units:
        sent += unit.track == 0
        actions += [(action, sent) for action in core.feed(unit, unit.utc / US)]
    stop = chance.randrange(1, len(actions))
    for action, _ in actions[:stop]:
        assert isinstance(action, Append)
        files.append(action)
    (path,) = segment_files(volume)
    torn, sent = actions[stop]
    assert isinstance(torn, Append)
    tail = bytearray(torn.data)
    for page in range(0, len(tail), 4096):
        if chance.random() < 0.4:
            tail[page : page + 4096] = bytes(len(tail[page : page + 4096]))
    keep = chance.randrange(len(tail) + 1)
    whole = bytes(tail[:keep]) == torn.data
    with open(path, "r+b") as file:
        file.seek(torn.offset)
        file.write(tail[:keep])
    if chance.random() < 0.3:
        store = MemorySegmentStore()  # the catalogue is gone as well
    recover(store, [volume], all_files=True)
    (row,) = store.volume_segments("v1")
    assert len(unpack_fragments(row.fragments)) == stop + whole
    assert row.end_reason is EndReason.CRASH
    assert list(examine(store, [volume], depth=Depth.FULL)) == []
    with av.open(str(path)) as container:
        found = sum(1 for _ in container.decode(video=0))  # raises where a picture cannot be decoded
    return sent, found


@pytest.mark.parametrize("seed", range(25))
def test_power_loss_costs_what_was_not_synced(tmp_path: Path, h264_long: Clip, seed: int) -> None:
    sent, found = power_loss(tmp_path, h264_long, seed)
    assert 0 <= sent - found <= FRAGMENT_PICTURES


@pytest.mark.soak
def test_power_loss_two_hundred_times(tmp_path: Path, h264_long: Clip) -> None:
    lost = []
    for seed in range(200):
        folder = tmp_path / str(seed)
        folder.mkdir()
        sent, found = power_loss(folder, h264_long, seed)
        lost.append(sent - found)
    print(f"\n{len(lost)} power cuts: {sum(lost)} pictures lost, median {statistics.median(lost):g}, most {max(lost)}")
    assert max(lost) <= FRAGMENT_PICTURES


@pytest.fixture
def berlin() -> Iterator[None]:
    """The time zone of Berlin; afterwards the process has its own again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("berlin")
async def test_two_days_with_a_change_of_summer_time_and_a_leap_back(
    tmp_path: Path, h264: Clip, pool: DiskPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Summer time is nothing. After a leap back times are what the clock says: everything can be found and read."""
    begin = 1_774_699_210 * US  # 2026-03-28T12:00:10Z: the clocks of Berlin go forward in the night
    step, hour = 2 * US, 3600 * US
    volume, store = Volume("v1", tmp_path), MemorySegmentStore()
    core, files = SegmentWriter("rec-1", "v1", [h264.format], segment_us=600 * US, fragment_us=30 * US), None
    files = SegmentFiles(volume, store)
    monkeypatch.setattr(disk, "SYNCED", 0)
    fed: list[int] = []
    back = 36 * 3600 // 2
    for number in range(48 * 3600 // 2):
        utc = begin + number * step - (hour + 777_777 if number >= back else 0)
        key = number % 15 == 0
        unit = AccessUnit(0, utc, number * 180_000, key, h264.frames[0 if key else 1][1])
        fed.append(utc)
        for action in core.feed(unit, number * 2.0):
            files.append(action) if isinstance(action, Append) else files.close(action)
    for action in core.finish(EndReason.STOP):
        files.append(action) if isinstance(action, Append) else files.close(action)
    rows = store.segments_between("rec-1", 0, 1 << 62, 1000)
    assert [row.start for row in rows] == sorted(row.start for row in rows)
    assert [row.end_reason for row in rows].count(EndReason.CLOCK) == 1
    assert list(examine(store, [volume])) == []
    # Nothing happens at 01:00 UTC, when the clocks of Berlin go forward.
    night = 1_774_746_000 * US
    near = [row for row in rows if night - hour < row.start < night + hour]
    assert all(after.start - before.end <= step for before, after in itertools.pairwise(near))
    reader = RecordingReader(store, {"v1": volume}, "rec-1", cache=FragmentCache(), pool=pool, gap=5 * US)
    found = [sample.utc async for loaded in reader.fragments(begin) for sample in loaded.samples]
    assert sorted(found) == sorted(fed)
    spans = await reader.spans(0, 1 << 62)
    assert (spans[0].start, len(spans)) == (begin, 1)
    for utc in (begin + 35 * hour + 1800 * US, begin + 36 * hour + 600 * US):  # once in time told twice, once behind it
        position = await reader.find(utc)
        assert position is not None
        assert utc - 30 * US <= position.fragment.start <= utc


def test_a_step_of_the_clock_begins_a_segment_and_is_told(h264: Clip) -> None:
    core = SegmentWriter("rec-1", "v1", [h264.format])
    units = list(video_units(h264, seconds=6))
    later = [structs.replace(unit, utc=unit.utc - 3600 * US) for unit in units[75:]]
    actions = [action for unit in [*units[:75], *later] for action in core.feed(unit, 0.0)]
    closed = [action.row for action in actions if not isinstance(action, Append)]
    assert [(row.end_reason, row.end) for row in closed] == [(EndReason.CLOCK, T0 + 3 * US)]
    assert EndReason.CLOCK.continues
    assert actions[-1].row.start == T0 + 75 * FRAME - 3600 * US
    assert core.lost == 0
