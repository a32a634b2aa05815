"""Making certificates and certificate requests (RFC 5280, RFC 2986).

They are put together here and not by the library's builders, which refuse extensions they do not know, attribute types
they do not know and the signature algorithm that the test specification asks for.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from onvifd.errors import Conflict, InvalidArgument
from onvifd.pki import der
from onvifd.pki.names import common_name
from onvifd.pki.signatures import Algorithm, PrivateKey, PublicKey

EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
NO_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The end of a certificate that has none (RFC 5280 4.1.2.5)."""
MAX_EXTENSIONS = 32


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension (RFC 5280 4.2): `value` is the DER inside its octet string."""

    oid: str
    critical: bool
    value: bytes

    @classmethod
    def of(cls, value: x509.ExtensionType, *, critical: bool = False) -> Extension:
        return cls(value.oid.dotted_string, critical, value.public_bytes())


@dataclass(frozen=True, slots=True)
class RequestAttribute:
    """A further attribute of a request (RFC 2986 4.1): `value` is DER."""

    oid: str
    value: bytes


def spki(key: PublicKey) -> bytes:
    """A public key as SubjectPublicKeyInfo, DER."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _extensions(extensions: Sequence[Extension]) -> bytes:
    parts = []
    for each in extensions:
        critical = der.write(der.BOOLEAN, b"\xff") if each.critical else b""
        parts.append(der.sequence(der.oid(each.oid), critical, der.write(der.OCTET_STRING, each.value)))
    return der.sequence(*parts)


def _signed(body: bytes, key: PrivateKey, algorithm: Algorithm) -> bytes:
    return der.sequence(body, algorithm.identifier, der.bits(algorithm.sign(key, body)))


def request(
    subject: bytes,
    key: PrivateKey,
    algorithm: Algorithm,
    extensions: Sequence[Extension] = (),
    attributes: Sequence[RequestAttribute] = (),
) -> bytes:
    """A PKCS#10 request in DER. Raises InvalidArgument (InvalidAttribute)."""
    try:
        parts = [
            der.sequence(der.oid(each.oid), der.write(der.SET, der.parse(each.value).whole)) for each in attributes
        ]
        if extensions:
            _check(extensions)
            asked = der.write(der.SET, _extensions(extensions))
            parts.append(der.sequence(der.oid(EXTENSION_REQUEST), asked))
    except der.DerError as error:
        raise InvalidArgument(f"an attribute cannot be used: {error}", detail="InvalidAttribute") from None
    body = der.sequence(der.integer(0), subject, spki(key.public_key()), der.explicit(0, *sorted(parts)))
    made = _signed(body, key, algorithm)
    try:
        x509.load_der_x509_csr(made).extensions  # noqa: B018 - reads them
    except (ValueError, x509.DuplicateExtension) as error:
        raise InvalidArgument(f"an attribute cannot be used: {error}", detail="InvalidAttribute") from None
    return made


def _check(extensions: Sequence[Extension]) -> None:
    if len(extensions) > MAX_EXTENSIONS:
        raise der.DerError(f"there are more than {MAX_EXTENSIONS} extensions")
    for each in extensions:
        der.oid(each.oid)
        der.parse(each.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who signs: name in DER and key."""

    name: bytes
    key: PrivateKey
    algorithm: Algorithm


def certificate(
    subject: bytes,
    key: PublicKey,
    issuer: Issuer,
    not_before: datetime,
    not_after: datetime,
    extensions: Sequence[Extension],
) -> bytes:
    """An X.509 v3 certificate in DER.

    Raises InvalidArgument (InvalidDateTime) for a validity that ends before it begins, Conflict (CertificateCreationFailed).
    """
    if not_after < not_before:
        raise InvalidArgument("the validity ends before it begins", detail="InvalidDateTime")
    try:
        _check(extensions)
        body = der.sequence(
            der.explicit(0, der.integer(2)),
            der.integer(secrets.randbits(158) | 1 << 157),  # RFC 5280 4.1.2.2: unique, positive, at most 20 octets
            issuer.algorithm.identifier,
            issuer.name,
            der.sequence(der.time(not_before), der.time(not_after)),
            subject,
            spki(key),
            der.explicit(3, _extensions(extensions)) if extensions else b"",
        )
        made = _signed(body, issuer.key, issuer.algorithm)
        x509.load_der_x509_certificate(made).extensions  # noqa: B018 - reads them
    except (ValueError, x509.DuplicateExtension) as error:
        raise Conflict(f"the certificate cannot be made: {error}", detail="CertificateCreationFailed") from None
    return made


def alternative_names(names: Sequence[str]) -> Extension | None:
    """Host names and addresses as subject alternative names; None if none can be used."""
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            if name.isascii() and name and " " not in name:
                found.append(x509.DNSName(name))
    return Extension.of(x509.SubjectAlternativeName(found)) if found else None


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """The host names (lower case) and addresses that a certificate is for; its common name if it lists none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        alone = common_name(certificate.subject)
        return frozenset({alone.lower()}) if alone else frozenset()
    hosts = (name.lower() for name in names.get_values_for_type(x509.DNSName))
    return frozenset((*hosts, *(str(address) for address in names.get_values_for_type(x509.IPAddress))))


def basics(key: PublicKey, *, ca: bool, issuer: PublicKey) -> list[Extension]:
    """Basic constraints and key identifiers."""
    constraints = x509.BasicConstraints(ca=ca, path_length=0 if ca else None)
    return [
        Extension.of(constraints, critical=True),
        Extension.of(x509.SubjectKeyIdentifier.from_public_key(key)),
        Extension.of(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer)),
    ]
