"""Builders make messages that fit their declarations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from onvifd.events import (
    device_topics,
    hardware_topics,
    operation_topics,
    receiver_topics,
    recording_topics,
    security_topics,
    storage_topics,
    topics,
)
from onvifd.events.relayed_topics import RELAYED_TOPICS
from onvifd.events.topic import BOOLEAN, DATETIME
from onvifd.events.types import Event, Operation
from onvifd.onvif.backend import JobState, JobStatus, SourceKind, SourceStatus, TrackStatus
from onvifd.onvif.types import tt

TT = "{http://www.onvif.org/ver10/schema}"

STATUS = JobStatus(
    job="job-1",
    recording="rec-1",
    state=JobState.ERROR,
    sources=(
        SourceStatus(
            kind=SourceKind.PROFILE,
            token="cam-1-main",
            state=JobState.ERROR,
            tracks=(
                TrackStatus(
                    source_tag="VIDEO001",
                    destination="VIDEO001",
                    state=JobState.ERROR,
                    error="Incompatible Stream",
                ),
                TrackStatus(source_tag="AUDIO001", destination="AUDIO001", state=JobState.IDLE),
            ),
        ),
    ),
)

RECORDING = tt.RecordingConfiguration(
    source=tt.RecordingSourceInformation(source_id="vs-1", name="Door", location="", description="", address="urn:x"),
    content="Door",
    maximum_retention_time=timedelta(0),
)
TRACK = tt.TrackConfiguration(track_type=tt.TrackType.VIDEO, description="Door video")
JOB = tt.RecordingJobConfiguration(recording_token="rec-1", mode="Active", priority=1)

SENSED = [
    (hardware_topics.FAN_FAILURE, hardware_topics.fan_failure("fan1", True, 7)),
    (hardware_topics.POWER_SUPPLY_FAILURE, hardware_topics.power_supply_failure("AC0", True, 7)),
    (hardware_topics.TEMPERATURE_CRITICAL, hardware_topics.temperature_critical(True, 7)),
    (hardware_topics.LINK_STATUS, hardware_topics.link_status("eth0", 1000, True, 7)),
]
"""What only machines with sensors emit."""

EVENTS = [
    (topics.MOTION_ALARM, topics.motion_alarm("vs-1", True, 7, "rec-1")),
    (topics.SIGNAL_LOSS, topics.signal_loss("vs-1", False, 7)),
    (topics.RECORDING_STATE, topics.recording_state("rec-1", True, 7)),
    (topics.TRACK_STATE, topics.track_state("rec-1", "VIDEO001", False, 7)),
    (topics.JOB_STATE, topics.job_state(STATUS, 7)),
    (topics.PROFILE_CHANGED, topics.profile_changed("cam-1-main", 7)),
    (topics.CONFIGURATION_CHANGED, topics.configuration_changed("vec-1", "VideoEncoder", 7)),
    (
        recording_topics.RECORDING_CONFIGURATION,
        recording_topics.recording_configuration("rec-1", RECORDING, 7),
    ),
    (recording_topics.TRACK_CONFIGURATION, recording_topics.track_configuration("rec-1", "VIDEO001", TRACK, 7)),
    (recording_topics.JOB_CONFIGURATION, recording_topics.job_configuration("job-1", "rec-1", JOB, 7)),
    (recording_topics.DELETE_TRACK_DATA, recording_topics.delete_track_data("rec-1", "VIDEO001", 1, 2, 7)),
    (recording_topics.CREATE_RECORDING, recording_topics.create_recording("rec-1", 7)),
    (recording_topics.DELETE_RECORDING, recording_topics.delete_recording("rec-1", 7)),
    (recording_topics.CREATE_TRACK, recording_topics.create_track("rec-1", "AUDIO001", 7)),
    (recording_topics.DELETE_TRACK, recording_topics.delete_track("rec-1", "AUDIO001", 7)),
    (receiver_topics.CHANGE_STATE, receiver_topics.change_state("rcv-1", "Connected", "rtsp://192.0.2.1/a", 7)),
    (receiver_topics.CONNECTION_FAILED, receiver_topics.connection_failed("rcv-1", "rtsp://192.0.2.1/a", 7)),
    (
        operation_topics.OPERATION_STATUS,
        operation_topics.operation_status(
            "exp-1", "ExportRecordedData", 0.5, 7, files=(("a.mp4", 1.0),), alias="case", error="disk full"
        ),
    ),
    (device_topics.STORAGE_FAILURE, device_topics.storage_failure("vol-1", True, 7)),
    (storage_topics.STORAGE_STATE, storage_topics.storage_state("vol-1", "full", "there is no room left", 7, low=True)),
    (device_topics.PROCESSOR_USAGE, device_topics.processor_usage(40.0, 7)),
    (device_topics.LAST_REBOOT, device_topics.operating_time(device_topics.LAST_REBOOT, 5, 7)),
    (device_topics.LAST_RESET, device_topics.operating_time(device_topics.LAST_RESET, 0, 7)),
    (
        device_topics.LAST_CLOCK_SYNCHRONIZATION,
        device_topics.operating_time(device_topics.LAST_CLOCK_SYNCHRONIZATION, 5, 7),
    ),
    (device_topics.LAST_BACKUP, device_topics.operating_time(device_topics.LAST_BACKUP, 5, 7)),
    (security_topics.KEY_STATUS, security_topics.key_status("key-1", "generating", "ok", 7)),
    (hardware_topics.SHUTDOWN_INITIATED, hardware_topics.shutdown_initiated(7)),
    *(
        (topic, hardware_topics.active_sessions(topic, "enc", ("192.0.2.1", "192.0.2.1"), 7))
        for topic in (hardware_topics.VIDEO_SESSIONS, hardware_topics.AUDIO_SESSIONS, hardware_topics.TALK_SESSIONS)
    ),
    *SENSED,
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
            if item.type == BOOLEAN:
                assert value in ("true", "false")
            if item.type == DATETIME:
                assert value.endswith("Z")


@pytest.mark.parametrize(
    ("peer", "item"),
    [
        ("192.0.2.7", ("SourceIPv4", "192.0.2.7")),
        ("::ffff:192.0.2.7", ("SourceIPv4", "192.0.2.7")),
        ("fe80::1%eth0", ("SourceIPv6", "fe80::1")),
    ],
)
def test_a_refused_login_names_one_of_the_two_declared_addresses(peer: str, item: tuple[str, str]) -> None:
    event = device_topics.auth_failed("eth0", peer, 7)
    assert event.source == (("NetworkInterface", "eth0"),)
    assert event.data == (item,)
    assert item[0] in {each.name for each in device_topics.AUTH_FAILED.data}
    assert event.operation is None


def test_what_never_happened_is_said_to_be_of_1970() -> None:
    event = device_topics.operating_time(device_topics.LAST_RESET, device_topics.NEVER, 7)
    assert event.data == (("Status", "1970-01-01T00:00:00Z"),)


@pytest.mark.parametrize(
    ("event", "tag"),
    [
        (recording_topics.recording_configuration("rec-1", RECORDING, 7), "RecordingConfiguration"),
        (recording_topics.track_configuration("rec-1", "VIDEO001", TRACK, 7), "TrackConfiguration"),
        (recording_topics.job_configuration("job-1", "rec-1", JOB, 7), "RecordingJobConfiguration"),
    ],
)
def test_configurations_travel_as_elements_of_the_schema(event: Event, tag: str) -> None:
    ((name, xml),) = event.elements
    assert name == "Configuration"
    assert etree.fromstring(xml).tag == TT + tag


def test_every_declared_topic_has_a_builder_or_comes_from_cameras() -> None:
    others = {*RELAYED_TOPICS, topics.BUFFER_BEGIN, device_topics.AUTH_FAILED}
    sensed = {topic for topic, _ in SENSED}
    assert {topic for topic, _ in EVENTS} - sensed | others == set(topics.RECORDER_TOPICS)
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
