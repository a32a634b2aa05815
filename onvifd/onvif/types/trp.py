"""Replay control (Replay 5)."""

from __future__ import annotations

from onvifd.onvif.soap.codec import AnyElements, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TRP
from onvifd.onvif.types import tt

NAMESPACE = TRP


@schema(TRP)
class GetServiceCapabilities:
    pass


@schema(TRP)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TRP)
class Capabilities:
    any_: AnyElements = any_elements(default=())
    reverse_playback: bool | None = attribute("ReversePlayback", default=None)
    session_timeout_range: tuple[float, ...] | None = attribute("SessionTimeoutRange", default=None, tokens=True)
    rtp_rtsp_tcp: bool | None = attribute("RTP_RTSP_TCP", default=None)
    rtsp_web_socket_uri: str | None = attribute("RTSPWebSocketUri", default=None)


@schema(TRP)
class GetReplayUri:
    stream_setup: tt.StreamSetup = element("StreamSetup")
    recording_token: str = element("RecordingToken")


@schema(TRP)
class GetReplayUriResponse:
    uri: str = element("Uri")


@schema(TRP)
class SetReplayConfiguration:
    configuration: tt.ReplayConfiguration = element("Configuration")


@schema(TRP)
class SetReplayConfigurationResponse:
    pass


@schema(TRP)
class GetReplayConfiguration:
    pass


@schema(TRP)
class GetReplayConfigurationResponse:
    configuration: tt.ReplayConfiguration = element("Configuration")
