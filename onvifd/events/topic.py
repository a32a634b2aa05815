"""What a topic is: its name, and what its messages hold (Core 9.4.3). Builders of messages that obey a declaration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onvifd.events.types import Event, Operation
from onvifd.onvif.soap.namespaces import TT, XS

TOKEN = f"{{{TT}}}ReferenceToken"
BOOLEAN = f"{{{XS}}}boolean"
STRING = f"{{{XS}}}string"
FLOAT = f"{{{XS}}}float"
INTEGER = f"{{{XS}}}integer"
DATETIME = f"{{{XS}}}dateTime"


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a message. `type` is the QName of its type or, for element items, of its element, in Clark notation."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A declared topic (tt:MessageDescription). `name` is the path below tns1 without prefix."""

    name: str
    is_property: bool
    source: tuple[Item, ...] = ()
    key: tuple[Item, ...] = ()
    data: tuple[Item, ...] = ()
    elements: tuple[Item, ...] = ()
    """Element items of the data part."""


def state(name: str) -> Topic:
    """A property of a video source that is true or false (Imaging 5.7)."""
    return Topic(name=name, is_property=True, source=(Item("Source", TOKEN),), data=(Item("State", BOOLEAN),))


def boolean(value: bool) -> str:
    return "true" if value else "false"


def message(
    topic: Topic,
    utc: int,
    source: Sequence[str] = (),
    data: Sequence[str] = (),
    recording: str = "",
    *,
    elements: Sequence[str] = (),
) -> Event:
    """A message with the items that its topic declares, in their order. The bus sets the operation of properties."""
    return Event(
        topic=topic.name,
        utc=utc,
        source=tuple((item.name, text) for item, text in zip(topic.source, source, strict=True)),
        data=tuple((item.name, text) for item, text in zip(topic.data, data, strict=True)),
        elements=tuple((item.name, text) for item, text in zip(topic.elements, elements, strict=True)),
        operation=Operation.CHANGED if topic.is_property else None,
        recording=recording,
    )
