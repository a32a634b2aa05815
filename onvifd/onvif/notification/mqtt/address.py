"""Addresses of event brokers (Core 9.12.1.1): scheme://host:port."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from onvifd.errors import InvalidArgument

PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
"""Protocols (tev:EventBrokerProtocol) and the ports they have when none is written."""
MAX_ADDRESS = 512
WEBSOCKET_PATH = "/mqtt"
"""Where brokers take WebSockets unless the address says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """`text` is the address as the client wrote it: it is the broker's name."""

    text: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def tls(self) -> bool:
        return self.scheme in ("mqtts", "wss")

    @property
    def websocket(self) -> bool:
        return self.scheme in ("ws", "wss")


def parse_address(text: str, protocols: Collection[str]) -> BrokerAddress:
    """Read an address. Raises InvalidArgument with InvalidAddress, or InvalidProtocol for one that is not among `protocols`."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _invalid("it is no URL") from None
    if len(text) > MAX_ADDRESS or any(c <= " " or c == "\x7f" for c in text) or "://" not in text:
        raise _invalid("it is no URL")
    if parts.scheme not in protocols:
        raise InvalidArgument("This protocol is not supported.", detail="InvalidProtocol")
    if not parts.hostname or port == 0:
        raise _invalid("it names no host or port")
    if parts.username is not None or parts.password is not None:
        raise _invalid("credentials belong into UserName and Password")
    if parts.query or parts.fragment or (parts.scheme in ("mqtt", "mqtts") and parts.path not in ("", "/")):
        raise _invalid("it has the form scheme://host:port")
    return BrokerAddress(
        text=text,
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        path=parts.path if parts.path not in ("", "/") else WEBSOCKET_PATH,
    )


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument(f"The broker's address cannot be used: {why}.", detail="InvalidAddress")
