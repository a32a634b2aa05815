"""Types of the common ONVIF schema (Core specification).

One class per schema type, so the module is long; there is nothing to read but declarations.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema, text
from onvifd.onvif.soap.namespaces import TT, XMIME, XOP
from onvifd.onvif.types import wsnt, xop

NAMESPACE = TT


class RotateMode(StrEnum):
    OFF = "OFF"
    ON = "ON"
    AUTO = "AUTO"


class SceneOrientationMode(StrEnum):
    MANUAL = "MANUAL"
    AUTO = "AUTO"


class VideoEncoding(StrEnum):
    JPEG = "JPEG"
    MPEG4 = "MPEG4"
    H264 = "H264"


class Mpeg4Profile(StrEnum):
    SP = "SP"
    ASP = "ASP"


class H264Profile(StrEnum):
    BASELINE = "Baseline"
    MAIN = "Main"
    EXTENDED = "Extended"
    HIGH = "High"


class AudioEncoding(StrEnum):
    G711 = "G711"
    G726 = "G726"
    AAC = "AAC"


class StreamType(StrEnum):
    RTP_UNICAST = "RTP-Unicast"
    RTP_MULTICAST = "RTP-Multicast"


class TransportProtocol(StrEnum):
    UDP = "UDP"
    TCP = "TCP"
    RTSP = "RTSP"
    HTTP = "HTTP"


class ScopeDefinition(StrEnum):
    FIXED = "Fixed"
    CONFIGURABLE = "Configurable"


class DiscoveryMode(StrEnum):
    DISCOVERABLE = "Discoverable"
    NON_DISCOVERABLE = "NonDiscoverable"


class Duplex(StrEnum):
    FULL = "Full"
    HALF = "Half"


class IPv6DHCPConfiguration(StrEnum):
    AUTO = "Auto"
    STATEFUL = "Stateful"
    STATELESS = "Stateless"
    OFF = "Off"


class NetworkProtocolType(StrEnum):
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    RTSP = "RTSP"


class NetworkHostType(StrEnum):
    IPV4 = "IPv4"
    IPV6 = "IPv6"
    DNS = "DNS"


class IPType(StrEnum):
    IPV4 = "IPv4"
    IPV6 = "IPv6"


class IPAddressFilterType(StrEnum):
    ALLOW = "Allow"
    DENY = "Deny"


class DynamicDNSType(StrEnum):
    NO_UPDATE = "NoUpdate"
    CLIENT_UPDATES = "ClientUpdates"
    SERVER_UPDATES = "ServerUpdates"


class Dot11StationMode(StrEnum):
    AD_HOC = "Ad-hoc"
    INFRASTRUCTURE = "Infrastructure"
    EXTENDED = "Extended"


class Dot11SecurityMode(StrEnum):
    NONE = "None"
    WEP = "WEP"
    PSK = "PSK"
    DOT1X = "Dot1X"
    EXTENDED = "Extended"


class Dot11Cipher(StrEnum):
    CCMP = "CCMP"
    TKIP = "TKIP"
    ANY = "Any"
    EXTENDED = "Extended"


class Dot11SignalStrength(StrEnum):
    NONE = "None"
    VERY_BAD = "Very Bad"
    BAD = "Bad"
    GOOD = "Good"
    VERY_GOOD = "Very Good"
    EXTENDED = "Extended"


class Dot11AuthAndMangementSuite(StrEnum):
    NONE = "None"
    DOT1X = "Dot1X"
    PSK = "PSK"
    EXTENDED = "Extended"


class CapabilityCategory(StrEnum):
    ALL = "All"
    ANALYTICS = "Analytics"
    DEVICE = "Device"
    EVENTS = "Events"
    IMAGING = "Imaging"
    MEDIA = "Media"
    PTZ = "PTZ"


class SystemLogType(StrEnum):
    SYSTEM = "System"
    ACCESS = "Access"


class FactoryDefaultType(StrEnum):
    HARD = "Hard"
    SOFT = "Soft"


class SetDateTimeType(StrEnum):
    MANUAL = "Manual"
    NTP = "NTP"


class UserLevel(StrEnum):
    ADMINISTRATOR = "Administrator"
    OPERATOR = "Operator"
    USER = "User"
    ANONYMOUS = "Anonymous"
    EXTENDED = "Extended"


class RelayLogicalState(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"


class RelayIdleState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"


class RelayMode(StrEnum):
    MONOSTABLE = "Monostable"
    BISTABLE = "Bistable"


class DigitalIdleState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"


class EFlipMode(StrEnum):
    OFF = "OFF"
    ON = "ON"
    EXTENDED = "Extended"


class ReverseMode(StrEnum):
    OFF = "OFF"
    ON = "ON"
    AUTO = "AUTO"
    EXTENDED = "Extended"


class PTZPresetTourState(StrEnum):
    IDLE = "Idle"
    TOURING = "Touring"
    PAUSED = "Paused"
    EXTENDED = "Extended"


class PTZPresetTourDirection(StrEnum):
    FORWARD = "Forward"
    BACKWARD = "Backward"
    EXTENDED = "Extended"


class PTZPresetTourOperation(StrEnum):
    START = "Start"
    STOP = "Stop"
    PAUSE = "Pause"
    EXTENDED = "Extended"


class AutoFocusMode(StrEnum):
    AUTO = "AUTO"
    MANUAL = "MANUAL"


class WideDynamicMode(StrEnum):
    OFF = "OFF"
    ON = "ON"


class BacklightCompensationMode(StrEnum):
    OFF = "OFF"
    ON = "ON"


class ExposurePriority(StrEnum):
    LOW_NOISE = "LowNoise"
    FRAME_RATE = "FrameRate"


class ExposureMode(StrEnum):
    AUTO = "AUTO"
    MANUAL = "MANUAL"


class WhiteBalanceMode(StrEnum):
    AUTO = "AUTO"
    MANUAL = "MANUAL"


class IrCutFilterMode(StrEnum):
    ON = "ON"
    OFF = "OFF"
    AUTO = "AUTO"


class ImageStabilizationMode(StrEnum):
    OFF = "OFF"
    ON = "ON"
    AUTO = "AUTO"
    EXTENDED = "Extended"


class PropertyOperation(StrEnum):
    INITIALIZED = "Initialized"
    DELETED = "Deleted"
    CHANGED = "Changed"


class ReceiverMode(StrEnum):
    AUTO_CONNECT = "AutoConnect"
    ALWAYS_CONNECT = "AlwaysConnect"
    NEVER_CONNECT = "NeverConnect"
    UNKNOWN = "Unknown"


class SearchState(StrEnum):
    QUEUED = "Queued"
    SEARCHING = "Searching"
    COMPLETED = "Completed"
    UNKNOWN = "Unknown"


class ReceiverState(StrEnum):
    NOT_CONNECTED = "NotConnected"
    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    UNKNOWN = "Unknown"


class RecordingStatus(StrEnum):
    INITIATED = "Initiated"
    RECORDING = "Recording"
    STOPPED = "Stopped"
    REMOVING = "Removing"
    REMOVED = "Removed"
    UNKNOWN = "Unknown"


class TrackType(StrEnum):
    VIDEO = "Video"
    AUDIO = "Audio"
    METADATA = "Metadata"
    EXTENDED = "Extended"


class OSDType(StrEnum):
    TEXT = "Text"
    IMAGE = "Image"
    EXTENDED = "Extended"


class MoveStatus(StrEnum):
    IDLE = "IDLE"
    MOVING = "MOVING"
    UNKNOWN = "UNKNOWN"


@schema(TT)
class DeviceEntity:
    token: str = attribute("token")


@schema(TT)
class IntRectangle:
    x: int = attribute("x")
    y: int = attribute("y")
    width: int = attribute("width")
    height: int = attribute("height")


@schema(TT)
class IntItems:
    items: tuple[int, ...] = element("Items", default=())


@schema(TT)
class FloatItems:
    items: tuple[float, ...] = element("Items", default=())


@schema(TT)
class FloatRange:
    min_: float = element("Min")
    max_: float = element("Max")


@schema(TT)
class DurationRange:
    min_: timedelta = element("Min")
    max_: timedelta = element("Max")


@schema(TT)
class IntRectangleRange:
    x_range: IntRange = element("XRange")
    y_range: IntRange = element("YRange")
    width_range: IntRange = element("WidthRange")
    height_range: IntRange = element("HeightRange")


@schema(TT)
class VideoSource(DeviceEntity):
    framerate: float = element("Framerate")
    resolution: VideoResolution = element("Resolution")
    imaging: ImagingSettings | None = element("Imaging", default=None)
    extension: VideoSourceExtension | None = element("Extension", default=None)


@schema(TT)
class VideoSourceExtension:
    any_: AnyElements = any_elements(default=())
    imaging: ImagingSettings20 | None = element("Imaging", default=None)
    extension: VideoSourceExtension2 | None = element("Extension", default=None)


@schema(TT)
class VideoSourceExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioSource(DeviceEntity):
    channels: int = element("Channels")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Profile:
    name: str = element("Name")
    video_source_configuration: VideoSourceConfiguration | None = element("VideoSourceConfiguration", default=None)
    audio_source_configuration: AudioSourceConfiguration | None = element("AudioSourceConfiguration", default=None)
    video_encoder_configuration: VideoEncoderConfiguration | None = element("VideoEncoderConfiguration", default=None)
    audio_encoder_configuration: AudioEncoderConfiguration | None = element("AudioEncoderConfiguration", default=None)
    video_analytics_configuration: VideoAnalyticsConfiguration | None = element(
        "VideoAnalyticsConfiguration", default=None
    )
    ptz_configuration: PTZConfiguration | None = element("PTZConfiguration", default=None)
    metadata_configuration: MetadataConfiguration | None = element("MetadataConfiguration", default=None)
    extension: ProfileExtension | None = element("Extension", default=None)
    token: str = attribute("token")
    fixed: bool | None = attribute("fixed", default=None)


@schema(TT)
class ProfileExtension:
    any_: AnyElements = any_elements(default=())
    audio_output_configuration: AudioOutputConfiguration | None = element("AudioOutputConfiguration", default=None)
    audio_decoder_configuration: AudioDecoderConfiguration | None = element("AudioDecoderConfiguration", default=None)
    extension: ProfileExtension2 | None = element("Extension", default=None)


@schema(TT)
class ProfileExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ConfigurationEntity:
    name: str = element("Name")
    use_count: int = element("UseCount", absent=0)
    token: str = attribute("token")


@schema(TT)
class VideoSourceConfiguration(ConfigurationEntity):
    source_token: str = element("SourceToken")
    bounds: IntRectangle = element("Bounds")
    any_: AnyElements = any_elements(default=())
    extension: VideoSourceConfigurationExtension | None = element("Extension", default=None)
    view_mode: str | None = attribute("ViewMode", default=None)


@schema(TT)
class VideoSourceConfigurationExtension:
    rotate: Rotate | None = element("Rotate", default=None)
    extension: VideoSourceConfigurationExtension2 | None = element("Extension", default=None)


@schema(TT)
class VideoSourceConfigurationExtension2:
    lens_description: tuple[LensDescription, ...] = element("LensDescription", default=())
    scene_orientation: SceneOrientation | None = element("SceneOrientation", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Rotate:
    mode: RotateMode = element("Mode")
    degree: int | None = element("Degree", default=None)
    extension: RotateExtension | None = element("Extension", default=None)
    mirror: bool | None = attribute("Mirror", default=None)


@schema(TT)
class RotateExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class LensProjection:
    angle: float = element("Angle")
    radius: float = element("Radius")
    transmittance: float | None = element("Transmittance", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class LensOffset:
    x: float | None = attribute("x", default=None)
    y: float | None = attribute("y", default=None)


@schema(TT)
class LensDescription:
    offset: LensOffset = element("Offset")
    projection: tuple[LensProjection, ...] = element("Projection")
    x_factor: float = element("XFactor")
    any_: AnyElements = any_elements(default=())
    focal_length: float | None = attribute("FocalLength", default=None)


@schema(TT)
class VideoSourceConfigurationOptions:
    bounds_range: IntRectangleRange = element("BoundsRange")
    video_source_tokens_available: tuple[str, ...] = element("VideoSourceTokensAvailable")
    extension: VideoSourceConfigurationOptionsExtension | None = element("Extension", default=None)
    maximum_number_of_profiles: int | None = attribute("MaximumNumberOfProfiles", default=None)


@schema(TT)
class VideoSourceConfigurationOptionsExtension:
    any_: AnyElements = any_elements(default=())
    rotate: RotateOptions | None = element("Rotate", default=None)
    extension: VideoSourceConfigurationOptionsExtension2 | None = element("Extension", default=None)


@schema(TT)
class VideoSourceConfigurationOptionsExtension2:
    scene_orientation_mode: tuple[SceneOrientationMode, ...] = element("SceneOrientationMode", default=())
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RotateOptions:
    mode: tuple[RotateMode, ...] = element("Mode")
    degree_list: IntItems | None = element("DegreeList", default=None)
    extension: RotateOptionsExtension | None = element("Extension", default=None)
    reboot: bool | None = attribute("Reboot", default=None)
    mirror: bool | None = attribute("Mirror", default=None)


@schema(TT)
class RotateOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SceneOrientation:
    mode: SceneOrientationMode = element("Mode")
    orientation: str | None = element("Orientation", default=None)


@schema(TT)
class VideoEncoderConfiguration(ConfigurationEntity):
    encoding: VideoEncoding = element("Encoding")
    resolution: VideoResolution = element("Resolution")
    quality: float = element("Quality")
    rate_control: VideoRateControl | None = element("RateControl", default=None)
    mpeg4: Mpeg4Configuration | None = element("MPEG4", default=None)
    h264: H264Configuration | None = element("H264", default=None)
    multicast: MulticastConfiguration = element("Multicast")
    session_timeout: timedelta = element("SessionTimeout", absent=timedelta(0))
    any_: AnyElements = any_elements(default=())
    guaranteed_frame_rate: bool | None = attribute("GuaranteedFrameRate", default=None)


@schema(TT)
class VideoResolution:
    width: int = element("Width")
    height: int = element("Height")


@schema(TT)
class VideoRateControl:
    frame_rate_limit: int = element("FrameRateLimit")
    encoding_interval: int = element("EncodingInterval")
    bitrate_limit: int = element("BitrateLimit")


@schema(TT)
class Mpeg4Configuration:
    gov_length: int = element("GovLength")
    mpeg4_profile: Mpeg4Profile = element("Mpeg4Profile")


@schema(TT)
class H264Configuration:
    gov_length: int = element("GovLength")
    h264_profile: H264Profile = element("H264Profile")


@schema(TT)
class VideoEncoderConfigurationOptions:
    quality_range: IntRange = element("QualityRange")
    jpeg: JpegOptions | None = element("JPEG", default=None)
    mpeg4: Mpeg4Options | None = element("MPEG4", default=None)
    h264: H264Options | None = element("H264", default=None)
    extension: VideoEncoderOptionsExtension | None = element("Extension", default=None)
    guaranteed_frame_rate_supported: bool | None = attribute("GuaranteedFrameRateSupported", default=None)


@schema(TT)
class VideoEncoderOptionsExtension:
    any_: AnyElements = any_elements(default=())
    jpeg: JpegOptions2 | None = element("JPEG", default=None)
    mpeg4: Mpeg4Options2 | None = element("MPEG4", default=None)
    h264: H264Options2 | None = element("H264", default=None)
    extension: VideoEncoderOptionsExtension2 | None = element("Extension", default=None)


@schema(TT)
class VideoEncoderOptionsExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class JpegOptions:
    resolutions_available: tuple[VideoResolution, ...] = element("ResolutionsAvailable")
    frame_rate_range: IntRange = element("FrameRateRange")
    encoding_interval_range: IntRange = element("EncodingIntervalRange")


@schema(TT)
class JpegOptions2(JpegOptions):
    bitrate_range: IntRange = element("BitrateRange")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Mpeg4Options:
    resolutions_available: tuple[VideoResolution, ...] = element("ResolutionsAvailable")
    gov_length_range: IntRange = element("GovLengthRange")
    frame_rate_range: IntRange = element("FrameRateRange")
    encoding_interval_range: IntRange = element("EncodingIntervalRange")
    mpeg4_profiles_supported: tuple[Mpeg4Profile, ...] = element("Mpeg4ProfilesSupported")


@schema(TT)
class Mpeg4Options2(Mpeg4Options):
    bitrate_range: IntRange = element("BitrateRange")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class H264Options:
    resolutions_available: tuple[VideoResolution, ...] = element("ResolutionsAvailable")
    gov_length_range: IntRange = element("GovLengthRange")
    frame_rate_range: IntRange = element("FrameRateRange")
    encoding_interval_range: IntRange = element("EncodingIntervalRange")
    h264_profiles_supported: tuple[H264Profile, ...] = element("H264ProfilesSupported")


@schema(TT)
class H264Options2(H264Options):
    bitrate_range: IntRange = element("BitrateRange")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class VideoEncoder2Configuration(ConfigurationEntity):
    encoding: str = element("Encoding")
    resolution: VideoResolution2 = element("Resolution")
    rate_control: VideoRateControl2 | None = element("RateControl", default=None)
    multicast: MulticastConfiguration | None = element("Multicast", default=None)
    quality: float = element("Quality")
    any_: AnyElements = any_elements(default=())
    gov_length: int | None = attribute("GovLength", default=None)
    anchor_frame_distance: int | None = attribute("AnchorFrameDistance", default=None)
    profile: str | None = attribute("Profile", default=None)
    guaranteed_frame_rate: bool | None = attribute("GuaranteedFrameRate", default=None)
    signed: bool | None = attribute("Signed", default=None)
    secure_streaming_protocol_algorithm: str | None = attribute("SecureStreamingProtocolAlgorithm", default=None)


@schema(TT)
class VideoResolution2:
    width: int = element("Width")
    height: int = element("Height")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class VideoRateControl2:
    frame_rate_limit: float = element("FrameRateLimit")
    bitrate_limit: int = element("BitrateLimit")
    average_bit_rate: int | None = element("AverageBitRate", default=None)
    any_: AnyElements = any_elements(default=())
    constant_bit_rate: bool | None = attribute("ConstantBitRate", default=None)


@schema(TT)
class VideoEncoder2ConfigurationOptions:
    encoding: str = element("Encoding")
    quality_range: FloatRange = element("QualityRange")
    resolutions_available: tuple[VideoResolution2, ...] = element("ResolutionsAvailable")
    bitrate_range: IntRange = element("BitrateRange")
    any_: AnyElements = any_elements(default=())
    gov_length_range: tuple[int, ...] | None = attribute("GovLengthRange", default=None, tokens=True)
    max_anchor_frame_distance: int | None = attribute("MaxAnchorFrameDistance", default=None)
    frame_rates_supported: tuple[float, ...] | None = attribute("FrameRatesSupported", default=None, tokens=True)
    profiles_supported: tuple[str, ...] | None = attribute("ProfilesSupported", default=None, tokens=True)
    constant_bit_rate_supported: bool | None = attribute("ConstantBitRateSupported", default=None)
    average_bit_rate_supported: bool | None = attribute("AverageBitRateSupported", default=None)
    guaranteed_frame_rate_supported: bool | None = attribute("GuaranteedFrameRateSupported", default=None)
    secure_streaming_protocol_algorithms: tuple[str, ...] | None = attribute(
        "SecureStreamingProtocolAlgorithms", default=None, tokens=True
    )
    signing_supported: bool | None = attribute("SigningSupported", default=None)


@schema(TT)
class AudioSourceConfiguration(ConfigurationEntity):
    source_token: str = element("SourceToken")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioSourceConfigurationOptions:
    input_tokens_available: tuple[str, ...] = element("InputTokensAvailable")
    extension: AudioSourceOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class AudioSourceOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioEncoderConfiguration(ConfigurationEntity):
    encoding: AudioEncoding = element("Encoding")
    bitrate: int = element("Bitrate")
    sample_rate: int = element("SampleRate")
    multicast: MulticastConfiguration = element("Multicast")
    session_timeout: timedelta = element("SessionTimeout", absent=timedelta(0))
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioEncoderConfigurationOptions:
    options: tuple[AudioEncoderConfigurationOption, ...] = element("Options", default=())


@schema(TT)
class AudioEncoderConfigurationOption:
    encoding: AudioEncoding = element("Encoding")
    bitrate_list: IntItems = element("BitrateList")
    sample_rate_list: IntItems = element("SampleRateList")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioEncoder2Configuration(ConfigurationEntity):
    encoding: str = element("Encoding")
    multicast: MulticastConfiguration | None = element("Multicast", default=None)
    bitrate: int = element("Bitrate")
    sample_rate: int = element("SampleRate")
    any_: AnyElements = any_elements(default=())
    secure_streaming_protocol_algorithm: str | None = attribute("SecureStreamingProtocolAlgorithm", default=None)


@schema(TT)
class AudioEncoder2ConfigurationOptions:
    encoding: str = element("Encoding")
    bitrate_list: IntItems = element("BitrateList")
    sample_rate_list: IntItems = element("SampleRateList")
    any_: AnyElements = any_elements(default=())
    secure_streaming_protocol_algorithms: tuple[str, ...] | None = attribute(
        "SecureStreamingProtocolAlgorithms", default=None, tokens=True
    )


@schema(TT)
class VideoAnalyticsConfiguration(ConfigurationEntity):
    analytics_engine_configuration: AnalyticsEngineConfiguration = element("AnalyticsEngineConfiguration")
    rule_engine_configuration: RuleEngineConfiguration = element("RuleEngineConfiguration")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MetadataConfiguration(ConfigurationEntity):
    ptz_status: PTZFilter | None = element("PTZStatus", default=None)
    events: EventSubscription | None = element("Events", default=None)
    analytics: bool | None = element("Analytics", default=None)
    multicast: MulticastConfiguration = element("Multicast")
    session_timeout: timedelta = element("SessionTimeout", absent=timedelta(0))
    any_: AnyElements = any_elements(default=())
    analytics_engine_configuration: AnalyticsEngineConfiguration | None = element(
        "AnalyticsEngineConfiguration", default=None
    )
    sensor_data: SensorDataFilter | None = element("SensorData", default=None)
    extension: MetadataConfigurationExtension | None = element("Extension", default=None)
    compression_type: str | None = attribute("CompressionType", default=None)
    geo_location: bool | None = attribute("GeoLocation", default=None)
    shape_polygon: bool | None = attribute("ShapePolygon", default=None)
    secure_streaming_protocol_algorithm: str | None = attribute("SecureStreamingProtocolAlgorithm", default=None)


@schema(TT)
class MetadataConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZFilter:
    status: bool = element("Status")
    position: bool = element("Position")
    field_of_view: bool | None = element("FieldOfView", default=None)


@schema(TT)
class SensorDataFilter:
    sensor_id: tuple[str, ...] = element("SensorID", default=())
    type_: tuple[str, ...] = element("Type", default=())
    any_: AnyElements = any_elements(default=())


@schema(TT)
class EventSubscription:
    filter_: wsnt.FilterType | None = element("Filter", default=None)
    subscription_policy: EventSubscriptionSubscriptionPolicy | None = element("SubscriptionPolicy", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class EventSubscriptionSubscriptionPolicy:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MetadataConfigurationOptions:
    ptz_status_filter_options: PTZStatusFilterOptions = element("PTZStatusFilterOptions")
    sensor_data_filter_options: SensorDataFilterOptions | None = element("SensorDataFilterOptions", default=None)
    any_: AnyElements = any_elements(default=())
    extension: MetadataConfigurationOptionsExtension | None = element("Extension", default=None)
    geo_location: bool | None = attribute("GeoLocation", default=None)
    max_content_filter_size: int | None = attribute("MaxContentFilterSize", default=None)
    secure_streaming_protocol_algorithms: tuple[str, ...] | None = attribute(
        "SecureStreamingProtocolAlgorithms", default=None, tokens=True
    )


@schema(TT)
class MetadataConfigurationOptionsExtension:
    compression_type: tuple[str, ...] = element("CompressionType", default=())
    extension: MetadataConfigurationOptionsExtension2 | None = element("Extension", default=None)


@schema(TT)
class MetadataConfigurationOptionsExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZStatusFilterOptions:
    pan_tilt_status_supported: bool = element("PanTiltStatusSupported")
    zoom_status_supported: bool = element("ZoomStatusSupported")
    any_: AnyElements = any_elements(default=())
    pan_tilt_position_supported: bool | None = element("PanTiltPositionSupported", default=None)
    zoom_position_supported: bool | None = element("ZoomPositionSupported", default=None)
    extension: PTZStatusFilterOptionsExtension | None = element("Extension", default=None)
    field_of_view_supported: bool | None = element("FieldOfViewSupported", default=None)


@schema(TT)
class PTZStatusFilterOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SensorDataFilterOptions:
    sensor_id_filter_supported: bool = element("SensorIDFilterSupported")
    type_filter_supported: bool = element("TypeFilterSupported")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class VideoOutput(DeviceEntity):
    layout: Layout = element("Layout")
    resolution: VideoResolution | None = element("Resolution", default=None)
    refresh_rate: float | None = element("RefreshRate", default=None)
    aspect_ratio: float | None = element("AspectRatio", default=None)
    extension: VideoOutputExtension | None = element("Extension", default=None)


@schema(TT)
class VideoOutputExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class VideoOutputConfiguration(ConfigurationEntity):
    output_token: str = element("OutputToken")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class VideoOutputConfigurationOptions:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioOutput(DeviceEntity):
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioOutputConfiguration(ConfigurationEntity):
    output_token: str = element("OutputToken")
    send_primacy: str | None = element("SendPrimacy", default=None)
    output_level: int = element("OutputLevel")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FrequencyDecibelPair:
    center_frequency: int = element("CenterFrequency")
    decibel: float = element("Decibel")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class EQPreset:
    token: str = element("Token")
    name: str = element("Name")
    is_default: bool = element("isDefault")
    schedule_token: str | None = element("ScheduleToken", default=None)
    is_frequency_decibel_editable: bool = element("isFrequencyDecibelEditable")
    frequency_decibel_pair: tuple[FrequencyDecibelPair, ...] = element("FrequencyDecibelPair", default=())
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioOutputConfigurationOptions:
    output_tokens_available: tuple[str, ...] = element("OutputTokensAvailable")
    send_primacy_options: tuple[str, ...] = element("SendPrimacyOptions", default=())
    output_level_range: IntRange = element("OutputLevelRange")
    eq_preset_schedule_support: bool | None = element("EQPresetScheduleSupport", default=None)
    eq_presets: tuple[EQPreset, ...] = element("EQPresets", default=())
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioDecoderConfiguration(ConfigurationEntity):
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioDecoderConfigurationOptions:
    aac_dec_options: AACDecOptions | None = element("AACDecOptions", default=None)
    g711_dec_options: G711DecOptions | None = element("G711DecOptions", default=None)
    g726_dec_options: G726DecOptions | None = element("G726DecOptions", default=None)
    extension: AudioDecoderConfigurationOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class G711DecOptions:
    bitrate: IntItems = element("Bitrate")
    sample_rate_range: IntItems = element("SampleRateRange")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AACDecOptions:
    bitrate: IntItems = element("Bitrate")
    sample_rate_range: IntItems = element("SampleRateRange")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class G726DecOptions:
    bitrate: IntItems = element("Bitrate")
    sample_rate_range: IntItems = element("SampleRateRange")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioDecoderConfigurationOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MulticastAudioDecoderConfiguration(ConfigurationEntity):
    enable: bool = element("Enable")
    audio_output_token: tuple[str, ...] = element("AudioOutputToken", default=())
    encoding: str = element("Encoding")
    bitrate: int = element("Bitrate")
    sampling_rate: int = element("SamplingRate")
    multicast: MulticastReceiverConfiguration = element("Multicast")
    rtp_payload_type: int = element("RTPPayloadType")
    priority: int = element("Priority")
    media_format_parameters: str | None = element("MediaFormatParameters", default=None)
    srtp_pre_shared_parameters: SRTPPreShared | None = element("SRTPPreSharedParameters", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SRTPPreShared:
    srtp_psk: str = element("SRTPPSK")
    roc_ext_map_id: int = element("ROCExtMapID")
    any_: AnyElements = any_elements(default=())
    secure_streaming_protocol_algorithm: str | None = attribute("SecureStreamingProtocolAlgorithm", default=None)


@schema(TT)
class MulticastReceiverConfiguration:
    address: IPAddress = element("Address")
    port: int = element("Port")
    ttl: int = element("TTL")
    interface_token: tuple[str, ...] = element("InterfaceToken", default=())
    source_specific_multicast: IPAddress | None = element("SourceSpecificMulticast", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MulticastAudioDecoderConfigurationOptions:
    encoding_options: AudioDecoder2Options = element("EncodingOptions")
    priority_range: IntRange = element("PriorityRange")
    audio_output_tokens: tuple[str, ...] | None = element("AudioOutputTokens", default=None, tokens=True)
    any_: AnyElements = any_elements(default=())
    secure_streaming_protocol_algorithms: tuple[str, ...] | None = attribute(
        "SecureStreamingProtocolAlgorithms", default=None, tokens=True
    )


@schema(TT)
class AudioDecoder2Options:
    encoding: str = element("Encoding")
    bitrate_list: IntItems = element("BitrateList")
    sample_rate_list: IntItems = element("SampleRateList")
    rtp_payload_type: int | None = element("RTPPayloadType", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MulticastConfiguration:
    address: IPAddress = element("Address")
    port: int = element("Port")
    ttl: int = element("TTL")
    auto_start: bool = element("AutoStart")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class StreamSetup:
    stream: StreamType = element("Stream")
    transport: Transport = element("Transport")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Transport:
    protocol: TransportProtocol = element("Protocol")
    tunnel: TransportTunnel | None = element("Tunnel", default=None)


@schema(TT)
class TransportTunnel:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MediaUri:
    uri: str = element("Uri")
    invalid_after_connect: bool = element("InvalidAfterConnect")
    invalid_after_reboot: bool = element("InvalidAfterReboot")
    timeout: timedelta = element("Timeout")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Scope:
    scope_def: ScopeDefinition = element("ScopeDef")
    scope_item: str = element("ScopeItem")


@schema(TT)
class NetworkInterface(DeviceEntity):
    enabled: bool = element("Enabled")
    info: NetworkInterfaceInfo | None = element("Info", default=None)
    link: NetworkInterfaceLink | None = element("Link", default=None)
    ipv4: IPv4NetworkInterface | None = element("IPv4", default=None)
    ipv6: IPv6NetworkInterface | None = element("IPv6", default=None)
    extension: NetworkInterfaceExtension | None = element("Extension", default=None)


@schema(TT)
class NetworkInterfaceExtension:
    any_: AnyElements = any_elements(default=())
    interface_type: int = element("InterfaceType")
    dot3: tuple[Dot3Configuration, ...] = element("Dot3", default=())
    dot11: tuple[Dot11Configuration, ...] = element("Dot11", default=())
    extension: NetworkInterfaceExtension2 | None = element("Extension", default=None)


@schema(TT)
class Dot3Configuration:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NetworkInterfaceExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NetworkInterfaceLink:
    admin_settings: NetworkInterfaceConnectionSetting = element("AdminSettings")
    oper_settings: NetworkInterfaceConnectionSetting = element("OperSettings")
    interface_type: int = element("InterfaceType")


@schema(TT)
class NetworkInterfaceConnectionSetting:
    auto_negotiation: bool = element("AutoNegotiation")
    speed: int = element("Speed")
    duplex: Duplex = element("Duplex")


@schema(TT)
class NetworkInterfaceInfo:
    name: str | None = element("Name", default=None)
    hw_address: str = element("HwAddress")
    mtu: int | None = element("MTU", default=None)


@schema(TT)
class IPv6NetworkInterface:
    enabled: bool = element("Enabled")
    config: IPv6Configuration | None = element("Config", default=None)


@schema(TT)
class IPv4NetworkInterface:
    enabled: bool = element("Enabled")
    config: IPv4Configuration = element("Config")


@schema(TT)
class IPv4Configuration:
    manual: tuple[PrefixedIPv4Address, ...] = element("Manual", default=())
    link_local: PrefixedIPv4Address | None = element("LinkLocal", default=None)
    from_dhcp: PrefixedIPv4Address | None = element("FromDHCP", default=None)
    dhcp: bool = element("DHCP")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class IPv6Configuration:
    accept_router_advert: bool | None = element("AcceptRouterAdvert", default=None)
    dhcp: IPv6DHCPConfiguration = element("DHCP")
    manual: tuple[PrefixedIPv6Address, ...] = element("Manual", default=())
    link_local: tuple[PrefixedIPv6Address, ...] = element("LinkLocal", default=())
    from_dhcp: tuple[PrefixedIPv6Address, ...] = element("FromDHCP", default=())
    from_ra: tuple[PrefixedIPv6Address, ...] = element("FromRA", default=())
    extension: IPv6ConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class IPv6ConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NetworkProtocol:
    name: NetworkProtocolType = element("Name")
    enabled: bool = element("Enabled")
    port: tuple[int, ...] = element("Port")
    extension: NetworkProtocolExtension | None = element("Extension", default=None)


@schema(TT)
class NetworkProtocolExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NetworkHost:
    type_: NetworkHostType = element("Type")
    ipv4_address: str | None = element("IPv4Address", default=None)
    ipv6_address: str | None = element("IPv6Address", default=None)
    dn_sname: str | None = element("DNSname", default=None)
    extension: NetworkHostExtension | None = element("Extension", default=None)


@schema(TT)
class NetworkHostExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class IPAddress:
    type_: IPType = element("Type")
    ipv4_address: str | None = element("IPv4Address", default=None)
    ipv6_address: str | None = element("IPv6Address", default=None)


@schema(TT)
class PrefixedIPv4Address:
    address: str = element("Address")
    prefix_length: int = element("PrefixLength")


@schema(TT)
class PrefixedIPv6Address:
    address: str = element("Address")
    prefix_length: int = element("PrefixLength")


@schema(TT)
class HostnameInformation:
    from_dhcp: bool = element("FromDHCP")
    name: str | None = element("Name", default=None)
    extension: HostnameInformationExtension | None = element("Extension", default=None)


@schema(TT)
class HostnameInformationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class DNSInformation:
    from_dhcp: bool = element("FromDHCP")
    search_domain: tuple[str, ...] = element("SearchDomain", default=())
    dns_from_dhcp: tuple[IPAddress, ...] = element("DNSFromDHCP", default=())
    dns_manual: tuple[IPAddress, ...] = element("DNSManual", default=())
    extension: DNSInformationExtension | None = element("Extension", default=None)


@schema(TT)
class DNSInformationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NTPInformation:
    from_dhcp: bool = element("FromDHCP")
    ntp_from_dhcp: tuple[NetworkHost, ...] = element("NTPFromDHCP", default=())
    ntp_manual: tuple[NetworkHost, ...] = element("NTPManual", default=())
    extension: NTPInformationExtension | None = element("Extension", default=None)


@schema(TT)
class NTPInformationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class DynamicDNSInformation:
    type_: DynamicDNSType = element("Type")
    name: str | None = element("Name", default=None)
    ttl: timedelta | None = element("TTL", default=None)
    extension: DynamicDNSInformationExtension | None = element("Extension", default=None)


@schema(TT)
class DynamicDNSInformationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NetworkInterfaceSetConfiguration:
    enabled: bool | None = element("Enabled", default=None)
    link: NetworkInterfaceConnectionSetting | None = element("Link", default=None)
    mtu: int | None = element("MTU", default=None)
    ipv4: IPv4NetworkInterfaceSetConfiguration | None = element("IPv4", default=None)
    ipv6: IPv6NetworkInterfaceSetConfiguration | None = element("IPv6", default=None)
    extension: NetworkInterfaceSetConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class NetworkInterfaceSetConfigurationExtension:
    any_: AnyElements = any_elements(default=())
    dot3: tuple[Dot3Configuration, ...] = element("Dot3", default=())
    dot11: tuple[Dot11Configuration, ...] = element("Dot11", default=())
    extension: NetworkInterfaceSetConfigurationExtension2 | None = element("Extension", default=None)


@schema(TT)
class IPv6NetworkInterfaceSetConfiguration:
    enabled: bool | None = element("Enabled", default=None)
    accept_router_advert: bool | None = element("AcceptRouterAdvert", default=None)
    manual: tuple[PrefixedIPv6Address, ...] = element("Manual", default=())
    dhcp: IPv6DHCPConfiguration | None = element("DHCP", default=None)


@schema(TT)
class IPv4NetworkInterfaceSetConfiguration:
    enabled: bool | None = element("Enabled", default=None)
    manual: tuple[PrefixedIPv4Address, ...] = element("Manual", default=())
    dhcp: bool | None = element("DHCP", default=None)


@schema(TT)
class NetworkGateway:
    ipv4_address: tuple[str, ...] = element("IPv4Address", default=())
    ipv6_address: tuple[str, ...] = element("IPv6Address", default=())


@schema(TT)
class NetworkZeroConfiguration:
    interface_token: str = element("InterfaceToken")
    enabled: bool = element("Enabled")
    addresses: tuple[str, ...] = element("Addresses", default=())
    extension: NetworkZeroConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class NetworkZeroConfigurationExtension:
    any_: AnyElements = any_elements(default=())
    additional: tuple[NetworkZeroConfiguration, ...] = element("Additional", default=())
    extension: NetworkZeroConfigurationExtension2 | None = element("Extension", default=None)


@schema(TT)
class NetworkZeroConfigurationExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class IPAddressFilter:
    type_: IPAddressFilterType = element("Type")
    ipv4_address: tuple[PrefixedIPv4Address, ...] = element("IPv4Address", default=())
    ipv6_address: tuple[PrefixedIPv6Address, ...] = element("IPv6Address", default=())
    extension: IPAddressFilterExtension | None = element("Extension", default=None)


@schema(TT)
class IPAddressFilterExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Dot11Configuration:
    ssid: bytes = element("SSID", form=Form.HEX)
    mode: Dot11StationMode = element("Mode")
    alias: str = element("Alias")
    priority: int = element("Priority")
    security: Dot11SecurityConfiguration = element("Security")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Dot11SecurityConfiguration:
    mode: Dot11SecurityMode = element("Mode")
    algorithm: Dot11Cipher | None = element("Algorithm", default=None)
    psk: Dot11PSKSet | None = element("PSK", default=None)
    dot1x: str | None = element("Dot1X", default=None)
    extension: Dot11SecurityConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class Dot11SecurityConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Dot11PSKSet:
    key: bytes | None = element("Key", default=None, form=Form.HEX)
    passphrase: str | None = element("Passphrase", default=None)
    extension: Dot11PSKSetExtension | None = element("Extension", default=None)


@schema(TT)
class Dot11PSKSetExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NetworkInterfaceSetConfigurationExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Dot11Capabilities:
    tkip: bool = element("TKIP")
    scan_available_networks: bool = element("ScanAvailableNetworks")
    multiple_configuration: bool = element("MultipleConfiguration")
    ad_hoc_station_mode: bool = element("AdHocStationMode")
    wep: bool = element("WEP")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Dot11Status:
    ssid: bytes = element("SSID", form=Form.HEX)
    bssid: str | None = element("BSSID", default=None)
    pair_cipher: Dot11Cipher | None = element("PairCipher", default=None)
    group_cipher: Dot11Cipher | None = element("GroupCipher", default=None)
    signal_strength: Dot11SignalStrength | None = element("SignalStrength", default=None)
    active_config_alias: str = element("ActiveConfigAlias")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Dot11AvailableNetworks:
    ssid: bytes = element("SSID", form=Form.HEX)
    bssid: str | None = element("BSSID", default=None)
    auth_and_mangement_suite: tuple[Dot11AuthAndMangementSuite, ...] = element("AuthAndMangementSuite", default=())
    pair_cipher: tuple[Dot11Cipher, ...] = element("PairCipher", default=())
    group_cipher: tuple[Dot11Cipher, ...] = element("GroupCipher", default=())
    signal_strength: Dot11SignalStrength | None = element("SignalStrength", default=None)
    extension: Dot11AvailableNetworksExtension | None = element("Extension", default=None)


@schema(TT)
class Dot11AvailableNetworksExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Capabilities:
    analytics: AnalyticsCapabilities | None = element("Analytics", default=None)
    device: DeviceCapabilities | None = element("Device", default=None)
    events: EventCapabilities | None = element("Events", default=None)
    imaging: ImagingCapabilities | None = element("Imaging", default=None)
    media: MediaCapabilities | None = element("Media", default=None)
    ptz: PTZCapabilities | None = element("PTZ", default=None)
    extension: CapabilitiesExtension | None = element("Extension", default=None)


@schema(TT)
class CapabilitiesExtension:
    any_: AnyElements = any_elements(default=())
    device_io: DeviceIOCapabilities | None = element("DeviceIO", default=None)
    display: DisplayCapabilities | None = element("Display", default=None)
    recording: RecordingCapabilities | None = element("Recording", default=None)
    search: SearchCapabilities | None = element("Search", default=None)
    replay: ReplayCapabilities | None = element("Replay", default=None)
    receiver: ReceiverCapabilities | None = element("Receiver", default=None)
    analytics_device: AnalyticsDeviceCapabilities | None = element("AnalyticsDevice", default=None)
    extensions: CapabilitiesExtension2 | None = element("Extensions", default=None)


@schema(TT)
class CapabilitiesExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AnalyticsCapabilities:
    x_addr: str = element("XAddr")
    rule_support: bool = element("RuleSupport")
    analytics_module_support: bool = element("AnalyticsModuleSupport")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class DeviceCapabilities:
    x_addr: str = element("XAddr")
    network: NetworkCapabilities | None = element("Network", default=None)
    system: SystemCapabilities | None = element("System", default=None)
    io: IOCapabilities | None = element("IO", default=None)
    security: SecurityCapabilities | None = element("Security", default=None)
    extension: DeviceCapabilitiesExtension | None = element("Extension", default=None)


@schema(TT)
class DeviceCapabilitiesExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class EventCapabilities:
    x_addr: str = element("XAddr")
    ws_subscription_policy_support: bool = element("WSSubscriptionPolicySupport")
    ws_pull_point_support: bool = element("WSPullPointSupport")
    ws_pausable_subscription_manager_interface_support: bool = element("WSPausableSubscriptionManagerInterfaceSupport")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class IOCapabilities:
    input_connectors: int | None = element("InputConnectors", default=None)
    relay_outputs: int | None = element("RelayOutputs", default=None)
    extension: IOCapabilitiesExtension | None = element("Extension", default=None)


@schema(TT)
class IOCapabilitiesExtension:
    any_: AnyElements = any_elements(default=())
    auxiliary: bool | None = element("Auxiliary", default=None)
    auxiliary_commands: tuple[str, ...] = element("AuxiliaryCommands", default=())
    extension: IOCapabilitiesExtension2 = element("Extension")


@schema(TT)
class IOCapabilitiesExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MediaCapabilities:
    x_addr: str = element("XAddr")
    streaming_capabilities: RealTimeStreamingCapabilities = element("StreamingCapabilities")
    any_: AnyElements = any_elements(default=())
    extension: MediaCapabilitiesExtension | None = element("Extension", default=None)


@schema(TT)
class MediaCapabilitiesExtension:
    profile_capabilities: ProfileCapabilities = element("ProfileCapabilities")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RealTimeStreamingCapabilities:
    rtp_multicast: bool | None = element("RTPMulticast", default=None)
    rtp_tcp: bool | None = element("RTP_TCP", default=None)
    rtp_rtsp_tcp: bool | None = element("RTP_RTSP_TCP", default=None)
    extension: RealTimeStreamingCapabilitiesExtension | None = element("Extension", default=None)


@schema(TT)
class RealTimeStreamingCapabilitiesExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ProfileCapabilities:
    maximum_number_of_profiles: int = element("MaximumNumberOfProfiles")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NetworkCapabilities:
    ip_filter: bool | None = element("IPFilter", default=None)
    zero_configuration: bool | None = element("ZeroConfiguration", default=None)
    ip_version6: bool | None = element("IPVersion6", default=None)
    dyn_dns: bool | None = element("DynDNS", default=None)
    extension: NetworkCapabilitiesExtension | None = element("Extension", default=None)


@schema(TT)
class NetworkCapabilitiesExtension:
    any_: AnyElements = any_elements(default=())
    dot11_configuration: bool | None = element("Dot11Configuration", default=None)
    extension: NetworkCapabilitiesExtension2 | None = element("Extension", default=None)


@schema(TT)
class NetworkCapabilitiesExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SecurityCapabilities:
    tls1_1: bool = element("TLS1.1")
    tls1_2: bool = element("TLS1.2")
    onboard_key_generation: bool = element("OnboardKeyGeneration")
    access_policy_config: bool = element("AccessPolicyConfig")
    x_509_token: bool = element("X.509Token")
    saml_token: bool = element("SAMLToken")
    kerberos_token: bool = element("KerberosToken")
    rel_token: bool = element("RELToken")
    any_: AnyElements = any_elements(default=())
    extension: SecurityCapabilitiesExtension | None = element("Extension", default=None)


@schema(TT)
class SecurityCapabilitiesExtension:
    tls1_0: bool = element("TLS1.0")
    extension: SecurityCapabilitiesExtension2 | None = element("Extension", default=None)


@schema(TT)
class SecurityCapabilitiesExtension2:
    dot1x: bool = element("Dot1X")
    supported_eap_method: tuple[int, ...] = element("SupportedEAPMethod", default=())
    remote_user_handling: bool = element("RemoteUserHandling")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SystemCapabilities:
    discovery_resolve: bool = element("DiscoveryResolve")
    discovery_bye: bool = element("DiscoveryBye")
    remote_discovery: bool = element("RemoteDiscovery")
    system_backup: bool = element("SystemBackup")
    system_logging: bool = element("SystemLogging")
    firmware_upgrade: bool = element("FirmwareUpgrade")
    supported_versions: tuple[OnvifVersion, ...] = element("SupportedVersions")
    extension: SystemCapabilitiesExtension | None = element("Extension", default=None)


@schema(TT)
class SystemCapabilitiesExtension:
    any_: AnyElements = any_elements(default=())
    http_firmware_upgrade: bool | None = element("HttpFirmwareUpgrade", default=None)
    http_system_backup: bool | None = element("HttpSystemBackup", default=None)
    http_system_logging: bool | None = element("HttpSystemLogging", default=None)
    http_support_information: bool | None = element("HttpSupportInformation", default=None)
    extension: SystemCapabilitiesExtension2 | None = element("Extension", default=None)


@schema(TT)
class SystemCapabilitiesExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class OnvifVersion:
    major: int = element("Major")
    minor: int = element("Minor")


@schema(TT)
class ImagingCapabilities:
    x_addr: str = element("XAddr")


@schema(TT)
class PTZCapabilities:
    x_addr: str = element("XAddr")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class DeviceIOCapabilities:
    x_addr: str = element("XAddr")
    video_sources: int = element("VideoSources")
    video_outputs: int = element("VideoOutputs")
    audio_sources: int = element("AudioSources")
    audio_outputs: int = element("AudioOutputs")
    relay_outputs: int = element("RelayOutputs")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class DisplayCapabilities:
    x_addr: str = element("XAddr")
    fixed_layout: bool = element("FixedLayout")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingCapabilities:
    x_addr: str = element("XAddr")
    receiver_source: bool = element("ReceiverSource")
    media_profile_source: bool = element("MediaProfileSource")
    dynamic_recordings: bool = element("DynamicRecordings")
    dynamic_tracks: bool = element("DynamicTracks")
    max_string_length: int = element("MaxStringLength")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SearchCapabilities:
    x_addr: str = element("XAddr")
    metadata_search: bool = element("MetadataSearch")
    nl_search: bool | None = element("NLSearch", default=None)
    image_search: bool | None = element("ImageSearch", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ReplayCapabilities:
    x_addr: str = element("XAddr")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ReceiverCapabilities:
    x_addr: str = element("XAddr")
    rtp_multicast: bool = element("RTP_Multicast")
    rtp_tcp: bool = element("RTP_TCP")
    rtp_rtsp_tcp: bool = element("RTP_RTSP_TCP")
    supported_receivers: int = element("SupportedReceivers")
    maximum_rtspuri_length: int = element("MaximumRTSPURILength")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AnalyticsDeviceCapabilities:
    x_addr: str = element("XAddr")
    rule_support: bool | None = element("RuleSupport", default=None)
    extension: AnalyticsDeviceExtension | None = element("Extension", default=None)


@schema(TT)
class AnalyticsDeviceExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SystemLog:
    binary: AttachmentData | None = element("Binary", default=None)
    string: str | None = element("String", default=None)


@schema(TT)
class SupportInformation:
    binary: AttachmentData | None = element("Binary", default=None)
    string: str | None = element("String", default=None)


@schema(TT)
class BinaryData:
    data: bytes = element("Data")
    content_type: str | None = attribute("contentType", default=None, ns=XMIME)


@schema(TT)
class AttachmentData:
    include: xop.Include = element("Include", ns=XOP)
    content_type: str | None = attribute("contentType", default=None, ns=XMIME)


@schema(TT)
class BackupFile:
    name: str = element("Name")
    data: AttachmentData = element("Data")


@schema(TT)
class SystemLogUriList:
    system_log: tuple[SystemLogUri, ...] = element("SystemLog", default=())


@schema(TT)
class SystemLogUri:
    type_: SystemLogType = element("Type")
    uri: str = element("Uri")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SystemDateTime:
    date_time_type: SetDateTimeType = element("DateTimeType")
    daylight_savings: bool = element("DaylightSavings")
    time_zone: TimeZone | None = element("TimeZone", default=None)
    utc_date_time: DateTime | None = element("UTCDateTime", default=None)
    local_date_time: DateTime | None = element("LocalDateTime", default=None)
    extension: SystemDateTimeExtension | None = element("Extension", default=None)


@schema(TT)
class SystemDateTimeExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class DateTime:
    time: Time = element("Time")
    date: Date = element("Date")


@schema(TT)
class Date:
    year: int = element("Year")
    month: int = element("Month")
    day: int = element("Day")


@schema(TT)
class Time:
    hour: int = element("Hour")
    minute: int = element("Minute")
    second: int = element("Second")


@schema(TT)
class TimeZone:
    tz: str = element("TZ")


@schema(TT)
class RemoteUser:
    username: str = element("Username")
    password: str | None = element("Password", default=None, form=Form.RAW)
    use_derived_password: bool = element("UseDerivedPassword")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class UserRole:
    name: str = element("Name")
    functions: tuple[str, ...] = element("Functions", tokens=True)


@schema(TT)
class User:
    username: str = element("Username")
    password: str | None = element("Password", default=None, form=Form.RAW)
    user_level: UserLevel = element("UserLevel")
    extension: UserExtension | None = element("Extension", default=None)


@schema(TT)
class UserExtension:
    roles: tuple[str, ...] = element("Roles", tokens=True)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Certificate:
    certificate_id: str = element("CertificateID")
    certificate: BinaryData = element("Certificate")


@schema(TT)
class CertificateStatus:
    certificate_id: str = element("CertificateID")
    status: bool = element("Status")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class CertificateWithPrivateKey:
    certificate_id: str | None = element("CertificateID", default=None)
    certificate: BinaryData = element("Certificate")
    private_key: BinaryData = element("PrivateKey")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class CertificateInformation:
    certificate_id: str = element("CertificateID")
    issuer_dn: str | None = element("IssuerDN", default=None)
    subject_dn: str | None = element("SubjectDN", default=None)
    key_usage: CertificateUsage | None = element("KeyUsage", default=None)
    extended_key_usage: CertificateUsage | None = element("ExtendedKeyUsage", default=None)
    key_length: int | None = element("KeyLength", default=None)
    version: str | None = element("Version", default=None)
    serial_num: str | None = element("SerialNum", default=None)
    signature_algorithm: str | None = element("SignatureAlgorithm", default=None)
    validity: DateTimeRange | None = element("Validity", default=None)
    extension: CertificateInformationExtension | None = element("Extension", default=None)


@schema(TT)
class CertificateUsage:
    value: str = text()
    critical: bool = attribute("Critical")


@schema(TT)
class CertificateInformationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Dot1XConfiguration:
    dot1x_configuration_token: str = element("Dot1XConfigurationToken")
    identity: str = element("Identity")
    anonymous_id: str | None = element("AnonymousID", default=None)
    eap_method: int = element("EAPMethod")
    ca_certificate_id: tuple[str, ...] = element("CACertificateID", default=())
    eap_method_configuration: EAPMethodConfiguration | None = element("EAPMethodConfiguration", default=None)
    extension: Dot1XConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class Dot1XConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class EAPMethodConfiguration:
    tls_configuration: TLSConfiguration | None = element("TLSConfiguration", default=None)
    password: str | None = element("Password", default=None, form=Form.RAW)
    extension: EapMethodExtension | None = element("Extension", default=None)


@schema(TT)
class EapMethodExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class TLSConfiguration:
    certificate_id: str = element("CertificateID")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RelayOutputSettings:
    mode: RelayMode = element("Mode")
    delay_time: timedelta = element("DelayTime")
    idle_state: RelayIdleState = element("IdleState")


@schema(TT)
class RelayOutput(DeviceEntity):
    properties: RelayOutputSettings = element("Properties")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class DigitalInput(DeviceEntity):
    any_: AnyElements = any_elements(default=())
    idle_state: DigitalIdleState | None = attribute("IdleState", default=None)


@schema(TT)
class PTZNode(DeviceEntity):
    name: str | None = element("Name", default=None)
    supported_ptz_spaces: PTZSpaces = element("SupportedPTZSpaces")
    maximum_number_of_presets: int = element("MaximumNumberOfPresets")
    home_supported: bool = element("HomeSupported")
    auxiliary_commands: tuple[str, ...] = element("AuxiliaryCommands", default=())
    extension: PTZNodeExtension | None = element("Extension", default=None)
    fixed_home_position: bool | None = attribute("FixedHomePosition", default=None)
    geo_move: bool | None = attribute("GeoMove", default=None)


@schema(TT)
class PTZNodeExtension:
    any_: AnyElements = any_elements(default=())
    supported_preset_tour: PTZPresetTourSupported | None = element("SupportedPresetTour", default=None)
    extension: PTZNodeExtension2 | None = element("Extension", default=None)


@schema(TT)
class PTZNodeExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourSupported:
    maximum_number_of_preset_tours: int = element("MaximumNumberOfPresetTours")
    ptz_preset_tour_operation: tuple[PTZPresetTourOperation, ...] = element("PTZPresetTourOperation", default=())
    extension: PTZPresetTourSupportedExtension | None = element("Extension", default=None)


@schema(TT)
class PTZPresetTourSupportedExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZConfiguration(ConfigurationEntity):
    node_token: str = element("NodeToken")
    default_absolute_pant_tilt_position_space: str | None = element(
        "DefaultAbsolutePantTiltPositionSpace", default=None
    )
    default_absolute_zoom_position_space: str | None = element("DefaultAbsoluteZoomPositionSpace", default=None)
    default_relative_pan_tilt_translation_space: str | None = element(
        "DefaultRelativePanTiltTranslationSpace", default=None
    )
    default_relative_zoom_translation_space: str | None = element("DefaultRelativeZoomTranslationSpace", default=None)
    default_continuous_pan_tilt_velocity_space: str | None = element(
        "DefaultContinuousPanTiltVelocitySpace", default=None
    )
    default_continuous_zoom_velocity_space: str | None = element("DefaultContinuousZoomVelocitySpace", default=None)
    default_ptz_speed: PTZSpeed | None = element("DefaultPTZSpeed", default=None)
    default_ptz_timeout: timedelta | None = element("DefaultPTZTimeout", default=None)
    pan_tilt_limits: PanTiltLimits | None = element("PanTiltLimits", default=None)
    zoom_limits: ZoomLimits | None = element("ZoomLimits", default=None)
    extension: PTZConfigurationExtension | None = element("Extension", default=None)
    move_ramp: int | None = attribute("MoveRamp", default=None)
    preset_ramp: int | None = attribute("PresetRamp", default=None)
    preset_tour_ramp: int | None = attribute("PresetTourRamp", default=None)


@schema(TT)
class PTZConfigurationExtension:
    any_: AnyElements = any_elements(default=())
    pt_control_direction: PTControlDirection | None = element("PTControlDirection", default=None)
    extension: PTZConfigurationExtension2 | None = element("Extension", default=None)


@schema(TT)
class PTZConfigurationExtension2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTControlDirection:
    e_flip: EFlip | None = element("EFlip", default=None)
    reverse: Reverse | None = element("Reverse", default=None)
    extension: PTControlDirectionExtension | None = element("Extension", default=None)


@schema(TT)
class PTControlDirectionExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class EFlip:
    mode: EFlipMode = element("Mode")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Reverse:
    mode: ReverseMode = element("Mode")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZConfigurationOptions:
    spaces: PTZSpaces = element("Spaces")
    ptz_timeout: DurationRange = element("PTZTimeout")
    any_: AnyElements = any_elements(default=())
    pt_control_direction: PTControlDirectionOptions | None = element("PTControlDirection", default=None)
    extension: PTZConfigurationOptions2 | None = element("Extension", default=None)
    ptz_ramps: tuple[int, ...] | None = attribute("PTZRamps", default=None, tokens=True)


@schema(TT)
class PTZConfigurationOptions2:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTControlDirectionOptions:
    e_flip: EFlipOptions | None = element("EFlip", default=None)
    reverse: ReverseOptions | None = element("Reverse", default=None)
    extension: PTControlDirectionOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class PTControlDirectionOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class EFlipOptions:
    mode: tuple[EFlipMode, ...] = element("Mode", default=())
    extension: EFlipOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class EFlipOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ReverseOptions:
    mode: tuple[ReverseMode, ...] = element("Mode", default=())
    extension: ReverseOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class ReverseOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PanTiltLimits:
    range_: Space2DDescription = element("Range")


@schema(TT)
class ZoomLimits:
    range_: Space1DDescription = element("Range")


@schema(TT)
class PTZSpaces:
    absolute_pan_tilt_position_space: tuple[Space2DDescription, ...] = element(
        "AbsolutePanTiltPositionSpace", default=()
    )
    absolute_zoom_position_space: tuple[Space1DDescription, ...] = element("AbsoluteZoomPositionSpace", default=())
    relative_pan_tilt_translation_space: tuple[Space2DDescription, ...] = element(
        "RelativePanTiltTranslationSpace", default=()
    )
    relative_zoom_translation_space: tuple[Space1DDescription, ...] = element(
        "RelativeZoomTranslationSpace", default=()
    )
    continuous_pan_tilt_velocity_space: tuple[Space2DDescription, ...] = element(
        "ContinuousPanTiltVelocitySpace", default=()
    )
    continuous_zoom_velocity_space: tuple[Space1DDescription, ...] = element("ContinuousZoomVelocitySpace", default=())
    pan_tilt_speed_space: tuple[Space1DDescription, ...] = element("PanTiltSpeedSpace", default=())
    zoom_speed_space: tuple[Space1DDescription, ...] = element("ZoomSpeedSpace", default=())
    extension: PTZSpacesExtension | None = element("Extension", default=None)


@schema(TT)
class PTZSpacesExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Space2DDescription:
    uri: str = element("URI")
    x_range: FloatRange = element("XRange")
    y_range: FloatRange = element("YRange")


@schema(TT)
class Space1DDescription:
    uri: str = element("URI")
    x_range: FloatRange = element("XRange")


@schema(TT)
class PTZSpeed:
    pan_tilt: Vector2D | None = element("PanTilt", default=None)
    zoom: Vector1D | None = element("Zoom", default=None)


@schema(TT)
class PTZPreset:
    name: str | None = element("Name", default=None)
    ptz_position: PTZVector | None = element("PTZPosition", default=None)
    token: str | None = attribute("token", default=None)


@schema(TT)
class PresetTour:
    name: str | None = element("Name", default=None)
    status: PTZPresetTourStatus = element("Status")
    auto_start: bool = element("AutoStart")
    starting_condition: PTZPresetTourStartingCondition = element("StartingCondition")
    tour_spot: tuple[PTZPresetTourSpot, ...] = element("TourSpot", default=())
    extension: PTZPresetTourExtension | None = element("Extension", default=None)
    token: str | None = attribute("token", default=None)


@schema(TT)
class PTZPresetTourExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourSpot:
    preset_detail: PTZPresetTourPresetDetail = element("PresetDetail")
    speed: PTZSpeed | None = element("Speed", default=None)
    stay_time: timedelta | None = element("StayTime", default=None)
    extension: PTZPresetTourSpotExtension | None = element("Extension", default=None)


@schema(TT)
class PTZPresetTourSpotExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourPresetDetail:
    preset_token: str | None = element("PresetToken", default=None)
    home: bool | None = element("Home", default=None)
    ptz_position: PTZVector | None = element("PTZPosition", default=None)
    type_extension: PTZPresetTourTypeExtension | None = element("TypeExtension", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourTypeExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourStatus:
    state: PTZPresetTourState = element("State")
    current_tour_spot: PTZPresetTourSpot | None = element("CurrentTourSpot", default=None)
    extension: PTZPresetTourStatusExtension | None = element("Extension", default=None)


@schema(TT)
class PTZPresetTourStatusExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourStartingCondition:
    recurring_time: int | None = element("RecurringTime", default=None)
    recurring_duration: timedelta | None = element("RecurringDuration", default=None)
    direction: PTZPresetTourDirection | None = element("Direction", default=None)
    extension: PTZPresetTourStartingConditionExtension | None = element("Extension", default=None)
    random_preset_order: bool | None = attribute("RandomPresetOrder", default=None)


@schema(TT)
class PTZPresetTourStartingConditionExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourOptions:
    auto_start: bool = element("AutoStart")
    starting_condition: PTZPresetTourStartingConditionOptions = element("StartingCondition")
    tour_spot: PTZPresetTourSpotOptions = element("TourSpot")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourSpotOptions:
    preset_detail: PTZPresetTourPresetDetailOptions = element("PresetDetail")
    stay_time: DurationRange = element("StayTime")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourPresetDetailOptions:
    preset_token: tuple[str, ...] = element("PresetToken", default=())
    home: bool | None = element("Home", default=None)
    pan_tilt_position_space: Space2DDescription | None = element("PanTiltPositionSpace", default=None)
    zoom_position_space: Space1DDescription | None = element("ZoomPositionSpace", default=None)
    extension: PTZPresetTourPresetDetailOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class PTZPresetTourPresetDetailOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZPresetTourStartingConditionOptions:
    recurring_time: IntRange | None = element("RecurringTime", default=None)
    recurring_duration: DurationRange | None = element("RecurringDuration", default=None)
    direction: tuple[PTZPresetTourDirection, ...] = element("Direction", default=())
    extension: PTZPresetTourStartingConditionOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class PTZPresetTourStartingConditionOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FocusConfiguration:
    auto_focus_mode: AutoFocusMode = element("AutoFocusMode")
    default_speed: float = element("DefaultSpeed")
    near_limit: float = element("NearLimit")
    far_limit: float = element("FarLimit")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ImagingSettings:
    backlight_compensation: BacklightCompensation | None = element("BacklightCompensation", default=None)
    brightness: float | None = element("Brightness", default=None)
    color_saturation: float | None = element("ColorSaturation", default=None)
    contrast: float | None = element("Contrast", default=None)
    exposure: Exposure | None = element("Exposure", default=None)
    focus: FocusConfiguration | None = element("Focus", default=None)
    ir_cut_filter: IrCutFilterMode | None = element("IrCutFilter", default=None)
    sharpness: float | None = element("Sharpness", default=None)
    wide_dynamic_range: WideDynamicRange | None = element("WideDynamicRange", default=None)
    white_balance: WhiteBalance | None = element("WhiteBalance", default=None)
    extension: ImagingSettingsExtension | None = element("Extension", default=None)


@schema(TT)
class ImagingSettingsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Exposure:
    mode: ExposureMode = element("Mode")
    priority: ExposurePriority = element("Priority")
    window: Rectangle = element("Window")
    min_exposure_time: float = element("MinExposureTime")
    max_exposure_time: float = element("MaxExposureTime")
    min_gain: float = element("MinGain")
    max_gain: float = element("MaxGain")
    min_iris: float = element("MinIris")
    max_iris: float = element("MaxIris")
    exposure_time: float = element("ExposureTime")
    gain: float = element("Gain")
    iris: float = element("Iris")


@schema(TT)
class WideDynamicRange:
    mode: WideDynamicMode = element("Mode")
    level: float = element("Level")


@schema(TT)
class BacklightCompensation:
    mode: BacklightCompensationMode = element("Mode")
    level: float = element("Level")


@schema(TT)
class FocusMove:
    absolute: AbsoluteFocus | None = element("Absolute", default=None)
    relative: RelativeFocus | None = element("Relative", default=None)
    continuous: ContinuousFocus | None = element("Continuous", default=None)


@schema(TT)
class AbsoluteFocus:
    position: float = element("Position")
    speed: float | None = element("Speed", default=None)


@schema(TT)
class RelativeFocus:
    distance: float = element("Distance")
    speed: float | None = element("Speed", default=None)


@schema(TT)
class ContinuousFocus:
    speed: float = element("Speed")


@schema(TT)
class AbsoluteFocusOptions:
    position: FloatRange = element("Position")
    speed: FloatRange | None = element("Speed", default=None)


@schema(TT)
class ContinuousFocusOptions:
    speed: FloatRange = element("Speed")


@schema(TT)
class WhiteBalance:
    mode: WhiteBalanceMode = element("Mode")
    cr_gain: float = element("CrGain")
    cb_gain: float = element("CbGain")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ImagingStatus20:
    focus_status20: FocusStatus20 | None = element("FocusStatus20", default=None)
    extension: ImagingStatus20Extension | None = element("Extension", default=None)


@schema(TT)
class ImagingStatus20Extension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FocusStatus20:
    position: float = element("Position")
    move_status: MoveStatus = element("MoveStatus")
    error: str | None = element("Error", default=None)
    extension: FocusStatus20Extension | None = element("Extension", default=None)


@schema(TT)
class FocusStatus20Extension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ImagingSettings20:
    backlight_compensation: BacklightCompensation20 | None = element("BacklightCompensation", default=None)
    brightness: float | None = element("Brightness", default=None)
    color_saturation: float | None = element("ColorSaturation", default=None)
    contrast: float | None = element("Contrast", default=None)
    exposure: Exposure20 | None = element("Exposure", default=None)
    focus: FocusConfiguration20 | None = element("Focus", default=None)
    ir_cut_filter: IrCutFilterMode | None = element("IrCutFilter", default=None)
    sharpness: float | None = element("Sharpness", default=None)
    wide_dynamic_range: WideDynamicRange20 | None = element("WideDynamicRange", default=None)
    white_balance: WhiteBalance20 | None = element("WhiteBalance", default=None)
    extension: ImagingSettingsExtension20 | None = element("Extension", default=None)


@schema(TT)
class ImagingSettingsExtension20:
    any_: AnyElements = any_elements(default=())
    image_stabilization: ImageStabilization | None = element("ImageStabilization", default=None)
    extension: ImagingSettingsExtension202 | None = element("Extension", default=None)


@schema(TT)
class ImagingSettingsExtension202:
    ir_cut_filter_auto_adjustment: tuple[IrCutFilterAutoAdjustment, ...] = element(
        "IrCutFilterAutoAdjustment", default=()
    )
    extension: ImagingSettingsExtension203 | None = element("Extension", default=None)


@schema(TT)
class ImagingSettingsExtension203:
    tone_compensation: ToneCompensation | None = element("ToneCompensation", default=None)
    defogging: Defogging | None = element("Defogging", default=None)
    noise_reduction: NoiseReduction | None = element("NoiseReduction", default=None)
    extension: ImagingSettingsExtension204 | None = element("Extension", default=None)


@schema(TT)
class ImagingSettingsExtension204:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ImageStabilization:
    mode: ImageStabilizationMode = element("Mode")
    level: float | None = element("Level", default=None)
    extension: ImageStabilizationExtension | None = element("Extension", default=None)


@schema(TT)
class ImageStabilizationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class IrCutFilterAutoAdjustment:
    boundary_type: str = element("BoundaryType")
    boundary_offset: float | None = element("BoundaryOffset", default=None)
    response_time: timedelta | None = element("ResponseTime", default=None)
    extension: IrCutFilterAutoAdjustmentExtension | None = element("Extension", default=None)


@schema(TT)
class IrCutFilterAutoAdjustmentExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class WideDynamicRange20:
    mode: WideDynamicMode = element("Mode")
    level: float | None = element("Level", default=None)


@schema(TT)
class BacklightCompensation20:
    mode: BacklightCompensationMode = element("Mode")
    level: float | None = element("Level", default=None)


@schema(TT)
class Exposure20:
    mode: ExposureMode = element("Mode")
    priority: ExposurePriority | None = element("Priority", default=None)
    window: Rectangle | None = element("Window", default=None)
    min_exposure_time: float | None = element("MinExposureTime", default=None)
    max_exposure_time: float | None = element("MaxExposureTime", default=None)
    min_gain: float | None = element("MinGain", default=None)
    max_gain: float | None = element("MaxGain", default=None)
    min_iris: float | None = element("MinIris", default=None)
    max_iris: float | None = element("MaxIris", default=None)
    exposure_time: float | None = element("ExposureTime", default=None)
    gain: float | None = element("Gain", default=None)
    iris: float | None = element("Iris", default=None)


@schema(TT)
class ToneCompensation:
    mode: str = element("Mode")
    level: float | None = element("Level", default=None)
    extension: ToneCompensationExtension | None = element("Extension", default=None)


@schema(TT)
class ToneCompensationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Defogging:
    mode: str = element("Mode")
    level: float | None = element("Level", default=None)
    extension: DefoggingExtension | None = element("Extension", default=None)


@schema(TT)
class DefoggingExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NoiseReduction:
    level: float = element("Level")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ImagingOptions20:
    backlight_compensation: BacklightCompensationOptions20 | None = element("BacklightCompensation", default=None)
    brightness: FloatRange | None = element("Brightness", default=None)
    color_saturation: FloatRange | None = element("ColorSaturation", default=None)
    contrast: FloatRange | None = element("Contrast", default=None)
    exposure: ExposureOptions20 | None = element("Exposure", default=None)
    focus: FocusOptions20 | None = element("Focus", default=None)
    ir_cut_filter_modes: tuple[IrCutFilterMode, ...] = element("IrCutFilterModes", default=())
    sharpness: FloatRange | None = element("Sharpness", default=None)
    wide_dynamic_range: WideDynamicRangeOptions20 | None = element("WideDynamicRange", default=None)
    white_balance: WhiteBalanceOptions20 | None = element("WhiteBalance", default=None)
    extension: ImagingOptions20Extension | None = element("Extension", default=None)


@schema(TT)
class ImagingOptions20Extension:
    any_: AnyElements = any_elements(default=())
    image_stabilization: ImageStabilizationOptions | None = element("ImageStabilization", default=None)
    extension: ImagingOptions20Extension2 | None = element("Extension", default=None)


@schema(TT)
class ImagingOptions20Extension2:
    ir_cut_filter_auto_adjustment: IrCutFilterAutoAdjustmentOptions | None = element(
        "IrCutFilterAutoAdjustment", default=None
    )
    extension: ImagingOptions20Extension3 | None = element("Extension", default=None)


@schema(TT)
class ImagingOptions20Extension3:
    tone_compensation_options: ToneCompensationOptions | None = element("ToneCompensationOptions", default=None)
    defogging_options: DefoggingOptions | None = element("DefoggingOptions", default=None)
    noise_reduction_options: NoiseReductionOptions | None = element("NoiseReductionOptions", default=None)
    extension: ImagingOptions20Extension4 | None = element("Extension", default=None)


@schema(TT)
class ImagingOptions20Extension4:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ImageStabilizationOptions:
    mode: tuple[ImageStabilizationMode, ...] = element("Mode")
    level: FloatRange | None = element("Level", default=None)
    extension: ImageStabilizationOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class ImageStabilizationOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class IrCutFilterAutoAdjustmentOptions:
    boundary_type: tuple[str, ...] = element("BoundaryType")
    boundary_offset: bool | None = element("BoundaryOffset", default=None)
    response_time_range: DurationRange | None = element("ResponseTimeRange", default=None)
    extension: IrCutFilterAutoAdjustmentOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class IrCutFilterAutoAdjustmentOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class WideDynamicRangeOptions20:
    mode: tuple[WideDynamicMode, ...] = element("Mode")
    level: FloatRange | None = element("Level", default=None)


@schema(TT)
class BacklightCompensationOptions20:
    mode: tuple[BacklightCompensationMode, ...] = element("Mode")
    level: FloatRange | None = element("Level", default=None)


@schema(TT)
class ExposureOptions20:
    mode: tuple[ExposureMode, ...] = element("Mode")
    priority: tuple[ExposurePriority, ...] = element("Priority", default=())
    min_exposure_time: FloatRange | None = element("MinExposureTime", default=None)
    max_exposure_time: FloatRange | None = element("MaxExposureTime", default=None)
    min_gain: FloatRange | None = element("MinGain", default=None)
    max_gain: FloatRange | None = element("MaxGain", default=None)
    min_iris: FloatRange | None = element("MinIris", default=None)
    max_iris: FloatRange | None = element("MaxIris", default=None)
    exposure_time: FloatRange | None = element("ExposureTime", default=None)
    gain: FloatRange | None = element("Gain", default=None)
    iris: FloatRange | None = element("Iris", default=None)


@schema(TT)
class MoveOptions20:
    absolute: AbsoluteFocusOptions | None = element("Absolute", default=None)
    relative: RelativeFocusOptions20 | None = element("Relative", default=None)
    continuous: ContinuousFocusOptions | None = element("Continuous", default=None)


@schema(TT)
class RelativeFocusOptions20:
    distance: FloatRange = element("Distance")
    speed: FloatRange | None = element("Speed", default=None)


@schema(TT)
class WhiteBalance20:
    mode: WhiteBalanceMode = element("Mode")
    cr_gain: float | None = element("CrGain", default=None)
    cb_gain: float | None = element("CbGain", default=None)
    extension: WhiteBalance20Extension | None = element("Extension", default=None)


@schema(TT)
class WhiteBalance20Extension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FocusConfiguration20:
    auto_focus_mode: AutoFocusMode = element("AutoFocusMode")
    default_speed: float | None = element("DefaultSpeed", default=None)
    near_limit: float | None = element("NearLimit", default=None)
    far_limit: float | None = element("FarLimit", default=None)
    extension: FocusConfiguration20Extension | None = element("Extension", default=None)
    af_mode: tuple[str, ...] | None = attribute("AFMode", default=None, tokens=True)


@schema(TT)
class FocusConfiguration20Extension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class WhiteBalanceOptions20:
    mode: tuple[WhiteBalanceMode, ...] = element("Mode")
    yr_gain: FloatRange | None = element("YrGain", default=None)
    yb_gain: FloatRange | None = element("YbGain", default=None)
    extension: WhiteBalanceOptions20Extension | None = element("Extension", default=None)


@schema(TT)
class WhiteBalanceOptions20Extension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FocusOptions20:
    auto_focus_modes: tuple[AutoFocusMode, ...] = element("AutoFocusModes", default=())
    default_speed: FloatRange | None = element("DefaultSpeed", default=None)
    near_limit: FloatRange | None = element("NearLimit", default=None)
    far_limit: FloatRange | None = element("FarLimit", default=None)
    extension: FocusOptions20Extension | None = element("Extension", default=None)


@schema(TT)
class FocusOptions20Extension:
    any_: AnyElements = any_elements(default=())
    af_modes: tuple[str, ...] | None = element("AFModes", default=None, tokens=True)


@schema(TT)
class ToneCompensationOptions:
    mode: tuple[str, ...] = element("Mode")
    level: bool = element("Level")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class DefoggingOptions:
    mode: tuple[str, ...] = element("Mode")
    level: bool = element("Level")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class NoiseReductionOptions:
    level: bool = element("Level")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Message:
    source: ItemList | None = element("Source", default=None)
    key: ItemList | None = element("Key", default=None)
    data: ItemList | None = element("Data", default=None)
    extension: MessageExtension | None = element("Extension", default=None)
    utc_time: int = attribute("UtcTime", form=Form.DATETIME)
    property_operation: PropertyOperation | None = attribute("PropertyOperation", default=None)


@schema(TT)
class MessageExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ItemList:
    simple_item: tuple[ItemListSimpleItem, ...] = element("SimpleItem", default=())
    element_item: tuple[ItemListElementItem, ...] = element("ElementItem", default=())
    extension: ItemListExtension | None = element("Extension", default=None)


@schema(TT)
class ItemListElementItem:
    any_: AnyElements = any_elements(default=())
    name: str = attribute("Name")


@schema(TT)
class ItemListSimpleItem:
    name: str = attribute("Name")
    value: str = attribute("Value")


@schema(TT)
class ItemListExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MessageDescription:
    source: ItemListDescription | None = element("Source", default=None)
    key: ItemListDescription | None = element("Key", default=None)
    data: ItemListDescription | None = element("Data", default=None)
    extension: MessageDescriptionExtension | None = element("Extension", default=None)
    is_property: bool | None = attribute("IsProperty", default=None)


@schema(TT)
class MessageDescriptionExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ItemListDescription:
    simple_item_description: tuple[ItemListDescriptionSimpleItemDescription, ...] = element(
        "SimpleItemDescription", default=()
    )
    element_item_description: tuple[ItemListDescriptionElementItemDescription, ...] = element(
        "ElementItemDescription", default=()
    )
    extension: ItemListDescriptionExtension | None = element("Extension", default=None)


@schema(TT)
class ItemListDescriptionElementItemDescription:
    name: str = attribute("Name")
    type_: str = attribute("Type", form=Form.QNAME)


@schema(TT)
class ItemListDescriptionSimpleItemDescription:
    name: str = attribute("Name")
    type_: str = attribute("Type", form=Form.QNAME)


@schema(TT)
class ItemListDescriptionExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AnalyticsEngineConfiguration:
    analytics_module: tuple[Config, ...] = element("AnalyticsModule", default=())
    extension: AnalyticsEngineConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class AnalyticsEngineConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RuleEngineConfiguration:
    rule: tuple[Config, ...] = element("Rule", default=())
    extension: RuleEngineConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class RuleEngineConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Config:
    parameters: ItemList = element("Parameters")
    name: str = attribute("Name")
    type_: str = attribute("Type", form=Form.QNAME)


@schema(TT)
class PaneLayout:
    pane: str = element("Pane")
    area: Rectangle = element("Area")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Layout:
    pane_layout: tuple[PaneLayout, ...] = element("PaneLayout")
    extension: LayoutExtension | None = element("Extension", default=None)


@schema(TT)
class LayoutExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ReceiverConfiguration:
    mode: ReceiverMode = element("Mode")
    media_uri: str = element("MediaUri")
    stream_setup: StreamSetup = element("StreamSetup")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class Receiver:
    token: str = element("Token")
    configuration: ReceiverConfiguration = element("Configuration")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ReceiverStateInformation:
    state: ReceiverState = element("State")
    auto_created: bool = element("AutoCreated")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SourceReference:
    token: str = element("Token")
    any_: AnyElements = any_elements(default=())
    type_: str | None = attribute("Type", default=None)


@schema(TT)
class DateTimeRange:
    from_: int = element("From", form=Form.DATETIME)
    until: int = element("Until", form=Form.DATETIME)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingSummary:
    data_from: int = element("DataFrom", form=Form.DATETIME)
    data_until: int = element("DataUntil", form=Form.DATETIME)
    number_recordings: int = element("NumberRecordings")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class SearchScope:
    included_sources: tuple[SourceReference, ...] = element("IncludedSources", default=())
    included_recordings: tuple[str, ...] = element("IncludedRecordings", default=())
    recording_information_filter: str | None = element("RecordingInformationFilter", default=None)
    extension: SearchScopeExtension | None = element("Extension", default=None)


@schema(TT)
class SearchScopeExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class EventFilter(wsnt.FilterType):
    pass


@schema(TT)
class PTZPositionFilter:
    min_position: PTZVector = element("MinPosition")
    max_position: PTZVector = element("MaxPosition")
    enter_or_exit: bool = element("EnterOrExit")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MetadataFilter:
    metadata_stream_filter: str = element("MetadataStreamFilter")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FindRecordingResultList:
    search_state: SearchState = element("SearchState")
    recording_information: tuple[RecordingInformation, ...] = element("RecordingInformation", default=())


@schema(TT)
class FindEventResultList:
    search_state: SearchState = element("SearchState")
    result: tuple[FindEventResult, ...] = element("Result", default=())


@schema(TT)
class FindEventResult:
    recording_token: str = element("RecordingToken")
    track_token: str = element("TrackToken")
    time: int = element("Time", form=Form.DATETIME)
    event: wsnt.NotificationMessageHolderType = element("Event")
    start_state_event: bool = element("StartStateEvent")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FindPTZPositionResultList:
    search_state: SearchState = element("SearchState")
    result: tuple[FindPTZPositionResult, ...] = element("Result", default=())


@schema(TT)
class FindPTZPositionResult:
    recording_token: str = element("RecordingToken")
    track_token: str = element("TrackToken")
    time: int = element("Time", form=Form.DATETIME)
    position: PTZVector = element("Position")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FindMetadataResultList:
    search_state: SearchState = element("SearchState")
    result: tuple[FindMetadataResult, ...] = element("Result", default=())


@schema(TT)
class FindMetadataResult:
    recording_token: str = element("RecordingToken")
    track_token: str = element("TrackToken")
    time: int = element("Time", form=Form.DATETIME)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingInformation:
    recording_token: str = element("RecordingToken")
    source: RecordingSourceInformation = element("Source")
    earliest_recording: int | None = element("EarliestRecording", default=None, form=Form.DATETIME)
    latest_recording: int | None = element("LatestRecording", default=None, form=Form.DATETIME)
    content: str = element("Content")
    track: tuple[TrackInformation, ...] = element("Track", default=())
    recording_status: RecordingStatus = element("RecordingStatus")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingSourceInformation:
    source_id: str = element("SourceId")
    name: str = element("Name")
    location: str = element("Location")
    description: str = element("Description")
    address: str = element("Address")
    video_source_token: str | None = element("VideoSourceToken", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AsymmetricEncryption:
    certificate_id: tuple[str, ...] = element("CertificateID")
    key_rotation_duration: timedelta | None = element("KeyRotationDuration", default=None)
    additional_info: str | None = element("AdditionalInfo", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingEncryption:
    kid: str | None = element("KID", default=None)
    key: bytes | None = element("Key", default=None, form=Form.HEX)
    track: tuple[str, ...] = element("Track", default=())
    asymmetric_encryption: AsymmetricEncryption | None = element("AsymmetricEncryption", default=None)
    any_: AnyElements = any_elements(default=())
    mode: str = attribute("Mode")


@schema(TT)
class RecordingTargetConfiguration:
    storage: str = element("Storage")
    format_: str = element("Format")
    prefix: str | None = element("Prefix", default=None)
    postfix: str | None = element("Postfix", default=None)
    span_duration: timedelta | None = element("SpanDuration", default=None)
    segment_duration: timedelta = element("SegmentDuration")
    encryption: tuple[RecordingEncryption, ...] = element("Encryption", default=())
    segment_duration_override: RecordingTargetConfigurationSegmentDurationOverride | None = element(
        "SegmentDurationOverride", default=None
    )
    storage_strategy: str | None = element("StorageStrategy", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingTargetConfigurationSegmentDurationOverride:
    duration: timedelta = element("Duration")
    expiration: timedelta = element("Expiration")


@schema(TT)
class TrackInformation:
    track_token: str = element("TrackToken")
    track_type: TrackType = element("TrackType")
    description: str = element("Description")
    data_from: int = element("DataFrom", form=Form.DATETIME)
    data_to: int = element("DataTo", form=Form.DATETIME)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MediaAttributes:
    recording_token: str = element("RecordingToken")
    track_attributes: tuple[TrackAttributes, ...] = element("TrackAttributes", default=())
    from_: int = element("From", form=Form.DATETIME)
    until: int = element("Until", form=Form.DATETIME)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class TrackAttributes:
    track_information: TrackInformation = element("TrackInformation")
    video_attributes: VideoAttributes | None = element("VideoAttributes", default=None)
    audio_attributes: AudioAttributes | None = element("AudioAttributes", default=None)
    metadata_attributes: MetadataAttributes | None = element("MetadataAttributes", default=None)
    extension: TrackAttributesExtension | None = element("Extension", default=None)


@schema(TT)
class TrackAttributesExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class VideoAttributes:
    bitrate: int | None = element("Bitrate", default=None)
    width: int = element("Width")
    height: int = element("Height")
    encoding: str = element("Encoding")
    framerate: float = element("Framerate")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class AudioAttributes:
    bitrate: int | None = element("Bitrate", default=None)
    encoding: str = element("Encoding")
    samplerate: int = element("Samplerate")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MetadataAttributes:
    can_contain_ptz: bool = element("CanContainPTZ")
    can_contain_analytics: bool = element("CanContainAnalytics")
    can_contain_notifications: bool = element("CanContainNotifications")
    any_: AnyElements = any_elements(default=())
    ptz_spaces: tuple[str, ...] | None = attribute("PtzSpaces", default=None, tokens=True)


@schema(TT)
class RecordingConfiguration:
    source: RecordingSourceInformation = element("Source")
    content: str = element("Content")
    maximum_retention_time: timedelta = element("MaximumRetentionTime")
    target: RecordingTargetConfiguration | None = element("Target", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class TrackConfiguration:
    track_type: TrackType = element("TrackType")
    description: str = element("Description")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class GetRecordingsResponseItem:
    recording_token: str = element("RecordingToken")
    configuration: RecordingConfiguration = element("Configuration")
    tracks: GetTracksResponseList = element("Tracks")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class GetTracksResponseList:
    track: tuple[GetTracksResponseItem, ...] = element("Track", default=())


@schema(TT)
class GetTracksResponseItem:
    track_token: str = element("TrackToken")
    configuration: TrackConfiguration = element("Configuration")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingJobConfiguration:
    recording_token: str = element("RecordingToken")
    mode: str = element("Mode")
    priority: int = element("Priority")
    source: tuple[RecordingJobSource, ...] = element("Source", default=())
    extension: RecordingJobConfigurationExtension | None = element("Extension", default=None)
    event_filter: RecordingEventFilter | None = element("EventFilter", default=None)
    any_: AnyElements = any_elements(default=())
    schedule_token: str | None = attribute("ScheduleToken", default=None)


@schema(TT)
class RecordingEventFilter:
    filter_: tuple[RecordingEventFilterFilter, ...] = element("Filter")
    before: timedelta | None = element("Before", default=None)
    after: timedelta | None = element("After", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingEventFilterFilter:
    topic: str = element("Topic")
    source: str | None = element("Source", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingJobConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingJobSource:
    source_token: SourceReference | None = element("SourceToken", default=None)
    auto_create_receiver: bool | None = element("AutoCreateReceiver", default=None)
    tracks: tuple[RecordingJobTrack, ...] = element("Tracks", default=())
    extension: RecordingJobSourceExtension | None = element("Extension", default=None)


@schema(TT)
class RecordingJobSourceExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingJobTrack:
    source_tag: str = element("SourceTag")
    destination: str = element("Destination")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingJobStateInformation:
    recording_token: str = element("RecordingToken")
    state: str = element("State")
    sources: tuple[RecordingJobStateSource, ...] = element("Sources", default=())
    extension: RecordingJobStateInformationExtension | None = element("Extension", default=None)


@schema(TT)
class RecordingJobStateInformationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingJobStateSource:
    source_token: SourceReference = element("SourceToken")
    state: str = element("State")
    tracks: RecordingJobStateTracks = element("Tracks")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class RecordingJobStateTracks:
    track: tuple[RecordingJobStateTrack, ...] = element("Track", default=())


@schema(TT)
class RecordingJobStateTrack:
    source_tag: str = element("SourceTag")
    destination: str = element("Destination")
    error: str | None = element("Error", default=None)
    state: str = element("State")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class GetRecordingJobsResponseItem:
    job_token: str = element("JobToken")
    job_configuration: RecordingJobConfiguration = element("JobConfiguration")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ReplayConfiguration:
    session_timeout: timedelta = element("SessionTimeout", absent=timedelta(0))
    any_: AnyElements = any_elements(default=())


@schema(TT)
class OSDReference:
    value: str = text()


@schema(TT)
class OSDPosConfiguration:
    type_: str = element("Type")
    pos: Vector | None = element("Pos", default=None)
    extension: OSDPosConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class OSDPosConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class OSDColor:
    color: Color = element("Color")
    transparent: int | None = attribute("Transparent", default=None)


@schema(TT)
class OSDTextConfiguration:
    type_: str = element("Type")
    date_format: str | None = element("DateFormat", default=None)
    time_format: str | None = element("TimeFormat", default=None)
    font_size: int | None = element("FontSize", default=None)
    font_color: OSDColor | None = element("FontColor", default=None)
    background_color: OSDColor | None = element("BackgroundColor", default=None)
    plain_text: str | None = element("PlainText", default=None)
    extension: OSDTextConfigurationExtension | None = element("Extension", default=None)
    is_persistent_text: bool | None = attribute("IsPersistentText", default=None)


@schema(TT)
class OSDTextConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class OSDImgConfiguration:
    img_path: str = element("ImgPath")
    extension: OSDImgConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class OSDImgConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ColorspaceRange:
    x: FloatRange = element("X")
    y: FloatRange = element("Y")
    z: FloatRange = element("Z")
    colorspace: str = element("Colorspace")


@schema(TT)
class ColorOptions:
    color_list: tuple[Color, ...] = element("ColorList", default=())
    colorspace_range: tuple[ColorspaceRange, ...] = element("ColorspaceRange", default=())


@schema(TT)
class OSDColorOptions:
    color: ColorOptions | None = element("Color", default=None)
    transparent: IntRange | None = element("Transparent", default=None)
    extension: OSDColorOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class OSDColorOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class OSDTextOptions:
    type_: tuple[str, ...] = element("Type")
    font_size_range: IntRange | None = element("FontSizeRange", default=None)
    date_format: tuple[str, ...] = element("DateFormat", default=())
    time_format: tuple[str, ...] = element("TimeFormat", default=())
    font_color: OSDColorOptions | None = element("FontColor", default=None)
    background_color: OSDColorOptions | None = element("BackgroundColor", default=None)
    extension: OSDTextOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class OSDTextOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class OSDImgOptions:
    image_path: tuple[str, ...] = element("ImagePath")
    extension: OSDImgOptionsExtension | None = element("Extension", default=None)
    formats_supported: tuple[str, ...] | None = attribute("FormatsSupported", default=None, tokens=True)
    max_size: int | None = attribute("MaxSize", default=None)
    max_width: int | None = attribute("MaxWidth", default=None)
    max_height: int | None = attribute("MaxHeight", default=None)


@schema(TT)
class OSDImgOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class OSDConfiguration(DeviceEntity):
    video_source_configuration_token: OSDReference = element("VideoSourceConfigurationToken")
    type_: OSDType = element("Type")
    position: OSDPosConfiguration = element("Position")
    text_string: OSDTextConfiguration | None = element("TextString", default=None)
    image: OSDImgConfiguration | None = element("Image", default=None)
    extension: OSDConfigurationExtension | None = element("Extension", default=None)


@schema(TT)
class OSDConfigurationExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class MaximumNumberOfOSDs:
    total: int = attribute("Total")
    image: int | None = attribute("Image", default=None)
    plain_text: int | None = attribute("PlainText", default=None)
    date: int | None = attribute("Date", default=None)
    time: int | None = attribute("Time", default=None)
    date_and_time: int | None = attribute("DateAndTime", default=None)


@schema(TT)
class OSDConfigurationOptions:
    maximum_number_of_osds: MaximumNumberOfOSDs = element("MaximumNumberOfOSDs")
    type_: tuple[OSDType, ...] = element("Type")
    position_option: tuple[str, ...] = element("PositionOption")
    text_option: OSDTextOptions | None = element("TextOption", default=None)
    image_option: OSDImgOptions | None = element("ImageOption", default=None)
    extension: OSDConfigurationOptionsExtension | None = element("Extension", default=None)


@schema(TT)
class OSDConfigurationOptionsExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FileProgress:
    file_name: str = element("FileName")
    progress: float = element("Progress")
    any_: AnyElements = any_elements(default=())


@schema(TT)
class ArrayOfFileProgress:
    file_progress: tuple[FileProgress, ...] = element("FileProgress", default=())
    extension: ArrayOfFileProgressExtension | None = element("Extension", default=None)


@schema(TT)
class ArrayOfFileProgressExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class StorageReferencePath:
    storage_token: str = element("StorageToken")
    relative_path: str | None = element("RelativePath", default=None)
    extension: StorageReferencePathExtension | None = element("Extension", default=None)


@schema(TT)
class StorageReferencePathExtension:
    any_: AnyElements = any_elements(default=())


@schema(TT)
class FindObjectImageResultList:
    search_state: SearchState = element("SearchState")
    result: tuple[FindObjectImageResult, ...] = element("Result", default=())


@schema(TT)
class FindObjectImageResult:
    object_uuid: str = element("ObjectUUID")
    target_image_uri: str = element("TargetImageURI")
    time: int = element("Time", form=Form.DATETIME)
    similarity: float = element("Similarity")
    recording_token: str = element("RecordingToken")


@schema(TT)
class FindNLSearchResultList:
    search_state: SearchState = element("SearchState")
    result: tuple[FindNLSearchResult, ...] = element("Result", default=())


@schema(TT)
class FindNLSearchResult:
    object_uuid: str = element("ObjectUUID")
    target_image_uri: str = element("TargetImageURI")
    time: int = element("Time", form=Form.DATETIME)
    similarity: float = element("Similarity")
    recording_token: str = element("RecordingToken")


@schema(TT)
class IntRange:
    min_: int = element("Min")
    max_: int = element("Max")


@schema(TT)
class Vector2D:
    x: float = attribute("x")
    y: float = attribute("y")
    space: str | None = attribute("space", default=None)


@schema(TT)
class Vector1D:
    x: float = attribute("x")
    space: str | None = attribute("space", default=None)


@schema(TT)
class PTZVector:
    pan_tilt: Vector2D | None = element("PanTilt", default=None)
    zoom: Vector1D | None = element("Zoom", default=None)


@schema(TT)
class FieldOfView:
    hfov: float = attribute("hfov")
    vfov: float = attribute("vfov")


@schema(TT)
class PTZStatus:
    position: PTZVector | None = element("Position", default=None)
    move_status: PTZMoveStatus | None = element("MoveStatus", default=None)
    error: str | None = element("Error", default=None)
    utc_time: int = element("UtcTime", form=Form.DATETIME)
    field_of_view: FieldOfView | None = element("FieldOfView", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TT)
class PTZMoveStatus:
    pan_tilt: MoveStatus | None = element("PanTilt", default=None)
    zoom: MoveStatus | None = element("Zoom", default=None)


@schema(TT)
class Vector:
    x: float = attribute("x")
    y: float = attribute("y")


@schema(TT)
class Rectangle:
    bottom: float = attribute("bottom")
    top: float = attribute("top")
    right: float = attribute("right")
    left: float = attribute("left")


@schema(TT)
class Polygon:
    point: tuple[Vector, ...] = element("Point")


@schema(TT)
class Color:
    x: float = attribute("X")
    y: float = attribute("Y")
    z: float = attribute("Z")
    colorspace: str | None = attribute("Colorspace", default=None)
    likelihood: float | None = attribute("Likelihood", default=None)


@schema(TT)
class GeoLocation:
    any_: AnyElements = any_elements(default=())
    lon: float | None = attribute("lon", default=None)
    lat: float | None = attribute("lat", default=None)
    elevation: float | None = attribute("elevation", default=None)


@schema(TT)
class GeoOrientation:
    any_: AnyElements = any_elements(default=())
    roll: float | None = attribute("roll", default=None)
    pitch: float | None = attribute("pitch", default=None)
    yaw: float | None = attribute("yaw", default=None)


@schema(TT)
class LocalLocation:
    any_: AnyElements = any_elements(default=())
    x: float | None = attribute("x", default=None)
    y: float | None = attribute("y", default=None)
    z: float | None = attribute("z", default=None)


@schema(TT)
class LocalOrientation:
    any_: AnyElements = any_elements(default=())
    pan: float | None = attribute("pan", default=None)
    tilt: float | None = attribute("tilt", default=None)
    roll: float | None = attribute("roll", default=None)


@schema(TT)
class LocationEntity:
    geo_location: GeoLocation | None = element("GeoLocation", default=None)
    geo_orientation: GeoOrientation | None = element("GeoOrientation", default=None)
    local_location: LocalLocation | None = element("LocalLocation", default=None)
    local_orientation: LocalOrientation | None = element("LocalOrientation", default=None)
    entity: str | None = attribute("Entity", default=None)
    token: str | None = attribute("Token", default=None)
    fixed: bool | None = attribute("Fixed", default=None)
    geo_source: str | None = attribute("GeoSource", default=None)
    auto_geo: bool | None = attribute("AutoGeo", default=None)
