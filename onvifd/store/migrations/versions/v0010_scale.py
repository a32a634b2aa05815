"""What the catalogue keeps of copies of segments, and counters that keep questions fast."""

from __future__ import annotations

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
