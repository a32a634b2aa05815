"""Replay control: every operation by bytes, valid against the official schema, with its access class and faults."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from onvifd.access.types import AccessClass, Level, may
from onvifd.onvif.services.common import NS_REPLAY
from onvifd.onvif.services.replay import ReplayService
from onvifd.onvif.types import trp, tt

TRP = f"{{{NS_REPLAY}}}"
TT = "{http://www.onvif.org/ver10/schema}"
REC1 = "rec-cam-1a2b3c4d"


def uri(
    token: str = REC1,
    stream: tt.StreamType = tt.StreamType.RTP_UNICAST,
    protocol: tt.TransportProtocol = tt.TransportProtocol.RTSP,
) -> trp.GetReplayUri:
    setup = tt.StreamSetup(stream=stream, transport=tt.Transport(protocol=protocol))
    return trp.GetReplayUri(stream_setup=setup, recording_token=token)


def configure(seconds: float) -> trp.SetReplayConfiguration:
    return trp.SetReplayConfiguration(configuration=tt.ReplayConfiguration(session_timeout=timedelta(seconds=seconds)))


OPERATIONS: dict[str, tuple[Any, AccessClass]] = {
    "GetServiceCapabilities": (trp.GetServiceCapabilities(), AccessClass.PRE_AUTH),
    "GetReplayUri": (uri(), AccessClass.READ_MEDIA),
    "GetReplayConfiguration": (trp.GetReplayConfiguration(), AccessClass.READ_MEDIA),
    "SetReplayConfiguration": (configure(30), AccessClass.ACTUATE),
}


@pytest.fixture
def asked(body: Any, client: Callable[..., Any]) -> Any:
    return client(ReplayService(body, body))


def test_every_operation_is_tested() -> None:
    assert {item.name.removeprefix(TRP) for item in ReplayService.operations()} == set(OPERATIONS)


@pytest.mark.covers(
    *("G-GetReplayConfiguration", "G-GetReplayUri", "G-SetReplayConfiguration", "G-replay-GetServiceCapabilities"),
)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_the_answer_is_valid(asked: Any, name: str) -> None:
    assert (await asked.ask(OPERATIONS[name][0])).tag == f"{TRP}{name}Response"


@pytest.mark.parametrize("name", OPERATIONS)
async def test_access_class(asked: Any, name: str) -> None:
    request, access = OPERATIONS[name]
    for level in (Level.USER, Level.OPERATOR, Level.ADMINISTRATOR):
        reply = await asked.send(request, str(level).lower())
        assert (reply.status == 200) == may(level, access), level
    assert ((await asked.send(request, None)).status == 200) == (access is AccessClass.PRE_AUTH)


@pytest.mark.covers("G-GetReplayUri")
@pytest.mark.parametrize("protocol", ["UDP", "TCP", "RTSP"])
async def test_the_uri_has_the_host_of_the_request_and_the_rtsp_port(asked: Any, protocol: str) -> None:
    asked.host = "nvr.example.org:8080"
    answer = await asked.ask(uri(protocol=tt.TransportProtocol(protocol)))
    assert answer.findtext(f"{TRP}Uri") == f"rtsp://nvr.example.org:8554/replay/{REC1}"


@pytest.mark.covers("G-GetReplayUri")
@pytest.mark.parametrize(
    ("stream", "protocol"),
    [
        (tt.StreamType.RTP_MULTICAST, tt.TransportProtocol.UDP),
        (tt.StreamType.RTP_MULTICAST, tt.TransportProtocol.RTSP),
        (tt.StreamType.RTP_MULTICAST, tt.TransportProtocol.HTTP),
    ],
)
async def test_transports_that_are_not_served(
    asked: Any, stream: tt.StreamType, protocol: tt.TransportProtocol
) -> None:
    assert await asked.fault(uri(stream=stream, protocol=protocol)) == ("Sender", "InvalidArgVal", "InvalidStreamSetup")


async def test_the_tunnel_is_at_the_port_of_the_web_service(asked: Any) -> None:
    asked.host = "nvr.example.org:8080"
    answer = await asked.ask(uri(protocol=tt.TransportProtocol.HTTP))
    assert answer.findtext(f"{TRP}Uri") == f"rtsp://nvr.example.org:8080/replay/{REC1}"


async def test_unknown_recording(asked: Any) -> None:
    assert await asked.fault(uri("none")) == ("Sender", "InvalidArgVal", "NoRecording")


async def test_without_rtsp_there_is_no_uri(asked: Any, body: Any) -> None:
    body.ports_ = dataclasses.replace(body.ports_, rtsp=None)
    assert (await asked.fault(uri()))[0] == "Receiver"


@pytest.mark.covers("G-GetReplayConfiguration", "G-ReplaySessionTimeout", "G-SetReplayConfiguration")
@pytest.mark.parametrize("seconds", [10, 60, 3600])
async def test_the_session_timeout_is_kept(asked: Any, body: Any, seconds: int) -> None:
    await asked.ask(configure(seconds))
    assert body.replay_timeout_ == seconds
    answer = await asked.ask(trp.GetReplayConfiguration())
    assert answer.findtext(f".//{TT}SessionTimeout") == f"PT{seconds}S"


@pytest.mark.covers("G-SetReplayConfiguration")
@pytest.mark.parametrize("seconds", [-1, 0, 9.9, 3600.5, 10**7])
async def test_a_timeout_out_of_range_cannot_be_set(asked: Any, body: Any, seconds: float) -> None:
    assert await asked.fault(configure(seconds)) == ("Sender", "InvalidArgVal", "ConfigModify")
    assert body.replay_timeout_ == 60


@pytest.mark.parametrize("reverse", [False, True])
async def test_capabilities(body: Any, client: Callable[..., Any], reverse: bool) -> None:
    found = (await client(ReplayService(body, body, reverse=reverse)).ask(trp.GetServiceCapabilities(), None))[0]
    assert found.get("ReversePlayback") == str(reverse).lower()
    assert found.get("RTP_RTSP_TCP") == "true"
    assert [float(bound) for bound in found.get("SessionTimeoutRange").split()] == [10, 3600]
