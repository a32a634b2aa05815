"""The order in which a recording's access units are replayed, and their bits (Streaming 6.3 to 6.6, 6.8, 6.9)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from onvifd.archive.cache import LoadedFragment
from onvifd.archive.reader import Position, RecordingReader
from onvifd.archive.selection import Selection, Wanted
from onvifd.clock import US, Clock
from onvifd.errors import Unavailable
from onvifd.media.mp4_parse import SampleRef
from onvifd.media.types import Kind, TrackFormat

log = logging.getLogger(__name__)

STALLED_SECONDS = 15.0
"""A recording that is said to go on but brings nothing for so long counts as ended."""

_OVERLAP = US // 2
_HELD = 2 * US
"""An access unit is held back no longer than this, in recording time: its track may have ended."""
_MAX_GOP_BYTES = 64 << 20


class Item(NamedTuple):
    """One access unit to send. `track` indexes the presentation's tracks; the bits are those of Streaming 6.3.

    `after_gap` is 0, or the UTC at which the footage sent before ended when a gap lies in between.
    """

    loaded: LoadedFragment
    sample: SampleRef
    track: int
    end: bool
    discontinuity: bool
    terminal: bool
    after_gap: int


class Cursor(Protocol):
    """A way through a recording. Cancelling `batch` loses nothing."""

    @property
    def done(self) -> bool:
        """Nothing will come any more."""
        ...

    async def batch(self) -> list[Item]:
        """The next items; empty when there are none now (ask again) or none any more (`done`)."""
        ...

    def peek(self) -> dict[int, int]:
        """UTC of the next access unit of each track that is in memory."""
        ...

    async def close(self) -> None: ...


class _Row(NamedTuple):
    time: int
    loaded: LoadedFragment
    sample: SampleRef
    track: int
    after_gap: int
    end: bool = False
    """Nothing of its track follows in the next segment: E is known before the next unit is."""


class _LeftOut:
    """Tells what cannot be read, once for each segment: the other fragments of a file that is gone say nothing new."""

    def __init__(self, recording: str) -> None:
        self._recording = recording
        self._told = -1

    def tell(self, position: Position, error: Unavailable) -> None:
        row = position.segment.row
        if self._told != row.id:
            self._told = row.id
            log.warning("%s: left out of replay from segment %s: %s", self._recording, row.path, error.reason)


class ForwardCursor:
    """Recording order. The last access units of each track are held back until it is known what follows them."""

    def __init__(
        self,
        reader: RecordingReader,
        clock: Clock,
        presented: tuple[TrackFormat, ...],
        wanted: Wanted,
        first: Position | None,
        requested: int,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._wanted = wanted
        self._selection = Selection(presented, wanted)
        self._requested = requested
        self._first = first
        self._last: Position | None = None
        self._passed: Position | None = None
        """Where the way stands within footage that has nothing of the tracks that are sent; that is passed over as a gap is."""
        self._begin = first.fragment.start if first is not None and self._selection.holds(first) else None
        self._rows: list[_Row] = []
        self._ready: list[Item] = []
        self._fresh = set(wanted.tracks)
        self._started = False
        """Whether anything behind the time asked for was seen."""
        self._video_time = 0
        self._ahead: asyncio.Task[tuple[Position, LoadedFragment] | None] | None = None
        self._silent_since: float | None = None
        self._done = False
        self._left_out = _LeftOut(reader.recording)

    @property
    def done(self) -> bool:
        return self._done and not self._ready

    def peek(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for item in self._ready:
            found.setdefault(item.track, item.sample.utc)
        for row in self._rows:
            found.setdefault(row.track, row.sample.utc)
        return found

    async def prime(self) -> None:
        """Read until something is ready or nothing is there."""
        self._ready = await self.batch()

    async def close(self) -> None:
        task, self._ahead = self._ahead, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def batch(self) -> list[Item]:
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        if self._done:
            return []
        items: list[Item] = []
        while not items and not self._done:
            if self._ahead is None:
                self._ahead = asyncio.create_task(self._fetch())
            found = await asyncio.shield(self._ahead)
            if found is None:
                items = await self._edge()
                self._ahead = None
                return items
            self._ahead = None
            self._silent_since = None
            items = self._advance(*found)
        return items

    def _advance(self, position: Position, loaded: LoadedFragment) -> list[Item]:
        last, end = self._last, self._wanted.end
        gap = last is not None and position.fragment.start - last.fragment.end > self._reader.gap
        slack = self._selection.slack
        if end is not None and position.fragment.start > end + slack:
            self._done = True
            return self._flush(end=gap, terminal=True)
        items = self._flush(end=True, terminal=False) if gap else []
        if last is not None and last.formats != loaded.formats:
            self._leave(self._selection.tracks(loaded.formats))
        after_gap = last.fragment.end if gap and last is not None else 0
        self._last = position
        if self._begin is None:
            self._begin = position.fragment.start
        self._ahead = asyncio.create_task(self._fetch())
        video = tuple(format.kind is Kind.VIDEO for format in loaded.formats)
        for sample, track in self._selection.take(loaded):
            if sample.utc >= self._begin and (end is None or sample.utc <= end):
                time = sample.utc
                if video[sample.track]:
                    # B frames stay in decoding order.
                    time = self._video_time = max(time, self._video_time)
                self._rows.append(_Row(time, loaded, sample, track, after_gap))
                after_gap = 0
        if not self._selection.groups and not self._started:
            self._trim()
        return items + self._release()

    def _trim(self) -> None:
        """Without groups of pictures every access unit is a clean point (6.5.4): the last one at or before the start of each track is
        enough."""
        self._started = any(row.time > self._requested for row in self._rows)
        lasts = {row.track: index for index, row in enumerate(self._rows) if row.time <= self._requested}
        self._rows = [
            row for index, row in enumerate(self._rows) if row.time > self._requested or lasts.get(row.track) == index
        ]

    def _leave(self, going_on: frozenset[int]) -> None:
        """Tracks that the footage goes on without, since their encoding was changed or switched off, have a section that ends here."""
        lasts = {row.track: index for index, row in enumerate(self._rows) if row.track not in going_on}
        for index in lasts.values():
            self._rows[index] = self._rows[index]._replace(end=True)

    def _release(self) -> list[Item]:
        """Rows that are followed by another of their track, or are known to be its last."""
        rows = self._rows
        if not self._selection.single:
            rows.sort(key=lambda row: row.time)
        lasts: dict[int, int] = {}
        for index, row in enumerate(rows):
            if not row.end:
                lasts[row.track] = index
        split = min(lasts.values(), default=len(rows))
        while split < len(rows) and rows[split].time < rows[-1].time - _HELD:
            split += 1
        self._rows = rows[split:]
        return [self._item(row, False, False) for row in rows[:split]]

    def _flush(self, *, end: bool, terminal: bool) -> list[Item]:
        """All rows; the last of each track gets the bits."""
        rows, self._rows = self._rows, []
        lasts = {row.track: index for index, row in enumerate(rows)}
        return [
            self._item(row, end and lasts[row.track] == index, terminal and lasts[row.track] == index)
            for index, row in enumerate(rows)
        ]

    def _item(self, row: _Row, end: bool, terminal: bool) -> Item:
        fresh = row.track in self._fresh
        if fresh:
            self._fresh.discard(row.track)
        return Item(row.loaded, row.sample, row.track, end or row.end, fresh, terminal, row.after_gap)

    async def _edge(self) -> list[Item]:
        """Nothing follows now: wait for more (6.8), or end here (6.9)."""
        now = self._clock.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        end, last = self._wanted.end, self._last
        if last is not None and end is not None and last.fragment.end > end + self._selection.slack:
            self._done = True
            return self._flush(end=False, terminal=True)
        ours = self._passed is None and now - self._silent_since < STALLED_SECONDS
        if ours and last is not None and await self._reader.growing(last):
            return []
        if end is not None and self._clock.utc() > end:
            self._done = True
        return self._flush(end=True, terminal=True)

    async def _fetch(self) -> tuple[Position, LoadedFragment] | None:
        """The next fragment that can be read."""
        position, self._first = self._first, None
        last = self._passed or self._last
        while True:
            if position is None:
                position = await self._following(last)
            if position is None:
                return None
            if not self._selection.holds(position):
                self._passed = last = position
                position = None
                continue
            # After the clock was set back, footage overlaps: time goes on only forward (6.3.1).
            back = self._last is not None and position.fragment.start < self._last.fragment.end - _OVERLAP
            if not back:
                try:
                    loaded = await self._reader.load(position)
                except Unavailable as error:
                    self._left_out.tell(position, error)
                else:
                    self._passed = None
                    return position, loaded
            last, position = position, None

    async def _following(self, last: Position | None) -> Position | None:
        if last is None:
            return await self._reader.find(self._requested)
        if last is not self._passed:
            return await self._reader.next(last)
        found = await self._reader.beyond(last)
        if found is None:
            # Whoever waits for new footage need not look through the old each time.
            newest = await self._reader.newest()
            if newest is not None and not self._selection.holds(newest):
                self._passed = newest
        return found


class ReverseCursor:
    """Groups of pictures in reverse order, each forward in itself (6.6.1); metadata goes with them, sound does not.

    Without pictures, or with JPEG, each access unit is a group of its own.
    """

    def __init__(
        self,
        reader: RecordingReader,
        presented: tuple[TrackFormat, ...],
        wanted: Wanted,
        first: Position | None,
        requested: int,
    ) -> None:
        silent = frozenset(n for n in wanted.tracks if presented[n].kind is not Kind.AUDIO)
        self._reader = reader
        self._wanted = wanted
        self._selection = Selection(
            presented,
            Wanted(end=wanted.end, tracks=silent or wanted.tracks, frames=wanted.frames, interval=wanted.interval),
        )
        self._requested = requested
        self._position = first
        self._ready: list[Item] = []
        self._held: list[Item] = []
        """With an interval the group before, until it is known whether another one of its section follows."""
        self._left_out = _LeftOut(reader.recording)
        self._after_gap = 0
        self._closes = (False, False)
        """Whether the group that was read last ends a contiguous section, and the replay."""

    @property
    def done(self) -> bool:
        return self._position is None and not self._ready and not self._held

    @property
    def ready(self) -> Sequence[Item]:
        """The next group, if it was read already."""
        return self._ready

    def peek(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for item in (*self._ready, *self._held):
            found.setdefault(item.track, item.sample.utc)
        return found

    async def prime(self) -> None:
        self._ready = await self.batch()

    async def close(self) -> None:
        self._position = None

    async def batch(self) -> list[Item]:
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        items: list[Item] = []
        if self._position is not None and not self._selection.holds(self._position):
            self._position = await self._clean(await self._before(self._position))
        while not items and self._position is not None:
            items = await self._next_group(self._position)
            if self._wanted.interval:
                items = self._hold(items)
        if not items:
            items, self._held = self._held, []
        return items

    def _hold(self, items: list[Item]) -> list[Item]:
        """What was held back, if `items` are another group; a group that is left out hands its E and T on (6.3)."""
        if items:
            items, self._held = self._held, items
            return items
        end, terminal = self._closes
        lasts = {item.track: n for n, item in enumerate(self._held)}
        self._held = [
            item._replace(end=item.end or end, terminal=item.terminal or terminal) if lasts[item.track] == n else item
            for n, item in enumerate(self._held)
        ]
        return []

    async def _next_group(self, first: Position) -> list[Item]:
        loaded = await self._group(first)
        before = await self._before(first)
        gap = before is None or first.fragment.start - before.fragment.end > self._reader.gap
        last_group = before is None or (self._wanted.end is not None and first.fragment.start <= self._wanted.end)
        target = await self._clean(before)
        groups, earliest = self._selection.groups, self._wanted.end or 0
        samples = [
            (each, sample, track)
            for each in loaded
            for sample, track in self._selection.take(each, intra_reverse=True)
            # Pictures before the end are the lead-in of those behind it.
            if sample.utc <= self._requested
            and (sample.utc >= earliest or (groups and each.formats[sample.track].kind is Kind.VIDEO))
        ]
        if not groups:
            samples.sort(key=lambda entry: entry[1].utc, reverse=True)
        after_gap = self._after_gap
        if samples or gap:
            self._after_gap = first.fragment.start if gap else 0
        self._position, self._closes = None if last_group else target, (gap, last_group)
        lasts = {track: n for n, (_, _, track) in enumerate(samples)}
        seen: set[int] = set()
        items = []
        for n, (each, sample, track) in enumerate(samples):
            final, fresh = lasts[track] == n, track not in seen or not groups
            seen.add(track)
            gap_before = after_gap if n == 0 else 0
            items.append(Item(each, sample, track, gap and final, fresh, last_group and final, gap_before))
        return items

    async def _before(self, position: Position) -> Position | None:
        """The fragment before that is in a segment with something of the tracks that are sent."""
        found: Position | None = position
        if self._selection.holds(position):
            found = await self._reader.previous(position)
        while found is not None and not self._selection.holds(found):
            found = await self._reader.beyond(found, forward=False)
        return found

    async def _clean(self, position: Position | None) -> Position | None:
        """The clean point at or before."""
        while position is not None and not position.fragment.clean:
            position = await self._before(position)
        return position

    async def _group(self, position: Position) -> list[LoadedFragment]:
        """The fragments of one group of pictures; a damaged one ends it."""
        loaded: list[LoadedFragment] = []
        total = 0
        following: Position | None = position
        while following is not None and total < _MAX_GOP_BYTES:
            try:
                loaded.append(await self._reader.load(following))
            except Unavailable as error:
                self._left_out.tell(following, error)
                break
            total += following.fragment.size
            end = following.fragment.end
            following = await self._reader.next(following)
            if following is not None and (
                following.fragment.clean or following.fragment.start - end > self._reader.gap
            ):
                break
        return loaded
