"""The parser of RTSP messages."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvifd.rtsp.messages import (
    MAX_BODY,
    MAX_HEAD,
    Headers,
    Interleaved,
    Message,
    Parser,
    Request,
    Response,
    RtspError,
)

REQUEST = b"DESCRIBE rtsp://h/a RTSP/1.0\r\ncSeQ: 2\r\nAccept: application/sdp\r\n\r\n"


def parse(data: bytes, step: int = 0) -> list[Message]:
    parser = Parser()
    found: list[Message] = []
    for start in range(0, len(data), step or len(data) or 1):
        parser.receive_data(data[start : start + step] if step else data)
        while (message := parser.next_message()) is not None:
            found.append(message)
    return found


def refused(data: bytes) -> RtspError:
    with pytest.raises(RtspError) as caught:
        parse(data)
    return caught.value


def test_request() -> None:
    (request,) = parse(REQUEST)
    assert isinstance(request, Request)
    assert (request.method, request.uri, request.version) == ("DESCRIBE", "rtsp://h/a", "1.0")
    assert request.headers.get("CSeq") == "2"  # RFC 2326 4.2: names have no case


def test_response_with_body_and_interleaved_data_between_messages() -> None:
    response = Response(200, Headers([("CSeq", "3")]), b"v=0\r\n")
    frame = Interleaved(1, b"\r\n\r\nRTSP/1.0")
    data = frame.serialise() + response.serialise() + b"\r\n" + frame.serialise() + REQUEST
    for step in (0, 1, 7):
        first, second, third, fourth = parse(data, step)
        assert first == third == frame
        assert isinstance(second, Response)
        assert (second.status, second.reason, second.body) == (200, "OK", b"v=0\r\n")
        assert isinstance(fourth, Request)


def test_folded_header_lines() -> None:
    (request,) = parse(b"PLAY * RTSP/1.0\r\nRange: npt=0-\r\n\t;x\r\nEmpty:\r\n\r\n")
    assert isinstance(request, Request)
    assert request.headers.get("Range") == "npt=0- ;x"
    assert request.headers.get("Empty") == ""


def test_repeated_headers_are_kept_apart() -> None:
    headers = Headers([("WWW-Authenticate", "Basic"), ("www-authenticate", "Digest")])
    assert headers.all("WWW-AUTHENTICATE") == ["Basic", "Digest"]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"OPTIONS\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nno colon\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nb@d: x\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\na: b\nc: d\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\na: b\r\n c\rd\r\n\r\n",  # in a line that continues another
        b"OPTIONS * RTSP/1.0\r\n" + b"a: b\r\n" * 65 + b"\r\n",
        b"OPTIONS * RTSP/1.0\r\na: " + b"b" * MAX_HEAD,
        b"OPTIONS * RTSP/1.0\r\na: " + b"b" * MAX_HEAD + b"\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS * RTSP/1.0\r\nContent-Length: 1e3\r\n\r\n",
    ],
)
def test_what_is_no_message_is_400_and_fatal(data: bytes) -> None:
    error = refused(data)
    assert (error.status, error.fatal) == (400, True)


def test_oversized_body_is_413_and_tells_its_cseq() -> None:
    data = f"SET_PARAMETER * RTSP/1.0\r\nCSeq: 9\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n".encode()
    assert (refused(data).status, refused(data).cseq) == (413, "9")


def test_nothing_is_taken_after_a_fatal_error() -> None:
    parser = Parser()
    parser.receive_data(b"garbage\r\n")
    with pytest.raises(RtspError):
        parser.next_message()
    parser.receive_data(REQUEST)
    assert parser.next_message() is None
    assert parser.size == 0


def test_a_header_cannot_be_split_by_a_value() -> None:
    with pytest.raises(ValueError, match="line break"):
        Response(200, Headers([("Session", "a\r\nEvil: 1")])).serialise()


def test_repr_hides_credentials() -> None:
    assert "secret" not in repr(Headers([("Authorization", "Digest secret")]))


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_give_messages_or_an_rtsp_error(data: bytes, step: int) -> None:
    with contextlib.suppress(RtspError):
        parse(data, step)


_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x24F, exclude_characters="\x7f\x85"), max_size=20)
_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,15}", fullmatch=True).filter(lambda n: n.lower() != "content-length")
_FIELDS = st.lists(st.tuples(_NAMES, _VALUES.map(lambda value: " ".join(value.split()))), max_size=8)
_MESSAGES = st.one_of(
    st.builds(
        Request,
        st.sampled_from(["OPTIONS", "PLAY"]),
        st.just("rtsp://h/a"),
        _FIELDS.map(Headers),
        st.binary(max_size=50),
    ),
    st.builds(Response, st.integers(100, 599), _FIELDS.map(Headers), st.binary(max_size=50), st.just("Because")),
    st.builds(Interleaved, st.integers(0, 255), st.binary(max_size=50)),
)


@given(st.lists(_MESSAGES, max_size=5), st.integers(1, 60))
def test_what_is_written_is_read_whatever_the_cuts(messages: list[Message], step: int) -> None:
    found = parse(b"".join(message.serialise() for message in messages), step)
    assert len(found) == len(messages)
    for got, sent in zip(found, messages, strict=True):
        if isinstance(sent, Interleaved) or isinstance(got, Interleaved):
            assert got == sent
            continue
        assert got.body == sent.body
        assert [item for item in got.headers if item[0] != "Content-Length"] == list(sent.headers)
