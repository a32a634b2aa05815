"""What the console asks of the recorder: signing in and out, sessions, audit, pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Protocol

from onvifd.access.audit import Kind
from onvifd.access.console_sessions import ConsoleSession
from onvifd.access.permissions import ConsoleAccount, Right, may
from onvifd.access.sessions import Session
from onvifd.bodies.access import CONSOLE, AccessControl
from onvifd.bodies.channel import Channel, profile_token
from onvifd.clock import Clock
from onvifd.errors import Forbidden, LimitReached, NotAuthorized, NotFound, Timeout
from onvifd.store.rows import AuditRow

CHECKS = 2
"""Passwords that are checked at once: each takes 64 MB and a good part of a core."""
WAITING = 16
PICTURE_TIMEOUT = 10.0


class Pictures(Protocol):
    """What is needed of the recorder."""

    @property
    def channels(self) -> tuple[Channel, ...]: ...

    async def snapshot(self, profile_token: str) -> bytes: ...


class Console:
    """Implements web.console.ConsoleBackend."""

    def __init__(self, access: AccessControl, clock: Clock, source: Pictures) -> None:
        self._access = access
        self._clock = clock
        self._source = source
        self._checks = asyncio.Semaphore(CHECKS)
        self._asked = 0

    # ---- sign in and out

    async def sign_in(self, name: str, password: str, peer: str) -> tuple[str, ConsoleSession]:
        access, gate = self._access, self._access.console_gate
        account = access.console.lookup(name)
        periods = account.periods if account is not None else None
        barred = gate.barred(name, periods, peer)
        found = await self._check(name, password)
        # Others may have failed meanwhile.
        barred = barred or gate.barred(name, periods, peer)
        if found is None or barred:
            reason = barred or "wrong name or password"
            gate.failed(name, peer, reason, known=account is not None, guess=not barred)
            raise NotAuthorized("the name or the password is wrong")
        gate.admit(name, peer)
        opened = access.console_sessions.open(found.name, peer, self._clock.utc())
        access.audit.put(Kind.LOGIN, "login", account=found.name, address=peer, face=CONSOLE)
        return opened

    async def _check(self, name: str, password: str) -> ConsoleAccount | None:
        if self._asked >= WAITING:
            raise LimitReached("too many people sign in at once: try again")
        self._asked += 1
        try:
            async with self._checks:
                return await asyncio.to_thread(self._access.console.verify, name, password)
        finally:
            self._asked -= 1

    def session(self, secret: str, *, active: bool) -> tuple[ConsoleSession, ConsoleAccount] | None:
        if not secret:
            return None
        now = self._clock.utc()
        session = self._access.console_sessions.find(secret, now, active=active)
        if session is None:
            return None
        account = self._access.console.lookup(session.account)
        if account is None or not account.enabled or not account.periods.allows_utc(now):
            self._access.console_sessions.close(session.id)
            return None
        return session, account

    def sign_out(self, session: ConsoleSession, peer: str) -> None:
        self._access.console_sessions.close(session.id)
        self._access.audit.put(Kind.LOGOUT, "logout", account=session.account, address=peer, face=CONSOLE)

    async def change_password(self, session: ConsoleSession, present: str, new: str, peer: str) -> None:
        access, name = self._access, session.account
        if access.console_gate.barred(name, None, peer) or await self._check(name, present) is None:
            # Whoever sits at an open session must not guess the password either.
            access.console_gate.failed(name, peer, "wrong present password", known=True)
            raise Forbidden("the present password is wrong")
        await access.change_console_password(name, new)
        for other in access.console_sessions.close_account(name, but=session.id):
            access.audit.put(Kind.LOGOUT, "password changed", account=other.account, face=CONSOLE)
        access.audit.put(Kind.ACCOUNT, "own password", account=name, address=peer, face=CONSOLE)

    # ---- what is asked for

    async def snapshot(self, account: ConsoleAccount, profile: str) -> bytes:
        cameras = (
            one.camera
            for one in self._source.channels
            if profile in [profile_token(one.camera, s) for s in one.streams]
        )
        camera = next(cameras, None)
        if camera is None:
            raise NotFound("there is no such profile", detail="NoProfile")
        if not may(account, Right.LIVE, camera):
            raise Forbidden("the account may not see this camera")
        try:
            async with asyncio.timeout(PICTURE_TIMEOUT):
                return await self._source.snapshot(profile)
        except TimeoutError:
            raise Timeout("no picture was ready in time") from None

    def sessions(self) -> tuple[Session, ...]:
        return self._access.sessions.all()

    async def end_session(self, session: str, block: float, actor: ConsoleAccount, peer: str) -> None:
        await self._access.kick(session, actor=actor.name, address=peer, block=block)

    async def audit(
        self,
        *,
        start: int | None,
        end: int | None,
        kinds: Collection[str],
        account: str | None,
        before: int | None,
        limit: int,
    ) -> tuple[AuditRow, ...]:
        return await self._access.audit.find(
            start=start, end=end, kinds=kinds, account=account, before=before, limit=limit
        )
