"""HTTP and RTSP authentication: Digest (RFC 2617, RFC 7616) on both sides, Basic (RFC 7617) on the client's.

Sans-IO: header values in, header values out, and the time as `now` in seconds of one monotonic clock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import os
import re
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from onvifd.access.types import Account, CredentialLookup
from onvifd.errors import NotAuthorized, NotSupported

log = logging.getLogger(__name__)

MAX_HEADER = 4096
"""Characters of an Authorization or WWW-Authenticate header that are looked at."""

_PAIR = re.compile(r'\s*([A-Za-z0-9_*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)')
_UNKNOWN_HA1 = "0" * 32


class DigestRejected(NotAuthorized):
    """Digest credentials are missing, wrong or outdated. `stale`: only the nonce is too old (RFC 7616 3.3)."""

    def __init__(self, reason: str, *, stale: bool = False) -> None:
        super().__init__(reason, detail="stale" if stale else None)
        self.stale = stale


def parse_parameters(text: str) -> dict[str, str]:
    """The `name=value` list of a challenge or of credentials; names in lower case. Raises ValueError on anything else."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PAIR.match(text, position)
        if match is None:
            raise ValueError("malformed parameter list")
        name, quoted, token = match.groups()
        value = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if name.lower() in found:
            raise ValueError(f"{name} occurs twice")
        found[name.lower()] = value
        position = match.end()
    return found


def _quote(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _response(hashed: _Hash, ha1: str, method: str, fields: dict[str, str]) -> str:
    """`response` of RFC 7616 3.4.1; without qop that of RFC 2069."""
    ha2 = hashed(f"{method}:{fields['uri']}")
    if "qop" not in fields:
        return hashed(f"{ha1}:{fields['nonce']}:{ha2}")
    return hashed(f"{ha1}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}:{ha2}")


class _Hash(NamedTuple):
    """A digest algorithm by its name in RFC 7616 section 6.1."""

    name: str
    function: str

    def __call__(self, text: str) -> str:
        return hashlib.new(self.function, text.encode(), usedforsecurity=False).hexdigest()


_MD5 = _Hash("MD5", "md5")
_SHA256 = _Hash("SHA-256", "sha256")


def make_ha1(name: str, realm: str, password: str) -> str:
    """What `Credential.ha1` holds: MD5(name:realm:password) in lower-case hex (RFC 7616 3.4.2)."""
    return _md5(f"{name}:{realm}:{password}")


@dataclass(slots=True)
class _NonceUse:
    """Which `nc` of one nonce were seen: the highest, and as bits those right below it (pipelined requests swap places)."""

    highest: int = 0
    window: int = 0


class DigestVerifier:
    """Checks Digest credentials. One per protocol and process; keeps no connection state.

    `realm` belongs to `Credential.ha1`. `secret` signs nonces: give the same to several processes that answer for one
    device. A nonce is good for `lifetime` seconds; after that the client is told `stale` and repeats without asking the
    user. `replay_check` refuses an `nc` that was used before (RFC 7616 5.12), for at most `max_nonces` nonces at a time:
    when the table is full the oldest is forgotten and refused from then on as stale. `allow_rfc2069` accepts credentials
    without qop, as most RTSP clients send; `liberal_uri` accepts a `uri` that is the base of the requested one (RTSP
    clients sign the URL of the presentation when they set up a track) and absolute against path form.
    """

    NC_WINDOW = 64

    def __init__(
        self,
        realm: str,
        lookup: CredentialLookup,
        secret: bytes | None = None,
        *,
        lifetime: float = 300.0,
        replay_check: bool = True,
        allow_rfc2069: bool = True,
        liberal_uri: bool = False,
        max_nonces: int = 4096,
    ) -> None:
        self.realm = realm
        self._lookup = lookup
        self._secret = secret or os.urandom(32)
        self._lifetime = lifetime
        self._replay_check = replay_check
        self._allow_rfc2069 = allow_rfc2069
        self._liberal_uri = liberal_uri
        self._max_nonces = max_nonces
        self._used: OrderedDict[str, _NonceUse] = OrderedDict()
        self._forgotten_before = -1
        self._opaque = hmac.new(self._secret, b"opaque:" + realm.encode(), "sha256").hexdigest()[:32]

    @classmethod
    def for_rtsp(cls, realm: str, lookup: CredentialLookup, secret: bytes | None = None) -> DigestVerifier:
        """With what RTSP clients need: base URLs, no qop, a nonce reused with the same `nc` for a whole session."""
        return cls(realm, lookup, secret, lifetime=3600.0, replay_check=False, liberal_uri=True)

    def challenge(self, now: float, stale: bool = False) -> str:
        """Value of WWW-Authenticate."""
        text = f'Digest realm={_quote(self.realm)}, qop="auth", nonce="{self._nonce(now)}", opaque="{self._opaque}"'
        # algorithm and stale are tokens: quotes around them break clients (RFC 7616 3.3)
        return text + ", algorithm=MD5" + (", stale=true" if stale else "")

    def verify(self, authorization: str, method: str, uri: str, now: float) -> Account:
        """The account that sent `authorization` with `method` for the request target `uri`.

        Raises DigestRejected (a NotAuthorized); its `stale` belongs into the next challenge.
        """
        fields = self._fields(authorization)
        issued = self._issued(fields["nonce"])
        if issued is None:
            # signed by an earlier run: the client need not ask its user again if the rest is right
            raise DigestRejected("nonce is unknown", stale=True)
        if not self._uri_matches(fields["uri"], uri):
            raise DigestRejected("digest was made for another URI")
        credential = self._lookup(fields["username"])
        expected = _response(_MD5, credential.ha1 if credential else _UNKNOWN_HA1, method, fields)
        matches = hmac.compare_digest(expected.encode(), fields["response"].lower().encode())
        if credential is None or not matches:
            raise DigestRejected("user name or password is wrong")
        if not 0 <= now - issued / 1000 <= self._lifetime:
            raise DigestRejected("nonce is too old", stale=True)
        if self._replay_check and "qop" in fields:
            self._check_count(fields["nonce"], issued, int(fields["nc"], 16), now)
        return credential.account

    def _fields(self, authorization: str) -> dict[str, str]:
        scheme, _, rest = authorization.strip().partition(" ")
        if scheme.lower() != "digest" or len(authorization) > MAX_HEADER:
            raise DigestRejected("Digest credentials are needed")
        try:
            fields = parse_parameters(rest)
        except ValueError as error:
            raise DigestRejected(f"Digest credentials: {error}") from None
        if any(name not in fields for name in ("username", "nonce", "uri", "response")):
            raise DigestRejected("Digest credentials are incomplete")
        if fields.get("realm", self.realm) != self.realm:
            raise DigestRejected("Digest credentials are for another realm", stale=True)
        if fields.get("algorithm", "MD5").upper() != "MD5":
            raise DigestRejected("digest algorithm was not offered")
        if "qop" not in fields:
            if not self._allow_rfc2069:
                raise DigestRejected("qop is needed")
            return fields
        if fields["qop"] != "auth" or not fields.get("cnonce"):
            raise DigestRejected("qop=auth with cnonce is needed")
        if not re.fullmatch("[0-9a-fA-F]{1,8}", fields.get("nc", "")) or not int(fields["nc"], 16):
            raise DigestRejected("nc is malformed")
        return fields

    def _nonce(self, now: float) -> str:
        body = struct.pack(">Q", int(now * 1000)) + os.urandom(6)
        return (body + self._sign(body)).hex()

    def _sign(self, body: bytes) -> bytes:
        return hmac.new(self._secret, b"nonce:" + body, "sha256").digest()[:16]

    def _issued(self, nonce: str) -> int | None:
        """Milliseconds at which we made `nonce`, None if we did not."""
        try:
            raw = bytes.fromhex(nonce)
        except ValueError:
            return None
        if len(raw) != 30 or not hmac.compare_digest(self._sign(raw[:14]), raw[14:]):
            return None
        return int.from_bytes(raw[:8], "big")

    def _check_count(self, nonce: str, issued: int, count: int, now: float) -> None:
        self._expire(now)
        use = self._used.get(nonce)
        if use is None:
            if issued <= self._forgotten_before:
                raise DigestRejected("nonce is too old", stale=True)
            use = self._used[nonce] = _NonceUse()
            if len(self._used) > self._max_nonces:
                old, _ = self._used.popitem(last=False)
                self._forgotten_before = max(self._forgotten_before, self._issued(old) or 0)
        if count > use.highest:
            use.window = (use.window << min(count - use.highest, self.NC_WINDOW) | 1) & ((1 << self.NC_WINDOW) - 1)
            use.highest = count
            return
        bit = 1 << (use.highest - count) if use.highest - count < self.NC_WINDOW else 0
        if not bit or use.window & bit:
            log.warning("digest request count %d was used before: refused as a replay", count)
            raise DigestRejected("nc was used before", stale=True)
        use.window |= bit

    def _expire(self, now: float) -> None:
        limit = (now - self._lifetime) * 1000
        while self._used:
            nonce = next(iter(self._used))
            if (self._issued(nonce) or 0) >= limit:
                return
            del self._used[nonce]

    def _uri_matches(self, signed: str, requested: str) -> bool:
        if signed == requested:
            return True
        if not self._liberal_uri:
            return False
        signed_path, requested_path = _path(signed), _path(requested)
        return requested_path == signed_path or requested_path.startswith(signed_path.rstrip("/") + "/")


def _path(uri: str) -> str:
    """Path with query of an absolute or relative URI."""
    if uri == "*":
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri
    return (parts.path or "/").rstrip("/") + (f"?{parts.query}" if parts.query else "")


@dataclass(slots=True)
class _Challenge:
    scheme: str
    fields: dict[str, str]


def split_challenges(values: list[str]) -> list[tuple[str, dict[str, str]]]:
    """Schemes (lower case) and parameters of WWW-Authenticate values; what cannot be read is left out.

    One value may hold several challenges (RFC 9110 11.6.1); then a scheme is a word without `=` behind it.
    """
    found: list[tuple[str, dict[str, str]]] = []
    for value in values:
        pieces = re.split(
            r"(?:^|,)\s*(Digest|Basic|Bearer|Negotiate|NTLM)\b\s*", value[:MAX_HEADER], flags=re.IGNORECASE
        )
        for scheme, text in zip(pieces[1::2], pieces[2::2], strict=True):
            try:
                found.append((scheme.lower(), parse_parameters(text.strip().rstrip(","))))
            except ValueError:
                log.debug("unreadable %s challenge", scheme)
    return found


@dataclass(slots=True)
class ClientDigest:
    """Answers challenges of one server for one account. Prefers SHA-256, then MD5, then Basic.

    `needs_credentials` says whether `receive_challenge` was called; afterwards `authorization` gives the header of each
    request. Basic sends the password in clear text: pass `allow_basic=False` where that must not be.
    """

    user: str
    password: str = field(repr=False)
    allow_basic: bool = True
    _challenge: _Challenge | None = None
    _count: int = 0

    def receive_challenge(self, values: list[str]) -> bool:
        """Take the WWW-Authenticate values of a 401. False if the same credentials cannot succeed on a further try.

        Raises NotSupported when no scheme is known.
        """
        best: tuple[int, _Challenge] | None = None
        for scheme, fields in split_challenges(values):
            rank = self._rank(scheme, fields)
            if rank and (best is None or rank > best[0]):
                best = (rank, _Challenge(scheme, fields))
        if best is None:
            raise NotSupported("server asks for an authentication that is not supported")
        stale = best[1].fields.get("stale", "").lower() == "true"
        hopeful = self._challenge is None or stale
        self._challenge, self._count = best[1], 0
        return hopeful

    def _rank(self, scheme: str, fields: dict[str, str]) -> int:
        if scheme == "basic":
            return 1 if self.allow_basic else 0
        if scheme != "digest" or "nonce" not in fields:
            return 0
        if "qop" in fields and "auth" not in [item.strip().lower() for item in fields["qop"].split(",")]:
            return 0
        return {"MD5": 2, "SHA-256": 3}.get(fields.get("algorithm", "MD5").upper(), 0)

    def authorization(self, method: str, uri: str) -> str | None:
        """Value of Authorization for one request; None before a challenge."""
        if self._challenge is None:
            return None
        given = self._challenge.fields
        if self._challenge.scheme == "basic":
            return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        hashed = _SHA256 if given.get("algorithm", "").upper() == "SHA-256" else _MD5
        realm = given.get("realm", "")
        self._count += 1
        fields = {"username": self.user, "realm": realm, "nonce": given["nonce"], "uri": uri}
        tokens = {}
        if "qop" in given:
            tokens = {"qop": "auth", "nc": f"{self._count:08x}"}
            fields["cnonce"] = os.urandom(8).hex()
        ha1 = hashed(f"{self.user}:{realm}:{self.password}")
        fields["response"] = _response(hashed, ha1, method, fields | tokens)
        if "opaque" in given:
            fields["opaque"] = given["opaque"]
        if "algorithm" in given:
            tokens["algorithm"] = hashed.name
        text = [f"{name}={_quote(value)}" for name, value in fields.items()]
        return "Digest " + ", ".join(text + [f"{name}={value}" for name, value in tokens.items()])
