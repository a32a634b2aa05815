"""The recorder's own certificates: an authority, and what it issues to the TLS server for the names of the host.

They are ordinary objects of the keystore, so that clients see and may replace them. What is about to end, or is not for
the present names of the host, is replaced while its path is in use.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509

from onvifd.clock import to_datetime
from onvifd.errors import OnvifdError
from onvifd.pki.assignment import swapped
from onvifd.pki.issue import Issuer, names_of
from onvifd.pki.keystore import Keystore, generate
from onvifd.pki.profiles import CA, SERVERS, Profile
from onvifd.pki.rows import certificate_of, new_id, with_, without
from onvifd.pki.signatures import PrivateKey, verifies
from onvifd.store.security import CertificateRow, KeyRow, PathRow, SecurityState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Host:
    """What the certificates are made for. `names` are host names and addresses."""

    hostname: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A new key and its certificate, not stored yet."""

    key: PrivateKey
    content: bytes


class DeviceCertificates:
    """Keeps the recorder's own certificates good. Blocks: making an RSA key takes up to a second."""

    def __init__(self, keystore: Keystore, profiles: Mapping[str, Profile]) -> None:
        self._keystore = keystore
        self._profiles = profiles

    def ensure(
        self, host: Host, *, enabled: bool, force: bool = False, force_authority: bool = False
    ) -> tuple[str, ...]:
        """Make what is missing or due; gives the roles of the certificates that were made.

        Certificates for the TLS server are made if theirs are assigned, or if it is `enabled` and nothing is. `force` makes
        them anew though they are good, `force_authority` the authority and so all of them.
        """
        state = self._keystore.load()
        now = to_datetime(self._keystore.now())
        made: list[str] = []
        authority = certificate_in(state, CA)
        if force_authority or authority is None or not self._good(state, authority, CA, now):
            state = self._renew_authority(host, now)
            made.append(CA)
        for role in self._wanted(state, enabled):
            if force or not self._serves(state, role, host, now):
                state = self._renew_server(role, host, now)
                made.append(role)
        for role in made:
            log.info("certificate %s was made for %s", role, host.hostname)
        return tuple(made)

    def _wanted(self, state: SecurityState, enabled: bool) -> tuple[str, ...]:
        if not state.tls.paths:
            return SERVERS if enabled else ()
        return tuple(role for role in SERVERS if _path_in(state, role, assigned=True) is not None)

    def _good(self, state: SecurityState, row: CertificateRow, role: str, now: datetime) -> bool:
        """Whether its private key can be had and it does not end soon."""
        try:
            self._keystore.private_key(state.keys[row.key])
        except OnvifdError as error:
            log.error("the key of certificate %s cannot be used: %s", role, error.reason)
            return False
        return certificate_of(row).not_valid_after_utc - self._profiles[role].renewal > now

    def _serves(self, state: SecurityState, role: str, host: Host, now: datetime) -> bool:
        row, authority = certificate_in(state, role), certificate_in(state, CA)
        if row is None or authority is None or _path_in(state, role, assigned=True) is None:
            return False
        certificate = certificate_of(row)
        wanted = frozenset(name.lower() for name in host.names)
        current = verifies(certificate, certificate_of(authority).public_key())
        return current and wanted <= names_of(certificate) and self._good(state, row, role, now)

    # ---- making --------------------------------------------------------------------------------

    def _renew_authority(self, host: Host, now: datetime) -> SecurityState:
        profile = self._profiles[CA]
        key = generate(profile.algorithm, profile.size)
        subject = profile.subject(host.hostname, key.public_key())
        issuer = Issuer(name=subject, key=key, algorithm=profile.signature())
        made = Made(key, profile.make(key.public_key(), subject, issuer, (), now, None))

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            former = certificate_in(state, CA)
            if former is not None:
                # It stays while paths refer to it, as any other certificate.
                state = replace(state, certificates=with_(state.certificates, replace(former, role="")))
                state = _drop_unused(state, former)
            return self._add(state, made, CA)[0], None

        self._keystore.edit(change)
        return self._keystore.load()

    def _renew_server(self, role: str, host: Host, now: datetime) -> SecurityState:
        profile, authority = self._profiles[role], self._profiles[CA]
        key = generate(profile.algorithm, profile.size)

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            issuing = certificate_in(state, CA)
            if issuing is None:
                return state, None
            ca = certificate_of(issuing)
            issuer = Issuer(
                name=ca.subject.public_bytes(),
                key=self._keystore.private_key(state.keys[issuing.key]),
                algorithm=authority.signature(),
            )
            subject = profile.subject(host.hostname, key.public_key())
            end = ca.not_valid_after_utc - timedelta(seconds=1)
            content = profile.make(key.public_key(), subject, issuer, host.names, now, end)
            former, old = certificate_in(state, role), _path_in(state, role, assigned=False)
            if former is not None:
                state = replace(state, certificates=with_(state.certificates, replace(former, role="")))
            state, row = self._add(state, Made(key, content), role)
            path = PathRow(
                id=new_id("path"), alias=role, certificates=(row.id, issuing.id), created=self._keystore.now()
            )
            state = _assign(self._keystore.add_path(state, path), old, path)
            return _retire(state, old, former), None

        self._keystore.edit(change)
        return self._keystore.load()

    def _add(self, state: SecurityState, made: Made, role: str) -> tuple[SecurityState, CertificateRow]:
        state, key = self._keystore.add_key(state, made.key, role, external=False)
        row = CertificateRow(
            id=new_id("cert"), alias=role, key=key.id, content=made.content, role=role, created=self._keystore.now()
        )
        return self._keystore.add_certificate(state, row), row


def certificate_in(state: SecurityState, role: str) -> CertificateRow | None:
    """The recorder's own certificate of a role."""
    return next((row for row in state.certificates.values() if row.role == role), None)


def _path_in(state: SecurityState, role: str, *, assigned: bool) -> PathRow | None:
    """The path that presents the certificate of a role."""
    row = certificate_in(state, role)
    keys = state.tls.paths if assigned else tuple(state.paths)
    paths = (state.paths[key] for key in keys)
    return next((path for path in paths if row is not None and path.certificates[0] == row.id), None)


def _assign(state: SecurityState, old: PathRow | None, new: PathRow) -> SecurityState:
    paths = state.tls.paths
    chosen = swapped(paths, old.id, new.id) if old is not None and old.id in paths else (new.id, *paths)
    return replace(state, tls=replace(state.tls, paths=chosen))


def _retire(state: SecurityState, path: PathRow | None, certificate: CertificateRow | None) -> SecurityState:
    """The state without a path, its certificates and keys, as far as nothing refers to them."""
    if path is not None and path.id not in state.tls.paths:
        state = replace(state, paths=without(state.paths, path.id))
        for key in path.certificates:
            row = state.certificates[key]
            if not row.role:
                state = _drop_unused(state, row)
    elif certificate is not None:
        state = _drop_unused(state, certificate)
    return state


def _drop_unused(state: SecurityState, certificate: CertificateRow) -> SecurityState:
    used = any(certificate.id in path.certificates for path in state.paths.values()) or any(
        certificate.id in policy.anchors for policy in state.policies.values()
    )
    if used:
        return state
    state = replace(state, certificates=without(state.certificates, certificate.id))
    key: KeyRow = state.keys[certificate.key]
    if any(row.key == key.id for row in state.certificates.values()):
        return state
    return replace(state, keys=without(state.keys, key.id))


def authority(state: SecurityState) -> x509.Certificate | None:
    """The certificate that a VMS imports; None before the first start."""
    row = certificate_in(state, CA)
    return certificate_of(row) if row is not None else None
