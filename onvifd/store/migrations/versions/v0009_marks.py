"""What the catalogue keeps of tags of footage: moments that somebody gave a name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tags",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(), nullable=False),
        sa.Column("recording", sa.String(length=64), nullable=False),
        sa.Column("utc", sa.BigInteger(), nullable=False, comment="the moment it marks, microseconds UTC"),
        sa.Column("name", sa.String(length=64), nullable=False, comment="for people"),
        sa.Column("account", sa.String(length=64), nullable=False, comment="who set it"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tags")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tags_recording_utc_id"), "tags", ["recording", "utc", "id"])
    op.create_index(op.f("ix_tags_utc_id"), "tags", ["utc", "id"])
