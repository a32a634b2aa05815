"""The client's side of a conversation, without I/O."""

from __future__ import annotations

import pytest

from onvifd.access.digest import parse_parameters
from onvifd.errors import BadInput, InvalidArgument, NotAuthorized, Unavailable
from onvifd.rtsp.client_session import DEFAULT_TIMEOUT, ClientSession, parse_url
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


def test_stale_nonce_of_a_keep_alive() -> None:
    session = ClientSession(URL, "user", "secret")
    session.request("OPTIONS")
    session.response(answer(401, CHALLENGE))
    assert session.renew(answer(401, ("WWW-Authenticate", 'Digest realm="cam", nonce="n2", stale=true')))
    assert 'nonce="n2"' in (read(session.keep_alive()).headers.get("Authorization") or "")
    assert not session.renew(answer(401, CHALLENGE))
    assert not session.renew(answer(401, ("WWW-Authenticate", "Negotiate")))


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


def test_description_and_setup() -> None:
    session = ClientSession(URL)
    session.request("DESCRIBE")
    (track,) = session.described(answer(200, ("Content-Base", URL + "/"), body=SDP)).tracks
    request = read(session.setup(track, 4))
    assert request.uri == URL + "/track1"
    assert request.headers.get("Transport") == "RTP/AVP/TCP;unicast;interleaved=4-5"
    assert session.channel_of(answer(200, ("Transport", "RTP/AVP/TCP;unicast;interleaved=8-9;ssrc=1")), 4) == (8, 1)
    assert session.channel_of(answer(200, ("Transport", "RTP/AVP/TCP;unicast")), 4) == (4, None)
    with pytest.raises(Unavailable):
        session.channel_of(answer(200, ("Transport", "RTP/AVP;unicast;client_port=1-2")), 4)
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
