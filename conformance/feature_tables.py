"""The tables of the Feature Discovery specification, 5.4. Names are the specification's, `Service/Feature`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A feature that one attribute of GetServiceCapabilities decides."""

    feature: str
    service: str
    path: str
    """Child element of Capabilities, empty for the element itself."""
    attribute: str
    rule: str = "true"
    """`true`, `not-true`, `positive`, `positive-or-missing`, `present`, `filled`, `contains:A,B`."""


SERVICE_FEATURES = {
    "tev": "Event Service",
    "trt": "Media Service",
    "tr2": "Media2 Service",
    "tmd": "Device IO Service",
    "tptz": "PTZ Service",
    "timg": "Imaging Service",
    "tan": "Analytics Service",
    "trc": "Recording Control Service",
    "tse": "Recording Search Service",
    "trp": "Replay Service",
    "trv": "Receiver Service",
    "tdc": "Door Control Service",
    "tac": "Access Control Service",
    "tas": "Security Configuration Service",
    "tcr": "Credential Service",
    "tar": "Access Rules Service",
    "tsc": "Schedule Service",
    "tpv": "Provisioning Service",
    "tth": "Thermal Service",
}


def _rows(service: str, area: str, path: str, *rows: tuple[str, str] | tuple[str, str, str]) -> tuple[Row, ...]:
    return tuple(Row(f"{area}/{row[0]}", service, path, row[1], *row[2:]) for row in rows)


BY_CAPABILITY: tuple[Row, ...] = (
    # 5.4.1
    *_rows(
        *("tds", "Device", "Network"),
        *(("NTP", "NTP", "positive"), ("IPv6", "IPVersion6"), ("Zero Configuration", "ZeroConfiguration")),
        *(("Dynamic DNS", "DynDNS"), ("IP Filter", "IPFilter"), ("Stateful IPv6 DHCP", "DHCPv6")),
    ),
    *_rows(
        *("tds", "Device", "Security"),
        *(
            ("WS-UsernameToken", "UsernameToken"),
            ("HTTP Digest", "HttpDigest"),
            ("Maximum Users", "MaxUsers", "present"),
        ),
        *(("Default Access Policy", "DefaultAccessPolicy"), ("Remote User Handling", "RemoteUserHandling")),
        *(("Maximum Username Length", "MaxUserNameLength", "present"),),
        *(("Maximum Password Length", "MaxPasswordLength", "present"),),
        *(("TLS1.0", "TLS1.0"), ("TLS1.1", "TLS1.1"), ("TLS1.2", "TLS1.2")),
    ),
    *_rows(
        *("tds", "Device", "System"),
        *(("Discovery", "DiscoveryNotSupported", "not-true"), ("Bye Message", "DiscoveryBye")),
        *(("System logging", "SystemLogging"), ("Http Firmware Upgrade", "HttpFirmwareUpgrade")),
        *(("Http System Backup", "HttpSystemBackup"), ("Http System Logging", "HttpSystemLogging")),
        *(("Http Support Information", "HttpSupportInformation"),),
        *(("User Configuration", "UserConfigNotSupported", "not-true"),),
        *(("Network Configuration", "NetworkConfigNotSupported", "not-true"),),
        *(("Firmware Upgrade", "FirmwareUpgrade"), ("Remote Discovery", "RemoteDiscovery")),
        *(("System Backup", "SystemBackup"),),
    ),
    *_rows("tds", "Device", "Misc", ("Auxiliary Commands", "AuxiliaryCommands", "filled")),
    # 5.4.6.3, 5.4.6.4
    *_rows(
        *("trt", "Media", "StreamingCapabilities"),
        *(("Real-time Streaming", "NoRTSPStreaming", "not-true"), ("RTP/RTSP/TCP", "RTP_RTSP_TCP")),
        *(("RTP-Multicast/UDP", "RTPMulticast"),),
    ),
    # 5.4.7
    *_rows(
        *("tr2", "Media2", "ProfileCapabilities"),
        *(("Video", "ConfigurationsSupported", "contains:VideoEncoder"),),
        *(("Audio", "ConfigurationsSupported", "contains:AudioEncoder"),),
        *(("Audio Output", "ConfigurationsSupported", "contains:AudioOutput"),),
        *(("Analytics", "ConfigurationsSupported", "contains:Analytics"),),
        *(("Metadata", "ConfigurationsSupported", "contains:Metadata"),),
    ),
    *_rows(
        *("tr2", "Media2", "StreamingCapabilities"),
        *(("Real-time Streaming", "RTSPStreaming"), ("RTP/RTSP/TCP", "RTP_RTSP_TCP")),
        *(("RTP-Multicast/UDP", "RTPMulticast"), ("RTSP WebSocket", "RTSPWebSocketUri", "filled")),
    ),
    *_rows(
        *("tr2", "Media2", ""),
        *(("Snapshot Uri", "SnapshotUri"), ("OSD", "OSD"), ("Video Source Mode", "VideoSourceMode"), ("Mask", "Mask")),
    ),
    # 5.4.8.2
    *_rows(
        *("tev", "Event", ""),
        *(("Persistent Notification Storage", "PersistentNotificationStorage"),),
        *(("WS Basic Notification", "MaxNotificationProducers", "positive-or-missing"),),
        *(("MaxPullPoints capability", "MaxPullPoints", "present"), ("Event Broker", "MaxEventBrokers", "positive")),
        *(("Protocols/mqtt", "EventBrokerProtocols", "contains:mqtt"),),
        *(("Protocols/mqtts", "EventBrokerProtocols", "contains:mqtts"),),
        *(("Protocols/ws", "EventBrokerProtocols", "contains:ws"),),
        *(("Protocols/wss", "EventBrokerProtocols", "contains:wss"),),
    ),
    # 5.4.9.1
    *_rows(
        *("tmd", "Device IO", ""),
        *(("Relay Outputs", "RelayOutputs", "positive"), ("Digital Inputs", "DigitalInputs", "positive")),
        *(("Serial Ports", "SerialPorts", "positive"), ("Digital Input Options", "DigitalInputOptions")),
    ),
    # 5.4.10.1
    *_rows(
        *("tptz", "PTZ", ""),
        *(("Get Compatible Configurations", "GetCompatibleConfigurations"), ("Move Status", "MoveStatus")),
        *(("Status Position", "StatusPosition"),),
    ),
    # 5.4.12.1
    *_rows(
        *("tan", "Analytics", ""),
        *(("Rule Engine", "RuleSupport"), ("Rule Options", "RuleOptionsSupported")),
        *(("Analytics Modules", "AnalyticsModuleSupport"),),
        *(("Analytics Module Options", "AnalyticsModuleOptionsSupported"),),
        *(("Supported Metadata", "SupportedMetadata"), ("Image Sending", "ImageSendingType", "filled")),
    ),
    # 5.4.13 to 5.4.15
    *_rows(
        *("trc", "Recording Control", ""),
        *(("Dynamic Recordings", "DynamicRecordings"), ("Dynamic Tracks", "DynamicTracks")),
        *(("Audio Recording", "Encoding", "contains:AAC,G711,G726"), ("Recording Options", "Options")),
        *(("Metadata Recording", "MetadataRecording"), ("JPEG", "Encoding", "contains:JPEG")),
        *(("H.264", "Encoding", "contains:H264"), ("MPEG4", "Encoding", "contains:MPEG4")),
    ),
    *_rows("tse", "Recording Search", "", ("Metadata Search", "MetadataSearch")),
    *_rows("trp", "Replay", "", ("Reverse Replay", "ReversePlayback"), ("RTP/RTSP/TCP", "RTP_RTSP_TCP")),
    # 5.4.19.1
    *_rows(
        *("tas", "Security", "KeystoreCapabilities"),
        *(("RSA Key Pair Generation", "RSAKeyPairGeneration"),),
        *(("PKCS10 External Certification with RSA", "PKCS10ExternalCertificationWithRSA"),),
        *(("Self-Signed Certificate Creation with RSA", "SelfSignedCertificateCreationWithRSA"),),
        *(("Passphrase Management", "MaximumNumberOfPassphrases", "positive"),),
        *(("PKCS8 Container Upload", "PKCS8RSAKeyPairUpload"),),
        *(("PKCS12 Container Upload", "PKCS12CertificateWithRSAPrivateKeyUpload"),),
        *(("CRLs", "MaximumNumberOfCRLs", "positive"),),
        *(
            (
                "Certification path validation policies",
                "MaximumNumberOfCertificationPathValidationPolicies",
                "positive",
            ),
        ),
        *(("TLS WWW client auth extended key usage extension", "EnforceTLSWebClientAuthExtKeyUsage"),),
        *(("No Private Key Sharing", "NoPrivateKeySharing"),),
    ),
    *_rows(
        *("tas", "Security", "TLSServerCapabilities"),
        *(("TLS Server", "TLSServerSupported", "filled"), ("TLS client authentication", "TLSClientAuthSupported")),
        *(("Enabled TLS Versions", "EnabledVersionsSupported"),),
    ),
)

_IMAGE = ("ImagingService", "AnalyticsService", "RecordingService")

BY_TOPIC: dict[str, tuple[str, ...]] = {
    # 5.4.5
    **{
        f"Device/{name}": (f"tns1:{name}",)
        for name in (
            *("Monitoring/ProcessorUsage", "Monitoring/OperatingTime/LastReset", "Monitoring/OperatingTime/LastReboot"),
            *("Monitoring/OperatingTime/LastClockSynchronization", "Monitoring/Backup/Last"),
        )
    },
    **{
        f"Device/HardwareFailure/{name}": (f"tns1:Device/HardwareFailure/{name}",)
        for name in ("TemperatureCritical", "FanFailure", "PowerSupplyFailure", "StorageFailure")
    },
    # 5.4.7.6, 5.4.11.2, 5.4.13
    "Media2/ProfileChanged": ("tns1:Media/ProfileChanged",),
    "Media2/ConfigurationChanged": ("tns1:Media/ConfigurationChanged",),
    **{
        f"Imaging/{name}": tuple(f"tns1:VideoSource/{topic}/{source}" for source in _IMAGE)
        for name, topic in (
            *(("Image Too Blurry", "ImageTooBlurry"), ("Image Too Dark", "ImageTooDark")),
            *(("Image Too Bright", "ImageTooBright"), ("Global Scene Change", "GlobalSceneChange")),
        )
    },
    "Imaging/Motion Alarm": ("tns1:VideoSource/MotionAlarm",),
    "Recording Control/DeleteTrackData": ("tns1:RecordingConfig/DeleteTrackData",),
}

AUXILIARY: tuple[str, ...] = tuple(
    f"Device/tt:{command}"
    for command in (
        *("Wiper|On", "Wiper|Off", "Washer|On", "Washer|Off", "WashingProcedure|On", "WashingProcedure|Off"),
        *("IRLamp|On", "IRLamp|Off", "IRLamp|Auto"),
    )
)

RELAY_MODES: tuple[str, ...] = tuple(
    f"Device/RelayOutputs/{mode} Mode{idle}"
    for mode in ("Bistable", "Monostable")
    for idle in ("", "/Open Idle State", "/Closed Idle State")
)

OTHERS: tuple[str, ...] = (
    *("GetCapabilities", "GetServices", "Device/HTTPS", "Device/RelayOutputs"),
    *("WS-Discovery/Types/tds:Device", "WS-Discovery/Types/dn:NetworkVideoTransmitter"),
    *("Event/Message Content Filter", "Event/ONVIF Message Content Filter Dialect", "Event/Pull-Point Notification"),
    # Profile Conformance 4.2 and 7.2: "at least two PullPoint subscriptions".
    "Event/Two Pull Points",
    *("Media/JPEG", "Media/MPEG-4", "Media/H.264", "Media/Audio", "Media/Audio/G.711", "Media/Audio/G.726"),
    *("Media/Audio/AAC", "Media/GetSnapshotUri", "Media/Audio Outputs", "Media/RTP/UDP", "Media/RTP/RTSP/HTTP"),
    # 5.4.6.6
    *("Media/Audio Outputs/G.711", "Media/Audio Outputs/G.726", "Media/Audio Outputs/AAC"),
    *("Media2/Video/H.265", "Media2/Video/H.264", "Media2/Audio/G.711", "Media2/Audio/AAC", "Media2/RTP/UDP"),
    *("Media2/RTP/RTSP/HTTP", "Media2/RTP/RTSP/HTTPS", "Media2/Audio Output/G.711", "Media2/Audio Output/AAC"),
    *("Media2/OSD/Types/Text", "Media2/OSD/Types/Image", "Device IO/Relay Output Options"),
    *("PTZ/Continuous Pan/Tilt", "PTZ/Continuous Zoom", "PTZ/Absolute Pan/Tilt", "PTZ/Absolute Zoom"),
    *("PTZ/Relative Pan/Tilt", "PTZ/Relative Zoom", "PTZ/Speed Pan/Tilt", "PTZ/Speed Zoom", "PTZ/Preset"),
    *("PTZ/Auxiliary", "PTZ/Home Position", "PTZ/Fixed Home Position", "PTZ/Configurable Home Position"),
    *("Imaging/IrCutfilter Configuration", "Imaging/Focus Control"),
    "Recording Search/PTZ Position Search",
)
