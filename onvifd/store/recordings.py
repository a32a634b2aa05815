"""Recordings, their tracks and their jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, exists, func, insert, or_, select, update

from onvifd.errors import Conflict, LimitReached, NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.receivers import drop_unused, insert_receivers
from onvifd.store.rows import JobRow, JobSourceRow, ReceiverRow, RecordingRow, TrackRow
from onvifd.store.settings import bump

_TRACKS = {"video": 0, "audio": 1, "metadata": 2}
_OWN = ("source_id", "source_name", "source_location", "source_description", "source_address", "content", "retention")
"""What a client may set of a recording; from then on the camera's own words do not count."""


def tracks_setting(recording: str) -> str:
    """Under which name the settings keep the encodings that a recording has had (archive.tracks)."""
    return f"tracks.{recording}"


class Recordings:
    """Reads and changes recordings and jobs. Every change bumps the revision in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[RecordingRow, ...]:
        """In channel order; those without a camera come last."""

        def work(connection: Connection) -> tuple[RecordingRow, ...]:
            t, c = schema.recordings, schema.cameras
            query = select(t).outerjoin(c, c.c.id == t.c.camera)
            query = query.order_by(t.c.camera.is_(None), c.c.channel, t.c.created, t.c.token)
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

    def create(self, recording: RecordingRow, *, limit: int) -> None:
        """Insert a recording of a client. Raises LimitReached (MaxRecordings) when there are `limit` already."""

        def work(connection: Connection) -> None:
            t = schema.recordings
            count = connection.scalar(select(func.count()).select_from(t).where(t.c.removing.is_(False)))
            if (count or 0) >= limit:
                raise LimitReached(f"there are {limit} recordings already", detail="MaxRecordings")
            insert_recording(connection, recording)
            bump(connection)

        self._database.write(work)

    def configure(self, recording: RecordingRow) -> None:
        """Keep the configuration that a client gave; its tracks stay. Raises NotFound (NoRecording)."""

        def work(connection: Connection) -> None:
            t = schema.recordings
            values = {name: getattr(recording, name) for name in (*_OWN, "target")} | {"configured": True}
            changed = connection.execute(update(t).where(t.c.token == recording.token).values(values))
            if changed.rowcount == 0:
                raise NotFound(f"there is no recording {recording.token}", detail="NoRecording")
            bump(connection)

        self._database.write(work)

    def add_track(self, track: TrackRow) -> bool:
        """Add a track. False if it is known already. Raises NotFound (NoRecording)."""

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

    def describe_track(self, recording: str, track: str, description: str) -> None:
        """Raises NotFound (NoTrack)."""
        t = schema.tracks
        query = update(t).where(t.c.recording == recording, t.c.token == track).values(description=description)
        self._database.write(lambda connection: _changed(connection, query, "NoTrack"))

    def remove_track(self, recording: str, track: str) -> None:
        """Take a track away, and from the jobs that fill it. Raises NotFound (NoTrack)."""

        def work(connection: Connection) -> None:
            t, j = schema.tracks, schema.jobs
            _changed(connection, delete(t).where(t.c.recording == recording, t.c.token == track), "NoTrack")
            for row in connection.execute(select(j.c.token, j.c.sources).where(j.c.recording == recording)).all():
                sources = _sources(row.sources)
                kept = tuple(
                    JobSourceRow(
                        kind=each.kind,
                        token=each.token,
                        tracks=tuple(pair for pair in each.tracks if pair[1] != track),
                    )
                    for each in sources
                )
                connection.execute(update(j).where(j.c.token == row.token).values(sources=_text(kept)))

        self._database.write(work)

    def begin_removal(self, token: str, *, now: int) -> None:
        """Delete a recording for its clients, with its jobs and what belongs to them alone; its row goes with the last of
        its footage (`remove`). Raises NotFound (NoRecording), Conflict (CannotDelete) while some of it is locked."""

        def work(connection: Connection) -> None:
            t, lock = schema.recordings, schema.locks
            lasting = or_(lock.c.until.is_(None), lock.c.until > now)
            if connection.scalar(select(exists().where(lock.c.recording == token, lasting))):
                raise Conflict(f"footage of recording {token} is locked", detail="CannotDelete")
            query = update(t).where(t.c.token == token, t.c.removing.is_(False)).values(removing=True, dynamic=False)
            _changed(connection, query, "NoRecording")
            connection.execute(delete(schema.jobs).where(schema.jobs.c.recording == token))
            drop_unused(connection)

        self._database.write(work)

    def remove(self, token: str) -> None:
        """Delete a recording that holds nothing and has no camera. Raises NotFound (NoRecording) or Conflict."""

        def work(connection: Connection) -> None:
            t = schema.recordings
            row = connection.execute(select(t.c.camera, t.c.dynamic).where(t.c.token == token)).first()
            if row is None:
                raise NotFound(f"there is no recording {token}", detail="NoRecording")
            if row.camera is not None:
                raise Conflict(f"recording {token} belongs to camera {row.camera}", detail="CannotDelete")
            if row.dynamic:
                raise Conflict(f"recording {token} belongs to a client", detail="CannotDelete")
            if connection.scalar(select(exists().where(schema.segments.c.recording == token))):
                raise Conflict(f"recording {token} still holds footage", detail="CannotDelete")
            connection.execute(delete(schema.spans).where(schema.spans.c.recording == token))
            connection.execute(delete(t).where(t.c.token == token))
            connection.execute(delete(schema.settings).where(schema.settings.c.key == tracks_setting(token)))
            bump(connection)

        self._database.write(work)

    # ---- jobs

    def jobs(self) -> tuple[JobRow, ...]:
        """Those of cameras first, then in order of creation."""
        t = schema.jobs
        query = select(t).order_by(t.c.created, t.c.token)

        def work(connection: Connection) -> tuple[JobRow, ...]:
            return tuple(
                JobRow(**(dict(row) | {"sources": _sources(row["sources"])}))
                for row in connection.execute(query).mappings()
            )

        return self._database.read(work)

    def create_job(
        self, job: JobRow, receivers: Sequence[ReceiverRow], *, limit: int, receiver_limit: int, spare: int
    ) -> None:
        """Insert a job and the receivers that it brings. `limit` bounds all jobs, `spare` those of one recording.

        Raises NotFound (NoRecording), LimitReached (MaxRecordingJobs, MaxReceivers).
        """

        def work(connection: Connection) -> None:
            t, r = schema.jobs, schema.recordings
            if not connection.scalar(select(exists().where(r.c.token == job.recording, r.c.removing.is_(False)))):
                raise NotFound(f"there is no recording {job.recording}", detail="NoRecording")
            recordings = list(connection.scalars(select(t.c.recording)))
            if len(recordings) >= limit or recordings.count(job.recording) >= spare:
                raise LimitReached("no further recording job can be made", detail="MaxRecordingJobs")
            insert_receivers(connection, receivers, receiver_limit)
            insert_job(connection, job)
            bump(connection)

        self._database.write(work)

    def replace_job(self, job: JobRow, receivers: Sequence[ReceiverRow], *, receiver_limit: int) -> None:
        """Keep a job's new configuration. Raises NotFound (NoRecordingJob), LimitReached (MaxReceivers)."""

        def work(connection: Connection) -> None:
            t = schema.jobs
            values = {"active": job.active, "priority": job.priority, "sources": _text(job.sources)}
            _changed(connection, update(t).where(t.c.token == job.token).values(values), "NoRecordingJob")
            # What is no longer used makes room for what is new.
            drop_unused(connection)
            insert_receivers(connection, receivers, receiver_limit)

        self._database.write(work)

    def remove_job(self, token: str) -> None:
        """Delete a job, and receivers that were made for it and have no other. Raises NotFound (NoRecordingJob)."""

        def work(connection: Connection) -> None:
            _changed(connection, delete(schema.jobs).where(schema.jobs.c.token == token), "NoRecordingJob")
            drop_unused(connection)

        self._database.write(work)

    def set_job_mode(self, token: str, active: bool) -> None:
        """Raises NotFound (NoRecordingJob)."""
        query = update(schema.jobs).where(schema.jobs.c.token == token).values(active=active)
        self._database.write(lambda connection: _changed(connection, query, "NoRecordingJob"))

    def keep_second(self, recording: RecordingRow, job: JobRow) -> None:
        """See that a camera's second recording and its job are there; what clients set of them stays."""

        def work(connection: Connection) -> None:
            insert_recording(connection, recording, replace=True)
            insert_job(connection, job, replace=True)
            bump(connection)

        self._database.write(work)


def insert_recording(connection: Connection, recording: RecordingRow, *, replace: bool = False) -> None:
    """Insert a recording with its tracks. With `replace`, one that exists is updated, but not what a client configured;
    tracks are only ever added."""
    t = schema.recordings
    values = asdict(recording)
    del values["tracks"]
    known: set[str] = set()
    before = connection.execute(select(t.c.configured).where(t.c.token == recording.token)).first() if replace else None
    if before is not None:
        kept = (*_OWN, "target", "configured") if before.configured else ("target", "configured")
        values = {name: value for name, value in values.items() if name not in kept}
        connection.execute(update(t).where(t.c.token == recording.token).values(values))
        query = select(schema.tracks.c.token).where(schema.tracks.c.recording == recording.token)
        known = set(connection.scalars(query))
    else:
        connection.execute(insert(t).values(values))
    for track in recording.tracks:
        if track.token not in known:
            connection.execute(insert(schema.tracks).values(asdict(track)))


def insert_job(connection: Connection, job: JobRow, *, replace: bool = False) -> None:
    """Insert a job. With `replace`, one that exists stays as it is, but its source gains the tracks that are new."""
    t = schema.jobs
    if replace and (row := connection.execute(select(t).where(t.c.token == job.token)).first()) is not None:
        sources = _gained(_sources(row.sources), job.sources)
        connection.execute(update(t).where(t.c.token == job.token).values(sources=_text(sources)))
        return
    values: dict[str, Any] = asdict(job) | {"sources": _text(job.sources)}
    connection.execute(insert(t).values(values))


def _gained(known: tuple[JobSourceRow, ...], wanted: tuple[JobSourceRow, ...]) -> tuple[JobSourceRow, ...]:
    """Sources as they are, with tracks that a camera has now and had not when the job was made."""
    new = {each.token: each for each in wanted}
    found = []
    for each in known:
        fresh = new.get(each.token, each)
        taken = {destination for one in known for _, destination in one.tracks}
        more = tuple(pair for pair in fresh.tracks if pair[1] not in taken)
        found.append(JobSourceRow(kind=each.kind, token=each.token, tracks=(*each.tracks, *more)))
    return tuple(found)


def _changed(connection: Connection, query: Any, detail: str) -> None:
    if connection.execute(query).rowcount == 0:
        raise NotFound("there is no such thing", detail=detail)
    bump(connection)


def _text(sources: Sequence[JobSourceRow]) -> str:
    return json.dumps([[each.kind, each.token, [list(pair) for pair in each.tracks]] for each in sources])


def _sources(text: str) -> tuple[JobSourceRow, ...]:
    return tuple(
        JobSourceRow(kind=kind, token=token, tracks=tuple((tag, destination) for tag, destination in tracks))
        for kind, token, tracks in json.loads(text)
    )


def _tracks(connection: Connection) -> dict[str, tuple[TrackRow, ...]]:
    found: dict[str, list[TrackRow]] = {}
    for row in connection.execute(select(schema.tracks)).mappings():
        track = TrackRow(**row)
        found.setdefault(track.recording, []).append(track)
    return {
        token: tuple(sorted(tracks, key=lambda one: (_TRACKS.get(one.kind, 9), one.token)))
        for token, tracks in found.items()
    }
