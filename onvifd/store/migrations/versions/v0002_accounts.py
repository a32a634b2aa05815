"""Accounts, groups, password history and audit."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROWID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
EVERYWHERE = "*"
GROUPS: tuple[tuple[str, str, list[str]], ...] = (
    ("administrators", "everything", []),
    ("operators", "all cameras, no settings", ["live", "playback", "export", "ptz", "record"]),
    ("viewers", "watching", ["live", "playback"]),
)
GROUP_OF = {"Administrator": "administrators", "Operator": "operators", "User": "viewers"}


def upgrade() -> None:
    op.create_table(
        "console_groups",
        sa.Column("name", sa.String(64), nullable=False, comment="as typed; case matters"),
        sa.Column("remark", sa.String(255), nullable=False, comment="for people"),
        sa.Column("builtin", sa.Boolean(), nullable=False, comment="whether it cannot be deleted"),
        sa.Column("rights", sa.Text(), nullable=False, comment="what its accounts may do, JSON made by the access room"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_console_groups")),
    )
    op.create_table(
        "console_accounts",
        sa.Column("name", sa.String(64), nullable=False, comment="as typed; case matters"),
        sa.Column("group", sa.String(64), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="argon2id of the password"),
        sa.Column("rights", sa.Text(), nullable=True, comment="narrower rights than the group's, JSON; NULL for the group's"),
        sa.Column("enabled", sa.Boolean(), nullable=False, comment="whether it may sign in"),
        sa.Column("fixed", sa.Boolean(), nullable=False, comment="the first administrator: neither deleted nor demoted"),
        sa.Column("periods", sa.Text(), nullable=False, comment="times of the week in which it may sign in; empty for always"),
        sa.Column("email", sa.String(255), nullable=False),
        sa.Column("remark", sa.String(255), nullable=False, comment="for people"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.Column("changed", sa.BigInteger(), nullable=False, comment="when it last changed or was unlocked, microseconds UTC"),
        sa.ForeignKeyConstraint(
            ["group"], ["console_groups.name"], name=op.f("fk_console_accounts_group")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_console_accounts")),
    )
    op.create_index(op.f("ix_console_accounts_group"), "console_accounts", ["group"])
    op.create_table(
        "password_history",
        sa.Column("id", ROWID, sa.Identity(), nullable=False, comment="order of insertion"),
        sa.Column("face", sa.String(8), nullable=False, comment="onvif or console"),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False, comment="argon2id of a password it had before"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_history")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_password_history_face_account_id"), "password_history", ["face", "account", "id"])
    op.create_table(
        "audit",
        sa.Column("id", ROWID, sa.Identity(), nullable=False, comment="order of insertion"),
        sa.Column("utc", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.Column("kind", sa.String(16), nullable=False, comment="login, logout, refused, locked, change, account or session"),
        sa.Column("account", sa.String(64), nullable=False, comment="who; empty if unknown"),
        sa.Column("address", sa.String(45), nullable=False, comment="from where; empty for the recorder itself"),
        sa.Column("face", sa.String(8), nullable=False, comment="onvif, rtsp, console or cli"),
        sa.Column("action", sa.String(64), nullable=False, comment="operation, or what was done"),
        sa.Column("outcome", sa.String(64), nullable=False, comment="done, or why not"),
        sa.Column("detail", sa.Text(), nullable=False, comment="for people; never a secret"),
        sa.Column("count", sa.Integer(), nullable=False, comment="how often it happened in a row"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_utc_id"), "audit", ["utc", "id"])
    op.create_index(op.f("ix_audit_kind_utc_id"), "audit", ["kind", "utc", "id"])
    op.create_index(op.f("ix_audit_account_utc_id"), "audit", ["account", "utc", "id"])
    _groups()
    _split_accounts()


def _groups() -> None:
    table = sa.table(
        "console_groups",
        sa.column("name", sa.String),
        sa.column("remark", sa.String),
        sa.column("builtin", sa.Boolean),
        sa.column("rights", sa.Text),
    )
    op.bulk_insert(
        table,
        [
            {
                "name": name,
                "remark": remark,
                "builtin": True,
                "rights": json.dumps({"recorder": [], "channels": {right: EVERYWHERE for right in rights}}),
            }
            for name, remark, rights in GROUPS
        ],
    )


def _split_accounts() -> None:
    """What one account was for both becomes an ONVIF account and a console account."""
    with op.batch_alter_table("accounts") as batch:
        batch.add_column(sa.Column("fixed", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("periods", sa.Text(), nullable=False, server_default=""))
    connection = op.get_bind()
    columns: list[sa.ColumnClause[object]] = [sa.column(name) for name in ("name", "level", "console_hash", "created", "changed", "fixed")]
    accounts = sa.table("accounts", *columns)
    console = sa.table(
        "console_accounts",
        *(
            sa.column(name)
            for name in (
                "name", "group", "hash", "rights", "enabled", "fixed", "periods", "email", "remark", "created", "changed"
            )
        ),
    )
    rows = connection.execute(sa.select(accounts).order_by(accounts.c.created, accounts.c.name)).mappings().all()
    first = next((row["name"] for row in rows if row["level"] == "Administrator"), None)
    for row in rows:
        connection.execute(
            sa.insert(console).values(
                name=row["name"],
                group=GROUP_OF[row["level"]],
                hash=row["console_hash"],
                rights=None,
                enabled=True,
                fixed=row["name"] == first,
                periods="",
                email="",
                remark="",
                created=row["created"],
                changed=row["changed"],
            )
        )
    if first is not None:
        connection.execute(sa.update(accounts).where(accounts.c.name == first).values(fixed=True))
    with op.batch_alter_table("accounts") as batch:
        batch.drop_column("console_hash")
        batch.alter_column("fixed", server_default=None, comment="the first administrator: neither deleted nor demoted")
        batch.alter_column("periods", server_default=None, comment="times of the week in which it may sign in; empty for always")
