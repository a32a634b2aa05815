"""Rules for names and passwords of accounts. There are no default accounts and no default passwords."""

from __future__ import annotations

import secrets
import string
import unicodedata

from onvifd.access.types import Level
from onvifd.errors import Prohibited

MIN_NAME = 1
MAX_NAME = 32
"""Characters of an account's name (tds:Capabilities Security/MaxUserNameLength)."""
MIN_PASSWORD = 8
MAX_PASSWORD = 32
"""Characters of a password (tds: MaxPasswordLength); 28 is what Core 8.4.4 recommends to support."""
MIN_CLASSES = 2

_NO_NAME = frozenset(':"\\<>&')
"""`:` separates name and realm in digests (RFC 7616 3.4.2); the others are mangled by too many clients."""


def check_name(name: str) -> None:
    """Raises Prohibited with the detail that CreateUsers names (Core 8.4.4)."""
    if len(name) < MIN_NAME:
        raise Prohibited("the user name is empty", detail="UsernameTooShort")
    if len(name) > MAX_NAME:
        raise Prohibited(f"the user name is longer than {MAX_NAME} characters", detail="UsernameTooLong")
    if name != name.strip() or any(one in _NO_NAME or unicodedata.category(one)[0] == "C" for one in name):
        # Core has no code for a name with forbidden characters; the subcode alone says it.
        raise Prohibited("the user name has characters that are not allowed")


def check_level(level: Level) -> None:
    """Anonymous is what callers without an account are; no account can have it (Core 8.4.4)."""
    if level is Level.ANONYMOUS:
        raise Prohibited("accounts of level Anonymous are not allowed", detail="AnonymousNotAllowed")


def check_password(password: str, name: str, *, weak: str) -> None:
    """Raises Prohibited with `PasswordTooLong`, or with the detail `weak` (CreateUsers and SetUser name it differently)."""
    if len(password) > MAX_PASSWORD:
        raise Prohibited(f"the password is longer than {MAX_PASSWORD} characters", detail="PasswordTooLong")
    reason = weakness(password, name)
    if reason is not None:
        raise Prohibited(reason, detail=weak)


def weakness(password: str, name: str) -> str | None:
    """Why a password is refused, or None if it is good enough."""
    if len(password) < MIN_PASSWORD:
        return f"the password is shorter than {MIN_PASSWORD} characters"
    if any(unicodedata.category(one)[0] == "C" for one in password):
        return "the password has control characters"
    if sum(_classes(password)) < MIN_CLASSES:
        return f"the password needs {MIN_CLASSES} of: lower case, upper case, digits, other characters"
    if password.casefold() in (name.casefold(), name.casefold()[::-1]):
        return "the password is the user name"
    return None


def _classes(password: str) -> tuple[bool, bool, bool, bool]:
    return (
        any(one.islower() for one in password),
        any(one.isupper() for one in password),
        any(one.isdigit() for one in password),
        any(not one.isalnum() for one in password),
    )


def generate_password() -> str:
    """16 characters without those that are easily mistaken for each other: about 91 bits."""
    alphabet = "".join(one for one in string.ascii_letters + string.digits if one not in "Il1O0o")
    while True:
        password = "".join(secrets.choice(alphabet) for _ in range(16))
        if weakness(password, "") is None:
            return password
