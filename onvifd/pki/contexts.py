"""TLS contexts made of what is assigned to the TLS server (SecurityBaseline 12)."""

from __future__ import annotations

import logging
import secrets
import ssl
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from onvifd.errors import InvalidArgument, OnvifdError
from onvifd.pki import handshake
from onvifd.pki.issue import names_of
from onvifd.pki.names import common_name
from onvifd.pki.rows import MAX_PATH, OK, certificate_of, find, has_private_key, signs
from onvifd.pki.signatures import WEAK, PrivateKey, verifies
from onvifd.pki.validation import ClientCheck
from onvifd.store.security import KeyRow, SecurityState

log = logging.getLogger(__name__)

CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
    )
)
"""TLS 1.2 suites of the security baseline; those of TLS 1.3 are fixed by the library."""

LOW_LEVEL = ":@SECLEVEL=0"
"""Lets the library take certificates with SHA-1 signatures, where an administrator assigned such; the suites stay."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
PARTIAL_CHAIN = ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN

KeyOpener = Callable[[KeyRow], PrivateKey]


@dataclass(frozen=True, slots=True)
class Presented:
    """An assigned path that can be presented."""

    names: frozenset[str]
    kind: str
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """What new connections get: the context, and the check of clients that comes after the handshake, if any."""

    context: ssl.SSLContext
    check: ClientCheck | None
    cn_maps_to_user: bool

    def refusal(self, connection: Any) -> str | None:
        """Why the client of an established TLS connection is kept out; None if it is let in."""
        return None if self.check is None else self.check.refusal(peer_chain(connection))

    def user(self, connection: Any) -> str | None:
        """The account that the client's certificate stands for (Security 5.3.2); None if names are not mapped."""
        if self.check is None or not self.cn_maps_to_user:
            return None
        chain = peer_chain(connection)
        return common_name(chain[0].subject) if chain else None


class CurrentContext(ssl.SSLContext):
    """Passes each new connection to the context that is current. Listeners keep it; connections keep what they began with."""

    current: ssl.SSLContext | None

    def __new__(cls, *args: Any, **kwargs: Any) -> CurrentContext:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made.current = None
        return made

    def _now(self) -> ssl.SSLContext:
        if self.current is None:
            raise ssl.SSLError("no certificate is assigned to the TLS server")
        return self.current

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self._now().wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return self._now().wrap_socket(*args, **kwargs)


def build(state: SecurityState, opened: KeyOpener, folder: Path) -> Server | None:
    """The server side for a state; None if nothing is assigned. `folder` takes an encrypted file for a moment. Blocks.

    Presented is the path that was assigned last, with one of the other kind of key beside it if it is for the same names. A
    client that asks for a name which other paths are for gets the last of those.
    """
    paths = _presented(state, opened)
    default: ssl.SSLContext | None = None
    by_name: dict[str, ssl.SSLContext] = {}
    taken: set[str] = set()
    for path in paths:
        names = path.names - taken
        if default is not None and not names:
            continue
        try:
            context = _context(state, _with_companion(path, paths), folder)
        except (ssl.SSLError, ValueError) as error:
            log.error("the path for %s cannot be presented: %s", ", ".join(sorted(path.names)) or "no name", error)
            continue
        taken |= names
        if default is None:
            default = context
        else:
            by_name.update(dict.fromkeys(names, context))
    if default is None:
        return None
    if by_name:
        default.sni_callback = _chooser(by_name)
    check = ClientCheck(state) if state.tls.client_authentication else None
    return Server(default, check, state.tls.cn_maps_to_user)


def _presented(state: SecurityState, opened: KeyOpener) -> list[Presented]:
    found = []
    for path in (state.paths[key] for key in reversed(state.tls.paths)):
        if not has_private_key(state, path):
            continue
        chain = tuple(certificate_of(state.certificates[key]) for key in path.certificates)
        row = state.keys[state.certificates[path.certificates[0]].key]
        try:
            found.append(Presented(names_of(chain[0]), row.algorithm, chain, opened(row)))
        except OnvifdError as error:
            # For example after a backup was taken over without its key file.
            log.error("certification path %s cannot be presented: %s", path.id, error.reason)
    return found


def _with_companion(first: Presented, paths: Sequence[Presented]) -> list[Presented]:
    others = [path for path in paths if path.kind != first.kind and path.names == first.names]
    return [first, *others[:1]]


def _chooser(by_name: Mapping[str, ssl.SSLContext]) -> Callable[..., None]:
    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name:
            lower = name.lower()
            chosen = by_name.get(lower) or by_name.get("*." + lower.partition(".")[2])
            if chosen is not None:
                connection.context = chosen

    return choose


def _context(state: SecurityState, paths: Sequence[Presented], folder: Path) -> ssl.SSLContext:
    anchors = _anchors(state)
    if not any(_is_weak(anchor) for anchor in anchors):
        try:
            return _loaded(state, paths, anchors, folder, CIPHERS)
        except ssl.SSLError as error:
            log.warning("a certificate assigned to the TLS server is weak (%s)", error.reason)
    return _loaded(state, paths, anchors, folder, CIPHERS + LOW_LEVEL)


def _is_weak(certificate: x509.Certificate) -> bool:
    return certificate.signature_algorithm_oid.dotted_string in WEAK


def _loaded(
    state: SecurityState,
    paths: Sequence[Presented],
    anchors: Sequence[x509.Certificate],
    folder: Path,
    ciphers: str,
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    handshake.prepare(context)
    context.set_ciphers(ciphers)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.minimum_version = min(_VERSIONS[version] for version in state.tls.versions)
    context.maximum_version = max(_VERSIONS[version] for version in state.tls.versions)
    context.set_alpn_protocols(["http/1.1"])
    for path in paths:
        present(context, path, folder)
    if state.tls.client_authentication:
        _require_clients(context, state, anchors)
    return context


def present(context: ssl.SSLContext, path: Presented, folder: Path) -> None:
    """Show a path in handshakes. Blocks. The library reads keys from files only: the file holds the key encrypted, and is gone at once."""
    password = secrets.token_hex(32)
    key = path.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".tls-") as file:
        file.write(_pem(path.chain) + key)
        file.flush()
        context.load_cert_chain(file.name, password=password)


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


# ---- clients ------------------------------------------------------------------------------------


def _anchors(state: SecurityState) -> list[x509.Certificate]:
    if not state.tls.client_authentication:
        return []
    keys = dict.fromkeys(anchor for policy in state.tls.policies for anchor in state.policies[policy].anchors)
    return [certificate_of(state.certificates[key]) for key in keys]


def _require_clients(context: ssl.SSLContext, state: SecurityState, anchors: Sequence[x509.Certificate]) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    trusted = list(anchors)
    if all(_is_root(anchor) for anchor in anchors):
        # 4.3.4: what lies between may come from the keystore. It is not trusted by itself, being no root.
        known = (certificate_of(row) for row in state.certificates.values())
        trusted += [each for each in known if not _is_root(each)]
    else:
        context.verify_flags |= PARTIAL_CHAIN
    context.load_verify_locations(cadata=_pem(trusted).decode())


def _is_root(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject and verifies(certificate, certificate.public_key())


def client_path(state: SecurityState, certificate: str, opened: KeyOpener) -> Presented:
    """What to show as a client: the certificate with this id, and those of the keystore that lie between it and its root.

    Raises NotFound (CertificateID), InvalidArgument (CertificateID) if its private key is not here.
    """
    row = find(state.certificates, certificate, "CertificateID")
    key = state.keys[row.key]
    if key.status != OK or key.private is None:
        raise InvalidArgument("there is no private key for this certificate", detail="CertificateID")
    chain = [certificate_of(row)]
    known = [certificate_of(each) for each in state.certificates.values()]
    while len(chain) < MAX_PATH and not _is_root(chain[-1]):
        above = (each for each in known if each.subject == chain[-1].issuer and signs(each, chain[-1]))
        issuer = next(above, None)
        if issuer is None or _is_root(issuer):
            break  # RFC 8446 4.4.2: the peer has the root already
        chain.append(issuer)
    return Presented(names_of(chain[0]), key.algorithm, tuple(chain), opened(key))


def outgoing(state: SecurityState, policy: str | None, further: Iterable[x509.Certificate] = ()) -> ssl.SSLContext:
    """The client side: trusts the anchors of a policy, or what the host trusts if None, and `further`.

    Raises NotFound (CertPathValidationPolicyID). Revocation lists are not looked at.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(CIPHERS)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    trusted = list(further)
    if policy is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        row = find(state.policies, policy, "CertPathValidationPolicyID")
        trusted += [certificate_of(state.certificates[key]) for key in row.anchors]
        context.verify_flags |= PARTIAL_CHAIN
    if trusted:
        context.load_verify_locations(cadata=_pem(trusted).decode())
    return context


def peer_chain(connection: Any) -> list[x509.Certificate]:
    """The certification path that the library verified, the client's certificate first; that one alone for a resumed session."""
    inner = getattr(connection, "_sslobj", None)
    verified = getattr(inner, "get_verified_chain", None)  # public from Python 3.13 on
    chain = verified() if verified is not None else None
    encodings = [each.public_bytes(2) for each in chain] if chain else []  # _ssl.ENCODING_DER
    if not encodings:
        own = connection.getpeercert(binary_form=True)
        encodings = [own] if own else []
    return [x509.load_der_x509_certificate(each) for each in encodings]
