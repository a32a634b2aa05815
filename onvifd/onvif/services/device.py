"""Device management service (Core 8): reading."""

from __future__ import annotations

from datetime import datetime, timedelta

from onvifd.access.types import AccessClass
from onvifd.clock import US, to_datetime
from onvifd.errors import Unavailable
from onvifd.onvif.backend import DeviceBackend
from onvifd.onvif.services import device_capabilities, device_network
from onvifd.onvif.services.common import DEVICE_PATH, NS_DEVICE, WSDL_PATH, ServiceRegistry, xaddr
from onvifd.onvif.services.device_users import DeviceUsers, UserBackend
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import tds, tt

PRE_AUTH = AccessClass.PRE_AUTH
READ = AccessClass.READ_SYSTEM


class DeviceService(DeviceUsers):
    """The entry point: who the device is, what time it has, which services it offers and how its host is connected.

    `registry` holds the services that are mounted; the device service adds itself in front if it is not there.
    `discovery` tells whether a discovery responder runs, `ipv6` whether the web service listens on IPv6, `hardware_type`
    is a tds:HardwareTypes value.
    """

    namespace = NS_DEVICE
    path = DEVICE_PATH
    prefix = "tds"

    def __init__(
        self,
        backend: DeviceBackend,
        registry: ServiceRegistry,
        *,
        discovery: bool = True,
        ipv6: bool = False,
        hardware_type: tds.HardwareTypes = tds.HardwareTypes.RECORDER,
        users: UserBackend | None = None,
    ) -> None:
        self.users_backend = users
        self._backend = backend
        self._registry = registry
        self._discovery = discovery
        self._ipv6 = ipv6
        self._hardware_type = hardware_type
        if registry.get(NS_DEVICE) is None:
            registry.add(self)

    # ---- capabilities

    def capabilities(self, call: Call) -> tds.DeviceServiceCapabilities:
        """Truthful for what is served: nothing of network or users can be changed through ONVIF."""
        return tds.DeviceServiceCapabilities(
            network=tds.NetworkCapabilities(
                ip_filter=False,
                zero_configuration=False,
                ip_version6=self._ipv6,
                dyn_dns=False,
                dot11_configuration=False,
                dot1x_configurations=0,
                hostname_from_dhcp=False,
                ntp=0,
                dhcpv6=False,
            ),
            security=self.security_with_users(
                tds.SecurityCapabilities(
                    tls1_0=False,
                    tls1_1=False,
                    tls1_2=self._backend.ports().https is not None,
                    onboard_key_generation=False,
                    access_policy_config=False,
                    default_access_policy=True,
                    dot1x=False,
                    remote_user_handling=False,
                    x_509_token=False,
                    saml_token=False,
                    kerberos_token=False,
                    username_token=True,
                    http_digest=True,
                    rel_token=False,
                    json_web_token=False,
                )
            ),
            system=tds.SystemCapabilities(
                discovery_resolve=self._discovery,
                discovery_bye=self._discovery,
                remote_discovery=False,
                system_backup=False,
                system_logging=False,
                http_firmware_upgrade=False,
                http_system_backup=False,
                http_system_logging=False,
                http_support_information=False,
                storage_configuration=False,
                discovery_not_supported=not self._discovery,
                network_config_not_supported=True,
                user_config_not_supported=self.users_backend is None,
                hardware_type=self._hardware_type,
            ),
        )

    @operation(access=PRE_AUTH)
    async def get_services(self, call: Call, request: tds.GetServices) -> tds.GetServicesResponse:
        return tds.GetServicesResponse(
            service=device_capabilities.services(self._registry, call, request.include_capability)
        )

    @operation(access=PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: tds.GetServiceCapabilities
    ) -> tds.GetServiceCapabilitiesResponse:
        return tds.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))

    @operation(access=PRE_AUTH)
    async def get_capabilities(self, call: Call, request: tds.GetCapabilities) -> tds.GetCapabilitiesResponse:
        return tds.GetCapabilitiesResponse(
            capabilities=device_capabilities.legacy(self._registry, call, request.category)
        )

    @operation(access=PRE_AUTH)
    async def get_wsdl_url(self, call: Call, request: tds.GetWsdlUrl) -> tds.GetWsdlUrlResponse:
        return tds.GetWsdlUrlResponse(wsdl_url=xaddr(call, WSDL_PATH))

    # ---- identity

    @operation(access=PRE_AUTH)
    async def get_endpoint_reference(
        self, call: Call, request: tds.GetEndpointReference
    ) -> tds.GetEndpointReferenceResponse:
        # The same name as in discovery, so that clients can tie the two together.
        return tds.GetEndpointReferenceResponse(guid=f"urn:uuid:{self._backend.identity().uuid}")

    @operation(access=READ)
    async def get_device_information(
        self, call: Call, request: tds.GetDeviceInformation
    ) -> tds.GetDeviceInformationResponse:
        identity = self._backend.identity()
        return tds.GetDeviceInformationResponse(
            manufacturer=identity.manufacturer,
            model=identity.model,
            firmware_version=identity.firmware_version,
            serial_number=identity.serial_number,
            hardware_id=identity.hardware_id,
        )

    @operation(access=READ)
    async def get_scopes(self, call: Call, request: tds.GetScopes) -> tds.GetScopesResponse:
        definition = tt.ScopeDefinition
        return tds.GetScopesResponse(
            scopes=tuple(
                tt.Scope(scope_def=definition.FIXED if scope.fixed else definition.CONFIGURABLE, scope_item=scope.uri)
                for scope in self._backend.scopes()
            )
        )

    @operation(access=READ)
    async def get_discovery_mode(self, call: Call, request: tds.GetDiscoveryMode) -> tds.GetDiscoveryModeResponse:
        mode = tt.DiscoveryMode
        found = self._discovery and self._backend.discoverable()
        return tds.GetDiscoveryModeResponse(discovery_mode=mode.DISCOVERABLE if found else mode.NON_DISCOVERABLE)

    # ---- time

    @operation(access=PRE_AUTH)
    async def get_system_date_and_time(
        self, call: Call, request: tds.GetSystemDateAndTime
    ) -> tds.GetSystemDateAndTimeResponse:
        time = self._backend.system_time()
        utc = to_datetime(time.utc // US * US)
        return tds.GetSystemDateAndTimeResponse(
            system_date_and_time=tt.SystemDateTime(
                date_time_type=tt.SetDateTimeType.NTP if time.ntp else tt.SetDateTimeType.MANUAL,
                daylight_savings=time.daylight,
                time_zone=tt.TimeZone(tz=time.timezone),
                utc_date_time=_date_time(utc),
                local_date_time=_date_time(utc + timedelta(seconds=time.utc_offset)),
            )
        )

    # ---- users

    @operation(access=AccessClass.READ_SYSTEM_SECRET)
    async def get_users(self, call: Call, request: tds.GetUsers) -> tds.GetUsersResponse:
        # Core 8.4.3: passwords are never returned.
        return tds.GetUsersResponse(
            user=tuple(
                tt.User(username=name, user_level=tt.UserLevel(str(level)))
                for name, level in await self._backend.users()
            )
        )

    # ---- network

    @operation(access=PRE_AUTH)
    async def get_hostname(self, call: Call, request: tds.GetHostname) -> tds.GetHostnameResponse:
        return tds.GetHostnameResponse(hostname_information=device_network.hostname(await self._backend.network()))

    @operation(access=READ)
    async def get_dns(self, call: Call, request: tds.GetDNS) -> tds.GetDNSResponse:
        return tds.GetDNSResponse(dns_information=device_network.dns(await self._backend.network()))

    @operation(access=READ)
    async def get_ntp(self, call: Call, request: tds.GetNTP) -> tds.GetNTPResponse:
        return tds.GetNTPResponse(ntp_information=device_network.ntp(await self._backend.network()))

    @operation(access=READ)
    async def get_dynamic_dns(self, call: Call, request: tds.GetDynamicDNS) -> tds.GetDynamicDNSResponse:
        # The device updates no name anywhere, which is one of the three answers.
        none = tt.DynamicDNSInformation(type_=tt.DynamicDNSType.NO_UPDATE)
        return tds.GetDynamicDNSResponse(dynamic_dns_information=none)

    @operation(access=READ)
    async def get_network_interfaces(
        self, call: Call, request: tds.GetNetworkInterfaces
    ) -> tds.GetNetworkInterfacesResponse:
        interfaces = (await self._backend.network()).interfaces
        if not interfaces:
            raise Unavailable("The host tells nothing of its network interfaces.")
        return tds.GetNetworkInterfacesResponse(
            network_interfaces=tuple(device_network.interface(item) for item in interfaces)
        )

    @operation(access=READ)
    async def get_network_protocols(
        self, call: Call, request: tds.GetNetworkProtocols
    ) -> tds.GetNetworkProtocolsResponse:
        return tds.GetNetworkProtocolsResponse(network_protocols=device_network.protocols(self._backend.ports()))

    @operation(access=READ)
    async def get_network_default_gateway(
        self, call: Call, request: tds.GetNetworkDefaultGateway
    ) -> tds.GetNetworkDefaultGatewayResponse:
        gateway = device_network.gateway(await self._backend.network())
        return tds.GetNetworkDefaultGatewayResponse(network_gateway=gateway)

    # ---- connectors

    @operation(access=AccessClass.READ_MEDIA)
    async def get_relay_outputs(self, call: Call, request: tds.GetRelayOutputs) -> tds.GetRelayOutputsResponse:
        # None, as the capabilities say; clients of Profile S ask all the same.
        return tds.GetRelayOutputsResponse()


def _date_time(value: datetime) -> tt.DateTime:
    return tt.DateTime(
        time=tt.Time(hour=value.hour, minute=value.minute, second=value.second),
        date=tt.Date(year=value.year, month=value.month, day=value.day),
    )
