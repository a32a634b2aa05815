"""Any client at the server's machine: every method in any order, of any session, by any transport, over any world.

What holds whatever comes: each request is answered once and in order, a session that was let in is let out once, and the world
hears nothing of a session that it was told the end of.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.access.types import Account, Level
from onvifd.errors import NotFound, Unavailable
from onvifd.rtsp.admission import Budget, Door
from onvifd.rtsp.messages import Headers, Interleaved, Parser, Request, Response, RtspError
from onvifd.rtsp.play import Multicast, PlayReply, RtpInfo
from onvifd.rtsp.server_events import (
    Closed,
    Event,
    Find,
    Limits,
    OpenUdp,
    Pause,
    Play,
    Received,
    Retuned,
    Session,
    SessionEnded,
    Udp,
)
from onvifd.rtsp.server_session import ServerConnection
from tests.rtsp.sample import START
from tests.rtsp.test_server_session import GROUPS, LIVE, PRESENTATIONS, REPLAY

METHODS = (
    "SETUP",
    "SETUP",
    "SETUP",
    "PLAY",
    "PLAY",
    "PAUSE",
    "TEARDOWN",
    "DESCRIBE",
    "GET_PARAMETER",
    "OPTIONS",
    "RECORD",
)
HAPPENINGS = ("time", "answer", "answer", "fail", "frame", "datagram", "ended", "bye", "garbage", "close")
TRANSPORTS = (
    *("RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/AVP;unicast;client_port=5000-5001") * 3,
    "RTP/AVP/TCP;unicast;interleaved=2-3",
    "RTP/AVP/TCP;unicast;interleaved=255-256",
    "RTP/AVP/TCP;unicast;interleaved=3-3",
    "RTP/AVP/TCP;unicast",
    "RTP/AVP;multicast",
    "RTP/SAVP;unicast;client_port=5000-5001",
    "",
)
RANGES = (
    "npt=now-",
    "clock=20260101T000003Z-",
    "clock=20260101T000003Z",
    "clock=20260101T000009Z-20260101T000003Z",
    "npt=x",
)


class Counted(Door):
    """A door that is left once by whoever came in, and by nobody else."""

    def __init__(self) -> None:
        super().__init__(Budget(sessions=3))
        self.inside: dict[str, Session] = {}

    def admit(self, session: Session, account: str, address: str) -> None:
        super().admit(session, account, address)
        assert session.id not in self.inside
        self.inside[session.id] = session

    def release(self, session: Session) -> None:
        super().release(session)
        self.inside.pop(session.id, None)


class Anybody:
    """Lets in whoever names himself."""

    def challenges(self, now: float, stale: bool = False) -> tuple[str, ...]:
        return ("Digest",)

    def verify(
        self,
        authorization: str,
        method: str,
        uri: str,
        now: float,
        *,
        peer: str = "",
        local: str = "",
        held: str = "",
    ) -> Account:
        return Account(authorization, Level.USER)


@dataclass
class World:
    """One connection, its client and all that its machine asks."""

    seed: int
    asked: list[int] = field(default_factory=list)
    """CSeq of each request that waits for its answer."""
    known: list[str] = field(default_factory=lambda: ["none"])
    ended: set[str] = field(default_factory=set)
    waiting: list[Event] = field(default_factory=list)
    """What the machine waits for: never more than one."""
    gone: bool = False

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.now = 1000.0
        self.door = Counted()
        self.machine = ServerConnection(
            Anybody(),
            local_host="192.0.2.9",
            now=self.now,
            limits=Limits(sessions=2),
            peer="192.0.2.7",
            tcp_only=self.chance.random() < 0.2,
            admission=self.door,
        )
        self.parser = Parser()
        self.cseq = 0

    def step(self, happening: str) -> None:
        match happening:
            case "time":
                self.now += self.chance.choice((0.01, 0.1, 1, 10, 40, 70, 130))
                self.machine.handle_timer(self.now)
                deadline = self.machine.next_deadline()
                assert deadline is None or deadline > self.now or self.waiting
            case "answer" | "fail":
                if self.waiting:
                    self.answer(self.waiting.pop(), happening == "fail")
            case "frame":
                self.machine.receive_data(Interleaved(self.chance.randrange(5), bytes(20)).serialise(), self.now)
            case "datagram" | "ended" | "bye":
                sessions = list(self.machine.sessions.values())
                if sessions and (happening != "ended" or self.chance.random() < 0.3):
                    self.happen(happening, self.chance.choice(sessions))
            case "garbage":
                self.machine.receive_data(
                    self.chance.choice((b"\r\n", b"RTSP/1.0 200 OK\r\n\r\n", b"$\x09\0\0")), self.now
                )
            case "close":
                if self.chance.random() < 0.1:
                    self.machine.close("the client is gone")
            case method:
                self.ask(method)
        self.pump()
        while self.waiting and self.chance.random() < 0.7:
            self.answer(self.waiting.pop(), fail=False)
            self.pump()
        self.check()

    def happen(self, happening: str, session: Session) -> None:
        match happening:
            case "datagram":
                self.machine.datagram_received(session, 0, self.chance.random() < 0.5, bytes(12), self.now)
            case "ended":
                self.machine.end_session(session, "source has ended")
            case _:
                self.machine.left(session, self.now)

    def ask(self, method: str) -> None:
        chance = self.chance
        self.cseq += 1
        named = chance.choice(list(self.machine.sessions) * 8 + self.known)
        url = chance.choice((LIVE, LIVE, REPLAY, GROUPS, "*", "rtsp://h/none"))
        if (session := self.machine.sessions.get(named)) is not None and chance.random() < 0.8:
            url = session.base
        if chance.random() < {"SETUP": 0.95, "PLAY": 0.3, "PAUSE": 0.3, "TEARDOWN": 0.6}.get(method, 0.0):
            url += f"/trackID={chance.choice((0, 0, 0, 1, 1, 1, 2))}"
        headers = Headers([("CSeq", str(self.cseq)), ("Authorization", "x")][: 1 + (chance.random() < 0.97)])
        if method == "SETUP":
            headers.add("Transport", chance.choice(TRANSPORTS))
        if chance.random() < (0.5 if method == "SETUP" else 0.95):
            headers.add("Session", named)
        if method in ("PLAY", "PAUSE") and chance.random() < 0.3:
            headers.add("Range", chance.choice(RANGES))
        if chance.random() < 0.05:
            headers.add("Require", chance.choice(("onvif-replay", "x-new")))
        if not self.machine.closed:
            self.asked.append(self.cseq)
        self.machine.receive_data(Request(method, url, headers, b"").serialise(), self.now)

    def pump(self) -> None:
        while (event := self.machine.next_event(self.now)) is not None:
            assert not self.gone
            self.take(event)
        self.parser.receive_data(self.machine.data_to_send())
        while (message := self.parser.next_message()) is not None:
            assert isinstance(message, Response)
            if message.headers.get("CSeq") is not None:
                assert self.asked.pop(0) == int(message.headers.get("CSeq") or 0)
            if message.status == 200 and "Transport" in message.headers:
                self.known.append((message.headers.get("Session") or "").partition(";")[0])

    def take(self, event: Event) -> None:
        session = getattr(event, "session", None)
        assert session is None or session.id not in self.ended
        match event:
            case Closed():
                self.gone = True
            case SessionEnded():
                self.ended.add(event.session.id)
            case Find() | OpenUdp() | Play() | Pause():
                assert not self.waiting or self.machine.closed
                self.waiting = [event]
            case Received() | Retuned():
                pass

    def answer(self, event: Event, fail: bool) -> None:
        if fail:
            self.machine.failed(self.chance.choice((Unavailable("not now"), NotFound("no"), RtspError(457, "no"))))
            return
        match event:
            case Find():
                for path, control in event.candidates:
                    if path in PRESENTATIONS:
                        self.machine.found(PRESENTATIONS[path], path, control)
                        return
                self.machine.failed(NotFound("nothing"))
            case OpenUdp():
                self.machine.set_up((6000, 6001))
            case Play():
                self.machine.played(PlayReply(start=START, rtp=(RtpInfo(0, 7, 900), RtpInfo(1, 8, 80))))
            case Pause():
                self.machine.paused(event.at is None)

    def check(self) -> None:
        machine = self.machine
        assert set(self.door.inside) == set(machine.sessions)
        assert not self.ended & set(machine.sessions)
        assert len(machine.sessions) <= 2
        channels = [
            channel
            for session in machine.sessions.values()
            for way in session.tracks.values()
            if not isinstance(way, Udp | Multicast)
            for channel in way
        ]
        assert len(channels) == len(set(channels))
        assert all(0 <= channel < 256 for channel in channels)
        for session in machine.sessions.values():
            assert session.tracks or self.waiting
            assert session.held <= set(session.tracks)
            assert not session.playing or session.held != set(session.tracks)
            assert len({type(way) for way in session.tracks.values()}) <= 1
        if machine.closed:
            assert self.gone
            assert not machine.sessions
            assert set(self.known) - {"none"} <= self.ended
        else:
            # No request is forgotten: it is answered, or the world is asked.
            assert not self.asked or self.waiting


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30), st.lists(st.sampled_from((*METHODS, *HAPPENINGS)), min_size=1, max_size=60))
def test_sessions_stay_in_order(seed: int, happenings: list[str]) -> None:
    world = World(seed)
    for happening in ("SETUP", "answer", *happenings):
        world.step(happening)
    world.machine.close("the client is gone")
    world.pump()
    world.check()
