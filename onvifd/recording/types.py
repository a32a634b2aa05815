"""Record types, how a stream is recorded, and which type counts where several meet."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from onvifd.errors import InvalidArgument

MAX_PRE, MAX_POST, MIN_POST = 60, 300, 5
DEFAULT_PRE, DEFAULT_POST = 5, 30
STREAMS: Final = ("main", "sub")


class RecordType(StrEnum):
    """Why something is recorded."""

    GENERAL = "general"
    MOTION = "motion"
    ALARM = "alarm"
    MOTION_AND_ALARM = "motion-and-alarm"
    INTELLIGENT = "intelligent"
    POS = "pos"
    MANUAL = "manual"


PRIORITY: Final = (
    RecordType.MANUAL,
    RecordType.MOTION_AND_ALARM,
    RecordType.ALARM,
    RecordType.POS,
    RecordType.INTELLIGENT,
    RecordType.MOTION,
    RecordType.GENERAL,
)
"""The first that applies names a span. What a person ordered comes first, what is recorded anyhow last."""

CAUSES: Final = (RecordType.MOTION, RecordType.ALARM, RecordType.INTELLIGENT, RecordType.POS)
"""Types that a single event gives rise to."""
SCHEDULED: Final = tuple(kind for kind in RecordType if kind is not RecordType.MANUAL)
"""Types that a schedule can arm; recording by hand asks no schedule."""


class Mode(StrEnum):
    """How a stream is recorded: by its schedule, always, or never."""

    AUTO = "auto"
    MANUAL = "manual"
    OFF = "off"


def dominant(kinds: Collection[RecordType]) -> RecordType | None:
    """The one that counts most; None of none."""
    return next((kind for kind in PRIORITY if kind in kinds), None)


def effective(armed: frozenset[RecordType]) -> frozenset[RecordType]:
    """Where motion-and-alarm is armed, motion alone and alarm alone have no effect."""
    if RecordType.MOTION_AND_ALARM in armed:
        return armed - {RecordType.MOTION, RecordType.ALARM}
    return armed


def ordered(kinds: Iterable[RecordType]) -> tuple[RecordType, ...]:
    """Without repetition, the one that counts most first."""
    given = set(kinds)
    return tuple(kind for kind in PRIORITY if kind in given)


def record_type(text: str) -> RecordType:
    """Raises InvalidArgument."""
    try:
        return RecordType(text.strip().lower())
    except ValueError:
        raise InvalidArgument(f"{text[:32]!r} is no record type; types are {', '.join(RecordType)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one stream of a camera is recorded. `pre` and `post` are seconds around an event; `manual` is whether somebody
    started it by hand and has not stopped it; `resume` is the mode to go back to from off."""

    camera: str
    stream: str
    mode: Mode = Mode.AUTO
    pre: int = DEFAULT_PRE
    post: int = DEFAULT_POST
    audio: bool = True
    redundant: bool = False
    manual: bool = False
    resume: Mode = Mode.AUTO


def check_policy(policy: Policy) -> Policy:
    """The policy itself. Raises InvalidArgument."""
    if policy.stream not in STREAMS:
        raise InvalidArgument(f"{policy.stream[:32]!r} is no stream; streams are {', '.join(STREAMS)}")
    if not 0 <= policy.pre <= MAX_PRE:
        raise InvalidArgument(f"0 to {MAX_PRE} seconds before an event can be kept, not {policy.pre}")
    if not MIN_POST <= policy.post <= MAX_POST:
        raise InvalidArgument(f"{MIN_POST} to {MAX_POST} seconds can be recorded after an event, not {policy.post}")
    if policy.resume is Mode.OFF:
        raise InvalidArgument("the mode to go back to cannot be off")
    return policy
