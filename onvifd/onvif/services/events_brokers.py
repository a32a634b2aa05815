"""Event service: MQTT brokers that events are published to (Core 9.12)."""

from __future__ import annotations

from collections.abc import Sequence

from onvifd.access.types import AccessClass
from onvifd.errors import InvalidArgument, NotSupported
from onvifd.onvif.notification.faults import NotificationFault
from onvifd.onvif.notification.filters import parse_filter
from onvifd.onvif.notification.mqtt.address import parse_address
from onvifd.onvif.notification.mqtt.brokers import Broker, Brokers, read_filter, write_filter
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import tev, wsnt

MAX_PREFIX = 255
"""Octets of a topic prefix: a published topic must stay below the 65535 of MQTT and readable for people."""
MAX_FIELD = 1024
"""Characters of user name, password and ids."""
DEFAULT_QOS = 0


class EventBrokerOperations(Service):
    """`brokers` None: there are none to be added (MaxEventBrokers is not advertised)."""

    def __init__(self, brokers: Brokers | None, topics: Sequence[str]) -> None:
        self.brokers = brokers
        self._broker_topics = tuple(topics)

    def _required(self) -> Brokers:
        if self.brokers is None:
            raise NotSupported("This device publishes to no event broker.")
        return self.brokers

    @operation(access=AccessClass.WRITE_SYSTEM)
    async def add_event_broker(self, call: Call, request: tev.AddEventBroker) -> tev.AddEventBrokerResponse:
        brokers = self._required()
        given = request.event_broker
        address = parse_address(given.address, brokers.protocols)
        prefix = _prefix(given.topic_prefix)
        filter_ = self._filter(given.publish_filter)
        if given.metadata_filter is not None and given.metadata_filter.any_:
            raise InvalidArgument("Metadata is not published (MetadataOverMQTT).", detail="InvalidFilter")
        qos = DEFAULT_QOS if given.qos is None else given.qos
        if qos not in (0, 1, 2):
            raise InvalidArgument("QoS is 0, 1 or 2.", detail="InvalidArgVal")
        for text in (given.user_name, given.password, given.certificate_id, given.cert_path_validation_policy_id):
            if text is not None and (len(text) > MAX_FIELD or "\x00" in text):
                raise InvalidArgument("A field is too long or holds a character that MQTT forbids.")
        if given.password is not None and given.user_name is None:
            # MQTT 3.1.1 3.1.2.9: no password without a user name
            raise InvalidArgument("There is a password, but no user name.")
        await brokers.put(
            Broker(
                address=address.text,
                topic_prefix=prefix,
                user_name=given.user_name,
                certificate_id=given.certificate_id or None,
                policy_id=given.cert_path_validation_policy_id or None,
                publish_filter=filter_,
                qos=qos,
            ),
            given.password,
        )
        return tev.AddEventBrokerResponse()

    def _filter(self, given: wsnt.FilterType | None) -> str:
        """The filter as it is stored; empty for none. Its namespaces stay with it."""
        if given is None or not given.any_:
            return ""
        try:
            parse_filter(given.any_, self._broker_topics)
        except NotificationFault as fault:
            raise InvalidArgument(fault.reason, detail="InvalidFilter") from None
        return write_filter(given.any_)

    @operation(access=AccessClass.WRITE_SYSTEM)
    async def delete_event_broker(self, call: Call, request: tev.DeleteEventBroker) -> tev.DeleteEventBrokerResponse:
        await self._required().remove(request.address.strip())
        return tev.DeleteEventBrokerResponse()

    @operation(access=AccessClass.READ_MEDIA)
    async def get_event_brokers(self, call: Call, request: tev.GetEventBrokers) -> tev.GetEventBrokersResponse:
        brokers = self._required()
        found = brokers.all() if request.address is None else (brokers.get(request.address.strip()),)
        return tev.GetEventBrokersResponse(
            event_broker=tuple(
                tev.EventBrokerConfig(
                    address=broker.address,
                    topic_prefix=broker.topic_prefix,
                    user_name=broker.user_name,
                    certificate_id=broker.certificate_id,
                    publish_filter=(
                        wsnt.FilterType(any_=read_filter(broker.publish_filter)) if broker.publish_filter else None
                    ),
                    qos=broker.qos,
                    status=brokers.status(broker.address).value,
                    cert_path_validation_policy_id=broker.policy_id,
                )
                for broker in found
            )
        )


def _prefix(text: str) -> str:
    """Core 9.12.1: never empty. Wildcards, NUL and `$` in front cannot be published to (MQTT 3.1.1 4.7)."""
    prefix = text.strip("/")
    if not prefix or len(prefix.encode()) > MAX_PREFIX or prefix.startswith("$") or set(prefix) & set("#+\x00"):
        raise InvalidArgument("This topic prefix cannot be used.")
    return prefix
