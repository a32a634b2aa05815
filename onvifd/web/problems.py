"""Errors of the API that no handler makes, as problem+json like all others (RFC 9457): no such path or method, and defects."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

log = logging.getLogger(__name__)

API = "/api/"
_KEPT = ("Allow", "Location")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """For the paths of the API alone: SOAP and pages have errors of their own form."""
    if not request.path.startswith(API):
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in _KEPT if name in error.headers}
        return _problem(error.status, error.reason, kept)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _problem(500, "the recorder could not do this")


def _problem(status: int, title: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"type": "about:blank", "title": title, "status": status}
    return web.Response(
        status=status, text=json.dumps(body), content_type="application/problem+json", headers=headers or {}
    )
