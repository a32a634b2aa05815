"""Message content filters: the grammar of Core 9.4.4, checked against lxml's XPath on the same message."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from onvifd.events.topics import motion_alarm
from onvifd.events.types import Event
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.item_filter import ITEM_FILTER, MAX_DEPTH, MAX_LENGTH, ItemFilter, parse_item_filter
from onvifd.onvif.notification.messages import notification_message
from onvifd.onvif.soap.codec import encode

TT = "http://www.onvif.org/ver10/schema"
PREFIXES: dict[str | None, str] = {"tt": TT, "s": TT, "other": "urn:other"}

EVENT = Event(
    topic="RuleEngine/FieldDetector/ObjectsInside",
    utc=0,
    source=(("VideoSourceConfigurationToken", "1"), ("Rule", "myImportantField")),
    key=(("ObjectId", "5"),),
    data=(("IsInside", "true"), ("Quote", 'say "x"')),
    elements=(("Shape", f'<tt:Shape xmlns:tt="{TT}"/>'),),
)


def parse(text: str) -> ItemFilter:
    return parse_item_filter(text, ITEM_FILTER, PREFIXES)


def matches(text: str, event: Event = EVENT) -> bool:
    return parse(text).matches(event)


def refused(text: str, dialect: str = ITEM_FILTER) -> NotificationFault:
    with pytest.raises(NotificationFault) as caught:
        parse_item_filter(text, dialect, PREFIXES)
    return caught.value


def item(name: str, value: str | None = None) -> str:
    return f'boolean(//tt:SimpleItem[@Name="{name}"' + (f' and @Value="{value}"])' if value is not None else "])")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('boolean(//tt:SimpleItem[@Name="Rule" and @Value="myImportantField"])', True),
        ('boolean(//tt:SimpleItem[@Name="Rule" and @Value="other"])', False),
        ('not( boolean(//tt:SimpleItem[@Name="VideoAnalyticsConfigurationToken"] ) )', True),
        (f"{item('ObjectId', '5')} and {item('IsInside', 'true')}", True),
        (f"{item('ObjectId', '6')} or {item('IsInside', 'true')}", True),
        ('boolean(//tt:ElementItem[@Name="Shape"])', True),
        ('boolean(//tt:SimpleItem[@Name="Shape"])', False),
        ('boolean(//tt:ElementItem[@Name="Shape" and @Value="1"])', False),
        ('boolean(//SimpleItem[@Name="Rule"])', True),
        ('boolean(//s:SimpleItem[@Name="Rule"])', True),
        ("boolean(//tt:SimpleItem[@Name='Quote' and @Value='say \"x\"'])", True),
        ('  boolean  ( //tt:SimpleItem [ not ( @Value = "1" ) ] )  ', True),
        ('boolean(//tt:SimpleItem[(@Name="a" or @Name="Rule") and not(@Value="b")])', True),
    ],
)
def test_examples(text: str, wanted: bool) -> None:
    assert matches(text) is wanted


def test_undeclared_tt_stands_for_the_schema() -> None:
    # Core 9.10.3 uses the prefix without declaring it.
    assert parse_item_filter(item("Rule"), ITEM_FILTER, {}).matches(EVENT)


def test_both_conditions_must_hold_of_one_item() -> None:
    assert not matches('boolean(//tt:SimpleItem[@Name="Rule" and @Value="5"])')


def test_and_binds_tighter_than_or() -> None:
    yes, no = item("Rule"), item("None")
    assert matches(f"{yes} or {no} and {no}") is True
    assert matches(f"({yes} or {no}) and {no}") is False
    assert matches(f"{no} and {no} or {yes}") is True


def test_filter_tells_sources_apart() -> None:
    text = item("Source", "vs-1")
    assert matches(text, motion_alarm("vs-1", True, 1))
    assert not matches(text, motion_alarm("vs-2", True, 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        # Device test EVENT-3-1-17
        'boolean((//tt:SimpleItem[@Name="xyz" and @Value="xyz"])',
        'boolean(//tt:SimpleItem[@Name="x"]',
        'boolean(//tt:SimpleItem[@Name="x"]))',
        "boolean(//tt:SimpleItem)",
        "boolean(//tt:SimpleItem[])",
        'boolean(//tt:Other[@Name="x"])',
        'boolean(/tt:SimpleItem[@Name="x"])',
        'boolean(//other:SimpleItem[@Name="x"])',
        'boolean(//none:SimpleItem[@Name="x"])',
        'boolean(//tt:SimpleItem[@Type="x"])',
        'boolean(//tt:SimpleItem[@Name!="x"])',
        "boolean(//tt:SimpleItem[@Name=x])",
        'boolean(//tt:SimpleItem[@Name="x])',
        'boolean(//tt:SimpleItem[@Name="x"]) and',
        'boolean(//tt:SimpleItem[@Name="x"]) boolean(//tt:SimpleItem[@Name="x"])',
        '//tt:SimpleItem[@Name="x"]',
        'not boolean(//tt:SimpleItem[@Name="x"])',
        "true()",
        'boolean(document("file:///etc/passwd"))',
        "(" * 1000,
        "not(" * (MAX_DEPTH + 1) + item("x") + ")" * (MAX_DEPTH + 1),
        " or ".join([item("x")] * (MAX_LENGTH // 20)),
    ],
)
def test_wrong_form_is_an_invalid_message_content_expression(text: str) -> None:
    assert refused(text).kind is FaultKind.INVALID_MESSAGE_CONTENT


def test_the_deepest_allowed_nesting_is_read() -> None:
    assert matches("(" * (MAX_DEPTH - 1) + item("Rule") + ")" * (MAX_DEPTH - 1))


def test_another_dialect_is_an_invalid_filter() -> None:
    fault = refused(item("x"), "http://www.w3.org/TR/1999/REC-xpath-19991116")
    assert fault.kind is FaultKind.INVALID_FILTER
    assert fault.unknown == ("{http://docs.oasis-open.org/wsn/b-2}MessageContent",)


NAMES = st.sampled_from(["Rule", "ObjectId", "IsInside", "Shape", "None", "1", "5", "true"])
COMPARISON = st.builds(lambda attribute, value: f'@{attribute}="{value}"', st.sampled_from(["Name", "Value"]), NAMES)


def _combine(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.builds(lambda left, sign, right: f"{left} {sign} {right}", inner, st.sampled_from(["and", "or"]), inner)
    return joined | inner.map(lambda text: f"({text})") | inner.map(lambda text: f"not({text})")


CONDITION = st.recursive(COMPARISON, _combine, max_leaves=4)
BOOLEAN = st.builds(
    lambda kind, condition: f"boolean(//tt:{kind}[{condition}])",
    st.sampled_from(["SimpleItem", "ElementItem"]),
    CONDITION,
)
EXPRESSION = st.recursive(BOOLEAN, _combine, max_leaves=5)


@given(EXPRESSION)
@settings(deadline=None)
def test_every_expression_of_the_grammar_means_what_xpath_says(text: str) -> None:
    message: Any = encode(notification_message(EVENT), "{urn:x}m")
    assert matches(text) == message.xpath(text, namespaces={"tt": TT})


@given(st.text(alphabet="()[]=/@\"' \tabno" + "lendrtSiIm:NVu", max_size=80))
@settings(deadline=None)
def test_any_text_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(NotificationFault):
        parse(text).matches(EVENT)


@given(EXPRESSION, st.data())
@settings(deadline=None)
def test_mangled_expressions_never_break_the_parser(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    mangled = text[:at] + data.draw(st.sampled_from(["", "(", ")", "]", '"', "@", " and ", "\0"])) + text[at + 1 :]
    with contextlib.suppress(NotificationFault):
        parse(mangled).matches(EVENT)


def test_evaluation_is_on_the_xml_that_travels() -> None:
    message = encode(notification_message(EVENT), "{urn:x}m")
    assert len(message.findall(f".//{{{TT}}}SimpleItem")) == 5
    assert etree.QName(message.find(f".//{{{TT}}}ElementItem")[0]).localname == "Shape"
