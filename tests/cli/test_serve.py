from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.drivers import prepare
from onvifd.cameras.registry import Camera, Credentials
from onvifd.cli import serve
from onvifd.cli.serve import DemoState
from onvifd.cli.setup import open_registry
from onvifd.config import Config, load

Run = Callable[..., object]


@pytest.fixture
def config(recorder: Run, data: Path) -> Config:
    """The settings of an initialised recorder."""
    return load({"data": data}, environment={})


def cameras(config: Config) -> tuple[Camera, ...]:
    with open_registry(config) as registry:
        return tuple(registry.all())


async def test_demo_leaves_other_cameras_alone(config: Config, camera: SimulatedDevice) -> None:
    DemoState("camera-pass-1", ((0, 0),)).save(config.data / "demo.json")
    found = await prepare(camera.device_url, Credentials(user="admin", password="camera-pass-1"))
    login = Credentials(user="gate", password=secrets.token_hex(8))
    streams = tuple(replace(stream, uri=f"rtsp://127.0.0.1:1/{stream.role}") for stream in found.streams)
    foreign = replace(found, name="Gate", credentials=login, streams=streams)
    with open_registry(config) as registry:
        gate = registry.add(foreign)
    await serve._add_cameras(config, [camera.device_url])
    await serve._add_cameras(config, [camera.device_url])
    before, after = cameras(config)
    assert before == gate
    assert after.credentials == Credentials(user="admin", password="camera-pass-1")


async def test_demo_camera_that_moved_keeps_its_id(config: Config, camera: SimulatedDevice) -> None:
    DemoState("camera-pass-1", ((0, 0),)).save(config.data / "demo.json")
    await serve._add_cameras(config, [camera.device_url])
    [known] = cameras(config)
    with open_registry(config) as registry:
        registry.update(replace(known, address="http://127.0.0.1:1/onvif/device_service"))
    await serve._add_cameras(config, [camera.device_url])
    assert [(each.id, each.address) for each in cameras(config)] == [(known.id, camera.device_url)]


def test_demo_does_not_touch_the_cameras_of_a_running_recorder(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONVIFD_ADMIN_PASSWORD", "admin-pass-1")
    with (config.data / "onvifd.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Exception, match="another recorder runs"):
            serve._initialise(config)
    serve._initialise(config)


def test_processes_of_the_demo_do_not_inherit_the_password(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONVIFD_ADMIN_PASSWORD", "admin-pass-1")
    serve._initialise(config)
    assert "ONVIFD_ADMIN_PASSWORD" not in os.environ
