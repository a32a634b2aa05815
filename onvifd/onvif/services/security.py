"""Security configuration service, formerly advanced security: keystore and TLS server (Security 5).

IEEE 802.1X, media signing, JSON web tokens and authorization servers are not served, nor announced.
"""

from __future__ import annotations

from collections.abc import Callable

from onvifd.access.types import AccessClass
from onvifd.onvif.services.common import NS_SECURITY, SECURITY_PATH
from onvifd.onvif.services.security_keystore import KeystoreOperations
from onvifd.onvif.services.security_tls import TlsOperations, ValidationOperations
from onvifd.onvif.soap.dispatch import Call, operation
from onvifd.onvif.types import tas
from onvifd.pki import keystore, signatures
from onvifd.pki.assignment import VERSIONS
from onvifd.pki.manager import SecurityManager

ENCRYPTIONS = ("PBES2", "PBKDF2", "AES-128-CBC", "pbeWithSHAAnd3-KeyTripleDES-CBC")
"""Password-based encryption of what is uploaded (SecurityBaseline 10); the last is what the test specification uses."""
MACS = ("hmacWithSHA256",)


class SecurityService(KeystoreOperations, ValidationOperations, TlsOperations):
    """Dispatches over the keystore. `tls_enabled` tells whether HTTPS is served now."""

    namespace = NS_SECURITY
    path = SECURITY_PATH
    prefix = "tas"
    not_served = frozenset(
        [
            "AddDot1XConfiguration",
            "GetAllDot1XConfigurations",
            "GetDot1XConfiguration",
            "DeleteDot1XConfiguration",
            "SetNetworkInterfaceDot1XConfiguration",
            "GetNetworkInterfaceDot1XConfiguration",
            "DeleteNetworkInterfaceDot1XConfiguration",
            "AddMediaSigningCertificateAssignment",
            "RemoveMediaSigningCertificateAssignment",
            "GetAssignedMediaSigningCertificates",
            "GetAuthorizationServerConfigurations",
            "CreateAuthorizationServerConfiguration",
            "SetAuthorizationServerConfiguration",
            "DeleteAuthorizationServerConfiguration",
            "GetJWTConfiguration",
            "SetJWTConfiguration",
        ]
    )

    def __init__(self, security: SecurityManager, tls_enabled: Callable[[], bool]) -> None:
        self._security = security
        self._tls_enabled = tls_enabled

    def capabilities(self, call: Call) -> tas.Capabilities:
        limits = self._security.keystore.limits
        algorithms = tuple(tas.AlgorithmIdentifier(algorithm=oid) for oid in signatures.SUPPORTED)
        return tas.Capabilities(
            keystore_capabilities=tas.KeystoreCapabilities(
                signature_algorithms=algorithms,
                maximum_number_of_keys=limits.keys,
                maximum_number_of_certificates=limits.certificates,
                maximum_number_of_certification_paths=limits.paths,
                set_cert_path=True,
                rsa_key_pair_generation=True,
                ecc_key_pair_generation=True,
                key_pair_generation=(signatures.RSA, signatures.ECC),
                rsa_key_lengths=keystore.RSA_LENGTHS,
                elliptic_curves=keystore.CURVES,
                pkcs10_external_certification_with_rsa=True,
                pkcs10=True,
                self_signed_certificate_creation_with_rsa=True,
                self_signed_certificate_creation=True,
                x509_versions=(3,),
                maximum_number_of_passphrases=limits.passphrases,
                pkcs8_rsa_key_pair_upload=True,
                pkcs8=True,
                pkcs12_certificate_with_rsa_private_key_upload=True,
                pkcs12=True,
                password_based_encryption_algorithms=ENCRYPTIONS,
                password_based_mac_algorithms=MACS,
                maximum_number_of_crls=limits.crls,
                maximum_number_of_certification_path_validation_policies=limits.policies,
                enforce_tls_web_client_auth_ext_key_usage=True,
                no_private_key_sharing=False,
            ),
            tls_server_capabilities=tas.TLSServerCapabilities(
                tls_server_supported=VERSIONS,
                enabled_versions_supported=True,
                maximum_number_of_tls_certification_paths=limits.tls_paths,
                tls_client_auth_supported=True,
                cn_maps_to_user_supported=True,
                maximum_number_of_tls_certification_path_validation_policies=limits.tls_policies,
            ),
        )

    @operation(access=AccessClass.PRE_AUTH)
    async def get_service_capabilities(
        self, call: Call, request: tas.GetServiceCapabilities
    ) -> tas.GetServiceCapabilitiesResponse:
        return tas.GetServiceCapabilitiesResponse(capabilities=self.capabilities(call))
