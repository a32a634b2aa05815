"""Device management service: the network of the host, the ports and the address filter (Core 8.2): writing.

A part of `services.device`. Whatever comes in is checked here as far as its form goes; `DeviceControl` knows the rest.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import timedelta

from onvifd.access.ip_filter import FilterRules, Prefix
from onvifd.access.types import AccessClass
from onvifd.errors import InvalidArgument, NotSupported
from onvifd.host import checks
from onvifd.host.types import Dhcp6, InterfaceChange, Link, Prefixed
from onvifd.onvif.device_backend import DeviceControl, DnsUpdates, DynamicDns, ProtocolPort, ZeroConfiguration
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import tds, tt

READ = AccessClass.READ_SYSTEM
WRITE = AccessClass.WRITE_SYSTEM


class Controlled(Service):
    """What `DeviceService` inherits; it sets `device_control`. None is a device that cannot be configured."""

    device_control: DeviceControl | None = None

    @property
    def _device(self) -> DeviceControl:
        if self.device_control is None:
            raise NotSupported("This device cannot be configured.")
        return self.device_control


class DeviceHost(Controlled):
    """Operations on the host's network."""

    # ---- names and servers

    @operation(access=WRITE)
    async def set_hostname(self, call: Call, request: tds.SetHostname) -> tds.SetHostnameResponse:
        await self._device.network.set_hostname(request.name)
        return tds.SetHostnameResponse()

    @operation(access=WRITE)
    async def set_hostname_from_dhcp(
        self, call: Call, request: tds.SetHostnameFromDHCP
    ) -> tds.SetHostnameFromDHCPResponse:
        await self._device.network.set_hostname_from_dhcp(request.from_dhcp)
        return tds.SetHostnameFromDHCPResponse(reboot_needed=False)

    @operation(access=WRITE)
    async def set_dns(self, call: Call, request: tds.SetDNS) -> tds.SetDNSResponse:
        servers = tuple(_address(item) for item in request.dns_manual)
        await self._device.network.set_dns(request.from_dhcp, request.search_domain, servers)
        return tds.SetDNSResponse()

    @operation(access=WRITE)
    async def set_ntp(self, call: Call, request: tds.SetNTP) -> tds.SetNTPResponse:
        servers = tuple(_host(item) for item in request.ntp_manual)
        await self._device.network.set_time_servers(request.from_dhcp, servers)
        return tds.SetNTPResponse()

    # ---- interfaces and gateways

    @operation(access=WRITE, timeout=60)
    async def set_network_interfaces(
        self, call: Call, request: tds.SetNetworkInterfaces
    ) -> tds.SetNetworkInterfacesResponse:
        change = _change(request.network_interface)
        await self._device.network.set_interface(request.interface_token, change, call.local_address)
        # Core 8.2.11: everything is in force, or will be in a moment, without a restart.
        return tds.SetNetworkInterfacesResponse(reboot_needed=False)

    @operation(access=WRITE)
    async def set_network_default_gateway(
        self, call: Call, request: tds.SetNetworkDefaultGateway
    ) -> tds.SetNetworkDefaultGatewayResponse:
        bad = "InvalidGatewayAddress"
        gateways = (
            *(checks.ipv4(address, bad) for address in request.ipv4_address),
            *(checks.ipv6(address, bad) for address in request.ipv6_address),
        )
        await self._device.network.set_gateways(gateways)
        return tds.SetNetworkDefaultGatewayResponse()

    @operation(access=READ)
    async def get_zero_configuration(
        self, call: Call, request: tds.GetZeroConfiguration
    ) -> tds.GetZeroConfigurationResponse:
        found = await self._device.network.zero_configuration()
        if not found:
            raise NotSupported("There is no interface with zero configuration.")
        # The first place is for one that is in use (schema: one, and additional ones).
        first, *others = sorted(found, key=lambda item: not item.enabled)
        extension = tt.NetworkZeroConfigurationExtension(additional=tuple(map(_zero, others))) if others else None
        return tds.GetZeroConfigurationResponse(zero_configuration=_zero(first, extension))

    @operation(access=WRITE, timeout=60)
    async def set_zero_configuration(
        self, call: Call, request: tds.SetZeroConfiguration
    ) -> tds.SetZeroConfigurationResponse:
        await self._device.network.set_zero_configuration(request.interface_token, request.enabled)
        return tds.SetZeroConfigurationResponse()

    # ---- dynamic DNS

    @operation(access=READ)
    async def get_dynamic_dns(self, call: Call, request: tds.GetDynamicDNS) -> tds.GetDynamicDNSResponse:
        if self.device_control is None or not self.device_control.network.updates_dns():
            # The device updates no name anywhere, which is one of the three answers.
            none = tt.DynamicDNSInformation(type_=tt.DynamicDNSType.NO_UPDATE)
            return tds.GetDynamicDNSResponse(dynamic_dns_information=none)
        found = self.device_control.network.dynamic_dns()
        information = tt.DynamicDNSInformation(
            type_=tt.DynamicDNSType(found.updates.value), name=found.name or None, ttl=timedelta(seconds=found.ttl)
        )
        return tds.GetDynamicDNSResponse(dynamic_dns_information=information)

    @operation(access=WRITE)
    async def set_dynamic_dns(self, call: Call, request: tds.SetDynamicDNS) -> tds.SetDynamicDNSResponse:
        network = self._device.network
        before = network.dynamic_dns()
        wanted = DynamicDns(
            updates=DnsUpdates(str(request.type_)),
            name=before.name if request.name is None else request.name,
            ttl=before.ttl if request.ttl is None else int(request.ttl.total_seconds()),
        )
        await network.set_dynamic_dns(wanted)
        return tds.SetDynamicDNSResponse()

    # ---- the recorder's own ports

    @operation(access=WRITE)
    async def set_network_protocols(
        self, call: Call, request: tds.SetNetworkProtocols
    ) -> tds.SetNetworkProtocolsResponse:
        names = [str(item.name) for item in request.network_protocols]
        if len(set(names)) < len(names) or any(len(item.port) != 1 for item in request.network_protocols):
            raise InvalidArgument("A protocol is given once, with one port.")
        await self._device.ports.set_protocols(
            tuple(
                ProtocolPort(name=str(item.name), enabled=item.enabled, port=item.port[0])
                for item in request.network_protocols
            )
        )
        return tds.SetNetworkProtocolsResponse()

    # ---- address filter

    @operation(access=READ)
    async def get_ip_address_filter(
        self, call: Call, request: tds.GetIPAddressFilter
    ) -> tds.GetIPAddressFilterResponse:
        rules, kind = self._device.filter.rules(), tt.IPAddressFilterType
        return tds.GetIPAddressFilterResponse(
            ip_address_filter=tt.IPAddressFilter(
                type_=kind.ALLOW if rules.allow else kind.DENY,
                ipv4_address=tuple(
                    tt.PrefixedIPv4Address(address=str(item.network_address), prefix_length=item.prefixlen)
                    for item in rules.of_version(4)
                ),
                ipv6_address=tuple(
                    tt.PrefixedIPv6Address(address=str(item.network_address), prefix_length=item.prefixlen)
                    for item in rules.of_version(6)
                ),
            )
        )

    @operation(access=WRITE)
    async def set_ip_address_filter(
        self, call: Call, request: tds.SetIPAddressFilter
    ) -> tds.SetIPAddressFilterResponse:
        allow = request.ip_address_filter.type_ is tt.IPAddressFilterType.ALLOW
        await self._device.filter.replace(FilterRules(allow, _prefixes(request.ip_address_filter)))
        return tds.SetIPAddressFilterResponse()

    @operation(access=WRITE)
    async def add_ip_address_filter(
        self, call: Call, request: tds.AddIPAddressFilter
    ) -> tds.AddIPAddressFilterResponse:
        # Core 8.2.20: the type is ignored.
        await self._device.filter.add(_prefixes(request.ip_address_filter))
        return tds.AddIPAddressFilterResponse()

    @operation(access=WRITE)
    async def remove_ip_address_filter(
        self, call: Call, request: tds.RemoveIPAddressFilter
    ) -> tds.RemoveIPAddressFilterResponse:
        await self._device.filter.remove(_prefixes(request.ip_address_filter))
        return tds.RemoveIPAddressFilterResponse()


# ---- from the types of the schema ---------------------------------------------------------------


def _address(item: tt.IPAddress) -> str:
    if item.type_ is tt.IPType.IPV4:
        return checks.ipv4(item.ipv4_address)
    return checks.ipv6(item.ipv6_address)


def _host(item: tt.NetworkHost) -> str:
    match item.type_:
        case tt.NetworkHostType.IPV4:
            return checks.ipv4(item.ipv4_address)
        case tt.NetworkHostType.IPV6:
            return checks.ipv6(item.ipv6_address)
        case _:
            return checks.dns_name(item.dn_sname or "")


def _prefixes(item: tt.IPAddressFilter) -> tuple[Prefix, ...]:
    found: list[Prefix] = []
    for version, given in ((4, item.ipv4_address), (6, item.ipv6_address)):
        bad = f"InvalidIPv{version}Address"
        check = checks.ipv4 if version == 4 else checks.ipv6
        for entry in given:
            address = check(entry.address, bad, host=False)
            bits = checks.prefix(entry.prefix_length, 32 if version == 4 else 128, bad)
            found.append(ipaddress.ip_network(f"{address}/{bits}", strict=False))
    return tuple(found)


def _change(item: tt.NetworkInterfaceSetConfiguration) -> InterfaceChange:
    extension = item.extension
    if extension is not None and extension.dot11:
        raise NotSupported("There is no wireless interface to configure.", detail="InvalidDot11")
    link = item.link
    ipv4, ipv6 = item.ipv4, item.ipv6
    dhcp6 = None if ipv6 is None or ipv6.dhcp is None else Dhcp6(str(ipv6.dhcp))
    return InterfaceChange(
        enabled=item.enabled,
        mtu=item.mtu,
        link=None
        if link is None
        else Link(auto=link.auto_negotiation, speed=link.speed, full_duplex=link.duplex is tt.Duplex.FULL),
        ipv4_enabled=None if ipv4 is None else ipv4.enabled,
        ipv4_manual=None if ipv4 is None else _manual(ipv4.manual, 4),
        ipv4_dhcp=None if ipv4 is None else ipv4.dhcp,
        ipv6_enabled=None if ipv6 is None else ipv6.enabled,
        ipv6_manual=None if ipv6 is None else _manual(ipv6.manual, 6),
        ipv6_dhcp=dhcp6,
        accept_ra=None if ipv6 is None else ipv6.accept_router_advert,
    )


def _manual(
    given: Iterable[tt.PrefixedIPv4Address | tt.PrefixedIPv6Address], version: int
) -> tuple[Prefixed, ...] | None:
    """Addresses set by hand; None if none are given, which leaves those that are there."""
    bad = f"InvalidIPv{version}Address"
    check, most = (checks.ipv4, 32) if version == 4 else (checks.ipv6, 128)
    found = tuple((check(item.address, bad), checks.prefix(item.prefix_length, most, bad)) for item in given)
    if any(bits == 0 for _, bits in found):
        raise InvalidArgument("An address needs a prefix of at least one bit.", detail=bad)
    return found or None


def _zero(
    item: ZeroConfiguration, extension: tt.NetworkZeroConfigurationExtension | None = None
) -> tt.NetworkZeroConfiguration:
    return tt.NetworkZeroConfiguration(
        interface_token=item.interface, enabled=item.enabled, addresses=item.addresses, extension=extension
    )
