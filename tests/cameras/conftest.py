"""A simulated camera with all its faces, for what talks to cameras."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.simulated.encode import CameraClips, ClipMaker, VideoSpec, load_sound, sub_spec
from onvifd.media.types import Codec
from tests.local import running_camera


@pytest.fixture(scope="session")
def small_clips(clip_folder: Path) -> CameraClips:
    """Main is 1280 x 720 only, which is encoded in half the time."""
    main, sub = VideoSpec(codec=Codec.H264, scale=2, bitrate=1_000_000), sub_spec(Codec.H264)
    maker = ClipMaker(clip_folder, 5, main, sub)
    return CameraClips(maker.clip(main), maker.clip(sub), load_sound(clip_folder, Codec.PCMA))


@pytest.fixture
async def device(small_clips: CameraClips) -> AsyncIterator[SimulatedDevice]:
    """A running camera on 127.0.0.1 with the account admin; it raises no motion by itself."""
    async with running_camera(small_clips, number=5, motion=False, password="camera-pass-1", discovery=True) as device:
        yield device
