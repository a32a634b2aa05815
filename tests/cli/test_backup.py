"""`onvifd backup`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from onvifd.bodies.device_archive import PENDING, Premises, take_over
from onvifd.store.catalogue import Catalogue


def taken_over(data: Path) -> list[str]:
    """What the recorder does at its start; gives the accounts that there are then."""
    catalogue = Catalogue.open(f"sqlite:///{data / 'catalogue.sqlite3'}", migrate=True)
    try:
        assert take_over(catalogue.configuration, Premises(data, data / "onvifd.key"))
        return [row.name for row in catalogue.accounts.all()]
    finally:
        catalogue.close()


@pytest.mark.covers("BAK-11", "MNT-11", "P259")
def test_a_backup_with_a_password_moves_to_a_new_folder(recorder: Callable[..., Result], tmp_path: Path) -> None:
    assert recorder("user", "add", "vms", ONVIFD_USER_PASSWORD="vms-pass-1").exit_code == 0
    assert recorder("backup", "password", ONVIFD_BACKUP_PASSWORD="short").exit_code == 1
    assert recorder("backup", "password", ONVIFD_BACKUP_PASSWORD="long-enough").exit_code == 0
    file = tmp_path / "it.backup"
    assert "password" in recorder("backup", "create", str(file)).output
    assert file.stat().st_mode & 0o077 == 0
    assert b"vms-pass-1" not in file.read_bytes()
    data = tmp_path / "data"
    shutil.rmtree(data)
    wrong = recorder("backup", "restore", str(file), ONVIFD_BACKUP_PASSWORD="something-else")
    assert (wrong.exit_code, "does not open" in wrong.output) == (1, True)
    assert recorder("backup", "restore", "--password-stdin", str(file), stdin="long-enough\n").exit_code == 0
    assert (data / PENDING).is_dir()
    assert taken_over(data) == ["admin", "vms"]
    assert recorder("backup", "password", "--clear").exit_code == 0


def test_without_a_password_the_own_key_is_needed(recorder: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "it.backup"
    assert "key of this recorder" in recorder("backup", "create", str(file)).output
    assert recorder("user", "add", "later", ONVIFD_USER_PASSWORD="vms-pass-1").exit_code == 0
    assert recorder("backup", "restore", str(file)).exit_code == 0
    assert taken_over(tmp_path / "data") == ["admin"]
    shutil.rmtree(tmp_path / "data")
    assert recorder("backup", "restore", str(file)).exit_code == 1
