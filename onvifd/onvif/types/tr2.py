"""Media2, ver20 (Media2 5).

One class per schema type, so the module is long; there is nothing to read but declarations.
"""

from __future__ import annotations

from enum import StrEnum

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TR2
from onvifd.onvif.types import tt

NAMESPACE = TR2


class TTSVoiceType(StrEnum):
    MALE = "male"
    FEMALE = "female"


class SupportedAudioClipFormat(StrEnum):
    AUDIO_VND_WAVE_CODEC_1 = "audio/vnd.wave;codec=1"
    AUDIO_VND_WAVE_CODEC_7 = "audio/vnd.wave;codec=7"
    AUDIO_MPEG = "audio/mpeg"
    AUDIO_OGG_CODECS_OPUS = "audio/ogg;codecs=opus"
    AUDIO_OGG_CODECS_VORBIS = "audio/ogg;codecs=vorbis"
    AUDIO_OGG_CODECS_FLAC = "audio/ogg;codecs=flac"
    AUDIO_OGG_CODECS_SPEEX = "audio/ogg;codecs=speex"


class ConfigurationEnumeration(StrEnum):
    ALL = "All"
    VIDEO_SOURCE = "VideoSource"
    VIDEO_ENCODER = "VideoEncoder"
    AUDIO_SOURCE = "AudioSource"
    AUDIO_ENCODER = "AudioEncoder"
    AUDIO_OUTPUT = "AudioOutput"
    AUDIO_DECODER = "AudioDecoder"
    METADATA = "Metadata"
    ANALYTICS = "Analytics"
    PTZ = "PTZ"
    RECEIVER = "Receiver"


class TransportProtocol(StrEnum):
    RTSP_UNICAST = "RtspUnicast"
    RTSP_MULTICAST = "RtspMulticast"
    RTSPS_UNICAST = "RtspsUnicast"
    RTSPS_MULTICAST = "RtspsMulticast"
    RTSP = "RTSP"
    RTSP_OVER_HTTP = "RtspOverHttp"


class MaskType(StrEnum):
    COLOR = "Color"
    PIXELATED = "Pixelated"
    BLURRED = "Blurred"


@schema(TR2)
class GetServiceCapabilities:
    pass


@schema(TR2)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities2 = element("Capabilities")


@schema(TR2)
class Capabilities2:
    profile_capabilities: ProfileCapabilities = element("ProfileCapabilities")
    streaming_capabilities: StreamingCapabilities = element("StreamingCapabilities")
    audio_clip_capabilities: AudioClipCapabilities | None = element("AudioClipCapabilities", default=None)
    multicast_audio_decoder_capabilities: MulticastAudioDecoderCapabilities | None = element(
        "MulticastAudioDecoderCapabilities", default=None
    )
    any_: AnyElements = any_elements(default=())
    snapshot_uri: bool | None = attribute("SnapshotUri", default=None)
    rotation: bool | None = attribute("Rotation", default=None)
    video_source_mode: bool | None = attribute("VideoSourceMode", default=None)
    osd: bool | None = attribute("OSD", default=None)
    temporary_osd_text: bool | None = attribute("TemporaryOSDText", default=None)
    mask: bool | None = attribute("Mask", default=None)
    source_mask: bool | None = attribute("SourceMask", default=None)
    webrtc: int | None = attribute("WebRTC", default=None)
    webrtc_codecs: tuple[str, ...] | None = attribute("WebRTC_codecs", default=None, tokens=True)


@schema(TR2)
class Capabilities(Capabilities2):
    pass


@schema(TR2)
class ProfileCapabilities:
    any_: AnyElements = any_elements(default=())
    maximum_number_of_profiles: int | None = attribute("MaximumNumberOfProfiles", default=None)
    configurations_supported: tuple[str, ...] | None = attribute("ConfigurationsSupported", default=None, tokens=True)


@schema(TR2)
class StreamingCapabilities:
    any_: AnyElements = any_elements(default=())
    rtsp_streaming: bool | None = attribute("RTSPStreaming", default=None)
    rtp_multicast: bool | None = attribute("RTPMulticast", default=None)
    rtp_rtsp_tcp: bool | None = attribute("RTP_RTSP_TCP", default=None)
    non_aggregate_control: bool | None = attribute("NonAggregateControl", default=None)
    rtsp_web_socket_uri: str | None = attribute("RTSPWebSocketUri", default=None)
    auto_start_multicast: bool | None = attribute("AutoStartMulticast", default=None)
    secure_rtsp_streaming: bool | None = attribute("SecureRTSPStreaming", default=None)


@schema(TR2)
class MulticastAudioDecoderCapabilities:
    any_: AnyElements = any_elements(default=())
    multicast_audio_decoder: bool | None = attribute("MulticastAudioDecoder", default=None)
    srtp: bool | None = attribute("SRTP", default=None)
    ipv6: bool | None = attribute("IPv6", default=None)


@schema(TR2)
class AudioClipCapabilities:
    tts_capabilities: TTSCapabilities | None = element("TTSCapabilities", default=None)
    any_: AnyElements = any_elements(default=())
    max_audio_clip_limit: int | None = attribute("MaxAudioClipLimit", default=None)
    max_audio_clip_size: float | None = attribute("MaxAudioClipSize", default=None)
    supported_audio_clip_format: tuple[str, ...] | None = attribute(
        "SupportedAudioClipFormat", default=None, tokens=True
    )


@schema(TR2)
class TTSCapabilities:
    any_: AnyElements = any_elements(default=())
    max_content_length: int | None = attribute("MaxContentLength", default=None)
    tts_language: tuple[str, ...] | None = attribute("TTSLanguage", default=None, tokens=True)
    tts_voice_type: tuple[str, ...] | None = attribute("TTSVoiceType", default=None, tokens=True)


@schema(TR2)
class ConfigurationRef:
    type_: str = element("Type")
    token: str | None = element("Token", default=None)


@schema(TR2)
class ReceiverConfiguration(tt.ReceiverConfiguration):
    token: str | None = attribute("token", default=None)


@schema(TR2)
class ConfigurationSet:
    video_source: tt.VideoSourceConfiguration | None = element("VideoSource", default=None)
    audio_source: tt.AudioSourceConfiguration | None = element("AudioSource", default=None)
    video_encoder: tt.VideoEncoder2Configuration | None = element("VideoEncoder", default=None)
    audio_encoder: tt.AudioEncoder2Configuration | None = element("AudioEncoder", default=None)
    analytics: tt.VideoAnalyticsConfiguration | None = element("Analytics", default=None)
    ptz: tt.PTZConfiguration | None = element("PTZ", default=None)
    metadata: tt.MetadataConfiguration | None = element("Metadata", default=None)
    audio_output: tt.AudioOutputConfiguration | None = element("AudioOutput", default=None)
    audio_decoder: tt.AudioDecoderConfiguration | None = element("AudioDecoder", default=None)
    receiver: ReceiverConfiguration | None = element("Receiver", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TR2)
class MediaProfile:
    name: str = element("Name")
    configurations: ConfigurationSet | None = element("Configurations", default=None)
    token: str = attribute("token")
    fixed: bool | None = attribute("fixed", default=None)


@schema(TR2)
class CreateProfile:
    name: str = element("Name")
    configuration: tuple[ConfigurationRef, ...] = element("Configuration", default=())


@schema(TR2)
class CreateProfileResponse:
    token: str = element("Token")


@schema(TR2)
class GetProfiles:
    token: str | None = element("Token", default=None)
    type_: tuple[str, ...] = element("Type", default=())


@schema(TR2)
class GetProfilesResponse:
    profiles: tuple[MediaProfile, ...] = element("Profiles", default=())


@schema(TR2)
class AddConfiguration:
    profile_token: str = element("ProfileToken")
    name: str | None = element("Name", default=None)
    configuration: tuple[ConfigurationRef, ...] = element("Configuration", default=())


@schema(TR2)
class AddConfigurationResponse:
    pass


@schema(TR2)
class RemoveConfiguration:
    profile_token: str = element("ProfileToken")
    configuration: tuple[ConfigurationRef, ...] = element("Configuration")


@schema(TR2)
class RemoveConfigurationResponse:
    pass


@schema(TR2)
class DeleteProfile:
    token: str = element("Token")


@schema(TR2)
class DeleteProfileResponse:
    pass


@schema(TR2)
class GetConfiguration:
    configuration_token: str | None = element("ConfigurationToken", default=None)
    profile_token: str | None = element("ProfileToken", default=None)


@schema(TR2)
class GetVideoEncoderConfigurations(GetConfiguration):
    pass


@schema(TR2)
class GetVideoEncoderConfigurationsResponse:
    configurations: tuple[tt.VideoEncoder2Configuration, ...] = element("Configurations", default=())


@schema(TR2)
class GetVideoSourceConfigurations(GetConfiguration):
    pass


@schema(TR2)
class GetVideoSourceConfigurationsResponse:
    configurations: tuple[tt.VideoSourceConfiguration, ...] = element("Configurations", default=())


@schema(TR2)
class GetAudioEncoderConfigurations(GetConfiguration):
    pass


@schema(TR2)
class GetAudioEncoderConfigurationsResponse:
    configurations: tuple[tt.AudioEncoder2Configuration, ...] = element("Configurations", default=())


@schema(TR2)
class GetAudioSourceConfigurations(GetConfiguration):
    pass


@schema(TR2)
class GetAudioSourceConfigurationsResponse:
    configurations: tuple[tt.AudioSourceConfiguration, ...] = element("Configurations", default=())


@schema(TR2)
class GetAnalyticsConfigurations(GetConfiguration):
    pass


@schema(TR2)
class GetAnalyticsConfigurationsResponse:
    configurations: tuple[tt.VideoAnalyticsConfiguration, ...] = element("Configurations", default=())


@schema(TR2)
class GetMetadataConfigurations(GetConfiguration):
    pass


@schema(TR2)
class GetMetadataConfigurationsResponse:
    configurations: tuple[tt.MetadataConfiguration, ...] = element("Configurations", default=())


@schema(TR2)
class GetAudioOutputConfigurations(GetConfiguration):
    pass


@schema(TR2)
class GetAudioOutputConfigurationsResponse:
    configurations: tuple[tt.AudioOutputConfiguration, ...] = element("Configurations", default=())


@schema(TR2)
class GetAudioDecoderConfigurations(GetConfiguration):
    pass


@schema(TR2)
class GetAudioDecoderConfigurationsResponse:
    configurations: tuple[tt.AudioDecoderConfiguration, ...] = element("Configurations", default=())


@schema(TR2)
class SetVideoEncoderConfiguration:
    configuration: tt.VideoEncoder2Configuration = element("Configuration")


@schema(TR2)
class SetConfigurationResponse:
    pass


@schema(TR2)
class SetVideoEncoderConfigurationResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class SetVideoSourceConfiguration:
    configuration: tt.VideoSourceConfiguration = element("Configuration")


@schema(TR2)
class SetVideoSourceConfigurationResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class SetAudioEncoderConfiguration:
    configuration: tt.AudioEncoder2Configuration = element("Configuration")


@schema(TR2)
class SetAudioEncoderConfigurationResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class SetAudioSourceConfiguration:
    configuration: tt.AudioSourceConfiguration = element("Configuration")


@schema(TR2)
class SetAudioSourceConfigurationResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class SetMetadataConfiguration:
    configuration: tt.MetadataConfiguration = element("Configuration")


@schema(TR2)
class SetMetadataConfigurationResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class SetAudioOutputConfiguration:
    configuration: tt.AudioOutputConfiguration = element("Configuration")


@schema(TR2)
class SetAudioOutputConfigurationResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class SetAudioDecoderConfiguration:
    configuration: tt.AudioDecoderConfiguration = element("Configuration")


@schema(TR2)
class SetAudioDecoderConfigurationResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class SetEQPresetConfiguration:
    configuration: tt.EQPreset = element("Configuration")


@schema(TR2)
class SetEQPresetConfigurationResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class GetVideoSourceConfigurationOptions(GetConfiguration):
    pass


@schema(TR2)
class GetVideoSourceConfigurationOptionsResponse:
    options: tt.VideoSourceConfigurationOptions = element("Options")


@schema(TR2)
class GetVideoEncoderConfigurationOptions(GetConfiguration):
    pass


@schema(TR2)
class GetVideoEncoderConfigurationOptionsResponse:
    options: tuple[tt.VideoEncoder2ConfigurationOptions, ...] = element("Options")


@schema(TR2)
class GetAudioSourceConfigurationOptions(GetConfiguration):
    pass


@schema(TR2)
class GetAudioSourceConfigurationOptionsResponse:
    options: tt.AudioSourceConfigurationOptions = element("Options")


@schema(TR2)
class GetAudioEncoderConfigurationOptions(GetConfiguration):
    pass


@schema(TR2)
class GetAudioEncoderConfigurationOptionsResponse:
    options: tuple[tt.AudioEncoder2ConfigurationOptions, ...] = element("Options")


@schema(TR2)
class GetMetadataConfigurationOptions(GetConfiguration):
    pass


@schema(TR2)
class GetMetadataConfigurationOptionsResponse:
    options: tt.MetadataConfigurationOptions = element("Options")


@schema(TR2)
class GetAudioOutputConfigurationOptions(GetConfiguration):
    pass


@schema(TR2)
class GetAudioOutputConfigurationOptionsResponse:
    options: tt.AudioOutputConfigurationOptions = element("Options")


@schema(TR2)
class GetAudioDecoderConfigurationOptions(GetConfiguration):
    pass


@schema(TR2)
class GetAudioDecoderConfigurationOptionsResponse:
    options: tuple[tt.AudioEncoder2ConfigurationOptions, ...] = element("Options")


@schema(TR2)
class GetVideoEncoderInstances:
    configuration_token: str = element("ConfigurationToken")


@schema(TR2)
class EncoderInstance:
    encoding: str = element("Encoding")
    number: int = element("Number")


@schema(TR2)
class EncoderInstanceInfo:
    codec: tuple[EncoderInstance, ...] = element("Codec", default=())
    total: int = element("Total")
    any_: AnyElements = any_elements(default=())


@schema(TR2)
class GetVideoEncoderInstancesResponse:
    info: EncoderInstanceInfo = element("Info")


@schema(TR2)
class GetStreamUri:
    protocol: str = element("Protocol")
    profile_token: str = element("ProfileToken")


@schema(TR2)
class GetStreamUriResponse:
    uri: str = element("Uri")


@schema(TR2)
class SetSynchronizationPoint:
    profile_token: str = element("ProfileToken")


@schema(TR2)
class SetSynchronizationPointResponse:
    pass


@schema(TR2)
class GetSnapshotUri:
    profile_token: str = element("ProfileToken")


@schema(TR2)
class GetSnapshotUriResponse:
    uri: str = element("Uri")


@schema(TR2)
class StartStopMulticastStreaming:
    profile_token: str = element("ProfileToken")


@schema(TR2)
class StartMulticastStreaming(StartStopMulticastStreaming):
    pass


@schema(TR2)
class StartMulticastStreamingResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class StopMulticastStreaming(StartStopMulticastStreaming):
    pass


@schema(TR2)
class StopMulticastStreamingResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class GetVideoSourceModes:
    video_source_token: str = element("VideoSourceToken")


@schema(TR2)
class GetVideoSourceModesResponse:
    video_source_modes: tuple[VideoSourceMode, ...] = element("VideoSourceModes")


@schema(TR2)
class SetVideoSourceMode:
    video_source_token: str = element("VideoSourceToken")
    video_source_mode_token: str = element("VideoSourceModeToken")


@schema(TR2)
class SetVideoSourceModeResponse:
    reboot: bool = element("Reboot")


@schema(TR2)
class VideoSourceMode:
    max_framerate: float = element("MaxFramerate")
    max_resolution: tt.VideoResolution = element("MaxResolution")
    encodings: tuple[str, ...] = element("Encodings", tokens=True)
    reboot: bool = element("Reboot")
    description: str | None = element("Description", default=None)
    any_: AnyElements = any_elements(default=())
    token: str = attribute("token")
    enabled: bool | None = attribute("Enabled", default=None)


@schema(TR2)
class GetOSDs:
    osd_token: str | None = element("OSDToken", default=None)
    configuration_token: str | None = element("ConfigurationToken", default=None)


@schema(TR2)
class GetOSDsResponse:
    osds: tuple[tt.OSDConfiguration, ...] = element("OSDs", default=())


@schema(TR2)
class SetOSD:
    osd: tt.OSDConfiguration = element("OSD")


@schema(TR2)
class SetOSDResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class GetOSDOptions:
    configuration_token: str = element("ConfigurationToken")


@schema(TR2)
class GetOSDOptionsResponse:
    osd_options: tt.OSDConfigurationOptions = element("OSDOptions")


@schema(TR2)
class CreateOSD:
    osd: tt.OSDConfiguration = element("OSD")


@schema(TR2)
class CreateOSDResponse:
    osd_token: str = element("OSDToken")


@schema(TR2)
class DeleteOSD:
    osd_token: str = element("OSDToken")


@schema(TR2)
class DeleteOSDResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class Mask:
    configuration_token: str = element("ConfigurationToken")
    polygon: tt.Polygon = element("Polygon")
    type_: str = element("Type")
    color: tt.Color | None = element("Color", default=None)
    enabled: bool = element("Enabled")
    any_: AnyElements = any_elements(default=())
    token: str | None = attribute("token", default=None)


@schema(TR2)
class GetMasks:
    token: str | None = element("Token", default=None)
    configuration_token: str | None = element("ConfigurationToken", default=None)


@schema(TR2)
class GetMasksResponse:
    masks: tuple[Mask, ...] = element("Masks", default=())


@schema(TR2)
class SetMask:
    mask: Mask = element("Mask")


@schema(TR2)
class SetMaskResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class GetMaskOptions:
    configuration_token: str = element("ConfigurationToken")


@schema(TR2)
class MaskOptions:
    max_masks: int = element("MaxMasks")
    max_points: int = element("MaxPoints")
    types: tuple[str, ...] = element("Types")
    color: tt.ColorOptions = element("Color")
    any_: AnyElements = any_elements(default=())
    rectangle_only: bool | None = attribute("RectangleOnly", default=None)
    single_color_only: bool | None = attribute("SingleColorOnly", default=None)


@schema(TR2)
class GetMaskOptionsResponse:
    options: MaskOptions = element("Options")


@schema(TR2)
class CreateMask:
    mask: Mask = element("Mask")


@schema(TR2)
class CreateMaskResponse:
    token: str = element("Token")


@schema(TR2)
class DeleteMask:
    token: str = element("Token")


@schema(TR2)
class DeleteMaskResponse(SetConfigurationResponse):
    pass


@schema(TR2)
class WebRTCConfiguration:
    signaling_server: str = element("SignalingServer")
    cert_path_validation_policy_id: str | None = element("CertPathValidationPolicyID", default=None)
    authorization_server: str = element("AuthorizationServer")
    default_profile: str = element("DefaultProfile")
    enabled: bool = element("Enabled")
    connected: bool | None = element("Connected", default=None)
    error: str | None = element("Error", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TR2)
class GetWebRTCConfigurations:
    pass


@schema(TR2)
class GetWebRTCConfigurationsResponse:
    webrtc_configuration: tuple[WebRTCConfiguration, ...] = element("WebRTCConfiguration", default=())


@schema(TR2)
class SetWebRTCConfigurations:
    webrtc_configuration: tuple[WebRTCConfiguration, ...] = element("WebRTCConfiguration", default=())


@schema(TR2)
class SetWebRTCConfigurationsResponse:
    pass


@schema(TR2)
class AudioClip:
    enabled: bool = element("Enabled")
    name: str = element("Name")
    audio_output_token: tuple[str, ...] = element("AudioOutputToken", default=())
    type_: str = element("Type")
    repeat_cycles: int = element("RepeatCycles")
    repeat_interval: int | None = element("RepeatInterval", default=None)
    audio_output_level: int | None = element("AudioOutputLevel", default=None)
    schedule_token: str | None = element("ScheduleToken", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TR2)
class TTSAudio:
    content: str = element("Content")
    language: str = element("Language")
    voice_type: str = element("VoiceType")
    any_: AnyElements = any_elements(default=())


@schema(TR2)
class GetAudioClipsResponseItem:
    token: str = element("Token")
    configuration: AudioClip = element("Configuration")
    any_: AnyElements = any_elements(default=())


@schema(TR2)
class PlayingAudioClips:
    token: str = element("Token")
    name: str = element("Name")
    audio_output_token: tuple[str, ...] = element("AudioOutputToken")
    audio_output_level: int = element("AudioOutputLevel")
    repeats_left: int = element("RepeatsLeft")
    any_: AnyElements = any_elements(default=())


@schema(TR2)
class GetAudioClips:
    token: str | None = element("Token", default=None)


@schema(TR2)
class GetAudioClipsResponse:
    audio_clip_item: tuple[GetAudioClipsResponseItem, ...] = element("AudioClipItem", default=())


@schema(TR2)
class AddAudioClip:
    token: str | None = element("Token", default=None)
    configuration: AudioClip = element("Configuration")


@schema(TR2)
class AddAudioClipResponse:
    token: str = element("Token")
    upload_uri: str = element("UploadUri")
    expiry_time: int = element("ExpiryTime", form=Form.DATETIME)


@schema(TR2)
class SetAudioClip:
    token: str = element("Token")
    configuration: AudioClip = element("Configuration")


@schema(TR2)
class SetAudioClipResponse:
    pass


@schema(TR2)
class AddTTSAudioClip:
    token: str | None = element("Token", default=None)
    configuration: AudioClip = element("Configuration")
    tts_configuration: TTSAudio = element("TTSConfiguration")


@schema(TR2)
class AddTTSAudioClipResponse:
    token: str = element("Token")


@schema(TR2)
class DeleteAudioClip:
    token: str = element("Token")


@schema(TR2)
class DeleteAudioClipResponse:
    pass


@schema(TR2)
class PlayAudioClip:
    token: str = element("Token")
    audio_output_token: tuple[str, ...] = element("AudioOutputToken", default=())
    play: bool = element("Play")
    repeat_cycles: int | None = element("RepeatCycles", default=None)


@schema(TR2)
class PlayAudioClipResponse:
    pass


@schema(TR2)
class GetPlayingAudioClips:
    pass


@schema(TR2)
class GetPlayingAudioClipsResponse:
    playing_audio_clips: tuple[PlayingAudioClips, ...] = element("PlayingAudioClips", default=())


@schema(TR2)
class GetMulticastAudioDecoderConfigurations:
    configuration_token: str | None = element("ConfigurationToken", default=None)


@schema(TR2)
class GetMulticastAudioDecoderConfigurationsResponse:
    configurations: tuple[tt.MulticastAudioDecoderConfiguration, ...] = element("Configurations", default=())


@schema(TR2)
class GetMulticastAudioDecoderConfigurationOptions:
    configuration_token: str | None = element("ConfigurationToken", default=None)


@schema(TR2)
class GetMulticastAudioDecoderConfigurationOptionsResponse:
    options: tuple[tt.MulticastAudioDecoderConfigurationOptions, ...] = element("Options")


@schema(TR2)
class SetMulticastAudioDecoderConfiguration:
    configuration: tt.MulticastAudioDecoderConfiguration = element("Configuration")


@schema(TR2)
class SetMulticastAudioDecoderConfigurationResponse(SetConfigurationResponse):
    pass
