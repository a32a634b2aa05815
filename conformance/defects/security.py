"""Defects of the security configuration service."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from conformance.defects.model import (
    Answer,
    Exchange,
    Stage,
    answer_defect,
    attribute,
    defect,
    fault,
    found,
    remove,
    request_defect,
    succeed,
    write,
)
from conformance.names import text

ID = "ADVANCED_SECURITY-"

# ---- keys ---------------------------------------------------------------------------------------------

answer_defect(
    "key-corrupt", "generated keys are corrupt", f"{ID}1-1-1", "GetKeyStatus", write("tas:KeyStatus", "corrupt")
)
answer_defect(
    "key-never-ready", "keys are generated for ever", f"{ID}1-1-1", "GetKeyStatus", write("tas:KeyStatus", "generating")
)
answer_defect(
    "no-private-key",
    "generated keys have no private key",
    f"{ID}1-1-3",
    "GetAllKeys",
    write("tas:KeyAttribute/tas:hasPrivateKey", "false"),
)


def _forget_last(path: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        for each in found(root, path)[-1:]:
            each.getparent().remove(each)

    return change


def _no_key_events(root: Any) -> None:
    for each in found(root, "wsnt:NotificationMessage"):
        each.getparent().remove(each)


answer_defect("no-key-event", "there are no events of keys", f"{ID}1-1-2", "PullMessages", _no_key_events)
answer_defect(
    "key-not-listed", "GetAllKeys lists one key less", f"{ID}1-1-4", "GetAllKeys", _forget_last("tas:KeyAttribute")
)


def _ignored(name: str, what: str, case: str, operation: str) -> None:
    @defect(name, what, f"{ID}{case}", operation)
    async def ignored(exchange: Exchange, stage: Stage) -> Answer:
        return succeed(f"<tas:{operation}Response/>") if exchange.user else await stage.forward(exchange)


_ignored("key-not-deleted", "DeleteKey does nothing", "1-1-5", "DeleteKey")
_ignored("certificate-not-deleted", "DeleteCertificate does nothing", "2-1-11", "DeleteCertificate")
_ignored("path-not-deleted", "DeleteCertificationPath does nothing", "2-1-18", "DeleteCertificationPath")
_ignored("passphrase-not-deleted", "DeletePassphrase does nothing", "6-1-2", "DeletePassphrase")
_ignored("crl-not-deleted", "DeleteCRL does nothing", "8-1-2", "DeleteCRL")
_ignored("policy-not-deleted", "DeleteCertPathValidationPolicy does nothing", "8-1-6", "DeleteCertPathValidationPolicy")


def _accepted(name: str, what: str, case: str, operation: str, mark: bytes, inside: str = "") -> None:
    """A request that the device refuses is answered as if it had been done."""

    @defect(name, what, f"{ID}{case}", operation)
    async def accepted(exchange: Exchange, stage: Stage) -> Answer:
        answer = await stage.forward(exchange)
        return (
            succeed(f"<tas:{operation}Response>{inside}</tas:{operation}Response>")
            if mark in answer.content
            else answer
        )


_accepted(
    "linked-key-deleted", "a key can be deleted that a certificate uses", "2-1-22", "DeleteKey", b"ReferenceExists"
)
_accepted(
    "malformed-certificate-accepted",
    "UploadCertificate takes what is no certificate",
    "2-1-23",
    "UploadCertificate",
    b"BadCertificate",
    "<tas:CertificateID>c</tas:CertificateID><tas:KeyID>k</tas:KeyID>",
)
_accepted(
    "undecryptable-key-accepted",
    "UploadKeyPairInPKCS8 takes a key that it cannot decrypt",
    "6-2-2",
    "UploadKeyPairInPKCS8",
    b"DecryptionFailed",
)
_accepted(
    "no-tls-version-accepted",
    "SetEnabledTLSVersions takes an empty list",
    "9-1-1",
    "SetEnabledTLSVersions",
    b"EmptyList",
)
request_defect(
    "private-key-not-required",
    "PrivateKeyRequired of UploadCertificate is ignored",
    f"{ID}2-1-4",
    "UploadCertificate",
    write("tas:PrivateKeyRequired", "false"),
)


def _other_subcode(name: str, what: str, case: str, operation: str) -> None:
    path = "env:Code/env:Subcode/env:Subcode/env:Value"
    answer_defect(name, what, f"{ID}{case}", operation, write(path, "ter:SomethingElse"), faults=True)


_other_subcode(
    "no-matching-key-subcode", "a missing private key is refused with another subcode", "2-1-4", "UploadCertificate"
)
_other_subcode(
    "pkcs12-subcode",
    "a PKCS#12 that cannot be decrypted is refused with another subcode",
    "6-3-2",
    "UploadCertificateWithPrivateKeyInPKCS12",
)


@defect(
    "expired-certificate-refused", "UploadCertificate refuses expired certificates", f"{ID}2-1-24", "UploadCertificate"
)
async def expired_certificate_refused(exchange: Exchange, stage: Stage) -> Answer:
    return (
        fault("env:Sender", "ter:InvalidArgVal", "ter:BadCertificate")
        if exchange.user
        else await stage.forward(exchange)
    )


# ---- certificates -------------------------------------------------------------------------------------


def _bytes(path: str, change: Callable[[bytes], bytes]) -> Callable[[Any], None]:
    def edit(root: Any) -> None:
        for each in found(root, path):
            each.text = base64.b64encode(change(base64.b64decode(text(each)))).decode()

    return edit


answer_defect(
    "request-not-der",
    "PKCS10CSR has bytes behind its end",
    f"{ID}2-1-1",
    "CreatePKCS10CSR",
    _bytes("tas:PKCS10CSR", lambda content: content + b"\0"),
)
answer_defect(
    "request-of-another",
    "PKCS10CSR has another subject",
    f"{ID}2-1-1",
    "CreatePKCS10CSR",
    _bytes("tas:PKCS10CSR", lambda content: content.replace(b"US", b"CA", 1)),
)
answer_defect(
    "certificate-not-der",
    "GetCertificate has bytes behind the end of the certificate",
    f"{ID}2-1-6",
    "GetCertificate",
    _bytes("tas:Certificate/tas:CertificateContent", lambda content: content + b"\0"),
)
answer_defect(
    "certificate-of-another-key",
    "GetCertificate names another key",
    f"{ID}2-1-7",
    "GetCertificate",
    write("tas:Certificate/tas:KeyID", "another"),
)
answer_defect(
    "certificate-not-listed",
    "GetAllCertificates lists one certificate less",
    f"{ID}2-1-9",
    "GetAllCertificates",
    _forget_last("tas:Certificate"),
)


def _turn_round(root: Any) -> None:
    ids = found(root, "tas:CertificationPath/tas:CertificateID")
    for each, value in zip(ids, [text(each) for each in reversed(ids)], strict=True):
        each.text = value


answer_defect(
    "path-turned-round",
    "GetCertificationPath has the certificates in the opposite order",
    f"{ID}2-1-15",
    "GetCertificationPath",
    _turn_round,
)
answer_defect(
    "path-not-listed",
    "GetAllCertificationPaths lists one path less",
    f"{ID}2-1-16",
    "GetAllCertificationPaths",
    _forget_last("tas:CertificationPathID"),
)

# ---- capabilities -------------------------------------------------------------------------------------

answer_defect(
    "security-capabilities-disagree",
    "GetServiceCapabilities says another MaximumNumberOfKeys than GetServices",
    f"{ID}5-1-2",
    "GetServiceCapabilities",
    attribute("tas:Capabilities/tas:KeystoreCapabilities", "MaximumNumberOfKeys", "7"),
)
answer_defect(
    "no-key-lengths",
    "RSA keys are generated, but there is no length for them",
    f"{ID}5-1-1",
    "GetServiceCapabilities",
    attribute("tas:Capabilities/tas:KeystoreCapabilities", "RSAKeyLengths", None),
)
answer_defect(
    "no-signature-algorithms",
    "certificates are made, but SignatureAlgorithms is empty",
    f"{ID}5-1-1",
    "GetServiceCapabilities",
    remove("tas:Capabilities/tas:KeystoreCapabilities/tas:SignatureAlgorithms"),
)

# ---- import -------------------------------------------------------------------------------------------

answer_defect(
    "passphrase-alias-lost",
    "aliases of passphrases are lost",
    f"{ID}6-1-1",
    "GetAllPassphrases",
    remove("tas:PassphraseAttribute/tas:Alias"),
)
answer_defect(
    "uploaded-key-not-ok",
    "an uploaded key is not ok",
    f"{ID}6-2-1",
    "GetAllKeys",
    write("tas:KeyAttribute/tas:KeyStatus", "corrupt"),
)
answer_defect(
    "key-alias-lost", "aliases of keys are lost", f"{ID}6-3-1", "GetAllKeys", remove("tas:KeyAttribute/tas:Alias")
)
answer_defect(
    "uploaded-certificate-changed",
    "GetCertificate gives another certificate than the one uploaded",
    f"{ID}6-3-4",
    "GetCertificate",
    _bytes("tas:Certificate/tas:CertificateContent", lambda content: content[:-1] + bytes((content[-1] ^ 1,))),
)
answer_defect(
    "crl-changed",
    "GetCRL gives another list than the one uploaded",
    f"{ID}8-1-3",
    "GetCRL",
    _bytes("tas:Crl/tas:CRLContent", lambda content: content[:-1] + bytes((content[-1] ^ 1,))),
)
answer_defect(
    "crl-alias-lost",
    "aliases of revocation lists are lost",
    f"{ID}8-1-1",
    "GetAllCRLs",
    write("tas:Crl/tas:Alias", "another"),
)
answer_defect(
    "policy-parameters-lost",
    "UseDeltaCRLs of a policy is lost",
    f"{ID}8-1-4",
    "GetAllCertPathValidationPolicies",
    write("tas:CertPathValidationPolicy/tas:Parameters/tas:UseDeltaCRLs", "false"),
)
answer_defect(
    "policy-of-another-anchor",
    "a policy names another trust anchor",
    f"{ID}8-1-5",
    "GetCertPathValidationPolicy",
    write("tas:CertPathValidationPolicy/tas:TrustAnchor/tas:CertificateID", "another"),
)
_ignored("tls-versions-not-set", "SetEnabledTLSVersions does nothing", "9-1-1", "SetEnabledTLSVersions")


@defect(
    "policy-not-replaced",
    "ReplaceCertPathValidationPolicyAssignment does nothing",
    f"{ID}3-3-3",
    "ReplaceCertPathValidationPolicyAssignment",
)
async def policy_not_replaced(exchange: Exchange, stage: Stage) -> Answer:
    name = exchange.operation
    return succeed(f"<tas:{name}Response/>") if exchange.user else await stage.forward(exchange)
