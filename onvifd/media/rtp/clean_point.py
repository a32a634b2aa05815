"""Whether a packet of video opens a clean point, told from its first bytes (RFC 6184 5, RFC 7798 4.4)."""

from __future__ import annotations

from collections.abc import Callable

from onvifd.media.types import Codec

UNDECIDED, NOT_KEY, KEY, ODD = range(4)
"""ODD: no packet of this codec begins so, or none that cameras use. `odd_verdict` tells what it is taken for nonetheless."""

# Whether a NAL unit type opens a clean point, opens a picture that is none, or leaves that open (SEI, delimiters, PPS).
_H264_KINDS = tuple(KEY if kind in (5, 7) else NOT_KEY if 1 <= kind <= 4 else UNDECIDED for kind in range(32))
_H265_KINDS = tuple(
    KEY if 16 <= kind <= 21 or kind in (32, 33) else NOT_KEY if kind <= 9 else UNDECIDED for kind in range(64)
)

# The same for the first byte of a packet. What begins most packets of H.265 is, read as H.264, a type without meaning (0) or
# one of data partitions, which cameras do not use (2 and 4).
_H264_FIRST = tuple(ODD if byte & 0x1F in (0, 2, 4) else _H264_KINDS[byte & 0x1F] for byte in range(256))
# What begins most packets of H.264 is, read as H.265, of a layer from 32 up (the lowest bit) or of a reserved type.
_H265_RESERVED = frozenset((*range(10, 16), *range(22, 32), *range(41, 48), *range(51, 64)))
_H265_FIRST = tuple(
    ODD if byte & 1 or byte >> 1 & 0x3F in _H265_RESERVED else _H265_KINDS[byte >> 1 & 0x3F] for byte in range(256)
)


def _verdict_h264(payload: bytearray, at: int, end: int) -> int:
    kind = payload[at] & 0x1F
    if kind == 28:  # FU-A: only its first fragment (RFC 6184 5.8)
        if end > at + 1 and payload[at + 1] & 0x80:
            return _H264_KINDS[payload[at + 1] & 0x1F]
        return UNDECIDED
    if kind == 24:  # STAP-A: NAL units behind their sizes (RFC 6184 5.7.1)
        at += 1
        while at + 2 < end:
            if (verdict := _H264_KINDS[payload[at + 2] & 0x1F]) != UNDECIDED:
                return verdict
            at += 2 + (payload[at] << 8 | payload[at + 1])
        return UNDECIDED
    return _H264_FIRST[payload[at]]


def _verdict_h265(payload: bytearray, at: int, end: int) -> int:
    kind = payload[at] >> 1 & 0x3F
    if kind == 49:  # FU (RFC 7798 4.4.3)
        if end > at + 2 and payload[at + 2] & 0x80:
            return _H265_KINDS[payload[at + 2] & 0x3F]
        return UNDECIDED
    if kind == 48:  # AP (RFC 7798 4.4.2)
        at += 2
        while at + 2 < end:
            if (verdict := _H265_KINDS[payload[at + 2] >> 1 & 0x3F]) != UNDECIDED:
                return verdict
            at += 2 + (payload[at] << 8 | payload[at + 1])
        return UNDECIDED
    return _H265_FIRST[payload[at]]


def _verdict_mpeg4(payload: bytearray, at: int, end: int) -> int:
    if payload[at : at + 3] != b"\0\0\1":
        # RFC 6416 5.2: headers and pictures begin a packet. Or these are parameter sets of H.264 or H.265.
        return ODD if payload[at] & 0x9F == 7 or payload[at : at + 2] == b"\x42\1" else UNDECIDED
    picture = payload.find(b"\0\0\1\xb6", at, min(end, at + _HEADERS))
    if 0 <= picture < end - 4:
        return NOT_KEY if payload[picture + 4] & 0xC0 else KEY
    # An object layer comes before an I-VOP; group headers and user data may come before any.
    return KEY if end > at + 3 and (payload[at + 3] in (0xB0, 0xB5) or payload[at + 3] < 0x30) else UNDECIDED


def _always(payload: bytearray, at: int, end: int) -> int:
    return KEY


_HEADERS = 1024


def _verdict_jpeg(payload: bytearray, at: int, end: int) -> int:
    # RFC 2435 3.1.2: every picture stands alone; it begins where the fragment offset is zero
    return NOT_KEY if any(payload[at + 1 : at + 4]) else KEY


VERDICTS: dict[Codec, Callable[[bytearray, int, int], int]] = {
    Codec.H264: _verdict_h264,
    Codec.H265: _verdict_h265,
    Codec.MPEG4: _verdict_mpeg4,
    Codec.JPEG: _verdict_jpeg,
    # Nothing is known of it.
    Codec.OTHER_VIDEO: _always,
}
"""Buffer, begin and end of a payload to UNDECIDED, NOT_KEY, KEY or ODD."""


def odd_verdict(codec: Codec, first: int) -> int:
    """What a packet that is ODD by its first byte is taken for if it is of this codec after all."""
    if codec is Codec.H264:
        return _H264_KINDS[first & 0x1F]
    # A layer that nobody sends says nothing: what follows it is looked at.
    return _H265_KINDS[first >> 1 & 0x3F] if codec is Codec.H265 and not first & 1 else UNDECIDED
