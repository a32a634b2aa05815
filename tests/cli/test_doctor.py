"""`onvifd doctor` finds what was broken on purpose."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from onvifd.access.keyfile import create_key
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import SegmentRow

Run = Callable[..., Result]


def examined(recorder: Run, *arguments: str) -> tuple[int, dict[str, str]]:
    """Exit status, and what is wrong by subject."""
    result = recorder("doctor", "--json", *arguments)
    return result.exit_code, {one["subject"]: one["detail"] for one in json.loads(result.output) if not one["ok"]}


@pytest.mark.covers("STO-16")
def test_a_new_recorder_is_well(recorder: Run) -> None:
    assert examined(recorder) == (0, {})
    table = recorder("doctor").output
    for subject in ("settings", "data folder", "key file", "catalogue", "database", "accounts", "volume vol-1"):
        assert subject in table
    assert "WRONG" not in table


def test_it_changes_nothing(run: Run, data: Path) -> None:
    status, wrong = examined(run)
    assert status == 1
    assert {"data folder", "key file", "catalogue"} <= set(wrong)
    assert not data.exists()


def test_a_wrong_setting(recorder: Run, data: Path) -> None:
    (data / "onvifd.toml").write_text("[network]\nhttp_port = 99999\n")
    status, wrong = examined(recorder)
    assert status == 1
    assert "network.http_port" in wrong["settings"]


def test_open_folders_and_keys(recorder: Run, data: Path) -> None:
    data.chmod(0o755)
    (data / "onvifd.key").chmod(0o644)
    (data / "catalogue.sqlite3").chmod(0o644)
    status, wrong = examined(recorder)
    assert status == 1
    assert set(wrong) == {"data folder", "key file", "database"}


def test_a_key_that_does_not_fit(recorder: Run, data: Path) -> None:
    (data / "onvifd.key").unlink()
    create_key(data / "onvifd.key")
    status, wrong = examined(recorder)
    assert status == 1
    assert "admin" in wrong["accounts"]


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("UPDATE alembic_version SET version_num = '0000'", "catalogue"),
        ("DELETE FROM accounts", "accounts"),
    ],
)
def test_a_damaged_catalogue(recorder: Run, data: Path, statement: str, subject: str) -> None:
    with closing(sqlite3.connect(data / "catalogue.sqlite3")) as connection:
        connection.execute(statement)
        connection.commit()
    status, wrong = examined(recorder)
    assert status == 1
    assert set(wrong) == {subject}


def test_a_file_that_is_no_database(recorder: Run, data: Path) -> None:
    for path in data.glob("catalogue.sqlite3*"):
        path.unlink()
    (data / "catalogue.sqlite3").write_bytes(b"garbage " * 1000)
    status, wrong = examined(recorder)
    assert status == 1
    assert "catalogue" in wrong


@pytest.mark.covers("STO-16")
def test_files_and_index_that_disagree(recorder: Run, data: Path) -> None:
    catalogue = Catalogue.open(f"sqlite:///{data}/catalogue.sqlite3")
    catalogue.segments.insert(
        SegmentRow(recording="rec-x", volume="vol-1", path="gone.mp4", start=0, end=1, size=9, state="closed")
    )
    catalogue.close()
    status, wrong = examined(recorder)
    assert status == 1
    assert "gone.mp4: missing file" in wrong["volume vol-1"]
    assert "rec-x" in wrong["recordings"]
    assert set(examined(recorder, "--no-files")[1]) == {"recordings"}


@pytest.mark.covers("STO-16")
def test_a_volume_that_is_not_there(recorder: Run, data: Path) -> None:
    (data / "volume").rmdir()
    status, wrong = examined(recorder)
    assert status == 1
    assert "not a folder" in wrong["volume vol-1"]
