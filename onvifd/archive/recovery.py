"""Putting the archive in order at start: what a crash or a power cut left behind.

Only the last fragment of a file can be torn (everything before was synced). It is cut off and the row is completed from the
file's own boxes. Runs once per process start, before anything records.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onvifd.archive.disk import Volume, change_of
from onvifd.archive.index import (
    EMPTY_DOCUMENT,
    KIND_FLAGS,
    KIND_MASK,
    NO_KIND,
    EndReason,
    Fragment,
    FragmentFlag,
    SegmentRow,
    SegmentState,
    SegmentStore,
    pack_fragments,
)
from onvifd.archive.paths import is_segment_path
from onvifd.clock import US, to_datetime
from onvifd.errors import BadInput, InvalidArgument, Unavailable
from onvifd.media import mp4_parse
from onvifd.media.types import Kind, TrackFormat

log = logging.getLogger(__name__)

NEWER_THAN_INDEX_SECONDS = 3600
"""Files without a row are looked for in the folders of the days since the newest row, less this."""

DAMAGED = "damaged"
"""Folder in the root of a volume for files that nobody can read."""
MAX_TORN = 64 << 20
"""Bytes of the longest first fragment that a power cut may have torn, with room to spare."""
_MAX_NAMES = 100

LAST_UTC = 253_402_300_800 * US
"""Year 10000: no date can be told from there on, nor anything searched behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What was done: rows completed, bytes cut from torn tails, files taken into the index, files removed that held nothing,
    files moved to `damaged/` because nobody can read them, rows whose file is gone, and what failed (path and reason)."""

    completed: int = 0
    cut_bytes: int = 0
    adopted: int = 0
    removed: int = 0
    damaged: int = 0
    missing: int = 0
    failed: tuple[str, ...] = ()


@dataclass(slots=True)
class Tally:
    completed: int = 0
    cut_bytes: int = 0
    adopted: int = 0
    removed: int = 0
    damaged: int = 0
    missing: int = 0


def recover(
    store: SegmentStore,
    volumes: Sequence[Volume],
    *,
    all_files: bool = False,
    recordings: frozenset[str] | None = None,
) -> RecoveryReport:
    """Complete open rows and take in files that have no row. Blocks. None of the recordings may be written meanwhile.

    Without `all_files` only folders as new as the newest row of the volume are searched for files without a row.
    `recordings` limits it to some; None takes all.
    """
    tally = Tally()
    failed: list[str] = []
    known = {volume.id: volume for volume in volumes}
    for row in store.open_segments():
        if recordings is not None and row.recording not in recordings:
            continue
        volume = known.get(row.volume)
        if volume is None or not is_there(volume):
            failed.append(f"{row.path}: volume {row.volume} is not there")
            continue
        with _alone(row.path, failed):
            _complete(store, volume, row, tally)
    for volume in volumes:
        if not is_there(volume):
            failed.append(f"volume {volume.id} is not there")
            continue
        for path in unindexed_files(store, volume, failed, all_files=all_files, recordings=recordings):
            with _alone(path, failed):
                adopt(store, volume, path, tally)
    report = RecoveryReport(
        completed=tally.completed,
        cut_bytes=tally.cut_bytes,
        adopted=tally.adopted,
        removed=tally.removed,
        damaged=tally.damaged,
        missing=tally.missing,
        failed=tuple(failed),
    )
    if report != RecoveryReport():
        log.warning(
            "archive recovered: %d segments completed, %d bytes cut, %d files adopted, %d removed, %d damaged, %d missing, "
            "%d failed",
            *(report.completed, report.cut_bytes, report.adopted, report.removed, report.damaged, report.missing),
            len(failed),
        )
    return report


def is_there(volume: Volume) -> bool:
    """Whether a volume can be worked on; one that fails is not there."""
    try:
        return volume.is_there()
    except OSError:
        return False


@contextlib.contextmanager
def _alone(path: str, failed: list[str]) -> Iterator[None]:
    """Whatever is wrong with a file is told of it alone; a database that fails is the caller's to handle."""
    try:
        yield
    except Unavailable:
        raise
    except OSError as error:
        failed.append(f"{path}: {error.strerror}")
    except Exception as error:
        # what a disk made of a file must not keep a worker and all its cameras from starting
        log.exception("segment %s cannot be read", path)
        failed.append(f"{path}: {error}")


def _complete(store: SegmentStore, volume: Volume, row: SegmentRow, tally: Tally) -> None:
    try:
        found = mend(volume, row.path, tally)
    except FileNotFoundError:
        log.warning("segment %s is gone", row.path)
        store.delete_segment(row.id)
        tally.missing += 1
        return
    if found is None:
        store.delete_segment(row.id)
        return
    number, copy = row.id, row.copy
    formats, fragments, size = found
    row = row_of(row.recording, volume.id, row.path, formats, fragments, size, copy=copy)
    store.close_segment(number, change_of(row), state=SegmentState.RECOVERED, reason=EndReason.CRASH)
    tally.completed += 1


def adopt(store: SegmentStore, volume: Volume, relative: str, tally: Tally, *, copy: bool = False) -> SegmentRow | None:
    """Take a file into the index; None if there was nothing in it. Raises OSError, Unavailable."""
    found = mend(volume, relative, tally)
    if found is None:
        return None
    formats, fragments, size = found
    row = row_of(relative.split("/", 1)[0], volume.id, relative, formats, fragments, size, copy=copy)
    row = replace(row, id=store.insert_segment(row))
    tally.adopted += 1
    return row


def row_of(
    recording: str,
    volume: str,
    path: str,
    formats: tuple[TrackFormat, ...],
    fragments: Sequence[Fragment],
    size: int,
    *,
    copy: bool = False,
) -> SegmentRow:
    """The row of a recovered file."""
    kinds = NO_KIND
    for fragment in fragments:
        kinds |= fragment.flags & KIND_MASK
    return SegmentRow(
        recording=recording,
        volume=volume,
        path=path,
        start=fragments[0].start,
        end=max(fragment.end for fragment in fragments),
        size=size,
        formats=formats,
        fragments=pack_fragments(fragments),
        kinds=kinds,
        state=SegmentState.RECOVERED,
        end_reason=EndReason.CRASH,
        copy=copy,
    )


def mend(
    volume: Volume, relative: str, tally: Tally
) -> tuple[tuple[TrackFormat, ...], tuple[Fragment, ...], int] | None:
    """Cut a file behind its last whole fragment. One that never got that far is removed; one that cannot be read is moved to
    `damaged/`: what a disk made of it may still be saved by hand. None for both. Raises OSError, BadInput."""
    path = volume.path(relative)
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        formats, found = scan(fd, size)
        if found and not mp4_parse.samples_whole(
            lambda offset, length: os.pread(fd, length, offset), found[-1], formats
        ):
            found = found[:-1]
        if found:
            end = found[-1].offset + found[-1].size
            fragments = tuple(fragment_of(each, formats) for each in found)
            if not all(0 <= each.start < each.end < LAST_UTC for each in fragments):
                raise BadInput("its times make no sense")
            if end < size:
                os.ftruncate(fd, end)
                os.fsync(fd)
                tally.cut_bytes += size - end
                log.warning("segment %s: torn tail of %d bytes cut", path.name, size - end)
            return formats, fragments, end
        torn = not size or (bool(formats) and size <= MAX_TORN and _fragments_begun(fd, size) <= 1)
    finally:
        os.close(fd)
    if torn:
        path.unlink()
        tally.removed += 1
        log.warning("segment %s holds no whole fragment, removed", path.name)
    else:
        tally.damaged += 1
        log.error("segment %s cannot be read, it is kept as %s", relative, _set_aside(volume, relative))
    return None


def _fragments_begun(fd: int, size: int) -> int:
    """How many fragments seem to begin in a file. A torn first one leaves no other behind it."""
    return os.pread(fd, size, 0).count(b"moof")


def _set_aside(volume: Volume, relative: str) -> str:
    """Move a file out of the archive's way; gives where it is now. Raises OSError."""
    folder = volume.path(DAMAGED)
    folder.mkdir(mode=0o750, exist_ok=True)
    # flat: what is in there must not look like the folders of a recording
    name = relative.replace("/", "_")
    for number in range(_MAX_NAMES):
        target = folder / (f"{number}_{name}" if number else name)
        try:
            os.link(volume.path(relative), target, follow_symlinks=False)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            # a file system without links
            volume.path(relative).rename(target)
            return f"{DAMAGED}/{target.name}"
        volume.path(relative).unlink()
        return f"{DAMAGED}/{target.name}"
    raise OSError(errno.EEXIST, f"no free name in {DAMAGED}")


def scan(fd: int, size: int) -> tuple[tuple[TrackFormat, ...], tuple[mp4_parse.FoundFragment, ...]]:
    """Formats and whole fragments of a file; nothing for a file without a usable head."""
    try:
        walk = mp4_parse.walk_file(lambda offset, length: os.pread(fd, length, offset), size)
    except InvalidArgument:
        return (), ()
    return walk.formats, walk.fragments


def fragment_of(found: mp4_parse.FoundFragment, formats: tuple[TrackFormat, ...]) -> Fragment:
    """The table entry of a fragment, from its boxes alone."""
    main = next((run for run in found.runs if formats[run.track].kind is Kind.VIDEO), found.runs[0])
    flags = FragmentFlag.CLEAN if main.samples[0].key else NO_KIND
    for run in found.runs:
        kind = formats[run.track].kind
        flags |= KIND_FLAGS[kind]
        if kind is Kind.METADATA and all(sample.size <= len(EMPTY_DOCUMENT) for sample in run.samples):
            flags |= FragmentFlag.SILENT
    start = min(sample.utc for sample in main.samples)
    return Fragment(found.offset, found.size, start, min(max(1, main.end - start), 0xFFFFFFFF), flags)


def unindexed_files(
    store: SegmentStore,
    volume: Volume,
    failed: list[str],
    *,
    all_files: bool,
    recordings: frozenset[str] | None = None,
) -> Iterator[str]:
    """Segment files without a row, relative to the volume, in order. Folders that cannot be read are told to `failed`.

    What else lies on the volume (`lost+found`, somebody's films) is not the archive's and is left alone.
    """
    try:
        folders = sorted(_folders(volume.root))
    except OSError as error:
        failed.append(f"volume {volume.id}: {error.strerror}")
        return
    for recording in folders:
        if recording == DAMAGED or (recordings is not None and recording not in recordings):
            continue
        try:
            paths = list(_segment_files(store, volume, recording, all_files=all_files))
        except PermissionError as error:
            if store.recording_times(recording) is not None:
                failed.append(f"{recording}: {error.strerror}")
            continue
        except OSError as error:
            failed.append(f"{recording}: {error.strerror}")
            continue
        for path in paths:
            if store.segment_by_path(volume.id, path) is None:
                yield path


def _segment_files(store: SegmentStore, volume: Volume, recording: str, *, all_files: bool) -> Iterator[str]:
    """Files of one recording by name. Raises OSError."""
    times = None if all_files else store.recording_times(recording)
    since = ""
    if times is not None:
        since = f"{to_datetime(times[1] - NEWER_THAN_INDEX_SECONDS * US):%Y-%m-%d/%H}"
    for hour in _hours(volume.root / recording, since):
        for name in sorted(os.listdir(volume.root / recording / hour)):
            relative = f"{recording}/{hour}/{name}"
            if is_segment_path(relative):
                yield relative


def _hours(folder: Path, since: str) -> Iterator[str]:
    """The folders of a recording, `YYYY-MM-DD/HH`, from `since` on."""
    for day in sorted(_folders(folder)):
        if day >= since[:10]:
            yield from (f"{day}/{hour}" for hour in sorted(_folders(folder / day)) if f"{day}/{hour}" >= since)


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return [
            entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        ]
