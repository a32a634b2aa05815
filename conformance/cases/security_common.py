"""What the cases of test/Security share: requests, things that are gone afterwards, TLS handshakes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from conformance.cases.certificates import (
    SHA1_RSA,
    SHA256_RSA,
    Identity,
    authority,
    from_request,
    is_der,
    name,
    pkcs12_of,
)
from conformance.cases.event_values import seconds_of
from conformance.model import Examination, Failure
from conformance.names import find, findall, flag, name_of, text

SERVICE = "Security Configuration Service"
RSA_KEYS = "Security/RSA Key Pair Generation"
PKCS10 = "Security/PKCS10 External Certification with RSA"
SELF_SIGNED = "Security/Self-Signed Certificate Creation with RSA"
PASSPHRASES = "Security/Passphrase Management"
PKCS8 = "Security/PKCS8 Container Upload"
PKCS12 = "Security/PKCS12 Container Upload"
CRLS = "Security/CRLs"
POLICIES = "Security/Certification path validation policies"
TLS_SERVER = "Security/TLS Server"
CLIENT_AUTH = "Security/TLS client authentication"
TLS_VERSIONS = "Security/Enabled TLS Versions"
NETWORK = "Device/Network Configuration"

POLL = 0.5
"""Seconds between two looks at the status of a key. The specification says 5; a device is not hurt by being asked sooner."""


# ---- comparison ---------------------------------------------------------------------------------------


def differences(one: Any, other: Any, defaults: Mapping[str, str] = {}) -> str:
    """What two capability elements disagree about; attributes that are missing have their default. Empty if nothing."""
    found: list[str] = []
    _compare(one, other, name_of(one).rpartition(":")[2], defaults, found)
    return "; ".join(found)


def _value(element: Any, attribute: str, defaults: Mapping[str, str]) -> str | None:
    value = element.get(attribute, defaults.get(attribute))
    if value is None:
        return None
    words = value.split()
    if attribute in defaults:
        words = [{"1": "true", "0": "false"}.get(each, each) for each in words]
    return " ".join(sorted(words))


def _compare(one: Any, other: Any, path: str, defaults: Mapping[str, str], found: list[str]) -> None:
    for attribute in sorted({*one.attrib, *other.attrib, *(defaults if "/" not in path else ())}):
        first, second = _value(one, attribute, defaults), _value(other, attribute, defaults)
        if first != second:
            found.append(f"{path}/@{attribute} is {first} and {second}")
    children = [[each for each in element if isinstance(each.tag, str)] for element in (one, other)]
    names = [sorted(each.tag for each in group) for group in children]
    if names[0] != names[1]:
        found.append(f"{path} has different elements")
        return
    if not children[0] and text(one) != text(other):
        found.append(f"{path} is {text(one)!r} and {text(other)!r}")
    # Order within one name counts, order of names does not.
    for first, second in zip(*(sorted(group, key=lambda each: each.tag) for group in children), strict=True):
        _compare(first, second, f"{path}/{name_of(first).rpartition(':')[2]}", defaults, found)


# ---- requests -----------------------------------------------------------------------------------------


async def tas(x: Examination, operation: str, inside: str = "") -> Any:
    """A request to the security configuration service that must succeed."""
    return await x.ask("tas", f"<tas:{operation}>{inside}</tas:{operation}>")


async def refused(x: Examination, operation: str, inside: str, *fault: str) -> None:
    """A request that must be refused with exactly this fault."""
    await x.soap.refuse("tas", f"<tas:{operation}>{inside}</tas:{operation}>", fault)


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def unb64(x: Examination, element: Any, path: str) -> bytes:
    try:
        return base64.b64decode("".join(text(element, path).split()), validate=True)
    except binascii.Error:
        raise Failure(f"{path} is no base64") from None


async def capabilities(x: Examination) -> Any:
    return find(await tas(x, "GetServiceCapabilities"), "tas:Capabilities")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The security service's capabilities as the cases read them."""

    element: Any

    @property
    def keystore(self) -> Any:
        return find(self.element, "tas:KeystoreCapabilities")

    @property
    def tls(self) -> Any:
        return find(self.element, "tas:TLSServerCapabilities")

    def number(self, attribute: str, *, tls: bool = False) -> int:
        """0 where it is missing."""
        value = (self.tls if tls else self.keystore).get(attribute, "0").strip()
        return int(value) if value.isdigit() else 0

    def flag(self, attribute: str, *, tls: bool = False) -> bool:
        return flag(self.tls if tls else self.keystore, attribute)

    def words(self, attribute: str, *, tls: bool = False) -> list[str]:
        return str((self.tls if tls else self.keystore).get(attribute, "")).replace(",", " ").split()

    @property
    def key_lengths(self) -> list[int]:
        return sorted(int(each) for each in self.words("RSAKeyLengths") if each.isdigit())

    @property
    def algorithms(self) -> set[str]:
        return {text(each, "tas:algorithm") for each in findall(self.keystore, "tas:SignatureAlgorithms")}

    @property
    def algorithm(self) -> str:
        """SHA-1 as the specification says; SHA-256 where the device has left SHA-1 behind."""
        return SHA1_RSA if SHA1_RSA in self.algorithms or not self.algorithms else SHA256_RSA

    @property
    def modern(self) -> str:
        """For chains that a TLS library must accept: SHA-256 where the device has it."""
        return SHA256_RSA if SHA256_RSA in self.algorithms else self.algorithm

    @property
    def versions(self) -> list[str]:
        """TLS versions, oldest first."""
        return sorted(self.words("TLSServerSupported", tls=True))


async def read_capabilities(x: Examination) -> Capabilities:
    read = Capabilities(await capabilities(x))
    x.check(
        read.keystore is not None and read.tls is not None,
        "Capabilities lacks KeystoreCapabilities or TLSServerCapabilities",
    )
    return read


def key_length(x: Examination, known: Capabilities) -> int:
    """Security Test 6.6."""
    x.check(known.key_lengths, "RSAKeyLengths is empty (Security Test 6.6)")
    return known.key_lengths[0]


def subject_of(x: Examination) -> tuple[str, x509.Name]:
    """Security Test 6.2: as tas:Subject, and as it must appear in what the device makes."""
    host = urlsplit(x.settings.url).hostname or "device"
    inside = f"<tas:Subject><tas:Country>US</tas:Country><tas:CommonName>{host}</tas:CommonName></tas:Subject>"
    return inside, name(host)


def same_name(one: x509.Name, other: x509.Name) -> bool:
    """Same attributes in any order."""

    def facts(given: x509.Name) -> list[tuple[str, str]]:
        return sorted((each.oid.dotted_string, str(each.value)) for each in given)

    return facts(one) == facts(other)


def signature(known: Capabilities) -> str:
    return f"<tas:SignatureAlgorithm><tas:algorithm>{known.algorithm}</tas:algorithm></tas:SignatureAlgorithm>"


def check_der(x: Examination, content: bytes, what: str) -> None:
    x.check(is_der(content), f"{what} is not DER encoded (Security Test 6.19)")


def read_certificate(x: Examination, content: bytes, what: str) -> x509.Certificate:
    check_der(x, content, what)
    try:
        return x509.load_der_x509_certificate(content)
    except ValueError as error:
        raise Failure(f"{what} is no X.509 certificate: {error}") from None


# ---- things made at the device ------------------------------------------------------------------------

_DELETE = {
    "key": ("DeleteKey", "KeyID"),
    "certificate": ("DeleteCertificate", "CertificateID"),
    "path": ("DeleteCertificationPath", "CertificationPathID"),
    "passphrase": ("DeletePassphrase", "PassphraseID"),
    "crl": ("DeleteCRL", "CrlID"),
    "policy": ("DeleteCertPathValidationPolicy", "CertPathValidationPolicyID"),
    "assignment": ("RemoveServerCertificateAssignment", "CertificationPathID"),
    "policy assignment": ("RemoveCertPathValidationPolicyAssignment", "CertPathValidationPolicyID"),
}


@dataclass(slots=True)
class Bench:
    """`async with Bench(x) as bench`: what was made is removed again in the opposite order.

    A removal that fails is a failure of the case, unless the case has failed already.
    """

    x: Examination
    made: list[tuple[str, str]] = field(default_factory=list)
    known: Capabilities = field(default_factory=lambda: Capabilities(None))

    async def __aenter__(self) -> Bench:
        self.known = await read_capabilities(self.x)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        first: Failure | None = None
        for thing, identity in reversed(list(self.made)):
            try:
                await self.remove(thing, identity)
            except Failure as failure:
                first = first or failure
        if first is not None and error is None:
            raise first

    def add(self, thing: str, identity: str) -> str:
        self.x.check(identity, f"the device gave no identifier for a {thing}")
        self.made.append((thing, identity))
        return identity

    async def remove(self, thing: str, identity: str) -> None:
        operation, field_ = _DELETE[thing]
        with contextlib.suppress(ValueError):
            self.made.remove((thing, identity))
        await tas(self.x, operation, f"<tas:{field_}>{identity}</tas:{field_}>")
        if thing == "assignment":
            await asyncio.sleep(self.x.settings.operation_delay)

    # ---- keys ----

    async def start_key(self, length: int) -> tuple[str, float]:
        """Security Test 6.7, first step: the key and the seconds that the device estimates."""
        answer = await tas(self.x, "CreateRSAKeyPair", f"<tas:KeyLength>{length}</tas:KeyLength>")
        key = self.add("key", text(answer, "tas:KeyID"))
        return key, seconds_of(text(answer, "tas:EstimatedCreationTime"))

    async def wait_for_key(self, key: str, estimate: float) -> None:
        deadline = time.monotonic() + estimate + self.x.settings.operation_delay + POLL
        while True:
            answer = await tas(self.x, "GetKeyStatus", f"<tas:KeyID>{key}</tas:KeyID>")
            status = text(answer, "tas:KeyStatus")
            if status == "ok":
                return
            self.x.check(status == "generating", f"key {key} has the status {status!r} (Security Test 6.7)")
            if time.monotonic() > deadline:
                self.x.fail(f"key {key} is still {status} after the estimated {estimate:g} s and the operation delay")
            await asyncio.sleep(POLL)

    async def key(self, length: int | None = None) -> str:
        """Security Test 6.7."""
        key, estimate = await self.start_key(length or key_length(self.x, self.known))
        await self.wait_for_key(key, estimate)
        return key

    # ---- certificates ----

    async def self_signed(self, key: str | None = None) -> tuple[str, str]:
        """Security Test 6.8: certificate and key."""
        key = key or await self.key()
        subject, _ = subject_of(self.x)
        inside = f"{subject}<tas:KeyID>{key}</tas:KeyID>{signature(self.known)}"
        answer = await tas(self.x, "CreateSelfSignedCertificate", inside)
        return self.add("certificate", text(answer, "tas:CertificateID")), key

    def authority(self, common: str = "ONVIF TT", *, until: datetime | None = None) -> Identity:
        """Security Test 6.4, 6.22."""
        length = self.known.key_lengths[0] if self.known.key_lengths else 2048
        more = {} if until is None else {"until": until}
        return authority(length, common, algorithm=self.known.algorithm, **more)

    async def csr(self, key: str) -> bytes:
        subject, _ = subject_of(self.x)
        inside = f"{subject}<tas:KeyID>{key}</tas:KeyID>{signature(self.known)}"
        return unb64(self.x, await tas(self.x, "CreatePKCS10CSR", inside), "tas:PKCS10CSR")

    async def signed(self, issuer: Identity) -> tuple[bytes, str]:
        """Security Test 6.14: a certificate for a new key of the device, and the key."""
        key = await self.key()
        return self.certify(await self.csr(key), issuer), key

    def certify(self, request: bytes, issuer: Identity) -> bytes:
        check_der(self.x, request, "PKCS10CSR")
        try:
            return from_request(request, issuer, self.known.algorithm)
        except (ValueError, TypeError) as error:
            raise Failure(f"PKCS10CSR cannot be used: {error}") from None

    async def upload(self, der: bytes, *, private: bool, alias: str = "ONVIF_Test") -> tuple[str, str]:
        """UploadCertificate: certificate and key. A key that came with the certificate is removed after it."""
        answer = await tas(self.x, "UploadCertificate", upload_request(der, private=private, alias=alias))
        key = text(answer, "tas:KeyID")
        if ("key", key) not in self.made:
            self.add("key", key)
        return self.add("certificate", text(answer, "tas:CertificateID")), key

    async def upload_authority(self, issuer: Identity) -> tuple[str, str]:
        """Security Test 6.15."""
        return await self.upload(issuer.der, private=False)

    async def upload_signed(self, issuer: Identity) -> tuple[str, str]:
        """Security Test 6.16."""
        der, key = await self.signed(issuer)
        certificate, uploaded = await self.upload(der, private=True, alias="ONVIF_Test1")
        self.x.check(uploaded == key, f"UploadCertificate gave KeyID {uploaded}, the certificate is for {key}")
        return certificate, key

    # ---- paths ----

    async def path(self, *certificates: str, alias: str = "ONVIF_Test") -> str:
        ids = "".join(f"<tas:CertificateID>{each}</tas:CertificateID>" for each in certificates)
        inside = f"<tas:CertificateIDs>{ids}</tas:CertificateIDs><tas:Alias>{alias}</tas:Alias>"
        answer = await tas(self.x, "CreateCertificationPath", inside)
        return self.add("path", text(answer, "tas:CertificationPathID"))

    async def self_signed_path(self) -> tuple[str, str, str]:
        """Security Test 6.11: path, certificate, key."""
        certificate, key = await self.self_signed()
        return await self.path(certificate), certificate, key

    async def authority_path(self) -> tuple[str, tuple[str, str], tuple[str, str]]:
        """Security Test 6.18: path, then certificate and key of the device, then those of the authority."""
        issuer = self.authority()
        own, above = await self.upload_signed(issuer), await self.upload_authority(issuer)
        return await self.path(own[0], above[0], alias="ONVIF_Test2"), own, above

    async def path_of_kind(self, kind: str) -> str:
        return (await self.self_signed_path())[0] if kind == "self-signed" else (await self.authority_path())[0]

    async def upload_pkcs12(self, identity: Identity, *, number: str = "") -> tuple[str, str]:
        """Security Test 6.36: path and key. The certificates of the path are removed as well."""
        answer = await tas(
            self.x, "UploadCertificateWithPrivateKeyInPKCS12", pkcs12_request(pkcs12_of(identity), number=number)
        )
        key = self.add("key", text(answer, "tas:KeyID"))
        path = text(answer, "tas:CertificationPathID")
        for each in await path_certificates(self.x, path):
            self.add("certificate", each)
        return self.add("path", path), key

    # ---- assignments ----

    async def assign(self, path: str) -> None:
        """AddServerCertificateAssignment."""
        await tas(
            self.x, "AddServerCertificateAssignment", f"<tas:CertificationPathID>{path}</tas:CertificationPathID>"
        )
        self.add("assignment", path)
        await asyncio.sleep(self.x.settings.operation_delay)

    async def reassign(self, old: str, new: str) -> None:
        """ReplaceServerCertificateAssignment."""
        inside = f"<tas:OldCertificationPathID>{old}</tas:OldCertificationPathID><tas:NewCertificationPathID>{new}</tas:NewCertificationPathID>"
        await tas(self.x, "ReplaceServerCertificateAssignment", inside)
        self.made.remove(("assignment", old))
        self.add("assignment", new)
        await asyncio.sleep(self.x.settings.operation_delay)


def upload_request(der: bytes, *, private: bool, alias: str = "ONVIF_Test") -> str:
    required = str(private).lower()
    return f"<tas:Certificate>{b64(der)}</tas:Certificate><tas:Alias>{alias}</tas:Alias><tas:PrivateKeyRequired>{required}</tas:PrivateKeyRequired>"


PATH_ALIAS, KEY_ALIAS = "ONVIF_Certification_Path_Test", "ONVIF_Key_Test"


def pkcs12_request(content: bytes, *, passphrase: str | None = None, number: str = "") -> str:
    inside = (
        f"<tas:CertWithPrivateKey>{b64(content)}</tas:CertWithPrivateKey>"
        f"<tas:CertificationPathAlias>{PATH_ALIAS}{number}</tas:CertificationPathAlias><tas:KeyAlias>{KEY_ALIAS}{number}</tas:KeyAlias>"
        "<tas:IgnoreAdditionalCertificates>false</tas:IgnoreAdditionalCertificates>"
    )
    if passphrase is not None:
        inside += f"<tas:EncryptionPassphraseID>{passphrase}</tas:EncryptionPassphraseID>"
    return inside


# ---- lists --------------------------------------------------------------------------------------------


async def keys(x: Examination) -> dict[str, Any]:
    found = findall(await tas(x, "GetAllKeys"), "tas:KeyAttribute")
    return {text(each, "tas:KeyID"): each for each in found}


async def certificates(x: Examination) -> dict[str, Any]:
    found = findall(await tas(x, "GetAllCertificates"), "tas:Certificate")
    return {text(each, "tas:CertificateID"): each for each in found}


async def paths(x: Examination) -> list[str]:
    return [text(each) for each in findall(await tas(x, "GetAllCertificationPaths"), "tas:CertificationPathID")]


async def assigned(x: Examination) -> list[str]:
    return [text(each) for each in findall(await tas(x, "GetAssignedServerCertificates"), "tas:CertificationPathID")]


async def path_certificates(x: Examination, path: str) -> list[str]:
    found = await certification_path(x, path)
    return [text(each) for each in findall(found, "tas:CertificateID")]


async def certification_path(x: Examination, path: str) -> Any:
    answer = await tas(x, "GetCertificationPath", f"<tas:CertificationPathID>{path}</tas:CertificationPathID>")
    return find(answer, "tas:CertificationPath")


def check_added(x: Examination, what: str, before: Any, after: Any, new: str) -> None:
    """Exactly one more than before."""
    lost = sorted(set(before) - set(after))
    x.check(new in after and not lost, f"{what}: {new if new not in after else ', '.join(lost)} is missing")
    strange = sorted(set(after) - set(before) - {new})
    x.check(not strange, f"{what}: {', '.join(strange)} was not there before")


def check_restored(x: Examination, what: str, before: Any, after: Any) -> None:
    x.check(set(before) == set(after), f"{what}: {sorted(after)} after deletion, {sorted(before)} at the beginning")
