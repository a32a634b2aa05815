"""AAC that is no longer what the camera described: another sampling rate or number of channels under the same payload type.

MPEG4-GENERIC says neither in its packets (RFC 3640 has the configuration in the description alone), and cameras that are set
otherwise by somebody else do not always end sessions. What shows it all the same: time stamps count samples, so that another
rate makes them run at another speed than the clock; and a frame begins with an element for one channel or for two (ISO/IEC
14496-3 4.4.2.1). Then the camera is asked for a new description. Looked at now and then, not with every packet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from onvifd.cameras.intake_track import InboundTrack
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import aac
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import Codec, FlushUnit, TrackFormat

LOOK = 5.0
"""Seconds between two looks at the channels."""
LOOKS = 3
"""Looks in a row that must say the same."""
SPAN = 20.0
"""Seconds over which the speed of time stamps is taken."""
SPANS = 2
"""The same for these: sound that comes in bursts, or was held up, runs fast for a while."""
OFF = 0.05
"""How far from the clock the speed may be. The nearest two sampling rates, 44.1 and 48 kHz, are 0.088 apart."""
ALIKE = 0.02
"""How near to each other the speeds of two spans in a row must be."""

_FRAMING = 4
_ELEMENTS = {0: 1, 1: 2}
"""Single channel element, channel pair element; others may stand in front of both."""
_RAW_BLOCKS = (1, 2, 3, 4)
"""Object types whose frames are raw data blocks: Main, LC, SSR, LTP."""

Finding = tuple[bytes, int, str]


@dataclass(slots=True)
class _Span:
    """Where a span began, and what those before it have shown."""

    began: float
    ticks: int
    restarts: int
    speed: float = 1.0
    times: int = 0


class SoundWatch:
    """Of one stream, over all its connections. What a new description did not mend is not told again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._connection: object = None
        self._known: set[Finding] = set()
        self._next = 0.0
        self._channels = (0, 0)
        """Other channels than described, and how many looks in a row found them."""
        self._span: _Span | None = None

    def look(
        self,
        connection: object,
        tracks: Iterable[InboundTrack],
        backlog: Callable[[], Sequence[FlushUnit]],
        restarts: int,
    ) -> str:
        """Why the camera is to be asked anew, or empty. `backlog` gives what came last, `restarts` counts new beginnings of time
        stamps."""
        now = self._clock.monotonic()
        if connection is not self._connection:
            self._connection, self._next, self._channels, self._span = connection, now + LOOK, (0, 0), None
        track = next((each for each in tracks if each.format.codec is Codec.AAC), None)
        if track is None or now < self._next:
            return ""
        self._next = now + LOOK
        found = self._speed(track, now, restarts) or self._layout(track.format, track.index, backlog())
        finding = (track.format.config, track.format.clock_rate, found)
        if not found or finding in self._known:
            return ""
        self._known.add(finding)
        return f"the camera's sound has {found} than it described"

    def _speed(self, track: InboundTrack, now: float, restarts: int) -> str:
        span = self._span
        if span is None or span.restarts != restarts or track.ticks <= span.ticks:
            self._span = _Span(now, track.ticks, restarts)
            return ""
        if now - span.began < SPAN:
            return ""
        speed = (track.ticks - span.ticks) / track.format.clock_rate / (now - span.began)
        off = abs(speed - 1.0) > OFF
        times = (span.times + 1 if abs(speed - span.speed) <= ALIKE * speed else 1) if off else 0
        self._span = _Span(now, track.ticks, restarts, speed, times)
        return "another sampling rate" if times >= SPANS else ""

    def _layout(self, format: TrackFormat, index: int, backlog: Sequence[FlushUnit]) -> str:
        unit = next((each for each in reversed(backlog) if each.track == index and not each.rtcp), None)
        channels = channels_of(format, unit) if unit is not None else 0
        if channels in (0, described_channels(format)):
            self._channels = (0, 0)
            return ""
        times = self._channels[1] + 1 if self._channels[0] == channels else 1
        self._channels = (channels, times)
        return "other channels" if times >= LOOKS else ""


def described_channels(format: TrackFormat) -> int:
    """One or two, 0 for what cannot be told by the first element of a frame."""
    try:
        config = aac.parse_config(format.config)
    except InvalidArgument:
        return 0
    return config.channels if config.object_type in _RAW_BLOCKS and config.channels <= 2 else 0


def channels_of(format: TrackFormat, unit: FlushUnit) -> int:
    """How many channels the first whole frame of a unit has; 0 where that does not show."""
    if not described_channels(format):
        return 0
    try:
        packet = parse_rtp(unit.data, unit.starts[0] + _FRAMING, (*unit.starts, len(unit.data))[1])
        frames = depacketizer(format).feed(unit.data[packet.start : packet.end], True, packet.rtp_time, True)
    except (InvalidArgument, NotSupported):
        return 0
    first = next((each.data for each in frames if not each.damaged and each.data), b"")
    return _ELEMENTS.get(first[0] >> 5, 0) if first else 0
