"""Media profiles of clients, and what clients changed of configurations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "media_profiles",
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("camera", sa.String(12), nullable=True, comment="whose configurations it has; NULL for none yet"),
        sa.Column("fixed", sa.Boolean(), nullable=False, comment="whether the recorder made it"),
        sa.Column("name", sa.String(64), nullable=True, comment="NULL for the recorder's own choice"),
        sa.Column(
            "parts", sa.Text(), nullable=True, comment="tokens by kind, JSON; NULL for the recorder's own choice"
        ),
        sa.Column("started", sa.Boolean(), nullable=False, comment="whether it is multicast without any session"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.ForeignKeyConstraint(["camera"], ["cameras.id"], name=op.f("fk_media_profiles_camera"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_media_profiles")),
    )
    op.create_table(
        "media_configurations",
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("camera", sa.String(12), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="what clients changed, JSON made by the recorder's body"),
        sa.ForeignKeyConstraint(
            ["camera"], ["cameras.id"], name=op.f("fk_media_configurations_camera"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_media_configurations")),
    )
