"""How each stream of each camera is recorded."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, delete, exists, insert, select, update

from onvifd.errors import NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import PolicyRow, RecordStateRow
from onvifd.store.settings import bump

MAIN, OFF = "main", "off"


def default(camera: str, stream: str) -> PolicyRow:
    """What holds until somebody says otherwise: the main stream by its schedule, others not at all."""
    return PolicyRow(camera=camera, stream=stream, mode="auto" if stream == MAIN else OFF)


def fixed_job(camera: str, stream: str) -> str:
    """Token of the job that records a stream of a camera."""
    return f"job-{camera}" if stream == MAIN else f"job-{camera}-{stream}"


class Policies:
    """Every method blocks; every change bumps the revision in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[PolicyRow, ...]:
        """One for each stream of each camera, in channel order, main first."""
        return self._database.read(_all)

    def get(self, camera: str, stream: str) -> PolicyRow:
        """Raises NotFound (NoSource)."""
        for row in self.all():
            if (row.camera, row.stream) == (camera, stream):
                return row
        raise NotFound(f"there is no {stream} stream of a camera {camera}", detail="NoSource")

    def put(self, *rows: PolicyRow) -> None:
        """Set what holds for streams, all or none; the modes of the jobs that record them follow. Raises NotFound (NoSource)."""

        def work(connection: Connection) -> None:
            for row in rows:
                _put(connection, row)
            bump(connection)

        self._database.write(work)

    def states(self) -> tuple[RecordStateRow, ...]:
        """How recording stands, as the running recorder last said, in order of tokens."""
        t = schema.record_states
        query = select(t).order_by(t.c.recording)
        return self._database.read(
            lambda connection: tuple(RecordStateRow(**row) for row in connection.execute(query).mappings())
        )

    def put_states(self, rows: tuple[RecordStateRow, ...], *, others: bool) -> None:
        """Note how recordings stand; without `others` all that are not among `rows` are forgotten. The revision stays."""
        t = schema.record_states
        tokens = [row.recording for row in rows]

        def work(connection: Connection) -> None:
            connection.execute(delete(t).where(t.c.recording.in_(tokens)) if others else delete(t))
            if rows:
                connection.execute(insert(t), [asdict(row) for row in rows])

        self._database.write(work)


def _all(connection: Connection) -> tuple[PolicyRow, ...]:
    t, c, s = schema.record_policies, schema.cameras, schema.streams
    known = {(row["camera"], row["stream"]): PolicyRow(**row) for row in connection.execute(select(t)).mappings()}
    query = select(s.c.camera, s.c.role).join(c, c.c.id == s.c.camera).order_by(c.c.channel, s.c.role)
    return tuple(known.get((camera, stream), default(camera, stream)) for camera, stream in connection.execute(query))


def _put(connection: Connection, row: PolicyRow) -> None:
    t, s, j = schema.record_policies, schema.streams, schema.jobs
    if not connection.scalar(select(exists().where(s.c.camera == row.camera, s.c.role == row.stream))):
        raise NotFound(f"there is no {row.stream} stream of a camera {row.camera}", detail="NoSource")
    connection.execute(delete(t).where(t.c.camera == row.camera, t.c.stream == row.stream))
    connection.execute(insert(t).values(asdict(row)))
    job = fixed_job(row.camera, row.stream)
    connection.execute(update(j).where(j.c.token == job).values(active=row.mode != OFF))
