"""Recording while retention deletes all the time: a whole recorder as `onvifd run` starts it, on one core, with a volume that is
much too small. No picture may be missing, nor any time in the index."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import whole
from benchmarks.clip import BITRATE, FOLDER
from benchmarks.measure import LOAD_CORE, SERVER_CORE, Figure, cpu_seconds, free_ports, program
from benchmarks.whole import add, read_all, recorder
from tests.e2e.harness import resident

CAMERAS = 64
SEGMENT_SECONDS = 5
KEPT_SECONDS = 20
"""Of footage for which the volume has room."""
LEAST = 75.0
"""Seconds that are measured at least: retention looks every 30 s."""
SETTLE = 10.0


def run(seconds: float, cameras: int = CAMERAS, least: float = LEAST) -> Sequence[Figure]:
    seconds = max(seconds, least)
    bound = cameras * BITRATE // 8 * KEPT_SECONDS
    FOLDER.mkdir(parents=True, exist_ok=True)
    (camera_port,) = free_ports(1)
    with (
        tempfile.TemporaryDirectory(dir=FOLDER) as folder,
        program(sys.executable, "-m", "benchmarks.camera", str(camera_port), core=LOAD_CORE),
    ):
        config, file = recorder(Path(folder), bound, SEGMENT_SECONDS)
        asyncio.run(add(config, camera_port, cameras))
        with program(sys.executable, "-m", "onvifd", "run", "--config", str(file), core=SERVER_CORE) as server:
            time.sleep(SETTLE)
            parts = {name: pid for name, pid in whole.parts(server).items() if name in ("control", "media")}
            before = {name: cpu_seconds(pid) for name, pid in parts.items()}
            began = time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
            cpu = {name: (cpu_seconds(pid) - before[name]) / took for name, pid in parts.items()}
            memory = {name: resident(pid) >> 20 for name, pid in parts.items()}
        kept = asyncio.run(read_all(config))
    shares = ", ".join(f"{name} {cpu[name]:.0%} of a core and {memory[name]} MiB" for name in parts)
    return (
        Figure(
            f"{cameras} cameras of 4 Mbit/s recorded for {seconds:.0f} s, room for {KEPT_SECONDS} s, segments of {SEGMENT_SECONDS} s",
            shares,
            "",
            f"{kept.deleted} segments deleted; of the {kept.pictures} pictures in the {kept.segments} left {kept.lost} lost, "
            f"{kept.gaps} gaps in the index",
            "no picture lost, no gap",
            kept.lost == 0 and kept.gaps == 0 and kept.deleted > 0 and kept.pictures > 0,
        ),
    )
