"""The way for sound to a camera: one client at a time talks, and what it sends becomes one clean stream (Streaming 5.3).

Sans-IO: packets and `now` (monotonic seconds) in, `Sound` to whoever has attached. A line is free again when its talker ends
or has been silent for `idle` seconds; who then speaks first has it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from onvifd.errors import InvalidArgument, Unavailable
from onvifd.media.fmtp import STATIC_PAYLOAD_TYPES
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import Codec, Kind, TrackFormat
from onvifd.rtsp.backchannel import CONTROL, Primacy, Talker
from onvifd.rtsp.play import TrackDescription
from onvifd.rtsp.server_events import Bucket

log = logging.getLogger(__name__)

IDLE = 10.0
"""Seconds without sound after which others may talk."""

PACKETS_PER_SECOND = 250.0
"""More than 4 ms each is no speech; what exceeds it is left out."""

MAX_PAYLOAD = 8192
MAX_FORMATS = 16
JUMP = 2_000_000
"""Microseconds. A greater step of the client's time is another spurt, not a gap of this one."""

MAX_STEP = 3000
"""A greater step of sequence numbers is another sender (RFC 3550 A.1, MAX_DROPOUT)."""

_FIRST_DYNAMIC = 97
_US = 1_000_000
_HALF_SEQ, _HALF_TIME = 1 << 15, 1 << 31


@dataclass(frozen=True, slots=True)
class Sound:
    """The payload of one packet. `at` is its place in microseconds: it grows by what was said, and jumps at pauses.

    `first` begins a spurt: what went before is no longer continued.
    """

    format: TrackFormat
    at: int
    data: bytes
    first: bool


@dataclass(slots=True)
class TalkStatistics:
    """Counted since the line was made. `refused` came while somebody else talked or the camera alone may send; `late` are
    doublets and stragglers; `unusable` no RTP, of an unknown payload type, too large or too many."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    late: int = 0
    refused: int = 0
    unusable: int = 0
    spurts: int = 0


class Timeline:
    """Gives the packets of changing senders growing places without repetition."""

    def __init__(self) -> None:
        self._sender: tuple[int, TrackFormat] | None = None
        self._seq = 0
        self._rtp_time = 0
        self._ticks = 0
        self._begin = 0
        self._end = 0
        self.lost = 0

    def restart(self) -> None:
        """What comes next is another spurt."""
        self._sender = None

    def place(self, ssrc: int, format: TrackFormat, seq: int, rtp_time: int, now: float) -> tuple[int, bool] | None:
        """The place of a packet, and whether a spurt begins with it; None for one that came too late."""
        step = _signed(seq - self._seq, _HALF_SEQ)
        ticks = self._ticks + _signed(rtp_time - self._rtp_time, _HALF_TIME)
        begins = self._sender != (ssrc, format) or abs(step) > MAX_STEP
        if not begins and step <= 0:
            return None
        if not begins and not 0 <= (ticks - self._ticks) * _US < JUMP * format.clock_rate:
            begins = True
        if begins:
            # A pause lasts as long as it did; the places of two spurts never overlap.
            self._begin = max(self._end, round(now * _US))
            ticks = 0
            self._sender = ssrc, format
        else:
            self.lost += step - 1
        self._seq, self._rtp_time, self._ticks = seq, rtp_time, ticks
        at = self._begin + round(ticks * _US / format.clock_rate)
        self._end = at + 1
        return at, begins


def _signed(difference: int, half: int) -> int:
    return (difference + half) % (2 * half) - half


class TalkGrip:
    """One session's hold of a line (rtsp.backchannel.Grip)."""

    __slots__ = ("_line", "talker")

    def __init__(self, line: TalkLine, talker: Talker) -> None:
        self._line = line
        self.talker = talker

    def hear(self, packet: bytes, now: float) -> None:
        """See Grip."""
        self._line.hear(self, packet, now)

    def release(self) -> None:
        """See Grip."""
        self._line.release(self)


class TalkLine:
    """The line to one camera (rtsp.backchannel.BackChannel).

    `formats` are those that the camera decodes, as far as they are known. G.711 is always offered, since it is turned into
    what the camera takes; other formats reach it as they are.
    """

    def __init__(self, camera: str, formats: tuple[TrackFormat, ...] = (), *, idle: float = IDLE) -> None:
        self.camera = camera
        self.primacy = Primacy.AUTO
        self.level = 100
        """Percent of the loudness that the client sends (OutputLevel)."""
        self.statistics = TalkStatistics()
        self._idle = idle
        self._offered: dict[int, TrackFormat] = {}
        self._grip: TalkGrip | None = None
        self._active = float("-inf")
        self._timeline = Timeline()
        self._bucket = Bucket(PACKETS_PER_SECOND, PACKETS_PER_SECOND, 0.0)
        self._sink: Callable[[Sound], None] | None = None
        self.closed = False
        """See BackChannel."""
        self.set_formats(formats)

    def set_formats(self, formats: tuple[TrackFormat, ...]) -> None:
        """Tell what the camera decodes. Payload types that were given stay as they are."""
        offered = self._offered
        for number, format in STATIC_PAYLOAD_TYPES.items():
            if format.kind is Kind.AUDIO and format.codec in (Codec.PCMU, Codec.PCMA):
                offered[number] = format
        for format in formats:
            if format.kind is Kind.AUDIO and format not in offered.values() and len(offered) < MAX_FORMATS:
                offered[next(n for n in range(_FIRST_DYNAMIC, 128) if n not in offered)] = format

    @property
    def offered(self) -> dict[int, TrackFormat]:
        """What a client may send, by payload type."""
        return dict(self._offered)

    @property
    def track(self) -> TrackDescription:
        """See BackChannel."""
        (number, format), *others = self._offered.items()
        return TrackDescription(
            format=format, payload_type=number, control=CONTROL, talk=True, alternatives=tuple(others)
        )

    def attach(self, sink: Callable[[Sound], None] | None) -> None:
        """Give what is said to `sink`, which must take it at once."""
        self._sink = sink

    # ---- who talks

    def talker(self, now: float) -> Talker | None:
        """Who has the line."""
        return self._grip.talker if self._grip is not None and not self._is_idle(now) else None

    def _is_idle(self, now: float) -> bool:
        return now - self._active >= self._idle

    def check(self, talker: Talker, now: float) -> None:
        """See BackChannel."""
        if self.closed:
            raise Unavailable("the camera cannot be talked to any more")
        present = self.talker(now)
        if present is not None and present != talker:
            raise Unavailable(f"{present.account} talks to the camera")

    def take(self, talker: Talker, now: float) -> TalkGrip:
        """See BackChannel."""
        self.check(talker, now)
        grip = TalkGrip(self, talker)
        self._have(grip, now)
        return grip

    def _have(self, grip: TalkGrip, now: float) -> None:
        self._grip, self._active = grip, now
        self._timeline.restart()
        log.info("%s: %s at %s has the line", self.camera, grip.talker.account, grip.talker.address)

    def release(self, grip: TalkGrip) -> None:
        """The session of `grip` no longer sends."""
        if self._grip is grip:
            self._grip = None
            self._timeline.restart()

    def close(self) -> None:
        """The way to the camera is gone for good: who talks is told with the next packet."""
        self.closed = True

    # ---- sound

    def hear(self, grip: TalkGrip, packet: bytes, now: float) -> None:
        """An RTP packet of the session of `grip`."""
        counts = self.statistics
        if self.primacy is Primacy.SERVER or (self._grip is not grip and self.talker(now) is not None):
            counts.refused += 1
            return
        try:
            found = parse_rtp(packet)
        except InvalidArgument:
            counts.unusable += 1
            return
        format = self._offered.get(found.payload_type)
        size = found.end - found.start
        if format is None or not 0 < size <= MAX_PAYLOAD or not self._bucket.take(now):
            counts.unusable += 1
            return
        if self._grip is not grip:
            self._have(grip, now)
        self._active = now
        place = self._timeline.place(found.ssrc, format, found.seq, found.rtp_time, now)
        counts.lost = self._timeline.lost
        if place is None:
            counts.late += 1
            return
        at, first = place
        counts.packets += 1
        counts.bytes += size
        counts.spurts += first
        if self._sink is not None:
            self._sink(Sound(format, at, bytes(packet[found.start : found.end]), first))
