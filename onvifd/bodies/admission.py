"""What is asked of a TLS client after the handshake, before its first request is read."""

from __future__ import annotations

from typing import Any, Protocol


class TlsPeers(Protocol):
    """Judges the clients of established TLS connections (`bodies.tls.Tls`)."""

    def refusal(self, connection: Any) -> str | None:
        """Why the client is kept out; None if it is let in."""
        ...

    def user(self, connection: Any) -> str | None:
        """The account that the client's certificate stands for; None if certificates stand for none."""
        ...
