"""Sign in and out at the console, and its API for sessions, the audit log and one's own password."""

from __future__ import annotations

import asyncio
import html
import json
import secrets
from collections.abc import Collection
from dataclasses import asdict
from typing import Any, Protocol
from urllib.parse import parse_qsl

from aiohttp import web

from onvifd.access.audit import Kind
from onvifd.access.console_sessions import ConsoleSession, same_token
from onvifd.access.permissions import ConsoleAccount, Right
from onvifd.access.sessions import Session
from onvifd.errors import BadInput, InvalidArgument, OnvifdError
from onvifd.store.rows import AuditRow
from onvifd.web.guard import Guard, Sessions, Visitor, cookie_name, problem, same_origin

MAX_FORM = 4096
FORM_TIMEOUT = 10.0
WRONG = "Name or password is wrong, or too many tries were made: wait a few minutes."


class ConsoleBackend(Sessions, Protocol):
    """What the console asks of the recorder."""

    async def sign_in(self, name: str, password: str, peer: str) -> tuple[str, ConsoleSession]:
        """The secret for the cookie, and the session. Raises NotAuthorized, LimitReached."""
        ...

    def sign_out(self, session: ConsoleSession, peer: str) -> None: ...

    async def change_password(self, session: ConsoleSession, present: str, new: str, peer: str) -> None:
        """Raises Prohibited, NotAuthorized. Other sessions of the account end."""
        ...

    async def snapshot(self, account: ConsoleAccount, profile: str) -> bytes:
        """A JPEG. Raises Forbidden, NotFound."""
        ...

    def sessions(self) -> tuple[Session, ...]: ...

    async def end_session(self, session: str, block: float, actor: ConsoleAccount, peer: str) -> None:
        """Raises NotFound, Unavailable."""
        ...

    async def audit(
        self,
        *,
        start: int | None,
        end: int | None,
        kinds: Collection[str],
        account: str | None,
        before: int | None,
        limit: int,
    ) -> tuple[AuditRow, ...]: ...


def add_routes(app: web.Application, backend: ConsoleBackend, guard: Guard) -> None:
    """Mount the form and the API."""
    console = _Console(backend)
    app.router.add_get("/login", console.form)
    app.router.add_post("/login", console.sign_in)
    app.router.add_post("/logout", console.sign_out)
    app.router.add_get("/console/snapshot/{profile}", guard.reads(console.snapshot))
    app.router.add_get("/api/session", guard.reads(console.session))
    app.router.add_get("/api/sessions", guard.reads(console.sessions))
    app.router.add_delete("/api/sessions/{id}", guard.changes(console.end_session))
    app.router.add_get("/api/audit", guard.reads(console.audit))
    app.router.add_post("/api/password", guard.changes(console.change_password))


class _Console:
    def __init__(self, backend: ConsoleBackend) -> None:
        self._backend = backend

    # ---- sign in and out

    async def form(self, request: web.Request) -> web.Response:
        if self._backend.session(request.cookies.get(cookie_name(request), ""), active=False) is not None:
            return _see_other("/")
        return _page("")

    async def sign_in(self, request: web.Request) -> web.Response:
        if not same_origin(request):
            return _page("The form was not sent from this page.", 403)
        try:
            fields = await _read_form(request)
            secret, _ = await self._backend.sign_in(
                fields.get("name", ""), fields.get("password", ""), request.remote or ""
            )
        except BadInput as error:
            return _page(WRONG if error.http_status == 401 else error.reason, error.http_status)
        except OnvifdError as error:
            return _page(error.reason, error.http_status)
        response = _see_other("/")
        response.set_cookie(
            cookie_name(request), secret, path="/", httponly=True, samesite="Strict", secure=request.secure
        )
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        name = cookie_name(request)
        found = self._backend.session(request.cookies.get(name, ""), active=False)
        try:
            fields = await _read_form(request)
        except BadInput as error:
            return problem(error)
        if found is not None:
            session, _ = found
            if not same_origin(request) or not same_token(session, fields.get("token", "")):
                return _page("The form was not sent from this page.", 403)
            self._backend.sign_out(session, request.remote or "")
        response = _see_other("/login")
        response.del_cookie(name, path="/")
        return response

    # ---- API

    async def session(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Who one is and what one may; with a session, the token for changes."""
        account = visitor.account
        body: dict[str, Any] = {
            "account": account.name,
            "group": account.group,
            "rights": json.loads(account.permissions.to_json()),
        }
        if visitor.session is not None:
            body["token"] = visitor.session.token
        return _json(body)

    async def sessions(self, request: web.Request, visitor: Visitor) -> web.Response:
        visitor.require(Right.ACCOUNTS)
        return _json({"sessions": [asdict(one) for one in self._backend.sessions()]})

    async def end_session(self, request: web.Request, visitor: Visitor) -> web.Response:
        visitor.require(Right.ACCOUNTS)
        block = _number(request, "block", 0, 65_535) or 0
        await self._backend.end_session(request.match_info["id"], float(block), visitor.account, visitor.peer)
        return web.Response(status=204)

    async def audit(self, request: web.Request, visitor: Visitor) -> web.Response:
        """`start`, `end` (microseconds UTC), `kind` (repeated), `account`, `before` (an id), `limit`."""
        visitor.require(Right.ACCOUNTS)
        kinds = request.query.getall("kind", [])
        if any(kind not in set(Kind) for kind in kinds):
            raise InvalidArgument(f"kinds are {', '.join(Kind)}")
        rows = await self._backend.audit(
            start=_number(request, "start"),
            end=_number(request, "end"),
            kinds=kinds,
            account=request.query.get("account"),
            before=_number(request, "before"),
            limit=_number(request, "limit", 1, 1000) or 100,
        )
        return _json({"entries": [asdict(row) for row in rows]})

    async def change_password(self, request: web.Request, visitor: Visitor) -> web.Response:
        """A form with `present` and `new`."""
        fields = await _read_form(request)
        if visitor.session is None:
            raise InvalidArgument("there is no session")
        await self._backend.change_password(
            visitor.session, fields.get("present", ""), fields.get("new", ""), visitor.peer
        )
        return web.Response(status=204)

    async def snapshot(self, request: web.Request, visitor: Visitor) -> web.Response:
        picture = await self._backend.snapshot(visitor.account, request.match_info["profile"])
        return web.Response(body=picture, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


async def _read_form(request: web.Request) -> dict[str, str]:
    """The fields of a small form. Raises InvalidArgument."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise InvalidArgument("a form is expected")
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_TIMEOUT):
            async for part in request.content.iter_any():
                body += part
                if len(body) > MAX_FORM:
                    raise InvalidArgument("the form is too long")
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20))
    except TimeoutError:
        raise InvalidArgument("the form did not arrive in time") from None
    except ValueError:
        raise InvalidArgument("the form cannot be read") from None


def _number(request: web.Request, name: str, low: int = 0, high: int = 2**62) -> int | None:
    """A number of the query. Raises InvalidArgument."""
    text = request.query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not low <= int(text) <= high:
        raise InvalidArgument(f"{name} is a number of {low} to {high}")
    return int(text)


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def _see_other(place: str) -> web.Response:
    return web.Response(status=303, headers={"Location": place, "Cache-Control": "no-store"})


_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:0}
form{display:grid;gap:.8rem;width:min(20rem,90vw)}
label{display:grid;gap:.2rem}
input,button{font:inherit;padding:.5rem}
p{margin:0;color:#c62828}
"""


def _page(message: str, status: int = 200) -> web.Response:
    """The form, with what went wrong."""
    nonce = secrets.token_urlsafe(12)
    said = f'<p role="alert">{html.escape(message)}</p>' if message else ""
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in</title><style nonce="{nonce}">{_STYLE}</style></head><body>
<form method="post" action="/login"><h1>Sign in</h1>{said}
<label>Name<input name="name" autocomplete="username" required autofocus maxlength="64"></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required maxlength="64"></label>
<button>Sign in</button></form></body></html>
"""
    return web.Response(
        text=text,
        status=status,
        content_type="text/html",
        headers={
            "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            # With no-referrer browsers say `Origin: null` when they send the form.
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
        },
    )
