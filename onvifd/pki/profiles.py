"""Certificate profiles: what the recorder's own certificates contain (`certs/*.toml`)."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from onvifd.errors import InvalidArgument
from onvifd.pki import issue, names
from onvifd.pki.issue import Extension, Issuer
from onvifd.pki.signatures import ECC, ECDSA_WITH_SHA256, RSA, SHA256_WITH_RSA, Algorithm, PublicKey, algorithm_of

CA = "ca"
SERVERS = ("server-ec", "server-rsa")
"""Roles of the certificates for the TLS server, one for each kind of key."""

BACKDATED = timedelta(days=1)
"""How long before now a certificate begins: a client's clock may lag."""

_KEYS = {
    "ec-p256": (ECC, "secp256r1"),
    "ec-p384": (ECC, "secp384r1"),
    "rsa-3072": (RSA, "3072"),
    "rsa-4096": (RSA, "4096"),
}
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_EXTENDED = {"server_auth": ExtendedKeyUsageOID.SERVER_AUTH, "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`algorithm` and `size` are those of the key; `common_name` may hold {hostname} and {id}."""

    algorithm: str
    size: str
    validity: timedelta
    renewal: timedelta
    """How long before its end a certificate is replaced."""
    organization: str
    common_name: str
    ca: bool
    key_usage: frozenset[str]
    extended_key_usage: tuple[str, ...]

    @classmethod
    def parse(cls, text: bytes) -> Profile:
        """Read a profile. Raises InvalidArgument."""
        try:
            about: dict[str, Any] = tomllib.loads(text.decode())
            algorithm, size = _KEYS[about["key"]]
            usage, extended = frozenset(about.get("key_usage", ())), tuple(about.get("extended_key_usage", ()))
            if not usage <= set(_USAGES) or not set(extended) <= set(_EXTENDED):
                raise ValueError("a usage is not known")
            return cls(
                algorithm=algorithm,
                size=size,
                validity=timedelta(days=int(about["days"])),
                renewal=timedelta(days=int(about["renew_days"])),
                organization=str(about["organization"]),
                common_name=str(about["common_name"]),
                ca=bool(about.get("ca", False)),
                key_usage=usage,
                extended_key_usage=extended,
            )
        except (KeyError, ValueError, TypeError) as error:
            raise InvalidArgument(f"a certificate profile cannot be used: {error}") from error

    def subject(self, hostname: str, key: PublicKey) -> bytes:
        tail = x509.SubjectKeyIdentifier.from_public_key(key).digest.hex()[:8]
        room = 64 - len(self.common_name.format(hostname="", id=tail))
        name = self.common_name.format(hostname=hostname[:room], id=tail)
        return names.encode_name([((names.ORGANIZATION, self.organization),), ((names.COMMON_NAME, name),)])

    def make(
        self, key: PublicKey, subject: bytes, issuer: Issuer, hosts: Sequence[str], now: datetime, end: datetime | None
    ) -> bytes:
        """A certificate in DER, for `hosts` unless it is an authority's; `end` is the latest end that it may have."""
        until = now + self.validity
        issuing = issuer.key.public_key()
        extensions = issue.basics(key, ca=self.ca, issuer=issuing)
        usage = {name: name in self.key_usage for name in _USAGES}
        extensions.append(Extension.of(x509.KeyUsage(**usage), critical=True))
        if self.extended_key_usage:
            wanted = [_EXTENDED[name] for name in self.extended_key_usage]
            extensions.append(Extension.of(x509.ExtendedKeyUsage(wanted)))
        alternative = issue.alternative_names(hosts) if not self.ca else None
        if alternative is not None:
            extensions.append(alternative)
        return issue.certificate(subject, key, issuer, now - BACKDATED, min(until, end or until), extensions)

    def signature(self) -> Algorithm:
        """How keys of this profile sign."""
        return algorithm_of(ECDSA_WITH_SHA256 if self.algorithm == ECC else SHA256_WITH_RSA)
