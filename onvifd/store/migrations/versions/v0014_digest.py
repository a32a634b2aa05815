"""Whether a camera has offered Digest: from then on its password is not sent in clear."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "receptions",
        sa.Column(
            "digest",
            sa.Boolean(),
            nullable=False,
            server_default=sa.false(),
            comment="it has offered Digest: the password is not sent in clear",
        ),
    )
