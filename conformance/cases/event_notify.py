"""Test/Event 5.2 and 5.4: basic notification, and namespaces."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from conformance.auth import username_token
from conformance.cases.event_common import (
    ACTIONS,
    BASIC,
    LIFETIME,
    LONG,
    SERVICE,
    Subscription,
    acceptable_time,
    action_of,
    check_action,
    check_times,
    consumer,
    filter_of,
    forget,
    read_subscription,
    refuse_event,
    renew,
    subscribe_request,
    subscription,
    synchronize,
    unsubscribe,
)
from conformance.cases.event_messages import Message, content_filter, notify_each
from conformance.cases.event_pull import repeats
from conformance.cases.event_topics import living, topic_set, two_topics
from conformance.cases.event_values import Topic, duration, patience
from conformance.consumer import Consumer
from conformance.model import Examination, Failure, case
from conformance.soap import addressing, envelope, expect_response
from conformance.spelling import Spelling, respell

REQUIRES = (SERVICE, BASIC)
INVALID_CONTENT = 'boolean((//tt:SimpleItem[@Name="xyz" and @Value="xyz"])'


@case("EVENT-2-1-9", document="Event", name="BASIC NOTIFICATION INTERFACE - SUBSCRIBE", requires=REQUIRES)
async def subscribe(x: Examination) -> None:
    async with consumer(x) as listener, subscription(x, listener):
        pass


@case("EVENT-2-1-12", document="Event", name="BASIC NOTIFICATION INTERFACE - RENEW", requires=REQUIRES)
async def renew_subscription(x: Examination) -> None:
    async with consumer(x) as listener, subscription(x, listener) as sub:
        current, termination = await renew(x, sub, LIFETIME)
        check_times(x, "RenewResponse", current, termination, LIFETIME)
        # Times are the device's: its clock need not be ours.
        until = current + LIFETIME
        current, termination = await renew(x, sub, until)
        until = until.replace(microsecond=until.microsecond // 1000 * 1000)
        x.check(
            termination >= until and current <= termination,
            f"Renew until {until}: CurrentTime is {current}, TerminationTime {termination} (Event Test 5.2.2)",
        )


@contextlib.asynccontextmanager
async def _pushed(
    x: Examination, filter_: str = "", lifetime: timedelta = LONG
) -> AsyncIterator[tuple[Consumer, Subscription]]:
    async with consumer(x) as listener, subscription(x, listener, filter_, lifetime) as sub:
        yield listener, sub


@case("EVENT-2-1-17", document="Event", name="BASIC NOTIFICATION INTERFACE - NOTIFY", requires=REQUIRES)
async def notify(x: Examination) -> None:
    async with _pushed(x) as (listener, sub):
        await synchronize(x, sub)
        async for _ in notify_each(x, listener, patience(x)):
            return
        x.fail(f"no Notify within {patience(x):g} s after SetSynchronizationPoint (Event Test 5.2.3)")


@case("EVENT-2-1-18", document="Event", name="BASIC NOTIFICATION INTERFACE - NOTIFY FILTER", requires=REQUIRES)
async def notify_filter(x: Examination) -> None:
    (topic,) = await living(x, 1)
    async with _pushed(x, filter_of(topic)) as (listener, sub):
        await synchronize(x, sub)
        async for messages in notify_each(x, listener, patience(x)):
            for message in messages:
                x.check(message.topic == topic, f"topic {message.topic} does not match the filter {topic}")
            if any(message.operation for message in messages):
                return
        x.fail(f"no Notify with a property of {topic} within {patience(x):g} s (Event Test 5.2.4)")


@case(
    "EVENT-2-1-19",
    document="Event",
    name="BASIC NOTIFICATION INTERFACE - INVALID MESSAGE CONTENT FILTER",
    requires=REQUIRES,
)
async def invalid_content_filter(x: Examination) -> None:
    async with consumer(x) as listener:
        body = subscribe_request(listener.url, filter_of(content=INVALID_CONTENT))
        await refuse_event(x, "Subscribe", body, "InvalidFilterFault", "InvalidMessageContentExpressionFault")


@case(
    "EVENT-2-1-21",
    document="Event",
    name="BASIC NOTIFICATION INTERFACE - UNSUBSCRIBE (NEGATIVE TEST)",
    requires=REQUIRES,
)
async def unsubscribe_negative(x: Examination) -> None:
    async with _pushed(x, lifetime=LIFETIME) as (_, sub):
        await unsubscribe(x, sub)
        body = f"<wsnt:Renew><wsnt:TerminationTime>{duration(LIFETIME)}</wsnt:TerminationTime></wsnt:Renew>"
        await refuse_event(x, "Renew", body, sub=sub)


@case("EVENT-2-1-22", document="Event", name="BASIC NOTIFICATION INTERFACE - RESOURCE UNKNOWN", requires=REQUIRES)
async def resource_unknown(x: Examination) -> None:
    async with _pushed(x, lifetime=LIFETIME) as (_, sub):
        await unsubscribe(x, sub)
        await refuse_event(x, "Unsubscribe", "<wsnt:Unsubscribe/>", sub=sub)


@case(
    "EVENT-2-1-23", document="Event", name="BASIC NOTIFICATION INTERFACE - INVALID TOPIC EXPRESSION", requires=REQUIRES
)
async def invalid_topic(x: Examination) -> None:
    async with consumer(x) as listener:
        wrong = 'boolean(//tt:SimpleItem[@Name="xyz" and @Value="xyz"])'
        names = ("InvalidFilterFault", "TopicNotSupportedFault", "TopicNotSupported", "InvalidTopicExpressionFault")
        await refuse_event(x, "Subscribe", subscribe_request(listener.url, filter_of(wrong)), *names)


async def _property(x: Examination) -> Topic | None:
    if not any(each.is_property for each in await topic_set(x)):
        x.note("no topic of the TopicSet is a property: nothing to examine")
        return None
    return (await living(x, 1))[0]


async def _initialized(x: Examination, listener: Consumer, topic: Topic) -> Message:
    async for messages in notify_each(x, listener, patience(x)):
        for message in messages:
            x.check(message.topic == topic, f"topic {message.topic} does not match the filter {topic}")
            if message.operation == "Initialized":
                return message
    raise Failure(f"no Notify of {topic} with PropertyOperation Initialized within {patience(x):g} s (Core 9.4.1)")


@case(
    "EVENT-2-1-24", document="Event", name="BASIC NOTIFICATION INTERFACE - SET SYNCHRONIZATION POINT", requires=REQUIRES
)
async def set_synchronization_point(x: Examination) -> None:
    topic = await _property(x)
    if topic is None:
        return
    async with _pushed(x, filter_of(topic)) as (listener, sub):
        first = await _initialized(x, listener, topic)
        # What was pushed before belongs to the subscription, not to the synchronization point.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                async for _ in notify_each(x, listener, 1.0):
                    pass
        await synchronize(x, sub)
        async for messages in notify_each(x, listener, patience(x)):
            if any(repeats(message, first) for message in messages):
                break
        else:
            x.fail(f"the property {topic} was not repeated after SetSynchronizationPoint (Event Test 5.2.9)")
        await unsubscribe(x, sub)


async def _all_of(x: Examination, expression: str, wanted: tuple[Topic, ...], allowed: Callable[[Topic], bool]) -> None:
    """Every message is allowed, and one of each wanted topic arrives."""
    declare = " ".join({each.declaration for each in wanted})
    missing = set(wanted)
    async with _pushed(x, filter_of(expression, declare=declare)) as (listener, sub):
        async for messages in notify_each(x, listener, patience(x)):
            for message in messages:
                x.check(allowed(message.topic), f"topic {message.topic} does not match the filter {expression}")
                missing.discard(message.topic)
            if not missing:
                break
        named = ", ".join(map(str, missing))
        x.check(not missing, f"no Notify of {named} with the filter {expression} within {patience(x):g} s")
        await unsubscribe(x, sub)


@case(
    "EVENT-2-1-25",
    document="Event",
    name="BASIC NOTIFICATION INTERFACE - CONJUNCTION IN NOTIFY FILTER (OR OPERATION)",
    requires=REQUIRES,
)
async def filter_or(x: Examination) -> None:
    if (topics := await two_topics(x)) is not None:
        await _all_of(x, f"{topics[0]}|{topics[1]}", topics, lambda topic: topic in topics)


@case(
    "EVENT-2-1-26",
    document="Event",
    name="BASIC NOTIFICATION INTERFACE - TOPIC SUB-TREE IN PULLMESSAGES FILTER",
    requires=REQUIRES,
)
async def filter_sub_tree(x: Examination) -> None:
    (topic,) = await living(x, 1, properties_only=False)
    await _all_of(x, f"{topic.root_name}//.", (topic,), lambda each: each.root == topic.root)


@case(
    "EVENT-2-1-27",
    document="Event",
    name="BASIC NOTIFICATION INTERFACE - CONJUNCTION IN NOTIFY FILTER (TOPIC SUB-TREE AND OR OPERATION)",
    requires=REQUIRES,
)
async def filter_sub_tree_or(x: Examination) -> None:
    if (topics := await two_topics(x)) is None:
        return
    first, second = topics
    expression = f"{first.root_name}//.|{second}"
    await _all_of(x, expression, topics, lambda topic: topic.root == first.root or topic == second)


@case("EVENT-2-1-28", document="Event", name="BASIC NOTIFICATION INTERFACE - UNSUBSCRIBE", requires=REQUIRES)
async def unsubscribe_subscription(x: Examination) -> None:
    async with _pushed(x) as (_, sub):
        await asyncio.sleep(1)
        await unsubscribe(x, sub)


@case(
    "EVENT-2-1-29",
    document="Event",
    name="BASIC NOTIFICATION INTERFACE - MESSAGE CONTENT FILTER",
    requires=(*REQUIRES, "Event/Message Content Filter", "Event/ONVIF Message Content Filter Dialect"),
)
async def message_content_filter(x: Examination) -> None:
    topic = await _property(x)
    if topic is None:
        return
    async with _pushed(x, filter_of(topic)) as (listener, sub):
        first = await _initialized(x, listener, topic)
        await unsubscribe(x, sub)
    content, name, value = content_filter(x, first)
    async with _pushed(x, filter_of(content=content)) as (listener, sub):
        async for messages in notify_each(x, listener, patience(x)):
            for message in messages:
                x.check(
                    message.has_item(name, value),
                    f"the message of {message.topic} has no item {name}={value} though the filter asks for it",
                )
            if any(message.topic == topic and message.operation == "Initialized" for message in messages):
                break
        else:
            x.fail(f"no Notify of {topic} with the filter {content}")
        await unsubscribe(x, sub)


# ---- 5.4 namespaces -----------------------------------------------------------------------------------


async def _styled(x: Examination, spelling: Spelling) -> None:
    """Subscribe twice with the namespaces declared in an unusual way (Event Test 6.2)."""
    url = x.soap.address("tev")
    async with consumer(x) as listener:
        for _ in range(2):
            sub = await _subscribe_styled(x, url, listener, spelling, duration(LIFETIME))
            await forget(x, sub)


async def _subscribe_styled(
    x: Examination, url: str, listener: Consumer, spelling: Spelling, lifetime: str, retry: bool = True
) -> Subscription:
    headers = addressing(url, action_of("Subscribe"))
    token = x.soap.preferred != "digest" and bool(x.soap.user)
    if token:
        headers = username_token(x.soap.user, x.soap.password, offset=x.soap.clock_offset) + headers
    message = respell(envelope(subscribe_request(listener.url, lifetime=lifetime), headers), spelling)
    reply = await x.soap.call(url, message, action=action_of("Subscribe"), title="Subscribe")
    minimum = acceptable_time(reply.fault, "UnacceptableInitialTerminationTimeFault")
    if minimum is not None and retry:
        return await _subscribe_styled(x, url, listener, spelling, minimum, retry=False)
    answer = expect_response(reply, "Subscribe")
    check_action(x, reply, f"{ACTIONS['Subscribe']}SubscribeResponse")
    return read_subscription(x, answer, LIFETIME if retry else None)


def _register(id: str, spelling: Spelling) -> None:
    @case(id, document="Event", name=f"EVENT - NAMESPACES ({spelling.value.upper()})", requires=REQUIRES)
    async def namespaces(x: Examination) -> None:
        await _styled(x, spelling)


for _number, _spelling in enumerate(Spelling, 6):
    _register(f"EVENT-4-1-{_number}", _spelling)
