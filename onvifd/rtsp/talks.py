"""The back channels that the sessions of one connection hold: from the answer to PLAY to the end of playing (Streaming 5.3.2.2)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from onvifd.access.types import Account
from onvifd.clock import US, utc_to_ntp
from onvifd.errors import InvalidArgument
from onvifd.media.rtp.packet import SenderReport, build_sender_report, parse_rtcp, parse_rtp
from onvifd.media.rtp.reception import Reception
from onvifd.rtsp.backchannel import Grip, HalfDuplexOutlet, Talker
from onvifd.rtsp.play import Outlet
from onvifd.rtsp.server_events import Session, talk_of

REPORTS = 5.0
"""Seconds between reports to who talks (RFC 3550 6.2)."""
FIRST_REPORT = 0.5


def talk_track(session: Session) -> int | None:
    """The number of the session's back channel; None if none is set up."""
    number = len(session.presentation.tracks)
    return number if number in session.tracks and talk_of(session.presentation) is not None else None


def sent_tracks(session: Session) -> frozenset[int]:
    """Those that we send."""
    return frozenset(session.tracks) - {talk_track(session)}


def outlet_of(session: Session, outlet: Outlet) -> Outlet:
    """The way out of a session, which is silent while its client alone may send."""
    line = talk_of(session.presentation)
    if line is None or talk_track(session) is None:
        return outlet
    return HalfDuplexOutlet(outlet, line, session.presentation.tracks)


class _Held:
    """One grip, and how well what is said arrives (RFC 3550 6.4)."""

    __slots__ = ("_due", "_last", "_ours", "_reception", "_theirs", "grip")

    def __init__(self, grip: Grip) -> None:
        self.grip = grip
        self._ours = secrets.randbits(32)
        self._theirs = -1
        self._last = 0
        self._due = float("-inf")
        self._reception: Reception | None = None

    def count(self, packet: bytes, rates: Mapping[int, int], now: float, utc: int) -> bytes | None:
        """Take note of a packet; gives a report to the client when one is due."""
        try:
            found = parse_rtp(packet)
        except InvalidArgument:
            return None
        if found.payload_type not in rates:
            return None
        if self._reception is None or found.ssrc != self._theirs:
            self._reception, self._theirs = Reception(rates[found.payload_type]), found.ssrc
            self._last, self._due = found.seq - 1, now + FIRST_REPORT
        step = (found.seq - self._last + 0x8000 & 0xFFFF) - 0x8000
        if step > 0:
            self._reception.first_of_picture(found.seq, found.rtp_time, round(now * US))
            self._reception.lost += step - 1
            self._last = found.seq
        elif step < 0:
            self._reception.lost = max(0, self._reception.lost - 1)
        if now < self._due:
            return None
        self._due = now + REPORTS
        block = self._reception.block(self._theirs, self._last, round(now * US))
        # A sender report, though nothing is sent: what the test specification waits for (Streaming Test 5.6.1), and it says more.
        report = SenderReport(
            ssrc=self._ours, ntp=utc_to_ntp(utc), rtp_time=found.rtp_time, blocks=(block,) if block else ()
        )
        return build_sender_report(report)

    def reported(self, packet: bytes, now: float) -> None:
        """RTCP of the client: its time, for the next report."""
        try:
            reports = parse_rtcp(packet)
        except InvalidArgument:
            return
        for each in reports:
            if isinstance(each, SenderReport) and self._reception is not None:
                self._reception.sender_report(each.ntp, round(now * US))


class Talks:
    """See module."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def begin(self, session: Session, account: Account, peer: str, now: float) -> None:
        """A session is about to play: its client has the back channel that it has set up. Raises Unavailable while another
        one has it."""
        line = talk_of(session.presentation)
        if line is None or talk_track(session) is None:
            self.end(session)
        elif session.id not in self._held:
            self._held[session.id] = _Held(line.take(Talker(account.name, peer, session.id), now))

    def hear(self, session: Session, track: int, packet: bytes, now: float, utc: int) -> bytes | None:
        """RTP of a client. What comes before the answer to PLAY, or while the back channel is held, is left out.

        Gives an RTCP packet for the client now and then.
        """
        held = self._held.get(session.id)
        line = talk_of(session.presentation)
        if held is None or line is None or not session.playing or track != talk_track(session) or track in session.held:
            return None
        held.grip.hear(packet, now)
        description = line.track
        formats = ((description.payload_type, description.format), *description.alternatives)
        return held.count(packet, {number: format.clock_rate for number, format in formats}, now, utc)

    def over(self, session: Session) -> bool:
        """Whether the camera of a session that talks cannot be talked to any more; true once."""
        line = talk_of(session.presentation)
        if line is None or not line.closed or session.id not in self._held:
            return False
        self.end(session)
        return True

    def reported(self, session: Session, track: int, packet: bytes, now: float) -> None:
        """RTCP of a client for a track."""
        held = self._held.get(session.id)
        if held is not None and track == talk_track(session):
            held.reported(packet, now)

    def end(self, session: Session) -> None:
        """A session does not play any more, or not its back channel."""
        held = self._held.pop(session.id, None)
        if held is not None:
            held.grip.release()
