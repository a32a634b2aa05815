"""Reading the metadata track of a recording: documents of tt:MetadataStream between two times, forward or backward.

Only the heads of fragments and the documents themselves are read, never the pictures between them. Documents that say nothing
are left out: nobody looks for them. Everything here blocks and runs in threads.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from onvifd.archive.disk import Volume
from onvifd.archive.index import (
    EMPTY_DOCUMENT,
    Fragment,
    FragmentFlag,
    SegmentRow,
    SegmentState,
    SegmentStore,
    unpack_fragments,
)
from onvifd.archive.recovery import fragment_of
from onvifd.clock import US
from onvifd.errors import InvalidArgument
from onvifd.media import mp4_parse
from onvifd.media.types import Kind, TrackFormat

log = logging.getLogger(__name__)

SLACK = 2 * US
"""How far a document may lie outside of the times of its fragment and segment, which are those of the pictures."""
HEAD = 4096
"""Bytes of a fragment that are read first: mostly all of its `moof`."""
MAX_HEAD = 1 << 20
MAX_RUN = 4 << 20
"""Most bytes of documents of one fragment; what is longer is left out."""
BUDGET = 0.2
"""Seconds after which a scan gives what it has."""
_PAGE = 100

T = TypeVar("T")
Take = Callable[[int, bytes], T | None]
"""Looks at a document and its time (microseconds UTC); None if it is of no interest."""


@dataclass(frozen=True, slots=True)
class Scan(Generic[T]):
    """What a scan found, in order of the scan. Up to `reached` (inclusive, microseconds UTC) nothing is left out."""

    found: tuple[tuple[int, T], ...]
    reached: int


class MetadataReader:
    """Reads metadata tracks. What cannot be read (a volume that is gone, a damaged file) is left out and logged."""

    def __init__(self, store: SegmentStore, volumes: Callable[[], Mapping[str, Volume]]) -> None:
        """`volumes` gives those that are there now, by id."""
        self._store = store
        self._volumes = volumes

    def scan(
        self,
        recording: str,
        start: int,
        end: int,
        take: Take[T],
        *,
        backward: bool = False,
        budget: float = BUDGET,
    ) -> Scan[T]:
        """What `take` makes of the documents from `start` to `end` inclusive (`start` <= `end` always), in order of time.

        Stops after about `budget` seconds, at the end of a segment: go on behind `reached` until it is the end of the range.
        """
        deadline = time.monotonic() + budget
        found: list[tuple[int, T]] = []
        rows = self._rows(recording, start - SLACK, end + SLACK, backward=backward)
        row = next(rows, None)
        reached = start if backward else end
        while row is not None:
            if row.kinds & FragmentFlag.METADATA or row.state is SegmentState.OPEN:
                for utc, document in self._documents(row, start, end):
                    taken = take(utc, document)
                    if taken is not None:
                        found.append((utc, taken))
            row = next(rows, None)
            if row is None or time.monotonic() < deadline:
                continue
            # Documents of the next segment may lie a little on this side of its first picture.
            edge = row.end + SLACK + 1 if backward else row.start - SLACK - 1
            if row.state is SegmentState.OPEN and backward:
                continue
            if start < edge < end:
                reached = edge
                break
        found.sort(key=lambda each: each[0], reverse=backward)
        kept = (each for each in found if (each[0] >= reached if backward else each[0] <= reached))
        return Scan(tuple(kept), reached)

    def units(self, recording: str, start: int, end: int, *, backward: bool = False) -> Iterator[tuple[int, bytes]]:
        """All documents between two times (inclusive), with their times, in order."""
        while start <= end:
            page = self.scan(recording, start, end, lambda _, document: document, backward=backward)
            yield from page.found
            if backward:
                end = page.reached - 1
            else:
                start = page.reached + 1

    def sample(self, recording: str, at: int, limit: int = 32) -> tuple[bytes, ...]:
        """The first documents of the segment at a time, for looking at what a track carries."""
        row = self._store.segment_at(recording, at)
        if row is None or not row.kinds & FragmentFlag.METADATA:
            return ()
        documents: list[bytes] = []
        for _, document in self._documents(row, row.start - SLACK, max(row.end, at) + SLACK):
            documents.append(document)
            if len(documents) >= limit:
                break
        return tuple(documents)

    # ---- segments ------------------------------------------------------------------------------

    def _rows(self, recording: str, start: int, end: int, *, backward: bool) -> Iterator[SegmentRow]:
        return self._backward(recording, start, end) if backward else self._forward(recording, start, end)

    def _forward(self, recording: str, start: int, end: int) -> Iterator[SegmentRow]:
        seen: set[int] = set()
        while True:
            page = self._store.segments_between(recording, start, end + 1, _PAGE)
            fresh = [row for row in page if row.id not in seen]
            yield from fresh
            if len(page) < _PAGE or not fresh:
                return
            # Those that begin before the next page's start and last into it come again.
            seen = {row.id for row in page}
            start = max(start, fresh[-1].start)

    def _backward(self, recording: str, start: int, end: int) -> Iterator[SegmentRow]:
        row = self._store.segment_at(recording, end)
        while row is not None and (row.end >= start or row.state is SegmentState.OPEN):
            yield row
            row = self._store.segment_at(recording, row.start - 1)

    # ---- one segment ---------------------------------------------------------------------------

    def _documents(self, row: SegmentRow, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        volume = self._volumes().get(row.volume)
        if volume is None:
            log.warning("metadata of %s: volume %s is not there", row.recording, row.volume)
            return
        try:
            fd = os.open(volume.path(row.path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            log.warning("metadata of %s: segment cannot be opened: %s", row.recording, error.strerror)
            return
        try:
            for fragment in self._fragments(fd, row):
                if not fragment.flags & FragmentFlag.METADATA or fragment.flags & FragmentFlag.SILENT:
                    continue
                if fragment.end + SLACK < start or fragment.start - SLACK > end:
                    continue
                for utc, document in _read(fd, fragment, row.formats):
                    if start <= utc <= end and len(document) > len(EMPTY_DOCUMENT):
                        yield utc, document
        except (OSError, InvalidArgument) as error:
            log.warning("metadata of %s: %s cannot be read: %s", row.recording, row.path, error)
        finally:
            os.close(fd)

    def _fragments(self, fd: int, row: SegmentRow) -> tuple[Fragment, ...]:
        """Those of the index, and of an open file those behind them."""
        fragments = unpack_fragments(row.fragments)
        if row.state is not SegmentState.OPEN:
            return fragments
        size = os.fstat(fd).st_size

        def read(offset: int, length: int) -> bytes:
            return os.pread(fd, length, offset)

        written = fragments[-1].offset + fragments[-1].size if fragments else mp4_parse.read_init(read, size)[1]
        tail, _ = mp4_parse.walk_fragments(read, written, size, row.formats)
        return fragments + tuple(fragment_of(each, row.formats) for each in tail)


def _read(fd: int, fragment: Fragment, formats: tuple[TrackFormat, ...]) -> Iterator[tuple[int, bytes]]:
    """The documents of a fragment with their times."""
    head = os.pread(fd, min(HEAD, fragment.size), fragment.offset)
    needed = _head_length(head, fragment.size)
    if needed > len(head):
        head = os.pread(fd, needed, fragment.offset)
    for run in mp4_parse.parse_fragment(head[:needed], formats, header_only=True):
        if formats[run.track].kind is not Kind.METADATA:
            continue
        first, last = run.samples[0], run.samples[-1]
        length = last.offset + last.size - first.offset
        if not 0 <= length <= MAX_RUN or first.offset + length > fragment.size:
            raise InvalidArgument("documents do not fit into their fragment")
        data = os.pread(fd, length, fragment.offset + first.offset)
        for sample in run.samples:
            begin = sample.offset - first.offset
            yield sample.utc, data[begin : begin + sample.size]


def _head_length(head: bytes, size: int) -> int:
    """Bytes up to the end of `moof`."""
    position = 0
    while position + 8 <= len(head):
        length, kind = int.from_bytes(head[position : position + 4], "big"), head[position + 4 : position + 8]
        if length < 8 or position + length > min(size, MAX_HEAD):
            break
        position += length
        if kind == b"moof":
            return position
    raise InvalidArgument("a fragment has no moof")
