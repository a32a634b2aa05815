"""The recorder as a body: what becomes of recordings when cameras go and workers die."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from onvifd.access.keyfile import SecretBox
from onvifd.archive.catalogue_index import CatalogueSegmentStore
from onvifd.archive.index import FragmentFlag, SegmentRow, SegmentState
from onvifd.bodies.channel import Channel, ChannelStream
from onvifd.bodies.receivers import Receivers
from onvifd.bodies.recorder import Actions, Recorder
from onvifd.bodies.recording_control import ControlActions, RecordingControl
from onvifd.bodies.recording_tables import read_tables
from onvifd.cameras.registry import Driver, NewCamera, Registry, Role
from onvifd.cameras.registry import Stream as CameraStream
from onvifd.cameras.settings import EncoderSettings
from onvifd.clock import US, SimulatedClock
from onvifd.errors import NotFound
from onvifd.events.bus import EventBus
from onvifd.events.types import Event
from onvifd.media.types import Codec, TrackFormat
from onvifd.onvif.backend import Identity, JobState, Network, Ports, Scope, SystemTime
from onvifd.store.catalogue import Catalogue
from onvifd.workers.messages import CameraState, RecordingState, StreamFormats
from onvifd.workers.specs import TrackSpec

T0 = 1_767_225_600 * US


async def _unused(*_: object) -> bytes:
    raise AssertionError("not asked for")


async def _nothing(*_: object) -> None:
    return None


def channel(camera: str) -> Channel:
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


NO_VOLUME = "no volume for recordings is there"


class Stage:
    """A recorder over a real catalogue with one camera."""

    def __init__(self, folder: Path, no_storage: str = "") -> None:
        self.clock = SimulatedClock(T0)
        self.catalogue = Catalogue.open(f"sqlite:///{folder / 'catalogue.sqlite3'}", migrate=True)
        self.segments = CatalogueSegmentStore(self.catalogue)
        box = SecretBox(bytes(32))
        self.registry = Registry(self.catalogue, box, self.clock)
        streams = (
            CameraStream(role=Role.MAIN, uri="rtsp://192.0.2.1/main", video_codec=Codec.H264, audio_codec=Codec.PCMU),
        )
        new = NewCamera(name="Gate", driver=Driver.RTSP, address="rtsp://192.0.2.1/", streams=streams)
        self.camera = self.registry.add(new).id
        self.rec = f"rec-{self.camera}"
        self.bus = EventBus(self.clock)
        self.seen: list[Event] = []
        self.bus.subscribe(self.seen.append)
        self.replanned = 0
        actions = Actions(
            snapshot=_unused,
            synchronize=_nothing,
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
            replay_timeout=60,
            clock=self.clock,
            bus=self.bus,
            actions=actions,
        )
        receivers = Receivers(
            self.catalogue, box, self.bus, self.clock, change=self._change, told=lambda _token, _utc: None
        )
        self.body.control = RecordingControl(
            catalogue=self.catalogue,
            segments=self.segments,
            streams=self.body,
            receivers=receivers,
            bus=self.bus,
            clock=self.clock,
            actions=ControlActions(
                change=self._change, set_record=_nothing, purge=lambda _: None, replanned=self._replanned
            ),
            no_storage=no_storage,
        )

    async def _change(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return call(*args, **named)

    def _replanned(self) -> None:
        self.replanned += 1

    def configure(self, *cameras: str) -> None:
        """What the recorder does when the catalogue has changed; `cameras` are those in use."""
        self.body.configure(tuple(channel(camera) for camera in cameras))
        self.body.control.configure(read_tables(self.catalogue, self.segments, frozenset(cameras)))

    def record(self) -> None:
        self.configure(self.camera)
        self.online(True)
        tracks = ("VIDEO001", "AUDIO001")
        self.body.recording_state(RecordingState(recording=self.rec, active=True, utc=T0, tracks=tracks))
        self.seen.clear()

    def online(self, online: bool) -> None:
        self.body.stream_state(CameraState(camera=self.camera, stream="main", online=online, utc=T0))

    def footage(self) -> int:
        row = SegmentRow(
            recording=self.rec,
            volume="vol-1",
            path="1.mp4",
            start=T0 - 60 * US,
            end=T0,
            size=10,
            formats=(),
            kinds=FragmentFlag.VIDEO,
            state=SegmentState.CLOSED,
        )
        return self.segments.insert_segment(row)

    def remove(self) -> None:
        self.registry.remove(self.camera)
        self.configure()

    def states(self, topic: str) -> list[tuple[int, str]]:
        return [(event.utc, event.data[0][1]) for event in self.seen if event.topic == topic and event.data]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.catalogue.close()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Stage]:
    """A recorder without any volume."""
    stage = Stage(tmp_path, NO_VOLUME)
    yield stage
    stage.catalogue.close()


def test_footage_of_a_dead_worker_ends_where_it_ends(stage: Stage) -> None:
    stage.record()
    lost = frozenset((stage.camera,))
    ends: Mapping[str, int] = {stage.rec: T0 + 5 * US}
    states: list[RecordingState] = []
    stage.body.interrupted(lost, T0 + 20 * US, ends, states.append)
    (state,) = states
    assert (state.recording, state.active, state.utc) == (stage.rec, False, T0 + 5 * US)
    assert stage.states("RecordingHistory/Recording/State") == [(T0 + 5 * US, "false")]
    assert stage.states("RecordingHistory/Track/State") == [(T0 + 5 * US, "false")] * 2
    assert stage.states("VideoSource/SignalLoss") == [(T0 + 20 * US, "true")]
    stage.body.interrupted(lost, T0 + 21 * US, ends, states.append)
    assert states == [state]


def test_recording_of_a_removed_camera_stays_and_has_no_job(stage: Stage) -> None:
    stage.record()
    stage.footage()
    before = stage.body.recording(stage.rec)
    stage.remove()
    assert stage.body.recordings() == (before,)
    assert stage.body.replay_path(stage.rec) == f"/replay/{stage.rec}"
    assert stage.body.jobs() == ()
    # The worker tells where the footage ends when it has closed the file.
    stage.body.recording_state(RecordingState(recording=stage.rec, active=False, utc=T0 + 9 * US, reason="stop"))
    assert stage.states("RecordingHistory/Recording/State") == [(T0 + 9 * US, "false")]
    assert not stage.body.is_recording(stage.rec)
    assert {event.source[0][1] for event in stage.bus.properties()} == {stage.rec}


def test_nothing_is_left_of_a_removed_camera_without_footage(stage: Stage) -> None:
    stage.record()
    stage.remove()
    assert stage.body.recordings() == ()
    assert stage.bus.properties() == ()
    with pytest.raises(NotFound):
        stage.body.recording(stage.rec)


def test_archived_recording_goes_when_retention_has_taken_its_footage(stage: Stage) -> None:
    stage.record()
    segment = stage.footage()
    stage.remove()
    stage.segments.delete_segment(segment)
    stage.configure()
    assert stage.body.recordings() == ()
    assert stage.bus.properties() == ()


def test_a_camera_that_was_switched_off_takes_its_recording_back(stage: Stage) -> None:
    stage.record()
    stage.footage()
    stage.configure()
    assert [recording.token for recording in stage.body.recordings()] == [stage.rec]
    assert stage.body.jobs() == ()
    stage.configure(stage.camera)
    assert [recording.token for recording in stage.body.recordings()] == [stage.rec]
    assert len(stage.body.jobs()) == 1


def test_a_job_without_any_volume_is_in_error(bare: Stage) -> None:
    bare.configure(bare.camera)
    (job,) = bare.body.jobs()
    status = bare.body.job_status(job.token)
    assert (status.state, status.error) == (JobState.ERROR, NO_VOLUME)
    assert {track.state for track in status.sources[0].tracks} == {JobState.ERROR}
    bare.online(True)
    assert bare.body.job_status(job.token).state is JobState.ERROR
    event = [event for event in bare.seen if event.topic == "RecordingConfig/JobState"][-1]
    assert NO_VOLUME in repr(event)


def test_a_job_that_is_switched_off_needs_no_volume(bare: Stage) -> None:
    bare.catalogue.recordings.set_job_mode(f"job-{bare.camera}", False)
    bare.configure(bare.camera)
    assert bare.body.job_status(bare.body.jobs()[0].token).state is JobState.IDLE


def test_a_camera_that_is_lost_puts_its_job_in_error(stage: Stage) -> None:
    stage.record()
    (job,) = stage.body.jobs()
    assert stage.body.job_status(job.token).state is JobState.ACTIVE
    stage.body.recording_state(RecordingState(recording=stage.rec, active=False, utc=T0 + US, reason="gap"))
    stage.online(False)
    assert stage.body.job_status(job.token).state is JobState.ERROR


async def test_who_told_a_camera_to_send_something_else_hears_when_it_does(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.configure(stage.camera)
    begun = stage.body.expect(stage.camera, "main", EncoderSettings(codec=Codec.H265, width=1280, height=720))
    again = stage.body.expect(stage.camera, "main", EncoderSettings(codec=Codec.H265, width=640, height=360))
    assert again is begun
    told = TrackSpec(codec=Codec.H265, clock_rate=90_000, width=640, height=360)
    assert not begun.is_set()
    stage.body.stream_formats(StreamFormats(camera=stage.camera, stream="main", tracks=(told,)))
    assert begun.is_set()
    assert not stage.body.expect(stage.camera, "main", EncoderSettings(codec=Codec.H264, width=1, height=1)).is_set()
