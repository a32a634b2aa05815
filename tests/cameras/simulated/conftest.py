"""Clips for the tests, encoded once per run."""

from __future__ import annotations

from pathlib import Path

import pytest

from onvifd.cameras.simulated.encode import CameraClips, load_cameras
from onvifd.media.types import Codec


@pytest.fixture(scope="session")
def h264(clip_folder: Path) -> CameraClips:
    return load_cameras(clip_folder, [7])[7]


@pytest.fixture(scope="session")
def h265(clip_folder: Path) -> CameraClips:
    return load_cameras(clip_folder, [7], Codec.H265, Codec.PCMA)[7]
