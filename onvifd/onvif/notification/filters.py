"""Subscription and search filters: wsnt:Filter and tt:EventFilter as one test of an event."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from onvifd.events.types import Event
from onvifd.onvif.notification.faults import FaultKind, NotificationFault
from onvifd.onvif.notification.item_filter import ITEM_FILTER, ItemFilter, parse_item_filter
from onvifd.onvif.notification.topic_expression import CONCRETE_SET, TopicExpression, parse_topic_expression
from onvifd.onvif.soap.codec import Element

MAX_FILTERS = 32
"""Filter elements of one subscription."""


class EventFilter:
    """All topic expressions and all content filters must match (WS-BaseNotification 1.3 section 4.2)."""

    def __init__(self, topics: tuple[TopicExpression, ...] = (), content: tuple[ItemFilter, ...] = ()) -> None:
        self._topics = topics
        self._content = content
        self._known: dict[str, bool] = {}

    @property
    def by_topic(self) -> bool:
        """Whether not all topics are wanted."""
        return bool(self._topics)

    def matches_topic(self, topic: str) -> bool:
        known = self._known.get(topic)
        if known is None:
            known = all(expression.matches(topic) for expression in self._topics)
            # Topics are declared, hence few; the bound is for a publisher that goes wrong.
            if len(self._known) < 1000:
                self._known[topic] = known
        return known

    def matches(self, event: Event) -> bool:
        return self.matches_topic(event.topic) and all(content.matches(event) for content in self._content)


def parse_filter(elements: Sequence[Element], topics: Sequence[str]) -> EventFilter:
    """The filter made of the children of wsnt:Filter; none matches everything. `topics` are all that the device emits.

    Raises NotificationFault.
    """
    if len(elements) > MAX_FILTERS:
        raise NotificationFault(
            FaultKind.INVALID_FILTER, f"More than {MAX_FILTERS} filters.", unknown=(str(elements[-1].tag),)
        )
    expressions: list[TopicExpression] = []
    content: list[ItemFilter] = []
    for node in elements:
        text, namespaces = node.text or "", node.nsmap
        match etree.QName(node).localname:
            case "TopicExpression":
                dialect = (node.get("Dialect") or CONCRETE_SET).strip()
                expressions.append(parse_topic_expression(text, dialect, namespaces, topics))
            case "MessageContent":
                dialect = (node.get("Dialect") or ITEM_FILTER).strip()
                content.append(parse_item_filter(text, dialect, namespaces))
            case "ProducerProperties":
                raise NotificationFault(
                    FaultKind.INVALID_PRODUCER_PROPERTIES, "Filters on properties of the producer are not supported."
                )
            case name:
                raise NotificationFault(
                    FaultKind.INVALID_FILTER, f"The filter {name} is not known.", unknown=(str(node.tag),)
                )
    return EventFilter(tuple(expressions), tuple(content))
