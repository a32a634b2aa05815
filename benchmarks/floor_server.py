"""What the kernel alone asks for: a relay that knows nothing. `python -m benchmarks.floor_server PORT CAMERA_PORT CAMERAS`.

Each picture of a camera goes to all clients as it came, by one `send` each (by UDP one for each run of packets of one size): no
queues, no time-outs, no accounts. No relay that copies through sockets can be cheaper than its share in the kernel, which is what
is reported. With `PORT file PATH` alone it is a download: whoever says something is sent the file as often as makes `DOWNLOAD` octets.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.rtsp_client import RtspClient

SEGMENTS, OCTETS, UDP_SEGMENT = 64, 65_000, 103
"""linux/udp.h: how much may be joined, and the option that says the size."""
DOWNLOAD = 20 << 20
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
    datagrams: list[socket.socket] = field(default_factory=list)

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


def runs(data: bytes) -> list[tuple[bytes, list[tuple[int, int, bytes]]]]:
    """RTP packets of a picture as the kernel takes them at once (UDP_SEGMENT): all of one size, the last may be shorter."""
    found: list[list[bytes]] = []
    at = total = 0
    while at < len(data):
        after = at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")
        packet = data[at + 4 : after]
        if data[at + 1] == 0:
            total += len(packet)
            run = found[-1] if found else []
            if run and len(run[-1]) == len(run[0]) >= len(packet) and len(run) < SEGMENTS and total <= OCTETS:
                run.append(packet)
            else:
                found.append([packet])
                total = len(packet)
        at = after
    return [(b"".join(run), [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", len(run[0])))]) for run in found]


def send(camera: Camera, whole: bytes) -> None:
    """A client that has gone is forgotten when the end of its connection is read."""
    for sock in camera.clients:
        try:
            sock.send(whole)
        except ConnectionError:
            continue
    made = runs(whole) if camera.datagrams else []
    for sock in camera.datagrams:
        for data, ancillary in made:
            try:
                sock.sendmsg((data,), ancillary)
            except ConnectionError:
                continue


def datagrams_to(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 << 20)
    sock.connect(("127.0.0.1", port))
    return sock


def answer(sock: socket.socket, cameras: list[Camera], ports: dict[socket.socket, socket.socket]) -> bool:
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
            if found := re.search(r"client_port=(\d+)", fields["transport"]):
                ports[sock] = datagrams_to(int(found[1]))
        head = f"RTSP/1.0 200 OK\r\nCSeq: {fields.get('cseq', '0')}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"
        sock.sendall(head.encode())
        if method == "PLAY":
            camera = cameras[int(url.rstrip("/").rpartition("cam")[2])]
            if sock in ports:
                camera.datagrams.append(ports[sock])
            else:
                camera.clients.append(sock)
    return True


def source(port: int, number: int) -> Camera:
    client = RtspClient(f"rtsp://127.0.0.1:{port}/cam{number}", "", "")
    client.setup(next(each for each in client.describe() if each.kind == "video"))
    client.demand("PLAY")
    client.socket.setblocking(False)
    return Camera(client, client.left_over())


def download(port: int, path: Path) -> None:
    size = path.stat().st_size
    with socket.create_server(("127.0.0.1", port)) as listener, path.open("rb") as file:
        listener.settimeout(LIFE)
        print("ready", flush=True)
        while True:
            client, _ = listener.accept()
            with client:
                if client.recv(4096):
                    for _ in range(-(-DOWNLOAD // size)):
                        client.sendfile(file)


def main() -> None:
    if sys.argv[2] == "file":
        download(int(sys.argv[1]), Path(sys.argv[3]))
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
    ports: dict[socket.socket, socket.socket] = {}
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
                    send(camera, whole)
            elif not answer(clients[descriptor], cameras, ports):
                poll.unregister(descriptor)
                gone = clients.pop(descriptor)
                out = ports.pop(gone, None)
                for camera in cameras:
                    camera.clients = [each for each in camera.clients if each is not gone]
                    camera.datagrams = [each for each in camera.datagrams if each is not out]
                gone.close()
                if out is not None:
                    out.close()


if __name__ == "__main__":
    main()
