"""Security configuration: revocation lists, validation policies and the TLS server (Security 5.2.6.4, 5.2.6.5, 5.3)."""

from __future__ import annotations

from collections.abc import Callable

from onvifd.access.types import AccessClass
from onvifd.onvif.services import security_view as view
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import tas
from onvifd.pki.manager import SecurityManager
from onvifd.pki.rows import find

SECRET = AccessClass.READ_SYSTEM_SECRET
READ = AccessClass.READ_SYSTEM
WRITE = AccessClass.WRITE_SYSTEM
DELETE = AccessClass.UNRECOVERABLE


class ValidationOperations(Service):
    """Part of the security service."""

    _security: SecurityManager

    # ---- revocation lists

    @operation(access=WRITE)
    async def upload_crl(self, call: Call, request: tas.UploadCRL) -> tas.UploadCRLResponse:
        key = await self._security.change(self._security.validation.upload_crl, request.crl, request.alias)
        return tas.UploadCRLResponse(crl_id=key)

    @operation(access=SECRET)
    async def get_crl(self, call: Call, request: tas.GetCRL) -> tas.GetCRLResponse:
        return tas.GetCRLResponse(crl=view.crl(find(self._security.state.crls, request.crl_id, "CRLID")))

    @operation(access=SECRET)
    async def get_all_crls(self, call: Call, request: tas.GetAllCRLs) -> tas.GetAllCRLsResponse:
        return tas.GetAllCRLsResponse(crl=tuple(view.crl(row) for row in self._security.state.crls.values()))

    @operation(access=DELETE)
    async def delete_crl(self, call: Call, request: tas.DeleteCRL) -> tas.DeleteCRLResponse:
        await self._security.change(self._security.validation.delete_crl, request.crl_id)
        return tas.DeleteCRLResponse()

    # ---- policies

    @operation(access=WRITE)
    async def create_cert_path_validation_policy(
        self, call: Call, request: tas.CreateCertPathValidationPolicy
    ) -> tas.CreateCertPathValidationPolicyResponse:
        anchors = tuple(anchor.certificate_id for anchor in request.trust_anchor)
        create = self._security.validation.create_policy
        key = await self._security.change(create, request.alias, *view.parameters(request.parameters), anchors)
        return tas.CreateCertPathValidationPolicyResponse(cert_path_validation_policy_id=key)

    @operation(access=SECRET)
    async def get_cert_path_validation_policy(
        self, call: Call, request: tas.GetCertPathValidationPolicy
    ) -> tas.GetCertPathValidationPolicyResponse:
        key = request.cert_path_validation_policy_id
        row = find(self._security.state.policies, key, "CertPathValidationPolicyID")
        return tas.GetCertPathValidationPolicyResponse(cert_path_validation_policy=view.policy(row))

    @operation(access=SECRET)
    async def get_all_cert_path_validation_policies(
        self, call: Call, request: tas.GetAllCertPathValidationPolicies
    ) -> tas.GetAllCertPathValidationPoliciesResponse:
        rows = self._security.state.policies.values()
        return tas.GetAllCertPathValidationPoliciesResponse(
            cert_path_validation_policy=tuple(view.policy(row) for row in rows)
        )

    @operation(access=WRITE)
    async def set_cert_path_validation_policy(
        self, call: Call, request: tas.SetCertPathValidationPolicy
    ) -> tas.SetCertPathValidationPolicyResponse:
        given = request.cert_path_validation_policy
        await self._security.change(
            self._security.validation.set_policy,
            given.cert_path_validation_policy_id,  # the one beside it is deprecated and ignored (5.2.6.5.4)
            given.alias,
            *view.parameters(given.parameters),
            tuple(anchor.certificate_id for anchor in given.trust_anchor),
        )
        return tas.SetCertPathValidationPolicyResponse()

    @operation(access=DELETE)
    async def delete_cert_path_validation_policy(
        self, call: Call, request: tas.DeleteCertPathValidationPolicy
    ) -> tas.DeleteCertPathValidationPolicyResponse:
        delete = self._security.validation.delete_policy
        await self._security.change(delete, request.cert_path_validation_policy_id)
        return tas.DeleteCertPathValidationPolicyResponse()


class TlsOperations(Service):
    """Part of the security service."""

    _security: SecurityManager
    _tls_enabled: Callable[[], bool]

    # ---- server certificates

    @operation(access=WRITE)
    async def add_server_certificate_assignment(
        self, call: Call, request: tas.AddServerCertificateAssignment
    ) -> tas.AddServerCertificateAssignmentResponse:
        await self._security.change(self._security.assignment.add_path, request.certification_path_id)
        return tas.AddServerCertificateAssignmentResponse()

    @operation(access=WRITE)
    async def remove_server_certificate_assignment(
        self, call: Call, request: tas.RemoveServerCertificateAssignment
    ) -> tas.RemoveServerCertificateAssignmentResponse:
        remove = self._security.assignment.remove_path
        await self._security.change(remove, request.certification_path_id, enabled=self._tls_enabled())
        return tas.RemoveServerCertificateAssignmentResponse()

    @operation(access=WRITE)
    async def replace_server_certificate_assignment(
        self, call: Call, request: tas.ReplaceServerCertificateAssignment
    ) -> tas.ReplaceServerCertificateAssignmentResponse:
        old, new = request.old_certification_path_id, request.new_certification_path_id
        await self._security.change(self._security.assignment.replace_path, old, new)
        return tas.ReplaceServerCertificateAssignmentResponse()

    @operation(access=SECRET)
    async def get_assigned_server_certificates(
        self, call: Call, request: tas.GetAssignedServerCertificates
    ) -> tas.GetAssignedServerCertificatesResponse:
        return tas.GetAssignedServerCertificatesResponse(certification_path_id=self._security.state.tls.paths)

    # ---- versions

    @operation(access=WRITE)
    async def set_enabled_tls_versions(
        self, call: Call, request: tas.SetEnabledTLSVersions
    ) -> tas.SetEnabledTLSVersionsResponse:
        await self._security.change(self._security.assignment.set_versions, request.versions)
        return tas.SetEnabledTLSVersionsResponse()

    @operation(access=READ)
    async def get_enabled_tls_versions(
        self, call: Call, request: tas.GetEnabledTLSVersions
    ) -> tas.GetEnabledTLSVersionsResponse:
        return tas.GetEnabledTLSVersionsResponse(versions=self._security.state.tls.versions)

    # ---- clients

    @operation(access=WRITE)
    async def set_client_authentication_required(
        self, call: Call, request: tas.SetClientAuthenticationRequired
    ) -> tas.SetClientAuthenticationRequiredResponse:
        require = self._security.assignment.require_clients
        await self._security.change(require, request.client_authentication_required)
        return tas.SetClientAuthenticationRequiredResponse()

    @operation(access=READ)
    async def get_client_authentication_required(
        self, call: Call, request: tas.GetClientAuthenticationRequired
    ) -> tas.GetClientAuthenticationRequiredResponse:
        required = self._security.state.tls.client_authentication
        return tas.GetClientAuthenticationRequiredResponse(client_authentication_required=required)

    @operation(access=WRITE)
    async def set_cn_maps_to_user(self, call: Call, request: tas.SetCnMapsToUser) -> tas.SetCnMapsToUserResponse:
        await self._security.change(self._security.assignment.map_names, request.cn_maps_to_user)
        return tas.SetCnMapsToUserResponse()

    @operation(access=READ)
    async def get_cn_maps_to_user(self, call: Call, request: tas.GetCnMapsToUser) -> tas.GetCnMapsToUserResponse:
        return tas.GetCnMapsToUserResponse(cn_maps_to_user=self._security.state.tls.cn_maps_to_user)

    @operation(access=WRITE)
    async def add_cert_path_validation_policy_assignment(
        self, call: Call, request: tas.AddCertPathValidationPolicyAssignment
    ) -> tas.AddCertPathValidationPolicyAssignmentResponse:
        await self._security.change(self._security.assignment.add_policy, request.cert_path_validation_policy_id)
        return tas.AddCertPathValidationPolicyAssignmentResponse()

    @operation(access=WRITE)
    async def remove_cert_path_validation_policy_assignment(
        self, call: Call, request: tas.RemoveCertPathValidationPolicyAssignment
    ) -> tas.RemoveCertPathValidationPolicyAssignmentResponse:
        await self._security.change(self._security.assignment.remove_policy, request.cert_path_validation_policy_id)
        return tas.RemoveCertPathValidationPolicyAssignmentResponse()

    @operation(access=WRITE)
    async def replace_cert_path_validation_policy_assignment(
        self, call: Call, request: tas.ReplaceCertPathValidationPolicyAssignment
    ) -> tas.ReplaceCertPathValidationPolicyAssignmentResponse:
        old, new = request.old_cert_path_validation_policy_id, request.new_cert_path_validation_policy_id
        await self._security.change(self._security.assignment.replace_policy, old, new)
        return tas.ReplaceCertPathValidationPolicyAssignmentResponse()

    @operation(access=SECRET)
    async def get_assigned_cert_path_validation_policies(
        self, call: Call, request: tas.GetAssignedCertPathValidationPolicies
    ) -> tas.GetAssignedCertPathValidationPoliciesResponse:
        policies = self._security.state.tls.policies
        return tas.GetAssignedCertPathValidationPoliciesResponse(cert_path_validation_policy_id=policies)
