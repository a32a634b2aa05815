"""What depacketizers of all kinds share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from onvifd.media.types import TrackFormat

MAX_FRAME = 8 << 20
"""Bytes at which a frame is given up: ten times a large 4K key frame."""
PART = 64
"""Bytes that a part costs besides what it holds: a frame of parts of one byte each is bounded by what it takes in memory."""


class Frame(NamedTuple):
    """A whole access unit as AccessUnit has it, or the news that one is missing (`damaged`, no data)."""

    rtp_time: int
    data: bytes
    key: bool
    damaged: bool = False


NONE: tuple[Frame, ...] = ()
Payload = bytes | memoryview


class Depacketizer(Protocol):
    """Joins the packets of one track. `format` follows parameter sets that come in-band."""

    format: TrackFormat
    damaged: int
    """Frames reported as damaged since the start."""

    def feed(self, payload: Payload, marker: bool, rtp_time: int, contiguous: bool) -> tuple[Frame, ...]:
        """Take the next packet. `contiguous` is false when its sequence number does not follow the one before."""
        ...

    def feed_run(self, run: memoryview, skip: int, stride: int, rtp_time: int) -> bool:
        """Take contiguous packets of `stride` bytes without marker in one step, payloads behind `skip` bytes of each.

        False if they are not the middle of a fragmented NAL unit: then nothing was taken and `feed` is to be called.
        """
        ...


def damaged(rtp_time: int) -> Frame:
    """The news that an access unit is missing."""
    return Frame(rtp_time, b"", False, True)


class Unfragmented:
    """What a depacketizer answers whose payload format does not fragment as those of NAL units do."""

    def feed_run(self, run: memoryview, skip: int, stride: int, rtp_time: int) -> bool:
        """See Depacketizer."""
        return False
