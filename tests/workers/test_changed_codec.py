"""A camera that sends another encoding within one session is recorded on, as a track of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av

from onvifd.workers.messages import Cameras, CameraState, RecordingState
from onvifd.workers.specs import CameraSpec, RecordSpec, StreamSpec
from tests.cameras.fault_camera import Camera
from tests.cameras.test_codec_change import H265_SDP, Change
from tests.workers.conftest import RECORDING, Control


def codec_of(file: Path) -> str:
    with av.open(str(file)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0
        return container.streams.video[0].codec_context.name


async def test_recording_goes_on_with_a_new_track(control: Control) -> None:
    camera = Camera(interval=0.02)

    def then() -> None:
        camera.sdp = H265_SDP

    camera.spoil = Change(60, then=then)
    async with camera.url() as url:
        fed = (RecordSpec(recording=RECORDING, volumes=("vol-1",)),)
        stream = StreamSpec(name="main", url=url, recordings=fed)
        await control.begin()
        await control.ask(Cameras(cameras=(CameraSpec(id="cam-1", channel=1, streams=(stream,)),)))

        def told() -> list[RecordingState]:
            return [each for each in control.of(RecordingState) if isinstance(each, RecordingState)]

        await control.until(lambda: len([each for each in told() if each.active]) == 2, "the second track")
        await asyncio.sleep(1.0)
        await control.order()
        await control.until(lambda: not told()[-1].active, "the end")
        first, second = (each for each in told() if each.active)
        assert "VIDEO001" in first.tracks
        assert "VIDEO002" in second.tracks
        assert "VIDEO001" not in second.tracks
        reasons = [each.reason for each in control.of(CameraState) if isinstance(each, CameraState) and not each.online]
        assert reasons == ["the camera sends h265 now instead of h264"]
        rows = await asyncio.to_thread(control.segments)
        assert len(rows) == 2
        assert rows[0].end <= rows[1].start
        files = [control.volume / row.path for row in rows]
        assert [await asyncio.to_thread(codec_of, file) for file in files] == ["h264", "hevc"]
