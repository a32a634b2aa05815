"""Base Test 7.2, first half: host name, DNS, NTP, dynamic DNS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from conformance.cases.base_common import (
    BASE,
    INVALID,
    NETWORK,
    SENDER,
    check_ip_address,
    settle,
    valid_hostname,
)
from conformance.model import Examination, case
from conformance.names import boolean, find, findall, renamed, text
from conformance.soap import expect_response

NTP = "Device/NTP"
DYNDNS = "Device/Dynamic DNS"
IPV4, BAD_IPV4 = "10.1.1.1", "10.1.1"
IPV6, BAD_IPV6 = "2001:1:1:1:1:1:1:1", "FF02:1"
HOSTNAME = "Onvif-Test0-oNvif-Onv12"


# ---- host name ----------------------------------------------------------------------------------------


async def get_hostname(x: Examination) -> Any:
    found = find(await x.ask("tds", "<tds:GetHostname/>"), "tds:HostnameInformation")
    x.check(found is not None, "GetHostnameResponse has no HostnameInformation")
    return found


@asynccontextmanager
async def hostname_kept(x: Examination) -> AsyncIterator[Any]:
    before = await get_hostname(x)
    try:
        yield before
    finally:
        after = await get_hostname(x)
        if boolean(text(before, "tt:FromDHCP")):
            await x.ask("tds", "<tds:SetHostnameFromDHCP><tds:FromDHCP>true</tds:FromDHCP></tds:SetHostnameFromDHCP>")
        elif text(after, "tt:Name") != text(before, "tt:Name"):
            await x.ask("tds", f"<tds:SetHostname><tds:Name>{text(before, 'tt:Name')}</tds:Name></tds:SetHostname>")


@case("DEVICE-2-1-1", document=BASE, name="NETWORK COMMAND HOSTNAME CONFIGURATION", requires=(NETWORK,))
async def hostname(x: Examination) -> None:
    found = await get_hostname(x)
    name = text(found, "tt:Name")
    x.check(not name or valid_hostname(name), f"Name {name!r} is no host name (9.2)")


@case("DEVICE-2-1-3", document=BASE, name="NETWORK COMMAND SETHOSTNAME TEST ERROR CASE", requires=(NETWORK,))
async def bad_hostname(x: Examination) -> None:
    async with hostname_kept(x):
        request = "<tds:SetHostname><tds:Name>Onvif_test1</tds:Name></tds:SetHostname>"
        await x.soap.refuse("tds", request, (SENDER, INVALID, "ter:InvalidHostname"))
        name = text(await get_hostname(x), "tt:Name")
        x.check(name != "Onvif_test1", "the refused host name was set")
        x.check(not name or valid_hostname(name), f"Name {name!r} is no host name (9.2)")


@case("DEVICE-2-1-32", document=BASE, name="NETWORK COMMAND SETHOSTNAME TEST", requires=(NETWORK,))
async def set_hostname(x: Examination) -> None:
    async with hostname_kept(x):
        await x.ask("tds", f"<tds:SetHostname><tds:Name>{HOSTNAME}</tds:Name></tds:SetHostname>")
        found = await get_hostname(x)
        x.check(not boolean(text(found, "tt:FromDHCP")), "FromDHCP is true after SetHostname")
        name = text(found, "tt:Name")
        x.check(name == HOSTNAME, f"Name is {name!r} after SetHostname of {HOSTNAME!r}")


# ---- DNS ----------------------------------------------------------------------------------------------


async def get_dns(x: Examination) -> Any:
    found = find(await x.ask("tds", "<tds:GetDNS/>"), "tds:DNSInformation")
    x.check(found is not None, "GetDNSResponse has no DNSInformation")
    for name in ("DNSFromDHCP", "DNSManual"):
        for each in findall(found, f"tt:{name}"):
            check_ip_address(x, each, f"GetDNSResponse {name}")
    return found


def set_dns(*, dhcp: bool = False, search: tuple[str, ...] = (), manual: str = "") -> str:
    domains = "".join(f"<tds:SearchDomain>{each}</tds:SearchDomain>" for each in search)
    return f"<tds:SetDNS><tds:FromDHCP>{str(dhcp).lower()}</tds:FromDHCP>{domains}{manual}</tds:SetDNS>"


def address(name: str, value: str, version: int) -> str:
    """A tt:IPAddress or tt:NetworkHost under another name."""
    return f"<{name}><tt:Type>IPv{version}</tt:Type><tt:IPv{version}Address>{value}</tt:IPv{version}Address></{name}>"


@asynccontextmanager
async def dns_kept(x: Examination) -> AsyncIterator[Any]:
    before = await get_dns(x)
    try:
        yield before
    finally:
        manual = "".join(renamed(each, "tds:DNSManual") for each in findall(before, "tt:DNSManual"))
        search = tuple(text(each) for each in findall(before, "tt:SearchDomain"))
        await x.ask("tds", set_dns(dhcp=boolean(text(before, "tt:FromDHCP")), search=search, manual=manual))


@case("DEVICE-2-1-4", document=BASE, name="GET DNS CONFIGURATION", requires=(NETWORK,))
async def dns(x: Examination) -> None:
    await get_dns(x)


@case("DEVICE-2-1-5", document=BASE, name="SET DNS CONFIGURATION - SEARCHDOMAIN", requires=(NETWORK,))
async def dns_search(x: Examination) -> None:
    async with dns_kept(x) as before:
        # The device's own servers stay: without them it would have none until the end of the case.
        manual = "".join(renamed(each, "tds:DNSManual") for each in findall(before, "tt:DNSManual"))
        await x.ask("tds", set_dns(search=("domain.name",), manual=manual))
        found = await get_dns(x)
        domains = [text(each) for each in findall(found, "tt:SearchDomain")]
        x.check(not boolean(text(found, "tt:FromDHCP")), "FromDHCP is true after SetDNS with false")
        x.check(domains == ["domain.name"], f"SearchDomain is {domains} after SetDNS of domain.name")


def _dns_manual(value: str, version: int) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        async with dns_kept(x):
            await x.ask("tds", set_dns(manual=address("tds:DNSManual", value, version)))
            found = await get_dns(x)
            given = [text(each, f"tt:IPv{version}Address") for each in findall(found, "tt:DNSManual")]
            x.check(not boolean(text(found, "tt:FromDHCP")), "FromDHCP is true after SetDNS with false")
            x.check(_same_addresses(given, [value]), f"DNSManual is {given} after SetDNS of {value}")

    return run


def _same_addresses(given: list[str], expected: list[str]) -> bool:
    import ipaddress

    try:
        return [ipaddress.ip_address(each) for each in given] == [ipaddress.ip_address(each) for each in expected]
    except ValueError:
        return False


def _dns_invalid(value: str, version: int) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        async with dns_kept(x):
            request = set_dns(manual=address("tds:DNSManual", value, version))
            await x.soap.refuse("tds", request, (SENDER, INVALID, f"ter:InvalidIPv{version}Address"))
            found = await get_dns(x)
            given = [text(each, f"tt:IPv{version}Address") for each in findall(found, "tt:DNSManual")]
            x.check(value not in given, f"the refused address {value} was set")

    return run


case("DEVICE-2-1-6", document=BASE, name="SET DNS CONFIGURATION - DNSMANUAL IPV4", requires=(NETWORK,))(
    _dns_manual(IPV4, 4)
)
case("DEVICE-2-1-7", document=BASE, name="SET DNS CONFIGURATION - DNSMANUAL IPV6", requires=(NETWORK, "Device/IPv6"))(
    _dns_manual(IPV6, 6)
)
case("DEVICE-2-1-9", document=BASE, name="SET DNS CONFIGURATION - DNSMANUAL INVALID IPV4", requires=(NETWORK,))(
    _dns_invalid(BAD_IPV4, 4)
)
case(
    "DEVICE-2-1-10",
    document=BASE,
    name="SET DNS CONFIGURATION - DNSMANUAL INVALID IPV6",
    requires=(NETWORK, "Device/IPv6"),
)(_dns_invalid(BAD_IPV6, 6))


async def need_dhcp(x: Examination) -> None:
    """Pre-requisite "DHCP is enabled" (9.12): where it is not, turning it on moves the device."""
    body = await x.ask("tds", "<tds:GetNetworkInterfaces/>")
    for each in findall(body, "tds:NetworkInterfaces"):
        if boolean(text(each, "tt:IPv4/tt:Config/tt:DHCP")):
            return
    x.cannot("no network interface of the device uses DHCP (Base Test 9.12)")


@case("DEVICE-2-1-8", document=BASE, name="SET DNS CONFIGURATION - FROMDHCP", requires=(NETWORK, "Device/Discovery"))
async def dns_dhcp(x: Examination) -> None:
    await need_dhcp(x)
    async with dns_kept(x):
        await x.ask("tds", set_dns(dhcp=True))
        await settle(x)
        found = await get_dns(x)
        x.check(boolean(text(found, "tt:FromDHCP")), "FromDHCP is false after SetDNS with true")
        x.check(findall(found, "tt:DNSFromDHCP"), "DNSFromDHCP is missing although the servers come from DHCP")


# ---- NTP ----------------------------------------------------------------------------------------------


async def get_ntp(x: Examination) -> Any:
    found = find(await x.ask("tds", "<tds:GetNTP/>"), "tds:NTPInformation")
    x.check(found is not None, "GetNTPResponse has no NTPInformation")
    for name in ("NTPFromDHCP", "NTPManual"):
        for each in findall(found, f"tt:{name}"):
            check_ip_address(x, each, f"GetNTPResponse {name}")
    return found


def set_ntp(*, dhcp: bool = False, manual: str = "") -> str:
    return f"<tds:SetNTP><tds:FromDHCP>{str(dhcp).lower()}</tds:FromDHCP>{manual}</tds:SetNTP>"


@asynccontextmanager
async def ntp_kept(x: Examination) -> AsyncIterator[Any]:
    before = await get_ntp(x)
    try:
        yield before
    finally:
        manual = "".join(renamed(each, "tds:NTPManual") for each in findall(before, "tt:NTPManual"))
        await x.ask("tds", set_ntp(dhcp=boolean(text(before, "tt:FromDHCP")), manual=manual))


@case("DEVICE-2-1-11", document=BASE, name="GET NTP CONFIGURATION", requires=(NETWORK, NTP))
async def ntp(x: Examination) -> None:
    await get_ntp(x)


def _ntp_manual(value: str, version: int) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        async with ntp_kept(x):
            await x.ask("tds", set_ntp(manual=address("tds:NTPManual", value, version)))
            found = await get_ntp(x)
            servers = findall(found, "tt:NTPManual")
            given = [text(each, f"tt:IPv{version}Address") for each in servers]
            x.check(not boolean(text(found, "tt:FromDHCP")), "FromDHCP is true after SetNTP with false")
            x.check(_same_addresses(given, [value]), f"NTPManual is {given} after SetNTP of {value}")
            kind = text(servers[0], "tt:Type")
            x.check(kind == f"IPv{version}", f"NTPManual.Type is {kind!r} after SetNTP of {value}")

    return run


def _ntp_invalid(value: str, version: int) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        async with ntp_kept(x):
            request = set_ntp(manual=address("tds:NTPManual", value, version))
            # 7.2.15 names InvalidIPv4Address for an IPv6 address too; Core 8.2.8 has a fault for each.
            faults = [(SENDER, INVALID, f"ter:InvalidIPv{each}Address") for each in sorted({4, version})]
            await x.soap.refuse("tds", request, *faults)
            given = [text(each, f"tt:IPv{version}Address") for each in findall(await get_ntp(x), "tt:NTPManual")]
            x.check(value not in given, f"the refused address {value} was set")

    return run


for _id, _name, _make, _needs in (
    ("DEVICE-2-1-12", "NTPMANUAL IPV4", _ntp_manual(IPV4, 4), ()),
    ("DEVICE-2-1-13", "NTPMANUAL IPV6", _ntp_manual(IPV6, 6), ("Device/IPv6",)),
    ("DEVICE-2-1-15", "NTPMANUAL INVALID IPV4", _ntp_invalid(BAD_IPV4, 4), ()),
    ("DEVICE-2-1-16", "NTPMANUAL INVALID IPV6", _ntp_invalid(BAD_IPV6, 6), ("Device/IPv6",)),
):
    case(_id, document=BASE, name=f"SET NTP CONFIGURATION - {_name}", requires=(NETWORK, NTP, *_needs))(_make)


@case(
    "DEVICE-2-1-14",
    document=BASE,
    name="SET NTP CONFIGURATION - FROMDHCP",
    requires=(NETWORK, NTP, "Device/Discovery"),
)
async def ntp_dhcp(x: Examination) -> None:
    await need_dhcp(x)
    async with ntp_kept(x):
        await x.ask("tds", set_ntp(dhcp=True))
        await settle(x)
        found = await get_ntp(x)
        x.check(boolean(text(found, "tt:FromDHCP")), "FromDHCP is false after SetNTP with true")


# ---- dynamic DNS --------------------------------------------------------------------------------------


async def get_dynamic_dns(x: Examination) -> Any:
    found = find(await x.ask("tds", "<tds:GetDynamicDNS/>"), "tds:DynamicDNSInformation")
    x.check(found is not None, "GetDynamicDNSResponse has no DynamicDNSInformation")
    return found


def set_dynamic_dns(kind: str, name: str = "", ttl: str = "") -> str:
    inside = f"<tds:Type>{kind}</tds:Type>"
    inside += f"<tds:Name>{name}</tds:Name>" if name else ""
    inside += f"<tds:TTL>{ttl}</tds:TTL>" if ttl else ""
    return f"<tds:SetDynamicDNS>{inside}</tds:SetDynamicDNS>"


@case("DEVICE-2-1-36", document=BASE, name="GET DYNAMIC DNS CONFIGURATION", requires=(NETWORK, DYNDNS))
async def dynamic_dns(x: Examination) -> None:
    await get_dynamic_dns(x)


@case("DEVICE-2-1-37", document=BASE, name="SET DYNAMIC DNS CONFIGURATION", requires=(NETWORK, DYNDNS))
async def change_dynamic_dns(x: Examination) -> None:
    before = await get_dynamic_dns(x)
    with_ttl = find(before, "tt:TTL") is not None
    accepted = 0
    try:
        for kind, name, ttl in (
            ("NoUpdate", "", "PT20S"),
            ("ServerUpdates", "", "PT25S"),
            ("ClientUpdates", HOSTNAME, "PT30S"),
        ):
            reply = await x.soap.call("tds", set_dynamic_dns(kind, name, ttl if with_ttl else ""))
            if reply.fault is not None and kind != "NoUpdate":
                continue
            expect_response(reply, "SetDynamicDNS")
            accepted += kind != "NoUpdate"
            found = await get_dynamic_dns(x)
            for what, expected in (("Type", kind), ("Name", name), ("TTL", ttl if with_ttl else "")):
                given = text(found, f"tt:{what}")
                x.check(not expected or given == expected, f"{what} is {given!r} after SetDynamicDNS of {expected!r}")
        x.check(accepted, "both ServerUpdates and ClientUpdates were refused (7.2.31)")
    finally:
        keep = [text(before, f"tt:{name}") for name in ("Type", "Name", "TTL")]
        await x.ask("tds", set_dynamic_dns(*keep))
