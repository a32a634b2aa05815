"""Holds the segment files against the index, changing nothing. May run while recording goes on."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from onvifd.archive.disk import Volume
from onvifd.archive.index import Fragment, SegmentRow, SegmentState, SegmentStore, unpack_fragments
from onvifd.archive.recovery import fragment_of, is_there, scan, unindexed_files
from onvifd.errors import InvalidArgument
from onvifd.media import mp4_parse
from onvifd.media.types import TrackFormat

YOUNG_SECONDS = 10.0
"""A file of this age may be about to get its row, or to be written on."""


class Depth(StrEnum):
    """How closely files are looked at."""

    QUICK = "quick"
    """That each is there, has its size and begins as it should."""
    BOXES = "boxes"
    """All boxes of all files, and files that nobody knows."""
    FULL = "full"
    """All data: reads every byte."""


class FindingKind(StrEnum):
    MISSING_VOLUME = "missing volume"
    MISSING_FILE = "missing file"
    SIZE = "size differs"
    HEAD = "head differs"
    UNINDEXED = "file without row"
    TORN = "torn tail"
    TABLE = "fragment table differs"
    DATA = "data damaged"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `path` is relative to the volume; `segment` is the number of its row, 0 for none."""

    kind: FindingKind
    volume: str
    path: str
    detail: str
    segment: int = 0


def examine(
    store: SegmentStore,
    volumes: Sequence[Volume],
    examined: Callable[[], None] = lambda: None,
    *,
    depth: Depth = Depth.BOXES,
) -> Iterator[Finding]:
    """All findings, volume by volume. Blocks. `examined` is called after each row."""
    for volume in volumes:
        if not is_there(volume):
            reason = f"{volume.root} is not a folder" if not volume.root.is_dir() else "its file system is not mounted"
            yield Finding(FindingKind.MISSING_VOLUME, volume.id, "", reason)
            continue
        after = 0
        while rows := store.volume_segments(volume.id, after):
            for row in rows:
                yield from check_row(store, volume, row, depth)
                examined()
            after = rows[-1].id
        if depth is Depth.QUICK:
            continue
        unreadable: list[str] = []
        for path in unindexed_files(store, volume, unreadable, all_files=True):
            if not is_young(volume, path):
                yield Finding(FindingKind.UNINDEXED, volume.id, path, "not in the index")
        for reason in unreadable:
            yield Finding(FindingKind.UNREADABLE, volume.id, "", reason)


def is_young(volume: Volume, path: str) -> bool:
    """Whether a file is being written, or has just been, or is gone. A writer holds a lock on it, so that neither a long group of
    pictures nor a clock that was set make it look given up."""
    try:
        fd = os.open(volume.path(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # why it cannot be read is found by whoever looks into it
    try:
        if time.time() - os.fstat(fd).st_mtime < YOUNG_SECONDS:
            return True
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without locks
    finally:
        os.close(fd)
    return False


def check_row(store: SegmentStore, volume: Volume, row: SegmentRow, depth: Depth) -> Iterator[Finding]:
    """What is wrong with one segment."""

    def finding(kind: FindingKind, detail: str) -> Finding:
        return Finding(kind, volume.id, row.path, detail, row.id)

    try:
        fd = os.open(volume.path(row.path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if store.segment_by_path(volume.id, row.path) is not None:
            yield finding(FindingKind.MISSING_FILE, "in the index, not on the volume")
        return
    except OSError as error:
        yield finding(FindingKind.UNREADABLE, error.strerror or "")
        return
    try:
        check = _quick if depth is Depth.QUICK else _boxes
        for kind, detail in check(fd, row, depth):
            yield finding(kind, detail)
    except OSError as error:
        yield finding(FindingKind.UNREADABLE, error.strerror or "")
    finally:
        os.close(fd)


def _quick(fd: int, row: SegmentRow, depth: Depth) -> Iterator[tuple[FindingKind, str]]:
    size = os.fstat(fd).st_size
    if size < row.size or (size != row.size and row.state is not SegmentState.OPEN):
        yield FindingKind.SIZE, f"{size} bytes, index says {row.size}"
    try:
        formats, _ = mp4_parse.read_init(_reader(fd), size)
    except InvalidArgument as error:
        yield FindingKind.HEAD, error.reason
        return
    if formats != row.formats:
        yield FindingKind.HEAD, "other formats than the index says"


def _boxes(fd: int, row: SegmentRow, depth: Depth) -> Iterator[tuple[FindingKind, str]]:
    size = os.fstat(fd).st_size
    formats, found = scan(fd, size)
    boxes = tuple(fragment_of(each, formats) for each in found)
    whole = boxes[-1].offset + boxes[-1].size if boxes else 0
    try:
        table = unpack_fragments(row.fragments)
    except InvalidArgument as error:
        yield FindingKind.TABLE, error.reason
        return
    if row.state is SegmentState.RECOVERED and boxes != table:
        # What was damaged in the middle has been left out of the table: what the table names has to be there.
        boxes = tuple(each for each in table if fragment_at(fd, each, formats) == each)
        whole = boxes[-1].offset + boxes[-1].size if boxes else 0
    if row.state is SegmentState.OPEN:
        # The file may be ahead of its row, never behind.
        boxes = boxes[: len(table)]
    elif whole < size:
        yield FindingKind.TORN, f"{size - whole} bytes behind the last whole fragment"
    elif row.size != size:
        yield FindingKind.SIZE, f"{size} bytes, index says {row.size}"
    if boxes and formats != row.formats:
        yield FindingKind.HEAD, "other formats than the index says"
    if boxes != table:
        yield FindingKind.TABLE, f"{len(boxes)} fragments, index says {len(table)}"
    elif depth is Depth.FULL:
        bad = sum(not fragment_whole(fd, each, formats) for each in table)
        if bad:
            yield FindingKind.DATA, f"{bad} of {len(table)} fragments"


def _reader(fd: int) -> mp4_parse.ReadAt:
    return lambda offset, length: os.pread(fd, length, offset)


def fragment_at(fd: int, wanted: Fragment, formats: tuple[TrackFormat, ...]) -> Fragment | None:
    """The fragment that begins where one is wanted, from its boxes. Raises OSError."""
    end = wanted.offset + wanted.size
    found, _ = mp4_parse.walk_fragments(_reader(fd), wanted.offset, end, formats, limit=1)
    return fragment_of(found[0], formats) if found else None


def fragment_whole(fd: int, wanted: Fragment, formats: tuple[TrackFormat, ...]) -> bool:
    """Whether its samples are whole too. Raises OSError."""
    end = wanted.offset + wanted.size
    found, _ = mp4_parse.walk_fragments(_reader(fd), wanted.offset, end, formats, limit=1)
    return bool(found) and mp4_parse.samples_whole(_reader(fd), found[0], formats)
