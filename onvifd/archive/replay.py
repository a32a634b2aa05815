"""Recordings over RTSP (Streaming, playback chapter): presentations under `/replay/<recording>`.

A `ReplayPlayback` takes items from a cursor, packs each access unit with the replay header extension and gives it to the
outlet, flat out or paced. The outlet's `drain` is the flow control: nothing is ever dropped.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from onvifd.access.types import Account
from onvifd.archive.cursor import Cursor, ForwardCursor, Item, ReverseCursor, Wanted
from onvifd.archive.reader import RecordingReader
from onvifd.clock import US, Clock
from onvifd.errors import InvalidArgument, NotFound, OnvifdError
from onvifd.media.fmtp import payload_type
from onvifd.media.rtp.pack import DEFAULT_MTU, Packer
from onvifd.media.rtp.packet import replay_extension
from onvifd.media.types import AccessUnit, Kind, TrackFormat
from onvifd.rtsp.play import Frames, Outlet, PlayReply, PlayRequest, RtpInfo, TrackDescription

log = logging.getLogger(__name__)

ReaderFactory = Callable[[str], RecordingReader]
"""Makes a reader for a recording token."""

_TOKENS = {Kind.VIDEO: "VIDEO", Kind.AUDIO: "AUDIO", Kind.METADATA: "META"}
_FIRST_PAYLOAD_TYPE = 96
_EDGE_SECONDS = 0.25
"""How often a playback at the live edge looks for new footage."""
_LATE = 0.5
"""Pacing starts anew when it is this many seconds behind (client stalled, live edge reached)."""
_GRID = 0.005
"""Access units leave at multiples of so many seconds."""
_INTRA_SCALE = 4.0
"""From this scale on only intra frames are sent with rate control (RFC 2326 12.34: the server may drop frames)."""
_MAX_SCALE = 256.0


def track_tokens(formats: tuple[TrackFormat, ...]) -> tuple[str, ...]:
    """VIDEO001, AUDIO001, META001: counted per kind."""
    counts: dict[Kind, int] = {}
    tokens = []
    for each in formats:
        counts[each.kind] = counts.get(each.kind, 0) + 1
        tokens.append(f"{_TOKENS[each.kind]}{counts[each.kind]:03d}")
    return tuple(tokens)


class ReplayMount:
    """All recordings below one prefix. `session_timeout` gives the seconds of the replay configuration."""

    def __init__(
        self,
        readers: ReaderFactory,
        clock: Clock,
        *,
        prefix: str = "/replay/",
        session_timeout: Callable[[], int] = lambda: 60,
        mtu: int = DEFAULT_MTU,
    ) -> None:
        self._readers = readers
        self._clock = clock
        self._prefix = prefix
        self._session_timeout = session_timeout
        self._mtu = mtu

    async def find(self, path: str, account: Account) -> ReplayPresentation:
        """The recording at `/replay/<token>`. Raises NotFound without one, or when it has no footage yet."""
        recording = path.removeprefix(self._prefix).strip("/")
        if not path.startswith(self._prefix) or not recording or "/" in recording:
            raise NotFound("no recording at this path", detail="NoRecording")
        reader = self._readers(recording)
        times, formats = await reader.times(), await reader.latest_formats()
        if times is None or not formats:
            raise NotFound("no footage in this recording", detail="NoRecording")
        return ReplayPresentation(
            recording, formats, times, self._session_timeout(), self._readers, self._clock, self._mtu
        )


class ReplayPresentation:
    """One recording as it is at the time of DESCRIBE."""

    def __init__(
        self,
        recording: str,
        formats: tuple[TrackFormat, ...],
        times: tuple[int, int],
        session_timeout: int,
        readers: ReaderFactory,
        clock: Clock,
        mtu: int,
    ) -> None:
        self._recording = recording
        self._times = times
        self._session_timeout = session_timeout
        self._readers = readers
        self._clock = clock
        self._mtu = mtu
        self._tracks = tuple(
            TrackDescription(
                format=format,
                payload_type=payload_type(format, _FIRST_PAYLOAD_TYPE + index),
                control=token,
                token=token,
            )
            for index, (format, token) in enumerate(zip(formats, track_tokens(formats), strict=True))
        )

    @property
    def name(self) -> str:
        return self._recording

    @property
    def tracks(self) -> tuple[TrackDescription, ...]:
        return self._tracks

    @property
    def replay(self) -> bool:
        return True

    @property
    def range(self) -> tuple[int, int] | None:
        return self._times

    @property
    def session_timeout(self) -> int:
        return self._session_timeout

    def open(self, outlet: Outlet) -> ReplayPlayback:
        return ReplayPlayback(self._readers(self._recording), self._tracks, outlet, self._clock, self._mtu)


@dataclass(frozen=True, slots=True)
class _Mode:
    """What must stay the same for a PLAY without Range to go on where it stands."""

    reverse: bool
    frames: Frames
    interval: int
    tracks: frozenset[int]


@dataclass(slots=True)
class _Pace:
    """Playback time: `media` (UTC) is shown at `due` (monotonic) and has the RTP time of `rtp` (UTC)."""

    media: int
    due: float
    rtp: int
    scale: float

    def rtp_utc(self, utc: int) -> int:
        """Playback time of a media time, as UTC."""
        return self.rtp + (utc - self.media if self.scale == 1.0 else round((utc - self.media) / self.scale))


class ReplayPlayback:
    """Replays one recording into one RTSP session."""

    def __init__(
        self, reader: RecordingReader, tracks: tuple[TrackDescription, ...], outlet: Outlet, clock: Clock, mtu: int
    ) -> None:
        self._reader = reader
        self._formats = tuple(track.format for track in tracks)
        self._outlet = outlet
        self._clock = clock
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
        self._pace: _Pace | None = None
        self._factor = 1.0
        self._position = 0

    async def play(self, request: PlayRequest, tracks: frozenset[int]) -> PlayReply:
        """See `Playback.play`. A PLAY during playback takes effect at once, with `Immediate` or without (6.10)."""
        scale = _checked_scale(request)
        await self._halt()
        tracks = frozenset(n for n in tracks if 0 <= n < len(self._formats))
        if not tracks:
            raise InvalidArgument("no track of the recording is set up")
        frames = request.frames
        if request.rate_control and abs(scale) >= _INTRA_SCALE and frames is Frames.ALL:
            frames = Frames.INTRA
        mode = _Mode(scale < 0, frames, request.interval, tracks)
        seek = request.start is not None or request.npt_start is not None
        finished = self._cursor is not None and self._cursor.done and self._at >= len(self._items)
        rtp = self._pace.rtp_utc(self._next_utc()) if self._pace is not None else None
        self._request = request
        self._factor = abs(scale) * (request.speed if request.speed > 0 else 1.0)
        if seek or finished or self._cursor is None or mode != self._mode or request.end is not None:
            await self._seek(request, mode)
            rtp = None
        self._mode = mode
        return self._reply(request, scale, rtp)

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def pause(self) -> None:
        await self._halt()

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

    async def _seek(self, request: PlayRequest, mode: _Mode) -> None:
        if request.start is not None:
            utc = request.start
        elif request.npt_start is not None:
            times = await self._reader.times()
            utc = (times[0] if times else 0) + round(request.npt_start * US)
        elif self._cursor is not None:
            utc = self._next_utc()
        else:
            times = await self._reader.times()
            utc = (times[1] if mode.reverse else times[0]) if times else 0
        if request.end is not None and (request.end > utc if mode.reverse else request.end < utc):
            raise InvalidArgument("range runs against the direction of replay")
        if self._cursor is not None:
            await self._cursor.close()
        first = await self._reader.find(utc, forward=not mode.reverse)
        wanted = Wanted(end=request.end, tracks=mode.tracks, frames=mode.frames, interval=mode.interval)
        cursor: ForwardCursor | ReverseCursor
        if mode.reverse:
            cursor = ReverseCursor(self._reader, self._formats, wanted, first, utc)
        else:
            cursor = ForwardCursor(self._reader, self._clock, self._formats, wanted, first, utc)
        self._cursor, self._items, self._at, self._pace, self._position = cursor, [], 0, None, utc
        await cursor.prime()

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
        self._pace = None
        if request.rate_control:
            self._pace = _Pace(start, self._clock.monotonic(), start if rtp is None else rtp, scale)
        info = tuple(
            RtpInfo(track, self._packers[track].seq, self._packers[track].rtp_time(self._ticks(track, utc)))
            for track, utc in sorted(upcoming.items())
        )
        return PlayReply(start=start, end=request.end, rtp=info, scale=scale)

    # ---- sending -------------------------------------------------------------------------------

    async def _run(self) -> None:
        if self._pace is not None:
            self._pace.due = self._clock.monotonic()
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
            while self._at < len(self._items):
                item = self._items[self._at]
                if self._pace is not None:
                    await self._wait(item)
                self._send(item)
                self._at += 1
                await self._outlet.drain()
            if cursor.done:
                return
            items = await cursor.batch()
            self._items, self._at = items, 0
            if items:
                # Other sessions get their turn even when the client takes everything at once.
                await asyncio.sleep(0)
            elif not cursor.done:
                await self._clock.sleep(_EDGE_SECONDS)

    def _send(self, item: Item) -> None:
        sample, packer = item.sample, self._packers[item.track]
        format = item.loaded.formats[sample.track]
        if packer.format is not format:
            packer.format = format
        extension = replay_extension(
            sample.utc,
            clean=sample.key,
            end=item.end,
            discontinuity=item.discontinuity,
            terminal=item.terminal,
            cseq=self._request.cseq,
        )
        data = item.loaded.data[sample.offset : sample.offset + sample.size]
        unit = AccessUnit(item.track, sample.utc, self._ticks(item.track, sample.utc), sample.key, data)
        self._position = sample.utc
        try:
            packed = packer.pack(unit, extension)
        except InvalidArgument as error:
            log.warning("%s: access unit left out of replay: %s", self._reader.recording, error.reason)
            return
        self._outlet.send(packed)

    def _ticks(self, track: int, utc: int) -> int:
        """RTP time: the original sampling time, or playback time with rate control (6.6.3, RFC 2326 appendix B)."""
        rate = self._formats[track].clock_rate
        if self._pace is not None:
            utc = self._pace.rtp_utc(utc)
        return utc * rate // US

    async def _wait(self, item: Item) -> None:
        """Sleep until an access unit is due. A gap in the footage takes no time."""
        pace = self._pace
        assert pace is not None
        utc = item.sample.utc
        if pace.scale < 0 and not item.discontinuity:
            # In reverse, a group of pictures goes out at once.
            return
        if item.after_gap:
            passed = abs(item.after_gap - pace.media) / US / self._factor
            pace.rtp = pace.rtp_utc(item.after_gap)
            pace.due = max(self._clock.monotonic(), pace.due + passed)
            pace.media = utc
        due = pace.due + (utc - pace.media) / US / (self._factor if pace.scale > 0 else -self._factor)
        late = self._clock.monotonic() - due
        if late > _LATE:
            pace.due += late
        elif late < 0:
            # Sessions wake together: waking the process for each access unit of each would cost more than sending it.
            await self._clock.sleep(math.ceil(due / _GRID) * _GRID - due - late)


def _checked_scale(request: PlayRequest) -> float:
    scale = request.scale
    if not 1 / _MAX_SCALE <= abs(scale) <= _MAX_SCALE:
        raise InvalidArgument("Scale is out of range")
    # Streaming 6.5.2: without rate control only the direction counts.
    return scale if request.rate_control else (1.0 if scale > 0 else -1.0)
