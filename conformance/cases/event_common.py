"""What the cases of test/Event share: subscriptions, pulling, topics, and checks of times, actions and messages."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from conformance.cases.event_values import Topic, duration, moment, patience, seconds_of, stamp, topic_of, topics_of
from conformance.consumer import Consumer, Push
from conformance.model import Examination, Failure
from conformance.names import NS, clark, find, findall, name_of, text
from conformance.soap import Fault, Reply, expect_fault, expect_response

CONCRETE = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete"
CONCRETE_SET = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
ITEM_FILTER = "http://www.onvif.org/ver10/tev/messageContentFilter/ItemFilter"
FAULT_ACTION = "http://www.w3.org/2005/08/addressing/soap/fault"

_PRODUCER = f"{NS['wsntw']}/NotificationProducer/"
_MANAGER = f"{NS['wsntw']}/SubscriptionManager/"
_PORT = f"{NS['tev']}/EventPortType/"
_PULL = f"{NS['tev']}/PullPointSubscription/"
ACTIONS = {
    "Subscribe": _PRODUCER,
    "Renew": _MANAGER,
    "Unsubscribe": _MANAGER,
    "GetEventProperties": _PORT,
    "GetServiceCapabilities": _PORT,
    "CreatePullPointSubscription": _PORT,
    "AddEventBroker": _PORT,
    "DeleteEventBroker": _PORT,
    "GetEventBrokers": _PORT,
    "PullMessages": _PULL,
    "SetSynchronizationPoint": _PULL,
    "Seek": _PULL,
}
"""Port types in the WS-Addressing actions (Event Test 6.3)."""
NOTIFY_ACTION = f"{NS['wsntw']}/NotificationConsumer/Notify"

LIFETIME = timedelta(seconds=10)
"""InitialTerminationTime of subscriptions that need not last."""
LONG = timedelta(seconds=60)
PULL_TIMEOUT = 60.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_DRAINED = 100
MAX_PULLS = 500
"""Messages that are looked at before a case gives up."""


async def topic_set(x: Examination) -> list[Topic]:
    answer = await ask_event(x, "GetEventProperties", "<tev:GetEventProperties/>")
    topics = topics_of(find(answer, "wstop:TopicSet"))
    x.check(topics, "GetEventPropertiesResponse has an empty TopicSet")
    return topics


async def living(x: Examination, count: int, *, properties_only: bool = True) -> list[Topic]:
    """Topics for a case: properties that exist now, in the place of the operator's choice.

    Those with the fewest instances come first, so that no case has to read hundreds of messages; before them, those with
    a source, of which content filters are made (Event Test 6.6).
    """
    declared = await topic_set(x)
    known = {each: each for each in declared}
    seen: dict[Topic, int] = {}
    sourced: set[Topic] = set()
    if x.has(PULL_POINT):
        async with pull_point(x) as sub:
            deadline = time.monotonic() + patience(x)
            while time.monotonic() < deadline:
                pulled = await pull(x, sub, timeout=0.2, limit=1000)
                if not pulled.messages:
                    break
                for message in pulled.messages:
                    if message.operation == "Initialized" and message.topic in known:
                        seen[message.topic] = seen.get(message.topic, 0) + 1
                        if message.items("Source"):
                            sourced.add(message.topic)
    chosen = sorted(seen, key=lambda topic: (topic not in sourced, seen[topic]))
    rest = [each for each in declared if each not in seen and (each.is_property or not properties_only)]
    return [known[each] for each in (*chosen, *rest)][:count]


async def two_topics(x: Examination) -> tuple[Topic, Topic] | None:
    """Two topics that come by themselves, or None, noted, where the device has less."""
    topics = await living(x, 2, properties_only=False)
    if len(topics) < 2:
        x.note("the TopicSet has less than two topics: nothing to examine")
        return None
    return topics[0], topics[1]


# ---- requests -----------------------------------------------------------------------------------------

SERVICE = "Event Service"
PULL_POINT = "Event/Pull-Point Notification"
BASIC = "Event/WS Basic Notification"


def check_action(x: Examination, reply: Reply, expected: str) -> None:
    """Event Test 6.3."""
    action = text(reply.soap_header, "wsa:Action")
    x.check(action == expected, f"wsa:Action of the answer is {action!r}, expected {expected!r} (Event Test 6.3)")


def action_of(operation: str) -> str:
    return f"{ACTIONS[operation]}{operation}Request"


async def call_event(
    x: Examination,
    operation: str,
    body: str,
    *,
    sub: Subscription | None = None,
    timeout: float | None = None,
) -> Reply:
    """Send a request of the event service, or to a subscription, with its WS-Addressing headers."""
    url = sub.address if sub is not None else x.soap.address("tev")
    return await x.soap.call(
        url,
        body,
        action=action_of(operation),
        to=url,
        headers=sub.parameters if sub is not None else "",
        timeout=timeout,
        title=operation,
    )


async def ask_event(
    x: Examination,
    operation: str,
    body: str,
    *,
    sub: Subscription | None = None,
    timeout: float | None = None,
) -> Any:
    """A request that must succeed, with the right action in the answer."""
    reply = await call_event(x, operation, body, sub=sub, timeout=timeout)
    answer = expect_response(reply, operation)
    check_action(x, reply, f"{ACTIONS[operation]}{operation}Response")
    return answer


async def refuse_event(
    x: Examination, operation: str, body: str, *names: str, sub: Subscription | None = None
) -> Fault:
    """A request that must be refused; `names` are fault elements of which one must be named in Detail or Subcode.

    Without names any valid SOAP 1.2 fault will do (the specification says "e.g. ResourceUnknown").
    """
    reply = await call_event(x, operation, body, sub=sub)
    fault = expect_fault(reply, operation, strict=False)
    check_action(x, reply, FAULT_ACTION)
    if names:
        detail = fault_detail(fault, names)
        x.check(
            detail is not None or any(each.rpartition(":")[2] in names for each in fault.subcodes),
            f"{operation} must be refused with {' or '.join(names)}, received fault {fault}",
        )
        if detail is not None:
            check_base_fault(x, detail)
    return fault


def fault_detail(fault: Fault, names: Sequence[str]) -> Any:
    """The element of a WS-BaseFault in Detail, by one of its local names; None if there is none."""
    if fault.detail is None:
        return None
    for each in fault.detail.iter():
        if isinstance(each.tag, str) and etree.QName(each).localname in names:
            return each
    return None


def check_base_fault(x: Examination, detail: Any) -> None:
    """Timestamp and description of a WSRF base fault ("valid UTC time, valid description")."""
    stamped = find(detail, "wsrf-bf:Timestamp")
    x.check(stamped is not None and text(stamped), f"{name_of(detail)} has no wsrf-bf:Timestamp")
    moment(text(stamped))
    for description in findall(detail, "wsrf-bf:Description"):
        x.check(text(description), f"{name_of(detail)} has an empty wsrf-bf:Description")


# ---- subscriptions ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Subscription:
    """A subscription manager at the device."""

    address: str
    parameters: str
    """Reference parameters as SOAP headers."""
    current: datetime
    termination: datetime
    ended: bool = False


def filter_of(
    topic: str | Topic | None = None, *, content: str | None = None, dialect: str = CONCRETE_SET, declare: str = ""
) -> str:
    """wsnt:Filter as it stands in the request; the element's own name is set by the caller."""
    inside = ""
    if topic is not None:
        declare = declare or (topic.declaration if isinstance(topic, Topic) else "")
        inside += f'<wsnt:TopicExpression {declare} Dialect="{dialect}">{topic}</wsnt:TopicExpression>'
    if content is not None:
        escaped = content.replace("&", "&amp;").replace("<", "&lt;")
        inside += f'<wsnt:MessageContent Dialect="{ITEM_FILTER}">{escaped}</wsnt:MessageContent>'
    return inside


def pull_point_request(inside: str = "", lifetime: timedelta | str | None = None) -> str:
    filter_ = f"<tev:Filter>{inside}</tev:Filter>" if inside else ""
    time_ = _termination("tev:InitialTerminationTime", lifetime)
    return f"<tev:CreatePullPointSubscription>{filter_}{time_}</tev:CreatePullPointSubscription>"


def subscribe_request(consumer: str, inside: str = "", lifetime: timedelta | str | None = LIFETIME) -> str:
    filter_ = f"<wsnt:Filter>{inside}</wsnt:Filter>" if inside else ""
    time_ = _termination("wsnt:InitialTerminationTime", lifetime)
    reference = f"<wsnt:ConsumerReference><wsa:Address>{consumer}</wsa:Address></wsnt:ConsumerReference>"
    return f"<wsnt:Subscribe>{reference}{filter_}{time_}</wsnt:Subscribe>"


def _termination(name: str, lifetime: timedelta | str | None) -> str:
    if lifetime is None:
        return ""
    return f"<{name}>{duration(lifetime) if isinstance(lifetime, timedelta) else lifetime}</{name}>"


def read_subscription(x: Examination, answer: Any, lifetime: timedelta | None) -> Subscription:
    """Judge and read SubscribeResponse and CreatePullPointSubscriptionResponse."""
    name = name_of(answer)
    namespace = name.partition(":")[0]
    reference = find(answer, f"{namespace}:SubscriptionReference")
    address = text(reference, "wsa:Address")
    target = urlsplit(address)
    x.check(
        target.scheme in ("http", "https") and target.hostname,
        f"wsa:Address {address!r} in SubscriptionReference of {name} is no HTTP address",
    )
    current, termination = text(answer, "wsnt:CurrentTime"), text(answer, "wsnt:TerminationTime")
    x.check(current and termination, f"{name} lacks CurrentTime or TerminationTime")
    sub = Subscription(address, _parameters(reference), moment(current), moment(termination))
    check_times(x, name, sub.current, sub.termination, lifetime)
    return sub


def check_times(
    x: Examination, name: str, current: datetime, termination: datetime, lifetime: timedelta | None
) -> None:
    if lifetime is None:
        x.check(termination > current, f"{name}: TerminationTime {termination} is not after CurrentTime {current}")
    else:
        x.check(
            termination >= current + lifetime,
            f"{name}: TerminationTime {termination} is before CurrentTime {current} + {lifetime.total_seconds():g} s",
        )


def _parameters(reference: Any) -> str:
    """WS-Addressing 1.0 SOAP binding 3.2: reference parameters become headers."""
    headers = ""
    for parameter in findall(reference, "wsa:ReferenceParameters/*"):
        if isinstance(parameter.tag, str):
            copy = etree.fromstring(etree.tostring(parameter, with_tail=False))
            copy.set(clark("wsa:IsReferenceParameter"), "true")
            headers += etree.tostring(copy, encoding="unicode")
    return headers


def acceptable_time(fault: Fault | None, *names: str) -> str | None:
    """MinimumTime of a fault that refuses a termination time; None if it is another fault."""
    if fault is None:
        return None
    detail = fault_detail(fault, names)
    return (text(detail, "wsnt:MinimumTime") or None) if detail is not None else None


async def _create(
    x: Examination, operation: str, request: Any, lifetime: timedelta | None, filter_: str
) -> Subscription:
    """Subscribe; where the device refuses the time, once more with the one that it names (notes of Event Test 5.2, 5.3)."""
    reply = await call_event(x, operation, request(filter_, lifetime))
    minimum = acceptable_time(reply.fault, "UnacceptableInitialTerminationTimeFault")
    if minimum is not None:
        x.note(f"the device wants at least {minimum} as InitialTerminationTime")
        reply, lifetime = await call_event(x, operation, request(filter_, minimum)), None
    answer = expect_response(reply, operation)
    try:
        check_action(x, reply, f"{ACTIONS[operation]}{operation}Response")
        return read_subscription(x, answer, lifetime)
    except Failure:
        # What is wrong with the answer must not fill the device with subscriptions.
        address = text(answer, f"{name_of(answer).partition(':')[0]}:SubscriptionReference/wsa:Address")
        if urlsplit(address).hostname:
            await forget(x, Subscription(address, "", EPOCH, EPOCH))
        raise


async def create_pull_point(x: Examination, filter_: str = "", lifetime: timedelta | None = None) -> Subscription:
    return await _create(x, "CreatePullPointSubscription", pull_point_request, lifetime, filter_)


@contextlib.asynccontextmanager
async def pull_point(
    x: Examination, filter_: str = "", lifetime: timedelta | None = None
) -> AsyncIterator[Subscription]:
    """A pull point that is gone afterwards."""
    sub = await create_pull_point(x, filter_, lifetime)
    try:
        yield sub
    finally:
        await forget(x, sub)


@contextlib.asynccontextmanager
async def subscription(
    x: Examination, consumer: Consumer, filter_: str = "", lifetime: timedelta = LIFETIME
) -> AsyncIterator[Subscription]:
    """A subscription to pushed messages that is gone afterwards."""

    def request(inside: str, time_: timedelta | str | None) -> str:
        return subscribe_request(consumer.url, inside, time_)

    sub = await _create(x, "Subscribe", request, lifetime, filter_)
    try:
        yield sub
    finally:
        await forget(x, sub)


def consumer(x: Examination) -> Consumer:
    return Consumer(x.prober.local(), x.note)


async def forget(x: Examination, sub: Subscription) -> None:
    """Leave nothing behind; what the device answers is not judged here."""
    if not sub.ended:
        with contextlib.suppress(Failure):
            await call_event(x, "Unsubscribe", "<wsnt:Unsubscribe/>", sub=sub)


async def unsubscribe(x: Examination, sub: Subscription) -> None:
    await ask_event(x, "Unsubscribe", "<wsnt:Unsubscribe/>", sub=sub)
    sub.ended = True


async def synchronize(x: Examination, sub: Subscription) -> None:
    await ask_event(x, "SetSynchronizationPoint", "<tev:SetSynchronizationPoint/>", sub=sub)


async def renew(x: Examination, sub: Subscription, until: timedelta | datetime) -> tuple[datetime, datetime]:
    """Renew; returns CurrentTime and TerminationTime."""
    wanted = duration(until) if isinstance(until, timedelta) else stamp(until)
    body = "<wsnt:Renew><wsnt:TerminationTime>{}</wsnt:TerminationTime></wsnt:Renew>"
    reply = await call_event(x, "Renew", body.format(wanted), sub=sub)
    minimum = acceptable_time(reply.fault, "UnacceptableTerminationTimeFault")
    if minimum is not None:
        reply = await call_event(x, "Renew", body.format(minimum), sub=sub)
    answer = expect_response(reply, "Renew")
    check_action(x, reply, f"{ACTIONS['Renew']}RenewResponse")
    current = text(answer, "wsnt:CurrentTime")
    x.check(current, "RenewResponse lacks CurrentTime (Core 9.1.1)")
    return moment(current), moment(text(answer, "wsnt:TerminationTime"))


# ---- messages -----------------------------------------------------------------------------------------


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
