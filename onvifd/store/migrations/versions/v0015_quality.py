"""The quality that a camera says its encoder has, and what its metadata was seen to tell of where it looks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "streams",
        sa.Column(
            "quality",
            sa.Float(),
            nullable=True,
            comment="of the encoder, in the camera's own range; NULL where it says nothing",
        ),
    )
    op.add_column(
        "streams",
        sa.Column(
            "ptz",
            sa.String(80),
            nullable=False,
            server_default="",
            comment="pan-tilt-status, zoom-status, pan-tilt-position, zoom-position: what its metadata tells, spaces between",
        ),
    )
