"""The recorder's time: its zone is its own, its clock is the host's (Core 8.3.6, 8.3.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from onvifd.bodies.device_state import DeviceState, TimeSection
from onvifd.clock import US, Clock, to_datetime
from onvifd.errors import InvalidArgument, NotSupported, Unavailable
from onvifd.host import timezone as zones
from onvifd.host.reading import posix_timezone
from onvifd.host.timezone import Zone
from onvifd.host.types import ClockAdapter
from onvifd.onvif.backend import SystemTime

TOLERANCE = 10 * US
"""How far a time that is set may be from the clock's where the clock is not ours to set: it is right already."""


class DeviceTime:
    """`adapter` sets the host's clock if anything does; `told` hears when it was set. What `system_time` needs is in memory
    after `load`."""

    def __init__(
        self,
        state: DeviceState,
        adapter: ClockAdapter,
        clock: Clock,
        *,
        told: Callable[[int], None] = lambda at: None,
    ) -> None:
        self._state = state
        self._told = told
        self._adapter = adapter
        self._clock = clock
        self._zone = Zone("UTC0", 0)
        self._host_zone = self._zone
        self._host_ntp = False

    async def load(self) -> None:
        """Read zone and clock mode of the host and what is kept."""
        text = await asyncio.to_thread(posix_timezone)
        try:
            self._host_zone = zones.parse(text)
        except ValueError:
            self._host_zone = Zone("UTC0", 0)
        try:
            self._host_ntp = await asyncio.to_thread(self._adapter.synchronized)
        except Unavailable:
            self._host_ntp = False
        self._take_zone()

    def _take_zone(self) -> None:
        kept = self._state.now.time.timezone
        self._zone = self._host_zone if kept is None else zones.parse(kept)

    @property
    def ntp(self) -> bool:
        """Whether the clock is said to follow NTP."""
        kept = self._state.now.time.ntp
        return self._host_ntp if kept is None or self._adapter.max_servers else kept

    def system_time(self) -> SystemTime:
        """The time as the device states it. `daylight` is the setting (Core 8.3.6), so that a client that writes back
        what it read changes nothing."""
        utc = self._clock.utc()
        kept = self._state.now.time.daylight
        daylight = self._zone.summer is not None if kept is None else kept
        return SystemTime(
            utc=utc,
            timezone=self._zone.text,
            ntp=self.ntp,
            daylight=daylight,
            utc_offset=self._zone.utc_offset(to_datetime(utc), daylight=daylight),
        )

    async def set_time(self, *, ntp: bool, daylight: bool, timezone: str | None, utc: int | None) -> None:
        if timezone is not None:
            try:
                zones.parse(timezone)
            except ValueError as error:
                raise InvalidArgument(f"Time zone: {error}.", detail="InvalidTimeZone") from None
        async with self._state.changing:
            if ntp:
                await self._follow_ntp()
            else:
                await self._set_clock(utc)
            section = TimeSection(timezone=timezone or self._state.now.time.timezone, daylight=daylight, ntp=ntp)
            await self._state.change(time=section)
            self._host_ntp = ntp if self._adapter.max_servers else self._host_ntp
            self._take_zone()
        self._told(self._clock.utc())

    async def _follow_ntp(self) -> None:
        _, servers = await asyncio.to_thread(self._adapter.servers)
        if not servers:
            raise InvalidArgument("No NTP server is known.", detail="NtpServerUndefined")
        await asyncio.to_thread(self._adapter.follow, True)

    async def _set_clock(self, utc: int | None) -> None:
        if self._adapter.max_servers:
            await asyncio.to_thread(self._adapter.follow, False)
            if utc is not None and abs(utc - self._clock.utc()) > US:
                await asyncio.to_thread(self._adapter.set_time, utc)
        elif utc is not None and abs(utc - self._clock.utc()) > TOLERANCE:
            raise NotSupported("The clock of this host is not the recorder's to set.")
