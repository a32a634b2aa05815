"""Storage calculator: hours from space, space from hours, for channels that there are or may be. Pure functions.

A channel takes its bit rate for the hours of a day in which it is recorded, times the part of them in which something happens
where only events are recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onvifd.errors import InvalidArgument

OVERHEAD = 1.01
"""Boxes of the segment files, and what a file system needs for itself."""
_BITS_PER_PIXEL = {"h264": 0.10, "h265": 0.06, "jpeg": 0.60}
"""Of a surveillance picture with some movement, by the codec. Only for channels whose bit rate is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEstimate:
    """`bitrate` is bit/s of video and audio. `hours` is recorded hours per day (0 to 24), `alarm_rate` the part of them
    (0 to 1) in which footage is kept: 1 for continuous recording."""

    name: str = ""
    bitrate: float
    hours: float = 24.0
    alarm_rate: float = 1.0

    def __post_init__(self) -> None:
        if self.bitrate <= 0:
            raise InvalidArgument("a bit rate is more than 0")
        if not 0 <= self.hours <= 24:
            raise InvalidArgument("a day has 0 to 24 recorded hours")
        if not 0 <= self.alarm_rate <= 1:
            raise InvalidArgument("an alarm rate is 0 to 1")

    @property
    def per_hour(self) -> float:
        """Bytes of an hour that is recorded throughout."""
        return self.bitrate / 8 * 3600 * OVERHEAD

    @property
    def per_day(self) -> float:
        """Bytes of a day."""
        return self.per_hour * self.hours * self.alarm_rate


def estimated_bitrate(width: int, height: int, framerate: float, codec: str = "h264") -> float:
    """Bit/s of a picture of this size, for want of something better. Raises InvalidArgument."""
    if codec not in _BITS_PER_PIXEL:
        raise InvalidArgument(f"{codec} is none of {', '.join(_BITS_PER_PIXEL)}")
    if not (0 < width <= 16_384 and 0 < height <= 16_384 and 0 < framerate <= 240):
        raise InvalidArgument("this is no size of a picture")
    return width * height * framerate * _BITS_PER_PIXEL[codec]


def space_for(channels: Iterable[ChannelEstimate], days: float) -> int:
    """Bytes that all channels take in so many days."""
    if days < 0:
        raise InvalidArgument("days are not negative")
    return round(sum(channel.per_day for channel in channels) * days)


def days_from(channels: Iterable[ChannelEstimate], space: int) -> float | None:
    """Days that so many bytes last; None when nothing is recorded."""
    daily = sum(channel.per_day for channel in channels)
    return space / daily if daily else None
