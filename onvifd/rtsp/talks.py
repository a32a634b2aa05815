"""The back channels that the sessions of one connection hold: from the answer to PLAY to the end of playing (Streaming 5.3.2.2)."""

from __future__ import annotations

from onvifd.access.types import Account
from onvifd.rtsp.backchannel import Grip, HalfDuplexOutlet, Talker
from onvifd.rtsp.play import Outlet
from onvifd.rtsp.server_events import Session, talk_of


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


class Talks:
    """See module."""

    def __init__(self) -> None:
        self._grips: dict[str, Grip] = {}

    def begin(self, session: Session, account: Account, peer: str, now: float) -> None:
        """A session is about to play: its client has the back channel that it has set up. Raises Unavailable while another
        one has it."""
        line = talk_of(session.presentation)
        if line is None or talk_track(session) is None:
            self.end(session)
        elif session.id not in self._grips:
            self._grips[session.id] = line.take(Talker(account.name, peer, session.id), now)

    def hear(self, session: Session, track: int, packet: bytes, now: float) -> None:
        """RTP of a client. What comes before the answer to PLAY, or while the back channel is held, is left out."""
        grip = self._grips.get(session.id)
        if grip is not None and session.playing and track == talk_track(session) and track not in session.held:
            grip.hear(packet, now)

    def end(self, session: Session) -> None:
        """A session does not play any more, or not its back channel."""
        grip = self._grips.pop(session.id, None)
        if grip is not None:
            grip.release()
