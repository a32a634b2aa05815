"""The media model in the types of the schema: sources, configurations and profiles of both media services."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from onvifd.media.types import Codec
from onvifd.onvif.backend import (
    AudioEncoder,
    AudioSource,
    EncoderChoice,
    MulticastSettings,
    VideoEncoder,
    VideoSource,
)
from onvifd.onvif.services.media_view import MediaView
from onvifd.onvif.types import tt

RTSP_TIMEOUT: Final = timedelta(seconds=60)
"""SessionTimeout of ver10 encoder configurations: the RTSP server's default."""

NO_MULTICAST: Final = tt.MulticastConfiguration(
    address=tt.IPAddress(type_=tt.IPType.IPV4, ipv4_address="0.0.0.0"), port=0, ttl=0, auto_start=False
)
"""Ver10 cannot leave the multicast address out; an unspecified one says that none is configured."""

VIDEO_ENCODINGS: Final = {
    Codec.H264: tt.VideoEncoding.H264,
    Codec.JPEG: tt.VideoEncoding.JPEG,
    Codec.MPEG4: tt.VideoEncoding.MPEG4,
}
"""What ver10 has a name for; H.265 streams appear in ver10 as profiles without encoder details."""
AUDIO_ENCODINGS: Final = {
    Codec.PCMU: tt.AudioEncoding.G711,
    Codec.PCMA: tt.AudioEncoding.G711,
    Codec.AAC: tt.AudioEncoding.AAC,
    Codec.G726: tt.AudioEncoding.G726,
}
MEDIA_NAMES: Final = {
    Codec.H264: "H264",
    Codec.H265: "H265",
    Codec.JPEG: "JPEG",
    Codec.PCMU: "PCMU",
    Codec.PCMA: "PCMA",
    Codec.AAC: "MP4A-LATM",
    Codec.MPEG4: "MPV4-ES",
    Codec.G726: "G726",
    Codec.OPUS: "opus",
    Codec.L16: "L16",
}
"""Encoding names of Media2: IANA media subtypes; AAC is `MP4A-LATM` whatever its RTP format (tt:AudioEncodingMimeNames)."""


def multicast(settings: MulticastSettings | None) -> tt.MulticastConfiguration:
    """Where a configuration goes by multicast."""
    if settings is None:
        return NO_MULTICAST
    six = ":" in settings.address
    return tt.MulticastConfiguration(
        address=tt.IPAddress(
            type_=tt.IPType.IPV6 if six else tt.IPType.IPV4,
            ipv4_address=None if six else settings.address or "0.0.0.0",
            ipv6_address=settings.address if six else None,
        ),
        port=settings.port,
        ttl=settings.ttl,
        auto_start=settings.auto_start,
    )


def in_ver10(encoder: VideoEncoder | AudioEncoder) -> bool:
    return encoder.codec in VIDEO_ENCODINGS or encoder.codec in AUDIO_ENCODINGS


def media_name(encoder: VideoEncoder | AudioEncoder | EncoderChoice) -> str:
    """Encoding name in Media2."""
    return encoder.encoding or MEDIA_NAMES.get(encoder.codec, encoder.codec.value)


# ---- sources and their configurations


def video_source(source: VideoSource) -> tt.VideoSource:
    return tt.VideoSource(
        token=source.token,
        framerate=source.framerate,
        resolution=tt.VideoResolution(width=source.width, height=source.height),
    )


def audio_source(source: AudioSource) -> tt.AudioSource:
    return tt.AudioSource(token=source.token, channels=source.channels)


def video_source_configuration(view: MediaView, source: VideoSource) -> tt.VideoSourceConfiguration:
    return tt.VideoSourceConfiguration(
        token=source.config_token,
        name=source.name,
        use_count=view.uses_of_video_source(source),
        source_token=source.token,
        bounds=tt.IntRectangle(x=0, y=0, width=source.width, height=source.height),
    )


def audio_source_configuration(view: MediaView, source: AudioSource) -> tt.AudioSourceConfiguration:
    return tt.AudioSourceConfiguration(
        token=source.config_token,
        name=source.name,
        use_count=view.uses_of_audio_source(source),
        source_token=source.token,
    )


# ---- encoders, ver10


def video_encoder(view: MediaView, encoder: VideoEncoder) -> tt.VideoEncoderConfiguration:
    """An encoder that ver10 has a name for (`in_ver10`)."""
    h264 = encoder.codec is Codec.H264
    return tt.VideoEncoderConfiguration(
        token=encoder.token,
        name=encoder.name,
        use_count=view.uses_of_video_encoder(encoder),
        encoding=VIDEO_ENCODINGS[encoder.codec],
        resolution=tt.VideoResolution(width=encoder.width, height=encoder.height),
        quality=encoder.quality,
        rate_control=tt.VideoRateControl(
            frame_rate_limit=round(encoder.framerate), encoding_interval=1, bitrate_limit=encoder.bitrate
        ),
        mpeg4=tt.Mpeg4Configuration(gov_length=encoder.gov_length, mpeg4_profile=mpeg4_name(encoder.profile))
        if encoder.codec is Codec.MPEG4
        else None,
        h264=tt.H264Configuration(gov_length=encoder.gov_length, h264_profile=h264_profile(encoder)) if h264 else None,
        multicast=multicast(encoder.multicast),
        session_timeout=RTSP_TIMEOUT,
    )


def h264_profile(encoder: VideoEncoder) -> tt.H264Profile:
    return h264_name(encoder.profile)


def h264_name(profile: str) -> tt.H264Profile:
    """The one of the four names of ver10 that the profile's name contains: `Constrained Baseline`, `High 10`."""
    return next((known for known in tt.H264Profile if known in profile), tt.H264Profile.MAIN)


def mpeg4_name(profile: str) -> tt.Mpeg4Profile:
    """Simple profile, unless the name says advanced."""
    return (
        tt.Mpeg4Profile.ASP if profile.lower() in ("asp", "advancedsimple", "advanced simple") else tt.Mpeg4Profile.SP
    )


def audio_encoder(view: MediaView, encoder: AudioEncoder) -> tt.AudioEncoderConfiguration:
    return tt.AudioEncoderConfiguration(
        token=encoder.token,
        name=encoder.name,
        use_count=view.uses_of_audio_encoder(encoder),
        encoding=AUDIO_ENCODINGS[encoder.codec],
        bitrate=encoder.bitrate,
        sample_rate=kilohertz(encoder),
        multicast=multicast(encoder.multicast),
        session_timeout=RTSP_TIMEOUT,
    )


def kilohertz(encoder: AudioEncoder) -> int:
    """Both services give the sample rate in kHz (tt:AudioEncoderConfiguration)."""
    return encoder.sample_rate // 1000


# ---- encoders, Media2


def video_encoder2(view: MediaView, encoder: VideoEncoder) -> tt.VideoEncoder2Configuration:
    jpeg = encoder.codec is Codec.JPEG
    return tt.VideoEncoder2Configuration(
        token=encoder.token,
        name=encoder.name,
        use_count=view.uses_of_video_encoder(encoder),
        gov_length=None if jpeg else encoder.gov_length,
        profile=None if jpeg else encoder.profile,
        encoding=media_name(encoder),
        resolution=tt.VideoResolution2(width=encoder.width, height=encoder.height),
        rate_control=tt.VideoRateControl2(frame_rate_limit=encoder.framerate, bitrate_limit=encoder.bitrate),
        multicast=None if encoder.multicast is None else multicast(encoder.multicast),
        quality=encoder.quality,
    )


def audio_encoder2(view: MediaView, encoder: AudioEncoder) -> tt.AudioEncoder2Configuration:
    return tt.AudioEncoder2Configuration(
        token=encoder.token,
        name=encoder.name,
        use_count=view.uses_of_audio_encoder(encoder),
        encoding=media_name(encoder),
        multicast=None if encoder.multicast is None else multicast(encoder.multicast),
        bitrate=encoder.bitrate,
        sample_rate=kilohertz(encoder),
    )
