"""What all tables of the catalogue share."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Integer,
    MetaData,
    String,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)

TOKEN = String(64)
"""An ONVIF reference token (tt:ReferenceToken has at most 64 characters)."""
ROWID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows only in a column declared INTEGER PRIMARY KEY."""
