"""Real bit streams for the media tests, made with PyAV, and strategies."""

from __future__ import annotations

import av
import numpy as np
import pytest

from onvifd.media import nal, video
from onvifd.media.types import AccessUnit, Codec, TrackFormat

Encoded = tuple[TrackFormat, list[AccessUnit]]


def encode(codec: Codec, width: int = 320, height: int = 180, frames: int = 6, fps: int = 25) -> Encoded:
    """A few real frames; the first is a key frame with parameter sets in-band."""
    context = av.CodecContext.create("libx264" if codec is Codec.H264 else "libx265", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate = fps
    context.bit_rate = 2_000_000
    context.gop_size = 3
    context.options = {"preset": "ultrafast", "tune": "zerolatency"}
    if codec is Codec.H265:
        context.options["x265-params"] = "log-level=none:keyint=3:bframes=0"
    rng = np.random.default_rng(1)
    packets = []
    for index in range(frames):
        frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (height * 3 // 2, width), np.uint8), format="yuv420p")
        frame.pts = index
        packets += context.encode(frame)
    packets += context.encode(None)
    units = [
        AccessUnit(0, index * 40_000, index * 3600, packet.is_keyframe, nal.from_annexb(bytes(packet)))
        for index, packet in enumerate(packets)
    ]
    sets = video.find_parameter_sets(codec, units[0].data)
    return video.with_parameter_sets(TrackFormat(codec=codec, clock_rate=90000), sets), units


@pytest.fixture(scope="session")
def h264_clip() -> Encoded:
    return encode(Codec.H264)


@pytest.fixture(scope="session")
def h265_clip() -> Encoded:
    return encode(Codec.H265)


@pytest.fixture(scope="session", params=[Codec.H264, Codec.H265])
def clip(request: pytest.FixtureRequest) -> Encoded:
    name = "h264_clip" if request.param is Codec.H264 else "h265_clip"
    found: Encoded = request.getfixturevalue(name)
    return found
