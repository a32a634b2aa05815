"""Schedules, holidays, links between cameras, and when snapshots are taken. Weeks are JSON that the recording room reads."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, delete, exists, insert, select, update

from onvifd.errors import Conflict, LimitReached, NotFound
from onvifd.store import schema
from onvifd.store.engine import Database
from onvifd.store.rows import HolidayRow, SnapshotPolicyRow
from onvifd.store.settings import bump

VIDEO, SNAPSHOT = "video", "snapshot"

_DAY, _NONE = "[[0,1440,[]]]", "[]"
PREDEFINED = {
    name: f'{{"days":[{",".join(rows)}],"holiday":null}}'
    for name, rows in {
        "24x7": [_DAY] * 7,
        "24x5": [_DAY] * 5 + [_NONE] * 2,
        "24x2": [_NONE] * 5 + [_DAY] * 2,
    }.items()
}
"""Named schedules that every recorder begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRows:
    """All of it in one consistent view."""

    weeks: dict[tuple[str, str], str] = field(default_factory=dict)
    """Camera and purpose (video or snapshot) to a week."""
    named: dict[str, str] = field(default_factory=dict)
    assigned: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """Camera and record type to the name of a schedule, None for never."""
    holidays: tuple[HolidayRow, ...] = ()
    links: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """Camera and record type of an event to the other cameras that it concerns."""
    snapshots: dict[str, SnapshotPolicyRow] = field(default_factory=dict)


class Schedules:
    """Every method blocks; every change bumps the revision in the same transaction. What weeks mean is not checked here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> ScheduleRows:
        return self._database.read(_all)

    def put_weeks(self, purpose: str, weeks: dict[str, str], assigned: dict[str, dict[str, str | None]]) -> None:
        """Set the weeks of cameras, all or none, and for those in `assigned` the named schedules of their types.

        Raises NotFound for a camera (NoSource) or schedule that is not there.
        """
        t, a = schema.channel_schedules, schema.schedule_assignments

        def work(connection: Connection) -> None:
            for camera, week in weeks.items():
                _need_camera(connection, camera)
                connection.execute(delete(t).where(t.c.camera == camera, t.c.purpose == purpose))
                connection.execute(insert(t).values(camera=camera, purpose=purpose, week=week))
            for camera, names in assigned.items():
                _need_camera(connection, camera)
                connection.execute(delete(a).where(a.c.camera == camera))
                for kind, name in names.items():
                    if name is not None:
                        _need_named(connection, name)
                    connection.execute(insert(a).values(camera=camera, kind=kind, schedule=name))

        self._change(work)

    def put_named(self, name: str, week: str, *, limit: int) -> None:
        """Make or change a named schedule. Raises LimitReached."""
        t = schema.named_schedules

        def work(connection: Connection) -> None:
            if connection.execute(update(t).where(t.c.name == name).values(week=week)).rowcount:
                return
            if len(connection.execute(select(t.c.name)).all()) >= limit:
                raise LimitReached(f"there are {limit} named schedules already")
            connection.execute(insert(t).values(name=name, week=week))

        self._change(work)

    def remove_named(self, name: str) -> None:
        """Raises NotFound, or Conflict while it is assigned to a channel."""
        t, a = schema.named_schedules, schema.schedule_assignments

        def work(connection: Connection) -> None:
            _need_named(connection, name)
            user = connection.scalar(select(a.c.camera).where(a.c.schedule == name).limit(1))
            if user is not None:
                raise Conflict(f"the schedule {name} is assigned to camera {user}")
            connection.execute(delete(t).where(t.c.name == name))

        self._change(work)

    def put_holiday(self, row: HolidayRow, *, limit: int, new: bool) -> None:
        """Make (`new`) or change a holiday. Raises Conflict if it is there, NotFound if not, LimitReached."""
        t = schema.holidays

        def work(connection: Connection) -> None:
            present = connection.scalar(select(exists().where(t.c.name == row.name)))
            if new and present:
                raise Conflict(f"there is a holiday {row.name} already")
            if not new and not present:
                raise NotFound(f"there is no holiday {row.name}")
            if new and len(connection.execute(select(t.c.name)).all()) >= limit:
                raise LimitReached(f"there are {limit} holidays already")
            connection.execute(delete(t).where(t.c.name == row.name))
            connection.execute(insert(t).values(asdict(row)))

        self._change(work)

    def remove_holiday(self, name: str) -> None:
        """Raises NotFound."""
        t = schema.holidays

        def work(connection: Connection) -> None:
            if connection.execute(delete(t).where(t.c.name == name)).rowcount == 0:
                raise NotFound(f"there is no holiday {name}")

        self._change(work)

    def put_links(self, camera: str, kind: str, targets: Collection[str]) -> None:
        """The other cameras that an event of a camera concerns. Raises NotFound (NoSource)."""
        t = schema.record_links

        def work(connection: Connection) -> None:
            for each in (camera, *targets):
                _need_camera(connection, each)
            connection.execute(delete(t).where(t.c.camera == camera, t.c.kind == kind))
            for target in sorted(set(targets)):
                connection.execute(insert(t).values(camera=camera, kind=kind, target=target))

        self._change(work)

    def put_snapshots(self, *rows: SnapshotPolicyRow) -> None:
        """When snapshots of cameras are taken, all or none. Raises NotFound (NoSource)."""
        t = schema.snapshot_policies

        def work(connection: Connection) -> None:
            for row in rows:
                _need_camera(connection, row.camera)
                connection.execute(delete(t).where(t.c.camera == row.camera))
                connection.execute(insert(t).values(asdict(row)))

        self._change(work)

    def _change(self, work: Callable[[Connection], None]) -> None:
        def transaction(connection: Connection) -> None:
            work(connection)
            bump(connection)

        self._database.write(transaction)


def _need_camera(connection: Connection, camera: str) -> None:
    if not connection.scalar(select(exists().where(schema.cameras.c.id == camera))):
        raise NotFound(f"there is no camera {camera}", detail="NoSource")


def _need_named(connection: Connection, name: str) -> None:
    if not connection.scalar(select(exists().where(schema.named_schedules.c.name == name))):
        raise NotFound(f"there is no schedule {name}")


def _all(connection: Connection) -> ScheduleRows:
    links: dict[tuple[str, str], set[str]] = {}
    for row in connection.execute(select(schema.record_links)):
        links.setdefault((row.camera, row.kind), set()).add(row.target)
    named = select(schema.named_schedules).order_by(schema.named_schedules.c.name)
    holidays = select(schema.holidays).order_by(schema.holidays.c.first, schema.holidays.c.name)
    return ScheduleRows(
        weeks={(r.camera, r.purpose): r.week for r in connection.execute(select(schema.channel_schedules))},
        named={row.name: row.week for row in connection.execute(named)},
        assigned={(r.camera, r.kind): r.schedule for r in connection.execute(select(schema.schedule_assignments))},
        holidays=tuple(HolidayRow(**row) for row in connection.execute(holidays).mappings()),
        links={key: frozenset(targets) for key, targets in links.items()},
        snapshots={
            row["camera"]: SnapshotPolicyRow(**row)
            for row in connection.execute(select(schema.snapshot_policies)).mappings()
        },
    )
