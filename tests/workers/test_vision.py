"""JPEG of a key frame."""

import fractions
import io

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from onvifd.errors import InvalidArgument
from onvifd.workers.vision import jpeg_of_keyframe


def length_prefixed(stream: bytes) -> bytes:
    parts = [part for part in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if part]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def key_frame(codec: str) -> bytes:
    encoder = VideoCodecContext.create({"h264": "libx264", "h265": "libx265"}[codec], "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 192, "yuv420p"
    encoder.time_base = fractions.Fraction(1, 25)
    encoder.options = (
        {"preset": "ultrafast", "x265-params": "log-level=none:repeat-headers=1"}
        if codec == "h265"
        else {"preset": "ultrafast", "x264-params": "repeat-headers=1"}
    )
    picture = np.zeros((192, 320, 3), np.uint8)
    picture[:, 160:] = 255
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
    frame.pts = 0
    return length_prefixed(b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)]))


@pytest.mark.covers("T-media2-GetSnapshotUri")
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_jpeg_shows_the_key_frame(codec: str) -> None:
    jpeg = jpeg_of_keyframe(codec, (), key_frame(codec))
    assert jpeg[:3] == b"\xff\xd8\xff"
    assert jpeg[-2:] == b"\xff\xd9"
    with av.open(io.BytesIO(jpeg), format="image2pipe") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="gray")
    assert picture.shape == (192, 320)
    assert picture[:, :150].mean() < 10
    assert picture[:, 170:].mean() > 245


@pytest.mark.covers("PLY-11")
@pytest.mark.parametrize(
    ("width", "shape"), [(160, (96, 160)), (101, (60, 100)), (320, (192, 320)), (4000, (192, 320))]
)
def test_a_small_picture_keeps_its_shape(width: int, shape: tuple[int, int]) -> None:
    jpeg = jpeg_of_keyframe("h264", (), key_frame("h264"), 70, width)
    with av.open(io.BytesIO(jpeg), format="image2pipe") as container:
        picture = next(container.decode(video=0)).to_ndarray(format="gray")
    assert picture.shape == shape
    assert picture[:, : shape[1] // 3].mean() < 20
    assert picture[:, -shape[1] // 3 :].mean() > 235


def test_garbage_is_an_error() -> None:
    with pytest.raises(InvalidArgument):
        jpeg_of_keyframe("h264", (), b"\0\0\0\4abcd")
    with pytest.raises(InvalidArgument):
        jpeg_of_keyframe("pcmu", (), b"")
