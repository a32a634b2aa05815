"""A recorder whose disks are pulled while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from onvifd.app import RecorderApp
from onvifd.archive.disk import Volume
from onvifd.archive.doctor import Depth, examine
from onvifd.archive.marker import MARKER
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.simulated.encode import CameraClips
from onvifd.clock import US
from onvifd.config import Config
from onvifd.volumes.model import VolumeState
from tests.local import recorder_config, running_camera, running_recorder, small_clips
from tests.volumes.conftest import aged

LIMIT = 60.0


@pytest.fixture(scope="session")
def small(clip_folder: Path) -> CameraClips:
    return small_clips(clip_folder, 6)


@pytest.fixture
async def camera(small: CameraClips) -> AsyncIterator[SimulatedDevice]:
    async with running_camera(small) as device:
        yield device


@pytest.fixture
def disks(tmp_path: Path) -> tuple[Path, Path]:
    found = tmp_path / "disk-1", tmp_path / "disk-2"
    for each in found:
        each.mkdir()
    return found


def config_of(tmp_path: Path, disks: tuple[Path, ...]) -> Config:
    return recorder_config(
        tmp_path, {"archive.volumes": disks, "archive.segment_seconds": 5, "archive.reserve_percent": 0.0}
    )


Start = Callable[..., "asyncio.Future[RecorderApp]"]


@pytest.fixture
async def start(tmp_path: Path, camera: SimulatedDevice) -> AsyncIterator[Callable[..., object]]:
    async with contextlib.AsyncExitStack() as running:

        async def run(*disks: Path) -> RecorderApp:
            return await running.enter_async_context(running_recorder(config_of(tmp_path, disks), camera))

        yield run


def gap(found: Sequence[tuple[str, int, int]]) -> int:
    """The longest time between two segments, microseconds."""
    return max((after[1] - before[2] for before, after in itertools.pairwise(found)), default=0)


async def until(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(LIMIT):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"no {what} in {LIMIT:g} s")


def state(app: RecorderApp, path: Path) -> VolumeState:
    return next(each.state for each in app.archive.keeper.statuses() if each.path == str(path))


def pull(disk: Path) -> None:
    """The file system goes, its mount point stays."""
    disk.rename(disk.with_name(f"{disk.name}-away"))
    disk.mkdir()


def bring_back(disk: Path) -> None:
    assert list(disk.iterdir()) == []  # nothing was written to where nothing is mounted
    disk.rmdir()
    disk.with_name(f"{disk.name}-away").rename(disk)


def size(disk: Path) -> int:
    return sum(path.stat().st_size for path in disk.rglob("*.mp4"))


def rows(app: RecorderApp) -> list[tuple[str, int, int]]:
    (recording,) = app._segments.recorded()
    return [(row.volume, row.start, row.end) for row in app._segments.segments_between(recording, 0, 1 << 62)]


@pytest.mark.covers("INI-19", "P217", "STO-35")
async def test_another_volume_takes_over_and_the_pulled_one_comes_back(start, disks: tuple[Path, Path]) -> None:  # type: ignore[no-untyped-def]
    app = await start(*disks)
    channel = app.recorder.channels[0]
    await until(lambda: size(disks[0]) + size(disks[1]) > 0, "footage")
    first = disks[0] if size(disks[0]) else disks[1]
    other = disks[1] if first is disks[0] else disks[0]
    await asyncio.sleep(2)
    pull(first)
    await until(lambda: state(app, first) is VolumeState.MISSING, "missing volume")
    await until(lambda: size(other) > 0, "footage on the other volume")
    assert app.recorder.channels[0].main.online
    await until(lambda: app.recorder.channels[0].recording, "recording")
    bring_back(first)
    await until(lambda: state(app, first) is VolumeState.OK, "volume that is back")
    await asyncio.sleep(3)
    found = rows(app)
    assert {volume for volume, _, _ in found} == {"vol-1", "vol-2"}
    gaps = [after[1] - before[2] for before, after in itertools.pairwise(found)]
    assert max(gaps) < 5 * US, gaps  # until it is noticed and the next key frame comes
    await app.stop()
    volumes = [Volume(each.id, each.root, each.uuid) for each in app.archive.keeper.known()]
    for volume in volumes:
        aged(volume)
    from onvifd.archive.catalogue_index import CatalogueSegmentStore
    from onvifd.store.catalogue import Catalogue

    catalogue = Catalogue.open(app.config.database_url)
    try:
        findings = list(examine(CatalogueSegmentStore(catalogue), volumes, depth=Depth.FULL))
        assert findings == []
        assert catalogue.segments.usage.check() == ()
        for volume in volumes:
            assert catalogue.segments.volume_bytes(volume.id) == size(volume.root)
    finally:
        catalogue.close()
    assert channel.camera


@pytest.mark.covers("INI-19", "P138")
async def test_the_only_volume_is_pulled(start, disks: tuple[Path, Path]) -> None:  # type: ignore[no-untyped-def]
    """Live goes on, the recording says why it stopped, and goes on when the volume is back: an honest gap."""
    disk = disks[0]
    app = await start(disk)
    await until(lambda: size(disk) > 0, "footage")
    pull(disk)
    await until(lambda: state(app, disk) is VolumeState.MISSING, "missing volume")
    await until(lambda: not app.recorder.channels[0].recording, "end of the recording")
    assert app.recorder.channels[0].main.online
    reason = app.archive.keeper.reason_for(f"rec-{app.recorder.channels[0].camera}")
    assert reason == "volume vol-1: its file system is not mounted"
    await asyncio.sleep(2)
    bring_back(disk)
    before = size(disk)
    await until(lambda: app.recorder.channels[0].recording, "recording")
    await until(lambda: size(disk) > before, "more footage")
    await until(lambda: gap(rows(app)) > US, "the gap in the index")


async def test_an_empty_mount_point_is_never_written(start, disks: tuple[Path, Path]) -> None:  # type: ignore[no-untyped-def]
    """A recorder that starts while a disk is not mounted."""
    app = await start(*disks)
    await until(lambda: size(disks[0]) + size(disks[1]) > 0, "footage")
    await app.stop()
    pull(disks[0])
    again = RecorderApp(app.config)
    await again.start()
    try:
        assert state(again, disks[0]) is VolumeState.MISSING
        before = size(disks[1])
        await until(lambda: size(disks[1]) > before, "footage on the other volume")
        assert list(disks[0].iterdir()) == []
        bring_back(disks[0])
        assert (disks[0] / MARKER).exists()
        await until(lambda: state(again, disks[0]) is VolumeState.OK, "volume that is back")
    finally:
        await again.stop()
