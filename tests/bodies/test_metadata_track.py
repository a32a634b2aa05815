"""Events as documents for the metadata tracks of recordings."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from onvifd.bodies.metadata_track import LAG, MAX_RATE, MetadataTracks
from onvifd.clock import US, SimulatedClock, isoformat
from onvifd.events import topics
from onvifd.events.bus import EventBus
from onvifd.onvif.search.xpath import MetadataStreamFilter
from onvifd.workers.messages import MetadataDocument, RecordingState
from onvifd.workers.specs import CameraSpec, RecordSpec, StreamSpec

TT = "{http://www.onvif.org/ver10/schema}"
WSNT = "{http://docs.oasis-open.org/wsn/b-2}"
ONE, TWO = "cam-11111111", "cam-22222222"


def camera(name: str, number: int, *recordings: RecordSpec, sub: tuple[RecordSpec, ...] = ()) -> CameraSpec:
    streams = (
        StreamSpec(name="main", url="rtsp://x", recordings=recordings),
        StreamSpec(name="sub", url="rtsp://x", recordings=sub),
    )
    return CameraSpec(id=name, channel=number, streams=streams)


CAMERAS = (
    camera(
        ONE,
        1,
        RecordSpec(recording=f"rec-{ONE}"),
        RecordSpec(recording="rec-0a0a0a0a"),
        RecordSpec(recording="rec-0b0b0b0b", metadata=False),
        sub=(RecordSpec(recording=f"rec-{ONE}-sub"),),
    ),
    camera(TWO, 2, RecordSpec(recording=f"rec-{TWO}")),
)
OF_ONE = [f"rec-{ONE}", "rec-0a0a0a0a", f"rec-{ONE}-sub"]


class Rig:
    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.bus = EventBus(self.clock)
        self.sent: list[tuple[str, int, bytes]] = []
        self.states: list[tuple[str, int, str, bytes]] = []
        """What was told of states without a change: recording, time, state, document."""
        self.kept: dict[tuple[str, str], bytes] = {}
        """What a worker keeps for each state of a recording."""
        self.tracks = MetadataTracks(self.bus, self.clock, self._send)
        self.tracks.start()
        self.tracks.configure(CAMERAS)

    def _send(self, message: MetadataDocument) -> None:
        if message.document:
            self.sent.append((message.recording, message.utc, message.document))
        else:
            self.states.append((message.recording, message.utc, message.state, message.initial))
        if message.state:
            self.kept[message.recording, message.state] = message.initial

    def motion(self, camera: str, state: bool, utc: int | None = None) -> None:
        when = self.clock.utc() if utc is None else utc
        self.bus.publish(topics.motion_alarm(f"vs-{camera}", state, when, f"rec-{camera}"))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def messages(document: bytes) -> list[Any]:
    root = etree.fromstring(document)
    assert root.tag == f"{TT}MetadataStream"
    return list(root.findall(f"{TT}Event/{WSNT}NotificationMessage"))


def test_an_event_is_one_document_in_each_recording_of_its_channel(rig: Rig) -> None:
    rig.motion(ONE, True)
    assert [recording for recording, _, _ in rig.sent] == OF_ONE
    (message,) = messages(rig.sent[0][2])
    assert message.findtext(f"{WSNT}Topic") == "tns1:VideoSource/MotionAlarm"
    (item,) = message.findall(f"{WSNT}Message/{TT}Message/{TT}Source/{TT}SimpleItem")
    assert item.get("Value") == f"vs-{ONE}"
    assert MetadataStreamFilter('boolean(//SimpleItem[@Name="State" and @Value="true"])', {}).matches(rig.sent[0][2])


def test_what_is_about_the_recorder_itself_is_left_out(rig: Rig) -> None:
    now = rig.clock.utc()
    rig.bus.publish(topics.recording_state(f"rec-{ONE}", True, now))
    rig.bus.publish(topics.profile_changed(f"{ONE}-main", now))
    rig.bus.publish(topics.motion_alarm("vs-other", True, now))
    assert rig.sent == []


def test_no_more_documents_after_the_end(rig: Rig) -> None:
    rig.tracks.close()
    rig.motion(ONE, True)
    assert rig.sent == []


def test_each_document_has_a_time_of_its_own_near_the_present(rig: Rig) -> None:
    now = rig.clock.utc()
    for state, utc in ((True, now), (False, now), (True, now - 3600 * US), (False, now + 3600 * US)):
        rig.motion(TWO, state, utc)
    times = [utc for _, utc, _ in rig.sent]
    assert times == sorted(set(times))
    assert all(now - LAG <= utc <= now + len(times) for utc in times)
    (message,) = messages(rig.sent[2][2])
    # the event keeps the camera's time
    assert message.find(f"{WSNT}Message/{TT}Message").get("UtcTime") == isoformat(now - 3600 * US)


def test_after_the_clock_was_set_back_time_goes_on_from_there(rig: Rig) -> None:
    rig.motion(TWO, True)
    rig.clock.step(-600)
    rig.motion(TWO, False)
    assert rig.sent[1][1] == rig.clock.utc()


def told(document: bytes) -> list[tuple[str | None, str]]:
    """Topics and operations of a document's events."""
    found = messages(document)
    return [
        (each.findtext(f"{WSNT}Topic"), each.find(f"{WSNT}Message/{TT}Message").get("PropertyOperation"))
        for each in found
    ]


def test_with_a_change_goes_the_state_for_those_who_come_later(rig: Rig) -> None:
    rig.motion(ONE, False)
    rig.motion(ONE, True)
    topic = "tns1:VideoSource/MotionAlarm"
    assert told(rig.sent[-1][2]) == [(topic, "Changed")]
    assert {recording for recording, _ in rig.kept} == set(OF_ONE)
    ((_, initial),) = [item for item in rig.kept.items() if item[0][0] == OF_ONE[0]]
    assert told(initial) == [(topic, "Initialized")]
    assert b'Value="true"' in initial
    rig.bus.forget(rig.bus.properties())
    assert told(rig.sent[-1][2]) == [(topic, "Deleted")]
    assert set(rig.kept.values()) == {b""}


def test_a_recording_that_is_new_or_begins_knows_the_states_of_its_channel(rig: Rig) -> None:
    rig.motion(ONE, True)
    rig.motion(TWO, False)
    rig.bus.publish(topics.signal_loss(f"vs-{ONE}", False, rig.clock.utc(), f"rec-{ONE}"))
    rig.sent.clear()
    more = camera(ONE, 1, RecordSpec(recording=OF_ONE[1]), RecordSpec(recording="rec-0c0c0c0c"))
    rig.tracks.configure((more, CAMERAS[1]))
    assert {recording for recording, *_ in rig.states} == {"rec-0c0c0c0c"}
    rig.states.clear()
    rig.tracks.recording_state(RecordingState(recording=OF_ONE[1], active=True, utc=rig.clock.utc()))
    assert {recording for recording, *_ in rig.states} == {OF_ONE[1]}
    assert [told(document) for *_, document in rig.states] == [
        [("tns1:VideoSource/MotionAlarm", "Initialized")],
        [("tns1:VideoSource/SignalLoss", "Initialized")],
    ]
    assert len({state for _, _, state, _ in rig.states}) == 2
    rig.states.clear()
    rig.tracks.recording_state(RecordingState(recording=OF_ONE[1], active=False, utc=rig.clock.utc()))
    rig.tracks.recording_state(RecordingState(recording="rec-0b0b0b0b", active=True, utc=rig.clock.utc()))
    rig.tracks.recording_state(RecordingState(recording="rec-none", active=True, utc=rig.clock.utc()))
    assert not rig.states
    assert not rig.sent


async def test_a_storm_is_bounded(rig: Rig) -> None:
    for index in range(MAX_RATE * 3):
        rig.motion(TWO, index % 2 == 0)
    assert len(rig.sent) == MAX_RATE
    await rig.clock.advance(1)
    rig.motion(TWO, True)
    assert len(rig.sent) == MAX_RATE + 1


def test_a_camera_that_is_gone_is_forgotten(rig: Rig) -> None:
    rig.tracks.configure(CAMERAS[1:])
    rig.motion(ONE, True)
    assert rig.sent == []
    rig.motion(TWO, True)
    assert len(rig.sent) == 1
