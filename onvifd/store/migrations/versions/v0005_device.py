"""What the device service keeps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "device",
        sa.Column("section", sa.String(length=32), nullable=False, comment="scopes, ports, filter, time, ..."),
        sa.Column("body", sa.Text(), nullable=False, comment="JSON, made by the body of the recorder"),
        sa.PrimaryKeyConstraint("section", name=op.f("pk_device")),
    )
