"""Event brokers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_brokers",
        sa.Column("address", sa.String(512), nullable=False, comment="scheme://host:port as the client wrote it"),
        sa.Column("topic_prefix", sa.String(255), nullable=False, comment="in front of all topics; never empty"),
        sa.Column("user_name", sa.Text(), comment="NULL for none"),
        sa.Column("password", sa.LargeBinary(), comment="encrypted with the key file; NULL for none"),
        sa.Column("certificate_id", sa.Text(), comment="client certificate in the key store; NULL for none"),
        sa.Column("policy_id", sa.Text(), comment="certification path validation policy; NULL for the system's authorities"),
        sa.Column("publish_filter", sa.Text(), nullable=False, comment="filter elements as XML; empty for all events"),
        sa.Column("qos", sa.Integer(), nullable=False, comment="0, 1 or 2"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.PrimaryKeyConstraint("address", name="pk_event_brokers"),
    )
