"""The methods of RTSP but SETUP, as the machine of a connection answers them (RFC 2326 10; Streaming 5.2.2, 6.3)."""

from __future__ import annotations

import re
import zlib
from typing import Protocol

from onvifd.access.types import Account
from onvifd.errors import BadInput
from onvifd.rtsp import headers as h
from onvifd.rtsp import mikey
from onvifd.rtsp.messages import Request, RtspError
from onvifd.rtsp.play import PlayReply, Presentation
from onvifd.rtsp.protection import PARAMETERS, Protection, asks_for_key, failure
from onvifd.rtsp.requests import (
    check_require,
    named_track,
    play_fields,
    play_request,
    split_target,
    wants_multicast,
    without_query,
)
from onvifd.rtsp.sdp_writer import build_sdp
from onvifd.rtsp.server_events import (
    Event,
    Find,
    Limits,
    Pause,
    Pending,
    Play,
    Retuned,
    Session,
    talk_of,
)

PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"


class Conversation(Protocol):
    """What methods need of the machine of their connection (`server_session.ServerConnection`)."""

    sessions: dict[str, Session]
    limits: Limits
    local_host: str
    peer: str
    tcp_only: bool
    protection: Protection | None

    @property
    def now(self) -> float:
        """Monotonic seconds."""
        ...

    @property
    def login(self) -> Account:
        """Who is logged in. Raises RtspError 401."""
        ...

    def wait(self, pending: Pending) -> None:
        """The request goes on when the caller has answered the event that is returned with this."""
        ...

    def named_session(self, request: Request) -> Session | None:
        """The session of the request's Session header. Raises RtspError 454."""
        ...

    def needed_session(self, request: Request) -> Session:
        """The same for methods that make no sense without one. Raises RtspError 454 or 455."""
        ...

    def admit(self, session: Session) -> None:
        """A session begins. Raises RtspError 453 or 503 where there is no room for it."""
        ...

    def touch(self, session: Session) -> None:
        """The session is alive."""
        ...

    def end(self, session: Session, reason: str) -> None: ...

    def answer(
        self,
        request: Request,
        status: int,
        fields: list[tuple[str, str]],
        session: Session | None = None,
        body: bytes = b"",
    ) -> None: ...


class Methods:
    """See module. Each method takes a request and gives the event that it waits for, or None when it has answered."""

    def __init__(self, machine: Conversation) -> None:
        self._machine = machine

    def options(self, request: Request) -> Event | None:
        # RFC 2326 12.32 lets a client ask for features here too
        check_require(request, replay=True, talk=True)
        self._machine.answer(request, 200, [("Public", PUBLIC)], self._machine.named_session(request))
        return None

    def describe(self, request: Request) -> Event | None:
        accept = request.headers.get("Accept")
        if accept and not re.search(r"application/sdp|application/\*|\*/\*", accept, re.IGNORECASE):
            raise RtspError(406, "only application/sdp is available")
        path, _ = split_target(request.uri)
        self._machine.wait(Pending(request, self._described))
        return Find(((path, None),), self._machine.login)

    def _described(self, pending: Pending, presentation: Presentation, path: str, control: str | None) -> Event | None:
        request = pending.request
        line = talk_of(presentation)
        required = check_require(request, replay=presentation.replay, talk=line is not None)
        # Streaming 5.3.2: the back channel is described to those who ask for it only
        talk = line.track if line is not None and required.talk else None
        protection = self._machine.protection
        identity = zlib.crc32(path.encode())
        version = zlib.crc32(repr((presentation.tracks, talk)).encode())
        body = build_sdp(
            presentation,
            self._machine.local_host,
            identity,
            version,
            talk=talk,
            multicast=wants_multicast(request.uri),
            keys={}
            if protection is None
            else protection.describe(request.uri, path, presentation, talk=talk is not None),
        )
        base = without_query(request.uri).rstrip("/") + "/"
        self._machine.answer(request, 200, [("Content-Base", base), ("Content-Type", "application/sdp")], body=body)
        return None

    def play(self, request: Request) -> Event | None:
        session = self._machine.needed_session(request)
        track = named_track(request, session)
        required = _check(request, session)
        play = play_request(request, required or session.require_replay)
        self._machine.wait(Pending(request, lambda pending, reply: self._playing(pending, track, reply), session))
        return Play(session, play, track)

    def _playing(self, pending: Pending, track: int | None, reply: PlayReply) -> Event | None:
        session, request = pending.session, pending.request
        assert session is not None
        if track is None:
            session.held.clear()
        elif session.playing:
            session.held.discard(track)
        else:
            session.held = set(session.tracks) - {track}
        session.playing = session.begun = True
        self._machine.answer(request, 200, play_fields(request, session, reply), session)
        return None

    def pause(self, request: Request) -> Event | None:
        session = self._machine.needed_session(request)
        track = named_track(request, session)
        _check(request, session)
        value = request.headers.get("Range")
        # live media has no other time than now
        at = h.parse_pause_point(value) if value is not None and session.presentation.replay else None
        if not session.playing:
            # RFC 2326 A.2 has no PAUSE in Ready, and A.1 none in Init; clients that pause twice lose nothing by 200
            self._machine.answer(request, 200, [], session)
            return None
        if track is not None and session.held | {track} != set(session.tracks):
            session.held.add(track)
            self._machine.answer(request, 200, [], session)
            return Retuned(session)
        self._machine.wait(Pending(request, self._is_paused, session))
        return Pause(session, at)

    def _is_paused(self, pending: Pending, now: bool) -> Event | None:
        session = pending.session
        assert session is not None
        session.playing = session.playing and not now
        self._machine.answer(pending.request, 200, [], session)
        return None

    def teardown(self, request: Request) -> Event | None:
        session = self._machine.needed_session(request)
        track = named_track(request, session)
        check_require(request, replay=True, talk=True)
        if track is None:
            self._machine.answer(request, 200, [], session)
            self._machine.end(session, "TEARDOWN")
            return None
        # RFC 2326 10.7: the other tracks of the session stay
        del session.tracks[track]
        session.held.discard(track)
        if session.playing and session.held == set(session.tracks):
            # what played is gone: the session is Ready again, as behind PAUSE
            session.playing = False
            self._machine.wait(Pending(request, self._torn, session))
            return Pause(session)
        self._machine.answer(request, 200, [], session)
        return Retuned(session)

    def _torn(self, pending: Pending, now: bool) -> Event | None:
        self._is_paused(pending, now)
        return Retuned(pending.session) if pending.session is not None else None

    def parameter(self, request: Request) -> Event | None:
        session = self._machine.named_session(request)
        check_require(request, replay=True, talk=True)
        protection = self._machine.protection
        body = b""
        if session is not None and protection is not None:
            body = self._keys(request, session, protection)
        elif request.method == "SET_PARAMETER" and request.body.strip():
            raise RtspError(451, "no parameter can be set")
        self._machine.answer(request, 200, [("Content-Type", PARAMETERS)] if body else [], session, body)
        return None

    def _keys(self, request: Request, session: Session, protection: Protection) -> bytes:
        """Keys of SRTP that are set or asked for (Streaming 8.2.1.2, 8.2.1.3); gives the body of the answer."""
        setting = request.method == "SET_PARAMETER"
        try:
            message = mikey.from_parameters(request.body) if setting else None
        except BadInput as error:
            raise failure(error.reason) from None
        if setting and message is None and request.body.strip():
            raise RtspError(451, "no other parameter than mikey can be set")
        asked = not setting and asks_for_key(request.body)
        if message is None and not asked:
            return b""
        named = named_track(request, session)
        if message is not None:
            protection.change(session.secured, message, named)
        return protection.tell(session.secured, named) if asked else b""


def _check(request: Request, session: Session) -> bool:
    """Refuse what is required and not served; gives whether replay was required."""
    line = talk_of(session.presentation)
    return check_require(request, replay=session.presentation.replay, talk=line is not None).replay
