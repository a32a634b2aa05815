"""Pictures that were stored: one row for each file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, tuple_

from onvifd.errors import NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import SnapshotRow

MAX_PAGE = 1000


class Snapshots:
    """Every method blocks. Files are written before their row and deleted before it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, row: SnapshotRow) -> int:
        """Gives the id; one with the same volume and path is replaced."""
        t = schema.snapshots
        values = asdict(row)
        del values["id"]

        def work(connection: Any) -> int:
            connection.execute(delete(t).where(t.c.volume == row.volume, t.c.path == row.path))
            return int(connection.execute(insert(t).values(values).returning(t.c.id)).scalar_one())

        return self._database.write(work)

    def get(self, snapshot: int) -> SnapshotRow:
        """Raises NotFound."""
        found = self._rows(select(schema.snapshots).where(schema.snapshots.c.id == snapshot))
        if not found:
            raise NotFound(f"there is no snapshot {snapshot}")
        return found[0]

    def list(
        self,
        *,
        cameras: Sequence[str] = (),
        kinds: Sequence[str] = (),
        start: int | None = None,
        end: int | None = None,
        after: tuple[int, int] | None = None,
        newest_first: bool = False,
        limit: int = 100,
    ) -> tuple[SnapshotRow, ...]:
        """At most `limit` (1000) in order of time, from `start` to before `end`. `after` is time and id of the last one of the
        page before. No cameras or kinds are all of them."""
        t = schema.snapshots
        query = select(t)
        if cameras:
            query = query.where(t.c.camera.in_(cameras))
        if kinds:
            query = query.where(t.c.kind.in_(kinds))
        if start is not None:
            query = query.where(t.c.utc >= start)
        if end is not None:
            query = query.where(t.c.utc < end)
        place = tuple_(t.c.utc, t.c.id)
        if after is not None:
            query = query.where(place < after if newest_first else place > after)
        order = (t.c.utc.desc(), t.c.id.desc()) if newest_first else (t.c.utc, t.c.id)
        return self._rows(query.order_by(*order).limit(max(1, min(limit, MAX_PAGE))))

    def older(self, camera: str, before: int, limit: int = 100) -> tuple[SnapshotRow, ...]:
        """The oldest of a camera that were taken before a time."""
        return self.list(cameras=(camera,), end=before, limit=limit)

    def oldest(self, volume: str, limit: int = 100) -> tuple[SnapshotRow, ...]:
        """The oldest on a volume."""
        t = schema.snapshots
        return self._rows(select(t).where(t.c.volume == volume).order_by(t.c.utc, t.c.id).limit(limit))

    def volume_bytes(self, volume: str) -> int:
        """What all of them on a volume take."""
        t = schema.snapshots
        query = select(func.coalesce(func.sum(t.c.size), 0)).where(t.c.volume == volume)
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def camera_bytes(self, camera: str) -> int:
        """What all of a camera take."""
        t = schema.snapshots
        query = select(func.coalesce(func.sum(t.c.size), 0)).where(t.c.camera == camera)
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def cameras(self) -> tuple[str, ...]:
        """Those that have snapshots, removed ones included, sorted."""
        query = select(schema.snapshots.c.camera).distinct()
        return self._database.read(lambda connection: tuple(sorted(connection.scalars(query))))

    def remove(self, snapshots: Sequence[int]) -> int:
        """Forget rows whose files are gone; gives how many there were."""
        t = schema.snapshots
        return self._database.write(
            lambda connection: int(connection.execute(delete(t).where(t.c.id.in_(snapshots))).rowcount)
        )

    def _rows(self, query: Select[Any]) -> tuple[SnapshotRow, ...]:
        return self._database.read(
            lambda connection: tuple(SnapshotRow(**row) for row in connection.execute(query).mappings())
        )
