"""The host's network in the types of the schema."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from onvifd.host.types import WIRELESS, Interface, Network
from onvifd.onvif.backend import Ports
from onvifd.onvif.device_backend import DeviceControl
from onvifd.onvif.types import tt


def hostname(network: Network) -> tt.HostnameInformation:
    return tt.HostnameInformation(from_dhcp=network.hostname_from_dhcp, name=network.hostname)


def dns(network: Network) -> tt.DNSInformation:
    """With `dns_from_dhcp` all servers are DHCP's; where that cannot be told they are given as set by hand."""
    found = tuple(address for address in map(_ip_address, network.dns_servers) if address is not None)
    leased = network.dns_from_dhcp
    return tt.DNSInformation(
        from_dhcp=leased,
        search_domain=network.search_domains,
        dns_from_dhcp=found if leased else (),
        dns_manual=() if leased else found,
    )


def ntp(network: Network) -> tt.NTPInformation:
    found = tuple(map(_network_host, network.ntp_servers))
    leased = network.ntp_from_dhcp
    return tt.NTPInformation(
        from_dhcp=leased, ntp_from_dhcp=found if leased else (), ntp_manual=() if leased else found
    )


def gateway(network: Network) -> tt.NetworkGateway:
    return tt.NetworkGateway(
        ipv4_address=tuple(_of_version(network.gateways, 4)), ipv6_address=tuple(_of_version(network.gateways, 6))
    )


def protocols(ports: Ports, control: DeviceControl | None = None) -> tuple[tt.NetworkProtocol, ...]:
    """The protocols that are served and, where they can be switched, those that are off.

    One that has no port to show, which the schema demands, is left out.
    """
    if control is not None:
        found = ((item.name, item.enabled, item.port) for item in control.ports.protocols())
        return tuple(tt.NetworkProtocol(name=tt.NetworkProtocolType(n), enabled=on, port=(p,)) for n, on, p in found)
    kinds = tt.NetworkProtocolType
    served = ((kinds.HTTP, ports.http), (kinds.HTTPS, ports.https), (kinds.RTSP, ports.rtsp))
    return tuple(tt.NetworkProtocol(name=name, enabled=True, port=(port,)) for name, port in served if port is not None)


def interface(item: Interface) -> tt.NetworkInterface:
    return tt.NetworkInterface(
        token=item.token,
        enabled=item.enabled,
        info=tt.NetworkInterfaceInfo(name=item.name, hw_address=item.mac, mtu=item.mtu),
        link=_link(item),
        ipv4=_ipv4(item) if item.ipv4 or item.dhcp else None,
        ipv6=_ipv6(item) if item.ipv6 or item.ipv6_off else None,
    )


def _link(item: Interface) -> tt.NetworkInterfaceLink | None:
    """Core 8.2.22: a wireless interface shows none."""
    if item.link is None or item.kind == WIRELESS:
        return None
    now = tt.NetworkInterfaceConnectionSetting(
        auto_negotiation=item.link.auto,
        speed=item.link.speed,
        duplex=tt.Duplex.FULL if item.link.full_duplex else tt.Duplex.HALF,
    )
    return tt.NetworkInterfaceLink(admin_settings=now, oper_settings=now, interface_type=item.kind)


def _ipv4(item: Interface) -> tt.IPv4NetworkInterface:
    given = [
        (entry, tt.PrefixedIPv4Address(address=entry[0], prefix_length=entry[1]))
        for entry in item.ipv4
        if not ipaddress.ip_address(entry[0]).is_link_local
    ]
    local = [entry for entry in item.ipv4 if ipaddress.ip_address(entry[0]).is_link_local]
    leased = [shown for entry, shown in given if entry in item.leased]
    if item.dhcp and not leased and given and not item.leased:
        # Which address DHCP gave cannot be told everywhere: it is taken to be the first.
        leased = [given[0][1]]
    return tt.IPv4NetworkInterface(
        enabled=not item.ipv4_off,
        config=tt.IPv4Configuration(
            manual=tuple(shown for _, shown in given if shown not in leased),
            link_local=tt.PrefixedIPv4Address(address=local[0][0], prefix_length=local[0][1]) if local else None,
            from_dhcp=leased[0] if leased else None,
            dhcp=bool(item.dhcp),
        ),
    )


def _ipv6(item: Interface) -> tt.IPv6NetworkInterface:
    given = [
        (entry, tt.PrefixedIPv6Address(address=entry[0].partition("%")[0], prefix_length=entry[1]))
        for entry in item.ipv6
    ]
    local = tuple(shown for _, shown in given if ipaddress.ip_address(shown.address).is_link_local)
    advertised = tuple(shown for entry, shown in given if entry in item.advertised and shown not in local)
    return tt.IPv6NetworkInterface(
        enabled=not item.ipv6_off,
        config=tt.IPv6Configuration(
            accept_router_advert=item.accept_ra,
            dhcp=tt.IPv6DHCPConfiguration(item.dhcp6.value),
            manual=tuple(shown for _, shown in given if shown not in local and shown not in advertised),
            link_local=local,
            from_ra=advertised,
        ),
    )


def _version(address: str) -> int | None:
    """4 or 6, or None for a name. A zone is no part of the address."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).version
    except ValueError:
        return None


def _of_version(addresses: Iterable[str], version: int) -> Iterable[str]:
    return (address.partition("%")[0] for address in addresses if _version(address) == version)


def _ip_address(address: str) -> tt.IPAddress | None:
    plain = address.partition("%")[0]
    match _version(address):
        case 4:
            return tt.IPAddress(type_=tt.IPType.IPV4, ipv4_address=plain)
        case 6:
            return tt.IPAddress(type_=tt.IPType.IPV6, ipv6_address=plain)
        case _:
            return None


def _network_host(host: str) -> tt.NetworkHost:
    plain = host.partition("%")[0]
    match _version(host):
        case 4:
            return tt.NetworkHost(type_=tt.NetworkHostType.IPV4, ipv4_address=plain)
        case 6:
            return tt.NetworkHost(type_=tt.NetworkHostType.IPV6, ipv6_address=plain)
        case _:
            return tt.NetworkHost(type_=tt.NetworkHostType.DNS, dn_sname=host)
