"""Copies of segments; their formats in a table of its own; counters of segments; topics of events by number.

The index of a month of a hundred cameras has 4.3 million segments and 10 million events: what is the same in many rows is
kept once, and each question has an index that leads to its answer.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ROWID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _make_tables()
    _number_formats()
    _number_topics()
    op.execute(
        sa.text(
            "INSERT INTO usage (recording, volume, copy, kinds, segments, bytes, longest) "
            'SELECT recording, volume, copy, kinds, count(*), sum(size), max("end" - start) '
            "FROM segments GROUP BY recording, volume, copy, kinds"
        )
    )


def _make_tables() -> None:
    op.create_table(
        "formats",
        sa.Column("id", ROWID, sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False, comment="of the body: a long text makes no key"),
        sa.Column(
            "body", sa.Text(), nullable=False, comment="formats of the tracks of segments, JSON made by the archive"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_formats")),
        sa.UniqueConstraint("digest", name=op.f("uq_formats_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "topics",
        sa.Column("id", ROWID, sa.Identity(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False, comment="path below tns1"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics")),
        sa.UniqueConstraint("name", name=op.f("uq_topics_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "usage",
        sa.Column("recording", sa.String(64), nullable=False),
        sa.Column("volume", sa.String(64), nullable=False),
        sa.Column("copy", sa.Boolean(), nullable=False),
        sa.Column("kinds", sa.Integer(), nullable=False, comment="segments.kinds"),
        sa.Column("segments", sa.BigInteger(), nullable=False, comment="number of them"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="sum of their sizes"),
        sa.Column(
            "longest", sa.BigInteger(), nullable=False, comment="microseconds that none of them was ever longer than"
        ),
        sa.PrimaryKeyConstraint("recording", "volume", "copy", "kinds", name=op.f("pk_usage")),
        postgresql_with={"fillfactor": "50"},
    )


def _number_formats() -> None:
    connection = op.get_bind()
    for name in ("ix_segments_time", "ix_segments_age"):
        op.drop_index(name, "segments")
    with op.batch_alter_table("segments", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.add_column(
            sa.Column(
                "copy",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
                comment="second copy on a redundant volume; not played",
            )
        )
        batch.add_column(
            sa.Column(
                "format",
                sa.BigInteger(),
                nullable=False,
                server_default="0",
                comment="row of formats: what its tracks are",
            )
        )
    for body in connection.scalars(sa.text("SELECT DISTINCT formats FROM segments")).all():
        digest = hashlib.blake2b(body.encode(), digest_size=16).digest()
        connection.execute(
            sa.text("INSERT INTO formats (digest, body) VALUES (:digest, :body)"), {"digest": digest, "body": body}
        )
    op.execute(sa.text("UPDATE segments SET format = (SELECT id FROM formats WHERE formats.body = segments.formats)"))
    with op.batch_alter_table(
        "segments", table_kwargs={"sqlite_autoincrement": True}, partial_reordering=[("format", "fragments")]
    ) as batch:
        batch.drop_column("formats")
        batch.alter_column("copy", server_default=None)
        batch.alter_column("format", server_default=None)
    op.create_index("ix_segments_time", "segments", ["recording", "copy", "start", "end", "kinds", "state"])
    op.create_index("ix_segments_kinds", "segments", ["recording", "copy", "kinds", "start"])
    op.create_index(
        "ix_spans_open",
        "spans",
        ["recording"],
        sqlite_where=sa.text('"end" IS NULL'),
        postgresql_where=sa.text('"end" IS NULL'),
    )
    op.create_index("ix_segments_age", "segments", ["volume", "recording", "start"])


def _number_topics() -> None:
    op.execute(sa.text("INSERT INTO topics (name) SELECT DISTINCT topic FROM events ORDER BY topic"))
    op.execute(sa.text("ALTER TABLE events RENAME COLUMN topic TO name"))
    op.add_column(
        "events", sa.Column("topic", sa.BigInteger(), nullable=False, server_default="0", comment="row of topics")
    )
    op.execute(sa.text("UPDATE events SET topic = (SELECT id FROM topics WHERE topics.name = events.name)"))
    with op.batch_alter_table(
        "events",
        table_kwargs={"sqlite_autoincrement": True},
        partial_reordering=[("id", "utc", "topic", "recording", "operation", "instance", "body")],
    ) as batch:
        batch.drop_column("name")
        batch.alter_column("topic", server_default=None)
    op.create_index("ix_events_topic_utc_id", "events", ["topic", "utc", "id"])
