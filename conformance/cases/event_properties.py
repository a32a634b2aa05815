"""Test/Event 5.1 and 5.5: event properties and capabilities."""

from __future__ import annotations

from typing import Any

from lxml import etree

from conformance.cases.event_common import CONCRETE, CONCRETE_SET, ITEM_FILTER, SERVICE, ask_event
from conformance.cases.event_values import Topic, topics_of
from conformance.cases.security_common import differences
from conformance.model import Examination, case
from conformance.names import NS, find, findall, text
from conformance.soap import expect_response

PROTOCOLS = ("mqtt", "mqtts", "ws", "wss")


@case("EVENT-1-1-2", document="Event", name="GET EVENT PROPERTIES", requires=(SERVICE,))
async def get_event_properties(x: Examination) -> None:
    answer = await ask_event(x, "GetEventProperties", "<tev:GetEventProperties/>")
    dialects = {text(each) for each in findall(answer, "wsnt:TopicExpressionDialect")}
    for dialect in (CONCRETE, CONCRETE_SET):
        x.check(dialect in dialects, f"TopicExpressionDialect {dialect} is missing (Event Test 5.1.1)")
    contents = [text(each) for each in findall(answer, "tev:MessageContentFilterDialect")]
    # Core 9.4.4: a device without content filters says so by one empty element.
    x.check(
        ITEM_FILTER in contents or contents == [""],
        f"MessageContentFilterDialect {ITEM_FILTER} is missing (Event Test 5.1.1)",
    )
    locations = [text(each) for each in findall(answer, "tev:TopicNamespaceLocation")]
    x.check(locations and all(locations), "there is no TopicNamespaceLocation (Event Test 5.1.1)")
    fixed = text(answer, "wsnt:FixedTopicSet")
    x.check(fixed in ("true", "false", "1", "0"), f"FixedTopicSet is {fixed!r}")
    topic_set = find(answer, "wstop:TopicSet")
    topics = topics_of(topic_set)
    x.check(topics, "there is no topic in the TopicSet (Event Test 5.1.1)")
    for child in topic_set:
        named = isinstance(child.tag, str) and not child.tag.startswith("{")
        x.check(not named, f"the root topic {child.tag} has no namespace (WS-Topics 1.3, 5)")
    for topic in topics:
        _check_description(x, topic_set, topic)


def _check_description(x: Examination, topic_set: Any, topic: Topic) -> None:
    """Items of a message description have a name and a type that can be looked up (Core 9.5)."""
    node = _node(topic_set, topic)
    for item in node.iterfind(".//tt:MessageDescription//tt:SimpleItemDescription", NS):
        name, kind = item.get("Name"), item.get("Type", "")
        x.check(name, f"a SimpleItemDescription of {topic} has no Name")
        prefix, colon, _ = kind.rpartition(":")
        x.check(
            kind and item.nsmap.get(prefix if colon else None),
            f"Type {kind!r} of item {name} of {topic} is no QName in scope",
        )


def _node(topic_set: Any, topic: Topic) -> Any:
    for root in topic_set:
        if root.tag != topic.root:
            continue
        node = root
        for step in topic.path:
            node = next(
                (each for each in node if isinstance(each.tag, str) and etree.QName(each).localname == step), None
            )
            if node is None:
                break
        if node is not None:
            return node
    raise AssertionError(topic)


@case("EVENT-5-1-1", document="Event", name="EVENT SERVICE CAPABILITIES", requires=(SERVICE,))
async def event_service_capabilities(x: Examination) -> None:
    answer = await ask_event(x, "GetServiceCapabilities", "<tev:GetServiceCapabilities/>")
    capabilities = find(answer, "tev:Capabilities")
    listed = capabilities.get("EventBrokerProtocols", "").replace(",", " ").split()
    for each in listed:
        # "correspond to requirements for schema name": RFC 3986 3.1, and the values that Core 9.12.1.1 has.
        x.check(each in PROTOCOLS, f"EventBrokerProtocols has {each!r} (Core 9.12.1.1 knows {', '.join(PROTOCOLS)})")
    number = capabilities.get("MaxEventBrokers")
    most = int(number) if number is not None else 0
    x.check(
        not (most > 0 and not listed), f"MaxEventBrokers is {most} but EventBrokerProtocols is empty (Event Test 5.5.1)"
    )
    x.check(
        not (listed and most < 1), "EventBrokerProtocols is given but MaxEventBrokers is not above 0 (Event Test 5.5.1)"
    )


@case(
    "EVENT-5-1-2",
    document="Event",
    name="GET SERVICES AND EVENT SERVICE CAPABILITIES CONSISTENCY",
    requires=(SERVICE, "GetServices"),
)
async def event_capabilities_consistency(x: Examination) -> None:
    services = await x.ask(
        "tds", "<tds:GetServices><tds:IncludeCapability>true</tds:IncludeCapability></tds:GetServices>"
    )
    service = next(
        (each for each in findall(services, "tds:Service") if text(each, "tds:Namespace") == NS["tev"]), None
    )
    x.check(service is not None, "GetServices does not list the event service")
    there = find(service, "tds:Capabilities/tev:Capabilities")
    x.check(there is not None, "GetServices has no tev:Capabilities for the event service though they were asked for")
    reply = await x.soap.call("tev", "<tev:GetServiceCapabilities/>")
    here = find(expect_response(reply, "GetServiceCapabilities"), "tev:Capabilities")
    defaults = {
        **dict.fromkeys(("WSSubscriptionPolicySupport", "WSPausableSubscriptionManagerInterfaceSupport"), "false"),
        **dict.fromkeys(("WSPullPointSupport", "PersistentNotificationStorage", "MetadataOverMQTT"), "false"),
    }
    different = differences(there, here, defaults)
    x.check(not different, f"GetServices and GetServiceCapabilities disagree: {different} (Event Test 5.5.2)")
