"""Recordings, tracks and jobs that come, change and go; deleted footage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onvifd.archive.index import KIND_FLAGS, SegmentRow
from onvifd.bodies import events_recording as module
from onvifd.bodies.events_recording import Deletions, RecordingChanges
from onvifd.events.types import Event
from onvifd.media.types import Kind
from onvifd.onvif.backend import Job, JobSource, JobTrack, Recording, SourceKind, Track

VIDEO = Track(token="VIDEO001", kind=Kind.VIDEO, description="Door video")
AUDIO = Track(token="AUDIO001", kind=Kind.AUDIO, description="Door audio")
REC = Recording(
    token="rec-1",
    source_id="vs-1",
    source_name="Door",
    source_location="",
    source_description="Channel 1",
    source_address="http://192.0.2.1",
    content="Continuous",
    retention=0,
    tracks=(VIDEO,),
)
JOB = Job(
    token="job-1",
    recording="rec-1",
    active=True,
    priority=1,
    sources=(JobSource(kind=SourceKind.PROFILE, token="p", tracks=(JobTrack("VIDEO001", "VIDEO001"),)),),
)


def short(events: list[Event]) -> list[tuple[str, ...]]:
    told = [(e.topic.removeprefix("RecordingConfig/"), *(value for _, value in e.source)) for e in events]
    events.clear()
    return told


@pytest.mark.covers(
    *("G-event-RecordingConfiguration", "G-event-TrackConfiguration", "G-event-RecordingJobConfiguration"),
    *("G-event-CreateRecording", "G-event-DeleteRecording", "G-event-CreateTrack", "G-event-DeleteTrack"),
)
def test_every_change_is_told_once() -> None:
    events: list[Event] = []
    changes = RecordingChanges(events.append)
    changes.update([REC], [JOB], 1)
    assert short(events) == []
    other = replace(REC, token="rec-2")
    changes.update([REC, other], [JOB], 2)
    assert short(events) == [("CreateRecording", "rec-2"), ("CreateTrack", "rec-2", "VIDEO001")]
    renamed = replace(REC, source_name="Gate", tracks=(replace(VIDEO, description="Gate video"), AUDIO))
    changes.update([renamed, other], [replace(JOB, active=False)], 3)
    assert "Gate" in events[0].elements[0][1]
    assert "Idle" in events[-1].elements[0][1]
    assert short(events) == [
        ("RecordingConfiguration", "rec-1"),
        ("TrackConfiguration", "rec-1", "VIDEO001"),
        ("CreateTrack", "rec-1", "AUDIO001"),
        ("RecordingJobConfiguration", "job-1"),
    ]
    changes.update([replace(renamed, tracks=(VIDEO,))], [], 4)
    assert short(events) == [
        ("TrackConfiguration", "rec-1", "VIDEO001"),
        ("DeleteTrack", "rec-1", "AUDIO001"),
        ("DeleteTrack", "rec-2", "VIDEO001"),
        ("DeleteRecording", "rec-2"),
    ]
    changes.update([replace(renamed, tracks=(VIDEO,))], [], 5)
    assert short(events) == []


def row(start: int, end: int, *kinds: Kind, recording: str = "rec-1") -> SegmentRow:
    flags = KIND_FLAGS[kinds[0]]
    for kind in kinds[1:]:
        flags |= KIND_FLAGS[kind]
    return SegmentRow(
        recording=recording, volume="vol-1", path="x", start=start, end=end, size=1, formats=(), kinds=flags
    )


@pytest.mark.covers("G-event-DeleteTrackData")
def test_deleted_footage_is_told_per_track_as_one_range() -> None:
    events: list[Event] = []
    deletions = Deletions(events.append)
    deletions.deleted(row(1_000_000, 2_000_000, Kind.VIDEO, Kind.AUDIO), 9)
    deletions.deleted(row(2_000_000, 3_000_000, Kind.VIDEO), 9)
    assert events == []
    deletions.flush(10)
    assert [dict(e.source)["TrackToken"] for e in events] == ["VIDEO001", "AUDIO001"]
    assert [dict(e.data) for e in events] == [
        {"StartTime": "1970-01-01T00:00:01Z", "EndTime": "1970-01-01T00:00:03Z"},
        {"StartTime": "1970-01-01T00:00:01Z", "EndTime": "1970-01-01T00:00:02Z"},
    ]
    assert {e.recording for e in events} == {"rec-1"}
    events.clear()
    deletions.flush(11)
    assert events == []


def test_what_is_collected_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RANGES", 2)
    events: list[Event] = []
    deletions = Deletions(events.append)
    for number in range(3):
        deletions.deleted(row(1, 2, Kind.VIDEO, recording=f"rec-{number}"), 9)
    assert len(events) == 2
