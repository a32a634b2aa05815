"""Defects of the event service: what is pulled, pushed, sought and published."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from lxml import etree

from conformance.defects.event import no_header, shift, without
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
    succeed,
    write,
)
from conformance.names import NS, clark, find, text

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
    shift("tev:TerminationTime", "tev:CurrentTime", -1),
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
_pushed("notify-without-action", "Notify has no wsa:Action", "EVENT-2-1-17", _edited(no_header))
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
    without("tev:EventBroker/tev:UserName", "tev:EventBroker/tev:Password"),
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
