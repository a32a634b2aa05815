"""One track of a camera over all its connections, and what was counted of a stream."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onvifd.clock import US, utc_to_ntp
from onvifd.errors import NotSupported
from onvifd.media.rtp.clean_point import VERDICTS
from onvifd.media.rtp.clock import TimestampUnwrapper, TrackClock
from onvifd.media.rtp.depack import Depacketizer, Frame, depacketizer
from onvifd.media.rtp.marker import MARKED
from onvifd.media.rtp.pack import frame_rtcp
from onvifd.media.rtp.packet import SenderReport, build_sender_report
from onvifd.media.rtp.reception import Reception
from onvifd.media.types import FlushUnit, TrackFormat

_FRAMING = 4
_HEADER = 12
_MASK = 0xFFFFFFFF
_HALF = 1 << 31

MAX_LEAP = 10
"""Seconds by which time stamps may run ahead of the time that passed. Beyond that, and more than one second back, the camera
began to count anew."""


@dataclass(slots=True)
class Counters:
    """What was received on one stream since the worker started.

    `gov_length` is frames between the last two key frames. `duplicates` are packets that came twice or too late, `strays` those
    of another source on the same channel, `restarts` how often numbers or times began anew within a connection.
    """

    frames: int = 0
    bytes: int = 0
    lost_packets: int = 0
    bad_frames: int = 0
    bad_documents: int = 0
    garbage: int = 0
    last_utc: int = 0
    gov_length: int = 0
    duplicates: int = 0
    strays: int = 0
    restarts: int = 0


class InboundTrack:
    """One track of a source over all its connections: keeps the outgoing numbers growing.

    `index` is its place among the tracks of the stream; `payload_type` and `ssrc` are the recorder's own.
    """

    # Looked at for every packet: slots are found at once, a dictionary of so many is not.
    __slots__ = (
        "_began",
        "_left_first",
        "_left_next",
        "_unwrapper",
        "arrived",
        "by_report",
        "channel",
        "clock",
        "coming",
        "decided",
        "depack",
        "described",
        "expected",
        "feed",
        "follow_reports",
        "format",
        "former",
        "honest",
        "index",
        "judge",
        "key",
        "key_time",
        "listed",
        "marked",
        "next_seq",
        "octets",
        "odd_pictures",
        "odd_since",
        "odd_time",
        "other_next",
        "other_time",
        "others",
        "packets",
        "payload_type",
        "pieces",
        "previous",
        "promised",
        "reception",
        "report_due",
        "rtcp_channel",
        "rtp_time",
        "seq_offset",
        "sizes",
        "source",
        "span_begin",
        "span_end",
        "ssrc",
        "stamped",
        "starts",
        "ticks",
        "time_offset",
        "time_out",
        "told",
        "unit_time",
        "unit_utc",
        "utc",
        "verdict",
    )

    def __init__(self, index: int, format: TrackFormat, payload_type: int, ssrc: int) -> None:
        self.index = index
        self.channel = 2 * index
        self.described = payload_type
        """The payload type of the description, by which packets on an unexpected channel are known."""
        self.listed: dict[int, TrackFormat | None] = {}
        """Other payload types of the description; None for what is no encoding of ours: tones, correction, pauses."""
        self.rtcp_channel = self.channel + 1
        """Where our reports to the camera go."""
        self.payload_type = payload_type
        self.ssrc = ssrc
        # growing over all connections
        self.next_seq = 0
        self.time_out = 0
        self.utc = 0
        self.ticks = 0
        self.packets = 0
        self.octets = 0
        self.told = False
        """Whether clients may know the SSRC."""
        self.honest = True
        """Whether the camera's markers can be believed. One that was caught is not believed on its next connection either."""
        self._unwrapper = TimestampUnwrapper()
        self._began = False
        self._left_first = self._left_next = -1
        self.begin(format)

    def begin(self, format: TrackFormat) -> None:
        """A new connection: its numbers have nothing to do with those of the last one."""
        self.format = format
        self.verdict = VERDICTS.get(format.codec)
        self.clock = TrackClock(format.clock_rate)
        self.depack: Depacketizer | None
        try:
            self.depack = depacketizer(format)
        except NotSupported:
            self.depack = None  # relayed as it is, not recorded
        self.feed: Callable[[bytes | memoryview, bool, int, bool], tuple[Frame, ...]] | None = None
        """Where the packets of the present picture go besides the clients; None when nobody wants them."""
        self.judge = MARKED.get(format.codec)
        self.marked = -1
        """The last time stamp that ended with a marker."""
        self.reception = Reception(format.clock_rate)
        self.promised = self.source = self.former = -1
        """SSRC of the camera: as told in its answer, as it comes, and as it came before."""
        self.arrived = 0
        self.follow_reports = True
        """Whether the camera's sender reports tell the time."""
        self.coming = -1
        """The payload type that comes."""
        self.other_next = self.other_time = -1
        self.others = 0
        """Time stamps in a row with a payload type that is not described, and what was to leave next meanwhile."""
        self.odd_since = self.odd_time = -1
        self.odd_pictures = 0
        """Pictures that begin as none of the codec does, since the key frame of this time stamp."""
        self.expected = -1
        self.seq_offset = 0
        self.time_offset = 0
        self.rtp_time = self.stamped = -1
        self.previous = (-1, 0, 0)
        """Time stamp of the picture before, with its UTC and ticks: without a marker it ends when the next one has begun."""
        self.key_time = -1
        self.decided = -1
        """The present time stamp once it is known whether a clean point starts with it, else -1."""
        self.report_due = 0
        self.by_report = False
        # the unit under way
        self.pieces: list[bytes] = []
        self.sizes = 0
        self.starts: list[int] = []
        self.span_begin = self.span_end = 0
        """Where the last packets of the unit lie in the receive buffer; copied when the unit or the buffer ends."""
        self.key = False
        self.unit_time = 0
        self.unit_utc = 0

    def adopt(self, ssrc: int) -> None:
        """Keep the camera's SSRC, as long as nobody was told another: its packets then need no rewriting."""
        self.promised = ssrc
        if not (self.told or self._began):
            self.ssrc = ssrc

    def leave_out(self, seq: int) -> None:
        """The packet that comes next is none of the track: outgoing numbers close behind it."""
        if self._left_next != self.next_seq:
            self._left_first, self._left_next = seq, self.next_seq
        self.expected = seq + 1 & 0xFFFF
        self.seq_offset = self.seq_offset - 1 & 0xFFFF

    def takes_back(self, seq: int) -> bool:
        """Whether `seq` is the number of what was just left out: then that was numbered on its own, and counts for nothing."""
        if self._left_next != self.next_seq or seq != self._left_first:
            return False
        self.seq_offset = self.seq_offset + (self.expected - seq) & 0xFFFF
        self.expected = seq
        return True

    def anchor(self, seq: int, rtp_time: int, utc: int) -> None:
        """Choose offsets so that this packet, the first of a new numbering, continues what was sent before it.

        The first of all passes as it is.
        """
        if self._began:
            self.seq_offset = self.next_seq - seq & 0xFFFF
            # Time stamps go on by the time that passed: players see a pause, not a jump.
            passed = max(1, (utc - self.utc) * self.format.clock_rate // US)
            self.time_offset = self.time_out + passed - rtp_time & _MASK
        self._began = True

    def accepts(self, ssrc: int, now: int) -> bool:
        """Whether packets with an SSRC that is not the present one are those of the camera; then it is from now on.

        Servers that take up where an old session was send packets of both. So what was left is not taken again, unless it
        was promised in the answer to SETUP or nothing else comes any more.
        """
        if self.source >= 0 and ssrc == self.former and ssrc != self.promised and now - self.arrived < US:
            return False
        if self.source >= 0:
            self.former = self.source
        self.source = ssrc
        return True

    def leaps(self, rtp_time: int, now: int) -> bool:
        """Whether a time stamp cannot be that of what follows."""
        if self.rtp_time < 0:
            return False
        rate = self.format.clock_rate
        apart = (rtp_time - self.rtp_time + _HALF & _MASK) - _HALF
        return apart < -rate or apart > (now - self.arrived) * rate // US + MAX_LEAP * rate

    def retime(self, rtp_time: int, now: int) -> None:
        """Time stamps begin anew: those that leave go on by the time that passed."""
        passed = max(1, (now - self.arrived) * self.format.clock_rate // US)
        self.time_offset = self.time_out + passed - rtp_time & _MASK

    def stamp(self, rtp_time: int, utc: int) -> None:
        """A new time stamp begins."""
        self.previous = (self.stamped, self.utc, self.ticks)
        self.rtp_time = self.stamped = rtp_time
        self.decided = -1
        self.time_out = rtp_time + self.time_offset & _MASK
        self.ticks = self._unwrapper.unwrap(self.time_out)
        self.utc = utc

    def report(self) -> FlushUnit:
        """Our own sender report, as of the present time stamp."""
        report = SenderReport(
            ssrc=self.ssrc,
            ntp=utc_to_ntp(self.utc),
            rtp_time=self.time_out,
            packets=self.packets,
            octets=self.octets & _MASK,
        )
        return frame_rtcp(self.index, build_sender_report(report), rtp_time=self.time_out, utc=self.utc)


def payload_of(buffer: bytearray, position: int, after: int, first: int) -> tuple[int, int]:
    """Begin and end of the payload of a packet with CSRCs, extension or padding (RFC 3550 5.1); the end lies before the begin if they do not fit."""
    begin = position + _FRAMING + _HEADER + 4 * (first & 0x0F)
    end = after
    if first & 0x10:
        if begin + 4 > end:
            return end + 1, end
        begin += 4 + 4 * int.from_bytes(buffer[begin + 2 : begin + 4], "big")
    if first & 0x20 and begin < end:
        if not buffer[after - 1]:
            # Padding counts itself (RFC 3550 5.1): none is there, whatever the bit says, and clients throw such packets away.
            buffer[position + 4] &= 0xDF
        end -= buffer[after - 1]
    return begin, end


def continued(
    before: Sequence[InboundTrack], formats: Sequence[TrackFormat], types: Sequence[int] = ()
) -> tuple[InboundTrack, ...]:
    """Tracks for a new connection: those of the last one if the codecs are the same, so that numbers go on.

    `types` are the camera's payload types: packets then pass as they are, where that can be.
    """
    if [(t.format.codec, t.format.clock_rate) for t in before] == [(f.codec, f.clock_rate) for f in formats]:
        for track, format in zip(before, formats, strict=True):
            track.begin(format)
        return tuple(before)
    numbers = types or [96 + index for index in range(len(formats))]
    return tuple(
        InboundTrack(index, format, number if numbers.count(number) == 1 else 96 + index, random.getrandbits(32))
        for index, (format, number) in enumerate(zip(formats, numbers, strict=True))
    )
