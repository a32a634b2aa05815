"""Topic expressions: the dialects Concrete (WS-Topics 1.3 section 8.2) and ConcreteSet (Core 9.6.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.soap.namespaces import TNS1

CONCRETE = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete"
CONCRETE_SET = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"

MAX_LENGTH = 8192
"""Characters of an expression."""
MAX_PATHS = 256
"""Alternatives of an expression."""

_NCNAME = r"[^\W\d][\w.\-]*"
_STEP = re.compile(rf"(?:({_NCNAME}):)?({_NCNAME})")


@dataclass(frozen=True, slots=True)
class TopicPath:
    """One alternative: a topic, or with `subtree` also everything below it."""

    topic: str
    subtree: bool

    def matches(self, topic: str) -> bool:
        return topic == self.topic or (self.subtree and topic.startswith(self.topic + "/"))


@dataclass(frozen=True, slots=True)
class TopicExpression:
    """Alternatives of which at least one must match."""

    paths: tuple[TopicPath, ...]

    def matches(self, topic: str) -> bool:
        """Whether a topic (path below tns1, without prefix) is selected."""
        return any(path.matches(topic) for path in self.paths)


def parse_topic_expression(
    text: str, dialect: str, namespaces: Mapping[str | None, str], topics: Iterable[str]
) -> TopicExpression:
    """Read an expression. `namespaces` are those in scope of its element, `topics` all that the device emits.

    Raises NotificationFault: the dialect is unknown, the expression has the wrong form, or no topic of ours is selected.
    """
    if dialect not in (CONCRETE, CONCRETE_SET):
        raise NotificationFault(FaultKind.DIALECT_UNKNOWN, "The topic expression dialect is not known.")
    if len(text) > MAX_LENGTH or text.count("|") >= MAX_PATHS:
        raise _invalid("it is too long")
    # Alternatives and sub-trees are what ConcreteSet adds.
    alternatives = text.split("|") if dialect == CONCRETE_SET else [text]
    paths = [_path(alternative.strip(), dialect, namespaces) for alternative in alternatives]
    expression = TopicExpression(tuple(path for path in paths if path is not None))
    if not any(expression.matches(topic) for topic in topics):
        raise NotificationFault(FaultKind.TOPIC_NOT_SUPPORTED, "This device emits no such topic.")
    return expression


def _invalid(why: str) -> NotificationFault:
    return NotificationFault(FaultKind.INVALID_TOPIC_EXPRESSION, f"The topic expression cannot be used: {why}.")


def _path(text: str, dialect: str, namespaces: Mapping[str | None, str]) -> TopicPath | None:
    """One alternative; None if it is well formed but names a topic of a foreign namespace, which we never emit."""
    subtree = dialect == CONCRETE_SET and text.endswith("//.")
    names: list[str] = []
    foreign = False
    for step in text.removesuffix("//.").split("/") if subtree else text.split("/"):
        match = _STEP.fullmatch(step)
        if match is None:
            raise _invalid("it is no path of topic names")
        prefix, name = match.groups()
        if prefix is not None:
            if prefix not in namespaces:
                raise _invalid(f"the prefix {prefix} is not declared")
            foreign = foreign or namespaces[prefix] != TNS1
        names.append(name)
    return None if foreign else TopicPath("/".join(names), subtree)
