"""What belongs to one session of a connection: its sockets, its way out, what feeds it, and what its client reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from onvifd.rtsp.feedback import SessionFeedback
from onvifd.rtsp.outlet import Link, TcpOutlet
from onvifd.rtsp.outlet_udp import UdpOutlet
from onvifd.rtsp.play import Multicast, Playback, PlayReply, PlayRequest, SentToGroups
from onvifd.rtsp.protection import group_senders, protected
from onvifd.rtsp.server_events import Session, Udp
from onvifd.rtsp.talks import outlet_of, sent_tracks
from onvifd.rtsp.udp import UdpPair


@dataclass(slots=True)
class SessionMedia:
    """See module. `outlet` and `playback` are there once it has been played; a session to groups has no way out of its own."""

    session: Session
    pairs: dict[int, UdpPair] = field(default_factory=dict)
    outlet: TcpOutlet | UdpOutlet | None = None
    playback: Playback | None = None
    feedback: SessionFeedback = field(default_factory=SessionFeedback)
    _tracks: frozenset[int] = frozenset()
    """Those that were set up when the playback was opened."""
    _closed: bool = False

    async def renew(self) -> None:
        """Close what feeds live media when tracks were set up behind a PAUSE: it is to be opened for all of them. That of a
        recording keeps its place, and gives all tracks anyway."""
        session, playback = self.session, self.playback
        changed = self._tracks != frozenset(session.tracks)
        if playback is not None and changed and not session.playing and not session.presentation.replay:
            self.playback = None
            await playback.close()

    def begin(self, link: Link, ended: Callable[[Session], None], local: str) -> None:
        """Have a way out, and what feeds it. `local` is the address by which the client came.

        Raises Unavailable where the presentation sends to no groups.
        """
        if self.playback is None:
            self._tracks = frozenset(self.session.tracks)
            if any(isinstance(way, Multicast) for way in self.session.tracks.values()):
                self._begin_groups(ended, local)
            else:
                self._begin_alone(link, ended)
        if self.outlet is not None:
            self.outlet.refresh()

    def _begin_groups(self, ended: Callable[[Session], None], local: str) -> None:
        session = self.session
        if isinstance(session.presentation, SentToGroups):
            self.playback = session.presentation.open_groups(
                frozenset(session.tracks), lambda: ended(session), local, group_senders(session.secured)
            )

    def _begin_alone(self, link: Link, ended: Callable[[Session], None]) -> None:
        session = self.session
        if self.outlet is None and any(isinstance(way, Udp) for way in session.tracks.values()):
            self.outlet = UdpOutlet(session, self.pairs, ended)
        elif self.outlet is None:
            self.outlet = TcpOutlet(session, link, ended)
        if sent_tracks(session):  # who only talks watches nothing
            self.playback = session.presentation.open(outlet_of(session, protected(self.outlet, session.secured)))

    async def play(self, request: PlayRequest) -> PlayReply:
        """Prepare to send as asked (rtsp.play.Playback)."""
        playback = self.playback
        if playback is None:
            return PlayReply(start=None)
        try:
            return await playback.play(request, sent_tracks(self.session))
        except BaseException:
            if (
                not self.session.begun
            ):  # its tracks may still be set up to go another way, and nothing is held until then
                self.playback = self.outlet = None
                await playback.close()
            raise
        finally:
            if self._closed:  # the session ended in the midst of it: what was begun behind its close ends as well
                await playback.close()

    def retune(self) -> None:
        """Some tracks do not play any more."""
        for track in self.pairs.keys() - self.session.tracks.keys():
            self.pairs.pop(track).close()
        if self.outlet is not None:
            self.outlet.refresh()

    def close_ways(self) -> None:
        """Nothing more goes out, nor comes in by datagrams: the session has ended."""
        self._closed = True
        if self.outlet is not None:
            self.outlet.forget()
        for pair in self.pairs.values():
            pair.close()
        self.pairs.clear()
