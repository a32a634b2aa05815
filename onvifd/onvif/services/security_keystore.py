"""Security configuration: passphrases, keys, certificates and certification paths (Security 5.2.6.1 to 5.2.6.3)."""

from __future__ import annotations

import math
from datetime import timedelta

from onvifd.access.types import AccessClass
from onvifd.errors import InvalidArgument
from onvifd.onvif.services import security_view as view
from onvifd.onvif.soap.dispatch import Call, Service, operation
from onvifd.onvif.types import tas
from onvifd.pki.manager import SecurityManager
from onvifd.pki.rows import find
from onvifd.pki.signatures import ECC, RSA
from onvifd.store.security import CertificateRow, KeyRow

SECRET = AccessClass.READ_SYSTEM_SECRET
WRITE = AccessClass.WRITE_SYSTEM
DELETE = AccessClass.UNRECOVERABLE


class KeystoreOperations(Service):
    """Part of the security service."""

    _security: SecurityManager

    # ---- passphrases

    @operation(access=WRITE)
    async def upload_passphrase(self, call: Call, request: tas.UploadPassphrase) -> tas.UploadPassphraseResponse:
        security = self._security
        key = await security.change(security.keystore.upload_passphrase, request.passphrase, request.passphrase_alias)
        return tas.UploadPassphraseResponse(passphrase_id=key)

    @operation(access=SECRET)
    async def get_all_passphrases(self, call: Call, request: tas.GetAllPassphrases) -> tas.GetAllPassphrasesResponse:
        rows = self._security.state.passphrases.values()
        return tas.GetAllPassphrasesResponse(
            passphrase_attribute=tuple(tas.PassphraseAttribute(passphrase_id=row.id, alias=row.alias) for row in rows)
        )

    @operation(access=DELETE)
    async def delete_passphrase(self, call: Call, request: tas.DeletePassphrase) -> tas.DeletePassphraseResponse:
        await self._security.change(self._security.keystore.delete_passphrase, request.passphrase_id)
        return tas.DeletePassphraseResponse()

    # ---- keys

    @operation(access=WRITE)
    async def create_rsa_key_pair(self, call: Call, request: tas.CreateRSAKeyPair) -> tas.CreateRSAKeyPairResponse:
        key, seconds = await self._security.create_key(RSA, str(request.key_length), request.alias)
        duration = timedelta(seconds=math.ceil(seconds))
        return tas.CreateRSAKeyPairResponse(key_id=key, estimated_creation_time=duration)

    @operation(access=WRITE)
    async def create_ecc_key_pair(self, call: Call, request: tas.CreateECCKeyPair) -> tas.CreateECCKeyPairResponse:
        key, seconds = await self._security.create_key(ECC, request.elliptic_curve, request.alias)
        duration = timedelta(seconds=math.ceil(seconds))
        return tas.CreateECCKeyPairResponse(key_id=key, estimated_creation_time=duration)

    @operation(access=WRITE)
    async def upload_key_pair_in_pkcs8(
        self, call: Call, request: tas.UploadKeyPairInPKCS8
    ) -> tas.UploadKeyPairInPKCS8Response:
        security = self._security
        key = await security.change(
            security.keystore.upload_key,
            request.key_pair,
            request.alias,
            request.encryption_passphrase_id,
            request.encryption_passphrase,
        )
        return tas.UploadKeyPairInPKCS8Response(key_id=key)

    @operation(access=SECRET)
    async def get_key_status(self, call: Call, request: tas.GetKeyStatus) -> tas.GetKeyStatusResponse:
        return tas.GetKeyStatusResponse(key_status=self._key(request.key_id).status)

    @operation(access=SECRET)
    async def get_private_key_status(
        self, call: Call, request: tas.GetPrivateKeyStatus
    ) -> tas.GetPrivateKeyStatusResponse:
        # Every key here is a key pair, so InvalidKeyType does not arise.
        return tas.GetPrivateKeyStatusResponse(has_private_key=self._key(request.key_id).private is not None)

    @operation(access=SECRET)
    async def get_all_keys(self, call: Call, request: tas.GetAllKeys) -> tas.GetAllKeysResponse:
        keys = self._security.state.keys.values()
        return tas.GetAllKeysResponse(key_attribute=tuple(view.key_attribute(row) for row in keys))

    @operation(access=DELETE)
    async def delete_key(self, call: Call, request: tas.DeleteKey) -> tas.DeleteKeyResponse:
        await self._security.change(self._security.keystore.delete_key, request.key_id)
        return tas.DeleteKeyResponse()

    def _key(self, key: str) -> KeyRow:
        return find(self._security.state.keys, key, "KeyID")

    # ---- making certificates

    @operation(access=AccessClass.READ_SYSTEM)
    async def create_pkcs10_csr(self, call: Call, request: tas.CreatePKCS10CSR) -> tas.CreatePKCS10CSRResponse:
        extensions, attributes = view.request_attributes(request.csr_attribute)
        made = await self._security.ask(
            self._security.keystore.create_request,
            view.subject(request.subject),
            request.key_id,
            request.signature_algorithm.algorithm,
            request.signature_algorithm.parameters,
            extensions,
            attributes,
        )
        return tas.CreatePKCS10CSRResponse(pkcs10_csr=made)

    @operation(access=WRITE)
    async def create_self_signed_certificate(
        self, call: Call, request: tas.CreateSelfSignedCertificate
    ) -> tas.CreateSelfSignedCertificateResponse:
        if request.x509_version not in (None, 3):
            raise InvalidArgument("only version 3 is supported", detail="UnsupportedX509Version")
        key = await self._security.change(
            self._security.keystore.create_self_signed,
            view.subject(request.subject),
            request.key_id,
            request.alias,
            view.validity(request.not_valid_before, request.not_valid_after, call.now),
            request.signature_algorithm.algorithm,
            request.signature_algorithm.parameters,
            view.extensions(request.extension),
        )
        return tas.CreateSelfSignedCertificateResponse(certificate_id=key)

    # ---- certificates

    @operation(access=WRITE)
    async def upload_certificate(self, call: Call, request: tas.UploadCertificate) -> tas.UploadCertificateResponse:
        certificate, key = await self._security.change(
            self._security.keystore.upload_certificate,
            request.certificate,
            request.alias,
            request.key_alias,
            bool(request.private_key_required),
        )
        return tas.UploadCertificateResponse(certificate_id=certificate, key_id=key)

    @operation(access=WRITE)
    async def upload_certificate_with_private_key_in_pkcs12(
        self, call: Call, request: tas.UploadCertificateWithPrivateKeyInPKCS12
    ) -> tas.UploadCertificateWithPrivateKeyInPKCS12Response:
        security = self._security
        if request.passphrase is not None:
            # It goes before the ids, which then need not exist (5.2.6.3.4).
            passphrases: tuple[str | None, str | None] = (request.passphrase, request.passphrase)
        else:
            integrity = await security.ask(security.keystore.passphrase, request.integrity_passphrase_id)
            encryption = await security.ask(security.keystore.passphrase, request.encryption_passphrase_id)
            passphrases = (integrity, encryption)
        path, key = await security.change(
            security.keystore.upload_pkcs12,
            request.cert_with_private_key,
            request.certification_path_alias,
            request.key_alias,
            first_only=bool(request.ignore_additional_certificates),
            passphrases=passphrases,
        )
        return tas.UploadCertificateWithPrivateKeyInPKCS12Response(certification_path_id=path, key_id=key)

    @operation(access=SECRET)
    async def get_certificate(self, call: Call, request: tas.GetCertificate) -> tas.GetCertificateResponse:
        state = self._security.state
        row: CertificateRow = find(state.certificates, request.certificate_id, "CertificateID")
        return tas.GetCertificateResponse(certificate=view.certificate(state, row))

    @operation(access=SECRET)
    async def get_all_certificates(self, call: Call, request: tas.GetAllCertificates) -> tas.GetAllCertificatesResponse:
        state = self._security.state
        return tas.GetAllCertificatesResponse(
            certificate=tuple(view.certificate(state, row) for row in state.certificates.values())
        )

    @operation(access=DELETE)
    async def delete_certificate(self, call: Call, request: tas.DeleteCertificate) -> tas.DeleteCertificateResponse:
        await self._security.change(self._security.keystore.delete_certificate, request.certificate_id)
        return tas.DeleteCertificateResponse()

    # ---- certification paths

    @operation(access=WRITE)
    async def create_certification_path(
        self, call: Call, request: tas.CreateCertificationPath
    ) -> tas.CreateCertificationPathResponse:
        members = request.certificate_ids.certificate_id
        key = await self._security.change(self._security.keystore.create_path, members, request.alias)
        return tas.CreateCertificationPathResponse(certification_path_id=key)

    @operation(access=SECRET)
    async def get_certification_path(
        self, call: Call, request: tas.GetCertificationPath
    ) -> tas.GetCertificationPathResponse:
        row = find(self._security.state.paths, request.certification_path_id, "CertificationPathID")
        return tas.GetCertificationPathResponse(certification_path=view.path(row))

    @operation(access=SECRET)
    async def get_all_certification_paths(
        self, call: Call, request: tas.GetAllCertificationPaths
    ) -> tas.GetAllCertificationPathsResponse:
        return tas.GetAllCertificationPathsResponse(certification_path_id=tuple(self._security.state.paths))

    @operation(access=WRITE)
    async def set_certification_path(
        self, call: Call, request: tas.SetCertificationPath
    ) -> tas.SetCertificationPathResponse:
        path = request.certification_path
        set_path = self._security.keystore.set_path
        await self._security.change(set_path, request.certification_path_id, path.certificate_id, path.alias)
        return tas.SetCertificationPathResponse()

    @operation(access=DELETE)
    async def delete_certification_path(
        self, call: Call, request: tas.DeleteCertificationPath
    ) -> tas.DeleteCertificationPathResponse:
        await self._security.change(self._security.keystore.delete_path, request.certification_path_id)
        return tas.DeleteCertificationPathResponse()
