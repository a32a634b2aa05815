"""JPEG pictures for tests: made by another encoder, read by another decoder."""

from __future__ import annotations

import fractions
import io
from functools import lru_cache

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

Shape = tuple[int, ...]


def pattern(width: int, height: int) -> np.ndarray[Shape, np.dtype[np.uint8]]:
    """Red, green, blue and white quarters with a grey ramp across."""
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    picture[:top, :left, 0] = 220
    picture[:top, left:, 1] = 220
    picture[top:, :left, 2] = 220
    picture[top:, left:] = 235
    picture[top - 8 : top + 8] = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
    return picture


@lru_cache(64)
def make_jpeg(
    width: int, height: int, pixels: str = "yuvj420p", scale: int = 3, slices: bool = False, huffman: str = "default"
) -> bytes:
    """The pattern as JPEG. With `slices` it has restart markers; `huffman` may be `optimal`."""
    encoder = VideoCodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pixels
    encoder.time_base = fractions.Fraction(1, 25)
    encoder.thread_count = 1
    encoder.options = {"qmin": str(scale), "qmax": str(scale), "huffman": huffman}
    if slices:
        encoder.options = encoder.options | {"slices": "4"}
    frame = av.VideoFrame.from_ndarray(pattern(width, height), "rgb24")
    frame = frame.reformat(format=pixels, dst_color_range=2)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def show(jpeg: bytes) -> np.ndarray[Shape, np.dtype[np.uint8]]:
    """Decode a JPEG to RGB."""
    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)
