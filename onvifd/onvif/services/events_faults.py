"""Faults of subscriptions as they travel."""

from __future__ import annotations

from datetime import timedelta

from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.soap import faults
from onvifd.onvif.soap.faults import SoapFault


def to_soap(fault: NotificationFault, now: int) -> SoapFault:
    """The SOAP fault of a subscription's fault, as env:Receiver (Core 9.9)."""
    reason = fault.reason
    match fault.kind:
        case FaultKind.INVALID_FILTER:
            made = faults.invalid_filter(now, reason, fault.unknown)
        case FaultKind.DIALECT_UNKNOWN:
            made = faults.topic_expression_dialect_unknown(now, reason)
        case FaultKind.INVALID_TOPIC_EXPRESSION:
            made = faults.invalid_topic_expression(now, reason)
        case FaultKind.TOPIC_NOT_SUPPORTED:
            made = faults.topic_not_supported(now, reason)
        case FaultKind.INVALID_PRODUCER_PROPERTIES:
            made = faults.invalid_producer_properties_expression(now, reason)
        case FaultKind.INVALID_MESSAGE_CONTENT:
            made = faults.invalid_message_content_expression(now, reason)
        case FaultKind.UNACCEPTABLE_INITIAL_TIME:
            made = faults.unacceptable_initial_termination_time(now, reason, *fault.times)
        case FaultKind.UNACCEPTABLE_TIME:
            made = faults.unacceptable_termination_time(now, reason, *fault.times)
        case FaultKind.CREATION_FAILED:
            made = faults.subscribe_creation_failed(now, reason)
        case FaultKind.UNABLE_TO_GET_MESSAGES:
            made = faults.unable_to_get_messages(now, reason)
        case FaultKind.RESOURCE_UNKNOWN:
            made = faults.resource_unknown(now, reason)
        case FaultKind.MULTIPLE_TOPICS:
            made = faults.multiple_topics_specified(now, reason)
        case FaultKind.NO_CURRENT_MESSAGE:
            made = faults.no_current_message_on_topic(now, reason)
        case FaultKind.PULL_LIMITS:
            made = faults.pull_messages_fault(timedelta(seconds=fault.limits[0]), fault.limits[1], reason)
    made.code = faults.RECEIVER
    return made
