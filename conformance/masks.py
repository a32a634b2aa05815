"""Secrets do not reach the log."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

HIDDEN = "***"
_ELEMENT = re.compile(
    r"(<(?:[\w.-]+:)?(?:Password|Passphrase|PreSharedKey|passphrase|ArchivePassword|EncryptionPassphrase)\b[^>/]*>)[^<]*(</)",
)
_HEADER = re.compile(r"(?im)^((?:proxy-)?authorization\s*:\s*)(.*)$")
_PROOF = re.compile(r'(\b(?:response|nextnonce|rspauth)=")[^"]*(")')
_USERINFO = re.compile(r"(\b\w+://[^\s/@:<>\"]+:)[^\s/@<>\"]+(@)")
MAX_TEXT = 100_000
"""Characters of a request or answer that are kept."""


@dataclass(slots=True)
class Masks:
    """Replaces known secrets and everything that looks like one."""

    secrets: set[str] = field(default_factory=set)

    def add(self, *secrets: str) -> None:
        """Shorter words would mask innocent text."""
        self.secrets.update(secret for secret in secrets if len(secret) >= 4)

    def __call__(self, value: str | bytes) -> str:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if len(text) > MAX_TEXT:
            text = f"{text[:MAX_TEXT]}\n... {len(text) - MAX_TEXT} characters more"
        text = _ELEMENT.sub(rf"\g<1>{HIDDEN}\g<2>", text)
        text = _HEADER.sub(lambda found: found[1] + _PROOF.sub(rf"\g<1>{HIDDEN}\g<2>", _basic(found[2])), text)
        text = _USERINFO.sub(rf"\g<1>{HIDDEN}\g<2>", text)
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text


def _basic(value: str) -> str:
    return value if value.lower().startswith("digest") else f"{value.partition(' ')[0]} {HIDDEN}"
