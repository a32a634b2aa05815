"""Who may see a page: console sessions by cookie, or an ONVIF account by HTTP Digest for programs that read the API.

A changing request needs the session's token besides the cookie, so that no other site can make a browser send it
(the cookie is SameSite=Strict as well). Digest is good for reading only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from onvifd.access.console_sessions import ConsoleSession, same_token
from onvifd.access.permissions import CHANNEL_RIGHTS, EVERYWHERE, ConsoleAccount, Permissions, Right, may
from onvifd.access.types import Account, Level
from onvifd.errors import Forbidden, NotAuthorized, OnvifdError

SCRIPT = "X-Console"
"""Header of requests that our own pages make by script: their answers must not make the browser ask for a password."""
TOKEN = "X-CSRF-Token"
_READING = (Right.LIVE, Right.PLAYBACK)


class Verifier(Protocol):
    """HTTP Digest as `access.digest` does it."""

    def challenges(self, now: float, stale: bool = False) -> tuple[str, ...]: ...

    def verify(
        self, authorization: str, method: str, uri: str, now: float, *, peer: str = "", local: str = ""
    ) -> Account: ...


class Sessions(Protocol):
    """Console sessions as the pages need them."""

    def session(self, secret: str, *, active: bool) -> tuple[ConsoleSession, ConsoleAccount] | None:
        """The session of a cookie and its account, unless one of them is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `session` is None for HTTP Digest."""

    account: ConsoleAccount
    session: ConsoleSession | None
    peer: str

    def require(self, right: Right, channel: str | None = None) -> None:
        """Raises Forbidden."""
        if not may(self.account, right, channel):
            raise Forbidden(f"the account may not: {right}")


Handler = Callable[[web.Request, Visitor], Awaitable[web.StreamResponse]]
Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]


def problem(error: OnvifdError, headers: tuple[tuple[str, str], ...] = ()) -> web.Response:
    """An error as problem+json (RFC 9457)."""
    body = {"type": "about:blank", "title": type(error).__name__, "status": error.http_status, "detail": error.reason}
    response = web.Response(status=error.http_status, text=json.dumps(body), content_type="application/problem+json")
    for name, value in headers:
        response.headers.add(name, value)
    return response


def cookie_name(request: web.Request) -> str:
    """One per port: cookies do not know ports, and several recorders may run on one machine."""
    transport = request.transport
    local = transport.get_extra_info("sockname") if transport is not None else None
    return f"onvifd_{local[1]}" if isinstance(local, tuple) else "onvifd"


def same_origin(request: web.Request) -> bool:
    """Whether a browser says that the request comes from our own page; what says nothing is no browser of today."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin == f"{request.scheme}://{request.host}"


class Guard:
    """Wraps handlers. `sessions` None knows no console, only HTTP Digest."""

    def __init__(self, verifier: Verifier, sessions: Sessions | None = None) -> None:
        self._verifier = verifier
        self._sessions = sessions

    def page(self, handler: Handler) -> Plain:
        """A page for people: those who are not signed in are led to the form."""
        return self._wrap(handler, changes=False, lead=True)

    def reads(self, handler: Handler) -> Plain:
        """Data for programs and for our own pages."""
        return self._wrap(handler, changes=False, lead=False)

    def changes(self, handler: Handler) -> Plain:
        """Something that changes: by session and token alone."""
        return self._wrap(handler, changes=True, lead=False)

    def _wrap(self, handler: Handler, *, changes: bool, lead: bool) -> Plain:
        async def guarded(request: web.Request) -> web.StreamResponse:
            now = asyncio.get_running_loop().time()
            try:
                return await handler(request, self.visitor(request, now, changes=changes))
            except NotAuthorized as error:
                if lead and self._sessions is not None and "text/html" in request.headers.get("Accept", ""):
                    return web.Response(status=303, headers={"Location": "/login", "Cache-Control": "no-store"})
                if changes or SCRIPT in request.headers:
                    return problem(error)
                stale = bool(getattr(error, "stale", False))
                values = self._verifier.challenges(now, stale)
                return problem(error, tuple(("WWW-Authenticate", value) for value in values))
            except OnvifdError as error:
                return problem(error)

        return guarded

    def visitor(self, request: web.Request, now: float, *, changes: bool) -> Visitor:
        """Who asks. Raises NotAuthorized, Forbidden."""
        peer = request.remote or ""
        secret = request.cookies.get(cookie_name(request))
        if secret and self._sessions is not None:
            found = self._sessions.session(secret, active="X-Idle" not in request.headers)
            if found is not None:
                session, account = found
                if changes and not (same_origin(request) and same_token(session, request.headers.get(TOKEN, ""))):
                    raise Forbidden("the request does not come from a page of this recorder")
                return Visitor(account, session, peer)
        header = request.headers.get("Authorization")
        if header is None or changes:
            raise NotAuthorized("sign in first" if self._sessions is not None else "credentials are needed")
        account = by_digest(self._verifier.verify(header, request.method, request.raw_path, now, peer=peer))
        return Visitor(account, None, peer)


def by_digest(account: Account) -> ConsoleAccount:
    """What an ONVIF account may read here: what its level may see by ONVIF."""
    if account.level is Level.ADMINISTRATOR:
        permissions = Permissions.everything()
    else:
        permissions = Permissions(channels={r: frozenset({EVERYWHERE}) for r in CHANNEL_RIGHTS if r in _READING})
    return ConsoleAccount(name=account.name, group="", permissions=permissions)
