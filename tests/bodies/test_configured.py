"""What workers are told of the settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from onvifd.bodies.channel import Limits, media_model
from onvifd.bodies.configured import channel_of, setup_of
from onvifd.cameras.registry import Camera, Driver, Role, Stream
from onvifd.cameras.settings import UNTOLD_QUALITY
from onvifd.config import load
from onvifd.media.types import Codec, PtzPart


@pytest.mark.covers("NET-14")
def test_limits_of_sessions_reach_the_workers(tmp_path: Path) -> None:
    limits = {"rtsp_sessions": 7, "rtsp_sessions_per_user": 5, "rtsp_sessions_per_address": 3, "rtsp_bandwidth": 2.5}
    config = load({"data": tmp_path} | {f"limits.{name}": value for name, value in limits.items()}, environment={})
    setup = setup_of(config, (), 60)
    assert (setup.max_sessions, setup.max_sessions_per_account, setup.max_sessions_per_address) == (7, 5, 3)
    assert setup.max_bandwidth == 2_500_000


def test_a_channel_knows_what_the_camera_is_set_to() -> None:
    stream = Stream(
        role=Role.MAIN,
        uri="rtsp://192.0.2.1/main",
        video_codec=Codec.H264,
        framerate=25.0,
        bitrate=4096,
        gov_length=50,
        audio_codec=Codec.AAC,
        audio_bitrate=32,
        quality=80.0,
        ptz=frozenset({PtzPart.ZOOM_STATUS}),
    )
    camera = Camera(
        id="cam-00000001",
        channel=1,
        name="Gate",
        driver=Driver.ONVIF,
        address="http://192.0.2.1/",
        streams=(stream,),
        credentials=None,
        enabled=True,
        manufacturer="",
        model="",
        firmware="",
        serial="",
        event_address="",
        created=0,
    )
    channel = channel_of(camera, True)
    assert channel.main.limits == Limits(framerate=25.0, bitrate=4096, gov_length=50, audio_bitrate=32, quality=80.0)
    model = media_model((channel,))
    assert model.video_encoders[0].quality == 80.0
    assert model.metadata[0].ptz == {PtzPart.ZOOM_STATUS}
    silent = replace(camera, streams=(replace(stream, quality=None, ptz=frozenset()),))
    model = media_model((channel_of(silent, True),))
    assert model.video_encoders[0].quality == UNTOLD_QUALITY
    assert model.metadata[0].ptz == frozenset()
