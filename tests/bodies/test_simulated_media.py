"""A simulated camera is set: encoders, key frames on demand, metadata, groups; and the recorder's side of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.camera_settings import OnvifSettings, change_quality, change_stream
from onvifd.cameras.registry import Camera, Credentials, Driver, Role, Stream
from onvifd.cameras.settings import EncoderSettings
from onvifd.cameras.simulated.encode import CameraClips, ClipMaker, VideoSpec, coarse, load_sound
from onvifd.clock import US, SystemClock
from onvifd.errors import InvalidArgument, Unavailable
from onvifd.live.hub import LiveStream
from onvifd.media import sei
from onvifd.media.rtp.depack import depacketizer
from onvifd.media.rtp.packet import parse_rtp
from onvifd.media.types import Codec, FlushUnit, Kind
from onvifd.onvif.client import OnvifClient
from onvifd.onvif.types import trt
from tests.local import CAMERA, running_camera

LIMIT = 30.0


@pytest.fixture(scope="session")
def clips(clip_folder: Path) -> CameraClips:
    """Small pictures with a clean point every two seconds."""
    main = VideoSpec(codec=Codec.H264, scale=1, bitrate=300_000, gop=50)
    maker = ClipMaker(clip_folder, 5, main, replace(main, gop=25))
    return CameraClips(maker.clip(main), maker.clip(maker.specs["sub"]), load_sound(clip_folder, Codec.PCMU), maker)


def running(clips: CameraClips) -> contextlib.AbstractAsyncContextManager[SimulatedDevice]:
    return running_camera(clips, number=5)


def camera_of(device: SimulatedDevice, **changes: object) -> Camera:
    stream = Stream(
        role=Role.MAIN, uri=f"rtsp://127.0.0.1:{device.rtsp_port}/main", source_profile="profile-main", gov_length=50
    )
    camera = Camera(
        id="cam-00000001",
        channel=1,
        name="Gate",
        driver=Driver.ONVIF,
        address=device.device_url,
        streams=(stream, replace(stream, role=Role.SUB, uri=stream.uri + "x", source_profile="profile-sub")),
        credentials=CAMERA,
        enabled=True,
        manufacturer="",
        model="",
        firmware="",
        serial="",
        event_address="",
        created=0,
    )
    return replace(camera, **changes)  # type: ignore[arg-type]


class Watched:
    """The units of a live stream's picture, with what they hold."""

    def __init__(self, stream: LiveStream) -> None:
        self.units: list[FlushUnit] = []
        stream.attach(self._take, lambda: None)

    def _take(self, unit: FlushUnit) -> None:
        if not unit.rtcp and unit.track == 0:
            self.units.append(unit)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not true():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def settings_of(*cameras: Camera, learned: dict[str, Stream] | None = None) -> AsyncIterator[OnvifSettings]:
    async def learn(camera: str, stream: Stream) -> None:
        if learned is not None:
            learned[camera] = stream

    async with aiohttp.ClientSession() as session:
        made = OnvifSettings(session, SystemClock(), learn)
        made.set_cameras(cameras)
        try:
            yield made
        finally:
            await made.close()


@pytest.mark.covers("ENC-04", "ENC-05", "ENC-06", "ENC-09", "ENC-10", "P071", "P075")
async def test_options_of_a_camera(clips: CameraClips) -> None:
    async with running(clips) as device, settings_of(camera_of(device)) as settings:
        by_codec = {each.codec: each for each in await settings.options("cam-00000001", "main")}
        assert {Codec.H264, Codec.H265, Codec.JPEG, Codec.MPEG4} == set(by_codec)
        h264 = by_codec[Codec.H264]
        assert h264.resolutions == ((1920, 1080), (1280, 720), (640, 360))
        assert (h264.framerates[0], h264.framerates[-1]) == (25.0, 5.0)
        assert h264.gov_lengths == (1, 250)
        assert h264.bitrates == (64, 16384)
        assert h264.profiles == ("Baseline",)
        assert by_codec[Codec.JPEG].profiles == ()
        assert by_codec[Codec.H265].resolutions == ((640, 360),)
        assert await settings.options("cam-00000001", "main") is await settings.options("cam-00000001", "main")


async def test_the_quality_of_a_camera_is_learned_with_its_options(clips: CameraClips) -> None:
    qualities: list[tuple[str, str, float]] = []

    async def learn(*told: Any) -> None:
        qualities.append(told)

    async def unused(camera: str, stream: Stream) -> None:
        raise AssertionError

    async with running(clips) as device, aiohttp.ClientSession() as session:
        camera = camera_of(device)
        camera = change_stream(camera, replace(camera.main, video_codec=Codec.H264))
        made = OnvifSettings(session, SystemClock(), unused, learned_quality=learn)
        try:
            made.set_cameras([camera])
            await made.options(camera.id, "main")
            await made.options(camera.id, "main")
            assert qualities == [(camera.id, "main", 5.0)]
            known = change_quality(camera, "main", 5.0)
            assert (known.main.quality, known.streams[1].quality) == (5.0, None)
            await made.close()
            made.set_cameras([known])
            await made.options(camera.id, "main")
            assert len(qualities) == 1  # no news
        finally:
            await made.close()


@pytest.mark.covers("A016", "ENC-05", "ENC-06", "ENC-09", "ENC-10", "P071")
async def test_setting_an_encoder_changes_what_is_sent(clips: CameraClips) -> None:
    learned: dict[str, Stream] = {}
    async with running(clips) as device, settings_of(camera_of(device), learned=learned) as settings:
        body = device._body
        assert body is not None
        watched = Watched(body.streams["main"])
        await watched.until(lambda: len(watched.units) > 1)
        wanted = EncoderSettings(codec=Codec.H264, width=1280, height=720, framerate=5, bitrate=500, gov_length=5)
        made = await settings.set_encoder("cam-00000001", "main", wanted)
        assert (made.width, made.height, made.framerate, made.gov_length) == (1280, 720, 5, 5)
        stream = body.streams["main"]
        await watched.until(lambda: stream.tracks[0].format.width == 1280)
        ssrc, changed = stream.tracks[0].ssrc, len(watched.units)
        await watched.until(lambda: len(watched.units) > changed + 12)
        begin = next(n for n, unit in enumerate(watched.units) if watched.units[n + 1].utc - unit.utc == US // 5)
        after = watched.units[begin:]
        keys = [number for number, unit in enumerate(after) if unit.key]
        # the first group lasts up to the next clean point of the loop
        assert keys[0] == 0
        assert keys[1] <= 5
        assert keys[2] - keys[1] == 5
        assert {b.utc - a.utc for a, b in pairwise(after)} == {US // 5}
        # sequence numbers and time stamps of the track go on
        packets = [
            parse_rtp(unit.data, start + 4) for unit in watched.units[begin - 1 : begin + 2] for start in unit.starts
        ]
        assert {b.seq - a.seq & 0xFFFF for a, b in pairwise(packets)} == {1}
        assert {packet.ssrc for packet in packets} == {ssrc}
        first, second = watched.units[begin], watched.units[begin + 1]
        assert second.rtp_time - first.rtp_time & 0xFFFFFFFF == 90_000 // 5
        await watched.until(lambda: "cam-00000001" in learned)
        kept = change_stream(camera_of(device), learned["cam-00000001"]).main
        assert (kept.width, kept.height, kept.gov_length, kept.role) == (1280, 720, 5, Role.MAIN)
        assert kept.uri == camera_of(device).main.uri


@pytest.mark.covers("ENC-04", "P075")
async def test_another_codec_ends_sessions_so_that_the_stream_is_described_anew(clips: CameraClips) -> None:
    async with running(clips) as device, settings_of(camera_of(device)) as settings:
        body = device._body
        assert body is not None
        ended: list[bool] = []
        body.streams["sub"].attach(lambda _: None, lambda: ended.append(True))
        wanted = EncoderSettings(codec=Codec.JPEG, width=640, height=360, framerate=5, bitrate=1000)
        await settings.set_encoder("cam-00000001", "sub", wanted)
        async with asyncio.timeout(LIMIT):
            while not ended:
                await asyncio.sleep(0.01)
        track = body.streams["sub"].tracks[0]
        assert (track.format.codec, track.payload_type) == (Codec.JPEG, 26)


async def test_what_is_not_offered_is_refused(clips: CameraClips) -> None:
    async with running(clips) as device, settings_of(camera_of(device)) as settings:
        with pytest.raises(InvalidArgument) as refused:
            await settings.set_encoder("cam-00000001", "main", EncoderSettings(codec=Codec.H264, width=320, height=200))
        assert refused.value.detail == "ConfigModify"
        body = device._body
        assert body is not None
        assert body.media().video_encoders[0].width == 640


async def test_a_camera_by_rtsp_alone_is_out_of_reach(clips: CameraClips) -> None:
    async with running(clips) as device:
        plain = camera_of(device, driver=Driver.RTSP)
        async with settings_of(plain) as settings:
            assert await settings.options("cam-00000001", "main") == ()
            with pytest.raises(InvalidArgument):
                await settings.set_encoder(
                    "cam-00000001", "main", EncoderSettings(codec=Codec.H264, width=640, height=360)
                )


async def test_a_refused_login_is_not_tried_again(clips: CameraClips) -> None:
    async with running(clips) as device:
        wrong = camera_of(device, credentials=Credentials(user="admin", password="wrong-pass-1"))
        async with settings_of(wrong) as settings:
            for _ in range(2):
                with pytest.raises(Unavailable, match="refuses"):
                    await settings.options("cam-00000001", "main")


async def test_media_ver10_sets_the_same(clips: CameraClips, monkeypatch: pytest.MonkeyPatch) -> None:
    from onvifd.cameras import onvif_driver

    found = onvif_driver.service_addresses

    async def without_media2(client: OnvifClient) -> onvif_driver.Addresses:
        return replace(await found(client), media2="")

    monkeypatch.setattr(onvif_driver, "service_addresses", without_media2)
    async with running(clips) as device, settings_of(camera_of(device)) as settings:
        codecs = [each.codec for each in await settings.options("cam-00000001", "main")]
        assert Codec.H264 in codecs
        assert Codec.H265 not in codecs
        wanted = EncoderSettings(codec=Codec.H264, width=640, height=360, framerate=10, bitrate=400, gov_length=20)
        made = await settings.set_encoder("cam-00000001", "main", wanted)
        assert (made.framerate, made.bitrate, made.gov_length) == (10, 400, 20)
        body = device._body
        assert body is not None
        assert body.media().video_encoders[0].gov_length == 20


async def test_a_key_frame_comes_on_demand_and_times_stay_exact(clips: CameraClips) -> None:
    async with running(clips) as device, aiohttp.ClientSession() as session:
        body = device._body
        assert body is not None
        stream = body.streams["main"]
        watched = Watched(stream)
        await watched.until(lambda: any(unit.key for unit in watched.units))
        client = OnvifClient(device.device_url, CAMERA.user, CAMERA.password, session)
        media = client.at(device.device_url.replace("device_service", "media_service"))
        begin = len(watched.units)

        def on_demand() -> list[FlushUnit]:
            return [unit for unit in watched.units[begin:] if unit.key and unit.utc % (2 * US)]

        async with asyncio.timeout(LIMIT):
            while not on_demand():
                request = trt.SetSynchronizationPoint(profile_token="profile-main")
                await media.call(request, trt.SetSynchronizationPointResponse)
                await asyncio.sleep(0.2)
        key = on_demand()[0]
        await watched.until(lambda: watched.units[-1].utc > key.utc + US // 2)
        times = [unit.utc for unit in watched.units]
        assert {b - a for a, b in pairwise(times)} == {40_000}
        joiner = depacketizer(stream.tracks[0].format)
        joined = 0
        for unit in watched.units[watched.units.index(key) :]:
            for start, stop in zip(unit.starts, (*unit.starts[1:], len(unit.data)), strict=True):
                packet = parse_rtp(unit.data, start + 4, stop)
                payload = unit.data[packet.start : packet.end]
                for frame in joiner.feed(payload, packet.marker, packet.rtp_time, True):
                    assert sei.find_utc(Codec.H264, frame.data) == unit.utc
                    joined += 1
        assert joined > 10


async def test_groups_and_metadata_belong_to_the_configuration(clips: CameraClips) -> None:
    async with running(clips) as device:
        body = device._body
        assert body is not None
        model = body.media()
        groups = [each.multicast for each in model.video_encoders]
        groups += [each.multicast for each in model.audio_encoders]
        groups += [each.multicast for each in model.metadata]
        assert len({(group.address, group.port) for group in groups if group}) == 5
        composed = body.lookup("/main")
        assert composed is not None
        assert set(composed.multicast) == {Kind.VIDEO, Kind.AUDIO, Kind.METADATA}
        await body.control.start_multicast("profile-sub", True)
        assert next(each.started for each in body.media().profiles if each.token == "profile-sub")
        await body.control.start_multicast("profile-sub", False)
        assert not any(each.started for each in body.media().profiles)
        await body.control.start_multicast("profile-main", True)
        await body.control.start_multicast("profile-sub", True)
        assert device._groups is not None
        assert len(device._groups.senders) == 5  # both streams at once, each with its own sound
        await body.control.start_multicast("profile-sub", False)
        sending = set(device._groups.senders)
        taken = model.audio_encoders[0].multicast
        await body.control.set_audio_encoder(model.audio_encoders[1].token, name="Same", multicast=taken)
        with pytest.raises(Unavailable):  # the sound of the other stream has the group
            await body.control.start_multicast("profile-sub", True)
        assert not next(each.started for each in body.media().profiles if each.token == "profile-sub")
        assert set(device._groups.senders) == sending
        await body.control.start_multicast("profile-main", False)
        choice = replace(model.metadata[0].choice, analytics=False, ptz_status=False, ptz_position=False)
        await body.control.set_metadata(model.metadata[0].token, name="Quiet", choice=choice, multicast=None)
        assert body.media().metadata[0].name == "Quiet"
        document = body._streams.all["main"].player._tracks[2].clip.unit(1_767_225_604, 2).data
        assert b"Object" not in document
        assert b"PTZ" not in document


@pytest.mark.parametrize(("kilobits", "aim"), [(1, 1), (64, 64), (79, 64), (80, 80), (4095, 3584), (16_384, 16_384)])
def test_about_the_same_bit_rate_is_encoded_once(kilobits: int, aim: int) -> None:
    assert coarse(kilobits * 1000) == aim * 1000


async def test_another_encoding_begins_before_the_next_clean_point_of_its_loop(clips: CameraClips) -> None:
    async with running(clips) as device, settings_of(camera_of(device)) as settings:
        body = device._body
        assert body is not None
        watched = Watched(body.streams["main"])
        wanted = EncoderSettings(codec=Codec.H264, width=640, height=360, framerate=25, bitrate=200)
        await watched.until(lambda: len(watched.units) > 1)

        def began() -> bool:
            """The loop that was there, and those that are set, have clean points at whole seconds only."""
            return any(unit.key and unit.utc % US for unit in watched.units)

        async with asyncio.timeout(LIMIT):
            for gov_length in itertools.cycle((250, 225)):
                await settings.set_encoder("cam-00000001", "main", replace(wanted, gov_length=gov_length))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(5):
                        await watched.until(began)
                        break
        times = [unit.utc for unit in watched.units]
        assert {b - a for a, b in pairwise(times)} == {40_000}
