"""Receiving cameras: our RTSP client up to flush units and access units, beside libavformat's demultiplexer."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from benchmarks.measure import LOAD_CORE, SERVER_CORE, Figure, free_ports, program, settle

CAMERAS = 32
HOLD = 2.5
ETHERNET = 100
"""Microseconds between packets of 1,400 bytes on 100 Mbit/s Ethernet, where cameras are."""


def cpu_of(module: str, seconds: float, pace: int) -> float:
    (port,) = free_ports(1)
    camera = (sys.executable, "-m", "benchmarks.camera", str(port), "--pace", str(pace))
    with (
        program(*camera, core=LOAD_CORE),
        program(sys.executable, "-m", module, str(port), str(CAMERAS), core=SERVER_CORE) as receiver,
    ):
        time.sleep(2)
        before, began = receiver.cpu(), time.monotonic()
        time.sleep(seconds)
        used = (receiver.cpu() - before) / (time.monotonic() - began)
    settle()
    return used


def figure(title: str, seconds: float, pace: int, hold: float | None) -> Figure:
    ours = cpu_of("benchmarks.intake_onvifd", seconds, pace)
    peer = cpu_of("benchmarks.intake_pyav", seconds, pace)
    ratio = peer / ours
    return Figure(
        f"{CAMERAS} cameras received, {title}, share of a core",
        f"{ours:.1%}",
        f"PyAV: {peer:.1%}",
        f"{ratio:.1f}",
        f">= {hold}" if hold else "",
        ratio >= hold if hold else None,
    )


def run(seconds: float) -> Sequence[Figure]:
    return [
        figure("packets as 100 Mbit/s Ethernet brings them", seconds, ETHERNET, HOLD),
        figure("whole pictures at once as loopback brings them", seconds, 0, None),
    ]
