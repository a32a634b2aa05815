"""The tables of the catalogue. Times are microseconds since 1970 UTC, sizes are bytes.

A change here needs a migration in `store/migrations/versions`; a test compares the two on both databases.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from onvifd.store.schema_access import (
    audit,
    console_accounts,
    console_groups,
    password_history,
    security_anchors,
    security_certificates,
    security_crls,
    security_keys,
    security_passphrases,
    security_path_certificates,
    security_paths,
    security_policies,
    security_tls_paths,
    security_tls_policies,
)
from onvifd.store.schema_base import ROWID, TOKEN, metadata
from onvifd.store.schema_recording import (
    channel_schedules,
    holidays,
    named_schedules,
    record_links,
    record_policies,
    record_states,
    schedule_assignments,
    snapshot_policies,
    snapshots,
)

__all__ = [
    "ROWID",
    "TOKEN",
    "audit",
    "channel_schedules",
    "console_accounts",
    "console_groups",
    "holidays",
    "metadata",
    "named_schedules",
    "password_history",
    "record_links",
    "record_policies",
    "record_states",
    "schedule_assignments",
    "security_anchors",
    "security_certificates",
    "security_crls",
    "security_keys",
    "security_passphrases",
    "security_path_certificates",
    "security_paths",
    "security_policies",
    "security_tls_paths",
    "security_tls_policies",
    "snapshot_policies",
    "snapshots",
]
"""Of the other modules of the schema; all tables are used by the name of this one."""


cameras = Table(
    "cameras",
    metadata,
    Column("id", String(12), primary_key=True, comment="cam- and 8 hex digits; never reused"),
    Column("channel", Integer, nullable=False, comment="slot shown to the outside, 1 and up"),
    Column("name", String(63), nullable=False, comment="for people"),
    Column("driver", String(16), nullable=False, comment="onvif or rtsp"),
    Column(
        "address", Text, nullable=False, comment="URL of the device service or of the RTSP stream, without credentials"
    ),
    Column("credentials", LargeBinary, comment="user name and password, encrypted with the key file; NULL for none"),
    Column("enabled", Boolean, nullable=False, comment="whether the recorder connects to it"),
    Column("manufacturer", String(255), nullable=False, comment="as probed; empty if unknown"),
    Column("model", String(255), nullable=False, comment="as probed; empty if unknown"),
    Column("firmware", String(255), nullable=False, comment="as probed; empty if unknown"),
    Column("serial", String(255), nullable=False, comment="as probed; empty if unknown"),
    Column("event_address", Text, nullable=False, comment="URL of its ONVIF event service; empty if it has none"),
    Column("created", BigInteger, nullable=False, comment="when it was added, microseconds UTC"),
    UniqueConstraint("channel"),
    CheckConstraint("channel > 0", name="channel"),
)

streams = Table(
    "streams",
    metadata,
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(8), primary_key=True, comment="main or sub"),
    Column("uri", Text, nullable=False, comment="RTSP URL without credentials"),
    Column("source_profile", String(255), nullable=False, comment="media profile at the camera; empty for plain RTSP"),
    Column("snapshot_uri", Text, nullable=False, comment="HTTP URL of a JPEG at the camera; empty if it has none"),
    Column("video_codec", String(8), nullable=False, comment="h264, h265 or jpeg; empty until probed"),
    Column("width", Integer, nullable=False, comment="pixels, 0 until probed"),
    Column("height", Integer, nullable=False, comment="pixels, 0 until probed"),
    Column("framerate", Float, nullable=False, comment="frames per second, 0 until probed"),
    Column("bitrate", Integer, nullable=False, comment="kbit/s of video, 0 until probed"),
    Column("gov_length", Integer, nullable=False, comment="frames per group of pictures, 0 until probed"),
    Column("encoder_profile", String(16), nullable=False, comment="Baseline, Main, High, Main10; empty until probed"),
    Column("audio_codec", String(8), nullable=False, comment="pcmu, pcma or aac; empty without audio"),
    Column("sample_rate", Integer, nullable=False, comment="Hz of audio, 0 without"),
    Column("audio_channels", Integer, nullable=False, comment="1 or 2, 0 without audio"),
    Column("audio_bitrate", Integer, nullable=False, comment="kbit/s of audio, 0 without"),
    Column("quality", Float, comment="of the encoder, in the camera's own range; NULL where it says nothing"),
    Column(
        "ptz",
        String(80),
        nullable=False,
        server_default="",
        comment="pan-tilt-status, zoom-status, pan-tilt-position, zoom-position: what its metadata tells, spaces between",
    ),
)

profiles = Table(
    "profiles",
    metadata,
    Column("token", TOKEN, primary_key=True, comment="<camera>-main, <camera>-sub"),
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), nullable=False),
    Column("role", String(8), nullable=False, comment="the stream it presents"),
    Column("name", String(64), nullable=False, comment="tt:Name of the profile"),
    Column("fixed", Boolean, nullable=False, comment="whether clients may not delete it"),
    Index(None, "camera"),
)

recordings = Table(
    "recordings",
    metadata,
    Column("token", TOKEN, primary_key=True, comment="rec-<camera>"),
    # Footage outlives its camera: it stays searchable until retention has deleted it.
    Column("camera", ForeignKey("cameras.id", ondelete="SET NULL"), comment="NULL when the camera was removed"),
    Column("source_id", String(128), nullable=False, comment="token of the video source that is recorded"),
    Column("source_name", String(64), nullable=False, comment="name of the camera"),
    Column("source_location", String(255), nullable=False),
    Column("source_description", String(255), nullable=False),
    Column("source_address", Text, nullable=False, comment="address of the camera without credentials"),
    Column("content", String(255), nullable=False, comment="what it is for"),
    Column("retention", BigInteger, nullable=False, comment="seconds, 0 for unlimited"),
    Column(
        "role", String(8), nullable=False, comment="stream of the camera that is recorded; empty for those of clients"
    ),
    Column("dynamic", Boolean, nullable=False, comment="whether a client made it"),
    Column("configured", Boolean, nullable=False, comment="whether a client has set its configuration"),
    Column("removing", Boolean, nullable=False, comment="whether it was deleted and its footage is going"),
    Column("target", Text, nullable=False, comment="external target, JSON made by the store; empty for none"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC; 0 for those of cameras"),
    Index(None, "camera"),
)

tracks = Table(
    "tracks",
    metadata,
    Column("recording", ForeignKey("recordings.token", ondelete="CASCADE"), primary_key=True),
    Column("token", TOKEN, primary_key=True, comment="VIDEO001, AUDIO001 or META001"),
    Column("kind", String(8), nullable=False, comment="video, audio or metadata"),
    Column("description", String(255), nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("token", TOKEN, primary_key=True, comment="job-<camera> or job- and 8 hex digits"),
    Column("recording", ForeignKey("recordings.token", ondelete="CASCADE"), nullable=False),
    Column(
        "camera", ForeignKey("cameras.id", ondelete="CASCADE"), comment="that it belongs to; NULL for one of a client"
    ),
    Column("active", Boolean, nullable=False, comment="mode Active (true) or Idle"),
    Column("priority", Integer, nullable=False, comment="the higher wins, from 0"),
    Column("sources", Text, nullable=False, comment="where from and which track to which, JSON made by the store"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC; 0 for those of cameras"),
    Index(None, "recording"),
    Index(None, "camera"),
)

receivers = Table(
    "receivers",
    metadata,
    Column("token", TOKEN, primary_key=True, comment="rcv- and 8 hex digits"),
    Column("mode", String(16), nullable=False, comment="tt:ReceiverMode"),
    Column("uri", Text, nullable=False, comment="where the stream is, as shown: without credentials"),
    Column("secret", LargeBinary, comment="the whole address, encrypted with the key file; NULL if nothing is hidden"),
    Column("protocol", String(8), nullable=False, comment="tt:TransportProtocol: UDP or RTSP"),
    Column("automatic", Boolean, nullable=False, comment="made by a job, goes with the last job that uses it"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
)

volumes = Table(
    "volumes",
    metadata,
    Column("id", String(64), primary_key=True, comment="vol- and a number, never reused"),
    Column("path", Text, nullable=False, comment="absolute path of the folder"),
    Column("max_bytes", BigInteger, nullable=False, comment="most bytes it may hold; 0 for all but the reserve"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
    Column("uuid", String(36), nullable=False, server_default="", comment="as its marker says; empty until marked"),
    Column("name", String(64), nullable=False, server_default="", comment="for people"),
    Column(
        "access",
        String(10),
        nullable=False,
        server_default="read-write",
        comment="read-write, read-only or redundant",
    ),
    Column("group", Integer, nullable=False, server_default="1", comment="group of volumes, 1 and up"),
    Column("origin", String(8), nullable=False, server_default="settings", comment="settings or command: who named it"),
    UniqueConstraint("path"),
)

segments = Table(
    "segments",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True, comment="row number; rises with time of insertion"),
    # No foreign keys: the index can be rebuilt from the files alone, and what has no owner is a finding of `doctor`.
    Column("recording", TOKEN, nullable=False),
    Column("volume", String(64), nullable=False, comment="name of the volume"),
    Column("path", Text, nullable=False, comment="path of the file below the volume, with /"),
    Column("start", BigInteger, nullable=False, comment="microseconds UTC of the first sample"),
    Column("end", BigInteger, nullable=False, comment="microseconds UTC at which the last sample ends"),
    Column("size", BigInteger, nullable=False, comment="bytes of the file that the index covers"),
    Column(
        "kinds", Integer, nullable=False, comment="bits of the kinds of track with data: 1 video, 2 audio, 4 metadata"
    ),
    Column("copy", Boolean, nullable=False, comment="second copy on a redundant volume; not played"),
    Column("state", String(9), nullable=False, comment="open, closed or recovered"),
    Column("end_reason", String(8), nullable=False, comment="why it ended; empty while it is open"),
    Column("format", BigInteger, nullable=False, comment="row of formats: what its tracks are"),
    # Last, so that SQLite reads the small columns without following the overflow pages of a large table of fragments.
    Column("fragments", LargeBinary, nullable=False, comment="table of its fragments, packed by the archive"),
    UniqueConstraint("volume", "path"),
    # The first covers what searches and timelines ask of many rows, so that they need not touch the rows themselves. The
    # others are for seeks to one end: of a combination of kinds, and of a recording on a volume.
    Index("ix_segments_time", "recording", "copy", "start", "end", "kinds", "state"),
    Index("ix_segments_kinds", "recording", "copy", "kinds", "start"),
    Index("ix_segments_age", "volume", "recording", "start"),
    Index("ix_segments_volume", "volume", "id"),
    Index("ix_segments_open", "id", sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
    sqlite_autoincrement=True,
)

formats = Table(
    "formats",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True),
    Column("digest", LargeBinary(16), nullable=False, comment="of the body: a long text makes no key"),
    Column("body", Text, nullable=False, comment="formats of the tracks of segments, JSON made by the archive"),
    UniqueConstraint("digest"),
    sqlite_autoincrement=True,
)
"""All segments of a stream have the same: kept once, not with each of them."""

usage = Table(
    "usage",
    metadata,
    # Kept in the transactions that change segments (store.usage), so that no question walks all of them.
    Column("recording", TOKEN, primary_key=True),
    Column("volume", String(64), primary_key=True),
    Column("copy", Boolean, primary_key=True),
    Column("kinds", Integer, primary_key=True, comment="segments.kinds"),
    Column("segments", BigInteger, nullable=False, comment="number of them"),
    Column("bytes", BigInteger, nullable=False, comment="sum of their sizes"),
    Column("longest", BigInteger, nullable=False, comment="microseconds that none of them was ever longer than"),
    # Rows change every second: room on the page lets PostgreSQL do that in place.
    postgresql_with={"fillfactor": "50"},
)

spans = Table(
    "spans",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True),
    Column("recording", TOKEN, nullable=False),
    Column("kind", String(16), nullable=False, comment="general, motion, alarm, ..."),
    Column("start", BigInteger, nullable=False, comment="microseconds UTC"),
    Column("end", BigInteger, comment="microseconds UTC; NULL while it lasts"),
    Column("marks", String(96), nullable=False, server_default="", comment="all types that apply, with commas"),
    Index(None, "recording", "start"),
    Index("ix_spans_open", "recording", sqlite_where=text('"end" IS NULL'), postgresql_where=text('"end" IS NULL')),
    sqlite_autoincrement=True,
)

events = Table(
    "events",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True, comment="order of insertion"),
    Column("utc", BigInteger, nullable=False, comment="time of the message, microseconds UTC"),
    Column("topic", BigInteger, nullable=False, comment="row of topics"),
    Column("recording", TOKEN, nullable=False, comment="recording it belongs to; empty for none"),
    Column("operation", String(12), nullable=False, comment="Initialized, Changed, Deleted; empty for no property"),
    Column("instance", LargeBinary(16), comment="digest of topic, source and key of a property; NULL for no property"),
    Column("body", Text, nullable=False, comment="source, key, data and elements as JSON lists of pairs"),
    Index(None, "utc", "id"),
    Index(None, "recording", "utc", "id"),
    Index(None, "instance", "utc", "id"),
    Index(None, "topic", "utc", "id"),
    sqlite_autoincrement=True,
)

topics = Table(
    "topics",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True),
    Column("name", String(255), nullable=False, comment="path below tns1"),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)
"""Topics that events ever had. Few, so that processes keep them in memory; a row is never deleted."""

accounts = Table(
    "accounts",
    metadata,
    Column("name", String(64), primary_key=True, comment="as typed; case matters"),
    Column("level", String(16), nullable=False, comment="Administrator, Operator or User"),
    Column(
        "password", LargeBinary, nullable=False, comment="encrypted with the key file: UsernameToken needs it in clear"
    ),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
    Column("changed", BigInteger, nullable=False, comment="when the password or level last changed, microseconds UTC"),
    Column("fixed", Boolean, nullable=False, comment="the first administrator: neither deleted nor demoted"),
    Column("periods", Text, nullable=False, comment="times of the week in which it may sign in; empty for always"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
"""What the recorder remembers: its uuid, the replay time-out, and `revision`, which grows with every change of cameras or accounts."""

# ---- the device itself (Core 8) -------------------------------------------------------------------

device = Table(
    "device",
    metadata,
    Column("section", String(32), primary_key=True, comment="scopes, ports, filter, time, ..."),
    Column("body", Text, nullable=False, comment="JSON, made by the body of the recorder"),
)

event_brokers = Table(
    "event_brokers",
    metadata,
    Column("address", String(512), primary_key=True, comment="scheme://host:port as the client wrote it"),
    Column("topic_prefix", String(255), nullable=False, comment="in front of all topics; never empty"),
    Column("user_name", Text, comment="NULL for none"),
    Column("password", LargeBinary, comment="encrypted with the key file; NULL for none"),
    Column("certificate_id", Text, comment="client certificate in the key store; NULL for none"),
    Column("policy_id", Text, comment="certification path validation policy; NULL for the system's authorities"),
    Column("publish_filter", Text, nullable=False, comment="filter elements as XML; empty for all events"),
    Column("qos", Integer, nullable=False, comment="0, 1 or 2"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
)

# ---- what is stored where, and what must stay --------------------------------------------------------

storage_rules = Table(
    "storage_rules",
    metadata,
    Column("owner", TOKEN, primary_key=True, comment="recording token, or snapshots-<camera>"),
    Column("group", Integer, nullable=False, comment="group of volumes that it is stored on"),
    Column("quota", BigInteger, nullable=False, comment="most bytes it may take; 0 for no quota"),
    Column("days", Integer, comment="1 to 360, 0 for unlimited; NULL as the settings say"),
)

locks = Table(
    "locks",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True),
    Column("recording", TOKEN, nullable=False),
    Column("start", BigInteger, nullable=False, comment="microseconds UTC"),
    Column("end", BigInteger, nullable=False, comment="microseconds UTC, not included"),
    Column("account", String(64), nullable=False, comment="who locked it"),
    Column("reason", String(255), nullable=False, comment="why, for people"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
    Column("until", BigInteger, comment="when it ends, microseconds UTC; NULL for never"),
    Index(None, "recording", "start"),
    sqlite_autoincrement=True,
)

# ---- tags of footage ------------------------------------------------------------------------------

tags = Table(
    "tags",
    metadata,
    Column("id", ROWID, Identity(), primary_key=True),
    Column("recording", TOKEN, nullable=False),
    Column("utc", BigInteger, nullable=False, comment="the moment it marks, microseconds UTC"),
    Column("name", String(64), nullable=False, comment="for people"),
    Column("account", String(64), nullable=False, comment="who set it"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
    Index(None, "recording", "utc", "id"),
    Index(None, "utc", "id"),
    sqlite_autoincrement=True,
)

# ---- how streams of cameras are received -----------------------------------------------------------

receptions = Table(
    "receptions",
    metadata,
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True),
    Column("stream", String(8), primary_key=True, comment="main or sub"),
    Column("transport", String(16), nullable=False, comment="auto, tcp, udp, multicast, http, https or rtsps"),
    Column("tunnel_port", Integer, nullable=False, comment="TCP port of HTTP tunnels; 0 for 80 or 443"),
    Column("trust", String(8), nullable=False, comment="pin, ca or none: how the camera's certificate is judged"),
    Column("pin", String(64), nullable=False, comment="SHA-256 of its certificate, hex; empty until first seen"),
    Column("on_demand", Boolean, nullable=False, comment="pull it only while somebody watches, if it is not recorded"),
    Column("quirks", Text, nullable=False, comment="ids of quirks that are switched on, with spaces between"),
    Column(
        "digest",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="it has offered Digest: the password is not sent in clear",
    ),
    Column(
        "found",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="the transport was found by trying, not set by a person: others may be tried again",
    ),
)
"""Streams without a row are received with the defaults."""

# ---- media profiles --------------------------------------------------------------------------------

media_profiles = Table(
    "media_profiles",
    metadata,
    Column("token", TOKEN, primary_key=True),
    Column(
        "camera",
        ForeignKey("cameras.id", ondelete="CASCADE"),
        nullable=True,
        comment="whose configurations it has; NULL for none yet",
    ),
    Column("fixed", Boolean, nullable=False, comment="whether the recorder made it"),
    Column("name", String(64), nullable=True, comment="NULL for the recorder's own choice"),
    Column("parts", Text, nullable=True, comment="tokens by kind, JSON; NULL for the recorder's own choice"),
    Column("started", Boolean, nullable=False, comment="whether it is multicast without any session"),
    Column("created", BigInteger, nullable=False, comment="microseconds UTC"),
)
"""Profiles that clients made, and what they changed of those that the recorder made."""

media_configurations = Table(
    "media_configurations",
    metadata,
    Column("token", TOKEN, primary_key=True),
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), nullable=False),
    Column("body", Text, nullable=False, comment="what clients changed, JSON made by the recorder's body"),
)

# ---- loudspeakers of cameras -----------------------------------------------------------------------

loudspeakers = Table(
    "loudspeakers",
    metadata,
    Column("camera", ForeignKey("cameras.id", ondelete="CASCADE"), primary_key=True),
    Column("formats", Text, nullable=False, comment="what it decodes, as the camera described it; JSON"),
)
"""Cameras that can be talked to."""
