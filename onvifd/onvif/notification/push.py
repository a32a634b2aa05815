"""Subscriptions that are pushed to a consumer (Core 9.3, WS-BaseNotification 1.3 section 4), and what is sent. No I/O."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lxml import etree

from onvifd.events.types import Event
from onvifd.onvif.notification.filters import EventFilter
from onvifd.onvif.notification.messages import endpoint, notification_message
from onvifd.onvif.notification.subscription import Moment, Subscription
from onvifd.onvif.soap import envelope
from onvifd.onvif.soap.codec import Element
from onvifd.onvif.soap.namespaces import WSA
from onvifd.onvif.types import wsnt

NOTIFY_ACTION = "http://docs.oasis-open.org/wsn/bw-2/NotificationConsumer/Notify"
MAX_PARAMETERS = 16
"""Reference parameters of a consumer that are sent back to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """Where notifications go.

    `url` is the address as the client wrote it, `address` the IP address that it was found to mean when it was checked: it is
    not looked up again, so that a name cannot be pointed elsewhere afterwards.
    """

    url: str
    host: str
    port: int
    address: str
    tls: bool
    parameters: tuple[Element, ...] = ()


class PushSubscription(Subscription):
    """A subscription whose messages are sent in Notify requests."""

    def __init__(
        self,
        id_: str,
        filter_: EventFilter,
        consumer: Consumer,
        *,
        now: Moment,
        lifetime: float,
        producer: str,
        reference: str,
    ) -> None:
        super().__init__(id_, filter_, now=now, lifetime=lifetime)
        self.consumer = consumer
        self.producer = producer
        """Address of the event service, as the subscriber reached it."""
        self.reference = reference
        """Address of this subscription."""


def write_notify(subscription: PushSubscription, events: Sequence[Event]) -> bytes:
    """A Notify request (WS-BaseNotification 1.3 section 3.2; headers by WS-Addressing 1.0 SOAP binding 3)."""
    consumer = subscription.consumer
    reference = endpoint(subscription.reference)
    messages = tuple(
        replace(notification_message(event, subscription.producer), subscription_reference=reference)
        for event in events
    )
    headers = []
    for name, value in (("To", consumer.url), ("Action", NOTIFY_ACTION), ("MessageID", f"urn:uuid:{uuid.uuid4()}")):
        block = etree.Element(f"{{{WSA}}}{name}", nsmap={"wsa5": WSA})
        block.text = value
        headers.append(block)
    for parameter in consumer.parameters:
        block = copy.deepcopy(parameter)
        block.set(f"{{{WSA}}}IsReferenceParameter", "true")
        block.tail = None
        headers.append(block)
    return envelope.write_request(wsnt.Notify(notification_message=messages), headers=tuple(headers))
