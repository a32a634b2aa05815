"""Reading what clients upload: certificates, keys in PKCS#8, revocation lists, PKCS#12."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from onvifd.errors import InvalidArgument
from onvifd.pki import der
from onvifd.pki.signatures import ECC, RSA, PrivateKey, PublicKey, supported

MAX_DER = 64 * 1024
"""Octets of a certificate, key or PKCS#12 file."""
MAX_CRL = 512 * 1024
"""Octets of a revocation list."""
RSA_BITS = range(1024, 8193)
"""Lengths of RSA keys that are taken over."""
CURVES: dict[str, type[ec.EllipticCurve]] = {
    "secp256r1": ec.SECP256R1,
    "secp384r1": ec.SECP384R1,
    "secp521r1": ec.SECP521R1,
}
"""By their names in the IANA registry of TLS supported groups."""
MAX_ITERATIONS = 1_000_000
"""Rounds of key derivation that a PKCS#12 file may ask for; it decides how long a thread is busy."""
MAX_VALUES = 5000
"""Values within a file that are looked at."""


def bad(detail: str, reason: str) -> InvalidArgument:
    return InvalidArgument(reason, detail=detail)


def kind_of(key: object) -> tuple[str, str]:
    """Algorithm (RSA or ECC) and size of a key. Raises InvalidArgument (UnsupportedPublicKeyAlgorithm)."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey) and key.key_size in RSA_BITS:
        return RSA, str(key.key_size)
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return ECC, key.curve.name
    raise bad("UnsupportedPublicKeyAlgorithm", "keys of this kind or size are not supported")


def certificate_key(certificate: x509.Certificate) -> PublicKey:
    """The key of a certificate. Raises InvalidArgument (UnsupportedPublicKeyAlgorithm)."""
    try:
        key: Any = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        raise bad("UnsupportedPublicKeyAlgorithm", "the key of the certificate is not supported") from None
    kind_of(key)
    found: PublicKey = key
    return found


def read_certificate(data: bytes) -> x509.Certificate:
    """A certificate that was uploaded.

    Raises InvalidArgument (BadCertificate, UnsupportedSignatureAlgorithm, UnsupportedPublicKeyAlgorithm).
    """
    try:
        if len(data) > MAX_DER:
            raise der.DerError("it is too large")
        der.parse(data)
        certificate = x509.load_der_x509_certificate(data)
        certificate.extensions  # noqa: B018 - reads them
        _ = (certificate.subject, certificate.issuer, certificate.not_valid_after_utc, certificate.not_valid_before_utc)
    except (ValueError, x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm):
        raise bad("BadCertificate", "this is no X.509 certificate in DER") from None
    _check(certificate)
    return certificate


def _check(certificate: x509.Certificate) -> None:
    if not supported(certificate):
        raise bad("UnsupportedSignatureAlgorithm", "the certificate's signature algorithm is not supported")
    certificate_key(certificate)


def read_crl(data: bytes) -> x509.CertificateRevocationList:
    """A revocation list that was uploaded. Raises InvalidArgument (BadCRL, UnsupportedSignatureAlgorithm)."""
    try:
        if len(data) > MAX_CRL:
            raise der.DerError("it is too large")
        der.parse(data)
        crl = x509.load_der_x509_crl(data)
        crl.extensions  # noqa: B018 - reads them
        _ = (crl.issuer, len(crl))
    except (ValueError, x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm):
        raise bad("BadCRL", "this is no certificate revocation list in DER") from None
    if not supported(crl):
        raise bad("UnsupportedSignatureAlgorithm", "the list's signature algorithm is not supported")
    for critical in (each for each in crl.extensions if each.critical):
        # Indirect lists and lists of a part are not processed (Security 5.5.7.7 asks for complete direct ones).
        if not isinstance(critical.value, x509.CRLNumber | x509.DeltaCRLIndicator):
            raise bad("BadCRL", "the list is limited to a part of the certificates")
    return crl


def read_pkcs8(data: bytes, passphrase: str | None) -> PrivateKey:
    """A key pair in PKCS#8, encrypted under `passphrase` if one is given.

    Raises InvalidArgument (BadPKCS8File, DecryptionFailed, UnsupportedPublicKeyAlgorithm).
    """
    try:
        if len(data) > MAX_DER:
            raise der.DerError("it is too large")
        parts = der.parse(data).children()
        # EncryptedPrivateKeyInfo begins with an algorithm, OneAsymmetricKey with a version (RFC 5958).
        encrypted = parts[0].tag == der.SEQUENCE
        if not encrypted:
            data = _without_public_key(parts)
    except (der.DerError, IndexError):
        raise bad("BadPKCS8File", "this is no PKCS#8 structure") from None
    if encrypted:
        _bound_iterations(data, "BadPKCS8File")
        if passphrase is None:
            raise bad("DecryptionFailed", "the key is encrypted and no passphrase was given")
    try:
        key: Any = serialization.load_der_private_key(data, passphrase.encode() if encrypted and passphrase else None)
    except UnsupportedAlgorithm:
        raise bad("UnsupportedPublicKeyAlgorithm", "keys of this kind are not supported") from None
    except (ValueError, TypeError):
        detail = "DecryptionFailed" if encrypted else "BadPKCS8File"
        raise bad(detail, "the key cannot be decrypted" if encrypted else "the key cannot be read") from None
    kind_of(key)
    found: PrivateKey = key
    return found


def _without_public_key(parts: tuple[der.Node, ...]) -> bytes:
    """OneAsymmetricKey as the PrivateKeyInfo that the library reads: version 1, without attributes and public key."""
    return der.sequence(der.integer(0), *(node.whole for node in parts[1:3]))


def _bound_iterations(data: bytes, detail: str) -> None:
    """Refuse key derivation that would keep a thread busy for long: the rounds are the integer that follows a salt."""
    waiting = [der.parse(data)]
    for _ in range(MAX_VALUES):
        if not waiting:
            return
        try:
            children = waiting.pop().children()
        except der.DerError:
            continue
        for before, node in zip((None, *children), children, strict=False):
            salted = before is not None and before.tag == der.OCTET_STRING and node.tag == der.INTEGER
            if salted and int.from_bytes(node.content[:9], "big") > MAX_ITERATIONS:
                raise bad(detail, "the key derivation takes too many rounds")
            if node.tag & 0x20 or (node.tag == der.OCTET_STRING and node.content[:1] == b"\x30"):
                waiting.append(node)
    raise bad(detail, "the file has too many parts")


# ---- PKCS#12 ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bundle:
    """A private key and its certificates, the key's own first."""

    key: PrivateKey = field(repr=False)
    certificates: tuple[x509.Certificate, ...]


def read_pkcs12(data: bytes, integrity: str | None, encryption: str | None) -> Bundle:
    """The content of a PKCS#12 file; the passphrases may differ, None for none.

    Raises InvalidArgument (BadPKCS12File, DecryptionFailed, BadCertificate, PublicPrivateKeyMismatch,
    UnsupportedPublicKeyAlgorithm, UnsupportedSignatureAlgorithm).
    """
    try:
        if len(data) > MAX_DER:
            raise der.DerError("it is too large")
        parts = der.parse(data).children()
        if len(parts) not in (2, 3) or parts[0].whole != der.integer(3) or parts[1].tag != der.SEQUENCE:
            raise der.DerError("it has not the form of a PFX")
        if len(parts) == 2 and integrity is not None:
            raise bad("BadPKCS12File", "the file has no integrity protection")
        _bound_iterations(data, "BadPKCS12File")
        if len(parts) == 3 and integrity is not None and encryption is not None and integrity != encryption:
            _check_mac(parts, integrity)
            data = der.sequence(*(part.whole for part in parts[:2]))
    except (der.DerError, IndexError):
        raise bad("BadPKCS12File", "this is no PKCS#12 file") from None
    return _open(data, encryption if encryption is not None else integrity)


def _open(data: bytes, passphrase: str | None) -> Bundle:
    try:
        found = pkcs12.load_pkcs12(data, None if passphrase is None else passphrase.encode())
    except UnsupportedAlgorithm:
        raise bad("UnsupportedPublicKeyAlgorithm", "the key in the file is not supported") from None
    except (ValueError, TypeError):
        raise bad("DecryptionFailed", "the file cannot be decrypted") from None
    if found.key is None:
        raise bad("BadPKCS12File", "there is no private key in the file")
    own = [found.cert.certificate] if found.cert is not None else []
    if not own:
        detail = "PublicPrivateKeyMismatch" if found.additional_certs else "BadPKCS12File"
        raise bad(detail, "no certificate in the file belongs to its private key")
    kind_of(found.key)
    certificates = (*own, *(each.certificate for each in found.additional_certs))
    for certificate in certificates:
        _check(certificate)
    key: Any = found.key
    return Bundle(key, certificates)


_MACS = {
    der.oid("1.3.14.3.2.26"): ("sha1", 64),
    der.oid("2.16.840.1.101.3.4.2.1"): ("sha256", 64),
    der.oid("2.16.840.1.101.3.4.2.2"): ("sha384", 128),
    der.oid("2.16.840.1.101.3.4.2.3"): ("sha512", 128),
}
"""Hash and its block size by object identifier."""


def _check_mac(parts: tuple[der.Node, ...], passphrase: str) -> None:
    """Check the integrity of a PFX under a passphrase that is not the one of its content (RFC 7292 section 4)."""
    content = parts[1].children()[1].children()[0].content
    info, salt, *rest = parts[2].children()
    kind, digest = info.children()
    try:
        name, block = _MACS[kind.children()[0].whole]
    except KeyError:
        raise bad("BadPKCS12File", "the integrity protection is not supported") from None
    rounds = int.from_bytes(rest[0].content, "big") if rest else 1
    key = mac_key(name, block, passphrase, salt.content, rounds)
    if not hmac.compare_digest(hmac.digest(key, content, name), digest.content):
        raise bad("DecryptionFailed", "the integrity passphrase does not fit")


def mac_key(name: str, block: int, passphrase: str, salt: bytes, rounds: int) -> bytes:
    """The key of a PKCS#12 MAC (RFC 7292 appendix B.2, for one block of output)."""
    secret = passphrase.encode("utf-16-be") + b"\0\0"

    def stretched(text: bytes) -> bytes:
        length = -(-len(text) // block) * block
        return (text * (length // len(text) + 1))[:length] if text else b""

    value = bytes([3]) * block + stretched(salt) + stretched(secret)
    for _ in range(max(1, rounds)):
        value = hashlib.new(name, value).digest()
    return value
