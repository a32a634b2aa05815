"""Console sessions: what a cookie stands for. Sans-IO; `now` is microseconds UTC.

The cookie is a random secret of which only the hash is kept. A session ends when it was idle for too long, when it gets too
old, when its account changes, and when somebody ends it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace

from onvifd.access.sessions import Session, SessionKind, SessionRegistry
from onvifd.clock import US

LIFETIME = 24 * 3600 * US
"""Age at which a person signs in again, however busy."""
PER_ACCOUNT = 16
"""Sessions of one account; a further sign-in ends the one that was idle longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSession:
    """`token` goes into forms and headers of changing requests: another site cannot know it."""

    id: str
    account: str
    token: str = field(repr=False)
    since: int
    last: int


class ConsoleSessions:
    """All console sessions; listed in the registry under their public ids."""

    def __init__(self, registry: SessionRegistry, *, idle: int, limit: int = 256) -> None:
        self._registry = registry
        self._idle = idle * US
        self._limit = limit
        self._sessions: dict[bytes, ConsoleSession] = {}

    def open(self, account: str, address: str, now: int) -> tuple[str, ConsoleSession]:
        """A new session and the secret of its cookie."""
        self.expire(now)
        mine = [one for one in self._sessions.values() if one.account == account]
        if len(mine) >= PER_ACCOUNT:
            self.close(min(mine, key=lambda one: one.last).id)
        if len(self._sessions) >= self._limit:
            self.close(min(self._sessions.values(), key=lambda one: one.last).id)
        secret = secrets.token_urlsafe(32)
        session = ConsoleSession(
            id=f"console-{secrets.token_hex(8)}", account=account, token=secrets.token_urlsafe(24), since=now, last=now
        )
        self._sessions[_hash(secret)] = session
        self._registry.open(
            Session(id=session.id, kind=SessionKind.CONSOLE, account=account, address=address, since=now, last=now)
        )
        return secret, session

    def find(self, secret: str, now: int, *, active: bool = True) -> ConsoleSession | None:
        """The session of a cookie. `active` false is a page that asks by itself and does not count as use."""
        key = _hash(secret[:256])
        session = self._sessions.get(key)
        if session is None:
            return None
        if self._over(session, now):
            self.close(session.id)
            return None
        if active:
            session = self._sessions[key] = replace(session, last=now)
            self._registry.touch(session.id, now)
        return session

    def close(self, session: str) -> ConsoleSession | None:
        """End a session by its public id."""
        for key, one in self._sessions.items():
            if one.id == session:
                del self._sessions[key]
                self._registry.close(session)
                return one
        return None

    def close_account(self, account: str, *, but: str = "") -> tuple[ConsoleSession, ...]:
        """End all sessions of an account, save one."""
        found = tuple(one for one in self._sessions.values() if one.account == account and one.id != but)
        for one in found:
            self.close(one.id)
        return found

    def expire(self, now: int) -> tuple[ConsoleSession, ...]:
        """End those that are over; gives them."""
        found = tuple(one for one in self._sessions.values() if self._over(one, now))
        for one in found:
            self.close(one.id)
        return found

    def accounts(self) -> frozenset[str]:
        """Who has a session."""
        return frozenset(one.account for one in self._sessions.values())

    def _over(self, session: ConsoleSession, now: int) -> bool:
        return now - session.last > self._idle or now - session.since > LIFETIME


def same_token(session: ConsoleSession, token: str) -> bool:
    """Whether a form or header carries the session's token."""
    return hmac.compare_digest(session.token.encode(), token[:256].encode("utf-8", "replace"))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
