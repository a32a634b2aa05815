"""What the catalogue keeps of the loudspeakers of cameras."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "loudspeakers",
        sa.Column("camera", sa.String(length=12), nullable=False),
        sa.Column("formats", sa.Text(), nullable=False, comment="what it decodes, as the camera described it; JSON"),
        sa.ForeignKeyConstraint(["camera"], ["cameras.id"], name=op.f("fk_loudspeakers_camera"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("camera", name=op.f("pk_loudspeakers")),
    )
