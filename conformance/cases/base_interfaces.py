"""Base Test 5 and 7.2, second half: IP configuration and network interfaces.

Cases that take the device's address away, or the way to it, run only with `--destructive`.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from conformance.cases.base_common import (
    BASE,
    INVALID,
    NETWORK,
    SENDER,
    ask_reboot,
    relocate,
    settle,
    valid_address,
    wait_hello,
    wait_until_back,
)
from conformance.model import Examination, Failure, case
from conformance.names import boolean, find, findall, text

IPV6, BAD_IPV4, BAD_IPV6 = "2001:1:1:1:1:1:1:1", "10.1.1", "FF02:1"


# ---- interfaces ---------------------------------------------------------------------------------------


async def get_interfaces(x: Examination) -> list[Any]:
    found = findall(await x.ask("tds", "<tds:GetNetworkInterfaces/>"), "tds:NetworkInterfaces")
    x.check(found, "GetNetworkInterfacesResponse has no network interface")
    return found


def addresses_of(interface: Any, version: int) -> list[tuple[str, int]]:
    """All addresses of an interface with their prefix lengths."""
    config = find(interface, f"tt:IPv{version}/tt:Config")
    names = ("Manual", "LinkLocal", "FromDHCP", "FromRA") if version == 6 else ("Manual", "LinkLocal", "FromDHCP")
    return [
        (text(each, "tt:Address"), int(text(each, "tt:PrefixLength", "-1")))
        for name in names
        for each in findall(config, f"tt:{name}")
    ]


async def the_interface(x: Examination, version: int = 4) -> Any:
    """The one that the device is spoken to through, else the first with this IP version."""
    interfaces = await get_interfaces(x)
    for each in interfaces:
        if x.prober.host in [address for address, _ in addresses_of(each, version)]:
            return each
    for each in interfaces:
        if find(each, f"tt:IPv{version}") is not None:
            return each
    x.skip("Device/IPv6" if version == 6 else NETWORK)
    raise AssertionError


def interface_request(token: str, inside: str) -> str:
    return (
        f"<tds:SetNetworkInterfaces><tds:InterfaceToken>{token}</tds:InterfaceToken>"
        f"<tds:NetworkInterface>{inside}</tds:NetworkInterface></tds:SetNetworkInterfaces>"
    )


def ipv4_settings(manual: list[tuple[str, int]], *, dhcp: bool, enabled: bool = True) -> str:
    given = "".join(
        f"<tt:Manual><tt:Address>{address}</tt:Address><tt:PrefixLength>{length}</tt:PrefixLength></tt:Manual>"
        for address, length in manual
    )
    return f"<tt:IPv4><tt:Enabled>{str(enabled).lower()}</tt:Enabled>{given}<tt:DHCP>{str(dhcp).lower()}</tt:DHCP></tt:IPv4>"


def ipv6_settings(
    manual: list[tuple[str, int]] = [],  # noqa: B006 (read only)
    *,
    dhcp: str | None = "Off",
    enabled: bool = True,
    advertised: str | None = None,
) -> str:
    inside = f"<tt:Enabled>{str(enabled).lower()}</tt:Enabled>"
    inside += f"<tt:AcceptRouterAdvert>{advertised}</tt:AcceptRouterAdvert>" if advertised else ""
    inside += "".join(
        f"<tt:Manual><tt:Address>{address}</tt:Address><tt:PrefixLength>{length}</tt:PrefixLength></tt:Manual>"
        for address, length in manual
    )
    return f"<tt:IPv6>{inside}{f'<tt:DHCP>{dhcp}</tt:DHCP>' if dhcp else ''}</tt:IPv6>"


def manual_of(interface: Any, version: int) -> list[tuple[str, int]]:
    return [
        (text(each, "tt:Address"), int(text(each, "tt:PrefixLength", "0")))
        for each in findall(interface, f"tt:IPv{version}/tt:Config/tt:Manual")
    ]


def settings_of(interface: Any) -> str:
    """Helper 9.8: all that SetNetworkInterfaces can put back."""
    inside = f"<tt:Enabled>{text(interface, 'tt:Enabled', 'true')}</tt:Enabled>"
    if mtu := text(interface, "tt:Info/tt:MTU"):
        inside += f"<tt:MTU>{mtu}</tt:MTU>"
    if (ipv4 := find(interface, "tt:IPv4")) is not None:
        dhcp = boolean(text(ipv4, "tt:Config/tt:DHCP"))
        inside += ipv4_settings(manual_of(interface, 4), dhcp=dhcp, enabled=boolean(text(ipv4, "tt:Enabled")))
    if (ipv6 := find(interface, "tt:IPv6")) is not None:
        inside += ipv6_settings(
            manual_of(interface, 6),
            dhcp=text(ipv6, "tt:Config/tt:DHCP") or None,
            enabled=boolean(text(ipv6, "tt:Enabled")),
            advertised=text(ipv6, "tt:Config/tt:AcceptRouterAdvert") or None,
        )
    return inside


async def change(x: Examination, token: str, inside: str, *, host: str = "") -> None:
    """SetNetworkInterfaces, reboot where the device wants it, wait for the Hello, follow to `host`."""

    async def send() -> None:
        body = await x.ask("tds", interface_request(token, inside), timeout=max(30.0, x.settings.message_timeout))
        if boolean(text(body, "tds:RebootNeeded")):
            await ask_reboot(x)

    if x.has("Device/Discovery"):
        async with x.prober.listen() as ear:
            await send()
            hello = await wait_hello(x, ear)
            x.check(hello.types, "the Hello after SetNetworkInterfaces has no Types")
            x.check(hello.xaddrs, "the Hello after SetNetworkInterfaces has no XAddrs")
    else:
        await send()
        await asyncio.sleep(x.settings.operation_delay)
    if host:
        relocate(x, host)
    await wait_until_back(x)


@asynccontextmanager
async def interface_kept(x: Examination, before: Any, *moved: str) -> AsyncIterator[None]:
    """Helper 9.8 at the end, whatever happens. `moved`: addresses that the device may have by then."""
    host, services = x.prober.host, dict(x.soap.services)
    try:
        yield
    finally:
        await _find(x, host, *moved)
        token = before.get("token")
        if settings_of(next(each for each in await get_interfaces(x) if each.get("token") == token)) != settings_of(
            before
        ):
            await change(x, token, settings_of(before), host=host)
        x.prober.host, x.soap.services = host, services
        await wait_until_back(x)


async def _find(x: Examination, *hosts: str) -> None:
    """Speak to the device where it answers."""
    for host in dict.fromkeys((x.prober.host, *hosts)):
        relocate(x, host)
        try:
            await wait_until_back(x, 5.0)
            return
        except Failure:
            x.note(f"the device does not answer at {host}")
    raise Failure(f"the device answers at none of its addresses: {', '.join(hosts)}")


async def updated(x: Examination, token: str, version: int) -> Any:
    """The interface's IPv4 or IPv6 after a change."""
    found = next((each for each in await get_interfaces(x) if each.get("token") == token), None)
    x.check(found is not None, f"the interface {token} is gone after SetNetworkInterfaces")
    part = find(found, f"tt:IPv{version}")
    x.check(part is not None, f"IPv{version} of {token} is missing after SetNetworkInterfaces")
    x.check(boolean(text(part, "tt:Enabled")), f"IPv{version} of {token} is off after it was turned on")
    return part


def another_address(x: Examination, address: str, length: int) -> str:
    """One in the same network that neither the device nor we have."""
    if x.settings.spare_address:
        return x.settings.spare_address
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    taken = {address, x.prober.local(), str(network.network_address + 1)}
    for step in range(2, min(network.num_addresses, 64)):
        candidate = str(network.broadcast_address - step)
        if candidate not in taken:
            return candidate
    x.cannot(f"there is no other address in {network}; name one with --spare-address")
    raise AssertionError


@case("DEVICE-2-1-17", document=BASE, name="GET NETWORK INTERFACE CONFIGURATION", requires=(NETWORK,))
async def interfaces(x: Examination) -> None:
    found = await get_interfaces(x)
    tokens = [each.get("token", "") for each in found]
    x.check(all(tokens) and len(set(tokens)) == len(tokens), f"tokens of the interfaces are not unique: {tokens}")
    for each in found:
        for version, most in ((4, 32), (6, 128)):
            for address, length in addresses_of(each, version):
                where = f"interface {each.get('token')}: {address}/{length}"
                x.check(valid_address(address, version), f"{where} is no IPv{version} address")
                x.check(0 <= length <= most, f"{where} has a wrong prefix length")


@case(
    "DEVICE-2-1-18",
    document=BASE,
    name="SET NETWORK INTERFACE CONFIGURATION - IPV4",
    requires=(NETWORK,),
    destructive=True,
)
async def set_ipv4(x: Examination) -> None:
    before = await the_interface(x)
    token, current = before.get("token"), addresses_of(before, 4)
    x.check(current, f"interface {token} has no IPv4 address")
    address = another_address(x, *current[0])
    async with interface_kept(x, before, address):
        follow = address if x.prober.host == current[0][0] else ""
        await change(x, token, ipv4_settings([(address, current[0][1])], dhcp=False), host=follow)
        config = find(await updated(x, token, 4), "tt:Config")
        manual = [text(each, "tt:Address") for each in findall(config, "tt:Manual")]
        x.check(manual == [address], f"IPv4.Config.Manual is {manual} after {address} was set")
        x.check(not boolean(text(config, "tt:DHCP")), "IPv4.Config.DHCP is true after it was turned off")


@case(
    "DEVICE-2-1-19",
    document=BASE,
    name="SET NETWORK INTERFACE CONFIGURATION - IPV6",
    requires=(NETWORK, "Device/IPv6"),
    destructive=True,
)
async def set_ipv6(x: Examination) -> None:
    before = await the_interface(x, 6)
    token = before.get("token")
    advertised = text(before, "tt:IPv6/tt:Config/tt:AcceptRouterAdvert") or None
    async with interface_kept(x, before):
        inside = "<tt:Enabled>true</tt:Enabled>" + ipv6_settings([(IPV6, 64)], advertised=advertised)
        await change(x, token, inside)
        config = find(await updated(x, token, 6), "tt:Config")
        manual = [ipaddress.ip_address(text(each, "tt:Address")) for each in findall(config, "tt:Manual")]
        x.check(manual == [ipaddress.ip_address(IPV6)], f"IPv6.Config.Manual is {manual} after {IPV6} was set")
        x.check(text(config, "tt:DHCP") == "Off", f"IPv6.Config.DHCP is {text(config, 'tt:DHCP')} after Off was set")


def _bad_interface(version: int, value: str) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        before = (await get_interfaces(x))[0]
        inside = ipv4_settings([(value, 24)], dhcp=False) if version == 4 else ipv6_settings([(value, 64)])
        fault = (SENDER, INVALID, f"ter:InvalidIPv{version}Address")
        await x.soap.refuse("tds", interface_request(before.get("token"), inside), fault)
        for each in await get_interfaces(x):
            given = [address for address, _ in addresses_of(each, version)]
            x.check(value not in given, f"the refused address {value} was set at {each.get('token')}")

    return run


case("DEVICE-2-1-20", document=BASE, name="SET NETWORK INTERFACE CONFIGURATION - INVALID IPV4", requires=(NETWORK,))(
    _bad_interface(4, BAD_IPV4)
)
case(
    "DEVICE-2-1-21",
    document=BASE,
    name="SET NETWORK INTERFACE CONFIGURATION - INVALID IPV6",
    requires=(NETWORK, "Device/IPv6"),
)(_bad_interface(6, BAD_IPV6))


# ---- IP configuration ---------------------------------------------------------------------------------


def need(x: Examination, equipment: str, what: str) -> None:
    if equipment not in x.settings.equipment:
        x.cannot(f"needs {what} in the network of the device; say so with --equipment {equipment}")


@case(
    "IPCONFIG-1-1-3",
    document=BASE,
    name="IPV4 DHCP",
    requires=(NETWORK, "Device/Discovery"),
    destructive=True,
)
async def ipv4_dhcp(x: Examination) -> None:
    need(x, "dhcpv4", "a DHCP server")
    before = await the_interface(x)
    token, current = before.get("token"), addresses_of(before, 4)
    off = ipv6_settings(enabled=False, dhcp=None) if find(before, "tt:IPv6") is not None else ""
    address = another_address(x, *current[0]) if current else ""
    async with interface_kept(x, before, *filter(None, (address,))):
        if boolean(text(before, "tt:IPv4/tt:Config/tt:DHCP")) and current:
            await change(x, token, ipv4_settings([(address, current[0][1])], dhcp=False) + off, host=address)
        async with x.prober.listen() as ear:
            body = await x.ask("tds", interface_request(token, ipv4_settings([], dhcp=True) + off))
            if boolean(text(body, "tds:RebootNeeded")):
                await ask_reboot(x)
            hello = await wait_hello(x, ear)
        x.check(hello.types and hello.xaddrs, "the Hello has no Types or no XAddrs")
        relocate(x, urlsplit(hello.xaddrs[0]).hostname or x.prober.host)
        await wait_until_back(x)
        config = find(await updated(x, token, 4), "tt:Config")
        x.check(find(config, "tt:FromDHCP") is not None, "IPv4.Config.FromDHCP is missing")
        x.check(boolean(text(config, "tt:DHCP")), "IPv4.Config.DHCP is false")


@case(
    "IPCONFIG-1-1-5",
    document=BASE,
    name="IPV4 LINK LOCAL ADDRESS",
    requires=(NETWORK, "Device/Zero Configuration"),
)
async def link_local(x: Examination) -> None:
    async def get() -> Any:
        found = find(await x.ask("tds", "<tds:GetZeroConfiguration/>"), "tds:ZeroConfiguration")
        x.check(found is not None, "GetZeroConfigurationResponse has no ZeroConfiguration")
        return found

    async def put(token: str, enabled: str) -> None:
        inside = f"<tds:InterfaceToken>{token}</tds:InterfaceToken><tds:Enabled>{enabled}</tds:Enabled>"
        await x.ask("tds", f"<tds:SetZeroConfiguration>{inside}</tds:SetZeroConfiguration>")

    before = await get()
    token = text(before, "tt:InterfaceToken")
    interface = (await the_interface(x)).get("token") or token
    try:
        await put(interface, "true")
        # RFC 3927: probing and announcing take some seconds.
        for _ in range(20):
            await settle(x)
            after = await get()
            if findall(after, "tt:Addresses"):
                break
        x.check(boolean(text(after, "tt:Enabled")), "ZeroConfiguration.Enabled is false after it was turned on")
        given = text(after, "tt:InterfaceToken")
        x.check(given == interface, f"ZeroConfiguration.InterfaceToken is {given}, set was {interface}")
        addresses = [text(each) for each in findall(after, "tt:Addresses")]
        x.check(addresses, "ZeroConfiguration.Addresses is missing")
        network = ipaddress.ip_network("169.254.0.0/16")
        x.check(all(ipaddress.ip_address(each) in network for each in addresses), f"{addresses} is not in {network}")
    finally:
        await put(token, text(before, "tt:Enabled", "false"))


def _ipv6(equipment: str, what: str, kind: str) -> Callable[[Examination], Awaitable[None]]:
    """IPCONFIG-2-1-2 (FromRA), -3 (LinkLocal), -4 (FromDHCP)."""

    async def run(x: Examination) -> None:
        if equipment:
            need(x, equipment, what)
        before = await the_interface(x, 6)
        token = before.get("token")
        dhcp = "Stateful" if kind == "FromDHCP" else "Off"
        inside = "<tt:Enabled>true</tt:Enabled>"
        inside += ipv6_settings(dhcp=dhcp, advertised="true" if kind == "FromRA" else None)
        async with interface_kept(x, before):
            await change(x, token, inside)
            config = find(await updated(x, token, 6), "tt:Config")
            if kind == "FromRA":
                x.check(boolean(text(config, "tt:AcceptRouterAdvert")), "IPv6.Config.AcceptRouterAdvert is false")
            x.check(find(config, f"tt:{kind}") is not None, f"IPv6.Config.{kind} is missing")
            x.check(text(config, "tt:DHCP") == dhcp, f"IPv6.Config.DHCP is {text(config, 'tt:DHCP')}, set was {dhcp}")

    return run


for _id, _name, _equipment, _what, _kind in (
    ("IPCONFIG-2-1-2", "STATELESS IP CONFIGURATION - ROUTER ADVERTISEMENT", "ra", "a router that advertises", "FromRA"),
    ("IPCONFIG-2-1-3", "STATELESS IP CONFIGURATION - NEIGHBOUR DISCOVERY", "", "", "LinkLocal"),
    ("IPCONFIG-2-1-4", "STATEFUL IP CONFIGURATION", "dhcpv6", "a DHCPv6 server", "FromDHCP"),
):
    _needs = (NETWORK, "Device/IPv6", *(("Device/Stateful IPv6 DHCP",) if _kind == "FromDHCP" else ()))
    case(_id, document=BASE, name=f"IPV6 {_name}", requires=_needs, destructive=True)(_ipv6(_equipment, _what, _kind))
