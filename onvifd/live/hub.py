"""One source, many sinks: a live stream hands every flush unit to all who watch and remembers the current GOP.

Everything here runs on the event loop of one worker. A sink must take a unit at once; waiting is the sink's own affair.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass

from onvifd.clock import utc_to_ntp
from onvifd.media.rtp.rollover import Rollover
from onvifd.media.types import Codec, FlushUnit, Kind, TrackFormat

log = logging.getLogger(__name__)

Sink = Callable[[FlushUnit], None]

CACHE_BYTES = 16 << 20
"""Bound of a GOP cache. A longer GOP is not cached: late joiners then wait for its end."""

KEYFRAME_INTERVAL = 1.0
"""Seconds between two requests for a key frame of one stream, however many ask."""


@dataclass(frozen=True, slots=True)
class LiveTrack:
    """How a track of a live stream leaves: its format, payload type and SSRC."""

    format: TrackFormat
    payload_type: int
    ssrc: int


def encodings(tracks: tuple[LiveTrack, ...]) -> tuple[tuple[Codec, int, int], ...]:
    """What clients must be told anew when it changes."""
    return tuple((track.format.codec, track.format.clock_rate, track.payload_type) for track in tracks)


class LiveStream:
    """A stream of a camera as it is relayed.

    `name` is `<camera>/<stream>`. `tracks` is empty until the source has told its formats. `on_keyframe_wanted` is called when
    somebody needs a clean point that the source is to be asked for. `on_wanted` is called with True when somebody begins to
    watch or waits for the formats, and with False when nobody does any more.
    """

    def __init__(self, name: str, *, cache_bytes: int = CACHE_BYTES) -> None:
        self.name = name
        self.tracks: tuple[LiveTrack, ...] = ()
        self.online = False
        self._cache_bytes = cache_bytes
        self._known = asyncio.Event()
        self._sinks: list[Sink] = []
        self._ended: dict[Sink, Callable[[], None]] = {}
        self._gop: list[FlushUnit] = []
        self._gop_size = 0
        self._caching = False
        self._video: int | None = None
        self._reports: dict[int, FlushUnit] = {}
        self._rollovers: dict[int, Rollover] = {}
        self.on_keyframe_wanted: Callable[[], None] | None = None
        self._asked = float("-inf")
        self._asking: asyncio.TimerHandle | None = None
        self.on_wanted: Callable[[bool], None] | None = None
        self._waiting = 0
        self.bitrate = 0
        """Bit/s of what is published, over the last time between two looks (`measure`)."""
        self._octets = 0
        self._measured = 0.0

    @property
    def clients(self) -> int:
        """How many sinks are attached."""
        return len(self._sinks)

    def set_tracks(self, tracks: tuple[LiveTrack, ...]) -> None:
        """Tell what the stream carries. If codecs or their order changed, everyone is ended: they must describe anew."""
        old, new = encodings(self.tracks), encodings(tracks)
        self.tracks = tracks
        self._video = next((i for i, track in enumerate(tracks) if track.format.kind is Kind.VIDEO), None)
        if old and old != new:
            log.info("%s: codecs changed, %d clients must describe it again", self.name, len(self._sinks))
            self.clear()
            self._dismiss()
        if tracks:
            self._known.set()

    async def known(self, timeout: float) -> bool:
        """Wait until the formats are known; false if they are not in time."""
        if self._known.is_set():
            return True
        before = self.wanted
        self._waiting += 1
        self._tell_wanted(before)
        try:
            async with asyncio.timeout(timeout):
                await self._known.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
            self._tell_wanted(True)
        return True

    @property
    def wanted(self) -> bool:
        """Whether anybody watches or waits for the formats."""
        return bool(self._sinks or self._waiting)

    def _tell_wanted(self, before: bool) -> None:
        if self.on_wanted is not None and self.wanted != before:
            self.on_wanted(not before)

    # ---- clean points --------------------------------------------------------------------------

    def want_keyframe(self) -> None:
        """Ask the source for a clean point: at once, or when KEYFRAME_INTERVAL has passed since the last request if none has
        come by then."""
        if self.on_keyframe_wanted is None or self._asking is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._asked + KEYFRAME_INTERVAL - loop.time()
        if wait > 0:
            self._asking = loop.call_later(wait, self._ask_keyframe)
        else:
            self._ask_keyframe()

    def _ask_keyframe(self) -> None:
        self._forget_wish()
        self._asked = asyncio.get_running_loop().time()
        if self.on_keyframe_wanted is not None:
            self.on_keyframe_wanted()

    def _forget_wish(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    # ---- media ---------------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget the cached GOP: what comes next does not continue it."""
        self._gop.clear()
        self._gop_size = 0
        self._caching = False

    def forget(self) -> None:
        """Forget all that a late joiner would get: it would be too old for who comes after a pause."""
        self.clear()
        self._reports.clear()

    def publish(self, unit: FlushUnit) -> None:
        """Hand a unit to all sinks and keep it for late joiners."""
        self._octets += len(unit.data)
        if unit.rtcp:
            self._reports[unit.track] = unit
        else:
            self._count(unit)
            if unit.key and (unit.track == self._video or self._video is None):
                self._gop = [unit]
                self._gop_size = len(unit.data)
                self._caching = True
                if self._asking is not None and self._video is not None:
                    self._forget_wish()  # it has come; without pictures each unit is a clean point, and none an answer
            elif self._caching:
                self._gop_size += len(unit.data)
                if self._gop_size > self._cache_bytes:
                    self.clear()
                else:
                    self._gop.append(unit)
        for send in self._sinks:
            send(unit)

    def _count(self, unit: FlushUnit) -> None:
        found = self._rollovers.get(unit.track)
        if found is None:
            found = self._rollovers[unit.track] = Rollover()
        data, first, last = unit.data, unit.starts[0] + 6, unit.starts[-1] + 6
        unit.rollover = found.of(data[first] << 8 | data[first + 1])
        if last != first:
            found.of(data[last] << 8 | data[last + 1])

    def rollover(self, track: int) -> int:
        """How often the numbers of a track have begun anew, at the first packet that a late joiner gets."""
        for unit in self._gop:
            if unit.track == track and unit.rollover is not None:
                return unit.rollover
        found = self._rollovers.get(track)
        return 0 if found is None else found.current

    def measure(self, now: float) -> None:
        """Look how much was published since the last look; `now` is monotonic seconds."""
        passed = now - self._measured
        if self._measured and passed > 0:
            self.bitrate = round(self._octets * 8 / passed)
        self._octets, self._measured = 0, now

    def backlog(self) -> list[FlushUnit]:
        """What a late joiner gets first: sender reports as of now, then everything since the last clean point.

        A report as it was received may be older than a client believes in.
        """
        newest = {unit.track: unit for unit in self._gop}
        reports = (_as_of(report, newest.get(track, report)) for track, report in self._reports.items())
        return [*reports, *self._gop]

    def keyframe(self) -> list[FlushUnit]:
        """The units of the latest whole key frame, in order; empty if there is none."""
        found: list[FlushUnit] = []
        for unit in self._gop:
            if unit.track != self._video:
                continue
            found.append(unit)
            if unit.end_of_frame:
                return found
        return []

    def attach(self, sink: Sink, ended: Callable[[], None]) -> None:
        """Give all further units to `sink`; `ended` is called once if the stream ends or its codecs change."""
        before = self.wanted
        # A new list: publish may be walking the old one.
        self._sinks = [*self._sinks, sink]
        self._ended[sink] = ended
        self._tell_wanted(before)

    def detach(self, sink: Sink) -> None:
        """Take a sink off; one that is not attached is ignored."""
        if sink in self._ended:
            del self._ended[sink]
            self._sinks = [other for other in self._sinks if other != sink]
            self._tell_wanted(True)

    def end(self) -> None:
        """The source is gone for good: end every session."""
        self._forget_wish()
        self.forget()
        self.tracks = ()
        self._known.clear()
        self._dismiss()

    def _dismiss(self) -> None:
        """Send nothing more to anybody: what comes next is not what was described to them."""
        before, ended = self.wanted, list(self._ended.values())
        self._sinks, self._ended = [], {}
        self._tell_wanted(before)
        for end in ended:
            end()


def _as_of(report: FlushUnit, unit: FlushUnit) -> FlushUnit:
    """A sender report that tells the time of a later unit, with what it had counted."""
    if unit.rtp_time == report.rtp_time:
        return report
    # RFC 3550 6.4.1: NTP time and RTP time are the words 2 to 4 of the report, which comes first in a compound packet
    at = report.starts[0] + 4 + 8
    times = struct.pack(">QI", utc_to_ntp(unit.utc), unit.rtp_time)
    data = report.data[:at] + times + report.data[at + len(times) :]
    return FlushUnit(report.track, data, report.starts, False, unit.rtp_time, unit.utc, report.end_of_frame, rtcp=True)
