"""What a probe finds."""

from __future__ import annotations

from dataclasses import dataclass

from onvifd.cameras.registry import Driver, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedStream:
    """A stream that the camera offers; its role is not decided yet (it says main). `video_source` tells lenses apart."""

    name: str
    video_source: str
    stream: Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraProbe:
    """What a camera said of itself. `event_address` is empty if it has no event service."""

    driver: Driver
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    event_address: str = ""
    streams: tuple[ProbedStream, ...] = ()
