"""`python -m benchmarks soak`: a whole recorder under many cameras for a long time, while clients come and go.

Each client does for some seconds what one does: it watches, by one of the transports, or plays what is recorded, then leaves,
politely or not; some send what is no RTSP, some never read. Memory, descriptors and tasks are written down all the time. At
the end there must be as many descriptors and tasks as before the first client came, no more memory than in the beginning, no
picture lost, neither to who watched nor on the disk, and nothing in the log that is a defect.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import whole
from benchmarks.clip import BITRATE, FOLDER
from benchmarks.load import udp_pair
from benchmarks.measure import LOAD_CORE, SERVER_CORE, Figure, free_ports, program, report
from benchmarks.servers import PASSWORD, USER
from onvifd.config import Config
from tests.e2e.rtsp_client import REPLAY, RtspClient
from tests.e2e.soap import Device

SEGMENT_SECONDS = 10
KEPT_SECONDS = 60
"""Of footage for which the volume has room."""
SETTLE = 20.0
"""Seconds until cameras are received, and until sessions that were left without a word have ended."""
WARM_UP = 20.0
LEFT = 75.0
"""Seconds after the last client until its session has timed out at the latest."""
SAMPLE = 10.0
POOLED = 12
"""Descriptors that a process may have more: connections to the index are made when several ask at once, up to a bound, and kept."""
GROWTH_MIB, GROWTH_SHARE = 16, 0.1
"""Memory that a process may hold more in the last quarter than in the second: so much, or this share of it if that is more."""
_LINE = re.compile(r"(?m)^(\S+?)(?:-\d+)?: .*?(\d+) tasks, (\d+) descriptors$")
KINDS = ("tcp", "udp", "http", "replay", "rude", "garbage", "deaf")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the processes hold at a time: by kind, MiB of memory of their own (no pages of files), tasks and descriptors."""

    seconds: float
    memory: dict[str, int]
    tasks: dict[str, int]
    descriptors: dict[str, int]


@dataclass(slots=True)
class Clients:
    """Threads that come and go."""

    config: Config
    cameras: tuple[str, ...]
    visits: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    packets: int = 0
    lost: int = 0
    faults: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, count: int) -> None:
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, number: int) -> None:
        chance = random.Random(number)
        while not self._stop.wait(chance.uniform(0, 2)):
            kind = chance.choice(KINDS)
            self.visits[kind] += 1
            try:
                self._visit(kind, chance)
            except (OSError, AssertionError) as error:
                self.refused[kind] += 1
                self.faults.append(f"{kind}: {error!r}"[:300])

    def _visit(self, kind: str, chance: random.Random) -> None:
        camera, stay = chance.choice(self.cameras), chance.uniform(1, 15)
        network = self.config.network
        port = network.http_port if kind == "http" else network.rtsp_port
        path = f"/replay/rec-{camera}" if kind == "replay" else f"/live/{camera}/main"
        if kind == "garbage":
            with RtspClient(f"rtsp://127.0.0.1:{port}{path}", USER, PASSWORD) as client, suppress(OSError):
                client.socket.sendall(chance.randbytes(chance.randrange(1, 4000)))
                client.socket.settimeout(stay)
                client.socket.recv(65536)
            return
        scheme = "http" if kind == "http" else "rtsp"
        with RtspClient(f"{scheme}://127.0.0.1:{port}{path}", USER, PASSWORD, 20.0, tunnel=kind == "http") as client:
            video = next(each for each in client.describe() if each.kind == "video")
            if kind == "udp":
                self._watch_udp(client, video, stay)
                return
            more = {"Require": REPLAY} if kind == "replay" else {}
            client.setup(video, **more)
            client.demand("PLAY", **more)
            if kind == "deaf":
                self._stop.wait(stay)
                return
            self._count(client, stay)
            if kind not in ("rude", "replay"):
                client.request("TEARDOWN")

    def _count(self, client: RtspClient, stay: float) -> None:
        expected: int | None = None
        for packet in client.packets(seconds=stay):
            if expected is not None:
                self.lost += (packet.sequence - expected) & 0xFFFF
            expected = (packet.sequence + 1) & 0xFFFF
            self.packets += 1

    def _watch_udp(self, client: RtspClient, video: object, stay: float) -> None:
        media, spare = udp_pair()
        with media, spare:
            client.setup(video, port=media.getsockname()[1])  # type: ignore[arg-type]
            client.demand("PLAY")
            media.settimeout(1)
            end, received = time.monotonic() + stay, 0
            while time.monotonic() < end:
                with suppress(TimeoutError):
                    received += len(media.recv(65536))
            assert received, "nothing came by UDP"
            client.request("TEARDOWN")


def private(pid: int) -> int:
    """Bytes of memory that no file stands behind."""
    found = re.search(r"(?m)^RssAnon:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) << 10 if found else 0


def take(parts: dict[str, int], device: Device, began: float) -> Sample:
    text = device.call("<tds:GetSystemSupportInformation/>").xpath("string(.)")
    found = {name: int(tasks) for name, tasks, _ in _LINE.findall(text)}
    return Sample(
        time.monotonic() - began,
        {name: private(pid) >> 20 for name, pid in parts.items()},
        found,
        {name: len(list(Path(f"/proc/{pid}/fd").iterdir())) for name, pid in parts.items()},
    )


def run(seconds: float, cameras: int, clients: int) -> tuple[list[Sample], Clients, whole.Kept, str]:
    """The samples (the first before any client came, the last after all have gone), what clients met, the footage, the log."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (camera_port,) = free_ports(1)
    bound = cameras * BITRATE // 8 * KEPT_SECONDS
    with (
        tempfile.TemporaryDirectory(dir=FOLDER) as folder,
        program(sys.executable, "-m", "benchmarks.camera", str(camera_port), core=LOAD_CORE),
    ):
        config, file = whole.recorder(Path(folder), bound, SEGMENT_SECONDS)
        asyncio.run(whole.add(config, camera_port, cameras))
        log = Path(folder) / "log"
        with program(sys.executable, "-m", "onvifd", "run", "--config", str(file), core=SERVER_CORE, log=log) as server:
            time.sleep(SETTLE)
            samples, met = _watch(config, whole.parts(server), seconds, clients)
        kept = asyncio.run(whole.read_all(config))
        return samples, met, kept, log.read_text(errors="replace")


def _watch(config: Config, parts: dict[str, int], seconds: float, count: int) -> tuple[list[Sample], Clients]:
    device = Device(f"http://127.0.0.1:{config.network.http_port}/onvif/device_service", USER, PASSWORD)
    cameras = whole.camera_ids(config)
    # Connections to the index and threads are made when they are first needed, and kept: that is no leak.
    first = Clients(config, cameras)
    first.start(count)
    time.sleep(WARM_UP)
    first.stop()
    time.sleep(SETTLE)
    began = time.monotonic()
    samples = [take(parts, device, began)]
    clients = Clients(config, cameras)
    clients.start(count)
    while time.monotonic() < began + seconds:
        time.sleep(min(SAMPLE, max(0.0, began + seconds - time.monotonic())))
        samples.append(take(parts, device, began))
    clients.stop()
    end = time.monotonic() + LEFT
    while True:
        time.sleep(2)
        last = take(parts, device, began)
        if time.monotonic() > end or not leaks((samples[0], last)):
            return [*samples, last], clients


def growth(samples: Sequence[Sample], name: str) -> int:
    """MiB that a process holds more in the last quarter than in the second: in the first, caches fill."""
    held = [sample.memory[name] for sample in samples]
    quarter = max(1, len(held) // 4)
    return round(statistics.median(held[-quarter:]) - statistics.median(held[quarter : 2 * quarter]))


def grown(samples: Sequence[Sample]) -> dict[str, int]:
    """Processes that hold more than GROWTH_MIB and GROWTH_SHARE allow, and how many MiB more."""
    found = {name: growth(samples, name) for name in samples[0].memory}
    return {
        name: more
        for name, more in found.items()
        if more > max(GROWTH_MIB, GROWTH_SHARE * (samples[-1].memory[name] - more))
    }


def leaks(samples: Sequence[Sample]) -> dict[str, int]:
    """Descriptors (but for those of pools) and tasks that there are more at the end than before the first client came."""
    first, last = samples[0], samples[-1]
    descriptors = {
        f"{name} descriptors": last.descriptors[name] - held - POOLED for name, held in first.descriptors.items()
    }
    tasks = {f"{name} tasks": last.tasks.get(name, 0) - held for name, held in first.tasks.items()}
    return {name: more for name, more in (descriptors | tasks).items() if more > 0}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--cameras", type=int, default=64)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args(arguments)
    samples, clients, kept, log = run(options.seconds, options.cameras, options.clients)
    names = samples[0].memory
    memory = ", ".join(f"{name} {samples[-1].memory[name]} MiB ({growth(samples, name):+d})" for name in names)
    more = leaks(samples)
    tracebacks = log.count("Traceback")
    for fault in (*clients.faults[:20], *kept.where[:20]):
        print(fault)
    figure = Figure(
        f"{options.cameras} cameras for {options.seconds:.0f} s, {sum(clients.visits.values())} visits of {options.clients} clients",
        f"memory (growth from the second quarter to the last): {memory}",
        "",
        f"{clients.packets} packets to clients, {clients.lost} lost; {len(clients.faults)} visits failed; {kept.lost} pictures "
        f"lost on disk, {kept.gaps} gaps; left over: {more or 'nothing'}; {tracebacks} tracebacks",
        f"no picture lost, nothing left over, growth below {GROWTH_MIB} MiB or {GROWTH_SHARE:.0%}",
        not (clients.lost or kept.lost or kept.gaps or more or tracebacks or clients.faults or grown(samples)),
    )
    report("soak", (figure,), f"soak --seconds {options.seconds:.0f}")
