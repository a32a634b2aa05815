"""The key file and what it encrypts."""

from __future__ import annotations

from pathlib import Path

import pytest

from onvifd.access.keyfile import SecretBox, create_key, load_key
from onvifd.errors import Conflict, Unavailable


def test_a_new_key_is_private_and_opens_what_it_sealed(tmp_path: Path) -> None:
    path = tmp_path / "key"
    sealed = create_key(path).seal("sécret", "account:a")
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path).open(sealed, "account:a") == "sécret"
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_key(path)
    before = path.read_bytes()
    with pytest.raises(Conflict):
        create_key(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_what_was_sealed_for_one_owner_does_not_open_for_another() -> None:
    box = SecretBox(bytes(32))
    sealed = box.seal("secret", "account:a")
    assert b"secret" not in sealed
    assert sealed != box.seal("secret", "account:a")
    with pytest.raises(Unavailable):
        box.open(sealed, "account:b")
    with pytest.raises(Unavailable):
        SecretBox(b"\1" * 32).open(sealed, "account:a")
    for damaged in (sealed[:-1], b"\x02" + sealed[1:], b"", sealed[:5]):
        with pytest.raises(Unavailable):
            box.open(damaged, "account:a")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_key(path)
    path.chmod(0o640)
    with pytest.raises(Unavailable, match="0640"):
        load_key(path)


def test_a_missing_or_cut_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="init"):
        load_key(tmp_path / "key")
    path = tmp_path / "key"
    create_key(path)
    path.write_bytes(b"short")
    with pytest.raises(Unavailable, match="32"):
        load_key(path)
    with pytest.raises(Unavailable):
        create_key(tmp_path / "no" / "key")
