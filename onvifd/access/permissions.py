"""What console accounts may do: rights, groups, and the one decision `may`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from onvifd.access.periods import ALWAYS, WeekPlan
from onvifd.errors import InvalidArgument


class Right(StrEnum):
    """One thing that an account may be allowed."""

    # per channel
    LIVE = "live"
    PLAYBACK = "playback"
    EXPORT = "export"
    PTZ = "ptz"
    RECORD = "record"
    CONFIGURE = "configure"
    # of the recorder
    ACCOUNTS = "accounts"
    STORAGE = "storage"
    NETWORK = "network"
    MAINTENANCE = "maintenance"
    ONVIF = "onvif"


CHANNEL_RIGHTS = (Right.LIVE, Right.PLAYBACK, Right.EXPORT, Right.PTZ, Right.RECORD, Right.CONFIGURE)
RECORDER_RIGHTS = (Right.ACCOUNTS, Right.STORAGE, Right.NETWORK, Right.MAINTENANCE, Right.ONVIF)
EVERYWHERE = "*"
"""Instead of a channel: all of them, also those that come later."""

ADMINISTRATORS, OPERATORS, VIEWERS = "administrators", "operators", "viewers"
"""The groups that are always there. Administrators may everything, which nobody can change."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Rights of the recorder, and for each right of channels the ids of the cameras (or `EVERYWHERE`)."""

    recorder: frozenset[Right] = frozenset()
    channels: Mapping[Right, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, recorder: Iterable[str], channels: Mapping[str, Iterable[str]]) -> Self:
        """From names as people and the catalogue write them. Raises InvalidArgument."""
        of_recorder = frozenset(_right(name, RECORDER_RIGHTS) for name in recorder)
        of_channels = {_right(name, CHANNEL_RIGHTS): frozenset(where) for name, where in channels.items()}
        return cls(of_recorder, {right: where for right, where in of_channels.items() if where})

    @classmethod
    def everything(cls) -> Self:
        return cls(frozenset(RECORDER_RIGHTS), dict.fromkeys(CHANNEL_RIGHTS, frozenset({EVERYWHERE})))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote. Raises InvalidArgument."""
        try:
            found: Any = json.loads(text)
            channels = {
                name: [EVERYWHERE] if where == EVERYWHERE else where
                for name, where in found.get("channels", {}).items()
            }
            return cls.of(found.get("recorder", ()), channels)
        except (ValueError, AttributeError, TypeError) as error:
            raise InvalidArgument("stored rights cannot be read") from error

    def to_json(self) -> str:
        channels = {
            right.value: EVERYWHERE if EVERYWHERE in where else sorted(where) for right, where in self.channels.items()
        }
        return json.dumps({"recorder": sorted(self.recorder), "channels": channels}, sort_keys=True)

    def allow(self, right: Right, channel: str | None = None) -> bool:
        """Whether they hold a right; one of channels for `channel`, or for all where none is named."""
        if right in RECORDER_RIGHTS:
            return right in self.recorder
        where = self.channels.get(right, frozenset())
        return EVERYWHERE in where or (channel is not None and channel in where)

    def within(self, other: Permissions) -> bool:
        """Whether all of this is allowed by `other` (ACC-05: an account's rights are within its group's)."""
        return self.recorder <= other.recorder and all(
            all(other.allow(right, None if one == EVERYWHERE else one) for one in where)
            for right, where in self.channels.items()
        )

    def narrowed(self, other: Permissions) -> Permissions:
        """What both allow."""
        channels = {}
        for right, where in self.channels.items():
            theirs = other.channels.get(right, frozenset())
            if EVERYWHERE in theirs:
                both = where
            elif EVERYWHERE in where:
                both = theirs
            else:
                both = where & theirs
            if both:
                channels[right] = both
        return Permissions(self.recorder & other.recorder, channels)


NOTHING = Permissions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Accounts that may the same. `builtin` ones cannot be deleted."""

    name: str
    permissions: Permissions = NOTHING
    remark: str = ""
    builtin: bool = False

    @property
    def immutable(self) -> bool:
        return self.name == ADMINISTRATORS


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleAccount:
    """A person who signs in at the console. `permissions` are what it may in the end; `own` what narrows its group's."""

    name: str
    group: str
    permissions: Permissions = NOTHING
    own: Permissions | None = None
    enabled: bool = True
    fixed: bool = False
    periods: WeekPlan = ALWAYS
    email: str = ""
    remark: str = ""
    changed: int = 0


def may(account: ConsoleAccount, right: Right, channel: str | None = None) -> bool:
    """Whether an account may use a right: of the recorder, or on `channel` (a camera's id; None: on all of them)."""
    return account.enabled and account.permissions.allow(right, channel)


def _right(name: str, among: tuple[Right, ...]) -> Right:
    for right in among:
        if right.value == name:
            return right
    raise InvalidArgument(f"{str(name)[:20]!r} is no right; rights are {', '.join(among)}")
