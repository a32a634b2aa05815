"""Replay control service (Replay 5)."""

from __future__ import annotations

from datetime import timedelta

from onvifd.access.types import AccessClass
from onvifd.errors import InvalidArgument
from onvifd.onvif.backend import DeviceBackend, ReplayBackend
from onvifd.onvif.services.common import NS_REPLAY, REPLAY_PATH, check_unicast, rtsp_uri, tunnel_uri
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import trp, tt
from onvifd.rtsp import websocket

READ = AccessClass.READ_MEDIA

SESSION_TIMEOUT_RANGE = (10, 3600)
"""Seconds of silence after which a replay session may be set to end."""


class ReplayService(Service):
    """Addresses of recordings, and the session time-out of replay. `reverse` tells whether replay runs backwards too."""

    namespace = NS_REPLAY
    path = REPLAY_PATH
    prefix = "trp"

    def __init__(self, backend: ReplayBackend, device: DeviceBackend, *, reverse: bool = False) -> None:
        self._backend = backend
        self._device = device
        self._reverse = reverse

    def capabilities(self, call: Call) -> trp.Capabilities:
        return trp.Capabilities(
            reverse_playback=self._reverse,
            session_timeout_range=tuple(float(bound) for bound in SESSION_TIMEOUT_RANGE),
            rtp_rtsp_tcp=self._device.ports().rtsp is not None,
            rtsp_web_socket_uri=websocket.URI if self._device.ports().rtsp is not None else None,
        )

    @operation(access=AccessClass.PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: trp.GetServiceCapabilities
    ) -> trp.GetServiceCapabilitiesResponse:
        return trp.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))

    @operation(access=READ)
    async def get_replay_uri(self, call: Call, request: trp.GetReplayUri) -> trp.GetReplayUriResponse:
        check_unicast(request.stream_setup)
        path = self._backend.replay_path(request.recording_token)
        port = self._device.ports().rtsp
        if request.stream_setup.transport.protocol is tt.TransportProtocol.HTTP:
            return trp.GetReplayUriResponse(uri=tunnel_uri(call, port, path, scheme="rtsp"))
        return trp.GetReplayUriResponse(uri=rtsp_uri(call, port, path))

    @operation(access=READ)
    async def get_replay_configuration(
        self, call: Call, request: trp.GetReplayConfiguration
    ) -> trp.GetReplayConfigurationResponse:
        timeout = timedelta(seconds=self._backend.replay_timeout())
        return trp.GetReplayConfigurationResponse(configuration=tt.ReplayConfiguration(session_timeout=timeout))

    @operation(access=AccessClass.ACTUATE)
    async def set_replay_configuration(
        self, call: Call, request: trp.SetReplayConfiguration
    ) -> trp.SetReplayConfigurationResponse:
        seconds = request.configuration.session_timeout.total_seconds()
        low, high = SESSION_TIMEOUT_RANGE
        if not low <= seconds <= high:
            raise InvalidArgument(f"The session time-out is {low} to {high} s.", detail="ConfigModify")
        await self._backend.set_replay_timeout(round(seconds))
        return trp.SetReplayConfigurationResponse()
