"""The server's side of one RTSP connection, without sockets: bytes in, events and bytes out (RFC 2326; Streaming 5.2, 6).

Requests are answered strictly one after another. What the machine cannot do itself it hands out as an event
(`next_event`) and waits until the caller answers with `found`, `set_up`, `played`, `paused` or `failed`; requests behind
it stay in the buffer meanwhile. `now` is monotonic seconds.
"""

from __future__ import annotations

import logging
import re
import secrets
import zlib
from collections.abc import Callable
from dataclasses import replace

from onvifd.access.types import AccessClass, Account, may
from onvifd.errors import NotAuthorized, OnvifdError
from onvifd.rtsp import headers as h
from onvifd.rtsp.messages import Headers, Interleaved, Parser, Request, Response, RtspError
from onvifd.rtsp.play import PlayReply, Presentation
from onvifd.rtsp.requests import (
    check_aggregate,
    check_require,
    choose_transport,
    free_channels,
    play_fields,
    play_request,
    split_target,
    track_index,
    without_query,
)
from onvifd.rtsp.sdp import build_sdp
from onvifd.rtsp.server_events import (
    Bucket,
    Closed,
    Event,
    Find,
    Limits,
    OpenUdp,
    Pause,
    Pending,
    Play,
    Session,
    SessionEnded,
    Udp,
    Verifier,
)

log = logging.getLogger(__name__)

PUBLIC = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
_FOREIGN = frozenset(("ANNOUNCE", "RECORD", "REDIRECT"))


class ServerConnection:
    """See module. `local_host` is the address that the client reached us by.

    `tcp_only`: media goes by this connection alone, since it is encrypted, or a tunnel that UDP would not get around.
    """

    def __init__(
        self,
        verifier: Verifier,
        *,
        local_host: str,
        now: float,
        limits: Limits | None = None,
        peer: str = "",
        tcp_only: bool = False,
    ) -> None:
        self._verifier = verifier
        self._peer = peer
        self._tcp_only = tcp_only
        self._local_host = local_host
        self._limits = limits or Limits()
        self._parser = Parser()
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._pending: Pending | None = None
        self._deadline = now + self._limits.login_timeout
        self._failed_logins = 0
        self._requests = Bucket(self._limits.requests_per_second, self._limits.request_burst, now)
        self._frames = Bucket(self._limits.frames_per_second, self._limits.frames_per_second, now)
        self._now = now
        self.sessions: dict[str, Session] = {}
        self.account: Account | None = None
        self.closed = False

    # input

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes from the client."""
        self._now = now
        if self.closed:
            return
        self._parser.receive_data(data)
        if self._pending and self._parser.size > self._limits.buffer:
            self.close("sends faster than it can be answered")

    def rtcp_received(self, session: Session, now: float) -> None:
        """A receiver report came by UDP: it keeps the session (Streaming 5.2.2.2)."""
        session.deadline = now + session.timeout + self._limits.timeout_grace

    def next_event(self, now: float) -> Event | None:
        """The next thing to do; None until more bytes, an answer or time comes."""
        self._now = now
        while not self._events and self._pending is None and not self.closed:
            try:
                message = self._parser.next_message()
            except RtspError as error:
                self._refuse(error)
                break
            if message is None:
                break
            if isinstance(message, Interleaved):
                self._interleaved(message)
            elif isinstance(message, Response):
                continue  # we ask nothing, so it answers nothing
            else:
                self._request(message)
        return self._events.pop(0) if self._events else None

    def data_to_send(self) -> bytes:
        """Answers that are ready."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do."""
        if self.closed:
            return None
        if self.sessions:
            return min(session.deadline for session in self.sessions.values())
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """End sessions and connections that were silent for too long (RFC 2326 12.37)."""
        self._now = now
        waiting = self._pending.session if self._pending else None
        for session in list(self.sessions.values()):
            if session.deadline <= now:
                if session is waiting:
                    self._touch(session)
                else:
                    self._end(session, f"silent for {session.timeout} s")
        if not self.sessions and self._deadline <= now and not self._pending:
            idle = "has not logged in" if self.account is None else "is idle"
            self.close(idle, noteworthy=self.account is None)

    def end_session(self, session: Session, reason: str) -> None:
        """The media side is done with a session: TCP clients see it by the close of their connection."""
        if self.sessions.get(session.id) is session:
            self._end(session, reason)
            if not self.sessions:
                self.close(reason, noteworthy=False)

    def close(self, reason: str, noteworthy: bool = True) -> None:
        """End everything; events tell what is to be freed."""
        if self.closed:
            return
        for session in list(self.sessions.values()):
            self._end(session, reason)
        self.closed = True
        self._pending = None
        self._events.append(Closed(reason, noteworthy))

    # answers of the caller

    def found(self, presentation: Presentation, path: str, control: str | None) -> None:
        """Answer to Find."""
        self._resume(presentation, path, control)

    def set_up(self, server_port: tuple[int, int]) -> None:
        """Answer to OpenUdp."""
        self._resume(server_port)

    def played(self, reply: PlayReply) -> None:
        """Answer to Play."""
        self._resume(reply)

    def paused(self, now: bool = True) -> None:
        """Answer to Pause; `now` is false while the time at which to pause is still to come."""
        self._resume(now)

    def failed(self, error: OnvifdError) -> None:
        """The pending event could not be done."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self._answer_error(pending.request, error, pending.session)

    def _resume(self, *args: object) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return  # closed meanwhile
        if pending.session is not None and pending.session.id not in self.sessions:
            self._answer_error(pending.request, RtspError(454, "session has ended"))
            return
        self._guarded(pending.request, lambda: pending.then(pending, *args))

    # requests

    def _refuse(self, error: RtspError) -> None:
        headers = Headers([("CSeq", error.cseq)]) if re.fullmatch("[0-9]{1,10}", error.cseq) else Headers()
        self._out.append(Response(error.status, headers).serialise())
        self.close(f"does not speak RTSP: {error.reason}")

    def _interleaved(self, frame: Interleaved) -> None:
        if not self._frames.take(self._now):
            self.close("floods us with interleaved data")
            return
        for session in self.sessions.values():
            for channels in session.tracks.values():
                if not isinstance(channels, Udp) and frame.channel in channels:
                    self._touch(session)

    def _request(self, request: Request) -> None:
        if not self._requests.take(self._now):
            self.close("floods us with requests")
            return
        self._guarded(request, lambda: self._dispatch(request))

    def _guarded(self, request: Request, work: Callable[[], Event | None]) -> None:
        try:
            event = work()
        except OnvifdError as error:
            self._answer_error(request, error)
        else:
            if event is not None:
                self._events.append(event)

    def _dispatch(self, request: Request) -> Event | None:
        if request.version != "1.0":
            raise RtspError(505, "only RTSP/1.0 is spoken")
        cseq = request.headers.get("CSeq")
        if cseq is None or not re.fullmatch("[0-9]{1,10}", cseq):
            raise RtspError(400, "CSeq is missing or malformed")
        method = request.method
        if method in _FOREIGN:
            raise RtspError(405, f"{method} is not allowed", headers=(("Allow", PUBLIC),))
        handler = self._HANDLERS.get(method)
        if handler is None:
            raise RtspError(501, "method is not known", headers=(("Public", PUBLIC),))
        if method != "OPTIONS":
            self.account = self._authenticate(request)
        for session in self.sessions.values():
            self._touch(session)
        if self.account is not None:
            self._deadline = self._now + self._limits.idle_timeout
        return handler(self, request)

    def _authenticate(self, request: Request) -> Account:
        authorization = request.headers.get("Authorization")
        stale = False
        try:
            if authorization is None:
                raise NotAuthorized("credentials are needed")
            account = self._verifier.verify(
                authorization, request.method, request.uri, self._now, peer=self._peer, local=self._local_host
            )
        except NotAuthorized as error:
            stale = bool(getattr(error, "stale", False))
            if authorization is not None and not stale:
                self._failed_logins += 1
                log.info("RTSP login refused: %s", error.reason)
                if self._failed_logins >= self._limits.failed_logins:
                    self.close(f"failed to log in {self._failed_logins} times")
            challenges = self._verifier.challenges(self._now, stale)
            headers = tuple(("WWW-Authenticate", value) for value in challenges)
            raise RtspError(401, error.reason, headers=headers) from None
        if not may(account.level, AccessClass.READ_MEDIA):
            raise RtspError(403, "account may not see media")
        return account

    def _options(self, request: Request) -> Event | None:
        # RFC 2326 12.32 lets a client ask for features here too
        check_require(request, replay=True)
        self._answer(request, 200, [("Public", PUBLIC)], self._named_session(request))
        return None

    def _describe(self, request: Request) -> Event | None:
        accept = request.headers.get("Accept")
        if accept and not re.search(r"application/sdp|application/\*|\*/\*", accept, re.IGNORECASE):
            raise RtspError(406, "only application/sdp is available")
        path, _ = split_target(request.uri)
        self._pending = Pending(request, self._described)
        return Find(((path, None),), self._login)

    @property
    def _login(self) -> Account:
        if self.account is None:
            raise RtspError(401, "credentials are needed")
        return self.account

    def _described(self, pending: Pending, presentation: Presentation, path: str, control: str | None) -> Event | None:
        request = pending.request
        check_require(request, replay=presentation.replay)
        identity = zlib.crc32(path.encode())
        version = zlib.crc32(repr(presentation.tracks).encode())
        body = build_sdp(presentation, self._local_host, identity, version)
        base = without_query(request.uri).rstrip("/") + "/"
        self._answer(request, 200, [("Content-Base", base), ("Content-Type", "application/sdp")], body=body)
        return None

    def _setup(self, request: Request) -> Event | None:
        offered = request.headers.get("Transport")
        transport = choose_transport(h.parse_transport(offered), self._tcp_only) if offered else None
        if transport is None:
            raise RtspError(461, f"transport must be RTP/AVP unicast over {'' if self._tcp_only else 'UDP or '}TCP")
        session = self._named_session(request)
        if session is None and len(self.sessions) >= self._limits.sessions:
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
            pending = Pending(request, self._found_track, session, transport)
            return self._found_track(pending, session.presentation, *found)
        self._pending = Pending(request, self._found_track, None, transport)
        return Find(candidates, self._login)

    def _found_track(
        self, pending: Pending, presentation: Presentation, path: str, control: str | None
    ) -> Event | None:
        request, transport = pending.request, pending.transport
        assert transport is not None
        replay = check_require(request, replay=presentation.replay)
        track = track_index(presentation, control)
        session = pending.session
        if session is None:
            session = self._new_session(request, presentation, path, control)
        session.require_replay |= replay
        if any(isinstance(other, Udp) == transport.tcp for other in session.tracks.values()):
            raise RtspError(461, "tracks of a session share one kind of transport")
        if transport.tcp:
            channels = free_channels(self.sessions.values(), session, track, transport.interleaved)
            session.tracks[track] = channels
            self._answer_setup(request, session, track, h.Transport(tcp=True, interleaved=channels))
            return None
        if transport.client_port is None:
            raise RtspError(461, "client_port is missing")
        pending.session = session
        pending.then = lambda waiting, ports: self._opened(waiting, track, ports)
        self.sessions[session.id] = session
        self._pending = pending
        return OpenUdp(session, track, transport.client_port)

    def _opened(self, pending: Pending, track: int, server_port: tuple[int, int]) -> Event | None:
        session, transport = pending.session, pending.transport
        assert session is not None
        assert transport is not None
        assert transport.client_port is not None
        session.tracks[track] = Udp(transport.client_port, server_port)
        answer = h.Transport(client_port=transport.client_port, server_port=server_port)
        self._answer_setup(pending.request, session, track, answer)
        return None

    def _new_session(self, request: Request, presentation: Presentation, path: str, control: str | None) -> Session:
        base = without_query(request.uri).rstrip("/")
        if control is not None and base.endswith("/" + control):
            base = base[: -len(control) - 1]
        session = Session(secrets.token_hex(12), path, base, presentation, 0.0)
        self._touch(session)
        return session

    def _answer_setup(self, request: Request, session: Session, track: int, transport: h.Transport) -> None:
        self.sessions[session.id] = session
        self._touch(session)
        transport = replace(transport, ssrc=session.presentation.tracks[track].ssrc)
        value = h.SessionHeader(session.id, session.timeout).format()
        self._answer(request, 200, [("Transport", transport.format()), ("Session", value)])

    def _play(self, request: Request) -> Event | None:
        session = self._needed_session(request)
        check_aggregate(request, session)
        replay = check_require(request, replay=session.presentation.replay)
        play = play_request(request, replay or session.require_replay)
        self._pending = Pending(request, self._playing, session)
        return Play(session, play)

    def _playing(self, pending: Pending, reply: PlayReply) -> Event | None:
        session, request = pending.session, pending.request
        assert session is not None
        session.playing = True
        self._answer(request, 200, play_fields(request, session, reply), session)
        return None

    def _pause(self, request: Request) -> Event | None:
        session = self._needed_session(request)
        check_aggregate(request, session)
        check_require(request, replay=session.presentation.replay)
        value = request.headers.get("Range")
        # live media has no other time than now
        at = h.parse_pause_point(value) if value is not None and session.presentation.replay else None
        if not session.playing:
            # RFC 2326 A.2 has no PAUSE in Ready, and A.1 none in Init; clients that pause twice lose nothing by 200
            self._answer(request, 200, [], session)
            return None
        self._pending = Pending(request, self._is_paused, session)
        return Pause(session, at)

    def _is_paused(self, pending: Pending, now: bool) -> Event | None:
        session = pending.session
        assert session is not None
        session.playing = session.playing and not now
        self._answer(pending.request, 200, [], session)
        return None

    def _teardown(self, request: Request) -> Event | None:
        session = self._needed_session(request)
        check_aggregate(request, session)
        check_require(request, replay=True)
        self._answer(request, 200, [], session)
        self._end(session, "TEARDOWN")
        return None

    def _parameter(self, request: Request) -> Event | None:
        session = self._named_session(request)
        check_require(request, replay=True)
        if request.method == "SET_PARAMETER" and request.body.strip():
            raise RtspError(451, "no parameter can be set")
        self._answer(request, 200, [], session)
        return None

    _HANDLERS: dict[str, Callable[[ServerConnection, Request], Event | None]] = {
        "OPTIONS": _options,
        "DESCRIBE": _describe,
        "SETUP": _setup,
        "PLAY": _play,
        "PAUSE": _pause,
        "TEARDOWN": _teardown,
        "GET_PARAMETER": _parameter,
        "SET_PARAMETER": _parameter,
    }

    # checks

    def _named_session(self, request: Request) -> Session | None:
        value = request.headers.get("Session")
        if value is None:
            return None
        session = self.sessions.get(h.parse_session(value).id)
        if session is None:
            raise RtspError(454, "session is not known")
        return session

    def _needed_session(self, request: Request) -> Session:
        session = self._named_session(request)
        if session is None:
            # RFC 2326 A.1: in Init only SETUP and TEARDOWN are valid
            raise RtspError(454 if self.sessions else 455, f"{request.method} needs a session")
        if not session.tracks:
            raise RtspError(455, "no track is set up")
        return session

    # output

    def _touch(self, session: Session) -> None:
        session.deadline = self._now + session.timeout + self._limits.timeout_grace

    def _end(self, session: Session, reason: str) -> None:
        self.sessions.pop(session.id, None)
        if not self.sessions:
            self._deadline = self._now + self._limits.idle_timeout
        self._events.append(SessionEnded(session, reason))

    def _answer(
        self,
        request: Request,
        status: int,
        fields: list[tuple[str, str]],
        session: Session | None = None,
        body: bytes = b"",
    ) -> None:
        cseq = request.headers.get("CSeq")
        start = [("CSeq", cseq)] if cseq is not None and re.fullmatch("[0-9]{1,10}", cseq) else []
        if session is not None:
            start.append(("Session", session.id))
        self._out.append(Response(status, Headers(start + fields), body).serialise())

    def _answer_error(self, request: Request, error: OnvifdError, session: Session | None = None) -> None:
        status = error.status if isinstance(error, RtspError) else error.rtsp_status
        fields = list(error.headers) if isinstance(error, RtspError) else []
        if status == 302:
            # The same address on another connection (RFC 2326 11.3 and 12.25): the front door brings it to its owner.
            fields.append(("Location", request.uri))
        log.debug("RTSP %s %s answered %d: %s", request.method, without_query(request.uri), status, error.reason)
        if session is not None and not session.tracks:
            self.sessions.pop(session.id, None)
        self._pending = None
        self._answer(request, status, fields)
