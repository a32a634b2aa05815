"""Test/Security 5.3, 5.4 and 5.8: TLS server, referential integrity, TLS versions."""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import aiohttp

from conformance.cases.certificates import Identity, authority, make_certificate, name, new_key, revocation_list
from conformance.cases.security_common import (
    CLIENT_AUTH,
    CRLS,
    NETWORK,
    PKCS10,
    PKCS12,
    POLICIES,
    RSA_KEYS,
    SELF_SIGNED,
    SERVICE,
    TLS_SERVER,
    TLS_VERSIONS,
    Bench,
    assigned,
    b64,
    check_added,
    check_restored,
    refused,
    tas,
)
from conformance.cases.security_https import (
    WithoutHttps,
    certificate_of,
    check_handshake,
    client_context,
    handshake,
    https,
    https_protocol,
)
from conformance.model import Examination, Failure, case
from conformance.names import boolean, text
from conformance.soap import CONTENT_TYPE, Http, envelope, expect_response, read_reply

SELF = (SERVICE, SELF_SIGNED, RSA_KEYS, TLS_SERVER, NETWORK)
CA = (SERVICE, PKCS10, RSA_KEYS, TLS_SERVER, NETWORK)
BOUND = 300.0
IN_USE = ("env:Sender", "ter:InvalidArgVal", "ter:ReferenceExists")


# ---- 5.3.1 assignments --------------------------------------------------------------------------------


def _register(numbers: tuple[int, int, int, int], kind: str, requires: tuple[str, ...]) -> None:
    add, replace, get, remove = (f"ADVANCED_SECURITY-3-1-{number}" for number in numbers)

    @case(add, document="Security", name=f"Add Server Certificate Assignment - {kind}", requires=requires, bound=BOUND)
    async def add_assignment(x: Examination) -> None:
        async with WithoutHttps(x), Bench(x) as bench:
            await bench.assign(await bench.path_of_kind(kind))

    @case(
        replace,
        document="Security",
        name=f"Replace Server Certificate Assignment - {kind}",
        requires=requires,
        bound=BOUND,
    )
    async def replace_assignment(x: Examination) -> None:
        async with WithoutHttps(x), Bench(x) as bench:
            if kind == "self-signed":
                first = (await bench.self_signed_path())[0]
                await bench.assign(first)
                second = (await bench.self_signed_path())[0]
            else:
                issuer = bench.authority()
                above, _ = await bench.upload_authority(issuer)
                first = await bench.path((await bench.upload_signed(issuer))[0], above, alias="ONVIF_TestPath1")
                await bench.assign(first)
                second = await bench.path((await bench.upload_signed(issuer))[0], above, alias="ONVIF_TestPath2")
            await bench.reassign(first, second)

    @case(get, document="Security", name=f"Get Assigned Server Certificates - {kind}", requires=requires, bound=BOUND)
    async def get_assigned(x: Examination) -> None:
        async with WithoutHttps(x), Bench(x) as bench:
            before = await assigned(x)
            path = await bench.path_of_kind(kind)
            await bench.assign(path)
            check_added(x, "GetAssignedServerCertificates", before, await assigned(x), path)

    @case(
        remove,
        document="Security",
        name=f"Remove Server Certificate Assignment - {kind}",
        requires=requires,
        bound=BOUND,
    )
    async def remove_assignment(x: Examination) -> None:
        async with WithoutHttps(x), Bench(x) as bench:
            before = await assigned(x)
            path = await bench.path_of_kind(kind)
            await bench.assign(path)
            check_added(x, "GetAssignedServerCertificates", before, await assigned(x), path)
            await bench.remove("assignment", path)
            check_restored(x, "GetAssignedServerCertificates", before, await assigned(x))


_register((1, 3, 5, 7), "self-signed", SELF)
_register((2, 4, 6, 8), "CA", CA)


# ---- 5.3.2 handshakes ---------------------------------------------------------------------------------


@case("ADVANCED_SECURITY-3-2-3", document="Security", name="Basic TLS Handshake", requires=SELF, bound=BOUND)
async def basic_handshake(x: Examination) -> None:
    async with WithoutHttps(x) as state, Bench(x) as bench:
        path, certificate, _ = await bench.self_signed_path()
        expected = await certificate_of(x, certificate)
        await bench.assign(path)
        async with https(x, state) as port:
            await check_handshake(x, port, expected)


@case(
    "ADVANCED_SECURITY-3-2-4",
    document="Security",
    name="Basic TLS Handshake after Replace Server Certificate Assignment",
    requires=SELF,
    bound=BOUND,
)
async def handshake_after_replace(x: Examination) -> None:
    async with WithoutHttps(x) as state, Bench(x) as bench:
        first, certificate, _ = await bench.self_signed_path()
        await bench.assign(first)
        async with https(x, state) as port:
            await check_handshake(x, port, await certificate_of(x, certificate))
            second, certificate, _ = await bench.self_signed_path()
            await bench.reassign(first, second)
            await check_handshake(x, port, await certificate_of(x, certificate))


@case(
    "ADVANCED_SECURITY-3-2-5",
    document="Security",
    name="Basic TLS Handshake with Replace Server Certification Path and PKCS#12",
    requires=(SERVICE, PKCS12, TLS_SERVER, NETWORK),
    bound=BOUND,
)
async def handshake_pkcs12(x: Examination) -> None:
    async with WithoutHttps(x) as state, Bench(x) as bench:
        one, two = bench.authority(), bench.authority("ONVIF TT2")
        alone = not await assigned(x)
        first, _ = await bench.upload_pkcs12(one)
        await bench.assign(first)
        async with https(x, state) as port:
            # With more than one assignment the device may choose another one.
            await check_handshake(x, port, one.der, strict=alone)
            second, _ = await bench.upload_pkcs12(two, number="2")
            await bench.reassign(first, second)
            present = await assigned(x)
            x.check(first not in present, f"{first} is still assigned after it was replaced")
            x.check(second in present, f"{second} is not assigned though it replaced {first}")
            await check_handshake(x, port, two.der, strict=alone)


# ---- 5.3.3 client authentication ----------------------------------------------------------------------


async def _policy(x: Examination, bench: Bench, alias: str, certificate: str) -> str:
    """Security Test 6.44."""
    answer = await tas(x, "CreateCertPathValidationPolicy", policy_request(alias, certificate))
    return bench.add("policy", text(answer, "tas:CertPathValidationPolicyID"))


def policy_request(alias: str, certificate: str) -> str:
    return (
        f"<tas:Alias>{alias}</tas:Alias><tas:Parameters><tas:UseDeltaCRLs>true</tas:UseDeltaCRLs></tas:Parameters>"
        f"<tas:TrustAnchor><tas:CertificateID>{certificate}</tas:CertificateID></tas:TrustAnchor>"
    )


async def _assign_policy(x: Examination, bench: Bench, policy: str) -> None:
    inside = f"<tas:CertPathValidationPolicyID>{policy}</tas:CertPathValidationPolicyID>"
    await tas(x, "AddCertPathValidationPolicyAssignment", inside)
    bench.add("policy assignment", policy)


async def _required(x: Examination) -> bool:
    return boolean(text(await tas(x, "GetClientAuthenticationRequired"), "tas:clientAuthenticationRequired"))


async def _require(x: Examination, value: bool) -> None:
    inside = f"<tas:clientAuthenticationRequired>{str(value).lower()}</tas:clientAuthenticationRequired>"
    await tas(x, "SetClientAuthenticationRequired", inside)


async def _over_https(x: Examination, port: int, identity: Identity) -> Http:
    """GetClientAuthenticationRequired over HTTPS with a client certificate. Raises aiohttp.ClientError or OSError."""
    host = urlsplit(x.settings.url).hostname or ""
    path = urlsplit(x.soap.address("tas")).path
    url = f"https://{f'[{host}]' if ':' in host else host}:{port}{path}"
    connector = aiohttp.TCPConnector(ssl=client_context(identity=identity), force_close=True)
    body = "<tas:GetClientAuthenticationRequired/>"
    async with (
        aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=x.settings.message_timeout),
            middlewares=(aiohttp.DigestAuthMiddleware(x.soap.user, x.soap.password),) if x.soap.user else (),
        ) as session,
        session.post(url, data=envelope(body), headers={"Content-Type": CONTENT_TYPE}) as response,
    ):
        http = Http(response.status, tuple(response.headers.items()), await response.read())
    x.note("GetClientAuthenticationRequired over HTTPS", body, str(http))
    return http


async def _client_authentication(x: Examination, *, revoked: bool) -> None:
    """5.3.3.1 and 5.3.3.2: one client certificate is let in, another one is not."""
    async with WithoutHttps(x) as state, Bench(x) as bench:
        before = await _required(x)
        path, _, _ = await bench.self_signed_path()
        await bench.assign(path)
        length, algorithm = max(bench.known.key_lengths[0], 2048), bench.known.modern
        trusted = authority(length, "ONVIF1 TT", algorithm=algorithm)
        anchor, _ = await bench.upload_authority(trusted)
        good = make_certificate(name("ONVIF2 TT"), new_key(length), issuer=trusted, algorithm=algorithm)
        issuer = trusted if revoked else authority(length, "ONVIF3 TT", algorithm=algorithm)
        bad = make_certificate(name("ONVIF4 TT"), new_key(length), issuer=issuer, algorithm=algorithm)
        if revoked:
            crl = revocation_list(trusted, bad.certificate, algorithm)
            answer = await tas(x, "UploadCRL", f"<tas:Crl>{b64(crl)}</tas:Crl><tas:Alias>ONVIF_CRL_Test</tas:Alias>")
            bench.add("crl", text(answer, "tas:CrlID"))
        policy = await _policy(x, bench, "Test CertPathValidationPolicy Alias", anchor)
        await _assign_policy(x, bench, policy)
        async with https(x, state) as port:
            if not before:
                await _require(x, True)
                await asyncio.sleep(x.settings.operation_delay)
            try:
                await _let_in(x, port, good)
                await _kept_out(x, port, bad)
            finally:
                if not before:
                    await _require(x, False)


async def _let_in(x: Examination, port: int, identity: Identity) -> None:
    try:
        http = await _over_https(x, port, identity)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Failure(
            f"no HTTPS with a client certificate that the policy trusts: {error or type(error).__name__}"
        ) from None
    expect_response(read_reply(http), "GetClientAuthenticationRequired")


async def _kept_out(x: Examination, port: int, identity: Identity) -> None:
    try:
        http = await _over_https(x, port, identity)
    except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
        x.note(f"refused as it should be: {error}")
        return
    x.fail(
        f"a TLS connection with a client certificate that is not trusted was answered with HTTP {http.status} (Security Test 5.3.3)"
    )


AUTH = (*SELF, PKCS10, CLIENT_AUTH)


@case(
    "ADVANCED_SECURITY-3-3-1",
    document="Security",
    name="TLS client authentication - self-signed TLS server certificate with on-device RSA key pair",
    requires=AUTH,
    bound=BOUND,
)
async def client_authentication(x: Examination) -> None:
    await _client_authentication(x, revoked=False)


@case(
    "ADVANCED_SECURITY-3-3-2",
    document="Security",
    name="CRL processing with on-device RSA key pair",
    requires=(*AUTH, CRLS),
    bound=BOUND,
)
async def revoked_client(x: Examination) -> None:
    await _client_authentication(x, revoked=True)


@case(
    "ADVANCED_SECURITY-3-3-3",
    document="Security",
    name="Replace certification path validation policy assignment",
    requires=(SERVICE, POLICIES, CLIENT_AUTH),
    bound=BOUND,
)
async def replace_policy_assignment(x: Examination) -> None:
    async with Bench(x) as bench:
        certificate = await prepared(bench)
        first = await _policy(x, bench, "Test CertPathValidationPolicy1 Alias", certificate)
        second = await _policy(x, bench, "Test CertPathValidationPolicy2 Alias", certificate)
        await _assign_policy(x, bench, first)
        inside = (
            f"<tas:OldCertPathValidationPolicyID>{first}</tas:OldCertPathValidationPolicyID>"
            f"<tas:NewCertPathValidationPolicyID>{second}</tas:NewCertPathValidationPolicyID>"
        )
        await tas(x, "ReplaceCertPathValidationPolicyAssignment", inside)
        bench.made.remove(("policy assignment", first))
        bench.add("policy assignment", second)
        answer = await tas(x, "GetAssignedCertPathValidationPolicies")
        present = [text(each) for each in answer]
        if first in present:
            bench.made.remove(("policy assignment", second))
            bench.add("policy assignment", first)
        x.check(first not in present, f"{first} is still assigned after it was replaced")
        x.check(second in present, f"{second} is not assigned though it replaced {first}")


async def prepared(bench: Bench) -> str:
    """Security Test 6.41: a certificate at the device, by the first way that it has."""
    if bench.known.flag("PKCS10ExternalCertificationWithRSA"):
        return (await bench.upload_authority(bench.authority()))[0]
    if bench.known.flag("SelfSignedCertificateCreationWithRSA") and bench.known.flag("RSAKeyPairGeneration"):
        return (await bench.self_signed())[0]
    if bench.known.flag("PKCS12CertificateWithRSAPrivateKeyUpload"):
        await bench.upload_pkcs12(bench.authority())
        return next(identity for thing, identity in bench.made if thing == "certificate")
    raise Failure("the device has no way to get a certificate (Security Test 6.41)")


# ---- 5.4 referential integrity ------------------------------------------------------------------------


async def _in_use(x: Examination, **things: str) -> None:
    for operation, identity in things.items():
        field = {"DeleteKey": "KeyID", "DeleteCertificate": "CertificateID"}.get(operation, "CertificationPathID")
        for each in identity.split():
            await refused(x, operation, f"<tas:{field}>{each}</tas:{field}>", *IN_USE)


async def _integrity(x: Examination, bench: Bench, path: str, certificates: list[str], keys: list[str]) -> None:
    await bench.assign(path)
    all_keys, all_certificates = " ".join(keys), " ".join(certificates)
    await _in_use(x, DeleteKey=all_keys, DeleteCertificate=all_certificates, DeleteCertificationPath=path)
    await bench.remove("assignment", path)
    await _in_use(x, DeleteKey=all_keys, DeleteCertificate=all_certificates)
    await bench.remove("path", path)
    await _in_use(x, DeleteKey=all_keys)


@case(
    "ADVANCED_SECURITY-4-1-1",
    document="Security",
    name="TLS Server Certificate - self-signed",
    requires=SELF,
    bound=BOUND,
)
async def integrity_self_signed(x: Examination) -> None:
    async with WithoutHttps(x), Bench(x) as bench:
        path, certificate, key = await bench.self_signed_path()
        await _integrity(x, bench, path, [certificate], [key])


@case("ADVANCED_SECURITY-4-1-2", document="Security", name="TLS Server Certificate - CA", requires=CA, bound=BOUND)
async def integrity_authority(x: Examination) -> None:
    async with WithoutHttps(x), Bench(x) as bench:
        path, own, above = await bench.authority_path()
        await _integrity(x, bench, path, [own[0], above[0]], [own[1], above[1]])


# ---- 5.8 versions -------------------------------------------------------------------------------------


async def _enabled(x: Examination) -> list[str]:
    return text(await tas(x, "GetEnabledTLSVersions"), "tas:Versions").split()


async def _enable(x: Examination, versions: list[str]) -> None:
    await tas(x, "SetEnabledTLSVersions", f"<tas:Versions>{' '.join(versions)}</tas:Versions>")


@case("ADVANCED_SECURITY-9-1-1", document="Security", name="TLS Version Management", requires=(SERVICE, TLS_VERSIONS))
async def version_management(x: Examination) -> None:
    async with Bench(x) as bench:
        supported = bench.known.words("TLSServerSupported", tls=True)
        initial = await _enabled(x)
        x.check(initial, "GetEnabledTLSVersions gave none")
        strange = sorted(set(initial) - set(supported))
        x.check(not strange, f"enabled are {' '.join(strange)}, which TLSServerSupported does not have")
        try:
            await _set_and_get(x, supported)
            await refused(
                x,
                "SetEnabledTLSVersions",
                "<tas:Versions></tas:Versions>",
                "env:Sender",
                "ter:InvalidArgVal",
                "ter:EmptyList",
            )
            found = await _enabled(x)
            x.check(
                set(found) == set(supported),
                f"enabled are {found} after a refused SetEnabledTLSVersions, {supported} before",
            )
            if len(supported) > 1:
                await _set_and_get(x, supported[:1])
                await _set_and_get(x, supported[-1:])
        finally:
            await _enable(x, initial)


async def _set_and_get(x: Examination, versions: list[str]) -> None:
    await _enable(x, versions)
    found = await _enabled(x)
    x.check(sorted(found) == sorted(versions), f"enabled are {found} after SetEnabledTLSVersions with {versions}")


@case(
    "ADVANCED_SECURITY-9-1-2",
    document="Security",
    name="Disable TLS Version",
    requires=(SERVICE, TLS_VERSIONS, NETWORK),
    bound=BOUND,
)
async def disable_version(x: Examination) -> None:
    async with Bench(x) as bench:
        versions = bench.known.versions
        if len(versions) < 2:
            x.note("only one TLS version: nothing to examine")
            return
        state = await https_protocol(x)
        if not state.enabled and not await assigned(x):
            # Security Test 6.50.
            kind = "self-signed" if bench.known.flag("SelfSignedCertificateCreationWithRSA") else "CA"
            await bench.assign(await bench.path_of_kind(kind))
        initial = await _enabled(x)
        async with https(x, state) as port:
            try:
                await _enable(x, versions[1:])
                await asyncio.sleep(x.settings.operation_delay)
                await _version_refused(x, port, versions[0])
                await handshake(x, port)
            finally:
                await _enable(x, initial)


async def _version_refused(x: Examination, port: int, version: str) -> None:
    """Security Test 6.52: a protocol_version alert, or the connection is closed."""
    try:
        _, used = await handshake(x, port, version=version)
    except ssl.SSLError as error:
        x.note(f"refused as it should be: {error.reason}")
        return
    except OSError as error:
        x.note(f"closed: {error}")
        return
    x.fail(f"TLS {version} is disabled, yet a handshake with {used} succeeded (Security Test 5.8.2)")
