"""TLS of connections to event brokers, judged by the certification path validation policies of the security service."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from onvifd.bodies.tls import Tls
from onvifd.errors import Unavailable


class BrokerTls:
    """`TlsContexts` of brokers: a policy by its id, else what the host trusts, and in both cases the authorities of a PEM file.

    `tls` is asked late, because connections are begun before the keystore is read; they are tried again.
    """

    def __init__(self, tls: Callable[[], Tls], ca_file: str = "") -> None:
        self._tls = tls
        self._ca_file = Path(ca_file) if ca_file else None

    def context(self, certificate_id: str | None, policy_id: str | None) -> ssl.SSLContext:
        """See TlsContexts. Raises NotFound for ids that are not known, InvalidArgument for a certificate without private key,
        Unavailable if files cannot be read."""
        return self._tls().outgoing(policy_id, self._authorities(), certificate=certificate_id)

    def _authorities(self) -> list[x509.Certificate]:
        if self._ca_file is None:
            return []
        try:
            return x509.load_pem_x509_certificates(self._ca_file.read_bytes())
        except (OSError, ValueError) as error:
            raise Unavailable(f"the authorities in {self._ca_file} cannot be read") from error
