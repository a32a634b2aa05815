"""The media worker: what control's messages make of its streams."""

import asyncio
import socket

import pytest
from msgspec.structs import replace

from onvifd.live.hub import LiveStream, LiveTrack
from onvifd.media.types import Codec, TrackFormat
from onvifd.workers.link import LocalLink
from onvifd.workers.media import MediaWorker, _Running
from onvifd.workers.messages import Cameras, Ready
from onvifd.workers.specs import CameraSpec, StreamSpec
from tests.workers.conftest import worker_setup


def cameras(url: str) -> Cameras:
    stream = StreamSpec(name="main", url=url, user="", password="")
    return Cameras(cameras=(CameraSpec(id="cam-1", channel=1, streams=(stream,)),))


SETUP = worker_setup(kind="media", name="media-0")


async def test_clients_of_a_camera_that_was_changed_or_removed_are_ended() -> None:
    ours, theirs = LocalLink.pair()
    worker = MediaWorker(theirs)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"rtsp://127.0.0.1:{mute.getsockname()[1]}/"
        assert isinstance(await worker.handle(SETUP), Ready)
        ended: list[str] = []
        try:
            await worker.handle(cameras(url + "one"))
            first = worker.presentations.lookup("/live/cam-1/main")
            assert isinstance(first, LiveStream)
            first.set_tracks((LiveTrack(TrackFormat(codec=Codec.H264, clock_rate=90_000), 96, 1),))
            first.attach(lambda _: None, lambda: ended.append("changed"))
            await worker.handle(cameras(url + "one"))
            assert worker.presentations.lookup("/live/cam-1/main") is first
            assert ended == []
            await worker.handle(cameras(url + "two"))
            second = worker.presentations.lookup("/live/cam-1/main")
            assert isinstance(second, LiveStream)
            assert second is not first
            assert ended == ["changed"]
            second.attach(lambda _: None, lambda: ended.append("removed"))
            await worker.handle(Cameras(cameras=()))
            assert worker.presentations.lookup("/live/cam-1/main") is None
            assert ended == ["changed", "removed"]
        finally:
            await worker.stop()
            await theirs.close()
            await ours.close()


async def test_cameras_that_are_slow_to_leave_are_left_together(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = LocalLink.pair()
    worker = MediaWorker(theirs)
    together = asyncio.Barrier(3)
    end = MediaWorker._end

    async def slow(self: MediaWorker, running: _Running) -> None:
        async with asyncio.timeout(10):
            await together.wait()
        await end(self, running)

    monkeypatch.setattr(MediaWorker, "_end", slow)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"rtsp://127.0.0.1:{mute.getsockname()[1]}/"
        assert isinstance(await worker.handle(SETUP), Ready)
        try:
            several = [replace(cameras(url).cameras[0], id=f"cam-{number}") for number in range(3)]
            await worker.handle(Cameras(cameras=tuple(several)))
            await worker.handle(Cameras(cameras=()))
            assert not worker._streams
        finally:
            await worker.stop()
            await theirs.close()
            await ours.close()


async def test_cameras_that_come_while_it_stops_are_not_begun() -> None:
    ours, theirs = LocalLink.pair()
    worker = MediaWorker(theirs)
    assert isinstance(await worker.handle(SETUP), Ready)
    before = asyncio.all_tasks()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        async with worker._changing:  # as by cameras that are just being taken over
            stopping = asyncio.create_task(worker.stop())
            while not worker._changing._waiters:
                await asyncio.sleep(0)
            late = asyncio.create_task(worker.handle(cameras(f"rtsp://127.0.0.1:{mute.getsockname()[1]}/")))
            await asyncio.sleep(0)
        await asyncio.gather(stopping, late)
        left = asyncio.all_tasks() - before
        for task in left:
            task.cancel()
        assert left == set()
    await theirs.close()
    await ours.close()
