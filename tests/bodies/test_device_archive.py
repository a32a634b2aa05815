"""Backups: encrypted, whole, and taken over at the next start."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from onvifd.access.keyfile import create_key
from onvifd.bodies.device_archive import PENDING, Premises, key_of, make, seal, stage, take_over, unseal
from onvifd.errors import InvalidArgument
from onvifd.store.catalogue import Catalogue

KEY = b"k" * 32


class Home:
    """A data folder with a catalogue, a key and a certificate."""

    def __init__(self, data: Path) -> None:
        data.mkdir()
        self.premises = Premises(data, data / "onvifd.key")
        create_key(self.premises.key_file)
        (data / "tls").mkdir()
        (data / "tls" / "server.key").write_text(f"of {data.name}")
        self.catalogue = Catalogue.open(f"sqlite:///{data / 'catalogue.sqlite3'}", migrate=True)

    def make(self) -> bytes:
        return make(self.catalogue.configuration, self.premises, version="1", now=0)


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[tuple[Home, Home]]:
    made = Home(tmp_path / "one"), Home(tmp_path / "two")
    yield made
    for home in made:
        home.catalogue.close()


def refused(caught: pytest.ExceptionInfo[InvalidArgument]) -> bool:
    return caught.value.detail == "InvalidBackupFile"


def test_only_the_password_opens_what_a_password_sealed() -> None:
    archive = seal(b"content", password="long enough", key=KEY)
    assert b"content" not in archive
    assert unseal(archive, password="long enough", key=b"other" * 6) == b"content"
    for password in ("wrong", None):
        with pytest.raises(InvalidArgument) as caught:
            unseal(archive, password=password, key=KEY)
        assert refused(caught)
    assert unseal(seal(b"content", password=None, key=KEY), password="any", key=KEY) == b"content"


@pytest.mark.parametrize("where", [3, 20, 60, 90, -1])
def test_a_changed_archive_is_refused(where: int) -> None:
    archive = bytearray(seal(b"content" * 10, password=None, key=KEY))
    archive[where] ^= 1
    with pytest.raises(InvalidArgument) as caught:
        unseal(bytes(archive), password=None, key=KEY)
    assert refused(caught)


@pytest.mark.parametrize(
    "noise", [b"", b"noise", b"onvifd-backup 1 \n", b"onvifd-backup 1 {}\n", b"onvifd-backup 1 [1]\nx"]
)
def test_noise_is_no_archive(noise: bytes) -> None:
    with pytest.raises(InvalidArgument) as caught:
        unseal(noise, password=None, key=KEY)
    assert refused(caught)


def test_a_backup_makes_another_recorder_the_same(homes: tuple[Home, Home]) -> None:
    one, two = homes
    one.catalogue.device.put({"scopes": '["a"]'})
    one.catalogue.settings.put("device.uuid", "one")
    stage(one.make(), two.premises)
    pending = two.premises.data / PENDING
    assert all(path.stat().st_mode & 0o077 == 0 for path in pending.rglob("*"))
    assert two.catalogue.device.all() == {}
    assert take_over(two.catalogue.configuration, two.premises)
    assert two.catalogue.device.all() == {"scopes": '["a"]'}
    assert two.catalogue.settings.get("device.uuid") == "one"
    assert key_of(two.premises) == key_of(one.premises)
    assert (two.premises.data / "tls" / "server.key").read_text() == "of one"
    assert not pending.exists()
    assert not take_over(two.catalogue.configuration, two.premises)


def test_a_take_over_that_was_interrupted_is_done_again(
    homes: tuple[Home, Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = homes
    stage(one.make(), two.premises)

    def cut(path: Path, data: bytes) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("onvifd.bodies.device_archive.write_private", cut)
        with pytest.raises(OSError, match="power cut"):
            take_over(two.catalogue.configuration, two.premises)
    assert take_over(two.catalogue.configuration, two.premises)
    assert key_of(two.premises) == key_of(one.premises)


def test_what_was_not_laid_ready_whole_is_dropped(homes: tuple[Home, Home]) -> None:
    _, two = homes
    (two.premises.data / PENDING).mkdir()
    assert not take_over(two.catalogue.configuration, two.premises)
    assert not (two.premises.data / PENDING).exists()


@pytest.mark.parametrize(
    "name", ["files/../escape", "files/tls/../../escape", "files/other/x", "files/tls/a/b", "files/tls/.."]
)
def test_files_of_other_names_are_refused(homes: tuple[Home, Home], name: str) -> None:
    one, two = homes
    content = io.BytesIO(one.make())
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(InvalidArgument) as caught:
        stage(content.getvalue(), two.premises)
    assert refused(caught)
    assert not list(two.premises.data.glob("**/escape"))
    assert not (two.premises.data / PENDING).exists()


def test_archives_that_are_incomplete_or_damaged(homes: tuple[Home, Home]) -> None:
    one, two = homes
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("manifest.json", "{}")
    broken = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(one.make())) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"noise" * 500 if name == "catalogue.sqlite3" else source.read(name))
    for content in (empty.getvalue(), broken.getvalue(), b"no zip"):
        with pytest.raises(InvalidArgument) as caught:
            stage(content, two.premises)
        assert refused(caught)
