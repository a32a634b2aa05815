"""The index is made anew from the files alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import Volume
from onvifd.archive.doctor import Depth, examine
from onvifd.archive.index import SegmentRow
from onvifd.archive.recovery import recover
from onvifd.clock import US
from onvifd.errors import Unavailable
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.rebuild import rebuild
from onvifd.volumes.register import register
from tests.archive.conftest import T0, Clip, assert_decodes
from tests.volumes.conftest import MakeVolume, Record, aged


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Catalogue]:
    """The catalogue of another recorder, or the one after the first was lost."""
    made = Catalogue.open(f"sqlite:///{tmp_path / 'other.sqlite3'}", migrate=True)
    yield made
    made.close()


def known(store: CatalogueSegmentStore, recording: str) -> list[tuple[object, ...]]:
    rows: tuple[SegmentRow, ...] = store.segments_between(recording, 0, 1 << 62)
    return [(row.path, row.start, row.end, row.size, row.fragments, row.formats, row.kinds, row.copy) for row in rows]


def taken_over(catalogue: Catalogue, volume: Volume) -> Volume:
    (row,) = register(catalogue, [volume.root], 0, T0)
    assert row.uuid == volume.uuid
    return Volume(row.id, volume.root, row.uuid)


@pytest.mark.covers("P145", "STO-35")
def test_after_the_catalogue_was_lost_everything_is_found_again(
    store: CatalogueSegmentStore, volume: Volume, record: Record, other: Catalogue
) -> None:
    record("rec-cam-00000001", seconds=9)
    record("rec-cam-00000002", seconds=5)
    aged(volume)
    mine = taken_over(other, volume)
    found = CatalogueSegmentStore(other)
    report = rebuild(other, found, mine)
    assert (report.adopted, report.damaged, report.failed) == (8, 0, ())
    assert report.recordings == ("rec-cam-00000001", "rec-cam-00000002")
    assert report.bytes == sum(path.stat().st_size for path in volume.root.rglob("*.mp4"))
    for recording in report.recordings:
        assert known(found, recording) == known(store, recording)
    rows = other.recordings.all()
    assert [(row.token, row.camera, [track.token for track in row.tracks]) for row in rows] == [
        ("rec-cam-00000001", None, ["VIDEO001"]),
        ("rec-cam-00000002", None, ["VIDEO001"]),
    ]
    assert list(examine(found, [mine], depth=Depth.FULL)) == []
    again = rebuild(other, found, mine)
    assert (again.adopted, again.recordings) == (0, ())


@pytest.mark.covers("P145")
def test_a_volume_from_elsewhere_joins(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, record: Record, other: Catalogue, tmp_path: Path
) -> None:
    """Its recordings stand beside those that are there already, and its footage is counted."""
    record("rec-foreign", seconds=4)
    aged(volume)
    foreign = taken_over(other, volume)
    root = tmp_path / "own"
    root.mkdir()
    own = next(row for row in register(other, [root], 0, T0))
    assert (foreign.id, own.id) == ("vol-1", "vol-2")
    report = rebuild(other, CatalogueSegmentStore(other), foreign)
    assert report.recordings == ("rec-foreign",)
    assert other.upkeep.volume_bytes() == {"vol-1": (2, report.bytes)}


def test_footage_of_a_redundant_volume_is_taken_in_as_copies(other: Catalogue, volume: Volume, record: Record) -> None:
    """They are not played while what they are copies of is there, and take its place when it is gone."""
    record("rec-1", seconds=4)
    aged(volume)
    mine, found = taken_over(other, volume), CatalogueSegmentStore(other)
    rebuild(other, found, mine, copy=True)
    assert found.segments_between("rec-1", 0, 1 << 62) == ()
    assert other.upkeep.promote(mine.id) == 2
    assert len(found.segments_between("rec-1", 0, 1 << 62)) == 2
    assert other.segments.usage.check() == ()


def test_damaged_files_are_put_aside_and_the_rest_is_taken_in(other: Catalogue, volume: Volume, record: Record) -> None:
    record("rec-1", seconds=6)
    first, second, third = aged(volume)
    first.write_bytes(b"\0" * 5000)
    second.write_bytes(b"")
    for path in (first, second):
        os.utime(path, (1, 1))
    report = rebuild(other, CatalogueSegmentStore(other), taken_over(other, volume))
    assert (report.adopted, report.damaged, report.removed) == (1, 1, 1)
    assert [path.stat().st_size for path in (volume.root / "damaged").iterdir()] == [5000]
    assert third.exists()


def test_what_is_being_written_is_left_alone(other: Catalogue, volume: Volume, record: Record) -> None:
    record("rec-1", seconds=4)
    assert rebuild(other, CatalogueSegmentStore(other), taken_over(other, volume)).adopted == 0


def test_a_volume_that_is_not_there_is_refused(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume
) -> None:
    volume.root.rename(volume.root.with_name("away"))
    volume.root.mkdir()
    with pytest.raises(Unavailable):
        rebuild(catalogue, store, volume)
    assert list(volume.root.iterdir()) == []


@pytest.mark.covers("INI-19")
def test_a_catalogue_of_yesterday_takes_in_what_was_recorded_since(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, record: Record, tmp_path: Path
) -> None:
    """A start is enough: what is newer than the index is looked for."""
    record("rec-1", seconds=4)
    yesterday = tmp_path / "yesterday.sqlite3"
    with sqlite3.connect(tmp_path / "catalogue.sqlite3") as source, sqlite3.connect(yesterday) as target:
        source.backup(target)
    source.close()
    target.close()
    for hour in range(1, 30):
        record("rec-1", seconds=2, start=T0 + hour * 3600 * US)
    restored = Catalogue.open(f"sqlite:///{yesterday}")
    try:
        old = CatalogueSegmentStore(restored)
        assert len(old.segments_between("rec-1", 0, 1 << 62)) == 2
        report = recover(old, [volume], recordings=frozenset({"rec-1"}))
        assert (report.adopted, report.failed) == (29, ())
        assert known(old, "rec-1") == known(store, "rec-1")
        assert list(examine(old, [volume])) == []
    finally:
        restored.close()


@pytest.mark.covers("P145")
def test_what_was_found_again_is_played(other: Catalogue, volume: Volume, record: Record, clip: Clip) -> None:
    record("rec-1", seconds=4)
    aged(volume)
    mine = taken_over(other, volume)
    rebuild(other, CatalogueSegmentStore(other), mine)
    for row in CatalogueSegmentStore(other).segments_between("rec-1", 0, 1 << 62):
        assert_decodes(mine.path(row.path))


def test_a_moved_disk_is_the_same_volume(
    catalogue: Catalogue, store: CatalogueSegmentStore, make_volume: MakeVolume, record: Record, tmp_path: Path
) -> None:
    one = make_volume("before")
    catalogue.volumes.change(one.id, origin="settings")
    record("rec-1", seconds=4, on=one)
    shutil.move(one.root, tmp_path / "after")
    row = next(row for row in register(catalogue, [tmp_path / "after"], 0, T0) if row.id == one.id)
    assert list(examine(store, [Volume(row.id, Path(row.path), row.uuid)])) == []


def test_folders_of_recordings(volume: Volume, record: Record) -> None:
    """What the start warns of when the index does not know it."""
    from onvifd.volumes.look import recordings_on

    record("rec-1", seconds=2)
    (volume.root / "films" / "2020" / "12").mkdir(parents=True)
    (volume.root / "films" / "2020" / "12" / "wedding.mp4").write_bytes(b"")
    assert recordings_on(volume.root) == ["rec-1"]
    assert recordings_on(volume.root / "nowhere") == []
