"""Events as XML: wsnt:NotificationMessage around tt:Message (Core 9.4.1), and the TopicSet (Core 9.6.2)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import cast

from lxml import etree

from onvifd.events.topics import Item, Topic
from onvifd.events.types import Event
from onvifd.onvif.notification.topic_expression import CONCRETE
from onvifd.onvif.soap.codec import Element, Encoded, clark_to_prefixed, encode, encode_text
from onvifd.onvif.soap.envelope import parse_xml
from onvifd.onvif.soap.namespaces import PREFIXES, TNS1, TT, WSNT, WSTOP
from onvifd.onvif.types import tt, wsa, wsnt, wstop


def notification_message(event: Event, producer: str | None = None) -> wsnt.NotificationMessageHolderType:
    """An event as it travels. `producer` is the address of the service it comes from (Core 9.4)."""
    return wsnt.NotificationMessageHolderType(
        topic=wsnt.TopicExpressionType(value=f"tns1:{event.topic}", dialect=CONCRETE),
        producer_reference=None if producer is None else endpoint(producer),
        message=wsnt.NotificationMessageHolderTypeMessage(any_=(_message(event),)),
    )


def encoded_message(event: Event, producer: str) -> wsnt.NotificationMessageHolderType:
    """`notification_message` for a reply, written once however many pull points get the event at the same time."""
    return cast(wsnt.NotificationMessageHolderType, _encoded(event, producer))


@lru_cache(maxsize=256)
def _encoded(event: Event, producer: str) -> Encoded:
    return Encoded(encode_text(notification_message(event, producer), f"{{{WSNT}}}NotificationMessage", declare=False))


def endpoint(address: str) -> wsa.EndpointReferenceType:
    return wsa.EndpointReferenceType(address=wsa.AttributedURIType(value=address))


def message_element(event: Event) -> Element:
    """The tt:Message of an event; not to be changed, for others get the same."""
    return _message(event)


# One event goes to many pull points; the codec copies the element each time it writes it.
@lru_cache(maxsize=256)
def _message(event: Event) -> Element:
    # A simple item is schema-valid without Source; Core 9.4.2.1 allows leaving Data out of a deletion.
    return encode(
        tt.Message(
            utc_time=event.utc,
            property_operation=None if event.operation is None else tt.PropertyOperation(event.operation),
            source=_items(event.source),
            key=_items(event.key),
            data=_items(event.data, event.elements),
        )
    )


def _items(simple: tuple[tuple[str, str], ...], elements: tuple[tuple[str, str], ...] = ()) -> tt.ItemList | None:
    if not simple and not elements:
        return None
    return tt.ItemList(
        simple_item=tuple(tt.ItemListSimpleItem(name=name, value=value) for name, value in simple),
        element_item=tuple(
            tt.ItemListElementItem(name=name, any_=(parse_xml(xml.encode()),)) for name, xml in elements
        ),
    )


def topic_set(topics: Iterable[Topic]) -> wstop.TopicSetType:
    """The tree of declared topics. Only root topics are namespace-qualified (WS-Topics 1.3 section 5)."""
    roots: dict[str, Element] = {}
    for topic in topics:
        first, *rest = topic.name.split("/")
        node = roots.get(first)
        if node is None:
            node = roots[first] = etree.Element(f"{{{TNS1}}}{first}", nsmap=PREFIXES)
        for name in rest:
            child = node.find(name)
            node = child if child is not None else etree.SubElement(node, name)
        node.set(f"{{{WSTOP}}}topic", "true")
        _describe(node, topic)
    return wstop.TopicSetType(any_=tuple(roots.values()))


def _describe(node: Element, topic: Topic) -> None:
    description = etree.Element(f"{{{TT}}}MessageDescription", IsProperty="true" if topic.is_property else "false")
    node.insert(0, description)
    _describe_items(description, "Source", topic.source, ())
    _describe_items(description, "Key", topic.key, ())
    _describe_items(description, "Data", topic.data, topic.elements)


def _describe_items(parent: Element, group: str, simple: tuple[Item, ...], elements: tuple[Item, ...]) -> None:
    if not simple and not elements:
        return
    node = etree.SubElement(parent, f"{{{TT}}}{group}")
    for kind, items in (("Simple", simple), ("Element", elements)):
        for item in items:
            entry = etree.SubElement(node, f"{{{TT}}}{kind}ItemDescription", Name=item.name)
            entry.set("Type", clark_to_prefixed(item.type, node))
