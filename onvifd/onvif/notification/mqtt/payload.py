"""Events as MQTT messages: topic, JSON payload, retained flag (Core 9.12.5 to 9.12.7). Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lxml import etree

from onvifd.clock import isoformat
from onvifd.events.topics import Topic
from onvifd.events.types import Event, Operation
from onvifd.onvif.soap.codec import Element
from onvifd.onvif.soap.envelope import parse_xml

PAYLOAD_PREFIX = "onvif-ej"
MAX_TOPIC = 65_535
"""Octets of an MQTT topic (MQTT 3.1.1 4.7.3)."""

# Core 9.12.5: wildcards are left out. A slash in a value would make another level of it, a NUL is forbidden (MQTT 4.7.3).
_FORBIDDEN = re.compile(r"[#+/\x00]")
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?")


@dataclass(frozen=True, slots=True)
class Message:
    """What is published."""

    topic: str
    payload: bytes
    retain: bool


def mqtt_message(event: Event, prefix: str, topics: Mapping[str, Topic]) -> Message:
    """The message for an event. `topics` are the declared ones by name: they give the order of the source items."""
    retain = event.operation is not None
    deleted = event.operation is Operation.DELETED
    # Core 9.12.7.2: nothing at all makes the broker forget what it retained.
    payload = b"" if deleted else _payload(event)
    return Message(mqtt_topic(event, prefix, topics.get(event.topic)), payload, retain)


def mqtt_topic(event: Event, prefix: str, declared: Topic | None = None) -> str:
    """`<prefix>/onvif-ej/<topic>/&<source value>/...`; key items tell instances apart as well as source items do."""
    order = (
        {} if declared is None else {item.name: place for place, item in enumerate((*declared.source, *declared.key))}
    )
    items = sorted((*event.source, *event.key), key=lambda item: order.get(item[0], len(order)))
    topic = f"{prefix}/{PAYLOAD_PREFIX}/{event.topic}"
    if items:
        topic += "/&" + "/".join(_FORBIDDEN.sub("", value) for _, value in items)
    return topic.encode()[:MAX_TOPIC].decode(errors="ignore")


def _payload(event: Event) -> bytes:
    content: dict[str, Any] = {"UtcTime": isoformat(event.utc)}
    source = dict((*event.source, *event.key))
    content["Source"] = source
    data: dict[str, Any] = dict(event.data)
    for name, xml in event.elements:
        data[name] = _wrapped(parse_xml(xml.encode()))
    if data:
        content["Data"] = data
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _wrapped(node: Element) -> dict[str, Any]:
    """Core 9.12.6.1: the element under its own name, as the value of the item."""
    return {etree.QName(node).localname: _value(node)}


def _value(node: Element) -> Any:
    """Text of a leaf; an object of attributes and children otherwise. Names that repeat become arrays."""
    children = [child for child in node if isinstance(child.tag, str)]
    if not children and not node.attrib:
        return (node.text or "").strip()
    found: dict[str, Any] = {
        f"@{etree.QName(name).localname}": _plain(str(value)) for name, value in node.attrib.items()
    }
    repeated: set[str] = set()
    for child in children:
        name, value = etree.QName(child).localname, _value(child)
        if name not in found:
            found[name] = value
        elif name in repeated:
            found[name].append(value)
        else:
            repeated.add(name)
            found[name] = [found[name], value]
    text = (node.text or "").strip()
    if text and not children:
        found["#text"] = text
    return found


def _plain(text: str) -> str | int | float:
    """Attributes that are numbers travel as such (the example of Core 9.12.6.1)."""
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
