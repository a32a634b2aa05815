"""Which job has a recording, and what state jobs are in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onvifd.bodies.recording_plan import Feed, SourceKey, Written, aggregate, job_status, record_specs, takes, watches
from onvifd.media.types import Kind
from onvifd.onvif.backend import Job, JobSource, JobState, JobTrack, Recording, SourceKind, Track
from onvifd.workers.specs import RecordSpec

IDLE, ACTIVE, PARTIAL, ERROR = JobState.IDLE, JobState.ACTIVE, JobState.PARTIAL, JobState.ERROR
V, A, M = "VIDEO001", "AUDIO001", "META001"
ALL = (V, A, M)
REC = Recording(
    token="rec-1",
    source_id="",
    source_name="",
    source_location="",
    source_description="",
    source_address="",
    content="",
    retention=0,
    tracks=tuple(
        Track(token=token, kind=kind, description="")
        for token, kind in ((V, Kind.VIDEO), (A, Kind.AUDIO), (M, Kind.METADATA))
    ),
)
FEEDS: dict[SourceKey, Feed] = {
    (SourceKind.PROFILE, "a"): Feed(camera="cam-a", stream="main", online=True),
    (SourceKind.PROFILE, "b"): Feed(camera="cam-b", stream="main", online=True),
    (SourceKind.PROFILE, "gone"): Feed(camera="cam-c", stream="main", online=False, reason="no media"),
    (SourceKind.RECEIVER, "never"): Feed(camera="", stream="main", online=False, expected=False),
}
SILENT = {(SourceKind.PROFILE, "a"): replace(FEEDS[SourceKind.PROFILE, "a"], kinds=frozenset({Kind.VIDEO}))}
RECORDING = Written(active=True)


def source(token: str, *tracks: str, kind: SourceKind = SourceKind.PROFILE) -> JobSource:
    return JobSource(kind=kind, token=token, tracks=tuple(JobTrack(each, each) for each in tracks or ALL))


def job(token: str, *sources: JobSource, priority: int = 1, active: bool = True, fixed: bool = False) -> Job:
    return Job(token=token, recording="rec-1", active=active, priority=priority, sources=sources, fixed=fixed)


def state(which: Job, *jobs: Job, written: Written = RECORDING) -> JobState:
    return job_status(which, takes([REC], jobs, FEEDS), written, FEEDS).state


def test_the_higher_priority_has_all_tracks() -> None:
    low, high = job("low", source("a")), job("high", source("b"), priority=2)
    (taken,) = takes([REC], [low, high], FEEDS).values()
    assert (taken.camera, taken.job.token) == ("cam-b", "high")
    assert (state(low, low, high), state(high, low, high)) == (IDLE, ACTIVE)


def test_a_profile_without_sound_and_metadata_records_none() -> None:
    (taken,) = takes([REC], [job("j", source("a"))], SILENT).values()
    assert (taken.audio, taken.metadata) == (False, False)
    (taken,) = takes([REC], [job("j", source("a"))], FEEDS).values()
    assert (taken.audio, taken.metadata) == (True, True)
    # A track without anything to carry is as active as the others.
    assert (
        job_status(job("j", source("a")), takes([REC], [job("j", source("a"))], SILENT), RECORDING, SILENT).state
        is ACTIVE
    )


def test_among_equals_the_older_goes_first() -> None:
    first, second = job("z", source("a")), job("a", source("b"))
    assert takes([REC], [first, second], FEEDS)["rec-1"].job is first


def test_an_idle_job_has_nothing() -> None:
    low, high = job("low", source("a")), job("high", source("b"), priority=2, active=False)
    assert takes([REC], [low, high], FEEDS)["rec-1"].job is low
    assert state(high, low, high) is IDLE
    assert takes([REC], [high], FEEDS) == {}


def test_priority_is_by_track_where_the_stream_is_the_same() -> None:
    high, low = job("high", source("a", V), priority=2), job("low", source("a"))
    taken = takes([REC], [low, high], FEEDS)["rec-1"]
    assert taken.tracks == {V: ("high", 0), A: ("low", 0), M: ("low", 0)}
    assert (taken.audio, taken.metadata) == (True, True)
    assert (state(high, low, high), state(low, low, high)) == (ACTIVE, PARTIAL)


def test_tracks_of_another_stream_are_not_mixed_in() -> None:
    high, low = job("high", source("a", V), priority=2), job("low", source("b"))
    taken = takes([REC], [low, high], FEEDS)["rec-1"]
    assert taken.tracks == {V: ("high", 0)}
    assert (taken.audio, taken.metadata) == (False, False)
    assert state(low, low, high) is IDLE


def test_of_several_sources_the_first_that_delivers() -> None:
    several = job("several", source("gone"), source("b"))
    assert takes([REC], [several], FEEDS)["rec-1"].camera == "cam-b"
    assert state(several, several) is PARTIAL
    alone = job("alone", source("gone"))
    assert takes([REC], [alone], FEEDS)["rec-1"].camera == "cam-c"


@pytest.mark.parametrize(
    ("token", "written", "expected"),
    [
        ("a", Written(), IDLE),
        ("a", RECORDING, ACTIVE),
        ("a", Written(ordered=True), ACTIVE),
        ("a", Written(ordered=True, error="disk full"), ERROR),
        ("gone", Written(ordered=True), ERROR),
        ("a", Written(error="disk full"), ERROR),
        ("gone", Written(), ERROR),
        ("unknown", Written(), ERROR),
    ],
)
def test_states_of_a_job_that_has_the_recording(token: str, written: Written, expected: JobState) -> None:
    one = job("one", source(token))
    assert state(one, one, written=written) is expected


def test_a_receiver_that_is_not_to_connect_is_no_error() -> None:
    one = job("one", source("never", kind=SourceKind.RECEIVER))
    assert takes([REC], [one], FEEDS) == {}
    assert state(one, one, written=Written()) is IDLE


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((), IDLE),
        ((IDLE, IDLE), IDLE),
        ((ACTIVE, ACTIVE), ACTIVE),
        ((ACTIVE, IDLE), PARTIAL),
        ((ACTIVE, ERROR), ERROR),
        ((PARTIAL,), PARTIAL),
    ],
)
def test_aggregate(states: tuple[JobState, ...], expected: JobState) -> None:
    """RecordingControl 5.19."""
    assert aggregate(states) is expected


def test_what_workers_and_the_director_are_told() -> None:
    own, theirs = job("own", source("a"), fixed=True), job("theirs", source("a", V), priority=2)
    rules = {"rec-1": RecordSpec(recording="rec-1", volumes=("vol-1",), pre=5.0, audio=False)}
    plan = takes([REC], [own], FEEDS)
    (spec,) = record_specs(plan.values(), rules)["cam-a", "main"]
    assert (spec.volumes, spec.pre, spec.audio, spec.metadata) == (("vol-1",), 5.0, False, True)
    assert [each.always for each in watches(plan.values())] == [False]
    both = takes([REC], [own, theirs], FEEDS)
    assert [each.always for each in watches(both.values())] == [True]
