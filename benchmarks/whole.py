"""A whole recorder as `onvifd run` starts it, with cameras of benchmarks.camera: made, looked at while it runs, read afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.camera import STAMP
from benchmarks.measure import Program, free_ports
from benchmarks.servers import PASSWORD, USER
from onvifd.archive.cache import FragmentCache
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import DiskPool
from onvifd.archive.reader import RecordingReader
from onvifd.cameras.drivers import prepare
from onvifd.cli.setup import initialise, open_registry
from onvifd.config import Config, load
from onvifd.media.types import Kind
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.known import KnownVolumes
from tests.e2e.harness import cmdline, processes

_LOOKED_AT = 4096
"""Bytes of a picture in which its number is."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of the footage. `deleted` is the number of segments that are gone; `where` tells what is lost."""

    pictures: int
    lost: int
    gaps: int
    segments: int
    deleted: int
    where: tuple[str, ...]


def recorder(folder: Path, bound: int, segment_seconds: int) -> tuple[Config, Path]:
    """A new recorder and its settings file."""
    http, rtsp = free_ports(2)
    file = folder / "onvifd.toml"
    file.write_text(
        f'data = "{folder / "data"}"\n'
        f'[network]\nhost = "127.0.0.1"\nhttp_port = {http}\nhttps = false\nrtsp_port = {rtsp}\ndiscovery = false\n'
        f"[archive]\nmax_bytes = {bound}\nreserve_percent = 0.0\nsegment_seconds = {segment_seconds}\n"
        "[workers]\nmedia = 1\n",
        encoding="utf-8",
    )
    config = load({}, file=file, environment={})
    initialise(config, USER, PASSWORD)
    return config, file


async def add(config: Config, port: int, count: int) -> None:
    found = [await prepare(f"rtsp://127.0.0.1:{port}/cam{number}", None) for number in range(count)]
    with open_registry(config) as registry:
        for new in found:
            registry.add(new)


def parts(server: Program) -> dict[str, int]:
    """Process ids of control and of the workers, by kind."""
    workers = {
        kind: pid
        for pid in processes(server.process.pid)
        for kind in ("media", "replay", "vision")
        if f"onvifd.workers {kind} " in cmdline(pid)
    }
    return {"control": server.process.pid, **workers}


def picture_number(sample: bytes) -> int:
    """Of a picture of benchmarks.camera, by its beginning: since the camera began to play."""
    at = sample.index(STAMP) + len(STAMP) + 16
    return int(sample[at : at + 8], 16)


async def read_all(config: Config) -> Kept:
    """Read all that is left."""
    catalogue, pool = Catalogue.open(config.database_url), DiskPool(1)
    try:
        store, volumes = CatalogueSegmentStore(catalogue), KnownVolumes(catalogue)
        pictures = lost = gaps = 0
        where: list[str] = []
        for recording in store.recorded():
            reader = RecordingReader(store, volumes, recording, cache=FragmentCache(), pool=pool)
            gaps += len(await reader.spans(0, 1 << 62)) - 1
            before = -1
            async for loaded in reader.fragments(0):
                for sample in loaded.samples:
                    if loaded.formats[sample.track].kind is not Kind.VIDEO:
                        continue
                    pictures += 1
                    number = picture_number(bytes(loaded.data[sample.offset : sample.offset + _LOOKED_AT]))
                    if -1 < before < number - 1:
                        lost += number - before - 1
                        where.append(f"{recording}: {number} follows {before}, at {sample.utc} in {loaded.fragment}")
                    before = number
        numbers = [
            row.id for each in catalogue.volumes.all() for row in catalogue.segments.on_volume(each.id, 0, 1 << 20)
        ]
        return Kept(pictures, lost, gaps, len(numbers), max(numbers, default=0) - len(numbers), tuple(where))
    finally:
        pool.close()
        catalogue.close()


def camera_ids(config: Config) -> tuple[str, ...]:
    with open_registry(config) as registry:
        return tuple(camera.id for camera in registry.all())
