"""A simulated camera with all its faces, for what talks to cameras."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.simulated.encode import CameraClips, VideoSpec, encode_picture, sub_spec
from onvifd.cameras.simulated.sound import encode_sound
from onvifd.clock import SystemClock
from onvifd.media.types import Codec


@pytest.fixture(scope="session")
def small_clips() -> CameraClips:
    """Main is 1280 x 720 only, which is encoded in half the time."""
    main = VideoSpec(codec=Codec.H264, scale=2, bitrate=1_000_000)
    return CameraClips(encode_picture(5, main), encode_picture(5, sub_spec(Codec.H264)), encode_sound(Codec.PCMA))


@pytest.fixture
async def device(small_clips: CameraClips) -> AsyncIterator[SimulatedDevice]:
    """A running camera on 127.0.0.1 with the account admin; it raises no motion by itself."""
    device = SimulatedDevice(
        5,
        small_clips,
        # Its uuid is its own: tests that run at the same time share the loopback interface.
        seed=secrets.token_hex(8),
        host="127.0.0.1",
        http_port=0,
        rtsp_port=0,
        user="admin",
        password="camera-pass-1",
        clock=SystemClock(),
        motion=False,
    )
    await device.start()
    yield device
    await device.stop()
