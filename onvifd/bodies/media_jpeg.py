"""The JPEG encoder of each camera: the recorder's own, so that its settings are, too. Pure functions."""

from __future__ import annotations

from onvifd.cameras.settings import EncoderChoice, EncoderSettings
from onvifd.media.types import Codec

STREAM = "jpeg"
MAX_RATE = 25
DEFAULT_RATE = 5
DEFAULT_QUALITY = 75
_WIDTHS = (1920, 1600, 1280, 960, 800, 640, 480, 320)
_QVGA = (320, 240)
"""Every device has it (Media 5.1)."""
_DEFAULT_WIDTH = 640


def sizes(width: int, height: int) -> tuple[tuple[int, int], ...]:
    """Sizes in which pictures of a camera can be had: its own shape in several widths, and QVGA. Largest first.

    Whole blocks of eight: RFC 2435 3.1.5 tells sizes by these, so that all clients see the size that was chosen."""
    shaped = (
        {(each, max(8, round(each * height / width / 8) * 8)) for each in _WIDTHS if each <= width} if width else set()
    )
    return tuple(sorted({*shaped, _QVGA}, reverse=True))


def choice(width: int, height: int) -> EncoderChoice:
    """What can be chosen for a camera whose picture has that size."""
    offered = sizes(width, height)
    greatest = bitrate(*offered[0], float(MAX_RATE), 100.0)
    return EncoderChoice(
        codec=Codec.JPEG,
        resolutions=offered,
        framerates=tuple(float(each) for each in range(MAX_RATE, 0, -1)),
        bitrates=(1, greatest),
        quality=(1.0, 100.0),
    )


def default(width: int, height: int) -> EncoderSettings:
    """What is made until a client chooses."""
    offered = sizes(width, height)
    small = next((each for each in offered if each[0] <= _DEFAULT_WIDTH), offered[-1])
    return EncoderSettings(
        codec=Codec.JPEG,
        width=small[0],
        height=small[1],
        framerate=float(DEFAULT_RATE),
        quality=float(DEFAULT_QUALITY),
    )


def effective(wanted: EncoderSettings | None, width: int, height: int) -> EncoderSettings:
    """What is made for a camera whose picture has that size now: what was chosen, or the default where that is not to be had
    any more."""
    usual = default(width, height)
    if wanted is None or (wanted.width, wanted.height) not in sizes(width, height):
        return usual
    return EncoderSettings(
        codec=Codec.JPEG,
        width=wanted.width,
        height=wanted.height,
        framerate=wanted.framerate or usual.framerate,
        quality=wanted.quality or usual.quality,
    )


def bitrate(width: int, height: int, framerate: float, quality: float) -> int:
    """About what such pictures take, in kbit/s: half a bit per pixel at quality 50, two at 100."""
    return max(1, round(width * height * framerate * (0.1 + (quality / 70) ** 2) / 1000))
