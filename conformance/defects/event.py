"""Defects of the event service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from conformance.defects.model import (
    Answer,
    Exchange,
    Stage,
    answer_defect,
    attribute,
    body_of,
    defect,
    fault,
    found,
    remove,
    request_defect,
    several,
    succeed,
    write,
)
from conformance.names import NS, clark, text

WSNTW = NS["wsntw"]


def moment(element: Any) -> datetime:
    return datetime.fromisoformat(text(element))


def stamp(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def shift(path: str, from_: str, seconds: float) -> Callable[[Any], None]:
    """Write another time plus some seconds."""

    def change(root: Any) -> None:
        for each in found(root, path):
            source = each.getparent().find(from_, NS)
            if source is not None:
                each.text = stamp(moment(source) + timedelta(seconds=seconds))

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


def no_header(root: Any) -> None:
    for each in root.findall("env:Header", NS):
        root.remove(each)


answer_defect(
    "no-addressing", "answers have no WS-Addressing headers", "EVENT-3-1-9", "CreatePullPointSubscription", no_header
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
        shift("wsnt:TerminationTime", "wsnt:CurrentTime", 5),
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
    shift("wsnt:TerminationTime", "wsnt:CurrentTime", 2),
)
answer_defect(
    "late-renewal",
    "Renew answers with a TerminationTime that is over",
    "EVENT-2-1-12",
    "Renew",
    shift("wsnt:TerminationTime", "wsnt:CurrentTime", -30),
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


def without(*paths: str) -> Callable[[Any], None]:
    return several(*(remove(path) for path in paths))


def _filters(case: str, name: str, what: str, part: str, operation: str = "CreatePullPointSubscription") -> None:
    prefix = "tev" if operation.startswith("Create") else "wsnt"
    request_defect(name, what, case, operation, without(f"{prefix}:Filter/wsnt:{part}"))


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
