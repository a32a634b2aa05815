"""The keystore (Security 5.2): passphrases, keys, certificates, certification paths.

Every change is decided on the state within the transaction that writes it, so a refusal changes nothing and two changes
cannot contradict each other. Private keys and passphrases leave it only towards the TLS server.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from onvifd.access.keyfile import SecretBox
from onvifd.clock import Clock
from onvifd.errors import Conflict, InvalidArgument, Unavailable
from onvifd.pki import issue, material
from onvifd.pki.issue import Extension, RequestAttribute, spki
from onvifd.pki.names import Rdn, encode_name
from onvifd.pki.rows import (
    CORRUPT,
    GENERATING,
    MAX_PATH,
    OK,
    Limits,
    alias_of,
    check_path,
    find,
    has_private_key,
    issued,
    new_id,
    referenced,
    room,
    signs,
    with_,
    without,
)
from onvifd.pki.signatures import ECC, RSA, Algorithm, PrivateKey, PublicKey, algorithm_of
from onvifd.store.security import CertificateRow, KeyRow, PassphraseRow, PathRow, Security, SecurityState

T = TypeVar("T")

RSA_LENGTHS = (2048, 3072, 4096)
"""Bits of RSA keys that are generated; 2048 for clients that know nothing longer (baseline: 3072)."""
CURVES = tuple(material.CURVES)
MAX_PASSPHRASE = 1024


class Keystore:
    """Blocks on the database and on cryptography; call it from a thread. `clock` gives the time of what is made."""

    def __init__(self, security: Security, box: SecretBox, clock: Clock, limits: Limits | None = None) -> None:
        self._security = security
        self._box = box
        self._clock = clock
        self.limits = limits or Limits()

    # ---- ground --------------------------------------------------------------------------------

    def load(self) -> SecurityState:
        return self._security.load()

    def edit(self, change: Callable[[SecurityState], tuple[SecurityState, T]]) -> T:
        """Apply a change, all or nothing; gives what it gives beside the new state."""
        results: list[T] = []

        def decide(state: SecurityState) -> SecurityState:
            after, result = change(state)
            results.append(result)
            return after

        self._security.edit(decide)
        return results[-1]

    def now(self) -> int:
        return self._clock.utc()

    def seal_key(self, key_id: str, key: PrivateKey) -> bytes:
        plain = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self._box.seal(base64.b64encode(plain).decode(), f"key:{key_id}")

    def private_key(self, row: KeyRow) -> PrivateKey:
        """The private key of a row that has one. Raises Unavailable if it cannot be opened."""
        if row.private is None:
            raise Unavailable("the private key is not here")
        plain = base64.b64decode(self._box.open(row.private, f"key:{row.id}"))
        key: Any = serialization.load_der_private_key(plain, None)
        found: PrivateKey = key
        return found

    # ---- passphrases ---------------------------------------------------------------------------

    def upload_passphrase(self, passphrase: str, alias: str | None) -> str:
        """Raises LimitReached, InvalidArgument (BadPassphrase)."""
        if len(passphrase) > MAX_PASSPHRASE or not passphrase.isprintable():
            raise InvalidArgument("the passphrase cannot be processed", detail="BadPassphrase")
        key = new_id("passphrase")
        secret = self._box.seal(passphrase, f"passphrase:{key}")
        row = PassphraseRow(id=key, alias=alias_of(alias), secret=secret, created=self.now())

        def change(state: SecurityState) -> tuple[SecurityState, str]:
            room(len(state.passphrases), self.limits.passphrases, "MaximumNumberOfPassphrasesReached")
            return replace(state, passphrases=with_(state.passphrases, row)), key

        return self.edit(change)

    def delete_passphrase(self, key: str) -> None:
        """Raises NotFound (PassphraseID)."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            find(state.passphrases, key, "PassphraseID")
            return replace(state, passphrases=without(state.passphrases, key)), None

        self.edit(change)

    def passphrase(self, key: str | None) -> str | None:
        """The passphrase of an id, None for none. Raises NotFound (PassphraseID)."""
        if key is None:
            return None
        row: PassphraseRow = find(self.load().passphrases, key, "PassphraseID")
        return self._box.open(row.secret, f"passphrase:{row.id}")

    # ---- keys ----------------------------------------------------------------------------------

    def announce_key(self, algorithm: str, size: str, alias: str | None) -> str:
        """A key that is being generated. Raises LimitReached, InvalidArgument (KeyLength, UnsupportedEllipticCurve)."""
        if algorithm == RSA and size not in {str(length) for length in RSA_LENGTHS}:
            raise InvalidArgument("RSA keys of this length are not made here", detail="KeyLength")
        if algorithm == ECC and size not in CURVES:
            raise InvalidArgument("keys on this curve are not made here", detail="UnsupportedEllipticCurve")
        row = KeyRow(
            id=new_id("key"),
            alias=alias_of(alias),
            algorithm=algorithm,
            size=size,
            status=GENERATING,
            public=b"",
            private=None,
            external=False,
            created=self.now(),
        )

        def change(state: SecurityState) -> tuple[SecurityState, str]:
            room(len(state.keys), self.limits.keys, "MaximumNumberOfKeysReached")
            return replace(state, keys=with_(state.keys, row)), row.id

        return self.edit(change)

    def finish_key(self, key_id: str, key: PrivateKey | None) -> str | None:
        """Take over a generated key, None if that failed; gives the new status, None if the key was deleted meanwhile."""
        sealed = self.seal_key(key_id, key) if key is not None else None

        def change(state: SecurityState) -> tuple[SecurityState, str | None]:
            row = state.keys.get(key_id)
            if row is None or row.status != GENERATING:
                return state, None
            if key is None:
                row = replace(row, status=CORRUPT)
            else:
                row = replace(row, status=OK, public=spki(key.public_key()), private=sealed)
            return replace(state, keys=with_(state.keys, row)), row.status

        return self.edit(change)

    def upload_key(self, data: bytes, alias: str | None, passphrase_id: str | None, passphrase: str | None) -> str:
        """A key pair in PKCS#8; the passphrase itself goes before its id.

        Raises LimitReached, NotFound (PassphraseID), InvalidArgument (BadPKCS8File, DecryptionFailed, ...).
        """
        secret = passphrase if passphrase is not None else self.passphrase(passphrase_id)
        key = material.read_pkcs8(data, secret)
        alias_of(alias)

        def change(state: SecurityState) -> tuple[SecurityState, str]:
            state, row = self.add_key(state, key, alias)
            return state, row.id

        return self.edit(change)

    def add_key(
        self, state: SecurityState, key: PrivateKey, alias: str | None, *, external: bool = True
    ) -> tuple[SecurityState, KeyRow]:
        """The state with a private key, added to the key pair with the same public key if there is one."""
        present = self._same(state, key.public_key())
        if present is not None:
            if present.private is None:
                present = replace(present, private=self.seal_key(present.id, key))
            return replace(state, keys=with_(state.keys, present)), present
        room(len(state.keys), self.limits.keys, "MaximumNumberOfKeysReached")
        row = self._key_row(key.public_key(), alias, external=external)
        row = replace(row, private=self.seal_key(row.id, key))
        return replace(state, keys=with_(state.keys, row)), row

    def _key_row(self, key: PublicKey, alias: str | None, *, external: bool) -> KeyRow:
        algorithm, size = material.kind_of(key)
        return KeyRow(
            id=new_id("key"),
            alias=alias,
            algorithm=algorithm,
            size=size,
            status=OK,
            public=spki(key),
            private=None,
            external=external,
            created=self.now(),
        )

    def _same(self, state: SecurityState, key: PublicKey) -> KeyRow | None:
        wanted = spki(key)
        found = next((row for row in state.keys.values() if row.public == wanted), None)
        if found is not None and found.status != OK:
            raise InvalidArgument("the key cannot be used in its status", detail="InvalidKeyStatus")
        return found

    def delete_key(self, key: str) -> None:
        """Raises NotFound (KeyID), InvalidArgument (ReferenceExists)."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            find(state.keys, key, "KeyID")
            if any(row.key == key for row in state.certificates.values()):
                raise referenced("a certificate refers to the key")
            return replace(state, keys=without(state.keys, key)), None

        self.edit(change)

    # ---- making --------------------------------------------------------------------------------

    def _signer(self, key_id: str, oid: str, parameters: bytes | None) -> tuple[PrivateKey, Algorithm]:
        """Raises NotFound (KeyID), InvalidArgument (InvalidKeyStatus, UnsupportedSignatureAlgorithm, ...Mismatch)."""
        row: KeyRow = find(self.load().keys, key_id, "KeyID")
        if row.status != OK:
            raise InvalidArgument(f"the key is {row.status}", detail="InvalidKeyStatus")
        algorithm = algorithm_of(oid, parameters)
        # A public key alone cannot be an input to signing either.
        if not algorithm.fits(row.algorithm) or row.private is None:
            raise InvalidArgument("the key cannot sign so", detail="KeySignatureAlgorithmMismatch")
        return self.private_key(row), algorithm

    def create_request(
        self,
        subject: Sequence[Rdn],
        key_id: str,
        oid: str,
        parameters: bytes | None,
        extensions: Sequence[Extension],
        attributes: Sequence[RequestAttribute],
    ) -> bytes:
        """A PKCS#10 request, DER. Raises as 5.2.6.3.1 says."""
        key, algorithm = self._signer(key_id, oid, parameters)
        return issue.request(encode_name(subject), key, algorithm, extensions, attributes)

    def create_self_signed(
        self,
        subject: Sequence[Rdn],
        key_id: str,
        alias: str | None,
        validity: tuple[datetime, datetime],
        oid: str,
        parameters: bytes | None,
        extensions: Sequence[Extension],
    ) -> str:
        """Raises as 5.2.6.3.2 says."""
        key, algorithm = self._signer(key_id, oid, parameters)
        name = encode_name(subject)
        public = key.public_key()
        given = {each.oid for each in extensions}
        defaults = [each for each in issue.basics(public, ca=False, issuer=public) if each.oid not in given]
        cn = [value for rdn in subject for kind, value in rdn if kind == "2.5.4.3"]
        names = issue.alternative_names(cn)
        if names is not None and names.oid not in given:
            defaults.append(names)
        issuer = issue.Issuer(name=name, key=key, algorithm=algorithm)
        content = issue.certificate(name, public, issuer, *validity, [*defaults, *extensions])
        row = CertificateRow(
            id=new_id("cert"), alias=alias_of(alias), key=key_id, content=content, role="", created=self.now()
        )

        def change(state: SecurityState) -> tuple[SecurityState, str]:
            find(state.keys, key_id, "KeyID")
            return self.add_certificate(state, row), row.id

        return self.edit(change)

    # ---- certificates --------------------------------------------------------------------------

    def add_certificate(self, state: SecurityState, row: CertificateRow) -> SecurityState:
        room(len(state.certificates), self.limits.certificates, "MaximumNumberOfCertificatesReached")
        return replace(state, certificates=with_(state.certificates, row))

    def upload_certificate(
        self, data: bytes, alias: str | None, key_alias: str | None, private_required: bool
    ) -> tuple[str, str]:
        """Ids of the certificate and of its key. Raises as 5.2.6.3.3 says."""
        certificate = material.read_certificate(data)
        alias_of(alias), alias_of(key_alias)

        def change(state: SecurityState) -> tuple[SecurityState, tuple[str, str]]:
            if any(row.content == data for row in state.certificates.values()):
                raise InvalidArgument("the certificate is here already", detail="Duplicate")
            state, row = self._link(state, certificate, alias, key_alias, private_required)
            return state, (row.id, row.key)

        return self.edit(change)

    def _link(
        self,
        state: SecurityState,
        certificate: x509.Certificate,
        alias: str | None,
        key_alias: str | None,
        private_required: bool = False,
    ) -> tuple[SecurityState, CertificateRow]:
        """The state with a certificate and the key that it certifies."""
        public = material.certificate_key(certificate)
        key = self._same(state, public)
        if private_required and (key is None or key.private is None):
            raise Conflict("the private key of the certificate is not here", detail="NoMatchingPrivateKey")
        if key is None:
            room(len(state.keys), self.limits.keys, "MaximumNumberOfKeysReached")
            key = self._key_row(public, key_alias, external=True)
            state = replace(state, keys=with_(state.keys, key))
        row = CertificateRow(
            id=new_id("cert"),
            alias=alias,
            key=key.id,
            content=certificate.public_bytes(serialization.Encoding.DER),
            role="",
            created=self.now(),
        )
        return self.add_certificate(state, row), row

    def delete_certificate(self, key: str) -> None:
        """Raises NotFound (CertificateID), InvalidArgument (ReferenceExists)."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            row = find(state.certificates, key, "CertificateID")
            if any(key in path.certificates for path in state.paths.values()):
                raise referenced("a certification path refers to the certificate")
            if any(key in policy.anchors for policy in state.policies.values()):
                raise referenced("a validation policy trusts the certificate")
            if any(issued(crl, row) for crl in state.crls.values()):
                raise referenced("a revocation list was issued with the certificate")
            return replace(state, certificates=without(state.certificates, key)), None

        self.edit(change)

    # ---- certification paths -------------------------------------------------------------------

    def create_path(self, certificates: Sequence[str], alias: str | None) -> str:
        """Raises LimitReached, NotFound (CertificateID), InvalidArgument (InvalidCertificationPath)."""
        row = PathRow(id=new_id("path"), alias=alias_of(alias), certificates=tuple(certificates), created=self.now())

        def change(state: SecurityState) -> tuple[SecurityState, str]:
            check_path(state, row.certificates)
            return self.add_path(state, row), row.id

        return self.edit(change)

    def add_path(self, state: SecurityState, row: PathRow) -> SecurityState:
        room(len(state.paths), self.limits.paths, "MaximumNumberOfCertificationPathsReached")
        return replace(state, paths=with_(state.paths, row))

    def set_path(self, key: str, certificates: Sequence[str], alias: str | None) -> None:
        """Raises NotFound (CertificationPathID, CertificateID), InvalidArgument (InvalidCertificationPath)."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            row: PathRow = find(state.paths, key, "CertificationPathID")
            check_path(state, tuple(certificates))
            row = replace(row, certificates=tuple(certificates), alias=alias_of(alias))
            if key in state.tls.paths and not has_private_key(state, row):
                raise InvalidArgument("the TLS server has no key for this path", detail="InvalidCertificationPath")
            return replace(state, paths=with_(state.paths, row)), None

        self.edit(change)

    def delete_path(self, key: str) -> None:
        """Raises NotFound (CertificationPathID), InvalidArgument (ReferenceExists)."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            find(state.paths, key, "CertificationPathID")
            if key in state.tls.paths:
                raise referenced("the TLS server uses the path")
            return replace(state, paths=without(state.paths, key)), None

        self.edit(change)

    # ---- PKCS#12 -------------------------------------------------------------------------------

    def upload_pkcs12(
        self,
        data: bytes,
        alias: str | None,
        key_alias: str | None,
        *,
        first_only: bool,
        passphrases: tuple[str | None, str | None],
    ) -> tuple[str, str]:
        """Ids of the path and of the key. `passphrases` are those for integrity and encryption. Raises as 5.2.6.3.4 says."""
        bundle = material.read_pkcs12(data, *passphrases)
        chain = bundle.certificates[:1] if first_only else bundle.certificates
        alias_of(alias), alias_of(key_alias)
        if len(chain) > MAX_PATH or not all(signs(chain[at + 1], each) for at, each in enumerate(chain[:-1])):
            raise InvalidArgument("the certificates are no path", detail="InvalidCertificationPath")

        def change(state: SecurityState) -> tuple[SecurityState, tuple[str, str]]:
            state, key = self.add_key(state, bundle.key, key_alias)
            members = []
            for certificate in chain:
                content = certificate.public_bytes(serialization.Encoding.DER)
                known = next((row for row in state.certificates.values() if row.content == content), None)
                if known is None:
                    state, known = self._link(state, certificate, None, None)
                members.append(known.id)
            row = PathRow(id=new_id("path"), alias=alias, certificates=tuple(members), created=self.now())
            return self.add_path(state, row), (row.id, key.id)

        return self.edit(change)


def generate(algorithm: str, size: str) -> PrivateKey:
    """A new key; takes up to some seconds, during which other threads go on."""
    if algorithm == RSA:
        return rsa.generate_private_key(65537, int(size))
    return ec.generate_private_key(material.CURVES[size]())
