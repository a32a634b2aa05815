"""Cameras with other encodings than the usual ones: relayed, recorded and replayed; a VMS sets a camera through the recorder."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from onvifd.app import RecorderApp
from onvifd.cameras.simulated.encode import CameraClips, ClipMaker, load_sound, sub_spec
from onvifd.media.types import Codec
from onvifd.onvif.client import OnvifClient
from onvifd.onvif.types import tr2, tt
from tests.e2e.harness import need
from tests.e2e.rtsp_client import REPLAY, Packet, RtspClient, clock
from tests.local import ADMIN, PASSWORD, recorder_config, running_camera, running_recorder

LIMIT = 60.0
FRAMES = 10


@contextlib.asynccontextmanager
async def recording(folder: Path, codec: Codec, audio: Codec, *, latm: bool = False) -> AsyncIterator[RecorderApp]:
    """A recorder in this process that records a camera of these encodings."""
    spec = sub_spec(codec) if codec is Codec.JPEG else replace(sub_spec(codec), gop=25)
    maker = ClipMaker(folder / "clips", 9, spec, spec)
    clip = await asyncio.to_thread(maker.clip, spec)
    sound = await asyncio.to_thread(load_sound, folder / "clips", audio, latm=latm)
    async with (
        running_camera(CameraClips(clip, clip, sound, maker), number=9) as camera,
        running_recorder(recorder_config(folder), camera) as app,
    ):
        async with asyncio.timeout(LIMIT):
            while not app.recorder.channels[0].recording:
                await asyncio.sleep(0.1)
        yield app


async def decoded(app: RecorderApp, path: str, kind: str, number: int = 0) -> int:
    """How many frames of a kind (v or a) ffmpeg decodes of the first ones; `number` is the stream's among those of the kind."""
    uri = f"rtsp://{ADMIN}:{PASSWORD}@127.0.0.1:{app.ports.rtsp}{path}"
    process = await asyncio.create_subprocess_exec(
        *(need("ffmpeg"), "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", uri),
        *("-map", f"0:{kind}:{number}", f"-frames:{kind}", str(FRAMES), "-f", "framemd5", "-"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(LIMIT):
        output, complaints = await process.communicate()
    assert process.returncode == 0, complaints
    return sum(1 for line in output.splitlines() if line and not line.startswith(b"#"))


@pytest.mark.parametrize(
    ("codec", "audio", "latm"),
    [(Codec.MPEG4, Codec.OPUS, False), (Codec.H265, Codec.AAC, True), (Codec.JPEG, Codec.PCMA, False)],
)
@pytest.mark.covers("S-MPEG4")
async def test_relayed_and_replayed(tmp_path: Path, codec: Codec, audio: Codec, latm: bool) -> None:
    async with recording(tmp_path, codec, audio, latm=latm) as app:
        (channel,) = app.recorder.channels
        for kind in ("v", "a"):
            assert await decoded(app, f"/live/{channel.camera}/main", kind) == FRAMES
        # While that was read, as much was recorded.
        for kind in ("v", "a"):
            assert await decoded(app, f"/replay/rec-{channel.camera}", kind) == FRAMES


async def encode_in(app: RecorderApp, session: aiohttp.ClientSession, encoding: str, codec: Codec) -> None:
    """A VMS sets the main encoder; comes back when that is received."""
    (channel,) = app.recorder.channels
    base = f"http://127.0.0.1:{app.ports.http}/onvif/"
    media = OnvifClient(f"{base}device_service", ADMIN, PASSWORD, session).at(f"{base}media2_service")
    request = tr2.GetVideoEncoderConfigurations(configuration_token=f"ve-{channel.camera}-main")
    (now,) = (await media.call(request, tr2.GetVideoEncoderConfigurationsResponse)).configurations
    wanted = replace(now, encoding=encoding, profile=None, multicast=None)
    await media.call(tr2.SetVideoEncoderConfiguration(configuration=wanted), tr2.SetVideoEncoderConfigurationResponse)
    async with asyncio.timeout(LIMIT):
        while app.recorder.channels[0].main.formats[0].codec is not codec:
            await asyncio.sleep(0.1)


def first_packets(app: RecorderApp, path: str, start: int) -> tuple[list[tuple[str, str | None]], dict[str, Packet]]:
    """The video streams that are described, and of each track the first packet of what is replayed from a time on, all set up."""
    with RtspClient(f"rtsp://127.0.0.1:{app.ports.rtsp}{path}", ADMIN, PASSWORD) as client:
        videos = [each for each in client.describe() if each.kind == "video"]
        for number, each in enumerate(videos):
            client.setup(each, 2 * number, Require=REPLAY)
        client.demand("PLAY", Require=REPLAY, Range=f"clock={clock(start)}-", Rate_Control="no")
        found: dict[str, Packet] = {}
        for packet in client.packets(None, seconds=3):
            found.setdefault(videos[packet.channel // 2].encoding, packet)
        return [(each.encoding, each.track) for each in videos], found


@pytest.mark.covers("G-onvif-replay", "G-ReplayHeaderExtension")
async def test_a_codec_that_was_changed_and_changed_back_is_replayed(tmp_path: Path) -> None:
    """Each encoding is a track of its own, and every time is played on the track that has it."""
    async with recording(tmp_path, Codec.H264, Codec.PCMU) as app, aiohttp.ClientSession() as session:
        path = f"/replay/rec-{app.recorder.channels[0].camera}"
        turns = []
        for encoding, codec in (("H265", Codec.H265), ("H264", Codec.H264)):
            await asyncio.sleep(4)
            await encode_in(app, session, encoding, codec)
            turns.append(time.time_ns() // 1000)
        await asyncio.sleep(4)
        described, found = await asyncio.to_thread(first_packets, app, path, turns[0] + 3_000_000)
        assert described == [("h264", "VIDEO001"), ("h265", "VIDEO002")]
        h264, h265 = found["h264"].extension, found["h265"].extension
        assert h264 is not None
        assert h265 is not None
        assert turns[0] <= h265.utc <= turns[0] + 3_000_000
        assert h265.clean
        # The same PLAY goes on where the other encoding begins.
        assert turns[0] + 3_000_000 < h264.utc <= turns[1] + 1_000_000
        assert h264.clean
        for number in (0, 1):
            assert await decoded(app, path, "v", number) == FRAMES


async def test_sound_that_cannot_be_recorded_is_relayed(tmp_path: Path) -> None:
    async with recording(tmp_path, Codec.H264, Codec.G726) as app:
        (channel,) = app.recorder.channels
        assert await decoded(app, f"/live/{channel.camera}/main", "a") == FRAMES
        assert await decoded(app, f"/replay/rec-{channel.camera}", "v") == FRAMES


@pytest.mark.covers("T-media2-SetVideoEncoderConfiguration", "ENC-05", "ENC-09", "ENC-10")
@pytest.mark.covers("A016", "ENC-06", "P071")
async def test_a_vms_sets_the_encoder_of_a_camera(tmp_path: Path) -> None:
    async with recording(tmp_path, Codec.H264, Codec.PCMU) as app, aiohttp.ClientSession() as session:
        (channel,) = app.recorder.channels
        base = f"http://127.0.0.1:{app.ports.http}/onvif/"
        media = OnvifClient(f"{base}device_service", ADMIN, PASSWORD, session).at(f"{base}media2_service")
        answer = await media.call(tr2.GetVideoEncoderConfigurations(), tr2.GetVideoEncoderConfigurationsResponse)
        before = next(each for each in answer.configurations if each.token == f"ve-{channel.camera}-main")
        request = tr2.GetVideoEncoderConfigurationOptions(configuration_token=before.token)
        offered = await media.call(request, tr2.GetVideoEncoderConfigurationOptionsResponse)
        assert {each.encoding for each in offered.options} == {"H264", "H265", "MPV4-ES", "JPEG"}
        rate = tt.VideoRateControl2(frame_rate_limit=10.0, bitrate_limit=600)
        wanted = replace(
            before,
            resolution=tt.VideoResolution2(width=1280, height=720),
            rate_control=rate,
            gov_length=10,
            multicast=None,
        )
        await media.call(
            tr2.SetVideoEncoderConfiguration(configuration=wanted), tr2.SetVideoEncoderConfigurationResponse
        )
        async with asyncio.timeout(LIMIT):
            while app.recorder.channels[0].main.formats[0].width != 1280:
                await asyncio.sleep(0.1)
        after = await media.call(
            tr2.GetVideoEncoderConfigurations(configuration_token=before.token),
            tr2.GetVideoEncoderConfigurationsResponse,
        )
        (found,) = after.configurations
        assert (found.resolution.width, found.gov_length) == (1280, 10)
        assert found.rate_control is not None
        assert found.rate_control.frame_rate_limit == 10.0
        await media.call(
            tr2.SetSynchronizationPoint(profile_token=f"{channel.camera}-main"), tr2.SetSynchronizationPointResponse
        )
