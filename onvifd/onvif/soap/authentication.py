"""Who calls: the decision table of Core 5.9.1 over HTTP Digest and UsernameToken.

| request carries | with Digest offered | UsernameToken only |
|---|---|---|
| nothing, PRE_AUTH | served | served |
| nothing, else | 401, one challenge per algorithm | 400, Sender/NotAuthorized |
| valid Digest | served | as nothing: the header is not looked at |
| valid token | served | served |
| both | Digest first, then the token; both must name one account | the token |
| wrong Digest | 401, PRE_AUTH served as nobody | as nothing |
| wrong token | 400, Sender/NotAuthorized; PRE_AUTH served as nobody | the same |
| level too low | by Digest 401, by token 400; Sender/NotAuthorized in both | 400, Sender/NotAuthorized |

Where names in TLS client certificates stand for accounts (Security 5.3.2), the certificate alone says who calls, and who may
not is answered 403.

The last row is what ONVIF's own cases want to see (ACCESS_POLICY-1-1-3 and following: HTTP 401). The challenge with it is
not `stale`, so a client knows that the same credentials will not do.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from onvifd.access.digest import DigestRejected, DigestVerifier
from onvifd.access.gate import Gate
from onvifd.access.types import AccessClass, Account, CredentialLookup, may
from onvifd.errors import Forbidden, NotAuthorized
from onvifd.onvif.soap import wsse
from onvifd.onvif.soap.codec import Element

logger = logging.getLogger(__name__)

Headers = tuple[tuple[str, str], ...]


class HttpLike(Protocol):
    """What is looked at of an HTTP request."""

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def peer(self) -> str: ...
    @property
    def local_address(self) -> str: ...
    @property
    def authorization(self) -> str | None: ...
    @property
    def certificate_user(self) -> str | None: ...


class Challenged(Exception):
    """Answer 401, or `status`, with these headers and the fault of `error`."""

    def __init__(self, error: NotAuthorized | Forbidden, headers: Headers, status: int = 401) -> None:
        super().__init__(str(error))
        self.error = error
        self.headers = headers
        self.status = status


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and whether HTTP Digest or a TLS client certificate said so."""

    account: Account | None = None
    by_digest: bool = False
    by_certificate: bool = False


NOBODY = Caller()


class Authenticator:
    """Finds out who calls. `digest` None is a device that offers UsernameToken only."""

    def __init__(
        self,
        lookup: CredentialLookup,
        digest: DigestVerifier | None,
        *,
        created_window: int = 300,
        gate: Gate | None = None,
    ) -> None:
        self._digest = digest
        self._lookup = lookup
        self._gate = gate
        self._tokens = wsse.TokenVerifier(lookup, window=created_window, gate=gate)

    @property
    def offers_digest(self) -> bool:
        return self._digest is not None

    def challenge(self, now: float, stale: bool = False) -> Headers:
        """The headers of a 401, one per algorithm; none where Digest is not offered. `now` is monotonic."""
        if self._digest is None:
            return ()
        return tuple(("WWW-Authenticate", value) for value in self._digest.challenges(now, stale))

    def identify(
        self, http: HttpLike, security: Element | None, name: str, access: AccessClass, utc: int, now: float
    ) -> Caller:
        """Who calls the operation `name` of class `access`. Raises Challenged or NotAuthorized."""
        try:
            caller = self._identify(http, security, utc, now)
        except (NotAuthorized, Challenged) as error:
            if access is AccessClass.PRE_AUTH:
                # A client whose clock or password is wrong must still learn the time.
                return NOBODY
            logger.warning("%s from %s refused: %s", name, http.peer, error)
            raise
        if caller.account is None and access is not AccessClass.PRE_AUTH:
            missing = NotAuthorized("authentication is required")
            raise Challenged(missing, self.challenge(now)) if self._digest else missing
        return caller

    def authorize(self, caller: Caller, access: AccessClass, now: float) -> None:
        """Whether the caller's level allows operations of class `access`. Raises Challenged or Forbidden."""
        level = caller.account.level if caller.account is not None else None
        if access is AccessClass.PRE_AUTH or (level is not None and may(level, access)):
            return
        error = Forbidden("the account's level does not allow this operation")
        if caller.by_certificate:
            raise Challenged(error, (), 403)
        raise Challenged(error, self.challenge(now)) if caller.by_digest else error

    def _identify(self, http: HttpLike, security: Element | None, utc: int, now: float) -> Caller:
        if http.certificate_user is not None:
            return Caller(self._by_certificate(http, http.certificate_user), by_certificate=True)
        account = self._http_level(http, now)
        token = wsse.read(security) if security is not None else None
        if token is None:
            return Caller(account, by_digest=account is not None)
        by_token = self._tokens.verify(token, utc, peer=http.peer, local=http.local_address)
        if account is not None and account != by_token:
            raise NotAuthorized("HTTP and WS-Security name different accounts")
        return Caller(by_token, by_digest=account is not None)

    def _by_certificate(self, http: HttpLike, name: str) -> Account:
        """The account that the certificate names; its possession was proved in the handshake. Raises Challenged."""
        credential = self._lookup(name)
        reason = "" if credential is not None else "the certificate names no account"
        if not reason and self._gate is not None and credential is not None:
            reason = self._gate.barred(name, credential.periods, http.peer)
        if reason or credential is None:
            if self._gate is not None:
                known = credential is not None
                self._gate.failed(name, http.peer, reason, known=known, guess=False, local=http.local_address)
            raise Challenged(Forbidden(reason), (), 403)
        if self._gate is not None:
            self._gate.admit(name, http.peer)
        return credential.account

    def _http_level(self, http: HttpLike, now: float) -> Account | None:
        if http.authorization is None or self._digest is None:
            return None
        try:
            return self._digest.verify(
                http.authorization, http.method, http.target, now, peer=http.peer, local=http.local_address
            )
        except DigestRejected as error:
            raise Challenged(error, self.challenge(now, error.stale)) from None
