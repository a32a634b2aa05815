"""Replay: CPU beside gst-rtsp-server (and live555MediaServer, where it is installed) playing a file, time from PLAY to the first
packet, and download at full speed."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import LOAD_CORE, Figure, free_ports, load, percentile, program, settle
from benchmarks.scale import Unable, space, within
from benchmarks.servers import (
    LIVE555_FILES,
    PASSWORD,
    USER,
    archive,
    floor_files,
    gst_files,
    live555_files,
    onvifd_media,
    onvifd_replay,
)
from tests.e2e.rtsp_client import RtspClient

SESSIONS = 50
FOOTAGE = 40
"""Seconds recorded first."""
STARTS = 60
DOWNLOADS = 8
ACCOUNT = ("--user", USER, "--password", PASSWORD)


def record(data: Path) -> None:
    camera_port, port = free_ports(2)
    with (
        program(sys.executable, "-m", "benchmarks.camera", str(camera_port), core=LOAD_CORE),
        onvifd_media(port, camera_port, 1, data, record=True),
    ):
        time.sleep(FOOTAGE)


def spread(result: dict[str, Any]) -> str:
    return (
        f"{result['cpu'] / result['gbits']:.3f} s/Gbit, {result['cpu'] / result['seconds']:.0%} of a core, "
        f"{result['fps']:.1f} fps, {result['lost']} lost, {result['memory']:.0f} MiB"
    )


def live555(arguments: tuple[str, ...]) -> dict[str, Any] | None:
    """live555MediaServer with the clip as a file; None where it cannot be had."""
    if shutil.which(LIVE555_FILES) is None or os.geteuid():
        return None
    try:
        with space() as name, live555_files(name) as (server, url):
            found = load(server, url, *arguments, within=within(name))
    except (Unable, RuntimeError, TimeoutError) as error:
        print(f"live555MediaServer: {error}", file=sys.stderr)
        return None
    settle()
    return found


def paced(data: Path, seconds: float) -> Figure:
    """Many sessions in real time. The clip of the peer lasts 10 s, so both are measured for less."""
    seconds = min(seconds, 6)
    arguments = ("--clients", str(SESSIONS), "--seconds", str(seconds), "--warm-up", "1")
    (port,) = free_ports(1)
    with onvifd_replay(port, data) as (server, url):
        ours = load(server, url, *arguments, *ACCOUNT)
    settle()
    with gst_files(port) as (server, url):
        peer = load(server, url, *arguments)
    settle()
    cost = ours["cpu"] / ours["gbits"]
    ratio = (peer["cpu"] / peer["gbits"]) / cost
    said, result, hold, held = f"gst: {spread(peer)}", f"{ratio:.1f}", ">= 2.5", ratio >= 2.5
    if (other := live555(arguments)) is not None and other["gbits"]:
        ratio = (other["cpu"] / other["gbits"]) / cost
        said += f"; live555: {spread(other)}"
        result, hold, held = f"gst {result}, live555 {ratio:.1f}", "gst >= 2.5, live555 >= 5", held and ratio >= 5
    return Figure(f"{SESSIONS} replay sessions, CPU per Gbit", spread(ours), said, result, hold, held)


def first_packet(url: str) -> float:
    """Milliseconds from PLAY to the first RTP packet."""
    with RtspClient(url, USER, PASSWORD) as client:
        video = next(each for each in client.describe() if each.kind == "video")
        client.setup(video, Require="onvif-replay")
        began = time.perf_counter()
        client.demand("PLAY", Require="onvif-replay")
        next(client.packets(seconds=10))
        return (time.perf_counter() - began) * 1000


def starts(data: Path) -> Figure:
    (port,) = free_ports(1)
    with onvifd_replay(port, data) as (_, url):
        first_packet(url)
        times = [first_packet(url) for _ in range(STARTS)]
    settle()
    p99 = percentile(times, 0.99) or 0.0
    return Figure(
        "PLAY to first RTP packet, warm, p50 and p99",
        f"{percentile(times, 0.5):.1f} ms",
        "",
        f"{p99:.1f} ms",
        "< 20 ms",
        p99 < 20,
    )


def read_out(sock: socket.socket) -> tuple[int, float]:
    """Octets until nothing more comes, and when the last came."""
    received, last = 0, time.perf_counter()
    sock.settimeout(1)
    chunk = bytearray(1 << 20)
    try:
        while size := sock.recv_into(chunk):
            received += size
            last = time.perf_counter()
    except TimeoutError:
        pass
    return received, last


def floor() -> str:
    """A download that is nothing but one: a file from the page cache."""
    (port,) = free_ports(1)
    received, took = 0, 0.0
    with floor_files(port) as server:
        before = server.cpu()
        for _ in range(DOWNLOADS):
            with socket.create_connection(("127.0.0.1", port), 10) as sock:
                began = time.perf_counter()
                sock.sendall(b"PLAY\r\n\r\n")
                size, last = read_out(sock)
            received += size
            took += last - began
        used = server.cpu() - before
    settle()
    gbits = received * 8 / 1e9
    return f"floor: {received >> 20} MiB in {took:.2f} s, {used / gbits:.3f} s/Gbit, {gbits / took:.1f} Gbit/s"


def flat_out(data: Path) -> Figure:
    """`Rate-Control: no`, one session after the other reading as fast as it can; server and reader on a core each."""
    (port,) = free_ports(1)
    received, took, used, memory = 0, 0.0, 0.0, 0.0
    with onvifd_replay(port, data) as (server, url):
        for _ in range(DOWNLOADS):
            before = server.cpu()
            with RtspClient(url, USER, PASSWORD) as client:
                video = next(each for each in client.describe() if each.kind == "video")
                client.setup(video, Require="onvif-replay")
                began = time.perf_counter()
                client.demand("PLAY", Require="onvif-replay", Rate_Control="no")
                size, last = read_out(client.socket)
                received += size + len(client.left_over())
                took += last - began
            used += server.cpu() - before
            memory = max(memory, server.memory())
    settle()
    rate = received * 8 / 1e9 / took
    return Figure(
        "download with Rate-Control: no",
        f"{received >> 20} MiB in {took:.2f} s, {used / (received * 8 / 1e9):.3f} s/Gbit, {memory:.0f} MiB of memory",
        floor(),
        f"{rate:.1f} Gbit/s",
        ">= 4 Gbit/s or the disk",
        rate >= 4,
    )


def run(seconds: float) -> Sequence[Figure]:
    with archive() as data:
        record(data)
        return [paced(data, seconds), starts(data), flat_out(data)]
