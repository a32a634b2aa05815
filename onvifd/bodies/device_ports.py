"""The ports of the recorder: bound at start, bound anew while it runs (Core 8.2.12, 8.2.13)."""

from __future__ import annotations

import errno
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from onvifd.bodies.device_state import DeviceState, PortSection
from onvifd.errors import InvalidArgument, NotSupported, OnvifdError
from onvifd.onvif.backend import Ports
from onvifd.onvif.device_backend import ProtocolPort

log = logging.getLogger(__name__)

HTTP, HTTPS, RTSP = "HTTP", "HTTPS", "RTSP"


class HttpListeners(Protocol):
    """The HTTP face (bodies.face.HttpFace)."""

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int: ...
    def unlisten(self, port: int) -> None: ...


class RtspListeners(Protocol):
    """The front door (workers.frontdoor.FrontDoor)."""

    def listen(self, host: str, port: int) -> int: ...
    def unlisten(self, port: int) -> None: ...


Tls = Callable[[], Awaitable[ssl.SSLContext]]
"""The context of the HTTPS port. Raises OnvifdError or OSError (SSLError) when there is no usable certificate."""


class DevicePorts:
    """`defaults` are the ports of the settings file, 0 for a free one; `supported` the names that can be served at all.

    `ports` is what is served now. `changed` is called after every change.
    """

    def __init__(
        self,
        state: DeviceState,
        host: str,
        defaults: dict[str, PortSection],
        *,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._state = state
        self._host = host
        self._defaults = defaults
        self._now = dict(defaults)
        for name, kept in state.now.ports.items():
            if name in defaults:
                self._now[name] = PortSection(kept.enabled, kept.port or defaults[name].port)
        self._changed = changed
        self._http: HttpListeners | None = None
        self._rtsp: RtspListeners | None = None
        self._tls: Tls | None = None

    # ---- start ---------------------------------------------------------------------------------

    def reserve(self, free_port: Callable[[str, int], int]) -> None:
        """Choose the free ports now: everything that shows a port may be asked before it is listened on."""
        self._now = {name: replace(item, port=free_port(self._host, item.port)) for name, item in self._now.items()}
        zero = [name for name, item in self._defaults.items() if not item.port]
        self._defaults = {**self._defaults, **{name: self._now[name] for name in zero}}

    def attach(self, http: HttpListeners, rtsp: RtspListeners, tls: Tls) -> None:
        self._http, self._rtsp, self._tls = http, rtsp, tls

    async def listen(self) -> None:
        """Listen on everything that is switched on. Raises OSError, OnvifdError.

        A port that a client had set and that is not to be had any more gives way to the one of the settings file.
        """
        for name, item in list(self._now.items()):
            if not item.enabled:
                continue
            try:
                port = await self._bind(name, item.port)
            except OSError as error:
                default = self._defaults[name].port
                if item.port == default:
                    raise
                log.error("%s cannot be served on port %d: %s; port %d is taken", name, item.port, error, default)
                port = await self._bind(name, default)
            self._now[name] = replace(item, port=port)

    @property
    def ports(self) -> Ports:
        return Ports(http=self._port(HTTP), https=self._port(HTTPS), rtsp=self._port(RTSP))

    def _port(self, name: str) -> int | None:
        item = self._now.get(name)
        return item.port if item is not None and item.enabled else None

    # ---- the device service --------------------------------------------------------------------

    def protocols(self) -> tuple[ProtocolPort, ...]:
        return tuple(
            ProtocolPort(name=name, enabled=item.enabled, port=item.port)
            for name, item in self._now.items()
            if item.port  # the schema wants one
        )

    async def set_protocols(self, wanted: tuple[ProtocolPort, ...]) -> None:
        async with self._state.changing:
            after = dict(self._now)
            for item in wanted:
                if item.name not in after:
                    raise InvalidArgument(f"{item.name} is not served here.", detail="ServiceNotSupported")
                if not 1 <= item.port <= 65_535:
                    raise InvalidArgument("A port is 1 to 65535.")
                after[item.name] = PortSection(item.enabled, item.port)
            _check(after)
            await self._replace(after)
        self._changed()

    async def _replace(self, after: dict[str, PortSection]) -> None:
        """Open the new ports first: if one cannot be had, everything stays as it is."""
        before = self._now
        opened: list[tuple[str, int]] = []
        try:
            for name, item in after.items():
                if item.enabled and item != before[name] and item.port not in _open(before):
                    opened.append((name, await self._bind(name, item.port)))
            moved = [
                n for n, item in after.items() if item.enabled and item != before[n] and item.port in _open(before)
            ]
            if moved:
                # Two protocols swap ports: one must go before the other can come.
                raise InvalidArgument("The port is in use by another protocol.", detail="PortAlreadyInUse")
            await self._state.change(ports=after)
        except OSError as error:
            self._close(opened)
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise InvalidArgument(
                    "The port is in use, or not for us to take.", detail="PortAlreadyInUse"
                ) from error
            raise
        except BaseException:
            self._close(opened)
            raise
        self._now = after
        self._close([(n, item.port) for n, item in before.items() if item.enabled and item != after[n]])

    async def _bind(self, name: str, port: int) -> int:
        if self._http is None or self._rtsp is None or self._tls is None:
            raise RuntimeError("nothing listens yet")
        if name == RTSP:
            return self._rtsp.listen(self._host, port)
        if name == HTTP:
            return await self._http.listen(self._host, port)
        try:
            context = await self._tls()
        except (OnvifdError, ssl.SSLError, ValueError, FileNotFoundError) as error:
            log.error("HTTPS has no usable certificate: %s", error)
            raise NotSupported("There is no usable certificate for TLS.", detail="EnablingTlsFailed") from error
        return await self._http.listen(self._host, port, context)

    def _close(self, items: list[tuple[str, int]]) -> None:
        for name, port in items:
            listeners = self._rtsp if name == RTSP else self._http
            if listeners is not None:
                listeners.unlisten(port)
                log.info("%s is no longer served on port %d", name, port)


def _open(items: dict[str, PortSection]) -> frozenset[int]:
    return frozenset(item.port for item in items.values() if item.enabled)


def _check(after: dict[str, PortSection]) -> None:
    ports = [item.port for item in after.values() if item.enabled]
    if len(set(ports)) < len(ports):
        raise InvalidArgument("Two protocols cannot share a port.", detail="PortAlreadyInUse")
    if not any(name in after and after[name].enabled for name in (HTTP, HTTPS)):
        raise InvalidArgument("Without HTTP and HTTPS nobody could reach the device any more.")
