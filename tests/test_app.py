"""The whole recorder in one process, with a simulated camera beside it."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import av
import pytest

from onvifd.app import RecorderApp
from onvifd.bodies.simulated import SimulatedCamera
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.simulated.encode import CameraClips, load_cameras
from onvifd.cameras.simulated.picture import read_block_code
from onvifd.cli.setup import initialise, open_registry
from onvifd.clock import US, SystemClock
from onvifd.config import Config
from onvifd.errors import Unavailable
from onvifd.events import topics
from onvifd.events.types import Event
from onvifd.media.types import Codec
from onvifd.onvif.backend import JobState
from onvifd.onvif.client import OnvifClient
from onvifd.onvif.types import tev, tr2, trt, tse, tt
from onvifd.rtsp.client import RtspClient
from onvifd.store.catalogue import Catalogue
from tests.local import ADMIN, PASSWORD, add_camera, recorder_config, running_camera, running_recorder, small_clips

LIMIT = 50.0
"""Seconds: a worker starts in one, but in ten on a machine that does much else."""


@pytest.fixture(scope="session")
def clips(clip_folder: Path) -> CameraClips:
    return load_cameras(clip_folder, [1])[1]


@pytest.fixture
async def camera(clips: CameraClips) -> AsyncIterator[SimulatedDevice]:
    async with running_camera(clips) as device:
        yield device


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return recorder_config(tmp_path)


@pytest.fixture
async def recorder(config: Config, camera: SimulatedDevice) -> AsyncIterator[RecorderApp]:
    async with running_recorder(config, camera) as app:
        yield app


async def until(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(LIMIT):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"no {what} in {LIMIT:g} s")


@pytest.mark.covers(
    *("A001", "A003", "A008", "ENC-01", "ENC-18", "MNT-05", "P001", "P002", "P003", "P042", "P131", "REC-21", "REC-24"),
    *("S-H264", "T-H264orH265", "T-ReadyProfile", "T-media2-GetSnapshotUri"),
)
async def test_camera_is_received_recorded_and_shown(recorder: RecorderApp) -> None:
    body = recorder.recorder
    # The channels are made anew whenever the catalogue changes.
    await until(lambda: body.channels[0].recording and body.channels[0].main.gov_length, "recording")
    (channel,) = body.channels
    tokens = [profile.token for profile in body.media().profiles]
    assert tokens == [f"{channel.camera}-{name}" for name in ("main", "sub", "jpeg")]
    encoder = body.media().video_encoders[0]
    assert (encoder.width, encoder.height, encoder.gov_length) == (1920, 1080, 50)
    (job,) = body.jobs()
    assert body.job_status(job.token).state is JobState.ACTIVE
    async with aiohttp.ClientSession(middlewares=(aiohttp.DigestAuthMiddleware(ADMIN, PASSWORD),)) as session:
        base = f"http://127.0.0.1:{recorder.ports.http}"
        status = await (await session.get(f"{base}/api/status")).json()
        assert status["cameras"][0]["streams"][0]["online"]
        assert status["recordings"][0]["active"]
        picture = await session.get(f"{base}/onvif/snapshot/{channel.camera}-main")
        assert picture.content_type == "image/jpeg"
        assert (await picture.read())[:2] == b"\xff\xd8"


@pytest.mark.covers(
    *("A019", "G-SetRecordingJobMode", "G-event-JobState", "G-event-RecordingState", "G-event-TrackState", "P125"),
    *("REC-13",),
)
async def test_job_mode_stops_and_resumes_recording_with_its_events(recorder: RecorderApp) -> None:
    body = recorder.recorder
    (job,) = body.jobs()
    await until(lambda: body.channels[0].recording, "recording")
    seen: list[Event] = []
    recorder.bus.subscribe(seen.append)
    await body.set_job_mode(job.token, False)
    await until(lambda: not body.channels[0].recording, "stop")
    assert body.job_status(job.token).state is JobState.IDLE
    assert ("RecordingHistory/Recording/State", "false") in [(e.topic, e.data[0][1]) for e in seen if e.data]
    with open_registry(recorder.config) as registry:
        assert set((await asyncio.to_thread(registry.modes)).values()) == {"off"}
    await body.set_job_mode(job.token, True)
    await until(lambda: body.channels[0].recording, "restart")
    topics = [e.topic for e in seen]
    assert topics.count("RecordingConfig/JobState") >= 2
    assert ("RecordingHistory/Track/State", "true") in [(e.topic, e.data[0][1]) for e in seen if e.data]


@pytest.mark.covers("ALM-08", "ALM-14", "P138", "P218")
async def test_lost_camera_is_an_event_and_its_footage_stays(recorder: RecorderApp, camera: SimulatedDevice) -> None:
    body = recorder.recorder
    await until(lambda: body.channels[0].recording, "recording")
    seen: list[Event] = []
    recorder.bus.subscribe(seen.append)
    await camera.stop()
    await until(lambda: not body.channels[0].main.online, "loss")
    await until(lambda: not body.channels[0].recording, "end of recording")
    assert ("VideoSource/SignalLoss", "true") in [(e.topic, e.data[0][1]) for e in seen if e.data]
    assert body.job_status(body.jobs()[0].token).state is JobState.ERROR
    files = list((recorder.config.data / "volume").rglob("*.mp4"))
    assert sum(file.stat().st_size for file in files) > 100_000


@pytest.mark.covers("A014")
async def test_camera_added_and_removed_while_it_runs(config: Config, camera: SimulatedDevice) -> None:
    await asyncio.to_thread(initialise, config, ADMIN, PASSWORD)
    app = RecorderApp(config)
    await app.start()
    try:
        assert app.recorder.channels == ()
        added = await add_camera(config, camera)
        await until(lambda: app.recorder.channels and app.recorder.channels[0].main.online, "camera")
        await until(lambda: app.recorder.channels[0].recording, "recording")
        with open_registry(config) as registry:
            await asyncio.to_thread(registry.remove, added)
        await until(lambda: not app.recorder.channels, "removal")
        assert {e.source[0][1] for e in app.bus.properties() if e.source and added in e.source[0][1]} == {
            f"rec-{added}"
        }
        await until(lambda: app.recorder.recordings(), "its recording")
        await _found_stopped(app, f"rec-{added}")
    finally:
        await app.stop()


async def _found_stopped(app: RecorderApp, token: str) -> None:
    """The recording is searched, Stopped, with its footage, and has no job."""
    async with aiohttp.ClientSession() as session:
        base = f"http://127.0.0.1:{app.ports.http}/onvif"
        client = OnvifClient(f"{base}/device_service", ADMIN, PASSWORD, session).at(f"{base}/search_service")
        # A removed camera is gone from here at once; its worker writes the last fragment a moment later.
        ends: list[int] = []
        for _ in range(200):
            recording = await _found_with_footage(client, token)
            assert recording.recording_status is tt.RecordingStatus.STOPPED
            states = [e for e in app.bus.properties() if e.topic == "RecordingHistory/Recording/State"]
            ends = [e.utc for e in states if e.data[0][1] == "false"]
            if ends == [recording.latest_recording]:
                break
            await asyncio.sleep(0.05)
        assert ends == [recording.latest_recording]
    assert app.recorder.jobs() == ()


async def test_footage_ends_where_a_killed_worker_left_it(config: Config, camera: SimulatedDevice) -> None:
    config = replace(config, workers=replace(config.workers, one_process=False))
    await asyncio.to_thread(initialise, config, ADMIN, PASSWORD)
    await add_camera(config, camera)
    app = RecorderApp(config)
    await app.start()
    try:
        # asked for anew each time: a reload (formats that were learned) makes new channels
        body = app.recorder
        await until(lambda: body.channels[0].recording, "recording")
        seen: list[Event] = []
        app.bus.subscribe(seen.append)
        # Killed within its first group of pictures, the camera would send the very same group again.
        await asyncio.sleep(2.5)
        (pid,) = [worker.pid for worker in app.cluster.states() if worker.name.startswith("media")]
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not body.channels[0].recording, "loss")
        await until(lambda: body.channels[0].recording, "return")
    finally:
        await app.stop()
    ended, began, stopped = [e for e in seen if e.topic == "RecordingHistory/Recording/State"]
    assert [e.data[0][1] for e in (ended, began, stopped)] == ["false", "true", "false"]
    losses = [e for e in seen if e.topic == "VideoSource/SignalLoss"]
    assert [e.data[0][1] for e in losses] == ["true", "false"]  # an ordinary stop is no loss of signal
    spans, segments = await asyncio.to_thread(_history, config)
    # a minute may end in between, and a camera on a busy machine may skip: then there are more than two
    before = [end for start, end in segments if start < began.utc]
    after = [segment for segment in segments if segment[0] >= began.utc]
    assert before[-1] <= ended.utc + 2 * US
    assert before[-1] >= ended.utc
    assert spans[0][1] == ended.utc
    assert spans[1] == (began.utc, stopped.utc) == (after[0][0], after[-1][1])


async def _picture(app: RecorderApp, profile: str) -> bytes:
    """The first snapshot: a stream is online a moment before its first key frame is whole."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                return await app.recorder.snapshot(profile)
            except Unavailable:
                await asyncio.sleep(0.1)


def _history(config: Config) -> tuple[list[tuple[int, int | None]], list[tuple[int, int]]]:
    """Stretches and segments of the only recording. Spans that follow each other, since motion began in the picture, are one."""
    with contextlib.closing(Catalogue.open(config.database_url)) as catalogue:
        (token,) = [row.token for row in catalogue.recordings.all()]
        stretches: list[tuple[int, int | None]] = []
        for span in catalogue.spans.between(token, 0, 1 << 62):
            if stretches and stretches[-1][1] == span.start:
                stretches[-1] = (stretches[-1][0], span.end)
            else:
                stretches.append((span.start, span.end))
        return stretches, [(row.start, row.end) for row in catalogue.segments.between(token, 0, 1 << 62, 100)]


@pytest.mark.covers("INI-01", "P013", "P015")
async def test_needs_an_account(config: Config) -> None:
    app = RecorderApp(config)
    with pytest.raises(Unavailable):
        await app.start()


async def test_second_recorder_on_the_same_data_is_refused(recorder: RecorderApp) -> None:
    with pytest.raises(Unavailable, match="another recorder"):
        await RecorderApp(recorder.config).start()


async def test_taken_port_leaves_the_data_free(config: Config) -> None:
    await asyncio.to_thread(initialise, config, ADMIN, PASSWORD)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        network = replace(config.network, rtsp_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await RecorderApp(replace(config, network=network)).start()
    app = RecorderApp(config)
    await app.start()
    await app.stop()


@pytest.mark.covers(
    *("A026", "A029", "G-PullMessages", "M-PullMessages", "S-PullMessages", "T-PullMessages", "T-event-MotionAlarm"),
)
async def test_motion_of_a_camera_reaches_a_client(recorder: RecorderApp, camera: SimulatedDevice) -> None:
    await until(lambda: recorder.recorder.channels[0].recording, "recording")
    (channel,) = recorder.recorder.channels
    base = f"http://127.0.0.1:{recorder.ports.http}/onvif"
    async with aiohttp.ClientSession() as session:
        device = OnvifClient(f"{base}/device_service", ADMIN, PASSWORD, session)
        await device.find_offset()
        client = device.at(f"{base}/event_service")
        created = await client.call(
            tev.CreatePullPointSubscription(initial_termination_time="PT60S"), tev.CreatePullPointSubscriptionResponse
        )
        address = created.subscription_reference.address.value
        seen: set[str] = set()
        async with asyncio.timeout(20):
            for state in (True, False):
                camera._bus.publish(topics.motion_alarm("lens", state, SystemClock().utc()))
                # The picture has motion of its own, so the end may come a little later.
                while str(state).lower() not in seen:
                    pull = tev.PullMessages(timeout=timedelta(seconds=0.2), message_limit=100)
                    answer = await client.call(pull, tev.PullMessagesResponse, url=address)
                    for holder in answer.notification_message:
                        if holder.topic and holder.topic.value == "tns1:VideoSource/MotionAlarm":
                            (node,) = holder.message.any_
                            (camera_of, value) = (item.get("Value") for item in node.iter("{*}SimpleItem"))
                            assert camera_of == f"vs-{channel.camera}"
                            seen.add(value or "")


@pytest.mark.covers("S-media-SetSynchronizationPoint", "T-media2-SetSynchronizationPoint")
async def test_a_key_frame_is_asked_of_the_camera(recorder: RecorderApp, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def synchronize(_body: SimulatedCamera, profile_token: str) -> None:
        asked.append(profile_token)

    monkeypatch.setattr(SimulatedCamera, "synchronize", synchronize)
    await until(lambda: recorder.recorder.channels[0].main.online, "live stream")
    (channel,) = recorder.recorder.channels
    base = f"http://127.0.0.1:{recorder.ports.http}/onvif"
    async with aiohttp.ClientSession() as session:
        client = OnvifClient(f"{base}/device_service", ADMIN, PASSWORD, session)
        await client.at(f"{base}/media_service").call(
            trt.SetSynchronizationPoint(profile_token=f"{channel.camera}-main"), trt.SetSynchronizationPointResponse
        )
        await client.at(f"{base}/media2_service").call(
            tr2.SetSynchronizationPoint(profile_token=f"{channel.camera}-sub"), tr2.SetSynchronizationPointResponse
        )
    assert asked == ["profile-main", "profile-sub"]


@pytest.mark.covers("A005", "T-G711orAAC")
async def test_live_and_events_without_any_volume(
    config: Config, camera: SimulatedDevice, caplog: pytest.LogCaptureFixture
) -> None:
    missing = config.data.parent / "unplugged"
    config = replace(config, archive=replace(config.archive, volumes=(missing,)))
    await asyncio.to_thread(initialise, config, ADMIN, PASSWORD)
    await add_camera(config, camera)
    app = RecorderApp(config)
    await app.start()
    try:
        await until(lambda: app.recorder.channels[0].main.online, "live stream")
        profile = app.recorder.media().profiles[0].token
        assert (await _picture(app, profile))[:2] == b"\xff\xd8"
        assert not app.recorder.channels[0].recording
        status = app.recorder.job_status(app.recorder.jobs()[0].token)
        assert (status.state, status.error) == (JobState.ERROR, "volume vol-1: it is not there")
        camera._bus.publish(topics.motion_alarm("lens", True, SystemClock().utc()))
        await until(lambda: app.recorder.channels[0].motion, "motion")
        client = RtspClient(
            f"rtsp://127.0.0.1:{app.ports.rtsp}{app.recorder.media().profiles[0].path}", ADMIN, PASSWORD
        )
        await client.connect()
        described = (await client.describe()).tracks
        assert [track.format.codec for track in described] == [Codec.H264, Codec.PCMU, Codec.METADATA]
        await client.close()
    finally:
        await app.stop()
    assert "unplugged): missing: it is not there" in caplog.text
    assert not missing.exists()


@pytest.mark.covers("P002")
async def test_h265_is_recorded_as_it_comes(config: Config, clip_folder: Path) -> None:
    clips = await asyncio.to_thread(small_clips, clip_folder, 2, Codec.H265, Codec.PCMA)
    async with running_camera(clips, number=2) as device, running_recorder(config, device) as app:
        await until(lambda: app.recorder.channels[0].recording, "recording")
        assert app.recorder.media().video_encoders[0].codec is Codec.H265
    (file,) = (config.data / "volume").rglob("*.mp4")
    with av.open(str(file)) as segment:
        assert segment.streams.video[0].codec_context.name == "hevc"
        assert segment.streams.audio[0].codec_context.name == "pcm_alaw"
        frame = next(segment.decode(video=0))
    assert isinstance(frame, av.VideoFrame)
    code = read_block_code(frame.to_ndarray(format="gray"))
    assert code is not None
    assert code.camera == 2


@pytest.mark.covers("INI-03", "NET-17", "NET-18", "NET-19", "NET-21", "P244", "SEC-06")
async def test_listens_on_the_configured_ports(config: Config) -> None:
    await asyncio.to_thread(initialise, config, ADMIN, PASSWORD)
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
        socket.create_server(("127.0.0.1", 0)) as three,
    ):
        http, https, rtsp = (each.getsockname()[1] for each in (one, two, three))
    network = replace(config.network, http_port=http, https_port=https, rtsp_port=rtsp)
    app = RecorderApp(replace(config, network=network))
    await app.start()
    try:
        async with aiohttp.ClientSession() as session:
            for url in (f"http://127.0.0.1:{http}/", f"https://127.0.0.1:{https}/"):
                async with session.get(url, ssl=False) as reply:
                    assert reply.status == 401
        reader, writer = await asyncio.open_connection("127.0.0.1", rtsp)
        writer.write(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        assert (await reader.readline()).startswith(b"RTSP/1.0 200")
        writer.close()
        await writer.wait_closed()
    finally:
        await app.stop()


@pytest.mark.covers("G-FindEvents", "G-FindRecordings", "STO-37")
async def test_records_and_is_searchable_on_postgresql(
    config: Config, camera: SimulatedDevice, postgresql_url: str
) -> None:
    # Nothing but the key lies in the data folder.
    volume = config.data.parent / "disk"
    volume.mkdir()
    config = replace(
        config,
        database=replace(config.database, url=postgresql_url),
        archive=replace(config.archive, volumes=(volume,)),
    )
    await asyncio.to_thread(initialise, config, ADMIN, PASSWORD)
    await add_camera(config, camera)
    app = RecorderApp(config)
    await app.start()
    try:
        await until(lambda: app.recorder.channels[0].recording, "recording")
        (channel,) = app.recorder.channels
        async with aiohttp.ClientSession() as session:
            base = f"http://127.0.0.1:{app.ports.http}/onvif"
            client = OnvifClient(f"{base}/device_service", ADMIN, PASSWORD, session).at(f"{base}/search_service")
            recording = await _found_with_footage(client, f"rec-{channel.camera}")
            assert recording.recording_status is tt.RecordingStatus.RECORDING
            assert {track.track_type for track in recording.track} == set(tt.TrackType) - {tt.TrackType.EXTENDED}
            await _started(client, recording)
    finally:
        await app.stop()
    assert not (config.data / "catalogue.sqlite3").exists()
    assert not (config.data / "volume").exists()
    assert list(volume.rglob("*.mp4"))


async def _found_with_footage(client: OnvifClient, token: str) -> tt.RecordingInformation:
    """The recording by FindRecordings, as soon as the index shows footage."""
    async with asyncio.timeout(20):
        while True:
            asked = tse.FindRecordings(scope=tt.SearchScope(), keep_alive_time=timedelta(seconds=10))
            search = (await client.call(asked, tse.FindRecordingsResponse)).search_token
            results = tse.GetRecordingSearchResults(search_token=search, wait_time=timedelta(seconds=5))
            found = (await client.call(results, tse.GetRecordingSearchResultsResponse)).result_list
            (recording,) = found.recording_information
            assert recording.recording_token == token
            if recording.latest_recording is not None and len(recording.track) >= 2:
                return recording
            await asyncio.sleep(0.1)


async def _started(client: OnvifClient, recording: tt.RecordingInformation) -> None:
    """Waits until FindEvents knows that the recording started: events are stored in batches."""
    assert recording.earliest_recording is not None
    asked = tse.FindEvents(
        start_point=recording.earliest_recording - 10 * US,
        scope=tt.SearchScope(included_recordings=(recording.recording_token,)),
        search_filter=tt.EventFilter(),
        include_start_state=False,
        keep_alive_time=timedelta(seconds=10),
    )
    async with asyncio.timeout(20):
        while True:
            search = (await client.call(asked, tse.FindEventsResponse)).search_token
            results = tse.GetEventSearchResults(search_token=search, wait_time=timedelta(seconds=5))
            found = (await client.call(results, tse.GetEventSearchResultsResponse)).result_list
            topics = [each.event.topic.value for each in found.result if each.event.topic]
            if "tns1:RecordingHistory/Recording/State" in topics:
                return
            await asyncio.sleep(0.1)
