"""Imaging (Imaging 5)."""

from __future__ import annotations

from enum import StrEnum

from onvifd.onvif.soap.codec import AnyElements, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TIMG
from onvifd.onvif.types import tt

NAMESPACE = TIMG


class ImagingPresetType(StrEnum):
    CUSTOM = "Custom"
    CLEAR_WEATHER = "ClearWeather"
    CLOUDY = "Cloudy"
    FOG = "Fog"
    RAIN = "Rain"
    SNOWING = "Snowing"
    SNOW = "Snow"
    WDR = "WDR"
    SHADE = "Shade"
    NIGHT = "Night"
    INDOOR = "Indoor"
    FLUORESCENT = "Fluorescent"
    INCANDESCENT = "Incandescent"
    SODIUM_NATRIUM = "Sodium(Natrium)"
    SUNRISE_HORIZON = "Sunrise(Horizon)"
    SUNSET_REAR = "Sunset(Rear)"
    EXTREME_HOT = "ExtremeHot"
    EXTREME_COLD = "ExtremeCold"
    UNDERWATER = "Underwater"
    CLOSE_UP = "CloseUp"
    MOTION = "Motion"
    FLICKER_FREE50 = "FlickerFree50"
    FLICKER_FREE60 = "FlickerFree60"


@schema(TIMG)
class GetServiceCapabilities:
    pass


@schema(TIMG)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TIMG)
class Capabilities:
    any_: AnyElements = any_elements(default=())
    image_stabilization: bool | None = attribute("ImageStabilization", default=None)
    presets: bool | None = attribute("Presets", default=None)
    adaptable_preset: bool | None = attribute("AdaptablePreset", default=None)


@schema(TIMG)
class GetImagingSettings:
    video_source_token: str = element("VideoSourceToken")


@schema(TIMG)
class GetImagingSettingsResponse:
    imaging_settings: tt.ImagingSettings20 = element("ImagingSettings")


@schema(TIMG)
class SetImagingSettings:
    video_source_token: str = element("VideoSourceToken")
    imaging_settings: tt.ImagingSettings20 = element("ImagingSettings")
    force_persistence: bool | None = element("ForcePersistence", default=None)


@schema(TIMG)
class SetImagingSettingsResponse:
    pass


@schema(TIMG)
class GetOptions:
    video_source_token: str = element("VideoSourceToken")


@schema(TIMG)
class GetOptionsResponse:
    imaging_options: tt.ImagingOptions20 = element("ImagingOptions")


@schema(TIMG)
class Move:
    video_source_token: str = element("VideoSourceToken")
    focus: tt.FocusMove = element("Focus")


@schema(TIMG)
class MoveResponse:
    pass


@schema(TIMG)
class GetMoveOptions:
    video_source_token: str = element("VideoSourceToken")


@schema(TIMG)
class GetMoveOptionsResponse:
    move_options: tt.MoveOptions20 = element("MoveOptions")


@schema(TIMG)
class Stop:
    video_source_token: str = element("VideoSourceToken")


@schema(TIMG)
class StopResponse:
    pass


@schema(TIMG)
class GetStatus:
    video_source_token: str = element("VideoSourceToken")


@schema(TIMG)
class GetStatusResponse:
    status: tt.ImagingStatus20 = element("Status")


@schema(TIMG)
class ImagingPreset:
    name: str = element("Name")
    token: str = attribute("token")
    type_: str = attribute("type")


@schema(TIMG)
class GetPresets:
    video_source_token: str = element("VideoSourceToken")


@schema(TIMG)
class GetPresetsResponse:
    preset: tuple[ImagingPreset, ...] = element("Preset")


@schema(TIMG)
class GetCurrentPreset:
    video_source_token: str = element("VideoSourceToken")


@schema(TIMG)
class GetCurrentPresetResponse:
    preset: ImagingPreset | None = element("Preset", default=None)


@schema(TIMG)
class SetCurrentPreset:
    video_source_token: str = element("VideoSourceToken")
    preset_token: str = element("PresetToken")


@schema(TIMG)
class SetCurrentPresetResponse:
    pass
