"""PTZ (PTZ 5)."""

from __future__ import annotations

from datetime import timedelta

from onvifd.onvif.soap.codec import AnyElements, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TPTZ
from onvifd.onvif.types import tt

NAMESPACE = TPTZ


@schema(TPTZ)
class GetServiceCapabilities:
    pass


@schema(TPTZ)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TPTZ)
class Capabilities:
    any_: AnyElements = any_elements(default=())
    e_flip: bool | None = attribute("EFlip", default=None)
    reverse: bool | None = attribute("Reverse", default=None)
    get_compatible_configurations: bool | None = attribute("GetCompatibleConfigurations", default=None)
    move_status: bool | None = attribute("MoveStatus", default=None)
    status_position: bool | None = attribute("StatusPosition", default=None)
    move_and_track: tuple[str, ...] | None = attribute("MoveAndTrack", default=None, tokens=True)


@schema(TPTZ)
class GetNodes:
    pass


@schema(TPTZ)
class GetNodesResponse:
    ptz_node: tuple[tt.PTZNode, ...] = element("PTZNode", default=())


@schema(TPTZ)
class GetNode:
    node_token: str = element("NodeToken")


@schema(TPTZ)
class GetNodeResponse:
    ptz_node: tt.PTZNode = element("PTZNode")


@schema(TPTZ)
class GetConfigurations:
    pass


@schema(TPTZ)
class GetConfigurationsResponse:
    ptz_configuration: tuple[tt.PTZConfiguration, ...] = element("PTZConfiguration", default=())


@schema(TPTZ)
class GetConfiguration:
    ptz_configuration_token: str = element("PTZConfigurationToken")


@schema(TPTZ)
class GetConfigurationResponse:
    ptz_configuration: tt.PTZConfiguration = element("PTZConfiguration")


@schema(TPTZ)
class SetConfiguration:
    ptz_configuration: tt.PTZConfiguration = element("PTZConfiguration")
    force_persistence: bool = element("ForcePersistence")


@schema(TPTZ)
class SetConfigurationResponse:
    pass


@schema(TPTZ)
class GetConfigurationOptions:
    configuration_token: str = element("ConfigurationToken")


@schema(TPTZ)
class GetConfigurationOptionsResponse:
    ptz_configuration_options: tt.PTZConfigurationOptions = element("PTZConfigurationOptions")


@schema(TPTZ)
class SendAuxiliaryCommand:
    profile_token: str = element("ProfileToken")
    auxiliary_data: str = element("AuxiliaryData")


@schema(TPTZ)
class SendAuxiliaryCommandResponse:
    auxiliary_response: str = element("AuxiliaryResponse")


@schema(TPTZ)
class GetPresets:
    profile_token: str = element("ProfileToken")


@schema(TPTZ)
class GetPresetsResponse:
    preset: tuple[tt.PTZPreset, ...] = element("Preset", default=())


@schema(TPTZ)
class SetPreset:
    profile_token: str = element("ProfileToken")
    preset_name: str | None = element("PresetName", default=None)
    preset_token: str | None = element("PresetToken", default=None)


@schema(TPTZ)
class SetPresetResponse:
    preset_token: str = element("PresetToken")


@schema(TPTZ)
class RemovePreset:
    profile_token: str = element("ProfileToken")
    preset_token: str = element("PresetToken")


@schema(TPTZ)
class RemovePresetResponse:
    pass


@schema(TPTZ)
class GotoPreset:
    profile_token: str = element("ProfileToken")
    preset_token: str = element("PresetToken")
    speed: tt.PTZSpeed | None = element("Speed", default=None)


@schema(TPTZ)
class GotoPresetResponse:
    pass


@schema(TPTZ)
class GetStatus:
    profile_token: str = element("ProfileToken")


@schema(TPTZ)
class GetStatusResponse:
    ptz_status: tt.PTZStatus = element("PTZStatus")


@schema(TPTZ)
class GotoHomePosition:
    profile_token: str = element("ProfileToken")
    speed: tt.PTZSpeed | None = element("Speed", default=None)


@schema(TPTZ)
class GotoHomePositionResponse:
    pass


@schema(TPTZ)
class SetHomePosition:
    profile_token: str = element("ProfileToken")


@schema(TPTZ)
class SetHomePositionResponse:
    pass


@schema(TPTZ)
class ContinuousMove:
    profile_token: str = element("ProfileToken")
    velocity: tt.PTZSpeed = element("Velocity")
    timeout: timedelta | None = element("Timeout", default=None)


@schema(TPTZ)
class ContinuousMoveResponse:
    pass


@schema(TPTZ)
class RelativeMove:
    profile_token: str = element("ProfileToken")
    translation: tt.PTZVector = element("Translation")
    speed: tt.PTZSpeed | None = element("Speed", default=None)


@schema(TPTZ)
class RelativeMoveResponse:
    pass


@schema(TPTZ)
class AbsoluteMove:
    profile_token: str = element("ProfileToken")
    position: tt.PTZVector = element("Position")
    speed: tt.PTZSpeed | None = element("Speed", default=None)


@schema(TPTZ)
class AbsoluteMoveResponse:
    pass


@schema(TPTZ)
class GeoMove:
    profile_token: str = element("ProfileToken")
    target: tt.GeoLocation = element("Target")
    speed: tt.PTZSpeed | None = element("Speed", default=None)
    area_height: float | None = element("AreaHeight", default=None)
    area_width: float | None = element("AreaWidth", default=None)


@schema(TPTZ)
class GeoMoveResponse:
    pass


@schema(TPTZ)
class Stop:
    profile_token: str = element("ProfileToken")
    pan_tilt: bool | None = element("PanTilt", default=None)
    zoom: bool | None = element("Zoom", default=None)


@schema(TPTZ)
class StopResponse:
    pass


@schema(TPTZ)
class GetPresetTours:
    profile_token: str = element("ProfileToken")


@schema(TPTZ)
class GetPresetToursResponse:
    preset_tour: tuple[tt.PresetTour, ...] = element("PresetTour", default=())


@schema(TPTZ)
class GetPresetTour:
    profile_token: str = element("ProfileToken")
    preset_tour_token: str = element("PresetTourToken")


@schema(TPTZ)
class GetPresetTourResponse:
    preset_tour: tt.PresetTour = element("PresetTour")


@schema(TPTZ)
class GetPresetTourOptions:
    profile_token: str = element("ProfileToken")
    preset_tour_token: str | None = element("PresetTourToken", default=None)


@schema(TPTZ)
class GetPresetTourOptionsResponse:
    options: tt.PTZPresetTourOptions = element("Options")


@schema(TPTZ)
class CreatePresetTour:
    profile_token: str = element("ProfileToken")


@schema(TPTZ)
class CreatePresetTourResponse:
    preset_tour_token: str = element("PresetTourToken")


@schema(TPTZ)
class ModifyPresetTour:
    profile_token: str = element("ProfileToken")
    preset_tour: tt.PresetTour = element("PresetTour")


@schema(TPTZ)
class ModifyPresetTourResponse:
    pass


@schema(TPTZ)
class OperatePresetTour:
    profile_token: str = element("ProfileToken")
    preset_tour_token: str = element("PresetTourToken")
    operation: tt.PTZPresetTourOperation = element("Operation")


@schema(TPTZ)
class OperatePresetTourResponse:
    pass


@schema(TPTZ)
class RemovePresetTour:
    profile_token: str = element("ProfileToken")
    preset_tour_token: str = element("PresetTourToken")


@schema(TPTZ)
class RemovePresetTourResponse:
    pass


@schema(TPTZ)
class GetCompatibleConfigurations:
    profile_token: str = element("ProfileToken")


@schema(TPTZ)
class GetCompatibleConfigurationsResponse:
    ptz_configuration: tuple[tt.PTZConfiguration, ...] = element("PTZConfiguration", default=())


@schema(TPTZ)
class MoveAndStartTracking:
    profile_token: str = element("ProfileToken")
    preset_token: str | None = element("PresetToken", default=None)
    geo_location: tt.GeoLocation | None = element("GeoLocation", default=None)
    target_position: tt.PTZVector | None = element("TargetPosition", default=None)
    speed: tt.PTZSpeed | None = element("Speed", default=None)
    object_id: int | None = element("ObjectID", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TPTZ)
class MoveAndStartTrackingResponse:
    pass
