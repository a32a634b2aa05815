"""Formats as SDP says them: `a=rtpmap`, `a=fmtp` and static payload types (RFC 6184 8.2.1, RFC 7798 7.2.1, RFC 3640 4.1,
RFC 6416 7, RFC 7587 7, RFC 3551 6).

What the recorder cannot read is described with the sender's own words, and relayed.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace

from onvifd.errors import InvalidArgument, NotSupported
from onvifd.media import aac, h264, h265, latm, mpeg4, opus, video
from onvifd.media.types import Codec, TrackFormat

STATIC_PAYLOAD_TYPES = {
    0: TrackFormat(codec=Codec.PCMU, clock_rate=8000, channels=1),
    8: TrackFormat(codec=Codec.PCMA, clock_rate=8000, channels=1),
    10: TrackFormat(codec=Codec.L16, clock_rate=44100, channels=2),
    11: TrackFormat(codec=Codec.L16, clock_rate=44100, channels=1),
    26: TrackFormat(codec=Codec.JPEG, clock_rate=90000),
} | {
    number: TrackFormat(codec=codec, clock_rate=rate, rtpmap=f"{name}/{rate}")
    for number, name, rate, codec in (
        (3, "GSM", 8000, Codec.OTHER_AUDIO),
        (4, "G723", 8000, Codec.OTHER_AUDIO),
        (9, "G722", 8000, Codec.OTHER_AUDIO),
        (14, "MPA", 90000, Codec.OTHER_AUDIO),
        (15, "G728", 8000, Codec.OTHER_AUDIO),
        (18, "G729", 8000, Codec.OTHER_AUDIO),
        (31, "H261", 90000, Codec.OTHER_VIDEO),
        (32, "MPV", 90000, Codec.OTHER_VIDEO),
        (34, "H263", 90000, Codec.OTHER_VIDEO),
    )
}

_NAMES = {
    Codec.H264: "H264",
    Codec.H265: "H265",
    Codec.MPEG4: "MP4V-ES",
    Codec.PCMU: "PCMU",
    Codec.PCMA: "PCMA",
    Codec.AAC: "MPEG4-GENERIC",
    Codec.OPUS: "opus",
    Codec.L16: "L16",
    Codec.JPEG: "JPEG",
    Codec.METADATA: "vnd.onvif.metadata",
}
_GZIP = ("vnd.onvif.metadata+gzip", "vnd.onvif.metadata.gzip")
"""Compressed documents (Streaming 5.2.2.4), the second as older cameras write it: what is in them is the same."""
_CODECS = (
    {name.lower(): codec for codec, name in _NAMES.items()}
    | {"hevc": Codec.H265, "mp4a-latm": Codec.AAC}
    | {f"g726-{bits * 8}": Codec.G726 for bits in range(2, 6)}
    | dict.fromkeys(_GZIP, Codec.METADATA)
)
_AAC_HBR = {"sizelength": "13", "indexlength": "3", "indexdeltalength": "3"}
_LATM = "MP4A-LATM"
_OTHER = {"video": Codec.OTHER_VIDEO, "audio": Codec.OTHER_AUDIO}
"""By the media name of the `m=` line."""
MAX_WORDS = 4096
"""Characters of an `a=fmtp` line that is passed on."""
_NUMBER = re.compile(r"[0-9]{1,5}")


def payload_type(track: TrackFormat, dynamic: int) -> int:
    """The static payload type of a format where it has one (RFC 3551 table 4 and 5), else `dynamic`."""
    if track.codec is Codec.JPEG:
        return 26
    if track.clock_rate == 8000 and track.channels <= 1:
        return {Codec.PCMU: 0, Codec.PCMA: 8}.get(track.codec, dynamic)
    return dynamic


def format_to_rtpmap(track: TrackFormat) -> str:
    """Encoding name, clock rate and channels: what follows the payload type in `a=rtpmap`."""
    if track.rtpmap:
        return track.rtpmap
    name = f"G726-{track.bits * 8}" if track.codec is Codec.G726 else _NAMES[track.codec]
    text = f"{name}/{track.clock_rate}"
    if track.codec is Codec.OPUS:
        return f"{text}/2"  # RFC 7587 7: whatever is in it
    if track.codec is Codec.AAC or track.channels > 1:
        text += f"/{track.channels or 1}"
    return text


def format_to_fmtp(track: TrackFormat, payload_type: int) -> str:
    """The value of `a=fmtp`, payload type included (`96 packetization-mode=1;...`); empty where the format needs none."""
    if track.rtpmap:
        parameters = track.fmtp
    elif track.codec is Codec.H264:
        parameters = _h264_parameters(track)
    elif track.codec is Codec.MPEG4:
        parameters = f"profile-level-id={mpeg4.profile_level(track.config)}"
        if track.config:
            parameters += f";config={track.config.hex().upper()}"
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


def format_from_fmtp(encoding_name: str, clock_rate: int, channels: int, fmtp: str, media: str = "") -> TrackFormat:
    """The format of a dynamic payload type.

    `fmtp` is the value of `a=fmtp` with or without the payload type in front; empty if there is no such line. Broken
    parameter sets are left out: they come in-band too. With `media` (`video` or `audio`, as in the `m=` line) what cannot be
    read is a format that is relayed unread. Raises NotSupported for what is neither, and InvalidArgument for a track without
    a usable configuration.
    """
    if not 0 < clock_rate <= 1_000_000:
        raise InvalidArgument("RTP clock rate is out of range")
    try:
        return _known_format(encoding_name, clock_rate, channels, fmtp)
    except (NotSupported, InvalidArgument):
        codec = _OTHER.get(media.lower())
        if codec is None or not _is_token(encoding_name):
            raise
    words = _own_words(encoding_name, clock_rate, channels, fmtp)
    return TrackFormat(codec=codec, clock_rate=clock_rate, channels=channels, rtpmap=words[0], fmtp=words[1])


def _known_format(encoding_name: str, clock_rate: int, channels: int, fmtp: str) -> TrackFormat:
    codec = _CODECS.get(encoding_name.lower())
    if codec is None:
        raise NotSupported(f"encoding {encoding_name[:40]!r} is not supported")
    parameters = parse_parameters(fmtp)
    track = TrackFormat(codec=codec, clock_rate=clock_rate)
    if codec is Codec.H264:
        if parameters.get("packetization-mode", "0") == "2":
            raise NotSupported("interleaved H.264 packets are not supported")  # RFC 6184 5.4
        return video.with_parameter_sets(track, _decode(parameters.get("sprop-parameter-sets", "")))
    if codec is Codec.H265:
        if parameters.get("sprop-max-don-diff", "0") != "0" or parameters.get("sprop-depack-buf-nalus", "0") != "0":
            raise NotSupported("H.265 packets with decoding order numbers are not supported")  # RFC 7798 4.4
        names = ("sprop-vps", "sprop-sps", "sprop-pps")
        sets = [unit for name in names for unit in _decode(parameters.get(name, ""))]
        return video.with_parameter_sets(track, sets)
    if codec is Codec.AAC:
        latm_named = encoding_name.upper() == _LATM
        found = (_latm_format if latm_named else _aac_format)(clock_rate, parameters)
        if found.rtpmap:
            words = _own_words(encoding_name, clock_rate, channels, fmtp)
            found = replace(found, rtpmap=words[0], fmtp=words[1])
        return found
    if codec is Codec.MPEG4:
        return mpeg4.with_config(track, _hexadecimal(parameters.get("config", ""), "MPEG-4"))
    if codec is Codec.G726:
        return replace(track, channels=max(1, channels), bits=int(encoding_name[5:]) // 8)
    if codec is Codec.OPUS:
        if clock_rate != opus.RATE:
            raise InvalidArgument("the clock of Opus is 48000 Hz")  # RFC 7587 4.1
        return replace(track, channels=2)
    sound = codec in (Codec.PCMU, Codec.PCMA, Codec.L16)
    return replace(track, channels=max(1, channels) if sound else 0)


def _own_words(encoding_name: str, clock_rate: int, channels: int, fmtp: str) -> tuple[str, str]:
    """Rtpmap and fmtp as they came, without payload type and on one line."""
    rtpmap = f"{encoding_name}/{clock_rate}" + (f"/{channels}" if channels else "")
    head, _, rest = fmtp.strip().partition(" ")
    words = rest if head.isdigit() else fmtp
    return rtpmap, " ".join(words.split())[:MAX_WORDS]


def _is_token(name: str) -> bool:
    return 0 < len(name) <= 64 and name.isascii() and name.isprintable() and not set(name) & set(' /"')


def _aac_format(clock_rate: int, parameters: dict[str, str]) -> TrackFormat:
    """AAC behind AU headers (RFC 3640). Other headers than those of AAC-hbr are marked by an `rtpmap`."""
    mode = parameters.get("mode", "AAC-hbr").lower()
    if mode not in ("aac-hbr", "aac-lbr", "generic"):
        raise NotSupported(f"mode {mode[:20]} is not supported for AAC")
    config = _hexadecimal(parameters.get("config", ""), "AAC")
    info = aac.parse_config(config)
    usual = mode == "aac-hbr" and all(parameters.get(name, value) == value for name, value in _AAC_HBR.items())
    unusual = not usual or any(parameters.get(name, "0") != "0" for name in AU_FIELDS)
    if unusual:
        au_headers(parameters)
    return TrackFormat(
        codec=Codec.AAC,
        clock_rate=clock_rate,
        config=config,
        channels=info.channels,
        rtpmap="MPEG4-GENERIC" if unusual else "",
    )


AU_FIELDS = (
    "ctsdeltalength",
    "dtsdeltalength",
    "randomaccessindication",
    "streamstateindication",
    "auxiliarydatasizelength",
    "constantsize",
)
"""What an AU header may have besides size and index (RFC 3640 3.2.1.1), and the size that stands in its place."""


def au_headers(parameters: dict[str, str]) -> dict[str, int]:
    """Lengths in bits of the fields of AU headers, and `constantsize` in bytes. Raises InvalidArgument."""
    lengths = {}
    for name in (*_AAC_HBR, *AU_FIELDS):
        text = parameters.get(name, "0")
        if not _NUMBER.fullmatch(text) or int(text) > (32 if name != "constantsize" else 0x1FFF):
            raise InvalidArgument(f"{name} of AAC is out of range")
        lengths[name] = int(text)
    if not lengths["sizelength"] and not lengths["constantsize"]:
        raise InvalidArgument("AAC without sizes")
    return lengths


def _latm_format(clock_rate: int, parameters: dict[str, str]) -> TrackFormat:
    """RFC 6416 7.3. The configuration is in the SDP, in band, or both; in band it is known with the first packets."""
    in_band = parameters.get("cpresent", "1") != "0"
    text = parameters.get("config", "")
    if not text and not in_band:
        raise InvalidArgument("LATM without configuration")
    config, channels = b"", 0
    if text:
        config = latm.parse_mux_config(_hexadecimal(text, "LATM")).config
        channels = aac.parse_config(config).channels
    return TrackFormat(codec=Codec.AAC, clock_rate=clock_rate, config=config, channels=channels, rtpmap=_LATM)


def as_latm(track: TrackFormat) -> TrackFormat:
    """An AAC format as it is described when it is sent as LATM, with its configuration in the SDP."""
    return replace(
        track,
        rtpmap=f"{_LATM}/{track.clock_rate}/{track.channels or 1}",
        fmtp=f"profile-level-id=1;object=2;cpresent=0;config={latm.build_mux_config(track.config).hex()}",
    )


def is_latm(track: TrackFormat) -> bool:
    """Whether AAC comes as LATM rather than behind AU headers."""
    return track.rtpmap.upper().startswith(_LATM)


def _hexadecimal(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise InvalidArgument(f"{what} config is not hexadecimal") from None


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
