"""Recording many cameras while each has two live clients; ffmpeg copying streams into files as peer."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks.clip import FOLDER
from benchmarks.measure import LOAD_CORE, SERVER_CORE, Figure, Program, claim_memory, free_ports, load, program, settle
from benchmarks.relay import described
from benchmarks.servers import PASSWORD, USER, archive, onvifd_media

CAMERAS = 64
PEER_CAMERAS = 16
HOLD = 0.85 * CAMERAS / 200
"""200 cameras below 85 % of a core, scaled."""


def recorded_and_watched(seconds: float) -> Figure:
    camera_port, port = free_ports(2)
    with (
        program(sys.executable, "-m", "benchmarks.camera", str(camera_port), core=LOAD_CORE),
        archive() as data,
        onvifd_media(port, camera_port, CAMERAS, data, record=True) as (server, url),
    ):
        result = load(
            server,
            url,
            *("--clients", str(2 * CAMERAS), "--cameras", str(CAMERAS), "--seconds", str(seconds)),
            *("--user", USER, "--password", PASSWORD),
        )
        written = sum(path.stat().st_size for path in data.rglob("*.mp4"))
    settle()
    share = result["cpu"] / result["seconds"]
    return Figure(
        f"{CAMERAS} cameras of 4 Mbit/s received, recorded, 2 live clients each",
        described(result),
        "",
        f"{written >> 20} MiB on disk",
        f"<= {HOLD:.0%} (200 cameras below 85 %)",
        share <= HOLD and result["lost"] == 0 and result["latency_p99"] < 10,
    )


def ours_alone(seconds: float) -> float:
    camera_port, port = free_ports(2)
    with (
        program(sys.executable, "-m", "benchmarks.camera", str(camera_port), core=LOAD_CORE),
        archive() as data,
        onvifd_media(port, camera_port, PEER_CAMERAS, data, record=True) as (server, _),
    ):
        return share_of_core(server, seconds)


def ffmpeg(seconds: float) -> float:
    """One ffmpeg per camera, as recorders built on it run them."""
    (camera_port,) = free_ports(1)
    with (
        program(sys.executable, "-m", "benchmarks.camera", str(camera_port), core=LOAD_CORE),
        tempfile.TemporaryDirectory(dir=FOLDER) as folder,
    ):
        running = [
            Program(
                subprocess.Popen(
                    [
                        *(
                            "taskset",
                            "-c",
                            str(SERVER_CORE),
                            "ffmpeg",
                            "-nostdin",
                            "-v",
                            "error",
                            "-rtsp_transport",
                            "tcp",
                        ),
                        *("-i", f"rtsp://127.0.0.1:{camera_port}/cam{number}", "-c", "copy", "-f", "segment"),
                        *("-segment_time", "60", f"{folder}/{number}-%d.mp4"),
                    ],
                    text=True,
                )
            )
            for number in range(PEER_CAMERAS)
        ]
        try:
            claim_memory()
            time.sleep(6)  # probing
            before = [each.cpu() for each in running]
            time.sleep(seconds)
            return sum(each.cpu() - start for each, start in zip(running, before, strict=True)) / seconds
        finally:
            for each in running:
                each.process.kill()
                each.process.wait(10)


def share_of_core(server: Program, seconds: float) -> float:
    claim_memory()
    time.sleep(4)
    before, began = server.cpu(), time.monotonic()
    time.sleep(seconds)
    return (server.cpu() - before) / (time.monotonic() - began)


def run(seconds: float) -> Sequence[Figure]:
    figures = [recorded_and_watched(seconds)]
    if shutil.which("ffmpeg"):
        ours, peer = ours_alone(seconds), ffmpeg(seconds)
        title = f"{PEER_CAMERAS} cameras recorded, share of a core"
        figures.append(Figure(title, f"{ours:.1%}", f"ffmpeg -c copy: {peer:.1%}", f"{peer / ours:.1f}", "", None))
    return figures
