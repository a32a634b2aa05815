"""Formats as SDP says them: `a=rtpmap`, `a=fmtp` and static payload types (RFC 6184 8.2.1, RFC 7798 7.2.1, RFC 3640 4.1, RFC 3551 6)."""

from __future__ import annotations

import base64
import binascii

from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import aac, h264, h265, video
from onvifd.media.types import Codec, TrackFormat

STATIC_PAYLOAD_TYPES = {
    0: TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1),
    8: TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1),
    26: TrackFormat(codec=Codec.JPEG, clock_rate=90000),
}

_NAMES = {
    Codec.H264: "H264",
    Codec.H265: "H265",
    Codec.PCMU: "PCMU",
    Codec.PCMA: "PCMA",
    Codec.AAC: "MPEG4-GENERIC",
    Codec.JPEG: "JPEG",
    Codec.METADATA: "vnd.onvif.metadata",
}
_GZIP = ("vnd.onvif.metadata+gzip", "vnd.onvif.metadata.gzip")
"""Compressed documents (Streaming 5.2.2.4), the second as older cameras write it: what is in them is the same."""
_CODECS = (
    {name.lower(): codec for codec, name in _NAMES.items()}
    | {"hevc": Codec.H265}
    | dict.fromkeys(_GZIP, Codec.METADATA)
)
_AAC_HBR = {"sizelength": "13", "indexlength": "3", "indexdeltalength": "3"}


def payload_type(track: TrackFormat, dynamic: int) -> int:
    """The static payload type of a format where it has one (RFC 3551 table 4 and 5), else `dynamic`."""
    if track.codec is Codec.JPEG:
        return 26
    if track.clock_rate == 8000 and track.channels <= 1:
        return {Codec.PCMU: 0, Codec.PCMA: 8}.get(track.codec, dynamic)
    return dynamic


def format_to_rtpmap(track: TrackFormat) -> str:
    """Encoding name, clock rate and channels: what follows the payload type in `a=rtpmap`."""
    text = f"{_NAMES[track.codec]}/{track.clock_rate}"
    if track.codec is Codec.AAC or track.channels > 1:
        text += f"/{track.channels or 1}"
    return text


def format_to_fmtp(track: TrackFormat, payload_type: int) -> str:
    """The value of `a=fmtp`, payload type included (`96 packetization-mode=1;...`); empty where the format needs none."""
    if track.codec is Codec.H264:
        parameters = _h264_parameters(track)
    elif track.codec is Codec.H265:
        parameters = _h265_parameters(track)
    elif track.codec is Codec.AAC:
        parameters = f"streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config={track.config.hex()}"
    else:
        parameters = ""
    return f"{payload_type} {parameters}" if parameters else ""


def _h264_parameters(track: TrackFormat) -> str:
    parts = ["packetization-mode=1"]
    sps = [unit for unit in track.parameter_sets if h264.nal_type(unit) == h264.NAL_SPS]
    if sps and len(sps[0]) >= 4:
        parts.append(f"profile-level-id={h264.profile_level_id(sps[0]).upper()}")
    if track.parameter_sets:
        parts.append("sprop-parameter-sets=" + _encode(track.parameter_sets))
    return ";".join(parts)


def _h265_parameters(track: TrackFormat) -> str:
    parts = []
    for name, kind in (("sprop-vps", h265.NAL_VPS), ("sprop-sps", h265.NAL_SPS), ("sprop-pps", h265.NAL_PPS)):
        units = tuple(unit for unit in track.parameter_sets if h265.nal_type(unit) == kind)
        if units:
            parts.append(f"{name}={_encode(units)}")
    return ";".join(parts)


def _encode(units: tuple[bytes, ...]) -> str:
    return ",".join(base64.b64encode(unit).decode("ascii") for unit in units)


def format_from_fmtp(encoding_name: str, clock_rate: int, channels: int, fmtp: str) -> TrackFormat:
    """The format of a dynamic payload type.

    `fmtp` is the value of `a=fmtp` with or without the payload type in front; empty if there is no such line. Broken
    parameter sets are left out: they come in-band too. Raises NotSupported for encodings we do not carry and
    InvalidArgument for an AAC track without a usable configuration.
    """
    codec = _CODECS.get(encoding_name.lower())
    if codec is None:
        raise NotSupported(f"encoding {encoding_name[:40]!r} is not supported")
    if not 0 < clock_rate <= 1_000_000:
        raise InvalidArgument("RTP clock rate is out of range")
    parameters = parse_parameters(fmtp)
    if codec is Codec.H264:
        sets = _decode(parameters.get("sprop-parameter-sets", ""))
        return video.with_parameter_sets(TrackFormat(codec=codec, clock_rate=clock_rate), sets)
    if codec is Codec.H265:
        names = ("sprop-vps", "sprop-sps", "sprop-pps")
        sets = [unit for name in names for unit in _decode(parameters.get(name, ""))]
        return video.with_parameter_sets(TrackFormat(codec=codec, clock_rate=clock_rate), sets)
    if codec is Codec.AAC:
        return _aac_format(clock_rate, parameters)
    kind_channels = max(1, channels) if codec in (Codec.PCMU, Codec.PCMA) else 0
    return TrackFormat(codec=codec, clock_rate=clock_rate, channels=kind_channels)


def _aac_format(clock_rate: int, parameters: dict[str, str]) -> TrackFormat:
    # RFC 3640 3.3.6: AAC-hbr fixes the AU header; other modes have other headers
    if parameters.get("mode", "AAC-hbr").lower() != "aac-hbr":
        raise NotSupported("only mode AAC-hbr is supported for AAC")
    if any(parameters.get(name, value) != value for name, value in _AAC_HBR.items()):
        raise NotSupported("unusual AU header of AAC")
    try:
        config = bytes.fromhex(parameters.get("config", ""))
    except ValueError:
        raise InvalidArgument("AAC config is not hexadecimal") from None
    info = aac.parse_config(config)
    return TrackFormat(codec=Codec.AAC, clock_rate=clock_rate, config=config, channels=info.channels)


def parse_parameters(fmtp: str) -> dict[str, str]:
    """Names (lower case) and values of an `a=fmtp` value; values stay as they are but for quotes and spaces around."""
    head, _, rest = fmtp.strip().partition(" ")
    text = rest if head.isdigit() else fmtp
    found: dict[str, str] = {}
    for item in text.split(";"):
        name, mark, value = item.partition("=")
        if mark:
            found[name.strip().lower()] = value.strip().strip('"')
    return found


def _decode(text: str) -> list[bytes]:
    units = []
    for item in text.split(","):
        try:
            # cameras leave out the padding
            unit = base64.b64decode(item + "=" * (-len(item) % 4))
        except (binascii.Error, ValueError):
            continue
        if unit:
            units.append(unit)
    return units
