"""Simulated cameras and whole recorders within the process of a test, on free ports of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from onvifd.app import RecorderApp
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.drivers import prepare
from onvifd.cameras.registry import Credentials
from onvifd.cameras.simulated.encode import CameraClips, ClipMaker, load_sound, sub_spec
from onvifd.cli.setup import initialise, open_registry
from onvifd.clock import SystemClock
from onvifd.config import Config, load
from onvifd.media.types import Codec

ADMIN, PASSWORD = "admin", "Recorder-1"
CAMERA = Credentials(user="admin", password="Camera-pass1")


def small_clips(folder: Path, number: int, codec: Codec = Codec.H264, audio: Codec = Codec.PCMU) -> CameraClips:
    """One picture of 640 x 360 for both streams of a camera, kept in `folder`. Blocks while it is encoded."""
    spec = sub_spec(codec)
    clip = ClipMaker(folder, number, spec, spec).clip(spec)
    return CameraClips(clip, clip, load_sound(folder, audio))


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What runs for ever does so until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def running_camera(
    clips: CameraClips,
    *,
    number: int = 1,
    motion: bool = True,
    http_port: int = 0,
    password: str = CAMERA.password,
    discovery: bool = False,
) -> AsyncIterator[SimulatedDevice]:
    """A camera with the account CAMERA; discovery does not find it unless it is told to."""
    device = SimulatedDevice(
        number,
        clips,
        # Its uuid is its own: tests that run at the same time share the loopback interface.
        seed=secrets.token_hex(8),
        host="127.0.0.1",
        http_port=http_port,
        rtsp_port=0,
        user=CAMERA.user,
        password=password,
        clock=SystemClock(),
        motion=motion,
        discovery=discovery,
    )
    await device.start()
    try:
        yield device
    finally:
        await device.stop()


def recorder_config(folder: Path, settings: dict[str, object] | None = None) -> Config:
    """One process, free ports, no discovery; `settings` beside that."""
    ports = {f"network.{kind}_port": 0 for kind in ("http", "https", "rtsp")}
    own = {"data": folder / "data", "network.host": "127.0.0.1", "network.discovery": False}
    return load(own | ports | {"workers.one_process": True} | (settings or {}), environment={})


async def add_camera(config: Config, camera: SimulatedDevice) -> str:
    """Have it in the catalogue, as `onvifd camera add` does; its id."""
    found = await prepare(camera.device_url, CAMERA)
    with open_registry(config) as registry:
        return (await asyncio.to_thread(registry.add, found)).id


@contextlib.asynccontextmanager
async def running_recorder(config: Config, *cameras: SimulatedDevice) -> AsyncIterator[RecorderApp]:
    """A new recorder with the account ADMIN and these cameras."""
    await asyncio.to_thread(initialise, config, ADMIN, PASSWORD)
    for camera in cameras:
        await add_camera(config, camera)
    app = RecorderApp(config)
    await app.start()
    try:
        yield app
    finally:
        await app.stop()
