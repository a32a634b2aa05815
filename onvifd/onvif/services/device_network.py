"""The host's network in the types of the schema."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from onvifd.onvif.backend import Interface, Network, Ports
from onvifd.onvif.types import tt


def hostname(network: Network) -> tt.HostnameInformation:
    return tt.HostnameInformation(from_dhcp=network.hostname_from_dhcp, name=network.hostname)


def dns(network: Network) -> tt.DNSInformation:
    """Where a server was learnt cannot be told on a general host, so all are given as set by hand."""
    addresses = (_ip_address(server) for server in network.dns_servers)
    return tt.DNSInformation(
        from_dhcp=False,
        search_domain=network.search_domains,
        dns_manual=tuple(address for address in addresses if address is not None),
    )


def ntp(network: Network) -> tt.NTPInformation:
    return tt.NTPInformation(from_dhcp=False, ntp_manual=tuple(_network_host(host) for host in network.ntp_servers))


def gateway(network: Network) -> tt.NetworkGateway:
    return tt.NetworkGateway(
        ipv4_address=tuple(_of_version(network.gateways, 4)), ipv6_address=tuple(_of_version(network.gateways, 6))
    )


def protocols(ports: Ports) -> tuple[tt.NetworkProtocol, ...]:
    """The protocols that are served. One that is not has no port to show, which the schema demands, and is left out."""
    kinds = tt.NetworkProtocolType
    served = ((kinds.HTTP, ports.http), (kinds.HTTPS, ports.https), (kinds.RTSP, ports.rtsp))
    return tuple(tt.NetworkProtocol(name=name, enabled=True, port=(port,)) for name, port in served if port is not None)


def interface(item: Interface) -> tt.NetworkInterface:
    return tt.NetworkInterface(
        token=item.token,
        enabled=item.enabled,
        info=tt.NetworkInterfaceInfo(name=item.name, hw_address=item.mac, mtu=item.mtu),
        ipv4=_ipv4(item) if item.ipv4 else None,
        ipv6=_ipv6(item) if item.ipv6 else None,
    )


def _ipv4(item: Interface) -> tt.IPv4NetworkInterface:
    given = [tt.PrefixedIPv4Address(address=address, prefix_length=prefix) for address, prefix in item.ipv4]
    local = [entry for entry in given if ipaddress.ip_address(entry.address).is_link_local]
    routed = [entry for entry in given if entry not in local]
    leased = routed.pop(0) if item.dhcp and routed else None
    return tt.IPv4NetworkInterface(
        enabled=True,
        config=tt.IPv4Configuration(
            manual=tuple(routed),
            link_local=local[0] if local else None,
            from_dhcp=leased,
            dhcp=bool(item.dhcp),
        ),
    )


def _ipv6(item: Interface) -> tt.IPv6NetworkInterface:
    given = [
        tt.PrefixedIPv6Address(address=address.partition("%")[0], prefix_length=prefix) for address, prefix in item.ipv6
    ]
    local = tuple(entry for entry in given if ipaddress.ip_address(entry.address).is_link_local)
    return tt.IPv6NetworkInterface(
        enabled=True,
        config=tt.IPv6Configuration(
            dhcp=tt.IPv6DHCPConfiguration.OFF,
            manual=tuple(entry for entry in given if entry not in local),
            link_local=local,
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
