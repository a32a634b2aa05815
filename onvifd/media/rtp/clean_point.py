"""Whether a packet of video opens a clean point, told from its first bytes (RFC 6184 5, RFC 7798 4.4)."""

from __future__ import annotations

from collections.abc import Callable

from onvifd.media.types import Codec

UNDECIDED, NOT_KEY, KEY = range(3)

# Whether a NAL unit type opens a clean point, opens a picture that is none, or leaves that open (SEI, delimiters, PPS).
_H264_KINDS = tuple(KEY if kind in (5, 7) else NOT_KEY if 1 <= kind <= 4 else UNDECIDED for kind in range(32))
_H265_KINDS = tuple(
    KEY if 16 <= kind <= 21 or kind in (32, 33) else NOT_KEY if kind <= 9 else UNDECIDED for kind in range(64)
)


def _verdict_h264(payload: bytearray, at: int, end: int) -> int:
    kind = payload[at] & 0x1F
    if kind == 28:  # FU-A: only its first fragment (RFC 6184 5.8)
        if end > at + 1 and payload[at + 1] & 0x80:
            return _H264_KINDS[payload[at + 1] & 0x1F]
        return UNDECIDED
    if kind == 24:  # STAP-A: the first NAL unit behind its size (RFC 6184 5.7.1)
        return _H264_KINDS[payload[at + 3] & 0x1F] if end > at + 3 else UNDECIDED
    return _H264_KINDS[kind]


def _verdict_h265(payload: bytearray, at: int, end: int) -> int:
    kind = payload[at] >> 1 & 0x3F
    if kind == 49:  # FU (RFC 7798 4.4.3)
        if end > at + 2 and payload[at + 2] & 0x80:
            return _H265_KINDS[payload[at + 2] & 0x3F]
        return UNDECIDED
    if kind == 48:  # AP (RFC 7798 4.4.2)
        return _H265_KINDS[payload[at + 4] >> 1 & 0x3F] if end > at + 4 else UNDECIDED
    return _H265_KINDS[kind]


def _verdict_mpeg4(payload: bytearray, at: int, end: int) -> int:
    if payload[at : at + 3] != b"\0\0\1":
        return UNDECIDED  # RFC 6416 5.2: headers and pictures begin a packet
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
"""Buffer, begin and end of a payload to UNDECIDED, NOT_KEY or KEY."""
