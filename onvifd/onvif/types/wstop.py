"""Topics (WS-Topics 1.3)."""

from __future__ import annotations

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema, text
from onvifd.onvif.soap.namespaces import WSTOP

NAMESPACE = WSTOP


@schema(WSTOP)
class Documentation:
    value: str | None = text(default=None)
    any_: AnyElements = any_elements(default=())


@schema(WSTOP)
class ExtensibleDocumented:
    documentation: Documentation | None = element("documentation", default=None)


@schema(WSTOP)
class QueryExpressionType:
    value: str | None = text(default=None)
    any_: AnyElements = any_elements(default=())
    dialect: str = attribute("Dialect")


@schema(WSTOP)
class TopicNamespaceType(ExtensibleDocumented):
    topic: tuple[TopicNamespaceTypeTopic, ...] = element("Topic", default=())
    any_: AnyElements = any_elements(default=())
    name: str | None = attribute("name", default=None)
    target_namespace: str = attribute("targetNamespace")
    final: bool | None = attribute("final", default=None)


@schema(WSTOP)
class TopicType(ExtensibleDocumented):
    message_pattern: QueryExpressionType | None = element("MessagePattern", default=None)
    topic: tuple[TopicType, ...] = element("Topic", default=())
    any_: AnyElements = any_elements(default=())
    name: str = attribute("name")
    message_types: tuple[str, ...] | None = attribute("messageTypes", default=None, form=Form.QNAME, tokens=True)
    final: bool | None = attribute("final", default=None)


@schema(WSTOP)
class TopicNamespaceTypeTopic(TopicType):
    parent: str | None = attribute("parent", default=None)


@schema(WSTOP)
class TopicSetType(ExtensibleDocumented):
    any_: AnyElements = any_elements(default=())


@schema(WSTOP)
class TopicSet(TopicSetType):
    pass
