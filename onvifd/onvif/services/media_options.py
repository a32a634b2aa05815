"""Options of the configurations: what a client may choose. The options of several together span what these have."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from onvifd.errors import NotSupported
from onvifd.media.types import Codec
from onvifd.onvif.backend import AudioEncoder, AudioSource, EncoderChoice, VideoSource
from onvifd.onvif.services.media_configurations import (
    AUDIO_ENCODINGS,
    VIDEO_ENCODINGS,
    h264_name,
    in_ver10,
    kilohertz,
    media_name,
    mpeg4_name,
)
from onvifd.onvif.types import tt

Source = TypeVar("Source")
Value = TypeVar("Value")


def video_source_options(sources: Sequence[VideoSource], profiles: int) -> tt.VideoSourceConfigurationOptions:
    """`profiles` is how many there can be."""
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


def video_encoder_options(choices: Sequence[EncoderChoice]) -> tt.VideoEncoderConfigurationOptions:
    seen = [choice for choice in choices if choice.codec in VIDEO_ENCODINGS]
    qualities = [bound for choice in seen for bound in choice.quality] or [0.0]
    h264 = [choice for choice in seen if choice.codec is Codec.H264]
    jpeg = [choice for choice in seen if choice.codec is Codec.JPEG]
    mpeg4 = [choice for choice in seen if choice.codec is Codec.MPEG4]
    return tt.VideoEncoderConfigurationOptions(
        quality_range=tt.IntRange(min_=math.floor(min(qualities)), max_=math.ceil(max(qualities))),
        jpeg=_jpeg(jpeg) if jpeg else None,
        mpeg4=_mpeg4(mpeg4) if mpeg4 else None,
        h264=_h264(h264) if h264 else None,
        extension=tt.VideoEncoderOptionsExtension(
            jpeg=_jpeg2(jpeg) if jpeg else None,
            mpeg4=_mpeg42(mpeg4) if mpeg4 else None,
            h264=_h2642(h264) if h264 else None,
        )
        if seen
        else None,
    )


def _mpeg4(choices: Sequence[EncoderChoice]) -> tt.Mpeg4Options:
    return tt.Mpeg4Options(
        resolutions_available=_resolutions(choices),
        gov_length_range=_span([choice.gov_lengths for choice in choices]),
        frame_rate_range=_frame_rates(choices),
        encoding_interval_range=tt.IntRange(min_=1, max_=1),
        mpeg4_profiles_supported=tuple(
            dict.fromkeys(mpeg4_name(profile) for choice in choices for profile in choice.profiles or ("",))
        ),
    )


def _mpeg42(choices: Sequence[EncoderChoice]) -> tt.Mpeg4Options2:
    plain = _mpeg4(choices)
    return tt.Mpeg4Options2(
        resolutions_available=plain.resolutions_available,
        gov_length_range=plain.gov_length_range,
        frame_rate_range=plain.frame_rate_range,
        encoding_interval_range=plain.encoding_interval_range,
        mpeg4_profiles_supported=plain.mpeg4_profiles_supported,
        bitrate_range=_span([choice.bitrates for choice in choices]),
    )


def _h264(choices: Sequence[EncoderChoice]) -> tt.H264Options:
    return tt.H264Options(
        resolutions_available=_resolutions(choices),
        gov_length_range=_span([choice.gov_lengths for choice in choices]),
        frame_rate_range=_frame_rates(choices),
        encoding_interval_range=tt.IntRange(min_=1, max_=1),
        h264_profiles_supported=tuple(
            dict.fromkeys(h264_name(profile) for choice in choices for profile in choice.profiles)
        ),
    )


def _h2642(choices: Sequence[EncoderChoice]) -> tt.H264Options2:
    plain = _h264(choices)
    return tt.H264Options2(
        resolutions_available=plain.resolutions_available,
        gov_length_range=plain.gov_length_range,
        frame_rate_range=plain.frame_rate_range,
        encoding_interval_range=plain.encoding_interval_range,
        h264_profiles_supported=plain.h264_profiles_supported,
        bitrate_range=_span([choice.bitrates for choice in choices]),
    )


def _jpeg(choices: Sequence[EncoderChoice]) -> tt.JpegOptions:
    return tt.JpegOptions(
        resolutions_available=_resolutions(choices),
        frame_rate_range=_frame_rates(choices),
        encoding_interval_range=tt.IntRange(min_=1, max_=1),
    )


def _jpeg2(choices: Sequence[EncoderChoice]) -> tt.JpegOptions2:
    plain = _jpeg(choices)
    return tt.JpegOptions2(
        resolutions_available=plain.resolutions_available,
        frame_rate_range=plain.frame_rate_range,
        encoding_interval_range=plain.encoding_interval_range,
        bitrate_range=_span([choice.bitrates for choice in choices]),
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


def video_encoder_options2(choices: Sequence[EncoderChoice]) -> tuple[tt.VideoEncoder2ConfigurationOptions, ...]:
    """One entry per encoding (Media2 5.3.4)."""
    names = dict.fromkeys(media_name(choice) for choice in choices)
    return tuple(_video_options2(name, [each for each in choices if media_name(each) == name]) for name in names)


def _video_options2(name: str, choices: Sequence[EncoderChoice]) -> tt.VideoEncoder2ConfigurationOptions:
    lengths = _span([choice.gov_lengths for choice in choices])
    still = choices[0].codec is Codec.JPEG
    rates = {rate for choice in choices for rate in choice.framerates}
    return tt.VideoEncoder2ConfigurationOptions(
        encoding=name,
        quality_range=tt.FloatRange(
            min_=min(choice.quality[0] for choice in choices), max_=max(choice.quality[1] for choice in choices)
        ),
        resolutions_available=tuple(
            tt.VideoResolution2(width=resolution.width, height=resolution.height)
            for resolution in _resolutions(choices)
        ),
        bitrate_range=_span([choice.bitrates for choice in choices]),
        gov_length_range=None if still else (lengths.min_, lengths.max_),
        # Highest first (tt:VideoEncoder2ConfigurationOptions).
        frame_rates_supported=tuple(sorted(rates, reverse=True)),
        profiles_supported=None
        if still
        else tuple(dict.fromkeys(profile for choice in choices for profile in choice.profiles)),
        constant_bit_rate_supported=False,
    )


def audio_encoder_options2(encoders: Sequence[AudioEncoder]) -> tuple[tt.AudioEncoder2ConfigurationOptions, ...]:
    """One entry per encoding. Without any there is no audio to speak of."""
    if not encoders:
        raise NotSupported("There is no audio encoder.", detail="AudioNotSupported")
    return tuple(
        tt.AudioEncoder2ConfigurationOptions(
            encoding=name,
            bitrate_list=_bitrate_items(alike),
            sample_rate_list=_sample_rate_items(alike),
        )
        for name in _unique(encoders, media_name)
        for alike in [[encoder for encoder in encoders if media_name(encoder) == name]]
    )


# ---- shared


def _ints(values: Sequence[int]) -> tt.IntRange:
    return tt.IntRange(min_=min(values, default=0), max_=max(values, default=0))


def _span(ranges: Sequence[tuple[int, int]]) -> tt.IntRange:
    """The range that covers all."""
    return tt.IntRange(min_=min(least for least, _ in ranges), max_=max(greatest for _, greatest in ranges))


def _frame_rates(choices: Sequence[EncoderChoice]) -> tt.IntRange:
    return _ints([round(rate) for choice in choices for rate in choice.framerates])


def _resolutions(choices: Sequence[EncoderChoice]) -> tuple[tt.VideoResolution, ...]:
    """Largest first."""
    sizes = sorted({size for choice in choices for size in choice.resolutions}, reverse=True)
    return tuple(tt.VideoResolution(width=width, height=height) for width, height in sizes)


def _bitrate_items(encoders: Sequence[AudioEncoder]) -> tt.IntItems:
    return tt.IntItems(items=tuple(sorted({encoder.bitrate for encoder in encoders})))


def _sample_rate_items(encoders: Sequence[AudioEncoder]) -> tt.IntItems:
    return tt.IntItems(items=tuple(sorted({kilohertz(encoder) for encoder in encoders})))


def _unique(items: Sequence[Source], value: Callable[[Source], Value]) -> tuple[Value, ...]:
    """The distinct values in order of appearance."""
    return tuple(dict.fromkeys(value(item) for item in items))
