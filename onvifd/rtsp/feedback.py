"""What clients report about what they receive (RFC 3550 6.4; RFC 4585 6.3.1 PLI; RFC 5104 4.3.1 and RFC 2032 5.2.1 FIR).

Bytes in, facts out. Reports are hints of a peer that may say anything: they are bounded here, and nothing else depends on them
than statistics, the pace of datagrams and requests for key frames, which are limited where they are asked for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from onvifd.errors import InvalidArgument
from onvifd.media.rtp.packet import Bye, ReportBlock, parse_rtcp

PAYLOAD_FEEDBACK = 206
FULL_INTRA = 192
"""RFC 2032: the oldest way to ask for a key frame, which some players still use."""
_PLI, _FIR = 1, 4

MAX_ROUND_TRIP = 30.0
"""Seconds; what is beyond belongs to no report that we sent."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """The content of a compound packet. `keyframe`: the client has lost its way; `bye`: it has left."""

    blocks: tuple[ReportBlock, ...] = ()
    keyframe: bool = False
    bye: bool = False


def parse_feedback(data: bytes) -> Feedback:
    """Raises InvalidArgument for what is no RTCP."""
    blocks: list[ReportBlock] = []
    bye = False
    for report in parse_rtcp(data):
        if isinstance(report, Bye):
            bye = True
        else:
            blocks += report.blocks
    return Feedback(tuple(blocks), _asks_keyframe(data), bye)


def _asks_keyframe(data: bytes) -> bool:
    """Looks at packets whose lengths `parse_rtcp` has found right."""
    at = 0
    while at + 4 <= len(data):
        first, kind, words = struct.unpack_from(">BBH", data, at)
        if kind == FULL_INTRA or (kind == PAYLOAD_FEEDBACK and first & 0x1F in (_PLI, _FIR)):
            return True
        at += 4 + 4 * words
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reception:
    """How a track, or the worst track of a session, arrives. `fraction` is that of packets lost since the last report, `lost` all
    of them, `jitter` and `round_trip` seconds; the latter is None until it is known, and contains the age of what is relayed."""

    fraction: float = 0.0
    lost: int = 0
    jitter: float = 0.0
    round_trip: float | None = None


@dataclass(slots=True)
class SessionFeedback:
    """Reports of the client of one session by track."""

    tracks: dict[int, Reception] = field(default_factory=dict)
    reports: int = 0
    unusable: int = 0

    def take(self, track: int, clock_rate: int, data: bytes, ntp: int) -> Feedback:
        """Take a compound packet that came at the NTP time `ntp`; one that cannot be read is counted."""
        try:
            found = parse_feedback(data)
        except InvalidArgument:
            self.unusable += 1
            return Feedback()
        for block in found.blocks[:1]:  # a track has one source
            self.reports += 1
            before = self.tracks.get(track, Reception())
            trip = round_trip(block, ntp)
            self.tracks[track] = Reception(
                fraction=block.fraction / 256,
                lost=max(0, block.lost),
                jitter=min(block.jitter / max(1, clock_rate), MAX_ROUND_TRIP),
                round_trip=before.round_trip if trip is None else trip,
            )
        return found

    @property
    def worst(self) -> Reception | None:
        """The worst of all tracks; None without reports."""
        if not self.tracks:
            return None
        known = self.tracks.values()
        return Reception(
            fraction=max(each.fraction for each in known),
            lost=sum(each.lost for each in known),
            jitter=max(each.jitter for each in known),
            round_trip=max((each.round_trip for each in known if each.round_trip is not None), default=None),
        )


def round_trip(block: ReportBlock, ntp: int) -> float | None:
    """RFC 3550 6.4.1, delay since last SR: the middle words of NTP times, in 1/65536 s."""
    if not block.last_sr:
        return None
    passed = ((ntp >> 16 & 0xFFFFFFFF) - block.last_sr - block.delay & 0xFFFFFFFF) / 65536
    return passed if passed <= MAX_ROUND_TRIP else None


def pli(sender: int, media: int) -> bytes:
    """A compound packet that asks for a key frame: an empty receiver report before it (RFC 3550 6.1)."""
    return struct.pack(">BBHI", 0x80, 201, 1, sender) + struct.pack(">BBHII", 0x81, PAYLOAD_FEEDBACK, 2, sender, media)
