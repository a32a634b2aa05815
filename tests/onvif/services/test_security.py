"""The security service: every operation valid against the official schemas, every fault of the specification's table."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree

from onvifd.access.keyfile import SecretBox
from onvifd.clock import SimulatedClock
from onvifd.onvif.services import device_capabilities
from onvifd.onvif.services.common import ServiceRegistry
from onvifd.onvif.services.security import SecurityService
from onvifd.onvif.types import tas
from onvifd.pki.issue import names_of
from onvifd.pki.keystore import Keystore
from onvifd.pki.manager import SecurityManager
from onvifd.pki.rows import Limits
from onvifd.pki.signatures import SUPPORTED, verifies
from onvifd.store.catalogue import Catalogue
from onvifd.store.security import SecurityState
from tests.pki.conftest import OpenSsl

TAS = "{http://www.onvif.org/ver10/advancedsecurity/wsdl}"
SHA1_RSA, SHA256_RSA, PSS = "1.2.840.113549.1.1.5", "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.10"
ECDSA = "1.2.840.10045.4.3.2"
SMALL = Limits(keys=3, certificates=3, paths=2, passphrases=1, crls=1, policies=2, tls_paths=1, tls_policies=1)
NAME = tas.DistinguishedName(country=("US",), common_name=("192.0.2.10",))


class Security:
    """The service with its keystore and a client that asks it."""

    def __init__(self, catalogue: Catalogue, limits: Limits, client: Callable[..., Any]) -> None:
        self.keystore = Keystore(catalogue.security, SecretBox(b"k" * 32), SimulatedClock(), limits)
        self.statuses: list[tuple[str, str | None, str]] = []
        self.applied = 0
        self.enabled = False
        self.manager = SecurityManager(
            self.keystore,
            self._run,
            SimulatedClock(),
            changed=lambda *change: self.statuses.append(change),
            applied=self._apply,
        )
        self.client = client(SecurityService(self.manager, lambda: self.enabled))

    async def _run(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(call, *args, **kwargs)

    async def _apply(self, state: SecurityState) -> None:
        self.applied += 1

    async def ask(self, request: Any) -> etree._Element:
        return await self.client.ask(request)

    async def text(self, request: Any, name: str) -> str:
        found = (await self.ask(request)).find(f"{TAS}{name}")
        assert found is not None
        return found.text or ""

    async def texts(self, request: Any, name: str) -> list[str]:
        return [node.text or "" for node in (await self.ask(request)).iter(f"{TAS}{name}")]

    async def fault(self, request: Any) -> str:
        """The fault in the shorthand of the table."""
        state = self.manager.state
        code, *subcodes = await self.client.fault(request)
        assert self.manager.state == state
        short = {"Sender": "S", "Receiver": "R", "InvalidArgVal": "IAV", "Action": "A", "ActionNotSupported": "ANS"}
        return "/".join(short.get(part, part) for part in (code, *subcodes))

    # ---- what tests need first

    async def key(self, length: int = 2048, **more: Any) -> str:
        key = await self.text(tas.CreateRSAKeyPair(key_length=length, **more), "KeyID")
        await self.settled(key)
        return key

    async def settled(self, key: str) -> str:
        async with asyncio.timeout(60):
            while (status := await self.text(tas.GetKeyStatus(key_id=key), "KeyStatus")) == "generating":
                await asyncio.sleep(0)
        return status

    async def self_signed(self, key: str, **more: Any) -> str:
        request = tas.CreateSelfSignedCertificate(
            **{"subject": NAME, "key_id": key, "signature_algorithm": algorithm(SHA256_RSA), **more}
        )
        return await self.text(request, "CertificateID")

    async def path(self, *certificates: str, alias: str | None = None) -> str:
        ids = tas.CertificateIDs(certificate_id=certificates)
        return await self.text(tas.CreateCertificationPath(certificate_ids=ids, alias=alias), "CertificationPathID")

    async def content(self, certificate: str) -> x509.Certificate:
        text = await self.texts(tas.GetCertificate(certificate_id=certificate), "CertificateContent")
        return x509.load_der_x509_certificate(base64.b64decode(text[0]))

    async def upload(self, data: bytes, **more: Any) -> tuple[str, str]:
        found = await self.ask(tas.UploadCertificate(certificate=data, **more))
        return found.findtext(f"{TAS}CertificateID") or "", found.findtext(f"{TAS}KeyID") or ""

    async def policy(self, *anchors: str, **parameters: bool) -> str:
        return await self.text(
            tas.CreateCertPathValidationPolicy(
                alias="P",
                parameters=tas.CertPathValidationParameters(**parameters),
                trust_anchor=tuple(tas.TrustAnchor(certificate_id=anchor) for anchor in anchors),
            ),
            "CertPathValidationPolicyID",
        )


def algorithm(oid: str, parameters: bytes | None = None) -> tas.AlgorithmIdentifier:
    return tas.AlgorithmIdentifier(algorithm=oid, parameters=parameters)


@pytest.fixture
def catalogue(tmp_path: Path) -> Any:
    found = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    yield found
    found.close()


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    (tmp_path / "openssl").mkdir()
    return OpenSsl(tmp_path / "openssl")


@pytest.fixture
async def security(
    catalogue: Catalogue, client: Callable[..., Any], request: pytest.FixtureRequest
) -> AsyncIterator[Security]:
    made = Security(catalogue, getattr(request, "param", Limits()), client)
    await made.manager.start()
    yield made
    await made.manager.close()


small = pytest.mark.parametrize("security", [SMALL], indirect=True)


# ---- capabilities ---------------------------------------------------------------------------------


async def test_capabilities_as_the_add_on_wants_them(security: Security) -> None:
    found = await security.client.ask(tas.GetServiceCapabilities(), account=None)
    keystore = found.find(f".//{TAS}KeystoreCapabilities")
    tls = found.find(f".//{TAS}TLSServerCapabilities")
    assert int(keystore.get("MaximumNumberOfKeys")) >= 16
    assert int(keystore.get("MaximumNumberOfCertificates")) >= 16
    assert keystore.get("RSAKeyLengths") == "2048 3072 4096"
    assert keystore.get("EllipticCurves") == "secp256r1 secp384r1 secp521r1"
    for name in ("RSAKeyPairGeneration", "SelfSignedCertificateCreationWithRSA", "PKCS10ExternalCertificationWithRSA"):
        assert keystore.get(name) == "true"
    assert "pbeWithSHAAnd3-KeyTripleDES-CBC" in keystore.get("PasswordBasedEncryptionAlgorithms").split()
    assert {node.text for node in keystore.iter(f"{TAS}algorithm")} == set(SUPPORTED)
    assert tls.get("TLSServerSupported") == "1.2 1.3"
    assert tls.get("MaximumNumberOfTLSCertificationPathValidationPolicies") == "1"
    assert found.find(f".//{TAS}Dot1XCapabilities") is None
    assert found.find(f".//{TAS}AuthorizationServer") is None


@pytest.mark.parametrize(("served", "control", "expected"), [(True, True, ("TLSServerConfiguration",)), (True, False, ()), (False, True, ())])  # fmt: skip
def test_the_add_on_is_announced_with_all_of_it_only(
    security: Security, served: bool, control: bool, expected: tuple[str, ...]
) -> None:
    registry = ServiceRegistry([SecurityService(security.manager, lambda: True)] if served else [])
    some: Any = object() if control else None
    assert device_capabilities.addons(registry, some) == expected


# ---- passphrases ----------------------------------------------------------------------------------


@small
async def test_passphrases(security: Security) -> None:
    key = await security.text(
        tas.UploadPassphrase(passphrase="Passphrase for ONVIF", passphrase_alias="A"), "PassphraseID"
    )
    assert await security.fault(tas.UploadPassphrase(passphrase="x")) == "R/A/MaximumNumberOfPassphrasesReached"
    found = await security.ask(tas.GetAllPassphrases())
    assert [node.text for node in found.iter(f"{TAS}PassphraseID")] == [key]
    assert [node.text for node in found.iter(f"{TAS}Alias")] == ["A"]
    assert b"ONVIF" not in security.manager.state.passphrases[key].secret
    await security.ask(tas.DeletePassphrase(passphrase_id=key))
    assert await security.fault(tas.DeletePassphrase(passphrase_id=key)) == "S/IAV/PassphraseID"
    for wrong in ("a\x85b", "x" * 1025):
        assert await security.fault(tas.UploadPassphrase(passphrase=wrong)) == "S/IAV/BadPassphrase"


# ---- keys -----------------------------------------------------------------------------------------


async def test_an_rsa_key_is_generated_beside_the_answer_and_its_status_is_told(security: Security) -> None:
    found = await security.ask(tas.CreateRSAKeyPair(key_length=3072, alias="ONVIF_Test"))
    key = found.findtext(f"{TAS}KeyID") or ""
    assert found.findtext(f"{TAS}EstimatedCreationTime", "").startswith("PT")
    assert security.statuses[0] == (key, None, "generating")
    assert await security.settled(key) == "ok"
    assert security.statuses == [(key, None, "generating"), (key, "generating", "ok")]
    attribute = (await security.ask(tas.GetAllKeys())).find(f"{TAS}KeyAttribute")
    assert {etree.QName(node).localname: node.text for node in attribute} == {
        "KeyID": key,
        "Alias": "ONVIF_Test",
        "hasPrivateKey": "true",
        "KeyStatus": "ok",
        "externallyGenerated": "false",
        "securelyStored": "false",
    }
    row = security.manager.state.keys[key]
    assert isinstance(security.keystore.private_key(row), rsa.RSAPrivateKey)
    assert row.private is not None
    assert b"PRIVATE" not in row.private
    assert await security.text(tas.GetPrivateKeyStatus(key_id=key), "hasPrivateKey") == "true"


async def test_a_key_that_is_being_generated_cannot_be_used(
    security: Security, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slow(kind: str, size: str) -> Any:
        assert go_on.wait(60)
        return rsa.generate_private_key(65537, int(size))

    monkeypatch.setattr("onvifd.pki.manager.generate", slow)
    key = await security.text(tas.CreateRSAKeyPair(key_length=2048), "KeyID")
    assert await security.text(tas.GetKeyStatus(key_id=key), "KeyStatus") == "generating"
    assert await security.text(tas.GetPrivateKeyStatus(key_id=key), "hasPrivateKey") == "false"
    # ADVANCED_SECURITY-2-1-20
    request = tas.CreatePKCS10CSR(subject=NAME, key_id=key, signature_algorithm=algorithm(SHA1_RSA))
    assert await security.fault(request) == "S/IAV/InvalidKeyStatus"
    own = tas.CreateSelfSignedCertificate(subject=NAME, key_id=key, signature_algorithm=algorithm(SHA256_RSA))
    assert await security.fault(own) == "S/IAV/InvalidKeyStatus"
    go_on.set()
    assert await security.settled(key) == "ok"


@pytest.mark.parametrize("curve", ["secp256r1", "secp384r1", "secp521r1"])
async def test_curves(security: Security, curve: str) -> None:
    key = await security.text(tas.CreateECCKeyPair(elliptic_curve=curve), "KeyID")
    assert await security.settled(key) == "ok"
    request = tas.CreateSelfSignedCertificate(subject=NAME, key_id=key, signature_algorithm=algorithm(ECDSA))
    certificate = await security.content(await security.text(request, "CertificateID"))
    assert verifies(certificate, certificate.public_key())


@small
async def test_refused_keys(security: Security) -> None:
    assert await security.fault(tas.CreateRSAKeyPair(key_length=1000)) == "S/IAV/KeyLength"
    assert await security.fault(tas.CreateECCKeyPair(elliptic_curve="x25519")) == "S/IAV/UnsupportedEllipticCurve"
    for request in (tas.GetKeyStatus, tas.GetPrivateKeyStatus, tas.DeleteKey):
        assert await security.fault(request(key_id="nothing")) == "S/IAV/KeyID"
    for _ in range(3):
        await security.settled(await security.text(tas.CreateECCKeyPair(elliptic_curve="secp256r1"), "KeyID"))
    assert await security.fault(tas.CreateRSAKeyPair(key_length=2048)) == "R/A/MaximumNumberOfKeysReached"
    assert await security.fault(tas.CreateECCKeyPair(elliptic_curve="secp256r1")) == "R/A/MaximumNumberOfKeysReached"


async def test_a_key_that_is_deleted_while_it_is_generated_is_gone(security: Security) -> None:
    key = await security.text(tas.CreateRSAKeyPair(key_length=4096), "KeyID")
    await security.ask(tas.DeleteKey(key_id=key))
    other = await security.key()
    assert await security.texts(tas.GetAllKeys(), "KeyID") == [other]
    assert [change for change in security.statuses if change[0] == key] == [(key, None, "generating")]


async def test_generation_goes_on_after_a_restart(
    security: Security, client: Callable[..., Any], catalogue: Catalogue
) -> None:
    key = security.keystore.announce_key("RSA", "2048", None)
    again = Security(catalogue, Limits(), client)
    await again.manager.start()
    assert await again.settled(key) == "ok"
    await again.manager.close()


async def test_a_key_that_cannot_be_generated_is_corrupt(security: Security, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(kind: str, size: str) -> None:
        raise ValueError("no entropy")

    monkeypatch.setattr("onvifd.pki.manager.generate", fail)
    key = await security.text(tas.CreateRSAKeyPair(key_length=2048), "KeyID")
    assert await security.settled(key) == "corrupt"
    assert security.statuses[-1] == (key, "generating", "corrupt")
    request = tas.CreatePKCS10CSR(subject=NAME, key_id=key, signature_algorithm=algorithm(SHA256_RSA))
    assert await security.fault(request) == "S/IAV/InvalidKeyStatus"
    await security.ask(tas.DeleteKey(key_id=key))


async def test_uploading_keys_in_pkcs8(security: Security, openssl: OpenSsl) -> None:
    openssl("genrsa", "-out", "k.pem", "2048")
    sealed = openssl("pkcs8", "-topk8", "-in", "k.pem", "-outform", "DER", "-v1", "PBE-SHA1-3DES", "-passout", "pass:Passphrase for ONVIF")  # fmt: skip
    right = await security.text(tas.UploadPassphrase(passphrase="Passphrase for ONVIF"), "PassphraseID")
    wrong = await security.text(tas.UploadPassphrase(passphrase="AdditionalPassphrase"), "PassphraseID")

    def upload(**more: Any) -> tas.UploadKeyPairInPKCS8:
        return tas.UploadKeyPairInPKCS8(**{"key_pair": sealed, **more})

    assert await security.fault(upload(encryption_passphrase_id=wrong)) == "S/IAV/DecryptionFailed"
    assert await security.fault(upload(encryption_passphrase_id="none")) == "S/IAV/PassphraseID"
    assert await security.fault(upload(key_pair=b"x")) == "S/IAV/BadPKCS8File"
    key = await security.text(upload(alias="ONVIF_Test", encryption_passphrase_id=right), "KeyID")
    assert await security.text(upload(encryption_passphrase="Passphrase for ONVIF"), "KeyID") == key
    attribute = (await security.ask(tas.GetAllKeys())).find(f"{TAS}KeyAttribute")
    assert attribute.findtext(f"{TAS}externallyGenerated") == "true"
    assert attribute.findtext(f"{TAS}hasPrivateKey") == "true"


# ---- requests and certificates ---------------------------------------------------------------------


@pytest.mark.covers("SEC-13")
async def test_a_request_with_extensions_and_attributes(security: Security) -> None:
    key = await security.key()
    san = x509.SubjectAlternativeName([x509.DNSName("nvr.example")]).public_bytes()
    request = tas.CreatePKCS10CSR(
        subject=tas.DistinguishedName(
            country=("US",),
            organization=("ONVIF Test",),
            organizational_unit=("Unit test",),
            distinguished_name_qualifier=("DN Qualifier Test",),
            state_or_province_name=("State Name Test",),
            common_name=("Common Name Test",),
            serial_number=("000000000000",),
            locality=("LA",),
            title=("Mr",),
            surname=("SurnameTest",),
            given_name=("GivenNameTest",),
            initials=("AS",),
            pseudonym=("Pseudonym Test",),
            generation_qualifier=("GenerationQualifier Test",),
            generic_attribute=(tas.DNAttributeTypeAndValue(type_="2.5.4.9", value="Street"),),
        ),
        key_id=key,
        csr_attribute=(
            tas.CSRAttribute(x509v3_extension=tas.X509v3Extension(extn_oid="2.5.29.17", extn_value=san)),
            tas.CSRAttribute(
                basic_request_attribute=tas.BasicRequestAttribute(oid="1.2.840.113549.1.9.7", value=b"\x0c\x03abc")
            ),
        ),
        signature_algorithm=algorithm(SHA256_RSA),
    )
    made = x509.load_der_x509_csr(base64.b64decode(await security.text(request, "PKCS10CSR")))
    assert made.is_signature_valid
    assert made.subject.rfc4514_string().count("=") == 15
    assert made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == ["nvr.example"]  # fmt: skip
    assert made.attributes.get_attribute_for_oid(x509.ObjectIdentifier("1.2.840.113549.1.9.7")).value == b"abc"


@pytest.mark.parametrize("oid", [SHA1_RSA, SHA256_RSA, "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13", PSS])
async def test_signature_algorithms(security: Security, openssl: OpenSsl, oid: str) -> None:
    key = await security.key()
    request = tas.CreatePKCS10CSR(subject=NAME, key_id=key, signature_algorithm=algorithm(oid))
    made = base64.b64decode(await security.text(request, "PKCS10CSR"))
    assert b"verify OK" in openssl("req", "-inform", "DER", "-verify", "-noout", data=made) or x509.load_der_x509_csr(
        made
    )
    certificate = await security.content(await security.self_signed(key, signature_algorithm=algorithm(oid)))
    assert certificate.signature_algorithm_oid.dotted_string == oid
    assert verifies(certificate, certificate.public_key())


async def test_refused_requests(security: Security) -> None:
    key = await security.key()

    def csr(**more: Any) -> tas.CreatePKCS10CSR:
        return tas.CreatePKCS10CSR(
            **{"subject": NAME, "key_id": key, "signature_algorithm": algorithm(SHA256_RSA), **more}
        )

    def extension(oid: str, value: bytes) -> tas.CSRAttribute:
        return tas.CSRAttribute(x509v3_extension=tas.X509v3Extension(extn_oid=oid, extn_value=value))

    assert await security.fault(csr(key_id="none")) == "S/IAV/KeyID"
    assert await security.fault(csr(signature_algorithm=algorithm("1.2.3"))) == "S/IAV/UnsupportedSignatureAlgorithm"
    sha1_mask = algorithm(PSS, bytes.fromhex("3000"))
    assert await security.fault(csr(signature_algorithm=sha1_mask)) == "S/IAV/UnsupportedSignatureAlgorithm"
    assert await security.fault(csr(signature_algorithm=algorithm(ECDSA))) == "S/IAV/KeySignatureAlgorithmMismatch"
    assert await security.fault(csr(subject=tas.DistinguishedName())) == "S/IAV/InvalidSubject"
    assert await security.fault(csr(subject=tas.DistinguishedName(country=("USA",)))) == "S/IAV/InvalidSubject"
    for wrong in (extension("2.5.29.17", b"x"), extension("9", b"\x05\x00"), extension("2.5.29.17", b"\x05\x00"), tas.CSRAttribute(basic_request_attribute=tas.BasicRequestAttribute(oid="1.2", value=b"x"))):  # fmt: skip
        assert await security.fault(csr(csr_attribute=(wrong,))) == "S/IAV/InvalidAttribute"
    twice = (extension("2.5.29.14", b"\x04\x01a"),) * 2
    assert await security.fault(csr(csr_attribute=twice)) == "S/IAV/InvalidAttribute"


async def test_pss_with_the_parameters_of_the_client(security: Security) -> None:
    key = await security.key()
    sha384 = bytes.fromhex(
        "3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
    )
    made = tas.CreatePKCS10CSR(subject=NAME, key_id=key, signature_algorithm=algorithm(PSS, sha384))
    csr = x509.load_der_x509_csr(base64.b64decode(await security.text(made, "PKCS10CSR")))
    assert csr.is_signature_valid
    assert isinstance(csr.signature_hash_algorithm, hashes.SHA384)
    assert isinstance(csr.signature_algorithm_parameters, padding.PSS)


@pytest.mark.covers("SEC-12")
async def test_a_self_signed_certificate(security: Security) -> None:
    key = await security.key()
    certificate = await security.self_signed(key, alias="ONVIF_Test", not_valid_before=0)
    found = await security.content(certificate)
    assert found.subject == found.issuer
    assert found.not_valid_after_utc.strftime("%Y%m%d%H%M%SZ") == "99991231235959Z"
    assert found.not_valid_before_utc.year == 1970
    assert names_of(found) == {"192.0.2.10"}
    assert found.version is x509.Version.v3
    attribute = (await security.ask(tas.GetAllCertificates())).find(f"{TAS}Certificate")
    assert attribute.findtext(f"{TAS}CertificateID") == certificate
    assert attribute.findtext(f"{TAS}KeyID") == key
    assert attribute.findtext(f"{TAS}Alias") == "ONVIF_Test"
    assert attribute.findtext(f"{TAS}HasPrivateKey") == "true"
    serial = (await security.content(await security.self_signed(key))).serial_number
    assert serial != found.serial_number


@small
async def test_refused_self_signed_certificates(security: Security) -> None:
    key = await security.key()

    def request(**more: Any) -> tas.CreateSelfSignedCertificate:
        return tas.CreateSelfSignedCertificate(
            **{"subject": NAME, "key_id": key, "signature_algorithm": algorithm(SHA256_RSA), **more}
        )

    assert await security.fault(request(x509_version=1)) == "S/IAV/UnsupportedX509Version"
    assert await security.fault(request(key_id="none")) == "S/IAV/KeyID"
    assert await security.fault(request(signature_algorithm=algorithm("1.2"))) == "S/IAV/UnsupportedSignatureAlgorithm"
    assert await security.fault(request(signature_algorithm=algorithm(ECDSA))) == "S/IAV/KeySignatureAlgorithmMismatch"
    assert await security.fault(request(subject=tas.DistinguishedName())) == "S/IAV/InvalidSubject"
    assert await security.fault(request(not_valid_before=2_000_000_000_000_000, not_valid_after=1_900_000_000_000_000)) == "S/IAV/InvalidDateTime"  # fmt: skip
    assert await security.fault(request(not_valid_after=-(10**16))) == "S/IAV/InvalidDateTime"
    broken = tas.X509v3Extension(extn_oid="2.5.29.19", extn_value=b"\x04\x01a")
    assert await security.fault(request(extension=(broken,))) == "R/A/CertificateCreationFailed"
    own = tas.X509v3Extension(extn_oid="1.2.3.4", critical=True, extn_value=b"\x04\x01a")
    made = await security.content(await security.self_signed(key, x509_version=3, extension=(own,)))
    assert made.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.2.3.4")).critical
    await security.self_signed(key)
    await security.self_signed(key)
    assert await security.fault(request()) == "R/A/MaximumNumberOfCertificatesReached"


@pytest.mark.covers("SEC-13")
async def test_a_certificate_for_a_request_is_linked_to_its_key(security: Security, openssl: OpenSsl) -> None:
    openssl.root()
    key = await security.key()
    csr = tas.CreatePKCS10CSR(subject=NAME, key_id=key, signature_algorithm=algorithm(SHA1_RSA))
    (openssl.folder / "dut.csr").write_bytes(
        openssl("req", "-inform", "DER", data=base64.b64decode(await security.text(csr, "PKCS10CSR")))
    )
    openssl.sign("dut", digest="-sha1")
    certificate, linked = await security.upload(openssl.der("dut"), alias="ONVIF_Test", private_key_required=True)
    assert linked == key
    assert await security.fault(tas.DeleteKey(key_id=key)) == "S/IAV/ReferenceExists"
    authority, public = await security.upload(openssl.der("ca"), alias="CA", key_alias="CA key")
    assert await security.text(tas.GetPrivateKeyStatus(key_id=public), "hasPrivateKey") == "false"
    request = tas.CreatePKCS10CSR(subject=NAME, key_id=public, signature_algorithm=algorithm(SHA256_RSA))
    assert await security.fault(request) == "S/IAV/KeySignatureAlgorithmMismatch"
    path = await security.path(certificate, authority, alias="ONVIF_Test2")
    found = await security.ask(tas.GetCertificationPath(certification_path_id=path))
    assert [node.text for node in found.iter(f"{TAS}CertificateID")] == [certificate, authority]
    assert [node.text for node in found.iter(f"{TAS}Alias")] == ["ONVIF_Test2"]
    await security.ask(tas.DeleteCertificationPath(certification_path_id=path))
    await security.ask(tas.DeleteCertificate(certificate_id=authority))
    assert public in await security.texts(tas.GetAllKeys(), "KeyID")  # it outlives its certificate (2-1-21)


@small
async def test_refused_certificates(security: Security, openssl: OpenSsl) -> None:
    openssl.root()
    openssl.issue("one")
    for name in ("c1", "c2"):
        openssl.root(name)
    data = openssl.der("ca")
    assert await security.fault(tas.UploadCertificate(certificate=data[:-9] + b"x" * 8)) == "S/IAV/BadCertificate"
    assert await security.fault(tas.UploadCertificate(certificate=data, private_key_required=True)) == "R/A/NoMatchingPrivateKey"  # fmt: skip
    openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "e.key", "-out", "e.pem", "-subj", "/CN=e")
    assert await security.fault(tas.UploadCertificate(certificate=openssl.der("e"))) == "S/IAV/UnsupportedSignatureAlgorithm"  # fmt: skip
    openssl("req", "-newkey", "ed25519", "-nodes", "-keyout", "f.key", "-out", "f.csr", "-subj", "/CN=f")
    openssl.sign("f")
    assert await security.fault(tas.UploadCertificate(certificate=openssl.der("f"))) == "S/IAV/UnsupportedPublicKeyAlgorithm"  # fmt: skip
    certificate, _ = await security.upload(data)
    assert await security.fault(tas.UploadCertificate(certificate=data)) == "S/IAV/Duplicate"
    await security.upload(openssl.der("c1"))
    await security.upload(openssl.der("one"))
    assert (
        await security.fault(tas.UploadCertificate(certificate=openssl.der("c2"))) == "R/A/MaximumNumberOfKeysReached"
    )
    for name in ("k1",):
        openssl("x509", "-in", "ca.pem", "-signkey", "ca.key", "-out", f"{name}.pem", "-days", "9")
    assert await security.fault(tas.UploadCertificate(certificate=openssl.der("k1"))) == "R/A/MaximumNumberOfCertificatesReached"  # fmt: skip
    for request in (tas.GetCertificate, tas.DeleteCertificate):
        assert await security.fault(request(certificate_id="none")) == "S/IAV/CertificateID"
    await security.ask(tas.DeleteCertificate(certificate_id=certificate))


@small
async def test_refused_paths(security: Security, openssl: OpenSsl) -> None:
    openssl.root()
    openssl.root("other")
    openssl.issue("leaf")
    ca, _ = await security.upload(openssl.der("ca"))
    other, _ = await security.upload(openssl.der("other"))
    leaf, _ = await security.upload(openssl.der("leaf"))

    def create(*ids: str) -> tas.CreateCertificationPath:
        return tas.CreateCertificationPath(certificate_ids=tas.CertificateIDs(certificate_id=ids))

    assert await security.fault(create(leaf, "none")) == "S/IAV/CertificateID"
    assert await security.fault(create(leaf, other)) == "S/IAV/InvalidCertificationPath"
    assert await security.fault(create(*[ca] * 17)) == "R/A/CertificationPathCreationFailed"
    path = await security.path(leaf, ca)
    assert await security.fault(tas.DeleteCertificate(certificate_id=ca)) == "S/IAV/ReferenceExists"
    await security.path(other)
    assert await security.fault(create(ca)) == "R/A/MaximumNumberOfCertificationPathsReached"
    assert len(await security.texts(tas.GetAllCertificationPaths(), "CertificationPathID")) == 2
    for request in (tas.GetCertificationPath, tas.DeleteCertificationPath):
        assert await security.fault(request(certification_path_id="none")) == "S/IAV/CertificationPathID"

    def change(path: str, *ids: str) -> tas.SetCertificationPath:
        return tas.SetCertificationPath(
            certification_path_id=path, certification_path=tas.CertificationPath(certificate_id=ids, alias="new")
        )

    assert await security.fault(change("none", ca)) == "S/IAV/CertificationPathID"
    assert await security.fault(change(path, "none")) == "S/IAV/CertificateID"
    assert await security.fault(change(path, ca, leaf)) == "S/IAV/InvalidCertificationPath"
    await security.ask(change(path, ca))
    found = await security.ask(tas.GetCertificationPath(certification_path_id=path))
    assert [node.text for node in found.iter(f"{TAS}CertificateID", f"{TAS}Alias")] == [ca, "new"]


@pytest.mark.covers("SEC-14")
async def test_pkcs12(security: Security, openssl: OpenSsl) -> None:
    openssl.root()
    openssl.issue("leaf")
    data = openssl("pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-certfile", "ca.pem", "-passout", "pass:Passphrase for ONVIF")  # fmt: skip
    right = await security.text(tas.UploadPassphrase(passphrase="Passphrase for ONVIF"), "PassphraseID")
    wrong = await security.text(tas.UploadPassphrase(passphrase="AdditionalPassphrase"), "PassphraseID")

    def upload(**more: Any) -> tas.UploadCertificateWithPrivateKeyInPKCS12:
        return tas.UploadCertificateWithPrivateKeyInPKCS12(**{"cert_with_private_key": data, **more})

    assert await security.fault(upload(encryption_passphrase_id=wrong)) == "S/IAV/DecryptionFailed"
    assert await security.fault(upload(encryption_passphrase_id="none")) == "S/IAV/PassphraseID"
    assert await security.fault(upload(integrity_passphrase_id="none")) == "S/IAV/PassphraseID"
    assert await security.fault(upload(integrity_passphrase_id=wrong, encryption_passphrase_id=right)) == "S/IAV/DecryptionFailed"  # fmt: skip
    assert await security.fault(upload(cert_with_private_key=b"0")) == "S/IAV/BadPKCS12File"
    found = await security.ask(
        upload(certification_path_alias="Path", key_alias="ONVIF_Key_Test", integrity_passphrase_id=right)
    )
    path, key = (found.findtext(f"{TAS}{name}") for name in ("CertificationPathID", "KeyID"))
    members = await security.texts(tas.GetCertificationPath(certification_path_id=path or ""), "CertificateID")
    assert [(await security.content(each)).subject.rfc4514_string() for each in members] == [
        "CN=leaf",
        "CN=ONVIF TT,C=US",
    ]
    row = security.manager.state.keys[key or ""]
    assert (row.alias, row.external, row.status, row.private is not None) == ("ONVIF_Key_Test", True, "ok", True)
    # The passphrase itself goes before ids, which need not exist then; certificates that are here are not stored twice.
    again = await security.ask(
        upload(passphrase="Passphrase for ONVIF", encryption_passphrase_id="none", ignore_additional_certificates=True)
    )
    assert again.findtext(f"{TAS}KeyID") == key
    second = again.findtext(f"{TAS}CertificationPathID") or ""
    assert await security.texts(tas.GetCertificationPath(certification_path_id=second), "CertificateID") == members[:1]


@pytest.mark.parametrize(
    ("security", "limit"),
    [
        (Limits(keys=1), "MaximumNumberOfKeysReached"),
        (Limits(certificates=1), "MaximumNumberOfCertificatesReached"),
        (Limits(paths=0), "MaximumNumberOfCertificationPathsReached"),
    ],
    indirect=["security"],
)
async def test_pkcs12_that_does_not_fit_changes_nothing(security: Security, openssl: OpenSsl, limit: str) -> None:
    openssl.root()
    openssl.issue("leaf")
    data = openssl("pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-certfile", "ca.pem", "-passout", "pass:x")  # fmt: skip
    request = tas.UploadCertificateWithPrivateKeyInPKCS12(cert_with_private_key=data, passphrase="x")
    assert await security.fault(request) == f"R/A/{limit}"


async def test_pkcs12_whose_certificates_are_no_path(security: Security, openssl: OpenSsl) -> None:
    openssl.root()
    openssl.root("other")
    openssl.issue("leaf")
    data = openssl("pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-certfile", "other.pem", "-passout", "pass:x")  # fmt: skip
    request = tas.UploadCertificateWithPrivateKeyInPKCS12(cert_with_private_key=data, passphrase="x")
    assert await security.fault(request) == "S/IAV/InvalidCertificationPath"


async def test_a_private_key_joins_the_public_key_that_is_here(security: Security, openssl: OpenSsl) -> None:
    openssl.root()
    _, key = await security.upload(openssl.der("ca"))
    data = openssl("pkcs12", "-export", "-inkey", "ca.key", "-in", "ca.pem", "-passout", "pass:x")
    request = tas.UploadCertificateWithPrivateKeyInPKCS12(cert_with_private_key=data, passphrase="x")
    assert await security.text(request, "KeyID") == key
    assert await security.text(tas.GetPrivateKeyStatus(key_id=key), "hasPrivateKey") == "true"


# ---- revocation lists and policies -----------------------------------------------------------------


@small
async def test_revocation_lists(security: Security, openssl: OpenSsl) -> None:
    data = crl_of(openssl)
    key = await security.text(tas.UploadCRL(crl=data, alias="ONVIF_CRL_Test"), "CrlID")
    assert await security.fault(tas.UploadCRL(crl=data)) == "R/A/MaximumNumberOfCRLsReached"
    for request in (tas.GetCRL(crl_id=key), tas.GetAllCRLs()):
        found = (await security.ask(request)).find(f"{TAS}Crl")
        assert found.findtext(f"{TAS}CRLID") == key
        assert found.findtext(f"{TAS}Alias") == "ONVIF_CRL_Test"
        assert base64.b64decode(found.findtext(f"{TAS}CRLContent")) == data
    # The list was issued with the authority's certificate, which it so refers to (5.2.4).
    authority, _ = await security.upload(openssl.der("ca"))
    assert await security.fault(tas.DeleteCertificate(certificate_id=authority)) == "S/IAV/ReferenceExists"
    await security.ask(tas.DeleteCRL(crl_id=key))
    await security.ask(tas.DeleteCertificate(certificate_id=authority))
    for gone in (tas.GetCRL(crl_id=key), tas.DeleteCRL(crl_id=key)):
        assert await security.fault(gone) == "S/IAV/CRLID"
    assert await security.fault(tas.UploadCRL(crl=data[:-1])) == "S/IAV/BadCRL"


def crl_of(openssl: OpenSsl, *revoked: str) -> bytes:
    """The list of an authority `ca`."""
    (openssl.folder / "index").touch()
    (openssl.folder / "number").write_text("01\n")
    (openssl.folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca=me\n[me]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=30\n"
    )
    if not (openssl.folder / "ca.pem").exists():
        openssl.root()
    for name in revoked:
        openssl("ca", "-config", "ca.cnf", "-revoke", f"{name}.pem", "-keyfile", "ca.key", "-cert", "ca.pem")
    openssl("ca", "-config", "ca.cnf", "-gencrl", "-keyfile", "ca.key", "-cert", "ca.pem", "-out", "crl.pem")
    return openssl("crl", "-in", "crl.pem", "-outform", "DER")


@small
async def test_policies(security: Security, openssl: OpenSsl) -> None:
    openssl.root()
    anchor, _ = await security.upload(openssl.der("ca"))
    policy = await security.policy(anchor, use_delta_crls=True)
    for request in (
        tas.GetCertPathValidationPolicy(cert_path_validation_policy_id=policy),
        tas.GetAllCertPathValidationPolicies(),
    ):
        found = (await security.ask(request)).find(f"{TAS}CertPathValidationPolicy")
        assert found.findtext(f"{TAS}CertPathValidationPolicyID") == policy
        assert found.findtext(f"{TAS}Alias") == "P"
        assert found.findtext(f"{TAS}Parameters/{TAS}RequireTLSWWWClientAuthExtendedKeyUsage") == "false"
        assert found.findtext(f"{TAS}Parameters/{TAS}UseDeltaCRLs") == "true"
        assert [node.text for node in found.iter(f"{TAS}CertificateID")] == [anchor]
    assert await security.fault(tas.DeleteCertificate(certificate_id=anchor)) == "S/IAV/ReferenceExists"

    def create(anchor: str, **more: Any) -> tas.CreateCertPathValidationPolicy:
        parameters = tas.CertPathValidationParameters(**more)
        return tas.CreateCertPathValidationPolicy(
            parameters=parameters, trust_anchor=(tas.TrustAnchor(certificate_id=anchor),)
        )

    unknown = tas.CertPathValidationParametersAnyParameters(any_=(etree.Element("{urn:x}Depth"),))
    assert await security.fault(create("none")) == "S/IAV/CertificateID"
    assert await security.fault(create(anchor, any_parameters=unknown)) == "S/IAV/CertPathValidationParameters"
    await security.policy(anchor)
    full = "R/A/MaximumNumberOfCertPathValidationPoliciesReached"
    assert await security.fault(create(anchor)) == full
    for gone in (tas.GetCertPathValidationPolicy, tas.DeleteCertPathValidationPolicy):
        assert await security.fault(gone(cert_path_validation_policy_id="none")) == "S/IAV/CertPathValidationPolicyID"

    def change(policy: str, anchor: str, **more: Any) -> tas.SetCertPathValidationPolicy:
        return tas.SetCertPathValidationPolicy(
            cert_path_validation_policy=tas.CertPathValidationPolicy(
                cert_path_validation_policy_id=policy,
                parameters=tas.CertPathValidationParameters(**more),
                trust_anchor=(tas.TrustAnchor(certificate_id=anchor),),
            )
        )

    assert await security.fault(change("none", anchor)) == "S/IAV/CertPathValidationPolicyID"
    assert await security.fault(change(policy, "none")) == "S/IAV/CertificateID"
    assert await security.fault(change(policy, anchor, any_parameters=unknown)) == "S/IAV/CertPathValidationParameters"
    await security.ask(change(policy, anchor, require_tls_www_client_auth_extended_key_usage=True))
    assert security.manager.state.policies[policy].client_usage
    await security.ask(tas.DeleteCertPathValidationPolicy(cert_path_validation_policy_id=policy))


# ---- TLS server --------------------------------------------------------------------------------------


@small
async def test_server_certificates(security: Security, openssl: OpenSsl) -> None:
    openssl.root()
    authority, _ = await security.upload(openssl.der("ca"))
    keyless = await security.path(authority)

    def add(path: str) -> tas.AddServerCertificateAssignment:
        return tas.AddServerCertificateAssignment(certification_path_id=path)

    def swap(old: str, new: str) -> tas.ReplaceServerCertificateAssignment:
        return tas.ReplaceServerCertificateAssignment(old_certification_path_id=old, new_certification_path_id=new)

    def remove(path: str) -> tas.RemoveServerCertificateAssignment:
        return tas.RemoveServerCertificateAssignment(certification_path_id=path)

    assert await security.fault(add("none")) == "S/IAV/CertificationPathID"
    assert await security.fault(add(keyless)) == "S/IAV/NoPrivateKey"
    key = await security.key()
    certificate = await security.self_signed(key)
    path = await security.path(certificate)
    await security.ask(add(path))
    await security.ask(add(path))
    assert await security.texts(tas.GetAssignedServerCertificates(), "CertificationPathID") == [path]
    # Referential integrity (ADVANCED_SECURITY-4-1-1)
    assert await security.fault(tas.DeleteKey(key_id=key)) == "S/IAV/ReferenceExists"
    assert await security.fault(tas.DeleteCertificate(certificate_id=certificate)) == "S/IAV/ReferenceExists"
    assert await security.fault(tas.DeleteCertificationPath(certification_path_id=path)) == "S/IAV/ReferenceExists"
    assert await security.fault(swap("none", path)) == "S/IAV/OldCertificationPathID"
    assert await security.fault(swap(path, "none")) == "S/IAV/NewCertificationPathID"
    assert await security.fault(swap(path, keyless)) == "S/IAV/NoPrivateKey"
    await security.ask(tas.DeleteCertificationPath(certification_path_id=keyless))
    second = await security.path(await security.self_signed(key))
    assert await security.fault(add(second)) == "R/A/MaximumNumberOfTLSCertificationPathsReached"
    await security.ask(swap(path, second))
    assert await security.texts(tas.GetAssignedServerCertificates(), "CertificationPathID") == [second]
    assert await security.fault(remove(path)) == "S/IAV/OldCertificationPathID"
    security.enabled = True
    assert await security.fault(remove(second)) == "S/IAV/ReferenceExists"
    security.enabled = False
    await security.ask(remove(second))
    assert await security.texts(tas.GetAssignedServerCertificates(), "CertificationPathID") == []


async def test_versions(security: Security) -> None:
    assert await security.text(tas.GetEnabledTLSVersions(), "Versions") == "1.2 1.3"
    await security.ask(tas.SetEnabledTLSVersions(versions=("1.3",)))
    assert await security.text(tas.GetEnabledTLSVersions(), "Versions") == "1.3"
    assert await security.fault(tas.SetEnabledTLSVersions(versions=())) == "S/IAV/EmptyList"
    assert await security.fault(tas.SetEnabledTLSVersions(versions=("1.1", "1.3"))) == "S/IAV/TLSVersion"
    await security.ask(tas.SetEnabledTLSVersions(versions=("1.3", "1.2")))
    assert await security.text(tas.GetEnabledTLSVersions(), "Versions") == "1.2 1.3"


@small
async def test_client_authentication(security: Security, openssl: OpenSsl) -> None:
    openssl.root()
    anchor, _ = await security.upload(openssl.der("ca"))
    first, second = await security.policy(anchor), await security.policy(anchor)

    def require(value: bool) -> tas.SetClientAuthenticationRequired:
        return tas.SetClientAuthenticationRequired(client_authentication_required=value)

    def add(policy: str) -> tas.AddCertPathValidationPolicyAssignment:
        return tas.AddCertPathValidationPolicyAssignment(cert_path_validation_policy_id=policy)

    def remove(policy: str) -> tas.RemoveCertPathValidationPolicyAssignment:
        return tas.RemoveCertPathValidationPolicyAssignment(cert_path_validation_policy_id=policy)

    def swap(old: str, new: str) -> tas.ReplaceCertPathValidationPolicyAssignment:
        return tas.ReplaceCertPathValidationPolicyAssignment(
            old_cert_path_validation_policy_id=old, new_cert_path_validation_policy_id=new
        )

    async def assigned() -> list[str]:
        return await security.texts(tas.GetAssignedCertPathValidationPolicies(), "CertPathValidationPolicyID")

    assert await security.fault(require(True)) == "R/ANS/EnablingClientAuthenticationFailed"
    assert await security.fault(tas.SetCnMapsToUser(cn_maps_to_user=True)) == "R/ANS/CnMapsToUserFailed"
    assert await security.fault(add("none")) == "S/IAV/CertPathValidationPolicyID"
    await security.ask(add(first))
    await security.ask(add(first))
    full = "R/A/MaximumNumberOfTLSCertPathValidationPoliciesReached"
    assert await security.fault(add(second)) == full
    assert await security.fault(swap("none", second)) == "S/IAV/OldCertPathValidationPolicyID"
    assert await security.fault(swap(first, "none")) == "S/IAV/NewCertPathValidationPolicyID"
    await security.ask(swap(first, second))
    assert await assigned() == [second]
    assert await security.fault(remove(first)) == "S/IAV/CertPathValidationPolicyID"
    delete = tas.DeleteCertPathValidationPolicy(cert_path_validation_policy_id=second)
    assert await security.fault(delete) == "S/IAV/ReferenceExists"
    change = tas.SetCertPathValidationPolicy(
        cert_path_validation_policy=tas.CertPathValidationPolicy(
            cert_path_validation_policy_id=second,
            parameters=tas.CertPathValidationParameters(),
            trust_anchor=(tas.TrustAnchor(certificate_id=anchor),),
        )
    )
    assert await security.fault(change) == "S/IAV/ReferenceExists"
    await security.ask(require(True))
    assert await security.text(tas.GetClientAuthenticationRequired(), "clientAuthenticationRequired") == "true"
    await security.ask(tas.SetCnMapsToUser(cn_maps_to_user=True))
    assert await security.text(tas.GetCnMapsToUser(), "cnMapsToUser") == "true"
    await security.ask(tas.SetCnMapsToUser(cn_maps_to_user=False))
    assert await security.fault(remove(second)) == "S/IAV/ReferenceExists"
    await security.ask(require(False))
    await security.ask(remove(second))
    assert await assigned() == []


# ---- all operations -----------------------------------------------------------------------------------


def test_every_operation_of_the_served_parts_is_there() -> None:
    served = {operation.request.__name__ for operation in SecurityService.operations()}
    known = {
        name
        for name, value in vars(tas).items()
        if isinstance(value, type) and f"{name}Response" in vars(tas) and not name.endswith("Response")
    }
    assert served == known


async def test_only_administrators_see_and_change_the_keystore(security: Security) -> None:
    for account in ("operator", "user"):
        assert await security.client.fault(tas.GetAllKeys(), account) == ("Sender", "NotAuthorized")
        assert await security.client.fault(tas.UploadPassphrase(passphrase="x"), account) == ("Sender", "NotAuthorized")
        await security.client.ask(tas.GetEnabledTLSVersions(), account)


async def test_a_change_is_applied_before_it_is_answered(security: Security) -> None:
    before = security.applied
    await security.ask(tas.SetEnabledTLSVersions(versions=("1.3",)))
    assert security.applied == before + 1
    await security.ask(tas.SetEnabledTLSVersions(versions=("1.3",)))
    assert security.applied == before + 1
