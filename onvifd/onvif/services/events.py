"""Event service: the pull point interface (Core 9.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from lxml import etree

from onvifd.access.types import AccessClass
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument
from onvifd.events.bus import EventBus
from onvifd.events.topics import Topic
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import parse_filter
from onvifd.onvif.notification.item_filter import ITEM_FILTER
from onvifd.onvif.notification.manager import MAX_PULL_POINTS, PullPointManager
from onvifd.onvif.notification.messages import endpoint, notification_message, topic_set
from onvifd.onvif.notification.pullpoint import MAX_PULL_TIMEOUT, resource_unknown
from onvifd.onvif.notification.termination import lifetime_of
from onvifd.onvif.notification.topic_expression import CONCRETE, CONCRETE_SET
from onvifd.onvif.services.common import EVENTS_PATH, NS_EVENTS, xaddr
from onvifd.onvif.soap import faults
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.soap.faults import SoapFault
from onvifd.onvif.soap.namespaces import TEV, WSNT
from onvifd.onvif.types import tev, wsnt

READ = AccessClass.READ_MEDIA

TOPIC_NAMESPACE = "http://www.onvif.org/onvif/ver10/topics/topicns.xml"
MESSAGE_SCHEMA = "http://www.onvif.org/onvif/ver10/schema/onvif.xsd"

PULL_MARGIN = 20.0
"""Seconds that a PullMessages handler may take beyond its longest Timeout."""


class EventService(Service):
    """Pull points over the event bus of the body. `topics` is everything the body emits.

    It owns the pull points: call `close` before the loop ends.
    """

    namespace = NS_EVENTS
    path = EVENTS_PATH
    prefix = "tev"

    def __init__(
        self, bus: EventBus, clock: Clock, topics: Iterable[Topic], *, max_pull_points: int = MAX_PULL_POINTS
    ) -> None:
        self._topics = tuple(topics)
        self._names = tuple(topic.name for topic in self._topics)
        self._topic_set = topic_set(self._topics)
        self.pull_points = PullPointManager(bus, clock, max_pull_points=max_pull_points)

    def close(self) -> None:
        self.pull_points.close()

    def capabilities(self, call: Call) -> tev.Capabilities:
        return tev.Capabilities(
            ws_subscription_policy_support=False,
            ws_pausable_subscription_manager_interface_support=False,
            max_notification_producers=0,
            max_pull_points=self.pull_points.max_pull_points,
            persistent_notification_storage=False,
        )

    @operation(access=AccessClass.PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: tev.GetServiceCapabilities
    ) -> tev.GetServiceCapabilitiesResponse:
        return tev.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))

    @operation(access=READ)
    async def get_event_properties(self, call: Call, request: tev.GetEventProperties) -> tev.GetEventPropertiesResponse:
        return tev.GetEventPropertiesResponse(
            topic_namespace_location=(TOPIC_NAMESPACE,),
            fixed_topic_set=True,
            topic_set=self._topic_set,
            topic_expression_dialect=(CONCRETE, CONCRETE_SET),
            message_content_filter_dialect=(ITEM_FILTER,),
            message_content_schema_location=(MESSAGE_SCHEMA,),
        )

    @operation(access=READ)
    async def create_pull_point_subscription(
        self, call: Call, request: tev.CreatePullPointSubscription
    ) -> tev.CreatePullPointSubscriptionResponse:
        try:
            policies = request.subscription_policy.any_ if request.subscription_policy else ()
            changed_only = self._changed_only(policies, call.now)
            now = self.pull_points.now()
            lifetime = lifetime_of(request.initial_termination_time, now, FaultKind.UNACCEPTABLE_INITIAL_TIME)
            filter_ = parse_filter(request.filter_.any_ if request.filter_ else (), self._names)
            point = self.pull_points.create(filter_, lifetime, changed_only=changed_only)
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        return tev.CreatePullPointSubscriptionResponse(
            subscription_reference=endpoint(xaddr(call, f"{self.path}/{point.id}")),
            current_time=now.utc,
            termination_time=point.termination(now),
        )

    @operation(access=READ, timeout=MAX_PULL_TIMEOUT + PULL_MARGIN)
    async def pull_messages(self, call: Call, request: tev.PullMessages) -> tev.PullMessagesResponse:
        seconds = request.timeout.total_seconds()
        if seconds < 0:
            raise InvalidArgument("Timeout is negative.")
        try:
            pulled = await self.pull_points.pull(self._id(call), seconds, request.message_limit)
        except NotificationFault as fault:
            raise to_soap(fault, self.pull_points.now().utc) from None
        producer = xaddr(call, self.path)
        return tev.PullMessagesResponse(
            current_time=pulled.current,
            termination_time=pulled.termination,
            notification_message=tuple(notification_message(event, producer) for event in pulled.events),
        )

    @operation(access=READ)
    async def set_synchronization_point(
        self, call: Call, request: tev.SetSynchronizationPoint
    ) -> tev.SetSynchronizationPointResponse:
        try:
            self.pull_points.synchronize(self._id(call))
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        return tev.SetSynchronizationPointResponse()

    @operation(access=READ)
    async def renew(self, call: Call, request: wsnt.Renew) -> wsnt.RenewResponse:
        try:
            id_ = self._id(call)
            self.pull_points.get(id_)
            now = self.pull_points.now()
            lifetime = lifetime_of(request.termination_time, now, FaultKind.UNACCEPTABLE_TIME)
            current, termination = self.pull_points.renew(id_, lifetime)
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        return wsnt.RenewResponse(termination_time=termination, current_time=current)

    @operation(access=READ)
    async def unsubscribe(self, call: Call, request: wsnt.Unsubscribe) -> wsnt.UnsubscribeResponse:
        try:
            self.pull_points.unsubscribe(self._id(call))
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        return wsnt.UnsubscribeResponse()

    def _changed_only(self, policies: tuple[etree._Element, ...], now: int) -> bool:
        """Whether tev:ChangedOnly is asked for. Raw notifications are refused, for the client would misread ours."""
        tags = {policy.tag for policy in policies}
        if f"{{{WSNT}}}UseRaw" in tags:
            fault = faults.unsupported_policy_request(now, "Raw notifications are not supported.")
            fault.code = faults.RECEIVER
            raise fault
        return f"{{{TEV}}}ChangedOnly" in tags

    def _id(self, call: Call) -> str:
        """The subscription that a request is for: by its URL, else by wsa:To, else by a reference parameter.

        Clients that post everything to the service's own address still send wsa:To (WS-Addressing 1.0 SOAP binding 3.2).
        """
        for path in (call.path, urlsplit_path(call.addressing.to)):
            if path.startswith(self.path + "/"):
                return path.removeprefix(self.path + "/").strip("/")
        for parameter in call.addressing.reference_parameters:
            if etree.QName(parameter).localname == "SubscriptionId":
                return (parameter.text or "").strip()
        raise resource_unknown()


def urlsplit_path(address: str | None) -> str:
    """The path of an address that a client wrote; empty if it is none."""
    try:
        return urlsplit(address or "").path
    except ValueError:
        return ""


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
        case FaultKind.PULL_LIMITS:
            made = faults.pull_messages_fault(timedelta(seconds=fault.limits[0]), fault.limits[1], reason)
    made.code = faults.RECEIVER
    return made
