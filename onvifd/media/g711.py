"""G.711 mu-law and A-law by table (ITU-T G.711)."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]


def encode_mulaw(pcm: Pcm) -> bytes:
    """One byte per sample of 16-bit linear PCM."""
    return _encoder(mulaw_table().tobytes())[pcm.view(np.uint16)].tobytes()


def encode_alaw(pcm: Pcm) -> bytes:
    """One byte per sample of 16-bit linear PCM."""
    return _encoder(alaw_table().tobytes())[pcm.view(np.uint16)].tobytes()


def decode_mulaw(data: bytes) -> Pcm:
    return mulaw_table()[np.frombuffer(data, np.uint8)]


def decode_alaw(data: bytes) -> Pcm:
    return alaw_table()[np.frombuffer(data, np.uint8)]


@cache
def mulaw_table() -> Pcm:
    """Linear value of each of the 256 mu-law codes (G.711 table 2)."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


@cache
def alaw_table() -> Pcm:
    """Linear value of each of the 256 A-law codes (G.711 table 1)."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


@cache
def _encoder(decoded: bytes) -> npt.NDArray[np.uint8]:
    """For each 16-bit sample (as uint16) the code whose value is nearest."""
    values = np.frombuffer(decoded, np.int16).astype(np.int32)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    borders = (ordered[1:] + ordered[:-1] + 1) // 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    return order[np.searchsorted(borders, samples, side="right")].astype(np.uint8)
