"""Test/Security 5.5 to 5.7: capabilities, passphrases, PKCS#8 and PKCS#12, revocation lists, validation policies."""

from __future__ import annotations

import contextlib
from typing import Any

from conformance.cases.certificates import (
    OTHER_PASSPHRASE,
    PASSPHRASE,
    SHA1_RSA,
    SHA256_RSA,
    new_key,
    pkcs8,
    pkcs12_of,
    revocation_list,
)
from conformance.cases.security_common import (
    CRLS,
    KEY_ALIAS,
    PASSPHRASES,
    PATH_ALIAS,
    PKCS8,
    PKCS12,
    POLICIES,
    SERVICE,
    Bench,
    Capabilities,
    b64,
    certificates,
    certification_path,
    differences,
    keys,
    path_certificates,
    paths,
    pkcs12_request,
    read_capabilities,
    tas,
    unb64,
)
from conformance.cases.security_https import certificate_of
from conformance.cases.security_tls import policy_request, prepared
from conformance.model import Examination, Failure, case
from conformance.names import NS, boolean, find, findall, text
from conformance.soap import expect_fault

DECRYPTION = ("env:Sender", "ter:InvalidArgVal", "ter:DecryptionFailed")


# ---- 5.5 capabilities ---------------------------------------------------------------------------------


def _at_least(x: Examination, known: Capabilities, because: str, *, tls: bool = False, **least: int) -> None:
    for attribute, number in least.items():
        found = known.number(attribute, tls=tls)
        x.check(
            found >= number,
            f"{attribute} is {found}, but must be {number} or more because {because} (Security Test 5.5.1)",
        )


def _algorithms(x: Examination, known: Capabilities, because: str) -> None:
    for oid in (SHA1_RSA, SHA256_RSA):
        x.check(
            oid in known.algorithms,
            f"SignatureAlgorithms lacks {oid}, which must be there because {because} (Security Test 5.5.1)",
        )


def _encryption(x: Examination, known: Capabilities, because: str) -> None:
    x.check(known.key_lengths, f"RSAKeyLengths is empty although {because} (Security Test 5.5.1)")
    listed = known.words("PasswordBasedEncryptionAlgorithms")
    wanted = "pbeWithSHAAnd3-KeyTripleDES-CBC"
    x.check(
        wanted in listed, f"PasswordBasedEncryptionAlgorithms lacks {wanted} although {because} (Security Test 5.5.1)"
    )


def _some_keys(x: Examination, known: Capabilities, because: str) -> None:
    ways = ("RSAKeyPairGeneration", "PKCS8RSAKeyPairUpload", "PKCS12CertificateWithRSAPrivateKeyUpload")
    x.check(any(map(known.flag, ways)), f"there is no way to get a key although {because} (Security Test 5.5.1)")


@case(
    "ADVANCED_SECURITY-5-1-1",
    document="Security",
    name="Security Configuration Service Capabilities",
    requires=(SERVICE,),
)
async def service_capabilities(x: Examination) -> None:
    known = await read_capabilities(x)
    if known.number("MaximumNumberOfCertificates") > 0:
        _at_least(x, known, "there are certificates", MaximumNumberOfKeys=1)
    if known.number("MaximumNumberOfCertificationPaths") > 0:
        _at_least(x, known, "there are certification paths", MaximumNumberOfCertificates=2)
    if known.flag("RSAKeyPairGeneration"):
        x.check(known.key_lengths, "RSAKeyLengths is empty although RSAKeyPairGeneration is true (Security Test 5.5.1)")
        _at_least(x, known, "RSAKeyPairGeneration is true", MaximumNumberOfKeys=1)
    if known.flag("PKCS8RSAKeyPairUpload"):
        because = "PKCS8RSAKeyPairUpload is true"
        _at_least(x, known, because, MaximumNumberOfPassphrases=1, MaximumNumberOfKeys=1)
        _encryption(x, known, because)
    if known.flag("PKCS12CertificateWithRSAPrivateKeyUpload"):
        because = "PKCS12CertificateWithRSAPrivateKeyUpload is true"
        _at_least(
            x,
            known,
            because,
            MaximumNumberOfPassphrases=1,
            MaximumNumberOfKeys=2,
            MaximumNumberOfCertificates=2,
            MaximumNumberOfCertificationPaths=1,
        )
        _encryption(x, known, because)
        _algorithms(x, known, because)
        macs = known.words("PasswordBasedMACAlgorithms")
        x.check(
            "hmacWithSHA256" in macs,
            f"PasswordBasedMACAlgorithms lacks hmacWithSHA256 although {because} (Security Test 5.5.1)",
        )
        x.check("3" in known.words("X509Versions"), f"X509Versions lacks 3 although {because} (Security Test 5.5.1)")
    if known.flag("PKCS10ExternalCertificationWithRSA"):
        because = "PKCS10ExternalCertificationWithRSA is true"
        _some_keys(x, known, because)
        _at_least(
            x, known, because, MaximumNumberOfKeys=2, MaximumNumberOfCertificates=2, MaximumNumberOfCertificationPaths=1
        )
        _algorithms(x, known, because)
    if known.flag("SelfSignedCertificateCreationWithRSA"):
        because = "SelfSignedCertificateCreationWithRSA is true"
        _some_keys(x, known, because)
        _at_least(x, known, because, MaximumNumberOfCertificates=1)
        _algorithms(x, known, because)
    _tls_capabilities(x, known)


def _tls_capabilities(x: Examination, known: Capabilities) -> None:
    self_signed, requests = (
        known.flag("SelfSignedCertificateCreationWithRSA"),
        known.flag("PKCS10ExternalCertificationWithRSA"),
    )
    if known.number("MaximumNumberOfCertificationPathValidationPolicies") > 0:
        some = self_signed or requests or known.flag("PKCS12CertificateWithRSAPrivateKeyUpload")
        x.check(
            some, "there is no way to get a certificate although there are validation policies (Security Test 5.5.1)"
        )
    if known.versions:
        because = "TLSServerSupported is not empty"
        _at_least(x, known, because, MaximumNumberOfCertificationPaths=2)
        _at_least(x, known, because, tls=True, MaximumNumberOfTLSCertificationPaths=1)
        x.check(
            requests or self_signed, f"there is no way to make a certificate although {because} (Security Test 5.5.1)"
        )
    if known.flag("TLSClientAuthSupported", tls=True):
        because = "TLSClientAuthSupported is true"
        x.check(known.versions, f"TLSServerSupported is empty although {because} (Security Test 5.5.1)")
        _at_least(x, known, because, MaximumNumberOfCertificationPathValidationPolicies=2, MaximumNumberOfCRLs=1)
        _at_least(x, known, because, tls=True, MaximumNumberOfTLSCertificationPathValidationPolicies=1)
    if known.number("MaximumNumberOfTLSCertificationPathValidationPolicies", tls=True) > 0:
        because = "policies can be assigned to the TLS server"
        _at_least(x, known, because, MaximumNumberOfCertificationPathValidationPolicies=1)
    if known.versions and requests:
        _at_least(x, known, "the TLS server has PKCS#10 certification", MaximumNumberOfCertificates=3)
    if known.number("MaximumNumberOfTLSCertificationPaths", tls=True) > 0:
        _at_least(x, known, "paths can be assigned to the TLS server", MaximumNumberOfCertificationPaths=1)


@case(
    "ADVANCED_SECURITY-5-1-2",
    document="Security",
    name="Get Services and Get Security Configuration Service Capabilities Consistency",
    requires=(SERVICE, "GetServices"),
)
async def capabilities_consistency(x: Examination) -> None:
    services = await x.ask(
        "tds", "<tds:GetServices><tds:IncludeCapability>true</tds:IncludeCapability></tds:GetServices>"
    )
    service = next(
        (each for each in findall(services, "tds:Service") if text(each, "tds:Namespace") == NS["tas"]), None
    )
    x.check(service is not None, "GetServices does not list the security configuration service")
    there = find(service, "tds:Capabilities/tas:Capabilities")
    x.check(there is not None, "GetServices has no tas:Capabilities though they were asked for")
    different = differences(there, (await read_capabilities(x)).element)
    x.check(not different, f"GetServices and GetServiceCapabilities disagree: {different} (Security Test 5.5.2)")


# ---- 5.6.1 passphrases --------------------------------------------------------------------------------


async def _passphrase(x: Examination, bench: Bench, passphrase: str) -> str:
    """Security Test 6.46."""
    x.masks.add(passphrase)
    inside = (
        f"<tas:Passphrase>{passphrase}</tas:Passphrase><tas:PassphraseAlias>ONVIF_Passphrase_Test</tas:PassphraseAlias>"
    )
    return bench.add("passphrase", text(await tas(x, "UploadPassphrase", inside), "tas:PassphraseID"))


async def _passphrases(x: Examination) -> dict[str, Any]:
    found = findall(await tas(x, "GetAllPassphrases"), "tas:PassphraseAttribute")
    return {text(each, "tas:PassphraseID"): each for each in found}


@case("ADVANCED_SECURITY-6-1-1", document="Security", name="Upload Passphrase", requires=(SERVICE, PASSPHRASES))
async def upload_passphrase(x: Examination) -> None:
    async with Bench(x) as bench:
        identity = await _passphrase(x, bench, PASSPHRASE)
        found = (await _passphrases(x)).get(identity)
        x.check(found is not None, f"GetAllPassphrases does not list {identity}")
        x.check(
            text(found, "tas:Alias") == "ONVIF_Passphrase_Test", f"Alias of {identity} is {text(found, 'tas:Alias')!r}"
        )


@case("ADVANCED_SECURITY-6-1-2", document="Security", name="Delete Passphrase", requires=(SERVICE, PASSPHRASES))
async def delete_passphrase(x: Examination) -> None:
    async with Bench(x) as bench:
        identity = await _passphrase(x, bench, PASSPHRASE)
        await bench.remove("passphrase", identity)
        x.check(identity not in await _passphrases(x), f"{identity} is still listed after DeletePassphrase")


# ---- 5.6.2, 5.6.3 PKCS#8 and PKCS#12 ------------------------------------------------------------------


def _length(bench: Bench) -> int:
    return bench.known.key_lengths[0] if bench.known.key_lengths else 2048


def _pkcs8_request(content: bytes, passphrase: str | None = None) -> str:
    chosen = "" if passphrase is None else f"<tas:EncryptionPassphraseID>{passphrase}</tas:EncryptionPassphraseID>"
    return f"<tas:KeyPair>{b64(content)}</tas:KeyPair><tas:Alias>ONVIF_Test</tas:Alias>{chosen}"


def _check_key(x: Examination, found: Any, key: str, *, alias: str | None = None) -> None:
    x.check(found is not None, f"GetAllKeys does not list key {key}")
    x.check(boolean(text(found, "tas:hasPrivateKey")), f"hasPrivateKey of the uploaded key {key} is not true")
    x.check(
        alias is None or text(found, "tas:Alias") == alias,
        f"Alias of key {key} is {text(found, 'tas:Alias')!r}, expected {alias!r}",
    )
    x.check(text(found, "tas:KeyStatus") == "ok", f"KeyStatus of key {key} is {text(found, 'tas:KeyStatus')!r}")


@case(
    "ADVANCED_SECURITY-6-2-1", document="Security", name="Upload PKCS8 - no key pair exists", requires=(SERVICE, PKCS8)
)
async def upload_pkcs8(x: Examination) -> None:
    async with Bench(x) as bench:
        answer = await tas(x, "UploadKeyPairInPKCS8", _pkcs8_request(pkcs8(new_key(_length(bench)))))
        key = bench.add("key", text(answer, "tas:KeyID"))
        _check_key(x, (await keys(x)).get(key), key)


@case("ADVANCED_SECURITY-6-2-2", document="Security", name="Upload PKCS8 - decryption fails", requires=(SERVICE, PKCS8))
async def upload_pkcs8_undecryptable(x: Examination) -> None:
    async with Bench(x) as bench:
        wrong = await _passphrase(x, bench, OTHER_PASSPHRASE)
        inside = _pkcs8_request(pkcs8(new_key(_length(bench)), PASSPHRASE), wrong)
        reply = await x.soap.call("tas", f"<tas:UploadKeyPairInPKCS8>{inside}</tas:UploadKeyPairInPKCS8>")
        if reply.fault is None and reply.body is not None and text(reply.body, "tas:KeyID"):
            bench.add("key", text(reply.body, "tas:KeyID"))
        expect_fault(reply, "UploadKeyPairInPKCS8", DECRYPTION)


@case(
    "ADVANCED_SECURITY-6-3-1",
    document="Security",
    name="Upload PKCS12 - no key pair exists",
    requires=(SERVICE, PKCS12),
)
async def upload_pkcs12(x: Examination) -> None:
    async with Bench(x) as bench:
        path, key = await bench.upload_pkcs12(bench.authority())
        _check_key(x, (await keys(x)).get(key), key, alias=KEY_ALIAS)
        x.check(path in await paths(x), f"GetAllCertificationPaths does not list {path}")
        found = await certification_path(x, path)
        x.check(
            text(found, "tas:Alias") == PATH_ALIAS,
            f"Alias of path {path} is {text(found, 'tas:Alias')!r}, expected {PATH_ALIAS!r}",
        )
        number = len(findall(found, "tas:CertificateID"))
        x.check(number == 1, f"path {path} has {number} certificates, one was uploaded")


@case(
    "ADVANCED_SECURITY-6-3-2", document="Security", name="Upload PKCS12 - decryption fails", requires=(SERVICE, PKCS12)
)
async def upload_pkcs12_undecryptable(x: Examination) -> None:
    async with Bench(x) as bench:
        wrong = await _passphrase(x, bench, OTHER_PASSPHRASE)
        inside = pkcs12_request(pkcs12_of(bench.authority(), PASSPHRASE), passphrase=wrong)
        operation = "UploadCertificateWithPrivateKeyInPKCS12"
        reply = await x.soap.call("tas", f"<tas:{operation}>{inside}</tas:{operation}>")
        if reply.fault is None and reply.body is not None and (path := text(reply.body, "tas:CertificationPathID")):
            bench.add("key", text(reply.body, "tas:KeyID"))
            with contextlib.suppress(Failure):
                for each in await path_certificates(x, path):
                    bench.add("certificate", each)
            bench.add("path", path)
        expect_fault(reply, operation, DECRYPTION)


@case(
    "ADVANCED_SECURITY-6-3-4",
    document="Security",
    name="Upload PKCS12 - verify key and certificate",
    requires=(SERVICE, PKCS12),
)
async def verify_pkcs12(x: Examination) -> None:
    async with Bench(x) as bench:
        identity = bench.authority()
        path, key = await bench.upload_pkcs12(identity)
        status = text(await tas(x, "GetKeyStatus", f"<tas:KeyID>{key}</tas:KeyID>"), "tas:KeyStatus")
        x.check(status == "ok", f"KeyStatus of the uploaded key {key} is {status!r}")
        found = await path_certificates(x, path)
        x.check(len(found) == 1, f"path {path} has the certificates {found}, one was uploaded")
        listed = (await certificates(x)).get(found[0])
        x.check(listed is not None, f"GetAllCertificates does not list {found[0]}")
        x.check(
            text(listed, "tas:KeyID") == key,
            f"KeyID of certificate {found[0]} is {text(listed, 'tas:KeyID')}, expected {key}",
        )
        x.check(
            unb64(x, listed, "tas:CertificateContent") == identity.der,
            "GetAllCertificates gives another certificate than the one uploaded",
        )
        one = find(
            await tas(x, "GetCertificate", f"<tas:CertificateID>{found[0]}</tas:CertificateID>"), "tas:Certificate"
        )
        x.check(
            text(one, "tas:CertificateID") == found[0],
            f"GetCertificate gave {text(one, 'tas:CertificateID')} for {found[0]}",
        )
        x.check(text(one, "tas:KeyID") == key, f"KeyID in GetCertificate is {text(one, 'tas:KeyID')}, expected {key}")
        x.check(
            await certificate_of(x, found[0]) == identity.der,
            "GetCertificate gives another certificate than the one uploaded",
        )


# ---- 5.7 certificate-based client authentication ------------------------------------------------------


async def _crl(x: Examination, bench: Bench) -> tuple[str, bytes]:
    """Security Test 6.37, 6.39."""
    content = revocation_list(bench.authority(), None, bench.known.algorithm)
    answer = await tas(x, "UploadCRL", f"<tas:Crl>{b64(content)}</tas:Crl><tas:Alias>ONVIF_CRL_Test</tas:Alias>")
    return bench.add("crl", text(answer, "tas:CrlID")), content


async def _crls(x: Examination) -> dict[str, Any]:
    return {text(each, "tas:CRLID"): each for each in findall(await tas(x, "GetAllCRLs"), "tas:Crl")}


def _check_crl(x: Examination, found: Any, identity: str, content: bytes) -> None:
    x.check(text(found, "tas:CRLID") == identity, f"CRLID is {text(found, 'tas:CRLID')!r}, expected {identity!r}")
    x.check(text(found, "tas:Alias") == "ONVIF_CRL_Test", f"Alias of {identity} is {text(found, 'tas:Alias')!r}")
    x.check(unb64(x, found, "tas:CRLContent") == content, f"CRLContent of {identity} is not what was uploaded")


@case("ADVANCED_SECURITY-8-1-1", document="Security", name="Upload CRL", requires=(SERVICE, CRLS))
async def upload_crl(x: Examination) -> None:
    async with Bench(x) as bench:
        identity, content = await _crl(x, bench)
        found = (await _crls(x)).get(identity)
        x.check(found is not None, f"GetAllCRLs does not list {identity}")
        _check_crl(x, found, identity, content)


@case("ADVANCED_SECURITY-8-1-2", document="Security", name="Delete CRL", requires=(SERVICE, CRLS))
async def delete_crl(x: Examination) -> None:
    async with Bench(x) as bench:
        identity, _ = await _crl(x, bench)
        await bench.remove("crl", identity)
        x.check(identity not in await _crls(x), f"{identity} is still listed after DeleteCRL")


@case("ADVANCED_SECURITY-8-1-3", document="Security", name="Get CRL", requires=(SERVICE, CRLS))
async def get_crl(x: Examination) -> None:
    async with Bench(x) as bench:
        identity, content = await _crl(x, bench)
        answer = await tas(x, "GetCRL", f"<tas:CrlID>{identity}</tas:CrlID>")
        _check_crl(x, find(answer, "tas:Crl"), identity, content)


async def _policy(x: Examination, bench: Bench, alias: str) -> tuple[str, str]:
    """Security Test 6.42: policy and the certificate that it trusts."""
    certificate = await prepared(bench)
    answer = await tas(x, "CreateCertPathValidationPolicy", policy_request(alias, certificate))
    return bench.add("policy", text(answer, "tas:CertPathValidationPolicyID")), certificate


async def _policies(x: Examination) -> dict[str, Any]:
    found = findall(await tas(x, "GetAllCertPathValidationPolicies"), "tas:CertPathValidationPolicy")
    return {text(each, "tas:CertPathValidationPolicyID"): each for each in found}


def _check_policy(x: Examination, found: Any, alias: str, certificate: str) -> None:
    x.check(
        text(found, "tas:Alias") == alias, f"Alias of the policy is {text(found, 'tas:Alias')!r}, expected {alias!r}"
    )
    extended = text(found, "tas:Parameters/tas:RequireTLSWWWClientAuthExtendedKeyUsage", "false")
    x.check(not boolean(extended), "RequireTLSWWWClientAuthExtendedKeyUsage is true though it was not asked for")
    x.check(boolean(text(found, "tas:Parameters/tas:UseDeltaCRLs")), "UseDeltaCRLs is not true though it was asked for")
    anchors = [text(each, "tas:CertificateID") for each in findall(found, "tas:TrustAnchor")]
    x.check(anchors == [certificate], f"TrustAnchor is {anchors}, expected {certificate} alone")


@case(
    "ADVANCED_SECURITY-8-1-4",
    document="Security",
    name="Create certification path validation policy",
    requires=(SERVICE, POLICIES),
)
async def create_policy(x: Examination) -> None:
    async with Bench(x) as bench:
        policy, certificate = await _policy(x, bench, "ONVIF_CertPathValidationPolicy_Test")
        found = (await _policies(x)).get(policy)
        x.check(found is not None, f"GetAllCertPathValidationPolicies does not list {policy}")
        _check_policy(x, found, "ONVIF_CertPathValidationPolicy_Test", certificate)


@case(
    "ADVANCED_SECURITY-8-1-5",
    document="Security",
    name="Get certification path validation policy",
    requires=(SERVICE, POLICIES),
)
async def get_policy(x: Examination) -> None:
    async with Bench(x) as bench:
        policy, certificate = await _policy(x, bench, "Test CertPathValidationPolicy Alias")
        inside = f"<tas:CertPathValidationPolicyID>{policy}</tas:CertPathValidationPolicyID>"
        found = find(await tas(x, "GetCertPathValidationPolicy", inside), "tas:CertPathValidationPolicy")
        identity = text(found, "tas:CertPathValidationPolicyID")
        x.check(identity == policy, f"CertPathValidationPolicyID is {identity!r}, expected {policy!r}")
        _check_policy(x, found, "Test CertPathValidationPolicy Alias", certificate)


@case(
    "ADVANCED_SECURITY-8-1-6",
    document="Security",
    name="Delete certification path validation policy",
    requires=(SERVICE, POLICIES),
)
async def delete_policy(x: Examination) -> None:
    async with Bench(x) as bench:
        policy, _ = await _policy(x, bench, "Test CertPathValidationPolicy Alias")
        await bench.remove("policy", policy)
        x.check(policy not in await _policies(x), f"{policy} is still listed after DeleteCertPathValidationPolicy")
