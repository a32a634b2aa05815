"""Receiving cameras: our RTSP client up to flush units and access units, beside libavformat's demultiplexer."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from benchmarks.measure import LOAD_CORE, SERVER_CORE, Figure, free_ports, program, settle

CAMERAS = 32
HOLD = 2.5


def cpu_of(module: str, seconds: float) -> float:
    (port,) = free_ports(1)
    with (
        program(sys.executable, "-m", "benchmarks.camera", str(port), core=LOAD_CORE),
        program(sys.executable, "-m", module, str(port), str(CAMERAS), core=SERVER_CORE) as receiver,
    ):
        time.sleep(2)
        before, began = receiver.cpu(), time.monotonic()
        time.sleep(seconds)
        used = (receiver.cpu() - before) / (time.monotonic() - began)
    settle()
    return used


def run(seconds: float) -> Sequence[Figure]:
    ours = cpu_of("benchmarks.intake_onvifd", seconds)
    peer = cpu_of("benchmarks.intake_pyav", seconds)
    ratio = peer / ours
    return [
        Figure(
            f"{CAMERAS} cameras received, share of a core",
            f"{ours:.1%}",
            f"PyAV: {peer:.1%}",
            f"{ratio:.1f}",
            f">= {HOLD}",
            ratio >= HOLD,
        )
    ]
