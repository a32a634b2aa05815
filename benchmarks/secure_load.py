"""Clients of one encrypted way: `python -m benchmarks.secure_load WAY PORT CLIENTS SECONDS [PATH]`.

They log in and play, and from then on what they get is counted and dropped in the kernel, not decrypted; but for one, which tells
the latency. Prints `measuring` when the measured time begins and one JSON object at its end.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import sys
import threading
import time

from benchmarks.camera import STAMP
from benchmarks.measure import percentile
from benchmarks.secure_server import PATH
from benchmarks.servers import PASSWORD, USER
from onvifd.rtsp import websocket
from tests.e2e.rtsp_client import RtspClient, unverified


class WebSocketClient(RtspClient):
    """RTSP in messages; the answers, which come before media, are read out of theirs."""

    def _connect(self) -> socket.socket:
        sock = super()._connect()
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET {websocket.PATH} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Protocol: {websocket.PROTOCOL}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        assert head.startswith(b"HTTP/1.1 101"), head
        return sock

    def send(self, data: bytes) -> None:
        framed = bytearray(websocket.frame(data))
        at = len(framed) - len(data)
        framed[1] |= 0x80
        self.socket.sendall(bytes(framed[:at]) + bytes(4) + data)

    def _fill(self, size: int, deadline: float) -> bool:
        while len(self._buffer) < size:
            head = self._exactly(2)
            length = head[1]
            if length >= 126:
                length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
            self._buffer += self._exactly(length)
        return True

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            assert more, "the server closed the connection"
            data += more
        return data


class Watch(threading.Thread):
    """A client that reads: when each picture was sent, and how long it took."""

    def __init__(self, client: RtspClient, seconds: float) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._seconds = seconds
        self.latencies: list[tuple[float, float]] = []
        """Time of arrival (monotonic) and milliseconds."""

    def run(self) -> None:
        for packet in self._client.packets(seconds=self._seconds):
            now, at = time.time_ns(), packet.payload.find(STAMP)
            if at >= 0:
                sent = int(packet.payload[at + len(STAMP) : at + len(STAMP) + 16], 16)
                self.latencies.append((time.monotonic(), (now - sent) / 1e6))


def main(way: str, port: int, count: int, seconds: float, path: str = PATH) -> None:
    kind = WebSocketClient if way in ("ws", "wss") else RtspClient
    tls = unverified() if way in ("rtsps", "wss") else None
    clients = []
    for _ in range(count):
        client = kind(f"rtsp://127.0.0.1:{port}{path}", USER, PASSWORD, tls=tls)
        client.setup(client.describe()[0])
        client.demand("PLAY")
        clients.append(client)
    watch = Watch(clients.pop(), seconds + 2)
    watch.start()
    poll = select.epoll()
    # TLS is not spoken from here on: the descriptor is read as it is
    raw = {(fd := os.dup(client.socket.fileno())): socket.socket(fileno=fd) for client in clients}
    for fd, sock in raw.items():
        sock.setblocking(False)
        poll.register(fd, select.EPOLLIN)
    buffer = bytearray(1 << 20)
    total = [0]

    def read(until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            for fd, _ in poll.poll(left):
                try:
                    size = raw[fd].recv_into(buffer, 0, socket.MSG_TRUNC)
                except BlockingIOError:
                    continue
                assert size, "the server closed a connection"
                total[0] += size

    read(time.monotonic() + 2)
    print("measuring", flush=True)
    total[0], begin = 0, time.monotonic()
    read(begin + seconds)
    passed = time.monotonic() - begin
    latencies = [took for at, took in watch.latencies if begin <= at <= begin + passed]
    result = {
        "gbits": total[0] * 8 / 1e9 * count / (count - 1),
        "seconds": passed,
        "latency_p50": percentile(latencies, 0.5),
        "latency_p99": percentile(latencies, 0.99),
    }
    print(json.dumps(result), flush=True)
    for sock in raw.values():
        sock.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), *sys.argv[5:])
