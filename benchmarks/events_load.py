"""Pull points that wait for events: `python -m benchmarks.events_load PORT [--points N] [--seconds S]`.

Each pulls over a connection of its own, one PullMessages after the other, as VMS do. A delivery's latency is the time from the message's
UtcTime, which the camera set, to the arrival of the answer's last byte. Prints `measuring`, then one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import time
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection, socket

from lxml import etree

from benchmarks.measure import percentile
from benchmarks.servers import PASSWORD, USER
from onvifd.onvif.soap.values import parse_datetime
from onvifd.onvif.soap.wsse import security_header

SERVICE = "/onvif/event_service"
TEV = "http://www.onvif.org/ver10/events/wsdl"
BOUND = 30.0
FILTER = (
    '<Filter><n:TopicExpression xmlns:n="http://docs.oasis-open.org/wsn/b-2" xmlns:tns1="http://www.onvif.org/ver10/topics"'
    ' Dialect="http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete">tns1:VideoSource/MotionAlarm</n:TopicExpression></Filter>'
)
CREATE = f'<CreatePullPointSubscription xmlns="{TEV}">{FILTER}</CreatePullPointSubscription>'
PULL = f'<PullMessages xmlns="{TEV}"><Timeout>PT20S</Timeout><MessageLimit>10</MessageLimit></PullMessages>'
_ADDRESS = re.compile(rb"Address>http://[^/]+([^<]+)<")
_TIMES = re.compile(rb'UtcTime="([^"]+)" PropertyOperation="Changed"')


class Point:
    """One pull point."""

    def __init__(self, port: int) -> None:
        self.socket: socket = create_connection(("127.0.0.1", port), BOUND)
        self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._buffer = bytearray()
        self.ask(SERVICE, CREATE)
        while (answer := self.read()) is None:
            pass
        found = _ADDRESS.search(answer)
        assert found is not None, answer
        self._path = found[1].decode()

    def pull(self) -> None:
        self.ask(self._path, PULL)

    def ask(self, path: str, body: str) -> None:
        header = etree.tostring(security_header(USER, PASSWORD, os.urandom(16), time.time_ns() // 1000)).decode()
        text = (
            f'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header>{header}</s:Header>'
            f"<s:Body>{body}</s:Body></s:Envelope>"
        )
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/soap+xml\r\n"
        self.socket.sendall(f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode())

    def read(self) -> bytes | None:
        """The body of the answer once it is whole."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise RuntimeError("the server closed the connection")
        self._buffer += data
        head, separator, content = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return None
        fields = dict(line.lower().split(b": ", 1) for line in bytes(head).split(b"\r\n")[1:])
        if len(content) < int(fields[b"content-length"]):
            return None
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(content.decode(errors="replace")[:2000])
        self._buffer.clear()
        return bytes(content)


def run(options: argparse.Namespace) -> dict[str, object]:
    poll = select.epoll()
    points: dict[int, Point] = {}
    for _ in range(options.points):
        point = Point(options.port)
        points[point.socket.fileno()] = point
        poll.register(point.socket.fileno(), select.EPOLLIN)
        point.pull()
    seen: dict[str, int] = {}
    latencies: list[float] = []
    arrived: list[tuple[Point, bytes, int]] = []

    def until(end: float, *, measure: bool) -> None:
        while time.monotonic() < end or arrived:
            ready = poll.poll(0 if arrived else 0.1)
            for descriptor, _ in ready:
                answer = points[descriptor].read()
                if answer is not None:
                    arrived.append((points[descriptor], answer, time.time_ns() // 1000))
            if ready:
                # Two hundred VMS have machines of their own: none waits for what another does with its answer.
                continue
            for point, answer, now in arrived:
                point.pull()
                for text in _TIMES.findall(answer):
                    if measure:
                        seen[text.decode()] = seen.get(text.decode(), 0) + 1
                        latencies.append((now - parse_datetime(text.decode())) / 1000)
            arrived.clear()

    until(time.monotonic() + options.warm_up, measure=False)
    print("measuring", flush=True)
    until(time.monotonic() + options.seconds, measure=True)
    # the first and the last event may have been cut by the bounds of the measured time
    whole = sorted(seen)[1:-1]
    return {
        "events": len(seen),
        "deliveries": len(latencies),
        "missing": sum(options.points - seen[text] for text in whole),
        "p50": percentile(latencies, 0.5),
        "p99": percentile(latencies, 0.99),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--points", type=int, default=1)
    parser.add_argument("--warm-up", type=float, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    print(json.dumps(run(parser.parse_args())))


if __name__ == "__main__":
    main()
