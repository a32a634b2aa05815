"""Settings of the encoders of a camera: what can be chosen, and choosing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from onvifd.media.types import Codec

UNTOLD = (0, 0)
"""A range that a camera does not tell."""

UNTOLD_QUALITY = 5.0
"""Is shown where a camera tells none, moved into its range where it tells that. ONVIF wants a number; most cameras count from 0 or
1 to 10 or 100, and what is written back unchanged does not go to the camera, so that nothing follows from it."""


def quality_within(told: float | None, span: tuple[float, float]) -> float:
    """The quality that is shown of an encoder with this range: some cameras tell one that is out of it."""
    return min(max(UNTOLD_QUALITY if told is None else told, span[0]), span[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """What an encoder is to do. `bitrate` is kbit/s, `gov_length` frames, `quality` 0 to 10; None keeps what it has.

    `profile` is as in `EncoderChoice`; empty keeps what it has.
    """

    codec: Codec
    width: int
    height: int
    framerate: float | None = None
    bitrate: int | None = None
    gov_length: int | None = None
    profile: str = ""
    quality: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderChoice:
    """What can be chosen with one codec: any combination. Ranges are (least, greatest), or UNTOLD.

    `resolutions` has the largest first, `framerates` the highest. `profiles` are names as H.264: Baseline, Main, Extended, High;
    H.265: Main, Main10.
    """

    codec: Codec
    resolutions: tuple[tuple[int, int], ...]
    framerates: tuple[float, ...]
    bitrates: tuple[int, int]
    quality: tuple[float, float]
    gov_lengths: tuple[int, int] = (1, 1)
    profiles: tuple[str, ...] = ()
    encoding: str = ""
    """Media subtype, where `codec` only says that it is none that the recorder reads."""
    quality_now: float | None = None
    """The quality that the encoder has with this codec, None for what is not told or another codec than the present one."""


class CameraSettings(Protocol):
    """The encoders of cameras, by the camera's id and the stream's name."""

    async def options(self, camera: str, stream: str) -> tuple[EncoderChoice, ...]:
        """What can be chosen, one entry per codec; empty for a camera whose settings are out of reach. Raises Unavailable."""
        ...

    async def set_encoder(self, camera: str, stream: str, settings: EncoderSettings) -> EncoderSettings:
        """Have the camera do so; what it made of it. Raises InvalidArgument (ConfigModify) or Unavailable."""
        ...
