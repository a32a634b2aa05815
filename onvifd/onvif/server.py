"""The HTTP side of the ONVIF services: aiohttp in, `Dispatcher` out, and the contract under /onvif/wsdl/."""

from __future__ import annotations

import asyncio
import importlib.resources
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from onvifd.onvif.soap import envelope, mtom
from onvifd.onvif.soap.dispatch import Dispatcher, HttpReply, HttpRequest
from onvifd.onvif.soap.faults import SoapFault, sender

logger = logging.getLogger(__name__)

CertificateUser = Callable[[Any], str | None]
"""The account that the certificate of a TLS connection (an ssl.SSLObject) stands for, None if certificates stand for none."""
CERTIFICATE_USER: Final[web.AppKey[CertificateUser]] = web.AppKey("certificate_user")
Admitted = Callable[[web.Request, str], object]
ADMITTED: Final[web.AppKey[Admitted]] = web.AppKey("admitted")
"""Is told the ONVIF account that a request comes from, once that is known."""

BODY_TIMEOUT = 15.0
"""Seconds a client may take to send a request's body."""
_TYPES = ("application/soap+xml", "text/xml", "application/xml", "multipart/related")
MAX_PACKAGES = 2
"""MTOM packages in work at once: each may be large."""
_WSDL_TYPES = {".wsdl": "application/wsdl+xml", ".xsd": "application/xml"}


def contract_folder() -> Path:
    """Where the WSDL files are: installed with the package, or in the source tree."""
    installed = Path(str(importlib.resources.files("onvifd"))) / "_data" / "wsdl"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[2] / "wsdl"


def add_routes(app: web.Application, dispatcher: Dispatcher, *, wsdl: Path | None = None) -> None:
    """Serve the dispatcher's services under /onvif/ and the files of `wsdl` under /onvif/wsdl/.

    The application should be made with `client_max_size` of at least `envelope.MAX_BODY`; the bound on bodies is kept here.
    """
    endpoint = OnvifEndpoint(dispatcher)
    contract = Contract(wsdl or contract_folder())
    app.router.add_get("/onvif/wsdl/", contract.index)  # tds:GetWsdlUrl leads here (Core 8.1.1)
    app.router.add_get("/onvif/wsdl/{name}", contract.get)
    app.router.add_route("*", "/onvif/{tail:.*}", endpoint.handle, expect_handler=endpoint.expect)


class OnvifEndpoint:
    """One URL space of ONVIF services."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._packages = 0

    async def expect(self, request: web.Request) -> None:
        """`Expect: 100-continue`, as .NET clients send it: ask for the body only if it is one we would read."""
        if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
            raise web.HTTPExpectationFailed
        if self._refusal(request) is None and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def handle(self, request: web.Request) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if not mtom.is_package(request.content_type):
            return await self._answer(request)
        if self._packages >= MAX_PACKAGES:
            return _fault(sender("WellFormed", "too many packages at once"), 503, close=True)
        self._packages += 1
        try:
            return await self._answer(request)
        finally:
            self._packages -= 1

    async def _answer(self, request: web.Request) -> web.Response:
        limit = _limit(request)
        try:
            if request.content.is_eof():
                # All of it came with the head, as small requests do.
                body = self._at_once(request, limit)
            else:
                async with asyncio.timeout(BODY_TIMEOUT):
                    body = await self._read(request, limit)
        except TimeoutError:
            return _fault(sender("WellFormed", "the body did not arrive in time"), 408, close=True)
        except (HttpProcessingError, ValueError, web.RequestPayloadError) as error:
            logger.info("body from %s cannot be read: %s", request.remote, type(error).__name__)
            return _fault(sender("WellFormed", "the body cannot be read"), 400, close=True)
        if body is None:
            return _fault(sender("WellFormed", f"more than {limit} octets"), 413, close=True)
        parts: dict[str, mtom.Part] = {}
        if mtom.is_package(request.content_type):
            try:
                body, parts = mtom.unpack(request.headers[hdrs.CONTENT_TYPE], body)
            except SoapFault as fault:
                return _fault(fault, 400)
        return _response(await self._dispatcher.handle(_http_request(request, body, parts)))

    def _refusal(self, request: web.Request) -> web.Response | None:
        """The answer to a request that is refused by its head alone (Core 5.8.2.4)."""
        if not self._dispatcher.knows_path(request.path):
            return _fault(
                sender("UnknownAction", "no ONVIF service has this address"), 404, close=request.can_read_body
            )
        if request.method != hdrs.METH_POST:
            response = _plain(405, "ONVIF services take POST\n")
            response.headers[hdrs.ALLOW] = hdrs.METH_POST
            return response
        if request.headers.get(hdrs.CONTENT_TYPE) is not None and request.content_type not in _TYPES:
            return _fault(sender("WellFormed", "expected application/soap+xml"), 415, close=True)
        if request.content_length is not None and request.content_length > _limit(request):
            return _fault(sender("WellFormed", f"more than {_limit(request)} octets"), 413, close=True)
        return None

    def _at_once(self, request: web.Request, limit: int) -> bytes | None:
        """`_read` of a body that is there."""
        body = request.content.read_nowait()
        return body if len(body) <= limit else None

    async def _read(self, request: web.Request, limit: int) -> bytes | None:
        """The whole body, None when it is too long."""
        parts = bytearray()
        async for chunk in request.content.iter_any():
            parts += chunk
            if len(parts) > limit:
                return None
        return bytes(parts)


def _limit(request: web.Request) -> int:
    return mtom.MAX_PACKAGE if mtom.is_package(request.content_type) else envelope.MAX_BODY


def _http_request(request: web.Request, body: bytes, parts: Mapping[str, mtom.Part] | None = None) -> HttpRequest:
    transport = request.transport
    local = transport.get_extra_info("sockname") if transport is not None else None
    peer = transport.get_extra_info("peername") if transport is not None else None
    tls = transport.get_extra_info("ssl_object") if transport is not None else None
    user_of = request.app.get(CERTIFICATE_USER)
    admitted = request.app.get(ADMITTED)
    address = local[0] if isinstance(local, tuple) else ""
    host = request.headers.get(hdrs.HOST)
    if not host:
        # HTTP/1.0 clients may leave Host out; the address they reached is what they can reach again.
        port = local[1] if isinstance(local, tuple) else 80
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return HttpRequest(
        method=request.method,
        target=request.raw_path,
        path=request.path,
        scheme=request.scheme,
        host=host,
        local_address=address,
        peer=peer[0] if isinstance(peer, tuple) else "",
        authorization=request.headers.get(hdrs.AUTHORIZATION),
        certificate_user=user_of(tls) if user_of is not None and tls is not None else None,
        body=body,
        parts=parts or {},
        **({"admitted": partial(admitted, request)} if admitted is not None else {}),
    )


def _response(reply: HttpReply) -> web.Response:
    response = web.Response(status=reply.status, body=reply.body)
    for name, value in reply.headers:
        if name == hdrs.CONTENT_TYPE:
            response.headers[name] = value
        else:
            response.headers.add(name, value)
    return response


def _fault(fault: SoapFault, status: int, *, close: bool = False) -> web.Response:
    response = web.Response(status=status, body=envelope.write_fault(fault))
    response.headers[hdrs.CONTENT_TYPE] = envelope.CONTENT_TYPE
    if close:
        # What is left of the body is not read, so the connection cannot be used again.
        response.force_close()
    return response


def _plain(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)


class Contract:
    """The WSDL and XSD files, with `soap:address` pointing at where the client found them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, bytes] | None = None

    async def index(self, request: web.Request) -> web.Response:
        """The list of the files, for a person or a tool that follows GetWsdlUrl."""
        links = "".join(f'<li><a href="{name}">{name}</a></li>' for name in await self._all())
        text = f"<!doctype html><title>WSDL and schema files</title><ul>{links}</ul>\n"
        return web.Response(text=text, content_type="text/html")

    async def get(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        content = (await self._all()).get(name)
        if content is None:
            return _plain(404, "no such file\n")
        http = _http_request(request, b"")
        here = f"{http.scheme}://{http.host}".encode("ascii", "ignore")
        if all(c not in here for c in b"<>&\"' "):
            content = content.replace(b"http://localhost", here)
        return web.Response(body=content, content_type=_WSDL_TYPES[Path(name).suffix], charset="utf-8")

    async def _all(self) -> dict[str, bytes]:
        if self._files is None:
            self._files = await asyncio.to_thread(self._load)
        return self._files

    def _load(self) -> dict[str, bytes]:
        if not self._folder.is_dir():
            return {}
        return {p.name: p.read_bytes() for p in sorted(self._folder.iterdir()) if p.suffix in _WSDL_TYPES}
