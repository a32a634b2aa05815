"""What the cases of events share: messages, pulled and pushed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from conformance.cases.event_common import (
    ACTIONS,
    CONCRETE,
    CONCRETE_SET,
    NOTIFY_ACTION,
    Subscription,
    call_event,
    check_action,
    check_times,
    fault_detail,
)
from conformance.cases.event_values import Topic, moment, seconds_of, topic_of
from conformance.consumer import Consumer, Push
from conformance.model import Examination
from conformance.names import clark, find, findall, text
from conformance.soap import Fault, Reply, expect_response

# ---- messages -----------------------------------------------------------------------------------------

MAX_DRAINED = 100
MAX_PULLS = 500
"""Messages that are looked at before a case gives up."""


@dataclass(frozen=True, slots=True)
class Message:
    """A notification message that was found well formed."""

    topic: Topic
    operation: str
    """PropertyOperation; empty for an event that is no property."""
    utc: datetime
    element: Any
    """tt:Message."""

    def items(self, part: str) -> tuple[tuple[str, str], ...]:
        """Simple items of Source, Key or Data."""
        items = findall(self.element, f"tt:{part}/tt:SimpleItem")
        return tuple((each.get("Name", ""), each.get("Value", "")) for each in items)

    def has_item(self, name: str, value: str) -> bool:
        items = self.element.iter(clark("tt:SimpleItem"))
        return any(each.get("Name") == name and each.get("Value") == value for each in items)


def read_message(x: Examination, element: Any) -> Message:
    """Judge and read a wsnt:NotificationMessage (Core 9.2)."""
    topic = find(element, "wsnt:Topic")
    x.check(topic is not None and text(topic), "a NotificationMessage has no wsnt:Topic")
    dialect = topic.get("Dialect")
    x.check(
        dialect in (CONCRETE, CONCRETE_SET),
        f"wsnt:Topic {text(topic)!r} has the dialect {dialect!r}",
    )
    message = find(element, "wsnt:Message/tt:Message")
    x.check(message is not None, f"the message with topic {text(topic)} has no tt:Message")
    utc = message.get("UtcTime")
    x.check(utc, f"the message with topic {text(topic)} has no UtcTime")
    operation = message.get("PropertyOperation", "")
    x.check(
        operation in ("", "Initialized", "Changed", "Deleted"),
        f"the message with topic {text(topic)} has PropertyOperation {operation!r}",
    )
    return Message(topic_of(topic), operation, moment(utc), message)


@dataclass(frozen=True, slots=True)
class Pulled:
    current: datetime
    termination: datetime
    messages: tuple[Message, ...]
    seconds: float


def pull_request(timeout: float, limit: int) -> str:
    return f"<tev:PullMessages><tev:Timeout>PT{timeout:g}S</tev:Timeout><tev:MessageLimit>{limit}</tev:MessageLimit></tev:PullMessages>"


async def pull(
    x: Examination, sub: Subscription, *, timeout: float, limit: int, patience: float | None = None
) -> Pulled:
    """PullMessages; where the device refuses the time-out, once more with its limits (notes of Event Test 5.3).

    `patience`: seconds to wait for the answer, when less than the time-out itself.
    """
    began = time.monotonic()
    wait = timeout + x.settings.message_timeout if patience is None else patience
    reply = await call_event(x, "PullMessages", pull_request(timeout, limit), sub=sub, timeout=wait)
    limits = pull_limits(reply.fault)
    if limits is not None:
        timeout, limit = min(timeout, limits[0]), min(limit, limits[1])
        reply = await call_event(x, "PullMessages", pull_request(timeout, limit), sub=sub, timeout=wait)
    return read_pulled(x, reply, limit, time.monotonic() - began)


def read_pulled(x: Examination, reply: Reply, limit: int, seconds: float) -> Pulled:
    """Judge and read PullMessagesResponse."""
    answer = expect_response(reply, "PullMessages")
    check_action(x, reply, f"{ACTIONS['PullMessages']}PullMessagesResponse")
    current, termination = moment(text(answer, "tev:CurrentTime")), moment(text(answer, "tev:TerminationTime"))
    check_times(x, "PullMessagesResponse", current, termination, None)
    messages = tuple(read_message(x, each) for each in findall(answer, "wsnt:NotificationMessage"))
    x.check(
        len(messages) <= limit,
        f"PullMessagesResponse has {len(messages)} messages though MessageLimit was {limit}",
    )
    return Pulled(current, termination, messages, seconds)


def pull_limits(fault: Fault | None) -> tuple[float, int] | None:
    """MaxTimeout (seconds) and MaxMessageLimit of a PullMessagesFaultResponse."""
    detail = fault_detail(fault, ("PullMessagesFaultResponse",)) if fault is not None else None
    if detail is None:
        return None
    most = text(detail, "tev:MaxMessageLimit")
    return seconds_of(text(detail, "tev:MaxTimeout")), int(most) if most.isdigit() else 1


async def pull_each(x: Examination, sub: Subscription, seconds: float) -> AsyncIterator[Message]:
    """Messages one by one, as the loops of Event Test 5.3 pull them, until `seconds` have passed."""
    deadline = time.monotonic() + seconds
    for _ in range(MAX_PULLS):
        left = deadline - time.monotonic()
        if left <= 0:
            return
        # The specification pulls with PT60S and gives up after timeout1; asking for what is left of it leaves no pull behind.
        pulled = await pull(x, sub, timeout=max(1.0, round(left, 1)), limit=1)
        for message in pulled.messages:
            yield message


async def drain(x: Examination, sub: Subscription, allowed: Callable[[Message], bool], why: str) -> None:
    """What still waits must be allowed as well: a filter that is ignored shows itself sooner or later."""
    seen = 0
    while seen < MAX_DRAINED:
        pulled = await pull(x, sub, timeout=0.3, limit=MAX_DRAINED)
        for message in pulled.messages:
            x.check(allowed(message), f"message of {message.topic} {why}")
        seen += len(pulled.messages)
        if not pulled.messages:
            return


async def notify_each(x: Examination, listener: Consumer, seconds: float) -> AsyncIterator[list[Message]]:
    """The messages of each Notify until `seconds` have passed, judged."""
    deadline = time.monotonic() + seconds
    while (push := await listener.next(deadline)) is not None:
        yield read_notify(x, listener, push)


def read_notify(x: Examination, listener: Consumer, push: Push) -> list[Message]:
    """Judge and read wsnt:Notify (Event Test 5.2.3)."""
    x.check(push.path == listener.path, f"Notify was sent to {push.path}, the ConsumerReference is {listener.url}")
    x.check(push.root is not None, "what was sent to the consumer is no XML")
    action = text(push.root, "env:Header/wsa:Action")
    x.check(action == NOTIFY_ACTION, f"wsa:Action of Notify is {action!r}, expected {NOTIFY_ACTION!r} (Event Test 6.3)")
    identity = find(push.root, "env:Header/wsa:MessageID")
    if find(push.root, "env:Header/wsa:ReplyTo") is not None:
        x.check(identity is not None, "Notify has wsa:ReplyTo but no wsa:MessageID")
    if identity is not None:
        x.check(urlsplit(text(identity)).scheme, f"wsa:MessageID of Notify is {text(identity)!r}, which is no URI")
    notify = find(push.root, "env:Body/wsnt:Notify")
    x.check(notify is not None, "the body of what was sent to the consumer is no wsnt:Notify")
    messages = [read_message(x, each) for each in findall(notify, "wsnt:NotificationMessage")]
    x.check(messages, "Notify without NotificationMessage")
    return messages


def content_filter(x: Examination, message: Message) -> tuple[str, str, str]:
    """Event Test 6.6: filter, name and value made of the first source item of a message."""
    items = message.items("Source")
    x.check(items, f"the message with topic {message.topic} has no SimpleItem in Source")
    name, value = items[0]
    return f'boolean(//tt:SimpleItem[@Name="{name}" and @Value="{value}"])', name, value
