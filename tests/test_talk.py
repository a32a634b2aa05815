"""Talking through the whole recorder: from a client by its front door to the loudspeaker of a camera."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from onvifd.app import RecorderApp
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.drivers import prepare
from onvifd.cameras.registry import Credentials
from onvifd.cli.setup import initialise, open_registry
from onvifd.clock import SystemClock
from onvifd.errors import Unavailable
from onvifd.media import g711
from onvifd.media.types import Codec
from onvifd.onvif.client import OnvifClient
from onvifd.onvif.types import trt
from tests.cameras.conftest import device as device
from tests.cameras.conftest import small_clips as small_clips
from tests.local import ADMIN, PASSWORD, recorder_config
from tests.rtsp.talk import Speaker, until

SPEECH = random.Random(4).randbytes(160 * 50)
LIMIT = 50.0


@pytest.fixture
async def recorder(tmp_path: Path, device: SimulatedDevice) -> AsyncIterator[RecorderApp]:
    config = recorder_config(tmp_path)
    await asyncio.to_thread(initialise, config, ADMIN, PASSWORD)
    found = await prepare(device.device_url, Credentials(user="admin", password="camera-pass-1"))
    assert [each.codec for each in found.talk] == [Codec.PCMU, Codec.PCMA, Codec.G726, Codec.AAC]
    with open_registry(config) as registry:
        camera = await asyncio.to_thread(registry.add, found)
        assert (await asyncio.to_thread(registry.get, camera.id)).talk == found.talk
    app = RecorderApp(config)
    await app.start()
    yield app
    await app.stop()


async def online(app: RecorderApp) -> str:
    """Path of the main stream once it is received."""
    async with asyncio.timeout(LIMIT):
        while not (app.recorder.channels and app.recorder.channels[0].main.online):
            await asyncio.sleep(0.05)
    return f"rtsp://127.0.0.1:{app.ports.rtsp}/live/{app.recorder.channels[0].camera}/main"


@pytest.mark.covers("LIV-10", "T-Backchannel", "T-Backchannel-G711", "S-GetAudioOutputs")
async def test_an_operator_talks_to_a_camera(recorder: RecorderApp, device: SimulatedDevice) -> None:
    url = await online(recorder)
    first, second = Speaker(url, ADMIN, PASSWORD), Speaker(url, ADMIN, PASSWORD)
    described = await first.describe()
    assert described.talk is not None
    assert {Codec.PCMU, Codec.PCMA, Codec.G726, Codec.AAC} == {each.codec for _, each in described.talk.formats}
    await first.setup(described)
    await first.play()
    first.say(SPEECH)
    await until(lambda: len(device.loudspeaker.sounds) == 50)
    assert device.loudspeaker.heard == SPEECH
    with pytest.raises(Unavailable, match="503"):
        await second.setup(await second.describe())
    await first.client.close()
    await second.client.close()


async def test_the_output_level_is_that_of_what_the_camera_hears(
    recorder: RecorderApp, device: SimulatedDevice
) -> None:
    url = await online(recorder)
    async with aiohttp.ClientSession() as session:
        address = f"http://127.0.0.1:{recorder.ports.http}/onvif/media_service"
        media = OnvifClient(address, ADMIN, PASSWORD, session, clock=SystemClock())
        (output,) = (
            await media.call(trt.GetAudioOutputConfigurations(), trt.GetAudioOutputConfigurationsResponse)
        ).configurations
        quiet = trt.SetAudioOutputConfiguration(
            configuration=type(output)(
                token=output.token,
                name=output.name,
                use_count=output.use_count,
                output_token=output.output_token,
                send_primacy=output.send_primacy,
                output_level=50,
            ),
            force_persistence=True,
        )
        await media.call(quiet, trt.SetAudioOutputConfigurationResponse)
    speaker = Speaker(url, ADMIN, PASSWORD)
    await speaker.setup(await speaker.describe())
    await speaker.play()
    speaker.say(SPEECH)
    await until(lambda: len(device.loudspeaker.sounds) == 50)
    loud = g711.decode_mulaw(SPEECH).astype(float)
    heard = g711.decode_mulaw(device.loudspeaker.heard).astype(float)
    assert abs(heard - loud / 2).max() <= abs(loud).max() / 32
    await speaker.client.close()
