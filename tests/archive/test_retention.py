"""The oldest footage goes first, and never what is being written, locked, or on a volume that is not there."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from onvifd.archive import retention
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.catalogue_upkeep import CatalogueUpkeep
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.doctor import examine
from onvifd.archive.index import SegmentRow
from onvifd.archive.marker import Marker, write_marker
from onvifd.archive.retention import Retention, Rules, Swept, VolumeBounds
from onvifd.clock import US, SimulatedClock
from onvifd.store.catalogue import Catalogue
from tests.archive.conftest import T0, Clip, Record, segment_files, video_units


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    made = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    yield made
    made.close()


@pytest.fixture
def store(catalogue: Catalogue) -> CatalogueSegmentStore:
    """In place of the one in memory: retention asks the catalogue."""
    return CatalogueSegmentStore(catalogue)


@pytest.fixture
def rows(record: Record, store: CatalogueSegmentStore, h264: Clip) -> tuple[SegmentRow, ...]:
    """30 closed segments of a second, and an open one."""
    record([h264.format], video_units(h264, seconds=31), segment_us=US, fragment_us=US // 2, reason=None)
    return everything(store)


def everything(store: CatalogueSegmentStore, recording: str = "rec-1") -> tuple[SegmentRow, ...]:
    return store.segments_between(recording, 0, 1 << 62)


class Bench:
    """A retention over the catalogue, with a clock that moves only for its pauses."""

    def __init__(self, catalogue: Catalogue, volumes: list[VolumeBounds], pool: DiskPool, now: int, **rules: object):
        self.clock = SimulatedClock(now)
        self.rules = Rules(volumes={each.volume.id: each for each in volumes}, **rules)  # type: ignore[arg-type]
        self.deleted: list[SegmentRow] = []
        self.forgotten: list[tuple[str, int, bool]] = []
        self.retention = Retention(
            CatalogueUpkeep(catalogue),
            lambda: self.rules,
            pool=pool,
            clock=self.clock,
            on_deleted=self.deleted.append,
            forget=lambda *what: self.forgotten.append(what),
        )

    async def sweep(self) -> Swept:
        task = asyncio.create_task(self.retention.sweep())
        while not task.done():
            # Time passes only for the pause between batches.
            await self.clock.advance(0.2 if self.clock._sleepers else 0)
        return task.result()


MakeBench = Callable[..., Bench]
Rows = tuple[SegmentRow, ...]


@pytest.fixture
def bench(catalogue: Catalogue, volume: Volume, pool: DiskPool) -> MakeBench:
    def make(max_bytes: int = 0, reserve: float = 0, now: int = T0, **rules: object) -> Bench:
        bounds = VolumeBounds(volume=volume, max_bytes=max_bytes, reserve=reserve)
        return Bench(catalogue, [bounds], pool, now, **rules)

    return make


@pytest.mark.covers("P134", "REC-17", "REC-18", "STO-01")
async def test_bytes(bench: MakeBench, store: CatalogueSegmentStore, volume: Volume, rows: Rows) -> None:
    kept = sum(row.size for row in rows[5:])
    assert (await bench(kept).sweep()).deleted == 5
    assert [row.id for row in everything(store)] == [row.id for row in rows[5:]]
    assert len(segment_files(volume)) == len(rows) - 5
    assert list(examine(store, [volume])) == []


@pytest.mark.covers("P134", "REC-18")
async def test_without_overwriting_nothing_makes_room(bench: MakeBench, rows: Rows) -> None:
    assert (await bench(1, overwrite=False).sweep()).deleted == 0


async def test_the_open_segment_stays(
    bench: MakeBench, store: CatalogueSegmentStore, volume: Volume, rows: Rows
) -> None:
    swept = await bench(1).sweep()
    assert swept == Swept(deleted=len(rows) - 1)
    assert everything(store) == rows[-1:]
    assert len(segment_files(volume)) == 1


@pytest.mark.covers("A040", "P137", "REC-17", "REC-19", "STO-01")
async def test_age(bench: MakeBench, rows: Rows) -> None:
    made = bench(now=rows[3].end + 60 * US + 1, max_age=60 * US)
    assert (await made.sweep()).deleted == 4


@pytest.mark.covers("A040", "P137", "REC-19")
@pytest.mark.parametrize(("ages", "left"), [({"rec-1": 10 * US}, 21), ({"rec-1": 0}, 31), ({"rec-2": 10 * US}, 31)])
async def test_age_of_a_recording(
    bench: MakeBench, store: CatalogueSegmentStore, rows: Rows, ages: Mapping[str, int], left: int
) -> None:
    """Its own age holds, and 0 is for ever, whatever the settings say; without one the settings' holds."""
    await bench(now=rows[9].end + 10 * US + 1, ages=ages, max_age=0 if "rec-2" in ages else 1).sweep()
    assert len(everything(store)) == left


@pytest.mark.covers("STO-15")
async def test_quota_of_a_recording(
    bench: MakeBench, record: Record, store: CatalogueSegmentStore, h264: Clip, rows: Rows
) -> None:
    record([h264.format], video_units(h264, seconds=5), recording="rec-2", segment_us=US)
    kept = sum(row.size for row in rows[7:])
    assert (await bench(quotas={"rec-1": kept}).sweep()).deleted == 7
    assert len(everything(store, "rec-2")) == 5


@pytest.mark.covers("A040", "REC-19")
async def test_inside_the_bounds_nothing_happens(bench: MakeBench, store: CatalogueSegmentStore, rows: Rows) -> None:
    made = bench(1 << 40, max_age=1 << 60, quotas={"rec-1": 1 << 40})
    assert (await made.sweep()).deleted == 0
    assert len(everything(store)) == len(rows)
    assert made.forgotten == []


@pytest.mark.covers("PLY-28")
async def test_locked_footage_stays(
    bench: MakeBench, catalogue: Catalogue, store: CatalogueSegmentStore, rows: Rows
) -> None:
    """By volume, by age and by quota; what lies before and behind goes."""
    lock = catalogue.locks.add("rec-1", rows[2].start + 1, rows[3].start + 1, account="admin", now=T0)
    late = rows[-1].end + 3600 * US
    for made in (bench(1), bench(now=late, max_age=US), bench(quotas={"rec-1": 1})):
        await made.sweep()
        assert [row.id for row in everything(store)] == [rows[2].id, rows[3].id, rows[-1].id]
    catalogue.locks.remove(lock.id)
    await bench(1).sweep()
    assert [row.id for row in everything(store)] == [rows[-1].id]


@pytest.mark.covers("PLY-28")
async def test_a_lock_with_an_end_frees(
    bench: MakeBench, catalogue: Catalogue, store: CatalogueSegmentStore, rows: Rows
) -> None:
    """An export that crashed must not hold its footage for ever."""
    catalogue.locks.add("rec-1", 0, 1 << 62, account="export", now=T0, until=T0 + 60 * US)
    assert await bench(1, now=T0 + 59 * US).sweep() == Swept(locked_up=frozenset({"v1"}))
    assert (await bench(1, now=T0 + 60 * US).sweep()).deleted == 30


async def test_a_segment_locked_while_it_sweeps_stays(
    bench: MakeBench, catalogue: Catalogue, store: CatalogueSegmentStore, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench(1)
    monkeypatch.setattr(CatalogueUpkeep, "locks", lambda self, now: ())  # the sweep began before
    catalogue.locks.add("rec-1", rows[4].start, rows[4].end, account="admin", now=T0)
    await made.sweep()
    assert rows[4].id in {row.id for row in everything(store)}


async def test_a_volume_full_of_locked_footage_is_told(bench: MakeBench, catalogue: Catalogue, rows: Rows) -> None:
    catalogue.locks.add("rec-1", 0, 1 << 62, account="admin", now=T0)
    assert await bench(1).sweep() == Swept(locked_up=frozenset({"v1"}))


async def test_second_copies_go_too(
    bench: MakeBench, catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, rows: Rows
) -> None:
    for row in rows[:3]:
        path = row.path.replace("rec-1", "copy-1")
        volume.path(path).parent.mkdir(parents=True, exist_ok=True)
        volume.path(path).write_bytes(volume.path(row.path).read_bytes())
        store.insert_segment(dataclasses.replace(row, id=0, path=path, copy=True))
    made = bench(now=rows[2].end + 60 * US + 1, max_age=60 * US)
    assert (await made.sweep()).deleted == 6
    assert not volume.path("copy-1").exists()


async def test_what_describes_deleted_time_is_forgotten(bench: MakeBench, rows: Rows) -> None:
    made = bench(sum(row.size for row in rows[5:]))
    await made.sweep()
    assert made.forgotten == [("rec-1", rows[5].start, True)]


@pytest.mark.parametrize("rule", ["age", "quota"])
async def test_what_is_too_old_or_too_much_has_made_no_room(bench: MakeBench, rows: Rows, rule: str) -> None:
    if rule == "age":
        made = bench(now=rows[4].end + 3600 * US + 1, max_age=3600 * US)
    else:
        made = bench(quotas={"rec-1": sum(row.size for row in rows[5:])})
    await made.sweep()
    assert made.forgotten == [("rec-1", rows[5].start, False)]


@pytest.mark.covers("A040", "REC-19")
async def test_empty_folders_go_too(bench: MakeBench, volume: Volume, record: Record, h264: Clip) -> None:
    record([h264.format], video_units(h264))
    assert (await bench(1).sweep()).deleted == 1
    assert list(volume.root.iterdir()) == []


async def test_who_is_told(bench: MakeBench, rows: Rows) -> None:
    made = bench(sum(row.size for row in rows[2:]))
    await made.sweep()
    assert [(row.id, row.recording, row.start, row.end, row.kinds) for row in made.deleted] == [
        (row.id, row.recording, row.start, row.end, row.kinds) for row in rows[:2]
    ]


async def test_a_volume_that_fails_is_reported_once(
    catalogue: Catalogue, volume: Volume, pool: DiskPool, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = VolumeBounds(volume=Volume("v2", volume.root / "nowhere"), max_bytes=1)
    made = Bench(catalogue, [nowhere], pool, T0)
    for _ in range(3):
        assert (await made.sweep()).deleted == 0
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1


async def test_a_volume_that_is_pulled_while_it_sweeps_keeps_its_rows(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, pool: DiskPool, rows: Rows
) -> None:
    """Files that are not there because nothing is mounted there are not deleted ones."""
    marked = Volume(volume.id, volume.root, "6f1b2c1e-0000-4000-8000-000000000001")
    write_marker(volume.root, Marker(marked.uuid))
    made = Bench(catalogue, [VolumeBounds(volume=marked, max_bytes=1, reserve=0)], pool, T0)
    away = volume.root.with_name("away")
    volume.root.rename(away)
    volume.root.mkdir()  # the empty mount point
    assert (await made.sweep()).deleted == 0
    assert len(everything(store)) == len(rows)
    volume.root.rmdir()
    away.rename(volume.root)
    assert (await made.sweep()).deleted == len(rows) - 1


async def test_what_lies_on_other_volumes_stays(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, pool: DiskPool, rows: Rows
) -> None:
    """A volume that may only be read, or is away, is not in the rules."""
    made = Bench(catalogue, [], pool, rows[-1].end + 3600 * US, max_age=US)
    assert (await made.sweep()).deleted == 0
    assert len(everything(store)) == len(rows)


async def test_a_file_that_cannot_be_deleted_does_not_keep_the_volume_full(
    bench: MakeBench,
    store: CatalogueSegmentStore,
    volume: Volume,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == volume.path(rows[0].path):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    made = bench(sum(row.size for row in rows[5:]))
    assert (await made.sweep()).deleted >= 5
    left = [row.id for row in everything(store)]
    assert left[0] == rows[0].id
    assert rows[1].id not in left
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1


async def test_a_full_disk_is_not_left_full_until_the_next_sweep(bench: MakeBench, volume: Volume, rows: Rows) -> None:
    made = bench(1 << 40)
    task = asyncio.create_task(made.retention.run())
    try:
        async with asyncio.timeout(10):
            while not made.clock._sleepers:
                await asyncio.sleep(0)
            (bounds,) = made.rules.volumes.values()
            kept = dataclasses.replace(bounds, max_bytes=sum(row.size for row in rows[2:]))
            made.rules = dataclasses.replace(made.rules, volumes={volume.id: kept})
            made.retention.wake()
            while len(segment_files(volume)) > len(rows) - 2:
                await asyncio.sleep(0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_disk_that_hangs_keeps_no_other_full(
    catalogue: Catalogue,
    store: CatalogueSegmentStore,
    volume: Volume,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hangs, answers = threading.Event(), threading.Event()
    statvfs = os.statvfs

    def ask(root: Path) -> os.statvfs_result:
        if root.name == "slow":
            hangs.set()
            answers.wait(30)
        return statvfs(volume.root)

    monkeypatch.setattr(os, "statvfs", ask)
    monkeypatch.setattr(retention, "STUCK_SECONDS", 1.5)
    slow = VolumeBounds(volume=Volume("v0", volume.root / "slow"), reserve=0.1)
    full = VolumeBounds(volume=volume, max_bytes=sum(row.size for row in rows[5:]), reserve=0)
    pool = DiskPool(1)
    try:
        made = Bench(catalogue, [slow, full], pool, T0)
        assert (await made.sweep()).deleted == 5
        assert hangs.is_set()
        assert [row.id for row in everything(store)] == [row.id for row in rows[5:]]
        made.rules = Rules(volumes={slow.volume.id: slow})
        for _ in range(retention.MAX_STUCK + 2):
            await made.sweep()
        assert len(made.retention._stuck) == retention.MAX_STUCK  # not a thread more for each sweep
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert told == ["retention: v0: the disk does not answer"]
        answers.set()
        made.rules = Rules(volumes={volume.id: dataclasses.replace(full, max_bytes=sum(r.size for r in rows[6:]))})
        async with asyncio.timeout(10):
            while not (await made.sweep()).deleted:
                await asyncio.sleep(0)
    finally:
        answers.set()
        pool.close()


async def test_without_footage_snapshots_make_room(
    catalogue: Catalogue, volume: Volume, pool: DiskPool, rows: Rows
) -> None:
    asked: list[tuple[str, int]] = []
    rules = Rules(volumes={volume.id: VolumeBounds(volume=volume, reserve=0)})
    retention = Retention(
        CatalogueUpkeep(catalogue),
        lambda: rules,
        pool=pool,
        clock=SimulatedClock(T0),
        thin=lambda which, wanted: asked.append((which.id, wanted)) or 0,
    )
    await retention.sweep()
    assert asked == []  # nothing is missing
    rules = Rules(volumes={volume.id: VolumeBounds(volume=volume, reserve=1)}, overwrite=False)
    await retention.sweep()
    assert asked == []
    rules = Rules(volumes={volume.id: VolumeBounds(volume=volume, reserve=1)})
    catalogue.locks.add("rec-1", 0, 1 << 62, account="a", now=0)
    await retention.sweep()
    ((which, wanted),) = asked
    assert which == volume.id
    assert wanted > 0
