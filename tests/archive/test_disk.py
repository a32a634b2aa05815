"""Writing to files."""

from __future__ import annotations

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
    def some(fd: int, parts: Sequence[bytes], offset: int) -> int:
        return os.pwrite(fd, b"".join(parts)[:most], offset)

    monkeypatch.setattr(os, "pwritev", some)
    parts = [b"abcd", b"", b"efg", b"h", b"ijklmnopq", b""]
    assert write(file, parts) == b"abcdefghijklmnopq"
