"""Media, ver10 (Media 5)."""

from __future__ import annotations

from onvifd.onvif.soap.codec import AnyElements, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TRT
from onvifd.onvif.types import tt

NAMESPACE = TRT


@schema(TRT)
class GetServiceCapabilities:
    pass


@schema(TRT)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TRT)
class Capabilities:
    profile_capabilities: ProfileCapabilities = element("ProfileCapabilities")
    streaming_capabilities: StreamingCapabilities = element("StreamingCapabilities")
    any_: AnyElements = any_elements(default=())
    snapshot_uri: bool | None = attribute("SnapshotUri", default=None)
    rotation: bool | None = attribute("Rotation", default=None)
    video_source_mode: bool | None = attribute("VideoSourceMode", default=None)
    osd: bool | None = attribute("OSD", default=None)
    temporary_osd_text: bool | None = attribute("TemporaryOSDText", default=None)
    exi_compression: bool | None = attribute("EXICompression", default=None)


@schema(TRT)
class ProfileCapabilities:
    any_: AnyElements = any_elements(default=())
    maximum_number_of_profiles: int | None = attribute("MaximumNumberOfProfiles", default=None)


@schema(TRT)
class StreamingCapabilities:
    any_: AnyElements = any_elements(default=())
    rtp_multicast: bool | None = attribute("RTPMulticast", default=None)
    rtp_tcp: bool | None = attribute("RTP_TCP", default=None)
    rtp_rtsp_tcp: bool | None = attribute("RTP_RTSP_TCP", default=None)
    non_aggregate_control: bool | None = attribute("NonAggregateControl", default=None)
    no_rtsp_streaming: bool | None = attribute("NoRTSPStreaming", default=None)


@schema(TRT)
class GetVideoSources:
    pass


@schema(TRT)
class GetVideoSourcesResponse:
    video_sources: tuple[tt.VideoSource, ...] = element("VideoSources", default=())


@schema(TRT)
class GetAudioSources:
    pass


@schema(TRT)
class GetAudioSourcesResponse:
    audio_sources: tuple[tt.AudioSource, ...] = element("AudioSources", default=())


@schema(TRT)
class GetAudioOutputs:
    pass


@schema(TRT)
class GetAudioOutputsResponse:
    audio_outputs: tuple[tt.AudioOutput, ...] = element("AudioOutputs", default=())


@schema(TRT)
class CreateProfile:
    name: str = element("Name")
    token: str | None = element("Token", default=None)


@schema(TRT)
class CreateProfileResponse:
    profile: tt.Profile = element("Profile")


@schema(TRT)
class GetProfile:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetProfileResponse:
    profile: tt.Profile = element("Profile")


@schema(TRT)
class GetProfiles:
    pass


@schema(TRT)
class GetProfilesResponse:
    profiles: tuple[tt.Profile, ...] = element("Profiles", default=())


@schema(TRT)
class AddVideoEncoderConfiguration:
    profile_token: str = element("ProfileToken")
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class AddVideoEncoderConfigurationResponse:
    pass


@schema(TRT)
class RemoveVideoEncoderConfiguration:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class RemoveVideoEncoderConfigurationResponse:
    pass


@schema(TRT)
class AddVideoSourceConfiguration:
    profile_token: str = element("ProfileToken")
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class AddVideoSourceConfigurationResponse:
    pass


@schema(TRT)
class RemoveVideoSourceConfiguration:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class RemoveVideoSourceConfigurationResponse:
    pass


@schema(TRT)
class AddAudioEncoderConfiguration:
    profile_token: str = element("ProfileToken")
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class AddAudioEncoderConfigurationResponse:
    pass


@schema(TRT)
class RemoveAudioEncoderConfiguration:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class RemoveAudioEncoderConfigurationResponse:
    pass


@schema(TRT)
class AddAudioSourceConfiguration:
    profile_token: str = element("ProfileToken")
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class AddAudioSourceConfigurationResponse:
    pass


@schema(TRT)
class RemoveAudioSourceConfiguration:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class RemoveAudioSourceConfigurationResponse:
    pass


@schema(TRT)
class AddPTZConfiguration:
    profile_token: str = element("ProfileToken")
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class AddPTZConfigurationResponse:
    pass


@schema(TRT)
class RemovePTZConfiguration:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class RemovePTZConfigurationResponse:
    pass


@schema(TRT)
class AddVideoAnalyticsConfiguration:
    profile_token: str = element("ProfileToken")
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class AddVideoAnalyticsConfigurationResponse:
    pass


@schema(TRT)
class RemoveVideoAnalyticsConfiguration:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class RemoveVideoAnalyticsConfigurationResponse:
    pass


@schema(TRT)
class AddMetadataConfiguration:
    profile_token: str = element("ProfileToken")
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class AddMetadataConfigurationResponse:
    pass


@schema(TRT)
class RemoveMetadataConfiguration:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class RemoveMetadataConfigurationResponse:
    pass


@schema(TRT)
class AddAudioOutputConfiguration:
    profile_token: str = element("ProfileToken")
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class AddAudioOutputConfigurationResponse:
    pass


@schema(TRT)
class RemoveAudioOutputConfiguration:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class RemoveAudioOutputConfigurationResponse:
    pass


@schema(TRT)
class AddAudioDecoderConfiguration:
    profile_token: str = element("ProfileToken")
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class AddAudioDecoderConfigurationResponse:
    pass


@schema(TRT)
class RemoveAudioDecoderConfiguration:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class RemoveAudioDecoderConfigurationResponse:
    pass


@schema(TRT)
class DeleteProfile:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class DeleteProfileResponse:
    pass


@schema(TRT)
class GetVideoEncoderConfigurations:
    pass


@schema(TRT)
class GetVideoEncoderConfigurationsResponse:
    configurations: tuple[tt.VideoEncoderConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetVideoSourceConfigurations:
    pass


@schema(TRT)
class GetVideoSourceConfigurationsResponse:
    configurations: tuple[tt.VideoSourceConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetAudioEncoderConfigurations:
    pass


@schema(TRT)
class GetAudioEncoderConfigurationsResponse:
    configurations: tuple[tt.AudioEncoderConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetAudioSourceConfigurations:
    pass


@schema(TRT)
class GetAudioSourceConfigurationsResponse:
    configurations: tuple[tt.AudioSourceConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetVideoAnalyticsConfigurations:
    pass


@schema(TRT)
class GetVideoAnalyticsConfigurationsResponse:
    configurations: tuple[tt.VideoAnalyticsConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetMetadataConfigurations:
    pass


@schema(TRT)
class GetMetadataConfigurationsResponse:
    configurations: tuple[tt.MetadataConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetAudioOutputConfigurations:
    pass


@schema(TRT)
class GetAudioOutputConfigurationsResponse:
    configurations: tuple[tt.AudioOutputConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetAudioDecoderConfigurations:
    pass


@schema(TRT)
class GetAudioDecoderConfigurationsResponse:
    configurations: tuple[tt.AudioDecoderConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetVideoSourceConfiguration:
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class GetVideoSourceConfigurationResponse:
    configuration: tt.VideoSourceConfiguration = element("Configuration")


@schema(TRT)
class GetVideoEncoderConfiguration:
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class GetVideoEncoderConfigurationResponse:
    configuration: tt.VideoEncoderConfiguration = element("Configuration")


@schema(TRT)
class GetAudioSourceConfiguration:
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class GetAudioSourceConfigurationResponse:
    configuration: tt.AudioSourceConfiguration = element("Configuration")


@schema(TRT)
class GetAudioEncoderConfiguration:
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class GetAudioEncoderConfigurationResponse:
    configuration: tt.AudioEncoderConfiguration = element("Configuration")


@schema(TRT)
class GetVideoAnalyticsConfiguration:
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class GetVideoAnalyticsConfigurationResponse:
    configuration: tt.VideoAnalyticsConfiguration = element("Configuration")


@schema(TRT)
class GetMetadataConfiguration:
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class GetMetadataConfigurationResponse:
    configuration: tt.MetadataConfiguration = element("Configuration")


@schema(TRT)
class GetAudioOutputConfiguration:
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class GetAudioOutputConfigurationResponse:
    configuration: tt.AudioOutputConfiguration = element("Configuration")


@schema(TRT)
class GetAudioDecoderConfiguration:
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class GetAudioDecoderConfigurationResponse:
    configuration: tt.AudioDecoderConfiguration = element("Configuration")


@schema(TRT)
class GetCompatibleVideoEncoderConfigurations:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetCompatibleVideoEncoderConfigurationsResponse:
    configurations: tuple[tt.VideoEncoderConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetCompatibleVideoSourceConfigurations:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetCompatibleVideoSourceConfigurationsResponse:
    configurations: tuple[tt.VideoSourceConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetCompatibleAudioEncoderConfigurations:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetCompatibleAudioEncoderConfigurationsResponse:
    configurations: tuple[tt.AudioEncoderConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetCompatibleAudioSourceConfigurations:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetCompatibleAudioSourceConfigurationsResponse:
    configurations: tuple[tt.AudioSourceConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetCompatibleVideoAnalyticsConfigurations:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetCompatibleVideoAnalyticsConfigurationsResponse:
    configurations: tuple[tt.VideoAnalyticsConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetCompatibleMetadataConfigurations:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetCompatibleMetadataConfigurationsResponse:
    configurations: tuple[tt.MetadataConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetCompatibleAudioOutputConfigurations:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetCompatibleAudioOutputConfigurationsResponse:
    configurations: tuple[tt.AudioOutputConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class GetCompatibleAudioDecoderConfigurations:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetCompatibleAudioDecoderConfigurationsResponse:
    configurations: tuple[tt.AudioDecoderConfiguration, ...] = element("Configurations", default=())


@schema(TRT)
class SetVideoEncoderConfiguration:
    configuration: tt.VideoEncoderConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence", absent=True)


@schema(TRT)
class SetVideoEncoderConfigurationResponse:
    pass


@schema(TRT)
class SetVideoSourceConfiguration:
    configuration: tt.VideoSourceConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence", absent=True)


@schema(TRT)
class SetVideoSourceConfigurationResponse:
    pass


@schema(TRT)
class SetAudioEncoderConfiguration:
    configuration: tt.AudioEncoderConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence", absent=True)


@schema(TRT)
class SetAudioEncoderConfigurationResponse:
    pass


@schema(TRT)
class SetAudioSourceConfiguration:
    configuration: tt.AudioSourceConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence", absent=True)


@schema(TRT)
class SetAudioSourceConfigurationResponse:
    pass


@schema(TRT)
class SetVideoAnalyticsConfiguration:
    configuration: tt.VideoAnalyticsConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence", absent=True)


@schema(TRT)
class SetVideoAnalyticsConfigurationResponse:
    pass


@schema(TRT)
class SetMetadataConfiguration:
    configuration: tt.MetadataConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence", absent=True)


@schema(TRT)
class SetMetadataConfigurationResponse:
    pass


@schema(TRT)
class SetAudioOutputConfiguration:
    configuration: tt.AudioOutputConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence", absent=True)


@schema(TRT)
class SetAudioOutputConfigurationResponse:
    pass


@schema(TRT)
class SetAudioDecoderConfiguration:
    configuration: tt.AudioDecoderConfiguration = element("Configuration")
    force_persistence: bool = element("ForcePersistence", absent=True)


@schema(TRT)
class SetAudioDecoderConfigurationResponse:
    pass


@schema(TRT)
class GetVideoSourceConfigurationOptions:
    configuration_token: str | None = element("ConfigurationToken", default=None)
    profile_token: str | None = element("ProfileToken", default=None)


@schema(TRT)
class GetVideoSourceConfigurationOptionsResponse:
    options: tt.VideoSourceConfigurationOptions = element("Options")


@schema(TRT)
class GetVideoEncoderConfigurationOptions:
    configuration_token: str | None = element("ConfigurationToken", default=None)
    profile_token: str | None = element("ProfileToken", default=None)


@schema(TRT)
class GetVideoEncoderConfigurationOptionsResponse:
    options: tt.VideoEncoderConfigurationOptions = element("Options")


@schema(TRT)
class GetAudioSourceConfigurationOptions:
    configuration_token: str | None = element("ConfigurationToken", default=None)
    profile_token: str | None = element("ProfileToken", default=None)


@schema(TRT)
class GetAudioSourceConfigurationOptionsResponse:
    options: tt.AudioSourceConfigurationOptions = element("Options")


@schema(TRT)
class GetAudioEncoderConfigurationOptions:
    configuration_token: str | None = element("ConfigurationToken", default=None)
    profile_token: str | None = element("ProfileToken", default=None)


@schema(TRT)
class GetAudioEncoderConfigurationOptionsResponse:
    options: tt.AudioEncoderConfigurationOptions = element("Options")


@schema(TRT)
class GetMetadataConfigurationOptions:
    configuration_token: str | None = element("ConfigurationToken", default=None)
    profile_token: str | None = element("ProfileToken", default=None)


@schema(TRT)
class GetMetadataConfigurationOptionsResponse:
    options: tt.MetadataConfigurationOptions = element("Options")


@schema(TRT)
class GetAudioOutputConfigurationOptions:
    configuration_token: str | None = element("ConfigurationToken", default=None)
    profile_token: str | None = element("ProfileToken", default=None)


@schema(TRT)
class GetAudioOutputConfigurationOptionsResponse:
    options: tt.AudioOutputConfigurationOptions = element("Options")


@schema(TRT)
class GetAudioDecoderConfigurationOptions:
    configuration_token: str | None = element("ConfigurationToken", default=None)
    profile_token: str | None = element("ProfileToken", default=None)


@schema(TRT)
class GetAudioDecoderConfigurationOptionsResponse:
    options: tt.AudioDecoderConfigurationOptions = element("Options")


@schema(TRT)
class GetGuaranteedNumberOfVideoEncoderInstances:
    configuration_token: str = element("ConfigurationToken")


@schema(TRT)
class GetGuaranteedNumberOfVideoEncoderInstancesResponse:
    total_number: int = element("TotalNumber")
    jpeg: int | None = element("JPEG", default=None)
    h264: int | None = element("H264", default=None)
    mpeg4: int | None = element("MPEG4", default=None)


@schema(TRT)
class GetStreamUri:
    stream_setup: tt.StreamSetup = element("StreamSetup")
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetStreamUriResponse:
    media_uri: tt.MediaUri = element("MediaUri")


@schema(TRT)
class StartMulticastStreaming:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class StartMulticastStreamingResponse:
    pass


@schema(TRT)
class StopMulticastStreaming:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class StopMulticastStreamingResponse:
    pass


@schema(TRT)
class SetSynchronizationPoint:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class SetSynchronizationPointResponse:
    pass


@schema(TRT)
class GetSnapshotUri:
    profile_token: str = element("ProfileToken")


@schema(TRT)
class GetSnapshotUriResponse:
    media_uri: tt.MediaUri = element("MediaUri")


@schema(TRT)
class GetVideoSourceModes:
    video_source_token: str = element("VideoSourceToken")


@schema(TRT)
class GetVideoSourceModesResponse:
    video_source_modes: tuple[VideoSourceMode, ...] = element("VideoSourceModes")


@schema(TRT)
class SetVideoSourceMode:
    video_source_token: str = element("VideoSourceToken")
    video_source_mode_token: str = element("VideoSourceModeToken")


@schema(TRT)
class SetVideoSourceModeResponse:
    reboot: bool = element("Reboot")


@schema(TRT)
class VideoSourceMode:
    max_framerate: float = element("MaxFramerate")
    max_resolution: tt.VideoResolution = element("MaxResolution")
    encodings: tuple[str, ...] = element("Encodings", tokens=True)
    reboot: bool = element("Reboot")
    description: str | None = element("Description", default=None)
    extension: VideoSourceModeExtension | None = element("Extension", default=None)
    token: str = attribute("token")
    enabled: bool | None = attribute("Enabled", default=None)


@schema(TRT)
class VideoSourceModeExtension:
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class GetOSDs:
    configuration_token: str | None = element("ConfigurationToken", default=None)


@schema(TRT)
class GetOSDsResponse:
    osds: tuple[tt.OSDConfiguration, ...] = element("OSDs", default=())


@schema(TRT)
class GetOSD:
    osd_token: str = element("OSDToken")
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class GetOSDResponse:
    osd: tt.OSDConfiguration = element("OSD")
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class SetOSD:
    osd: tt.OSDConfiguration = element("OSD")
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class SetOSDResponse:
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class GetOSDOptions:
    configuration_token: str = element("ConfigurationToken")
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class GetOSDOptionsResponse:
    osd_options: tt.OSDConfigurationOptions = element("OSDOptions")
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class CreateOSD:
    osd: tt.OSDConfiguration = element("OSD")
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class CreateOSDResponse:
    osd_token: str = element("OSDToken")
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class DeleteOSD:
    osd_token: str = element("OSDToken")
    any_: AnyElements = any_elements(default=())


@schema(TRT)
class DeleteOSDResponse:
    any_: AnyElements = any_elements(default=())
