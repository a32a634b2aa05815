"""AAC: AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from onvifd.errors import InvalidArgument
from onvifd.media.bits import BitReader

SAMPLE_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)

_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSpecificConfig:
    """`sample_rate` is Hz of the core coder, `samples` the samples per frame and channel; object type 2 is AAC-LC."""

    object_type: int
    sample_rate: int
    channels: int
    samples: int = 1024

    @property
    def codec_string(self) -> str:
        """RFC 6381 value."""
        return f"mp4a.40.{self.object_type}"


def parse_config(config: bytes) -> AudioSpecificConfig:
    """Raises InvalidArgument on garbage."""
    return read_config(BitReader(config))


def read_config(bits: BitReader) -> AudioSpecificConfig:
    """The fields up to frameLengthFlag, which is read. Raises InvalidArgument on garbage."""
    object_type, rate, channel_code = _object_type(bits), _rate(bits), bits.u(4)
    if object_type in (5, 29):
        # explicit SBR or PS: the rate of the extension follows, then the core object type
        _rate(bits)
        object_type = _object_type(bits)
    if not 1 <= channel_code < len(_CHANNELS):
        raise InvalidArgument("AAC channel layout is not supported")
    # GASpecificConfig 4.4.1: frameLengthFlag
    short = object_type in (1, 2, 3, 4, 6, 7) and bits.left > 0 and bits.flag()
    return AudioSpecificConfig(
        object_type=object_type, sample_rate=rate, channels=_CHANNELS[channel_code], samples=960 if short else 1024
    )


def build_config(config: AudioSpecificConfig) -> bytes:
    """The shortest form. Raises InvalidArgument for what it cannot express."""
    if not 1 <= config.object_type <= 30 or config.channels not in _CHANNELS[1:]:
        raise InvalidArgument("AAC object type or channel layout is not supported")
    value, length = config.object_type, 5
    if config.sample_rate in SAMPLE_RATES:
        value, length = value << 4 | SAMPLE_RATES.index(config.sample_rate), length + 4
    elif 0 < config.sample_rate < 1 << 24:
        value, length = value << 28 | 15 << 24 | config.sample_rate, length + 28
    else:
        raise InvalidArgument("AAC sample rate is out of range")
    value = value << 4 | _CHANNELS.index(config.channels)
    value = value << 3 | (config.samples == 960) << 2
    length += 7
    padding = -length % 8
    return (value << padding).to_bytes((length + padding) // 8, "big")


def _object_type(bits: BitReader) -> int:
    value = bits.u(5)
    return 32 + bits.u(6) if value == 31 else value


def _rate(bits: BitReader) -> int:
    index = bits.u(4)
    if index == 15:
        rate = bits.u(24)
    elif index < len(SAMPLE_RATES):
        rate = SAMPLE_RATES[index]
    else:
        raise InvalidArgument("AAC sample rate index is reserved")
    if not rate:
        raise InvalidArgument("AAC sample rate is zero")
    return rate
