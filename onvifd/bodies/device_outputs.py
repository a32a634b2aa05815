"""What of the recorder can be switched: its relay outputs and the auxiliary commands (Core 8.6, 8.7).

A relay output of a recorder is a state: kept, told by `tns1:Device/Trigger/Relay`, and what subscribers make of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from onvifd.bodies.device_state import DeviceState
from onvifd.clock import US, Clock
from onvifd.errors import InvalidArgument, NotFound, OnvifdError
from onvifd.onvif.device_backend import Relay

log = logging.getLogger(__name__)

MAX_DELAY = 24 * 3600 * US
"""Longest time that a monostable output stays active."""

Command = Callable[[], Awaitable[str]]
"""Does what an auxiliary command says; gives what to tell the client."""


class DeviceOutputs:
    """`count` outputs. `told` hears of every change of a logical state; `commands` are by their full names."""

    def __init__(
        self,
        state: DeviceState,
        clock: Clock,
        *,
        count: int = 0,
        told: Callable[[str, bool], None] = lambda token, active: None,
        commands: Mapping[str, Command] | None = None,
    ) -> None:
        self._state = state
        self._clock = clock
        self._told = told
        self._commands = dict(commands or {})
        self._tokens = tuple(f"relay-{number}" for number in range(1, count + 1))
        self._timers: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Tell the states. A monostable output that was active when the recorder ended returns to rest."""
        for relay in self.relays():
            if relay.active and not relay.bistable:
                await self._keep(replace(relay, active=False))
            self._told(relay.token, relay.active and relay.bistable)

    async def close(self) -> None:
        for timer in list(self._timers.values()):
            timer.cancel()
        await asyncio.gather(*self._timers.values(), return_exceptions=True)

    def relays(self) -> tuple[Relay, ...]:
        kept = {relay.token: relay for relay in self._state.now.relays}
        return tuple(kept.get(token, Relay(token=token)) for token in self._tokens)

    def _relay(self, token: str) -> Relay:
        for relay in self.relays():
            if relay.token == token:
                return relay
        raise NotFound("There is no such relay output.", detail="RelayToken")

    async def _keep(self, relay: Relay) -> None:
        others = tuple(each for each in self.relays() if each.token != relay.token)
        await self._state.change(relays=(*others, relay))

    async def configure_relay(self, token: str, *, bistable: bool, delay: int, idle_open: bool) -> None:
        async with self._state.changing:
            relay = self._relay(token)
            if not bistable and not 0 < delay <= MAX_DELAY:
                raise InvalidArgument("A monostable output needs a time of up to a day.", detail="ModeError")
            # In bistable mode the time has no meaning (Core 8.6.2) and the one before is kept.
            delay = relay.delay if bistable else delay
            self._stop_timer(token)
            await self._keep(replace(relay, bistable=bistable, delay=delay, idle_open=idle_open, active=False))
        if relay.active:
            self._told(token, False)

    async def set_relay(self, token: str, active: bool) -> None:
        async with self._state.changing:
            relay = self._relay(token)
            self._stop_timer(token)
            if relay.active != active:
                await self._keep(replace(relay, active=active))
            if active and not relay.bistable:
                # Triggered again, it stays active for its whole time anew.
                self._timers[token] = asyncio.create_task(self._release(token, relay.delay), name=f"relay {token}")
        if relay.active != active:
            self._told(token, active)

    def _stop_timer(self, token: str) -> None:
        timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()

    async def _release(self, token: str, delay: int) -> None:
        await self._clock.sleep(delay / US)
        me = asyncio.current_task()
        try:
            async with self._state.changing:
                if self._timers.get(token) is not me:
                    return
                del self._timers[token]
                await self._keep(replace(self._relay(token), active=False))
        except OnvifdError as error:
            log.error("relay output %s: its rest cannot be kept: %s", token, error.reason)
        self._told(token, False)

    # ---- auxiliary commands --------------------------------------------------------------------

    def commands(self) -> tuple[str, ...]:
        return tuple(self._commands)

    async def command(self, name: str) -> str:
        found = self._commands.get(name.strip())
        if found is None:
            raise InvalidArgument("There is no such auxiliary command.", detail="AuxiliaryDataNotSupported")
        return await found()
