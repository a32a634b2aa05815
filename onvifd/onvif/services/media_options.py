"""Options of the configurations: what a client may choose.

Streams are delivered as the camera sends them and no operation changes them, so the options of a configuration are exactly
its present values; the options of several together span what these have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from onvifd.errors import NotSupported
from onvifd.media.types import Codec
from onvifd.onvif.backend import AudioEncoder, AudioSource, VideoEncoder, VideoSource
from onvifd.onvif.services.media_configurations import AUDIO_ENCODINGS, h264_profile, in_ver10, kilohertz, media_name
from onvifd.onvif.types import tt

Source = TypeVar("Source")
Value = TypeVar("Value")


def video_source_options(sources: Sequence[VideoSource], profiles: int) -> tt.VideoSourceConfigurationOptions:
    """`profiles` is the number of profiles in which the source configuration is used."""
    zero = tt.IntRange(min_=0, max_=0)
    return tt.VideoSourceConfigurationOptions(
        maximum_number_of_profiles=profiles,
        bounds_range=tt.IntRectangleRange(
            x_range=zero,
            y_range=zero,
            width_range=_ints([source.width for source in sources]),
            height_range=_ints([source.height for source in sources]),
        ),
        video_source_tokens_available=tuple(source.token for source in sources),
    )


def audio_source_options(sources: Sequence[AudioSource]) -> tt.AudioSourceConfigurationOptions:
    if not sources:
        raise NotSupported("There is no audio source.", detail="AudioNotSupported")
    return tt.AudioSourceConfigurationOptions(input_tokens_available=tuple(source.token for source in sources))


# ---- ver10


def video_encoder_options(encoders: Sequence[VideoEncoder]) -> tt.VideoEncoderConfigurationOptions:
    qualities = [encoder.quality for encoder in encoders] or [0.0]
    h264 = [encoder for encoder in encoders if encoder.codec is Codec.H264]
    jpeg = [encoder for encoder in encoders if encoder.codec is Codec.JPEG]
    return tt.VideoEncoderConfigurationOptions(
        quality_range=tt.IntRange(min_=math.floor(min(qualities)), max_=math.ceil(max(qualities))),
        jpeg=_jpeg(jpeg) if jpeg else None,
        h264=_h264(h264) if h264 else None,
        extension=tt.VideoEncoderOptionsExtension(
            jpeg=_jpeg2(jpeg) if jpeg else None, h264=_h2642(h264) if h264 else None
        )
        if h264 or jpeg
        else None,
    )


def _h264(encoders: Sequence[VideoEncoder]) -> tt.H264Options:
    return tt.H264Options(
        resolutions_available=_resolutions(encoders),
        gov_length_range=_ints([encoder.gov_length for encoder in encoders]),
        frame_rate_range=_frame_rates(encoders),
        encoding_interval_range=tt.IntRange(min_=1, max_=1),
        h264_profiles_supported=_unique(encoders, h264_profile),
    )


def _h2642(encoders: Sequence[VideoEncoder]) -> tt.H264Options2:
    plain = _h264(encoders)
    return tt.H264Options2(
        resolutions_available=plain.resolutions_available,
        gov_length_range=plain.gov_length_range,
        frame_rate_range=plain.frame_rate_range,
        encoding_interval_range=plain.encoding_interval_range,
        h264_profiles_supported=plain.h264_profiles_supported,
        bitrate_range=_bitrates(encoders),
    )


def _jpeg(encoders: Sequence[VideoEncoder]) -> tt.JpegOptions:
    return tt.JpegOptions(
        resolutions_available=_resolutions(encoders),
        frame_rate_range=_frame_rates(encoders),
        encoding_interval_range=tt.IntRange(min_=1, max_=1),
    )


def _jpeg2(encoders: Sequence[VideoEncoder]) -> tt.JpegOptions2:
    plain = _jpeg(encoders)
    return tt.JpegOptions2(
        resolutions_available=plain.resolutions_available,
        frame_rate_range=plain.frame_rate_range,
        encoding_interval_range=plain.encoding_interval_range,
        bitrate_range=_bitrates(encoders),
    )


def audio_encoder_options(encoders: Sequence[AudioEncoder]) -> tt.AudioEncoderConfigurationOptions:
    known = [encoder for encoder in encoders if in_ver10(encoder)]
    return tt.AudioEncoderConfigurationOptions(
        options=tuple(
            tt.AudioEncoderConfigurationOption(
                encoding=encoding, bitrate_list=_bitrate_items(alike), sample_rate_list=_sample_rate_items(alike)
            )
            for encoding in _unique(known, lambda encoder: AUDIO_ENCODINGS[encoder.codec])
            for alike in [[encoder for encoder in known if AUDIO_ENCODINGS[encoder.codec] is encoding]]
        )
    )


# ---- Media2


def video_encoder_options2(encoders: Sequence[VideoEncoder]) -> tuple[tt.VideoEncoder2ConfigurationOptions, ...]:
    """One entry per encoding (Media2 5.3.4)."""
    return tuple(
        _video_options2(codec, [encoder for encoder in encoders if encoder.codec is codec])
        for codec in _unique(encoders, lambda encoder: encoder.codec)
    )


def _video_options2(codec: Codec, encoders: Sequence[VideoEncoder]) -> tt.VideoEncoder2ConfigurationOptions:
    qualities = [encoder.quality for encoder in encoders]
    lengths = [encoder.gov_length for encoder in encoders]
    jpeg = codec is Codec.JPEG
    return tt.VideoEncoder2ConfigurationOptions(
        encoding=media_name(encoders[0]),
        quality_range=tt.FloatRange(min_=min(qualities), max_=max(qualities)),
        resolutions_available=tuple(
            tt.VideoResolution2(width=resolution.width, height=resolution.height)
            for resolution in _resolutions(encoders)
        ),
        bitrate_range=_bitrates(encoders),
        gov_length_range=None if jpeg else (min(lengths), max(lengths)),
        # Highest first (tt:VideoEncoder2ConfigurationOptions).
        frame_rates_supported=tuple(sorted({encoder.framerate for encoder in encoders}, reverse=True)),
        profiles_supported=None if jpeg else _unique(encoders, lambda encoder: encoder.profile),
        constant_bit_rate_supported=False,
    )


def audio_encoder_options2(encoders: Sequence[AudioEncoder]) -> tuple[tt.AudioEncoder2ConfigurationOptions, ...]:
    """One entry per encoding. Without any there is no audio to speak of."""
    if not encoders:
        raise NotSupported("There is no audio encoder.", detail="AudioNotSupported")
    return tuple(
        tt.AudioEncoder2ConfigurationOptions(
            encoding=media_name(alike[0]),
            bitrate_list=_bitrate_items(alike),
            sample_rate_list=_sample_rate_items(alike),
        )
        for codec in _unique(encoders, lambda encoder: encoder.codec)
        for alike in [[encoder for encoder in encoders if encoder.codec is codec]]
    )


# ---- shared


def _ints(values: Sequence[int]) -> tt.IntRange:
    return tt.IntRange(min_=min(values, default=0), max_=max(values, default=0))


def _bitrates(encoders: Sequence[VideoEncoder]) -> tt.IntRange:
    return _ints([encoder.bitrate for encoder in encoders])


def _frame_rates(encoders: Sequence[VideoEncoder]) -> tt.IntRange:
    return _ints([round(encoder.framerate) for encoder in encoders])


def _resolutions(encoders: Sequence[VideoEncoder]) -> tuple[tt.VideoResolution, ...]:
    """Largest first."""
    sizes = sorted({(encoder.width, encoder.height) for encoder in encoders}, reverse=True)
    return tuple(tt.VideoResolution(width=width, height=height) for width, height in sizes)


def _bitrate_items(encoders: Sequence[AudioEncoder]) -> tt.IntItems:
    return tt.IntItems(items=tuple(sorted({encoder.bitrate for encoder in encoders})))


def _sample_rate_items(encoders: Sequence[AudioEncoder]) -> tt.IntItems:
    return tt.IntItems(items=tuple(sorted({kilohertz(encoder) for encoder in encoders})))


def _unique(items: Sequence[Source], value: Callable[[Source], Value]) -> tuple[Value, ...]:
    """The distinct values in order of appearance."""
    return tuple(dict.fromkeys(value(item) for item in items))
