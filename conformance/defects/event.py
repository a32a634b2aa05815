"""Defects of the event service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from conformance.defects.model import (
    Answer,
    Defect,
    Exchange,
    Stage,
    add,
    answer_defect,
    attribute,
    body_of,
    defect,
    fault,
    found,
    parse,
    remove,
    request_defect,
    serialize,
    several,
    succeed,
    write,
)
from conformance.names import NS, clark, find, text

WSNTW = NS["wsntw"]


def _moment(element: Any) -> datetime:
    return datetime.fromisoformat(text(element))


def _stamp(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _shift(path: str, from_: str, seconds: float) -> Callable[[Any], None]:
    """Write another time plus some seconds."""

    def change(root: Any) -> None:
        for each in found(root, path):
            source = each.getparent().find(from_, NS)
            if source is not None:
                each.text = _stamp(_moment(source) + timedelta(seconds=seconds))

    return change


# ---- properties and capabilities ----------------------------------------------------------------------


def _forget_concrete(root: Any) -> None:
    for each in found(root, "wsnt:TopicExpressionDialect"):
        if text(each).endswith("/Concrete"):
            each.getparent().remove(each)


def _empty(path: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        for each in found(root, path):
            for child in list(each):
                each.remove(child)

    return change


answer_defect(
    "no-concrete-dialect",
    "GetEventProperties lacks the Concrete dialect",
    "EVENT-1-1-2",
    "GetEventProperties",
    _forget_concrete,
)
answer_defect(
    "no-item-filter",
    "GetEventProperties names another content filter dialect",
    "EVENT-1-1-2",
    "GetEventProperties",
    write("tev:MessageContentFilterDialect", "http://example.org/filter"),
)
answer_defect("empty-topic-set", "the TopicSet is empty", "EVENT-1-1-2", "GetEventProperties", _empty("wstop:TopicSet"))
answer_defect(
    "no-topic-namespace",
    "TopicNamespaceLocation is missing",
    "EVENT-1-1-2",
    "GetEventProperties",
    remove("tev:TopicNamespaceLocation"),
)


def _action(value: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        for each in root.findall("env:Header/wsa:Action", NS):
            each.text = value

    return change


answer_defect(
    "wrong-action",
    "wsa:Action of an answer is the one of the request",
    "EVENT-1-1-2",
    "GetEventProperties",
    _action(f"{NS['tev']}/EventPortType/GetEventPropertiesRequest"),
)


def _no_header(root: Any) -> None:
    for each in root.findall("env:Header", NS):
        root.remove(each)


answer_defect(
    "no-addressing", "answers have no WS-Addressing headers", "EVENT-3-1-9", "CreatePullPointSubscription", _no_header
)
answer_defect(
    "event-capabilities-disagree",
    "GetServiceCapabilities says another MaxPullPoints than GetServices",
    "EVENT-5-1-2",
    "GetServiceCapabilities",
    attribute("tev:Capabilities", "MaxPullPoints", "3"),
)
answer_defect(
    *(
        "brokers-without-protocols",
        "MaxEventBrokers is above 0, EventBrokerProtocols is empty",
        "EVENT-5-1-1",
        "GetServiceCapabilities",
    ),
    several(
        attribute("tev:Capabilities", "MaxEventBrokers", "2"),
        attribute("tev:Capabilities", "EventBrokerProtocols", None),
    ),
)
answer_defect(
    "odd-broker-protocol",
    "EventBrokerProtocols has a scheme that is none",
    "EVENT-5-1-1",
    "GetServiceCapabilities",
    attribute("tev:Capabilities", "EventBrokerProtocols", "mqtt carrier-pigeon"),
)


# ---- subscriptions ------------------------------------------------------------------------------------

for _id, _operation, _prefix, _case in (
    ("pull-point", "CreatePullPointSubscription", "tev", "EVENT-3-1-9"),
    ("subscription", "Subscribe", "wsnt", "EVENT-2-1-9"),
):
    answer_defect(
        f"short-{_id}",
        f"TerminationTime of {_operation} is sooner than asked for",
        _case,
        _operation,
        _shift("wsnt:TerminationTime", "wsnt:CurrentTime", 5),
    )
    answer_defect(
        f"no-address-of-{_id}",
        f"the reference in {_operation}Response has a path alone",
        _case,
        _operation,
        write(f"{_prefix}:SubscriptionReference/wsa:Address", "/onvif/subscription/1"),
    )
    answer_defect(
        f"no-current-time-of-{_id}",
        f"{_operation}Response has no CurrentTime",
        _case,
        _operation,
        remove("wsnt:CurrentTime"),
    )

answer_defect(
    "short-renewal",
    "Renew grants less than asked for",
    "EVENT-3-1-12",
    "Renew",
    _shift("wsnt:TerminationTime", "wsnt:CurrentTime", 2),
)
answer_defect(
    "late-renewal",
    "Renew answers with a TerminationTime that is over",
    "EVENT-2-1-12",
    "Renew",
    _shift("wsnt:TerminationTime", "wsnt:CurrentTime", -30),
)
answer_defect(
    "renewal-without-current-time",
    "RenewResponse has no CurrentTime",
    "EVENT-2-1-12",
    "Renew",
    remove("wsnt:CurrentTime"),
)


@defect("no-absolute-time", "Renew takes durations, not dates", "EVENT-2-1-12", "Renew")
async def no_absolute_time(exchange: Exchange, stage: Stage) -> Answer:
    wanted = text(body_of(exchange.root), "wsnt:TerminationTime")
    return await stage.forward(exchange) if wanted.startswith("P") else fault("env:Receiver", "ter:Action")


def _unsubscribed(name: str, what: str, case: str) -> None:
    @defect(name, what, case, "Unsubscribe", "Renew")
    async def ignored(exchange: Exchange, stage: Stage) -> Answer:
        answer = await stage.forward(exchange)
        if not answer.is_fault:
            return answer
        operation = exchange.operation
        action = f"{WSNTW}/SubscriptionManager/{operation}Response"
        times = "<wsnt:TerminationTime>2030-01-01T00:00:10Z</wsnt:TerminationTime><wsnt:CurrentTime>2030-01-01T00:00:00Z</wsnt:CurrentTime>"
        return succeed(
            f"<wsnt:{operation}Response>{times if operation == 'Renew' else ''}</wsnt:{operation}Response>",
            action=action,
        )


_unsubscribed("unsubscribe-ignored", "a pull point can be unsubscribed again and again", "EVENT-3-1-19")
_unsubscribed("renewed-after-the-end", "a subscription can be renewed after Unsubscribe", "EVENT-2-1-21")
_unsubscribed("unsubscribe-twice", "a subscription can be unsubscribed again and again", "EVENT-2-1-22")
_unsubscribed("subscription-outlives", "a pull point lives on after its TerminationTime", "EVENT-3-1-20")
answer_defect(
    "fault-with-other-action",
    "faults have not the action of faults",
    "EVENT-3-1-19",
    "Unsubscribe",
    _action(f"{WSNTW}/SubscriptionManager/UnsubscribeResponse"),
    faults=True,
)


@defect("unsubscribe-refused", "Unsubscribe is refused", "EVENT-3-1-36", "Unsubscribe")
async def unsubscribe_refused(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    return answer if answer.is_fault or answer.status == 401 else fault("env:Receiver", "ter:Action")


@defect("unsubscribe-of-push-refused", "Unsubscribe is refused", "EVENT-2-1-28", "Unsubscribe")
async def unsubscribe_of_push_refused(exchange: Exchange, stage: Stage) -> Answer:
    return await unsubscribe_refused(exchange, stage)


# ---- filters ------------------------------------------------------------------------------------------


def _without(*paths: str) -> Callable[[Any], None]:
    return several(*(remove(path) for path in paths))


def _filters(case: str, name: str, what: str, part: str, operation: str = "CreatePullPointSubscription") -> None:
    prefix = "tev" if operation.startswith("Create") else "wsnt"
    request_defect(name, what, case, operation, _without(f"{prefix}:Filter/wsnt:{part}"))


_filters("EVENT-3-1-16", "topic-filter-ignored", "topic filters of pull points are ignored", "TopicExpression")
_filters("EVENT-3-1-38", "content-filter-ignored", "content filters of pull points are ignored", "MessageContent")
_filters(
    "EVENT-3-1-17", "bad-content-filter-accepted", "a content filter with a wrong syntax is accepted", "MessageContent"
)
_filters("EVENT-3-1-22", "bad-topic-accepted", "a topic expression that means nothing is accepted", "TopicExpression")
_filters(
    "EVENT-2-1-18",
    "pushed-topic-filter-ignored",
    "topic filters of subscriptions are ignored",
    "TopicExpression",
    "Subscribe",
)
_filters(
    "EVENT-2-1-29",
    "pushed-content-filter-ignored",
    "content filters of subscriptions are ignored",
    "MessageContent",
    "Subscribe",
)
_filters(
    "EVENT-2-1-19",
    "bad-pushed-content-filter-accepted",
    "Subscribe takes a content filter with a wrong syntax",
    "MessageContent",
    "Subscribe",
)
_filters(
    "EVENT-2-1-23",
    "bad-pushed-topic-accepted",
    "Subscribe takes a topic expression that means nothing",
    "TopicExpression",
    "Subscribe",
)


def _expression(change: Callable[[str], str]) -> Callable[[Any], None]:
    def edit(root: Any) -> None:
        for each in body_of(root).iter(clark("wsnt:TopicExpression")):
            each.text = change(text(each))

    return edit


for _operation, _or, _tree, _both in (
    ("CreatePullPointSubscription", "EVENT-3-1-33", "EVENT-3-1-34", "EVENT-3-1-35"),
    ("Subscribe", "EVENT-2-1-25", "EVENT-2-1-26", "EVENT-2-1-27"),
):
    _way = "pull points" if _operation != "Subscribe" else "subscriptions"
    _name = "" if _operation != "Subscribe" else "pushed-"
    request_defect(
        f"{_name}or-is-first",
        f"of topics joined by | in {_way} only the first counts",
        _or,
        _operation,
        _expression(lambda value: value.partition("|")[0]),
    )
    request_defect(
        f"{_name}tree-is-root",
        f"//. in {_way} means the root topic alone",
        _tree,
        _operation,
        _expression(lambda value: value.replace("//.", "")),
    )
    request_defect(
        f"{_name}tree-swallows-or",
        f"what follows //. in {_way} is not read",
        _both,
        _operation,
        _expression(lambda value: value.partition("//.")[2].lstrip("|") or value),
    )


answer_defect(
    *("fault-without-timestamp", "the fault of a wrong topic has no Timestamp", "EVENT-3-1-22"),
    *("CreatePullPointSubscription", remove("env:Detail//wsrf-bf:Timestamp")),
    faults=True,
)


@defect(
    "other-fault-for-topic",
    "a wrong topic is refused with ter:InvalidArgVal",
    "EVENT-3-1-22",
    "CreatePullPointSubscription",
)
async def other_fault_for_topic(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    if not answer.is_fault or answer.status == 401:
        return answer
    made = fault("env:Sender", "ter:InvalidArgVal")
    root = made.root
    header = etree.SubElement(root.find("env:Header", NS), clark("wsa:Action"))
    header.text = "http://www.w3.org/2005/08/addressing/soap/fault"
    return made.with_root(root)


# ---- pulling ------------------------------------------------------------------------------------------

request_defect(
    "message-limit-ignored",
    "MessageLimit of PullMessages is ignored",
    "EVENT-3-1-15",
    "PullMessages",
    write("tev:MessageLimit", "100"),
)


@defect("pull-late", "PullMessages keeps messages back for some seconds", "EVENT-3-1-15", "PullMessages")
async def pull_late(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    if b"NotificationMessage" in answer.content:
        await asyncio.sleep(3.0)
    return answer


answer_defect(
    "message-without-time",
    "messages have no UtcTime",
    "EVENT-3-1-15",
    "PullMessages",
    attribute("wsnt:NotificationMessage/wsnt:Message/tt:Message", "UtcTime", None),
)
answer_defect(
    "message-without-topic",
    "messages have no Topic",
    "EVENT-3-1-15",
    "PullMessages",
    remove("wsnt:NotificationMessage/wsnt:Topic"),
)
answer_defect(
    "never-a-property",
    "messages have no PropertyOperation",
    "EVENT-3-1-16",
    "PullMessages",
    attribute("wsnt:NotificationMessage/wsnt:Message/tt:Message", "PropertyOperation", None),
)
answer_defect(
    "nothing-initialized",
    "the state at the beginning comes as Changed",
    "EVENT-3-1-25",
    "PullMessages",
    attribute("wsnt:NotificationMessage/wsnt:Message/tt:Message", "PropertyOperation", "Changed"),
)
answer_defect(
    "pulled-after-the-end",
    "PullMessagesResponse has a TerminationTime that is over",
    "EVENT-3-1-15",
    "PullMessages",
    _shift("tev:TerminationTime", "tev:CurrentTime", -1),
)


@defect("synchronization-ignored", "SetSynchronizationPoint does nothing", "EVENT-3-1-25", "SetSynchronizationPoint")
async def synchronization_ignored(exchange: Exchange, stage: Stage) -> Answer:
    action = f"{NS['tev']}/PullPointSubscription/SetSynchronizationPointResponse"
    return (
        succeed("<tev:SetSynchronizationPointResponse/>", action=action)
        if exchange.user
        else await stage.forward(exchange)
    )


@defect(
    "pushed-synchronization-ignored",
    "SetSynchronizationPoint does nothing for subscriptions",
    "EVENT-2-1-24",
    "SetSynchronizationPoint",
)
async def pushed_synchronization_ignored(exchange: Exchange, stage: Stage) -> Answer:
    return await synchronization_ignored(exchange, stage)


@defect("pull-early", "PullMessages is answered at once without messages", "EVENT-3-1-32", "PullMessages")
async def pull_early(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    root = answer.root
    if not answer.is_fault and answer.status == 200:
        remove("wsnt:NotificationMessage")(root)
        return answer.with_root(root)
    return answer


@defect("minute-refused", "a Timeout of a minute is refused", "EVENT-3-1-32", "PullMessages")
async def minute_refused(exchange: Exchange, stage: Stage) -> Answer:
    if not exchange.user:
        return await stage.forward(exchange)
    inside = "<tev:PullMessagesFaultResponse><tev:MaxTimeout>PT30S</tev:MaxTimeout><tev:MaxMessageLimit>10</tev:MaxMessageLimit></tev:PullMessagesFaultResponse>"
    made = fault("env:Receiver", "ter:Action")
    root = made.root
    detail = etree.SubElement(body_of(root), clark("env:Detail"))
    detail.append(
        etree.fromstring(
            inside.replace(
                "<tev:PullMessagesFaultResponse>", f'<tev:PullMessagesFaultResponse xmlns:tev="{NS["tev"]}">'
            )
        )
    )
    return made.with_root(root)


@defect(
    "pull-keeps-nobody-alive",
    "PullMessages does not extend the life of the pull point",
    "EVENT-3-1-24",
    "CreatePullPointSubscription",
    "PullMessages",
)
async def pull_keeps_nobody_alive(exchange: Exchange, stage: Stage) -> Answer:
    answer = await stage.forward(exchange)
    root = answer.root
    if answer.is_fault or answer.status != 200:
        return answer
    body = body_of(root)
    if exchange.operation == "PullMessages":
        if "end" in stage.memory:
            find(body, "tev:TerminationTime").text = stage.memory["end"]
    else:
        stage.memory["end"] = text(body, "wsnt:TerminationTime")
    return answer.with_root(root)


@defect("one-pull-point", "every client gets the same pull point", "EVENT-3-1-37", "CreatePullPointSubscription")
async def one_pull_point(exchange: Exchange, stage: Stage) -> Answer:
    if exchange.user and "answer" in stage.memory:
        return stage.memory["answer"]  # type: ignore[no-any-return]
    answer = await stage.forward(exchange)
    if answer.status == 200:
        stage.memory["answer"] = answer
    return answer


@defect(
    "few-pull-points",
    "fewer pull points are granted than MaxPullPoints says",
    "EVENT-3-1-37",
    "CreatePullPointSubscription",
)
async def few_pull_points(exchange: Exchange, stage: Stage) -> Answer:
    if exchange.user:
        stage.memory["count"] = stage.memory.get("count", 0) + 1
        if stage.memory["count"] > 3:
            return fault("env:Receiver", "ter:Action")
    return await stage.forward(exchange)


@defect(
    "pull-before-its-time",
    "PullMessages with nothing to tell is answered before its Timeout",
    "CORE-EVENT-1",
    "PullMessages",
)
async def pull_before_its_time(exchange: Exchange, stage: Stage) -> Answer:
    root = exchange.root
    write("tev:Timeout", "PT1S")(root)
    return (
        await stage.forward_as_administrator(exchange.with_root(root))
        if exchange.user
        else await stage.forward(exchange)
    )


@defect(
    "pull-after-its-time",
    "PullMessages with nothing to tell is answered long after its Timeout",
    "CORE-EVENT-1",
    "PullMessages",
)
async def pull_after_its_time(exchange: Exchange, stage: Stage) -> Answer:
    began = time.monotonic()
    answer = await stage.forward(exchange)
    if answer.status == 200 and b"NotificationMessage" not in answer.content and time.monotonic() - began > 0.5:
        await asyncio.sleep(4.0)
    return answer


# ---- pushing ------------------------------------------------------------------------------------------


def _pushed(name: str, what: str, case: str, change: Callable[[bytes], bytes], path: str = "") -> None:
    """What is sent to consumers goes through the proxy."""

    async def apply(exchange: Exchange, stage: Stage) -> Answer:
        root = exchange.root
        for each in found(root, "wsnt:ConsumerReference/wsa:Address"):
            each.text = stage.relay(text(each) + path, change)
        return (
            await stage.forward_as_administrator(exchange.with_root(root))
            if exchange.user
            else await stage.forward(exchange)
        )

    add(Defect(name, what, case, apply, frozenset({"Subscribe"})))


def _edited(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        root = parse(content)
        if root is None:
            return content
        change(root)
        return serialize(root)

    return edit


_pushed(
    "notify-elsewhere",
    "Notify is sent to another path than the consumer's",
    "EVENT-2-1-17",
    lambda content: content,
    "/elsewhere",
)
_pushed("notify-without-action", "Notify has no wsa:Action", "EVENT-2-1-17", _edited(_no_header))
_pushed(
    "notify-without-time",
    "messages in Notify have no UtcTime",
    "EVENT-2-1-17",
    _edited(attribute("wsnt:NotificationMessage/wsnt:Message/tt:Message", "UtcTime", None)),
)
_pushed(
    "notify-never-initialized",
    "the state at the beginning is pushed as Changed",
    "EVENT-2-1-24",
    _edited(attribute("wsnt:NotificationMessage/wsnt:Message/tt:Message", "PropertyOperation", "Changed")),
)


@defect("subscribe-by-prefix", "Subscribe is understood only with the usual prefixes", "EVENT-4-1-8", "Subscribe")
async def subscribe_by_prefix(exchange: Exchange, stage: Stage) -> Answer:
    known = b"<wsnt:Subscribe" in exchange.content or b"<Subscribe" in exchange.content
    return await stage.forward(exchange) if known else fault("env:Sender", "ter:WellFormed")


@defect(
    "subscribe-without-default",
    "a default namespace on each tag of Subscribe is not understood",
    "EVENT-4-1-6",
    "Subscribe",
)
async def subscribe_without_default(exchange: Exchange, stage: Stage) -> Answer:
    return fault("env:Sender", "ter:WellFormed") if b"<Subscribe" in exchange.content else await stage.forward(exchange)


# ---- seeking ------------------------------------------------------------------------------------------


def _forget_begin(root: Any) -> None:
    for each in found(root, "wsnt:NotificationMessage"):
        if text(each, "wsnt:Topic").endswith("EventBuffer/Begin"):
            each.getparent().remove(each)


answer_defect(
    "no-begin-of-buffer", "tns1:EventBuffer/Begin is never sent", "EVENT-6-1-3", "PullMessages", _forget_begin
)
request_defect("never-reverse", "Seek goes forward only", "EVENT-6-1-5", "Seek", remove("tev:Reverse"))


# ---- brokers ------------------------------------------------------------------------------------------


def _broker_password(root: Any) -> None:
    for each in found(root, "tev:EventBroker"):
        secret = etree.Element(clark("tev:Password"))
        secret.text = "TestPassword"
        after = find(each, "tev:UserName")
        if after is not None:
            after.addnext(secret)


answer_defect(
    "broker-password-told", "GetEventBrokers tells passwords", "EVENT-7-1-2", "GetEventBrokers", _broker_password
)


def _broker(name: str, what: str, case: str, operation: str, mark: bytes) -> None:
    @defect(name, what, case, operation)
    async def ignored(exchange: Exchange, stage: Stage) -> Answer:
        if mark in exchange.content and exchange.user:
            return succeed(f"<tev:{operation}Response/>", action=f"{NS['tev']}/EventPortType/{operation}Response")
        return await stage.forward(exchange)


_broker(
    "broker-not-changed",
    "AddEventBroker does not change a broker that is there",
    "EVENT-7-1-3",
    "AddEventBroker",
    b"TestDevice1",
)
_broker("broker-not-deleted", "DeleteEventBroker does nothing", "EVENT-7-1-4", "DeleteEventBroker", b"Address")
request_defect(
    "broker-without-login",
    "brokers are called without user name and password",
    "EVENT-7-2-1",
    "AddEventBroker",
    _without("tev:EventBroker/tev:UserName", "tev:EventBroker/tev:Password"),
)
request_defect(
    "broker-quality-ignored",
    "messages are published with QoS 0 whatever was asked for",
    "EVENT-7-2-5",
    "AddEventBroker",
    write("tev:EventBroker/tev:QoS", "0"),
)
request_defect(
    "broker-filter-ignored",
    "brokers get all events whatever PublishFilter says",
    "EVENT-7-2-7",
    "AddEventBroker",
    remove("tev:EventBroker/tev:PublishFilter"),
)
