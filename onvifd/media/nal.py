"""NAL units in their two wrappings: behind start codes (Annex B) and behind 4-byte lengths (MP4, ISO/IEC 14496-15)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from onvifd.errors import InvalidArgument

START_CODE = b"\x00\x00\x00\x01"

_START = re.compile(rb"\x00\x00\x01")


def split_annexb(data: bytes) -> list[bytes]:
    """NAL units of an Annex B stream, without start codes and trailing zero bytes. Bytes before the first are dropped."""
    marks = [match.start() for match in _START.finditer(data)]
    marks.append(len(data))
    nals = (data[begin + 3 : end].rstrip(b"\x00") for begin, end in pairwise(marks))
    return [nal for nal in nals if nal]


def join(nals: Iterable[bytes]) -> bytes:
    """NAL units behind their lengths: the `data` of an access unit."""
    parts: list[bytes] = []
    for nal in nals:
        parts += (len(nal).to_bytes(4, "big"), nal)
    return b"".join(parts)


def iterate(data: bytes) -> Iterator[bytes]:
    """NAL units of an access unit. Raises InvalidArgument where a length does not fit."""
    position, end = 0, len(data)
    while position < end:
        begin = position + 4
        position = begin + int.from_bytes(data[position:begin], "big")
        if position > end or position == begin or begin > end:
            raise InvalidArgument("length of a NAL unit does not fit")
        yield data[begin:position]


def from_annexb(data: bytes) -> bytes:
    """Annex B to length prefixed."""
    return join(split_annexb(data))


def to_annexb(data: bytes) -> bytes:
    """Length prefixed to Annex B. Raises InvalidArgument where a length does not fit."""
    return b"".join(START_CODE + nal for nal in iterate(data))
