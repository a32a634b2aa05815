"""After a crash: torn tails are cut, whole fragments are kept, the index is complete."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
from collections.abc import Iterator

import pytest

from onvifd.archive.disk import SegmentFiles, Volume
from onvifd.archive.doctor import examine
from onvifd.archive.index import EndReason, SegmentState, unpack_fragments
from onvifd.archive.memory import MemorySegmentStore
from onvifd.archive.recovery import RecoveryReport, recover
from onvifd.archive.segment import Append, SegmentWriter
from onvifd.clock import US
from tests.archive.conftest import (
    PCMU,
    T0,
    Clip,
    Record,
    assert_decodes,
    g711_units,
    in_order,
    segment_files,
    video_units,
)


@pytest.fixture
def crashed(record: Record, h264: Clip) -> None:
    """An open segment of 4 fragments with sound."""
    record([h264.format, PCMU], in_order(video_units(h264, seconds=4.9), g711_units(seconds=4.9)), reason=None)


def only(store: MemorySegmentStore) -> tuple[SegmentState, EndReason]:
    (row,) = store.segments_between("rec-1", 0, 1 << 62)
    return row.state, row.end_reason


def test_nothing_to_do(store: MemorySegmentStore, volume: Volume, record: Record, h264: Clip) -> None:
    record([h264.format], video_units(h264))
    assert recover(store, [volume], all_files=True) == RecoveryReport()


@pytest.mark.usefixtures("crashed")
def test_an_open_row_is_completed(store: MemorySegmentStore, volume: Volume) -> None:
    before = store.open_segments()[0]
    report = recover(store, [volume])
    assert report == RecoveryReport(completed=1)
    assert only(store) == (SegmentState.RECOVERED, EndReason.CRASH)
    (row,) = store.segments_between("rec-1", 0, 1 << 62)
    assert dataclasses.replace(row, state=before.state, end_reason=before.end_reason) == before
    assert recover(store, [volume], all_files=True) == RecoveryReport()


@pytest.mark.covers("INI-19")
@pytest.mark.parametrize("seed", range(25))
@pytest.mark.usefixtures("crashed")
def test_every_complete_fragment_before_a_cut_is_kept(store: MemorySegmentStore, volume: Volume, seed: int) -> None:
    (row,) = store.open_segments()
    (path,) = segment_files(volume)
    table = unpack_fragments(row.fragments)
    cut = random.Random(seed).randrange(table[0].offset, row.size)
    with path.open("r+b") as file:
        file.truncate(cut)
    kept = [each for each in table if each.offset + each.size <= cut]
    report = recover(store, [volume])
    assert report.failed == ()
    if not kept:
        assert report == RecoveryReport(removed=1)
        assert not path.exists()
        assert store.segments_between("rec-1", 0, 1 << 62) == ()
        return
    assert report == RecoveryReport(completed=1, cut_bytes=cut - kept[-1].offset - kept[-1].size)
    (row,) = store.segments_between("rec-1", 0, 1 << 62)
    assert list(unpack_fragments(row.fragments)) == kept
    assert path.stat().st_size == row.size == kept[-1].offset + kept[-1].size
    assert list(examine(store, [volume])) == []
    assert_decodes(path)


@pytest.mark.usefixtures("crashed")
def test_blocks_that_never_reached_the_disk_are_cut(store: MemorySegmentStore, volume: Volume) -> None:
    """After a power cut the file has its length but zeros at its end."""
    (row,) = store.open_segments()
    (path,) = segment_files(volume)
    last = unpack_fragments(row.fragments)[-1]
    with path.open("r+b") as file:
        file.seek(last.offset + last.size - 9000)
        file.write(bytes(9000))
    report = recover(store, [volume])
    assert (report.completed, report.cut_bytes) == (1, last.size)
    assert_decodes(path)


@pytest.mark.usefixtures("crashed")
def test_a_file_that_the_index_never_heard_of_is_taken_in(volume: Volume, store: MemorySegmentStore) -> None:
    (row,) = store.open_segments()
    empty = MemorySegmentStore()
    assert recover(empty, [volume]) == RecoveryReport(adopted=1)
    (found,) = empty.segments_between("rec-1", 0, 1 << 62)
    assert (found.recording, found.formats, found.fragments, found.kinds) == (
        "rec-1",
        row.formats,
        row.fragments,
        row.kinds,
    )
    assert found.state is SegmentState.RECOVERED


@pytest.mark.covers("P145")
def test_the_index_is_rebuilt_from_files_alone(
    record: Record, volume: Volume, store: MemorySegmentStore, h265: Clip
) -> None:
    for recording in ("rec-1", "rec-2"):
        record([h265.format], video_units(h265, seconds=12), recording=recording, segment_us=5 * US)
    rebuilt = MemorySegmentStore()
    report = recover(rebuilt, [volume], all_files=True)
    assert report.adopted == len(segment_files(volume)) == 6
    for recording in ("rec-1", "rec-2"):
        assert [
            (row.path, row.start, row.end, row.size, row.fragments, row.formats)
            for row in rebuilt.segments_between(recording, 0, 1 << 62)
        ] == [
            (row.path, row.start, row.end, row.size, row.fragments, row.formats)
            for row in store.segments_between(recording, 0, 1 << 62)
        ]


def test_what_is_not_a_segment_is_left_alone(
    volume: Volume, store: MemorySegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume may be a disk of its own (`lost+found` is root's alone) and may hold what others put there."""
    others = ["films/2020/12/wedding.mp4", "rec-1/2026-01-01/00/mine.mp4", "rec-1/old/00/000500.000.mp4"]
    for other in others:
        path = volume.path(other)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"not fragmented")
    volume.path("lost+found").mkdir()
    scandir = os.scandir

    def refuse(path: str | os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("lost+found"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert recover(store, [volume], all_files=True) == RecoveryReport()
    assert list(examine(store, [volume])) == []
    assert all(volume.path(other).read_bytes() == b"not fragmented" for other in others)


@pytest.mark.usefixtures("crashed")
def test_a_folder_that_cannot_be_read_does_not_keep_the_rest_from_recovery(
    volume: Volume, store: MemorySegmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.path("rec-0").mkdir()
    scandir = os.scandir

    def fail(path: str | os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("rec-0"):
            raise OSError(errno.EIO, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)
    report = recover(store, [volume], all_files=True)
    assert (report.completed, report.failed) == (1, ("rec-0: Input/output error",))


@pytest.mark.usefixtures("crashed")
def test_empty_and_torn_files_are_removed(volume: Volume, store: MemorySegmentStore) -> None:
    (path,) = segment_files(volume)
    head = unpack_fragments(store.open_segments()[0].fragments)[0].offset
    (path.parent / "000500.000.mp4").write_bytes(b"")
    (path.parent / "000600.000.mp4").write_bytes(path.read_bytes()[: head + 500])
    report = recover(store, [volume])
    assert (report.completed, report.removed, report.damaged) == (1, 2, 0)
    assert len(segment_files(volume)) == 1


@pytest.mark.usefixtures("crashed")
def test_what_cannot_be_read_is_kept_aside_and_told(
    volume: Volume, store: MemorySegmentStore, caplog: pytest.LogCaptureFixture
) -> None:
    """A file may still be saved by hand. It is never lost without a word, and found once, not at every start."""
    (path,) = segment_files(volume)
    whole = path.read_bytes()
    beyond = unpack_fragments(store.open_segments()[0].fragments)[0].offset + 8
    broken = {
        "000500.000.mp4": bytes(4096),
        "000600.000.mp4": b"\0" * 64 + whole[64:],  # its head is gone, all its footage is there
        "000700.000.mp4": whole[:beyond] + b"\xff" * 16 + whole[beyond + 16 :],  # only its first fragment is gone
    }
    for name, content in broken.items():
        (path.parent / name).write_bytes(content)
    report = recover(store, [volume])
    assert (report.completed, report.removed, report.damaged) == (1, 0, 3)
    assert segment_files(volume)[-1] == path
    kept = {each.name[-14:]: each.read_bytes() for each in volume.path("damaged").iterdir()}
    assert kept == broken
    assert sum("cannot be read" in record.message for record in caplog.records) == 3
    assert recover(store, [volume], all_files=True) == RecoveryReport()
    assert list(examine(store, [volume])) == []


@pytest.mark.usefixtures("crashed")
def test_a_row_without_file_is_dropped(volume: Volume, store: MemorySegmentStore) -> None:
    segment_files(volume)[0].unlink()
    assert recover(store, [volume]) == RecoveryReport(missing=1)
    assert store.open_segments() == ()


@pytest.mark.usefixtures("crashed")
def test_a_volume_that_is_not_there_loses_nothing(volume: Volume, store: MemorySegmentStore) -> None:
    volume.root.rename(volume.root.with_name("elsewhere"))
    report = recover(store, [volume])
    assert len(report.failed) == 2
    assert len(store.open_segments()) == 1


@pytest.mark.covers("INI-19")
def test_recording_goes_on_after_recovery(
    volume: Volume, store: MemorySegmentStore, record: Record, h264: Clip
) -> None:
    record([h264.format], video_units(h264, seconds=2.4), reason=None)
    recover(store, [volume])
    core, files = SegmentWriter("rec-1", volume.id, [h264.format]), SegmentFiles(volume, store)
    actions = [a for unit in video_units(h264, T0 + 5 * US, 2) for a in core.feed(unit, unit.utc / US)]
    for action in actions + core.finish(EndReason.STOP):
        files.append(action) if isinstance(action, Append) else files.close(action)
    assert [row.start - T0 for row in store.segments_between("rec-1", 0, 1 << 62)] == [0, 5 * US]
    assert list(examine(store, [volume])) == []


def test_a_file_that_makes_no_sense_costs_itself_alone(
    store: MemorySegmentStore, volume: Volume, record: Record, h264: Clip
) -> None:
    """A disk has put other bytes into times: nothing of it may keep the worker of all cameras from starting."""
    for number in range(2):
        record([h264.format], video_units(h264, T0 + number * 60 * US, seconds=2.9), reason=None)
    path, other = sorted(segment_files(volume))
    damaged = path.read_bytes()
    for name, head in ((b"tfdt", 8), (b"prft", 12)):
        at = damaged.index(name) + head
        damaged = damaged[:at] + b"\x7f" + b"\xff" * 7 + damaged[at + 8 :]
    path.write_bytes(damaged)
    report = recover(store, [volume])
    assert report.completed == 1
    assert len(report.failed) == 1
    assert report.failed[0].startswith(str(path.relative_to(volume.root)))
    assert store.segment_by_path(volume.id, str(other.relative_to(volume.root))).state is SegmentState.RECOVERED  # type: ignore[union-attr]
