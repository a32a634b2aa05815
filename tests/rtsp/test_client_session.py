"""The client's side of a conversation, without I/O."""

from __future__ import annotations

import pytest

from onvifd.access.digest import parse_parameters
from onvifd.errors import BadInput, InvalidArgument, NotAuthorized, Unavailable
from onvifd.rtsp.client_session import (
    DEFAULT_TIMEOUT,
    ClientOptions,
    ClientSession,
    NotUnderstood,
    TransportRefused,
    parse_url,
    redirected,
)
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.messages import Headers, Parser, Request, Response

URL = "rtsp://192.0.2.1/cam"
CHALLENGE = ("WWW-Authenticate", 'Digest realm="cam", nonce="n1", qop="auth"')
SDP = b"v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"


def read(data: bytes | None) -> Request:
    assert data is not None
    parser = Parser()
    parser.receive_data(data)
    message = parser.next_message()
    assert isinstance(message, Request)
    return message


def answer(status: int, *fields: tuple[str, str], body: bytes = b"") -> Response:
    return Response(status, Headers(fields), body)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("rtsp://h/a", "h", 554),
        ("rtsp://192.0.2.1:8554", "192.0.2.1", 8554),
        ("rtsp://[2001:db8::1]:99/x?y=z", "2001:db8::1", 99),
        ("rtsps://h/a", "h", 322),
    ],
)
def test_urls(url: str, host: str, port: int) -> None:
    address = parse_url(url)
    assert (address.host, address.port, address.url) == (host, port, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://h/",
        "rtsp://",
        "rtsp://user:pass@h/a",
        "rtsp://h:0/",
        "rtsp://h:70000/",
        "rtsp://h/a b",
        "rtsp://h/\r\n",
    ],
)
def test_bad_urls(url: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_url(url)
    assert "pass" not in caught.value.reason


def test_requests_count_up_and_carry_the_session() -> None:
    session = ClientSession(URL)
    first = read(session.request("OPTIONS"))
    assert (first.method, first.uri, first.headers.get("CSeq")) == ("OPTIONS", URL, "1")
    assert "Session" not in first.headers
    session.response(answer(200, ("CSeq", "1"), ("Session", "abc;timeout=30")))
    assert session.timeout == 30
    second = read(session.request("PLAY"))
    assert (second.headers.get("CSeq"), second.headers.get("Session")) == ("2", "abc")


def test_a_track_with_a_space_in_its_name_is_asked_for_in_a_request_that_can_be_read() -> None:
    session = ClientSession(URL)
    session.described(answer(200, body=SDP.replace(b"track1", b"track 1")))
    assert session.description is not None
    request = read(session.setup(session.description.tracks[0], Way.TCP, 0))
    assert (request.method, request.uri) == ("SETUP", f"{URL}/track%201")


def test_digest_is_answered_once() -> None:
    session = ClientSession(URL, "user", "secret")
    assert "Authorization" not in read(session.request("DESCRIBE", URL, (("Accept", "application/sdp"),))).headers
    again = read(session.response(answer(401, CHALLENGE)))
    assert (again.method, again.headers.get("Accept")) == ("DESCRIBE", "application/sdp")
    fields = parse_parameters((again.headers.get("Authorization") or "").removeprefix("Digest "))
    assert (fields["username"], fields["uri"], fields["nc"]) == ("user", URL, "00000001")
    with pytest.raises(NotAuthorized):
        session.response(answer(401, CHALLENGE))
    assert "secret" not in repr(session)


def test_stale_nonce_is_answered_again() -> None:
    session = ClientSession(URL, "user", "secret")
    session.request("OPTIONS")
    session.response(answer(401, CHALLENGE))
    stale = ("WWW-Authenticate", 'Digest realm="cam", nonce="n2", stale=true')
    assert 'nonce="n2"' in (read(session.response(answer(401, stale))).headers.get("Authorization") or "")


def test_a_new_nonce_is_taken_from_one_that_knew_us_though_it_does_not_say_stale() -> None:
    session = ClientSession(URL, "user", "secret")
    session.request("DESCRIBE")
    session.response(answer(401, CHALLENGE))
    session.response(answer(200))
    session.request("SETUP")
    fresh = ("WWW-Authenticate", 'Digest realm="cam", nonce="n2", qop="auth"')
    assert 'nonce="n2"' in (read(session.response(answer(401, fresh))).headers.get("Authorization") or "")
    with pytest.raises(NotAuthorized):
        session.response(answer(401, fresh))


@pytest.mark.parametrize("stale", [", stale=true", ""])
def test_expired_nonce_of_a_keep_alive(stale: str) -> None:
    session = ClientSession(URL, "user", "secret")
    session.request("OPTIONS")
    session.response(answer(401, CHALLENGE))
    cseq = read(session.keep_alive()).headers.get("CSeq") or ""
    refusal = answer(401, ("CSeq", cseq), ("WWW-Authenticate", f'Digest realm="cam", nonce="n2"{stale}'))
    again = read(session.keep_alive_answer(refusal))
    assert 'nonce="n2"' in (again.headers.get("Authorization") or "")
    cseq = again.headers.get("CSeq") or ""
    assert session.keep_alive_answer(answer(401, ("CSeq", cseq), ("WWW-Authenticate", "Negotiate"))) is None


def test_several_challenges_and_only_md5_where_asked() -> None:
    both = (
        ("WWW-Authenticate", 'Digest realm="cam", nonce="n1", qop="auth", algorithm=SHA-256'),
        ("WWW-Authenticate", 'Digest realm="cam", nonce="n1", qop="auth", algorithm="MD5", Basic realm="cam"'),
    )
    for options, algorithm in ((ClientOptions(), "SHA-256"), (ClientOptions(md5_only=True), "MD5")):
        session = ClientSession(URL, "user", "secret", options)
        session.request("DESCRIBE")
        again = read(session.response(answer(401, *both)))
        fields = parse_parameters((again.headers.get("Authorization") or "").removeprefix("Digest "))
        assert fields["algorithm"] == algorithm


@pytest.mark.parametrize(
    ("challenge", "scheme"), [('Basic realm="cam"', "Basic"), ('Digest realm="cam", nonce="n1"', "Digest")]
)
def test_basic_and_digest_without_qop(challenge: str, scheme: str) -> None:
    session = ClientSession(URL, "user", "secret")
    session.request("DESCRIBE")
    authorization = read(session.response(answer(401, ("WWW-Authenticate", challenge)))).headers.get("Authorization")
    assert (authorization or "").startswith(scheme)
    assert "qop" not in (authorization or "")


def test_refused_keep_alives_try_the_next_method() -> None:
    """The quirk keep-alive-refused."""
    session = ClientSession(URL)
    session.request("OPTIONS")
    session.response(answer(200, ("Public", "GET_PARAMETER")))
    request = read(session.keep_alive())
    methods = [request.method]
    for _ in range(2):
        request = read(session.keep_alive_answer(answer(501, ("CSeq", request.headers.get("CSeq") or ""))))
        methods.append(request.method)
    assert methods == ["GET_PARAMETER", "OPTIONS", "SET_PARAMETER"]
    assert session.keep_alive_answer(answer(501, ("CSeq", request.headers.get("CSeq") or ""))) is None
    assert read(session.keep_alive()).method == "SET_PARAMETER"
    cseq = str(session._cseq)
    with pytest.raises(Unavailable, match="forgotten"):
        session.keep_alive_answer(answer(454, ("CSeq", cseq)))


def test_requests_of_the_camera_are_answered() -> None:
    session = ClientSession(URL)
    for method, status in (("OPTIONS", 200), ("ANNOUNCE", 200), ("RECORD", 501)):
        parser = Parser()
        parser.receive_data(session.answer_to(Request(method, URL, Headers([("CSeq", "9")]))))
        reply = parser.next_message()
        assert isinstance(reply, Response)
        assert (reply.status, reply.headers.get("CSeq")) == (status, "9")
    assert not session.redirect
    session.answer_to(Request("REDIRECT", URL, Headers([("CSeq", "10"), ("Location", "rtsp://other/")])))
    assert session.redirect == "rtsp://other/"


@pytest.mark.parametrize("header", ["a:b/c=;timeout=30", "a:b/c= ; Timeout = 30s", "a:b/c=;timeout=30 sec"])
def test_odd_sessions(header: str) -> None:
    """The quirk odd-session."""
    session = ClientSession(URL)
    session.request("SETUP")
    session.response(answer(200, ("Session", header)))
    assert (session.session, session.timeout) == ("a:b/c=", 30)


@pytest.mark.parametrize("header", ["77", "77;timeout=0", "77;timeout=", "77;timeout=soon"])
def test_no_time_out_is_a_minute(header: str) -> None:
    """The quirk no-session-timeout (RFC 2326 12.37)."""
    session = ClientSession(URL)
    session.request("SETUP")
    session.response(answer(200, ("Session", header)))
    assert (session.session, session.timeout) == ("77", 60)


@pytest.mark.parametrize(
    ("header", "rtp", "rtcp"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=8-9", 8, 9),
        ("RTP/AVP/TCP;unicast;interleaved=1-0", 1, 0),
        ("RTP/AVP/TCP;unicast;interleaved=0-0", 4, 5),
        ("RTP/AVP;unicast;interleaved=6-7", 6, 7),
        ("rtp/avp/tcp; Interleaved = 6 - 7; ssrc=0xAB", 6, 7),
        ("RTP/AVP/TCP", 4, 5),
        ("", 4, 5),
    ],
)
def test_odd_answers_about_channels(header: str, rtp: int, rtcp: int) -> None:
    placed = ClientSession(URL).placed(answer(200, ("Transport", header)), Way.TCP, 4)
    assert (placed.rtp, placed.rtcp) == (rtp, rtcp)


def test_answers_about_multicast() -> None:
    header = "RTP/AVP;multicast;destination=239.1.2.3;source=192.0.2.9;port=5000-5001;ttl=4"
    found = ClientSession(URL).placed(answer(200, ("Transport", header)), Way.MULTICAST, 0).answer
    assert (found.destination, found.source, found.port) == ("239.1.2.3", "192.0.2.9", (5000, 5001))
    with pytest.raises(TransportRefused):
        ClientSession(URL).placed(answer(200, ("Transport", "RTP/AVP;unicast;server_port=1-2")), Way.MULTICAST, 0)


@pytest.mark.parametrize("name", ["camera.local", "0.0.0.0", "::", "", "unknown"])
def test_what_is_no_address_says_nothing(name: str) -> None:
    header = f"RTP/AVP;multicast;destination={name};source={name};port=5000-5001"
    found = ClientSession(URL).placed(answer(200, ("Transport", header)), Way.MULTICAST, 0).answer
    assert (found.destination, found.source) == ("", "")


def test_only_a_refusal_of_how_we_ask_is_a_matter_for_another_client() -> None:
    for status, other in ((404, False), (503, False), (400, True), (551, True), (461, True)):
        session = ClientSession(URL)
        session.request("SETUP")
        with pytest.raises(Unavailable) as caught:
            session.response(answer(status))
        assert isinstance(caught.value, NotUnderstood) is other


@pytest.mark.parametrize(
    ("target", "expected"),
    [("rtsp://b/x", "rtsp://b/x"), ("/x", "rtsp://192.0.2.1/x"), (" rtsps://b:1/ ", "rtsps://b:1/")],
)
def test_redirections(target: str, expected: str) -> None:
    assert redirected(target, URL) == expected
    with pytest.raises(Unavailable):
        redirected("http://b/", URL)


def test_no_credentials() -> None:
    session = ClientSession(URL)
    session.request("OPTIONS")
    with pytest.raises(NotAuthorized):
        session.response(answer(401, CHALLENGE))


def test_keep_alive_takes_what_the_server_has() -> None:
    session = ClientSession(URL)
    assert read(session.keep_alive()).method == "OPTIONS"
    session.request("OPTIONS")
    session.response(answer(200, ("Public", "OPTIONS, get_parameter")))
    assert read(session.keep_alive()).method == "GET_PARAMETER"


def test_answers_are_told_apart_by_cseq() -> None:
    session = ClientSession(URL)
    session.keep_alive()
    session.request("PLAY")
    assert not session.awaits(answer(200, ("CSeq", "1")))
    assert session.awaits(answer(200, ("CSeq", "2")))
    assert session.awaits(answer(200))  # some cameras leave it out
    for own in ("0", "7", "x", "4294967296"):
        assert session.awaits(answer(200, ("CSeq", own)))  # and some count for themselves (the quirk cseq-own)
    assert not session.awaits(answer(100, ("CSeq", "7")))


def test_description_and_setup() -> None:
    session = ClientSession(URL)
    session.request("DESCRIBE")
    (track,) = session.described(answer(200, ("Content-Base", URL + "/"), body=SDP)).tracks
    request = read(session.setup(track, Way.TCP, 4))
    assert request.uri == URL + "/track1"
    assert request.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=4-5"
    with pytest.raises(TransportRefused):
        session.placed(answer(200, ("Transport", "RTP/AVP;unicast;client_port=1-2")), Way.TCP, 4)
    # aggregate control: PLAY asks for the URL of the presentation
    assert read(session.request("PLAY")).uri == URL + "/"


def test_refusals() -> None:
    session = ClientSession(URL)
    session.request("SETUP")
    with pytest.raises(Unavailable, match="SETUP with 461 Unsupported transport"):
        session.response(answer(461))
    with pytest.raises(Unavailable):
        session.response(answer(200, ("Session", "a b")))
    with pytest.raises(BadInput):
        session.described(answer(200))
    assert session.timeout == DEFAULT_TIMEOUT


def test_redirect_is_told() -> None:
    session = ClientSession(URL)
    session.request("DESCRIBE")
    assert session.response(answer(302, ("Location", "rtsp://other/cam"))) is None
    assert session.redirect == "rtsp://other/cam"


def test_a_redirection_does_not_lead_out_of_tls() -> None:
    assert redirected("/b", "rtsps://h/a") == "rtsps://h/b"
    assert redirected("rtsps://h/b", "rtsp://h/a") == "rtsps://h/b"
    assert redirected("rtsp://h/b", "rtsps://h/a", encrypted=True) == "rtsp://h/b"
    with pytest.raises(Unavailable, match="out of TLS"):
        redirected("rtsp://h/b", "rtsps://h/a")
