"""Whether a packet of video can be the last one of its picture, told from its first bytes (RFC 6184 5, RFC 7798 4.4).

Cameras set the marker on parameter sets, on every packet, or never.
"""

from __future__ import annotations

from collections.abc import Callable

from onvifd.media.types import Codec

NO_PICTURE, MIDDLE, SLICE = range(3)
"""No part of a picture · a part of a slice that goes on · a whole slice or its end."""


def _h264(payload: bytearray, at: int, end: int) -> int:
    kind = payload[at] & 0x1F
    if kind == 28:
        if end <= at + 1:
            return MIDDLE
        if not 1 <= payload[at + 1] & 0x1F <= 5:
            return NO_PICTURE
        return SLICE if payload[at + 1] & 0x40 else MIDDLE
    if kind == 24:
        # the last NAL unit of an aggregate is what it ends with
        at += 1
        while at + 2 < end:
            kind = payload[at + 2] & 0x1F
            at += 2 + (payload[at] << 8 | payload[at + 1])
    # 10 and 11 end a sequence or stream, and with it a picture
    return SLICE if 1 <= kind <= 5 or kind in (10, 11, 12) or kind > 23 else NO_PICTURE


def _h265(payload: bytearray, at: int, end: int) -> int:
    kind = payload[at] >> 1 & 0x3F
    if kind == 49:
        if end <= at + 2:
            return MIDDLE
        if payload[at + 2] & 0x3F > 31:
            return NO_PICTURE
        return SLICE if payload[at + 2] & 0x40 else MIDDLE
    if kind == 48:
        at += 2
        while at + 2 < end:
            kind = payload[at + 2] >> 1 & 0x3F
            at += 2 + (payload[at] << 8 | payload[at + 1])
    # 36 to 38 end a sequence or stream or fill up, 40 is a suffix SEI: they may come last
    return SLICE if kind <= 31 or 36 <= kind <= 38 or kind == 40 or kind > 48 else NO_PICTURE


MARKED: dict[Codec, Callable[[bytearray, int, int], int]] = {Codec.H264: _h264, Codec.H265: _h265}
"""Buffer, begin and end of a payload to NO_PICTURE, MIDDLE or SLICE."""
