"""Events: from a camera's own pull point to 200 pull points of VMS, through a whole recorder."""

from __future__ import annotations

import json
import sys

from benchmarks.measure import LOAD_CORE, SERVER_CORE, Figure, free_ports, program

POINTS = 200
HOLD = 50.0
"""Milliseconds that 99 of 100 deliveries may take."""


def run(seconds: float) -> list[Figure]:
    return [_measure(points, seconds) for points in (1, POINTS)]


def _measure(points: int, seconds: float) -> Figure:
    http, rtsp, camera = free_ports(3)
    with program(
        sys.executable, "-m", "benchmarks.events_server", str(http), str(rtsp), str(camera), core=SERVER_CORE
    ) as server:
        arguments = (str(http), "--points", str(points), "--seconds", str(seconds))
        with program(sys.executable, "-m", "benchmarks.events_load", *arguments, core=LOAD_CORE, ready=False) as client:
            while client.line() != "measuring":
                pass
            before = server.cpu()
            result = json.loads(client.line())
            cpu = server.cpu() - before
    what = f"event of a camera to {points} pull point{'s' if points > 1 else ''}"
    ours = (
        f"p50 {result['p50']:.1f} ms, p99 {result['p99']:.1f} ms ({result['deliveries']} deliveries, "
        f"{cpu / result['deliveries'] * 1e3:.2f} ms CPU each)"
    )
    held = result["p99"] < HOLD and not result["missing"]
    missing = f"{result['missing']} missing" if result["missing"] else "none missing"
    return Figure(what, ours, "-", missing, f"p99 < {HOLD:g} ms", held)
