"""Bits of a raw byte sequence payload: exp-Golomb codes and emulation prevention (H.264 7.3.1 and 9.1, H.265 7.3.1 and 9.2)."""

from __future__ import annotations

import re

from onvifd.errors import InvalidArgument

MAX_PARAMETER_SET = 4096
"""Bytes beyond which a parameter set is taken for garbage; real ones stay below 300."""

_TO_ESCAPE = re.compile(rb"\x00\x00(?=[\x00-\x03])")


def unescape(nal: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes."""
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")


def escape(rbsp: bytes) -> bytes:
    """A raw NAL unit with emulation prevention bytes, so that no start code can occur in it."""
    return _TO_ESCAPE.sub(b"\x00\x00\x03", rbsp)


class BitReader:
    """Reads big-endian bits. Reading past the end or an over-long code raises InvalidArgument."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_PARAMETER_SET:
            raise InvalidArgument("parameter set is too long")
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    @property
    def left(self) -> int:
        """Bits not yet read."""
        return self._left

    def u(self, bits: int) -> int:
        """Unsigned integer of `bits` bits."""
        left = self._left - bits
        if left < 0:
            raise InvalidArgument("bit stream ends early")
        self._left = left
        return (self._value >> left) & ((1 << bits) - 1)

    def flag(self) -> bool:
        return self.u(1) == 1

    def skip(self, bits: int) -> None:
        if bits > self._left:
            raise InvalidArgument("bit stream ends early")
        self._left -= bits

    def ue(self, limit: int = 0xFFFFFFFE) -> int:
        """Unsigned exp-Golomb code of at most `limit`."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise InvalidArgument("exp-Golomb code is too long")
        value = (1 << zeros) - 1 + self.u(zeros)
        if value > limit:
            raise InvalidArgument(f"value {value} in a parameter set is above {limit}")
        return value

    def se(self) -> int:
        """Signed exp-Golomb code."""
        code = self.ue()
        return (code + 1) >> 1 if code & 1 else -(code >> 1)
