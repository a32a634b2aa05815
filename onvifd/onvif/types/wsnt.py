"""Notification base types and operations (WS-BaseNotification 1.3)."""

from __future__ import annotations

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema, text
from onvifd.onvif.soap.namespaces import WSNT, WSTOP
from onvifd.onvif.types import wsa, wsrf_bf, wstop

NAMESPACE = WSNT


@schema(WSNT)
class QueryExpressionType:
    value: str | None = text(default=None)
    any_: AnyElements = any_elements(default=())
    dialect: str = attribute("Dialect")


@schema(WSNT)
class TopicExpressionType:
    value: str | None = text(default=None)
    any_: AnyElements = any_elements(default=())
    dialect: str = attribute("Dialect")


@schema(WSNT)
class FilterType:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class SubscriptionPolicyType:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class TopicExpression(TopicExpressionType):
    pass


@schema(WSNT)
class NotificationProducerRP:
    topic_expression: tuple[TopicExpressionType, ...] = element("TopicExpression", default=())
    fixed_topic_set: bool | None = element("FixedTopicSet", default=None)
    topic_expression_dialect: tuple[str, ...] = element("TopicExpressionDialect", default=())
    topic_set: wstop.TopicSetType | None = element("TopicSet", default=None, ns=WSTOP)


@schema(WSNT)
class ConsumerReference(wsa.EndpointReferenceType):
    pass


@schema(WSNT)
class Filter(FilterType):
    pass


@schema(WSNT)
class SubscriptionPolicy(SubscriptionPolicyType):
    pass


@schema(WSNT)
class SubscriptionManagerRP:
    consumer_reference: wsa.EndpointReferenceType = element("ConsumerReference")
    filter_: FilterType | None = element("Filter", default=None)
    subscription_policy: SubscriptionPolicyType | None = element("SubscriptionPolicy", default=None)
    creation_time: int | None = element("CreationTime", default=None, form=Form.DATETIME)


@schema(WSNT)
class SubscriptionReference(wsa.EndpointReferenceType):
    pass


@schema(WSNT)
class Topic(TopicExpressionType):
    pass


@schema(WSNT)
class ProducerReference(wsa.EndpointReferenceType):
    pass


@schema(WSNT)
class NotificationMessageHolderType:
    subscription_reference: wsa.EndpointReferenceType | None = element("SubscriptionReference", default=None)
    topic: TopicExpressionType | None = element("Topic", default=None)
    producer_reference: wsa.EndpointReferenceType | None = element("ProducerReference", default=None)
    message: NotificationMessageHolderTypeMessage = element("Message")


@schema(WSNT)
class NotificationMessageHolderTypeMessage:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class NotificationMessage(NotificationMessageHolderType):
    pass


@schema(WSNT)
class Notify:
    notification_message: tuple[NotificationMessageHolderType, ...] = element("NotificationMessage")
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class ProducerProperties(QueryExpressionType):
    pass


@schema(WSNT)
class MessageContent(QueryExpressionType):
    pass


@schema(WSNT)
class UseRaw:
    pass


@schema(WSNT)
class Subscribe:
    consumer_reference: wsa.EndpointReferenceType = element("ConsumerReference")
    filter_: FilterType | None = element("Filter", default=None)
    initial_termination_time: str | None = element("InitialTerminationTime", default=None, nillable=True)
    subscription_policy: SubscribeSubscriptionPolicy | None = element("SubscriptionPolicy", default=None)
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class SubscribeSubscriptionPolicy:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class SubscribeResponse:
    subscription_reference: wsa.EndpointReferenceType = element("SubscriptionReference")
    current_time: int | None = element("CurrentTime", default=None, form=Form.DATETIME)
    termination_time: int | None = element("TerminationTime", default=None, form=Form.DATETIME, nillable=True)
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class GetCurrentMessage:
    topic: TopicExpressionType = element("Topic")
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class GetCurrentMessageResponse:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class SubscribeCreationFailedFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class SubscribeCreationFailedFault(SubscribeCreationFailedFaultType):
    pass


@schema(WSNT)
class InvalidFilterFaultType(wsrf_bf.BaseFaultType):
    unknown_filter: tuple[str, ...] = element("UnknownFilter", form=Form.QNAME)


@schema(WSNT)
class InvalidFilterFault(InvalidFilterFaultType):
    pass


@schema(WSNT)
class TopicExpressionDialectUnknownFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class TopicExpressionDialectUnknownFault(TopicExpressionDialectUnknownFaultType):
    pass


@schema(WSNT)
class InvalidTopicExpressionFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class InvalidTopicExpressionFault(InvalidTopicExpressionFaultType):
    pass


@schema(WSNT)
class TopicNotSupportedFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class TopicNotSupportedFault(TopicNotSupportedFaultType):
    pass


@schema(WSNT)
class MultipleTopicsSpecifiedFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class MultipleTopicsSpecifiedFault(MultipleTopicsSpecifiedFaultType):
    pass


@schema(WSNT)
class InvalidProducerPropertiesExpressionFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class InvalidProducerPropertiesExpressionFault(InvalidProducerPropertiesExpressionFaultType):
    pass


@schema(WSNT)
class InvalidMessageContentExpressionFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class InvalidMessageContentExpressionFault(InvalidMessageContentExpressionFaultType):
    pass


@schema(WSNT)
class UnrecognizedPolicyRequestFaultType(wsrf_bf.BaseFaultType):
    unrecognized_policy: tuple[str, ...] = element("UnrecognizedPolicy", default=(), form=Form.QNAME)


@schema(WSNT)
class UnrecognizedPolicyRequestFault(UnrecognizedPolicyRequestFaultType):
    pass


@schema(WSNT)
class UnsupportedPolicyRequestFaultType(wsrf_bf.BaseFaultType):
    unsupported_policy: tuple[str, ...] = element("UnsupportedPolicy", default=(), form=Form.QNAME)


@schema(WSNT)
class UnsupportedPolicyRequestFault(UnsupportedPolicyRequestFaultType):
    pass


@schema(WSNT)
class NotifyMessageNotSupportedFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class NotifyMessageNotSupportedFault(NotifyMessageNotSupportedFaultType):
    pass


@schema(WSNT)
class UnacceptableInitialTerminationTimeFaultType(wsrf_bf.BaseFaultType):
    minimum_time: int = element("MinimumTime", form=Form.DATETIME)
    maximum_time: int | None = element("MaximumTime", default=None, form=Form.DATETIME)


@schema(WSNT)
class UnacceptableInitialTerminationTimeFault(UnacceptableInitialTerminationTimeFaultType):
    pass


@schema(WSNT)
class NoCurrentMessageOnTopicFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class NoCurrentMessageOnTopicFault(NoCurrentMessageOnTopicFaultType):
    pass


@schema(WSNT)
class GetMessages:
    maximum_number: int | None = element("MaximumNumber", default=None)
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class GetMessagesResponse:
    notification_message: tuple[NotificationMessageHolderType, ...] = element("NotificationMessage", default=())
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class DestroyPullPoint:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class DestroyPullPointResponse:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class UnableToGetMessagesFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class UnableToGetMessagesFault(UnableToGetMessagesFaultType):
    pass


@schema(WSNT)
class UnableToDestroyPullPointFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class UnableToDestroyPullPointFault(UnableToDestroyPullPointFaultType):
    pass


@schema(WSNT)
class CreatePullPoint:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class CreatePullPointResponse:
    pull_point: wsa.EndpointReferenceType = element("PullPoint")
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class UnableToCreatePullPointFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class UnableToCreatePullPointFault(UnableToCreatePullPointFaultType):
    pass


@schema(WSNT)
class Renew:
    termination_time: str | None = element("TerminationTime", nillable=True)
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class RenewResponse:
    termination_time: int | None = element("TerminationTime", form=Form.DATETIME, nillable=True)
    current_time: int | None = element("CurrentTime", default=None, form=Form.DATETIME)
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class UnacceptableTerminationTimeFaultType(wsrf_bf.BaseFaultType):
    minimum_time: int = element("MinimumTime", form=Form.DATETIME)
    maximum_time: int | None = element("MaximumTime", default=None, form=Form.DATETIME)


@schema(WSNT)
class UnacceptableTerminationTimeFault(UnacceptableTerminationTimeFaultType):
    pass


@schema(WSNT)
class Unsubscribe:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class UnsubscribeResponse:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class UnableToDestroySubscriptionFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class UnableToDestroySubscriptionFault(UnableToDestroySubscriptionFaultType):
    pass


@schema(WSNT)
class PauseSubscription:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class PauseSubscriptionResponse:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class ResumeSubscription:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class ResumeSubscriptionResponse:
    any_: AnyElements = any_elements(default=())


@schema(WSNT)
class PauseFailedFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class PauseFailedFault(PauseFailedFaultType):
    pass


@schema(WSNT)
class ResumeFailedFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSNT)
class ResumeFailedFault(ResumeFailedFaultType):
    pass
