"""Test/Event 5.6: seeking in the persistent notification storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from conformance.cases.event_common import LONG, PULL_POINT, SERVICE, Subscription, ask_event, filter_of, pull_point
from conformance.cases.event_messages import Message, pull
from conformance.cases.event_topics import topic_set
from conformance.cases.event_values import BEGIN_OF_BUFFER, stamp
from conformance.model import Examination, case

REQUIRES = (SERVICE, PULL_POINT, "Event/Persistent Notification Storage")
EMPTY_WAIT = 20.0
"""Timeout of PullMessages in these cases; an empty answer takes that long."""
DISORDER = timedelta(seconds=5)
MAX_SOUGHT = 20_000
BOUND = 600.0


async def seek(x: Examination, sub: Subscription, to: datetime, *, reverse: bool | None = None) -> None:
    way = "" if reverse is None else f"<tev:Reverse>{str(reverse).lower()}</tev:Reverse>"
    await ask_event(x, "Seek", f"<tev:Seek><tev:UtcTime>{stamp(to)}</tev:UtcTime>{way}</tev:Seek>", sub=sub)


async def _begin(x: Examination, sub: Subscription) -> Message:
    """The next message, which must be tns1:EventBuffer/Begin."""
    pulled = await pull(x, sub, timeout=EMPTY_WAIT, limit=1)
    x.check(pulled.messages, "PullMessages after Seek gave no message, expected tns1:EventBuffer/Begin (Core 9.1.5)")
    message = pulled.messages[0]
    x.check(
        message.topic == BEGIN_OF_BUFFER, f"topic {message.topic} after Seek, expected {BEGIN_OF_BUFFER} (Core 9.1.5)"
    )
    return message


async def _nothing(x: Examination, sub: Subscription) -> None:
    pulled = await pull(x, sub, timeout=EMPTY_WAIT, limit=1)
    named = ", ".join(str(each.topic) for each in pulled.messages)
    x.check(
        not pulled.messages,
        f"a second message ({named}) though begin of buffer is told once for each Seek (Event Test 5.6.1)",
    )


async def begin_of_buffer(x: Examination) -> datetime:
    """Event Test 6.4."""
    async with pull_point(x, filter_of(BEGIN_OF_BUFFER), LONG) as sub:
        await seek(x, sub, sub.current, reverse=True)
        return (await _begin(x, sub)).utc


@case("EVENT-6-1-3", document="Event", name="SEEK EVENTS - BEGIN OF BUFFER", requires=REQUIRES, bound=BOUND)
async def seek_begin(x: Examination) -> None:
    declared = {each: each for each in await topic_set(x)}
    x.check(BEGIN_OF_BUFFER in declared, f"the TopicSet has no {BEGIN_OF_BUFFER} (Event Test 5.6.1)")
    x.check(
        not declared[BEGIN_OF_BUFFER].is_property, f"{BEGIN_OF_BUFFER} is declared as a property (Event Test 5.6.1)"
    )
    async with pull_point(x, filter_of(BEGIN_OF_BUFFER), LONG) as sub:
        await seek(x, sub, sub.current, reverse=True)
        begin = await _begin(x, sub)
        await _nothing(x, sub)
        await seek(x, sub, begin.utc, reverse=False)
        await _begin(x, sub)
        await _nothing(x, sub)


async def _sought(x: Examination, sub: Subscription, begin: datetime, last: Callable[[Message], bool]) -> list[Message]:
    """Messages after Seek, one by one, until `last(message)` or an empty answer."""
    found: list[Message] = []
    while len(found) < MAX_SOUGHT:
        pulled = await pull(x, sub, timeout=EMPTY_WAIT, limit=1)
        if not pulled.messages:
            return found
        (message,) = pulled.messages
        x.check(
            message.utc >= begin - timedelta(milliseconds=1),
            f"message of {message.utc} is older than the begin of the buffer, {begin} (Event Test 5.6)",
        )
        found.append(message)
        if last(message):
            return found
    x.note(f"{MAX_SOUGHT} messages are enough")
    return found


def _check_order(x: Examination, messages: Sequence[Message], *, reverse: bool) -> None:
    extreme = messages[0].utc
    for message in messages:
        late = message.utc - extreme if reverse else extreme - message.utc
        x.check(
            late <= DISORDER,
            f"message of {message.utc} follows one of {extreme}: messages must be in order of UtcTime (Event Test 5.6)",
        )
        extreme = min(extreme, message.utc) if reverse else max(extreme, message.utc)


@case("EVENT-6-1-4", document="Event", name="SEEK EVENTS", requires=REQUIRES, bound=BOUND)
async def seek_forward(x: Examination) -> None:
    begin = await begin_of_buffer(x)
    async with pull_point(x) as sub:
        await seek(x, sub, begin - timedelta(seconds=1))
        messages = await _sought(x, sub, begin, lambda message: message.utc >= sub.current)
        x.check(messages, "no message from the persistent notification storage (Event Test 5.6.2)")
        x.check(
            messages[0].topic == BEGIN_OF_BUFFER,
            f"the first message has topic {messages[0].topic}, expected {BEGIN_OF_BUFFER} (Event Test 5.6.2)",
        )
        _check_order(x, messages, reverse=False)
        stored = [each for each in messages if each.topic != BEGIN_OF_BUFFER and each.utc < sub.current]
        x.check(stored, "no event from the persistent notification storage (Event Test 5.6.2)")


@case("EVENT-6-1-5", document="Event", name="SEEK EVENTS - REVERSE", requires=REQUIRES, bound=BOUND)
async def seek_reverse(x: Examination) -> None:
    begin = await begin_of_buffer(x)
    async with pull_point(x) as sub:
        await seek(x, sub, sub.current, reverse=True)
        messages = await _sought(x, sub, begin, lambda message: message.topic == BEGIN_OF_BUFFER)
        x.check(messages, "no message from the persistent notification storage (Event Test 5.6.3)")
        x.check(
            len(messages) == MAX_SOUGHT or messages[-1].topic == BEGIN_OF_BUFFER,
            f"the last message has topic {messages[-1].topic}, expected {BEGIN_OF_BUFFER} (Event Test 5.6.3)",
        )
        _check_order(x, messages, reverse=True)
        stored = [each for each in messages if each.topic != BEGIN_OF_BUFFER]
        x.check(stored, "no event from the persistent notification storage (Event Test 5.6.3)")
