"""Recordings, their tracks and their jobs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select, update

from onvifd.errors import Conflict, NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import JobRow, RecordingRow, TrackRow
from onvifd.store.settings import bump

_TRACKS = {"video": 0, "audio": 1, "metadata": 2}


class Recordings:
    """Reads and changes recordings and jobs. Every change bumps the revision in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[RecordingRow, ...]:
        """In channel order; those whose camera was removed come last."""

        def work(connection: Connection) -> tuple[RecordingRow, ...]:
            t, c = schema.recordings, schema.cameras
            query = select(t).outerjoin(c, c.c.id == t.c.camera)
            query = query.order_by(t.c.camera.is_(None), c.c.channel, t.c.token)
            tracks = _tracks(connection)
            return tuple(
                RecordingRow(**row, tracks=tracks.get(row["token"], ())) for row in connection.execute(query).mappings()
            )

        return self._database.read(work)

    def get(self, token: str) -> RecordingRow:
        """Raises NotFound (NoRecording)."""
        for recording in self.all():
            if recording.token == token:
                return recording
        raise NotFound(f"there is no recording {token}", detail="NoRecording")

    def jobs(self) -> tuple[JobRow, ...]:
        """In order of their tokens."""
        query = select(schema.jobs).order_by(schema.jobs.c.token)
        return self._database.read(
            lambda connection: tuple(JobRow(**row) for row in connection.execute(query).mappings())
        )

    def set_job_mode(self, token: str, active: bool) -> None:
        """Raises NotFound (NoRecordingJob)."""

        def work(connection: Connection) -> None:
            changed = connection.execute(update(schema.jobs).where(schema.jobs.c.token == token).values(active=active))
            if changed.rowcount == 0:
                raise NotFound(f"there is no recording job {token}", detail="NoRecordingJob")
            bump(connection)

        self._database.write(work)

    def add_track(self, track: TrackRow) -> bool:
        """Note a track that turned up in the media. False if it is known already. Raises NotFound (NoRecording)."""

        def work(connection: Connection) -> bool:
            t = schema.tracks
            if not connection.scalar(select(exists().where(schema.recordings.c.token == track.recording))):
                raise NotFound(f"there is no recording {track.recording}", detail="NoRecording")
            if connection.scalar(select(exists().where(t.c.recording == track.recording, t.c.token == track.token))):
                return False
            connection.execute(insert(t).values(asdict(track)))
            bump(connection)
            return True

        return self._database.write(work)

    def remove(self, token: str) -> None:
        """Delete a recording that holds nothing and has no camera. Raises NotFound (NoRecording) or Conflict."""

        def work(connection: Connection) -> None:
            t = schema.recordings
            row = connection.execute(select(t.c.camera).where(t.c.token == token)).first()
            if row is None:
                raise NotFound(f"there is no recording {token}", detail="NoRecording")
            if row.camera is not None:
                raise Conflict(f"recording {token} belongs to camera {row.camera}", detail="CannotDelete")
            if connection.scalar(select(exists().where(schema.segments.c.recording == token))):
                raise Conflict(f"recording {token} still holds footage", detail="CannotDelete")
            connection.execute(delete(schema.spans).where(schema.spans.c.recording == token))
            connection.execute(delete(t).where(t.c.token == token))
            bump(connection)

        self._database.write(work)


def insert_recording(connection: Connection, recording: RecordingRow, *, replace: bool = False) -> None:
    """Insert a recording with its tracks. With `replace`, one that exists is updated; tracks are only ever added."""
    t = schema.recordings
    values = asdict(recording)
    del values["tracks"]
    known: set[str] = set()
    if replace and connection.scalar(select(exists().where(t.c.token == recording.token))):
        connection.execute(update(t).where(t.c.token == recording.token).values(values))
        query = select(schema.tracks.c.token).where(schema.tracks.c.recording == recording.token)
        known = set(connection.scalars(query))
    else:
        connection.execute(insert(t).values(values))
    for track in recording.tracks:
        if track.token not in known:
            connection.execute(insert(schema.tracks).values(asdict(track)))


def insert_job(connection: Connection, job: JobRow, *, replace: bool = False) -> None:
    """Insert a job. With `replace`, one that exists is updated."""
    t = schema.jobs
    values: dict[str, Any] = asdict(job)
    if replace and connection.scalar(select(exists().where(t.c.token == job.token))):
        connection.execute(update(t).where(t.c.token == job.token).values(values))
    else:
        connection.execute(insert(t).values(values))


def _tracks(connection: Connection) -> dict[str, tuple[TrackRow, ...]]:
    found: dict[str, list[TrackRow]] = {}
    for row in connection.execute(select(schema.tracks)).mappings():
        track = TrackRow(**row)
        found.setdefault(track.recording, []).append(track)
    return {
        token: tuple(sorted(tracks, key=lambda one: (_TRACKS.get(one.kind, 9), one.token)))
        for token, tracks in found.items()
    }
