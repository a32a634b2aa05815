"""Sound reaches foreign players: relayed and replayed, as G.711 and as AAC."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onvifd.app import RecorderApp
from onvifd.media.types import Codec
from tests.e2e.harness import Recorder, need
from tests.e2e.soap import Device
from tests.e2e.test_live_ffmpeg import with_account
from tests.local import ADMIN, PASSWORD, recorder_config, running_camera, running_recorder, small_clips

SECONDS = 3


def probe_of(uri: str, transport: str) -> list[str]:
    """ffprobe that lists the packets of sound of the first seconds."""
    return [
        *(need("ffprobe"), "-v", "error", "-rtsp_transport", transport, "-select_streams", "a"),
        *("-show_entries", "packet=pts_time,duration_time,size:stream=codec_name,sample_rate,channels"),
        *("-read_intervals", f"%+{SECONDS}", "-of", "json", uri),
    ]


def assert_sound(output: bytes, codec: str, rate: int) -> None:
    """A stream of the codec, with packets that go on without holes for the seconds that were read."""
    found = json.loads(output)
    (stream,) = found["streams"]
    assert (stream["codec_name"], int(stream["sample_rate"]), stream["channels"]) == (codec, rate, 1)
    packets = [each for each in found["packets"] if "pts_time" in each]
    times = [float(each["pts_time"]) for each in packets]
    assert times == sorted(times)
    assert times[-1] - times[0] > SECONDS - 1.5
    assert all(int(each["size"]) > 0 for each in packets)
    steps = [after - before for before, after in itertools.pairwise(times)]
    # The camera sends G.711 in packets of 40 ms; a frame of AAC has 1024 samples.
    usual = 0.04 if codec.startswith("pcm") else 1024 / rate
    assert sorted(steps)[len(steps) // 2] == pytest.approx(usual, rel=0.05)
    assert max(steps) < 3 * usual


@pytest.mark.covers("T-G711orAAC", "A032")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_g711_of_a_live_stream(recorder: Recorder, streams: dict[str, str], transport: str) -> None:
    command = probe_of(with_account(streams["main"], recorder), transport)
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert_sound(done.stdout, "pcm_mulaw", 8000)


@pytest.mark.covers("T-G711orAAC")
def test_g711_of_a_recording(recorder: Recorder, device: Device, footage: str) -> None:
    command = probe_of(with_account(device.replay_uri(footage), recorder), "tcp")
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert_sound(done.stdout, "pcm_mulaw", 8000)


@pytest.fixture
async def aac_recorder(tmp_path: Path, clip_folder: Path) -> AsyncIterator[RecorderApp]:
    """A recorder in this process with a camera that has AAC."""
    clips = await asyncio.to_thread(small_clips, clip_folder, 9, audio=Codec.AAC)
    async with (
        running_camera(clips, number=9, motion=False) as camera,
        running_recorder(recorder_config(tmp_path), camera) as app,
    ):
        yield app


async def probed(app: RecorderApp, path: str) -> bytes:
    uri = f"rtsp://{ADMIN}:{PASSWORD}@127.0.0.1:{app.ports.rtsp}{path}"
    process = await asyncio.create_subprocess_exec(
        *probe_of(uri, "tcp"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, complaints = await process.communicate()
    assert process.returncode == 0, complaints
    return output


@pytest.mark.covers("T-G711orAAC")
async def test_aac_is_relayed_and_replayed(aac_recorder: RecorderApp) -> None:
    async with asyncio.timeout(30):
        while not aac_recorder.recorder.channels[0].recording:
            await asyncio.sleep(0.1)
    (channel,) = aac_recorder.recorder.channels
    assert_sound(await probed(aac_recorder, f"/live/{channel.camera}/main"), "aac", 16_000)
    # While that was read, as many seconds were recorded.
    assert_sound(await probed(aac_recorder, f"/replay/rec-{channel.camera}"), "aac", 16_000)
