"""Messages of recording control and receivers: awaiting them, and what they and their descriptions must hold."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from lxml import etree

from conformance.cases.event_common import Subscription, ask_event, create_pull_point, forget
from conformance.cases.event_messages import Message, pull
from conformance.cases.event_values import Topic, patience, topics_of
from conformance.model import Examination, Failure
from conformance.names import NS, clark, find, findall, flag, text
from conformance.schema import official_schema

EVENT_WAIT = 20.0
"""PullMessagesTimeout of the specification."""
JOB_STATE = Topic(clark("tns1:RecordingConfig"), ("JobState",))
CHANGE_STATE = Topic(clark("tns1:Receiver"), ("ChangeState",))
CONNECTION_FAILED = Topic(clark("tns1:Receiver"), ("ConnectionFailed",))


def config_topic(name: str) -> Topic:
    return Topic(clark("tns1:RecordingConfig"), (name,))


@contextlib.asynccontextmanager
async def listening(x: Examination, topic: Topic) -> AsyncIterator[Subscription]:
    """A pull point for one topic."""
    inside = (
        f'<wsnt:TopicExpression {topic.declaration} Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">'
        f"{topic}</wsnt:TopicExpression>"
    )
    sub = await create_pull_point(x, inside)
    try:
        yield sub
    finally:
        await forget(x, sub)


def delta(x: Examination) -> float:
    """Operation Delay, and time for what a device does in the network."""
    return max(patience(x), x.settings.message_timeout)


async def await_message(
    x: Examination, sub: Subscription, topic: Topic, what: str, wanted: Any, *, seconds: float = 0.0
) -> Message:
    """Pull until a message is there for which `wanted(message)` holds."""
    deadline = time.monotonic() + (seconds or delta(x))
    seen = 0
    while (left := deadline - time.monotonic()) > 0:
        pulled = await pull(x, sub, timeout=max(1.0, min(EVENT_WAIT, round(left, 1))), limit=1)
        for message in pulled.messages:
            seen += 1
            x.check(message.topic == topic, f"a message of {message.topic} passed the filter {topic}")
            if wanted(message):
                return message
    raise Failure(f"no message of {topic} {what}; {seen} others came")


def item(message: Message, part: str, name: str) -> str:
    return dict(message.items(part)).get(name, "")


def element_item(message: Message, name: str) -> Any:
    """The content of a tt:ElementItem in Data, or None."""
    for each in findall(message.element, "tt:Data/tt:ElementItem"):
        if each.get("Name") == name:
            return next((child for child in each if isinstance(child.tag, str)), None)
    return None


async def await_job_state(
    x: Examination, sub: Subscription, job: str, states: Sequence[str], operations: Sequence[str] = ("Changed",)
) -> str:
    """Recording Test 6.5 and 6.13. Returns the state of the message."""

    def wanted(message: Message) -> bool:
        return (
            message.operation in operations
            and item(message, "Source", "RecordingJobToken") == job
            and item(message, "Data", "State") in states
        )

    what = f"with PropertyOperation {' or '.join(operations)} for job {job} and state {' or '.join(states)}"
    message = await await_message(x, sub, JOB_STATE, what, wanted)
    information = element_item(message, "Information")
    if information is not None:
        within = text(information, "tt:State")
        x.check(
            within in states,
            f"Information in the message says {within or 'nothing'}, its State {item(message, 'Data', 'State')}",
        )
    return item(message, "Data", "State")


async def await_receiver_state(x: Examination, sub: Subscription, token: str, state: str) -> None:
    """Recording Test 6.6."""

    def wanted(message: Message) -> bool:
        return item(message, "Source", "ReceiverToken") == token and item(message, "Data", "NewState") == state

    await await_message(x, sub, CHANGE_STATE, f"for receiver {token} with NewState {state}", wanted)


async def describe(x: Examination, topic: Topic) -> Any:
    """tt:MessageDescription of a topic in GetEventProperties."""
    answer = await ask_event(x, "GetEventProperties", "<tev:GetEventProperties/>")
    node = find(answer, "wstop:TopicSet")
    x.check(topic in topics_of(node), f"GetEventProperties has no topic {topic}")
    node = find(node, topic.root_name)
    for step in topic.path:
        node = find(node, step)
    description = find(node, "tt:MessageDescription")
    x.check(description is not None, f"the topic {topic} has no MessageDescription")
    return description


def check_property(x: Examination, description: Any, topic: Topic, expected: bool) -> None:
    x.check(
        flag(description, "IsProperty") is expected,
        f"{topic} is {'no' if expected else 'a'} property event by its MessageDescription",
    )


def check_described(x: Examination, description: Any, topic: Topic, part: str, name: str, type_: str) -> None:
    """An item with a name and a type must be described."""
    kind = "SimpleItemDescription" if not type_.endswith(("Configuration", "Information")) else "ElementItemDescription"
    for each in findall(description, f"tt:{part}/tt:{kind}"):
        if each.get("Name") == name:
            given = each.get("Type", "")
            prefix, colon, local = given.rpartition(":")
            uri = each.nsmap.get(prefix if colon else None)
            wanted_prefix, _, wanted_local = type_.rpartition(":")
            x.check(
                local == wanted_local and uri == NS[wanted_prefix],
                f"{topic}: {part} item {name} has the type {given}, expected {type_}",
            )
            return
    x.fail(f"{topic}: the description has no {kind} {name} in {part}")


def check_type(x: Examination, element: Any, type_: str, where: str) -> None:
    """An element must be valid as a complex type of the official schema ("validation with XML Schema complex type")."""
    x.check(element is not None, f"{where}: there is no element")
    copy = etree.fromstring(etree.tostring(element, with_tail=False))
    copy.tag = clark("tt:Message")
    # xsi:type makes the validator judge by that type, wherever the element is not declared globally.
    probe = etree.Element(clark("tt:Message"), nsmap={"tt": NS["tt"], "xsi": NS["xsi"]}, UtcTime="2030-01-01T00:00:00Z")
    data = etree.SubElement(etree.SubElement(probe, clark("tt:Data")), clark("tt:ElementItem"), Name="x")
    inner = etree.SubElement(data, clark("tt:Anything"), nsmap={"xsi": NS["xsi"]})
    inner.set(clark("xsi:type"), type_)
    for key, value in copy.attrib.items():
        inner.set(key, value)
    inner.text = copy.text
    inner.extend(list(copy))
    schema = official_schema()
    if not schema.validate(probe):
        x.fail(f"{where} is no valid {type_}: {schema.error_log[0].message}")
