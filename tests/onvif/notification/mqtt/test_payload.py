"""Events as MQTT messages (Core 9.12.5 to 9.12.7): the examples of the specification, and what they leave open."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from onvifd.clock import from_datetime
from onvifd.events import topics
from onvifd.events.relayed_topics import LINE_CROSSED, OBJECTS_INSIDE
from onvifd.events.types import Event, Operation
from onvifd.onvif.notification.mqtt.payload import mqtt_message, mqtt_topic

NOW = from_datetime(datetime(2008, 10, 10, 12, 24, 57, 321_000, tzinfo=UTC))
DECLARED = {topic.name: topic for topic in topics.RECORDER_TOPICS}


def crossed(rule: str, **more: object) -> Event:
    source = (("VideoSource", "1"), ("AnalyticsConfiguration", "2"), ("Rule", rule))
    values = {"topic": "RuleEngine/LineDetector/Crossed", "utc": NOW, "source": source, "data": (("ObjectId", "15"),)}
    return Event(**(values | more))  # type: ignore[arg-type]


def test_the_example_of_the_specification() -> None:
    message = mqtt_message(crossed("MyImportantFence1"), "MyDevice", {})
    assert message.topic == "MyDevice/onvif-ej/RuleEngine/LineDetector/Crossed/&1/2/MyImportantFence1"
    assert json.loads(message.payload) == {
        "UtcTime": "2008-10-10T12:24:57.321Z",
        "Source": {"VideoSource": "1", "AnalyticsConfiguration": "2", "Rule": "MyImportantFence1"},
        "Data": {"ObjectId": "15"},
    }
    assert list(json.loads(message.payload)) == ["UtcTime", "Source", "Data"]
    assert not message.retain


def test_element_items_follow_the_example_of_the_specification() -> None:
    line = (
        '<tt:Polyline xmlns:tt="http://www.onvif.org/ver10/schema">'
        '<tt:Point x="0.10" y="0.50"/><tt:Point x="1.0" y="0.50"/></tt:Polyline>'
    )
    message = mqtt_message(crossed("MyLineInfo", data=(), elements=(("Segments", line),)), "MyDevice", {})
    assert json.loads(message.payload)["Data"] == {
        "Segments": {"Polyline": {"Point": [{"@x": 0.1, "@y": 0.5}, {"@x": 1.0, "@y": 0.5}]}}
    }


def test_elements_with_text_children_and_attributes_become_objects() -> None:
    xml = '<a x="00" n="7" t="b"><b>one</b><c/><b>two</b><d e="1">three</d></a>'
    message = mqtt_message(crossed("r", data=(), elements=(("Item", xml),)), "p", {})
    assert json.loads(message.payload)["Data"]["Item"]["a"] == {
        "@x": "00",
        "@n": 7,
        "@t": "b",
        "b": ["one", "two"],
        "c": "",
        "d": {"@e": 1, "#text": "three"},
    }


def test_properties_are_retained_and_carry_no_operation() -> None:
    message = mqtt_message(topics.motion_alarm("vs-1", True, NOW), "d", DECLARED)
    assert message.retain
    assert message.topic == "d/onvif-ej/VideoSource/MotionAlarm/&vs-1"
    assert set(json.loads(message.payload)) == {"UtcTime", "Source", "Data"}


def test_a_deleted_property_is_forgotten_by_an_empty_payload() -> None:
    event = crossed("r", operation=Operation.DELETED, data=())
    message = mqtt_message(event, "d", {})
    assert (message.payload, message.retain) == (b"", True)


def test_source_values_stand_in_the_declared_order_and_keys_follow() -> None:
    source = (("Rule", "r"), ("VideoAnalyticsConfigurationToken", "a"), ("VideoSourceConfigurationToken", "v"))
    assert mqtt_topic(crossed("r", source=source), "d", LINE_CROSSED).endswith("/Crossed/&v/a/r")
    inside = crossed("r", topic=OBJECTS_INSIDE.name, source=source, key=(("ObjectId", "5"),))
    assert mqtt_topic(inside, "d", OBJECTS_INSIDE).endswith("/ObjectsInside/&v/a/r/5")


def test_characters_that_mqtt_forbids_in_topics_are_left_out() -> None:
    topic = mqtt_topic(crossed("a+b#c/d\x00e"), "d")
    assert topic.endswith("/&1/2/abcde")


def test_a_topic_without_source_ends_with_its_name() -> None:
    assert mqtt_topic(Event(topic="Monitoring/UploadStatus", utc=NOW), "a/b") == "a/b/onvif-ej/Monitoring/UploadStatus"


def test_a_topic_is_never_longer_than_mqtt_allows() -> None:
    assert len(mqtt_topic(crossed("é" * 40_000), "d").encode()) <= 65_535
