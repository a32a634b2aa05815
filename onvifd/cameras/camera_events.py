"""What a camera says in its own terms: messages of its pull point as plain values. No I/O."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from onvifd.clock import US
from onvifd.errors import OnvifdError
from onvifd.events.types import Operation
from onvifd.onvif.soap.codec import decode
from onvifd.onvif.soap.namespaces import TT
from onvifd.onvif.types import tt, wsnt

log = logging.getLogger(__name__)

CLOCK_TOLERANCE = 5 * US
"""A camera's time is believed if it is this near to ours; else the time of arrival counts."""
MAX_ITEMS = 32
"""Simple items of a part of a message; what has more is not passed on."""
MAX_TEXT = 256
"""Characters of a name or value."""

Items = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraEvent:
    """One message. `topic` has no prefixes; `operation` is None for what is no property; `utc` is ours (microseconds)."""

    topic: str
    utc: int
    source: Items
    key: Items
    data: Items
    operation: Operation | None


class CameraListener(Protocol):
    """Who hears cameras. Both are called on the event loop and return at once."""

    def camera_events(self, camera: str, events: Sequence[CameraEvent]) -> None: ...

    def camera_lost(self, camera: str) -> None:
        """The camera's events are not heard any more: its states are unknown."""
        ...


def plain_topic(expression: str) -> str:
    """`tns1:VideoSource/tns1:MotionAlarm` as `VideoSource/MotionAlarm`."""
    return "/".join(part.rpartition(":")[2].strip() for part in expression.split("/"))


def read_messages(messages: Sequence[wsnt.NotificationMessageHolderType], now: int) -> list[CameraEvent]:
    """The messages that can be understood, in order. Damaged ones are left out."""
    found = (_read(holder, now) for holder in messages)
    return [event for event in found if event is not None]


def _read(holder: wsnt.NotificationMessageHolderType, now: int) -> CameraEvent | None:
    topic = plain_topic(holder.topic.value or "") if holder.topic else ""
    node = next((one for one in holder.message.any_ if one.tag == f"{{{TT}}}Message"), None)
    if not topic or node is None:
        return None
    try:
        message = decode(tt.Message, node, lenient=True)
    except OnvifdError as error:
        log.debug("a message of a camera is damaged: %s", error)
        return None
    parts = [_items(part) for part in (message.source, message.key, message.data)]
    source, key, data = parts
    if source is None or key is None or data is None:
        return None
    operation = message.property_operation
    return CameraEvent(
        topic=topic,
        utc=message.utc_time if abs(message.utc_time - now) <= CLOCK_TOLERANCE else now,
        source=source,
        key=key,
        data=data,
        operation=None if operation is None else Operation(operation.value),
    )


def _items(part: tt.ItemList | None) -> Items | None:
    """The simple items of a part; None if they are more or longer than any camera has reason to send."""
    items = tuple((item.name, item.value) for item in part.simple_item) if part else ()
    if len(items) > MAX_ITEMS or any(len(name) > MAX_TEXT or len(value) > MAX_TEXT for name, value in items):
        return None
    return items
