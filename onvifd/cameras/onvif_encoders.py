"""Video encoders of an ONVIF camera: what they offer and setting them, by Media2 (5.3) or Media (5.5)."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from onvifd.cameras.settings import UNTOLD, EncoderChoice, EncoderSettings
from onvifd.errors import InvalidArgument, OnvifdError, Unavailable
from onvifd.media.types import Codec
from onvifd.onvif.client import OnvifClient
from onvifd.onvif.types import tr2, trt, tt

log = logging.getLogger(__name__)

MAX_RESOLUTIONS = 64
MAX_FRAMERATES = 64
MAX_PROFILES = 16
"""Bounds of what is taken of a camera's options."""

_NAMES2 = {Codec.H264: "H264", Codec.H265: "H265", Codec.JPEG: "JPEG", Codec.MPEG4: "MPV4-ES"}
_CODECS2 = {name.lower(): codec for codec, name in _NAMES2.items()} | {"hevc": Codec.H265}
_NAMES = {
    Codec.H264: tt.VideoEncoding.H264,
    Codec.JPEG: tt.VideoEncoding.JPEG,
    Codec.MPEG4: tt.VideoEncoding.MPEG4,
}
_CODECS = {name: codec for codec, name in _NAMES.items()}
_NO_GROUP = tt.MulticastConfiguration(
    address=tt.IPAddress(type_=tt.IPType.IPV4, ipv4_address="0.0.0.0"), port=0, ttl=0, auto_start=False
)
_QUALITY = (0.0, 10.0)


@dataclass(frozen=True, slots=True)
class Media2Encoders:
    """The encoders of a camera by its Media2 service. Methods raise what `OnvifClient.call` raises."""

    client: OnvifClient

    async def options(self, profile: str) -> tuple[EncoderChoice, ...]:
        """What can be chosen for the encoder of a profile."""
        known = await self._of_profile(profile)
        request = tr2.GetVideoEncoderConfigurationOptions(configuration_token=known.token, profile_token=profile)
        answer = await self.client.call(request, tr2.GetVideoEncoderConfigurationOptionsResponse)
        codec = _CODECS2.get((known.encoding or "").lower())
        return _with_quality(_merged(choice2(each) for each in answer.options), codec, known.quality)

    async def set(self, profile: str, wanted: EncoderSettings) -> EncoderSettings:
        """Set the encoder of a profile; what the camera says that it is then. Raises InvalidArgument for other codecs too."""
        known = await self._of_profile(profile)
        request = tr2.SetVideoEncoderConfiguration(configuration=configuration2(known, wanted))
        await self.client.call(request, tr2.SetVideoEncoderConfigurationResponse)
        again = tr2.GetVideoEncoderConfigurations(configuration_token=known.token)
        try:
            answer = await self.client.call(again, tr2.GetVideoEncoderConfigurationsResponse)
        except OnvifdError as error:
            return _unseen(error, wanted)
        found = next((each for each in answer.configurations if each.token == known.token), None)
        return settings2(found, wanted) if found is not None else wanted

    async def _of_profile(self, profile: str) -> tt.VideoEncoder2Configuration:
        request = tr2.GetProfiles(token=profile, type_=(tr2.ConfigurationEnumeration.VIDEO_ENCODER,))
        answer = await self.client.call(request, tr2.GetProfilesResponse)
        found = next((each for each in answer.profiles if each.token == profile), None)
        if found is None or found.configurations is None or found.configurations.video_encoder is None:
            raise Unavailable("the camera has no encoder in its profile any more")
        return found.configurations.video_encoder


@dataclass(frozen=True, slots=True)
class MediaEncoders:
    """The same by the Media service."""

    client: OnvifClient

    async def options(self, profile: str) -> tuple[EncoderChoice, ...]:
        """What can be chosen for the encoder of a profile."""
        known = await self._of_profile(profile)
        request = trt.GetVideoEncoderConfigurationOptions(configuration_token=known.token, profile_token=profile)
        answer = await self.client.call(request, trt.GetVideoEncoderConfigurationOptionsResponse)
        return _with_quality(_merged(choices(answer.options, known)), _CODECS.get(known.encoding), known.quality)

    async def set(self, profile: str, wanted: EncoderSettings) -> EncoderSettings:
        """Set the encoder of a profile; what the camera says that it is then. Raises InvalidArgument for other codecs too."""
        known = await self._of_profile(profile)
        request = trt.SetVideoEncoderConfiguration(configuration=configuration(known, wanted), force_persistence=True)
        await self.client.call(request, trt.SetVideoEncoderConfigurationResponse)
        again = trt.GetVideoEncoderConfiguration(configuration_token=known.token)
        try:
            answer = await self.client.call(again, trt.GetVideoEncoderConfigurationResponse)
        except OnvifdError as error:
            return _unseen(error, wanted)
        return settings(answer.configuration, wanted)

    async def _of_profile(self, profile: str) -> tt.VideoEncoderConfiguration:
        answer = await self.client.call(trt.GetProfile(profile_token=profile), trt.GetProfileResponse)
        if answer.profile.video_encoder_configuration is None:
            raise Unavailable("the camera has no encoder in its profile any more")
        return answer.profile.video_encoder_configuration


def _unseen(error: OnvifdError, wanted: EncoderSettings) -> EncoderSettings:
    """The camera has taken it: that it does not say what it made of it is no reason to tell a client that nothing has changed."""
    log.warning("an encoder was set, what became of it cannot be asked: %s", error.reason)
    return wanted


# ---- Media2 ----------------------------------------------------------------------------------------


def choice2(options: tt.VideoEncoder2ConfigurationOptions) -> EncoderChoice | None:
    """None for an encoding that the recorder does not read, and for options without any size."""
    codec = _CODECS2.get((options.encoding or "").lower())
    sizes = _sizes(options.resolutions_available)
    if codec is None or not sizes:
        return None
    rates = sorted({rate for rate in options.frame_rates_supported or () if 0 < rate <= 1000}, reverse=True)
    lengths = options.gov_length_range or ()
    return EncoderChoice(
        codec=codec,
        resolutions=sizes,
        framerates=tuple(rates[:MAX_FRAMERATES]),
        bitrates=_range(options.bitrate_range),
        quality=_quality(options.quality_range),
        gov_lengths=_ordered(lengths[0], lengths[-1]) if lengths else UNTOLD,
        profiles=tuple(options.profiles_supported or ())[:MAX_PROFILES] if codec is not Codec.JPEG else (),
    )


def configuration2(known: tt.VideoEncoder2Configuration, wanted: EncoderSettings) -> tt.VideoEncoder2Configuration:
    """The configuration of a camera with other settings; what is not spoken of stays. Raises InvalidArgument."""
    name = _NAMES2.get(wanted.codec)
    if name is None:
        raise InvalidArgument(f"cameras are not set to {wanted.codec}", detail="ConfigModify")
    same = _CODECS2.get((known.encoding or "").lower()) is wanted.codec
    rate = known.rate_control
    if rate is None:
        rate = tt.VideoRateControl2(frame_rate_limit=wanted.framerate or 25.0, bitrate_limit=wanted.bitrate or 1024)
    jpeg = wanted.codec is Codec.JPEG
    return replace(
        known,
        encoding=known.encoding if same else name,
        resolution=tt.VideoResolution2(width=wanted.width, height=wanted.height),
        rate_control=replace(
            rate,
            frame_rate_limit=rate.frame_rate_limit if wanted.framerate is None else wanted.framerate,
            bitrate_limit=rate.bitrate_limit if wanted.bitrate is None else wanted.bitrate,
        ),
        quality=known.quality if wanted.quality is None else wanted.quality,
        gov_length=None if jpeg else known.gov_length if wanted.gov_length is None else wanted.gov_length,
        profile=None if jpeg else wanted.profile or (known.profile if same else None),
    )


def settings2(found: tt.VideoEncoder2Configuration, wanted: EncoderSettings) -> EncoderSettings:
    """What a configuration says; where it says nothing, what was wanted."""
    rate = found.rate_control
    return EncoderSettings(
        codec=_CODECS2.get((found.encoding or "").lower(), wanted.codec),
        width=found.resolution.width or wanted.width,
        height=found.resolution.height or wanted.height,
        framerate=float(rate.frame_rate_limit) if rate and rate.frame_rate_limit else wanted.framerate,
        bitrate=rate.bitrate_limit if rate and rate.bitrate_limit else wanted.bitrate,
        gov_length=wanted.gov_length if found.gov_length is None else found.gov_length,
        profile=found.profile or wanted.profile,
        quality=found.quality,
    )


# ---- Media -----------------------------------------------------------------------------------------


def choices(
    options: tt.VideoEncoderConfigurationOptions, known: tt.VideoEncoderConfiguration
) -> list[EncoderChoice | None]:
    """One for each encoding. Bit rates are in an extension that old cameras lack: then the present one is the only one."""
    more = options.extension
    now = known.rate_control.bitrate_limit if known.rate_control else 0
    found: list[EncoderChoice | None] = []
    quality = _quality(options.quality_range)
    h264 = (more.h264 if more else None) or options.h264
    if h264 is not None:
        profiles = tuple(str(each) for each in h264.h264_profiles_supported[:MAX_PROFILES])
        found.append(_choice(Codec.H264, h264, now, quality, h264.gov_length_range, profiles))
    mpeg4 = (more.mpeg4 if more else None) or options.mpeg4
    if mpeg4 is not None:
        profiles = tuple(str(each) for each in mpeg4.mpeg4_profiles_supported[:MAX_PROFILES])
        found.append(_choice(Codec.MPEG4, mpeg4, now, quality, mpeg4.gov_length_range, profiles))
    jpeg = (more.jpeg if more else None) or options.jpeg
    if jpeg is not None:
        found.append(_choice(Codec.JPEG, jpeg, now, quality, None, ()))
    return found


def _choice(
    codec: Codec,
    options: tt.H264Options | tt.Mpeg4Options | tt.JpegOptions,
    bitrate: int,
    quality: tuple[float, float],
    lengths: tt.IntRange | None,
    profiles: tuple[str, ...],
) -> EncoderChoice | None:
    sizes = _sizes(options.resolutions_available)
    if not sizes:
        return None
    slowest, fastest = _range(options.frame_rate_range)
    slowest = max(1, slowest)
    rates = tuple(map(float, range(min(fastest, slowest + MAX_FRAMERATES - 1), slowest - 1, -1)))
    bitrates = getattr(options, "bitrate_range", None)
    return EncoderChoice(
        codec=codec,
        resolutions=sizes,
        framerates=rates,
        bitrates=_range(bitrates) if bitrates is not None else (bitrate, bitrate),
        quality=quality,
        gov_lengths=_range(lengths) if lengths is not None else (1, 1),
        profiles=profiles,
    )


def configuration(known: tt.VideoEncoderConfiguration, wanted: EncoderSettings) -> tt.VideoEncoderConfiguration:
    """The configuration of a camera with other settings; what is not spoken of stays. Raises InvalidArgument."""
    name = _NAMES.get(wanted.codec)
    if name is None:
        raise InvalidArgument(f"the camera cannot be set to {wanted.codec}", detail="ConfigModify")
    rate = known.rate_control or tt.VideoRateControl(frame_rate_limit=25, encoding_interval=1, bitrate_limit=1024)
    return replace(
        known,
        encoding=name,
        resolution=tt.VideoResolution(width=wanted.width, height=wanted.height),
        rate_control=replace(
            rate,
            frame_rate_limit=rate.frame_rate_limit if wanted.framerate is None else math.ceil(wanted.framerate),
            bitrate_limit=rate.bitrate_limit if wanted.bitrate is None else wanted.bitrate,
        ),
        quality=known.quality if wanted.quality is None else wanted.quality,
        h264=_h264(known.h264, wanted),
        mpeg4=_mpeg4(known.mpeg4, wanted),
        multicast=known.multicast or _NO_GROUP,
        session_timeout=known.session_timeout or timedelta(seconds=60),
    )


def _h264(known: tt.H264Configuration | None, wanted: EncoderSettings) -> tt.H264Configuration | None:
    if wanted.codec is not Codec.H264:
        return None
    known = known or tt.H264Configuration(gov_length=25, h264_profile=tt.H264Profile.MAIN)
    named = next((each for each in tt.H264Profile if each == wanted.profile), known.h264_profile)
    length = known.gov_length if wanted.gov_length is None else wanted.gov_length
    return tt.H264Configuration(gov_length=length, h264_profile=named)


def _mpeg4(known: tt.Mpeg4Configuration | None, wanted: EncoderSettings) -> tt.Mpeg4Configuration | None:
    if wanted.codec is not Codec.MPEG4:
        return None
    known = known or tt.Mpeg4Configuration(gov_length=25, mpeg4_profile=tt.Mpeg4Profile.SP)
    named = next((each for each in tt.Mpeg4Profile if each == wanted.profile), known.mpeg4_profile)
    length = known.gov_length if wanted.gov_length is None else wanted.gov_length
    return tt.Mpeg4Configuration(gov_length=length, mpeg4_profile=named)


def settings(found: tt.VideoEncoderConfiguration, wanted: EncoderSettings) -> EncoderSettings:
    """What a configuration says; where it says nothing, what was wanted."""
    rate, codec = found.rate_control, _CODECS.get(found.encoding, wanted.codec)
    part = found.h264 if codec is Codec.H264 else found.mpeg4
    profile = str(found.h264.h264_profile) if codec is Codec.H264 and found.h264 else wanted.profile
    return EncoderSettings(
        codec=codec,
        width=found.resolution.width or wanted.width,
        height=found.resolution.height or wanted.height,
        framerate=float(rate.frame_rate_limit) if rate and rate.frame_rate_limit else wanted.framerate,
        bitrate=rate.bitrate_limit if rate and rate.bitrate_limit else wanted.bitrate,
        gov_length=part.gov_length if part and codec is not Codec.JPEG else wanted.gov_length,
        profile=profile,
        quality=found.quality,
    )


# ---- shared ----------------------------------------------------------------------------------------


def _merged(found: Iterable[EncoderChoice | None]) -> tuple[EncoderChoice, ...]:
    """One for each codec, in the order of the camera."""
    kept: dict[Codec, EncoderChoice] = {}
    for each in found:
        if each is not None:
            kept.setdefault(each.codec, each)
    return tuple(kept.values())


def _with_quality(
    choices: tuple[EncoderChoice, ...], codec: Codec | None, quality: float | None
) -> tuple[EncoderChoice, ...]:
    """With what the encoder has now, where it has that codec."""
    now = told_quality(quality)
    return tuple(replace(each, quality_now=now) if each.codec is codec else each for each in choices)


def _sizes(available: Iterable[tt.VideoResolution | tt.VideoResolution2]) -> tuple[tuple[int, int], ...]:
    sizes = {(int(each.width or 0), int(each.height or 0)) for each in available}
    usable = [size for size in sizes if 0 < size[0] <= 16384 and 0 < size[1] <= 16384]
    return tuple(sorted(usable, key=lambda size: (size[0] * size[1], size), reverse=True)[:MAX_RESOLUTIONS])


def _range(given: tt.IntRange | None) -> tuple[int, int]:
    return _ordered(given.min_ or 0, given.max_ or 0) if given is not None else UNTOLD


def _ordered(one: int, other: int) -> tuple[int, int]:
    """A range as cameras give it: negative ends and ends in the wrong order are put right."""
    one, other = max(0, one), max(0, other)
    return min(one, other), max(one, other)


def told_quality(given: float | None) -> float | None:
    """A quality as a camera tells it; None for what is no number."""
    return float(given) if given is not None and math.isfinite(given) else None


def _quality(given: tt.IntRange | tt.FloatRange | None) -> tuple[float, float]:
    if given is None or given.min_ is None or given.max_ is None or given.max_ < given.min_:
        return _QUALITY
    return float(given.min_), float(given.max_)
