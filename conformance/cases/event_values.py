"""Times and topics as the event cases read and write them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from conformance.model import Examination, Failure
from conformance.names import NS, PREFIXES, clark, find, flag, text

# ---- values -------------------------------------------------------------------------------------------


def duration(value: timedelta) -> str:
    return f"PT{value.total_seconds():g}S"


def moment(value: str) -> datetime:
    """xs:dateTime; without time zone it is read as UTC."""
    try:
        read = datetime.fromisoformat(value.strip())
    except ValueError:
        raise Failure(f"{value!r} is no xs:dateTime") from None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)


def stamp(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def seconds_of(value: str) -> float:
    """xs:duration without years and months, in seconds."""
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        raise Failure(f"{value!r} is no xs:duration that can be waited for")
    days, hours, minutes, seconds = (float(each or 0) for each in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def patience(x: Examination) -> float:
    """timeout1 of the specification (Operation Delay), and no less than what one answer may take."""
    return max(x.settings.operation_delay, x.settings.message_timeout / 2)


# ---- topics -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic by the Clark name of its root and the local names below it."""

    root: str
    path: tuple[str, ...] = ()
    is_property: bool = field(default=False, compare=False)

    @property
    def prefix(self) -> str:
        uri = self.root[1:].partition("}")[0]
        return PREFIXES.get(uri, "vendor")

    @property
    def declaration(self) -> str:
        """The namespace declaration that `str(topic)` needs."""
        uri = self.root[1:].partition("}")[0]
        return f'xmlns:{self.prefix}="{uri}"'

    @property
    def root_name(self) -> str:
        return f"{self.prefix}:{self.root.rpartition('}')[2]}"

    def __str__(self) -> str:
        return "/".join((self.root_name, *self.path))


BEGIN_OF_BUFFER = Topic(clark("tns1:EventBuffer"), ("Begin",))


def topics_of(topic_set: Any) -> list[Topic]:
    """Topics of a wstop:TopicSet in order."""
    found: list[Topic] = []

    def walk(node: Any, root: str, path: tuple[str, ...]) -> None:
        if flag(node, clark("wstop:topic")):
            found.append(Topic(root, path, flag(find(node, "tt:MessageDescription"), "IsProperty")))
        for child in node:
            if isinstance(child.tag, str) and etree.QName(child).namespace not in (NS["tt"], NS["wstop"]):
                walk(child, root, (*path, etree.QName(child).localname))

    for child in topic_set:
        if isinstance(child.tag, str) and etree.QName(child).namespace not in (NS["tt"], NS["wstop"]):
            walk(child, child.tag, ())
    return found


def topic_of(element: Any) -> Topic:
    """The topic in a wsnt:Topic element."""
    steps = text(element).split("/")
    prefix, colon, local = steps[0].rpartition(":")
    uri = element.nsmap.get(prefix if colon else None)
    if not uri:
        raise Failure(f"the prefix in wsnt:Topic {text(element)!r} is not declared")
    return Topic(f"{{{uri}}}{local}", tuple(step.rpartition(":")[2] for step in steps[1:]))
