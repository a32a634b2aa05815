"""What the catalogue keeps of volumes, their groups, and locks of footage."""

from __future__ import annotations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
