"""The key that encrypts stored passwords, and the box it opens.

UsernameToken and camera logins need passwords in clear, so they are stored encrypted (AES-256-GCM). The key lies in a file
of its own, apart from the database: a copy of the database alone tells no password.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from onvifd.errors import Conflict, Unavailable

KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = b"\x01"
"""First byte of everything encrypted: AES-256-GCM with a random nonce of 96 bits in front."""


class SecretBox:
    """Encrypts and decrypts short texts. What was encrypted in one context cannot be opened in another."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, text: str, context: str) -> bytes:
        """Encrypt; `context` names the owner, for example `account:admin`."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), context.encode())

    def open(self, sealed: bytes, context: str) -> str:
        """Decrypt. Raises Unavailable if the key is another one or the data was changed."""
        if sealed[:1] != VERSION:
            raise Unavailable("a stored password is of an unknown form")
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, context.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise Unavailable("a stored password does not fit the key file") from error


def create_key(path: Path) -> SecretBox:
    """Make a key file of mode 0600, whole or not at all. Raises Conflict if there is one, else Unavailable."""
    key = secrets.token_bytes(KEY_BYTES)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            # A link, unlike a rename, fails if the name is taken: a key in use is never lost.
            os.link(draft, path)
        finally:
            draft.unlink()
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise Conflict(f"key file {path} exists already") from error
    except OSError as error:
        raise Unavailable(f"key file {path} cannot be made: {error.strerror}") from error
    return SecretBox(key)


def load_key(path: Path) -> SecretBox:
    """Read a key file. Raises Unavailable if it is missing, readable by others, or no key."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise Unavailable(f"key file {path} cannot be read: {error.strerror}; run onvifd init") from error
    if mode & 0o077:
        raise Unavailable(f"key file {path} is open to others (mode {mode:04o}); make it 0600")
    if len(key) != KEY_BYTES:
        raise Unavailable(f"key file {path} does not hold a key of {KEY_BYTES} bytes")
    return SecretBox(key)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
