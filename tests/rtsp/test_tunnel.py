"""RTSP within HTTP: the heads that make a tunnel, and the base64 that comes through it."""

from __future__ import annotations

import base64
import random

import pytest

from onvifd.rtsp.tunnel import Base64Stream, TunnelHead, may_be_http, tunnel_head

GET = (
    b"GET /live/cam-1/main HTTP/1.0\r\nUser-Agent: test\r\nx-sessioncookie: 0123456789abcdef\r\n"
    b"Accept: application/x-rtsp-tunnelled\r\n\r\n"
)
POST = (
    b"POST /live/cam-1/main HTTP/1.1\r\nX-SessionCookie : abc \r\nContent-Type: application/x-rtsp-tunnelled\r\n"
    b"Content-Length: 32767\r\n\r\n"
)


def test_both_heads_are_known() -> None:
    assert tunnel_head(GET) == TunnelHead(False, "0123456789abcdef")
    assert tunnel_head(POST) == TunnelHead(True, "abc")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT / HTTP/1.1\r\nx-sessioncookie: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nx-sessioncookie: \r\n\r\n",
        b"GET / HTTP/1.1\r\nx-sessioncookie: " + b"a" * 129 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nx-sessioncookie: a b\r\n\r\n",
        b"GET / HTTP/2\r\nx-sessioncookie: a\r\n\r\n",
    ],
)
def test_other_heads_are_none(head: bytes) -> None:
    assert tunnel_head(head) is None


def test_beginnings() -> None:
    assert all(may_be_http(data) for data in (b"", b"G", b"GET", b"GET /", b"PO", b"POST /x"))
    assert not any(may_be_http(data) for data in (b"PLAY rtsp", b"GETX", b"PUT", b"\x16\x03"))


MESSAGES = [b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", b"$\x01\x00\x03abc", b"x", b"yz", b"longer" * 50]


@pytest.mark.parametrize("breaks", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_base64_comes_apart_anywhere(seed: int, breaks: bool) -> None:
    """Each message has its own padding; lines may be broken (RFC 2045 6.8)."""
    dice = random.Random(seed)
    encode = base64.encodebytes if breaks else base64.b64encode
    text = b"".join(encode(message) for message in MESSAGES)
    stream, got = Base64Stream(), b""
    while text:
        size = dice.randrange(1, 30)
        got += stream.feed(text[:size])
        text = text[size:]
        assert len(stream.rest) < 4
    assert got == b"".join(MESSAGES)
    assert stream.rest == b""


@pytest.mark.parametrize("data", [b"!!!!", b"====", b"A===", b"AB=C", b"A B=\xff"])
def test_what_is_no_base64(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Base64Stream().feed(data)


def test_much_padding_is_no_burden() -> None:
    assert Base64Stream().feed(b"YQ==" * 16_000) == b"a" * 16_000
