"""Holds the segment files against the index, changing nothing. May run while recording goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from onvifd.archive.disk import Volume
from onvifd.archive.index import SegmentRow, SegmentState, SegmentStore, unpack_fragments
from onvifd.archive.recovery import fragment_of, scan, unindexed_files
from onvifd.errors import InvalidArgument

_YOUNG_SECONDS = 10.0
"""A file of this age may be about to get its row."""


class FindingKind(StrEnum):
    MISSING_VOLUME = "missing volume"
    MISSING_FILE = "missing file"
    SIZE = "size differs"
    UNINDEXED = "file without row"
    TORN = "torn tail"
    TABLE = "fragment table differs"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `path` is relative to the volume."""

    kind: FindingKind
    volume: str
    path: str
    detail: str


def examine(
    store: SegmentStore, volumes: Sequence[Volume], examined: Callable[[], None] = lambda: None
) -> Iterator[Finding]:
    """All findings, volume by volume. Blocks; reads the headers of every file. `examined` is called after each."""
    for volume in volumes:
        if not volume.root.is_dir():
            yield Finding(FindingKind.MISSING_VOLUME, volume.id, "", f"{volume.root} is not a folder")
            continue
        after = 0
        while rows := store.volume_segments(volume.id, after):
            for row in rows:
                yield from _check(store, volume, row)
                examined()
            after = rows[-1].id
        unreadable: list[str] = []
        for path in unindexed_files(store, volume, unreadable, all_files=True):
            try:
                young = time.time() - os.stat(volume.path(path)).st_mtime < _YOUNG_SECONDS
            except FileNotFoundError:
                continue
            if not young:
                yield Finding(FindingKind.UNINDEXED, volume.id, path, "not in the index")
        for reason in unreadable:
            yield Finding(FindingKind.UNREADABLE, volume.id, "", reason)


def _check(store: SegmentStore, volume: Volume, row: SegmentRow) -> Iterator[Finding]:
    try:
        fd = os.open(volume.path(row.path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if store.segment_by_path(volume.id, row.path) is not None:
            yield Finding(FindingKind.MISSING_FILE, volume.id, row.path, "in the index, not on the volume")
        return
    except OSError as error:
        yield Finding(FindingKind.UNREADABLE, volume.id, row.path, error.strerror or "")
        return
    try:
        size = os.fstat(fd).st_size
        formats, found = scan(fd, size)
    except OSError as error:
        yield Finding(FindingKind.UNREADABLE, volume.id, row.path, error.strerror or "")
        return
    finally:
        os.close(fd)
    boxes = tuple(fragment_of(each, formats) for each in found)
    whole = boxes[-1].offset + boxes[-1].size if boxes else 0
    try:
        table = unpack_fragments(row.fragments)
    except InvalidArgument as error:
        yield Finding(FindingKind.TABLE, volume.id, row.path, error.reason)
        return
    if row.state is SegmentState.OPEN:
        # The file may be ahead of its row, never behind.
        boxes = boxes[: len(table)]
    elif whole < size:
        yield Finding(FindingKind.TORN, volume.id, row.path, f"{size - whole} bytes behind the last whole fragment")
    elif row.size != size:
        yield Finding(FindingKind.SIZE, volume.id, row.path, f"{size} bytes, index says {row.size}")
    if boxes != table:
        yield Finding(FindingKind.TABLE, volume.id, row.path, f"{len(boxes)} fragments, index says {len(table)}")
