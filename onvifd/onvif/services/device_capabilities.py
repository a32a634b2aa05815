"""What the device says it can do, made from the services that are mounted: nothing else is advertised."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from onvifd.errors import NotSupported
from onvifd.host.types import Dhcp6, Features
from onvifd.onvif.device_backend import DeviceControl
from onvifd.onvif.services.common import (
    NS_DEVICE,
    NS_EVENTS,
    NS_MEDIA,
    NS_RECEIVER,
    NS_RECORDING,
    NS_REPLAY,
    NS_SEARCH,
    NS_SECURITY,
    Mountable,
    ServiceRegistry,
    version,
    xaddr,
)
from onvifd.onvif.services.device_inventory import LOCAL, DeviceInventory
from onvifd.onvif.soap.codec import encode
from onvifd.onvif.soap.dispatch import Call
from onvifd.onvif.types import tds, tev, trc, trt, trv, tse, tt

Branch = TypeVar("Branch")

TLS_ADDON: Final = "TLSServerConfiguration"
"""Name of the TLS Configuration add-on."""

MAX_STRING: Final = 255
"""Longest text in a recording configuration (tt:RecordingCapabilities MaxStringLength)."""


def network(control: DeviceControl | None, *, ipv6: bool) -> tds.NetworkCapabilities:
    """What of the network can be configured (Core 8.1.2.3)."""
    features = control.network.features() if control is not None else Features()
    return tds.NetworkCapabilities(
        ip_filter=control is not None,
        zero_configuration=features.zero_configuration,
        ip_version6=ipv6,
        dyn_dns=control is not None and control.network.updates_dns(),
        dot11_configuration=False,
        dot1x_configurations=0,
        hostname_from_dhcp=features.hostname_from_dhcp,
        ntp=control.network.max_time_servers() if control is not None else 0,
        dhcpv6=Dhcp6.STATEFUL in features.dhcp6,
    )


def system(
    control: DeviceControl | None,
    *,
    discovery: bool,
    users: bool,
    hardware_type: tds.HardwareTypes,
    addons: tuple[str, ...] = (),
) -> tds.SystemCapabilities:
    """What of the device itself can be configured and fetched."""
    served = control is not None
    storages = control.storage.max_storages() if control is not None else None
    return tds.SystemCapabilities(
        discovery_resolve=discovery,
        discovery_bye=discovery,
        remote_discovery=False,
        system_backup=served,
        system_logging=served,
        http_firmware_upgrade=False,
        http_system_backup=served,
        http_system_logging=served,
        http_support_information=served,
        storage_configuration=served,
        max_storage_configurations=storages,
        storage_types_supported=(LOCAL,) if served else None,
        geo_location_entries=control.places.max_places() if control is not None else None,
        discovery_not_supported=not discovery,
        network_config_not_supported=control is None or not control.network.features().configurable,
        user_config_not_supported=not users,
        hardware_type=hardware_type,
        addons=addons or None,
    )


def addons(registry: ServiceRegistry, control: DeviceControl | None) -> tuple[str, ...]:
    """The add-ons that are served whole: TLS Configuration is the security service with SetNetworkProtocols beside it."""
    return (TLS_ADDON,) if registry.get(NS_SECURITY) is not None and control is not None else ()


def services(registry: ServiceRegistry, call: Call, include_capability: bool) -> tuple[tds.Service, ...]:
    """The mounted services with the addresses at which this client reaches them (Core 8.1.2.2)."""
    return tuple(
        tds.Service(
            namespace=service.namespace,
            x_addr=xaddr(call, service.path),
            capabilities=tds.ServiceCapabilities(
                any_=(encode(service.capabilities(call), f"{{{service.namespace}}}Capabilities"),)
            )
            if include_capability
            else None,
            version=_version(*version(service)),
        )
        for service in registry
    )


def legacy(registry: ServiceRegistry, call: Call, categories: Iterable[tt.CapabilityCategory]) -> tt.Capabilities:
    """The answer of GetCapabilities: all branches, or only those asked for.

    Raises NotSupported (NoSuchService) for a category whose service is not mounted.
    """
    wanted = frozenset(categories)
    category = tt.CapabilityCategory
    if not wanted or category.ALL in wanted:
        return tt.Capabilities(
            device=device(registry, call),
            events=events(registry, call),
            media=media(registry, call),
            extension=extension(registry, call),
        )
    for absent in wanted & {category.ANALYTICS, category.IMAGING, category.PTZ}:
        raise NotSupported(f"There is no {absent} service.", detail="NoSuchService")
    return tt.Capabilities(
        device=_must(device(registry, call)) if category.DEVICE in wanted else None,
        events=_must(events(registry, call)) if category.EVENTS in wanted else None,
        media=_must(media(registry, call)) if category.MEDIA in wanted else None,
    )


def _must(branch: Branch | None) -> Branch:
    if branch is None:
        raise NotSupported("This service is not served.", detail="NoSuchService")
    return branch


def device(registry: ServiceRegistry, call: Call) -> tt.DeviceCapabilities | None:
    service = registry.get(NS_DEVICE)
    if service is None:
        return None
    own: tds.DeviceServiceCapabilities = service.capabilities(call)
    network, security, system = own.network, own.security, own.system
    return tt.DeviceCapabilities(
        x_addr=xaddr(call, service.path),
        network=tt.NetworkCapabilities(
            ip_filter=network.ip_filter,
            zero_configuration=network.zero_configuration,
            ip_version6=network.ip_version6,
            dyn_dns=network.dyn_dns,
            extension=tt.NetworkCapabilitiesExtension(dot11_configuration=network.dot11_configuration),
        ),
        system=tt.SystemCapabilities(
            discovery_resolve=bool(system.discovery_resolve),
            discovery_bye=bool(system.discovery_bye),
            remote_discovery=bool(system.remote_discovery),
            system_backup=bool(system.system_backup),
            system_logging=bool(system.system_logging),
            firmware_upgrade=False,
            supported_versions=(_version(*version(service)),),
            extension=tt.SystemCapabilitiesExtension(
                http_firmware_upgrade=system.http_firmware_upgrade,
                http_system_backup=system.http_system_backup,
                http_system_logging=system.http_system_logging,
                http_support_information=system.http_support_information,
            ),
        ),
        io=_io(service),
        security=tt.SecurityCapabilities(
            tls1_1=bool(security.tls1_1),
            tls1_2=bool(security.tls1_2),
            onboard_key_generation=bool(security.onboard_key_generation),
            access_policy_config=bool(security.access_policy_config),
            x_509_token=bool(security.x_509_token),
            saml_token=bool(security.saml_token),
            kerberos_token=bool(security.kerberos_token),
            rel_token=bool(security.rel_token),
            extension=tt.SecurityCapabilitiesExtension(tls1_0=bool(security.tls1_0)),
        ),
    )


def _io(service: Mountable) -> tt.IOCapabilities:
    if not isinstance(service, DeviceInventory):
        return tt.IOCapabilities(input_connectors=0, relay_outputs=0)
    commands = service.auxiliary_commands
    extension = tt.IOCapabilitiesExtension(
        auxiliary=True, auxiliary_commands=commands, extension=tt.IOCapabilitiesExtension2()
    )
    return tt.IOCapabilities(
        input_connectors=0, relay_outputs=service.relay_count, extension=extension if commands else None
    )


def events(registry: ServiceRegistry, call: Call) -> tt.EventCapabilities | None:
    service = registry.get(NS_EVENTS)
    if service is None:
        return None
    own: tev.Capabilities = service.capabilities(call)
    return tt.EventCapabilities(
        x_addr=xaddr(call, service.path),
        ws_subscription_policy_support=bool(own.ws_subscription_policy_support),
        ws_pull_point_support=bool(own.max_pull_points),
        ws_pausable_subscription_manager_interface_support=bool(own.ws_pausable_subscription_manager_interface_support),
    )


def media(registry: ServiceRegistry, call: Call) -> tt.MediaCapabilities | None:
    service = registry.get(NS_MEDIA)
    if service is None:
        return None
    own: trt.Capabilities = service.capabilities(call)
    streaming = own.streaming_capabilities
    return tt.MediaCapabilities(
        x_addr=xaddr(call, service.path),
        streaming_capabilities=tt.RealTimeStreamingCapabilities(
            rtp_multicast=streaming.rtp_multicast, rtp_tcp=streaming.rtp_tcp, rtp_rtsp_tcp=streaming.rtp_rtsp_tcp
        ),
        extension=tt.MediaCapabilitiesExtension(
            profile_capabilities=tt.ProfileCapabilities(
                maximum_number_of_profiles=own.profile_capabilities.maximum_number_of_profiles or 0
            )
        ),
    )


def extension(registry: ServiceRegistry, call: Call) -> tt.CapabilitiesExtension | None:
    """Services that came after the categories; None where there is none of them."""
    recording, search, replay, receiver = (
        registry.get(namespace) for namespace in (NS_RECORDING, NS_SEARCH, NS_REPLAY, NS_RECEIVER)
    )
    if recording is None and search is None and replay is None and receiver is None:
        return None
    return tt.CapabilitiesExtension(
        recording=None
        if recording is None
        else _recording(xaddr(call, recording.path), recording.capabilities(call), receiver is not None),
        search=None if search is None else _search(xaddr(call, search.path), search.capabilities(call)),
        replay=None if replay is None else tt.ReplayCapabilities(x_addr=xaddr(call, replay.path)),
        receiver=None if receiver is None else _receiver(xaddr(call, receiver.path), receiver.capabilities(call)),
    )


def _receiver(address: str, own: trv.Capabilities) -> tt.ReceiverCapabilities:
    return tt.ReceiverCapabilities(
        x_addr=address,
        rtp_multicast=bool(own.rtp_multicast),
        rtp_tcp=bool(own.rtp_tcp),
        rtp_rtsp_tcp=bool(own.rtp_rtsp_tcp),
        supported_receivers=own.supported_receivers,
        maximum_rtspuri_length=own.maximum_rtspuri_length or 0,
    )


def _recording(address: str, own: trc.Capabilities, receivers: bool) -> tt.RecordingCapabilities:
    return tt.RecordingCapabilities(
        x_addr=address,
        receiver_source=receivers,
        media_profile_source=True,
        dynamic_recordings=bool(own.dynamic_recordings),
        dynamic_tracks=bool(own.dynamic_tracks),
        max_string_length=MAX_STRING,
    )


def _search(address: str, own: tse.Capabilities) -> tt.SearchCapabilities:
    return tt.SearchCapabilities(x_addr=address, metadata_search=bool(own.metadata_search))


def _version(major: int, minor: int) -> tt.OnvifVersion:
    return tt.OnvifVersion(major=major, minor=minor)
