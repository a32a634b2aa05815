"""What stands behind right and wrong passwords: locks, login periods, and who is told."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from onvifd.access.lockout import Lock, Lockout
from onvifd.access.periods import WeekPlan
from onvifd.clock import Clock

ADMITTED_AGAIN = 60.0
"""Seconds for which a caller that was let in is not told of again."""
MAX_ADMITTED = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A login that was refused. `counted` is false for what is no guess: a lock, a period, a password of yesterday."""

    face: str
    account: str
    source: str
    local: str
    reason: str
    known: bool
    counted: bool
    locks: tuple[Lock, ...] = ()


class GateListener(Protocol):
    """Who is told. Both return at once."""

    def refused(self, refusal: Refusal) -> None: ...

    def admitted(self, face: str, account: str, source: str) -> None:
        """A caller was let in; told again after a minute at the earliest."""
        ...


class Gate:
    """One per face and process; several share one lockout.

    `realm` tells accounts of the same name apart (ONVIF and console). Verifiers call `barred` for every caller, right or
    wrong, so that time tells nothing, and then one of `failed` and `admit`.
    """

    def __init__(
        self, face: str, lockout: Lockout, clock: Clock, listener: GateListener | None = None, *, realm: str = "onvif"
    ) -> None:
        self._face = face
        self._realm = realm
        self._lockout = lockout
        self._clock = clock
        self._listener = listener
        self._admitted: OrderedDict[tuple[str, str], float] = OrderedDict()

    def key(self, name: str) -> str:
        """The account's name in the lockout."""
        return account_key(self._realm, name)

    def barred(self, name: str, periods: WeekPlan | None, source: str) -> str:
        """Why the caller may not come in whatever the password; empty if it may. No periods for names that nobody has."""
        if self._lockout.locked(self.key(name), source, self._clock.monotonic()) > 0:
            return "locked after too many failures"
        if periods is not None and not periods.allows_utc(self._clock.utc()):
            return "outside its login periods"
        return ""

    def failed(self, name: str, source: str, reason: str, *, known: bool, guess: bool = True, local: str = "") -> None:
        """Refuse. A `guess` counts towards a lock."""
        locks: tuple[Lock, ...] = ()
        if guess:
            locks = self._lockout.failed(self.key(name), source, self._clock.monotonic(), known=known)
        if self._listener is not None:
            self._listener.refused(
                Refusal(
                    face=self._face,
                    account=name[:64],
                    source=source,
                    local=local,
                    reason=reason,
                    known=known,
                    counted=guess,
                    locks=locks,
                )
            )

    def admit(self, name: str, source: str) -> None:
        """Let in."""
        self._lockout.succeeded(self.key(name), source)
        if self._listener is None:
            return
        now = self._clock.monotonic()
        told = self._admitted.get((name, source))
        if told is not None and now - told < ADMITTED_AGAIN:
            return
        self._admitted[name, source] = now
        self._admitted.move_to_end((name, source))
        if len(self._admitted) > MAX_ADMITTED:
            self._admitted.popitem(last=False)
        self._listener.admitted(self._face, name, source)


def account_key(realm: str, name: str) -> str:
    """The name of an account in a lockout that several realms share. Guessed names may be long: no account's is."""
    return f"{realm}:{name[:64]}"
