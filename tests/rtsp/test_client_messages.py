"""What cameras send is read with patience."""

from __future__ import annotations

from onvifd.rtsp.client_messages import AnswerParser
from onvifd.rtsp.messages import Headers, Request, Response


def test_line_breaks_and_zeros_within_fields_are_left_out() -> None:
    parser = AnswerParser()
    parser.receive_data(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r2\0\r\nX\r: a\r\n b\rc\r\n\r\n")
    request = parser.next_message()
    assert isinstance(request, Request)
    assert list(request.headers) == [("CSeq", "12"), ("X", "a bc")]
    # What is echoed can be written.
    assert (
        Response(200, Headers([("CSeq", request.headers.get("X") or "")])).serialise().endswith(b"CSeq: a bc\r\n\r\n")
    )


def test_lines_that_end_without_return_are_lines() -> None:
    parser = AnswerParser()
    parser.receive_data(b"RTSP/1.0 200 OK\nCSeq: 3\nno field\n\n")
    answer = parser.next_message()
    assert isinstance(answer, Response)
    assert list(answer.headers) == [("CSeq", "3")]
