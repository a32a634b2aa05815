"""The server's machine of one connection: requests in, answers out, with time given."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.access.digest import ClientDigest
from onvifd.errors import NotFound, Unavailable
from onvifd.media.types import Codec, TrackFormat
from onvifd.rtsp.headers import parse_rtp_info
from onvifd.rtsp.messages import Headers, Interleaved, Parser, Request, Response
from onvifd.rtsp.play import Frames, Multicast, Outlet, Playback, PlayReply, PlayRequest, RtpInfo, TrackDescription
from onvifd.rtsp.server_events import Closed, Event, Find, Limits, OpenUdp, Pause, Play, Retuned, SessionEnded
from onvifd.rtsp.server_session import ServerConnection
from tests.rtsp.sample import PASSWORD, START, USER, verifier

LIVE = "rtsp://192.0.2.9:554/live/cam-1/main"
REPLAY = "rtsp://192.0.2.9:554/replay/rec-1"
TCP = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")
H264 = TrackFormat(codec=Codec.H264, clock_rate=90000)
PCMU = TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1)


@dataclass
class Sample:
    replay: bool = False
    range: tuple[int, int] | None = None
    name: str = "sample"
    session_timeout: int = 60
    tracks: tuple[TrackDescription, ...] = (
        TrackDescription(format=H264, payload_type=96, control="trackID=0", ssrc=0x1234),
        TrackDescription(format=PCMU, payload_type=0, control="trackID=1"),
    )

    def open(self, outlet: Outlet) -> Playback:
        raise NotImplementedError


GROUP = Multicast("239.1.2.3", 5000, 4)
GROUPS = "rtsp://192.0.2.9:554/live/cam-1/group"
GROUPED = Sample(
    tracks=(
        TrackDescription(format=H264, payload_type=96, control="trackID=0", ssrc=0x1234, multicast=GROUP),
        TrackDescription(format=PCMU, payload_type=0, control="trackID=1"),
    )
)
PRESENTATIONS = {
    "/live/cam-1/group": GROUPED,
    "/live/cam-1/main": Sample(),
    "/replay/rec-1": Sample(True, (START, START + 10_000_000)),
}


class Peer:
    """A client and a server's machine in memory, and the world that answers the machine."""

    def __init__(self, user: str = USER, password: str = PASSWORD, limits: Limits | None = None) -> None:
        self.now = 1000.0
        self.machine = ServerConnection(verifier(), local_host="192.0.2.9", now=self.now, limits=limits)
        self.digest: ClientDigest | None = ClientDigest(user, password)
        self.parser = Parser()
        self.events: list[Event] = []
        self.cseq = 0
        self.session = ""
        self.hold = False
        self.reply = PlayReply(start=START, rtp=(RtpInfo(0, 7, 900), RtpInfo(1, 8, 80)))

    def send(self, data: bytes) -> list[Response]:
        self.machine.receive_data(data, self.now)
        return self.pump()

    def pump(self) -> list[Response]:
        while (event := self.machine.next_event(self.now)) is not None:
            self.events.append(event)
            if not self.hold:
                self.answer(event)
        self.parser.receive_data(self.machine.data_to_send())
        found = []
        while (message := self.parser.next_message()) is not None:
            assert isinstance(message, Response)
            found.append(message)
        return found

    def answer(self, event: Event) -> None:
        if isinstance(event, Find):
            for path, control in event.candidates:
                if path in PRESENTATIONS:
                    self.machine.found(PRESENTATIONS[path], path, control)
                    return
            off = any("off" in path for path, _ in event.candidates)
            self.machine.failed(Unavailable("no signal") if off else NotFound("nothing"))
        elif isinstance(event, OpenUdp):
            self.machine.set_up((6000, 6001))
        elif isinstance(event, Play):
            self.machine.played(self.reply)
        elif isinstance(event, Pause):
            self.machine.paused(event.at is None)

    def serialise(self, method: str, uri: str, *fields: tuple[str, str], body: bytes = b"") -> bytes:
        self.cseq += 1
        headers = Headers([("CSeq", str(self.cseq)), *fields])
        if self.session and "Session" not in headers:
            headers.add("Session", self.session)
        value = self.digest.authorization(method, uri) if self.digest else None
        if value:
            headers.add("Authorization", value)
        return Request(method, uri, headers, body).serialise()

    def ask(self, method: str, uri: str, *fields: tuple[str, str], body: bytes = b"") -> Response:
        (response,) = self.send(self.serialise(method, uri, *fields, body=body))
        if response.status == 401 and self.digest is not None:
            if not self.digest.receive_challenge(response.headers.all("WWW-Authenticate")):
                return response
            (response,) = self.send(self.serialise(method, uri, *fields, body=body))
        assert response.headers.get("CSeq") == str(self.cseq)
        return response

    def set_up(self, url: str = LIVE, track: int = 0, *fields: tuple[str, str]) -> Response:
        channels = f"RTP/AVP/TCP;unicast;interleaved={2 * track}-{2 * track + 1}"
        response = self.ask("SETUP", f"{url}/trackID={track}", ("Transport", channels), *fields)
        assert response.status == 200, response
        self.session = (response.headers.get("Session") or "").partition(";")[0]
        return response

    def request_of_play(self) -> PlayRequest:
        return next(event.request for event in reversed(self.events) if isinstance(event, Play))


def test_options_needs_no_login() -> None:
    peer = Peer()
    peer.digest = None
    response = peer.ask("OPTIONS", "*")
    assert response.status == 200
    assert "GET_PARAMETER" in (response.headers.get("Public") or "")


@pytest.mark.covers("M-RTSPDigest", "SEC-04", "T-RTSPDigest")
@pytest.mark.parametrize("method", ["DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER"])
def test_everything_else_is_challenged(method: str) -> None:
    peer = Peer()
    peer.digest = None
    response = peer.ask(method, LIVE, TCP)
    assert response.status == 401
    assert (response.headers.get("WWW-Authenticate") or "").startswith('Digest realm="onvifd", nonce="')


@pytest.mark.covers("PLY-37")
def test_wrong_password_and_too_low_level() -> None:
    assert Peer(password="wrong").ask("DESCRIBE", LIVE).status == 401
    assert Peer(user="nobody").ask("DESCRIBE", LIVE).status == 403


@pytest.mark.covers("SEC-09")
def test_guessing_is_ended() -> None:
    peer = Peer(limits=Limits(failed_logins=3))
    for _ in range(3):
        assert peer.digest is not None
        peer.digest = ClientDigest(USER, "wrong")
        peer.ask("DESCRIBE", LIVE)
    assert peer.machine.closed


def test_describe() -> None:
    response = Peer().ask("DESCRIBE", LIVE + "?tcp", ("Accept", "application/sdp"))
    assert response.status == 200
    assert response.headers.get("Content-Type") == "application/sdp"
    assert response.headers.get("Content-Base") == LIVE + "/"
    assert b"o=- " in response.body
    assert b"IN IP4 192.0.2.9\r\n" in response.body


@pytest.mark.parametrize(
    ("method", "uri", "fields", "status"),
    [
        ("DESCRIBE", "rtsp://h/none", (), 404),
        ("DESCRIBE", "rtsp://h/off", (), 503),
        ("DESCRIBE", LIVE, (("Accept", "text/html"),), 406),
        ("DESCRIBE", LIVE, (("Require", "www.onvif.org/ver20/backchannel"),), 551),
        ("DESCRIBE", LIVE, (("Require", "onvif-replay"),), 551),
        ("SETUP", LIVE + "/trackID=0", (), 461),
        ("SETUP", LIVE + "/trackID=0", (("Transport", "RTP/AVP;multicast;port=1-2"),), 461),
        ("SETUP", LIVE + "/trackID=0", (("Transport", "RTP/SAVP;unicast;client_port=4-5"),), 461),
        ("SETUP", LIVE + "/trackID=9", (TCP,), 404),
        ("SETUP", LIVE, (TCP,), 459),
        ("SETUP", LIVE + "/trackID=0", (TCP, ("Session", "abc")), 454),
        ("PLAY", LIVE, (), 455),
        ("PLAY", LIVE, (("Session", "abc"),), 454),
        ("TEARDOWN", LIVE, (("Session", "abc"),), 454),
        ("GET_PARAMETER", LIVE, (("Session", "abc"),), 454),
        ("ANNOUNCE", LIVE, (), 405),
        ("RECORD", LIVE, (), 405),
        ("FETCH", LIVE, (), 501),
    ],
)
def test_refusals(method: str, uri: str, fields: tuple[tuple[str, str], ...], status: int) -> None:
    response = Peer().ask(method, uri, *fields)
    assert response.status == status
    if status == 551:
        assert response.headers.get("Unsupported") == fields[0][1]
    if status == 405:
        assert "PLAY" in (response.headers.get("Allow") or "")


def test_version_and_cseq() -> None:
    assert Peer().send(b"OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n")[0].status == 505
    (response,) = Peer().send(b"OPTIONS * RTSP/1.0\r\n\r\n")
    assert response.status == 400
    assert "CSeq" not in response.headers


@pytest.mark.covers("S-RTSP", "T-RTSP")
def test_live_from_setup_to_teardown() -> None:
    peer = Peer()
    response = peer.set_up()
    assert re.fullmatch("[0-9a-f]{24};timeout=60", response.headers.get("Session") or "")
    assert response.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00001234"
    peer.set_up(track=1)
    response = peer.ask("PLAY", LIVE + "/", ("Range", "npt=0.000-"))
    assert response.status == 200
    assert response.headers.get("Range") == "clock=20260101T000000.000Z-"
    assert response.headers.get("RTP-Info") == (
        f"url={LIVE}/trackID=0;seq=7;rtptime=900,url={LIVE}/trackID=1;seq=8;rtptime=80"
    )
    assert peer.ask("PAUSE", LIVE).status == 200
    assert peer.ask("PLAY", LIVE).status == 200
    response = peer.ask("TEARDOWN", LIVE)
    assert response.status == 200
    assert isinstance(peer.events[-1], SessionEnded)
    assert peer.ask("PLAY", LIVE).status == 454


def test_rtp_info_names_set_up_tracks_only() -> None:
    peer = Peer()
    peer.set_up(track=1)
    info = peer.ask("PLAY", LIVE).headers.get("RTP-Info")
    assert info == f"url={LIVE}/trackID=1;seq=8;rtptime=80"


def test_channels_that_are_taken_are_replaced() -> None:
    peer = Peer()
    peer.set_up()
    response = peer.ask("SETUP", LIVE + "/trackID=1", TCP)
    assert "interleaved=2-3" in (response.headers.get("Transport") or "")


def test_udp() -> None:
    peer = Peer()
    udp = ("Transport", "RTP/AVP;unicast;client_port=5000-5001;destination=198.51.100.1")
    response = peer.ask("SETUP", LIVE + "/trackID=0", udp)
    # the destination is never the client's to choose
    assert response.headers.get("Transport") == (
        "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc=00001234"
    )
    peer.session = (response.headers.get("Session") or "").partition(";")[0]
    assert peer.ask("SETUP", LIVE + "/trackID=1", TCP).status == 461


def test_a_port_that_nobody_can_have_is_refused() -> None:
    peer = Peer()
    answer = peer.ask("SETUP", f"{LIVE}/trackID=0", ("Transport", "RTP/AVP;unicast;client_port=0-1"))
    assert (answer.status, peer.machine.sessions) == (461, {})
    both = "RTP/AVP;unicast;client_port=0-1,RTP/AVP/TCP;unicast;interleaved=0-1"
    assert peer.ask("SETUP", f"{LIVE}/trackID=0", ("Transport", both)).status == 200


def test_control_behind_a_query() -> None:
    response = Peer().ask("SETUP", LIVE + "?a=b/trackID=1", TCP)
    assert response.status == 200


@pytest.mark.covers("G-onvif-replay")
def test_replay_headers_reach_the_playback() -> None:
    peer = Peer()
    peer.set_up(REPLAY, 0, ("Require", "onvif-replay"))
    response = peer.ask(
        "PLAY",
        REPLAY,
        ("Require", "onvif-replay"),
        ("Range", "clock=20260101T000002.5Z-20260101T000001Z"),
        ("Rate-Control", "no"),
        ("Scale", "-1.0"),
        ("Frames", "intra/4000"),
        ("Immediate", "yes"),
    )
    assert response.status == 200
    assert peer.request_of_play() == PlayRequest(
        cseq=peer.cseq,
        start=START + 2_500_000,
        end=START + 1_000_000,
        scale=-1.0,
        rate_control=False,
        frames=Frames.INTRA,
        interval=4_000_000,
        immediate=True,
        replay=True,
    )


@pytest.mark.covers("G-onvif-replay")
def test_require_on_play_alone_is_enough() -> None:
    peer = Peer()
    peer.set_up(REPLAY)
    assert peer.ask("PLAY", REPLAY, ("Require", "onvif-replay")).status == 200
    assert peer.request_of_play().replay


def test_play_reply_with_end_and_scale() -> None:
    peer = Peer()
    peer.set_up(REPLAY)
    peer.reply = PlayReply(start=START, end=START + 1_000_000, scale=2.0)
    response = peer.ask("PLAY", REPLAY, ("Scale", "2.0"))
    assert response.headers.get("Range") == "clock=20260101T000000.000Z-20260101T000001.000Z"
    assert response.headers.get("Scale") == "2"
    assert "RTP-Info" not in response.headers


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (("Range", "clock=yesterday-"), 457),
        (("Range", "clock=20260101T000002Z-20260101T000001Z"), 457),
        (("Scale", "0"), 400),
        (("Frames", "none"), 400),
        (("Rate-Control", "perhaps"), 400),
        (("Require", "onvif-replay, x"), 551),
    ],
)
def test_bad_play_headers(field: tuple[str, str], status: int) -> None:
    peer = Peer()
    peer.set_up(REPLAY)
    assert peer.ask("PLAY", REPLAY, field).status == status


def test_scale_without_rate_control() -> None:
    peer = Peer()
    peer.set_up(REPLAY)
    assert peer.ask("PLAY", REPLAY, ("Rate-Control", "no"), ("Scale", "4")).status == 456


def test_aggregate_control() -> None:
    peer = Peer()
    peer.set_up()
    assert peer.ask("PLAY", LIVE + "/trackID=0").status == 200
    assert peer.ask("SETUP", LIVE + "/trackID=1", TCP).status == 455
    peer = Peer()
    peer.set_up()
    peer.set_up(track=1)
    assert peer.ask("SETUP", REPLAY + "/trackID=0", TCP).status == 459
    assert peer.ask("PLAY", REPLAY).status == 404
    assert peer.ask("TEARDOWN", LIVE).status == 200
    peer = Peer()
    peer.set_up(REPLAY)
    peer.set_up(REPLAY, 1)
    for method in ("PLAY", "PAUSE", "TEARDOWN"):
        assert peer.ask(method, REPLAY + "/trackID=0").status == 460, "tracks of a recording play together"


def test_tracks_of_live_media_play_pause_and_end_one_by_one() -> None:
    peer = Peer()
    peer.set_up()
    peer.set_up(track=1)
    (session,) = peer.machine.sessions.values()
    reply = peer.ask("PLAY", LIVE + "/trackID=1")
    assert reply.status == 200
    assert [item.url for item in parse_rtp_info(reply.headers.get("RTP-Info") or "")] == [LIVE + "/trackID=1"]
    assert (session.playing, session.held) == (True, {0})
    assert peer.ask("PLAY", LIVE + "/trackID=0").status == 200
    assert session.held == set()
    assert peer.ask("PAUSE", LIVE + "/trackID=1").status == 200
    assert isinstance(peer.events[-1], Retuned)
    assert (session.playing, session.held) == (True, {1})
    assert peer.ask("PAUSE", LIVE + "/trackID=0").status == 200
    assert isinstance(peer.events[-1], Pause), "the last one that played"
    assert not session.playing
    assert peer.ask("PLAY", LIVE).status == 200
    assert session.held == set()
    assert peer.ask("TEARDOWN", LIVE + "/trackID=0").status == 200
    assert isinstance(peer.events[-1], Retuned)
    assert peer.machine.sessions
    assert peer.ask("TEARDOWN", LIVE + "/trackID=1").status == 200
    assert isinstance(peer.events[-1], SessionEnded)
    assert not peer.machine.sessions


@pytest.mark.covers("S-RTP-UDP-multicast", "T-RTP-UDP-multicast")
def test_a_track_with_a_group_is_set_up_by_multicast() -> None:
    peer = Peer()
    multicast = ("Transport", "RTP/AVP;multicast;destination=239.9.9.9;port=9000-9001;ttl=200")
    reply = peer.ask("SETUP", GROUPS + "/trackID=0", multicast)
    transport = reply.headers.get("Transport") or ""
    assert transport == "RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001;ttl=4;ssrc=00001234"
    peer.session = (reply.headers.get("Session") or "").partition(";")[0]
    assert peer.ask("SETUP", GROUPS + "/trackID=1", multicast).status == 461, "it has no group"
    assert peer.ask("SETUP", GROUPS + "/trackID=1", TCP).status == 461, "one kind of transport per session"
    (session,) = peer.machine.sessions.values()
    assert session.tracks == {0: GROUP}
    assert peer.ask("PLAY", GROUPS).status == 200
    other = Peer()
    assert other.ask("SETUP", LIVE + "/trackID=0", multicast).status == 461
    both = (multicast[0], multicast[1] + ",RTP/AVP;unicast;client_port=4000-4001")
    assert "client_port=4000-4001" in (other.ask("SETUP", LIVE + "/trackID=0", both).headers.get("Transport") or "")


@pytest.mark.covers("S-RTP-UDP-multicast", "T-RTP-UDP-multicast")
def test_groups_are_described_to_those_who_ask_for_multicast() -> None:
    peer = Peer()
    assert b"239." not in peer.ask("DESCRIBE", GROUPS).body
    lines = peer.ask("DESCRIBE", GROUPS + "?multicast").body.decode().split("\r\n")
    at = lines.index("m=video 5000 RTP/AVP 96")
    assert lines[at + 1] == "c=IN IP4 239.1.2.3/4"
    at = lines.index("m=audio 0 RTP/AVP 0")
    assert lines[at + 1] == "c=IN IP4 0.0.0.0"


def test_parameters() -> None:
    peer = Peer()
    peer.set_up()
    assert peer.ask("GET_PARAMETER", LIVE).status == 200
    assert peer.ask("SET_PARAMETER", LIVE).status == 200
    assert peer.ask("SET_PARAMETER", LIVE, body=b"volume: 11\r\n").status == 451


@pytest.mark.covers("G-ReplaySessionTimeout")
def test_session_ends_when_the_client_is_silent() -> None:
    peer = Peer()
    peer.set_up()
    deadline = peer.machine.next_deadline()
    assert deadline == peer.now + 60 + Limits().timeout_grace
    peer.now = deadline - 1
    peer.machine.handle_timer(peer.now)
    assert peer.machine.sessions
    peer.now = deadline
    peer.machine.handle_timer(peer.now)
    peer.pump()
    assert [type(event) for event in peer.events[-1:]] == [SessionEnded]
    assert peer.ask("PLAY", LIVE).status == 454


@pytest.mark.parametrize("kind", ["GET_PARAMETER", "OPTIONS", "receiver report", "udp report"])
def test_what_keeps_a_session(kind: str) -> None:
    peer = Peer()
    peer.set_up()
    (session,) = peer.machine.sessions.values()
    for _ in range(5):
        peer.now += 55
        if kind == "receiver report":
            peer.send(Interleaved(1, b"\x80\xc9\x00\x01\x00\x00\x00\x00").serialise())
        elif kind == "udp report":
            peer.machine.datagram_received(session, 0, True, b"report", peer.now)
        else:
            peer.ask(kind, LIVE)
        peer.machine.handle_timer(peer.now)
    assert peer.ask("PLAY", LIVE).status == 200


def test_a_client_that_keeps_its_nonce_keeps_its_session() -> None:
    """Some clients answer a challenge once in a connection, whatever comes later."""
    peer = Peer()
    peer.set_up()
    for _ in range(200):
        peer.now += 50
        (answer,) = peer.send(peer.serialise("GET_PARAMETER", LIVE))
        assert answer.status == 200
        peer.machine.handle_timer(peer.now)
    assert peer.machine.sessions


def test_play_tells_no_time_that_is_none_of_the_clock() -> None:
    """Streaming 5.2.2.3: Range has clock units or is not there."""
    peer = Peer()
    peer.set_up()
    peer.reply = PlayReply(start=None)
    response = peer.ask("PLAY", LIVE)
    assert (response.status, response.headers.get("Range")) == (200, None)


def test_data_on_a_foreign_channel_keeps_nothing() -> None:
    peer = Peer()
    peer.set_up()
    before = peer.machine.next_deadline()
    peer.now += 30
    peer.send(Interleaved(77, b"x").serialise())
    assert peer.machine.next_deadline() == before


def test_who_does_not_log_in_is_cut() -> None:
    peer = Peer()
    peer.digest = None
    peer.now += 29
    assert peer.ask("OPTIONS", "*").status == 200  # OPTIONS is no login
    peer.now += 1
    peer.machine.handle_timer(peer.now)
    peer.pump()
    assert peer.events == [Closed("has not logged in")]


def test_requests_are_answered_in_order_and_one_by_one() -> None:
    peer = Peer()
    peer.ask("DESCRIBE", LIVE)
    peer.hold, peer.events = True, []
    first, second = peer.serialise("DESCRIBE", LIVE), peer.serialise("OPTIONS", LIVE)
    assert peer.send(first + second) == []
    peer.machine.found(PRESENTATIONS["/live/cam-1/main"], "/live/cam-1/main", None)
    assert [answer.headers.get("CSeq") for answer in peer.pump()] == [str(peer.cseq - 1), str(peer.cseq)]


def test_sessions_of_a_connection_are_bounded() -> None:
    peer = Peer(limits=Limits(sessions=2))
    for status in (200, 200, 453):
        assert peer.ask("SETUP", LIVE + "/trackID=0", TCP).status == status


@pytest.mark.covers("SEC-10")
def test_floods_end_the_connection() -> None:
    peer = Peer(limits=Limits(request_burst=10))
    peer.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 12)
    assert peer.events == [Closed("floods us with requests")]
    peer = Peer(limits=Limits(frames_per_second=10))
    peer.send(Interleaved(0, b"").serialise() * 12)
    assert peer.events == [Closed("floods us with interleaved data")]
    peer = Peer()
    peer.ask("DESCRIBE", LIVE)
    peer.hold = True
    peer.send(peer.serialise("DESCRIBE", LIVE))
    peer.send(bytes(200_000))
    assert isinstance(peer.events[-1], Closed)


def test_garbage_gets_400_and_the_end() -> None:
    peer = Peer()
    (response,) = peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response.status == 400
    assert isinstance(peer.events[-1], Closed)
    assert peer.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n") == []


def test_failed_port_pair_leaves_no_session() -> None:
    peer = Peer()
    peer.ask("OPTIONS", "*")
    peer.ask("DESCRIBE", LIVE)
    peer.hold = True
    peer.send(peer.serialise("SETUP", LIVE + "/trackID=0", ("Transport", "RTP/AVP;unicast;client_port=5000-5001")))
    peer.answer(peer.events[-1])
    peer.pump()
    assert isinstance(peer.events[-1], OpenUdp)
    peer.machine.failed(Unavailable("no ports"))
    assert [answer.status for answer in peer.pump()] == [503]
    assert not peer.machine.sessions


def test_end_of_source_ends_session_and_connection() -> None:
    peer = Peer()
    peer.set_up()
    (session,) = peer.machine.sessions.values()
    peer.machine.end_session(session, "source has ended")
    peer.pump()
    assert [type(event) for event in peer.events[-2:]] == [SessionEnded, Closed]


_LINES = st.sampled_from(
    [
        f"SETUP {LIVE}/trackID=0 RTSP/1.0",
        f"PLAY {LIVE} RTSP/1.0",
        "OPTIONS * RTSP/1.0",
        "SETUP rtsp:// RTSP/1.0",
        "PLAY ?/ RTSP/1.0",
        "CSeq: 1",
        "CSeq: 99999999999",
        "Session: a",
        "Range: clock=-",
        "Transport: RTP/AVP/TCP;interleaved=0-1",
        "Content-Length: 3",
        "",
        "",
    ]
)


@settings(max_examples=200)
@given(st.lists(_LINES, max_size=30), st.binary(max_size=20))
def test_any_input_is_answered_or_ended(lines: list[str], rest: bytes) -> None:
    peer = Peer()
    peer.ask("DESCRIBE", LIVE)
    value = peer.digest.authorization("PLAY", LIVE) if peer.digest else ""
    text = "\r\n".join(line.replace("CSeq: 1", f"CSeq: 1\r\nAuthorization: {value}") for line in lines) + "\r\n"
    for response in peer.send(text.encode() + rest):
        assert 200 <= response.status < 600


@pytest.mark.covers("PLY-13")
@pytest.mark.parametrize("value", ["clock=20260101T000003.5Z", "clock=20260101T000003.500Z-"])
def test_pause_names_its_time(value: str) -> None:
    """RFC 2326 10.6: the session plays on until then; a PAUSE without Range stops it at once."""
    peer = Peer()
    peer.set_up(REPLAY)
    peer.ask("PLAY", REPLAY)
    assert peer.ask("PAUSE", REPLAY, ("Range", value)).status == 200
    assert [event.at for event in peer.events if isinstance(event, Pause)] == [START + 3_500_000]
    assert next(iter(peer.machine.sessions.values())).playing
    assert peer.ask("PAUSE", REPLAY).status == 200
    assert [event.at for event in peer.events if isinstance(event, Pause)][1:] == [None]
    assert not next(iter(peer.machine.sessions.values())).playing


@pytest.mark.parametrize("value", ["clock=", "npt=3", "clock=20260101T000003Z-20260101T000004Z", "clock", "x"])
def test_pause_at_what_is_no_time(value: str) -> None:
    peer = Peer()
    peer.set_up(REPLAY)
    peer.ask("PLAY", REPLAY)
    assert peer.ask("PAUSE", REPLAY, ("Range", value)).status == 457
    assert not [event for event in peer.events if isinstance(event, Pause)]


def test_teardown_of_the_track_that_plays_leaves_the_others_ready() -> None:
    """Found by test_server_machine: the session was said to play on, and took no SETUP."""
    peer = Peer()
    peer.set_up()
    peer.set_up(track=1)
    peer.ask("PLAY", LIVE)
    assert peer.ask("PAUSE", f"{LIVE}/trackID=1").status == 200
    assert peer.ask("TEARDOWN", f"{LIVE}/trackID=0").status == 200
    assert [type(event) for event in peer.events[-2:]] == [Pause, Retuned]
    (session,) = peer.machine.sessions.values()
    assert not session.playing
    peer.set_up()
    assert peer.ask("PLAY", LIVE).status == 200
    assert not session.held


def test_pause_of_live_is_now() -> None:
    peer = Peer()
    peer.set_up(LIVE)
    peer.ask("PLAY", LIVE)
    assert peer.ask("PAUSE", LIVE, ("Range", "npt=now-")).status == 200
    assert [event.at for event in peer.events if isinstance(event, Pause)] == [None]


@pytest.mark.parametrize("method", ["PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER", "OPTIONS"])
def test_unknown_features_are_refused_everywhere(method: str) -> None:
    peer = Peer()
    peer.set_up(REPLAY)
    peer.ask("PLAY", REPLAY)
    answer = peer.ask(method, REPLAY, ("Require", "onvif-replay, x-new"))
    assert (answer.status, answer.headers.get("Unsupported")) == (551, "x-new")


def test_play_says_what_speed_it_gives() -> None:
    peer = Peer()
    peer.set_up(REPLAY)
    peer.reply = PlayReply(start=START, scale=-2.0, speed=1.5)
    answer = peer.ask("PLAY", REPLAY, ("Scale", "-2"), ("Speed", "1.5"))
    assert (answer.headers.get("Scale"), answer.headers.get("Speed")) == ("-2", "1.5")


def test_within_tls_and_tunnels_media_stays_in_the_connection() -> None:
    peer = Peer()
    peer.machine = ServerConnection(verifier(), local_host="192.0.2.9", now=peer.now, tcp_only=True)
    udp, tcp = "RTP/AVP;unicast;client_port=5000-5001", "RTP/AVP/TCP;unicast;interleaved=2-3"
    url = f"{LIVE}/trackID=0"
    assert peer.ask("SETUP", url, ("Transport", udp)).status == 461
    answer = peer.ask("SETUP", url, ("Transport", f"{udp},{tcp}"))
    assert answer.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=00001234"
