"""Keys, certificates and revocation lists of our own (Security Test 6). Nothing here talks to a device."""

from __future__ import annotations

import functools
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

SHA1_RSA, SHA256_RSA = "1.2.840.113549.1.1.5", "1.2.840.113549.1.1.11"
PASSPHRASE, OTHER_PASSPHRASE = "Passphrase for ONVIF", "AdditionalPassphrase"
"""Security Test 6.24."""
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_OIDS = {SHA1_RSA: bytes.fromhex("06092a864886f70d010105"), SHA256_RSA: bytes.fromhex("06092a864886f70d01010b")}


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate in DER and its private key."""

    der: bytes
    key: rsa.RSAPrivateKey

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)


@functools.lru_cache(64)
def rsa_key(length: int, number: int = 0) -> rsa.RSAPrivateKey:
    """A key of our own; `number` tells keys of one length apart. The specification allows to use one again."""
    return rsa.generate_private_key(65537, max(length, 1024))


def new_key(length: int) -> rsa.RSAPrivateKey:
    """A key that no device has seen yet: a keystore may refuse one that it holds already."""
    return rsa.generate_private_key(65537, max(length, 1024))


def name(common: str = "ONVIF TT", country: str = "US") -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common), x509.NameAttribute(NameOID.COUNTRY_NAME, country)]
    )


def signed(made: x509.Certificate | x509.CertificateRevocationList, key: rsa.RSAPrivateKey, algorithm: str) -> bytes:
    """DER with the wanted signature algorithm.

    `cryptography` no longer signs certificates with SHA-1, which the specification demands; the algorithm identifiers of
    both have the same length, so the signed part is rewritten and signed again.
    """
    der = made.public_bytes(serialization.Encoding.DER)
    if algorithm == SHA256_RSA:
        return der
    inner = made.tbs_certificate_bytes if isinstance(made, x509.Certificate) else made.tbs_certlist_bytes
    renamed = inner.replace(_OIDS[SHA256_RSA], _OIDS[SHA1_RSA], 1)
    signature = key.sign(renamed, padding.PKCS1v15(), hashes.SHA1())
    at = der.index(inner)
    rest = der[at + len(inner) :].replace(_OIDS[SHA256_RSA], _OIDS[SHA1_RSA], 1)
    return der[:at] + renamed + rest[: -len(signature)] + signature


def make_certificate(
    subject: x509.Name,
    key: rsa.RSAPrivateKey,
    *,
    issuer: Identity | None = None,
    algorithm: str = SHA256_RSA,
    until: datetime = LAST,
    authority: bool = False,
    public_key: rsa.RSAPublicKey | None = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> Identity:
    """A certificate of version 3, signed by `issuer` or by itself."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(public_key or key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(FIRST)
        .not_valid_after(until)
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signer = issuer.key if issuer else key
    return Identity(signed(builder.sign(signer, hashes.SHA256()), signer, algorithm), key)


def authority(
    length: int, common: str = "ONVIF TT", *, algorithm: str = SHA256_RSA, until: datetime = LAST
) -> Identity:
    """Security Test 6.4."""
    return make_certificate(name(common), new_key(length), algorithm=algorithm, until=until, authority=True)


def from_request(request: bytes, issuer: Identity, algorithm: str) -> bytes:
    """The certificate that a PKCS#10 request asks for (Security Test 6.3)."""
    csr = x509.load_der_x509_csr(request)
    public = csr.public_key()
    if not isinstance(public, rsa.RSAPublicKey):
        raise TypeError("the request is not for an RSA key")
    extensions = tuple((each.value, each.critical) for each in csr.extensions)
    # The private key is the device's; the identity's own key is not used.
    return make_certificate(
        csr.subject, issuer.key, issuer=issuer, algorithm=algorithm, public_key=public, extensions=extensions
    ).der


def revocation_list(issuer: Identity, revoked: x509.Certificate | None, algorithm: str) -> bytes:
    """Security Test 6.37, 6.45. The builder wants a next update, which the specification leaves out."""
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    entry = (
        x509.RevokedCertificateBuilder()
        .serial_number(revoked.serial_number if revoked else 4711)
        .revocation_date(now - timedelta(hours=1))
        .build()
    )
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now)
        .next_update(now + timedelta(days=3650))
        .add_revoked_certificate(entry)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    return signed(builder.sign(issuer.key, hashes.SHA256()), issuer.key, algorithm)


def pkcs8(key: rsa.RSAPrivateKey, passphrase: str | None = None) -> bytes:
    """PKCS#8 in DER; with a passphrase encrypted by PBES2."""
    how: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        how = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, how)


def pkcs12_of(identity: Identity, passphrase: str | None = None) -> bytes:
    """PKCS#12 with key and certificate; with a passphrase by pbeWithSHAAnd3-KeyTripleDES-CBC (Security Test 6.33)."""
    how: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        how = (
            serialization.PrivateFormat.PKCS12.encryption_builder()
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA256())
            .build(passphrase.encode())
        )
    return pkcs12.serialize_key_and_certificates(b"testAlias", identity.key, identity.certificate, None, how)


def request_is_signed(request: x509.CertificateSigningRequest) -> bool:
    """Does the signature of a PKCS#10 request match its key? `cryptography` itself does not judge SHA-1."""
    public, algorithm = request.public_key(), request.signature_hash_algorithm
    if not isinstance(public, rsa.RSAPublicKey) or algorithm is None:
        return request.is_signature_valid
    try:
        public.verify(request.signature, request.tbs_certrequest_bytes, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def is_der(content: bytes) -> bool:
    """Is it exactly one DER value: definite lengths, shortest form, nothing behind it (Security Test 6.19)?"""
    try:
        return _value_end(content, 0) == len(content)
    except (IndexError, ValueError):
        return False


def _value_end(content: bytes, at: int) -> int:
    tag, first = content[at], content[at + 1]
    start, length = at + 2, first
    if tag & 0x1F == 0x1F or first == 0x80:
        raise ValueError("no DER as certificates have it")
    if first & 0x80:
        count = first & 0x7F
        length = int.from_bytes(content[start : start + count], "big")
        start += count
        if length < 0x80 or content[at + 2] == 0:
            raise ValueError("length is not in its shortest form")
    end = start + length
    if end > len(content):
        raise ValueError("value is cut off")
    if tag & 0x20:
        inner = start
        while inner < end:
            inner = _value_end(content, inner)
        if inner != end:
            raise ValueError("values overlap")
    return end


def load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """Use an identity in a context; `ssl` reads only files, and they are gone at once."""
    key = identity.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "identity.pem"
        path.touch(mode=0o600)
        path.write_bytes(key + identity.certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(path)


def broker_context(address: str, issuer: Identity) -> ssl.SSLContext:
    """A server context with a certificate for an address of ours."""
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address.partition("%")[0]))])
    identity = make_certificate(
        name("ONVIF Test Event Broker"), rsa_key(2048), issuer=issuer, extensions=((names, False),)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_identity(context, identity)
    return context
