"""How well the packets of one source arrive: what a receiver report says (RFC 3550 6.4.1, A.3, A.8). Sans-IO."""

from __future__ import annotations

import struct

from onvifd.clock import US
from onvifd.media.rtp.packet import ReceiverReport, ReportBlock, build_receiver_report

_MASK = 0xFFFFFFFF
_HALF = 1 << 31


class Reception:
    """Counts for one source. It is told of the first packet of each picture, not of every packet: jitter is that of pictures."""

    __slots__ = (
        "_base",
        "_cycles",
        "_expected_before",
        "_jitter",
        "_last",
        "_lost_before",
        "_rate",
        "_report_at",
        "_report_ntp",
        "_transit",
        "lost",
    )

    def __init__(self, clock_rate: int) -> None:
        self._rate = clock_rate
        self.lost = 0
        self._report_ntp = self._report_at = 0
        self.begin(-1)

    def begin(self, seq: int) -> None:
        """A new numbering starts with this packet."""
        self._base = self._last = seq
        self._cycles = 0
        self.lost = self._lost_before = self._expected_before = 0
        self._jitter = 0.0
        self._transit: int | None = None

    def first_of_picture(self, seq: int, rtp_time: int, arrival: int) -> None:
        """The first packet of a time stamp, and when it arrived (microseconds)."""
        if self._base < 0:
            self.begin(seq)
        self._extend(seq)
        transit = arrival * self._rate // US - rtp_time & _MASK
        if self._transit is not None:
            apart = abs((transit - self._transit + _HALF & _MASK) - _HALF)
            # A clock that was set is no jitter.
            if apart < 10 * self._rate:
                self._jitter += (apart - self._jitter) / 16
        self._transit = transit

    def _extend(self, seq: int) -> int:
        """The extended number of the highest packet."""
        if seq - self._last & 0xFFFF < 0x8000:
            if seq < self._last:
                self._cycles += 0x10000
            self._last = seq
        return self._cycles + self._last

    def sender_report(self, ntp: int, arrival: int) -> None:
        """A sender report of the source has come."""
        self._report_ntp, self._report_at = ntp >> 16 & _MASK, arrival

    def block(self, ssrc: int, highest: int, now: int) -> ReportBlock | None:
        """What to tell the source, `highest` being the number of the last packet; None before there was one."""
        if self._base < 0:
            return None
        extended = self._extend(highest & 0xFFFF)
        expected = extended - self._base + 1
        interval, lost = expected - self._expected_before, self.lost - self._lost_before
        self._expected_before, self._lost_before = expected, self.lost
        fraction = min(255, max(0, lost) * 256 // interval) if interval > 0 else 0
        delay = min(_MASK, max(0, now - self._report_at) * 65536 // US) if self._report_ntp else 0
        return ReportBlock(
            ssrc=ssrc,
            fraction=fraction,
            lost=self.lost,
            highest_seq=extended & _MASK,
            jitter=int(self._jitter),
            last_sr=self._report_ntp,
            delay=delay,
        )


def picture_loss(ours: int, theirs: int, block: ReportBlock | None) -> bytes:
    """A request for a key frame: picture loss indication (RFC 4585 6.3.1) in a compound packet."""
    report = build_receiver_report(ReceiverReport(ssrc=ours, blocks=(block,) if block else ()))
    return report + struct.pack(">BBHII", 0x81, 206, 2, ours, theirs)
