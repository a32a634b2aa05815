"""HTTP Digest and sessions of the console as the pages see them; both are tested where they live."""

from __future__ import annotations

from onvifd.access.console_sessions import ConsoleSessions
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


class Visitors:
    """Who asks: `digest`, or accounts of the console, each with a session that it keeps."""

    def __init__(self, sessions: ConsoleSessions, now: int = 0) -> None:
        self._sessions = sessions
        self._now = now
        self._known: dict[str, tuple[str, str]] = {}

    def headers(self, who: str, port: int | None) -> dict[str, str]:
        """Of a request to the API at a port."""
        if who == "digest":
            return {"Authorization": "Digest good"}
        if who not in self._known:
            secret, session = self._sessions.open(who, "127.0.0.1", self._now)
            self._known[who] = (secret, session.token)
        secret, token = self._known[who]
        return {"Cookie": f"onvifd_{port}={secret}", "X-CSRF-Token": token}
