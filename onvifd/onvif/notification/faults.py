"""What can go wrong with a subscription, in the words of WS-BaseNotification."""

from __future__ import annotations

from enum import StrEnum

from onvifd.errors import OnvifdError


class FaultKind(StrEnum):
    """Names of the fault elements (WS-BaseNotification 1.3, WS-ResourceFramework; PullMessagesFaultResponse: Core 9.1.2)."""

    INVALID_FILTER = "InvalidFilterFault"
    DIALECT_UNKNOWN = "TopicExpressionDialectUnknownFault"
    INVALID_TOPIC_EXPRESSION = "InvalidTopicExpressionFault"
    TOPIC_NOT_SUPPORTED = "TopicNotSupportedFault"
    INVALID_PRODUCER_PROPERTIES = "InvalidProducerPropertiesExpressionFault"
    INVALID_MESSAGE_CONTENT = "InvalidMessageContentExpressionFault"
    UNACCEPTABLE_INITIAL_TIME = "UnacceptableInitialTerminationTimeFault"
    UNACCEPTABLE_TIME = "UnacceptableTerminationTimeFault"
    CREATION_FAILED = "SubscribeCreationFailedFault"
    UNABLE_TO_GET_MESSAGES = "UnableToGetMessagesFault"
    RESOURCE_UNKNOWN = "ResourceUnknownFault"
    MULTIPLE_TOPICS = "MultipleTopicsSpecifiedFault"
    NO_CURRENT_MESSAGE = "NoCurrentMessageOnTopicFault"
    PULL_LIMITS = "PullMessagesFaultResponse"


class NotificationFault(OnvifdError):
    """A fault that travels as env:Receiver with an element of its kind as detail (Core 9.9).

    `times` are the acceptable termination times from and to (microseconds UTC), `unknown` the filters that are not
    known, in Clark notation, `limits` the longest Timeout (seconds) and highest MessageLimit of PullMessages.
    """

    def __init__(
        self,
        kind: FaultKind,
        reason: str,
        *,
        times: tuple[int, int] = (0, 0),
        unknown: tuple[str, ...] = (),
        limits: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.times = times
        self.unknown = unknown
        self.limits = limits
