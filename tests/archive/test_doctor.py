"""The doctor finds what is wrong and changes nothing."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from onvifd.archive.disk import Volume, change_of
from onvifd.archive.doctor import FindingKind, examine
from onvifd.archive.index import SegmentRow, pack_fragments, unpack_fragments
from onvifd.archive.memory import MemorySegmentStore
from tests.archive.conftest import Clip, Record, segment_files, video_units


@pytest.fixture
def row(record: Record, store: MemorySegmentStore, h264: Clip) -> SegmentRow:
    record([h264.format], video_units(h264))
    (found,) = store.segments_between("rec-1", 0, 1 << 62)
    return found


def kinds(store: MemorySegmentStore, volume: Volume) -> list[FindingKind]:
    return [finding.kind for finding in examine(store, [volume])]


def test_a_healthy_archive_has_no_findings(store: MemorySegmentStore, volume: Volume, row: SegmentRow) -> None:
    assert kinds(store, volume) == []


def _old(path: Path) -> None:
    os.utime(path, (1, 1))


def _unindexed(path: Path) -> None:
    copy = path.with_name("000900.000.mp4")
    copy.write_bytes(path.read_bytes())
    _old(copy)


def _torn(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0" * 100)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.covers("STO-16")
@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (Path.unlink, [FindingKind.MISSING_FILE]),
        (_unindexed, [FindingKind.UNINDEXED]),
        (_torn, [FindingKind.TORN]),
        (_cut, [FindingKind.TORN, FindingKind.TABLE]),
        (lambda path: path.write_bytes(b""), [FindingKind.SIZE, FindingKind.TABLE]),
    ],
)
@pytest.mark.usefixtures("row")
def test_findings(
    store: MemorySegmentStore, volume: Volume, harm: Callable[[Path], object], expected: list[FindingKind]
) -> None:
    (path,) = segment_files(volume)
    harm(path)
    before = sorted((each, each.stat().st_size) for each in segment_files(volume))
    assert kinds(store, volume) == expected
    assert sorted((each, each.stat().st_size) for each in segment_files(volume)) == before


def test_a_table_that_says_something_else(store: MemorySegmentStore, volume: Volume, row: SegmentRow) -> None:
    first, *others = unpack_fragments(row.fragments)
    wrong = pack_fragments([dataclasses.replace(first, start=first.start + 1), *others])
    store.update_segment(row.id, dataclasses.replace(change_of(row), fragments=wrong))
    assert kinds(store, volume) == [FindingKind.TABLE]
    store.update_segment(row.id, dataclasses.replace(change_of(row), fragments=wrong[:-1]))
    assert kinds(store, volume) == [FindingKind.TABLE]


@pytest.mark.usefixtures("row")
def test_a_volume_that_is_not_there(store: MemorySegmentStore, volume: Volume) -> None:
    gone = Volume("v2", volume.root / "nowhere")
    assert [each.kind for each in examine(store, [volume, gone])] == [FindingKind.MISSING_VOLUME]


def test_a_file_that_is_being_written_is_fine(
    store: MemorySegmentStore, volume: Volume, record: Record, h264: Clip
) -> None:
    record([h264.format], video_units(h264), reason=None)
    (path,) = segment_files(volume)
    with path.open("ab") as file:
        file.write(b"\0\0\0")
    assert kinds(store, volume) == []
