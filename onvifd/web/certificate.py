"""The certificate that a VMS imports, for download: it is public, as every TLS handshake shows what it signed."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization

PEM_PATH = "/certificate/ca.pem"
DER_PATH = "/certificate/ca.crt"


class AuthoritySource(Protocol):
    def authority(self) -> x509.Certificate | None:
        """The certificate of the recorder's own authority; None before it was made."""
        ...


def add_routes(app: web.Application, source: AuthoritySource) -> None:
    """Serve the certificate as PEM and as DER, which Windows opens by its extension."""

    async def download(request: web.Request) -> web.Response:
        certificate = source.authority()
        if certificate is None:
            raise web.HTTPNotFound(text="there is no certificate yet\n")
        pem = request.path == PEM_PATH
        encoding = serialization.Encoding.PEM if pem else serialization.Encoding.DER
        name = request.path.rpartition("/")[2]
        return web.Response(
            body=certificate.public_bytes(encoding),
            content_type="application/x-pem-file" if pem else "application/x-x509-ca-cert",
            headers={"Content-Disposition": f'attachment; filename="onvifd-{name}"', "Cache-Control": "no-store"},
        )

    app.router.add_get(PEM_PATH, download)
    app.router.add_get(DER_PATH, download)
