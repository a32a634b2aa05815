"""Access class of each operation (Core 5.9.4 and the tables of the service specifications)."""

from __future__ import annotations

CLASSES: dict[str, dict[str, str]] = {
    "tds": {
        "ACTUATE": """
            SetRelayOutputSettings SetRelayOutputState SendAuxiliaryCommand CreateStorageConfiguration
            SetStorageConfiguration DeleteStorageConfiguration
        """,
        "PRE_AUTH": """
            GetWsdlUrl GetServices GetServiceCapabilities GetCapabilities GetHostname GetSystemDateAndTime
            GetEndpointReference
        """,
        "READ_MEDIA": "GetRelayOutputs GetStorageConfigurations GetStorageConfiguration",
        "READ_SYSTEM": """
            GetDNS GetNTP GetDynamicDNS GetNetworkInterfaces GetNetworkProtocols GetNetworkDefaultGateway
            GetZeroConfiguration GetIPAddressFilter GetDot11Capabilities GetDot11Status
            ScanAvailableDot11Networks GetDeviceInformation GetSystemUris GetScopes GetDiscoveryMode
            GetGeoLocation GetRemoteUser GetUserRoles GetPasswordComplexityOptions
            GetPasswordComplexityConfiguration GetPasswordHistoryConfiguration GetAuthFailureWarningOptions
            GetAuthFailureWarningConfiguration
        """,
        "READ_SYSTEM_SECRET": "GetSystemBackup GetSystemLog GetSystemSupportInformation GetAccessPolicy GetUsers",
        "UNRECOVERABLE": """
            RestoreSystem StartSystemRestore SetSystemFactoryDefault StartFirmwareUpgrade UpgradeFirmware
            SystemReboot
        """,
        "WRITE_SYSTEM": """
            SetHashingAlgorithm SetHostname SetHostnameFromDHCP SetDNS SetNTP SetDynamicDNS SetNetworkInterfaces
            SetNetworkProtocols SetNetworkDefaultGateway SetZeroConfiguration SetIPAddressFilter
            AddIPAddressFilter RemoveIPAddressFilter SetSystemDateAndTime SetScopes AddScopes RemoveScopes
            SetDiscoveryMode SetGeoLocation DeleteGeoLocation SetAccessPolicy CreateUsers DeleteUsers SetUser
            SetRemoteUser SetUserRole DeleteUserRole SetPasswordComplexityConfiguration
            SetPasswordHistoryConfiguration SetAuthFailureWarningConfiguration
        """,
    },
    "tev": {
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": """
            CreatePullPointSubscription PullMessages Renew Unsubscribe Seek SetSynchronizationPoint
            GetEventProperties GetEventBrokers
        """,
        "WRITE_SYSTEM": "AddEventBroker DeleteEventBroker",
    },
    "trt": {
        "ACTUATE": """
            CreateProfile AddVideoSourceConfiguration AddVideoEncoderConfiguration AddAudioSourceConfiguration
            AddAudioEncoderConfiguration AddPTZConfiguration AddVideoAnalyticsConfiguration
            AddMetadataConfiguration AddAudioOutputConfiguration AddAudioDecoderConfiguration
            RemoveVideoSourceConfiguration RemoveVideoEncoderConfiguration RemoveAudioSourceConfiguration
            RemoveAudioEncoderConfiguration RemovePTZConfiguration RemoveVideoAnalyticsConfiguration
            RemoveMetadataConfiguration RemoveAudioOutputConfiguration RemoveAudioDecoderConfiguration
            DeleteProfile SetVideoSourceConfiguration SetVideoEncoderConfiguration SetAudioSourceConfiguration
            SetAudioEncoderConfiguration SetVideoAnalyticsConfiguration SetMetadataConfiguration
            SetAudioOutputConfiguration SetAudioDecoderConfiguration StartMulticastStreaming
            StopMulticastStreaming SetSynchronizationPoint CreateOSD DeleteOSD SetOSD
        """,
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": """
            GetProfiles GetProfile GetVideoSources GetVideoSourceConfigurations GetVideoSourceConfiguration
            GetCompatibleVideoSourceConfigurations GetVideoSourceConfigurationOptions
            GetVideoEncoderConfigurations GetVideoEncoderConfiguration GetCompatibleVideoEncoderConfigurations
            GetVideoEncoderConfigurationOptions GetGuaranteedNumberOfVideoEncoderInstances GetAudioSources
            GetAudioSourceConfigurations GetAudioSourceConfiguration GetCompatibleAudioSourceConfigurations
            GetAudioSourceConfigurationOptions GetAudioEncoderConfigurations GetAudioEncoderConfiguration
            GetCompatibleAudioEncoderConfigurations GetAudioEncoderConfigurationOptions
            GetVideoAnalyticsConfigurations GetVideoAnalyticsConfiguration
            GetCompatibleVideoAnalyticsConfigurations GetMetadataConfigurations GetMetadataConfiguration
            GetCompatibleMetadataConfigurations GetMetadataConfigurationOptions GetAudioOutputs
            GetAudioOutputConfigurations GetAudioOutputConfiguration GetCompatibleAudioOutputConfigurations
            GetAudioOutputConfigurationOptions GetAudioDecoderConfigurations GetAudioDecoderConfiguration
            GetCompatibleAudioDecoderConfigurations GetAudioDecoderConfigurationOptions GetStreamUri
            GetSnapshotUri GetOSDs GetOSD GetOSDOptions
        """,
        "READ_SYSTEM": "GetVideoSourceModes",
        "WRITE_SYSTEM": "SetVideoSourceMode",
    },
    "tr2": {
        "ACTUATE": """
            CreateProfile AddConfiguration RemoveConfiguration DeleteProfile CreateMultitrackConfiguration
            StartMulticastStreaming StopMulticastStreaming SetSynchronizationPoint CreateOSD DeleteOSD SetOSD
            CreateMask DeleteMask SetMask
        """,
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": """
            GetProfiles GetVideoEncoderInstances GetStreamUri GetSnapshotUri GetOSDs GetOSDOptions GetMasks
            GetMaskOptions
        """,
        "READ_SYSTEM": """
            GetVideoSourceModes GetWebRTCConfigurations GetAudioClips PlayAudioClip GetPlayingAudioClips
            GetMulticastAudioDecoderConfigurations GetMulticastAudioDecoderConfigurationOptions
        """,
        "WRITE_SYSTEM": """
            SetVideoSourceMode SetWebRTCConfigurations AddAudioClip AddTTSAudioClip SetAudioClip DeleteAudioClip
            SetMulticastAudioDecoderConfiguration SetEQPreset
        """,
    },
    "tptz": {
        "ACTUATE": """
            SetConfiguration AbsoluteMove RelativeMove ContinuousMove GeoMove Stop MoveAndStartTracking
            SetPreset GotoPreset RemovePreset GotoHomePosition SetHomePosition SendAuxiliaryCommand
            CreatePresetTour ModifyPresetTour OperatePresetTour RemovePresetTour
        """,
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": """
            GetNodes GetNode GetConfigurations GetConfiguration GetConfigurationOptions
            GetCompatibleConfigurations GetStatus GetPresets GetPresetTours GetPresetTour GetPresetTourOptions
        """,
    },
    "timg": {
        "ACTUATE": "SetImagingSettings SetCurrentPreset Move Stop",
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": "GetImagingSettings GetOptions GetPresets GetCurrentPreset GetMoveOptions GetStatus",
    },
    "tan": {
        "ACTUATE": """
            CreateRules ModifyRules DeleteRules CreateAnalyticsModules ModifyAnalyticsModules
            DeleteAnalyticsModules
        """,
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": """
            GetSupportedRules GetRules GetRuleOptions GetSupportedAnalyticsModules GetAnalyticsModules
            GetAnalyticsModuleOptions GetSupportedMetadata
        """,
    },
    "tmd": {
        "ACTUATE": """
            SetVideoOutputConfiguration SetRelayOutputSettings SetRelayOutputState SetDigitalInputConfigurations
            SetSerialPortConfiguration SendReceiveSerialCommand
        """,
        "PRE_AUTH": "GetRelayOutputOptions GetServiceCapabilities",
        "READ_MEDIA": """
            GetVideoOutputs GetVideoOutputConfiguration GetVideoSources GetAudioOutputs GetAudioSources
            GetRelayOutputs
        """,
        "READ_SYSTEM": """
            GetDigitalInputs GetDigitalInputConfigurationOptions GetSerialPorts GetSerialPortConfiguration
            GetSerialPortConfigurationOptions
        """,
    },
    "trc": {
        "ACTUATE": """
            CreateRecording DeleteRecording SetRecordingConfiguration CreateTrack DeleteTrack
            SetTrackConfiguration CreateRecordingJob DeleteRecordingJob SetRecordingJobConfiguration
            SetRecordingJobMode OverrideSegmentDuration
        """,
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": """
            GetRecordings GetRecordingConfiguration GetTrackConfiguration GetRecordingJobs
            GetRecordingJobConfiguration GetRecordingJobState GetRecordingOptions ExportRecordedData
            StopExportRecordedData GetExportRecordedDataState ListRecordedSegments ExportRecordedSegments
            StopExportRecordedSegments
        """,
    },
    "tse": {
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": """
            GetRecordingSummary GetRecordingInformation GetMediaAttributes FindRecordings
            GetRecordingSearchResults FindEvents GetEventSearchResults FindPTZPosition
            GetPTZPositionSearchResults FindMetadata GetMetadataSearchResults SearchImageByNL GetNLSearchResults
            SearchImageByImage GetImageSearchResults EndSearch
        """,
    },
    "trp": {
        "ACTUATE": "SetReplayConfiguration",
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": "GetReplayUri GetReplayConfiguration",
    },
    "trv": {
        "ACTUATE": "CreateReceiver DeleteReceiver ConfigureReceiver SetReceiverMode",
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_MEDIA": "GetReceivers GetReceiver GetReceiverState",
    },
    "tas": {
        "PRE_AUTH": "GetServiceCapabilities",
        "READ_SYSTEM": "CreatePKCS10CSR GetClientAuthenticationRequired GetCnMapsToUser GetEnabledTLSVersions",
        "READ_SYSTEM_SECRET": """
            GetAllPassphrases GetKeyStatus GetPrivateKeyStatus GetAllKeys GetCertificate GetAllCertificates
            GetCertificationPath GetAllCertificationPaths GetCRL GetAllCRLs GetCertPathValidationPolicy
            GetAllCertPathValidationPolicies GetAssignedServerCertificates GetAssignedCertPathValidationPolicies
            GetAllDot1XConfigurations GetDot1XConfiguration GetNetworkInterfaceDot1XConfiguration
            GetAssignedMediaSigningCertificates GetAuthorizationServerConfigurations GetJWTConfiguration
        """,
        "UNRECOVERABLE": """
            DeletePassphrase DeleteKey DeleteCertificate DeleteCertificationPath DeleteCRL
            DeleteCertPathValidationPolicy DeleteDot1XConfiguration
        """,
        "WRITE_SYSTEM": """
            UploadPassphrase CreateRSAKeyPair CreateECCKeyPair CreateSelfSignedCertificate UploadCertificate
            UploadCertificateWithPrivateKeyInPKCS12 CreateCertificationPath SetCertificationPath UploadCRL
            CreateCertPathValidationPolicy SetCertPathValidationPolicy AddServerCertificateAssignment
            RemoveServerCertificateAssignment ReplaceServerCertificateAssignment SetClientAuthenticationRequired
            SetCnMapsToUser AddCertPathValidationPolicyAssignment RemoveCertPathValidationPolicyAssignment
            ReplaceCertPathValidationPolicyAssignment SetEnabledTLSVersions AddDot1XConfiguration
            SetNetworkInterfaceDot1XConfiguration DeleteNetworkInterfaceDot1XConfiguration
            AddMediaSigningCertificateAssignment RemoveMediaSigningCertificateAssignment
            CreateAuthorizationServerConfiguration SetAuthorizationServerConfiguration
            DeleteAuthorizationServerConfiguration SetJWTConfiguration
        """,
    },
}
"""Operations by service and access class."""

LEVELS = ("Anonymous", "User", "Operator", "Administrator")
LOWEST = {
    "PRE_AUTH": "Anonymous",
    "READ_SYSTEM": "User",
    "READ_MEDIA": "User",
    "READ_SYSTEM_SENSITIVE": "Operator",
    "ACTUATE": "Operator",
    "READ_SYSTEM_SECRET": "Administrator",
    "WRITE_SYSTEM": "Administrator",
    "UNRECOVERABLE": "Administrator",
}
"""The lowest level that may call operations of a class."""


def forbidden(service: str, level: str) -> list[str]:
    """Operations of a service that a level may not call."""
    rank = LEVELS.index(level)
    return [
        operation
        for kind, operations in CLASSES.get(service, {}).items()
        if LEVELS.index(LOWEST[kind]) > rank
        for operation in operations.split()
    ]
