"""Opus packets (RFC 6716 3.1) and their configuration in MP4 (Encapsulation of Opus in ISOBMFF 4.3.2)."""

from __future__ import annotations

import struct

RATE = 48_000
"""The RTP clock, whatever the sampling rate (RFC 7587 4.1)."""
MAX_SAMPLES = 5760
"""Of a packet: 120 ms."""
PRE_SKIP = 312
"""Samples that the decoder has to settle; a stream that is joined in the middle does not say them (libopus' own value)."""

_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)


def samples(packet: bytes | memoryview) -> int:
    """Samples per channel at 48 kHz in a packet; 0 for what is no packet."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        size = _SILK[config & 3]
    elif config < 16:
        size = _HYBRID[config & 1]
    else:
        size = _CELT[config & 3]
    if code < 3:
        count = 1 if code == 0 else 2
    elif len(packet) > 1:
        count = packet[1] & 0x3F
    else:
        return 0
    return size * count if size * count <= MAX_SAMPLES else 0


def specific_box(channels: int) -> bytes:
    """Body of `dOps`: version, channels, pre-skip, input rate, gain, mapping family 0."""
    return struct.pack(">BBHIhB", 0, channels, PRE_SKIP, RATE, 0, 0)
