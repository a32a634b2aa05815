"""Port pairs and segmentation offload on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from onvifd.errors import LimitReached
from onvifd.rtsp import udp
from onvifd.rtsp.udp import UdpPair


class Receivers:
    def __init__(self) -> None:
        self.socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for sock in self.socks:
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        self.ports = (self.socks[0].getsockname()[1], self.socks[1].getsockname()[1])

    async def take(self, index: int, count: int) -> list[bytes]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            return [await loop.sock_recv(self.socks[index], 4096) for _ in range(count)]

    def close(self) -> None:
        for sock in self.socks:
            sock.close()


@pytest.mark.parametrize("offload", [True, False])
async def test_batches_arrive_as_datagrams(offload: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_LINUX", offload)
    far = Receivers()
    pair = UdpPair("127.0.0.1", "127.0.0.1", far.ports, lambda *_: None)
    data = bytes(range(250)) * 10
    assert pair.send(False, data, 1000) == len(data)
    assert await far.take(0, 3) == [data[:1000], data[1000:2000], data[2000:]]
    assert pair.send(True, b"report", 6) == 6
    assert await far.take(1, 1) == [b"report"]
    pair.close()
    pair.close()
    far.close()


async def test_kernel_without_offload_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "_LINUX", True)
    monkeypatch.setattr(udp, "_UDP_SEGMENT", 9999)
    far = Receivers()
    pair = UdpPair("127.0.0.1", "127.0.0.1", far.ports, lambda *_: None)
    for _ in range(2):
        assert pair.send(False, b"a" * 300, 200) == 300
    assert {len(data) for data in await far.take(0, 4)} <= {200, 100, 300}
    pair.close()
    far.close()


async def test_reports_come_from_the_client_only() -> None:
    far, other = Receivers(), Receivers()
    got: list[bytes] = []
    pair = UdpPair("127.0.0.1", "127.0.0.1", far.ports, lambda rtcp, data: got.append(data))
    other.socks[1].sendto(b"foreign", ("127.0.0.1", pair.server_port[1]))
    far.socks[1].sendto(b"report", ("127.0.0.1", pair.server_port[1]))
    async with asyncio.timeout(5):
        while not got:
            await asyncio.sleep(0)
    assert got == [b"report"]
    pair.close()
    far.close()
    other.close()


async def test_closed_client_port_is_no_error() -> None:
    far = Receivers()
    ports = far.ports
    far.close()
    pair = UdpPair("127.0.0.1", "127.0.0.1", ports, lambda *_: None)
    for _ in range(5):
        assert pair.send(False, b"x", 1) == 1
        await asyncio.sleep(0)
    pair.close()


@pytest.mark.covers("S-RTP-UDP")
async def test_pairs_that_another_worker_took_in_a_row_do_not_keep_a_session_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = []
    for port in udp.PORTS[: udp.ATTEMPTS]:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):  # by whomever it is taken
            sock.bind(("127.0.0.1", port))
        taken.append(sock)
    monkeypatch.setattr(udp, "_next_port", 0)
    try:
        pair = UdpPair("127.0.0.1", "127.0.0.1", (5000, 5001), lambda *_: None)
        assert pair.server_port[0] not in udp.PORTS[: udp.ATTEMPTS]
        pair.close()
    finally:
        for sock in taken:
            sock.close()


async def test_no_free_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    monkeypatch.setattr(udp, "PORTS", range(port, port + 1))
    with pytest.raises(LimitReached):
        UdpPair("127.0.0.1", "127.0.0.1", (5000, 5001), lambda *_: None)
    held.close()
