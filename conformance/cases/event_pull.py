"""Test/Event 5.3: real-time pull-point notification."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from conformance.cases.event_common import (
    LIFETIME,
    LONG,
    PULL_POINT,
    PULL_TIMEOUT,
    SERVICE,
    Subscription,
    ask_event,
    call_event,
    check_times,
    create_pull_point,
    filter_of,
    forget,
    pull_point,
    pull_point_request,
    refuse_event,
    renew,
    synchronize,
    unsubscribe,
)
from conformance.cases.event_messages import (
    Message,
    content_filter,
    drain,
    pull,
    pull_each,
    pull_limits,
    pull_request,
    read_pulled,
)
from conformance.cases.event_topics import living, topic_set, two_topics
from conformance.cases.event_values import Topic, patience
from conformance.model import Examination, Failure, case
from conformance.names import find

REQUIRES = (SERVICE, PULL_POINT)
INVALID_CONTENT = 'boolean((//tt:SimpleItem[@Name="xyz" and @Value="xyz"])'
EXPIRY = timedelta(seconds=20)
"""Lifetime of the pull point that is left to die (EVENT-3-1-20)."""
PULL_WAIT = 20.0


@case(
    "EVENT-3-1-9",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - CREATE PULL POINT SUBSCRIPTION",
    requires=REQUIRES,
)
async def create(x: Examination) -> None:
    async with pull_point(x, lifetime=LIFETIME):
        pass


@case("EVENT-3-1-12", document="Event", name="REALTIME PULLPOINT SUBSCRIPTION - RENEW", requires=REQUIRES)
async def renew_pull_point(x: Examination) -> None:
    async with pull_point(x, lifetime=LIFETIME) as sub:
        current, termination = await renew(x, sub, LIFETIME)
        check_times(x, "RenewResponse", current, termination, LIFETIME)


async def _property_messages(x: Examination, sub: Subscription, topic: Topic | None) -> None:
    """PullMessages with 20 s and 2 messages while SetSynchronizationPoint is called (EVENT-3-1-15, 16)."""
    deadline = time.monotonic() + PULL_WAIT
    pulling = asyncio.create_task(pull(x, sub, timeout=PULL_WAIT, limit=2))
    try:
        await asyncio.sleep(0.2)
        await synchronize(x, sub)
        synchronized = time.monotonic()
        pulled = await pulling
        late = time.monotonic() - synchronized
        bound = max(2.0, x.settings.operation_delay)
        x.check(
            not pulled.messages or late < bound,
            f"PullMessagesResponse with messages came {late:.1f} s after SetSynchronizationPoint: waiting messages shall be answered at once (Core 9.1.2)",
        )
        seen = 0
        while True:
            for message in pulled.messages:
                seen += 1
                x.check(
                    topic is None or message.topic == topic, f"topic {message.topic} does not match the filter {topic}"
                )
            if any(message.operation for message in pulled.messages):
                if topic is not None:
                    await drain(x, sub, lambda message: message.topic == topic, f"does not match the filter {topic}")
                return
            if time.monotonic() > deadline:
                x.fail(f"no property among the {seen} messages that followed SetSynchronizationPoint (Event Test 5.3)")
            pulled = await pull(x, sub, timeout=max(1.0, deadline - time.monotonic()), limit=2)
    finally:
        pulling.cancel()
        await asyncio.gather(pulling, return_exceptions=True)


@case("EVENT-3-1-15", document="Event", name="REALTIME PULLPOINT SUBSCRIPTION - PULLMESSAGES", requires=REQUIRES)
async def pull_messages(x: Examination) -> None:
    async with pull_point(x, lifetime=LONG) as sub:
        await _property_messages(x, sub, None)


@case("EVENT-3-1-16", document="Event", name="REALTIME PULLPOINT SUBSCRIPTION - PULLMESSAGES FILTER", requires=REQUIRES)
async def pull_messages_filter(x: Examination) -> None:
    (topic,) = await living(x, 1)
    async with pull_point(x, filter_of(topic), LONG) as sub:
        await _property_messages(x, sub, topic)


@case(
    "EVENT-3-1-17",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - INVALID MESSAGE CONTENT FILTER",
    requires=REQUIRES,
)
async def invalid_content_filter(x: Examination) -> None:
    body = pull_point_request(filter_of(content=INVALID_CONTENT), LIFETIME)
    await refuse_event(
        x, "CreatePullPointSubscription", body, "InvalidFilterFault", "InvalidMessageContentExpressionFault"
    )


@case(
    "EVENT-3-1-19",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - UNSUBSCRIBE (NEGATIVE TEST)",
    requires=REQUIRES,
)
async def unsubscribe_negative(x: Examination) -> None:
    async with pull_point(x, lifetime=LIFETIME) as sub:
        await unsubscribe(x, sub)
        await refuse_event(x, "Unsubscribe", "<wsnt:Unsubscribe/>", sub=sub)


@case("EVENT-3-1-20", document="Event", name="REALTIME PULLPOINT SUBSCRIPTION - TIMEOUT", requires=REQUIRES)
async def timeout(x: Examination) -> None:
    sub = await create_pull_point(x, lifetime=EXPIRY)
    # The device may have granted more than was asked for; the pull point is dead when its own time is over.
    await asyncio.sleep(max(EXPIRY.total_seconds(), (sub.termination - sub.current).total_seconds()))
    await asyncio.sleep(1)
    await refuse_event(x, "Unsubscribe", "<wsnt:Unsubscribe/>", sub=sub)


@case(
    "EVENT-3-1-22",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - INVALID TOPIC EXPRESSION",
    requires=REQUIRES,
)
async def invalid_topic(x: Examination) -> None:
    body = pull_point_request(filter_of("xyz"), LIFETIME)
    names = ("InvalidFilterFault", "TopicNotSupportedFault", "TopicNotSupported", "InvalidTopicExpressionFault")
    await refuse_event(x, "CreatePullPointSubscription", body, *names)


@case(
    "EVENT-3-1-24",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - PULLMESSAGES AS KEEP-ALIVE",
    requires=REQUIRES,
)
async def keep_alive(x: Examination) -> None:
    await topic_set(x)
    async with pull_point(x) as sub:
        await asyncio.sleep(1)
        wanted = (sub.termination - sub.current).total_seconds() + 20
        wait = max(x.settings.message_timeout, patience(x))
        reply = await call_event(x, "PullMessages", pull_request(wanted, 1), sub=sub, timeout=wait)
        limits = pull_limits(reply.fault)
        if limits is not None:
            x.check(
                limits[0] >= 60,
                f"MaxTimeout {limits[0]:g} s: a device shall accept time-outs of up to a minute (Core 9.1.2)",
            )
            reply = await call_event(x, "PullMessages", pull_request(limits[0], 1), sub=sub, timeout=wait)
        pulled = read_pulled(x, reply, 1, 0)
        x.check(
            pulled.termination > sub.termination,
            f"TerminationTime {pulled.termination} after PullMessages is not later than {sub.termination} (Event Test 5.3.9)",
        )


@case(
    "EVENT-3-1-25",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - SET SYNCHRONIZATION POINT",
    requires=REQUIRES,
)
async def set_synchronization_point(x: Examination) -> None:
    topic = await _property(x)
    if topic is None:
        return
    async with pull_point(x, filter_of(topic)) as sub:
        first = await _initialized(x, sub, topic)
        await synchronize(x, sub)
        async for message in pull_each(x, sub, patience(x)):
            if repeats(message, first):
                break
        else:
            x.fail(f"the property {topic} was not repeated after SetSynchronizationPoint (Event Test 5.3.10)")
        await unsubscribe(x, sub)


def repeats(message: Message, first: Message) -> bool:
    """Is it the same property instance, Initialized again?"""
    same = message.items("Source") == first.items("Source") and message.items("Key") == first.items("Key")
    return message.operation == "Initialized" and message.topic == first.topic and same


async def _property(x: Examination) -> Topic | None:
    """A topic with IsProperty; None (with a note) when the TopicSet has none."""
    if not any(each.is_property for each in await topic_set(x)):
        x.note("no topic of the TopicSet is a property: nothing to examine")
        return None
    return (await living(x, 1))[0]


async def _initialized(x: Examination, sub: Subscription, topic: Topic) -> Message:
    """The first Initialized message of a subscription to one topic."""
    async for message in pull_each(x, sub, patience(x)):
        x.check(message.topic == topic, f"topic {message.topic} does not match the filter {topic}")
        if message.operation == "Initialized":
            return message
    raise Failure(f"no message of {topic} with PropertyOperation Initialized within {patience(x):g} s (Core 9.4.1)")


@case(
    "EVENT-3-1-32",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - PULLMESSAGES TIMEOUT",
    requires=REQUIRES,
)
async def pull_timeout(x: Examination) -> None:
    async with pull_point(x) as sub:
        body = pull_request(PULL_TIMEOUT, 1)
        began = time.monotonic()
        reply = await call_event(x, "PullMessages", body, sub=sub, timeout=PULL_TIMEOUT + x.settings.message_timeout)
        x.check(pull_limits(reply.fault) is None, "a Timeout of 60 s was refused (Event Test 5.3.11)")
        pulled = read_pulled(x, reply, 1, time.monotonic() - began)
        x.check(
            pulled.messages or pulled.seconds > PULL_TIMEOUT - 1,
            f"PullMessages was answered without messages after {pulled.seconds:.1f} s though Timeout was 60 s (Core 9.1.2)",
        )
        await unsubscribe(x, sub)


async def _both(x: Examination, expression: str, wanted: tuple[Topic, Topic], allowed: Callable[[Topic], bool]) -> None:
    """Every message is allowed, and one of each wanted topic arrives."""
    first, second = wanted
    declare = " ".join({first.declaration, second.declaration})
    missing = set(wanted)
    async with pull_point(x, filter_of(expression, declare=declare)) as sub:
        async for message in pull_each(x, sub, patience(x)):
            x.check(allowed(message.topic), f"topic {message.topic} does not match the filter {expression}")
            missing.discard(message.topic)
            if not missing:
                break
        named = ", ".join(map(str, missing))
        x.check(not missing, f"no message of {named} with the filter {expression}")
        await drain(x, sub, lambda message: allowed(message.topic), f"does not match the filter {expression}")
        await unsubscribe(x, sub)


@case(
    "EVENT-3-1-33",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - CONJUNCTION IN PULLMESSAGES FILTER (OR OPERATION)",
    requires=REQUIRES,
)
async def filter_or(x: Examination) -> None:
    if (topics := await two_topics(x)) is not None:
        await _both(x, f"{topics[0]}|{topics[1]}", topics, lambda topic: topic in topics)


@case(
    "EVENT-3-1-34",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - TOPIC SUB-TREE IN PULLMESSAGES FILTER",
    requires=REQUIRES,
)
async def filter_sub_tree(x: Examination) -> None:
    (topic,) = await living(x, 1, properties_only=False)
    expression = f"{topic.root_name}//."
    async with pull_point(x, filter_of(expression, declare=topic.declaration)) as sub:
        async for message in pull_each(x, sub, patience(x)):
            x.check(message.topic.root == topic.root, f"topic {message.topic} does not match the filter {expression}")
            if message.topic == topic:
                break
        else:
            x.fail(f"no message of {topic} with the filter {expression}")
        await drain(x, sub, lambda message: message.topic.root == topic.root, f"does not match the filter {expression}")
        await unsubscribe(x, sub)


@case(
    "EVENT-3-1-35",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - CONJUNCTION IN NOTIFY FILTER (TOPIC SUB-TREE AND OR OPERATION)",
    requires=REQUIRES,
)
async def filter_sub_tree_or(x: Examination) -> None:
    if (topics := await two_topics(x)) is None:
        return
    first, second = topics
    expression = f"{first.root_name}//.|{second}"
    await _both(x, expression, topics, lambda topic: topic.root == first.root or topic == second)


@case("EVENT-3-1-36", document="Event", name="REALTIME PULLPOINT SUBSCRIPTION - UNSUBSCRIBE", requires=REQUIRES)
async def unsubscribe_pull_point(x: Examination) -> None:
    sub = await create_pull_point(x)
    await asyncio.sleep(1)
    try:
        await unsubscribe(x, sub)
    finally:
        await forget(x, sub)


@case(
    "EVENT-3-1-37",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - MAXIMUM SUPPORTED NUMBER OF NOTIFICATION PULL POINTS",
    requires=(*REQUIRES, "Event/MaxPullPoints capability"),
    bound=900.0,
)
async def maximum_number(x: Examination) -> None:
    capabilities = await ask_event(x, "GetServiceCapabilities", "<tev:GetServiceCapabilities/>")
    value = find(capabilities, "tev:Capabilities").get("MaxPullPoints")
    x.check(value is not None, "Capabilities has no MaxPullPoints")
    most = int(value)
    if most < 2:
        return
    await topic_set(x)
    subs: list[Subscription] = []
    try:
        for number in range(1, most + 1):
            sub = await create_pull_point(x)
            known = any((sub.address, sub.parameters) == (each.address, each.parameters) for each in subs)
            subs.append(sub)
            x.check(not known, f"pull point {number} has the same reference as another one (Core 9.1.6)")
            async for _ in pull_each(x, sub, patience(x)):
                break
            else:
                x.fail(f"no message from pull point {number} of {most} (Event Test 5.3.16)")
        for sub in subs:
            await unsubscribe(x, sub)
    finally:
        for sub in subs:
            await forget(x, sub)


@case(
    "EVENT-3-1-38",
    document="Event",
    name="REALTIME PULLPOINT SUBSCRIPTION - MESSAGE CONTENT FILTER",
    requires=(*REQUIRES, "Event/Message Content Filter", "Event/ONVIF Message Content Filter Dialect"),
)
async def message_content_filter(x: Examination) -> None:
    topic = await _property(x)
    if topic is None:
        return
    async with pull_point(x, filter_of(topic)) as sub:
        first = await _initialized(x, sub, topic)
        await unsubscribe(x, sub)
    content, name, value = content_filter(x, first)
    async with pull_point(x, filter_of(content=content)) as sub:
        async for message in pull_each(x, sub, patience(x)):
            x.check(
                message.has_item(name, value),
                f"the message of {message.topic} has no item {name}={value} though the filter asks for it",
            )
            if message.topic == topic and message.operation == "Initialized":
                break
        else:
            x.fail(f"no message of {topic} with the filter {content}")
        await drain(x, sub, lambda message: message.has_item(name, value), f"does not match the filter {content}")
        await unsubscribe(x, sub)
