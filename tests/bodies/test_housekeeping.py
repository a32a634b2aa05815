"""What keeps the catalogue in order while the recorder runs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.catalogue_upkeep import CatalogueUpkeep
from onvifd.archive.disk import DiskPool, Volume
from onvifd.archive.index import FragmentFlag, SegmentRow, SegmentState
from onvifd.archive.retention import Retention, Rules, VolumeBounds
from onvifd.bodies.housekeeping import EVENT_SWEEP, Housekeeping
from onvifd.clock import US, SimulatedClock
from onvifd.events.bus import EventBus
from onvifd.events.catalogue_store import CatalogueEventStore
from onvifd.media.types import Codec, TrackFormat
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.store.rows import CameraRow, JobRow, JobSourceRow, ProfileRow, RecordingRow, StreamRow

T0 = 1_767_225_600 * US


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[AsyncCatalogue]:
    made = AsyncCatalogue(Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True))
    yield made
    await made.close()


def housekeeping(catalogue: AsyncCatalogue, tmp_path: Path) -> Housekeeping:
    clock = SimulatedClock(T0)
    events = CatalogueEventStore(catalogue.sync)
    segments = CatalogueSegmentStore(catalogue.sync)
    bounds = VolumeBounds(volume=Volume("vol-1", tmp_path), reserve=0)
    rules = Rules(volumes={"vol-1": bounds})
    retention = Retention(CatalogueUpkeep(catalogue.sync), lambda: rules, pool=DiskPool(1), clock=clock)
    return Housekeeping(catalogue, segments, events, EventBus(clock), retention, 0, clock)


def add_camera(catalogue: Catalogue, ident: str) -> None:
    stream = StreamRow(camera=ident, role="main", uri="rtsp://192.0.2.1/a")
    camera = CameraRow(
        id=ident,
        channel=0,
        name=ident,
        driver="rtsp",
        address="rtsp://192.0.2.1/",
        credentials=None,
        streams=(stream,),
    )
    recording = RecordingRow(token=f"rec-{ident}", camera=ident, source_id=f"vs-{ident}", source_name=ident)
    job = JobRow(
        token=f"job-{ident}",
        recording=recording.token,
        camera=ident,
        sources=(JobSourceRow(kind="profile", token=f"{ident}-main"),),
    )
    profile = ProfileRow(token=f"{ident}-main", camera=ident, role="main", name="main")
    catalogue.cameras.add(camera, [profile], recording, job, limit=10)


async def test_recordings_go_with_the_last_of_their_footage(catalogue: AsyncCatalogue, tmp_path: Path) -> None:
    sync = catalogue.sync
    for ident in ("cam-empty", "cam-full", "cam-present"):
        add_camera(sync, ident)
    volume = sync.volumes.ensure(str(tmp_path), 0, T0)
    segments = CatalogueSegmentStore(sync)
    segments.insert_segment(
        SegmentRow(
            recording="rec-cam-full",
            volume=volume.id,
            path="rec-cam-full/2026-01-01/00/000000.000.mp4",
            start=T0,
            end=T0 + US,
            size=10,
            formats=(TrackFormat(codec=Codec.H264, clock_rate=90_000),),
            kinds=FragmentFlag.VIDEO,
            state=SegmentState.CLOSED,
        )
    )
    sync.cameras.remove("cam-empty")
    sync.cameras.remove("cam-full")
    before = sync.revision()
    made = housekeeping(catalogue, tmp_path)
    await made.start(frozenset())
    try:
        async with asyncio.timeout(10):
            while len(await catalogue.run(sync.recordings.all)) > 2:
                await asyncio.sleep(0.01)
        assert {row.token for row in sync.recordings.all()} == {"rec-cam-full", "rec-cam-present"}
        assert sync.revision() > before  # whoever lists recordings looks again
    finally:
        await made.stop()


async def test_a_defect_costs_one_sweep(
    catalogue: AsyncCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = housekeeping(catalogue, tmp_path)
    sweeps = 0

    async def sweep() -> None:
        nonlocal sweeps
        sweeps += 1
        raise RuntimeError("a defect")

    monkeypatch.setattr(made, "_sweep_recordings", sweep)
    await made.start(frozenset())
    try:
        assert isinstance(made._clock, SimulatedClock)
        async with asyncio.timeout(10):
            while sweeps < 2:
                await made._clock.advance(EVENT_SWEEP)
    finally:
        await made.stop()
