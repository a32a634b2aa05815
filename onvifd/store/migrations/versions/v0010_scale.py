"""What the catalogue keeps of copies of segments, and counters that keep questions fast."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_segments_time", "segments")
    with op.batch_alter_table("segments") as batch:
        batch.add_column(
            sa.Column(
                "copy",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
                comment="second copy on a redundant volume; not played",
            )
        )
    with op.batch_alter_table("segments", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("copy", server_default=None)
    op.create_index("ix_segments_time", "segments", ["recording", "copy", "start", "end", "kinds", "state"])
