"""Termination times of subscriptions: wsnt:AbsoluteOrRelativeTimeType."""

from __future__ import annotations

from onvifd.clock import US
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.subscription import DEFAULT_LIFETIME, MAX_LIFETIME, MIN_LIFETIME, Moment
from onvifd.onvif.soap.values import parse_datetime, parse_duration


def lifetime_of(text: str | None, now: Moment, kind: FaultKind) -> float:
    """Seconds to live asked for by an absolute or relative time; 60 s without one.

    A time that is nearer than 1 s is raised to it. One in the past or more than a day ahead, or of neither form, raises
    NotificationFault of `kind` with the acceptable range: WS-BaseNotification 1.3 allows later times, not earlier ones.
    """
    if text is None or not text.strip():
        return DEFAULT_LIFETIME
    text = text.strip()
    try:
        # A duration begins with P, after a sign if it has one; a dateTime never does.
        if text.lstrip("-").startswith("P"):
            lifetime = parse_duration(text).total_seconds()
        else:
            lifetime = (parse_datetime(text) - now.utc) / US
    except (ValueError, OverflowError):
        raise _unacceptable(kind, now, "It is neither a duration nor a date and time.") from None
    if lifetime < 0:
        raise _unacceptable(kind, now, "It is in the past.")
    if lifetime > MAX_LIFETIME:
        raise _unacceptable(kind, now, "It is more than a day ahead.")
    return max(lifetime, MIN_LIFETIME)


def _unacceptable(kind: FaultKind, now: Moment, why: str) -> NotificationFault:
    times = (now.utc + round(MIN_LIFETIME * US), now.utc + round(MAX_LIFETIME * US))
    return NotificationFault(kind, f"The termination time is not acceptable. {why}", times=times)
