"""Any camera at the client's machine: whatever is answered to whatever is asked is used or refused, by an error of ours, and each
request that leaves can be read."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.errors import OnvifdError
from onvifd.rtsp.client_session import ClientOptions, ClientSession, parse_url, redirected
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.messages import Interleaved, Parser, Request, Response, RtspError

URL = "rtsp://192.0.2.1/cam"
STATUS = (*[200] * 80, 100, 201, 301, 302, 400, 401, 401, 403, 404, 454, 455, 459, 461, 500, 503, 551, 999)
FIELDS: dict[str, tuple[str, ...]] = {
    "CSeq": ("1", "2", "3", "4", "0", "-1", "99999999999", "\u00b2", "x", ""),
    "Session": ("abc", "abc;timeout=30", "a b", ";", "abc;timeout=\u00b2", "a" * 300, "\u00e4", "abc; timeout = 0"),
    "Transport": (
        "RTP/AVP/TCP;unicast;interleaved=0-1",
        "RTP/AVP/TCP;interleaved=300-301;ssrc=zz",
        "RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;ssrc=12345678",
        "RTP/AVP;multicast;destination=239.1.1.1;port=5000-5001;ttl=900",
        "RTP/AVP;multicast;destination=[::;port=\u00b2",
        "RTP/AVP;server_port=99999-0;source=\u00e4",
        "RTP/SAVP",
        ";;,,=",
    ),
    "WWW-Authenticate": (
        'Digest realm="cam", nonce="n1", qop="auth"',
        'Digest realm="cam", nonce="n2", algorithm=SHA-256, stale=true',
        'Digest realm="\u00e4\\"", nonce="\u20ac", qop="auth-int"',
        'Digest nonce="", realm=',
        'Basic realm="cam"',
        "Bearer",
        'Digest realm="a" nonce="b"',
        "=,=",
    ),
    "Location": (
        "rtsp://192.0.2.2/x",
        "/x",
        "rtsp://[",
        "rtsp://[::1",
        "http://h/",
        "rtsp://h:99999/",
        "\u00e4",
        "rtsps://h/a",
    ),
    "Content-Base": ("rtsp://192.0.2.1/cam/", "rtsp://[", "x", "rtsp://h/a b", "\u00e4:", "rtsp://u:p@h/"),
    "Public": ("OPTIONS, GET_PARAMETER", ",", "\u00e4"),
}
GOOD = (b"v=0", b"m=video 0 RTP/AVP 96", b"a=rtpmap:96 H264/90000", b"a=control:track1")
LINES = (
    *(b"m=video 0 RTP/AVP 96", b"m=audio 0 RTP/AVP 0", b"m=video 5000 RTP/AVP 26", b"m=application 0 RTP/AVP 107"),
    b"m=video x RTP/AVP 999 \xb2",
    *(
        b"a=rtpmap:96 H264/90000",
        b"a=rtpmap:96 H265/0",
        b"a=rtpmap:107 vnd.onvif.metadata/90000",
        b"a=rtpmap:\xb2 H264/\xb2",
    ),
    *(
        b"a=control:*",
        b"a=control:track1",
        b"a=control:rtsp://[",
        b"a=control:rtsp://h/a b\x7f",
        b"a=control:\xff\xe4",
        b"a=control:",
    ),
    *(b"a=control:rtsp://192.0.2.1/other", b"a=control:http://h/", b"a=control:?x=\xe2\x82\xac"),
    *(
        b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAKeKQ,aM48gA==",
        b"a=fmtp:96 sprop-parameter-sets=\xff,,=",
    ),
    *(
        b"c=IN IP4 239.1.1.1/4",
        b"c=IN IP6 ff02::1",
        b"c=IN IP4 \xb2",
        b"a=sendonly",
        b"a=recvonly",
        b"a=framesize:96 \xb2-1",
    ),
)


class Camera:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.odd = self.chance.choice((0.02, 0.1, 0.5))
        """How often it says something strange."""

    def answer(self) -> bytes:
        chance = self.chance
        lines = [f"RTSP/1.0 {chance.choice(STATUS)} OK"]
        for name, values in FIELDS.items():
            for _ in range(chance.choice((0, 1, 1, 1, 1, 2)) if name != "CSeq" or chance.random() < 0.1 else 0):
                lines.append(f"{name}: {chance.choice(values if chance.random() < self.odd else values[:1])}")
        body = b""
        if chance.random() < 0.8:
            described = [*GOOD, *(chance.choice(LINES) for _ in range(chance.randrange(8)))]
            if chance.random() < self.odd:
                chance.shuffle(described)
            body = b"\r\n".join(described) + b"\r\n"
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode(chance.choice(("utf-8", "latin-1", "utf-8")), "replace") + body


def read(data: bytes) -> Request:
    parser = Parser()
    parser.receive_data(data)
    try:
        message = parser.next_message()
    except RtspError as error:
        raise AssertionError(data) from error
    assert isinstance(message, Request)
    assert parser.next_message() is None
    return message


def received(data: bytes) -> Response | None:
    parser = Parser()
    parser.receive_data(data)
    try:
        message = parser.next_message()
    except RtspError:
        return None
    assert not isinstance(message, Request | Interleaved)
    return message


def converse(session: ClientSession, camera: Camera, request: bytes, alive: bool = False) -> Response | None:
    """Ask until it is answered; the answer if it is a success."""
    again: bytes | None = request
    for _ in range(8):
        assert again is not None
        read(again)
        response = received(camera.answer())
        if response is None or (not alive and not session.awaits(response)):
            continue
        again = (session.keep_alive_answer if alive else session.response)(response)
        if again is None:
            return response
    return None


def play(session: ClientSession, camera: Camera, way: Way) -> None:
    converse(session, camera, session.request("OPTIONS"))
    response = converse(session, camera, session.request("DESCRIBE", "", (("Accept", "application/sdp"),)))
    if session.redirect:
        parse_url(redirected(session.redirect, session.url))
    if response is None:
        return
    for number, track in enumerate(session.described(response).tracks):
        response = converse(session, camera, session.setup(track, way, 2 * number))
        if response is not None:
            placed = session.placed(response, way, 2 * number)
            assert 0 <= placed.rtp < 65536
            assert 0 <= placed.rtcp < 65536
            assert placed.ssrc is None or 0 <= placed.ssrc < 1 << 32
    converse(session, camera, session.request("PLAY"))
    for _ in range(4):
        converse(session, camera, session.keep_alive(), alive=True)
    read(session.request("TEARDOWN"))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 40), st.sampled_from(Way), st.booleans())
def test_any_answers_are_used_or_refused(seed: int, way: Way, md5_only: bool) -> None:
    session = ClientSession(URL, "user", "secret", ClientOptions(way=way, md5_only=md5_only))
    camera = Camera(seed)
    told: list[str] = []
    for _ in range(3):
        try:
            play(session, camera, way)
        except OnvifdError as error:
            told.append(error.reason)
    assert "secret" not in " ".join(told)
