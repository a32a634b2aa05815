"""What is recorded from where: which job fills which track of a recording, and what state every job is in. Pure functions.

A recording takes all its tracks from one stream at a time. Jobs compete by priority, track by track (RecordingControl 5.3.3);
the stream of the first track that has a winner is the one that is recorded, and other jobs get the tracks that they draw
from the same stream. Of the sources of one job the first that delivers counts: the others stand in for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from onvifd.media.types import Kind
from onvifd.onvif.backend import Job, JobSource, JobState, JobStatus, Recording, SourceKind, SourceStatus, TrackStatus
from onvifd.workers.specs import RecordSpec

SourceKey = tuple[SourceKind, str]
"""Kind and token of a source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The stream behind a source: `camera` and `stream` as the workers know it.

    `expected` is whether it should deliver: a camera that was seen before, a receiver that is to connect. What is not
    expected and not there is no error.
    """

    camera: str
    stream: str
    online: bool
    expected: bool = True
    reason: str = ""
    kinds: frozenset[Kind] = frozenset(Kind)
    """What is taken of the stream: a profile without sound records none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """What a recording is made of: the stream, and per track the job (and number of its source) that won it.

    `job` is the one that decides when it is recorded: that of the first track.
    """

    recording: str
    camera: str
    stream: str
    job: Job
    tracks: Mapping[str, tuple[str, int]]
    audio: bool
    metadata: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A recording and the stream that fills it. `always` it is written whatever the camera's schedule says: its job is one
    of a client."""

    recording: str
    camera: str
    stream: str
    always: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Whether a recording is to be written now (`ordered`) and is (`active`: from the first key frame on), and why not
    (`error`) if it should be."""

    ordered: bool = False
    active: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    job: Job
    index: int
    source: JobSource
    feed: Feed


def _candidates(jobs: Iterable[Job], feeds: Mapping[SourceKey, Feed]) -> list[_Candidate]:
    """Sources of active jobs, the one that has precedence first. Among equals the older job goes first (5.3.3 leaves it
    open), and within a job a source that delivers."""
    active = sorted((job for job in jobs if job.active), key=lambda job: -job.priority)
    found = []
    for job in active:
        of_job = [
            _Candidate(job, index, source, feed)
            for index, source in enumerate(job.sources)
            if (feed := feeds.get((source.kind, source.token))) is not None and feed.camera
        ]
        found.extend(sorted(of_job, key=lambda each: not each.feed.online))
    return found


def take(recording: Recording, jobs: Iterable[Job], feeds: Mapping[SourceKey, Feed]) -> Take | None:
    """What fills a recording; None while no active job has a source for it. `jobs` in order of creation."""
    candidates = _candidates((job for job in jobs if job.recording == recording.token), feeds)
    lead = next(
        (each for track in recording.tracks for each in candidates if _fills(each.source, track.token)),
        None,
    )
    if lead is None:
        return None
    stream = (lead.feed.camera, lead.feed.stream)
    tracks: dict[str, tuple[str, int]] = {}
    kinds: set[Kind] = set()
    for track in recording.tracks:
        for each in candidates:
            if _fills(each.source, track.token) and (each.feed.camera, each.feed.stream) == stream:
                tracks[track.token] = (each.job.token, each.index)
                kinds |= {track.kind} & each.feed.kinds
                break
    return Take(
        recording=recording.token,
        camera=stream[0],
        stream=stream[1],
        job=lead.job,
        tracks=tracks,
        audio=Kind.AUDIO in kinds,
        metadata=Kind.METADATA in kinds,
    )


def takes(recordings: Iterable[Recording], jobs: Sequence[Job], feeds: Mapping[SourceKey, Feed]) -> dict[str, Take]:
    """What fills each recording that is filled."""
    by_recording: dict[str, list[Job]] = {}
    for job in jobs:
        by_recording.setdefault(job.recording, []).append(job)
    found = (take(each, by_recording.get(each.token, ()), feeds) for each in recordings)
    return {each.recording: each for each in found if each is not None}


def watches(plan: Iterable[Take]) -> tuple[Watch, ...]:
    """What must be watched to know when each recording is to be written."""
    return tuple(
        Watch(recording=each.recording, camera=each.camera, stream=each.stream, always=not each.job.fixed)
        for each in plan
    )


def record_specs(
    plan: Iterable[Take], rules: Mapping[str, RecordSpec]
) -> dict[tuple[str, str], tuple[RecordSpec, ...]]:
    """Per camera and stream the recordings that it feeds. `rules` say per recording where it is written and how much is kept
    in memory before; jobs decide about sound and metadata."""
    found: dict[tuple[str, str], list[RecordSpec]] = {}
    for each in plan:
        rule = rules.get(each.recording, RecordSpec(recording=each.recording))
        spec = RecordSpec(
            recording=each.recording,
            volumes=rule.volumes,
            copies=rule.copies,
            pre=rule.pre,
            audio=rule.audio and each.audio,
            metadata=each.metadata,
        )
        found.setdefault((each.camera, each.stream), []).append(spec)
    return {key: tuple(sorted(specs, key=lambda spec: spec.recording)) for key, specs in found.items()}


def job_status(job: Job, plan: Mapping[str, Take], written: Written, feeds: Mapping[SourceKey, Feed]) -> JobStatus:
    """The state of a job (RecordingControl 5.19)."""
    won = plan.get(job.recording)
    sources = tuple(
        _source_status(job, index, source, won, written, feeds.get((source.kind, source.token)))
        for index, source in enumerate(job.sources)
    )
    return JobStatus(
        job=job.token,
        recording=job.recording,
        state=aggregate(source.state for source in sources),
        sources=sources,
    )


def _source_status(
    job: Job, index: int, source: JobSource, won: Take | None, written: Written, feed: Feed | None
) -> SourceStatus:
    tracks = []
    for track in source.tracks:
        state, error = JobState.IDLE, ""
        if not job.active:
            pass
        elif feed is None:
            state, error = JobState.ERROR, "the source does not exist"
        elif won is not None and won.tracks.get(track.destination) == (job.token, index):
            state, error = _transfer(written, feed)
        tracks.append(TrackStatus(source_tag=track.source_tag, destination=track.destination, state=state, error=error))
    return SourceStatus(
        kind=source.kind, token=source.token, state=aggregate(track.state for track in tracks), tracks=tuple(tracks)
    )


def _transfer(written: Written, feed: Feed) -> tuple[JobState, str]:
    """State of a track that its job has won. A track for which the stream carries nothing now is as active as the others:
    what comes is recorded. So it is from the order on, up to a group of pictures before the first footage."""
    if written.active:
        return JobState.ACTIVE, ""
    if written.error:
        return JobState.ERROR, written.error
    if not feed.online and feed.expected:
        return JobState.ERROR, feed.reason or "the source does not deliver"
    return (JobState.ACTIVE if written.ordered and feed.online else JobState.IDLE), ""


def aggregate(states: Iterable[JobState]) -> JobState:
    """RecordingControl 5.19."""
    found = set(states)
    if JobState.ERROR in found:
        return JobState.ERROR
    if not found or found == {JobState.IDLE}:
        return JobState.IDLE
    return JobState.ACTIVE if found == {JobState.ACTIVE} else JobState.PARTIAL


def _fills(source: JobSource, destination: str) -> bool:
    return any(track.destination == destination for track in source.tracks)
