"""Addressing (WS-Addressing 1.0)."""

from __future__ import annotations

from onvifd.onvif.soap.codec import AnyElements, any_elements, element, schema, text
from onvifd.onvif.soap.namespaces import WSA

NAMESPACE = WSA


@schema(WSA)
class EndpointReferenceType:
    address: AttributedURIType = element("Address")
    reference_parameters: ReferenceParametersType | None = element("ReferenceParameters", default=None)
    metadata: MetadataType | None = element("Metadata", default=None)
    any_: AnyElements = any_elements(default=())


@schema(WSA)
class EndpointReference(EndpointReferenceType):
    pass


@schema(WSA)
class ReferenceParametersType:
    any_: AnyElements = any_elements(default=())


@schema(WSA)
class MetadataType:
    any_: AnyElements = any_elements(default=())


@schema(WSA)
class AttributedURIType:
    value: str = text()
