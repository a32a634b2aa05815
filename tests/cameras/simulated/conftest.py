"""Clips for the tests, encoded once per run."""

from __future__ import annotations

from pathlib import Path

import pytest

from onvifd.cameras.simulated.encode import CameraClips, encode_picture, load_cameras, main_spec, sub_spec
from onvifd.cameras.simulated.sound import encode_sound
from onvifd.media.types import Codec


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def h264(cache: Path) -> CameraClips:
    return load_cameras(cache, [7])[7]


@pytest.fixture(scope="session")
def h265() -> CameraClips:
    spec = main_spec(Codec.H265)
    return CameraClips(encode_picture(7, spec), encode_picture(7, sub_spec(Codec.H265)), encode_sound(Codec.PCMA))
