"""Receivers (Receiver 5)."""

from __future__ import annotations

from onvifd.onvif.soap.codec import AnyElements, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TRV
from onvifd.onvif.types import tt

NAMESPACE = TRV


@schema(TRV)
class GetServiceCapabilities:
    pass


@schema(TRV)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TRV)
class Capabilities:
    any_: AnyElements = any_elements(default=())
    rtp_multicast: bool | None = attribute("RTP_Multicast", default=None)
    rtp_tcp: bool | None = attribute("RTP_TCP", default=None)
    rtp_rtsp_tcp: bool | None = attribute("RTP_RTSP_TCP", default=None)
    supported_receivers: int = attribute("SupportedReceivers")
    maximum_rtspuri_length: int | None = attribute("MaximumRTSPURILength", default=None)


@schema(TRV)
class GetReceivers:
    pass


@schema(TRV)
class GetReceiversResponse:
    receivers: tuple[tt.Receiver, ...] = element("Receivers", default=())


@schema(TRV)
class GetReceiver:
    receiver_token: str = element("ReceiverToken")


@schema(TRV)
class GetReceiverResponse:
    receiver: tt.Receiver = element("Receiver")


@schema(TRV)
class CreateReceiver:
    configuration: tt.ReceiverConfiguration = element("Configuration")


@schema(TRV)
class CreateReceiverResponse:
    receiver: tt.Receiver = element("Receiver")


@schema(TRV)
class DeleteReceiver:
    receiver_token: str = element("ReceiverToken")


@schema(TRV)
class DeleteReceiverResponse:
    pass


@schema(TRV)
class ConfigureReceiver:
    receiver_token: str = element("ReceiverToken")
    configuration: tt.ReceiverConfiguration = element("Configuration")


@schema(TRV)
class ConfigureReceiverResponse:
    pass


@schema(TRV)
class SetReceiverMode:
    receiver_token: str = element("ReceiverToken")
    mode: tt.ReceiverMode = element("Mode")


@schema(TRV)
class SetReceiverModeResponse:
    pass


@schema(TRV)
class GetReceiverState:
    receiver_token: str = element("ReceiverToken")


@schema(TRV)
class GetReceiverStateResponse:
    receiver_state: tt.ReceiverStateInformation = element("ReceiverState")
