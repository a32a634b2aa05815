"""Events: pull point and seek (Core 9)."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TEV, WSNT, WSTOP
from onvifd.onvif.types import wsa, wsnt, wstop

NAMESPACE = TEV


class EventBrokerProtocol(StrEnum):
    MQTT = "mqtt"
    MQTTS = "mqtts"
    WS = "ws"
    WSS = "wss"


class ConnectionStatus(StrEnum):
    OFFLINE = "Offline"
    CONNECTING = "Connecting"
    CONNECTED = "Connected"


@schema(TEV)
class GetServiceCapabilities:
    pass


@schema(TEV)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TEV)
class Capabilities:
    any_: AnyElements = any_elements(default=())
    ws_subscription_policy_support: bool | None = attribute("WSSubscriptionPolicySupport", default=None)
    ws_pausable_subscription_manager_interface_support: bool | None = attribute(
        "WSPausableSubscriptionManagerInterfaceSupport", default=None
    )
    max_notification_producers: int | None = attribute("MaxNotificationProducers", default=None)
    max_pull_points: int | None = attribute("MaxPullPoints", default=None)
    persistent_notification_storage: bool | None = attribute("PersistentNotificationStorage", default=None)
    event_broker_protocols: str | None = attribute("EventBrokerProtocols", default=None)
    max_event_brokers: int | None = attribute("MaxEventBrokers", default=None)
    metadata_over_mqtt: bool | None = attribute("MetadataOverMQTT", default=None)


@schema(TEV)
class CreatePullPointSubscription:
    filter_: wsnt.FilterType | None = element("Filter", default=None)
    initial_termination_time: str | None = element("InitialTerminationTime", default=None, nillable=True)
    subscription_policy: CreatePullPointSubscriptionSubscriptionPolicy | None = element(
        "SubscriptionPolicy", default=None
    )
    any_: AnyElements = any_elements(default=())


@schema(TEV)
class CreatePullPointSubscriptionSubscriptionPolicy:
    any_: AnyElements = any_elements(default=())


@schema(TEV)
class CreatePullPointSubscriptionResponse:
    subscription_reference: wsa.EndpointReferenceType = element("SubscriptionReference")
    current_time: int = element("CurrentTime", ns=WSNT, form=Form.DATETIME)
    termination_time: int | None = element("TerminationTime", ns=WSNT, form=Form.DATETIME, nillable=True)
    any_: AnyElements = any_elements(default=())


@schema(TEV)
class PullMessages:
    timeout: timedelta = element("Timeout")
    message_limit: int = element("MessageLimit")
    any_: AnyElements = any_elements(default=())


@schema(TEV)
class PullMessagesResponse:
    current_time: int = element("CurrentTime", form=Form.DATETIME)
    termination_time: int = element("TerminationTime", form=Form.DATETIME)
    notification_message: tuple[wsnt.NotificationMessageHolderType, ...] = element(
        "NotificationMessage", default=(), ns=WSNT
    )


@schema(TEV)
class PullMessagesFaultResponse:
    max_timeout: timedelta = element("MaxTimeout")
    max_message_limit: int = element("MaxMessageLimit")
    any_: AnyElements = any_elements(default=())


@schema(TEV)
class Seek:
    utc_time: int = element("UtcTime", form=Form.DATETIME)
    reverse: bool | None = element("Reverse", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TEV)
class SeekResponse:
    pass


@schema(TEV)
class SetSynchronizationPoint:
    pass


@schema(TEV)
class SetSynchronizationPointResponse:
    pass


@schema(TEV)
class GetEventProperties:
    pass


@schema(TEV)
class GetEventPropertiesResponse:
    topic_namespace_location: tuple[str, ...] = element("TopicNamespaceLocation")
    fixed_topic_set: bool = element("FixedTopicSet", ns=WSNT)
    topic_set: wstop.TopicSetType = element("TopicSet", ns=WSTOP)
    topic_expression_dialect: tuple[str, ...] = element("TopicExpressionDialect", ns=WSNT)
    message_content_filter_dialect: tuple[str, ...] = element("MessageContentFilterDialect")
    producer_properties_filter_dialect: tuple[str, ...] = element("ProducerPropertiesFilterDialect", default=())
    message_content_schema_location: tuple[str, ...] = element("MessageContentSchemaLocation")
    any_: AnyElements = any_elements(default=())


@schema(TEV)
class AddEventBroker:
    event_broker: EventBrokerConfig = element("EventBroker")


@schema(TEV)
class AddEventBrokerResponse:
    pass


@schema(TEV)
class DeleteEventBroker:
    address: str = element("Address")


@schema(TEV)
class DeleteEventBrokerResponse:
    pass


@schema(TEV)
class GetEventBrokers:
    address: str | None = element("Address", default=None)


@schema(TEV)
class GetEventBrokersResponse:
    event_broker: tuple[EventBrokerConfig, ...] = element("EventBroker", default=())


@schema(TEV)
class EventBrokerConfig:
    address: str = element("Address")
    topic_prefix: str = element("TopicPrefix")
    user_name: str | None = element("UserName", default=None)
    password: str | None = element("Password", default=None, form=Form.RAW)
    certificate_id: str | None = element("CertificateID", default=None)
    publish_filter: wsnt.FilterType | None = element("PublishFilter", default=None)
    qos: int | None = element("QoS", default=None)
    status: str | None = element("Status", default=None)
    cert_path_validation_policy_id: str | None = element("CertPathValidationPolicyID", default=None)
    metadata_filter: wsnt.FilterType | None = element("MetadataFilter", default=None)
    any_: AnyElements = any_elements(default=())
