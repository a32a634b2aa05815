"""The recorder as a body: what becomes of recordings when cameras go and workers die."""

import pytest

from onvifd.bodies.channel import Channel, ChannelStream
from onvifd.bodies.recorder import Actions, Recorder
from onvifd.clock import US, SimulatedClock
from onvifd.errors import NotFound
from onvifd.events.bus import EventBus
from onvifd.events.types import Event
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.backend import Identity, JobState, Network, Ports, Scope, SystemTime
from onvifd.workers.messages import CameraState, RecordingState

T0 = 1_767_225_600 * US
REC = "rec-cam-1"


async def _unused(*_: object) -> bytes:
    raise AssertionError("not asked for")


async def _nothing(*_: object) -> None:
    return None


def channel(camera: str = "cam-1") -> Channel:
    formats = (TrackFormat(codec=Codec.H264, clock_rate=90_000), TrackFormat(codec=Codec.PCMU, clock_rate=8000))
    return Channel(
        camera=camera,
        number=1,
        name="Gate",
        address="",
        location="",
        record=True,
        streams={"main": ChannelStream(name="main", formats=formats)},
    )


class _Device:
    """A device of which nothing was configured."""

    def scopes(self) -> tuple[Scope, ...]:
        return ()

    def discoverable(self) -> bool:
        return True

    def ports(self) -> Ports:
        return Ports(http=80, https=None, rtsp=554)

    def system_time(self) -> SystemTime:
        return SystemTime(utc=T0, timezone="UTC0", ntp=False, daylight=False, utc_offset=0)

    async def network(self) -> Network:
        return Network(hostname="h")


class Stage:
    def __init__(self, no_storage: str = "") -> None:
        self.clock = SimulatedClock(T0)
        self.bus = EventBus(self.clock)
        self.seen: list[Event] = []
        self.bus.subscribe(self.seen.append)
        actions = Actions(
            snapshot=_unused,
            synchronize=_nothing,
            set_record=_nothing,
            set_replay_timeout=_nothing,
            users=lambda: (),
        )
        self.body = Recorder(
            identity=Identity(
                uuid="u",
                manufacturer="m",
                model="m",
                firmware_version="1",
                serial_number="s",
                hardware_id="h",
                name="n",
                location="",
            ),
            device=_Device(),
            retention=0,
            replay_timeout=60,
            clock=self.clock,
            bus=self.bus,
            actions=actions,
            no_storage=no_storage,
        )

    def record(self) -> None:
        self.body.configure((channel(),))
        self.body.stream_state(CameraState(camera="cam-1", stream="main", online=True, utc=T0))
        tracks = ("VIDEO001", "AUDIO001")
        self.body.recording_state(RecordingState(recording=REC, active=True, utc=T0, tracks=tracks))
        self.seen.clear()

    def states(self, topic: str) -> list[tuple[int, str]]:
        return [(event.utc, event.data[0][1]) for event in self.seen if event.topic == topic and event.data]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_footage_of_a_dead_worker_ends_where_it_ends(stage: Stage) -> None:
    stage.record()
    state = stage.body.interrupted(stage.body.channels[0], T0 + 20 * US, T0 + 5 * US)
    assert state is not None
    assert (state.recording, state.active, state.utc) == (REC, False, T0 + 5 * US)
    assert stage.states("RecordingHistory/Recording/State") == [(T0 + 5 * US, "false")]
    assert stage.states("RecordingHistory/Track/State") == [(T0 + 5 * US, "false")] * 2
    assert stage.states("VideoSource/SignalLoss") == [(T0 + 20 * US, "true")]
    assert stage.body.interrupted(stage.body.channels[0], T0 + 21 * US, T0 + 5 * US) is None


def test_recording_of_a_removed_camera_stays_and_has_no_job(stage: Stage) -> None:
    stage.record()
    archived = stage.body.recording(REC)
    stage.body.configure((), (archived,))
    assert stage.body.recordings() == (archived,)
    assert stage.body.recording(REC) == archived
    assert stage.body.replay_path(REC) == f"/replay/{REC}"
    assert stage.body.jobs() == ()
    assert not stage.body.is_recording(REC)
    # The worker tells where the footage ends when it has closed the file.
    stage.body.recording_state(RecordingState(recording=REC, active=False, utc=T0 + 9 * US, reason="stop"))
    assert stage.states("RecordingHistory/Recording/State") == [(T0 + 9 * US, "false")]
    assert {event.source[0][1] for event in stage.bus.properties()} == {REC}


def test_nothing_is_left_of_a_removed_camera_without_footage(stage: Stage) -> None:
    stage.record()
    stage.body.configure(())
    assert stage.body.recordings() == ()
    assert stage.bus.properties() == ()
    with pytest.raises(NotFound):
        stage.body.recording(REC)


def test_archived_recording_goes_when_retention_has_taken_its_footage(stage: Stage) -> None:
    stage.record()
    stage.body.configure((), (stage.body.recording(REC),))
    stage.body.configure(())
    assert stage.body.recordings() == ()
    assert stage.bus.properties() == ()


def test_camera_that_returns_takes_its_recording_back(stage: Stage) -> None:
    stage.record()
    stage.body.configure((), (stage.body.recording(REC),))
    stage.body.configure((channel(),))
    assert [recording.token for recording in stage.body.recordings()] == [REC]
    assert len(stage.body.jobs()) == 1


def test_a_job_without_any_volume_is_in_error() -> None:
    stage = Stage(no_storage="no volume for recordings is there")
    stage.body.configure((channel(),))
    (job,) = stage.body.jobs()
    status = stage.body.job_status(job.token)
    assert (status.state, status.error) == (JobState.ERROR, "no volume for recordings is there")
    assert {state for _, state in status.tracks} == {JobState.ERROR}
    stage.body.stream_state(CameraState(camera="cam-1", stream="main", online=True, utc=T0))
    assert stage.body.job_status(job.token).state is JobState.ERROR
    event = [event for event in stage.seen if event.topic == "RecordingConfig/JobState"][-1]
    assert "no volume for recordings is there" in repr(event)


def test_a_job_that_is_switched_off_needs_no_volume() -> None:
    stage = Stage(no_storage="no volume for recordings is there")
    off = channel()
    off.record = False
    stage.body.configure((off,))
    assert stage.body.job_status(stage.body.jobs()[0].token).state is JobState.IDLE
