"""What a media worker does with streams: when it must begin anew, and streams that sleep."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.intake import Intake
from onvifd.clock import SystemClock
from onvifd.live.hub import LiveStream
from onvifd.rtsp.client_transport import Way
from onvifd.rtsp.client_trust import Judge
from onvifd.workers.intakes import awake, must_restart, on_demand, source_of
from onvifd.workers.messages import Cameras, DigestSeen
from onvifd.workers.specs import RecordSpec, StreamSpec
from tests.cameras.fault_camera import Camera, Rig
from tests.workers.conftest import Control, spec

SPEC = StreamSpec(name="main", url="rtsp://192.0.2.1/", transport="rtsps", trust="ca", quirks=("md5-only",))


def intake(spec: StreamSpec) -> Intake:
    return Intake(
        source_of("c/main", spec),
        LiveStream("c/main"),
        SystemClock(),
        on_state=lambda online, reason: None,
        on_tracks=lambda tracks: None,
    )


async def test_specs_become_sources() -> None:
    source = source_of("c/main", SPEC)
    assert (source.transport, source.trust.judge, source.quirks) == (Way.RTSPS, Judge.CA, {"md5-only"})
    assert "192" not in repr(source)


@pytest.mark.parametrize(
    ("change", "restart"),
    [
        ({}, False),
        ({"on_demand": True}, False),
        ({"digest": True}, False),
        ({"recordings": (RecordSpec(recording="r"),)}, False),
        ({"transport": "udp"}, True),
        ({"url": "rtsp://192.0.2.2/"}, True),
        ({"trust": "none"}, True),
        ({"quirks": ()}, True),
        ({"pin": "ab" * 32}, True),
        ({"tunnel_port": 81}, True),
    ],
)
async def test_only_what_matters_begins_a_stream_anew(change: dict[str, object], restart: bool) -> None:
    assert must_restart(intake(SPEC), "c/main", replace(SPEC, **change)) is restart


async def test_digest_is_told_once_and_coming_back_disturbs_nobody(control: Control, camera: SimulatedDevice) -> None:
    await control.begin()
    await control.ask(spec(camera))
    await control.until(lambda: control.of(DigestSeen), "digest")
    running = control.worker._streams["cam-1", "main"].intake
    (known,) = spec(camera).cameras
    told = replace(known, streams=tuple(replace(each, digest=True) for each in known.streams))
    await control.ask(Cameras(cameras=(told,)))
    assert control.worker._streams["cam-1", "main"].intake is running
    assert control.of(DigestSeen) == [DigestSeen(camera="cam-1", stream="main")]


async def test_a_pin_that_was_learnt_here_is_no_change() -> None:
    running = intake(SPEC)
    running._pin = "ab" * 32
    assert not must_restart(running, "c/main", replace(SPEC, pin="ab" * 32))
    assert must_restart(running, "c/main", replace(SPEC, pin="cd" * 32))


def test_what_feeds_a_recording_is_never_on_demand() -> None:
    assert on_demand(replace(SPEC, on_demand=True))
    assert not on_demand(replace(SPEC, on_demand=True, recordings=(RecordSpec(recording="r"),)))


async def test_a_picture_of_a_sleeping_stream_wakes_it() -> None:
    async with Camera().url() as url, Rig(url, on_demand=True, watched=False, frames=False).running() as rig:
        await awake(rig.stream)
        assert rig.stream.keyframe()
        await rig.until(lambda: not rig.stream.online)


async def test_a_camera_that_is_away_is_not_waited_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onvifd.workers.intakes.WAKE", 0.02)
    stream = LiveStream("c/main")
    async with asyncio.timeout(5):
        await awake(stream)
    assert stream.clients == 0
