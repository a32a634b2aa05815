"""HTTP Digest as the pages see it; the digest itself is tested where it lives."""

from __future__ import annotations

from onvifd.access.types import Account, Level
from onvifd.errors import NotAuthorized


class Digest:
    """Lets in whoever says `Digest good`, as the ONVIF account of that name and level."""

    def __init__(self, name: str = "vms", level: Level = Level.ADMINISTRATOR) -> None:
        self._account = Account(name, level)

    def challenges(self, now: float, stale: bool = False) -> tuple[str, ...]:
        return ("Digest one", "Digest two")

    def verify(
        self, authorization: str, method: str, uri: str, now: float, *, peer: str = "", local: str = ""
    ) -> Account:
        if authorization != "Digest good":
            raise NotAuthorized("wrong credentials")
        return self._account
