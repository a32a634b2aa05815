"""What the catalogue keeps of when is recorded: modes, schedules, holidays, snapshots.

Whether a camera is recorded was a column of it; it becomes the mode of its main stream, which goes by a schedule that arms
general recording day and night (no row of `channel_schedules`), or is off.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_CAMERA = sa.String(12)


def upgrade() -> None:
    op.add_column(
        "spans",
        sa.Column("marks", sa.String(96), nullable=False, server_default="", comment="all types that apply, with commas"),
    )
    policies = _record_policies()
    cameras = sa.table("cameras", sa.column("id"), sa.column("record"))
    for camera, record in op.get_bind().execute(sa.select(cameras.c.id, cameras.c.record)).all():
        mode = "auto" if record else "off"
        row = {"camera": camera, "stream": "main", "mode": mode, "pre": 5, "post": 30, "resume": "auto"}
        op.bulk_insert(policies, [row | {"audio": True, "redundant": False, "manual": False}])
    op.drop_column("cameras", "record")
    _schedules()
    _snapshots()
    op.create_table(
        "record_states",
        sa.Column("recording", sa.String(64), nullable=False),
        sa.Column("camera", _CAMERA, nullable=False, comment="empty for none"),
        sa.Column("stream", sa.String(8), nullable=False, comment="empty for none"),
        sa.Column("mode", sa.String(8), nullable=False, comment="auto, manual, off, or job for a job of a client"),
        sa.Column("ordered", sa.Boolean(), nullable=False, comment="whether it is to be written"),
        sa.Column("active", sa.Boolean(), nullable=False, comment="whether it is written"),
        sa.Column("kind", sa.String(16), nullable=False, comment="record type; empty while it is not to be written"),
        sa.Column("marks", sa.String(96), nullable=False, comment="all types that apply, with commas"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it is not written; empty if it is"),
        sa.Column("utc", sa.BigInteger(), nullable=False, comment="since when, microseconds UTC"),
        sa.PrimaryKeyConstraint("recording", name="pk_record_states"),
    )


def _camera(table: str, column: str = "camera") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], ["cameras.id"], ondelete="CASCADE", name=f"fk_{table}_{column}")


def _record_policies() -> sa.Table:
    return op.create_table(
        "record_policies",
        sa.Column("camera", _CAMERA, nullable=False),
        sa.Column("stream", sa.String(8), nullable=False, comment="main or sub"),
        sa.Column("mode", sa.String(8), nullable=False, comment="auto (by schedule), manual (always) or off"),
        sa.Column("pre", sa.Integer(), nullable=False, comment="seconds kept before an event, 0 to 60"),
        sa.Column("post", sa.Integer(), nullable=False, comment="seconds recorded after an event, 5 to 300"),
        sa.Column("audio", sa.Boolean(), nullable=False, comment="whether sound is recorded"),
        sa.Column("redundant", sa.Boolean(), nullable=False, comment="whether a second copy goes to a redundant volume"),
        sa.Column("manual", sa.Boolean(), nullable=False, comment="whether it was started by hand and not stopped yet"),
        sa.Column("resume", sa.String(8), nullable=False, comment="mode to go back to from off: auto or manual"),
        _camera("record_policies"),
        sa.PrimaryKeyConstraint("camera", "stream", name="pk_record_policies"),
    )


def _schedules() -> None:
    op.create_table(
        "channel_schedules",
        sa.Column("camera", _CAMERA, nullable=False),
        sa.Column("purpose", sa.String(8), nullable=False, comment="video or snapshot"),
        sa.Column("week", sa.Text(), nullable=False, comment="periods and record types of a week, JSON made by the recording room"),
        _camera("channel_schedules"),
        sa.PrimaryKeyConstraint("camera", "purpose", name="pk_channel_schedules"),
    )
    named = op.create_table(
        "named_schedules",
        sa.Column("name", sa.String(32), nullable=False, comment="as typed; case matters"),
        sa.Column("week", sa.Text(), nullable=False, comment="periods of a week, JSON made by the recording room"),
        sa.PrimaryKeyConstraint("name", name="pk_named_schedules"),
    )
    day, none = "[[0,1440,[]]]", "[]"
    weeks = {"24x7": [day] * 7, "24x5": [day] * 5 + [none] * 2, "24x2": [none] * 5 + [day] * 2}
    op.bulk_insert(
        named, [{"name": name, "week": f'{{"days":[{",".join(rows)}],"holiday":null}}'} for name, rows in weeks.items()]
    )
    op.create_table(
        "schedule_assignments",
        sa.Column("camera", _CAMERA, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False, comment="record type whose times it gives"),
        sa.Column("schedule", sa.String(32), nullable=True, comment="NULL for never"),
        _camera("schedule_assignments"),
        sa.ForeignKeyConstraint(["schedule"], ["named_schedules.name"], name="fk_schedule_assignments_schedule"),
        sa.PrimaryKeyConstraint("camera", "kind", name="pk_schedule_assignments"),
    )
    op.create_index("ix_schedule_assignments_schedule", "schedule_assignments", ["schedule"])
    op.create_table(
        "holidays",
        sa.Column("name", sa.String(32), nullable=False, comment="as typed; case matters"),
        sa.Column("first", sa.String(10), nullable=False, comment="first day, YYYY-MM-DD"),
        sa.Column("last", sa.String(10), nullable=False, comment="last day, YYYY-MM-DD"),
        sa.Column("yearly", sa.Boolean(), nullable=False, comment="whether it comes again each year"),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_holidays"),
    )
    op.create_table(
        "record_links",
        sa.Column("camera", _CAMERA, nullable=False, comment="where the event happens"),
        sa.Column("kind", sa.String(16), nullable=False, comment="record type of the event"),
        sa.Column("target", _CAMERA, nullable=False, comment="recorded as well"),
        _camera("record_links"),
        _camera("record_links", "target"),
        sa.PrimaryKeyConstraint("camera", "kind", "target", name="pk_record_links"),
    )
    op.create_index("ix_record_links_target", "record_links", ["target"])


def _snapshots() -> None:
    op.create_table(
        "snapshot_policies",
        sa.Column("camera", _CAMERA, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("stream", sa.String(8), nullable=False, comment="main or sub"),
        sa.Column("interval", sa.Integer(), nullable=False, comment="seconds between two while general is armed"),
        sa.Column("event_interval", sa.Integer(), nullable=False, comment="seconds between two while an event lasts; 0 for one"),
        sa.Column("days", sa.Integer(), nullable=False, comment="for how long they are kept; 0 for ever"),
        _camera("snapshot_policies"),
        sa.PrimaryKeyConstraint("camera", name="pk_snapshot_policies"),
    )
    op.create_table(
        "snapshots",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(),
            nullable=False,
            comment="order of insertion",
        ),
        sa.Column("camera", _CAMERA, nullable=False),
        sa.Column("utc", sa.BigInteger(), nullable=False, comment="when it was taken, microseconds UTC"),
        sa.Column("kind", sa.String(16), nullable=False, comment="record type for which it was taken"),
        sa.Column("volume", sa.String(64), nullable=False, comment="id of the volume"),
        sa.Column("path", sa.Text(), nullable=False, comment="path of the file below the volume, with /"),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes of the file"),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
        sa.UniqueConstraint("volume", "path", name="uq_snapshots_volume_path"),
        sqlite_autoincrement=True,
    )
    for columns in (["camera", "utc", "id"], ["utc", "id"], ["volume", "utc", "id"]):
        op.create_index(f"ix_snapshots_{'_'.join(columns)}", "snapshots", columns)
