"""Topic expressions: grammar, prefixes, matching, faults (WS-Topics 1.3 section 8, Core 9.6.3)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvifd.events.topics import RECORDER_TOPICS
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.topic_expression import (
    CONCRETE,
    CONCRETE_SET,
    MAX_LENGTH,
    TopicExpression,
    parse_topic_expression,
)

TNS1 = "http://www.onvif.org/ver10/topics"
TOPICS = tuple(topic.name for topic in RECORDER_TOPICS)
PREFIXES: dict[str | None, str] = {
    "tns1": TNS1,
    "t": TNS1,
    "axis": "http://www.axis.com/2009/event/topics",
    None: "urn:x",
}


def parse(text: str, dialect: str = CONCRETE_SET) -> TopicExpression:
    return parse_topic_expression(text, dialect, PREFIXES, TOPICS)


def refused(text: str, dialect: str = CONCRETE_SET) -> FaultKind:
    with pytest.raises(NotificationFault) as caught:
        parse(text, dialect)
    return caught.value.kind


def selected(text: str, dialect: str = CONCRETE_SET) -> set[str]:
    expression = parse(text, dialect)
    return {topic for topic in TOPICS if expression.matches(topic)}


@pytest.mark.parametrize("dialect", [CONCRETE, CONCRETE_SET])
@pytest.mark.parametrize(
    "text",
    [
        "tns1:VideoSource/MotionAlarm",
        "t:VideoSource/MotionAlarm",
        "tns1:VideoSource/tns1:MotionAlarm",
        "VideoSource/MotionAlarm",
        "\n  tns1:VideoSource/MotionAlarm \t",
    ],
)
def test_a_path_selects_exactly_its_topic(text: str, dialect: str) -> None:
    assert selected(text, dialect) == {"VideoSource/MotionAlarm"}


def test_a_subtree_is_the_topic_and_all_below() -> None:
    assert selected("tns1:RecordingHistory//.") == {"RecordingHistory/Recording/State", "RecordingHistory/Track/State"}
    assert selected("tns1:RecordingHistory/Track//.") == {"RecordingHistory/Track/State"}
    assert selected("tns1:VideoSource/MotionAlarm//.") == {"VideoSource/MotionAlarm"}


def test_alternatives_are_united_even_with_unsupported_ones() -> None:
    text = "tns1:VideoSource/MotionAlarm | tns1:PTZController//. |tns1:Media//.|axis:Storage//."
    assert selected(text) == {"VideoSource/MotionAlarm", "Media/ProfileChanged", "Media/ConfigurationChanged"}


def test_a_name_is_not_matched_by_its_beginning() -> None:
    assert not parse("tns1:VideoSource//.").matches("VideoSourceX/MotionAlarm")
    assert not parse("tns1:VideoSource/MotionAlarm").matches("VideoSource/MotionAlarm/Extra")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "|",
        "tns1:VideoSource|",
        "//.",
        "tns1:",
        ":x",
        "tns1:VideoSource//",
        "tns1:VideoSource//.//.",
        "*",
        "tns1:VideoSource/*",
        "/tns1:VideoSource",
        "a b",
        "tns1:VideoSource/1x",
        "none:VideoSource",
        "x" * (MAX_LENGTH + 1),
        "|".join(["tns1:Media"] * 300),
    ],
)
def test_wrong_form_is_an_invalid_topic_expression(text: str) -> None:
    assert refused(text) is FaultKind.INVALID_TOPIC_EXPRESSION


@pytest.mark.parametrize("text", ["tns1:VideoSource//.", "tns1:VideoSource/MotionAlarm|tns1:Media/ProfileChanged"])
def test_concrete_has_neither_subtrees_nor_alternatives(text: str) -> None:
    assert refused(text, CONCRETE) is FaultKind.INVALID_TOPIC_EXPRESSION


@pytest.mark.parametrize(
    "text",
    [
        "xyz",
        "tns1:VideoSource",
        "tns1:PTZController//.",
        "axis:VideoSource/MotionAlarm",
        "tns1:VideoSource/axis:MotionAlarm",
    ],
)
def test_a_topic_that_is_not_ours_is_not_supported(text: str) -> None:
    assert refused(text) is FaultKind.TOPIC_NOT_SUPPORTED


@pytest.mark.parametrize("dialect", ["", "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Full", CONCRETE.upper()])
def test_other_dialects_are_unknown(dialect: str) -> None:
    assert refused("tns1:VideoSource/MotionAlarm", dialect) is FaultKind.DIALECT_UNKNOWN


@given(
    st.text(alphabet="tns1:VideoSource/MtnAlrm|. \n*@[]()\"'é", max_size=60), st.sampled_from([CONCRETE, CONCRETE_SET])
)
@settings(deadline=None)
def test_any_text_is_understood_or_refused(text: str, dialect: str) -> None:
    try:
        expression = parse(text, dialect)
    except NotificationFault:
        return
    assert any(expression.matches(topic) for topic in TOPICS)


@given(st.lists(st.tuples(st.sampled_from(TOPICS), st.integers(1, 3), st.booleans()), min_size=1, max_size=5))
@settings(deadline=None)
def test_matching_agrees_with_a_regular_expression(parts: list[tuple[str, int, bool]]) -> None:
    paths = [("/".join(topic.split("/")[:depth]), subtree) for topic, depth, subtree in parts]
    text = "|".join(f"tns1:{path}{'//.' if subtree else ''}" for path, subtree in paths)
    model = re.compile("|".join(re.escape(path) + ("(/.*)?" if subtree else "") for path, subtree in paths))
    wanted = {topic for topic in TOPICS if model.fullmatch(topic)}
    if wanted:
        assert selected(text) == wanted
    else:
        assert refused(text) is FaultKind.TOPIC_NOT_SUPPORTED
