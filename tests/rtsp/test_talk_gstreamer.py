"""GStreamer's ONVIF mode talks through the server to a camera: every sample arrives. ffmpeg, which does not know it, sees pictures."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.talkback import Talkback, TalkSource
from onvifd.clock import SystemClock
from tests.cameras.conftest import device as device
from tests.cameras.conftest import small_clips as small_clips
from tests.rtsp.sample import feeding
from tests.rtsp.talk import PASSWORD, House, until

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).parent / "gst_talk.py"
SPEECH = random.Random(3).randbytes(160 * 150)


async def run(*command: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.fixture
async def gstreamer() -> str:
    check = "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst; Gst.init(None); assert Gst.ElementFactory.find('rtspsrc')"
    if not Path(PYTHON).exists() or (await run(PYTHON, "-c", check))[0]:
        pytest.skip("GStreamer is not complete")
    return PYTHON


@pytest.mark.covers("LIV-10", "T-Backchannel", "T-Backchannel-G711")
@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_rtspsrc_talks_to_a_camera(
    protocol: str, gstreamer: str, device: SimulatedDevice, tmp_path: Path
) -> None:
    file = tmp_path / "speech"
    file.write_bytes(SPEECH)
    async with House().open() as house, feeding(house.stream):
        source = TalkSource("cam-1", f"rtsp://127.0.0.1:{device.rtsp_port}/main", "admin", "camera-pass-1")
        task = asyncio.create_task(Talkback(house.line, source, SystemClock()).run())
        try:
            code, out, err = await run(gstreamer, str(SCRIPT), house.url(), "olga", PASSWORD, protocol, str(file))
            assert code == 0, err
            told: dict[str, Any] = json.loads(out.splitlines()[-1])
            assert not told["error"]
            assert told["media"] == ["video", "audio"]
            assert told["seen"] > 20
            await until(lambda: len(device.loudspeaker.sounds) == 150)
            assert device.loudspeaker.heard == SPEECH
            await until(lambda: house.line.talker(house.server.now()) is None)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.covers("T-Backchannel")
async def test_ffmpeg_sees_the_pictures_alone() -> None:
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        pytest.skip("ffprobe is not installed")
    async with House().open() as house, feeding(house.stream):
        url = house.url().replace("rtsp://", f"rtsp://olga:{PASSWORD}@")
        code, out, err = await run(
            ffprobe, "-v", "error", "-rtsp_transport", "tcp", "-show_streams", "-of", "json", url
        )
    assert code == 0, err
    assert [stream["codec_type"] for stream in json.loads(out)["streams"]] == ["video"]


@pytest.mark.covers("T-Backchannel")
async def test_rtspsrc_talks_through_an_http_tunnel(gstreamer: str, device: SimulatedDevice, tmp_path: Path) -> None:
    file = tmp_path / "speech"
    file.write_bytes(SPEECH)
    url = f"rtsph://127.0.0.1:{device.http_port}/main"
    code, out, err = await run(gstreamer, str(SCRIPT), url, "admin", "camera-pass-1", "tcp", str(file))
    assert code == 0, err
    told: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert not told["error"]
    assert told["seen"] > 20
    await until(lambda: len(device.loudspeaker.sounds) == 150)
    assert device.loudspeaker.heard == SPEECH
