"""Base Test 7.7: filter of addresses that may connect."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from conformance.cases.base_common import BASE, NETWORK
from conformance.model import Examination, case
from conformance.names import find, findall, renamed, text

NEEDS = (NETWORK, "Device/IP Filter")
STRANGER = "192.0.2.77"
"""IPv4Address1: "different from the current IP address" of the client (RFC 5737: nobody has it)."""


async def get_filter(x: Examination) -> Any:
    found = find(await x.ask("tds", "<tds:GetIPAddressFilter/>"), "tds:IPAddressFilter")
    x.check(found is not None, "GetIPAddressFilterResponse has no IPAddressFilter")
    kind = text(found, "tt:Type")
    x.check(kind in ("Allow", "Deny"), f"IPAddressFilter.Type is {kind!r}")
    for version, most in ((4, 32), (6, 128)):
        for address, length in entries(found, version):
            x.check(0 <= length <= most, f"PrefixLength of {address} is {length}, not in 0 to {most} (7.7.1)")
            try:
                parsed = ipaddress.ip_interface(f"{address}/{length}")
            except ValueError:
                x.fail(f"{address}/{length} is no range of IPv{version} addresses (7.7.1)")
                raise
            x.check(parsed.version == version, f"{address} is no IPv{version} address (7.7.1)")
    return found


def entries(found: Any, version: int = 4) -> list[tuple[str, int]]:
    return [
        (text(each, "tt:Address"), int(text(each, "tt:PrefixLength", "-1")))
        for each in findall(found, f"tt:IPv{version}Address")
    ]


def request(operation: str, kind: str, *addresses: str) -> str:
    inside = "".join(
        f"<tt:IPv4Address><tt:Address>{each}</tt:Address><tt:PrefixLength>32</tt:PrefixLength></tt:IPv4Address>"
        for each in addresses
    )
    return f"<tds:{operation}><tds:IPAddressFilter><tt:Type>{kind}</tt:Type>{inside}</tds:IPAddressFilter></tds:{operation}>"


@asynccontextmanager
async def filter_kept(x: Examination) -> AsyncIterator[Any]:
    before = await get_filter(x)
    try:
        yield before
    finally:
        await x.ask("tds", f"<tds:SetIPAddressFilter>{renamed(before, 'tds:IPAddressFilter')}</tds:SetIPAddressFilter>")


async def expect(x: Examination, kind: str, *addresses: str) -> None:
    found = await get_filter(x)
    x.check(text(found, "tt:Type") == kind, f"Type is {text(found, 'tt:Type')}, expected {kind}")
    given = entries(found)
    x.check(given == [(each, 32) for each in addresses], f"IPv4Address is {given}, expected {list(addresses)} with /32")


@case("DEVICE-7-1-1", document=BASE, name="GET IP ADDRESS FILTER", requires=NEEDS)
async def address_filter(x: Examination) -> None:
    await get_filter(x)


@case("DEVICE-7-1-2", document=BASE, name="SET IP ADDRESS FILTER - IPv4", requires=NEEDS)
async def set_filter(x: Examination) -> None:
    own = x.prober.local()
    if ":" in own:
        x.cannot("the device is spoken to by IPv6; the case needs our IPv4 address")
    async with filter_kept(x):
        for kind, address in (("Deny", STRANGER), ("Allow", own)):
            await x.ask("tds", request("SetIPAddressFilter", kind, address))
            await expect(x, kind, address)


@case("DEVICE-7-1-3", document=BASE, name="ADD IP ADDRESS FILTER - IPv4", requires=NEEDS)
async def add_filter(x: Examination) -> None:
    async with filter_kept(x):
        await x.ask("tds", request("SetIPAddressFilter", "Deny"))
        await x.ask("tds", request("AddIPAddressFilter", "Deny", STRANGER))
        await expect(x, "Deny", STRANGER)


@case("DEVICE-7-1-4", document=BASE, name="REMOVE IP ADDRESS FILTER - IPv4", requires=NEEDS)
async def remove_filter(x: Examination) -> None:
    async with filter_kept(x):
        await x.ask("tds", request("SetIPAddressFilter", "Deny", STRANGER))
        await expect(x, "Deny", STRANGER)
        # 7.7.4 sends Type = Allow: RemoveIPAddressFilter is about the address, whatever the type.
        await x.ask("tds", request("RemoveIPAddressFilter", "Allow", STRANGER))
        await expect(x, "Deny")
