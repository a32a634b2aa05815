"""A whole recorder and a simulated camera that moves when told: with an event-only schedule, footage is that of the event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from onvifd.app import RecorderApp
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cli.setup import initialise, open_catalogue
from onvifd.clock import US, SystemClock
from onvifd.config import Config
from onvifd.events import topics
from onvifd.onvif.backend import JobState
from onvifd.recording.schedule import one_click
from onvifd.recording.settings import Changes
from onvifd.store.rows import SnapshotPolicyRow
from onvifd.store.schedules import SNAPSHOT
from tests.local import ADMIN, PASSWORD, add_camera, recorder_config, running_camera, small_clips

LIMIT = 60.0
PRE, POST = 4, 5
MARGIN = 3 * US
"""A group of pictures lasts two seconds, and the machine may be busy."""


@pytest.fixture
async def camera(clip_folder: Path) -> AsyncIterator[SimulatedDevice]:
    """Without motion of its own."""
    clips = await asyncio.to_thread(small_clips, clip_folder, 6)
    async with running_camera(clips, number=6, motion=False) as device:
        yield device


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return recorder_config(tmp_path)


async def until(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(LIMIT):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"no {what} in {LIMIT:g} s")


@pytest.fixture
async def recorder(config: Config, camera: SimulatedDevice) -> AsyncIterator[RecorderApp]:
    """Records motion alone, and takes a snapshot of it."""
    await asyncio.to_thread(initialise, config, ADMIN, PASSWORD)
    added = await add_camera(config, camera)
    with open_catalogue(config) as catalogue:
        changes = Changes(catalogue)
        changes.one_click([added], one_click("motion"))
        changes.policies(lambda known: type(known)(camera=added, stream="main", pre=PRE, post=POST), [added], "main")
        changes.set_snapshots(SnapshotPolicyRow(camera=added, enabled=True))
        changes.set_week([added], one_click("motion"), SNAPSHOT)
    app = RecorderApp(config)
    await app.start()
    yield app
    await app.stop()


@pytest.mark.covers("REC-01", "REC-09", "REC-10", "REC-15", "P127", "P135", "P136")
async def test_footage_begins_before_the_motion_and_ends_after_it(
    recorder: RecorderApp, camera: SimulatedDevice, config: Config
) -> None:
    clock = SystemClock()
    body = recorder.recorder
    await until(lambda: body.channels[0].main.online, "live stream")
    (channel,) = body.channels
    token = f"rec-{channel.camera}"
    (job,) = body.jobs()
    await asyncio.sleep(PRE + 2)  # until the memory holds what is to come before the event
    # The job is active and waits: that is Idle (RecordingControl 5.19).
    assert (job.active, body.job_status(job.token).state) == (True, JobState.IDLE)
    assert not list((config.data / "volume").rglob("*.mp4"))
    begin = clock.utc()
    camera.publish(topics.motion_alarm("lens", True, begin))
    await until(lambda: token in recorder._when.director.orders(), "order")
    await until(lambda: body.job_status(job.token).state in (JobState.ACTIVE, JobState.PARTIAL), "active job")
    end = clock.utc()
    camera.publish(topics.motion_alarm("lens", False, end))
    await until(lambda: token not in recorder._when.director.orders(), "end of the order")
    await until(lambda: body.job_status(job.token).state is JobState.IDLE, "idle job")
    with open_catalogue(config) as catalogue:
        await until(lambda: catalogue.spans.between(token, 0, 1 << 62) and not catalogue.spans.unfinished(), "span")
        (span,) = catalogue.spans.between(token, 0, 1 << 62)
        segments = catalogue.segments.between(token, 0, 1 << 62, 10)
        await until(lambda: catalogue.snapshots.list(), "snapshot")
        snapshot = catalogue.snapshots.list()[0]
    assert (span.kind, span.marks) == ("motion", "motion")
    assert begin - PRE * US - MARGIN <= span.start <= begin - PRE * US + MARGIN
    assert span.end is not None
    assert end + POST * US - US <= span.end <= end + POST * US + MARGIN
    assert abs(min(row.start for row in segments) - span.start) < US
    assert abs(max(row.end for row in segments) - span.end) < MARGIN
    assert (snapshot.kind, snapshot.camera) == ("motion", channel.camera)
    assert (config.data / "volume" / snapshot.path).read_bytes()[:2] == b"\xff\xd8"
