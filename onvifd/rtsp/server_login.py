"""Logins on one RTSP connection: every request but OPTIONS carries digest credentials (Core 5.9, RFC 2326 14)."""

from __future__ import annotations

import logging

from onvifd.access.digest import nonce_of
from onvifd.access.types import AccessClass, Account, may
from onvifd.errors import NotAuthorized
from onvifd.rtsp.messages import Request, RtspError
from onvifd.rtsp.server_events import Verifier

log = logging.getLogger(__name__)


class Login:
    """Verifies requests of a client at `peer` that reached us by the address `local`, and counts its failures."""

    def __init__(self, verifier: Verifier, *, peer: str, local: str) -> None:
        self._verifier = verifier
        self._peer = peer
        self._local = local
        self._held = ""
        """The nonce by which the client is in. Some clients keep it for as long as they are connected: they would lose a session of
        hours to a keep-alive that is refused."""
        self.failures = 0

    def authenticate(self, request: Request, now: float) -> Account:
        """Who asks. Raises RtspError 401 with challenges, or 403 for an account that may not see media."""
        authorization = request.headers.get("Authorization")
        stale = False
        try:
            if authorization is None:
                raise NotAuthorized("credentials are needed")
            account = self._verifier.verify(
                authorization,
                request.method,
                request.uri,
                now,
                peer=self._peer,
                local=self._local,
                held=self._held,
            )
            self._held = nonce_of(authorization)
        except NotAuthorized as error:
            stale = bool(getattr(error, "stale", False))
            if authorization is not None and not stale:
                self.failures += 1
                log.info("RTSP login refused: %s", error.reason)
            headers = tuple(("WWW-Authenticate", value) for value in self._verifier.challenges(now, stale))
            raise RtspError(401, error.reason, headers=headers) from None
        if not may(account.level, AccessClass.READ_MEDIA):
            raise RtspError(403, "account may not see media")
        return account
