"""One recorder for all end-to-end tests of a run, and helpers around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.e2e.harness import Recorder
from tests.e2e.soap import Device


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """The demo with two cameras, as `make run` starts it."""
    running = Recorder(tmp_path_factory.mktemp("demo") / "data")
    try:
        running.start()
        yield running
        running.stop()
    finally:
        running.kill()


@pytest.fixture(scope="session")
def modern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """A demo whose camera sends H.265 and AAC."""
    running = Recorder(tmp_path_factory.mktemp("modern") / "data", cameras=1, codec="h265", audio="aac")
    try:
        running.start()
        yield running
        running.stop()
    finally:
        running.kill()


@pytest.fixture
def own_recorder(tmp_path: Path) -> Iterator[Recorder]:
    """A demo of the test's own, not started: for tests that break it. The test stops it; what is left is killed."""
    mine = Recorder(tmp_path / "data", cameras=1)
    try:
        yield mine
    finally:
        mine.kill()


def device_of(recorder: Recorder) -> Device:
    address = f"http://{recorder.host}:{recorder.http_port}/onvif/device_service"
    return Device(address, recorder.user, recorder.password)


@pytest.fixture(scope="session")
def device(recorder: Recorder) -> Device:
    return device_of(recorder)


T = TypeVar("T")


def wait_for(ask: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """Ask twice a second until the answer is not None."""
    deadline = time.monotonic() + seconds
    while True:
        if (answer := ask()) is not None:
            return answer
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.5)


def wait_for_footage(device: Device, *, seconds: int, camera: int = 0) -> str:
    """Token of the recording of a camera when it holds at least `seconds`."""

    def enough() -> str | None:
        tokens = device.recordings()
        span = device.span(tokens[camera]) if len(tokens) > camera else None
        return tokens[camera] if span and span[1] - span[0] >= seconds * 1_000_000 else None

    return wait_for(enough, seconds=seconds + 30, what=f"{seconds} s of footage")


@pytest.fixture(scope="session")
def footage(device: Device) -> str:
    """A recording token with at least 20 s of footage."""
    return wait_for_footage(device, seconds=20)


@pytest.fixture(scope="session")
def streams(device: Device) -> dict[str, str]:
    """Stream address of the first camera's largest ("main") and smallest ("sub") video profile."""
    first = device.profiles()[0]
    sizes = device.profile_sizes()
    source = video_source(device, first)
    mine = sorted((size, token) for token, size in sizes.items() if video_source(device, token) == source)
    return {"main": device.stream_uri(mine[-1][1]), "sub": device.stream_uri(mine[0][1])}


def video_source(device: Device, profile: str) -> str:
    return device.text(
        f"<trt:GetProfile><trt:ProfileToken>{profile}</trt:ProfileToken></trt:GetProfile>",
        "trt:Profile/tt:VideoSourceConfiguration/tt:SourceToken",
    )
