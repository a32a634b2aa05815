"""Notification messages and the topic set as XML."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lxml import etree

from onvifd.clock import US
from onvifd.events import topics
from onvifd.events.types import Event, Operation
from onvifd.onvif.notification.messages import notification_message, topic_set
from onvifd.onvif.soap.codec import encode

TT = "{http://www.onvif.org/ver10/schema}"
WSNT = "{http://docs.oasis-open.org/wsn/b-2}"
WSTOP = "{http://docs.oasis-open.org/wsn/t-1}"
TNS1 = "{http://www.onvif.org/ver10/topics}"
MOTION = topics.motion_alarm("vs-1", True, 1_767_225_600 * US + 321_000)


def written(event: Event, producer: str | None = None) -> Any:
    return encode(notification_message(event, producer), f"{WSNT}NotificationMessage")


def test_message_of_a_property(official_schema: etree.XMLSchema) -> None:
    root = written(MOTION, "http://192.0.2.1/onvif/event_service")
    official_schema.assertValid(root)
    topic = root.find(f"{WSNT}Topic")
    assert topic.text == "tns1:VideoSource/MotionAlarm"
    assert topic.nsmap["tns1"] == TNS1[1:-1]
    assert topic.get("Dialect") == "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete"
    message = root.find(f"{WSNT}Message/{TT}Message")
    assert message.get("UtcTime") == "2026-01-01T00:00:00.321Z"
    assert message.get("PropertyOperation") == "Changed"
    assert dict(message.find(f"{TT}Source/{TT}SimpleItem").attrib) == {"Name": "Source", "Value": "vs-1"}
    assert dict(message.find(f"{TT}Data/{TT}SimpleItem").attrib) == {"Name": "State", "Value": "true"}
    assert message.find(f"{TT}Key") is None
    assert root.findtext(f"{WSNT}ProducerReference/{{*}}Address") == "http://192.0.2.1/onvif/event_service"


def test_message_that_is_no_property_carries_no_operation(official_schema: etree.XMLSchema) -> None:
    root = written(topics.profile_changed("p", 0))
    official_schema.assertValid(root)
    message = root.find(f".//{TT}Message")
    assert message.get("PropertyOperation") is None
    assert message.find(f"{TT}Data") is None
    assert root.find(f"{WSNT}ProducerReference") is None


def test_element_items_are_xml_and_survive_being_sent_twice(official_schema: etree.XMLSchema) -> None:
    event = Event(
        topic="RecordingConfig/JobState",
        utc=0,
        source=(("RecordingJobToken", "job-1"),),
        elements=(("Information", '<x:A xmlns:x="urn:x" v="&lt;">é<x:B/></x:A>'),),
        operation=Operation.CHANGED,
    )
    for _ in range(2):
        root = written(event)
        official_schema.assertValid(root)
        (item,) = root.iter(f"{TT}ElementItem")
        assert item.get("Name") == "Information"
        assert [child.tag for child in item] == ["{urn:x}A"]
        assert (item[0].get("v"), item[0].text) == ("<", "é")


def test_values_are_escaped() -> None:
    root = written(replace(MOTION, source=(("Source", '<&">'),)))
    again: Any = etree.fromstring(etree.tostring(root))
    assert again.find(f".//{TT}Source/{TT}SimpleItem").get("Value") == '<&">'


def test_topic_set_has_every_topic_with_its_description(official_schema: etree.XMLSchema) -> None:
    root: Any = encode(topic_set(topics.RECORDER_TOPICS), f"{WSTOP}TopicSet")
    official_schema.assertValid(root)
    found = {}
    for node in root.iter():
        if node.get(f"{WSTOP}topic") == "true":
            path = [etree.QName(each).localname for each in (*reversed(list(node.iterancestors())), node)][1:]
            found["/".join(path)] = node.find(f"{TT}MessageDescription")
    assert set(found) == {topic.name for topic in topics.RECORDER_TOPICS}
    for topic in topics.RECORDER_TOPICS:
        description = found[topic.name]
        assert description.get("IsProperty") == ("true" if topic.is_property else "false")
        for group, items in (("Source", topic.source), ("Data", (*topic.data, *topic.elements))):
            described = description.findall(f"{TT}{group}/*")
            assert [each.get("Name") for each in described] == [item.name for item in items]
            for each, item in zip(described, items, strict=True):
                prefix, _, local = each.get("Type").partition(":")
                assert f"{{{each.nsmap[prefix]}}}{local}" == item.type


def test_only_root_topics_are_qualified() -> None:
    root: Any = encode(topic_set(topics.RECORDER_TOPICS), f"{WSTOP}TopicSet")
    assert {child.tag for child in root} == {
        f"{TNS1}{name.partition('/')[0]}" for name in (topic.name for topic in topics.RECORDER_TOPICS)
    }
    inner = [node for child in root for node in child.iterdescendants() if not node.tag.startswith(TT)]
    assert inner
    assert all(not node.tag.startswith("{") for node in inner)
    # No default namespace may be in scope (Core 9.6.2).
    assert all(None not in node.nsmap for node in inner)
