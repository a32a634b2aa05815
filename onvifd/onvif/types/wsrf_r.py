"""Resource faults (WSRF Resource 1.2)."""

from __future__ import annotations

from onvifd.onvif.soap.codec import schema
from onvifd.onvif.soap.namespaces import WSRF_R
from onvifd.onvif.types import wsrf_bf

NAMESPACE = WSRF_R


@schema(WSRF_R)
class ResourceUnknownFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSRF_R)
class ResourceUnknownFault(ResourceUnknownFaultType):
    pass


@schema(WSRF_R)
class ResourceUnavailableFaultType(wsrf_bf.BaseFaultType):
    pass


@schema(WSRF_R)
class ResourceUnavailableFault(ResourceUnavailableFaultType):
    pass
