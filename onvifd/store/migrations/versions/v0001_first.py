"""All tables of the first version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(length=64), nullable=False, comment="as typed; case matters"),
        sa.Column("level", sa.String(length=16), nullable=False, comment="Administrator, Operator or User"),
        sa.Column(
            "password",
            sa.LargeBinary(),
            nullable=False,
            comment="encrypted with the key file: UsernameToken needs it in clear",
        ),
        sa.Column("console_hash", sa.Text(), nullable=False, comment="argon2id of the password, for the console"),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.Column(
            "changed",
            sa.BigInteger(),
            nullable=False,
            comment="when the password or level last changed, microseconds UTC",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_accounts")),
    )
    op.create_table(
        "cameras",
        sa.Column("id", sa.String(length=12), nullable=False, comment="cam- and 8 hex digits; never reused"),
        sa.Column("channel", sa.Integer(), nullable=False, comment="slot shown to the outside, 1 and up"),
        sa.Column("name", sa.String(length=63), nullable=False, comment="for people"),
        sa.Column("driver", sa.String(length=16), nullable=False, comment="onvif or rtsp"),
        sa.Column(
            "address",
            sa.Text(),
            nullable=False,
            comment="URL of the device service or of the RTSP stream, without credentials",
        ),
        sa.Column(
            "credentials",
            sa.LargeBinary(),
            nullable=True,
            comment="user name and password, encrypted with the key file; NULL for none",
        ),
        sa.Column("enabled", sa.Boolean(), nullable=False, comment="whether the recorder connects to it"),
        sa.Column("record", sa.Boolean(), nullable=False, comment="whether its main stream is recorded"),
        sa.Column("manufacturer", sa.String(length=255), nullable=False, comment="as probed; empty if unknown"),
        sa.Column("model", sa.String(length=255), nullable=False, comment="as probed; empty if unknown"),
        sa.Column("firmware", sa.String(length=255), nullable=False, comment="as probed; empty if unknown"),
        sa.Column("serial", sa.String(length=255), nullable=False, comment="as probed; empty if unknown"),
        sa.Column(
            "event_address", sa.Text(), nullable=False, comment="URL of its ONVIF event service; empty if it has none"
        ),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="when it was added, microseconds UTC"),
        sa.CheckConstraint("channel > 0", name=op.f("ck_cameras_channel")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cameras")),
        sa.UniqueConstraint("channel", name=op.f("uq_cameras_channel")),
    )
    op.create_table(
        "events",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
            comment="order of insertion",
        ),
        sa.Column("utc", sa.BigInteger(), nullable=False, comment="time of the message, microseconds UTC"),
        sa.Column("topic", sa.String(length=255), nullable=False, comment="path below tns1"),
        sa.Column("recording", sa.String(length=64), nullable=False, comment="recording it belongs to; empty for none"),
        sa.Column(
            "operation",
            sa.String(length=12),
            nullable=False,
            comment="Initialized, Changed, Deleted; empty for no property",
        ),
        sa.Column(
            "instance",
            sa.LargeBinary(length=16),
            nullable=True,
            comment="digest of topic, source and key of a property; NULL for no property",
        ),
        sa.Column("body", sa.Text(), nullable=False, comment="source, key, data and elements as JSON lists of pairs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_instance_utc_id"), "events", ["instance", "utc", "id"], unique=False)
    op.create_index(op.f("ix_events_recording_utc_id"), "events", ["recording", "utc", "id"], unique=False)
    op.create_index(op.f("ix_events_utc_id"), "events", ["utc", "id"], unique=False)
    op.create_table(
        "segments",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
            comment="row number; rises with time of insertion",
        ),
        sa.Column("recording", sa.String(length=64), nullable=False),
        sa.Column("volume", sa.String(length=64), nullable=False, comment="name of the volume"),
        sa.Column("path", sa.Text(), nullable=False, comment="path of the file below the volume, with /"),
        sa.Column("start", sa.BigInteger(), nullable=False, comment="microseconds UTC of the first sample"),
        sa.Column("end", sa.BigInteger(), nullable=False, comment="microseconds UTC at which the last sample ends"),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes of the file that the index covers"),
        sa.Column(
            "kinds",
            sa.Integer(),
            nullable=False,
            comment="bits of the kinds of track with data: 1 video, 2 audio, 4 metadata",
        ),
        sa.Column("state", sa.String(length=9), nullable=False, comment="open, closed or recovered"),
        sa.Column("end_reason", sa.String(length=8), nullable=False, comment="why it ended; empty while it is open"),
        sa.Column("formats", sa.Text(), nullable=False, comment="formats of its tracks, JSON made by the archive"),
        sa.Column(
            "fragments", sa.LargeBinary(), nullable=False, comment="table of its fragments, packed by the archive"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segments")),
        sa.UniqueConstraint("volume", "path", name=op.f("uq_segments_volume_path")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_segments_age", "segments", ["volume", "start", "state", "size"], unique=False)
    op.create_index(
        "ix_segments_open",
        "segments",
        ["id"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_segments_time", "segments", ["recording", "start", "end", "kinds", "state"], unique=False)
    op.create_index("ix_segments_volume", "segments", ["volume", "id"], unique=False)
    op.create_table(
        "settings",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_settings")),
    )
    op.create_table(
        "spans",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), sa.Identity(always=False), nullable=False
        ),
        sa.Column("recording", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="general, motion, alarm, ..."),
        sa.Column("start", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.Column("end", sa.BigInteger(), nullable=True, comment="microseconds UTC; NULL while it lasts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spans")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_spans_recording_start"), "spans", ["recording", "start"], unique=False)
    op.create_table(
        "volumes",
        sa.Column("id", sa.String(length=64), nullable=False, comment="vol- and a number, never reused"),
        sa.Column("path", sa.Text(), nullable=False, comment="absolute path of the folder"),
        sa.Column(
            "max_bytes", sa.BigInteger(), nullable=False, comment="most bytes it may hold; 0 for all but the reserve"
        ),
        sa.Column("created", sa.BigInteger(), nullable=False, comment="microseconds UTC"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_volumes")),
        sa.UniqueConstraint("path", name=op.f("uq_volumes_path")),
    )
    op.create_table(
        "profiles",
        sa.Column("token", sa.String(length=64), nullable=False, comment="<camera>-main, <camera>-sub"),
        sa.Column("camera", sa.String(length=12), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False, comment="the stream it presents"),
        sa.Column("name", sa.String(length=64), nullable=False, comment="tt:Name of the profile"),
        sa.Column("fixed", sa.Boolean(), nullable=False, comment="whether clients may not delete it"),
        sa.ForeignKeyConstraint(["camera"], ["cameras.id"], name=op.f("fk_profiles_camera"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_profiles")),
    )
    op.create_index(op.f("ix_profiles_camera"), "profiles", ["camera"], unique=False)
    op.create_table(
        "recordings",
        sa.Column("token", sa.String(length=64), nullable=False, comment="rec-<camera>"),
        sa.Column("camera", sa.String(length=12), nullable=True, comment="NULL when the camera was removed"),
        sa.Column(
            "source_id", sa.String(length=128), nullable=False, comment="token of the video source that is recorded"
        ),
        sa.Column("source_name", sa.String(length=64), nullable=False, comment="name of the camera"),
        sa.Column("source_location", sa.String(length=255), nullable=False),
        sa.Column("source_description", sa.String(length=255), nullable=False),
        sa.Column("source_address", sa.Text(), nullable=False, comment="address of the camera without credentials"),
        sa.Column("content", sa.String(length=255), nullable=False, comment="what it is for"),
        sa.Column("retention", sa.BigInteger(), nullable=False, comment="seconds, 0 for unlimited"),
        sa.ForeignKeyConstraint(["camera"], ["cameras.id"], name=op.f("fk_recordings_camera"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_recordings")),
    )
    op.create_index(op.f("ix_recordings_camera"), "recordings", ["camera"], unique=False)
    op.create_table(
        "streams",
        sa.Column("camera", sa.String(length=12), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False, comment="main or sub"),
        sa.Column("uri", sa.Text(), nullable=False, comment="RTSP URL without credentials"),
        sa.Column(
            "source_profile",
            sa.String(length=255),
            nullable=False,
            comment="media profile at the camera; empty for plain RTSP",
        ),
        sa.Column(
            "snapshot_uri", sa.Text(), nullable=False, comment="HTTP URL of a JPEG at the camera; empty if it has none"
        ),
        sa.Column("video_codec", sa.String(length=8), nullable=False, comment="h264, h265 or jpeg; empty until probed"),
        sa.Column("width", sa.Integer(), nullable=False, comment="pixels, 0 until probed"),
        sa.Column("height", sa.Integer(), nullable=False, comment="pixels, 0 until probed"),
        sa.Column("framerate", sa.Float(), nullable=False, comment="frames per second, 0 until probed"),
        sa.Column("bitrate", sa.Integer(), nullable=False, comment="kbit/s of video, 0 until probed"),
        sa.Column("gov_length", sa.Integer(), nullable=False, comment="frames per group of pictures, 0 until probed"),
        sa.Column(
            "encoder_profile",
            sa.String(length=16),
            nullable=False,
            comment="Baseline, Main, High, Main10; empty until probed",
        ),
        sa.Column("audio_codec", sa.String(length=8), nullable=False, comment="pcmu, pcma or aac; empty without audio"),
        sa.Column("sample_rate", sa.Integer(), nullable=False, comment="Hz of audio, 0 without"),
        sa.Column("audio_channels", sa.Integer(), nullable=False, comment="1 or 2, 0 without audio"),
        sa.Column("audio_bitrate", sa.Integer(), nullable=False, comment="kbit/s of audio, 0 without"),
        sa.ForeignKeyConstraint(["camera"], ["cameras.id"], name=op.f("fk_streams_camera"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("camera", "role", name=op.f("pk_streams")),
    )
    op.create_table(
        "jobs",
        sa.Column("token", sa.String(length=64), nullable=False, comment="job-<camera>"),
        sa.Column("recording", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False, comment="what is recorded"),
        sa.Column("active", sa.Boolean(), nullable=False, comment="mode Active (true) or Idle"),
        sa.Column("priority", sa.Integer(), nullable=False, comment="the higher wins, from 1"),
        sa.ForeignKeyConstraint(["profile"], ["profiles.token"], name=op.f("fk_jobs_profile"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["recording"], ["recordings.token"], name=op.f("fk_jobs_recording"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_profile"), "jobs", ["profile"], unique=False)
    op.create_index(op.f("ix_jobs_recording"), "jobs", ["recording"], unique=False)
    op.create_table(
        "tracks",
        sa.Column("recording", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False, comment="VIDEO001, AUDIO001 or META001"),
        sa.Column("kind", sa.String(length=8), nullable=False, comment="video, audio or metadata"),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording"], ["recordings.token"], name=op.f("fk_tracks_recording"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("recording", "token", name=op.f("pk_tracks")),
    )
