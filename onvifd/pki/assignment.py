"""What the TLS server uses (Security 5.3): certification paths, policies, versions, client authentication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from onvifd.errors import InvalidArgument, NotFound, NotSupported
from onvifd.pki.keystore import Keystore
from onvifd.pki.rows import find, has_private_key, referenced, room
from onvifd.store.security import SecurityState, TlsRow

VERSIONS = ("1.2", "1.3")
"""TLS versions that are served (SecurityBaseline 12)."""


def swapped(members: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    """`new` in the place of `old`, once."""
    return tuple(dict.fromkeys(new if each == old else each for each in members if each == old or each != new))


class Assignment:
    """Changes what the TLS server uses. Blocks like the keystore itself."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore
        self._limits = keystore.limits

    # ---- certification paths -------------------------------------------------------------------

    def add_path(self, key: str) -> None:
        """Raises NotFound (CertificationPathID), InvalidArgument (NoPrivateKey), LimitReached."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            _usable(state, key, "CertificationPathID")
            if key in state.tls.paths:
                return state, None
            full = "MaximumNumberOfTLSCertificationPathsReached"
            room(len(state.tls.paths), self._limits.tls_paths, full)
            return _with(state, paths=(*state.tls.paths, key)), None

        self._keystore.edit(change)

    def remove_path(self, key: str, *, enabled: bool) -> None:
        """`enabled` tells whether the TLS server runs. Raises NotFound (OldCertificationPathID), InvalidArgument."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            _assigned(state.tls.paths, key, "OldCertificationPathID")
            if enabled:
                raise referenced("the TLS server is enabled")
            return _with(state, paths=tuple(each for each in state.tls.paths if each != key)), None

        self._keystore.edit(change)

    def replace_path(self, old: str, new: str) -> None:
        """Raises NotFound (OldCertificationPathID, NewCertificationPathID), InvalidArgument (NoPrivateKey)."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            _assigned(state.tls.paths, old, "OldCertificationPathID")
            _usable(state, new, "NewCertificationPathID")
            return _with(state, paths=swapped(state.tls.paths, old, new)), None

        self._keystore.edit(change)

    # ---- clients -------------------------------------------------------------------------------

    def add_policy(self, key: str) -> None:
        """Raises NotFound (CertPathValidationPolicyID), LimitReached."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            find(state.policies, key, "CertPathValidationPolicyID")
            if key in state.tls.policies:
                return state, None
            full = "MaximumNumberOfTLSCertPathValidationPoliciesReached"
            room(len(state.tls.policies), self._limits.tls_policies, full)
            return _with(state, policies=(*state.tls.policies, key)), None

        self._keystore.edit(change)

    def remove_policy(self, key: str) -> None:
        """Raises NotFound (CertPathValidationPolicyID).

        Raises InvalidArgument (ReferenceExists) for the last one while clients must authenticate: nobody could connect.
        """

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            _assigned(state.tls.policies, key, "CertPathValidationPolicyID")
            left = tuple(each for each in state.tls.policies if each != key)
            if not left and state.tls.client_authentication:
                raise referenced("clients must authenticate and would be checked by nothing")
            return _with(state, policies=left), None

        self._keystore.edit(change)

    def replace_policy(self, old: str, new: str) -> None:
        """Raises NotFound (OldCertPathValidationPolicyID, NewCertPathValidationPolicyID)."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            _assigned(state.tls.policies, old, "OldCertPathValidationPolicyID")
            find(state.policies, new, "NewCertPathValidationPolicyID")
            return _with(state, policies=swapped(state.tls.policies, old, new)), None

        self._keystore.edit(change)

    def require_clients(self, required: bool) -> None:
        """Raises NotSupported (EnablingClientAuthenticationFailed) while no policy is assigned."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            if required and not state.tls.policies:
                reason = "no certification path validation policy is assigned"
                raise NotSupported(reason, detail="EnablingClientAuthenticationFailed")
            return _with(state, client_authentication=required), None

        self._keystore.edit(change)

    def map_names(self, mapped: bool) -> None:
        """Raises NotSupported (CnMapsToUserFailed) unless clients must authenticate."""

        def change(state: SecurityState) -> tuple[SecurityState, None]:
            if mapped and not state.tls.client_authentication:
                raise NotSupported("TLS client authentication is not required", detail="CnMapsToUserFailed")
            return _with(state, cn_maps_to_user=mapped), None

        self._keystore.edit(change)

    # ---- versions ------------------------------------------------------------------------------

    def set_versions(self, versions: Sequence[str]) -> None:
        """Raises InvalidArgument (EmptyList, TLSVersion)."""
        if not versions:
            raise InvalidArgument("at least one version of TLS must be enabled", detail="EmptyList")
        if not set(versions) <= set(VERSIONS):
            raise InvalidArgument(f"the versions are {' and '.join(VERSIONS)}", detail="TLSVersion")
        chosen = tuple(version for version in VERSIONS if version in versions)
        self._keystore.edit(lambda state: (_with(state, versions=chosen), None))


def _with(state: SecurityState, **changes: object) -> SecurityState:
    tls: TlsRow = replace(state.tls, **changes)  # type: ignore[arg-type]
    return replace(state, tls=tls)


def _assigned(members: tuple[str, ...], key: str, detail: str) -> None:
    if key not in members:
        raise NotFound("this is not assigned to the TLS server", detail=detail)


def _usable(state: SecurityState, key: str, detail: str) -> None:
    path = find(state.paths, key, detail)
    if not has_private_key(state, path):
        raise InvalidArgument("there is no private key for the path's first certificate", detail="NoPrivateKey")
