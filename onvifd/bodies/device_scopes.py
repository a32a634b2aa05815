"""How the recorder is found: its scopes and the discovery mode (Core 7.3.2.2, 8.3.14 to 8.3.19)."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import quote

from onvifd.bodies.device_state import DeviceState
from onvifd.errors import InvalidArgument, LimitReached, NotFound, NotSupported, Prohibited
from onvifd.onvif.backend import Identity, Scope

log = logging.getLogger(__name__)

BASE = "onvif://www.onvif.org/"
MAX_SCOPES = 32
"""Configurable scopes; all of them travel in one datagram."""
MAX_LENGTH = 128
# RFC 3986 section 3: a scheme, then characters of URIs alone.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", re.ASCII)


class DeviceScopes:
    """`profiles` are the paths of the profiles that are served; `discovery` tells whether a responder runs at all."""

    def __init__(
        self, identity: Identity, profiles: tuple[str, ...], state: DeviceState, *, discovery: bool = True
    ) -> None:
        self._state = state
        self._discovery = discovery
        self.announce: Callable[[], Awaitable[None]] | None = None
        """Tells the network of a change; set by who runs discovery."""
        me = identity
        paths = (*profiles, f"hardware/{quote(me.hardware_id, safe='')}", f"name/{quote(me.name, safe='')}")
        self._fixed = tuple(BASE + path for path in (*paths, "type/Network_Video_Recorder"))
        self._initial = (f"{BASE}location/{quote(me.location, safe='')}",) if me.location else ()

    def scopes(self) -> tuple[Scope, ...]:
        return (*(Scope(uri, True) for uri in self._fixed), *(Scope(uri, False) for uri in self._configurable))

    @property
    def _configurable(self) -> tuple[str, ...]:
        kept = self._state.now.scopes
        return self._initial if kept is None else kept

    def discoverable(self) -> bool:
        return self._discovery and self._state.now.discoverable

    async def set_scopes(self, scopes: tuple[str, ...]) -> None:
        async with self._state.changing:
            await self._keep(scopes)

    async def add_scopes(self, scopes: tuple[str, ...]) -> None:
        async with self._state.changing:
            await self._keep((*self._configurable, *scopes))

    async def _keep(self, scopes: Iterable[str]) -> None:
        wanted = tuple(dict.fromkeys(uri for uri in map(str.strip, scopes) if uri not in self._fixed))
        for uri in wanted:
            if len(uri) > MAX_LENGTH or not _URI.fullmatch(uri):
                raise InvalidArgument(f"A scope is a URI of at most {MAX_LENGTH} characters.")
        if len(wanted) > MAX_SCOPES:
            raise LimitReached(f"At most {MAX_SCOPES} scopes can be set.", detail="TooManyScopes")
        await self._change(wanted)

    async def remove_scopes(self, scopes: tuple[str, ...]) -> None:
        async with self._state.changing:
            unwanted = frozenset(map(str.strip, scopes))
            if unwanted & frozenset(self._fixed):
                raise Prohibited("Fixed scopes cannot be removed.", detail="FixedScope")
            if unwanted - frozenset(self._configurable):
                raise NotFound("There is no such scope.", detail="NoScope")
            await self._change(tuple(uri for uri in self._configurable if uri not in unwanted))

    async def _change(self, scopes: tuple[str, ...]) -> None:
        if scopes == self._configurable:
            return
        await self._state.change(scopes=scopes)
        await self._announce()

    async def set_discoverable(self, wanted: bool) -> None:
        if not self._discovery:
            raise NotSupported("Discovery is switched off in the recorder's settings.")
        async with self._state.changing:
            if wanted != self._state.now.discoverable:
                await self._state.change(discoverable=wanted)
                await self._announce()

    async def _announce(self) -> None:
        if self.announce is None:
            return
        try:
            await self.announce()
        except OSError as error:
            # What was changed is kept; discovery looks again by itself.
            log.warning("discovery: a change cannot be announced: %s", error)
