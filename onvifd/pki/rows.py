"""What all parts of the keystore ask of its state: limits, ids, references, certification paths."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cryptography import x509

from onvifd.errors import Conflict, InvalidArgument, LimitReached, NotFound, OnvifdError
from onvifd.pki import material
from onvifd.pki.signatures import verifies
from onvifd.store.security import CertificateRow, CrlRow, PathRow, SecurityState


class Row(Protocol):
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=Row)

OK, GENERATING, CORRUPT = "ok", "generating", "corrupt"
MAX_ALIAS = 1024
MAX_PATH = 16
"""Certificates in a certification path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many objects the keystore holds at once; told to clients in the capabilities."""

    keys: int = 64
    certificates: int = 64
    paths: int = 32
    passphrases: int = 16
    crls: int = 16
    policies: int = 16
    tls_paths: int = 8
    tls_policies: int = 1
    """More than one would leave open what is checked (Security 7.2)."""


def new_id(kind: str) -> str:
    """An id that is a tas:...ID (xs:NCName, at most 64 characters) and is never given again."""
    return f"{kind}-{secrets.token_hex(8)}"


def find(rows: Mapping[str, R], key: str, detail: str) -> R:
    """The row of an id. Raises NotFound with this second subcode."""
    if key not in rows:
        raise NotFound(f"there is no object with this {detail}", detail=detail)
    return rows[key]


def room(used: int, limit: int, detail: str) -> None:
    """Raises LimitReached (R/A/<detail>) unless there is room for one more."""
    if used >= limit:
        raise LimitReached("the keystore is full", detail=detail)


def referenced(reason: str) -> InvalidArgument:
    return InvalidArgument(reason, detail="ReferenceExists")


def alias_of(alias: str | None) -> str | None:
    if alias is not None and len(alias) > MAX_ALIAS:
        raise InvalidArgument(f"an alias has at most {MAX_ALIAS} characters")
    return alias


def with_(rows: Mapping[str, R], row: R) -> dict[str, R]:
    return {**rows, row.id: row}


def without(rows: Mapping[str, R], key: str) -> dict[str, R]:
    return {name: row for name, row in rows.items() if name != key}


def certificate_of(row: CertificateRow) -> x509.Certificate:
    """The certificate of a row, which was checked when it came in."""
    return x509.load_der_x509_certificate(row.content)


def has_private_key(state: SecurityState, path: PathRow) -> bool:
    key = state.keys[state.certificates[path.certificates[0]].key]
    return key.status == OK and key.private is not None


def check_path(state: SecurityState, certificates: tuple[str, ...]) -> None:
    """Raises NotFound (CertificateID), InvalidArgument (InvalidCertificationPath), Conflict (...CreationFailed)."""
    rows = [find(state.certificates, key, "CertificateID") for key in certificates]
    if not 1 <= len(rows) <= MAX_PATH:
        raise Conflict(f"a path has 1 to {MAX_PATH} certificates", detail="CertificationPathCreationFailed")
    chain = [certificate_of(row) for row in rows]
    if not all(signs(chain[at + 1], each) for at, each in enumerate(chain[:-1])):
        raise InvalidArgument("a certificate is not signed by the next one", detail="InvalidCertificationPath")


def signs(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        return verifies(certificate, material.certificate_key(issuer))
    except OnvifdError:
        return False


def issued(row: CrlRow, issuer: CertificateRow) -> bool:
    """Whether a revocation list was issued with a certificate."""
    crl, certificate = x509.load_der_x509_crl(row.content), certificate_of(issuer)
    return crl.issuer == certificate.subject and verifies(crl, certificate.public_key())
