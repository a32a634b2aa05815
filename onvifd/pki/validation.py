"""Certificates of TLS clients: revocation lists, certification path validation policies, and the check itself (Security 4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from onvifd.errors import InvalidArgument
from onvifd.pki import material
from onvifd.pki.keystore import Keystore
from onvifd.pki.rows import alias_of, certificate_of, find, new_id, referenced, room, with_, without
from onvifd.pki.signatures import verifies
from onvifd.store.security import CrlRow, PolicyRow, SecurityState

MAX_ANCHORS = 32
"""Trust anchors of a policy."""


class Validation:
    """Revocation lists and policies in the keystore. Blocks like the keystore itself."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore
        self._limits = keystore.limits

    def upload_crl(self, data: bytes, alias: str | None) -> str:
        """Raises LimitReached, InvalidArgument (BadCRL, UnsupportedSignatureAlgorithm)."""
        material.read_crl(data)
        row = CrlRow(id=new_id("crl"), alias=alias_of(alias), content=data, created=self._keystore.now())

        def change(state: SecurityState) -> tuple[SecurityState, str]:
            room(len(state.crls), self._limits.crls, "MaximumNumberOfCRLsReached")
            return replace(state, crls=with_(state.crls, row)), row.id

        return self._keystore.edit(change)

    def delete_crl(self, key: str) -> None:
        """Raises NotFound (CRLID). Nothing refers to a list: every policy considers all of them."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            find(state.crls, key, "CRLID")
            return replace(state, crls=without(state.crls, key)), None

        self._keystore.edit(change)

    def create_policy(self, alias: str | None, client_usage: bool, deltas: bool, anchors: Sequence[str]) -> str:
        """Raises LimitReached, NotFound (CertificateID), InvalidArgument (CertPathValidationParameters)."""
        row = PolicyRow(
            id=new_id("policy"),
            alias=alias_of(alias),
            client_usage=client_usage,
            deltas=deltas,
            anchors=tuple(dict.fromkeys(anchors)),
            created=self._keystore.now(),
        )

        def change(state: SecurityState) -> tuple[SecurityState, str]:
            _check_anchors(state, row.anchors)
            full = "MaximumNumberOfCertPathValidationPoliciesReached"
            room(len(state.policies), self._limits.policies, full)
            return replace(state, policies=with_(state.policies, row)), row.id

        return self._keystore.edit(change)

    def set_policy(self, key: str, alias: str | None, client_usage: bool, deltas: bool, anchors: Sequence[str]) -> None:
        """Raises NotFound (CertPathValidationPolicyID, CertificateID), InvalidArgument (ReferenceExists, ...)."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            row = find(state.policies, key, "CertPathValidationPolicyID")
            if key in state.tls.policies:  # 5.2.4: not to be updated while a security feature refers to it
                raise referenced("the TLS server uses the policy")
            members = tuple(dict.fromkeys(anchors))
            _check_anchors(state, members)
            row = replace(row, alias=alias_of(alias), client_usage=client_usage, deltas=deltas, anchors=members)
            return replace(state, policies=with_(state.policies, row)), None

        self._keystore.edit(change)

    def delete_policy(self, key: str) -> None:
        """Raises NotFound (CertPathValidationPolicyID), InvalidArgument (ReferenceExists)."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            find(state.policies, key, "CertPathValidationPolicyID")
            if key in state.tls.policies:
                raise referenced("the TLS server uses the policy")
            return replace(state, policies=without(state.policies, key)), None

        self._keystore.edit(change)


def _check_anchors(state: SecurityState, anchors: tuple[str, ...]) -> None:
    if not 1 <= len(anchors) <= MAX_ANCHORS:
        reason = f"a policy has 1 to {MAX_ANCHORS} trust anchors"
        raise InvalidArgument(reason, detail="CertPathValidationParameters")
    for key in anchors:
        find(state.certificates, key, "CertificateID")


class ClientCheck:
    """What the TLS library does not check of a client's certification path that it found valid.

    A revocation list that is missing leaves the status undetermined, and does not keep the client out (4.3.2); the library
    would want a list of every issuer.
    """

    def __init__(self, state: SecurityState) -> None:
        policies = [state.policies[key] for key in state.tls.policies]
        self._usage = any(policy.client_usage for policy in policies)
        self._deltas = any(policy.deltas for policy in policies)
        self._known = [certificate_of(row) for row in state.certificates.values()]
        self._crls = [x509.load_der_x509_crl(row.content) for row in state.crls.values()]

    def refusal(self, chain: Sequence[x509.Certificate]) -> str | None:
        """Why a client is kept out; None if it is let in. `chain` begins with its own certificate."""
        if not chain:
            return "there is no certificate"
        if self._usage and not _for_clients(chain[0]):
            return "the certificate is not meant for TLS clients"
        for at, certificate in enumerate(chain):
            issuer = chain[at + 1] if at + 1 < len(chain) else self._issuer(certificate)
            if issuer is not None and revoked(certificate, issuer, self._crls, deltas=self._deltas):
                return "the certificate is revoked"
        return None

    def _issuer(self, certificate: x509.Certificate) -> x509.Certificate | None:
        if certificate.issuer == certificate.subject:
            return None
        return next((known for known in self._known if verifies(certificate, known.public_key())), None)


def _for_clients(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage


def revoked(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    crls: Sequence[x509.CertificateRevocationList],
    *,
    deltas: bool,
) -> bool:
    """Whether a list that is signed with the issuer's key names the certificate (RFC 5280 6.3.3, complete direct lists).

    A list counts however old it is. Delta lists add to the complete ones and take from them, in the order of their numbers.
    """
    own = [crl for crl in crls if verifies(crl, issuer.public_key())]
    complete = [crl for crl in own if _base(crl) is None]
    found = any(crl.get_revoked_certificate_by_serial_number(certificate.serial_number) for crl in complete)
    newest = max((_number(crl) for crl in complete), default=-1)
    for crl in sorted((crl for crl in own if deltas and _base(crl) is not None), key=_number):
        base = _base(crl)
        if base is None or base > newest or _number(crl) <= newest:  # RFC 5280 5.2.4
            continue
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        if entry is not None:
            found = _reason(entry) is not x509.ReasonFlags.remove_from_crl
    return found


def _number(crl: x509.CertificateRevocationList) -> int:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


def _base(crl: x509.CertificateRevocationList) -> int | None:
    """The number of the list that a delta list adds to; None for a complete list."""
    try:
        return crl.extensions.get_extension_for_class(x509.DeltaCRLIndicator).value.crl_number
    except x509.ExtensionNotFound:
        return None


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None
