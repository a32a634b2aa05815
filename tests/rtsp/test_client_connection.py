"""What a connection to a camera begins with."""

from __future__ import annotations

import ssl

import pytest

from onvifd.rtsp.client_connection import MAX_HTTP_HEAD, Connection
from onvifd.rtsp.client_trust import Judge, context_for


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
async def test_the_head_of_a_tunnel_s_answer(end: bytes) -> None:
    """However its lines end, and cut anywhere."""
    connection = Connection(None, http=True)
    head = end.join((b"HTTP/1.0 200 OK", b"Content-Type: application/x-rtsp-tunnelled"))
    for byte in head + 2 * end + b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n":
        connection.get_buffer(-1)[:1] = bytes((byte,))
        connection.buffer_updated(1)
    assert connection.http_head.result() == head
    assert (await connection.answer(1)).headers.get("CSeq") == "1"


async def test_a_tunnel_s_answer_without_end_is_given_up() -> None:
    connection = Connection(None, http=True)
    for _ in range(2):
        connection.get_buffer(-1)[: MAX_HTTP_HEAD - 1] = b"x" * (MAX_HTTP_HEAD - 1)
        connection.buffer_updated(MAX_HTTP_HEAD - 1)
    assert connection.lost.done()
    assert connection.misunderstood


@pytest.mark.parametrize(("judge", "taken"), [(Judge.PIN, True), (Judge.NONE, True), (Judge.CA, False)])
def test_cameras_without_secure_renegotiation(judge: Judge, taken: bool) -> None:
    """A ServerHello of TLS 1.2 without RFC 5746, as old devices give it. Who has a certificate of an authority can do better."""
    theirs, ours = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context_for(judge).wrap_bio(theirs, ours, server_hostname="camera")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = b"\3\3" + bytes(range(32)) + b"\0" + b"\xc0\x2f" + b"\0"
    message = b"\2" + len(hello).to_bytes(3, "big") + hello
    theirs.write(b"\x16\3\3" + len(message).to_bytes(2, "big") + message)
    with pytest.raises(ssl.SSLError) as caught:
        client.do_handshake()
    assert isinstance(caught.value, ssl.SSLWantReadError) is taken
