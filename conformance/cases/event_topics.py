"""Topics for the cases of events: what is declared, and what lives."""

from __future__ import annotations

import time

from conformance.cases.event_common import PULL_POINT, ask_event, pull_point
from conformance.cases.event_messages import pull
from conformance.cases.event_values import Topic, patience, topics_of
from conformance.model import Examination
from conformance.names import find


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
