"""Finding and reading footage of one recording, up to the fragment that was written last.

The index says where footage lies. Of a segment that is still open the index may lag: its file's tail is walked, so that
readers follow the live edge in other processes without asking anybody.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from onvifd.archive.cache import FragmentCache, LoadedFragment
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.index import Fragment, SegmentRow, SegmentState, SegmentStore, unpack_fragments
from onvifd.archive.recovery import fragment_of
from onvifd.archive.tracks import TrackNumbers
from onvifd.clock import US
from onvifd.errors import InvalidArgument, Unavailable
from onvifd.media import mp4_parse
from onvifd.media.types import AccessUnit, Kind, TrackFormat

DEFAULT_GAP = 3 * US // 2
"""Footage is contiguous across holes up to this long, in microseconds."""

READ_AHEAD = 1 << 19
"""Bytes that one visit to the disk reads when fragments are small (sub streams, sound)."""

_KEPT_SEGMENTS = 8
"""Each takes some 12 KB, and each session has a reader; it stays within a few of them."""
_PAGE = 200
_FAR = 1 << 62


@dataclass(frozen=True, slots=True)
class Span:
    """Contiguous footage, microseconds UTC."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A row with its fragments, those of an open file's tail included."""

    row: SegmentRow
    fragments: tuple[Fragment, ...]

    @property
    def written(self) -> int:
        """Offset behind the last known fragment."""
        return self.fragments[-1].offset + self.fragments[-1].size if self.fragments else 0


@dataclass(frozen=True, slots=True)
class Position:
    """One fragment of a recording."""

    segment: Segment
    index: int

    @property
    def fragment(self) -> Fragment:
        return self.segment.fragments[self.index]

    @property
    def formats(self) -> tuple[TrackFormat, ...]:
        return self.segment.row.formats

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.segment.row.volume, self.segment.row.path, self.fragment.offset)


class RecordingReader:
    """Reads one recording. The async methods run their blocking twins (`*_now`) in the pool's threads.

    Raises Unavailable when the catalogue or a file cannot be read.
    """

    def __init__(
        self,
        store: SegmentStore,
        volumes: Mapping[str, Volume],
        recording: str,
        *,
        cache: FragmentCache,
        pool: DiskPool,
        gap: int = DEFAULT_GAP,
    ) -> None:
        self.recording = recording
        self.gap = gap
        self._store = store
        self._volumes = volumes
        self._cache = cache
        self._pool = pool
        self._segments: OrderedDict[tuple[str, str], Segment] = OrderedDict()
        self._lock = threading.Lock()

    # ---- asynchronous face ---------------------------------------------------------------------

    async def times(self) -> tuple[int, int] | None:
        """First and last time of the footage; None when there is none."""
        return await self._pool.run(self.times_now)

    async def newest_formats(self) -> tuple[TrackFormat, ...]:
        """The formats of the newest segment. Empty without footage."""
        row = await self._pool.run(self._store.segment_at, self.recording, _FAR)
        return row.formats if row is not None else ()

    async def all_formats(self) -> tuple[TrackFormat, ...]:
        """All formats in which there is data, those of the newest footage first. Looks at the rows of all segments."""
        return await self._pool.run(self._store.formats, self.recording)

    async def track_numbers(self) -> TrackNumbers:
        """The encodings that the recording has had, by which its tracks are numbered."""
        return await self._pool.run(self._store.track_numbers, self.recording)

    async def spans(self, start: int, end: int, limit: int = 10_000) -> tuple[Span, ...]:
        """Contiguous sections that touch the time from `start` to `end`, not clipped, at most `limit`."""
        return await self._pool.run(self.spans_now, start, end, limit)

    async def find(self, utc: int, *, forward: bool = True) -> Position | None:
        """Where replay of `utc` starts (Streaming 6.5.4): inside footage the clean point at or before; in a gap the first
        clean point after it (forward) or the last clean point before it (reverse). None when there is none (yet)."""
        return await self._pool.run(self.find_now, utc, forward)

    async def next(self, position: Position) -> Position | None:
        """The fragment after; None at the end of the footage, for now."""
        if position.index + 1 < len(position.segment.fragments):
            return Position(position.segment, position.index + 1)
        return await self._pool.run(self.next_now, position)

    async def previous(self, position: Position) -> Position | None:
        if position.index:
            return Position(position.segment, position.index - 1)
        return await self._pool.run(self.previous_now, position)

    async def beyond(self, position: Position, *, forward: bool = True) -> Position | None:
        """The first clean point of the next segment (or the last fragment of the one before) that is unlike that of `position` in its
        tracks. None when there is none, for now."""
        return await self._pool.run(self.beyond_now, position, forward)

    async def newest(self) -> Position | None:
        """The last fragment."""
        return await self._pool.run(self._last, _FAR)

    async def growing(self, position: Position) -> bool:
        """Whether footage is expected to continue after the segment of `position`."""
        return await self._pool.run(self.growing_now, position)

    async def load(self, position: Position) -> LoadedFragment:
        """The fragment's data, from the cache or the disk. Raises Unavailable if it is gone or damaged."""
        found = self._cache.get(position.key)
        if found is not None:
            return found
        # In the lane of its volume: one that hangs holds up neither others nor what is asked of the index.
        return await self._pool.run_in(position.segment.row.volume, self.load_now, position)

    async def fragments(self, start: int, *, forward: bool = True) -> AsyncIterator[LoadedFragment]:
        """Fragments from the clean point of `start` on, or backward from it, to the end of the footage as it is now."""
        position = await self.find(start, forward=forward)
        while position is not None:
            yield await self.load(position)
            position = await (self.next(position) if forward else self.previous(position))

    async def units(self, start: int, end: int = _FAR) -> AsyncIterator[AccessUnit]:
        """Access units from the clean point of `start` on in order of time, up to `end` inclusive."""
        async for loaded in self.fragments(start):
            if loaded.fragment.start > end:
                return
            for sample in loaded.samples:
                if sample.utc <= end:
                    yield access_unit(loaded, sample)

    # ---- blocking twins ------------------------------------------------------------------------

    def times_now(self) -> tuple[int, int] | None:
        times = self._store.recording_times(self.recording)
        row = self._store.segment_at(self.recording, _FAR)
        if row is not None and row.state is SegmentState.OPEN:
            segment = self._segment(row)
            if segment.fragments:
                first, last = times or (row.start, row.start)
                return first, max(last, max(fragment.end for fragment in segment.fragments))
        return times

    def spans_now(self, start: int, end: int, limit: int = 10_000) -> tuple[Span, ...]:
        spans: list[Span] = []
        seen: set[int] = set()
        page_start = start
        while True:
            rows = self._store.segments_between(self.recording, page_start, end, _PAGE)
            fresh = [row for row in rows if row.id not in seen]
            for row in fresh:
                seen.add(row.id)
                for fragment in self._segment(row, keep=False).fragments:
                    if spans and fragment.start - spans[-1].end <= self.gap:
                        spans[-1] = Span(spans[-1].start, max(spans[-1].end, fragment.end))
                    else:
                        spans.append(Span(fragment.start, fragment.end))
            if len(rows) < _PAGE or not fresh or len(spans) > limit:
                break
            page_start = max(page_start, fresh[-1].start)
        return tuple(span for span in spans if span.end > start and span.start < end)[:limit]

    def find_now(self, utc: int, forward: bool = True) -> Position | None:
        floor = self._floor(utc)
        if floor is None:
            return self._clean_after(self._first(utc)) if forward else None
        following = self.next_now(floor)
        if following is None:
            inside = utc < floor.fragment.end + self.gap or self.growing_now(floor)
        else:
            inside = utc < floor.fragment.end or following.fragment.start - floor.fragment.end <= self.gap
        if inside or not forward:
            found = self._clean_before(floor)
            if found is not None:
                return found
        if forward:
            return self._clean_after(following)
        return None

    def next_now(self, position: Position) -> Position | None:
        segment = position.segment
        if position.index + 1 < len(segment.fragments):
            return Position(segment, position.index + 1)
        if segment.row.state is SegmentState.OPEN:
            row = self._store.segment_by_path(segment.row.volume, segment.row.path)
            if row is not None:
                segment = self._segment(row)
                if position.index + 1 < len(segment.fragments):
                    return Position(segment, position.index + 1)
        return self._first(segment.row.start)

    def previous_now(self, position: Position) -> Position | None:
        if position.index:
            return Position(position.segment, position.index - 1)
        start = position.segment.row.start
        return self._last(start - 1)

    def beyond_now(self, position: Position, forward: bool = True) -> Position | None:
        row = position.segment.row
        found = self._store.unlike_after(row) if forward else self._store.unlike_before(row)
        if found is None:
            return None
        fragments = self._segment(found).fragments
        if not forward:
            return self._last(found.start) if fragments else self._last(found.start - 1)
        return self._clean_after(Position(self._segment(found), 0) if fragments else self._first(found.start))

    def growing_now(self, position: Position) -> bool:
        row = self._store.segment_by_path(position.segment.row.volume, position.segment.row.path)
        if row is None:
            return False
        return row.state is SegmentState.OPEN or row.end_reason.continues

    def load_now(self, position: Position) -> LoadedFragment:
        """Also reads what follows in the file into the cache, as far as READ_AHEAD goes."""
        fd = self._open(position.segment.row)
        try:
            loaded = self._read(fd, position)
            total = position.fragment.size
            for index in range(position.index + 1, len(position.segment.fragments)):
                ahead = Position(position.segment, index)
                total += ahead.fragment.size
                if total > READ_AHEAD or self._cache.get(ahead.key) is not None:
                    break
                try:
                    self._read(fd, ahead)
                except Unavailable:
                    # Whoever needs it will be told.
                    break
        finally:
            os.close(fd)
        return loaded

    def _read(self, fd: int, position: Position) -> LoadedFragment:
        fragment = position.fragment
        try:
            data = os.pread(fd, fragment.size, fragment.offset)
        except OSError as error:
            raise Unavailable(f"fragment cannot be read: {error.strerror}") from error
        if len(data) != fragment.size:
            raise Unavailable("fragment is cut")
        try:
            runs = mp4_parse.parse_fragment(data, position.formats)
        except InvalidArgument as error:
            raise Unavailable(f"fragment is damaged: {error.reason}") from error
        samples = runs[0].samples if len(runs) == 1 else _merge(runs, position.formats)
        loaded = LoadedFragment(fragment, position.formats, data, samples)
        self._cache.put(position.key, loaded)
        return loaded

    # ---- segments ------------------------------------------------------------------------------

    def _floor(self, utc: int) -> Position | None:
        """The last fragment that starts at or before a time."""
        position = self._last(utc)
        if position is None:
            return None
        starts = [fragment.start for fragment in position.segment.fragments]
        return Position(position.segment, max(0, bisect_right(starts, utc) - 1))

    def _last(self, utc: int) -> Position | None:
        """The last fragment of the last segment that begins at or before a time."""
        while (row := self._store.segment_at(self.recording, utc)) is not None:
            segment = self._segment(row)
            if segment.fragments:
                return Position(segment, len(segment.fragments) - 1)
            utc = row.start - 1
        return None

    def _first(self, utc: int) -> Position | None:
        """The first fragment of the first segment that begins after a time."""
        while (row := self._store.segment_after(self.recording, utc)) is not None:
            segment = self._segment(row)
            if segment.fragments:
                return Position(segment, 0)
            utc = row.start
        return None

    def _clean_before(self, position: Position) -> Position | None:
        """The clean point at or before in the same section."""
        while not position.fragment.clean:
            before = self.previous_now(position)
            if before is None or position.fragment.start - before.fragment.end > self.gap:
                return None
            position = before
        return position

    def _clean_after(self, position: Position | None) -> Position | None:
        while position is not None and not position.fragment.clean:
            position = self.next_now(position)
        return position

    def _segment(self, row: SegmentRow, *, keep: bool = True) -> Segment:
        # A caller that was cancelled leaves its thread running: another may be in here.
        with self._lock:
            return self._view(row, keep)

    def _view(self, row: SegmentRow, keep: bool) -> Segment:
        key = (row.volume, row.path)
        known = self._segments.get(key)
        if known is not None and known.row.state is row.state and row.state is not SegmentState.OPEN:
            self._segments.move_to_end(key)
            return known
        try:
            fragments = unpack_fragments(row.fragments)
        except InvalidArgument as error:
            raise Unavailable(error.reason) from error
        if row.state is SegmentState.OPEN:
            if known is not None and len(known.fragments) > len(fragments):
                fragments = known.fragments
            fragments += self._tail(row, Segment(row, fragments).written)
        segment = Segment(row, fragments)
        if keep:
            self._segments[key] = segment
            while len(self._segments) > _KEPT_SEGMENTS:
                self._segments.popitem(last=False)
        return segment

    def _tail(self, row: SegmentRow, written: int) -> tuple[Fragment, ...]:
        """Whole fragments in an open file behind those that the index knows."""
        try:
            fd = self._open(row)
        except Unavailable:
            return ()
        try:
            size = os.fstat(fd).st_size

            def read(offset: int, length: int) -> bytes:
                return os.pread(fd, length, offset)

            if not written:
                written = mp4_parse.read_init(read, size)[1]
            found, _ = mp4_parse.walk_fragments(read, written, size, row.formats)
        except (OSError, InvalidArgument):
            return ()
        finally:
            os.close(fd)
        return tuple(fragment_of(each, row.formats) for each in found)

    def _open(self, row: SegmentRow) -> int:
        volume = self._volumes.get(row.volume)
        if volume is None:
            raise Unavailable(f"volume {row.volume} is not configured")
        try:
            return os.open(volume.path(row.path), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable(f"segment cannot be opened: {error.strerror}") from error


def same_encoding(one: TrackFormat, other: TrackFormat) -> bool:
    """Whether both can be one track of a replay: parameter sets may change in band, codec and clock may not."""
    return one.codec is other.codec and one.clock_rate == other.clock_rate


def _merge(runs: tuple[mp4_parse.ParsedRun, ...], formats: tuple[TrackFormat, ...]) -> tuple[mp4_parse.SampleRef, ...]:
    """Samples of all tracks in order of time; within a video track in decoding order, whatever their times."""
    rows: list[tuple[int, int, mp4_parse.SampleRef]] = []
    for run in runs:
        latest = 0
        video = formats[run.track].kind is Kind.VIDEO
        for sample in run.samples:
            latest = max(latest, sample.utc)
            rows.append((latest if video else sample.utc, sample.track, sample))
    rows.sort(key=lambda row: row[:2])
    return tuple(row[2] for row in rows)


def access_unit(loaded: LoadedFragment, sample: mp4_parse.SampleRef) -> AccessUnit:
    """A sample as an access unit of its own; its ticks are derived from its time."""
    rate = loaded.formats[sample.track].clock_rate
    data = loaded.data[sample.offset : sample.offset + sample.size]
    return AccessUnit(sample.track, sample.utc, sample.utc * rate // US, sample.key, data)
