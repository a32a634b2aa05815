"""Access units in, bytes to append to segment files and index rows out. No file, no clock, no task.

A segment begins with a clean point, unless it continues another without a gap: after a pause that lost nothing, or on another
volume. It ends at the first clean point of another minute, when a format changes, at a gap and when recording stops. A fragment
is a group of pictures or `fragment_us`, whichever ends first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from onvifd.archive.actions import Action, Append, Close
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
    pack_fragments,
    unpack_fragments,
)
from onvifd.archive.paths import segment_path
from onvifd.archive.timeline import Timeline
from onvifd.clock import US
from onvifd.errors import InvalidArgument, OnvifdError
from onvifd.media import mp4, mp4_edit, video
from onvifd.media.types import AccessUnit, Codec, Kind, TrackFormat

__all__ = ["Action", "Append", "Close", "SegmentWriter"]

MAX_FRAGMENT_BYTES = 16 << 20
"""A fragment is cut at this size, whatever its length."""

IDLE_SECONDS = 2.0
"""Without main-track units for so long, what is pending is written and the segment ends."""

_JUMP = US
"""Wall time that runs this much apart from media time is a jump of the clock."""
_MAX_OLD_SECONDS = 20
"""After a jump a group of pictures goes on with the old time for no longer than this."""
_FIRST_INTERVAL = 40_000
_MAX_REORDER = 4
_SETTLED = 8
"""Frames after which it is known whether a stream has B frames, and its frame rate."""
_GAP_INTERVALS = 3.5
"""More than two frames are missing when a frame comes later than this many frame times."""


@dataclass(slots=True)
class _Open:
    """The segment that is being filled. `row` is as of the last fragment."""

    serial: int
    row: SegmentRow
    timelines: list[Timeline]
    head: bytes
    fragments: list[Fragment]


@dataclass(slots=True)
class _Moved:
    """The rest of segment `left`, as segment `serial` on another volume.

    `shifts` is by how much later its media time begins, per track; empty when nothing of it was written yet, so that it is the
    same but for the volume. `segment` is what is being filled of it, if it has not ended.
    """

    left: int
    serial: int
    row: SegmentRow
    head: bytes
    shifts: tuple[int, ...]
    fragments: list[Fragment]
    segment: _Open | None = None

    def take(self, action: Action) -> Action:
        """The same on the other volume."""
        if not self.shifts:
            return replace(action, row=replace(action.row, volume=self.row.volume))
        if isinstance(action, Close):
            return Close(self.serial, replace(self.row, state=action.row.state, end_reason=action.row.end_reason))
        old = unpack_fragments(action.row.fragments)[-1]
        body = mp4_edit.moved_fragment(action.data, len(self.fragments) + 1, self.shifts)
        offset = self.row.size
        parts = (body,) if offset else (self.head, body)
        begin = offset or len(self.head)
        self.fragments.append(replace(old, offset=begin))
        self.row = replace(
            self.row,
            end=max(self.row.end, old.end),
            size=begin + len(body),
            kinds=self.row.kinds | old.flags & KIND_MASK,
            fragments=pack_fragments(self.fragments),
        )
        if self.segment is not None:
            self.segment.row = self.row
        return Append(self.serial, offset, parts, self.row, action.frames)


class SegmentWriter:
    """Cuts one recording's access units into segments and fragments.

    `lost` counts main-track units that were dropped after recording had begun. The main track is the first video track,
    or the first track without video. `now` is monotonic seconds. `room` false means: what ends now cannot be taken, drop.
    `volume` is where the next segment goes; while it is empty nothing is recorded. Segments end at multiples of `segment_us`, but for
    `phase_us` by which they end earlier, so that those of many recordings do not all end at once.
    """

    def __init__(
        self,
        recording: str,
        volume: str,
        formats: Sequence[TrackFormat],
        *,
        segment_us: int = 60 * US,
        fragment_us: int = US,
        phase_us: int = 0,
        copy: bool = False,
    ) -> None:
        segment_path(recording, 0)
        self.recording = recording
        self.volume = volume
        self.lost = 0
        self._copy = copy
        self._segment_us = segment_us
        self._fragment_us = fragment_us
        self._phase_us = phase_us
        self._formats: tuple[TrackFormat, ...] = ()
        self._main = 0
        self._segment: _Open | None = None
        self._serial = 0
        self._pending: list[list[AccessUnit]] = []
        self._pending_bytes = 0
        self._last: AccessUnit | None = None
        self._heard = 0.0
        self._began: int | None = None
        """With which time the last segment did."""
        self._latest = 0
        self._reorders = False
        self._seen = 0
        self._interval = _FIRST_INTERVAL
        self._cut = EndReason.NONE
        self._jumped_at: int | None = None
        """Ticks of the unit with which the clock jumped, until the clean point at which the new time begins."""
        self._shift = 0
        """What takes the new time to the old one until then."""
        self._continues = False
        """What was ended broke off in the middle of footage: what follows without a gap needs no clean point."""
        self._use(tuple(formats))

    @property
    def formats(self) -> tuple[TrackFormat, ...]:
        return self._formats

    @property
    def place(self) -> str:
        """The volume of the segment that is being filled; empty while there is none."""
        return self._segment.row.volume if self._segment is not None else ""

    @property
    def waiting(self) -> bool:
        """Whether nothing is being recorded until the next clean point."""
        return not self._pending[self._main]

    def set_formats(self, formats: Sequence[TrackFormat], room: bool = True) -> list[Action]:
        """Other formats from the next unit on: what is pending is written and the segment ends."""
        if tuple(formats) == self._formats:
            return []
        before = self._formats[self._main]
        whole = not self.waiting and room
        actions = self._end(EndReason.FORMAT, None, room)
        self._use(tuple(formats))
        self._continues = whole and self._formats[self._main] == before
        return actions

    def _use(self, formats: tuple[TrackFormat, ...]) -> None:
        if not 1 <= len(formats) <= mp4.MAX_TRACKS:
            raise InvalidArgument("a recording has 1 to 8 tracks")
        self._formats = formats
        self._main = next((n for n, each in enumerate(formats) if each.kind is Kind.VIDEO), 0)
        self._pending = [[] for _ in formats]
        self._pending_bytes = 0

    def feed(self, unit: AccessUnit, now: float, room: bool = True) -> list[Action]:
        """One access unit, in decoding order within its track."""
        if not 0 <= unit.track < len(self._formats) or not unit.data:
            return []
        if unit.track != self._main:
            if not self.waiting:
                self._hold(self._beside(unit))
            return []
        self._heard = now
        last = self._last
        if last is not None and not unit.key and self._goes_on(last, unit):
            return []
        actions = self._learn(unit, room) if unit.key else []
        self._last = unit
        if self.waiting:
            self._jumped_at = None
            if last is not None:
                self._last = unit = self._after(last, unit)
            continues, self._continues = self._continues and last is not None and self._follows(last, unit), False
            self._latest = unit.utc
            actions += self._begin(unit, room, continues)
            return actions
        assert last is not None
        self._last = unit = self._after(last, self._steady(last, unit))
        delta = unit.utc - last.utc
        if self._jumped(last, unit):
            actions += self._end(EndReason.CLOCK, None, room)
            actions += self._begin(unit, room)
            self._latest = unit.utc
            return actions
        # With B frames times run ahead and fall back: what counts is how far they get.
        self._reorders |= delta < 0
        advance = unit.utc - self._latest
        self._seen += 1
        gap = self._is_gap(advance)
        if gap:
            self._cut = EndReason.LOSS
        actions += self._continue(unit, gap, room)
        if delta > 0 and not self._reorders:
            self._interval += (min(delta, US) - self._interval) // 4
        self._latest = max(self._latest, unit.utc)
        return actions

    def _goes_on(self, last: AccessUnit, unit: AccessUnit) -> bool:
        """Take a unit that comes when it was to be expected and ends nothing, as nearly all do: `feed` without its questions."""
        pending, delta = self._pending[self._main], unit.utc - last.utc
        if (
            not pending
            or self._reorders
            or not 0 < delta <= _GAP_INTERVALS * self._interval
            or last.utc != self._latest
            or unit.utc - pending[0].utc >= self._fragment_us
            or self._pending_bytes > MAX_FRAGMENT_BYTES
            or self._jumped(last, unit)
        ):
            return False
        self._last, self._latest, self._jumped_at = unit, unit.utc, None
        self._seen += 1
        self._interval += (min(delta, US) - self._interval) // 4
        self._hold(unit)
        return True

    def _after(self, last: AccessUnit, unit: AccessUnit) -> AccessUnit:
        """No frame is shown after a clean point that comes later: the camera's clock was put right by a moment. Nor is one shown
        before the fragment in front of its own: fragments are found by their beginnings, which are in order."""
        fragments = self._segment.fragments if self._segment is not None else []
        floor = self._latest if unit.key else fragments[-1].start if fragments else unit.utc - 1
        if unit.utc > floor or self._jumped(last, unit):
            return unit
        return msgspec.structs.replace(unit, utc=floor + 1)

    def _steady(self, last: AccessUnit, unit: AccessUnit) -> AccessUnit:
        """When the clock jumps within a group of pictures, the rest of the group stays on the old one: it can be decoded only
        with what came before, and a jump is no reason to lose it."""
        media = (unit.ticks - last.ticks) * US // self._formats[self._main].clock_rate
        if unit.key or self._is_gap(abs(media)) or not self._jumped(last, unit):
            self._jumped_at = None
            return unit
        if self._jumped_at is None:
            self._jumped_at = unit.ticks
        if unit.ticks - self._jumped_at > _MAX_OLD_SECONDS * self._formats[self._main].clock_rate:
            return unit
        self._shift = last.utc + media - unit.utc
        return msgspec.structs.replace(unit, utc=last.utc + media)

    def _beside(self, unit: AccessUnit) -> AccessUnit:
        """A unit of another track, on the clock of the group of pictures."""
        if self._jumped_at is None or abs(unit.utc - self._latest) < abs(unit.utc + self._shift - self._latest):
            return unit
        return msgspec.structs.replace(unit, utc=unit.utc + self._shift)

    def _is_gap(self, advance: int) -> bool:
        tolerance = _MAX_REORDER if self._reorders or self._seen < _SETTLED else 1
        return advance > _GAP_INTERVALS * self._interval * tolerance

    def _jumped(self, last: AccessUnit, unit: AccessUnit) -> bool:
        delta = unit.utc - last.utc
        media = (unit.ticks - last.ticks) * US // self._formats[self._main].clock_rate
        return delta < -_JUMP or abs(delta - media) > _JUMP

    def _follows(self, last: AccessUnit, unit: AccessUnit) -> bool:
        """Whether nothing is missing between two main-track units."""
        return not self._jumped(last, unit) and not self._is_gap(unit.utc - self._latest)

    def _continue(self, unit: AccessUnit, gap: bool, room: bool) -> list[Action]:
        """A main-track unit that belongs to what is being recorded."""
        actions: list[Action] = []
        if unit.key and (reason := self._due(unit)) is not EndReason.NONE:
            actions += self._end(reason, None if gap else unit, room)
            actions += self._begin(unit, room)
            return actions
        first = self._pending[self._main][0]
        video = self._formats[self._main]
        # of JPEG every picture would be a group
        group = unit.key and video.kind is Kind.VIDEO and video.codec is not Codec.JPEG
        if group or gap or unit.utc - first.utc >= self._fragment_us or self._pending_bytes > MAX_FRAGMENT_BYTES:
            actions += self._flush(None if gap else unit, room)
            if self._segment is None:
                return actions + self._begin(unit, room)
        self._hold(unit)
        return actions

    def poll(self, now: float, room: bool = True) -> list[Action]:
        """To be called about once a second: ends the segment when no main-track unit has come for IDLE_SECONDS."""
        if self.waiting or now - self._heard < IDLE_SECONDS:
            return []
        return self._end(EndReason.GAP, None, room)

    def finish(self, reason: EndReason, room: bool = True) -> list[Action]:
        """Write what is pending and end the segment. Recording goes on with the next clean point that is fed, or with any
        unit that follows what was fed last without a gap."""
        whole = not self.waiting and room
        actions = self._end(reason, None, room)
        self._continues = whole
        return actions

    def cut(self) -> None:
        """End the segment at the next clean point: the next one is to go to `volume`."""
        if self._segment is not None and self._cut is EndReason.NONE:
            self._cut = EndReason.VOLUME

    def move(self, volume: str, unwritten: Sequence[Action]) -> list[Action]:
        """The disk refused `unwritten[0]`: what to do instead of all of `unwritten`, on another volume.

        The segment that was begun elsewhere goes on in one of its own, which may begin without a clean point.
        """
        self.volume = volume
        moved: list[Action] = []
        part: _Moved | None = None
        for action in unwritten:
            if part is None or part.left != action.serial:
                part = self._move(volume, action)
            if part is not None:
                moved.append(part.take(action))
        segment = self._segment
        if segment is not None and not segment.fragments:
            segment.row = replace(segment.row, volume=volume)
        return moved

    def _move(self, volume: str, action: Action) -> _Moved | None:
        """How the rest of a segment goes to another volume; None if there is no rest."""
        if isinstance(action, Close):
            return None
        segment = self._segment if self._segment is not None and self._segment.serial == action.serial else None
        if not action.offset:
            if segment is not None:
                segment.row = replace(segment.row, volume=volume)
            return _Moved(action.serial, action.serial, replace(action.row, volume=volume), b"", (), [])
        fragment = unpack_fragments(action.row.fragments)[-1]
        times = mp4_edit.first_times(action.data)
        later = min(time * US // mp4.timescale(action.row.formats[track]) for track, time in times.items())
        self._serial += 1
        row = replace(
            action.row,
            volume=volume,
            path=segment_path(self.recording, fragment.start),
            start=fragment.start,
            end=fragment.start,
            size=0,
            fragments=b"",
            kinds=NO_KIND,
        )
        if segment is not None:
            shifts = tuple(timeline.move(later) for timeline in segment.timelines)
        else:
            shifts = tuple(later * mp4.timescale(each) // US for each in row.formats)
        moved = _Moved(action.serial, self._serial, row, mp4.init_segment(row.formats), shifts, [])
        if segment is not None:
            segment.serial, segment.head, segment.fragments = self._serial, moved.head, moved.fragments
            moved.segment = segment
        return moved

    def _due(self, unit: AccessUnit) -> EndReason:
        """Why the segment ends before this clean point."""
        if self._cut is not EndReason.NONE:
            return self._cut
        if self._segment is not None and self._period(unit.utc) != self._period(self._segment.row.start):
            return EndReason.TIME
        return EndReason.NONE

    def _period(self, utc: int) -> int:
        return (utc + self._phase_us) // self._segment_us

    def _learn(self, unit: AccessUnit, room: bool) -> list[Action]:
        """Parameter sets inside a clean point that differ from the format's begin a new segment."""
        learned = video.learned(self._formats[self._main], unit.data)
        if learned is None:
            return []
        formats = list(self._formats)
        formats[self._main] = learned
        return self.set_formats(formats, room)

    def _begin(self, unit: AccessUnit, room: bool, continues: bool = False) -> list[Action]:
        """Start a segment with a clean point; without one, or without parameter sets, the unit is dropped."""
        self._cut = EndReason.NONE
        if (unit.key or continues) and room and self.volume:
            try:
                head = mp4.init_segment(self._formats)
            except OnvifdError:
                head = b""
            if head:
                self._serial += 1
                if unit.utc == self._began:
                    # By a clock that stands still: segments are found by their beginnings.
                    unit = msgspec.structs.replace(unit, utc=unit.utc + 1)
                self._began = unit.utc
                row = SegmentRow(
                    recording=self.recording,
                    volume=self.volume,
                    path=segment_path(self.recording, unit.utc),
                    start=unit.utc,
                    end=unit.utc,
                    size=0,
                    formats=self._formats,
                    copy=self._copy,
                )
                timelines = [Timeline(each, unit.utc) for each in self._formats]
                self._segment = _Open(self._serial, row, timelines, head, [])
                self._hold(unit)
                return []
        if self._serial:
            self.lost += 1
        return []

    def _hold(self, unit: AccessUnit) -> None:
        self._pending[unit.track].append(unit)
        self._pending_bytes += len(unit.data)

    def _drop_pending(self) -> None:
        for each in self._pending:
            each.clear()
        self._pending_bytes = 0

    def _end(self, reason: EndReason, following: AccessUnit | None, room: bool) -> list[Action]:
        """Write what is pending and close. `following` is the main-track unit that comes next without a gap."""
        actions = self._flush(following, room)
        segment, self._segment = self._segment, None
        if segment is not None and segment.fragments:
            row = replace(segment.row, state=SegmentState.CLOSED, end_reason=reason)
            actions.append(Close(segment.serial, row))
        return actions

    def _flush(self, following: AccessUnit | None, room: bool) -> list[Action]:
        """The pending units as a fragment."""
        segment, main = self._segment, self._pending[self._main]
        if segment is None or not main:
            self._drop_pending()
            return []
        if not room:
            return self._overload(segment)
        ends = max(unit.utc for unit in main) + self._interval
        if following is not None and not self._reorders:
            ends = following.utc
        runs = [segment.timelines[track].run(track, units, ends) for track, units in enumerate(self._pending) if units]
        flags = FragmentFlag.CLEAN if main[0].key else NO_KIND
        for run in runs:
            kind = self._formats[run.track].kind
            flags |= KIND_FLAGS[kind]
            if kind is Kind.METADATA and all(len(sample.data) <= len(EMPTY_DOCUMENT) for sample in run.samples):
                flags |= FragmentFlag.SILENT
        parts = mp4.fragment_parts(len(segment.fragments) + 1, runs)
        size, offset = sum(map(len, parts)), segment.row.size
        begin = offset or len(segment.head)
        start = max(segment.row.start, min(unit.utc for unit in main))
        reach = max(mp4.run_end(run, self._formats[run.track]) for run in runs if run.track == self._main)
        duration = min(max(1, reach - start), 0xFFFFFFFF)
        segment.fragments.append(Fragment(begin, size, start, duration, flags))
        segment.row = replace(
            segment.row,
            end=max(segment.row.end, start + duration),
            size=begin + size,
            kinds=segment.row.kinds | flags & KIND_MASK,
            fragments=segment.row.fragments + pack_fragments(segment.fragments[-1:]),
        )
        action = Append(segment.serial, offset, (segment.head, *parts)[offset > 0 :], segment.row, len(main))
        self._drop_pending()
        return [action]

    def _overload(self, segment: _Open) -> list[Action]:
        """The queue to the disk is full: drop to the next clean point and leave an honest gap."""
        self.lost += len(self._pending[self._main])
        self._drop_pending()
        self._segment = None
        if not segment.fragments:
            return []
        row = replace(segment.row, state=SegmentState.CLOSED, end_reason=EndReason.OVERLOAD)
        return [Close(segment.serial, row)]
