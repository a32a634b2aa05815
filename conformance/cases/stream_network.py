"""Cases of streams by IPv6 and by HTTPS: the device is spoken to at another address for a while."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from urllib.parse import SplitResult, urlsplit, urlunsplit

from conformance.cases.base_interfaces import addresses_of, interface_request, ipv6_settings, settings_of, the_interface
from conformance.cases.security_https import Protocol, https_protocol, set_https
from conformance.model import Examination, Failure
from conformance.names import boolean, text
from conformance.wires import bracketed, connect


def _moved(services: dict[str, str], host: str, scheme: str = "", port: int = 0) -> dict[str, str]:
    def move(address: str) -> str:
        target: SplitResult = urlsplit(address)
        number = port or target.port
        place = f"{bracketed(host)}:{number}" if number else bracketed(host)
        return urlunsplit(target._replace(netloc=place, scheme=scheme or target.scheme))

    return {prefix: move(address) for prefix, address in services.items()}


@contextlib.asynccontextmanager
async def elsewhere(x: Examination, host: str, scheme: str = "", port: int = 0) -> AsyncIterator[None]:
    """Speak to all services at another address within the block."""
    before = dict(x.soap.services), x.prober.host, x.prober.interface
    x.soap.services = _moved(x.soap.services, host, scheme, port)
    if host != x.prober.host:
        x.prober.host, x.prober.interface = host, ""
    try:
        yield
    finally:
        x.soap.services, x.prober.host, x.prober.interface = before


@contextlib.asynccontextmanager
async def by_ipv6(x: Examination) -> AsyncIterator[None]:
    """Streaming Test 6.23 and 6.24: IPv6 is on, and the device is spoken to at its IPv6 address."""
    if ":" in x.prober.host:
        yield
        return
    interface = await the_interface(x, 6)
    token, before = interface.get("token"), ""
    if not boolean(text(interface, "tt:IPv6/tt:Enabled", "false")):
        before = settings_of(interface)
        await x.ask("tds", interface_request(token, ipv6_settings()))
        await asyncio.sleep(x.settings.operation_delay)
        interface = await the_interface(x, 6)
    try:
        async with elsewhere(x, await _address(x, [address for address, _ in addresses_of(interface, 6)])):
            yield
    finally:
        if before:
            await x.ask("tds", interface_request(token, before))


async def _address(x: Examination, known: list[str]) -> str:
    """The first that the examiner reaches: addresses of wider scope before those of the link."""
    x.check(known, "IPv6 is on, and GetNetworkInterfaces has no IPv6 address (Streaming Test 6.23)")
    target = urlsplit(x.settings.url)
    port = target.port or (443 if target.scheme == "https" else 80)
    tried = []
    for address in sorted(known, key=lambda each: ipaddress.IPv6Address(each.partition("%")[0]).is_link_local):
        try:
            _reader, writer = await connect(address, port, False, x.settings.message_timeout)
        except Failure as failure:
            tried.append(str(failure))
            continue
        writer.close()
        return address
    unreachable = all("unreachable" in each.lower() or "cannot assign" in each.lower() for each in tried)
    if unreachable:
        x.cannot(f"the examiner's network has no way to {', '.join(known)}")
    raise Failure(f"the device does not answer at its IPv6 addresses: {'; '.join(tried)}")


@contextlib.asynccontextmanager
async def by_https(x: Examination) -> AsyncIterator[None]:
    """Streaming using Media2 Test 6.42: HTTPS is on, and the device is spoken to by it."""
    state = await https_protocol(x)
    port = state.port or 443
    if not state.enabled:
        x.check(
            x.has("Security/TLS Server"), "HTTPS is off, and the device has no TLS server (Streaming using Media2 6.42)"
        )
        await set_https(x, Protocol(True, port))
    try:
        async with elsewhere(x, x.prober.host, "https", port):
            yield
    finally:
        if not state.enabled:
            await set_https(x, state)


@contextlib.asynccontextmanager
async def network(x: Examination, transport: str, version: int) -> AsyncIterator[None]:
    """What a case's transport and address family need."""
    async with contextlib.AsyncExitStack() as stack:
        if version == 6:
            await stack.enter_async_context(by_ipv6(x))
        if transport == "HTTPS":
            await stack.enter_async_context(by_https(x))
        yield
