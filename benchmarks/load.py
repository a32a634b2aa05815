"""Many RTSP clients in one process: `python -m benchmarks.load URL ...`.

Every client's bytes are counted; a few (`SAMPLED`) are read packet by packet for frames, lost packets and latency, so that
one core can take the load of hundreds. Prints `measuring` when the measured time begins and one JSON object at its end.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import time
from dataclasses import dataclass, field

from benchmarks.camera import STAMP
from benchmarks.measure import percentile
from tests.e2e.rtsp_client import RtspClient

SAMPLED = 12
CHUNK = memoryview(bytearray(1 << 20))


@dataclass(slots=True)
class Client:
    """One playing client; `received` counts bytes of the measured time."""

    control: RtspClient
    media: socket.socket
    sampled: bool
    udp: bool
    received: int = 0
    frames: int = 0
    lost: int = 0
    sequence: int | None = None
    latencies: list[float] = field(default_factory=list)
    buffer: bytearray = field(default_factory=bytearray)

    def read(self) -> bool:
        """Take what is there. False at the end of the connection."""
        # What nobody looks into is counted and dropped in the kernel (tcp(7)): the load must not be what is measured.
        flags = 0 if self.sampled or self.udp else socket.MSG_TRUNC
        while True:
            try:
                size = self.media.recv_into(CHUNK, 0, flags)
            except BlockingIOError:
                return True
            if not size:
                return self.udp
            self.received += size
            if self.sampled:
                now = time.time_ns()
                if self.udp:
                    self.packet(bytes(CHUNK[:size]), now)
                else:
                    self.buffer += CHUNK[:size]
                    self.interleaved(now)
            if size < len(CHUNK) and not self.udp:
                return True

    def interleaved(self, now: int) -> None:
        offset, buffer = 0, self.buffer
        while len(buffer) - offset >= 4:
            if buffer[offset] != 0x24:
                end = buffer.find(b"\r\n\r\n", offset)  # a reply without body
                if end < 0:
                    break
                offset = end + 4
                continue
            size = int.from_bytes(buffer[offset + 2 : offset + 4], "big")
            if len(buffer) - offset < 4 + size:
                break
            if buffer[offset + 1] == 0:
                self.packet(bytes(buffer[offset + 4 : offset + 4 + size]), now)
            offset += 4 + size
        del buffer[:offset]

    def packet(self, data: bytes, now: int) -> None:
        if 200 <= data[1] <= 204:
            return
        sequence = int.from_bytes(data[2:4], "big")
        if self.sequence is not None:
            self.lost += (sequence - self.sequence - 1) & 0xFFFF
        self.sequence = sequence
        self.frames += data[1] >> 7
        if (found := data.find(STAMP)) >= 0:
            stamp = data[found + len(STAMP) : found + len(STAMP) + 16]
            self.latencies.append((now - int(stamp, 16)) / 1e6)

    def reset(self) -> None:
        self.received = self.frames = self.lost = 0
        self.latencies.clear()


def udp_pair(host: str = "127.0.0.1") -> tuple[socket.socket, socket.socket]:
    """Sockets on an even port and the next one (RFC 3550 11)."""
    while True:
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        first.bind((host, 0))
        port = first.getsockname()[1]
        try:
            if port % 2 == 0:
                second.bind((host, port + 1))
                first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                return first, second
        except OSError:
            pass
        first.close()
        second.close()


def connect(url: str, options: argparse.Namespace, sampled: bool) -> Client:
    control = RtspClient(url, options.user, options.password, timeout=20)
    media = control.socket
    video = next(each for each in control.describe() if each.kind == "video")
    if options.udp:
        media, spare = udp_pair(control.socket.getsockname()[0])
        control.setup(video, port=media.getsockname()[1])
        spare.close()
    else:
        control.setup(video)
    headers = dict(header.split("=", 1) for header in options.header)
    control.demand("PLAY", **headers)
    client = Client(control, media, sampled, options.udp)
    if not options.udp:
        client.buffer += control.left_over()
    media.setblocking(False)
    return client


def run(options: argparse.Namespace) -> dict[str, object]:
    poll = select.epoll()
    clients: dict[int, Client] = {}
    stalled = []

    def drain(until: float) -> None:
        while True:
            for descriptor, _ in poll.poll(max(0.0, min(0.05, until - time.monotonic()))):
                if not clients[descriptor].read():
                    poll.unregister(descriptor)
            if time.monotonic() >= until:
                return

    for number in range(options.clients + options.stalled):
        url = options.url.replace("%d", str(options.first + number % options.cameras))
        client = connect(url, options, number < SAMPLED)
        if number >= options.clients:
            stalled.append(client)
            continue
        clients[client.media.fileno()] = client
        poll.register(client.media.fileno(), select.EPOLLIN)
        drain(time.monotonic())
    drain(time.monotonic() + options.warm_up)
    for client in clients.values():
        client.reset()
    print("measuring", flush=True)
    began = time.monotonic()
    keep_alive = began + 20
    while (now := time.monotonic()) < began + options.seconds:
        drain(min(now + 1, began + options.seconds))
        if now > keep_alive and options.udp:
            keep_alive = now + 20
            for client in clients.values():
                client.control.socket.settimeout(10)
                client.control.request("OPTIONS")
    took = time.monotonic() - began
    received = [client.received for client in clients.values()]
    sampled = [client for client in clients.values() if client.sampled]
    latencies = [value for client in sampled for value in client.latencies]
    return {
        "clients": len(clients),
        "stalled": len(stalled),
        "gbits": sum(received) * 8 / 1e9,
        "least_mbits": min(received) * 8 / 1e6 / took,
        "fps": sum(client.frames for client in sampled) / len(sampled) / took,
        "lost": sum(client.lost for client in sampled),
        "latency_p50": percentile(latencies, 0.5),
        "latency_p99": percentile(latencies, 0.99),
        "seconds": took,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url", help="RTSP address; %%d stands for the camera's number")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first camera")
    parser.add_argument("--stalled", type=int, default=0)
    parser.add_argument("--udp", action="store_true")
    parser.add_argument("--warm-up", type=float, default=4)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--header", action="append", default=[], help="header of PLAY, as Name=value")
    print(json.dumps(run(parser.parse_args())))


if __name__ == "__main__":
    main()
