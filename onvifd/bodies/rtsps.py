"""RTSP in TLS on a port of its own (RFC 2326 has `rtspu` beside `rtsp`; `rtsps` on port 322 is RFC 7826 19.2's).

It is no network protocol of the device service: tt:NetworkProtocolType has no name for it.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol

from onvifd.errors import OnvifdError

log = logging.getLogger(__name__)


class SecureListeners(Protocol):
    """The front door (workers.frontdoor.FrontDoor)."""

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int: ...


async def listen_rtsps(
    door: SecureListeners, host: str, port: int, context: Callable[[], Awaitable[ssl.SSLContext]]
) -> int | None:
    """Listen with the recorder's certificate; gives the port, None where it is switched off (0) or cannot be served.

    What goes wrong is told in the log: everything else can be served without.
    """
    if not port:
        return None
    try:
        served = door.listen(host, port, await context())
    except (OnvifdError, OSError, ValueError) as error:
        log.error("RTSPS cannot be served on port %d: %s", port, error)
        return None
    log.info("RTSPS is served on port %d", served)
    return served
