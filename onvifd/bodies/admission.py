"""What is asked of a TLS client after the handshake, before its first request is read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Protocol, cast

log = logging.getLogger(__name__)


class TlsPeers(Protocol):
    """Judges the clients of established TLS connections (`bodies.tls.Tls`)."""

    def refusal(self, connection: Any) -> str | None:
        """Why the client is kept out; None if it is let in."""
        ...

    def user(self, connection: Any) -> str | None:
        """The account that the client's certificate stands for; None if certificates stand for none."""
        ...


class Admission(asyncio.Protocol):
    """Ends the connection of a client that is kept out, and hands any other to the protocol that it is for."""

    def __init__(self, peers: TlsPeers, inner: Callable[[], asyncio.Protocol]) -> None:
        self._peers = peers
        self._inner = inner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # uvloop's own classes are not derived from it
        reason = self._peers.refusal(stream.get_extra_info("ssl_object"))
        if reason is not None:
            peer = stream.get_extra_info("peername")
            log.warning("TLS client %s is kept out: %s", peer[0] if peer else "", reason)
            stream.abort()
            return
        protocol = self._inner()
        stream.set_protocol(protocol)
        protocol.connection_made(stream)
