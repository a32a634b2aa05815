"""A camera whose RTSP port is closed, from adding it to its footage and its loudspeaker: all of it within HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.simulated.encode import CameraClips
from onvifd.cli.setup import open_catalogue, open_registry
from onvifd.rtsp.server import RtspServer
from tests.local import recorder_config, running_camera, running_recorder, small_clips

LIMIT = 30.0


@pytest.fixture(scope="session")
def clips(clip_folder: Path) -> CameraClips:
    return small_clips(clip_folder, 6)


@pytest.fixture
async def camera(clips: CameraClips, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SimulatedDevice]:
    """Its RTSP server is reached by the tunnel alone."""

    async def closed(server: RtspServer, host: str, port: int) -> int:
        with socket.socket() as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])

    async with contextlib.AsyncExitStack() as running:
        with monkeypatch.context() as patch:
            patch.setattr(RtspServer, "serve", closed)
            device = await running.enter_async_context(running_camera(clips))
        yield device


async def until(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(LIMIT):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"no {what} in {LIMIT:g} s")


@pytest.mark.covers("CAM-20")
async def test_it_is_added_received_and_recorded(camera: SimulatedDevice, tmp_path: Path) -> None:
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", camera.rtsp_port)
    config = recorder_config(tmp_path)
    async with running_recorder(config, camera) as app:
        body = app.recorder
        await until(lambda: body.channels and body.channels[0].main.online, "live stream")
        await until(lambda: body.channels[0].recording, "recording")
        with open_catalogue(config) as catalogue:
            rows = catalogue.receptions.all()
        assert rows
        assert {(row.transport, row.tunnel_port, row.digest) for row in rows} == {("http", camera.http_port, True)}
        with open_registry(config) as registry:
            (known,) = registry.all()
        assert known.talk
    assert list((tmp_path / "data").rglob("*.mp4"))
