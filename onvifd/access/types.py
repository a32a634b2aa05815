"""Levels, access classes and the default access policy (Core 5.9.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from onvifd.access.periods import ALWAYS, WeekPlan


class Level(StrEnum):
    """ONVIF user levels (tt:UserLevel)."""

    ADMINISTRATOR = "Administrator"
    OPERATOR = "Operator"
    USER = "User"
    ANONYMOUS = "Anonymous"


class AccessClass(StrEnum):
    """What an operation does, which decides who may call it (Core 5.9.4)."""

    PRE_AUTH = "PRE_AUTH"
    READ_SYSTEM = "READ_SYSTEM"
    READ_SYSTEM_SENSITIVE = "READ_SYSTEM_SENSITIVE"
    READ_SYSTEM_SECRET = "READ_SYSTEM_SECRET"
    WRITE_SYSTEM = "WRITE_SYSTEM"
    UNRECOVERABLE = "UNRECOVERABLE"
    READ_MEDIA = "READ_MEDIA"
    ACTUATE = "ACTUATE"


_USER = frozenset({AccessClass.PRE_AUTH, AccessClass.READ_SYSTEM, AccessClass.READ_MEDIA})
_OPERATOR = _USER | {AccessClass.READ_SYSTEM_SENSITIVE, AccessClass.ACTUATE}

DEFAULT_POLICY: dict[Level, frozenset[AccessClass]] = {
    Level.ADMINISTRATOR: frozenset(AccessClass),
    Level.OPERATOR: _OPERATOR,
    Level.USER: _USER,
    Level.ANONYMOUS: frozenset({AccessClass.PRE_AUTH}),
}
"""The default access policy (Core 5.9.4, table 4)."""


def may(level: Level, access: AccessClass) -> bool:
    """Whether an account of `level` may call an operation of class `access`."""
    return access in DEFAULT_POLICY[level]


@dataclass(frozen=True, slots=True)
class Account:
    """Who is calling, after authentication."""

    name: str
    level: Level


@dataclass(frozen=True, slots=True)
class Credential:
    """What is needed to check a digest of one ONVIF account.

    `ha1` is MD5(name:realm:password) in lower-case hex and `ha1_sha256` the same with SHA-256 (RFC 7616 section 3.4.2).
    `password` is the clear password, which the UsernameToken digest needs; it is empty where only RTSP and HTTP Digest are
    served (worker processes). `former` is what it was before the last change while this process runs: a client that
    was not told of the new password yet is refused, but does not guess.
    """

    account: Account
    ha1: str = field(repr=False)
    password: str = field(default="", repr=False)
    ha1_sha256: str = field(default="", repr=False)
    periods: WeekPlan = ALWAYS
    former: Credential | None = field(default=None, repr=False)


CredentialLookup = Callable[[str], Credential | None]
"""Gives the credential of an account name, or None. In memory: it never blocks."""
