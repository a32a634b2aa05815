"""One replay session: items of a cursor, packed with the replay header extension, flat out or paced (Streaming 6).

The outlet's `drain` is the flow control: nothing is ever dropped. Paced sessions of a process share a metronome.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass, replace

from onvifd.archive.cursor import Cursor, ForwardCursor, Item, ReverseCursor
from onvifd.archive.pace import EARLY, LATE, Metronome, Pace, common_before
from onvifd.archive.reader import Position, RecordingReader
from onvifd.archive.selection import Wanted
from onvifd.clock import US, Clock
from onvifd.errors import InvalidArgument, OnvifdError
from onvifd.media.rtp.pack import Packer
from onvifd.media.rtp.packet import replay_extension
from onvifd.media.types import AccessUnit
from onvifd.rtsp.messages import RtspError
from onvifd.rtsp.play import Frames, Outlet, PlayReply, PlayRequest, RtpInfo, TrackDescription

log = logging.getLogger(__name__)

EDGE_SECONDS = 0.25
"""How often a playback at the live edge looks for new footage."""
REPORT_SECONDS = 5.0
"""Between two RTCP sender reports of a paced session (RFC 3550 6.2)."""
_INTRA_SCALE = 4.0
"""From this scale on only intra frames are sent with rate control (RFC 2326 12.34: the server may drop frames)."""
_MAX_SCALE = 256.0
_ROUNDING = 1e-5
"""Seconds that make no difference to when a unit is due."""


@dataclass(frozen=True, slots=True)
class _Mode:
    """What must stay the same for a PLAY without Range to go on where it stands."""

    reverse: bool
    frames: Frames
    interval: int
    tracks: frozenset[int]


class ReplayPlayback:
    """Replays one recording into one RTSP session."""

    def __init__(
        self,
        reader: RecordingReader,
        tracks: tuple[TrackDescription, ...],
        outlet: Outlet,
        clock: Clock,
        metronome: Metronome,
        mtu: int,
    ) -> None:
        self._reader = reader
        self._formats = tuple(track.format for track in tracks)
        self._outlet = outlet
        self._clock = clock
        self._metronome = metronome
        self._packers = [
            Packer(
                track.format,
                track=index,
                payload_type=track.payload_type,
                ssrc=track.ssrc if track.ssrc is not None else secrets.randbits(32),
                seq=secrets.randbits(16),
                mtu=mtu,
            )
            for index, track in enumerate(tracks)
        ]
        self._task: asyncio.Task[None] | None = None

        # per PLAY
        self._request = PlayRequest(cseq=0)
        self._mode: _Mode | None = None
        self._cursor: Cursor | None = None
        self._items: list[Item] = []
        self._at = 0
        self._pace: Pace | None = None
        self._position = 0
        self._began = 0
        """Where this PLAY began, in media time."""
        self._report_at = 0.0
        self._skipped: Item | None = None
        """The unit behind a gap that the pace has taken account of."""
        self._exhausted: asyncio.Future[None] | None = None

        # PAUSE with Range (RFC 2326 10.6)
        self._pause_point: int | None = None
        self._group = 0
        """Time of the clean point of the group of pictures that was begun last."""
        self._resume_at: int | None = None

    async def play(self, request: PlayRequest, tracks: frozenset[int]) -> PlayReply:
        """See `Playback.play`. A PLAY during playback takes effect at once, with `Immediate` or without (6.10)."""
        scale = _checked_scale(request)
        request = await self._in_utc(request)
        await self._halt()
        tracks = frozenset(n for n in tracks if 0 <= n < len(self._formats))
        if not tracks:
            raise InvalidArgument("no track of the recording is set up")
        frames = request.frames
        if request.rate_control and abs(scale) >= _INTRA_SCALE and frames is Frames.ALL:
            frames = Frames.INTRA
        mode = _Mode(scale < 0, frames, request.interval, tracks)
        seek = request.start is not None or self._resume_at is not None
        finished = self._cursor is not None and self._cursor.done and self._at >= len(self._items)
        rtp = self._pace.rtp_utc(self._next_utc()) if self._pace is not None else None
        if seek or finished or self._cursor is None or mode != self._mode or request.end is not None:
            await self._seek(request, mode)
            rtp = None
        self._request = request
        self._mode = mode
        self._pause_point = self._resume_at = None
        return self._reply(request, scale, rtp)

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def pause(self) -> None:
        self._pause_point = None
        await self._halt()

    async def pause_at(self, utc: int) -> bool:
        """Stop before the first access unit at or after `utc` (or, in reverse, once it is passed). True if that is now.

        A point that was passed already holds all the same: playback resumes there (RFC 2326 10.6). Raises RtspError 457 for
        one that this PLAY does not come to.
        """
        end, reverse = self._request.end, self._mode is not None and self._mode.reverse
        before, behind = utc < self._began, end is not None and utc > end
        if reverse:
            before, behind = utc > self._position and utc > self._began, end is not None and utc < end
        if before or behind:
            raise RtspError(457, "the pause point is outside of what is played")
        here = self._next_utc()
        if (utc > here) if reverse else (utc < here):
            await self._halt()
            self._resume_at = utc
            return True
        self._pause_point = utc
        return False

    async def close(self) -> None:
        await self._halt()
        if self._cursor is not None:
            await self._cursor.close()
            self._cursor = None
        self._items = []

    async def _halt(self) -> None:
        """Stop sending between two access units; what is prepared stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _in_utc(self, request: PlayRequest) -> PlayRequest:
        """With times of `npt`, which counts from the start of the recording, as UTC."""
        if request.npt_start is None and request.npt_end is None:
            return request
        times = await self._reader.times()
        zero = times[0] if times else 0
        start, end = (None if npt is None else zero + round(npt * US) for npt in (request.npt_start, request.npt_end))
        return replace(request, start=start, end=end, npt_start=None, npt_end=None)

    async def _begin_at(self, request: PlayRequest, mode: _Mode) -> tuple[int, Position | None]:
        """Where to begin, in microseconds UTC and as the fragment that is read first."""
        utc = request.start if request.start is not None else self._resume_at
        if utc is None and self._cursor is not None:
            utc = self._next_utc()
        if utc is None and mode.reverse:
            times = await self._reader.times()
            utc = times[1] if times else 0
        first = await self._reader.find(utc or 0, forward=not mode.reverse)
        if utc is None:
            utc = min(first.segment.row.start, first.fragment.start) if first is not None else 0
        return utc, first

    async def _seek(self, request: PlayRequest, mode: _Mode) -> None:
        utc, first = await self._begin_at(request, mode)
        if request.end is not None and (request.end > utc if mode.reverse else request.end < utc):
            raise RtspError(457, "range runs against the direction of replay")
        if self._cursor is not None:
            await self._cursor.close()
        wanted = Wanted(end=request.end, tracks=mode.tracks, frames=mode.frames, interval=mode.interval)
        cursor: ForwardCursor | ReverseCursor
        if mode.reverse:
            cursor = ReverseCursor(self._reader, self._formats, wanted, first, utc)
        else:
            cursor = ForwardCursor(self._reader, self._clock, self._formats, wanted, first, utc)
        self._cursor, self._items, self._at, self._pace, self._position = cursor, [], 0, None, utc
        await cursor.prime()
        self._began = max(utc, self._next_utc()) if mode.reverse else min(utc, self._next_utc())

    def _next_utc(self) -> int:
        upcoming = self._upcoming()
        return min(upcoming.values()) if upcoming else self._position

    def _upcoming(self) -> dict[int, int]:
        """UTC of the next access unit of each track."""
        found: dict[int, int] = {}
        for item in self._items[self._at :]:
            found.setdefault(item.track, item.sample.utc)
        if self._cursor is not None:
            for track, utc in self._cursor.peek().items():
                found.setdefault(track, utc)
        return found

    def _reply(self, request: PlayRequest, scale: float, rtp: int | None) -> PlayReply:
        """The answer; `rtp` is the playback time at which playback goes on after PAUSE."""
        upcoming = self._upcoming()
        start = self._next_utc()
        speed = request.speed if request.speed > 0 else 1.0
        self._pace = None
        if request.rate_control:
            self._pace = Pace(start, self._clock.monotonic(), start if rtp is None else rtp, scale, speed)
        if isinstance(self._cursor, ReverseCursor):
            # The first group of pictures is sent from its key frame on and shown from its end on: there the range begins
            # (6.5.1). Clients that cut by the range that they are told would lose it.
            group = self._items[self._at :] or self._cursor.ready
            start = max((item.sample.utc for item in group), default=start)
        # The time of the range's start for all tracks, whenever their first units are (Streaming 5.2.2.3, RFC 2326 12.33).
        info = tuple(
            RtpInfo(track, self._packers[track].seq, self._packers[track].rtp_time(self._ticks(track, start)))
            for track in sorted(upcoming)
        )
        return PlayReply(start=start, end=request.end, rtp=info, scale=scale, speed=speed)

    # ---- sending -------------------------------------------------------------------------------

    async def _run(self) -> None:
        if self._pace is not None:
            self._report_at = self._clock.monotonic()
            self._pace.due = common_before(self._report_at)
        try:
            await self._send_all()
        except OnvifdError as error:
            log.error("replay of %s ended: %s", self._reader.recording, error.reason)
            self._outlet.end()
        except Exception:
            log.exception("replay of %s ended by a fault", self._reader.recording)
            self._outlet.end()

    async def _send_all(self) -> None:
        cursor = self._cursor
        if cursor is None:
            return
        while True:
            held = await (self._send_flat_out() if self._pace is None else self._keep_pace())
            if held or cursor.done:
                return
            items = await cursor.batch()
            self._items, self._at = items, 0
            if items:
                # Other sessions get their turn even when the client takes everything at once.
                await asyncio.sleep(0)
            elif not cursor.done:
                await self._clock.sleep(EDGE_SECONDS)

    async def _send_flat_out(self) -> bool:
        """Send what is there as fast as the client takes it. True when the pause point is reached."""
        while self._at < len(self._items):
            item = self._items[self._at]
            if self._pause_point is not None and self._passes_pause_point(item):
                return True
            self._send(item)
            if not self._outlet.ready:
                await self._outlet.drain()
        return False

    async def _keep_pace(self) -> bool:
        """Send what is there when it is due. True when the pause point is reached."""
        while self._at < len(self._items):
            self._exhausted = asyncio.get_running_loop().create_future()
            try:
                self._beat()
                await self._exhausted
            finally:
                self._metronome.forget(self._beat)
            if self._at < len(self._items) and self._passes_pause_point(self._items[self._at]):
                return True
            await self._outlet.drain()
        return False

    def _beat(self) -> None:
        """Send what is due and make the next appointment; or wake the task, which has to wait for something else."""
        exhausted = self._exhausted
        if exhausted is None or exhausted.done():
            return
        try:
            due = self._send_due()
        except Exception as error:
            exhausted.set_exception(error)
            return
        if due is None:
            exhausted.set_result(None)
        else:
            self._metronome.at(due, self._beat)

    def _send_due(self) -> float | None:
        """When to look again for what is due; None when nothing is left, the client is behind, or the pause point is reached."""
        now = self._clock.monotonic()
        pace = self._pace
        assert pace is not None
        if now >= self._report_at:
            self._report(pace, now)
        while self._at < len(self._items):
            item = self._items[self._at]
            if self._pause_point is not None and self._passes_pause_point(item):
                return None
            due = self._due(pace, item, now)
            if due > now + EARLY + _ROUNDING:
                return due - EARLY
            self._send(item)
            if not self._outlet.ready:
                return None
        return None

    def _due(self, pace: Pace, item: Item, now: float) -> float:
        """When an access unit is due."""
        utc = item.sample.utc
        if pace.scale < 0 and not item.discontinuity:
            # In reverse, a group of pictures goes out at once.
            return now
        if item.after_gap and item is not self._skipped:
            self._skipped = item
            pace.skip(item.after_gap, utc, now)
        due = pace.moment(utc)
        late = now - due
        if late > LATE:
            pace.due += late
        return due

    def _passes_pause_point(self, item: Item) -> bool:
        point = self._pause_point
        if point is None:
            return False
        if self._mode is None or not self._mode.reverse:
            return item.sample.utc >= point
        # In reverse the group of pictures that holds the point is the last one.
        return item.discontinuity and item.sample.utc < point and self._group <= point

    def _send(self, item: Item) -> None:
        self._at += 1
        sample, packer = item.sample, self._packers[item.track]
        format = item.loaded.formats[sample.track]
        if packer.format is not format:
            packer.format = format
        if item.discontinuity:
            self._group = sample.utc
        extension = self._extension(item, terminal=False)
        # GStreamer ends with the packet that says terminal: said in the first, as the others, it costs the rest of the frame.
        last = self._extension(item, terminal=True) if item.terminal else b""
        data = item.loaded.data[sample.offset : sample.offset + sample.size]
        unit = AccessUnit(item.track, sample.utc, self._ticks(item.track, sample.utc), sample.key, data)
        self._position = sample.utc
        try:
            packed = packer.pack(unit, extension, last)
        except InvalidArgument as error:
            log.warning("%s: access unit left out of replay: %s", self._reader.recording, error.reason)
            return
        self._outlet.send(packed)

    def _extension(self, item: Item, *, terminal: bool) -> bytes:
        return replay_extension(
            item.sample.utc,
            clean=item.sample.key,
            end=item.end,
            discontinuity=item.discontinuity,
            terminal=terminal,
            cseq=self._request.cseq,
        )

    def _ticks(self, track: int, utc: int) -> int:
        """RTP time: the original sampling time, or playback time with rate control (6.6.3, RFC 2326 appendix B)."""
        rate = self._formats[track].clock_rate
        if self._pace is not None:
            utc = self._pace.rtp_utc(utc)
        return utc * rate // US

    def _report(self, pace: Pace, now: float) -> None:
        """Sender reports, by which players that know nothing of the header extension put tracks together (6.11).

        Without rate control there are none: they would have to be zero.
        """
        self._report_at = now + REPORT_SECONDS
        utc, playback = self._clock.utc(), pace.rtp_now(now)
        for track in sorted(self._mode.tracks) if self._mode is not None else ():
            ticks = playback * self._formats[track].clock_rate // US
            self._outlet.send(self._packers[track].sender_report(utc, ticks))


def _checked_scale(request: PlayRequest) -> float:
    scale = request.scale
    if not 1 / _MAX_SCALE <= abs(scale) <= _MAX_SCALE:
        raise InvalidArgument("Scale is out of range")
    # Streaming 6.5.2: without rate control only the direction counts.
    return scale if request.rate_control else (1.0 if scale > 0 else -1.0)
