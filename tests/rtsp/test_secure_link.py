"""A connection within TLS that its client reads slowly: nothing is lost, doubled or out of order in what is encrypted."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from onvifd.pki.records import Papers, RecordLayer
from onvifd.rtsp.secure_link import BATCH, SecureLink, link_of

HERE = Papers(True, "TLS_AES_128_GCM_SHA256", bytes(32), bytes(range(32)))


def ends() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    for sock in (near, far):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    return near, far


async def read(far: socket.socket, layer: RecordLayer, size: int) -> bytes:
    content = b""
    async with asyncio.timeout(20):
        while len(content) < size:
            content += layer.feed(await asyncio.get_running_loop().sock_recv(far, 5000))
    return content


async def test_units_wait_and_answers_go_before_them() -> None:
    near, far = ends()
    lost: list[str] = []
    link = link_of(near, lost.append, RecordLayer(HERE), False)
    assert isinstance(link, SecureLink)
    client = RecordLayer(Papers(True, HERE.suite, HERE.writing, HERE.reading))
    units = [bytes((number,)) * 20_000 for number in range(40)]
    for unit in units[:20]:
        link.send_media(unit, None)
    assert link.queued
    link.send_records(link._layer.seal(b"<record>"))
    link.send_answer(b"<answer>")
    for unit in units[20:]:
        link.send_media(unit, None)
    content = await read(far, client, 40 * 20_000 + 16)
    begin = content.index(b"<record>")
    assert begin % 20_000 == 0
    assert content.count(b"<answer>") == 1
    assert content.replace(b"<record>", b"").replace(b"<answer>", b"") == b"".join(units)
    assert link.queued == 0
    assert not lost
    link.close()
    assert client.feed(await asyncio.get_running_loop().sock_recv(far, 100)) == b""
    assert client.closed
    near.close()
    far.close()


async def test_what_is_dropped_leaves_no_gap_in_the_records() -> None:
    near, far = ends()
    link = link_of(near, [].append, RecordLayer(HERE), True)
    client = RecordLayer(Papers(True, HERE.suite, HERE.writing, HERE.reading))
    for number in range(10):
        link.send_media(bytes((number,)) * 20_000, None)
    assert link.drop(None) > 100_000  # type: ignore[arg-type]
    assert link.queued, "the rest of what the socket took in part is sent as it is"
    link.send_media(b"\xff" * 1000, None)
    content = await read(far, client, 21_000)
    assert content == b"\0" * 20_000 + b"\xff" * 1000
    assert link.queued == 0
    link.close()
    near.close()
    far.close()


async def test_the_end_of_the_client_is_noticed() -> None:
    near, far = ends()
    lost: list[str] = []
    link = link_of(near, lost.append, RecordLayer(HERE), False)
    far.close()
    link.send_media(b"x", None)
    assert lost
    assert link.closed
    near.close()


async def test_where_the_socket_takes_little_only_little_is_encrypted_ahead() -> None:
    near, far = ends()
    link = link_of(near, [].append, RecordLayer(HERE), False)
    assert isinstance(link, SecureLink)
    for number in range(40):
        link.send_media(bytes((number,)) * 20_000, None)
    for _ in range(200):
        with contextlib.suppress(BlockingIOError):
            far.recv(300)
        link._writable()
    assert len(link._queue[0][0]) < 2 * BATCH
    link.close()
    near.close()
    far.close()
