"""An event in ONVIF's own terms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """tt:PropertyOperation. Events that are no property carry none."""

    INITIALIZED = "Initialized"
    CHANGED = "Changed"
    DELETED = "Deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One message.

    `topic` is the path below tns1 without prefix, for example `VideoSource/MotionAlarm`. `source`, `key` and `data` are simple items
    (name, text as it stands in XML). `elements` are element items of the data part: name and the XML of the element as a
    namespace-complete string. `utc` is microseconds. `operation` is None for events that are no property.
    A property instance is identified by (topic, source, key).
    """

    topic: str
    utc: int
    source: tuple[tuple[str, str], ...] = ()
    key: tuple[tuple[str, str], ...] = ()
    data: tuple[tuple[str, str], ...] = ()
    elements: tuple[tuple[str, str], ...] = ()
    operation: Operation | None = None
    recording: str = ""
    """Token of the recording it belongs to, for search; empty for none. Not part of the message."""

    @property
    def instance(self) -> tuple[str, tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        return (self.topic, self.source, self.key)
