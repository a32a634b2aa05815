"""Base Test 7.2, last part: network protocols and default gateway."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

from conformance.cases.base_common import (
    BASE,
    INVALID,
    NETWORK,
    SENDER,
    settle,
    valid_address,
)
from conformance.cases.base_interfaces import BAD_IPV4, BAD_IPV6, IPV6
from conformance.model import Examination, case
from conformance.names import boolean, find, findall, text

TEST_PORT = 10554


# ---- protocols ----------------------------------------------------------------------------------------


async def get_protocols(x: Examination) -> list[Any]:
    found = findall(await x.ask("tds", "<tds:GetNetworkProtocols/>"), "tds:NetworkProtocols")
    x.check(found, "GetNetworkProtocolsResponse has no protocol")
    return found


def protocol(name: str, enabled: bool, *ports: int) -> str:
    inside = "".join(f"<tt:Port>{port}</tt:Port>" for port in ports)
    return (
        f"<tds:NetworkProtocols><tt:Name>{name}</tt:Name><tt:Enabled>{str(enabled).lower()}</tt:Enabled>{inside}"
        "</tds:NetworkProtocols>"
    )


def set_protocols(*protocols: str) -> str:
    return f"<tds:SetNetworkProtocols>{''.join(protocols)}</tds:SetNetworkProtocols>"


def names_of(protocols: list[Any]) -> list[str]:
    return [text(each, "tt:Name") for each in protocols]


@case("DEVICE-2-1-33", document=BASE, name="GET NETWORK PROTOCOLS CONFIGURATION", requires=(NETWORK,))
async def protocols(x: Examination) -> None:
    names = names_of(await get_protocols(x))
    x.check("HTTP" in names, f"the mandatory HTTP is not among the protocols {names}")
    if x.has("Media/Real-time Streaming") or x.has("Media2/Real-time Streaming") or x.has("Replay Service"):
        x.check("RTSP" in names, f"RTSP is not among the protocols {names} although the device streams")


@case("DEVICE-2-1-34", document=BASE, name="SET NETWORK PROTOCOLS CONFIGURATION", requires=(NETWORK,))
async def change_protocols(x: Examination) -> None:
    before = await get_protocols(x)
    if "RTSP" not in names_of(before):
        x.note("the device has no RTSP: nothing more to examine (7.2.22)")
        return
    try:
        for enabled in (True, False):
            await x.ask("tds", set_protocols(protocol("RTSP", enabled, TEST_PORT)))
            await settle(x)
            found = next((each for each in await get_protocols(x) if text(each, "tt:Name") == "RTSP"), None)
            x.check(found is not None, "RTSP is gone after SetNetworkProtocols")
            given = boolean(text(found, "tt:Enabled"))
            x.check(given is enabled, f"RTSP: Enabled is {given} after {enabled} was set")
            ports = [text(each) for each in findall(found, "tt:Port")]
            x.check(not enabled or ports == [str(TEST_PORT)], f"RTSP: ports are {ports} after {TEST_PORT} was set")
    finally:
        for each in before:
            if text(each, "tt:Name") == "RTSP":
                ports_ = [int(text(port)) for port in findall(each, "tt:Port")]
                await x.ask("tds", set_protocols(protocol("RTSP", boolean(text(each, "tt:Enabled")), *ports_)))


@case(
    "DEVICE-2-1-35",
    document=BASE,
    name="SET NETWORK PROTOCOLS CONFIGURATION - UNSUPPORTED PROTOCOLS",
    requires=(NETWORK,),
)
async def unsupported_protocols(x: Examination) -> None:
    before = names_of(await get_protocols(x))
    missing = next((name for name in ("HTTPS", "RTSP") if name not in before), None)
    if missing is None:
        x.note("the device supports all protocols: nothing more to examine (7.2.23)")
        return
    request = set_protocols(protocol(missing, True, TEST_PORT))
    await x.soap.refuse("tds", request, (SENDER, INVALID, "ter:ServiceNotSupported"))
    after = names_of(await get_protocols(x))
    x.check(missing not in after, f"the unsupported protocol {missing} is among the protocols {after}")


# ---- gateway ------------------------------------------------------------------------------------------


async def get_gateway(x: Examination) -> Any:
    found = find(await x.ask("tds", "<tds:GetNetworkDefaultGateway/>"), "tds:NetworkGateway")
    x.check(found is not None, "GetNetworkDefaultGatewayResponse has no NetworkGateway")
    for version in (4, 6):
        for each in findall(found, f"tt:IPv{version}Address"):
            value = text(each).partition("%")[0]
            x.check(valid_address(value, version), f"NetworkGateway.IPv{version}Address {text(each)!r} is no address")
    return found


def set_gateway(version: int, *addresses: str) -> str:
    inside = "".join(f"<tds:IPv{version}Address>{each}</tds:IPv{version}Address>" for each in addresses)
    return f"<tds:SetNetworkDefaultGateway>{inside}</tds:SetNetworkDefaultGateway>"


@case("DEVICE-2-1-25", document=BASE, name="GET NETWORK DEFAULT GATEWAY CONFIGURATION", requires=(NETWORK,))
async def gateway(x: Examination) -> None:
    await get_gateway(x)


def _bad_gateway(version: int, value: str) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        # Core 8.2.17 has the faults InvalidGatewayAddress and InvalidIPv4Address/InvalidIPv6Address; the case names the first.
        fault = (SENDER, INVALID, "ter:InvalidGatewayAddress")
        await x.soap.refuse("tds", set_gateway(version, value), fault)
        given = [text(each) for each in findall(await get_gateway(x), f"tt:IPv{version}Address")]
        x.check(value not in given, f"the refused gateway {value} was set")

    return run


def _gateway(version: int, value: str) -> Callable[[Examination], Awaitable[None]]:
    async def run(x: Examination) -> None:
        before = [text(each) for each in findall(await get_gateway(x), f"tt:IPv{version}Address")]
        try:
            await x.ask("tds", set_gateway(version, value))
            given = [text(each) for each in findall(await get_gateway(x), f"tt:IPv{version}Address")]
            same = [ipaddress.ip_address(each) for each in given] == [ipaddress.ip_address(value)]
            x.check(same, f"IPv{version}Address is {given} after {value} was set")
        finally:
            await x.ask("tds", set_gateway(version, *before))

    return run


for _id, _name, _make, _more, _bad in (
    ("DEVICE-2-1-28", "INVALID IPV4", _bad_gateway(4, BAD_IPV4), (), True),
    ("DEVICE-2-1-29", "INVALID IPV6", _bad_gateway(6, BAD_IPV6), ("Device/IPv6",), True),
    ("DEVICE-2-1-30", "IPV4", _gateway(4, "10.1.1.1"), (), False),
    ("DEVICE-2-1-31", "IPV6", _gateway(6, IPV6), ("Device/IPv6",), False),
):
    _title = f"SET NETWORK DEFAULT GATEWAY CONFIGURATION - {_name}"
    case(_id, document=BASE, name=_title, requires=(NETWORK, *_more), destructive=not _bad)(_make)
