"""The host's network as the recorder changes it: checked, kept where the host forgets, applied by an adapter (Core 8.2)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Any, TypeVar

from onvifd.bodies.device_state import DeviceState, InterfaceSection
from onvifd.bodies.device_time import DeviceTime
from onvifd.errors import Conflict, InvalidArgument, NotFound, NotSupported, OnvifdError
from onvifd.host import checks
from onvifd.host.dyndns import Updater
from onvifd.host.types import (
    ClockAdapter,
    Features,
    Interface,
    InterfaceChange,
    Network,
    NetworkAdapter,
)
from onvifd.onvif.device_backend import DnsUpdates, DynamicDns, ZeroConfiguration

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_ADDRESSES = 16
"""Addresses, servers or gateways in one request."""
GRACE = 0.7
"""Seconds between the answer and a change that takes the client's way to us away."""
MAX_TTL = 7 * 86400


class DeviceNetwork:
    """`time` knows whether the clock follows NTP. `run` waits for changes that were put off; end with `close`."""

    def __init__(
        self,
        state: DeviceState,
        adapter: NetworkAdapter,
        clock_adapter: ClockAdapter,
        time: DeviceTime,
        *,
        updater: Updater | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._state = state
        self._adapter = adapter
        self._clock = clock_adapter
        self._time = time
        self._updater = updater
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()
        self._hands = asyncio.Lock()
        """One thread at a time talks to the host's tools."""
        self.announce: Callable[[], Awaitable[None]] | None = None
        """Tells the network of new addresses; set by who runs discovery."""

    # ---- reading -------------------------------------------------------------------------------

    def features(self) -> Features:
        return self._adapter.features

    def max_time_servers(self) -> int:
        return self._clock.max_servers

    async def network(self) -> Network:
        found = await self._do(self._adapter.network)
        from_dhcp, servers = await self._do(self._clock.servers)
        return replace(found, ntp_servers=servers, ntp_from_dhcp=from_dhcp and self._clock.max_servers > 0)

    async def _do(self, call: Callable[..., T], *arguments: Any) -> T:
        async with self._hands:
            return await asyncio.to_thread(call, *arguments)

    def _must_be_ours(self) -> None:
        if not self._adapter.features.configurable:
            raise NotSupported("The network of this host is not the recorder's to change.")

    # ---- start and end -------------------------------------------------------------------------

    async def restore(self) -> None:
        """Apply what was asked before where the host forgot it. What fails is logged: the recorder starts all the same."""
        if self._updater is not None:
            self._updater.set(self._state.now.network.dynamic_dns)
        if not self._adapter.features.volatile:
            return
        kept = self._state.now.network
        calls: list[tuple[str, Callable[..., None], tuple[Any, ...]]] = []
        if kept.hostname is not None:
            calls.append(("host name", self._adapter.set_hostname, (kept.hostname,)))
        if kept.dns is not None:
            calls.append(("DNS", self._adapter.set_dns, kept.dns))
        for name, section in kept.interfaces.items():
            calls.append((name, self._adapter.set_interface, (name, InterfaceChange(**_as_dict(section)))))
        if kept.gateways is not None:
            calls.append(("gateways", self._adapter.set_gateways, (kept.gateways,)))
        calls += [(name, self._adapter.set_zero_configuration, (name, True)) for name in kept.zero]
        for what, call, arguments in calls:
            try:
                await self._do(call, *arguments)
            except OnvifdError as error:
                log.error("network: what was set of %s cannot be applied: %s", what, error.reason)

    async def close(self) -> None:
        """Drop changes that were put off."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep(self, **changes: Any) -> None:
        await self._state.change(network=replace(self._state.now.network, **changes))

    async def _announced(self) -> None:
        if self.announce is not None:
            await self.announce()

    # ---- names and servers ---------------------------------------------------------------------

    async def set_hostname(self, name: str) -> None:
        self._must_be_ours()
        if not name and self._adapter.features.hostname_from_dhcp:
            await self.set_hostname_from_dhcp(True)
            return
        checks.hostname(name)
        async with self._state.changing:
            await self._do(self._adapter.set_hostname, name)
            await self._keep(hostname=name)

    async def set_hostname_from_dhcp(self, wanted: bool) -> None:
        self._must_be_ours()
        if not self._adapter.features.hostname_from_dhcp:
            raise NotSupported("The host name cannot be taken from DHCP.")
        async with self._state.changing:
            await self._do(self._adapter.set_hostname_from_dhcp, wanted)
            await self._keep(hostname=None)

    async def set_dns(self, from_dhcp: bool, search: tuple[str, ...], servers: tuple[str, ...]) -> None:
        self._must_be_ours()
        domains = tuple(checks.dns_name(name, detail=None) for name in _bounded(search))
        async with self._state.changing:
            wanted = (from_dhcp, domains, _bounded(servers))
            await self._do(self._adapter.set_dns, *wanted)
            await self._keep(dns=wanted)

    async def set_time_servers(self, from_dhcp: bool, servers: tuple[str, ...]) -> None:
        most = self._clock.max_servers
        if not most:
            raise NotSupported("The time servers of this host are not the recorder's to set.")
        if len(servers) > most:
            raise InvalidArgument(f"At most {most} time servers can be set.")
        if not servers and not from_dhcp and self._time.ntp:
            raise InvalidArgument("The clock follows NTP, which needs a server.", detail="TimeSyncedToNtp")
        async with self._state.changing:
            await self._do(self._clock.set_servers, from_dhcp, servers)

    # ---- interfaces ----------------------------------------------------------------------------

    async def _interface(self, token: str) -> Interface:
        for interface in (await self._do(self._adapter.network)).interfaces:
            if interface.token == token:
                return interface
        raise NotFound("There is no such network interface.", detail="InvalidNetworkInterface")

    async def set_interface(self, token: str, change: InterfaceChange, here: str) -> None:
        self._must_be_ours()
        async with self._state.changing:
            interface = await self._interface(token)
            self._check(interface, change)
            before = self._state.now.network.interfaces
            section = _merged(before.get(token, InterfaceSection()), change)
            if _leaves(interface, change, here):
                await self._keep(interfaces={**before, token: section})
                self._own(self._apply_later(token, change, before))
                return
            await self._do(self._adapter.set_interface, interface.name, change)
            await self._keep(interfaces={**before, token: section})
        await self._announced()

    def _check(self, interface: Interface, change: InterfaceChange) -> None:
        features = self._adapter.features
        low, high = interface.mtu_range or (68, 65_535)
        if change.mtu is not None and not low <= change.mtu <= high:
            raise InvalidArgument(f"The MTU of {interface.name} is {low} to {high}.", detail="InvalidMtuValue")
        if change.link is not None and change.link.speed < 0:
            raise InvalidArgument("A speed is not negative.", detail="InvalidInterfaceSpeed")
        if change.ipv4_dhcp and not features.dhcp:
            raise InvalidArgument("This host has no DHCP client.", detail="InvalidIPv4Address")
        if change.ipv6_dhcp is not None and change.ipv6_dhcp not in features.dhcp6:
            raise NotSupported(f"DHCPv6 {change.ipv6_dhcp} is not supported.", detail="InvalidDHCPv6")
        _bounded(change.ipv4_manual or ())
        _bounded(change.ipv6_manual or ())

    async def _apply_later(self, token: str, change: InterfaceChange, before: dict[str, InterfaceSection]) -> None:
        """Change the interface on which the client is waiting, once it has its answer."""
        await self._sleep(GRACE)
        try:
            async with self._state.changing:
                try:
                    await self._do(self._adapter.set_interface, token, change)
                except OnvifdError as error:
                    log.error("network: %s cannot be changed: %s", token, error.reason)
                    await self._keep(interfaces=before)
            await self._announced()
        except (OnvifdError, OSError) as error:
            log.error("network: the change of %s is not complete: %s", token, error)

    def _own(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name="network change")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- gateways, zero configuration, dynamic DNS ---------------------------------------------

    async def set_gateways(self, gateways: tuple[str, ...]) -> None:
        self._must_be_ours()
        async with self._state.changing:
            _bounded(gateways)
            versions = {ipaddress.ip_address(gateway).version for gateway in gateways} or {4, 6}
            kept = self._state.now.network.gateways or ()
            others = tuple(gateway for gateway in kept if ipaddress.ip_address(gateway).version not in versions)
            try:
                await self._do(self._adapter.set_gateways, gateways)
            except Conflict as error:
                raise InvalidArgument(error.reason, detail="InvalidGatewayAddress") from error
            await self._keep(gateways=(*gateways, *others))

    async def zero_configuration(self) -> tuple[ZeroConfiguration, ...]:
        if not self._adapter.features.zero_configuration:
            raise NotSupported("There is no zero configuration.")
        wanted = self._state.now.network.zero
        return tuple(
            ZeroConfiguration(
                interface.token,
                interface.token in wanted,
                tuple(a for a, _ in interface.ipv4 if ipaddress.ip_address(a).is_link_local),
            )
            for interface in (await self._do(self._adapter.network)).interfaces
        )

    async def set_zero_configuration(self, token: str, enabled: bool) -> None:
        if not self._adapter.features.zero_configuration:
            raise NotSupported("There is no zero configuration.")
        async with self._state.changing:
            interface = await self._interface(token)
            await self._do(self._adapter.set_zero_configuration, interface.name, enabled)
            others = tuple(name for name in self._state.now.network.zero if name != token)
            await self._keep(zero=(*others, token) if enabled else others)
        await self._announced()

    def updates_dns(self) -> bool:
        return self._updater is not None

    def dynamic_dns(self) -> DynamicDns:
        return self._state.now.network.dynamic_dns

    async def set_dynamic_dns(self, wanted: DynamicDns) -> None:
        if self._updater is None:
            raise NotSupported("There is no dynamic DNS.")
        if wanted.updates is DnsUpdates.SERVER:
            raise InvalidArgument("The DHCP server cannot be asked to update the name.")
        if wanted.name:
            checks.dns_name(wanted.name)
        if wanted.updates is DnsUpdates.CLIENT and not wanted.name:
            raise InvalidArgument("An update needs a name.")
        if not 1 <= wanted.ttl <= MAX_TTL:
            raise InvalidArgument(f"A time to live is 1 to {MAX_TTL} seconds.")
        async with self._state.changing:
            await self._keep(dynamic_dns=wanted)
            self._updater.set(wanted)


def _as_dict(section: InterfaceSection) -> dict[str, Any]:
    return {name: value for name, value in asdict(section).items() if value is not None}


def _merged(section: InterfaceSection, change: InterfaceChange) -> InterfaceSection:
    """What is to be kept of an interface after a change. Its speed is not: a wrong one must not survive a restart."""
    given = {name: getattr(change, name) for name in section.__slots__ if getattr(change, name) is not None}
    if change.ipv4_dhcp and change.ipv4_manual is None:
        given["ipv4_manual"] = ()
    return replace(section, **given)


def _leaves(interface: Interface, change: InterfaceChange, here: str) -> bool:
    """Whether the address at which the client reached us goes away."""
    plain = here.partition("%")[0]
    own4, own6 = ({address for address, _ in found} for found in (interface.ipv4, interface.ipv6))
    if plain not in own4 | own6:
        return False
    if change.enabled is False:
        return True
    if plain in own6:
        kept6 = change.ipv6_manual is None or plain in {address for address, _ in change.ipv6_manual}
        return change.ipv6_enabled is False or not (kept6 or ipaddress.ip_address(plain).is_link_local)
    if change.ipv4_enabled is False:
        return True
    leased = plain in {address for address, _ in interface.leased}
    if change.ipv4_manual is not None and not leased:
        return plain not in {address for address, _ in change.ipv4_manual}
    if leased:
        return change.ipv4_dhcp is False
    return bool(change.ipv4_dhcp) and not interface.dhcp


def _bounded(items: tuple[T, ...]) -> tuple[T, ...]:
    if len(items) > MAX_ADDRESSES:
        raise InvalidArgument(f"At most {MAX_ADDRESSES} entries can be given.")
    return items
