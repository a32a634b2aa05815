"""The command line in-process, on a data folder of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.simulated.encode import CameraClips
from onvifd.cli.main import app
from tests.local import running_camera, small_clips

ADMIN_PASSWORD = "admin-pass-1"

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command with `ONVIFD_DATA` set; keyword arguments are further variables, `stdin` is its input."""
    for name in [name for name in os.environ if name.startswith("ONVIFD_")]:
        monkeypatch.delenv(name)

    def call(*arguments: str, stdin: str | None = None, **variables: str) -> Result:
        environment = {"ONVIFD_DATA": str(tmp_path / "data"), **variables}
        return CliRunner().invoke(app, arguments, input=stdin, env=environment)

    return call


@pytest.fixture
def recorder(run: Run) -> Run:
    """The same on an initialised recorder."""
    result = run("init", ONVIFD_ADMIN_PASSWORD=ADMIN_PASSWORD)
    assert result.exit_code == 0, result.output
    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(scope="session")
def tiny_clips(clip_folder: Path) -> CameraClips:
    """One small picture for both streams."""
    return small_clips(clip_folder, 6)


@pytest.fixture
async def camera(tiny_clips: CameraClips) -> AsyncIterator[SimulatedDevice]:
    """A running simulated camera on 127.0.0.1 with the account admin, password camera-pass-1."""
    async with running_camera(tiny_clips, number=6, motion=False, password="camera-pass-1", discovery=True) as device:
        yield device


@pytest.fixture
def beside() -> Callable[..., asyncio.Future[Result]]:
    """Runs a command in a thread while the test's own loop serves a camera."""

    def call(command: Run, *arguments: str, **variables: str) -> asyncio.Future[Result]:
        return asyncio.ensure_future(asyncio.to_thread(command, *arguments, **variables))

    return call
