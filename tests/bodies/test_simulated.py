from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import av
import pytest
from av.video.codeccontext import VideoCodecContext

from onvifd.access.types import Level
from onvifd.bodies.simulated import SimulatedCamera
from onvifd.cameras.simulated.encode import CameraClips, load_cameras
from onvifd.cameras.simulated.picture import BlockCode, read_block_code
from onvifd.clock import US, SimulatedClock
from onvifd.errors import NotFound
from onvifd.events.bus import EventBus
from onvifd.events.types import Operation
from onvifd.media.types import Codec
from onvifd.onvif.backend import DeviceBackend, MediaBackend, Ports

T0 = 1_767_225_600 * US


@pytest.fixture(scope="session")
def clips(clip_folder: Path) -> CameraClips:
    return load_cameras(clip_folder, [3])[3]


def camera(clips: CameraClips, clock: SimulatedClock, bus: EventBus, number: int = 3) -> SimulatedCamera:
    return SimulatedCamera(
        number,
        clips,
        seed="test",
        bound="127.0.0.1",
        ports=Ports(http=8001, https=None, rtsp=8554),
        clock=clock,
        bus=bus,
        users=lambda: (("admin", Level.ADMINISTRATOR),),
    )


async def test_device_face(clips: CameraClips) -> None:
    clock = SimulatedClock(T0)
    device = camera(clips, clock, EventBus(clock))
    await device.start()
    backend: DeviceBackend = device
    again = camera(clips, clock, EventBus(clock))
    assert backend.identity() == again.identity()
    assert backend.identity().uuid != camera(clips, clock, EventBus(clock), 4).identity().uuid
    scopes = [scope.uri for scope in backend.scopes()]
    assert "onvif://www.onvif.org/name/Camera%203" in scopes
    assert "onvif://www.onvif.org/hardware/simulated" in scopes
    assert "onvif://www.onvif.org/Profile/Streaming" in scopes
    assert backend.system_time().utc == T0
    assert backend.ports().rtsp == 8554
    assert await backend.users() == (("admin", Level.ADMINISTRATOR),)
    assert (await backend.network()).hostname


async def test_media_model_is_consistent(clips: CameraClips) -> None:
    clock = SimulatedClock(T0)
    backend: MediaBackend = camera(clips, clock, EventBus(clock))
    model = backend.media()
    (source,) = model.video_sources
    assert (source.width, source.height, source.framerate) == (1920, 1080, 25)
    main, sub = model.video_encoders
    assert (main.width, main.height, main.gov_length, main.codec) == (1920, 1080, 50, Codec.H264)
    assert (sub.width, sub.height) == (640, 360)
    assert 3400 < main.bitrate < 4600
    assert main.profile in ("Baseline", "Main", "High")
    for profile in model.profiles:
        assert profile.video_source == source.token
        assert profile.video_encoder in {encoder.token for encoder in model.video_encoders}
        assert profile.audio_source in {item.token for item in model.audio_sources}
        assert profile.audio_encoder in {item.token for item in model.audio_encoders}
    assert [profile.path for profile in model.profiles] == ["/main", "/sub"]
    assert model.audio_encoders[0].codec is Codec.PCMU


async def test_snapshot_is_the_latest_key_frame(clips: CameraClips) -> None:
    clock = SimulatedClock(T0 + 5 * US)
    device = camera(clips, clock, EventBus(clock))
    for profile, size in (("profile-main", (1920, 1080)), ("profile-sub", (640, 360))):
        jpeg = await device.snapshot(profile)
        assert jpeg[:2] == b"\xff\xd8"
        decoder = av.CodecContext.create("mjpeg", "r")
        assert isinstance(decoder, VideoCodecContext)
        (frame,) = decoder.decode(av.Packet(jpeg)) + decoder.decode(None)
        assert (frame.width, frame.height) == size
        assert read_block_code(frame.to_ndarray(format="gray")) == BlockCode(3, 100)


async def test_unknown_profiles(clips: CameraClips) -> None:
    clock = SimulatedClock(T0)
    device = camera(clips, clock, EventBus(clock))
    for call in (device.snapshot, device.synchronize):
        with pytest.raises(NotFound) as caught:
            await call("nothing")
        assert caught.value.detail == "NoProfile"
    await device.synchronize("profile-sub")


async def test_motion_is_a_property_that_follows_the_picture(clips: CameraClips) -> None:
    clock = SimulatedClock(T0)
    bus = EventBus(clock)
    await bus.start()
    events = []
    bus.subscribe(events.append)
    device = camera(clips, clock, bus)
    task = asyncio.create_task(device.run())
    await clock.advance(0)
    for _ in range(320):
        await clock.advance(0.05)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await bus.close()
    assert [(event.utc - T0, dict(event.data)["State"], event.operation) for event in events] == [
        (0, "false", Operation.INITIALIZED),
        (3 * US, "true", Operation.CHANGED),
        (6 * US, "false", Operation.CHANGED),
        (13 * US, "true", Operation.CHANGED),
        (16 * US, "false", Operation.CHANGED),
    ][: len(events)]
    assert len(events) >= 4
    assert {event.topic for event in events} == {"VideoSource/MotionAlarm"}
    assert dict(events[0].source) == {"Source": device.media().video_sources[0].token}


def test_the_main_stream_carries_metadata_too(clips: CameraClips) -> None:
    clock = SimulatedClock(T0)
    stream = camera(clips, clock, EventBus(clock)).streams["main"]
    assert stream is not None
    assert [track.format.codec for track in stream.tracks] == [Codec.H264, Codec.PCMU, Codec.METADATA]
    assert [track.payload_type for track in stream.tracks] == [96, 0, 98]


async def test_streams_are_found_by_path_and_carry_both_tracks(clips: CameraClips) -> None:
    clock = SimulatedClock(T0)
    device = camera(clips, clock, EventBus(clock))
    assert device.lookup("/other") is None
    units = []
    found = device.lookup("/sub")
    assert found is not None
    stream = found.video
    assert stream is not None
    assert [track.format.codec for track in stream.tracks] == [Codec.H264, Codec.PCMU]
    assert [track.payload_type for track in stream.tracks] == [96, 0]
    stream.attach(units.append, lambda: None)
    task = asyncio.create_task(device.run())
    await clock.advance(0)
    for _ in range(60):
        await clock.advance(0.04)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert {unit.track for unit in units} == {0, 1}
    assert next(unit for unit in units if unit.track == 0 and not unit.rtcp).key
    assert stream.backlog()
