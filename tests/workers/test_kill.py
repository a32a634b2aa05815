"""A real media worker, killed at random moments: what is lost, in frames, and that everything else is whole."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from pathlib import Path

import pytest

from onvifd.archive.cache import FragmentCache
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.doctor import FindingKind, examine
from onvifd.archive.index import EndReason, SegmentState
from onvifd.archive.reader import RecordingReader
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.clock import US
from onvifd.media.types import Kind
from onvifd.store.catalogue import Catalogue
from onvifd.workers.cluster import Cluster
from onvifd.workers.messages import AnyMessage, RecordingState
from onvifd.workers.specs import VolumeSpec
from onvifd.workers.supervisor import launch_process
from tests.workers.conftest import RECORDING, spec, worker_setup

LONG = int(os.environ.get("ONVIFD_KILLS", "200"))
"""Rounds of the long form, which `make soak` runs."""

FPS = 25
AWAY = 15.0
"""Seconds in which a worker that was killed is started, connected and has met a key frame, on a busy machine."""


class Stage:
    """One media worker process with one camera."""

    def __init__(self, folder: Path) -> None:
        self.volume = Volume("vol-1", folder / "volume")
        self.volume.root.mkdir()
        self.database = f"sqlite:///{folder / 'catalogue.sqlite3'}"
        self.active = asyncio.Event()
        setup = worker_setup(
            database_url=self.database,
            volumes=(VolumeSpec(id="vol-1", path=str(self.volume.root)),),
            segment_seconds=4,
            log_level="ERROR",
        )
        self.cluster = Cluster(setup, 1, launch_process, heard=self._heard, lost=self._lost)

    def _heard(self, message: AnyMessage) -> None:
        if isinstance(message, RecordingState) and message.active:
            self.active.set()

    async def _lost(self, cameras: tuple[str, ...]) -> None:
        pass

    async def kill(self) -> None:
        """Kill the worker, and wait until its successor records."""
        (worker,) = (each for each in self.cluster.workers if each.name == "media-0")
        assert worker.handle is not None
        self.active.clear()
        os.kill(worker.handle.pid, signal.SIGKILL)
        async with asyncio.timeout(30):
            await self.active.wait()


async def rounds(folder: Path, camera: SimulatedDevice, count: int) -> tuple[list[int], list[int]]:
    """Times of all recorded frames, and lengths of the gaps in frames."""
    stage = Stage(folder)
    (await asyncio.to_thread(Catalogue.open, stage.database, migrate=True)).close()
    chance = random.Random()
    await stage.cluster.start()
    try:
        stage.cluster.set_cameras(spec(camera).cameras)
        stage.cluster.set_orders(frozenset({RECORDING}))
        async with asyncio.timeout(30):
            await stage.active.wait()
        for _ in range(count):
            await asyncio.sleep(chance.uniform(0.05, 2.5))
            await stage.kill()
        await asyncio.sleep(1.5)
    finally:
        await stage.cluster.stop()
    catalogue = await asyncio.to_thread(Catalogue.open, stage.database)
    pool = DiskPool(2)
    try:
        store = CatalogueSegmentStore(catalogue)
        rows = store.segments_between(RECORDING, 0, 1 << 62, 10_000)
        assert {row.state for row in rows} <= {SegmentState.CLOSED, SegmentState.RECOVERED}
        assert sum(row.end_reason is EndReason.CRASH for row in rows) <= count
        assert [each for each in examine(store, [stage.volume]) if each.kind is not FindingKind.UNINDEXED] == []
        reader = RecordingReader(store, {"vol-1": stage.volume}, RECORDING, cache=FragmentCache(), pool=pool)
        found = [
            sample.utc
            async for loaded in reader.fragments(0)
            for sample in loaded.samples
            if loaded.formats[sample.track].kind is Kind.VIDEO
        ]
    finally:
        pool.close()
        catalogue.close()
    steps = [after - before for before, after in itertools.pairwise(found)]
    gaps = [round(step * FPS / US) - 1 for step in steps if step > 5 * US // FPS]
    return found, gaps


def check(found: list[int], gaps: list[int], count: int) -> None:
    assert found == sorted(set(found))  # nothing twice, nothing out of order
    assert len(gaps) <= count
    # The fragment under way (a second), and the time until the successor has met a key frame.
    assert max(gaps, default=0) <= (1 + AWAY) * FPS
    print(f"{count} kills: {sum(gaps)} frames lost, {max(gaps, default=0)} at most at once, {len(found)} recorded")


@pytest.mark.covers("INI-19")
@pytest.mark.timeout(240)
async def test_a_worker_killed_at_random_moments_costs_the_time_until_it_is_back(
    tmp_path: Path, camera: SimulatedDevice
) -> None:
    found, gaps = await rounds(tmp_path, camera, 5)
    check(found, gaps, 5)


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_a_worker_killed_two_hundred_times(tmp_path: Path, camera: SimulatedDevice) -> None:
    found, gaps = await rounds(tmp_path, camera, LONG)
    check(found, gaps, LONG)
