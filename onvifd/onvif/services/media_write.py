"""From what clients write into configurations to what the backend takes. What cannot be set raises ConfigModify."""

from __future__ import annotations

import ipaddress

from onvifd.errors import InvalidArgument
from onvifd.media.types import Codec
from onvifd.onvif.backend import AudioEncoder, EncoderSettings, MulticastSettings, VideoEncoder, VideoSource
from onvifd.onvif.services.media_configurations import (
    AUDIO_ENCODINGS,
    MEDIA_NAMES,
    VIDEO_ENCODINGS,
    h264_profile,
    kilohertz,
    media_name,
    mpeg4_name,
)
from onvifd.onvif.types import tt

MAX_NAME = 64
"""Characters of a tt:Name."""
MAX_PORT = 65_534
"""RTCP goes to the next one."""


def name(text: str) -> str:
    if len(text) > MAX_NAME:
        raise impossible(f"A name has at most {MAX_NAME} characters.")
    return text


def profile_name(text: str) -> str:
    """Raises InvalidArgVal."""
    if len(text) > MAX_NAME:
        raise InvalidArgument(f"A name has at most {MAX_NAME} characters.")
    return text


def multicast(wanted: tt.MulticastConfiguration | None) -> MulticastSettings | None:
    """None is left as it is; an unspecified address takes the group away. AutoStart is read only (tt:MulticastConfiguration)."""
    if wanted is None:
        return None
    given = wanted.address
    text = (given.ipv4_address if given.type_ is tt.IPType.IPV4 else given.ipv6_address) or ""
    if not 0 <= wanted.ttl <= 255 or not 0 <= wanted.port <= MAX_PORT:
        raise impossible("The port or the TTL is out of range.")
    if not text.strip():
        return MulticastSettings("", wanted.port, wanted.ttl)
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise impossible("The multicast address is no IP address.") from None
    if (address.version == 4) != (given.type_ is tt.IPType.IPV4):
        raise impossible("The multicast address is not of the type that it says.")
    if address.is_unspecified:
        return MulticastSettings("", wanted.port, wanted.ttl)
    if not address.is_multicast or "%" in str(address):
        raise impossible("The address is none of multicast.")
    return MulticastSettings(str(address), wanted.port, wanted.ttl)


# ---- video -----------------------------------------------------------------------------------------


def video_source(source: VideoSource, wanted: tt.VideoSourceConfiguration, *, adapt: bool) -> str:
    """The new name. With `adapt` bounds are moved to what there is (Media2 5.3.3): the whole picture."""
    if wanted.source_token != source.token:
        raise impossible("The configuration belongs to another video source.")
    whole = tt.IntRectangle(x=0, y=0, width=source.width, height=source.height)
    if not adapt and wanted.bounds != whole:
        raise impossible("The bounds are those of the whole picture.")
    rotate = wanted.extension.rotate if wanted.extension is not None else None
    if rotate is not None and (rotate.mode is not tt.RotateMode.OFF or rotate.mirror):
        raise impossible("The picture is not rotated.")
    return name(wanted.name)


def video_settings(encoder: VideoEncoder, wanted: tt.VideoEncoderConfiguration) -> EncoderSettings:
    """Of a configuration of ver10."""
    codec = next((codec for codec, known in VIDEO_ENCODINGS.items() if known is wanted.encoding), None)
    if codec is None:
        raise impossible("The encoding is not known.")
    profile, gov_length = "", None
    if codec is Codec.H264 and wanted.h264 is not None:
        gov_length = wanted.h264.gov_length
        same = encoder.codec is codec and h264_profile(encoder) is wanted.h264.h264_profile
        profile = encoder.profile if same else wanted.h264.h264_profile.value
    elif codec is Codec.MPEG4 and wanted.mpeg4 is not None:
        gov_length = wanted.mpeg4.gov_length
        same = encoder.codec is codec and mpeg4_name(encoder.profile) is wanted.mpeg4.mpeg4_profile
        profile = encoder.profile if same else wanted.mpeg4.mpeg4_profile.value
    rate = wanted.rate_control
    return EncoderSettings(
        codec=codec,
        width=wanted.resolution.width,
        height=wanted.resolution.height,
        framerate=None if rate is None else _rate(encoder, float(rate.frame_rate_limit)),
        bitrate=None if rate is None else rate.bitrate_limit,
        gov_length=gov_length,
        profile=profile,
        quality=wanted.quality,
    )


def video_settings2(encoder: VideoEncoder, wanted: tt.VideoEncoder2Configuration) -> EncoderSettings:
    """Of a configuration of Media2."""
    codec: Codec | None = encoder.codec
    if wanted.encoding.lower() != media_name(encoder).lower():
        names = {text.lower(): codec for codec, text in MEDIA_NAMES.items()}
        codec = names.get(wanted.encoding.lower())
    if codec is None:
        raise impossible("The encoding is not known.")
    rate = wanted.rate_control
    return EncoderSettings(
        codec=codec,
        width=wanted.resolution.width,
        height=wanted.resolution.height,
        framerate=None if rate is None else rate.frame_rate_limit,
        bitrate=None if rate is None else rate.bitrate_limit,
        gov_length=wanted.gov_length,
        profile=wanted.profile or "",
        quality=wanted.quality,
    )


def _rate(encoder: VideoEncoder, wanted: float) -> float:
    """Ver10 knows whole frame rates only: one that is written back as it was read changes nothing."""
    return encoder.framerate if wanted == round(encoder.framerate) else wanted


# ---- audio -----------------------------------------------------------------------------------------


def audio_source(token: str, wanted: tt.AudioSourceConfiguration) -> str:
    """The new name."""
    if wanted.source_token != token:
        raise impossible("The configuration belongs to another audio source.")
    return name(wanted.name)


def audio_encoder(encoder: AudioEncoder, wanted: tt.AudioEncoderConfiguration) -> str:
    """The new name; the sound stays as the camera sends it."""
    _same_sound(encoder, AUDIO_ENCODINGS.get(encoder.codec) is wanted.encoding, wanted.bitrate, wanted.sample_rate)
    return name(wanted.name)


def audio_encoder2(encoder: AudioEncoder, wanted: tt.AudioEncoder2Configuration) -> str:
    """As `audio_encoder`, of Media2."""
    same = wanted.encoding.lower() == media_name(encoder).lower()
    _same_sound(encoder, same, wanted.bitrate, wanted.sample_rate)
    return name(wanted.name)


def _same_sound(encoder: AudioEncoder, same: bool, bitrate: int, sample_rate: int) -> None:
    if not same or bitrate != encoder.bitrate or sample_rate != kilohertz(encoder):
        raise impossible("The sound stays as the camera sends it.")


def impossible(why: str) -> InvalidArgument:
    return InvalidArgument(why, detail="ConfigModify")
