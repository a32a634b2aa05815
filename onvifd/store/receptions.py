"""How streams of cameras are received, as a person has set it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection, delete, insert, select, update

from onvifd.errors import NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.settings import bump


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionRow:
    """See the table `receptions`."""

    camera: str
    stream: str
    transport: str = "auto"
    tunnel_port: int = 0
    trust: str = "pin"
    pin: str = ""
    on_demand: bool = False
    quirks: str = ""
    digest: bool = False
    found: bool = False


Work = Callable[[ReceptionRow], ReceptionRow]


class Receptions:
    """Every change bumps the revision in the same transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[ReceptionRow, ...]:
        """Those that were set."""
        query = select(schema.receptions).order_by(schema.receptions.c.camera, schema.receptions.c.stream)
        return self._database.read(
            lambda connection: tuple(ReceptionRow(**row) for row in connection.execute(query).mappings())
        )

    def change(self, camera: str, stream: str, work: Work) -> ReceptionRow:
        """Store what `work` makes of a stream's reception; what it leaves equal is not stored. `work` may run more than once.

        Raises NotFound (NoSource).
        """

        return self._database.write(lambda connection: self._change(connection, camera, stream, work))

    def put(self, camera: str, rows: Iterable[ReceptionRow]) -> None:
        """Store how the streams of a new camera are received. Raises NotFound (NoSource)."""

        def transaction(connection: Connection) -> None:
            for row in rows:
                self._change(connection, camera, row.stream, lambda _, row=row: row)  # type: ignore[misc]

        self._database.write(transaction)

    @staticmethod
    def _change(connection: Connection, camera: str, stream: str, work: Work) -> ReceptionRow:
        s = schema.streams
        query = select(s.c.role).where(s.c.camera == camera, s.c.role == stream).with_for_update()
        if connection.execute(query).first() is None:
            raise NotFound(f"camera {camera} has no {stream} stream", detail="NoSource")
        t = schema.receptions
        ours = (t.c.camera == camera, t.c.stream == stream)
        row = connection.execute(select(t).where(*ours)).mappings().first()
        known = ReceptionRow(**row) if row else ReceptionRow(camera=camera, stream=stream)
        wanted = replace(work(known), camera=camera, stream=stream)
        if wanted == known:
            return known
        if row is None:
            connection.execute(insert(t).values(asdict(wanted)))
        elif wanted == ReceptionRow(camera=camera, stream=stream):
            connection.execute(delete(t).where(*ours))
        else:
            connection.execute(update(t).where(*ours).values(asdict(wanted)))
        bump(connection)
        return wanted
