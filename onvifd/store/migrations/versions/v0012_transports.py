"""How each stream of a camera is received: transport, trust in its certificate, on demand, quirks.

A table of its own beside `streams`: those rows are written anew whenever a camera is probed, and what a person has set
must outlive that.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "receptions",
        sa.Column("camera", sa.String(12), nullable=False),
        sa.Column("stream", sa.String(8), nullable=False, comment="main or sub"),
        sa.Column(
            "transport", sa.String(16), nullable=False, comment="auto, tcp, udp, multicast, http, https or rtsps"
        ),
        sa.Column("tunnel_port", sa.Integer(), nullable=False, comment="TCP port of HTTP tunnels; 0 for 80 or 443"),
        sa.Column(
            "trust", sa.String(8), nullable=False, comment="pin, ca or none: how the camera's certificate is judged"
        ),
        sa.Column(
            "pin", sa.String(64), nullable=False, comment="SHA-256 of its certificate, hex; empty until first seen"
        ),
        sa.Column(
            "on_demand",
            sa.Boolean(),
            nullable=False,
            comment="pull it only while somebody watches, if it is not recorded",
        ),
        sa.Column(
            "quirks", sa.Text(), nullable=False, comment="ids of quirks that are switched on, with spaces between"
        ),
        sa.PrimaryKeyConstraint("camera", "stream", name=op.f("pk_receptions")),
        sa.ForeignKeyConstraint(
            ["camera"], ["cameras.id"], name=op.f("fk_receptions_camera"), ondelete="CASCADE"
        ),
    )
