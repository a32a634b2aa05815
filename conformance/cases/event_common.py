"""What the cases of test/Event share: subscriptions, pulling, topics, and checks of times, actions and messages."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from conformance.cases.event_values import Topic, duration, moment, stamp
from conformance.consumer import Consumer
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
