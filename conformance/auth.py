"""HTTP Digest (RFC 7616) and UsernameToken (WSS UsernameToken Profile 1.0), from the client's side."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from conformance.names import NS

_PARAMETER = re.compile(r'([a-zA-Z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
PASSWORD_DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One Digest challenge of a 401."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str = ""
    opaque: str | None = None
    stale: bool = False

    @property
    def known(self) -> bool:
        return self.algorithm.upper().removesuffix("-SESS") in _HASHES


def read_challenges(headers: Iterable[str]) -> list[Challenge]:
    """The Digest challenges in values of WWW-Authenticate."""
    found = []
    for value in headers:
        for piece in re.split(r"(?i)\bdigest\s+", value)[1:]:
            fields = {key.lower(): quoted or bare for key, quoted, bare in _PARAMETER.findall(piece)}
            if "nonce" in fields and "realm" in fields:
                found.append(
                    Challenge(
                        fields["realm"],
                        fields["nonce"],
                        fields.get("algorithm", "MD5"),
                        fields.get("qop", ""),
                        fields.get("opaque"),
                        fields.get("stale", "").lower() == "true",
                    )
                )
    return found


@dataclass(slots=True)
class Digest:
    """Answers one challenge as often as needed, with a rising nonce count."""

    user: str
    password: str = field(repr=False)
    challenge: Challenge = field(default_factory=lambda: Challenge("", ""))
    count: int = 0

    def authorize(self, method: str, uri: str) -> str:
        """Value of the Authorization header."""
        given = self.challenge
        name = given.algorithm.upper()
        make = _HASHES[name.removesuffix("-SESS")]

        def digest(text: str) -> str:
            return make(text.encode()).hexdigest()

        self.count += 1
        cnonce, nc = secrets.token_hex(8), f"{self.count:08x}"
        ha1 = digest(f"{self.user}:{given.realm}:{self.password}")
        if name.endswith("-SESS"):
            ha1 = digest(f"{ha1}:{given.nonce}:{cnonce}")
        ha2 = digest(f"{method}:{uri}")
        fields = [f'username="{_quote(self.user)}"', f'realm="{given.realm}"', f'nonce="{given.nonce}"', f'uri="{uri}"']
        fields.append(f"algorithm={given.algorithm}")
        if "auth" in [each.strip() for each in given.qop.split(",")]:
            response = digest(f"{ha1}:{given.nonce}:{nc}:{cnonce}:auth:{ha2}")
            fields += ["qop=auth", f"nc={nc}", f'cnonce="{cnonce}"']
        else:
            response = digest(f"{ha1}:{given.nonce}:{ha2}")
        if given.opaque is not None:
            fields.append(f'opaque="{given.opaque}"')
        fields.append(f'response="{response}"')
        return "Digest " + ", ".join(fields)


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def username_token(
    user: str,
    password: str,
    *,
    now: datetime | None = None,
    offset: float = 0.0,
    nonce: bytes | None = None,
    digest: str | None = None,
    created: str | None = None,
) -> str:
    """The wsse:Security header element. `digest` and `created` let a case send wrong ones."""
    nonce = secrets.token_bytes(16) if nonce is None else nonce
    if created is None:
        moment = (now or datetime.now(UTC)) + timedelta(seconds=offset)
        created = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    if digest is None:
        proof = hashlib.sha1(nonce + created.encode() + password.encode(), usedforsecurity=False).digest()
        digest = base64.b64encode(proof).decode()
    return (
        f'<wsse:Security xmlns:wsse="{NS["wsse"]}" xmlns:wsu="{NS["wsu"]}" env:mustUnderstand="true">'
        f"<wsse:UsernameToken><wsse:Username>{escape(user)}</wsse:Username>"
        f'<wsse:Password Type="{PASSWORD_DIGEST}">{digest}</wsse:Password>'
        f"<wsse:Nonce>{base64.b64encode(nonce).decode()}</wsse:Nonce>"
        f"<wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>"
    )
