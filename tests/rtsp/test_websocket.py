"""WebSocket without sockets (RFC 6455; Streaming 7)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.uri import parse_uri

from onvifd.rtsp.websocket import (
    CONTROL_BURST,
    FRAMES_PER_SECOND,
    PATH,
    PROTOCOL,
    WebSocketStream,
    close_frame,
    frame,
    upgrade,
)

HEAD = (
    f"GET {PATH} HTTP/1.1\r\nHost: 192.168.0.1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n"
    f"Sec-WebSocket-Protocol: {PROTOCOL}\r\nSec-WebSocket-Version: 13\r\n"
)
MASK = b"\x01\x80\xff\x37"


def masked(payload: bytes, opcode: int = 2, final: bool = True, mask: bytes = MASK) -> bytes:
    made = bytearray(frame(payload, opcode))
    if not final:
        made[0] &= 0x7F
    at = len(made) - len(payload)
    made[1] |= 0x80
    body = bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))
    return bytes(made[:at]) + mask + body


@pytest.mark.covers("T-RTP-RTSP-TCP-WebSocket")
def test_the_handshake_of_the_specification() -> None:
    """Streaming 7.3.1.2."""
    asked = upgrade(HEAD.encode())
    assert asked is not None
    assert asked.accepted
    lines = asked.answer.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines
    assert "Sec-WebSocket-Protocol: rtsp.onvif.org" in lines
    assert lines[-2:] == ["", ""]


@pytest.mark.parametrize(
    ("old", "new", "status", "field"),
    [
        ("Version: 13", "Version: 8", "426", "Sec-WebSocket-Version: 13"),
        ("Sec-WebSocket-Version: 13\r\n", "", "426", "Sec-WebSocket-Version: 13"),
        (PROTOCOL, "chat", "400", None),
        (PROTOCOL, PROTOCOL.upper(), "400", None),
        (f"Sec-WebSocket-Protocol: {PROTOCOL}\r\n", "", "400", None),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", "400", None),
        ("dGhlIHNhbXBsZSBub25jZQ==", "no base64!", "400", None),
        ("Host: 192.168.0.1\r\n", "", "400", None),
        ("HTTP/1.1", "HTTP/1.0", "400", None),
        ("Upgrade: websocket\r\n", "", "426", "Upgrade: websocket"),
        ("keep-alive, Upgrade", "keep-alive", "426", "Upgrade: websocket"),
        ("Origin:", "Origin :", "400", None),
    ],
)
def test_a_handshake_that_is_refused(old: str, new: str, status: str, field: str | None) -> None:
    assert old in HEAD
    asked = upgrade(HEAD.replace(old, new).encode())
    assert asked is not None
    assert not asked.accepted
    lines = asked.answer.decode().split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {status} ")
    assert "Content-Length: 0" in lines
    assert field is None or field in lines
    assert "101" not in lines[0]


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nHost: h\r\n", HEAD.replace("GET", "POST").encode(), b"x"])
def test_what_is_for_somebody_else(head: bytes) -> None:
    assert upgrade(head) is None


def test_several_protocols_may_be_offered() -> None:
    asked = upgrade(HEAD.replace(PROTOCOL, f"chat, {PROTOCOL}").replace(PATH, f"{PATH}?x=1").encode())
    assert asked is not None
    assert asked.accepted


@pytest.mark.covers("T-RTP-RTSP-TCP-WebSocket")
def test_a_foreign_client_understands_the_handshake_and_the_messages() -> None:
    client = ClientProtocol(parse_uri(f"ws://127.0.0.1{PATH}"), subprotocols=[PROTOCOL])  # type: ignore[list-item]
    client.send_request(client.connect())
    head = b"".join(client.data_to_send()).removesuffix(b"\r\n\r\n") + b"\r\n"
    asked = upgrade(head)
    assert asked is not None
    client.receive_data(asked.answer)
    client.events_received()
    assert client.subprotocol == PROTOCOL
    stream = WebSocketStream(0)
    client.send_binary(b"OPTIONS")
    client.send_ping(b"there?")
    assert stream.feed(b"".join(client.data_to_send()), 0) == b"OPTIONS"
    for size in (0, 125, 126, 65_535, 65_536):
        client.receive_data(frame(bytes(size)))
        (event,) = client.events_received()
        assert (event.opcode, len(event.data)) == (Opcode.BINARY, size)  # type: ignore[union-attr]
    client.receive_data(stream.replies())
    (pong,) = client.events_received()
    assert (pong.opcode, pong.data) == (Opcode.PONG, b"there?")  # type: ignore[union-attr]
    client.send_close(1000, "enough")
    assert stream.feed(b"".join(client.data_to_send()), 0) == b""
    assert stream.closed
    client.receive_data(stream.replies())
    assert client.close_rcvd is not None
    assert client.close_rcvd.code == 1000


@given(payload=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3100), max_size=8), size=st.integers(40, 900))
def test_the_stream_is_the_same_however_it_is_cut(payload: bytes, cuts: list[int], size: int) -> None:
    """In fragments with control frames between them, by any pieces, and handed on in the middle."""
    pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
    wire = b""
    for number, piece in enumerate(pieces):
        last = number == len(pieces) - 1
        wire += masked(piece, 0 if number else 2, last) + masked(b"%d" % number, 9) + masked(b"", 10)
    stream, got, replies = WebSocketStream(0), b"", b""
    cut = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    for begin, end in pairwise(cut):
        got += stream.feed(wire[begin:end], 0)
        replies += stream.replies()
        stream = WebSocketStream(0, stream.rest, stream.fragmented)
    assert got == payload
    assert stream.closed is None
    assert not stream.fragmented
    assert replies.endswith(frame(b"%d" % (len(pieces) - 1), 10)), "the latest ping is answered (RFC 6455 5.5.3)"
    assert replies.count(b"\x8a") < len(cut)


LONG = 0x80 | 127


@pytest.mark.covers("T-RTP-RTSP-TCP-WebSocket")
@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame(b"x"), 1002),
        (masked(b"x", 1), 1003),
        (masked(b"x", 3), 1002),
        (masked(b"x", 0), 1002),
        (masked(b"", 2, False) + masked(b"x", 2), 1002),
        (masked(b"x", 9, False), 1002),
        (masked(bytes(126), 9), 1002),
        (bytes((0xC2,)) + masked(b"x")[1:], 1002),
        (bytes((0x82, 0x80 | 126)) + b"\0\x05", 1002),
        (bytes((0x82, LONG)) + (300).to_bytes(8, "big"), 1002),
        (bytes((0x82, LONG)) + (1 << 20).to_bytes(8, "big"), 1009),
        (bytes((0x82, LONG)) + (1 << 63).to_bytes(8, "big"), 1009),
        (masked(b"x", 8), 1002),
        (masked((1005).to_bytes(2, "big"), 8), 1002),
        (masked((1000).to_bytes(2, "big") + b"\xff", 8), 1007),
        (masked((3001).to_bytes(2, "big"), 8), 3001),
    ],
)
def test_what_must_not_be_sent_closes_with_its_code(wire: bytes, code: int) -> None:
    stream = WebSocketStream(0)
    assert stream.feed(masked(b"before") + wire + masked(b"after"), 0) == b"before"
    assert stream.closed
    assert stream.replies() == close_frame(code)
    assert stream.feed(masked(b"later"), 0) == b""
    assert stream.rest == b""


def test_a_close_without_code_is_answered_in_kind() -> None:
    stream = WebSocketStream(0)
    stream.feed(masked(b"", 8), 0)
    assert stream.replies() == frame(b"", 8)


@pytest.mark.parametrize("barren", [masked(b"ping", 9), masked(b"", 10), masked(b""), masked(b"", 2, False)])
def test_a_flood_of_frames_that_carry_nothing_is_ended(barren: bytes) -> None:
    """RFC 6455 7.4.1: 1008 is for what violates a policy."""
    stream = WebSocketStream(0)
    between = b"" if barren[0] & 0x80 else masked(b"", 0)
    for _ in range(int(CONTROL_BURST) + 1):
        stream.feed(barren + between, 0)
    assert stream.closed
    assert stream.replies().endswith(close_frame(1008))
    assert stream.feed(masked(b"later"), 0) == b""


def test_a_flood_of_tiny_frames_is_ended() -> None:
    stream = WebSocketStream(0)
    got = stream.feed(masked(b"x") * 2000, 0)
    assert len(got) == FRAMES_PER_SECOND
    assert stream.replies() == close_frame(1008)


def test_pings_at_a_pace_are_all_answered() -> None:
    stream = WebSocketStream(0)
    for number in range(2000):
        stream.feed(masked(b"%d" % number, 9), number / 40)
        assert stream.replies() == frame(b"%d" % number, 10)
    assert stream.closed is None
