"""Media types of recorded files with their codecs (RFC 6381). Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable

from onvifd.media import mpeg4
from onvifd.media.types import Codec, Kind, TrackFormat

_PLAIN = {Codec.PCMU: "ulaw", Codec.PCMA: "alaw", Codec.JPEG: "jpeg", Codec.OPUS: "opus", Codec.METADATA: "metx"}
"""Sample entries that take no further words."""


def mp4_type(formats: Iterable[TrackFormat]) -> str:
    """The media type of an MP4 file with these tracks."""
    tracks = tuple(formats)
    family = "video" if any(each.kind is Kind.VIDEO for each in tracks) else "audio"
    codecs = ",".join(dict.fromkeys(codec_name(each) for each in tracks))
    return f'{family}/mp4; codecs="{codecs}"' if codecs else f"{family}/mp4"


def codec_name(track: TrackFormat) -> str:
    """RFC 6381 3.3; ISO/IEC 14496-15 E.3 for H.265."""
    match track.codec:
        case Codec.H264:
            sps = next((nal for nal in track.parameter_sets if nal[0] & 0x1F == 7), b"")
            return f"avc1.{sps[1:4].hex().upper()}" if len(sps) > 3 else "avc1"
        case Codec.H265:
            sps = next((nal for nal in track.parameter_sets if (nal[0] >> 1) & 0x3F == 33), b"")
            return _hevc(sps)
        case Codec.AAC:
            return f"mp4a.40.{track.config[0] >> 3}" if track.config else "mp4a.40.2"
        case Codec.MPEG4:
            return f"mp4v.20.{mpeg4.profile_level(track.config)}"
        case _:
            return _PLAIN[track.codec]


def _hevc(sps: bytes) -> str:
    """From general_profile_tier_level, which starts at the fourth byte of the SPS (H.265 7.3.3)."""
    if len(sps) < 15:
        return "hvc1"
    level = sps[3:15]
    space = ("", "A", "B", "C")[level[0] >> 6]
    # Compatibility flags are written with the first flag as the lowest bit.
    flags = int(f"{int.from_bytes(level[1:5]):032b}"[::-1], 2)
    tier = "H" if level[0] & 0x20 else "L"
    constraints = [f"{byte:X}" for byte in level[5:11]]
    while constraints and constraints[-1] == "0":
        constraints.pop()
    return ".".join(("hvc1", f"{space}{level[0] & 0x1F}", f"{flags:X}", f"{tier}{level[11]}", *constraints))
