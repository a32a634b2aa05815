"""The server's side of one RTSP connection, without sockets: bytes in, events and bytes out (RFC 2326; Streaming 5.2, 6).

Requests are answered strictly one after another. What the machine cannot do itself it hands out as an event
(`next_event`) and waits until the caller answers with `found`, `set_up`, `played`, `paused` or `failed`; requests behind
it stay in the buffer meanwhile. `now` is monotonic seconds.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from onvifd.access.types import Account
from onvifd.errors import OnvifdError
from onvifd.rtsp import headers as h
from onvifd.rtsp.messages import Headers, Interleaved, Parser, Request, Response, RtspError
from onvifd.rtsp.play import Multicast, PlayReply, Presentation
from onvifd.rtsp.protection import Protection, opened
from onvifd.rtsp.requests import without_query
from onvifd.rtsp.server_events import (
    Admission,
    Bucket,
    Closed,
    Event,
    Limits,
    Pending,
    Received,
    Session,
    SessionEnded,
    Udp,
    Verifier,
)
from onvifd.rtsp.server_login import Login
from onvifd.rtsp.server_methods import PUBLIC, Methods
from onvifd.rtsp.server_setup import SetupMethod

log = logging.getLogger(__name__)

_FOREIGN = frozenset(("ANNOUNCE", "RECORD", "REDIRECT"))


class ServerConnection:
    """See module. `local_host` is the address that the client reached us by.

    `tcp_only`: media goes by this connection alone, since it is a tunnel that UDP would not get around. `protection`: the
    connection is encrypted, so what leaves it is SRTP.
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
        protection: Protection | None = None,
        admission: Admission | None = None,
    ) -> None:
        self.local_host = local_host
        self.peer = peer
        self.tcp_only = tcp_only
        self.protection = protection
        self.limits = limits or Limits()
        self._admission = admission
        self._login = Login(verifier, peer=peer, local=local_host)
        self._parser = Parser()
        self._out: list[bytes] = []
        self._events: list[Event] = []
        self._pending: Pending | None = None
        self._deadline = now + self.limits.login_timeout
        self._requests = Bucket(self.limits.requests_per_second, self.limits.request_burst, now)
        self._frames = Bucket(self.limits.frames_per_second, self.limits.frames_per_second, now)
        self._now = now
        self.sessions: dict[str, Session] = {}
        self.account: Account | None = None
        self.accounts: set[str] = set()
        """All that have logged in here: what one of them has begun goes on under the login of another."""
        self.closed = False
        methods, setup = Methods(self), SetupMethod(self)
        self._handlers: dict[str, Callable[[Request], Event | None]] = {
            "OPTIONS": methods.options,
            "DESCRIBE": methods.describe,
            "SETUP": setup.setup,
            "PLAY": methods.play,
            "PAUSE": methods.pause,
            "TEARDOWN": methods.teardown,
            "GET_PARAMETER": methods.parameter,
            "SET_PARAMETER": methods.parameter,
        }

    # input

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes from the client."""
        self._now = now
        if self.closed:
            return
        self._parser.receive_data(data)
        if self._pending and self._parser.size > self.limits.buffer:
            self.close("sends faster than it can be answered")

    def datagram_received(self, session: Session, track: int, rtcp: bool, data: bytes, now: float) -> None:
        """Something came by UDP: a report keeps the session (Streaming 5.2.2.2)."""
        self._now = now
        if self.closed or session.id not in self.sessions or not self._frames.take(now):
            return
        content = opened(session.secured.get(track), rtcp, data)
        if content is not None:
            self.touch(session)
            self._events.append(Received(session, track, rtcp, content))

    def left(self, session: Session, now: float) -> None:
        """The client said BYE: unless it gives another sign of life the session ends soon. It may have meant one of its sources
        (RFC 3550 8.2), or be about to send TEARDOWN."""
        session.deadline = min(session.deadline, now + self.limits.bye_grace)

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
                    self.touch(session)
                else:
                    self.end(session, f"silent for {session.timeout} s")
        if not self.sessions and self._deadline <= now and not self._pending:
            idle = "has not logged in" if self.account is None else "is idle"
            self.close(idle, noteworthy=self.account is None)

    def end_session(self, session: Session, reason: str) -> None:
        """The media side is done with a session: TCP clients see it by the close of their connection."""
        if self.sessions.get(session.id) is session:
            self.end(session, reason)
            if not self.sessions:
                self.close(reason, noteworthy=False)

    def close(self, reason: str, noteworthy: bool = True) -> None:
        """End everything; events tell what is to be freed."""
        if self.closed:
            return
        for session in list(self.sessions.values()):
            self.end(session, reason)
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
            for track, channels in session.tracks.items():
                if not isinstance(channels, Udp | Multicast) and frame.channel in channels:
                    self.touch(session)
                    rtcp = frame.channel == channels[1]
                    content = opened(session.secured.get(track), rtcp, frame.data)
                    if content is not None:
                        self._events.append(Received(session, track, rtcp, content))

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
        handler = self._handlers.get(method)
        if handler is None:
            raise RtspError(501, "method is not known", headers=(("Public", PUBLIC),))
        if method != "OPTIONS":
            self.account = self._authenticate(request)
            self.accounts.add(self.account.name)
        for session in self.sessions.values():
            self.touch(session)
        if self.account is not None:
            self._deadline = self._now + self.limits.idle_timeout
        return handler(request)

    def _authenticate(self, request: Request) -> Account:
        try:
            return self._login.authenticate(request, self._now)
        except RtspError:
            if self._login.failures >= self.limits.failed_logins:
                self.close(f"failed to log in {self._login.failures} times")
            raise

    @property
    def now(self) -> float:
        """See Conversation."""
        return self._now

    @property
    def login(self) -> Account:
        """See Conversation."""
        if self.account is None:
            raise RtspError(401, "credentials are needed")
        return self.account

    def wait(self, pending: Pending) -> None:
        """See Conversation."""
        self._pending = pending

    def admit(self, session: Session) -> None:
        """See Conversation."""
        if self._admission is not None:
            self._admission.admit(session, self.login.name, self.peer)

    def named_session(self, request: Request) -> Session | None:
        """See Conversation."""
        value = request.headers.get("Session")
        if value is None:
            return None
        session = self.sessions.get(h.parse_session(value).id)
        if session is None:
            raise RtspError(454, "session is not known")
        return session

    def needed_session(self, request: Request) -> Session:
        """See Conversation."""
        session = self.named_session(request)
        if session is None:
            # RFC 2326 A.1: in Init only SETUP and TEARDOWN are valid
            raise RtspError(454 if self.sessions else 455, f"{request.method} needs a session")
        if not session.tracks:
            raise RtspError(455, "no track is set up")
        return session

    # output

    def touch(self, session: Session) -> None:
        """See Conversation."""
        session.deadline = self._now + session.timeout + self.limits.timeout_grace

    def end(self, session: Session, reason: str) -> None:
        """See Conversation."""
        self.sessions.pop(session.id, None)
        self._release(session)
        if not self.sessions:
            self._deadline = self._now + self.limits.idle_timeout
        self._events.append(SessionEnded(session, reason))

    def _release(self, session: Session) -> None:
        if self._admission is not None:
            self._admission.release(session)

    def answer(
        self,
        request: Request,
        status: int,
        fields: list[tuple[str, str]],
        session: Session | None = None,
        body: bytes = b"",
    ) -> None:
        """See Conversation."""
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
            self._release(session)
        self._pending = None
        self.answer(request, status, fields)
