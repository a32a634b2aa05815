"""What the catalogue keeps of volumes, of what is stored where, and locks of footage.

Volumes that were there before have no uuid: their folder is marked at the next start, when footage of the index is found in it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.String
    op.add_column(
        "volumes",
        sa.Column("uuid", text(36), nullable=False, server_default="", comment="as its marker says; empty until marked"),
    )
    op.add_column("volumes", sa.Column("name", text(64), nullable=False, server_default="", comment="for people"))
    op.add_column(
        "volumes",
        sa.Column(
            "access", text(10), nullable=False, server_default="read-write", comment="read-write, read-only or redundant"
        ),
    )
    op.add_column(
        "volumes",
        sa.Column("group", sa.Integer(), nullable=False, server_default="1", comment="group of volumes, 1 and up"),
    )
    op.add_column(
        "volumes",
        sa.Column(
            "origin", text(8), nullable=False, server_default="settings", comment="settings or command: who named it"
        ),
    )
    op.create_table(
        "storage_rules",
        sa.Column("owner", text(64), nullable=False, comment="recording token, or snapshots-<camera>"),
        sa.Column("group", sa.Integer(), nullable=False, comment="group of volumes that it is stored on"),
        sa.Column("quota", sa.BigInteger(), nullable=False, comment="most bytes it may take; 0 for no quota"),
        sa.Column("days", sa.Integer(), nullable=True, comment="1 to 360, 0 for unlimited; NULL as the settings say"),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_storage_rules")),
    )
    op.create_table(
        "locks",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(),
            nullable=False,
        ),
        sa.Column("recording", text(64), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.Column("end", sa.BigInteger(), nullable=False, comment="microseconds UTC, not included"),
        sa.Column("account", text(64), nullable=False, comment="who locked it"),
        sa.Column("reason", text(255), nullable=False, comment="why, for people"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.Column("until", sa.BigInteger(), nullable=True, comment="when it ends, microseconds UTC; NULL for never"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_locks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_locks_recording_start"), "locks", ["recording", "start"])
