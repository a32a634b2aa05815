"""Whether the way to a camera was found by trying: then it is searched again when the camera is lost.

Ways that are stored already may have been set by a person, so they are left alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "receptions",
        sa.Column(
            "found",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="the transport was found by trying, not set by a person: others may be tried again",
        ),
    )
