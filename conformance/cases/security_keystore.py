"""Test/Security 5.1 and 5.2: keys and certificates."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from cryptography import x509

from conformance.cases.certificates import request_is_signed
from conformance.cases.event_common import PULL_POINT, filter_of, pull_point
from conformance.cases.event_messages import pull
from conformance.cases.event_values import Topic
from conformance.cases.security_common import (
    PKCS10,
    PKCS12,
    RSA_KEYS,
    SELF_SIGNED,
    SERVICE,
    TLS_SERVER,
    Bench,
    certificates,
    check_added,
    check_der,
    check_restored,
    keys,
    path_certificates,
    paths,
    read_certificate,
    refused,
    same_name,
    signature,
    subject_of,
    tas,
    unb64,
    upload_request,
)
from conformance.cases.security_https import certificate_of
from conformance.clock import moment
from conformance.model import Examination, Failure, case
from conformance.names import boolean, clark, find, text
from conformance.soap import expect_fault, expect_response

MAKES_KEYS = (SERVICE, RSA_KEYS)
SELF = (SERVICE, RSA_KEYS, SELF_SIGNED)
CA = (SERVICE, PKCS10)
CA_KEYS = (SERVICE, PKCS10, RSA_KEYS)
LONG_BOUND = 600.0
"""Devices take their time for long keys."""
KEY_STATUS = Topic(clark("tns1:Advancedsecurity"), ("Keystore", "KeyStatus"))


# ---- 5.1 keystore -------------------------------------------------------------------------------------


@case(
    "ADVANCED_SECURITY-1-1-1",
    document="Security",
    name="Create RSA Key Pair, status through polling",
    requires=MAKES_KEYS,
    bound=LONG_BOUND,
)
async def create_key_polling(x: Examination) -> None:
    async with Bench(x) as bench:
        x.check(bench.known.key_lengths, "RSAKeyLengths is empty though RSAKeyPairGeneration is true")
        for length in bench.known.key_lengths:
            key, estimate = await bench.start_key(length)
            await bench.wait_for_key(key, estimate)
            await bench.remove("key", key)


@case(
    "ADVANCED_SECURITY-1-1-2",
    document="Security",
    name="Create RSA Key Pair, status through event",
    requires=(*MAKES_KEYS, "Event Service", PULL_POINT),
    bound=LONG_BOUND,
)
async def create_key_event(x: Examination) -> None:
    async with Bench(x) as bench, pull_point(x, filter_of(KEY_STATUS), timedelta(seconds=60)) as sub:
        for length in bench.known.key_lengths:
            key, estimate = await bench.start_key(length)
            deadline = time.monotonic() + estimate + x.settings.operation_delay
            status = ""
            while status != "ok":
                left = deadline - time.monotonic()
                x.check(
                    left > 0,
                    f"no event {KEY_STATUS} for key {key} with NewStatus ok after the estimated {estimate:g} s and the operation delay",
                )
                pulled = await pull(x, sub, timeout=max(1.0, round(left, 1)), limit=1)
                for message in pulled.messages:
                    x.check(
                        message.topic == KEY_STATUS, f"topic {message.topic} does not match the filter {KEY_STATUS}"
                    )
                    if dict(message.items("Source")).get("KeyID") == key:
                        status = dict(message.items("Data")).get("NewStatus", "")
                        x.check(
                            status in ("ok", "generating"), f"event {KEY_STATUS} for key {key} has NewStatus {status!r}"
                        )
            await bench.remove("key", key)


@case(
    "ADVANCED_SECURITY-1-1-3",
    document="Security",
    name="Check private Key status for an RSA private key",
    requires=MAKES_KEYS,
)
async def private_key_status(x: Examination) -> None:
    async with Bench(x) as bench:
        key = await bench.key()
        found = (await keys(x)).get(key)
        x.check(found is not None, f"GetAllKeys does not list key {key}")
        x.check(boolean(text(found, "tas:hasPrivateKey")), f"hasPrivateKey of the generated key {key} is not true")


@case("ADVANCED_SECURITY-1-1-4", document="Security", name="Get all keys", requires=MAKES_KEYS)
async def get_all_keys(x: Examination) -> None:
    before = await keys(x)
    async with Bench(x) as bench:
        key = await bench.key()
        check_added(x, "GetAllKeys", before, await keys(x), key)


@case("ADVANCED_SECURITY-1-1-5", document="Security", name="Delete Key", requires=MAKES_KEYS)
async def delete_key(x: Examination) -> None:
    before = await keys(x)
    async with Bench(x) as bench:
        key = await bench.key()
        check_added(x, "GetAllKeys", before, await keys(x), key)
        await bench.remove("key", key)
        check_restored(x, "GetAllKeys", before, await keys(x))


# ---- 5.2 certificates ---------------------------------------------------------------------------------


@case("ADVANCED_SECURITY-2-1-1", document="Security", name="Create PKCS#10 certification requests", requires=CA_KEYS)
async def create_request(x: Examination) -> None:
    async with Bench(x) as bench:
        request = await bench.csr(await bench.key())
        check_der(x, request, "PKCS10CSR")
        try:
            read = x509.load_der_x509_csr(request)
        except ValueError as error:
            raise Failure(f"PKCS10CSR is no PKCS#10 request: {error}") from None
        _, wanted = subject_of(x)
        x.check(
            same_name(read.subject, wanted),
            f"subject of PKCS10CSR is {read.subject.rfc4514_string()}, expected {wanted.rfc4514_string()}",
        )
        x.check(request_is_signed(read), "the signature of PKCS10CSR does not match its key")


@case("ADVANCED_SECURITY-2-1-2", document="Security", name="Create self-signed certificate", requires=SELF)
async def create_self_signed(x: Examination) -> None:
    async with Bench(x) as bench:
        await bench.self_signed()


@case(
    "ADVANCED_SECURITY-2-1-3",
    document="Security",
    name="Upload certificate - Keystore contains private key",
    requires=CA_KEYS,
)
async def upload_with_key(x: Examination) -> None:
    async with Bench(x) as bench:
        await bench.upload_signed(bench.authority())


@case(
    "ADVANCED_SECURITY-2-1-4",
    document="Security",
    name="Upload certificate - Keystore contains private key (negative test)",
    requires=CA,
)
async def upload_without_key(x: Examination) -> None:
    async with Bench(x) as bench:
        inside = upload_request(bench.authority().der, private=True)
        await refused(x, "UploadCertificate", inside, "env:Receiver", "ter:Action", "ter:NoMatchingPrivateKey")


@case(
    "ADVANCED_SECURITY-2-1-5",
    document="Security",
    name="Upload certificate - Keystore does not contain private key",
    requires=CA,
)
async def upload_authority(x: Examination) -> None:
    async with Bench(x) as bench:
        await bench.upload_authority(bench.authority())


async def _get_certificate(x: Examination, bench: Bench, certificate: str, wanted: x509.Name, key: str) -> None:
    found = find(
        await tas(x, "GetCertificate", f"<tas:CertificateID>{certificate}</tas:CertificateID>"), "tas:Certificate"
    )
    x.check(
        text(found, "tas:CertificateID") == certificate,
        f"GetCertificate gave {text(found, 'tas:CertificateID')} for {certificate}",
    )
    read = read_certificate(x, unb64(x, found, "tas:CertificateContent"), "CertificateContent")
    x.check(
        same_name(read.subject, wanted),
        f"subject is {read.subject.rfc4514_string()}, expected {wanted.rfc4514_string()}",
    )
    x.check(
        text(found, "tas:KeyID") == key,
        f"KeyID of certificate {certificate} is {text(found, 'tas:KeyID')}, expected {key}",
    )


@case("ADVANCED_SECURITY-2-1-6", document="Security", name="Get certificate - self-signed", requires=SELF)
async def get_self_signed(x: Examination) -> None:
    async with Bench(x) as bench:
        certificate, key = await bench.self_signed()
        await _get_certificate(x, bench, certificate, subject_of(x)[1], key)


@case("ADVANCED_SECURITY-2-1-7", document="Security", name="Get certificate - CA", requires=CA)
async def get_authority(x: Examination) -> None:
    async with Bench(x) as bench:
        issuer = bench.authority()
        certificate, key = await bench.upload_authority(issuer)
        await _get_certificate(x, bench, certificate, issuer.certificate.subject, key)
        x.check(
            await certificate_of(x, certificate) == issuer.der,
            "GetCertificate gives another certificate than the one uploaded",
        )


Make = Callable[[Bench], Awaitable[tuple[str, str]]]


async def _self(bench: Bench) -> tuple[str, str]:
    return await bench.self_signed()


async def _ca(bench: Bench) -> tuple[str, str]:
    return await bench.upload_authority(bench.authority())


def _register_lists(get: str, delete: str, kind: str, requires: tuple[str, ...], make: Make) -> None:
    @case(get, document="Security", name=f"Get all certificates - {kind}", requires=requires)
    async def get_all(x: Examination) -> None:
        before = await certificates(x)
        async with Bench(x) as bench:
            certificate, _ = await make(bench)
            check_added(x, "GetAllCertificates", before, await certificates(x), certificate)

    @case(delete, document="Security", name=f"Delete Certificate - {kind}", requires=requires)
    async def delete_one(x: Examination) -> None:
        before = await certificates(x)
        async with Bench(x) as bench:
            certificate, key = await make(bench)
            check_added(x, "GetAllCertificates", before, await certificates(x), certificate)
            await bench.remove("certificate", certificate)
            await bench.remove("key", key)
            check_restored(x, "GetAllCertificates", before, await certificates(x))


_register_lists("ADVANCED_SECURITY-2-1-8", "ADVANCED_SECURITY-2-1-10", "self-signed", SELF, _self)
_register_lists("ADVANCED_SECURITY-2-1-9", "ADVANCED_SECURITY-2-1-11", "CA", CA, _ca)


def _register_paths(numbers: tuple[int, int, int, int], kind: str, requires: tuple[str, ...]) -> None:
    create, get, get_all, delete = (f"ADVANCED_SECURITY-2-1-{number}" for number in numbers)
    requires = (*requires, TLS_SERVER)

    @case(create, document="Security", name=f"Create Certification Path - {kind}", requires=requires)
    async def create_path(x: Examination) -> None:
        async with Bench(x) as bench:
            await bench.path_of_kind(kind)

    @case(get, document="Security", name=f"Get Certification Path - {kind}", requires=requires)
    async def get_path(x: Examination) -> None:
        async with Bench(x) as bench:
            if kind == "self-signed":
                path, certificate, _ = await bench.self_signed_path()
                wanted = [certificate]
            else:
                path, own, above = await bench.authority_path()
                wanted = [own[0], above[0]]
            found = await path_certificates(x, path)
            x.check(found == wanted, f"GetCertificationPath gives {found}, expected {wanted}")

    @case(get_all, document="Security", name=f"Get All Certification Paths - {kind}", requires=requires)
    async def get_all_paths(x: Examination) -> None:
        before = await paths(x)
        async with Bench(x) as bench:
            path = await bench.path_of_kind(kind)
            check_added(x, "GetAllCertificationPaths", before, await paths(x), path)

    @case(delete, document="Security", name=f"Delete Certification Path - {kind}", requires=requires)
    async def delete_path(x: Examination) -> None:
        before = await paths(x)
        async with Bench(x) as bench:
            path = await bench.path_of_kind(kind)
            check_added(x, "GetAllCertificationPaths", before, await paths(x), path)
            await bench.remove("path", path)
            check_restored(x, "GetAllCertificationPaths", before, await paths(x))


_register_paths((12, 14, 16, 18), "self-signed", SELF)
_register_paths((13, 15, 17, 19), "CA", CA_KEYS)


@case(
    "ADVANCED_SECURITY-2-1-20",
    document="Security",
    name="CreatePKCS10CSR - negative test",
    requires=CA_KEYS,
    bound=LONG_BOUND,
)
async def request_too_early(x: Examination) -> None:
    async with Bench(x) as bench:
        lengths = bench.known.key_lengths
        x.check(lengths, "RSAKeyLengths is empty though RSAKeyPairGeneration is true")
        tried = [each for each in lengths if each >= 1024] or lengths[-1:]
        for length in tried:
            key, estimate = await bench.start_key(length)
            if estimate >= 2:
                subject, _ = subject_of(x)
                body = f"<tas:CreatePKCS10CSR>{subject}<tas:KeyID>{key}</tas:KeyID>{signature(bench.known)}</tas:CreatePKCS10CSR>"
                reply = await x.soap.call("tas", body)
                if reply.fault is not None:
                    expect_fault(reply, "CreatePKCS10CSR", ("env:Sender", "ter:InvalidArgVal", "ter:InvalidKeyStatus"))
                    await bench.wait_for_key(key, estimate)
                    return
                expect_response(reply, "CreatePKCS10CSR")
            await _delete_when_possible(bench, key, estimate)
        x.note("WARNING: no key takes long enough to be used before it is there")


async def _delete_when_possible(bench: Bench, key: str, estimate: float) -> None:
    """A device may refuse to delete a key that is still being generated."""
    with contextlib.suppress(Failure):
        await bench.wait_for_key(key, estimate)
    await bench.remove("key", key)


@case("ADVANCED_SECURITY-2-1-21", document="Security", name="DeleteCertificate - CA - Preserve Public Key", requires=CA)
async def key_is_kept(x: Examination) -> None:
    async with Bench(x) as bench:
        certificate, key = await bench.upload_authority(bench.authority())
        await bench.remove("certificate", certificate)
        x.check(key in await keys(x), f"key {key} is gone with the certificate that was deleted")


@case(
    "ADVANCED_SECURITY-2-1-22",
    document="Security",
    name="Upload certificate - delete linked key (negative test)",
    requires=CA_KEYS,
)
async def delete_linked_key(x: Examination) -> None:
    async with Bench(x) as bench:
        _, key = await bench.upload_signed(bench.authority())
        await refused(
            x, "DeleteKey", f"<tas:KeyID>{key}</tas:KeyID>", "env:Sender", "ter:InvalidArgVal", "ter:ReferenceExists"
        )


@case(
    "ADVANCED_SECURITY-2-1-23",
    document="Security",
    name="Upload certificate - Upload malformed certificate (negative test)",
    requires=CA,
)
async def upload_malformed(x: Examination) -> None:
    async with Bench(x) as bench:
        der = bench.authority().der
        # The outer length stays, the inside is no ASN.1 any more.
        broken = der[:4] + bytes(byte ^ 0xFF for byte in der[4:40]) + der[40:]
        await refused(
            x,
            "UploadCertificate",
            upload_request(broken, private=False),
            "env:Sender",
            "ter:InvalidArgVal",
            "ter:BadCertificate",
        )


@case(
    "ADVANCED_SECURITY-2-1-24", document="Security", name="Upload certificate - Upload expired certificate", requires=CA
)
async def upload_expired(x: Examination) -> None:
    now = moment(find(await x.ask("tds", "<tds:GetSystemDateAndTime/>"), "tds:SystemDateAndTime/tt:UTCDateTime"))
    if now is None:
        raise Failure("GetSystemDateAndTime has no usable UTCDateTime")
    async with Bench(x) as bench:
        expired = bench.authority(until=now - timedelta(days=1))
        body = f"<tas:UploadCertificate>{upload_request(expired.der, private=False)}</tas:UploadCertificate>"
        reply = await x.soap.call("tas", body)
        if reply.fault is not None:
            bad = reply.fault.matches("env:Sender", "ter:InvalidArgVal", "ter:BadCertificate")
            x.check(not bad, "an expired certificate was refused with ter:BadCertificate (Security Test 5.2.24)")
            x.note(f"WARNING: the expired certificate was refused with {reply.fault}")
            return
        answer = expect_response(reply, "UploadCertificate")
        bench.add("key", text(answer, "tas:KeyID"))
        bench.add("certificate", text(answer, "tas:CertificateID"))


async def _shared(x: Examination, bench: Bench, certificate: str, key: str, wanted: x509.Name) -> None:
    """A second certificate for a key that came by PKCS#12 is shown, listed and deleted."""
    await _get_certificate(x, bench, certificate, wanted, key)
    listed = (await certificates(x)).get(certificate)
    x.check(listed is not None, f"GetAllCertificates does not list {certificate}")
    shown = unb64(x, listed, "tas:CertificateContent")
    x.check(
        shown == await certificate_of(x, certificate),
        f"GetAllCertificates and GetCertificate differ about {certificate}",
    )
    await bench.remove("certificate", certificate)
    x.check(
        certificate not in await certificates(x), f"certificate {certificate} is still listed after DeleteCertificate"
    )


SHARING = "NOT Security/No Private Key Sharing"


@case(
    "ADVANCED_SECURITY-2-1-27",
    document="Security",
    name="CreateSelfSignedCertificate with PKCS#12",
    requires=(SERVICE, SELF_SIGNED, PKCS12, SHARING),
)
async def self_signed_of_pkcs12(x: Examination) -> None:
    async with Bench(x) as bench:
        _, key = await bench.upload_pkcs12(bench.authority())
        certificate, _ = await bench.self_signed(key)
        await _shared(x, bench, certificate, key, subject_of(x)[1])


@case(
    "ADVANCED_SECURITY-2-1-28",
    document="Security",
    name="Create PKCS#10 request with PKCS#12",
    requires=(SERVICE, PKCS10, PKCS12, SHARING),
)
async def request_of_pkcs12(x: Examination) -> None:
    async with Bench(x) as bench:
        _, key = await bench.upload_pkcs12(bench.authority())
        request = await bench.csr(key)
        der = bench.certify(request, bench.authority("ONVIF TT2"))
        certificate, uploaded = await bench.upload(der, private=True)
        x.check(uploaded == key, f"UploadCertificate gave KeyID {uploaded}, the certificate is for {key}")
        # The specification compares with the authority's name here; a certificate has the subject of its request (6.3).
        await _shared(x, bench, certificate, key, subject_of(x)[1])
