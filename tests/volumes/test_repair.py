"""What a check finds is put right; footage is given up only where it cannot be played."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import Volume, change_of
from onvifd.archive.doctor import Depth, FindingKind, examine
from onvifd.archive.index import EndReason, SegmentRow, SegmentState, unpack_fragments
from onvifd.clock import US
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.repair import Repaired, catch_up, repair
from tests.archive.conftest import T0, Clip, assert_decodes
from tests.volumes.conftest import Record, aged


@pytest.fixture
def files(volume: Volume, record: Record) -> list[Path]:
    """Five segments of two fragments."""
    record("rec-1", seconds=10)
    return aged(volume)


def kinds(store: CatalogueSegmentStore, volume: Volume, depth: Depth = Depth.FULL) -> list[str]:
    return [finding.kind.value for finding in examine(store, [volume], depth=depth)]


def put_right(catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume) -> Repaired:
    done = repair(catalogue, store, volume, examine(store, [volume], depth=Depth.FULL))
    aged(volume)
    return done


def bytes_agree(catalogue: Catalogue, volume: Volume) -> bool:
    """Counters, rows and files say the same to the byte."""
    on_disk = sum(path.stat().st_size for path in volume.root.rglob("*.mp4") if path.parent.name != "damaged")
    _, counted = catalogue.upkeep.volume_bytes().get(volume.id, (0, 0))
    rows = sum(size for _, _, size, _ in catalogue.upkeep.sizes(volume.id))
    return on_disk == counted == rows and catalogue.segments.usage.check() == ()


@pytest.mark.covers("STO-16", "STO-17")
def test_nothing_to_do(catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, files: list[Path]) -> None:
    assert put_right(catalogue, store, volume) == Repaired()
    assert bytes_agree(catalogue, volume)


@pytest.mark.covers("STO-16", "STO-17")
def test_everything_at_once(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, files: list[Path]
) -> None:
    files[0].unlink()
    with files[1].open("ab") as file:
        file.write(b"torn" * 50)
    os.truncate(files[2], files[2].stat().st_size - 10)
    unknown = files[3].with_name("000900.000.mp4")
    unknown.write_bytes(files[3].read_bytes())
    files[4].write_bytes(b"\0" * files[4].stat().st_size)
    aged(volume)
    assert set(kinds(store, volume, Depth.QUICK)) == {
        FindingKind.MISSING_FILE,
        FindingKind.SIZE,
        FindingKind.HEAD,
    }
    done = put_right(catalogue, store, volume)
    assert (done.mended, done.adopted, done.forgotten, done.damaged, done.left) == (2, 1, 1, 1, ())
    assert kinds(store, volume) == []
    assert bytes_agree(catalogue, volume)
    for path in volume.root.glob("rec-1/**/*.mp4"):
        assert_decodes(path)


@pytest.mark.parametrize("what", ["box", "data"])
def test_a_damaged_fragment_in_the_middle_costs_itself_alone(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, record: Record, what: str
) -> None:
    record("rec-1", seconds=2)
    (path,) = aged(volume)
    (row,) = store.segments_between("rec-1", 0, 1 << 62)
    first, second = unpack_fragments(row.fragments)
    at = first.offset + 4 if what == "box" else first.offset + first.size - 2000
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * (12 if what == "box" else 2000))
    aged(volume)
    assert kinds(store, volume) == (["torn tail", "fragment table differs"] if what == "box" else ["data damaged"])
    done = put_right(catalogue, store, volume)
    assert (done.mended, done.cut_bytes) == (1, 0)
    (after,) = store.segments_between("rec-1", 0, 1 << 62)
    assert unpack_fragments(after.fragments) == (second,)
    assert after.start == second.start
    assert kinds(store, volume) == []
    assert bytes_agree(catalogue, volume)


def test_a_broken_box_in_the_middle_does_not_cut_what_follows(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, clip: Clip
) -> None:
    from onvifd.archive.disk import SegmentFiles
    from onvifd.archive.segment import Append, SegmentWriter
    from tests.archive.conftest import video_units

    core, disk = SegmentWriter("rec-1", volume.id, [clip.format]), SegmentFiles(volume, store)
    actions = [action for unit in video_units(clip, seconds=6) for action in core.feed(unit, 0.0)]
    for action in [*actions, *core.finish(EndReason.STOP)]:
        disk.append(action) if isinstance(action, Append) else disk.close(action)
    (path,) = aged(volume)
    (row,) = store.segments_between("rec-1", 0, 1 << 62)
    table = unpack_fragments(row.fragments)
    with path.open("r+b") as file:
        file.seek(table[2].offset)
        file.write(b"\xff" * 16)
    size = path.stat().st_size
    aged(volume)
    assert "torn tail" in kinds(store, volume)
    done = put_right(catalogue, store, volume)
    assert (done.mended, done.cut_bytes) == (1, 0)
    (after,) = store.segments_between("rec-1", 0, 1 << 62)
    assert unpack_fragments(after.fragments) == (*table[:2], *table[3:])
    assert (path.stat().st_size, after.size, after.state) == (size, size, SegmentState.RECOVERED)
    assert kinds(store, volume) == []


def test_a_pulled_volume_has_lost_nothing(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, files: list[Path]
) -> None:
    findings = list(examine(store, [volume], depth=Depth.QUICK))
    away = volume.root.with_name("away")
    volume.root.rename(away)
    findings = list(examine(store, [volume]))
    assert [finding.kind for finding in findings] == [FindingKind.MISSING_VOLUME]
    done = repair(catalogue, store, volume, findings)
    assert (done.forgotten, len(done.left)) == (0, 1)
    assert len(store.segments_between("rec-1", 0, 1 << 62)) == 5


def test_what_is_being_written_is_left(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, record: Record
) -> None:
    record("rec-1", seconds=3.9, reason=None)
    (path,) = [each for each in aged(volume) if each.name == "000012.000.mp4"]
    with path.open("ab") as file:
        file.write(b"the next fragment begins")
    assert kinds(store, volume, Depth.QUICK) == []
    done = put_right(catalogue, store, volume)
    assert (done.mended, done.cut_bytes) == (0, 0)


def given_up(volume: Volume, row: SegmentRow) -> None:
    """The same file after its volume was away: nobody has it open."""
    path = volume.path(row.path)
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


def test_a_segment_that_was_begun_since_the_volume_came_back_is_left(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, record: Record
) -> None:
    """Whoever writes it holds a lock on it, however long ago its last fragment is."""
    record("rec-1", seconds=3.5, reason=None)
    aged(volume)
    (row,) = store.open_segments()
    assert catch_up(catalogue, store, volume).left == ()
    assert store.open_segments() == (row,)
    given_up(volume, row)
    aged(volume)
    catch_up(catalogue, store, volume)
    assert store.open_segments() == ()


@pytest.mark.covers("INI-19")
def test_a_volume_that_came_back_is_put_in_order(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, record: Record
) -> None:
    """Its last segment was closed in the index without its file being cut, one is still open, one has no row."""
    record("rec-1", seconds=4)
    record("rec-2", seconds=3.5, reason=None)
    record("rec-3", seconds=2)
    record("rec-3", seconds=2, start=T0 + 60 * US)
    newest = store.segment_at("rec-3", 1 << 62)
    assert newest is not None
    store.delete_segment(newest.id)
    row = store.segment_at("rec-1", 1 << 62)
    assert row is not None
    store.close_segment(row.id, change_of(row), state=SegmentState.CLOSED, reason=EndReason.DISK)
    with volume.path(row.path).open("ab") as file:
        file.write(b"torn when it was pulled")
    given_up(volume, store.open_segments()[0])
    aged(volume)
    report = catch_up(catalogue, store, volume)
    assert (report.mended, report.adopted, report.cut_bytes) == (1, 1, 23)
    assert store.open_segments() == ()
    assert kinds(store, volume) == []
    assert bytes_agree(catalogue, volume)


@pytest.mark.covers("STO-19")
def test_accounting_is_exact_to_the_byte(
    catalogue: Catalogue, store: CatalogueSegmentStore, volume: Volume, record: Record
) -> None:
    for number in range(4):
        record(f"rec-{number}", seconds=3 + number)
    assert bytes_agree(catalogue, volume)
    total = catalogue.segments.volume_bytes(volume.id)
    assert total == sum(catalogue.segments.recording_bytes(f"rec-{number}") for number in range(4))
    assert total == sum(os.stat(path).st_size for path in volume.root.rglob("*.mp4"))
