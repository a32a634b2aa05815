"""What the kernel alone asks for: a relay that knows nothing. `python -m benchmarks.floor_server PORT CAMERA_PORT CAMERAS`.

Each picture of a camera goes to all clients as it came, by one `send` each: no queues, no time-outs, no accounts, no second
transport. No relay that copies through sockets can be cheaper than its share in the kernel, which is what is reported.
"""

from __future__ import annotations

import select
import socket
import sys
from dataclasses import dataclass, field

from tests.e2e.rtsp_client import RtspClient

LIFE = 600
"""Seconds of an idle loop after which it ends by itself."""
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\na=control:t0\r\n"
)


@dataclass(slots=True)
class Camera:
    """A source, and what of its bytes has not been sent."""

    client: RtspClient
    rest: bytes
    clients: list[socket.socket] = field(default_factory=list)

    def pictures(self, data: bytes) -> tuple[bytes, bytes]:
        """All whole pictures, and the rest."""
        data = self.rest + data
        at, last = 0, 0
        while at + 4 <= len(data):
            after = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
            if after > len(data):
                break
            if data[at + 1] == 1 or data[at + 5] & 0x80:
                last = after
            at = after
        return data[:last], data[last:]


def answer(sock: socket.socket, cameras: list[Camera]) -> bool:
    """Serve the requests that have come; false when the client has gone."""
    try:
        text = sock.recv(65536).decode(errors="replace")
    except OSError:
        return False
    if not text:
        return False
    for request in text.split("\r\n\r\n"):
        if not request.strip():
            continue
        method, url = request.split()[:2]
        fields = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in request.split("\r\n")[1:]}
        body = SDP if method == "DESCRIBE" else ""
        extra = f"Content-Type: application/sdp\r\nContent-Base: {url}/\r\n" if body else ""
        if method == "SETUP":
            extra = f"Transport: {fields['transport']}\r\nSession: 1;timeout=60\r\n"
        head = f"RTSP/1.0 200 OK\r\nCSeq: {fields.get('cseq', '0')}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"
        sock.sendall(head.encode())
        if method == "PLAY":
            cameras[int(url.rstrip("/").rpartition("cam")[2])].clients.append(sock)
    return True


def source(port: int, number: int) -> Camera:
    client = RtspClient(f"rtsp://127.0.0.1:{port}/cam{number}", "", "")
    client.setup(next(each for each in client.describe() if each.kind == "video"))
    client.demand("PLAY")
    client.socket.setblocking(False)
    return Camera(client, client.left_over())


def main() -> None:
    port, camera_port, count = map(int, sys.argv[1:4])
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    cameras = [source(camera_port, number) for number in range(count)]
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    sources = {camera.client.socket.fileno(): camera for camera in cameras}
    for descriptor in sources:
        poll.register(descriptor, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    print("ready", flush=True)
    while events := poll.poll(LIFE):
        for descriptor, _ in events:
            if descriptor == listener.fileno():
                accepted, _ = listener.accept()
                clients[accepted.fileno()] = accepted
                poll.register(accepted, select.EPOLLIN)
            elif (camera := sources.get(descriptor)) is not None:
                whole, camera.rest = camera.pictures(camera.client.socket.recv(1 << 20))
                if whole:
                    for sock in camera.clients:
                        sock.send(whole)
            elif not answer(clients[descriptor], cameras):
                poll.unregister(descriptor)
                gone = clients.pop(descriptor)
                for camera in cameras:
                    camera.clients = [each for each in camera.clients if each is not gone]
                gone.close()


if __name__ == "__main__":
    main()
