"""Tables of when is recorded, and how that stands. See `schema`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from onvifd.store.schema_base import ROWID, TOKEN, metadata

# ---- when is recorded -----------------------------------------------------------------------------

record_policies = Table(
    "record_policies",
    metadata,
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True),
    Column("stream", String(8), primary_key=True, comment="main or sub"),
    Column("mode", String(8), nullable=False, comment="auto (by schedule), manual (always) or off"),
    Column("pre", Integer, nullable=False, comment="seconds kept before an event, 0 to 60"),
    Column("post", Integer, nullable=False, comment="seconds recorded after an event, 5 to 300"),
    Column("audio", Boolean, nullable=False, comment="whether sound is recorded"),
    Column("redundant", Boolean, nullable=False, comment="whether a second copy goes to a redundant volume"),
    Column("manual", Boolean, nullable=False, comment="whether it was started by hand and not stopped yet"),
    Column("resume", String(8), nullable=False, comment="mode to go back to from off: auto or manual"),
)
"""A stream without a row has what `policies.default` says."""

channel_schedules = Table(
    "channel_schedules",
    metadata,
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True),
    Column("purpose", String(8), primary_key=True, comment="video or snapshot"),
    Column("week", Text, nullable=False, comment="periods and record types of a week, JSON made by the recording room"),
)

named_schedules = Table(
    "named_schedules",
    metadata,
    Column("name", String(32), primary_key=True, comment="as typed; case matters"),
    Column("week", Text, nullable=False, comment="periods of a week, JSON made by the recording room"),
)

schedule_assignments = Table(
    "schedule_assignments",
    metadata,
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True),
    Column("kind", String(16), primary_key=True, comment="record type whose times it gives"),
    Column("schedule", ForeignKey("named_schedules.name"), comment="NULL for never"),
    Index(None, "schedule"),
)

holidays = Table(
    "holidays",
    metadata,
    Column("name", String(32), primary_key=True, comment="as typed; case matters"),
    Column("first", String(10), nullable=False, comment="first day, YYYY-MM-DD"),
    Column("last", String(10), nullable=False, comment="last day, YYYY-MM-DD"),
    Column("yearly", Boolean, nullable=False, comment="whether it comes again each year"),
    Column("enabled", Boolean, nullable=False),
)

record_links = Table(
    "record_links",
    metadata,
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True, comment="where the event happens"),
    Column("kind", String(16), primary_key=True, comment="record type of the event"),
    Column("target", ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True, comment="recorded as well"),
    Index(None, "target"),
)

snapshot_policies = Table(
    "snapshot_policies",
    metadata,
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("stream", String(8), nullable=False, comment="main or sub"),
    Column("interval", Integer, nullable=False, comment="seconds between two while general is armed"),
    Column("event_interval", Integer, nullable=False, comment="seconds between two while an event lasts; 0 for one"),
    Column("days", Integer, nullable=False, comment="for how long they are kept; 0 for ever"),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True, comment="order of insertion"),
    # No foreign keys: pictures outlive their camera.
    Column("camera", String(12), nullable=False),
    Column("utc", BigInteger, nullable=False, comment="when it was taken, microseconds UTC"),
    Column("kind", String(16), nullable=False, comment="record type for which it was taken"),
    Column("volume", String(64), nullable=False, comment="id of the volume"),
    Column("path", Text, nullable=False, comment="path of the file below the volume, with /"),
    Column("size", BigInteger, nullable=False, comment="bytes of the file"),
    UniqueConstraint("volume", "path"),
    Index(None, "camera", "utc", "id"),
    Index(None, "utc", "id"),
    Index(None, "volume", "utc", "id"),
    sqlite_autoincrement=True,
)

record_states = Table(
    "record_states",
    metadata,
    Column("recording", TOKEN, primary_key=True),
    Column("camera", String(12), nullable=False, comment="empty for none"),
    Column("stream", String(8), nullable=False, comment="empty for none"),
    Column("mode", String(8), nullable=False, comment="auto, manual, off, or job for a job of a client"),
    Column("ordered", Boolean, nullable=False, comment="whether it is to be written"),
    Column("active", Boolean, nullable=False, comment="whether it is written"),
    Column("kind", String(16), nullable=False, comment="record type; empty while it is not to be written"),
    Column("marks", String(96), nullable=False, comment="all types that apply, with commas"),
    Column("reason", Text, nullable=False, comment="why it is not written; empty if it is"),
    Column("utc", BigInteger, nullable=False, comment="since when, microseconds UTC"),
)
"""How recording stands, as the running recorder last said."""
