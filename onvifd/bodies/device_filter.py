"""The recorder's IP address filter: kept, and in force at once (Core 8.2.18 to 8.2.21)."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable

from onvifd.access.ip_filter import MAX_PREFIXES, FilterRules, IpFilter, Prefix
from onvifd.bodies.device_state import DeviceState, FilterSection
from onvifd.errors import InvalidArgument, NotFound

log = logging.getLogger(__name__)


class DeviceFilter:
    """Changes `filter_`, which is what those who accept connections ask."""

    def __init__(self, state: DeviceState, filter_: IpFilter) -> None:
        self._state = state
        self._filter = filter_

    def load(self) -> None:
        """Put what is kept in force."""
        section = self._state.now.filter
        prefixes: list[Prefix] = []
        for text in section.prefixes:
            try:
                prefixes.append(ipaddress.ip_network(text))
            except ValueError:
                log.error("address filter: %s is no prefix and is ignored", text)
        self._filter.replace(FilterRules(section.allow, tuple(prefixes)))

    def rules(self) -> FilterRules:
        return self._filter.rules

    async def replace(self, rules: FilterRules) -> None:
        async with self._state.changing:
            await self._keep(rules.allow, rules.prefixes)

    async def add(self, prefixes: Iterable[Prefix]) -> None:
        async with self._state.changing:
            now = self._filter.rules
            await self._keep(now.allow, (*now.prefixes, *prefixes))

    async def remove(self, prefixes: Iterable[Prefix]) -> None:
        async with self._state.changing:
            now, unwanted = self._filter.rules, frozenset(prefixes)
            for prefix in unwanted - frozenset(now.prefixes):
                raise NotFound(f"The filter has no {prefix}.", detail=f"NoIPv{prefix.version}Address")
            await self._keep(now.allow, (prefix for prefix in now.prefixes if prefix not in unwanted))

    async def _keep(self, allow: bool, prefixes: Iterable[Prefix]) -> None:
        rules = FilterRules(allow, tuple(dict.fromkeys(prefixes)))
        for version in (4, 6):
            if len(rules.of_version(version)) > MAX_PREFIXES:
                reason = f"The filter holds {MAX_PREFIXES} IPv{version} prefixes at most."
                raise InvalidArgument(reason, detail="IPFilterListIsFull")
        await self._state.change(filter=FilterSection(allow=allow, prefixes=tuple(map(str, rules.prefixes))))
        self._filter.replace(rules)
