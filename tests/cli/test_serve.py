from __future__ import annotations

import asyncio
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


async def test_demo_camera_whose_login_was_lost_keeps_its_id(config: Config, camera: SimulatedDevice) -> None:
    DemoState("camera-pass-1", ((0, 0),)).save(config.data / "demo.json")
    await serve._add_cameras(config, [camera.device_url])
    [known] = cameras(config)
    with open_registry(config) as registry:
        lost = Credentials(user="admin", password="an-earlier-login")
        registry.update(replace(known, address="http://127.0.0.1:1/onvif/device_service", credentials=lost))
    await serve._add_cameras(config, [camera.device_url])
    [found] = cameras(config)
    assert (found.id, found.address) == (known.id, camera.device_url)
    assert found.credentials == known.credentials


async def test_the_demo_hears_how_far_encoding_is() -> None:
    output = asyncio.StreamReader()
    output.feed_data(b"encoding 1 5\nencoding 5 5\ncamera http://127.0.0.1:81/onvif/device_service 555\nready\n")
    heard: list[tuple[int, int]] = []
    found = await serve._until_ready(output, lambda done, total: heard.append((done, total)))
    assert found == [("http://127.0.0.1:81/onvif/device_service", 81, 555)]
    assert heard == [(1, 5), (5, 5)]


async def test_cameras_that_end_early_are_not_ready() -> None:
    output = asyncio.StreamReader()
    output.feed_data(b"camera http://127.0.0.1:81/onvif/device_service 555\n")
    output.feed_eof()
    assert await serve._until_ready(output, lambda done, total: None) is None


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
