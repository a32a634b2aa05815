"""MPEG-4 part 2 video (ISO/IEC 14496-2): start codes, picture types and the object layer's picture size."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from onvifd.errors import InvalidArgument
from onvifd.media.bits import BitReader
from onvifd.media.types import TrackFormat

PREFIX = b"\0\0\1"
VOP = 0xB6
_VOP_CODE = PREFIX + bytes((VOP,))
_GROUP_CODE = PREFIX + b"\xb3"
_SEQUENCE = 0xB0
_LAYERS = range(0x20, 0x30)
MAX_CONFIG = 1024
"""Bytes of headers before the first picture; real ones stay below 100."""

_EXTENDED_ASPECT = 15
_RECTANGULAR, _GREYSCALE = 0, 3


class Layer(NamedTuple):
    """Picture size of a video object layer."""

    width: int
    height: int


def headers(data: bytes) -> bytes:
    """What stands before the first picture of an access unit; empty for one without object layer."""
    # A group header says the time, which is no part of what a decoder must know.
    ends = [end for end in (data.find(_VOP_CODE), data.find(_GROUP_CODE)) if end >= 0]
    head = data[: min(ends)] if ends else data
    return head if len(head) <= MAX_CONFIG and _find_layer(head) >= 0 else b""


def is_intra(data: bytes | memoryview) -> bool:
    """Whether the first picture of an access unit is an I-VOP (6.2.5: vop_coding_type 0)."""
    at = bytes(data[: MAX_CONFIG * 2]).find(_VOP_CODE)
    return at >= 0 and at + 4 < len(data) and not data[at + 4] & 0xC0


def profile_level(config: bytes) -> int:
    """profile_and_level_indication (6.2.2); 1, Simple Profile level 1, where the headers do not say it (RFC 6416 7.1)."""
    at = config.find(PREFIX + bytes((_SEQUENCE,)))
    return config[at + 4] if 0 <= at < len(config) - 4 else 1


def is_advanced_simple(config: bytes) -> bool:
    """Whether the headers say Advanced Simple Profile (Annex G: 1111 and the level)."""
    return profile_level(config) & 0xF0 == 0xF0


def with_config(track: TrackFormat, config: bytes) -> TrackFormat:
    """`track` with other headers and the picture size that they state (the size stays where they cannot be read)."""
    try:
        layer = parse_layer(config)
    except InvalidArgument:
        return replace(track, config=config)
    return replace(track, config=config, width=layer.width, height=layer.height)


def _find_layer(config: bytes) -> int:
    at = config.find(PREFIX)
    while 0 <= at < len(config) - 3:
        if config[at + 3] in _LAYERS:
            return at + 4
        at = config.find(PREFIX, at + 3)
    return -1


def parse_layer(config: bytes) -> Layer:
    """VideoObjectLayer (6.2.3). Raises InvalidArgument without one, on garbage, and for shapes that are no rectangle."""
    at = _find_layer(config[:MAX_CONFIG])
    if at < 0:
        raise InvalidArgument("there is no video object layer")
    bits = BitReader(config[at:MAX_CONFIG])
    bits.skip(9)  # random_accessible_vol, video_object_type_indication
    version = 1
    if bits.flag():
        version = bits.u(4)
        bits.skip(3)
    if bits.u(4) == _EXTENDED_ASPECT:
        bits.skip(16)
    if bits.flag():
        bits.skip(3)
        if bits.flag():
            bits.skip(79)
    shape = bits.u(2)
    if shape == _GREYSCALE and version != 1:
        bits.skip(4)
    bits.skip(1)
    resolution = bits.u(16)
    bits.skip(1)
    if bits.flag():
        # as many bits as vop_time_increment_resolution - 1 needs
        bits.skip(max(1, (resolution - 1).bit_length()))
    if shape != _RECTANGULAR:
        raise InvalidArgument("the video object is no rectangle")
    bits.skip(1)
    width = bits.u(13)
    bits.skip(1)
    return Layer(width, bits.u(13))
