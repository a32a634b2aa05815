from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from onvifd import errors
from onvifd.onvif.soap import envelope, faults
from onvifd.onvif.soap.faults import SoapFault, from_error

NOW = 1_767_225_600_000_000
SOAP = "{http://www.w3.org/2003/05/soap-envelope}"


def codes(data: bytes) -> list[str]:
    """The fault's code and subcodes, outermost first, in Clark notation."""
    found = []
    for value in etree.fromstring(data).iter(f"{SOAP}Value"):
        prefix, _, local = value.text.partition(":")
        found.append(f"{{{value.nsmap[prefix]}}}{local}")
    return found


def ter(*names: str) -> list[str]:
    return [f"{{http://www.onvif.org/ver10/error}}{name}" for name in names]


@pytest.mark.parametrize(
    ("error", "code", "subcodes", "status"),
    [
        (errors.InvalidArgument("x"), "Sender", ["InvalidArgVal"], 500),
        (errors.NotFound("x", detail="NoProfile"), "Sender", ["InvalidArgVal", "NoProfile"], 500),
        (errors.BadInput("x"), "Sender", ["InvalidArgs"], 500),
        (errors.NotAuthorized("x"), "Sender", ["NotAuthorized"], 400),
        (errors.Forbidden("x"), "Sender", ["NotAuthorized"], 400),
        (errors.Prohibited("x"), "Sender", ["OperationProhibited"], 500),
        (errors.NotSupported("x", detail="NoSnapshot"), "Receiver", ["ActionNotSupported", "NoSnapshot"], 500),
        (errors.Conflict("x"), "Receiver", ["Action"], 500),
        (errors.LimitReached("x", detail="MaxRecordings"), "Receiver", ["Action", "MaxRecordings"], 500),
        (errors.Timeout("x"), "Receiver", ["Action"], 500),
    ],
)
def test_errors_become_faults(
    error: errors.OnvifdError, code: str, subcodes: list[str], status: int, assert_valid: Any
) -> None:
    fault = from_error(error)
    data = envelope.write_fault(fault)
    assert_valid(data)
    assert fault.status == status
    assert codes(data) == [f"{SOAP}{code}", *ter(*subcodes)]


def test_reason_is_bounded_and_printable() -> None:
    fault = SoapFault("Sender", ("InvalidArgVal",), "a\0b\n" + "c" * 5000)
    text = etree.fromstring(envelope.write_fault(fault)).findtext(f".//{SOAP}Text")
    assert text is not None
    assert text.startswith("a b ccc")
    assert len(text) == 1000


WITH_DETAIL: dict[str, Callable[[], SoapFault]] = {
    "{http://docs.oasis-open.org/wsrf/r-2}ResourceUnknownFault": lambda: faults.resource_unknown(NOW),
    "{http://docs.oasis-open.org/wsn/b-2}SubscribeCreationFailedFault": lambda: faults.subscribe_creation_failed(
        NOW, "x"
    ),
    "{http://docs.oasis-open.org/wsn/b-2}InvalidFilterFault": lambda: faults.invalid_filter(
        NOW, "x", ("{urn:f}F", "G")
    ),
    "{http://docs.oasis-open.org/wsn/b-2}TopicExpressionDialectUnknownFault": lambda: (
        faults.topic_expression_dialect_unknown(NOW, "x")
    ),
    "{http://docs.oasis-open.org/wsn/b-2}InvalidTopicExpressionFault": lambda: faults.invalid_topic_expression(
        NOW, "x"
    ),
    "{http://docs.oasis-open.org/wsn/b-2}TopicNotSupportedFault": lambda: faults.topic_not_supported(NOW, "x"),
    "{http://docs.oasis-open.org/wsn/b-2}MultipleTopicsSpecifiedFault": lambda: faults.multiple_topics_specified(
        NOW, "x"
    ),
    "{http://docs.oasis-open.org/wsn/b-2}NoCurrentMessageOnTopicFault": lambda: faults.no_current_message_on_topic(
        NOW, "x"
    ),
    "{http://docs.oasis-open.org/wsn/b-2}InvalidMessageContentExpressionFault": lambda: (
        faults.invalid_message_content_expression(NOW, "x")
    ),
    "{http://docs.oasis-open.org/wsn/b-2}InvalidProducerPropertiesExpressionFault": lambda: (
        faults.invalid_producer_properties_expression(NOW, "x")
    ),
    "{http://docs.oasis-open.org/wsn/b-2}UnrecognizedPolicyRequestFault": lambda: faults.unrecognized_policy_request(
        NOW, "x"
    ),
    "{http://docs.oasis-open.org/wsn/b-2}UnsupportedPolicyRequestFault": lambda: faults.unsupported_policy_request(
        NOW, "x"
    ),
    "{http://docs.oasis-open.org/wsn/b-2}NotifyMessageNotSupportedFault": lambda: faults.notify_message_not_supported(
        NOW, "x"
    ),
    "{http://docs.oasis-open.org/wsn/b-2}UnableToGetMessagesFault": lambda: faults.unable_to_get_messages(NOW, "x"),
    "{http://docs.oasis-open.org/wsn/b-2}UnableToDestroySubscriptionFault": lambda: (
        faults.unable_to_destroy_subscription(NOW, "x")
    ),
    "{http://docs.oasis-open.org/wsn/b-2}UnacceptableInitialTerminationTimeFault": lambda: (
        faults.unacceptable_initial_termination_time(NOW, "x", NOW, NOW + 1)
    ),
    "{http://docs.oasis-open.org/wsn/b-2}UnacceptableTerminationTimeFault": lambda: (
        faults.unacceptable_termination_time(NOW, "x", NOW)
    ),
    "{http://www.onvif.org/ver10/events/wsdl}PullMessagesFaultResponse": lambda: faults.pull_messages_fault(
        timedelta(seconds=120), 100, "x"
    ),
}


@pytest.mark.parametrize("name", WITH_DETAIL)
def test_details_are_valid(name: str, assert_valid: Any, official_schema: Any) -> None:
    data = envelope.write_fault(WITH_DETAIL[name]())
    assert_valid(data)
    detail = etree.fromstring(data).find(f".//{SOAP}Detail")
    assert detail is not None
    assert detail[0].tag == name
    official_schema.assertValid(detail[0])
    if "PullMessages" not in name:
        assert detail[0].findtext("{http://docs.oasis-open.org/wsrf/bf-2}Timestamp") == "2026-01-01T00:00:00Z"
        assert codes(data)[1] == name


def test_unknown_filters_are_named_by_qualified_name() -> None:
    detail = faults.invalid_filter(NOW, "x", ("{urn:f}F",)).content[0]
    node = detail.find("{http://docs.oasis-open.org/wsn/b-2}UnknownFilter")
    assert node.text == "f:F"
    assert node.nsmap["f"] == "urn:f"


def test_filter_of_a_namespace_that_cannot_be_written_is_named_without_it() -> None:
    fault = faults.invalid_filter(0, "no such filter", ("{htt`://x}Filter", "{urn:x}Other"))
    names = [each.text for each in fault.content[0].iter("{*}UnknownFilter")]
    assert names == ["Filter", "f:Other"]
