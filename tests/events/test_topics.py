"""Builders make messages that fit their declarations."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from onvifd.events import topics
from onvifd.events.types import Event, Operation
from onvifd.onvif.backend import JobState, JobStatus

TT = "{http://www.onvif.org/ver10/schema}"

STATUS = JobStatus(
    job="job-1",
    recording="rec-1",
    state=JobState.ERROR,
    profile="cam-1-main",
    tracks=(("VIDEO001", JobState.ERROR), ("AUDIO001", JobState.IDLE)),
    error="Incompatible Stream",
)

EVENTS = [
    (topics.MOTION_ALARM, topics.motion_alarm("vs-1", True, 7, "rec-1")),
    (topics.SIGNAL_LOSS, topics.signal_loss("vs-1", False, 7)),
    (topics.RECORDING_STATE, topics.recording_state("rec-1", True, 7)),
    (topics.TRACK_STATE, topics.track_state("rec-1", "VIDEO001", False, 7)),
    (topics.JOB_STATE, topics.job_state(STATUS, 7)),
    (topics.PROFILE_CHANGED, topics.profile_changed("cam-1-main", 7)),
    (topics.CONFIGURATION_CHANGED, topics.configuration_changed("vec-1", "VideoEncoder", 7)),
]


@pytest.mark.covers(
    *("G-GetEventProperties", "G-event-JobState", "G-event-RecordingState", "G-event-TrackState"),
    *("M-GetEventProperties", "M-event-ConfigurationChanged", "M-event-ProfileChanged", "S-GetEventProperties"),
    *("T-GetEventProperties", "T-event-ConfigurationChanged", "T-event-ProfileChanged"),
)
@pytest.mark.parametrize(("topic", "event"), EVENTS, ids=[topic.name for topic, _ in EVENTS])
def test_event_fits_its_declaration(topic: topics.Topic, event: Event) -> None:
    assert event.topic == topic.name
    assert event.utc == 7
    assert (event.operation is not None) == topic.is_property
    for declared, items in (
        (topic.source, event.source),
        (topic.key, event.key),
        (topic.data, event.data),
        (topic.elements, event.elements),
    ):
        assert [item.name for item in declared] == [name for name, _ in items]
    for declared, items in ((topic.source, event.source), (topic.data, event.data)):
        for item, (_, value) in zip(declared, items, strict=True):
            if item.type == topics.BOOLEAN:
                assert value in ("true", "false")


def test_every_declared_topic_has_a_builder() -> None:
    assert {topic for topic, _ in EVENTS} == set(topics.RECORDER_TOPICS)
    assert set(topics.CAMERA_TOPICS) <= set(topics.RECORDER_TOPICS)


def test_item_names_are_unique_within_a_message() -> None:
    for topic in topics.RECORDER_TOPICS:
        names = [item.name for item in (*topic.source, *topic.key, *topic.data, *topic.elements)]
        assert len(names) == len(set(names)), topic.name


def test_recording_events_know_their_recording() -> None:
    assert topics.track_state("rec-1", "VIDEO001", True, 1).recording == "rec-1"
    assert topics.recording_state("rec-1", True, 1).recording == "rec-1"
    assert topics.job_state(STATUS, 1).recording == "rec-1"


@pytest.mark.covers("G-event-JobState")
def test_job_state_carries_the_state_of_every_track() -> None:
    event = topics.job_state(STATUS, 1)
    assert event.source == (("RecordingJobToken", "job-1"),)
    assert event.data == (("State", "Error"),)
    assert event.operation is Operation.CHANGED
    ((name, xml),) = event.elements
    root: Any = etree.fromstring(xml)
    assert (name, root.tag) == ("Information", f"{TT}RecordingJobStateInformation")
    assert root.findtext(f"{TT}RecordingToken") == "rec-1"
    assert root.find(f".//{TT}SourceToken").get("Type") == "http://www.onvif.org/ver10/schema/Profile"
    tracks = [
        (track.findtext(f"{TT}Destination"), track.findtext(f"{TT}State"), track.findtext(f"{TT}Error"))
        for track in root.iter(f"{TT}Track")
    ]
    assert tracks == [("VIDEO001", "Error", "Incompatible Stream"), ("AUDIO001", "Idle", None)]
