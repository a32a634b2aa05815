"""Asks a SOAP operation over and over: `python -m benchmarks.face_load PORT OPERATION [--connections N] [--account]`.

Each connection has one request under way. Prints `measuring` when the measured time begins and one JSON object at its end.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import time
from dataclasses import dataclass, field

from lxml import etree

from benchmarks.measure import percentile
from benchmarks.servers import PASSWORD, USER
from onvifd.onvif.soap.wsse import security_header

OPERATIONS = {
    "GetDeviceInformation": ("/onvif/device_service", "http://www.onvif.org/ver10/device/wsdl"),
    "GetProfiles": ("/onvif/media_service", "http://www.onvif.org/ver10/media/wsdl"),
}
BOUND = 30.0
"""Seconds that one answer may take."""


@dataclass(slots=True)
class Connection:
    """One keep-alive connection; `latencies` are milliseconds."""

    socket: socket.socket
    sent: int = 0
    buffer: bytearray = field(default_factory=bytearray)
    latencies: list[float] = field(default_factory=list)

    def ask(self, message: bytes) -> None:
        self.sent = time.perf_counter_ns()
        self.socket.sendall(message)

    def read(self) -> bool:
        """Take what is there; true if it completes the answer."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise RuntimeError("the server closed the connection")
        self.buffer += data
        head, separator, content = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return False
        fields = dict(line.lower().split(b": ", 1) for line in bytes(head).split(b"\r\n")[1:])
        if len(content) < int(fields[b"content-length"]):
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(content.decode(errors="replace")[:2000])
        self.latencies.append((time.perf_counter_ns() - self.sent) / 1e6)
        self.buffer.clear()
        return True


def message(operation: str, account: bool) -> bytes:
    """A request as a VMS sends it, with a UsernameToken of its own if there are accounts."""
    path, namespace = OPERATIONS[operation]
    header = b""
    if account:
        header = etree.tostring(security_header(USER, PASSWORD, os.urandom(16), time.time_ns() // 1000))
    body = (
        b'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header>%s'
        b'</s:Header><s:Body><%s xmlns="%s"/></s:Body></s:Envelope>'
    ) % (header, operation.encode(), namespace.encode())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/soap+xml; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def run(options: argparse.Namespace) -> dict[str, object]:
    poll = select.epoll()
    connections: dict[int, Connection] = {}
    for _ in range(options.connections):
        made = Connection(socket.create_connection(("127.0.0.1", options.port), BOUND))
        made.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections[made.socket.fileno()] = made
        poll.register(made.socket.fileno(), select.EPOLLIN)
        made.ask(message(options.operation, options.account))

    def ask_until(end: float) -> None:
        while time.monotonic() < end:
            ready = poll.poll(BOUND)
            if not ready:
                raise TimeoutError(f"no answer in {BOUND:g} s")
            for descriptor, _ in ready:
                if connections[descriptor].read():
                    connections[descriptor].ask(message(options.operation, options.account))

    ask_until(time.monotonic() + options.warm_up)
    for each in connections.values():
        each.latencies.clear()
    print("measuring", flush=True)
    began = time.monotonic()
    ask_until(began + options.seconds)
    took = time.monotonic() - began
    latencies = [value for each in connections.values() for value in each.latencies]
    return {
        "requests": len(latencies),
        "per_second": len(latencies) / took,
        "p50": percentile(latencies, 0.5),
        "p99": percentile(latencies, 0.99),
        "seconds": took,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("operation", choices=OPERATIONS)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--account", action="store_true")
    parser.add_argument("--warm-up", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=3)
    print(json.dumps(run(parser.parse_args())))


if __name__ == "__main__":
    main()
