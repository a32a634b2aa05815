"""Folders become volumes: those of the settings by themselves, others by command, none by mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text

from onvifd.archive.disk import Volume
from onvifd.archive.marker import MARKER, new_marker, read_marker, write_marker
from onvifd.clock import US
from onvifd.errors import Conflict, InvalidArgument
from onvifd.store import schema
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import SegmentRow, SnapshotRow
from onvifd.volumes import register
from onvifd.volumes.look import look
from onvifd.volumes.model import INITIALISING, Access, VolumeState
from tests.archive.conftest import T0
from tests.volumes.conftest import Record

MINUTE = 60 * US


def states(catalogue: Catalogue, *paths: Path) -> list[VolumeState]:
    rows = register.register(catalogue, paths, 0, T0)
    return [look(Path(row.path), row.uuid, Access(row.access), probe=True).state for row in rows]


@pytest.mark.covers("P132", "STO-05")
def test_an_empty_folder_of_the_settings_becomes_a_volume(catalogue: Catalogue, tmp_path: Path) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    (root / "lost+found").mkdir()
    assert states(catalogue, root) == [VolumeState.OK]
    marker = read_marker(root)
    assert marker is not None
    (row,) = catalogue.volumes.all()
    assert (row.id, row.uuid, row.origin) == ("vol-1", marker.uuid, "settings")
    assert states(catalogue, root) == [VolumeState.OK]
    assert read_marker(root) == marker


@pytest.mark.covers("A043")
def test_a_mount_point_without_its_file_system_is_missing_and_stays_empty(catalogue: Catalogue, tmp_path: Path) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    register.register(catalogue, [root], 0, T0)
    (root / MARKER).unlink()  # as if it were unmounted
    assert states(catalogue, root) == [VolumeState.MISSING]
    assert list(root.iterdir()) == []


def test_a_folder_with_other_things_in_it_is_not_taken(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "disk" / "films").mkdir(parents=True)
    assert states(catalogue, tmp_path / "disk", tmp_path / "nowhere") == [
        VolumeState.NEEDS_INITIALISING,
        VolumeState.MISSING,
    ]
    assert not (tmp_path / "disk" / MARKER).exists()
    assert not (tmp_path / "nowhere").exists()


def test_footage_from_before_there_were_markers_is_taken_over(
    catalogue: Catalogue, volume: Volume, record: Record
) -> None:
    record()
    (volume.root / MARKER).unlink()
    catalogue.volumes.change(volume.id, uuid="", origin="settings")
    assert states(catalogue, volume.root) == [VolumeState.OK]


def test_a_volume_that_is_mounted_elsewhere_keeps_its_id(catalogue: Catalogue, tmp_path: Path) -> None:
    old, new = tmp_path / "sda1", tmp_path / "sdb1"
    old.mkdir()
    (row,) = register.register(catalogue, [old], 0, T0)
    old.rename(new)
    (found,) = register.register(catalogue, [new], 0, T0)
    assert (found.id, found.uuid, found.path) == (row.id, row.uuid, str(new))


def test_a_copy_of_a_volume_is_not_the_volume(catalogue: Catalogue, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    register.register(catalogue, [one], 0, T0)
    two.mkdir()
    (two / MARKER).write_bytes((one / MARKER).read_bytes())
    assert states(catalogue, one, two) == [VolumeState.OK, VolumeState.MISSING]
    assert [row.path for row in catalogue.volumes.all() if row.uuid] == [str(one)]


def test_a_volume_from_elsewhere_is_known_and_its_footage_waits(catalogue: Catalogue, tmp_path: Path) -> None:
    marker = new_marker(T0)
    write_marker(tmp_path, marker)
    register.register(catalogue, [tmp_path], 0, T0)
    assert catalogue.volumes.all()[0].uuid == marker.uuid


@pytest.mark.covers("STO-03", "STO-04", "P140")
def test_a_command_adds_a_volume(catalogue: Catalogue, tmp_path: Path) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    row = register.add(catalogue, root, T0, name="second", access=Access.REDUNDANT, group=3, max_bytes=10)
    assert (row.id, row.name, row.access, row.group, row.max_bytes) == ("vol-1", "second", "redundant", 3, 10)
    assert look(root, row.uuid, Access.REDUNDANT, probe=True).state is VolumeState.OK
    with pytest.raises(Conflict, match="already"):
        register.add(catalogue, root, T0)
    (root / "inner").mkdir()
    with pytest.raises(Conflict, match="within"):
        register.add(catalogue, root / "inner", T0)
    with pytest.raises(Conflict, match="within"):
        register.add(catalogue, tmp_path, T0)


def test_what_a_command_does_not_take(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "full" / "films").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    segment = tmp_path / "lost" / "rec-1" / "2026-01-01" / "00" / "000010.000.mp4"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"footage")
    for path, access, error in (
        (tmp_path / "nowhere", Access.READ_WRITE, InvalidArgument),
        (Path("relative"), Access.READ_WRITE, InvalidArgument),
        (tmp_path / "full", Access.READ_WRITE, Conflict),
        (tmp_path / "empty", Access.READ_ONLY, Conflict),
        (tmp_path / "lost", Access.READ_WRITE, Conflict),
    ):
        with pytest.raises(error):
            register.add(catalogue, path, T0, access=access)
    assert catalogue.volumes.all() == ()
    assert not list(tmp_path.rglob(MARKER))
    assert register.add(catalogue, tmp_path / "full", T0, initialise=True).id == "vol-1"


@pytest.mark.covers("STO-05", "A042")
def test_initialising_is_guarded(catalogue: Catalogue, volume: Volume, record: Record) -> None:
    record()
    row = catalogue.volumes.get(volume.id)
    with pytest.raises(Conflict, match="footage"):
        register.check_erasable(catalogue, row, erase=False, now=T0)
    lock = catalogue.locks.add("rec-1", T0, T0 + 1, account="admin", now=T0)
    with pytest.raises(Conflict, match="locked"):
        register.check_erasable(catalogue, row, erase=True, now=T0)
    catalogue.locks.remove(lock.id)
    register.check_erasable(catalogue, row, erase=True, now=T0)
    assert register.begin_initialising(catalogue, row).uuid == INITIALISING
    assert register.finish_initialising(catalogue, row, T0) == 5
    after = catalogue.volumes.get(volume.id)
    assert after.uuid not in (row.uuid, INITIALISING, "")
    assert catalogue.upkeep.volume_bytes() == {}
    assert [path.name for path in volume.root.iterdir()] == [MARKER]


@pytest.mark.covers("STO-05", "A042")
@pytest.mark.parametrize(
    ("start", "end", "until", "guarded"),
    [
        (0, T0, None, False),
        (0, T0 + 1, None, True),
        (T0 + 2 * MINUTE + 1, T0 + 2 * MINUTE + 2, None, True),
        (T0 + 3 * MINUTE - 1, T0 + 3 * MINUTE, None, True),
        (T0 + 3 * MINUTE, 1 << 60, None, False),
        (0, 1 << 60, T0, False),
        (0, 1 << 60, T0 + 1, True),
    ],
    ids=["before", "first", "last", "its end", "behind", "lock that ended", "lock that lasts"],
)
@pytest.mark.parametrize("state", ["closed", "open"])
def test_a_lock_guards_what_it_touches(
    catalogue: Catalogue, volume: Volume, start: int, end: int, until: int | None, guarded: bool, state: str
) -> None:
    for number in range(3):
        begin = T0 + number * MINUTE
        row = SegmentRow(recording="rec-1", volume=volume.id, path=f"{number}", start=begin, end=begin + MINUTE, size=1)
        catalogue.segments.insert(replace(row, state=state))
    catalogue.locks.add("rec-1", start, end, account="admin", now=T0 - 1, until=until)
    row = catalogue.volumes.get(volume.id)
    if guarded:
        with pytest.raises(Conflict, match="locked"):
            register.check_erasable(catalogue, row, erase=True, now=T0)
    else:
        register.check_erasable(catalogue, row, erase=True, now=T0)


@pytest.mark.covers("STO-05", "A042")
def test_a_lock_guards_a_volume_of_any_size(catalogue: Catalogue, volume: Volume) -> None:
    """More segments than a statement may name, the locked one last."""
    count = 40_000
    seed = SegmentRow(recording="rec-1", volume=volume.id, path="0", start=T0, end=T0 + 1, size=1, state="closed")
    catalogue.segments.insert(seed)
    t = schema.segments
    copied = [column for column in t.c if column.name not in ("id", "path", "start", "end")]
    number = text("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :count) SELECT n FROM n")

    def fill(connection: Connection) -> None:
        numbers = [row.n for row in connection.execute(number, {"count": count})]
        (known,) = connection.execute(select(*copied)).mappings()
        connection.execute(
            insert(t), [dict(known) | {"path": str(n), "start": T0 + n, "end": T0 + n + 1} for n in numbers]
        )

    catalogue.database.write(fill)
    catalogue.locks.add("rec-1", T0 + count, T0 + count + 1, account="admin", now=T0)
    with pytest.raises(Conflict, match="locked"):
        register.check_erasable(catalogue, catalogue.volumes.get(volume.id), erase=True, now=T0)


@pytest.mark.covers("P143")
def test_a_removed_volume_keeps_its_files_and_its_id_is_not_given_again(
    catalogue: Catalogue, volume: Volume, record: Record, tmp_path: Path
) -> None:
    record()
    with pytest.raises(Conflict):
        catalogue.volumes.remove(volume.id)
    assert catalogue.volumes.remove(volume.id, forget=True) == 5
    assert len(list(volume.root.rglob("*.mp4"))) == 5
    (tmp_path / "next").mkdir()
    assert register.add(catalogue, tmp_path / "next", T0).id == "vol-2"


def test_erasing_takes_snapshots_too(catalogue: Catalogue, volume: Volume) -> None:
    picture = volume.path("snapshots/cam-1/2026-01-01/000000.000.jpg")
    other = volume.path("snapshots/cam-1/2026-01-01/holiday.jpg")
    picture.parent.mkdir(parents=True)
    for each in (picture, other):
        each.write_bytes(b"x")
    relative = str(picture.relative_to(volume.root))
    catalogue.snapshots.insert(
        SnapshotRow(camera="cam-1", utc=T0, kind="manual", volume=volume.id, path=relative, size=1)
    )
    row = catalogue.volumes.get(volume.id)
    with pytest.raises(Conflict, match="--erase"):
        register.check_erasable(catalogue, row, erase=False, now=T0)
    register.begin_initialising(catalogue, row)
    assert register.finish_initialising(catalogue, row, T0) == 1
    assert catalogue.snapshots.list() == ()
    assert (picture.exists(), other.exists()) == (False, True)
