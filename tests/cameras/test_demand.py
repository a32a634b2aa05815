"""Streams on demand, one connection however many watch, and how settings reach the workers."""

from __future__ import annotations

import asyncio

from onvifd.live.mount import LiveMount
from onvifd.media.types import FlushUnit
from onvifd.rtsp.client import RtspClient
from tests.cameras.fault_camera import Camera, Rig
from tests.rtsp.sample import PASSWORD, USER, serving


async def test_it_is_pulled_while_somebody_watches() -> None:
    camera = Camera()
    async with camera.url() as url, Rig(url, on_demand=True, watched=False, frames=False).running() as rig:
        for _ in range(20):
            await asyncio.sleep(0)
        assert camera.connections == 0
        assert not rig.states
        for visit in (1, 2):
            rig.units.clear()
            got: list[FlushUnit] = []
            rig.stream.attach(got.append, lambda: None)
            await rig.until(lambda got=got: len(got) >= 10)  # type: ignore[misc]
            assert camera.connections == visit
            assert rig.stream.online
            rig.stream.detach(got.append)
            await rig.until(lambda: not rig.stream.online)
            assert camera.requests[-1].method == "TEARDOWN"
            assert not rig.stream.backlog() or rig.stream.backlog()[-1].rtcp
        # To be left alone is no failure.
        assert all(online for online, _ in rig.states)


async def test_it_lingers_and_who_comes_back_finds_it_still_there() -> None:
    camera = Camera()
    async with camera.url() as url:
        rig = Rig(url, on_demand=True, watched=False, frames=False, linger=30)
        async with rig.running():
            for _ in range(3):
                got: list[FlushUnit] = []
                rig.stream.attach(got.append, lambda: None)
                await rig.until(lambda got=got: len(got) >= 5)  # type: ignore[misc]
                rig.stream.detach(got.append)
            assert camera.connections == 1
            assert rig.stream.online
            # What is no longer on demand goes on; what is again, and watched by nobody, ends after all.
            rig.intake.demand.on_demand = False
            assert rig.intake.demand.wanted.is_set()


async def test_recording_is_a_demand() -> None:
    camera = Camera()
    async with camera.url() as url, Rig(url, on_demand=True, watched=False, frames=False).running() as rig:
        rig.intake.on_frame = rig.frames.append
        await rig.until(lambda: len(rig.frames) >= 10)
        rig.intake.on_frame = None
        await rig.until(lambda: not rig.stream.online)


async def test_describe_waits_for_the_first_formats() -> None:
    camera = Camera()
    async with camera.url() as url, Rig(url, on_demand=True, watched=False, frames=False).running() as rig:
        mount = LiveMount(lambda path: rig.stream, 60)
        async with serving(mount) as (_, port):
            client = RtspClient(f"rtsp://127.0.0.1:{port}/live/cam-1/main", USER, PASSWORD)
            await client.connect()
            assert len((await client.describe()).tracks) == 1
            await client.close()
        assert camera.connections == 1


async def test_one_connection_however_many_watch() -> None:
    camera = Camera()
    async with camera.url() as url, Rig(url, on_demand=True, watched=False).running() as rig:
        sinks: list[list[FlushUnit]] = [[] for _ in range(50)]
        for sink in sinks:
            rig.stream.attach(sink.append, lambda: None)
        await rig.until(lambda: all(len(sink) >= 20 for sink in sinks))
        assert camera.connections == 1
        assert [request.method for request in camera.requests] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]
