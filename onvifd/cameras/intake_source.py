"""What an intake pulls."""

from __future__ import annotations

from dataclasses import dataclass, field

from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Trust


@dataclass(frozen=True, slots=True)
class Source:
    """What to pull. `name` is `<camera>/<stream>` for logs."""

    name: str
    url: str
    user: str = ""
    password: str = ""
    audio: bool = True
    transport: Way = Way.AUTO
    tunnel_port: int = 0
    trust: Trust = field(default_factory=Trust)
    quirks: frozenset[str] = frozenset()
    digest: bool = False
    """It has offered Digest before: the password is not sent in clear."""

    def __repr__(self) -> str:
        return f"Source({self.name!r})"
