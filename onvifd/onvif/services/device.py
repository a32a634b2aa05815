"""Device management service (Core 8): what is read. What is changed is in the modules that it inherits from."""

from __future__ import annotations

from datetime import datetime, timedelta

from onvifd.access.types import AccessClass
from onvifd.clock import US, to_datetime
from onvifd.errors import Unavailable
from onvifd.onvif.backend import DeviceBackend
from onvifd.onvif.device_backend import DeviceControl
from onvifd.onvif.services import device_capabilities, device_network
from onvifd.onvif.services.common import DEVICE_PATH, NS_DEVICE, WSDL_PATH, ServiceRegistry, xaddr
from onvifd.onvif.services.device_host import DeviceHost
from onvifd.onvif.services.device_inventory import DeviceInventory
from onvifd.onvif.services.device_maintenance import DeviceMaintenance
from onvifd.onvif.services.device_users import DeviceUsers, UserBackend
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import tds, tt

PRE_AUTH = AccessClass.PRE_AUTH
READ = AccessClass.READ_SYSTEM


class DeviceService(DeviceUsers, DeviceHost, DeviceMaintenance, DeviceInventory):
    """The entry point: who the device is, what time it has, which services it offers and how its host is connected.

    `registry` holds the services that are mounted; the device service adds itself in front if it is not there.
    `discovery` tells whether a discovery responder runs, `ipv6` whether the web service listens on IPv6, `hardware_type`
    is a tds:HardwareTypes value. Without `users` or `control` those parts of the device cannot be changed.
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
        control: DeviceControl | None = None,
    ) -> None:
        self.users_backend = users
        self.device_control = control
        self._backend = backend
        self._registry = registry
        self._discovery = discovery
        self._ipv6 = ipv6
        self._hardware_type = hardware_type
        if registry.get(NS_DEVICE) is None:
            registry.add(self)

    # ---- capabilities

    def capabilities(self, call: Call) -> tds.DeviceServiceCapabilities:
        """Truthful for what is served."""
        return tds.DeviceServiceCapabilities(
            network=device_capabilities.network(self.device_control, ipv6=self._ipv6),
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
                    hashing_algorithms=None
                    if self.device_control is None
                    else self.device_control.hashing.supported_hashing_algorithms(),
                )
            ),
            system=device_capabilities.system(
                self.device_control,
                discovery=self._discovery,
                users=self.users_backend is not None,
                hardware_type=self._hardware_type,
                addons=device_capabilities.addons(self._registry, self.device_control),
            ),
            misc=tds.MiscCapabilities(auxiliary_commands=self.auxiliary_commands) if self.auxiliary_commands else None,
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
                for name, level in (self.users_backend.users() if self.users_backend else await self._backend.users())
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
        return tds.GetNetworkProtocolsResponse(
            network_protocols=device_network.protocols(self._backend.ports(), self.device_control)
        )

    @operation(access=READ)
    async def get_network_default_gateway(
        self, call: Call, request: tds.GetNetworkDefaultGateway
    ) -> tds.GetNetworkDefaultGatewayResponse:
        gateway = device_network.gateway(await self._backend.network())
        return tds.GetNetworkDefaultGatewayResponse(network_gateway=gateway)


def _date_time(value: datetime) -> tt.DateTime:
    return tt.DateTime(
        time=tt.Time(hour=value.hour, minute=value.minute, second=value.second),
        date=tt.Date(year=value.year, month=value.month, day=value.day),
    )
