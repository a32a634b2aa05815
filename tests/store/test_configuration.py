"""The configuration as a whole, on both databases."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from onvifd.errors import InvalidArgument
from onvifd.store import schema
from onvifd.store.catalogue import Catalogue
from onvifd.store.configuration import DATA, tables
from onvifd.store.rows import EventRow, SegmentRow


def _account(catalogue: Catalogue, name: str, *, fixed: bool) -> None:
    row = {"name": name, "level": "Administrator", "password": b"x", "created": 1, "changed": 1, "fixed": fixed}
    catalogue.database.write(lambda c: c.execute(insert(schema.accounts).values(**row, periods="")))


def _names(catalogue: Catalogue) -> list[str]:
    return catalogue.database.read(lambda c: list(c.execute(select(schema.accounts.c.name)).scalars()))


def _camera(catalogue: Catalogue, camera: str, channel: int) -> None:
    def work(c: Connection) -> None:
        values = dict.fromkeys(("address", "manufacturer", "model", "firmware", "serial", "event_address"), "")
        c.execute(
            insert(schema.cameras).values(
                id=camera, channel=channel, name="x", driver="rtsp", enabled=True, created=1, **values
            )
        )
        texts = dict.fromkeys(("source_id", "source_name", "source_location", "source_description", "content"), "")
        c.execute(
            insert(schema.recordings).values(
                token=f"rec-{camera}", camera=camera, source_address="", retention=0, **texts
            )
        )

    catalogue.database.write(work)


def test_what_is_copied_out_comes_back(catalogue: Catalogue, tmp_path: Path) -> None:
    _account(catalogue, "admin", fixed=True)
    _camera(catalogue, "cam-00000001", 1)
    catalogue.device.put({"scopes": '["a"]'})
    catalogue.settings.put("device.uuid", "one")
    catalogue.configuration.copy_to(tmp_path / "copy.sqlite3")
    assert (tmp_path / "copy.sqlite3").stat().st_mode & 0o077 == 0
    _account(catalogue, "later", fixed=False)
    _camera(catalogue, "cam-00000002", 2)
    catalogue.device.put({"scopes": '["b"]', "time": "{}"})
    catalogue.settings.put("device.uuid", "two")
    catalogue.settings.put("later", "stays")
    revision = catalogue.revision()
    catalogue.configuration.check(tmp_path / "copy.sqlite3")
    catalogue.configuration.copy_from(tmp_path / "copy.sqlite3")
    assert _names(catalogue) == ["admin"]
    assert catalogue.device.all() == {"scopes": '["a"]'}
    assert catalogue.settings.get("device.uuid") == "one"
    assert catalogue.settings.get("later") == "stays"
    assert catalogue.revision() > revision
    cameras = catalogue.database.read(lambda c: list(c.execute(select(schema.cameras.c.id)).scalars()))
    assert cameras == ["cam-00000001"]
    recordings = {row.token: row.camera for row in catalogue.recordings.all()}
    # Footage of a camera that the archive does not know keeps its recording.
    assert recordings == {"rec-cam-00000001": "cam-00000001", "rec-cam-00000002": None}


def test_numbers_go_on_after_a_restore(catalogue: Catalogue, tmp_path: Path) -> None:
    entry = {"face": "onvif", "account": "a", "hash": "h"}
    catalogue.database.write(lambda c: c.execute(insert(schema.password_history), [entry] * 3))
    catalogue.configuration.copy_to(tmp_path / "copy.sqlite3")
    catalogue.configuration.copy_from(tmp_path / "copy.sqlite3")
    catalogue.database.write(lambda c: c.execute(insert(schema.password_history), [entry]))
    ids = catalogue.database.read(lambda c: list(c.execute(select(schema.password_history.c.id)).scalars()))
    assert len(set(ids)) == 4


def test_a_hard_default_keeps_the_first_administrator_and_the_recordings(catalogue: Catalogue) -> None:
    _account(catalogue, "admin", fixed=True)
    _account(catalogue, "other", fixed=False)
    _camera(catalogue, "cam-00000001", 1)
    catalogue.device.put({"scopes": "[]"})
    for key in ("device.uuid", "replay.session_timeout"):
        catalogue.settings.put(key, "1")
    catalogue.configuration.clear(["replay.session_timeout"])
    assert _names(catalogue) == ["admin"]
    assert catalogue.device.all() == {}
    assert catalogue.settings.get("device.uuid") == "1"
    assert catalogue.settings.get("replay.session_timeout") is None
    assert [row.token for row in catalogue.recordings.all()] == ["rec-cam-00000001"]
    assert catalogue.database.read(lambda c: c.execute(select(schema.cameras)).all()) == []


def test_a_file_of_a_later_version_or_of_no_version_is_refused(catalogue: Catalogue, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    catalogue.configuration.copy_to(copy)
    with sqlite3.connect(copy) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(InvalidArgument) as caught:
        catalogue.configuration.check(copy)
    assert caught.value.detail == "InvalidBackupFile"
    (tmp_path / "noise").write_bytes(b"noise" * 1000)
    with pytest.raises(InvalidArgument):
        catalogue.configuration.check(tmp_path / "noise")


def _remember(catalogue: Catalogue) -> None:
    """Something was recorded, and something happened."""
    catalogue.segments.insert(
        SegmentRow(recording="rec-a", volume="vol-1", path="1.mp4", start=1, end=9, size=7, kinds=1, formats="[]")
    )
    catalogue.events.insert([EventRow(utc=5, topic="tns1:VideoSource/MotionAlarm", recording="rec-a")])


def _remembers(catalogue: Catalogue) -> None:
    assert [row.size for row in catalogue.segments.between("rec-a", 0, 99, 9)] == [7]
    assert catalogue.segments.usage.check() == ()
    assert catalogue.segments.recording_bytes("rec-a") == 7
    # As after a restart: with nothing in memory.
    again = Catalogue.open(catalogue.database.engine.url.render_as_string(hide_password=False))
    (event,) = again.events.between(start=0, end=99, recordings=frozenset({"rec-a"}), backward=False, limit=9)
    assert event.topic == "tns1:VideoSource/MotionAlarm"
    again.close()


def test_what_was_recorded_outlives_default_and_restore(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.configuration.copy_to(tmp_path / "copy.sqlite3")
    _remember(catalogue)
    catalogue.configuration.copy_from(tmp_path / "copy.sqlite3")
    _remembers(catalogue)
    catalogue.configuration.clear(())
    _remembers(catalogue)


def test_every_table_is_either_configuration_or_data() -> None:
    names = {table.name for table in tables()}
    assert {"cameras", "streams", "accounts", "settings", "device"} <= names
    assert not names & {"segments", "formats", "usage", "spans", "events", "topics", "audit", "volumes", "tags"}
    # What footage and events refer to by number must stay with them.
    assert names | DATA == set(schema.metadata.tables)
