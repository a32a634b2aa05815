"""One look says whether a volume is there, which it is, and whether it takes data."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from onvifd.archive.marker import MARKER, Marker, is_marked, new_marker, read_marker, write_marker
from onvifd.errors import InvalidArgument
from onvifd.volumes import look as looking
from onvifd.volumes.look import erase, footage, is_empty, look
from onvifd.volumes.model import Access, VolumeState

UUID = "6f1b2c1e-0000-4000-8000-000000000001"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "volume"
    made.mkdir()
    write_marker(made, Marker(UUID))
    return made


def seen(root: Path, uuid: str = UUID, access: Access = Access.READ_WRITE, *, probe: bool = True) -> tuple[str, str]:
    found = look(root, uuid, access, probe=probe)
    return found.state.value, found.reason


@pytest.mark.covers("STO-03", "STO-19", "A043")
def test_a_volume_that_is_well_is_left_as_it_was(root: Path) -> None:
    found = look(root, UUID, Access.READ_WRITE, probe=True)
    assert (found.state, found.reason) == (VolumeState.OK, "")
    info = os.statvfs(root)
    assert found.total == info.f_blocks * info.f_frsize
    assert found.device == f"{os.major(root.stat().st_dev)}:{os.minor(root.stat().st_dev)}"
    assert [path.name for path in root.iterdir()] == [MARKER]


def test_a_folder_is_tried_where_files_must_have_names(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking.os, "O_TMPFILE", 0)
    assert seen(root) == ("ok", "")
    assert [path.name for path in root.iterdir()] == [MARKER]


@pytest.mark.covers("A043", "P132", "P212", "P213", "P214", "ALM-23")
def test_what_is_wrong_is_said(root: Path, tmp_path: Path) -> None:
    assert seen(tmp_path / "nowhere") == ("missing", "it is not there")
    assert seen(root / MARKER) == ("missing", "it is not a folder")
    assert seen(root, UUID.replace("1", "2")) == ("missing", "another volume is in its place")
    (root / MARKER).unlink()
    assert seen(root) == ("missing", "its file system is not mounted")
    assert seen(root, "") == ("needs initialising", "it was never made a volume")


@pytest.mark.covers("ALM-23", "P212", "P213", "P214")
def test_a_disk_that_fails_is_in_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(looking.os, "fdatasync", fail)
    assert seen(root) == ("error", "Input/output error")
    assert seen(root, probe=False) == ("ok", "")
    assert seen(root, access=Access.READ_ONLY) == ("ok", "")


def test_a_full_disk_is_no_error_here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(looking.os, "fdatasync", fail)
    assert seen(root) == ("ok", "")


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"format": 1, "uuid": "x"}', b'{"format": 2}'])
def test_a_marker_that_cannot_be_read_is_an_error(root: Path, content: bytes) -> None:
    (root / MARKER).write_bytes(content)
    assert seen(root)[0] == "error"
    assert not is_marked(root, UUID)
    with pytest.raises(InvalidArgument):
        read_marker(root)


def test_a_marker_is_read_as_it_was_written(tmp_path: Path) -> None:
    marker = new_marker(1_767_225_600_000_000)
    write_marker(tmp_path, marker)
    assert read_marker(tmp_path) == marker
    assert marker.created == "2026-01-01T00:00:00Z"
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]
    assert read_marker(tmp_path / "nowhere") is None


def test_what_file_systems_put_there_themselves_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".Trash").mkdir()
    assert is_empty(tmp_path)
    (tmp_path / "films").mkdir()
    assert not is_empty(tmp_path)


@pytest.mark.covers("STO-05", "A042")
def test_only_footage_is_erased(root: Path) -> None:
    mine, film = root / "rec-1/2026-01-01/00/000010.000.mp4", root / "rec-1/2026-01-01/00/wedding.mp4"
    mine.parent.mkdir(parents=True)
    for path in (mine, film, root / "notes.txt"):
        path.write_bytes(b"x")
    other = root / "rec-2/2026-01-01/00/000010.000.mp4"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"x")
    assert list(footage(root)) == ["rec-1/2026-01-01/00/000010.000.mp4", "rec-2/2026-01-01/00/000010.000.mp4"]
    assert erase(root) == 2
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()) == [
        "notes.txt",
        "rec-1/2026-01-01/00/wedding.mp4",
    ]
    assert not (root / "rec-2").exists()
