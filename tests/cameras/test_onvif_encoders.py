"""What ONVIF cameras offer and are told of their encoders."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from onvifd.cameras.onvif_encoders import (
    Media2Encoders,
    MediaEncoders,
    choice2,
    choices,
    configuration,
    configuration2,
)
from onvifd.cameras.settings import UNTOLD, UNTOLD_QUALITY, EncoderSettings, quality_within
from onvifd.errors import InvalidArgument, Unavailable
from onvifd.media.types import Codec
from onvifd.onvif.types import tr2, trt, tt

SIZE = (tt.VideoResolution2(width=1280, height=720),)


def test_ranges_that_are_not_told() -> None:
    told = tt.VideoEncoder2ConfigurationOptions(
        encoding="H264",
        quality_range=tt.FloatRange(min_=1.0, max_=100.0),
        resolutions_available=SIZE,
        bitrate_range=tt.IntRange(min_=0, max_=0),  # what a missing one is read as, too
    )
    choice = choice2(told)
    assert choice is not None
    assert (choice.bitrates, choice.gov_lengths, choice.profiles, choice.quality) == (UNTOLD, UNTOLD, (), (1.0, 100.0))
    full = tt.VideoEncoder2ConfigurationOptions(
        encoding="H265",
        quality_range=tt.FloatRange(min_=1.0, max_=100.0),
        resolutions_available=SIZE,
        bitrate_range=tt.IntRange(min_=64, max_=4096),
        gov_length_range=(1, 250),
        profiles_supported=("Main",),
    )
    choice = choice2(full)
    assert choice is not None
    assert (choice.bitrates, choice.gov_lengths, choice.profiles) == ((64, 4096), (1, 250), ("Main",))


KNOWN2 = tt.VideoEncoder2Configuration(
    token="v",
    name="v",
    use_count=1,
    encoding="H264",
    resolution=SIZE[0],
    rate_control=tt.VideoRateControl2(frame_rate_limit=25.0, bitrate_limit=4096),
    quality=80.0,
    gov_length=50,
    profile="High",
)
KNOWN = tt.VideoEncoderConfiguration(
    token="v",
    name="v",
    use_count=1,
    encoding=tt.VideoEncoding.H264,
    resolution=tt.VideoResolution(width=1280, height=720),
    quality=80.0,
    rate_control=tt.VideoRateControl(frame_rate_limit=25, encoding_interval=1, bitrate_limit=4096),
    h264=tt.H264Configuration(gov_length=50, h264_profile=tt.H264Profile.HIGH),
    multicast=tt.MulticastConfiguration(
        address=tt.IPAddress(type_=tt.IPType.IPV4, ipv4_address="239.1.1.1"), port=5000, ttl=1, auto_start=False
    ),
    session_timeout=timedelta(seconds=60),
)


def test_what_is_not_spoken_of_stays_as_the_camera_has_it() -> None:
    wanted = EncoderSettings(codec=Codec.H264, width=1280, height=720, framerate=5.0)
    told2 = configuration2(KNOWN2, wanted)
    assert told2.rate_control is not None
    assert (told2.rate_control.frame_rate_limit, told2.rate_control.bitrate_limit) == (5.0, 4096)
    assert (told2.quality, told2.gov_length, told2.profile) == (80.0, 50, "High")
    told = configuration(KNOWN, wanted)
    assert told.rate_control is not None
    assert (told.rate_control.frame_rate_limit, told.rate_control.bitrate_limit) == (5, 4096)
    assert (told.quality, told.h264, told.multicast) == (80.0, KNOWN.h264, KNOWN.multicast)


def test_a_camera_without_the_extension_has_the_bit_rate_that_it_has() -> None:
    one = tt.IntRange(min_=1, max_=1)
    told = tt.VideoEncoderConfigurationOptions(
        quality_range=tt.IntRange(min_=0, max_=100),
        h264=tt.H264Options(
            resolutions_available=(tt.VideoResolution(width=1280, height=720),),
            gov_length_range=tt.IntRange(min_=0, max_=0),
            frame_rate_range=tt.IntRange(min_=1, max_=25),
            encoding_interval_range=one,
            h264_profiles_supported=(tt.H264Profile.MAIN,),
        ),
    )
    (choice,) = (each for each in choices(told, KNOWN) if each is not None)
    assert (choice.bitrates, choice.gov_lengths) == ((4096, 4096), UNTOLD)


class Forgetful:
    """A camera that takes settings, or refuses them, and answers no question afterwards."""

    def __init__(self, refuses: bool = False) -> None:
        self.set = False
        self.refuses = refuses

    async def call(self, request: Any, answer: Any) -> Any:
        match request:
            case trt.GetProfile():
                profile = tt.Profile(token="p", name="p", video_encoder_configuration=KNOWN)
                return trt.GetProfileResponse(profile=profile)
            case tr2.GetProfiles():
                found = tr2.ConfigurationSet(video_encoder=KNOWN2)
                return tr2.GetProfilesResponse(profiles=(tr2.MediaProfile(token="p", name="p", configurations=found),))
            case trt.SetVideoEncoderConfiguration() | tr2.SetVideoEncoderConfiguration():
                if self.refuses:
                    raise InvalidArgument("no", detail="ConfigModify")
                self.set = True
                return answer()
        raise Unavailable("the camera is gone")


@pytest.mark.parametrize("kind", [MediaEncoders, Media2Encoders])
async def test_a_camera_that_has_taken_settings_has_taken_them(kind: type[MediaEncoders | Media2Encoders]) -> None:
    camera: Any = Forgetful()
    wanted = EncoderSettings(codec=Codec.H264, width=640, height=360)
    assert await kind(camera).set("p", wanted) == wanted
    assert camera.set
    refusing: Any = Forgetful(refuses=True)
    with pytest.raises(InvalidArgument):
        await kind(refusing).set("p", wanted)


class Telling:
    """A camera by one of the media services: its encoder and what that offers."""

    def __init__(self, quality: float, least: float, most: float) -> None:
        self.quality, self.span = quality, (least, most)

    async def call(self, request: Any, answer: Any) -> Any:
        least, most = self.span
        if isinstance(request, tr2.GetProfiles):
            encoder = replace(KNOWN2, quality=self.quality)
            parts = tr2.ConfigurationSet(video_encoder=encoder)
            return answer(profiles=(tr2.MediaProfile(token="p", name="p", configurations=parts),))
        if isinstance(request, trt.GetProfile):
            encoder1 = replace(KNOWN, quality=self.quality)
            return answer(profile=tt.Profile(token="p", name="p", video_encoder_configuration=encoder1))
        if isinstance(request, tr2.GetVideoEncoderConfigurationOptions):
            span = tt.FloatRange(min_=least, max_=most)
            options = [
                tt.VideoEncoder2ConfigurationOptions(
                    encoding=name,
                    quality_range=span,
                    resolutions_available=SIZE,
                    bitrate_range=tt.IntRange(min_=0, max_=9),
                )
                for name in ("H264", "H265")
            ]
            return answer(options=tuple(options))
        h264 = tt.H264Options(
            resolutions_available=(tt.VideoResolution(width=1280, height=720),),
            gov_length_range=tt.IntRange(min_=1, max_=50),
            frame_rate_range=tt.IntRange(min_=1, max_=25),
            encoding_interval_range=tt.IntRange(min_=1, max_=1),
            h264_profiles_supported=(tt.H264Profile.MAIN,),
        )
        span1 = tt.IntRange(min_=int(least), max_=int(most))
        return answer(options=tt.VideoEncoderConfigurationOptions(quality_range=span1, h264=h264))


@pytest.mark.parametrize("kind", [MediaEncoders, Media2Encoders])
@pytest.mark.parametrize(
    ("told", "shown"), [(80.0, 80.0), (120.0, 100.0), (0.0, 1.0), (math.nan, UNTOLD_QUALITY)], ids=str
)
async def test_the_quality_comes_with_the_range(kind: Any, told: float, shown: float) -> None:
    choices = await kind(Telling(told, 1, 100)).options("p")
    now = {each.codec: (each.quality_now, each.quality) for each in choices}
    assert now[Codec.H264][1] == (1.0, 100.0)
    assert all(quality is None for codec, (quality, _) in now.items() if codec is not Codec.H264)
    assert quality_within(*now[Codec.H264]) == shown
