"""What a media worker records and tells, with a simulated camera as the other side."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from onvifd.archive.disk import Volume
from onvifd.archive.metadata import MetadataReader
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.errors import Unavailable
from onvifd.onvif.search.metadata import position_of
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import SegmentRow
from onvifd.workers import media, recording
from onvifd.workers.messages import (
    Cameras,
    CameraState,
    Done,
    GetKeyframe,
    Jpeg,
    Keyframe,
    MetadataDocument,
    Ready,
    RecordingState,
    Stats,
    StreamFormats,
    Volumes,
)
from onvifd.workers.specs import RecordSpec
from tests.workers.conftest import RECORDING, Control, spec


def states(control: Control) -> list[tuple[bool, str, bool]]:
    return [(m.active, m.reason, m.error) for m in control.of(RecordingState) if isinstance(m, RecordingState)]


async def test_recording_follows_its_orders(control: Control, camera: SimulatedDevice) -> None:
    assert isinstance(await control.begin(), Ready)
    assert await control.ask(spec(camera)) == Done()
    await control.until(lambda: states(control), "recording")
    (began,) = control.of(RecordingState)
    assert isinstance(began, RecordingState)
    assert (began.recording, began.tracks) == (RECORDING, ("VIDEO001", "AUDIO001", "META001"))
    first = control.worker._stream("cam-1", "main")
    await control.order()
    await control.until(lambda: len(states(control)) == 2, "pause")
    await control.order(RECORDING)
    await control.until(lambda: len(states(control)) == 3, "resumption")
    assert states(control) == [(True, "", False), (False, "pause", False), (True, "", False)]
    assert control.worker._stream("cam-1", "main") is first  # whoever watches notices nothing
    rows = await asyncio.to_thread(control.segments)
    assert len(rows) == 2
    assert rows[0].end_reason == "pause"


async def test_metadata_of_the_camera_is_recorded_and_not_relayed(control: Control, camera: SimulatedDevice) -> None:
    await control.begin()
    await control.ask(spec(camera))
    await control.until(lambda: states(control), "recording")
    await asyncio.sleep(1.5)
    await control.order()
    await control.until(lambda: len(states(control)) == 2, "pause")
    (told,) = control.of(StreamFormats)[:1]
    assert isinstance(told, StreamFormats)
    assert [track.codec for track in told.tracks] == ["h264", "pcmu"]
    live = control.worker._stream("cam-1", "main")
    assert live is not None
    assert [track.format.codec for track in live.tracks] == ["h264", "pcmu"]
    store = control.worker._recordings._store
    assert store is not None
    reader = MetadataReader(store, lambda: {"vol-1": Volume("vol-1", control.volume)})
    scan = await asyncio.to_thread(reader.scan, RECORDING, 0, 1 << 60, position_of)
    assert scan.found
    for utc, place in scan.found:
        assert utc % 1_000_000 < 1000  # as the camera stamped it, by its sender reports
        assert place.pan_tilt is not None


async def test_without_an_order_nothing_is_written(control: Control, camera: SimulatedDevice) -> None:
    await control.begin(record=False)
    await control.ask(spec(camera))
    await control.until(lambda: control.of(StreamFormats), "formats")
    stream = control.worker._stream("cam-1", "main")
    await control.until(lambda: stream is not None and stream.keyframe(), "pictures")
    assert states(control) == []
    assert list(control.volume.iterdir()) == []
    await control.order(RECORDING)
    await control.until(lambda: states(control), "recording")


async def test_another_address_of_the_stream_ends_the_file_and_begins_one(
    control: Control, camera: SimulatedDevice
) -> None:
    await control.begin()
    await control.ask(spec(camera))
    await control.until(lambda: states(control), "recording")
    await control.ask(spec(camera, "sub"))
    await control.until(lambda: len(states(control)) == 3, "recording of the other stream")
    assert [state[:2] for state in states(control)] == [(True, ""), (False, "stop"), (True, "")]
    rows = await asyncio.to_thread(control.segments)
    assert len(rows) == 2
    assert rows[0].end_reason == "stop"


@pytest.mark.parametrize("order", ["taker first", "giver first"])
async def test_what_goes_to_another_stream_ends_before_it_begins_there(
    control: Control, camera: SimulatedDevice, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    told: list[str] = []

    class Noted(recording.Recorder):
        def __init__(self, *args: Any) -> None:
            told.append("begins")
            super().__init__(*args)

        async def stop(self) -> None:
            await super().stop()
            told.append("has ended")

    monkeypatch.setattr(recording, "Recorder", Noted)
    (known,) = spec(camera).cameras
    (stream,) = known.streams

    def cameras(feeds: str) -> Cameras:
        made = [
            structs.replace(
                known,
                id=name,
                streams=(structs.replace(stream, recordings=stream.recordings if name == feeds else ()),),
            )
            for name in ("cam-1", "cam-2")
        ]
        return Cameras(cameras=tuple(made if order == "giver first" else reversed(made)))

    await control.begin()
    await control.ask(cameras("cam-1"))
    await control.until(lambda: states(control), "recording")
    await control.ask(cameras("cam-2"))
    await control.until(lambda: len(states(control)) == 3, "recording of the other stream")
    assert told == ["begins", "has ended", "begins"]
    assert [state[:2] for state in states(control)] == [(True, ""), (False, "stop"), (True, "")]
    first, second = await asyncio.to_thread(control.segments)
    assert first.end <= second.start


async def test_a_removed_camera_leaves_whole_files(control: Control, camera: SimulatedDevice) -> None:
    await control.begin()
    await control.ask(spec(camera))
    await control.until(lambda: states(control), "recording")
    await control.ask(Cameras(cameras=()))
    assert [state[:2] for state in states(control)] == [(True, ""), (False, "stop")]
    (row,) = await asyncio.to_thread(control.segments)
    assert (row.state, row.end_reason) == ("closed", "stop")
    (file,) = control.volume.rglob("*.mp4")
    assert file.stat().st_size == row.size
    assert control.worker._stream("cam-1", "main") is None


async def test_a_lost_camera_ends_recording_and_comes_back(control: Control, camera: SimulatedDevice) -> None:
    await control.begin()
    await control.ask(spec(camera))
    await control.until(lambda: states(control), "recording")
    camera._asked = (camera.http_port, camera.rtsp_port)
    await camera.stop()
    await control.until(lambda: len(states(control)) == 2, "end of recording")
    assert states(control)[1] == (False, "gap", False)
    online = [m.online for m in control.of(CameraState) if isinstance(m, CameraState)]
    assert online[0] is True
    assert online[-1] is False


async def test_without_a_volume_there_is_live_and_an_error_of_the_recording(
    control: Control, camera: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "STATS_INTERVAL", 0.05)
    await control.begin(volumes=())
    await control.ask(spec(camera))
    await control.until(lambda: control.of(StreamFormats), "formats")
    stream = control.worker._stream("cam-1", "main")
    await control.until(lambda: stream is not None and stream.keyframe(), "pictures")
    await control.until(lambda: states(control), "error")
    assert [(active, error) for active, _, error in states(control)] == [(False, True)]
    await control.ask(Volumes(volumes=control.setup.volumes))
    await control.until(lambda: len(states(control)) == 2, "recording")
    assert states(control)[1] == (True, "", False)


async def test_what_went_before_an_order_is_written_with_the_documents_of_that_time(
    control: Control, camera: SimulatedDevice
) -> None:
    await control.begin(record=False)
    await control.ask(spec(camera, "main", RecordSpec(recording=RECORDING, volumes=("vol-1",), pre=20.0)))
    stream = control.worker._stream("cam-1", "main")
    await control.until(lambda: stream is not None and stream.keyframe(), "pictures")
    await asyncio.sleep(0.5)
    ordered = time.time_ns() // 1000
    await control.ask(MetadataDocument(recording=RECORDING, utc=ordered, document=b"<tt:MetadataStream/>"))
    await control.order(RECORDING)
    await control.until(lambda: states(control), "recording")
    (began,) = control.of(RecordingState)
    assert isinstance(began, RecordingState)
    assert began.utc <= ordered - 400_000
    await control.order()
    await control.until(lambda: len(states(control)) == 2, "pause")
    (row,) = await asyncio.to_thread(control.segments)
    assert row.start == began.utc
    assert row.kinds & 4


async def test_a_volume_that_is_gone_is_an_error_of_the_recording(
    control: Control, camera: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "STATS_INTERVAL", 0.05)
    control.volume.rmdir()
    await control.begin()
    await control.ask(spec(camera))
    await control.until(lambda: states(control), "error")
    ((active, reason, error),) = states(control)[:1]
    assert (active, error) == (False, True)
    assert reason
    assert not control.volume.exists()


async def test_what_a_dead_worker_left_open_is_completed_first(control: Control, camera: SimulatedDevice) -> None:
    """As a kill leaves it: a row without its file is dropped before anything new is written."""
    row = SegmentRow(
        recording=RECORDING, volume="vol-1", path="rec-cam-1/left.mp4", start=1, end=2, size=3, state="open"
    )
    await asyncio.to_thread(_insert, control.database, row)
    await control.begin()
    await control.ask(spec(camera))
    assert [each.path for each in await asyncio.to_thread(control.segments) if each.state == "open"] == []
    await control.until(lambda: states(control), "recording")


async def test_what_its_own_worker_has_open_is_left_alone(control: Control, camera: SimulatedDevice) -> None:
    await control.begin()
    await control.ask(spec(camera))
    await control.until(lambda: states(control), "recording")
    await control.ask(spec(camera))
    (row,) = await asyncio.to_thread(control.segments)
    assert row.state == "open"
    assert len(states(control)) == 1


def _insert(database: str, row: SegmentRow) -> None:
    catalogue = Catalogue.open(database)
    try:
        catalogue.segments.insert(row)
    finally:
        catalogue.close()


async def test_key_frames_are_given_when_there_are_any(control: Control, camera: SimulatedDevice) -> None:
    await control.begin()
    with pytest.raises(Unavailable, match="no stream cam-1/main"):
        await control.ask(GetKeyframe(camera="cam-1", stream="main"))
    await control.ask(spec(camera))
    stream = control.worker._stream("cam-1", "main")
    await control.until(lambda: stream is not None and stream.keyframe(), "pictures")
    answer = await control.ask(GetKeyframe(camera="cam-1", stream="main"))
    assert isinstance(answer, Keyframe)
    assert (answer.codec, bool(answer.data), bool(answer.parameter_sets)) == ("h264", True, True)


async def test_commands_that_cannot_be_done_are_refused(
    control: Control, camera: SimulatedDevice, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unavailable, match="before the set-up"):
        await control.ask(spec(camera))
    with pytest.raises(Unavailable, match="no answer"):
        await control.ask(Jpeg(data=b""))  # not for a media worker
    assert isinstance(await control.begin(), Ready)
    assert await control.ask(spec(camera)) == Done()  # it goes on all the same
    assert "handling Cameras failed" in caplog.text


async def test_a_database_that_is_not_there_costs_rows_but_no_footage(
    control: Control, camera: SimulatedDevice, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await control.begin(database_url=f"sqlite:///{tmp_path}/nowhere/catalogue.sqlite3")
    await control.ask(spec(camera))
    await control.until(lambda: states(control), "recording")
    assert states(control) == [(True, "", False)]
    assert sum(file.stat().st_size for file in control.volume.rglob("*.mp4")) > 10_000
    assert "archive is not recovered" in caplog.text
    assert "catalogue does not take segment rows, footage is kept" in caplog.text


async def test_it_reports_what_it_receives_and_writes(
    control: Control, camera: SimulatedDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "STATS_INTERVAL", 0.05)
    await control.begin()
    await control.ask(spec(camera))

    def reported() -> bool:
        return any(s.recorded_bytes for m in control.of(Stats) if isinstance(m, Stats) for s in m.streams)

    await control.until(reported, "report")
    last = control.of(Stats)[-1]
    assert isinstance(last, Stats)
    (stream,) = last.streams
    assert (stream.camera, stream.stream, stream.online) == ("cam-1", "main", True)
    assert stream.frames > 0
    assert stream.gov_length in (0, 50)
