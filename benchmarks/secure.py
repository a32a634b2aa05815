"""Encrypted ways beside the clear one: RTSP in TLS, WebSocket, WebSocket in TLS."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from benchmarks.measure import LOAD_CORE, SERVER_CORE, Figure, Program, free_ports, loaded, program, settle
from benchmarks.secure_server import identity
from benchmarks.servers import gst_relay

CLIENTS = 100
WAYS = {"rtsp": "RTSP", "rtsps": "RTSPS", "ws": "RTSP over WebSocket", "wss": "RTSP over WebSocket in TLS"}
HOLD = {"rtsps": 2.5, "ws": 1.5, "wss": 2.5}
"""CPU per Gbit of a way beside that of the clear one, at most."""


def measured(server: Program, way: str, port: str, seconds: float, *path: str) -> dict[str, Any]:
    command = (sys.executable, "-m", "benchmarks.secure_load", way, port, str(CLIENTS), str(seconds), *path)
    return loaded(server, *command)


def described(result: dict[str, Any]) -> str:
    return (
        f"{result['cpu'] / result['gbits']:.3f} s/Gbit, {result['cpu'] / result['seconds']:.0%} of a core, "
        f"{result['gbits'] / result['seconds']:.2f} Gbit/s, "
        f"p50 {result['latency_p50'] or 0:.1f} ms, p99 {result['latency_p99'] or 0:.1f} ms, {result['memory']:.0f} MiB"
    )


def gst(seconds: float) -> str:
    """The same by gst-rtsp-server, which takes the stream from a camera."""
    camera_port, port = free_ports(2)
    camera = (sys.executable, "-m", "benchmarks.camera", str(camera_port))
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(identity())
        file.flush()
        try:
            with program(*camera, core=LOAD_CORE), gst_relay(port, camera_port, 1, file.name) as (server, _):
                result = measured(server, "rtsps", str(port), seconds, "/cam0")
        except (RuntimeError, TimeoutError) as error:
            print(f"gst-rtsp-server in TLS: {error}", file=sys.stderr)
            return "; gst: did not bear it"
    settle()
    return f"; gst: {described(result)}"


def run(seconds: float) -> Sequence[Figure]:
    figures = []
    clear = 0.0
    for number, (way, title) in enumerate(WAYS.items()):
        with program(sys.executable, "-m", "benchmarks.secure_server", core=SERVER_CORE, ready=False) as server:
            word, *ports = server.line().split()
            assert word == "ready"
            result = measured(server, way, ports[number], seconds)
        settle()
        cost = result["cpu"] / result["gbits"]
        clear = clear or cost
        ratio, hold = cost / clear, HOLD.get(way)
        figures.append(
            Figure(
                f"{title}, 1 camera to {CLIENTS} clients, CPU per Gbit",
                described(result),
                f"in clear: {clear:.3f} s/Gbit" + (gst(seconds) if way == "rtsps" else ""),
                f"{ratio:.2f} of clear",
                f"<= {hold}" if hold else "",
                ratio <= hold if hold else None,
            )
        )
    return figures
