"""Clients that cost nothing: `python -m benchmarks.scale_load SPACE PORT MOST LIMIT PID ...`, for scale.

They set up by UDP from addresses of their own, and play; then the server's namespace SPACE is told that these addresses are at a
hardware address that nobody has. What is sent to them goes the whole way through the server's kernel and is dropped where it
arrives, a whole batch at a time. One client per worker (PID, in the order of their cores) really reads: frame rate, loss and
latency are its; that the others are sent as much is seen by the counters of the interface. Prints the highest level that was
carried as a JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clip import FPS
from benchmarks.load import Client, connect
from benchmarks.measure import cpu_seconds, percentile
from benchmarks.servers import PASSWORD, USER

# RFC 2544: 198.18.0.0/15 is for benchmarks.
SERVER, ADDRESS, CROWD = "198.18.0.1", "198.18.0.2", "198.18.1."
DEVICE = "bench"
NOBODY = "02:00:00:00:00:ff"
HEADERS = 14 + 20 + 8
"""Octets of Ethernet, IPv4 and UDP around what is sent, once per packet of the interface."""

BEGIN = 400
"""Clients of each worker at first."""
FULL = 0.97
"""Share of a core that is all of it."""
MOSTLY = 0.8
"""Share of its core that the worker itself must have had for what ended to be its own strength."""
NEARER = 0.8
"""Of the room that is left the next step takes so much."""
LEAST = 20
"""Clients of one step."""
GROUP = 50
"""Clients that are set up at once."""
WINDOW = 5.0
LOOK = 1.0
LOOKS = 8
"""Looks at a new level before it is measured: those who joined were sent the pictures since the last key frame first."""


@dataclass(frozen=True, slots=True)
class Level:
    """What was measured with so many clients of each worker."""

    counts: tuple[int, ...]
    fps: tuple[float, ...]
    lost: int
    latency: float | None
    shares: tuple[float, ...]
    """Of a core, the worker alone."""
    busy: tuple[float, ...]
    """Of its core, with all that runs there but for what gives way."""
    arrived: float
    """What came through the interface, of what all clients should have got."""
    gbits: float
    cost: float
    joined: float
    octets: float

    @property
    def carried(self) -> bool:
        return min(self.fps) >= 0.99 * FPS and not self.lost and self.arrived >= 0.98

    @property
    def steady(self) -> bool:
        """Nobody gets less or more than is due: nothing is being caught up with."""
        return all(abs(fps - FPS) <= 1.5 for fps in self.fps) and abs(self.arrived - 1) < 0.03


@dataclass(slots=True)
class Camera:
    """How clients ask for the stream of a worker: all by the same words."""

    setup: bytes
    play: str
    witness: Client


def authorization(method: str, url: str, realm: str, nonce: str) -> str:
    """Digest credentials (RFC 2617)."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    ha1, ha2 = md5(f"{USER}:{realm}:{PASSWORD}"), md5(f"{method}:{url}")
    response = md5(f"{ha1}:{nonce}:00000001:0a0a0a0a:auth:{ha2}")
    return (
        f'Authorization: Digest username="{USER}", realm="{realm}", nonce="{nonce}", uri="{url}", '
        f'response="{response}", qop=auth, nc=00000001, cnonce="0a0a0a0a"\r\n'
    )


def reply(sock: socket.socket, status: int = 200) -> str:
    """The head of the next answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection")
        data += more
    text = data.decode()
    if text.split(" ", 2)[1] != str(status):
        raise ConnectionError(f"unexpected answer: {text.splitlines()[0]}")
    return text


def camera(port: int, number: int) -> Camera:
    url = f"rtsp://{SERVER}:{port}/live/cam-{number}/main"
    options = argparse.Namespace(user=USER, password=PASSWORD, udp=True, header=[])
    witness = connect(url, options, sampled=True)
    track = next(each for each in witness.control.describe() if each.kind == "video").control
    with socket.create_connection((SERVER, port), 10) as sock:
        sock.sendall(f"DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', reply(sock, 401)))
    known = (challenge["realm"], challenge["nonce"])
    setup = (
        f"SETUP {track} RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP;unicast;client_port=6970-6971\r\n"
        f"{authorization('SETUP', track, *known)}\r\n"
    )
    play = f"PLAY {url} RTSP/1.0\r\nCSeq: 3\r\n{authorization('PLAY', url, *known)}"
    return Camera(setup.encode(), play, witness)


class Crowd:
    """All clients, as many of each worker as `counts` says, and those who watch for them."""

    def __init__(self, space: str, port: int, pids: list[int]) -> None:
        self._space = space
        self._port = port
        self._pids = pids
        self._cameras = [camera(port, number) for number in range(len(pids))]
        self._addresses = iter(range(1, 255))
        self._sockets: list[socket.socket] = []
        self._poll = select.epoll()
        for each in self._cameras:
            self._poll.register(each.witness.media.fileno(), select.EPOLLIN)
        self._witnesses = {each.witness.media.fileno(): each.witness for each in self._cameras}
        self.counts = [0] * len(pids)

    def grow(self, wanted: list[int]) -> None:
        """Let so many play."""
        address = f"{CROWD}{next(self._addresses)}"
        while self.counts != wanted:
            sizes = [min(GROUP, count - now) for count, now in zip(wanted, self.counts, strict=True)]
            self._join(address, [each for each, size in zip(self._cameras, sizes, strict=True) for _ in range(size)])
            self.counts = [now + size for now, size in zip(self.counts, sizes, strict=True)]
            self._read(0)
        subprocess.run(
            ["ip", "-n", self._space, "neigh", "replace", address, "lladdr", NOBODY, "nud", "permanent", "dev", DEVICE],
            check=True,
            timeout=10,
        )

    def _join(self, address: str, watched: list[Camera]) -> None:
        """One client for each, all workers at a time."""
        joining = [
            (each, socket.create_connection((SERVER, self._port), 20, source_address=(address, 0))) for each in watched
        ]
        for each, sock in joining:
            self._sockets.append(sock)
            sock.sendall(each.setup)
        sessions = [re.search(r"(?mi)^Session: *([^;\s]+)", reply(sock)) for _, sock in joining]
        for (each, sock), found in zip(joining, sessions, strict=True):
            assert found is not None
            sock.sendall(f"{each.play}Session: {found[1]}\r\n\r\n".encode())
        for _, sock in joining:
            reply(sock)

    def _read(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            for descriptor, _ in self._poll.poll(max(0.0, end - time.monotonic())):
                self._witnesses[descriptor].read()
            if time.monotonic() >= end:
                return

    def measure(self, seconds: float) -> Level:
        self._read(0)
        sequences = []
        for witness in self._witnesses.values():
            witness.reset()
            sequences.append(witness.sequence or 0)
        octets, packets = counters()
        used, idle = [cpu_seconds(pid) for pid in self._pids], idle_seconds(len(self._pids))
        began = time.monotonic()
        self._read(seconds)
        took = time.monotonic() - began
        octets, packets = (now - before for now, before in zip(counters(), (octets, packets), strict=True))
        used = [cpu_seconds(pid) - before for pid, before in zip(self._pids, used, strict=True)]
        idle = [now - before for now, before in zip(idle_seconds(len(self._pids)), idle, strict=True)]
        witnesses = self._witnesses.values()
        watching = [count + 1 for count in self.counts]
        due = sum(count * each.received for count, each in zip(watching, witnesses, strict=True))
        datagrams = sum(
            count * (((each.sequence or 0) - before) & 0xFFFF)
            for count, each, before in zip(watching, witnesses, sequences, strict=True)
        )
        sent = octets - HEADERS * packets
        return Level(
            counts=tuple(self.counts),
            fps=tuple(each.frames / took for each in witnesses),
            lost=sum(each.lost for each in witnesses),
            latency=percentile([value for each in witnesses for value in each.latencies], 0.99),
            shares=tuple(each / took for each in used),
            busy=tuple(max(share / took, 1 - each / took) for share, each in zip(used, idle, strict=True)),
            arrived=sent / due if due else 0.0,
            gbits=sent * 8 / 1e9 / took,
            cost=sum(used) / (sent * 8 / 1e9) if sent else 0.0,
            joined=datagrams / packets if packets else 0.0,
            octets=sent / packets if packets else 0.0,
        )

    def settle(self) -> None:
        for _ in range(LOOKS):
            if self.measure(LOOK).steady:
                return


def counters() -> tuple[int, int]:
    """Octets and packets that came through the interface: what the server sent."""
    folder = Path("/sys/class/net") / DEVICE / "statistics"
    return int((folder / "rx_bytes").read_text()), int((folder / "rx_packets").read_text())


def idle_seconds(cores: int) -> list[float]:
    """Of the first cores, with the time of those who are nice (`/proc/stat`, in hundredths)."""
    lines = dict(line.split(" ", 1) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("cpu"))
    fields = [lines[f"cpu{number}"].split() for number in range(cores)]
    return [(int(each[1]) + int(each[3])) / 100 for each in fields]


def climb(crowd: Crowd, most: int, limit: float) -> tuple[Level | None, str, bool]:
    """The highest level that was carried, why none above it was, and whether that was for the workers."""
    deadline = time.monotonic() + limit
    wanted = [min(BEGIN, most)] * len(crowd.counts)
    best: Level | None = None
    while True:
        crowd.grow(wanted)
        crowd.settle()
        level = crowd.measure(WINDOW)
        print(level, file=sys.stderr, flush=True)
        if not level.carried:
            counts = " and ".join(str(count) for count in level.counts)
            rates = " and ".join(f"{fps:.1f}" for fps in level.fps)
            return best, f"{rates} fps, {level.lost} lost with {counts}", min(level.shares) >= MOSTLY
        best = level
        if min(level.busy) >= FULL:
            own = min(level.shares) >= MOSTLY
            return best, "each core is full" if own else "the cores are full of other work", own
        if time.monotonic() > deadline:
            return best, "the time was over", False
        wanted = [
            count if busy >= FULL else min(most, count + max(LEAST, int(count * (1 / busy - 1) * NEARER)))
            for count, busy in zip(level.counts, level.busy, strict=True)
        ]
        if tuple(wanted) == level.counts:
            return best, f"{most} clients of a worker are all that are tried", False


def main() -> None:
    space, port, most, limit, *pids = sys.argv[1:]
    crowd = Crowd(space, int(port), [int(pid) for pid in pids])
    best, ended, full = climb(crowd, int(most), float(limit))
    if best is None:
        print(json.dumps({"unable": f"not even the first level is carried: {ended}"}), flush=True)
        return
    result = {
        "clients": sum(best.counts),
        "gbits": best.gbits,
        "fps": min(best.fps),
        "lost": best.lost,
        "latency_p99": best.latency,
        "shares": best.shares,
        "cost": best.cost,
        "joined": best.joined,
        "octets": best.octets,
        "ended": ended,
        "full": full,
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
