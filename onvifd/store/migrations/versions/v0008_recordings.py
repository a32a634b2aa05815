"""What the catalogue keeps of recordings, jobs and receivers that clients make.

Jobs of cameras know their camera, and every job names its sources instead of one media profile.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

PROFILE = "profile"


def upgrade() -> None:
    _recordings()
    _jobs()
    op.create_table(
        "receivers",
        sa.Column("token", sa.String(length=64), nullable=False, comment="rcv- and 8 hex digits"),
        sa.Column("mode", sa.String(length=16), nullable=False, comment="tt:ReceiverMode"),
        sa.Column("uri", sa.Text(), nullable=False, comment="where the stream is, as shown: without credentials"),
        sa.Column(
            "secret",
            sa.LargeBinary(),
            nullable=True,
            comment="the whole address, encrypted with the key file; NULL if nothing is hidden",
        ),
        sa.Column("protocol", sa.String(length=8), nullable=False, comment="tt:TransportProtocol: UDP or RTSP"),
        sa.Column(
            "automatic", sa.Boolean(), nullable=False, comment="made by a job, goes with the last job that uses it"
        ),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_receivers")),
    )


def _recordings() -> None:
    columns: tuple[sa.Column[object], ...] = (
        sa.Column(
            "role",
            sa.String(length=8),
            nullable=False,
            server_default="main",
            comment="stream of the camera that is recorded; empty for those of clients",
        ),
        sa.Column(
            "dynamic", sa.Boolean(), nullable=False, server_default=sa.false(), comment="whether a client made it"
        ),
        sa.Column(
            "configured",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="whether a client has set its configuration",
        ),
        sa.Column(
            "removing",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="whether it was deleted and its footage is going",
        ),
        sa.Column(
            "target",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="external target, JSON made by the store; empty for none",
        ),
        sa.Column(
            "created",
            sa.BigInteger(),
            nullable=False,
            server_default="0",
            comment="microseconds UTC; 0 for those of cameras",
        ),
    )
    for column in columns:
        op.add_column("recordings", column)
    # Every recording has a third track, of events and other metadata (RecordingControl 5.1).
    op.execute(
        sa.text(
            "INSERT INTO tracks (recording, token, kind, description)"
            " SELECT token, 'META001', 'metadata', '' FROM recordings WHERE NOT EXISTS"
            " (SELECT 1 FROM tracks WHERE tracks.recording = recordings.token AND tracks.token = 'META001')"
        )
    )


def _jobs() -> None:
    connection = op.get_bind()
    before = connection.execute(
        sa.text(
            "SELECT jobs.token, jobs.recording, jobs.profile, jobs.active, jobs.priority, profiles.camera"
            " FROM jobs JOIN profiles ON profiles.token = jobs.profile"
        )
    ).all()
    tracks: dict[str, list[str]] = {}
    for recording, token in connection.execute(sa.text("SELECT recording, token FROM tracks ORDER BY token DESC")):
        tracks.setdefault(recording, []).append(token)
    op.drop_table("jobs")
    jobs = op.create_table(
        "jobs",
        sa.Column("token", sa.String(length=64), nullable=False, comment="job-<camera> or job- and 8 hex digits"),
        sa.Column("recording", sa.String(length=64), nullable=False),
        sa.Column(
            "camera", sa.String(length=12), nullable=True, comment="that it belongs to; NULL for one of a client"
        ),
        sa.Column("active", sa.Boolean(), nullable=False, comment="mode Active (true) or Idle"),
        sa.Column("priority", sa.Integer(), nullable=False, comment="the higher wins, from 0"),
        sa.Column(
            "sources",
            sa.Text(),
            nullable=False,
            comment="where from and which track to which, JSON made by the store",
        ),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC; 0 for those of cameras"),
        sa.ForeignKeyConstraint(["camera"], ["cameras.id"], name=op.f("fk_jobs_camera"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["recording"], ["recordings.token"], name=op.f("fk_jobs_recording"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_recording"), "jobs", ["recording"], unique=False)
    op.create_index(op.f("ix_jobs_camera"), "jobs", ["camera"], unique=False)
    rows = [
        {
            "token": row.token,
            "recording": row.recording,
            "camera": row.camera,
            "active": bool(row.active),
            "priority": row.priority,
            "sources": json.dumps([[PROFILE, row.profile, [[t, t] for t in tracks.get(row.recording, [])]]]),
            "created": 0,
        }
        for row in before
    ]
    if rows:
        op.bulk_insert(jobs, rows)
