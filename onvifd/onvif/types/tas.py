"""Security configuration, formerly advanced security (Security 5). IEEE 802.1X, media signing, JWT and authorization servers are left out."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from onvifd.onvif.soap.codec import AnyElements, Form, any_elements, attribute, element, schema
from onvifd.onvif.soap.namespaces import TAS

NAMESPACE = TAS


class KeyStatus(StrEnum):
    OK = "ok"
    GENERATING = "generating"
    CORRUPT = "corrupt"


@schema(TAS)
class KeyAttributeExtension:
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class KeyAttribute:
    key_id: str = element("KeyID")
    alias: str | None = element("Alias", default=None)
    has_private_key: bool | None = element("hasPrivateKey", default=None)
    key_status: str = element("KeyStatus")
    any_: AnyElements = any_elements(default=())
    externally_generated: bool | None = element("externallyGenerated", default=None)
    securely_stored: bool | None = element("securelyStored", default=None)
    extension: KeyAttributeExtension | None = element("Extension", default=None)


@schema(TAS)
class DNAttributeTypeAndValue:
    type_: str = element("Type")
    value: str = element("Value")
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class MultiValuedRDN:
    attribute_: tuple[DNAttributeTypeAndValue, ...] = element("Attribute", default=())


@schema(TAS)
class DistinguishedNameAnyAttribute:
    domain_component: tuple[str, ...] = element("DomainComponent", default=())
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class DistinguishedName:
    country: tuple[str, ...] = element("Country", default=())
    organization: tuple[str, ...] = element("Organization", default=())
    organizational_unit: tuple[str, ...] = element("OrganizationalUnit", default=())
    distinguished_name_qualifier: tuple[str, ...] = element("DistinguishedNameQualifier", default=())
    state_or_province_name: tuple[str, ...] = element("StateOrProvinceName", default=())
    common_name: tuple[str, ...] = element("CommonName", default=())
    serial_number: tuple[str, ...] = element("SerialNumber", default=())
    locality: tuple[str, ...] = element("Locality", default=())
    title: tuple[str, ...] = element("Title", default=())
    surname: tuple[str, ...] = element("Surname", default=())
    given_name: tuple[str, ...] = element("GivenName", default=())
    initials: tuple[str, ...] = element("Initials", default=())
    pseudonym: tuple[str, ...] = element("Pseudonym", default=())
    generation_qualifier: tuple[str, ...] = element("GenerationQualifier", default=())
    generic_attribute: tuple[DNAttributeTypeAndValue, ...] = element("GenericAttribute", default=())
    multi_valued_rdn: tuple[MultiValuedRDN, ...] = element("MultiValuedRDN", default=())
    any_attribute: DistinguishedNameAnyAttribute | None = element("anyAttribute", default=None)


@schema(TAS)
class AlgorithmIdentifierAnyParameters:
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class AlgorithmIdentifier:
    algorithm: str = element("algorithm")
    parameters: bytes | None = element("parameters", default=None)
    any_parameters: AlgorithmIdentifierAnyParameters | None = element("anyParameters", default=None)


@schema(TAS)
class BasicRequestAttribute:
    oid: str = element("OID")
    value: bytes = element("value")
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CSRAttributeAnyAttribute:
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CSRAttribute:
    x509v3_extension: X509v3Extension | None = element("X509v3Extension", default=None)
    basic_request_attribute: BasicRequestAttribute | None = element("BasicRequestAttribute", default=None)
    any_attribute: CSRAttributeAnyAttribute | None = element("anyAttribute", default=None)


@schema(TAS)
class X509v3Extension:
    extn_oid: str = element("extnOID")
    critical: bool = element("critical", default=False)
    extn_value: bytes = element("extnValue")
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class X509Certificate:
    certificate_id: str = element("CertificateID")
    key_id: str = element("KeyID")
    alias: str | None = element("Alias", default=None)
    certificate_content: bytes = element("CertificateContent")
    has_private_key: bool | None = element("HasPrivateKey", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CertificateIDs:
    certificate_id: tuple[str, ...] = element("CertificateID")


@schema(TAS)
class CertificationPathAnyElement:
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CertificationPath:
    certificate_id: tuple[str, ...] = element("CertificateID")
    alias: str | None = element("Alias", default=None)
    any_element: CertificationPathAnyElement | None = element("anyElement", default=None)


@schema(TAS)
class PassphraseAttribute:
    passphrase_id: str = element("PassphraseID")
    alias: str | None = element("Alias", default=None)
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CRL:
    crl_id: str = element("CRLID")
    alias: str = element("Alias")
    crl_content: bytes = element("CRLContent")
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CertPathValidationParametersAnyParameters:
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CertPathValidationParameters:
    require_tls_www_client_auth_extended_key_usage: bool | None = element(
        "RequireTLSWWWClientAuthExtendedKeyUsage", default=None
    )
    use_delta_crls: bool | None = element("UseDeltaCRLs", default=None)
    any_parameters: CertPathValidationParametersAnyParameters | None = element("anyParameters", default=None)


@schema(TAS)
class TrustAnchor:
    certificate_id: str = element("CertificateID")
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CertPathValidationPolicyAnyParameters:
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CertPathValidationPolicy:
    cert_path_validation_policy_id: str = element("CertPathValidationPolicyID")
    alias: str | None = element("Alias", default=None)
    parameters: CertPathValidationParameters = element("Parameters")
    trust_anchor: tuple[TrustAnchor, ...] = element("TrustAnchor")
    any_parameters: CertPathValidationPolicyAnyParameters | None = element("anyParameters", default=None)


@schema(TAS)
class KeystoreCapabilitiesAnyElement:
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class KeystoreCapabilities:
    signature_algorithms: tuple[AlgorithmIdentifier, ...] = element("SignatureAlgorithms", default=())
    any_element: KeystoreCapabilitiesAnyElement | None = element("anyElement", default=None)
    maximum_number_of_keys: int | None = attribute("MaximumNumberOfKeys", default=None)
    maximum_number_of_certificates: int | None = attribute("MaximumNumberOfCertificates", default=None)
    maximum_number_of_certification_paths: int | None = attribute("MaximumNumberOfCertificationPaths", default=None)
    set_cert_path: bool | None = attribute("SetCertPath", default=None)
    rsa_key_pair_generation: bool | None = attribute("RSAKeyPairGeneration", default=None)
    ecc_key_pair_generation: bool | None = attribute("ECCKeyPairGeneration", default=None)
    key_pair_generation: tuple[str, ...] | None = attribute("KeyPairGeneration", default=None, tokens=True)
    rsa_key_lengths: tuple[int, ...] | None = attribute("RSAKeyLengths", default=None, tokens=True)
    elliptic_curves: tuple[str, ...] | None = attribute("EllipticCurves", default=None, tokens=True)
    pkcs10_external_certification_with_rsa: bool | None = attribute("PKCS10ExternalCertificationWithRSA", default=None)
    pkcs10: bool | None = attribute("PKCS10", default=None)
    self_signed_certificate_creation_with_rsa: bool | None = attribute(
        "SelfSignedCertificateCreationWithRSA", default=None
    )
    self_signed_certificate_creation: bool | None = attribute("SelfSignedCertificateCreation", default=None)
    x509_versions: tuple[int, ...] | None = attribute("X509Versions", default=None, tokens=True)
    maximum_number_of_passphrases: int | None = attribute("MaximumNumberOfPassphrases", default=None)
    pkcs8_rsa_key_pair_upload: bool | None = attribute("PKCS8RSAKeyPairUpload", default=None)
    pkcs8: bool | None = attribute("PKCS8", default=None)
    pkcs12_certificate_with_rsa_private_key_upload: bool | None = attribute(
        "PKCS12CertificateWithRSAPrivateKeyUpload", default=None
    )
    pkcs12: bool | None = attribute("PKCS12", default=None)
    password_based_encryption_algorithms: tuple[str, ...] | None = attribute(
        "PasswordBasedEncryptionAlgorithms", default=None, tokens=True
    )
    password_based_mac_algorithms: tuple[str, ...] | None = attribute(
        "PasswordBasedMACAlgorithms", default=None, tokens=True
    )
    maximum_number_of_crls: int | None = attribute("MaximumNumberOfCRLs", default=None)
    maximum_number_of_certification_path_validation_policies: int | None = attribute(
        "MaximumNumberOfCertificationPathValidationPolicies", default=None
    )
    enforce_tls_web_client_auth_ext_key_usage: bool | None = attribute(
        "EnforceTLSWebClientAuthExtKeyUsage", default=None
    )
    no_private_key_sharing: bool | None = attribute("NoPrivateKeySharing", default=None)


@schema(TAS)
class TLSServerCapabilities:
    any_: AnyElements = any_elements(default=())
    tls_server_supported: tuple[str, ...] | None = attribute("TLSServerSupported", default=None, tokens=True)
    enabled_versions_supported: bool | None = attribute("EnabledVersionsSupported", default=None)
    maximum_number_of_tls_certification_paths: int | None = attribute(
        "MaximumNumberOfTLSCertificationPaths", default=None
    )
    setup_duration: timedelta | None = attribute("SetupDuration", default=None)
    tls_client_auth_supported: bool | None = attribute("TLSClientAuthSupported", default=None)
    cn_maps_to_user_supported: bool | None = attribute("CnMapsToUserSupported", default=None)
    maximum_number_of_tls_certification_path_validation_policies: int | None = attribute(
        "MaximumNumberOfTLSCertificationPathValidationPolicies", default=None
    )


@schema(TAS)
class Capabilities:
    keystore_capabilities: KeystoreCapabilities = element("KeystoreCapabilities")
    tls_server_capabilities: TLSServerCapabilities = element("TLSServerCapabilities")
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class GetServiceCapabilities:
    pass


@schema(TAS)
class GetServiceCapabilitiesResponse:
    capabilities: Capabilities = element("Capabilities")


@schema(TAS)
class CreateRSAKeyPair:
    key_length: int = element("KeyLength")
    alias: str | None = element("Alias", default=None)


@schema(TAS)
class CreateRSAKeyPairResponse:
    key_id: str = element("KeyID")
    estimated_creation_time: timedelta = element("EstimatedCreationTime")


@schema(TAS)
class CreateECCKeyPair:
    elliptic_curve: str = element("EllipticCurve")
    alias: str | None = element("Alias", default=None)


@schema(TAS)
class CreateECCKeyPairResponse:
    key_id: str = element("KeyID")
    estimated_creation_time: timedelta = element("EstimatedCreationTime")


@schema(TAS)
class UploadKeyPairInPKCS8:
    key_pair: bytes = element("KeyPair")
    alias: str | None = element("Alias", default=None)
    encryption_passphrase_id: str | None = element("EncryptionPassphraseID", default=None)
    encryption_passphrase: str | None = element("EncryptionPassphrase", default=None)


@schema(TAS)
class UploadKeyPairInPKCS8Response:
    key_id: str = element("KeyID")


@schema(TAS)
class UploadCertificateWithPrivateKeyInPKCS12:
    cert_with_private_key: bytes = element("CertWithPrivateKey")
    certification_path_alias: str | None = element("CertificationPathAlias", default=None)
    key_alias: str | None = element("KeyAlias", default=None)
    ignore_additional_certificates: bool | None = element("IgnoreAdditionalCertificates", default=None)
    integrity_passphrase_id: str | None = element("IntegrityPassphraseID", default=None)
    encryption_passphrase_id: str | None = element("EncryptionPassphraseID", default=None)
    passphrase: str | None = element("Passphrase", default=None)


@schema(TAS)
class UploadCertificateWithPrivateKeyInPKCS12Response:
    certification_path_id: str = element("CertificationPathID")
    key_id: str = element("KeyID")


@schema(TAS)
class GetKeyStatus:
    key_id: str = element("KeyID")


@schema(TAS)
class GetKeyStatusResponse:
    key_status: str = element("KeyStatus")


@schema(TAS)
class GetPrivateKeyStatus:
    key_id: str = element("KeyID")


@schema(TAS)
class GetPrivateKeyStatusResponse:
    has_private_key: bool = element("hasPrivateKey")


@schema(TAS)
class GetAllKeys:
    pass


@schema(TAS)
class GetAllKeysResponse:
    key_attribute: tuple[KeyAttribute, ...] = element("KeyAttribute", default=())


@schema(TAS)
class DeleteKey:
    key_id: str = element("KeyID")


@schema(TAS)
class DeleteKeyResponse:
    pass


@schema(TAS)
class CreatePKCS10CSR:
    subject: DistinguishedName = element("Subject")
    key_id: str = element("KeyID")
    csr_attribute: tuple[CSRAttribute, ...] = element("CSRAttribute", default=())
    signature_algorithm: AlgorithmIdentifier = element("SignatureAlgorithm")


@schema(TAS)
class CreatePKCS10CSRResponse:
    pkcs10_csr: bytes = element("PKCS10CSR")


@schema(TAS)
class CreateSelfSignedCertificate:
    x509_version: int | None = element("X509Version", default=None)
    subject: DistinguishedName = element("Subject")
    key_id: str = element("KeyID")
    alias: str | None = element("Alias", default=None)
    not_valid_before: int | None = element("notValidBefore", default=None, form=Form.DATETIME)
    not_valid_after: int | None = element("notValidAfter", default=None, form=Form.DATETIME)
    signature_algorithm: AlgorithmIdentifier = element("SignatureAlgorithm")
    extension: tuple[X509v3Extension, ...] = element("Extension", default=())


@schema(TAS)
class CreateSelfSignedCertificateResponse:
    certificate_id: str = element("CertificateID")


@schema(TAS)
class UploadCertificate:
    certificate: bytes = element("Certificate")
    alias: str | None = element("Alias", default=None)
    key_alias: str | None = element("KeyAlias", default=None)
    private_key_required: bool | None = element("PrivateKeyRequired", default=None)


@schema(TAS)
class UploadCertificateResponse:
    certificate_id: str = element("CertificateID")
    key_id: str = element("KeyID")


@schema(TAS)
class GetCertificate:
    certificate_id: str = element("CertificateID")


@schema(TAS)
class GetCertificateResponse:
    certificate: X509Certificate = element("Certificate")


@schema(TAS)
class GetAllCertificates:
    pass


@schema(TAS)
class GetAllCertificatesResponse:
    certificate: tuple[X509Certificate, ...] = element("Certificate", default=())


@schema(TAS)
class DeleteCertificate:
    certificate_id: str = element("CertificateID")


@schema(TAS)
class DeleteCertificateResponse:
    pass


@schema(TAS)
class CreateCertificationPath:
    certificate_ids: CertificateIDs = element("CertificateIDs")
    alias: str | None = element("Alias", default=None)


@schema(TAS)
class CreateCertificationPathResponse:
    certification_path_id: str = element("CertificationPathID")


@schema(TAS)
class GetCertificationPath:
    certification_path_id: str = element("CertificationPathID")


@schema(TAS)
class GetCertificationPathResponse:
    certification_path: CertificationPath = element("CertificationPath")


@schema(TAS)
class GetAllCertificationPaths:
    pass


@schema(TAS)
class GetAllCertificationPathsResponse:
    certification_path_id: tuple[str, ...] = element("CertificationPathID", default=())


@schema(TAS)
class SetCertificationPath:
    certification_path_id: str = element("CertificationPathID")
    certification_path: CertificationPath = element("CertificationPath")


@schema(TAS)
class SetCertificationPathResponse:
    pass


@schema(TAS)
class DeleteCertificationPath:
    certification_path_id: str = element("CertificationPathID")


@schema(TAS)
class DeleteCertificationPathResponse:
    pass


@schema(TAS)
class UploadPassphrase:
    passphrase: str = element("Passphrase")
    passphrase_alias: str | None = element("PassphraseAlias", default=None)


@schema(TAS)
class UploadPassphraseResponse:
    passphrase_id: str = element("PassphraseID")


@schema(TAS)
class GetAllPassphrases:
    pass


@schema(TAS)
class GetAllPassphrasesResponse:
    passphrase_attribute: tuple[PassphraseAttribute, ...] = element("PassphraseAttribute", default=())


@schema(TAS)
class DeletePassphrase:
    passphrase_id: str = element("PassphraseID")


@schema(TAS)
class DeletePassphraseResponse:
    pass


@schema(TAS)
class AddServerCertificateAssignment:
    certification_path_id: str = element("CertificationPathID")


@schema(TAS)
class AddServerCertificateAssignmentResponse:
    pass


@schema(TAS)
class RemoveServerCertificateAssignment:
    certification_path_id: str = element("CertificationPathID")


@schema(TAS)
class RemoveServerCertificateAssignmentResponse:
    pass


@schema(TAS)
class ReplaceServerCertificateAssignment:
    old_certification_path_id: str = element("OldCertificationPathID")
    new_certification_path_id: str = element("NewCertificationPathID")


@schema(TAS)
class ReplaceServerCertificateAssignmentResponse:
    pass


@schema(TAS)
class GetAssignedServerCertificates:
    pass


@schema(TAS)
class GetAssignedServerCertificatesResponse:
    certification_path_id: tuple[str, ...] = element("CertificationPathID", default=())


@schema(TAS)
class SetEnabledTLSVersions:
    versions: tuple[str, ...] = element("Versions", tokens=True)


@schema(TAS)
class SetEnabledTLSVersionsResponse:
    pass


@schema(TAS)
class GetEnabledTLSVersions:
    pass


@schema(TAS)
class GetEnabledTLSVersionsResponse:
    versions: tuple[str, ...] = element("Versions", tokens=True)


@schema(TAS)
class UploadCRLAnyParameters:
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class UploadCRL:
    crl: bytes = element("Crl")
    alias: str | None = element("Alias", default=None)
    any_parameters: UploadCRLAnyParameters | None = element("anyParameters", default=None)


@schema(TAS)
class UploadCRLResponse:
    crl_id: str = element("CrlID")


@schema(TAS)
class GetCRL:
    crl_id: str = element("CrlID")


@schema(TAS)
class GetCRLResponse:
    crl: CRL = element("Crl")


@schema(TAS)
class GetAllCRLs:
    pass


@schema(TAS)
class GetAllCRLsResponse:
    crl: tuple[CRL, ...] = element("Crl", default=())


@schema(TAS)
class DeleteCRL:
    crl_id: str = element("CrlID")


@schema(TAS)
class DeleteCRLResponse:
    pass


@schema(TAS)
class CreateCertPathValidationPolicyAnyParameters:
    any_: AnyElements = any_elements(default=())


@schema(TAS)
class CreateCertPathValidationPolicy:
    alias: str | None = element("Alias", default=None)
    parameters: CertPathValidationParameters = element("Parameters")
    trust_anchor: tuple[TrustAnchor, ...] = element("TrustAnchor")
    any_parameters: CreateCertPathValidationPolicyAnyParameters | None = element("anyParameters", default=None)


@schema(TAS)
class CreateCertPathValidationPolicyResponse:
    cert_path_validation_policy_id: str = element("CertPathValidationPolicyID")


@schema(TAS)
class GetCertPathValidationPolicy:
    cert_path_validation_policy_id: str = element("CertPathValidationPolicyID")


@schema(TAS)
class GetCertPathValidationPolicyResponse:
    cert_path_validation_policy: CertPathValidationPolicy = element("CertPathValidationPolicy")


@schema(TAS)
class GetAllCertPathValidationPolicies:
    pass


@schema(TAS)
class GetAllCertPathValidationPoliciesResponse:
    cert_path_validation_policy: tuple[CertPathValidationPolicy, ...] = element("CertPathValidationPolicy", default=())


@schema(TAS)
class SetCertPathValidationPolicy:
    cert_path_validation_policy_id: str | None = element("CertPathValidationPolicyID", default=None)
    cert_path_validation_policy: CertPathValidationPolicy = element("CertPathValidationPolicy")


@schema(TAS)
class SetCertPathValidationPolicyResponse:
    pass


@schema(TAS)
class DeleteCertPathValidationPolicy:
    cert_path_validation_policy_id: str = element("CertPathValidationPolicyID")


@schema(TAS)
class DeleteCertPathValidationPolicyResponse:
    pass


@schema(TAS)
class SetClientAuthenticationRequired:
    client_authentication_required: bool = element("clientAuthenticationRequired")


@schema(TAS)
class SetClientAuthenticationRequiredResponse:
    pass


@schema(TAS)
class GetClientAuthenticationRequired:
    pass


@schema(TAS)
class GetClientAuthenticationRequiredResponse:
    client_authentication_required: bool = element("clientAuthenticationRequired")


@schema(TAS)
class SetCnMapsToUser:
    cn_maps_to_user: bool = element("cnMapsToUser")


@schema(TAS)
class SetCnMapsToUserResponse:
    pass


@schema(TAS)
class GetCnMapsToUser:
    pass


@schema(TAS)
class GetCnMapsToUserResponse:
    cn_maps_to_user: bool = element("cnMapsToUser")


@schema(TAS)
class AddCertPathValidationPolicyAssignment:
    cert_path_validation_policy_id: str = element("CertPathValidationPolicyID")


@schema(TAS)
class AddCertPathValidationPolicyAssignmentResponse:
    pass


@schema(TAS)
class RemoveCertPathValidationPolicyAssignment:
    cert_path_validation_policy_id: str = element("CertPathValidationPolicyID")


@schema(TAS)
class RemoveCertPathValidationPolicyAssignmentResponse:
    pass


@schema(TAS)
class ReplaceCertPathValidationPolicyAssignment:
    old_cert_path_validation_policy_id: str = element("OldCertPathValidationPolicyID")
    new_cert_path_validation_policy_id: str = element("NewCertPathValidationPolicyID")


@schema(TAS)
class ReplaceCertPathValidationPolicyAssignmentResponse:
    pass


@schema(TAS)
class GetAssignedCertPathValidationPolicies:
    pass


@schema(TAS)
class GetAssignedCertPathValidationPoliciesResponse:
    cert_path_validation_policy_id: tuple[str, ...] = element("CertPathValidationPolicyID", default=())
