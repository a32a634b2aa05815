"""Event service: pull points (Core 9.1), base notification (Core 9.3) and what both have in common."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from lxml import etree

from onvifd.access.types import AccessClass
from onvifd.clock import Clock
from onvifd.errors import InvalidArgument, NotSupported
from onvifd.events.bus import EventBus
from onvifd.events.topics import Topic
from onvifd.onvif.notification.callback import parse_target
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.filters import EventFilter, parse_filter
from onvifd.onvif.notification.item_filter import ITEM_FILTER
from onvifd.onvif.notification.manager import MAX_PULL_POINTS, MAX_PUSHED, SubscriptionManager
from onvifd.onvif.notification.messages import encoded_message, endpoint, message_element, topic_set
from onvifd.onvif.notification.mqtt.brokers import Brokers
from onvifd.onvif.notification.pullpoint import MAX_PULL_TIMEOUT
from onvifd.onvif.notification.push import MAX_PARAMETERS, Consumer, PushSubscription
from onvifd.onvif.notification.pusher import Pusher
from onvifd.onvif.notification.subscription import resource_unknown
from onvifd.onvif.notification.termination import lifetime_of
from onvifd.onvif.notification.topic_expression import CONCRETE, CONCRETE_SET, parse_topic_expression
from onvifd.onvif.services.common import EVENTS_PATH, NS_EVENTS, xaddr
from onvifd.onvif.services.events_brokers import EventBrokerOperations
from onvifd.onvif.services.events_faults import to_soap
from onvifd.onvif.soap import faults
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.soap.namespaces import TEV, WSNT
from onvifd.onvif.types import tev, wsa, wsnt

READ = AccessClass.READ_MEDIA

TOPIC_NAMESPACE = "http://www.onvif.org/onvif/ver10/topics/topicns.xml"
MESSAGE_SCHEMA = "http://www.onvif.org/onvif/ver10/schema/onvif.xsd"

PULL_MARGIN = 20.0
"""Seconds that a PullMessages handler may take beyond its longest Timeout."""


class EventService(EventBrokerOperations):
    """Subscriptions over the event bus of the body. `topics` is everything the body emits.

    Without a `pusher` there is no base notification, without `brokers` none of MQTT. It owns the subscriptions and the pusher:
    call `close` before the loop ends.
    """

    namespace = NS_EVENTS
    path = EVENTS_PATH
    prefix = "tev"

    def __init__(
        self,
        bus: EventBus,
        clock: Clock,
        topics: Iterable[Topic],
        *,
        max_pull_points: int = MAX_PULL_POINTS,
        max_pushed: int = MAX_PUSHED,
        pusher: Pusher | None = None,
        brokers: Brokers | None = None,
    ) -> None:
        self._topics = tuple(topics)
        self._names = tuple(topic.name for topic in self._topics)
        self._topic_set = topic_set(self._topics)
        self._bus = bus
        self._pusher = pusher
        super().__init__(brokers, self._names)
        self.subscriptions = SubscriptionManager(
            bus, clock, max_pull_points=max_pull_points, max_pushed=max_pushed, pusher=pusher, topics=self._names
        )

    async def close(self) -> None:
        await self.subscriptions.close()

    def capabilities(self, call: Call) -> tev.Capabilities:
        brokers = self.brokers
        return tev.Capabilities(
            ws_subscription_policy_support=False,
            ws_pausable_subscription_manager_interface_support=False,
            max_notification_producers=self.subscriptions.max_pushed,
            max_pull_points=self.subscriptions.max_pull_points,
            persistent_notification_storage=self._bus.persistent,
            event_broker_protocols=" ".join(brokers.protocols) if brokers is not None else None,
            max_event_brokers=brokers.limit if brokers is not None else None,
            metadata_over_mqtt=False if brokers is not None else None,
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

    # ---- pull points ---------------------------------------------------------------------------

    @operation(access=READ)
    async def create_pull_point_subscription(
        self, call: Call, request: tev.CreatePullPointSubscription
    ) -> tev.CreatePullPointSubscriptionResponse:
        try:
            policies = request.subscription_policy.any_ if request.subscription_policy else ()
            changed_only = self._changed_only(policies, call.now)
            lifetime, filter_ = self._asked(request.initial_termination_time, request.filter_)
            # Read before, so that the answer never shows less than was asked for.
            now = self.subscriptions.now()
            point = self.subscriptions.create(filter_, lifetime, changed_only=changed_only)
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
            pulled = await self.subscriptions.pull(self._id(call), seconds, request.message_limit)
        except NotificationFault as fault:
            raise to_soap(fault, self.subscriptions.now().utc) from None
        producer = xaddr(call, self.path)
        return tev.PullMessagesResponse(
            current_time=pulled.current,
            termination_time=pulled.termination,
            notification_message=tuple(encoded_message(event, producer) for event in pulled.events),
        )

    @operation(access=READ)
    async def seek(self, call: Call, request: tev.Seek) -> tev.SeekResponse:
        if not self._bus.persistent:
            raise NotSupported("This device keeps no events.")
        try:
            await self.subscriptions.seek(self._id(call), request.utc_time, reverse=bool(request.reverse))
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        return tev.SeekResponse()

    # ---- base notification ---------------------------------------------------------------------

    @operation(access=READ)
    async def subscribe(self, call: Call, request: wsnt.Subscribe) -> wsnt.SubscribeResponse:
        if self._pusher is None:
            raise NotSupported("This device pushes no notifications.")
        try:
            self._changed_only(request.subscription_policy.any_ if request.subscription_policy else (), call.now)
            lifetime, filter_ = self._asked(request.initial_termination_time, request.filter_)
            self.subscriptions.check_room(PushSubscription)
            consumer = await self._consumer(self._pusher, call, request.consumer_reference)
            service = xaddr(call, self.path)
            now = self.subscriptions.now()
            made = self.subscriptions.subscribe(filter_, lifetime, consumer, producer=service, references=service)
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        return wsnt.SubscribeResponse(
            subscription_reference=endpoint(made.reference),
            current_time=now.utc,
            termination_time=made.termination(now),
        )

    async def _consumer(self, pusher: Pusher, call: Call, reference: wsa.EndpointReferenceType) -> Consumer:
        target = parse_target(reference.address.value)
        parameters = reference.reference_parameters.any_ if reference.reference_parameters else ()
        if len(parameters) > MAX_PARAMETERS:
            raise NotificationFault(
                FaultKind.CREATION_FAILED, f"More than {MAX_PARAMETERS} reference parameters are not kept."
            )
        return Consumer(
            url=target.url,
            host=target.host,
            port=target.port,
            address=await pusher.resolve(target, peer=call.peer, own=(call.local_address,)),
            tls=target.tls,
            parameters=parameters,
        )

    @operation(access=READ)
    async def get_current_message(self, call: Call, request: wsnt.GetCurrentMessage) -> wsnt.GetCurrentMessageResponse:
        node = call.element.find(f"{{{WSNT}}}Topic")
        namespaces = call.element.nsmap if node is None else node.nsmap
        try:
            if self._pusher is None:
                raise NotSupported("This device pushes no notifications.")
            expression = parse_topic_expression(
                request.topic.value or "", request.topic.dialect.strip(), namespaces, self._names
            )
            if sum(expression.matches(name) for name in self._names) > 1:
                raise NotificationFault(FaultKind.MULTIPLE_TOPICS, "The expression selects more than one topic.")
            # Only of properties a last message is kept (Core 9.3.2 leaves it free).
            events = self._bus.properties(expression.matches)
            if not events:
                raise NotificationFault(FaultKind.NO_CURRENT_MESSAGE, "There is no message on this topic.")
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        latest = max(events, key=lambda event: event.utc)
        return wsnt.GetCurrentMessageResponse(any_=(message_element(latest),))

    # ---- both ----------------------------------------------------------------------------------

    @operation(access=READ)
    async def set_synchronization_point(
        self, call: Call, request: tev.SetSynchronizationPoint
    ) -> tev.SetSynchronizationPointResponse:
        try:
            self.subscriptions.synchronize(self._id(call))
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        return tev.SetSynchronizationPointResponse()

    @operation(access=READ)
    async def renew(self, call: Call, request: wsnt.Renew) -> wsnt.RenewResponse:
        try:
            id_ = self._id(call)
            self.subscriptions.get(id_)
            now = self.subscriptions.now()
            lifetime = lifetime_of(request.termination_time, now, FaultKind.UNACCEPTABLE_TIME)
            current, termination = self.subscriptions.renew(id_, lifetime)
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        return wsnt.RenewResponse(termination_time=termination, current_time=current)

    @operation(access=READ)
    async def unsubscribe(self, call: Call, request: wsnt.Unsubscribe) -> wsnt.UnsubscribeResponse:
        try:
            self.subscriptions.unsubscribe(self._id(call))
        except NotificationFault as fault:
            raise to_soap(fault, call.now) from None
        return wsnt.UnsubscribeResponse()

    def _asked(self, until: str | None, filter_: wsnt.FilterType | None) -> tuple[float, EventFilter]:
        """Lifetime in seconds and filter of a new subscription. Raises NotificationFault."""
        lifetime = lifetime_of(until, self.subscriptions.now(), FaultKind.UNACCEPTABLE_INITIAL_TIME)
        return lifetime, parse_filter(filter_.any_ if filter_ else (), self._names)

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
