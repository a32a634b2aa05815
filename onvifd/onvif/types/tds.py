"""Device management (Core 8).

One class per schema type, so the module is long; there is nothing to read but declarations.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TDS
from onvifd.onvif.types import tt

NAMESPACE = TDS


class AutoGeoModes(StrEnum):
    LOCATION = "Location"
    HEADING = "Heading"
    LEVELING = "Leveling"


class HardwareTypes(StrEnum):
    CAMERA = "Camera"
    MULTI_SENSOR_CAMERA = "MultiSensorCamera"
    ENCODER = "Encoder"
    INTERCOM = "Intercom"
    ACCESS_CONTROL = "AccessControl"
    SPEAKER = "Speaker"
    RECORDER = "Recorder"
    MICROPHONE = "Microphone"
    DISPLAY = "Display"
    IO_DEVICE = "IO-Device"


class StorageType(StrEnum):
    NFS = "NFS"
    CIFS = "CIFS"
    CDMI = "CDMI"
    FTP = "FTP"
    OBJECT_STORAGE_S3 = "ObjectStorageS3"
    OBJECT_STORAGE_AZURE = "ObjectStorageAzure"


@schema(TDS)
class GetServices:
    include_capability: bool = element("IncludeCapability")


@schema(TDS)
class GetServicesResponse:
    service: tuple[Service, ...] = element("Service")


@schema(TDS)
class Service:
    namespace: str = element("Namespace")
    x_addr: str = element("XAddr")
    capabilities: ServiceCapabilities | None = element("Capabilities", default=None)
    version: tt.OnvifVersion = element("Version")
    any_: AnyElements = any_elements(default=())


@schema(TDS)
class ServiceCapabilities:
    any_: AnyElements = any_elements(default=())


@schema(TDS)
class GetServiceCapabilities:
    pass


@schema(TDS)
class GetServiceCapabilitiesResponse:
    capabilities: DeviceServiceCapabilities = element("Capabilities")


@schema(TDS)
class DeviceServiceCapabilities:
    network: NetworkCapabilities = element("Network")
    security: SecurityCapabilities = element("Security")
    system: SystemCapabilities = element("System")
    misc: MiscCapabilities | None = element("Misc", default=None)


@schema(TDS)
class Capabilities(DeviceServiceCapabilities):
    pass


@schema(TDS)
class NetworkCapabilities:
    ip_filter: bool | None = attribute("IPFilter", default=None)
    zero_configuration: bool | None = attribute("ZeroConfiguration", default=None)
    ip_version6: bool | None = attribute("IPVersion6", default=None)
    dyn_dns: bool | None = attribute("DynDNS", default=None)
    dot11_configuration: bool | None = attribute("Dot11Configuration", default=None)
    dot1x_configurations: int | None = attribute("Dot1XConfigurations", default=None)
    hostname_from_dhcp: bool | None = attribute("HostnameFromDHCP", default=None)
    ntp: int | None = attribute("NTP", default=None)
    dhcpv6: bool | None = attribute("DHCPv6", default=None)


@schema(TDS)
class SecurityCapabilities:
    tls1_0: bool | None = attribute("TLS1.0", default=None)
    tls1_1: bool | None = attribute("TLS1.1", default=None)
    tls1_2: bool | None = attribute("TLS1.2", default=None)
    onboard_key_generation: bool | None = attribute("OnboardKeyGeneration", default=None)
    access_policy_config: bool | None = attribute("AccessPolicyConfig", default=None)
    default_access_policy: bool | None = attribute("DefaultAccessPolicy", default=None)
    dot1x: bool | None = attribute("Dot1X", default=None)
    remote_user_handling: bool | None = attribute("RemoteUserHandling", default=None)
    x_509_token: bool | None = attribute("X.509Token", default=None)
    saml_token: bool | None = attribute("SAMLToken", default=None)
    kerberos_token: bool | None = attribute("KerberosToken", default=None)
    username_token: bool | None = attribute("UsernameToken", default=None)
    http_digest: bool | None = attribute("HttpDigest", default=None)
    rel_token: bool | None = attribute("RELToken", default=None)
    json_web_token: bool | None = attribute("JsonWebToken", default=None)
    supported_eap_methods: tuple[int, ...] | None = attribute("SupportedEAPMethods", default=None, tokens=True)
    max_users: int | None = attribute("MaxUsers", default=None)
    max_user_name_length: int | None = attribute("MaxUserNameLength", default=None)
    max_password_length: int | None = attribute("MaxPasswordLength", default=None)
    security_policies: tuple[str, ...] | None = attribute("SecurityPolicies", default=None, tokens=True)
    max_password_history: int | None = attribute("MaxPasswordHistory", default=None)
    hashing_algorithms: tuple[str, ...] | None = attribute("HashingAlgorithms", default=None, tokens=True)
    max_user_roles: int | None = attribute("MaxUserRoles", default=None)


@schema(TDS)
class SystemCapabilities:
    discovery_resolve: bool | None = attribute("DiscoveryResolve", default=None)
    discovery_bye: bool | None = attribute("DiscoveryBye", default=None)
    remote_discovery: bool | None = attribute("RemoteDiscovery", default=None)
    system_backup: bool | None = attribute("SystemBackup", default=None)
    system_logging: bool | None = attribute("SystemLogging", default=None)
    cloud_firmware_upgrade: bool | None = attribute("CloudFirmwareUpgrade", default=None)
    http_firmware_upgrade: bool | None = attribute("HttpFirmwareUpgrade", default=None)
    http_system_backup: bool | None = attribute("HttpSystemBackup", default=None)
    http_system_logging: bool | None = attribute("HttpSystemLogging", default=None)
    http_support_information: bool | None = attribute("HttpSupportInformation", default=None)
    storage_configuration: bool | None = attribute("StorageConfiguration", default=None)
    max_storage_configurations: int | None = attribute("MaxStorageConfigurations", default=None)
    storage_configuration_renewal: bool | None = attribute("StorageConfigurationRenewal", default=None)
    geo_location_entries: int | None = attribute("GeoLocationEntries", default=None)
    auto_geo: tuple[str, ...] | None = attribute("AutoGeo", default=None, tokens=True)
    storage_types_supported: tuple[str, ...] | None = attribute("StorageTypesSupported", default=None, tokens=True)
    discovery_not_supported: bool | None = attribute("DiscoveryNotSupported", default=None)
    network_config_not_supported: bool | None = attribute("NetworkConfigNotSupported", default=None)
    user_config_not_supported: bool | None = attribute("UserConfigNotSupported", default=None)
    addons: tuple[str, ...] | None = attribute("Addons", default=None, tokens=True)
    hardware_type: str | None = attribute("HardwareType", default=None)


@schema(TDS)
class MiscCapabilities:
    auxiliary_commands: tuple[str, ...] | None = attribute("AuxiliaryCommands", default=None, tokens=True)


@schema(TDS)
class GetDeviceInformation:
    pass


@schema(TDS)
class GetDeviceInformationResponse:
    manufacturer: str = element("Manufacturer")
    model: str = element("Model")
    firmware_version: str = element("FirmwareVersion")
    serial_number: str = element("SerialNumber")
    hardware_id: str = element("HardwareId")


@schema(TDS)
class SetSystemDateAndTime:
    date_time_type: tt.SetDateTimeType = element("DateTimeType")
    daylight_savings: bool = element("DaylightSavings")
    time_zone: tt.TimeZone | None = element("TimeZone", default=None)
    utc_date_time: tt.DateTime | None = element("UTCDateTime", default=None)


@schema(TDS)
class SetSystemDateAndTimeResponse:
    pass


@schema(TDS)
class GetSystemDateAndTime:
    pass


@schema(TDS)
class GetSystemDateAndTimeResponse:
    system_date_and_time: tt.SystemDateTime = element("SystemDateAndTime")


@schema(TDS)
class SetSystemFactoryDefault:
    factory_default: tt.FactoryDefaultType = element("FactoryDefault")


@schema(TDS)
class SetSystemFactoryDefaultResponse:
    pass


@schema(TDS)
class UpgradeSystemFirmware:
    firmware: tt.AttachmentData = element("Firmware")


@schema(TDS)
class UpgradeSystemFirmwareResponse:
    message: str | None = element("Message", default=None)


@schema(TDS)
class SystemReboot:
    pass


@schema(TDS)
class SystemRebootResponse:
    message: str = element("Message")


@schema(TDS)
class RestoreSystem:
    backup_files: tuple[tt.BackupFile, ...] = element("BackupFiles")


@schema(TDS)
class RestoreSystemResponse:
    pass


@schema(TDS)
class GetSystemBackup:
    pass


@schema(TDS)
class GetSystemBackupResponse:
    backup_files: tuple[tt.BackupFile, ...] = element("BackupFiles")


@schema(TDS)
class GetSystemSupportInformation:
    pass


@schema(TDS)
class GetSystemSupportInformationResponse:
    support_information: tt.SupportInformation = element("SupportInformation")


@schema(TDS)
class GetSystemLog:
    log_type: tt.SystemLogType = element("LogType")


@schema(TDS)
class GetSystemLogResponse:
    system_log: tt.SystemLog = element("SystemLog")


@schema(TDS)
class GetScopes:
    pass


@schema(TDS)
class GetScopesResponse:
    scopes: tuple[tt.Scope, ...] = element("Scopes")


@schema(TDS)
class SetScopes:
    scopes: tuple[str, ...] = element("Scopes")


@schema(TDS)
class SetScopesResponse:
    pass


@schema(TDS)
class AddScopes:
    scope_item: tuple[str, ...] = element("ScopeItem")


@schema(TDS)
class AddScopesResponse:
    pass


@schema(TDS)
class RemoveScopes:
    scope_item: tuple[str, ...] = element("ScopeItem")


@schema(TDS)
class RemoveScopesResponse:
    scope_item: tuple[str, ...] = element("ScopeItem", default=())


@schema(TDS)
class GetDiscoveryMode:
    pass


@schema(TDS)
class GetDiscoveryModeResponse:
    discovery_mode: tt.DiscoveryMode = element("DiscoveryMode")


@schema(TDS)
class SetDiscoveryMode:
    discovery_mode: tt.DiscoveryMode = element("DiscoveryMode")


@schema(TDS)
class SetDiscoveryModeResponse:
    pass


@schema(TDS)
class GetRemoteDiscoveryMode:
    pass


@schema(TDS)
class GetRemoteDiscoveryModeResponse:
    remote_discovery_mode: tt.DiscoveryMode = element("RemoteDiscoveryMode")


@schema(TDS)
class SetRemoteDiscoveryMode:
    remote_discovery_mode: tt.DiscoveryMode = element("RemoteDiscoveryMode")


@schema(TDS)
class SetRemoteDiscoveryModeResponse:
    pass


@schema(TDS)
class GetDPAddresses:
    pass


@schema(TDS)
class GetDPAddressesResponse:
    dp_address: tuple[tt.NetworkHost, ...] = element("DPAddress", default=())


@schema(TDS)
class SetDPAddresses:
    dp_address: tuple[tt.NetworkHost, ...] = element("DPAddress", default=())


@schema(TDS)
class SetDPAddressesResponse:
    pass


@schema(TDS)
class GetEndpointReference:
    pass


@schema(TDS)
class GetEndpointReferenceResponse:
    guid: str = element("GUID")
    any_: AnyElements = any_elements(default=())


@schema(TDS)
class GetRemoteUser:
    pass


@schema(TDS)
class GetRemoteUserResponse:
    remote_user: tt.RemoteUser | None = element("RemoteUser", default=None)


@schema(TDS)
class SetRemoteUser:
    remote_user: tt.RemoteUser | None = element("RemoteUser", default=None)


@schema(TDS)
class SetRemoteUserResponse:
    pass


@schema(TDS)
class GetUsers:
    pass


@schema(TDS)
class GetUsersResponse:
    user: tuple[tt.User, ...] = element("User", default=())


@schema(TDS)
class CreateUsers:
    user: tuple[tt.User, ...] = element("User")


@schema(TDS)
class CreateUsersResponse:
    pass


@schema(TDS)
class DeleteUsers:
    username: tuple[str, ...] = element("Username")


@schema(TDS)
class DeleteUsersResponse:
    pass


@schema(TDS)
class SetUser:
    user: tuple[tt.User, ...] = element("User")


@schema(TDS)
class SetUserResponse:
    pass


@schema(TDS)
class GetUserRoles:
    user_role: str | None = element("UserRole", default=None)


@schema(TDS)
class GetUserRolesResponse:
    user_role: tuple[tt.UserRole, ...] = element("UserRole", default=())


@schema(TDS)
class SetUserRole:
    user_role: tt.UserRole = element("UserRole")


@schema(TDS)
class SetUserRoleResponse:
    pass


@schema(TDS)
class DeleteUserRole:
    user_role: str = element("UserRole")


@schema(TDS)
class DeleteUserRoleResponse:
    pass


@schema(TDS)
class GetWsdlUrl:
    pass


@schema(TDS)
class GetWsdlUrlResponse:
    wsdl_url: str = element("WsdlUrl")


@schema(TDS)
class GetPasswordComplexityOptions:
    pass


@schema(TDS)
class GetPasswordComplexityOptionsResponse:
    min_len_range: tt.IntRange | None = element("MinLenRange", default=None)
    uppercase_range: tt.IntRange | None = element("UppercaseRange", default=None)
    number_range: tt.IntRange | None = element("NumberRange", default=None)
    special_chars_range: tt.IntRange | None = element("SpecialCharsRange", default=None)
    block_username_occurrence_supported: bool | None = element("BlockUsernameOccurrenceSupported", default=None)
    policy_configuration_lock_supported: bool | None = element("PolicyConfigurationLockSupported", default=None)


@schema(TDS)
class GetPasswordComplexityConfiguration:
    pass


@schema(TDS)
class GetPasswordComplexityConfigurationResponse:
    min_len: int | None = element("MinLen", default=None)
    uppercase: int | None = element("Uppercase", default=None)
    number: int | None = element("Number", default=None)
    special_chars: int | None = element("SpecialChars", default=None)
    block_username_occurrence: bool | None = element("BlockUsernameOccurrence", default=None)
    policy_configuration_locked: bool | None = element("PolicyConfigurationLocked", default=None)


@schema(TDS)
class SetPasswordComplexityConfiguration:
    min_len: int | None = element("MinLen", default=None)
    uppercase: int | None = element("Uppercase", default=None)
    number: int | None = element("Number", default=None)
    special_chars: int | None = element("SpecialChars", default=None)
    block_username_occurrence: bool | None = element("BlockUsernameOccurrence", default=None)
    policy_configuration_locked: bool | None = element("PolicyConfigurationLocked", default=None)


@schema(TDS)
class SetPasswordComplexityConfigurationResponse:
    pass


@schema(TDS)
class GetPasswordHistoryConfiguration:
    pass


@schema(TDS)
class GetPasswordHistoryConfigurationResponse:
    enabled: bool = element("Enabled")
    length: int = element("Length")


@schema(TDS)
class SetPasswordHistoryConfiguration:
    enabled: bool = element("Enabled")
    length: int = element("Length")


@schema(TDS)
class SetPasswordHistoryConfigurationResponse:
    pass


@schema(TDS)
class GetAuthFailureWarningOptions:
    pass


@schema(TDS)
class GetAuthFailureWarningOptionsResponse:
    monitor_period_range: tt.IntRange = element("MonitorPeriodRange")
    auth_failure_range: tt.IntRange = element("AuthFailureRange")


@schema(TDS)
class GetAuthFailureWarningConfiguration:
    pass


@schema(TDS)
class GetAuthFailureWarningConfigurationResponse:
    enabled: bool = element("Enabled")
    monitor_period: int = element("MonitorPeriod")
    max_auth_failures: int = element("MaxAuthFailures")


@schema(TDS)
class SetAuthFailureWarningConfiguration:
    enabled: bool = element("Enabled")
    monitor_period: int = element("MonitorPeriod")
    max_auth_failures: int = element("MaxAuthFailures")


@schema(TDS)
class SetAuthFailureWarningConfigurationResponse:
    pass


@schema(TDS)
class GetCapabilities:
    category: tuple[tt.CapabilityCategory, ...] = element("Category", default=())


@schema(TDS)
class GetCapabilitiesResponse:
    capabilities: tt.Capabilities = element("Capabilities")


@schema(TDS)
class GetHostname:
    pass


@schema(TDS)
class GetHostnameResponse:
    hostname_information: tt.HostnameInformation = element("HostnameInformation")


@schema(TDS)
class SetHostname:
    name: str = element("Name")


@schema(TDS)
class SetHostnameResponse:
    pass


@schema(TDS)
class SetHostnameFromDHCP:
    from_dhcp: bool = element("FromDHCP")


@schema(TDS)
class SetHostnameFromDHCPResponse:
    reboot_needed: bool = element("RebootNeeded")


@schema(TDS)
class GetDNS:
    pass


@schema(TDS)
class GetDNSResponse:
    dns_information: tt.DNSInformation = element("DNSInformation")


@schema(TDS)
class SetDNS:
    from_dhcp: bool = element("FromDHCP")
    search_domain: tuple[str, ...] = element("SearchDomain", default=())
    dns_manual: tuple[tt.IPAddress, ...] = element("DNSManual", default=())


@schema(TDS)
class SetDNSResponse:
    pass


@schema(TDS)
class GetNTP:
    pass


@schema(TDS)
class GetNTPResponse:
    ntp_information: tt.NTPInformation = element("NTPInformation")


@schema(TDS)
class SetNTP:
    from_dhcp: bool = element("FromDHCP")
    ntp_manual: tuple[tt.NetworkHost, ...] = element("NTPManual", default=())


@schema(TDS)
class SetNTPResponse:
    pass


@schema(TDS)
class GetDynamicDNS:
    pass


@schema(TDS)
class GetDynamicDNSResponse:
    dynamic_dns_information: tt.DynamicDNSInformation = element("DynamicDNSInformation")


@schema(TDS)
class SetDynamicDNS:
    type_: tt.DynamicDNSType = element("Type")
    name: str | None = element("Name", default=None)
    ttl: timedelta | None = element("TTL", default=None)


@schema(TDS)
class SetDynamicDNSResponse:
    pass


@schema(TDS)
class GetNetworkInterfaces:
    pass


@schema(TDS)
class GetNetworkInterfacesResponse:
    network_interfaces: tuple[tt.NetworkInterface, ...] = element("NetworkInterfaces")


@schema(TDS)
class SetNetworkInterfaces:
    interface_token: str = element("InterfaceToken")
    network_interface: tt.NetworkInterfaceSetConfiguration = element("NetworkInterface")


@schema(TDS)
class SetNetworkInterfacesResponse:
    reboot_needed: bool = element("RebootNeeded")


@schema(TDS)
class GetNetworkProtocols:
    pass


@schema(TDS)
class GetNetworkProtocolsResponse:
    network_protocols: tuple[tt.NetworkProtocol, ...] = element("NetworkProtocols", default=())


@schema(TDS)
class SetNetworkProtocols:
    network_protocols: tuple[tt.NetworkProtocol, ...] = element("NetworkProtocols")


@schema(TDS)
class SetNetworkProtocolsResponse:
    pass


@schema(TDS)
class GetNetworkDefaultGateway:
    pass


@schema(TDS)
class GetNetworkDefaultGatewayResponse:
    network_gateway: tt.NetworkGateway = element("NetworkGateway")


@schema(TDS)
class SetNetworkDefaultGateway:
    ipv4_address: tuple[str, ...] = element("IPv4Address", default=())
    ipv6_address: tuple[str, ...] = element("IPv6Address", default=())


@schema(TDS)
class SetNetworkDefaultGatewayResponse:
    pass


@schema(TDS)
class GetZeroConfiguration:
    pass


@schema(TDS)
class GetZeroConfigurationResponse:
    zero_configuration: tt.NetworkZeroConfiguration = element("ZeroConfiguration")


@schema(TDS)
class SetZeroConfiguration:
    interface_token: str = element("InterfaceToken")
    enabled: bool = element("Enabled")


@schema(TDS)
class SetZeroConfigurationResponse:
    pass


@schema(TDS)
class GetIPAddressFilter:
    pass


@schema(TDS)
class GetIPAddressFilterResponse:
    ip_address_filter: tt.IPAddressFilter = element("IPAddressFilter")


@schema(TDS)
class SetIPAddressFilter:
    ip_address_filter: tt.IPAddressFilter = element("IPAddressFilter")


@schema(TDS)
class SetIPAddressFilterResponse:
    pass


@schema(TDS)
class AddIPAddressFilter:
    ip_address_filter: tt.IPAddressFilter = element("IPAddressFilter")


@schema(TDS)
class AddIPAddressFilterResponse:
    pass


@schema(TDS)
class RemoveIPAddressFilter:
    ip_address_filter: tt.IPAddressFilter = element("IPAddressFilter")


@schema(TDS)
class RemoveIPAddressFilterResponse:
    pass


@schema(TDS)
class GetAccessPolicy:
    pass


@schema(TDS)
class GetAccessPolicyResponse:
    policy_file: tt.BinaryData = element("PolicyFile")


@schema(TDS)
class SetAccessPolicy:
    policy_file: tt.BinaryData = element("PolicyFile")


@schema(TDS)
class SetAccessPolicyResponse:
    pass


@schema(TDS)
class CreateCertificate:
    certificate_id: str | None = element("CertificateID", default=None)
    subject: str | None = element("Subject", default=None)
    valid_not_before: int | None = element("ValidNotBefore", default=None, form=Form.DATETIME)
    valid_not_after: int | None = element("ValidNotAfter", default=None, form=Form.DATETIME)


@schema(TDS)
class CreateCertificateResponse:
    nvt_certificate: tt.Certificate = element("NvtCertificate")


@schema(TDS)
class GetCertificates:
    pass


@schema(TDS)
class GetCertificatesResponse:
    nvt_certificate: tuple[tt.Certificate, ...] = element("NvtCertificate", default=())


@schema(TDS)
class GetCertificatesStatus:
    pass


@schema(TDS)
class GetCertificatesStatusResponse:
    certificate_status: tuple[tt.CertificateStatus, ...] = element("CertificateStatus", default=())


@schema(TDS)
class SetCertificatesStatus:
    certificate_status: tuple[tt.CertificateStatus, ...] = element("CertificateStatus", default=())


@schema(TDS)
class SetCertificatesStatusResponse:
    pass


@schema(TDS)
class DeleteCertificates:
    certificate_id: tuple[str, ...] = element("CertificateID")


@schema(TDS)
class DeleteCertificatesResponse:
    pass


@schema(TDS)
class GetPkcs10Request:
    certificate_id: str = element("CertificateID")
    subject: str | None = element("Subject", default=None)
    attributes: tt.BinaryData | None = element("Attributes", default=None)


@schema(TDS)
class GetPkcs10RequestResponse:
    pkcs10_request: tt.BinaryData = element("Pkcs10Request")


@schema(TDS)
class LoadCertificates:
    nvt_certificate: tuple[tt.Certificate, ...] = element("NVTCertificate")


@schema(TDS)
class LoadCertificatesResponse:
    pass


@schema(TDS)
class GetClientCertificateMode:
    pass


@schema(TDS)
class GetClientCertificateModeResponse:
    enabled: bool = element("Enabled")


@schema(TDS)
class SetClientCertificateMode:
    enabled: bool = element("Enabled")


@schema(TDS)
class SetClientCertificateModeResponse:
    pass


@schema(TDS)
class GetCACertificates:
    pass


@schema(TDS)
class GetCACertificatesResponse:
    ca_certificate: tuple[tt.Certificate, ...] = element("CACertificate", default=())


@schema(TDS)
class LoadCertificateWithPrivateKey:
    certificate_with_private_key: tuple[tt.CertificateWithPrivateKey, ...] = element("CertificateWithPrivateKey")


@schema(TDS)
class LoadCertificateWithPrivateKeyResponse:
    pass


@schema(TDS)
class GetCertificateInformation:
    certificate_id: str = element("CertificateID")


@schema(TDS)
class GetCertificateInformationResponse:
    certificate_information: tt.CertificateInformation = element("CertificateInformation")


@schema(TDS)
class LoadCACertificates:
    ca_certificate: tuple[tt.Certificate, ...] = element("CACertificate")


@schema(TDS)
class LoadCACertificatesResponse:
    pass


@schema(TDS)
class CreateDot1XConfiguration:
    dot1x_configuration: tt.Dot1XConfiguration = element("Dot1XConfiguration")


@schema(TDS)
class CreateDot1XConfigurationResponse:
    pass


@schema(TDS)
class SetDot1XConfiguration:
    dot1x_configuration: tt.Dot1XConfiguration = element("Dot1XConfiguration")


@schema(TDS)
class SetDot1XConfigurationResponse:
    pass


@schema(TDS)
class GetDot1XConfiguration:
    dot1x_configuration_token: str = element("Dot1XConfigurationToken")


@schema(TDS)
class GetDot1XConfigurationResponse:
    dot1x_configuration: tt.Dot1XConfiguration = element("Dot1XConfiguration")


@schema(TDS)
class GetDot1XConfigurations:
    pass


@schema(TDS)
class GetDot1XConfigurationsResponse:
    dot1x_configuration: tuple[tt.Dot1XConfiguration, ...] = element("Dot1XConfiguration", default=())


@schema(TDS)
class DeleteDot1XConfiguration:
    dot1x_configuration_token: tuple[str, ...] = element("Dot1XConfigurationToken", default=())


@schema(TDS)
class DeleteDot1XConfigurationResponse:
    pass


@schema(TDS)
class GetRelayOutputs:
    pass


@schema(TDS)
class GetRelayOutputsResponse:
    relay_outputs: tuple[tt.RelayOutput, ...] = element("RelayOutputs", default=())


@schema(TDS)
class SetRelayOutputSettings:
    relay_output_token: str = element("RelayOutputToken")
    properties: tt.RelayOutputSettings = element("Properties")


@schema(TDS)
class SetRelayOutputSettingsResponse:
    pass


@schema(TDS)
class SetRelayOutputState:
    relay_output_token: str = element("RelayOutputToken")
    logical_state: tt.RelayLogicalState = element("LogicalState")


@schema(TDS)
class SetRelayOutputStateResponse:
    pass


@schema(TDS)
class SendAuxiliaryCommand:
    auxiliary_command: str = element("AuxiliaryCommand")


@schema(TDS)
class SendAuxiliaryCommandResponse:
    auxiliary_command_response: str | None = element("AuxiliaryCommandResponse", default=None)


@schema(TDS)
class GetDot11Capabilities:
    any_: AnyElements = any_elements(default=())


@schema(TDS)
class GetDot11CapabilitiesResponse:
    capabilities: tt.Dot11Capabilities = element("Capabilities")


@schema(TDS)
class GetDot11Status:
    interface_token: str = element("InterfaceToken")


@schema(TDS)
class GetDot11StatusResponse:
    status: tt.Dot11Status = element("Status")


@schema(TDS)
class ScanAvailableDot11Networks:
    interface_token: str = element("InterfaceToken")


@schema(TDS)
class ScanAvailableDot11NetworksResponse:
    networks: tuple[tt.Dot11AvailableNetworks, ...] = element("Networks", default=())


@schema(TDS)
class GetSystemUris:
    pass


@schema(TDS)
class GetSystemUrisResponse:
    system_log_uris: tt.SystemLogUriList | None = element("SystemLogUris", default=None)
    support_info_uri: str | None = element("SupportInfoUri", default=None)
    system_backup_uri: str | None = element("SystemBackupUri", default=None)
    extension: GetSystemUrisResponseExtension | None = element("Extension", default=None)


@schema(TDS)
class GetSystemUrisResponseExtension:
    any_: AnyElements = any_elements(default=())


@schema(TDS)
class StartFirmwareUpgrade:
    pass


@schema(TDS)
class StartFirmwareUpgradeResponse:
    upload_uri: str = element("UploadUri")
    upload_delay: timedelta = element("UploadDelay")
    expected_down_time: timedelta = element("ExpectedDownTime")


@schema(TDS)
class UpgradeFirmware:
    version: str = element("Version")


@schema(TDS)
class UpgradeFirmwareResponse:
    expected_down_time: timedelta = element("ExpectedDownTime")


@schema(TDS)
class StartSystemRestore:
    pass


@schema(TDS)
class StartSystemRestoreResponse:
    upload_uri: str = element("UploadUri")
    expected_down_time: timedelta = element("ExpectedDownTime")


@schema(TDS)
class SetHashingAlgorithm:
    algorithm: tuple[str, ...] = element("Algorithm", tokens=True)


@schema(TDS)
class SetHashingAlgorithmResponse:
    pass


@schema(TDS)
class UserCredential:
    user_name: str = element("UserName")
    password: str | None = element("Password", default=None, form=Form.RAW)
    extension: UserCredentialExtension | None = element("Extension", default=None)
    token: str | None = element("Token", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TDS)
class UserCredentialExtension:
    any_: AnyElements = any_elements(default=())


@schema(TDS)
class StorageConfigurationData:
    local_path: str | None = element("LocalPath", default=None)
    storage_uri: str | None = element("StorageUri", default=None)
    user: UserCredential | None = element("User", default=None)
    extension: StorageConfigurationDataExtension | None = element("Extension", default=None)
    cert_path_validation_policy_id: str | None = element("CertPathValidationPolicyID", default=None)
    configuration_renewal: StorageConfigurationDataConfigurationRenewal | None = element(
        "ConfigurationRenewal", default=None
    )
    any_: AnyElements = any_elements(default=())
    type_: str = attribute("type")
    region: str | None = attribute("Region", default=None)


@schema(TDS)
class StorageConfigurationDataConfigurationRenewal:
    renewal_endpoint: str = element("RenewalEndpoint")
    authorization_server: str = element("AuthorizationServer")
    cert_path_validation_policy_id: str | None = element("CertPathValidationPolicyID", default=None)
    error: str | None = element("Error", default=None)


@schema(TDS)
class StorageConfigurationDataExtension:
    any_: AnyElements = any_elements(default=())


@schema(TDS)
class StorageConfiguration(tt.DeviceEntity):
    data: StorageConfigurationData = element("Data")


@schema(TDS)
class GetStorageConfigurations:
    pass


@schema(TDS)
class GetStorageConfigurationsResponse:
    storage_configurations: tuple[StorageConfiguration, ...] = element("StorageConfigurations", default=())


@schema(TDS)
class CreateStorageConfiguration:
    storage_configuration: StorageConfigurationData = element("StorageConfiguration")


@schema(TDS)
class CreateStorageConfigurationResponse:
    token: str = element("Token")


@schema(TDS)
class GetStorageConfiguration:
    token: str = element("Token")


@schema(TDS)
class GetStorageConfigurationResponse:
    storage_configuration: StorageConfiguration = element("StorageConfiguration")


@schema(TDS)
class SetStorageConfiguration:
    storage_configuration: StorageConfiguration = element("StorageConfiguration")


@schema(TDS)
class SetStorageConfigurationResponse:
    pass


@schema(TDS)
class DeleteStorageConfiguration:
    token: str = element("Token")


@schema(TDS)
class DeleteStorageConfigurationResponse:
    pass


@schema(TDS)
class GetGeoLocation:
    pass


@schema(TDS)
class GetGeoLocationResponse:
    location: tuple[tt.LocationEntity, ...] = element("Location", default=())


@schema(TDS)
class SetGeoLocation:
    location: tuple[tt.LocationEntity, ...] = element("Location")


@schema(TDS)
class SetGeoLocationResponse:
    pass


@schema(TDS)
class DeleteGeoLocation:
    location: tuple[tt.LocationEntity, ...] = element("Location")


@schema(TDS)
class DeleteGeoLocationResponse:
    pass
