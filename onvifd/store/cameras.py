"""Cameras and everything that is made with them: streams, profiles, recording, tracks, job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from onvifd.errors import LimitReached, NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.recordings import insert_job, insert_recording
from onvifd.store.rows import CameraRow, JobRow, PolicyRow, ProfileRow, RecordingRow, StreamRow
from onvifd.store.settings import bump

Parts = tuple[CameraRow, Sequence[ProfileRow], RecordingRow, JobRow]
"""A camera with all that belongs to it."""

_ROLES = {"main": 0, "sub": 1}


class Cameras:
    """Reads and changes cameras. Every change bumps the revision in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[CameraRow, ...]:
        """In channel order."""
        return self._database.read(lambda connection: _load(connection))

    def get(self, camera: str) -> CameraRow:
        """Raises NotFound."""
        found = self._database.read(lambda connection: _load(connection, camera))
        if not found:
            raise NotFound(f"there is no camera {camera}", detail="NoSource")
        return found[0]

    def profiles(self) -> tuple[ProfileRow, ...]:
        """All profiles in channel order, main first."""
        t = schema.profiles

        def work(connection: Connection) -> tuple[ProfileRow, ...]:
            query = select(t, schema.cameras.c.channel).join(schema.cameras, schema.cameras.c.id == t.c.camera)
            rows = sorted(connection.execute(query), key=lambda row: (row.channel, _ROLES.get(row.role, 9), row.token))
            return tuple(
                ProfileRow(token=row.token, camera=row.camera, role=row.role, name=row.name, fixed=row.fixed)
                for row in rows
            )

        return self._database.read(work)

    def add(
        self,
        camera: CameraRow,
        profiles: Sequence[ProfileRow],
        recording: RecordingRow,
        job: JobRow,
        *,
        limit: int,
        policies: Sequence[PolicyRow] = (),
    ) -> CameraRow:
        """Insert a camera with all that belongs to it. A `channel` of 0 becomes the lowest free one.

        Raises LimitReached when there are `limit` cameras already.
        """

        def work(connection: Connection) -> CameraRow:
            taken = set(connection.scalars(select(schema.cameras.c.channel)))
            if len(taken) >= limit:
                raise LimitReached(f"there are {limit} cameras already")
            channel = camera.channel or next(n for n in range(1, limit + 1) if n not in taken)
            if channel in taken:
                raise LimitReached(f"channel {channel} is taken")
            connection.execute(insert(schema.cameras).values(_camera_values(camera) | {"channel": channel}))
            for stream in camera.streams:
                connection.execute(insert(schema.streams).values(asdict(stream)))
            for profile in profiles:
                connection.execute(insert(schema.profiles).values(asdict(profile)))
            insert_recording(connection, recording)
            insert_job(connection, job)
            for policy in policies:
                connection.execute(insert(schema.record_policies).values(asdict(policy)))
            bump(connection)
            return _load(connection, camera.id)[0]

        return self._database.write(work)

    def update(
        self, camera: CameraRow, profiles: Sequence[ProfileRow], recording: RecordingRow, job: JobRow
    ) -> CameraRow:
        """Replace a camera's columns, streams and profiles, and its recording and job if they exist. Raises NotFound."""
        return self.change(camera.id, lambda _row: (camera, profiles, recording, job))

    def change(self, camera: str, work: Callable[[CameraRow], Parts | None]) -> CameraRow:
        """Replace a camera by what `work` makes of it as it is, in one transaction: no other writer comes between.

        `work` gives None to leave it, and may run more than once. Raises NotFound.
        """

        def transaction(connection: Connection) -> CameraRow:
            found = _load(connection, camera, lock=True)
            if not found:
                raise NotFound(f"there is no camera {camera}", detail="NoSource")
            parts = work(found[0])
            if parts is None:
                return found[0]
            _replace(connection, *parts)
            return _load(connection, camera)[0]

        return self._database.write(transaction)

    def remove(self, camera: str) -> None:
        """Delete a camera, its streams, profiles and jobs. Its recording stays, with what it holds. Raises NotFound."""

        def work(connection: Connection) -> None:
            gone = connection.execute(delete(schema.cameras).where(schema.cameras.c.id == camera))
            if gone.rowcount == 0:
                raise NotFound(f"there is no camera {camera}", detail="NoSource")
            bump(connection)

        self._database.write(work)


def _camera_values(camera: CameraRow) -> dict[str, Any]:
    values = asdict(camera)
    del values["streams"]
    return values


def _replace(
    connection: Connection, camera: CameraRow, profiles: Sequence[ProfileRow], recording: RecordingRow, job: JobRow
) -> None:
    values = _camera_values(camera)
    del values["id"], values["created"]
    connection.execute(update(schema.cameras).where(schema.cameras.c.id == camera.id).values(values))
    connection.execute(delete(schema.streams).where(schema.streams.c.camera == camera.id))
    for stream in camera.streams:
        connection.execute(insert(schema.streams).values(asdict(stream)))
    _replace_profiles(connection, camera.id, profiles)
    insert_recording(connection, recording, replace=True)
    insert_job(connection, job, replace=True)
    bump(connection)


def _replace_profiles(connection: Connection, camera: str, profiles: Sequence[ProfileRow]) -> None:
    t = schema.profiles
    tokens = [profile.token for profile in profiles]
    connection.execute(delete(t).where(t.c.camera == camera, t.c.fixed, t.c.token.not_in(tokens)))
    known = set(connection.scalars(select(t.c.token).where(t.c.camera == camera)))
    for profile in profiles:
        if profile.token in known:
            connection.execute(update(t).where(t.c.token == profile.token).values(asdict(profile)))
        else:
            connection.execute(insert(t).values(asdict(profile)))


def _load(connection: Connection, camera: str | None = None, *, lock: bool = False) -> tuple[CameraRow, ...]:
    """One camera or all; with `lock` nobody else changes them before this transaction ends."""
    cameras = select(schema.cameras).order_by(schema.cameras.c.channel)
    streams = select(schema.streams)
    if camera is not None:
        cameras = cameras.where(schema.cameras.c.id == camera)
        streams = streams.where(schema.streams.c.camera == camera)
    if lock:
        # Only PostgreSQL needs it: a write transaction of SQLite has the whole database to itself.
        cameras = cameras.with_for_update()
    found = connection.execute(cameras).mappings().all()
    by_camera: dict[str, list[StreamRow]] = {}
    for row in connection.execute(streams).mappings():
        stream = StreamRow(**row)
        by_camera.setdefault(stream.camera, []).append(stream)
    return tuple(
        CameraRow(**row, streams=tuple(sorted(by_camera.get(row["id"], []), key=lambda one: _ROLES.get(one.role, 9))))
        for row in found
    )
