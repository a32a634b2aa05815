"""Recordings, jobs and receivers as the catalogue keeps them, and as they are shown. Pure functions, but for `read_tables`."""

from __future__ import annotations

import json
from dataclasses import dataclass

from onvifd.archive.index import SegmentStore
from onvifd.media.types import Kind
from onvifd.onvif.backend import Job, JobSource, JobTrack, Recording, RecordingTarget, SourceKind, Track
from onvifd.onvif.recording_backend import RecordingSettings
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import JobRow, ReceiverRow, RecordingRow, TrackRow


@dataclass(frozen=True, slots=True)
class Tables:
    """What the catalogue says of recordings, their jobs and receivers."""

    recordings: tuple[RecordingRow, ...] = ()
    jobs: tuple[JobRow, ...] = ()
    receivers: tuple[ReceiverRow, ...] = ()


def read_tables(catalogue: Catalogue, segments: SegmentStore, cameras: frozenset[str]) -> Tables:
    """Recordings of the cameras, those that clients made, and those that still hold footage though their camera is gone.
    Blocks."""
    rows = catalogue.recordings.all()
    jobs = tuple(row for row in catalogue.recordings.jobs() if row.camera is None or row.camera in cameras)
    kept = tuple(
        row
        for row in rows
        if not row.removing
        and (row.camera in cameras or row.dynamic or segments.recording_times(row.token) is not None)
    )
    tokens = {row.token for row in kept}
    return Tables(kept, tuple(row for row in jobs if row.recording in tokens), catalogue.receivers.all())


def to_recording(row: RecordingRow, retention: int) -> Recording:
    """A recording as it is shown. `retention` is that of those for which no client has set one."""
    return Recording(
        token=row.token,
        source_id=row.source_id,
        source_name=row.source_name,
        source_location=row.source_location,
        source_description=row.source_description,
        source_address=row.source_address,
        content=row.content,
        retention=row.retention if row.configured else retention,
        tracks=tuple(
            Track(token=track.token, kind=Kind(track.kind), description=track.description) for track in row.tracks
        ),
        dynamic=row.dynamic,
        target=RecordingTarget(**json.loads(row.target)) if row.target else None,
    )


def to_row(
    token: str,
    settings: RecordingSettings,
    *,
    dynamic: bool,
    created: int = 0,
    tracks: tuple[TrackRow, ...] = (),
) -> RecordingRow:
    """What a client set, as it is kept."""
    target = settings.target
    fields = ("storage", "format", "prefix", "postfix", "segment", "span", "strategy")
    return RecordingRow(
        token=token,
        camera=None,
        source_id=settings.source_id,
        source_name=settings.source_name,
        source_location=settings.source_location,
        source_description=settings.source_description,
        source_address=settings.source_address,
        content=settings.content,
        retention=settings.retention,
        role="",
        dynamic=dynamic,
        configured=True,
        target="" if target is None else json.dumps({name: getattr(target, name) for name in fields}),
        created=created,
        tracks=tracks,
    )


def to_job(row: JobRow) -> Job:
    """A job as it is shown."""
    return Job(
        token=row.token,
        recording=row.recording,
        active=row.active,
        priority=row.priority,
        sources=tuple(
            JobSource(
                kind=SourceKind(source.kind),
                token=source.token,
                tracks=tuple(JobTrack(tag, destination) for tag, destination in source.tracks),
            )
            for source in row.sources
        ),
        fixed=row.camera is not None,
    )
