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
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from onvifd.access.gate import Gate
from onvifd.access.types import Account, Credential, CredentialLookup
from onvifd.errors import NotAuthorized, NotSupported

log = logging.getLogger(__name__)

MAX_HEADER = 4096
"""Characters of an Authorization or WWW-Authenticate header that are looked at."""

_PAIR = re.compile(r'\s*([A-Za-z0-9_*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)')
_LOOSE_PAIR = re.compile(r'(?<![A-Za-z0-9_*-])([A-Za-z0-9_*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')
_UNKNOWN_HA1 = "0" * 64
NONCE_LENGTH = 60
MAX_USES = 100_000
"""Requests that one nonce is good for; then the client is told `stale`."""
MAX_PLAIN_USES = 1_000
"""The same without qop (RFC 2069), where nothing but the nonce stands against a replay."""


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


def nonce_of(authorization: str) -> str:
    """The nonce of Digest credentials; empty where there is none."""
    try:
        return parse_parameters(authorization[:MAX_HEADER].strip().partition(" ")[2]).get("nonce", "")
    except ValueError:
        return ""


def _quote(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


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
        return hashlib.new(self.function, text.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


_MD5 = _Hash("MD5", "md5")
_SHA256 = _Hash("SHA-256", "sha256")
_KNOWN = {hashed.name: hashed for hashed in (_MD5, _SHA256)}


def make_ha1(name: str, realm: str, password: str) -> str:
    """What `Credential.ha1` holds: MD5(name:realm:password) in lower-case hex (RFC 7616 3.4.2)."""
    return _md5(f"{name}:{realm}:{password}")


def make_ha1_sha256(name: str, realm: str, password: str) -> str:
    """What `Credential.ha1_sha256` holds: the same with SHA-256."""
    return _SHA256(f"{name}:{realm}:{password}")


@dataclass(slots=True)
class _NonceUse:
    """Which `nc` of one nonce were seen: the highest, and as bits those right below it (pipelined requests swap places)."""

    highest: int = 0
    window: int = 0
    plain: int = 0
    """Uses without qop."""


class DigestVerifier:
    """Checks Digest credentials. One per protocol and process; keeps no connection state.

    `realm` belongs to the credentials' HA1. `secret` signs nonces: give the same to several processes that answer for one
    device. `algorithms` are offered in this order, one challenge each (Core 5.9.3); they may be replaced while it runs.
    A nonce is good for `lifetime` seconds and `max_uses` requests; after that the client is told `stale` and repeats without
    asking the user. `replay_check` refuses an `nc` that was used before (RFC 7616 5.12), for at most `max_nonces` nonces at
    a time: when the table is full the oldest is forgotten and refused from then on as stale. `allow_rfc2069` accepts
    credentials without qop, as most RTSP clients send; where replays are checked, for `plain_lifetime` seconds and
    `max_plain_uses` requests. `liberal_uri` accepts a `uri` that is the base of the requested one (RTSP clients sign the URL
    of the presentation when they set up a track) and absolute against path form. `gate` knows of locks and login periods.
    """

    NC_WINDOW = 64

    def __init__(
        self,
        realm: str,
        lookup: CredentialLookup,
        secret: bytes | None = None,
        *,
        algorithms: Sequence[str] = ("MD5",),
        gate: Gate | None = None,
        lifetime: float = 300.0,
        plain_lifetime: float = 60.0,
        replay_check: bool = True,
        allow_rfc2069: bool = True,
        liberal_uri: bool = False,
        max_nonces: int = 4096,
        max_uses: int = MAX_USES,
        max_plain_uses: int = MAX_PLAIN_USES,
    ) -> None:
        self.realm = realm
        self.algorithms = algorithms
        self._lookup = lookup
        self._secret = secret or os.urandom(32)
        self._gate = gate
        self._lifetime = lifetime
        self._plain_lifetime = plain_lifetime if replay_check else lifetime
        self._replay_check = replay_check
        self._allow_rfc2069 = allow_rfc2069
        self._liberal_uri = liberal_uri
        self._max_nonces = max_nonces
        self._max_uses = max_uses
        self._max_plain_uses = max_plain_uses
        self._used: OrderedDict[str, _NonceUse] = OrderedDict()
        self._forgotten_before = -1
        self._opaque = hmac.new(self._secret, b"opaque:" + realm.encode(), "sha256").hexdigest()[:32]

    @classmethod
    def for_rtsp(
        cls, realm: str, lookup: CredentialLookup, secret: bytes | None = None, *, gate: Gate | None = None
    ) -> DigestVerifier:
        """With what RTSP clients need: base URLs, no qop, a nonce reused with the same `nc` for a whole session."""
        return cls(realm, lookup, secret, gate=gate, lifetime=3600.0, replay_check=False, liberal_uri=True)

    @property
    def algorithms(self) -> tuple[str, ...]:
        return tuple(hashed.name for hashed in self._offered)

    @algorithms.setter
    def algorithms(self, names: Sequence[str]) -> None:
        if not names or any(name not in _KNOWN for name in names):
            raise ValueError(f"digest algorithms are {', '.join(_KNOWN)}")
        self._offered = tuple(_KNOWN[name] for name in names)

    def challenges(self, now: float, stale: bool = False) -> tuple[str, ...]:
        """Values of WWW-Authenticate, each for a header of its own (RFC 7616 3.7). All share one nonce."""
        # Clients on live555 (VLC among them) find the nonce directly behind the realm or not at all, and stale behind that: where
        # it stands elsewhere they take a nonce that is too old for a wrong password, and give up
        start = f'Digest realm={_quote(self.realm)}, nonce="{self._nonce(now)}"{", stale=true" if stale else ""}'
        # algorithm and stale are tokens: quotes around them break clients (RFC 7616 3.3)
        rest = f'qop="auth", opaque="{self._opaque}"'
        return tuple(f"{start}, {rest}, algorithm={hashed.name}" for hashed in self._offered)

    def challenge(self, now: float, stale: bool = False) -> str:
        """The first of `challenges`."""
        return self.challenges(now, stale)[0]

    def verify(
        self,
        authorization: str,
        method: str,
        uri: str,
        now: float,
        *,
        peer: str = "",
        local: str = "",
        held: str = "",
    ) -> Account:
        """The account that sent `authorization` with `method` for the request target `uri`, from the address `peer`.

        `held` is a nonce that is never too old: that of a connection which logged in with it and still stands.

        Raises DigestRejected (a NotAuthorized); its `stale` belongs into the next challenge.
        """
        fields = self._fields(authorization)
        issued = self._issued(fields["nonce"])
        if issued is None or fields.get("opaque", self._opaque) != self._opaque:
            # signed by an earlier run: the client need not ask its user again if the rest is right
            raise DigestRejected("nonce is unknown", stale=True)
        if not self._uri_matches(fields["uri"], uri):
            raise DigestRejected("digest was made for another URI")
        credential = self._identify(fields, method, peer, local)
        lifetime = self._lifetime if "qop" in fields else self._plain_lifetime
        if fields["nonce"] != held and not 0 <= now - issued / 1000 <= lifetime:
            raise DigestRejected("nonce is too old", stale=True)
        if self._replay_check:
            self._check_count(fields, issued, now)
        if self._gate is not None:
            self._gate.admit(credential.account.name, peer)
        return credential.account

    def _identify(self, fields: dict[str, str], method: str, peer: str, local: str) -> Credential:
        """Whose digest it is; the same work for names that nobody has, for locked accounts and for wrong passwords."""
        name = fields["username"]
        hashed = _KNOWN[fields.get("algorithm", "MD5").upper()]
        credential = self._lookup(name)
        former = credential.former if credential is not None else None
        periods = credential.periods if credential is not None else None
        barred = self._gate.barred(name, periods, peer) if self._gate is not None else ""
        answer = fields["response"].lower().encode("utf-8", "replace")
        matches, matches_former = (
            hmac.compare_digest(_response(hashed, _ha1(one, hashed), method, fields).encode(), answer)
            and one is not None
            for one in (credential, former)
        )
        if credential is not None and matches and not barred:
            return credential
        if self._gate is not None:
            known = credential is not None
            reason = barred or ("former password" if matches_former else "wrong name or password")
            self._gate.failed(name, peer, reason, known=known, guess=not barred and not matches_former, local=local)
        raise DigestRejected("user name or password is wrong")

    def _fields(self, authorization: str) -> dict[str, str]:
        scheme, _, rest = authorization.strip().partition(" ")
        if scheme.lower() != "digest" or len(authorization) > MAX_HEADER:
            raise DigestRejected("Digest credentials are needed")
        try:
            fields = parse_parameters(rest)
            if "username*" in fields and "username" not in fields:
                fields["username"] = _extended(fields["username*"])
        except ValueError as error:
            raise DigestRejected(f"Digest credentials: {error}") from None
        if any(name not in fields for name in ("username", "nonce", "uri", "response")):
            raise DigestRejected("Digest credentials are incomplete")
        if fields.get("userhash", "false").lower() != "false":
            raise DigestRejected("userhash was not offered")  # RFC 7616 3.4.4
        if fields.get("realm", self.realm) != self.realm:
            raise DigestRejected("Digest credentials are for another realm", stale=True)
        if fields.get("algorithm", "MD5").upper() not in self.algorithms:
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
        if len(nonce) != NONCE_LENGTH:
            return None
        try:
            raw = bytes.fromhex(nonce)
        except ValueError:
            return None
        if len(raw) != 30 or not hmac.compare_digest(self._sign(raw[:14]), raw[14:]):
            return None
        return int.from_bytes(raw[:8], "big")

    def _check_count(self, fields: dict[str, str], issued: int, now: float) -> None:
        nonce = fields["nonce"]
        self._expire(now)
        use = self._used.get(nonce)
        if use is None:
            if issued <= self._forgotten_before:
                raise DigestRejected("nonce is too old", stale=True)
            use = self._used[nonce] = _NonceUse()
            if len(self._used) > self._max_nonces:
                old, _ = self._used.popitem(last=False)
                self._forgotten_before = max(self._forgotten_before, self._issued(old) or 0)
        if "qop" not in fields:
            use.plain += 1
            if use.plain > self._max_plain_uses:
                raise DigestRejected("nonce was used too often", stale=True)
            return
        count = int(fields["nc"], 16)
        if count > self._max_uses:
            raise DigestRejected("nonce was used too often", stale=True)
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


def _ha1(credential: Credential | None, hashed: _Hash) -> str:
    """The HA1 of a credential; for none, one that fits no password. It has no SHA-256 where only MD5 is served."""
    if credential is None:
        return _UNKNOWN_HA1
    return (credential.ha1 if hashed is _MD5 else credential.ha1_sha256) or _UNKNOWN_HA1


def _extended(text: str) -> str:
    """The value of `username*` (RFC 5987 section 3.2). Raises ValueError."""
    charset, _, rest = text.partition("'")
    _, quote, value = rest.partition("'")
    if charset.lower() != "utf-8" or not quote:
        raise ValueError("username* is malformed")
    return unquote_to_bytes(value).decode("utf-8")


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
            if fields := _parameters_of(text):
                found.append((scheme.lower(), fields))
            else:
                log.debug("unreadable %s challenge", scheme)
    return found


def _parameters_of(text: str) -> dict[str, str]:
    """What can be read of a challenge: cameras leave commas out or double them, and say things twice."""
    found: dict[str, str] = {}
    for name, quoted, token in _LOOSE_PAIR.findall(text):
        found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else token)
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

    @property
    def scheme(self) -> str:
        """`digest` or `basic`, as the last challenge is answered; empty before the first."""
        return self._challenge.scheme if self._challenge is not None else ""

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
        if fields.get("qop") and "auth" not in [item.strip().lower() for item in fields["qop"].split(",")]:
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
        if given.get("qop"):
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
