"""AAC in LATM (ISO/IEC 14496-3 1.7.3): StreamMuxConfig and AudioMuxElement of one program with one layer."""

from __future__ import annotations

from dataclasses import dataclass

from onvifd.errors import InvalidArgument
from onvifd.media import aac
from onvifd.media.bits import BitReader

_GENERAL_AUDIO = (1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23)
_SCALABLE = (6, 20)
_WITH_EXTENSION_FLAGS = (17, 19, 20, 23)
_LC = 2
_MAX_PAYLOADS = 64
_MAX_CONFIG = 256
_MAX_FRAME = 16 << 10
"""Bytes of a frame: more than any of eight channels has (ISO/IEC 14496-3 4.5.3.1: 6144 bits each)."""
_MAX_ESCAPES = 4
_VARIABLE, _FIXED = 0, 1


@dataclass(frozen=True, slots=True)
class StreamMux:
    """`config` is the AudioSpecificConfig, from the first byte on. `frame_length` is bytes of each frame where it is fixed, else
    0. `payloads` is frames in an element. `other` is bits behind them, -1 for none."""

    config: bytes
    payloads: int = 1
    frame_length: int = 0
    other: int = -1


def parse_mux_config(data: bytes) -> StreamMux:
    """A StreamMuxConfig as SDP carries it (RFC 6416 7.3). Raises InvalidArgument for garbage and for what is not supported.

    Senders are known that cut it short behind the frame length type: what is missing counts as zeros.
    """
    return _mux_config(_Bits(data + bytes(4)))


def build_mux_config(config: bytes) -> bytes:
    """A StreamMuxConfig of one frame with length in each element. `config` must need no more bits than `aac.build_config` makes
    meaningful. Raises InvalidArgument."""
    length = _config_bits(config)
    value = int.from_bytes(config, "big") >> (len(config) * 8 - length)
    # audioMuxVersion 0, allStreamsSameTimeFraming 1, numSubFrames 0, numProgram 0, numLayer 0
    bits = 1 << 13
    total = 15 + length
    bits = bits << length | value
    # frameLengthType 0, latmBufferFullness 0xFF (variable rate), no other data, no CRC
    bits = bits << 13 | 0xFF << 2
    total += 13
    padding = -total % 8
    return (bits << padding).to_bytes((total + padding) // 8, "big")


def build_element(frame: bytes) -> bytes:
    """An AudioMuxElement without configuration (muxConfigPresent 0)."""
    whole, rest = divmod(len(frame), 255)
    return b"\xff" * whole + bytes((rest,)) + frame


def parse_element(data: bytes, mux: StreamMux | None, in_band: bool) -> tuple[StreamMux, list[bytes]]:
    """The frames of an AudioMuxElement, and the configuration that holds. Raises InvalidArgument.

    `in_band` is muxConfigPresent: then the element may bring another configuration.
    """
    bits = _Bits(data)
    if in_band and not bits.u(1):
        mux = _mux_config(bits)
    if mux is None:
        raise InvalidArgument("LATM without configuration")
    frames = []
    for _ in range(mux.payloads):
        length = mux.frame_length
        if not length:
            step = 255
            while step == 255:
                step = bits.u(8)
                length += step
                if length > _MAX_FRAME:
                    raise InvalidArgument("LATM frame is too long")
        frames.append(bits.take(length))
    if not all(frames):
        raise InvalidArgument("LATM frame is empty")
    return mux, frames


class _Bits(BitReader):
    """Elements are longer than parameter sets may be."""

    def __init__(self, data: bytes) -> None:
        super().__init__(b"")
        self._value = int.from_bytes(data, "big")
        self._left = self.total = len(data) * 8

    def take(self, count: int) -> bytes:
        return self.u(8 * count).to_bytes(count, "big")

    def peek(self, count: int) -> int:
        """The next bits, which stay; 0 if there are not so many."""
        return self._value >> (self._left - count) & ((1 << count) - 1) if self._left >= count else 0

    def since(self, begin: int) -> bytes:
        """What was read since `begin` bits were left, padded at its end."""
        count = begin - self._left
        padding = -count % 8
        value = self._value >> self._left & ((1 << count) - 1)
        return (value << padding).to_bytes((count + padding) // 8, "big")


def _mux_config(bits: _Bits) -> StreamMux:
    version = bits.u(1)
    if version and bits.u(1):
        raise InvalidArgument("audioMuxVersionA is reserved")
    if version:
        _value(bits)  # taraBufferFullness
    same_framing = bits.flag()
    payloads = bits.u(6) + 1
    if not same_framing or bits.u(4) or bits.u(3):
        raise InvalidArgument("LATM with several programs or layers is not supported")
    length = _value(bits) if version else 0
    begin = bits.left
    object_type = _specific_config(bits)
    config = bits.since(begin)
    _step_over_extension(bits)
    if version:
        bits.skip(max(0, length - (begin - bits.left)))
        if length > 8 * _MAX_CONFIG:
            raise InvalidArgument("AAC configuration is too long")
    kind = bits.u(3)
    frame_length = 0
    if kind == _VARIABLE:
        bits.skip(8)
    elif kind == _FIXED:
        frame_length = bits.u(9) + 20
    if kind not in (_VARIABLE, _FIXED) or object_type in _SCALABLE or payloads > _MAX_PAYLOADS:
        raise InvalidArgument("LATM frame lengths of this kind are not supported")
    other = -1
    if bits.flag():
        other = _value(bits) if version else _escaped(bits)
    if bits.flag():
        bits.skip(8)
    return StreamMux(config, payloads, frame_length, other)


def _value(bits: BitReader) -> int:
    """LatmGetValue."""
    return bits.u(8 * (bits.u(2) + 1))


def _escaped(bits: BitReader) -> int:
    length = 0
    for _ in range(_MAX_ESCAPES):
        more = bits.flag()
        length = (length << 8) + bits.u(8)
        if not more:
            return length
    raise InvalidArgument("LATM has too much of other data")


def _specific_config(bits: BitReader) -> int:
    """Read an AudioSpecificConfig to its last bit; gives the object type. Within LATM of version 0 nothing says its length."""
    found = aac.read_config(bits)
    kind = found.object_type
    if kind not in _GENERAL_AUDIO:
        raise InvalidArgument("this kind of audio is not supported in LATM")
    if kind not in (1, 2, 3, 4, 6, 7):
        bits.skip(1)  # frameLengthFlag, which `read_config` leaves for these
    if bits.flag():
        bits.skip(14)
    extended = bits.flag()
    if kind in _SCALABLE:
        bits.skip(3)
    if extended:
        if kind == 22:
            bits.skip(16)
        if kind in _WITH_EXTENSION_FLAGS:
            bits.skip(3)
        bits.skip(1)
    return kind


_SBR_SYNC, _PS_SYNC = 0x2B7, 0x548
_SBR = 5


def _step_over_extension(bits: _Bits) -> None:
    """The backward compatible signalling of SBR and PS (1.6.5.3), which decoders find out by themselves.

    What follows otherwise is a frame length type, of which the one that these begin with is reserved.
    """
    if bits.peek(11) != _SBR_SYNC:
        return
    bits.skip(11)
    if bits.u(5) == _SBR and bits.flag():
        if bits.u(4) == 15:
            bits.skip(24)
        if bits.peek(11) == _PS_SYNC:
            bits.skip(12)


def _config_bits(config: bytes) -> int:
    bits = BitReader(config)
    total = bits.left
    _specific_config(bits)
    return total - bits.left
