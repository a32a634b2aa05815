"""Writing to files."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from onvifd.archive import disk


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def write(file: Path, parts: Sequence[bytes], offset: int = 0) -> bytes:
    fd = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        disk._write(fd, parts, offset)
    finally:
        os.close(fd)
    return file.read_bytes()


def test_parts_lie_behind_each_other(file: Path) -> None:
    assert write(file, [b"abc", b"", b"d", b"efgh"], 2) == b"\0\0abcdefgh"


def test_more_parts_than_one_call_takes(file: Path) -> None:
    parts = [bytes((number % 256,)) * (number % 7) for number in range(5000)]
    assert write(file, parts) == b"".join(parts)


@pytest.mark.parametrize("most", [1, 3, 4, 7, 100])
def test_a_disk_that_takes_a_part_of_it(file: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def some(fd: int, parts: Sequence[bytes], offset: int, flags: int = 0) -> int:
        return os.pwrite(fd, b"".join(parts)[:most], offset)

    monkeypatch.setattr(os, "pwritev", some)
    parts = [b"abcd", b"", b"efg", b"h", b"ijklmnopq", b""]
    assert write(file, parts) == b"abcdefghijklmnopq"


def test_what_is_written_is_synced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same call, or behind it where that took not all or knows no such flag."""
    synced: list[str] = []
    real = os.pwritev

    def whole(fd: int, parts: Sequence[bytes], offset: int, flags: int = 0) -> int:
        assert flags == os.RWF_DSYNC
        synced.append("write")
        return real(fd, parts, offset, flags)

    def part(fd: int, parts: Sequence[bytes], offset: int, flags: int = 0) -> int:
        return os.pwrite(fd, b"".join(parts)[:2], offset)

    def unknown(fd: int, parts: Sequence[bytes], offset: int, flags: int = 0) -> int:
        if flags:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(fd, parts, offset)

    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append("sync"))
    for function, expected in ((whole, "write"), (part, "sync"), (unknown, "sync")):
        monkeypatch.setattr(os, "pwritev", function)
        assert write(file, [b"abcd", b"efg"]) == b"abcdefg"
        assert synced == [expected]
        synced.clear()


def test_a_disk_that_fails_while_it_syncs_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int, parts: Sequence[bytes], offset: int, flags: int = 0) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pwritev", broken)
    with pytest.raises(OSError, match="error"):
        write(file, [b"abcd"])
