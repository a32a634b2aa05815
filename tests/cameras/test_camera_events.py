"""Messages of cameras as plain values."""

from __future__ import annotations

from lxml import etree

from onvifd.cameras import camera_events as module
from onvifd.cameras.camera_events import read_messages
from onvifd.clock import US
from onvifd.events.types import Operation
from onvifd.onvif.soap.namespaces import TT
from onvifd.onvif.soap.values import format_datetime
from onvifd.onvif.types import wsnt

NOW = 1_767_225_600 * US


def holder(topic: str, inner: str, utc: int = NOW, operation: str = "Changed") -> wsnt.NotificationMessageHolderType:
    node = etree.fromstring(
        f'<m:Message xmlns:m="{TT}" UtcTime="{format_datetime(utc)}" PropertyOperation="{operation}">{inner}</m:Message>'
    )
    return wsnt.NotificationMessageHolderType(
        topic=wsnt.TopicExpressionType(value=topic, dialect="urn:x"),
        message=wsnt.NotificationMessageHolderTypeMessage(any_=(node,)),
    )


INNER = (
    '<m:Source><m:SimpleItem Name="InputToken" Value="1"/></m:Source><m:Key><m:SimpleItem Name="K" Value="k"/></m:Key>'
    '<m:Data><m:SimpleItem Name="LogicalState" Value="true"/></m:Data>'
)


def test_a_message_is_read_without_prefixes() -> None:
    (event,) = read_messages([holder(" tns1:Device/Trigger/tns1:DigitalInput", INNER)], NOW)
    assert event.topic == "Device/Trigger/DigitalInput"
    assert (event.source, event.key) == ((("InputToken", "1"),), (("K", "k"),))
    assert event.data == (("LogicalState", "true"),)
    assert (event.operation, event.utc) == (Operation.CHANGED, NOW)


def test_a_time_far_from_ours_is_replaced() -> None:
    near, far = read_messages([holder("t", INNER, NOW - 2 * US), holder("t", INNER, NOW - 3600 * US)], NOW)
    assert (near.utc, far.utc) == (NOW - 2 * US, NOW)


def test_what_is_damaged_or_oversized_is_left_out() -> None:
    many = "".join(f'<m:SimpleItem Name="n{n}" Value="v"/>' for n in range(module.MAX_ITEMS + 1))
    long = f'<m:SimpleItem Name="n" Value="{"x" * (module.MAX_TEXT + 1)}"/>'
    nothing = wsnt.NotificationMessageHolderType(message=wsnt.NotificationMessageHolderTypeMessage())
    bad = [
        nothing,
        holder("", INNER),
        holder("t", f"<m:Data>{many}</m:Data>"),
        holder("t", f"<m:Source>{long}</m:Source>"),
    ]
    assert [event.topic for event in read_messages([*bad, holder("good", "")], NOW)] == ["good"]
