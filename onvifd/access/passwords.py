"""Rules for names and passwords of accounts. There are no default accounts and no default passwords."""

from __future__ import annotations

import secrets
import string
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from onvifd.access.types import Level
from onvifd.errors import Prohibited

MIN_NAME = 1
MAX_NAME = 32
"""Characters of an account's name (tds:Capabilities Security/MaxUserNameLength)."""
MIN_PASSWORD = 8
MAX_PASSWORD = 32
"""Characters of a password (tds: MaxPasswordLength); 28 is what Core 8.4.4 recommends to support."""
MIN_CLASSES = 2
MAX_RUN = 3
"""Longest run like 123, cba or aaa. ONVIF's own test cases set the password OnvifTest123 (DEVICE-4-1-3), so three are let pass."""

_NO_NAME = frozenset(':"\\<>&')
"""`:` separates name and realm in digests (RFC 7616 3.4.2); the others are mangled by too many clients."""

_NO_PASSWORD = frozenset("'\";:& ")
"""They end a password early in RTSP addresses, in the SOAP of careless clients and in the shell, and are lost in forms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """What a password must have beyond the rules that always hold (Core 8.5.2)."""

    min_length: int = MIN_PASSWORD
    uppercase: int = 0
    number: int = 0
    special: int = 0
    block_username: bool = False


BASIC = Complexity()


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


def check_password(password: str, name: str, *, weak: str, rules: Complexity = BASIC) -> None:
    """Raises Prohibited with `PasswordTooLong`, or with the detail `weak` (CreateUsers and SetUser name it differently)."""
    if len(password) > MAX_PASSWORD:
        raise Prohibited(f"the password is longer than {MAX_PASSWORD} characters", detail="PasswordTooLong")
    reason = weakness(password, name, rules)
    if reason is not None:
        raise Prohibited(reason, detail=weak)


def weakness(password: str, name: str, rules: Complexity = BASIC) -> str | None:
    """Why a password is refused, or None if it is good enough."""
    if len(password) < rules.min_length:
        return f"the password is shorter than {rules.min_length} characters"
    if any(unicodedata.category(one)[0] == "C" for one in password):
        return "the password has control characters"
    if any(one in _NO_PASSWORD or one.isspace() for one in password):
        return "the password has a space or one of ' \" ; : &"
    counts = _classes(password)
    if sum(1 for count in counts if count) < MIN_CLASSES:
        return f"the password needs {MIN_CLASSES} of: lower case, upper case, digits, other characters"
    folded, owner = password.casefold(), name.casefold()
    if folded in (owner, owner[::-1]):
        return "the password is the user name"
    if rules.block_username and owner and owner in folded:
        return "the password contains the user name"
    if _longest_run(folded) > MAX_RUN:
        return f"the password has a run of more than {MAX_RUN} characters, like 1234 or aaaa"
    _, upper, digits, special = counts
    for count, wanted, what in (
        (upper, rules.uppercase, "upper-case letters"),
        (digits, rules.number, "digits"),
        (special, rules.special, "characters that are neither letter nor digit"),
    ):
        if count < wanted:
            return f"the password needs {wanted} {what}"
    return None


def _classes(password: str) -> tuple[int, int, int, int]:
    """How many lower-case and upper-case letters, digits and other characters there are."""
    return (
        sum(one.islower() for one in password),
        sum(one.isupper() for one in password),
        sum(one.isdigit() for one in password),
        sum(not one.isalnum() for one in password),
    )


def _longest_run(text: str) -> int:
    """Length of the longest run of letters or digits that repeat, rise by one or fall by one."""
    longest = 0
    for step in (0, 1, -1):
        length = 1
        for before, after in pairwise(text):
            same_kind = (before.isdigit() and after.isdigit()) or (before.isalpha() and after.isalpha())
            regular = ord(after) - ord(before) == step and (same_kind or step == 0)
            length = length + 1 if regular else 1
            longest = max(longest, length)
    return longest


def generate_password() -> str:
    """16 characters without those that are easily mistaken for each other: about 91 bits."""
    alphabet = "".join(one for one in string.ascii_letters + string.digits if one not in "Il1O0o")
    while True:
        password = "".join(secrets.choice(alphabet) for _ in range(16))
        if weakness(password, "") is None:
            return password
