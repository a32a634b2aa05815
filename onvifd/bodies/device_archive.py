"""A recorder's configuration as one encrypted file: catalogue, keys, certificates (Core 8.3.3 to 8.3.5).

The file is a line that says how it is encrypted, then AES-256-GCM of a zip archive. The key is made from a password
(argon2id) or from the recorder's own key file; what was encrypted with the latter can be restored only where it was made.
A restore is staged: the archive is checked and laid ready, and taken over at the next start, before anything else runs.
"""

from __future__ import annotations

import io
import json
import logging
import os
import secrets
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from onvifd.access.keyfile import SecretBox
from onvifd.access.private_files import write_private
from onvifd.clock import isoformat
from onvifd.errors import InvalidArgument, Unavailable
from onvifd.store.configuration import Configuration
from onvifd.store.settings import Settings

log = logging.getLogger(__name__)

MAGIC = b"onvifd-backup 1 "
MAX_ARCHIVE = 32 << 20
"""Octets of an archive that is accepted."""
MAX_CONTENT = 128 << 20
"""Octets of what is in it, unpacked."""
PENDING = "restore"
"""Folder in the data folder that holds a configuration to take over at the next start."""
PASSWORD_SETTING = "backup.password"
MIN_PASSWORD = 8
_PASSWORD_CONTEXT = "backup"
_COMPLETE = "complete"
_MANIFEST, _CATALOGUE = "manifest.json", "catalogue.sqlite3"
_ARGON = {"time_cost": 3, "memory_cost": 65_536, "parallelism": 1}
_MAX_HEAD = 512


@dataclass(frozen=True, slots=True)
class Premises:
    """Where the files of a recorder are. `files` are those that belong to the configuration, relative to `data`."""

    data: Path
    key_file: Path
    folders: tuple[str, ...] = ("tls",)

    def files(self) -> Iterable[Path]:
        yield self.key_file
        for name in self.folders:
            yield from sorted(path for path in (self.data / name).glob("*") if path.is_file() and not path.is_symlink())


# ---- encryption -------------------------------------------------------------------------------------


def seal(content: bytes, *, password: str | None, key: bytes) -> bytes:
    """Encrypt with a password, or with the recorder's own key where there is none."""
    salt = secrets.token_bytes(16)
    head = {"by": "password" if password else "key", "salt": salt.hex()}
    line = MAGIC + json.dumps(head).encode() + b"\n"
    nonce = secrets.token_bytes(12)
    return line + nonce + AESGCM(_derive(salt, password, key)).encrypt(nonce, content, line)


def unseal(archive: bytes, *, password: str | None, key: bytes) -> bytes:
    """Decrypt. Raises InvalidArgument (InvalidBackupFile)."""
    line, by_password, salt = _head(archive)
    if by_password and not password:
        raise _invalid("the backup is encrypted with a password, and this recorder has none set")
    rest = archive[len(line) :]
    try:
        cipher = AESGCM(_derive(salt, password if by_password else None, key))
        return cipher.decrypt(rest[:12], rest[12:], line)
    except (InvalidTag, ValueError) as error:
        what = "password" if by_password else "key of this recorder"
        raise _invalid(f"the {what} does not open the backup, or it is damaged") from error


def sealed_by_password(archive: bytes) -> bool:
    """Whether a password opens an archive. Raises InvalidArgument (InvalidBackupFile)."""
    return _head(archive)[1]


def _head(archive: bytes) -> tuple[bytes, bool, bytes]:
    """The first line, whether a password was used, and the salt."""
    line, newline, _ = archive[:_MAX_HEAD].partition(b"\n")
    if not newline or not line.startswith(MAGIC):
        raise _invalid("this is no backup of this recorder's kind")
    try:
        head = json.loads(line[len(MAGIC) :])
        return line + b"\n", {"password": True, "key": False}[head["by"]], bytes.fromhex(head["salt"])
    except (ValueError, KeyError, TypeError) as error:
        raise _invalid("the head of the backup cannot be read") from error


def _derive(salt: bytes, password: str | None, key: bytes) -> bytes:
    if password:
        return hash_secret_raw(password.encode(), salt, hash_len=32, type=Type.ID, **_ARGON)
    return HKDF(SHA256(), 32, salt, b"onvifd backup").derive(key)


def _invalid(reason: str) -> InvalidArgument:
    return InvalidArgument(reason[0].upper() + reason[1:] + ".", detail="InvalidBackupFile")


def password_of(settings: Settings, box: SecretBox) -> str | None:
    """The password of backups, if one is set. Blocks."""
    sealed = settings.get(PASSWORD_SETTING)
    return None if sealed is None else box.open(bytes.fromhex(sealed), _PASSWORD_CONTEXT)


def set_password(settings: Settings, box: SecretBox, password: str | None) -> None:
    """The password of backups from now on; None for the recorder's own key. Raises InvalidArgument. Blocks."""
    if password is None:
        settings.remove(PASSWORD_SETTING)
        return
    if len(password) < MIN_PASSWORD:
        raise InvalidArgument(f"The password of backups has at least {MIN_PASSWORD} characters.")
    settings.put(PASSWORD_SETTING, box.seal(password, _PASSWORD_CONTEXT).hex())


# ---- making -----------------------------------------------------------------------------------------


def make(configuration: Configuration, premises: Premises, *, version: str, now: int) -> bytes:
    """The configuration as a zip archive, not yet encrypted. Blocks. Raises Unavailable."""
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=premises.data) as temporary:
        copy = Path(temporary) / _CATALOGUE
        configuration.copy_to(copy)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_MANIFEST, json.dumps({"version": version, "made": isoformat(now)}))
            archive.write(copy, _CATALOGUE)
            try:
                for path in premises.files():
                    archive.writestr(f"files/{_name(path, premises)}", path.read_bytes())
            except OSError as error:
                raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    return content.getvalue()


def _name(path: Path, premises: Premises) -> str:
    return "key" if path == premises.key_file else path.relative_to(premises.data).as_posix()


# ---- restoring --------------------------------------------------------------------------------------


def stage(content: bytes, premises: Premises) -> None:
    """Check a decrypted archive and lay it ready for the next start. Raises InvalidArgument (InvalidBackupFile). Blocks."""
    folder = Path(tempfile.mkdtemp(prefix=".restore-", dir=premises.data))
    try:
        _unpack(content, folder, premises)
        Configuration.check(folder / _CATALOGUE)
        write_private(folder / _COMPLETE, b"")
        target = premises.data / PENDING
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)
    except (sqlite3.DatabaseError, zipfile.BadZipFile, EOFError, ValueError, KeyError) as error:
        raise _invalid("the archive is damaged") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(content: bytes, folder: Path, premises: Premises) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        if sum(item.file_size for item in archive.infolist()) > MAX_CONTENT:
            raise _invalid("the archive is too large")
        if not {_MANIFEST, _CATALOGUE, "files/key"} <= set(names):
            raise _invalid("the archive is not complete")
        write_private(folder / _CATALOGUE, archive.read(_CATALOGUE))
        for name in names:
            if name.startswith("files/"):
                own = name.removeprefix("files/")
                parts = own.split("/")
                # Only names that a backup has: nothing may be written elsewhere.
                if own != "key" and (
                    len(parts) != 2 or parts[0] not in premises.folders or parts[1] in ("", ".", "..")
                ):
                    raise _invalid("the archive holds a file of an unknown name")
                target = folder / "files" / own
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_private(target, archive.read(name))


def take_over(configuration: Configuration, premises: Premises) -> bool:
    """Take over what `stage` laid ready; true if there was something. Blocks. May be interrupted and done again."""
    folder = premises.data / PENDING
    if not (folder / _COMPLETE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        return False
    configuration.copy_from(folder / _CATALOGUE)
    for path in sorted((folder / "files").rglob("*")):
        if path.is_file():
            own = path.relative_to(folder / "files").as_posix()
            target = premises.key_file if own == "key" else premises.data / own
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(target, path.read_bytes())
    (folder / _COMPLETE).unlink()
    shutil.rmtree(folder, ignore_errors=True)
    log.warning("the configuration of a backup was taken over")
    return True


def key_of(premises: Premises) -> bytes:
    """The octets of the recorder's own key. Raises Unavailable."""
    try:
        return premises.key_file.read_bytes()
    except OSError as error:
        raise Unavailable(f"the key file cannot be read: {os.strerror(error.errno or 0)}") from error
