"""SETUP: which track, by which transport, in which session (RFC 2326 10.4, 12.39)."""

from __future__ import annotations

import secrets
from dataclasses import replace

from onvifd.rtsp import headers as h
from onvifd.rtsp.backchannel import Talker, check_talker
from onvifd.rtsp.messages import Request, RtspError
from onvifd.rtsp.play import Multicast, Presentation
from onvifd.rtsp.protection import PROFILE
from onvifd.rtsp.requests import (
    check_require,
    choose_transport,
    free_channels,
    split_target,
    track_index,
    usable_transports,
    without_query,
)
from onvifd.rtsp.server_events import Event, Find, OpenUdp, Pending, Session, Udp, talk_of, track_of
from onvifd.rtsp.server_methods import Conversation


class SetupMethod:
    """See module."""

    def __init__(self, machine: Conversation) -> None:
        self._machine = machine

    def setup(self, request: Request) -> Event | None:
        """A SETUP request; gives the event that it waits for, or None when it has been answered."""
        machine = self._machine
        offered = request.headers.get("Transport")
        offers = (
            usable_transports(h.parse_transport(offered), machine.tcp_only, machine.protection is not None)
            if offered
            else []
        )
        if not offers:
            raise RtspError(461, f"transport must be RTP over {'' if machine.tcp_only else 'UDP or '}TCP")
        session = machine.named_session(request)
        if session is None and len(machine.sessions) >= machine.limits.sessions:
            raise RtspError(453, "too many sessions on this connection")
        path, control = split_target(request.uri)
        if control is not None:
            candidates: tuple[tuple[str, str | None], ...] = ((path, control),)
        else:
            parent, _, last = path.rpartition("/")
            candidates = ((parent or "/", last), (path, None))
        if session is not None:
            if session.playing:
                raise RtspError(455, "SETUP while playing")
            found = next((item for item in candidates if item[0] == session.path), None)
            if found is None:
                raise RtspError(459, "a session holds tracks of one presentation only")
            return self._found_track(Pending(request, self._found_track, session, offers), session.presentation, *found)
        machine.wait(Pending(request, self._found_track, None, offers))
        return Find(candidates, machine.login)

    def _found_track(
        self, pending: Pending, presentation: Presentation, path: str, control: str | None
    ) -> Event | None:
        request = pending.request
        line = talk_of(presentation)
        required = check_require(request, replay=presentation.replay, talk=line is not None)
        track = track_index(presentation, control)
        session = pending.session
        if line is not None and track == len(presentation.tracks):
            login = self._machine.login
            check_talker(login)
            # clearer now than at PLAY, where a client loses the picture too
            line.check(Talker(login.name, self._machine.peer, session.id if session else ""), self._machine.now)
        if session is None:
            session = self._new_session(request, presentation, path, control)
        group = track_of(session, track).multicast
        transport = choose_transport(pending.offers, group)
        if transport is None:
            raise RtspError(461, "track is not sent by multicast")
        kinds = {_kind(other) for number, other in session.tracks.items() if number != track}
        if kinds - {_kind(transport)}:
            raise RtspError(461, "tracks of a session share one kind of transport")
        way: Multicast | tuple[int, int] | None = group if not transport.unicast else None
        if transport.tcp:
            way = free_channels(self._machine.sessions.values(), session, track, transport.interleaved)
        _check_begun(session, track, transport)
        self._secure(request, session, track, transport)
        self._admit(session, track, way)
        session.require_replay |= required.replay
        if isinstance(way, Multicast):
            self._answer(request, session, track, _group_transport(way))
        elif way is not None:
            self._answer(request, session, track, h.Transport(tcp=True, interleaved=way))
        else:
            return self._open(pending, session, track, transport)
        return None

    def _admit(self, session: Session, track: int, way: Multicast | tuple[int, int] | None) -> None:
        """Let the track into the session, and the session in; after this nothing fails that would not end it."""
        if session.id not in self._machine.sessions:
            if way is not None:
                session.tracks[track] = way  # what it costs depends on it
            self._machine.admit(session)
        if way is not None:
            session.tracks[track] = way

    def _secure(self, request: Request, session: Session, track: int, transport: h.Transport) -> None:
        """Agree on keys where SRTP is wanted (Streaming 8.2.1.1)."""
        protection = self._machine.protection
        if transport.profile == PROFILE and protection is not None:
            session.secured[track] = protection.set_up(
                request, session.path, session.presentation, track, group=not transport.unicast
            )
        else:
            session.secured.pop(track, None)

    def _open(self, pending: Pending, session: Session, track: int, transport: h.Transport) -> Event | None:
        """Let the caller bind ports; the answer tells them."""
        client_port = transport.client_port
        assert client_port is not None

        def opened(waiting: Pending, server_port: tuple[int, int]) -> Event | None:
            session.tracks[track] = Udp(client_port, server_port)
            answer = h.Transport(client_port=client_port, server_port=server_port)
            self._answer(waiting.request, session, track, answer)
            return None

        pending.session = session
        pending.then = opened
        self._machine.sessions[session.id] = session
        self._machine.wait(pending)
        return OpenUdp(session, track, client_port)

    def _new_session(self, request: Request, presentation: Presentation, path: str, control: str | None) -> Session:
        base = without_query(request.uri).rstrip("/")
        if control is not None and base.endswith("/" + control):
            base = base[: -len(control) - 1]
        session = Session(secrets.token_hex(12), path, base, presentation, 0.0)
        self._machine.touch(session)
        return session

    def _answer(self, request: Request, session: Session, track: int, transport: h.Transport) -> None:
        self._machine.sessions[session.id] = session
        self._machine.touch(session)
        transport = replace(transport, ssrc=track_of(session, track).ssrc)
        secured, protection = session.secured.get(track), self._machine.protection
        keys: list[tuple[str, str]] = []
        if secured is not None and protection is not None:
            transport = replace(transport, profile=PROFILE)
            keys = protection.answer(request, secured, session.presentation, track)
        value = h.SessionHeader(session.id, session.timeout).format()
        self._machine.answer(request, 200, [("Transport", transport.format()), ("Session", value), *keys])


def _kind(way: h.Transport | Udp | Multicast | tuple[int, int]) -> str:
    if isinstance(way, h.Transport):
        return "multicast" if not way.unicast else "tcp" if way.tcp else "udp"
    if isinstance(way, Multicast):
        return "multicast"
    return "udp" if isinstance(way, Udp) else "tcp"


def _check_begun(session: Session, track: int, transport: h.Transport) -> None:
    """Once a session has played its way out is made: another one would leave it as it is, perhaps in clear (RFC 2326 10.4 lets
    a server refuse by 455)."""
    if session.begun and (track in session.tracks or (transport.profile == PROFILE) != bool(session.secured)):
        raise RtspError(455, "transport cannot be changed behind PLAY")


def _group_transport(group: Multicast) -> h.Transport:
    """Where we send is ours to say, whatever the client proposed (RFC 2326 12.39, destination)."""
    return h.Transport(unicast=False, destination=group.address, port=(group.port, group.port + 1), ttl=group.ttl)
