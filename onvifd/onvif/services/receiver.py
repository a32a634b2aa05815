"""Receiver service: RTSP sources outside the recorder (Receiver 5)."""

from __future__ import annotations

from onvifd.access.types import AccessClass
from onvifd.errors import InvalidArgument
from onvifd.onvif.recording_backend import Receiver, ReceiverBackend, ReceiverMode, ReceiverProtocol, ReceiverSettings
from onvifd.onvif.services.common import NS_RECEIVER, RECEIVER_PATH, find
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import trv, tt

READ = AccessClass.READ_MEDIA
ACTUATE = AccessClass.ACTUATE

_PROTOCOLS = {
    (tt.StreamType.RTP_UNICAST, tt.TransportProtocol.UDP): ReceiverProtocol.UDP,
    (tt.StreamType.RTP_UNICAST, tt.TransportProtocol.RTSP): ReceiverProtocol.RTSP,
    (tt.StreamType.RTP_MULTICAST, tt.TransportProtocol.UDP): ReceiverProtocol.GROUP,
}
_SETUPS = {protocol: setup for setup, protocol in _PROTOCOLS.items()}


class ReceiverService(Service):
    """Receivers get RTP by UDP, by multicast or within the RTSP connection."""

    namespace = NS_RECEIVER
    path = RECEIVER_PATH
    prefix = "trv"

    def __init__(self, backend: ReceiverBackend) -> None:
        self._backend = backend

    def capabilities(self, call: Call) -> trv.Capabilities:
        limits = self._backend.limits()
        return trv.Capabilities(
            rtp_multicast=True,
            rtp_tcp=False,
            rtp_rtsp_tcp=True,
            supported_receivers=limits.receivers,
            maximum_rtspuri_length=limits.uri,
        )

    @operation(access=AccessClass.PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: trv.GetServiceCapabilities
    ) -> trv.GetServiceCapabilitiesResponse:
        return trv.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))

    @operation(access=READ)
    async def get_receivers(self, call: Call, request: trv.GetReceivers) -> trv.GetReceiversResponse:
        return trv.GetReceiversResponse(receivers=tuple(map(_receiver, self._backend.receivers())))

    @operation(access=READ)
    async def get_receiver(self, call: Call, request: trv.GetReceiver) -> trv.GetReceiverResponse:
        return trv.GetReceiverResponse(receiver=_receiver(self._find(request.receiver_token)))

    @operation(access=ACTUATE)
    async def create_receiver(self, call: Call, request: trv.CreateReceiver) -> trv.CreateReceiverResponse:
        receiver = await self._backend.create(_settings(request.configuration))
        return trv.CreateReceiverResponse(receiver=_receiver(receiver))

    @operation(access=ACTUATE)
    async def delete_receiver(self, call: Call, request: trv.DeleteReceiver) -> trv.DeleteReceiverResponse:
        await self._backend.delete(request.receiver_token)
        return trv.DeleteReceiverResponse()

    @operation(access=ACTUATE)
    async def configure_receiver(self, call: Call, request: trv.ConfigureReceiver) -> trv.ConfigureReceiverResponse:
        self._find(request.receiver_token)
        await self._backend.configure(request.receiver_token, _settings(request.configuration))
        return trv.ConfigureReceiverResponse()

    @operation(access=ACTUATE)
    async def set_receiver_mode(self, call: Call, request: trv.SetReceiverMode) -> trv.SetReceiverModeResponse:
        self._find(request.receiver_token)
        if request.mode is tt.ReceiverMode.UNKNOWN:
            raise InvalidArgument("Unknown is no mode that can be set.")
        await self._backend.set_mode(request.receiver_token, ReceiverMode(request.mode))
        return trv.SetReceiverModeResponse()

    @operation(access=READ)
    async def get_receiver_state(self, call: Call, request: trv.GetReceiverState) -> trv.GetReceiverStateResponse:
        state, automatic = self._backend.state(request.receiver_token)
        information = tt.ReceiverStateInformation(state=tt.ReceiverState(state), auto_created=automatic)
        return trv.GetReceiverStateResponse(receiver_state=information)

    def _find(self, token: str) -> Receiver:
        receivers = self._backend.receivers()
        return find(receivers, lambda each: each.token == token, detail="UnknownToken", what="receiver")


def _settings(configuration: tt.ReceiverConfiguration) -> ReceiverSettings:
    """Raises InvalidArgument (BadConfiguration) for what the capabilities do not offer."""
    setup = configuration.stream_setup
    protocol = _PROTOCOLS.get((setup.stream, setup.transport.protocol))
    if configuration.mode is tt.ReceiverMode.UNKNOWN:
        raise InvalidArgument("Unknown is no mode that can be set.", detail="BadConfiguration")
    if protocol is None or setup.transport.tunnel is not None:
        raise InvalidArgument(
            f"{setup.stream} over {setup.transport.protocol} is not received.", detail="BadConfiguration"
        )
    return ReceiverSettings(mode=ReceiverMode(configuration.mode), uri=configuration.media_uri, protocol=protocol)


def _receiver(receiver: Receiver) -> tt.Receiver:
    stream, protocol = _SETUPS[receiver.protocol]
    return tt.Receiver(
        token=receiver.token,
        configuration=tt.ReceiverConfiguration(
            mode=tt.ReceiverMode(receiver.mode),
            media_uri=receiver.uri,
            stream_setup=tt.StreamSetup(
                stream=stream,
                transport=tt.Transport(protocol=protocol),
            ),
        ),
    )
