"""Who is there now: console sessions, VMS that call by SOAP, and RTSP sessions. Sans-IO; `now` is microseconds UTC.

SOAP has no sessions: an account at an address counts as one until it has been silent for a while. Workers tell of theirs as
a whole, so that one that died leaves nothing behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from onvifd.clock import US

SILENCE = 300 * US
"""After this a VMS that calls by SOAP is taken to be gone."""
LIMIT = 2048
"""Sessions of one kind that are listed; the one that was silent longest goes first."""


class SessionKind(StrEnum):
    CONSOLE = "console"
    ONVIF = "onvif"
    RTSP = "rtsp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One of them. `id` is no secret: it names the session to those who may end it."""

    id: str
    kind: SessionKind
    account: str
    address: str
    since: int
    last: int
    detail: str = ""
    worker: str = ""


class SessionRegistry:
    """Every known session by its id."""

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._limit = limit
        self._sessions: dict[str, Session] = {}

    def all(self) -> tuple[Session, ...]:
        """The ones that were active last come first."""
        return tuple(sorted(self._sessions.values(), key=lambda one: (-one.last, one.id)))

    def get(self, session: str) -> Session | None:
        return self._sessions.get(session)

    def open(self, session: Session) -> None:
        """Add one, or replace the one of the same id."""
        self._sessions[session.id] = session
        same = [one for one in self._sessions.values() if one.kind is session.kind]
        if len(same) > self._limit:
            del self._sessions[min(same, key=lambda one: one.last).id]

    def touch(self, session: str, now: int) -> None:
        found = self._sessions.get(session)
        if found is not None:
            self._sessions[session] = replace(found, last=now)

    def close(self, session: str) -> Session | None:
        return self._sessions.pop(session, None)

    def seen(self, account: str, address: str, now: int) -> bool:
        """A VMS has called by SOAP; true if it was not there before."""
        name = session_id(SessionKind.ONVIF, account, address)
        known = self._sessions.get(name)
        if known is not None and now - known.last <= SILENCE:
            self.touch(name, now)
            return False
        self.open(Session(id=name, kind=SessionKind.ONVIF, account=account, address=address, since=now, last=now))
        return True

    def report(self, worker: str, sessions: Iterable[Session]) -> tuple[Session, ...]:
        """All sessions of a worker; gives those that are new."""
        told = {one.id: one for one in sessions}
        for gone in [one for one in self._sessions.values() if one.worker == worker and one.id not in told]:
            del self._sessions[gone.id]
        new = tuple(one for one in told.values() if one.id not in self._sessions)
        for one in told.values():
            known = self._sessions.get(one.id)
            self.open(replace(one, since=known.since) if known is not None else one)
        return new

    def expire(self, now: int) -> tuple[Session, ...]:
        """Forget VMS that are silent; gives them."""
        gone = tuple(
            one for one in self._sessions.values() if one.kind is SessionKind.ONVIF and now - one.last > SILENCE
        )
        for one in gone:
            del self._sessions[one.id]
        return gone


def session_id(kind: SessionKind, *parts: str) -> str:
    """A name for a session that gives nothing away of what it was made from."""
    return f"{kind}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"
