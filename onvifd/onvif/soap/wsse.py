"""WS-Security UsernameToken with password digest (WSS UsernameToken profile 1.0; Core 5.9.5).

Only the digest form is accepted, by namespace and never by prefix. Nonce and Created are mandatory and a nonce works once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass, field

from lxml import etree

from onvifd.access.gate import Gate
from onvifd.access.types import Account, Credential, CredentialLookup
from onvifd.clock import US
from onvifd.errors import NotAuthorized
from onvifd.onvif.soap.codec import Element
from onvifd.onvif.soap.namespaces import SOAP, WSSE, WSU
from onvifd.onvif.soap.values import format_datetime, parse_base64, parse_datetime

PASSWORD_DIGEST = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest"
_BASE64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
_TOKEN, _USERNAME, _PASSWORD, _NONCE = (
    f"{{{WSSE}}}{tag}" for tag in ("UsernameToken", "Username", "Password", "Nonce")
)
_CREATED = f"{{{WSU}}}Created"
MAX_NAME = 128
MAX_NONCE = 128
MAX_CREATED = 64
MAX_DIGEST = 64


@dataclass(frozen=True, slots=True)
class UsernameToken:
    """What a client sent. `created` is the literal text, which is what the digest covers."""

    name: str
    digest: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    created: str


def password_digest(nonce: bytes, created: str, password: str) -> bytes:
    """SHA1(nonce + created + password), UsernameToken profile 1.0 section 3.1."""
    return hashlib.sha1(nonce + created.encode() + password.encode(), usedforsecurity=False).digest()


def read(security: Element) -> UsernameToken | None:
    """The token of a Security block; None if the block holds none. Raises NotAuthorized for one that is not acceptable."""
    tokens = [block for block in security if block.tag == _TOKEN]
    if not tokens:
        return None
    if len(tokens) > 1:
        raise NotAuthorized("more than one UsernameToken")
    # The first of each name. Not `find`, which costs more than the digest.
    parts = {part.tag: part for part in reversed(tokens[0])}
    name, nonce_text, created = (
        (part.text or "").strip() if (part := parts.get(tag)) is not None else ""
        for tag in (_USERNAME, _NONCE, _CREATED)
    )
    password = parts.get(_PASSWORD)
    if not name or len(name) > MAX_NAME or password is None:
        raise NotAuthorized("UsernameToken without user name or password")
    if (password.get("Type") or "").strip() != PASSWORD_DIGEST:
        raise NotAuthorized("UsernameToken must carry a password digest")
    if not nonce_text or not created:
        raise NotAuthorized("UsernameToken must carry Nonce and Created")  # Core 5.9.5
    if len(nonce_text) > 2 * MAX_NONCE or len(created) > MAX_CREATED:
        raise NotAuthorized("UsernameToken with an oversized Nonce or Created")
    try:
        nonce = parse_base64(nonce_text)
        digest = parse_base64((password.text or "")[:MAX_DIGEST])
    except ValueError:
        raise NotAuthorized("UsernameToken is not base64") from None
    if not nonce or len(nonce) > MAX_NONCE:
        raise NotAuthorized("UsernameToken with an oversized Nonce or Created")
    return UsernameToken(name, digest, nonce, created)


class TokenVerifier:
    """Checks tokens against accounts and remembers the nonces that were used.

    `window` is how many seconds Created may lie before or after `now`. At most `capacity` nonces are kept, of valid tokens only;
    beyond that the oldest is forgotten. `gate` knows of locks and login periods.
    """

    def __init__(
        self, lookup: CredentialLookup, *, window: int = 300, capacity: int = 100_000, gate: Gate | None = None
    ) -> None:
        self._lookup = lookup
        self._gate = gate
        self._window = window * US
        self._capacity = capacity
        self._used: OrderedDict[bytes, int] = OrderedDict()

    def verify(self, token: UsernameToken, now: int, *, peer: str = "", local: str = "") -> Account:
        """The account of a token that came from the address `peer`. Raises NotAuthorized."""
        credential = self._identify(token, peer, local)
        try:
            created = parse_datetime(token.created)
        except ValueError:
            raise NotAuthorized("Created is no date and time") from None
        if abs(created - now) > self._window:
            raise NotAuthorized("Created is too far from the device's time")
        try:
            self._remember(token, created, now)
        except NotAuthorized as error:
            if self._gate is not None:
                self._gate.failed(token.name, peer, "token used before", known=True, guess=False, local=local)
            raise error from None
        if self._gate is not None:
            self._gate.admit(token.name, peer)
        return credential.account

    def _identify(self, token: UsernameToken, peer: str, local: str) -> Credential:
        """Whose token it is; the same work for names that nobody has, for locked accounts and for wrong passwords."""
        credential = self._lookup(token.name)
        former = credential.former if credential is not None else None
        periods = credential.periods if credential is not None else None
        barred = self._gate.barred(token.name, periods, peer) if self._gate is not None else ""
        matches, matches_former = (_fits(token, one) for one in (credential, former))
        if credential is not None and matches and not barred:
            return credential
        if self._gate is not None:
            reason = barred or ("former password" if matches_former else "wrong name or password")
            guess = not barred and not matches_former
            self._gate.failed(token.name, peer, reason, known=credential is not None, guess=guess, local=local)
        raise NotAuthorized("wrong user name or password")

    def _remember(self, token: UsernameToken, created: int, now: int) -> None:
        while self._used:
            key, expires = next(iter(self._used.items()))
            if expires >= now and len(self._used) < self._capacity:
                break
            del self._used[key]
        key = hashlib.sha256(token.nonce + b"\0" + token.created.encode() + b"\0" + token.name.encode()).digest()
        if self._used.get(key, 0) >= now:
            raise NotAuthorized("this UsernameToken was used before")
        # A token stops working by its own Created after the window; until then its nonce must be known.
        self._used[key] = created + self._window


def _fits(token: UsernameToken, credential: Credential | None) -> bool:
    """Whether a token was made with a credential's password. It is computed for none too: time does not tell them apart."""
    password = credential.password if credential is not None else ""
    match = hmac.compare_digest(password_digest(token.nonce, token.created, password), token.digest)
    return match and bool(password)


def security_header(name: str, password: str, nonce: bytes, created: int) -> Element:
    """A Security block for a request. `created` is microseconds UTC of the server's clock."""
    stamp = format_datetime(created)
    security = etree.Element(f"{{{WSSE}}}Security", nsmap={"wsse": WSSE, "wsu": WSU, "SOAP-ENV": SOAP})
    security.set(f"{{{SOAP}}}mustUnderstand", "1")
    token = etree.SubElement(security, f"{{{WSSE}}}UsernameToken")
    etree.SubElement(token, f"{{{WSSE}}}Username").text = name
    secret = etree.SubElement(token, f"{{{WSSE}}}Password", Type=PASSWORD_DIGEST)
    secret.text = base64.b64encode(password_digest(nonce, stamp, password)).decode("ascii")
    etree.SubElement(token, f"{{{WSSE}}}Nonce", EncodingType=_BASE64).text = base64.b64encode(nonce).decode("ascii")
    etree.SubElement(token, f"{{{WSU}}}Created").text = stamp
    return security
