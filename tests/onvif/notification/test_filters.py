"""wsnt:Filter: several filters must all match; unknown ones are refused by name."""

from __future__ import annotations

import pytest
from lxml import etree

from onvifd.events import topics
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import MAX_FILTERS, EventFilter, parse_filter
from onvifd.onvif.notification.item_filter import ITEM_FILTER
from onvifd.onvif.notification.topic_expression import CONCRETE, CONCRETE_SET

WSNT = "http://docs.oasis-open.org/wsn/b-2"
NAMES = tuple(topic.name for topic in topics.RECORDER_TOPICS)
MOTION = topics.motion_alarm("vs-1", True, 1)
OTHER = topics.motion_alarm("vs-2", True, 1)
LOSS = topics.signal_loss("vs-1", True, 1)


def parse(xml: str) -> EventFilter:
    root = etree.fromstring(
        f'<w:Filter xmlns:w="{WSNT}" xmlns:tns1="http://www.onvif.org/ver10/topics" '
        f'xmlns:tt="http://www.onvif.org/ver10/schema">{xml}</w:Filter>'
    )
    return parse_filter(tuple(root), NAMES)


def topic(text: str, dialect: str = CONCRETE_SET) -> str:
    return f'<w:TopicExpression Dialect="{dialect}">{text}</w:TopicExpression>'


def content(source: str) -> str:
    expression = f'boolean(//tt:SimpleItem[@Name="Source" and @Value="{source}"])'
    return f'<w:MessageContent Dialect="{ITEM_FILTER}">{expression}</w:MessageContent>'


def test_no_filter_matches_everything() -> None:
    assert parse("").matches(MOTION)
    assert parse("").matches(topics.profile_changed("p", 1))


def test_topic_and_content_must_both_match() -> None:
    both = parse(topic("tns1:VideoSource/MotionAlarm", CONCRETE) + content("vs-1"))
    assert [both.matches(event) for event in (MOTION, OTHER, LOSS)] == [True, False, False]
    assert both.matches_topic(OTHER.topic)


def test_several_topic_expressions_must_all_match() -> None:
    narrowed = parse(topic("tns1:VideoSource//.") + topic("tns1:VideoSource/SignalLoss"))
    assert [narrowed.matches(event) for event in (MOTION, LOSS)] == [False, True]


def test_prefix_may_be_declared_on_the_expression_itself() -> None:
    xml = (
        f'<w:TopicExpression xmlns:z="http://www.onvif.org/ver10/topics" Dialect="{CONCRETE}">'
        "z:VideoSource/MotionAlarm</w:TopicExpression>"
    )
    assert parse(xml).matches(MOTION)


def test_same_prefix_with_another_namespace_is_another_topic() -> None:
    xml = f'<w:TopicExpression xmlns:tns1="urn:vendor" Dialect="{CONCRETE}">tns1:VideoSource/MotionAlarm</w:TopicExpression>'
    with pytest.raises(NotificationFault) as caught:
        parse(xml)
    assert caught.value.kind is FaultKind.TOPIC_NOT_SUPPORTED


def test_unknown_filter_is_named() -> None:
    with pytest.raises(NotificationFault) as caught:
        parse('<x:Strange xmlns:x="urn:x"/>')
    assert caught.value.kind is FaultKind.INVALID_FILTER
    assert caught.value.unknown == ("{urn:x}Strange",)


def test_producer_properties_are_not_supported() -> None:
    with pytest.raises(NotificationFault) as caught:
        parse('<w:ProducerProperties Dialect="urn:x">true()</w:ProducerProperties>')
    assert caught.value.kind is FaultKind.INVALID_PRODUCER_PROPERTIES


def test_number_of_filters_is_bounded() -> None:
    parse(topic("tns1:Media//.") * MAX_FILTERS)
    with pytest.raises(NotificationFault) as caught:
        parse(topic("tns1:Media//.") * (MAX_FILTERS + 1))
    assert caught.value.kind is FaultKind.INVALID_FILTER
