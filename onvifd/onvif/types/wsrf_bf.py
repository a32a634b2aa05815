"""Base faults (WSRF BaseFaults 1.2)."""

from __future__ import annotations

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema, text
from onvifd.onvif.soap.namespaces import WSRF_BF, XML
from onvifd.onvif.types import wsa

NAMESPACE = WSRF_BF


@schema(WSRF_BF)
class BaseFaultType:
    any_: AnyElements = any_elements(default=())
    timestamp: int = element("Timestamp", form=Form.DATETIME)
    originator: wsa.EndpointReferenceType | None = element("Originator", default=None)
    error_code: BaseFaultTypeErrorCode | None = element("ErrorCode", default=None)
    description: tuple[BaseFaultTypeDescription, ...] = element("Description", default=())
    fault_cause: BaseFaultTypeFaultCause | None = element("FaultCause", default=None)


@schema(WSRF_BF)
class BaseFault(BaseFaultType):
    pass


@schema(WSRF_BF)
class BaseFaultTypeDescription:
    value: str = text()
    lang: str | None = attribute("lang", default=None, ns=XML)


@schema(WSRF_BF)
class BaseFaultTypeErrorCode:
    dialect: str = attribute("dialect")


@schema(WSRF_BF)
class BaseFaultTypeFaultCause:
    any_: AnyElements = any_elements(default=())
