"""Signature algorithms by their object identifiers (SecurityBaseline 8, RFC 4055, RFC 5758, RFC 8017)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from onvifd.errors import InvalidArgument
from onvifd.pki import der

log = logging.getLogger(__name__)

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

RSA, ECC = "RSA", "ECC"
SHA1_WITH_RSA = "1.2.840.113549.1.1.5"
SHA256_WITH_RSA = "1.2.840.113549.1.1.11"
RSASSA_PSS = "1.2.840.113549.1.1.10"
MGF1 = "1.2.840.113549.1.1.8"
ECDSA_WITH_SHA1 = "1.2.840.10045.4.1"
ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"
ECDSA_WITH_SHA384 = "1.2.840.10045.4.3.3"

HASHES: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A way to sign. `identifier` is its AlgorithmIdentifier in DER."""

    oid: str
    kind: str
    hash: hashes.HashAlgorithm
    identifier: bytes
    pss: bool = False

    def sign(self, key: PrivateKey, data: bytes) -> bytes:
        """Sign with a key that `fits`."""
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(data, ec.ECDSA(self.hash))
        return key.sign(data, self._padding(), self.hash)

    def fits(self, kind: str) -> bool:
        """Whether keys of this kind (RSA or ECC) can sign so."""
        return kind == self.kind

    def _padding(self) -> padding.AsymmetricPadding:
        if self.pss:
            return padding.PSS(mgf=padding.MGF1(self.hash), salt_length=self.hash.digest_size)
        return padding.PKCS1v15()


def _rsa(oid: str, algorithm: hashes.HashAlgorithm) -> Algorithm:
    return Algorithm(oid, RSA, algorithm, der.sequence(der.oid(oid), der.write(der.NULL)))


def _ecdsa(oid: str, algorithm: hashes.HashAlgorithm) -> Algorithm:
    return Algorithm(oid, ECC, algorithm, der.sequence(der.oid(oid)))  # RFC 5758 3.2: no parameters


def _pss(hash_oid: str) -> Algorithm:
    algorithm = HASHES[hash_oid]
    digest = der.sequence(der.oid(hash_oid), der.write(der.NULL))
    parameters = der.sequence(
        der.explicit(0, digest),
        der.explicit(1, der.sequence(der.oid(MGF1), digest)),
        der.explicit(2, der.integer(algorithm.digest_size)),
    )
    return Algorithm(RSASSA_PSS, RSA, algorithm, der.sequence(der.oid(RSASSA_PSS), parameters), pss=True)


_PLAIN = {
    each.oid: each
    for each in (
        _rsa(SHA256_WITH_RSA, hashes.SHA256()),
        _rsa("1.2.840.113549.1.1.12", hashes.SHA384()),
        _rsa("1.2.840.113549.1.1.13", hashes.SHA512()),
        _ecdsa(ECDSA_WITH_SHA256, hashes.SHA256()),
        _ecdsa(ECDSA_WITH_SHA384, hashes.SHA384()),
        _ecdsa("1.2.840.10045.4.3.4", hashes.SHA512()),
        # Not in the baseline any more, but every case of the test specification asks for it by name.
        _rsa(SHA1_WITH_RSA, hashes.SHA1()),  # noqa: S303
    )
}
SUPPORTED = (*_PLAIN, RSASSA_PSS)
"""Object identifiers for signing and for what is uploaded."""
_VERIFIED = frozenset({*SUPPORTED, ECDSA_WITH_SHA1})
WEAK = frozenset({SHA1_WITH_RSA, ECDSA_WITH_SHA1})
"""Below the security level that the TLS library demands by default."""


def algorithm_of(oid: str, parameters: bytes | None = None) -> Algorithm:
    """The algorithm of an AlgorithmIdentifier. Raises InvalidArgument (UnsupportedSignatureAlgorithm)."""
    if oid in _PLAIN:
        return _PLAIN[oid]
    if oid == RSASSA_PSS:
        try:
            return _pss(_pss_hash(parameters))
        except (der.DerError, LookupError):
            log.info("RSASSA-PSS with parameters that are not supported")
    raise InvalidArgument("the signature algorithm is not supported", detail="UnsupportedSignatureAlgorithm")


def _pss_hash(parameters: bytes | None) -> str:
    """The hash that RSASSA-PSS-params name; SHA-256 if there are none, for their default is SHA-1."""
    if not parameters:
        return "2.16.840.1.101.3.4.2.1"
    fields = {node.tag: node for node in der.parse(parameters).children()}
    wanted = fields[0xA0].children()[0].children()[0].whole
    return {der.oid(dotted): dotted for dotted in HASHES}[wanted]


def supported(signed: x509.Certificate | x509.CertificateRevocationList) -> bool:
    """Whether the signature on something uploaded can be verified here."""
    return signed.signature_algorithm_oid.dotted_string in _VERIFIED


def verifies(signed: x509.Certificate | x509.CertificateRevocationList, key: object) -> bool:
    """Whether `key` made the signature on a certificate or revocation list."""
    data = signed.tbs_certificate_bytes if isinstance(signed, x509.Certificate) else signed.tbs_certlist_bytes
    if not supported(signed):
        return False
    try:
        algorithm = signed.signature_hash_algorithm
        if algorithm is None:
            return False
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signed.signature, data, ec.ECDSA(algorithm))
        elif isinstance(key, rsa.RSAPublicKey):
            scheme = signed.signature_algorithm_parameters
            pss = scheme if isinstance(scheme, padding.PSS) else padding.PKCS1v15()
            key.verify(signed.signature, data, pss, algorithm)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True
