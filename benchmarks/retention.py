"""Recording while retention deletes all the time: a whole recorder as `onvifd run` starts it, on one core, with a volume that is
much too small. No picture may be missing, nor any time in the index."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.clip import BITRATE, FOLDER, FPS
from benchmarks.measure import LOAD_CORE, SERVER_CORE, Figure, Program, cpu_seconds, free_ports, program
from benchmarks.servers import PASSWORD, USER
from onvifd.archive.cache import FragmentCache
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import DiskPool
from onvifd.archive.reader import RecordingReader
from onvifd.cameras.drivers import prepare
from onvifd.cli.setup import initialise, open_registry
from onvifd.clock import US
from onvifd.config import Config, load
from onvifd.media.types import Kind
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.known import KnownVolumes
from tests.e2e.harness import cmdline, processes, resident

CAMERAS = 64
SEGMENT_SECONDS = 5
KEPT_SECONDS = 20
"""Of footage for which the volume has room."""
LEAST = 75.0
"""Seconds that are measured at least: retention looks every 30 s."""
SETTLE = 10.0
_FRAME_US = US // FPS


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of the footage. `deleted` is the number of segments that are gone."""

    pictures: int
    lost: int
    gaps: int
    segments: int
    deleted: int


def run(seconds: float, cameras: int = CAMERAS, least: float = LEAST) -> Sequence[Figure]:
    seconds = max(seconds, least)
    bound = cameras * BITRATE // 8 * KEPT_SECONDS
    FOLDER.mkdir(parents=True, exist_ok=True)
    (camera_port,) = free_ports(1)
    with (
        tempfile.TemporaryDirectory(dir=FOLDER) as folder,
        program(sys.executable, "-m", "benchmarks.camera", str(camera_port), core=LOAD_CORE),
    ):
        config, file = _recorder(Path(folder), bound)
        asyncio.run(_add(config, camera_port, cameras))
        with program(sys.executable, "-m", "onvifd", "run", "--config", str(file), core=SERVER_CORE) as server:
            time.sleep(SETTLE)
            parts = _parts(server)
            before = {name: cpu_seconds(pid) for name, pid in parts.items()}
            began = time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
            cpu = {name: (cpu_seconds(pid) - before[name]) / took for name, pid in parts.items()}
            memory = {name: resident(pid) >> 20 for name, pid in parts.items()}
        kept = asyncio.run(_kept(config))
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


def _recorder(folder: Path, bound: int) -> tuple[Config, Path]:
    """A new recorder and its settings file."""
    http, rtsp = free_ports(2)
    file = folder / "onvifd.toml"
    file.write_text(
        f'data = "{folder / "data"}"\n'
        f'[network]\nhost = "127.0.0.1"\nhttp_port = {http}\nhttps = false\nrtsp_port = {rtsp}\ndiscovery = false\n'
        f"[archive]\nmax_bytes = {bound}\nreserve_percent = 0.0\nsegment_seconds = {SEGMENT_SECONDS}\n"
        "[workers]\nmedia = 1\n",
        encoding="utf-8",
    )
    config = load({}, file=file, environment={})
    initialise(config, USER, PASSWORD)
    return config, file


async def _add(config: Config, port: int, count: int) -> None:
    found = [await prepare(f"rtsp://127.0.0.1:{port}/cam{number}", None) for number in range(count)]
    with open_registry(config) as registry:
        for new in found:
            registry.add(new)


def _parts(server: Program) -> dict[str, int]:
    """Control and the workers that have to do with recording, by name."""
    workers = {
        kind: pid
        for pid in processes(server.process.pid)
        for kind in ("media",)
        if f"onvifd.workers {kind} " in cmdline(pid)
    }
    return {"control": server.process.pid, **workers}


async def _kept(config: Config) -> Kept:
    """Read all that is left."""
    catalogue, pool = Catalogue.open(config.database_url), DiskPool(1)
    try:
        store, volumes = CatalogueSegmentStore(catalogue), KnownVolumes(catalogue)
        pictures = lost = gaps = 0
        for recording in store.recorded():
            reader = RecordingReader(store, volumes, recording, cache=FragmentCache(), pool=pool)
            gaps += len(await reader.spans(0, 1 << 62)) - 1
            times = [
                sample.utc
                async for loaded in reader.fragments(0)
                for sample in loaded.samples
                if loaded.formats[sample.track].kind is Kind.VIDEO
            ]
            pictures += len(times)
            lost += sum(max(0, round((after - before) / _FRAME_US) - 1) for before, after in pairwise(times))
        numbers = [
            row.id for each in catalogue.volumes.all() for row in catalogue.segments.on_volume(each.id, 0, 1 << 20)
        ]
        return Kept(pictures, lost, gaps, len(numbers), max(numbers, default=0) - len(numbers))
    finally:
        pool.close()
        catalogue.close()
