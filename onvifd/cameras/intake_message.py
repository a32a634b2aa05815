"""RTSP messages among the media of an interleaved connection: answers to keep-alives, and requests of the camera."""

from __future__ import annotations

import re

MAX_MESSAGE = 64 << 10
"""Bytes of a message between media frames."""

_MESSAGE = re.compile(rb"RTSP/\d|[A-Z_]{3,20} (?:rtsps?://|\*|/)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*(\d{1,6})", re.IGNORECASE)


def message_end(buffer: bytearray, position: int, end: int) -> int:
    """Where the message ends that begins at `position`: there itself while it is not whole, -1 for what is none."""
    if _MESSAGE.match(buffer, position, min(end, position + 64)) is None:
        return -1
    head = _HEAD_END.search(buffer, position, end)
    if head is None:
        return position if end - position < MAX_MESSAGE else -1
    length = _CONTENT_LENGTH.search(buffer, position, head.end())
    after = head.end() + (int(length.group(1)) if length else 0)
    if after - position > MAX_MESSAGE:
        return -1
    return after if after <= end else position
