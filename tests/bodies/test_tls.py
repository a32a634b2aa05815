"""HTTPS over real connections on loopback: what is presented, what is refused, what a change does to who is connected."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from onvifd.access.digest import DigestVerifier
from onvifd.access.keyfile import SecretBox
from onvifd.access.types import Account, Credential, Level
from onvifd.bodies.face import HttpFace
from onvifd.bodies.tls import Tls
from onvifd.clock import SimulatedClock
from onvifd.config import Config
from onvifd.errors import NotFound, Unavailable
from onvifd.events.bus import EventBus
from onvifd.events.types import Event
from onvifd.onvif.services.security import SecurityService
from onvifd.onvif.soap.codec import encode_text
from onvifd.onvif.types import tas
from onvifd.pki.device import Host
from onvifd.pki.issue import names_of
from onvifd.pki.profiles import CA
from onvifd.store.catalogue import AsyncCatalogue, Catalogue
from onvifd.web import certificate
from tests.pki.conftest import OpenSsl

HOUR, DAY = 3600.0, 86_400.0


class NoMedia:
    pass


@dataclass
class Secure:
    """A recorder's HTTPS port with the security service behind it."""

    tls: Tls
    face: HttpFace
    port: int
    openssl: OpenSsl
    clock: SimulatedClock
    host: list[Host]
    events: list[Event]

    @property
    def keystore(self) -> Any:
        return self.tls.keystore

    async def change(self, call: Any, *arguments: Any, **more: Any) -> Any:
        return await self.tls.manager.change(call, *arguments, **more)

    def client(self, *, certificate: str | None = None, trust: x509.Certificate | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.check_hostname = trust is not None
        context.verify_mode = ssl.CERT_REQUIRED if trust is not None else ssl.CERT_NONE
        if trust is not None:
            context.load_verify_locations(cadata=trust.public_bytes(serialization.Encoding.PEM).decode())
        if certificate is not None:
            folder = self.openssl.folder
            context.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
        return context

    async def connect(self, context: ssl.SSLContext | None = None, name: str = "localhost") -> Connection:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context or self.client(), server_hostname=name
        )
        return Connection(reader, writer)

    async def presented(self, context: ssl.SSLContext | None = None, name: str = "localhost") -> x509.Certificate:
        connection = await self.connect(context, name)
        found = connection.certificate
        await connection.close()
        return found

    async def s_client(self, *options: str) -> tuple[int, str]:
        """What openssl says of the port."""
        process = await asyncio.create_subprocess_exec(
            "openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *options,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            cwd=self.openssl.folder,
        )  # fmt: skip
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")

    async def path_of(self, name: str, *, key: str | None = None) -> str:
        """Upload a certificate of openssl's with its key as PKCS#12; gives the path."""
        data = self.openssl(
            "pkcs12", "-export", "-inkey", f"{key or name}.key", "-in", f"{name}.pem", "-passout", "pass:x"
        )
        path, _ = await self.change(
            self.keystore.upload_pkcs12, data, name, None, first_only=False, passphrases=("x", "x")
        )
        found: str = path
        return found


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.writer.get_extra_info("ssl_object").getpeercert(True))

    async def get(self, path: str = "/", *, body: bytes = b"") -> tuple[int, bytes]:
        method = "POST" if body else "GET"
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        head += "Content-Type: application/soap+xml\r\n\r\n"
        self.writer.write(head.encode() + body)
        async with asyncio.timeout(20):
            answer = await self.reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            return int(answer.split()[1]), await self.reader.readexactly(length)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


def soap(content: Any) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
        f"{encode_text(content)}</s:Body></s:Envelope>"
    ).encode()


def _lookup(name: str) -> Credential | None:
    levels = {"admin": Level.ADMINISTRATOR, "vms": Level.USER}
    return Credential(account=Account(name, levels[name]), ha1="", password="secret") if name in levels else None


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    (tmp_path / "openssl").mkdir()
    return OpenSsl(tmp_path / "openssl")


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[AsyncCatalogue]:
    made = AsyncCatalogue(Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True))
    yield made
    await made.close()


@pytest.fixture
async def secure(tmp_path: Path, catalogue: AsyncCatalogue, openssl: OpenSsl) -> AsyncIterator[Secure]:
    now = datetime.datetime.now(datetime.UTC) - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    clock = SimulatedClock(now // datetime.timedelta(microseconds=1))
    host = [Host("nvr", ("nvr", "localhost", "127.0.0.1"))]
    bus = EventBus(clock)
    await bus.start()
    events: list[Event] = []
    bus.subscribe(events.append)
    config = replace(Config(), data=tmp_path)
    tls = Tls(catalogue, SecretBox(b"k" * 32), clock, bus, config, enabled=lambda: True, names=lambda: host[0])
    await tls.start()

    def pages(app: web.Application, verifier: DigestVerifier) -> None:
        async def hello(request: web.Request) -> web.Response:
            return web.Response(text="hello")

        async def slow(request: web.Request) -> web.Response:
            await asyncio.wait_for(goes_on.wait(), 30)
            return web.Response(text="slow")

        app.router.add_get("/", hello)
        app.router.add_get("/slow", slow)
        certificate.add_routes(app, tls)

    goes_on = asyncio.Event()
    face = HttpFace(
        (SecurityService(tls.manager, lambda: True),),
        NoMedia(),  # type: ignore[arg-type]
        lookup=_lookup,
        realm="onvifd",
        clock=clock,
        pages=pages,
        peers=tls,
    )
    await face.start()
    port = await face.listen("127.0.0.1", 0, await tls.https())
    made = Secure(tls, face, port, openssl, clock, host, events)
    made.goes_on = goes_on  # type: ignore[attr-defined]
    yield made
    await face.close()
    await tls.close()
    await bus.close()


# ---- the recorder's own certificates ----------------------------------------------------------------


@pytest.mark.covers("SEC-06", "SEC-12")
async def test_first_start_makes_an_authority_and_certificates_for_both_kinds_of_key(secure: Secure) -> None:
    authority = secure.tls.authority()
    assert authority is not None
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    context = secure.client(trust=authority)
    found = await secure.presented(context)
    assert isinstance(found.public_key(), ec.EllipticCurvePublicKey)
    assert names_of(found) == {"nvr", "localhost", "127.0.0.1"}
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.oid.ExtendedKeyUsageOID.SERVER_AUTH in usage
    # Clients that know RSA alone are not left out.
    only_rsa = secure.client(trust=authority)
    only_rsa.maximum_version = ssl.TLSVersion.TLSv1_2
    only_rsa.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    key = (await secure.presented(only_rsa)).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 3072
    assert "Verify return code: 0 (ok)" in (await secure.s_client("-CAfile", _file(secure, authority)))[1]


def _file(secure: Secure, trusted: x509.Certificate) -> str:
    (secure.openssl.folder / "trusted.pem").write_bytes(trusted.public_bytes(serialization.Encoding.PEM))
    return "trusted.pem"


async def test_nothing_secret_is_readable_on_disk(secure: Secure, tmp_path: Path) -> None:
    for row in secure.tls.manager.state.keys.values():
        numbers = secure.keystore.private_key(row).private_numbers()
        secret = numbers.p if isinstance(numbers, rsa.RSAPrivateNumbers) else numbers.private_value
        plain = secret.to_bytes((secret.bit_length() + 7) // 8, "big")
        for path in tmp_path.rglob("*"):
            if path.is_file():
                assert plain not in path.read_bytes()
    assert stat.S_IMODE((tmp_path / "catalogue.sqlite3").stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".tls-*"))


@pytest.mark.covers("A039")
async def test_the_authority_can_be_downloaded_to_be_imported(secure: Secure) -> None:
    connection = await secure.connect()
    status, pem = await connection.get("/certificate/ca.pem")
    assert (status, x509.load_pem_x509_certificate(pem)) == (200, secure.tls.authority())
    status, der = await connection.get("/certificate/ca.crt")
    assert (status, x509.load_der_x509_certificate(der)) == (200, secure.tls.authority())
    await connection.close()


@pytest.mark.covers("SEC-12")
async def test_certificates_are_renewed_before_they_end_and_vms_still_trust_them(secure: Secure) -> None:
    trusted = secure.tls.authority()
    assert trusted is not None
    first = await secure.presented()
    paths = secure.tls.manager.state.tls.paths
    await secure.clock.advance(790 * DAY)
    assert await secure.presented() == first
    await secure.clock.advance(6 * DAY)
    await _settled(secure, lambda: secure.tls.manager.state.tls.paths != paths)
    second = await secure.presented()
    assert second != first
    assert secure.tls.authority() == trusted
    assert second.not_valid_after_utc > first.not_valid_after_utc
    # What was replaced is gone: nothing grows.
    state = secure.tls.manager.state
    assert (len(state.keys), len(state.certificates), len(state.paths)) == (3, 3, 2)


async def _settled(secure: Secure, reached: Any) -> None:
    async with asyncio.timeout(30):
        while not reached():
            await secure.clock.advance(HOUR)
            await asyncio.sleep(0.01)


@pytest.mark.covers("SEC-12")
async def test_new_names_of_the_host_get_new_certificates(secure: Secure) -> None:
    first = await secure.presented()
    secure.host[0] = Host("nvr", ("nvr", "localhost"))
    await secure.clock.advance(HOUR)
    assert await secure.presented() == first  # fewer names: it still serves
    secure.host[0] = Host("other", ("other", "192.0.2.9", "2001:db8::9"))
    await _settled(secure, lambda: first.public_bytes(serialization.Encoding.DER) not in _contents(secure))
    assert names_of(await secure.presented()) == {"other", "192.0.2.9", "2001:db8::9"}


def _contents(secure: Secure) -> set[bytes]:
    return {row.content for row in secure.tls.manager.state.certificates.values()}


async def test_the_authority_is_renewed_with_all_it_issued(secure: Secure) -> None:
    before = secure.tls.authority()
    await secure.clock.advance(3245 * DAY)
    await _settled(secure, lambda: secure.tls.authority() != before)
    after = secure.tls.authority()
    assert after is not None
    assert (await secure.presented()).issuer == after.subject
    assert [row.role for row in secure.tls.manager.state.certificates.values() if row.role == CA] == [CA]


async def test_a_second_start_changes_nothing(secure: Secure, catalogue: AsyncCatalogue, tmp_path: Path) -> None:
    state = secure.tls.manager.state
    bus = EventBus(secure.clock)
    again = Tls(
        catalogue, SecretBox(b"k" * 32), secure.clock, bus, replace(Config(), data=tmp_path),
        enabled=lambda: True, names=lambda: secure.host[0],
    )  # fmt: skip
    await again.start()
    assert again.manager.state == state
    await again.close()


async def test_with_another_key_file_new_certificates_are_made(
    secure: Secure, catalogue: AsyncCatalogue, tmp_path: Path
) -> None:
    other = Tls(
        catalogue, SecretBox(b"x" * 32), secure.clock, EventBus(secure.clock), replace(Config(), data=tmp_path),
        enabled=lambda: True, names=lambda: secure.host[0],
    )  # fmt: skip
    await other.start()
    assert await other.https() is other.context
    assert other.authority() != secure.tls.authority()
    await other.close()


async def test_without_any_assignment_there_is_no_https_until_it_is_wanted(
    secure: Secure, catalogue: AsyncCatalogue, tmp_path: Path
) -> None:
    for path in secure.tls.manager.state.tls.paths:
        await secure.change(secure.tls.manager.assignment.remove_path, path, enabled=False)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await secure.connect()
    off = Tls(
        catalogue, SecretBox(b"k" * 32), secure.clock, EventBus(secure.clock), replace(Config(), data=tmp_path),
        enabled=lambda: False, names=lambda: secure.host[0],
    )  # fmt: skip
    await off.start()
    assert off.manager.state.tls.paths == ()
    await off.https()
    assert len(off.manager.state.tls.paths) == 2
    await off.close()


async def test_no_certificate_can_be_made(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in secure.tls.manager.state.tls.paths:
        await secure.change(secure.tls.manager.assignment.remove_path, path, enabled=False)

    def fail(*arguments: Any, **more: Any) -> None:
        raise Unavailable("disk is full")

    monkeypatch.setattr(secure.tls._own, "ensure", fail)
    with pytest.raises(Unavailable):
        await secure.tls.https()


# ---- versions and suites ------------------------------------------------------------------------------


@pytest.mark.covers("SEC-06")
@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("-tls1_3",), "New, TLSv1.3, Cipher is TLS_"),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"), "Cipher is ECDHE-ECDSA-CHACHA20-POLY1305"),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"), "Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"),
        (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "Cipher is ECDHE-RSA-AES128-GCM-SHA256"),
        (("-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"), "Cipher is ECDHE-RSA-CHACHA20-POLY1305"),
        (("-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384"), "Cipher is ECDHE-RSA-AES256-GCM-SHA384"),
    ],
)
async def test_the_suites_of_the_baseline(secure: Secure, options: tuple[str, ...], line: str) -> None:
    assert line in (await secure.s_client(*options))[1]


@pytest.mark.covers("SEC-06")
@pytest.mark.parametrize(
    "options",
    [
        ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES128-SHA:AES256-SHA:AES128-GCM-SHA256:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA384:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"),
    ],
)
async def test_what_is_weaker_is_refused(secure: Secure, options: tuple[str, ...]) -> None:
    status, output = await secure.s_client(*options)
    assert status != 0
    assert "Cipher is (NONE)" in output
    if options[0] in ("-tls1", "-tls1_1"):
        assert "protocol version" in output  # the alert that ADVANCED_SECURITY-9-1-2 waits for


async def test_a_version_can_be_disabled(secure: Secure) -> None:
    await secure.change(secure.tls.manager.assignment.set_versions, ("1.3",))
    status, output = await secure.s_client("-tls1_2")
    assert status != 0
    assert "protocol version" in output
    assert "TLSv1.3" in (await secure.s_client("-tls1_3"))[1]
    await secure.change(secure.tls.manager.assignment.set_versions, ("1.2",))
    assert (await secure.s_client("-tls1_3"))[0] != 0
    assert "TLSv1.2" in (await secure.s_client("-tls1_2"))[1]


# ---- certificates of others ---------------------------------------------------------------------------


@pytest.mark.covers("SEC-06", "SEC-13")
async def test_a_certificate_for_a_request_is_served_at_once_and_nobody_is_cut(secure: Secure) -> None:
    old = await secure.connect()
    waiting = await secure.connect()
    before = old.certificate
    waiting.writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    keystore, openssl = secure.keystore, secure.openssl
    key = await secure.change(keystore.announce_key, "RSA", "2048", None)
    await secure.change(keystore.finish_key, key, rsa.generate_private_key(65537, 2048))
    subject = ((("2.5.4.6", "US"),), (("2.5.4.3", "nvr.example"),))
    request = keystore.create_request(subject, key, "1.2.840.113549.1.1.11", None, (), ())
    openssl.root()
    (openssl.folder / "nvr.csr").write_bytes(openssl("req", "-inform", "DER", data=request))
    openssl.sign("nvr", extensions="subjectAltName=DNS:nvr.example")
    leaf, _ = await secure.change(keystore.upload_certificate, openssl.der("nvr"), None, None, True)
    ca, _ = await secure.change(keystore.upload_certificate, openssl.der("ca"), None, None, False)
    path = await secure.change(keystore.create_path, (leaf, ca), "mine")
    await secure.change(secure.tls.manager.assignment.add_path, path)
    trust = secure.client(trust=x509.load_pem_x509_certificate(openssl.read("ca.pem")))
    new = await secure.connect(trust, "nvr.example")
    assert new.certificate == x509.load_pem_x509_certificate(openssl.read("nvr.pem"))
    assert (await new.get())[0] == 200
    assert old.certificate == before
    assert (await old.get())[1] == b"hello"
    secure.goes_on.set()  # type: ignore[attr-defined]
    async with asyncio.timeout(20):
        assert (await waiting.reader.readuntil(b"slow")).startswith(b"HTTP/1.1 200")
    output = (await secure.s_client("-showcerts", "-servername", "nvr.example"))[1]
    assert output.count("-----BEGIN CERTIFICATE-----") == 2  # the path as it was assigned
    for connection in (old, waiting, new):
        await connection.close()


@pytest.mark.covers("SEC-14")
async def test_the_newest_assignment_is_presented_and_names_that_are_asked_for_decide(secure: Secure) -> None:
    openssl = secure.openssl
    openssl.root()
    for name in ("one", "two"):
        openssl.issue(name, extensions=f"subjectAltName=DNS:{name}.example,DNS:*.{name}.example")
    for name in ("one", "two"):
        path = await secure.path_of(name)
        await secure.change(secure.tls.manager.assignment.add_path, path)

    async def common_name(name: str) -> str:
        return (await secure.presented(name=name)).subject.rfc4514_string()

    assert await common_name("unknown.example") == "CN=two"
    assert await common_name("one.example") == "CN=one"
    assert await common_name("a.ONE.example") == "CN=one"
    assert await common_name("localhost") == "CN=nvr,O=onvifd"
    await secure.change(secure.tls.manager.assignment.replace_path, path, await secure.path_of("one"))
    assert await common_name("two.example") == "CN=one"


async def test_a_path_with_sha1_signatures_is_presented_as_the_administrator_wants(secure: Secure) -> None:
    """All certificates of the test specification are signed so (ADVANCED_SECURITY-3-1-2)."""
    openssl = secure.openssl
    openssl.root(digest="-sha1")
    openssl.issue("leaf", digest="-sha1")
    data = openssl("pkcs12", "-export", "-inkey", "leaf.key", "-in", "leaf.pem", "-certfile", "ca.pem", "-passout", "pass:x")  # fmt: skip
    path, _ = await secure.change(
        secure.keystore.upload_pkcs12, data, None, None, first_only=False, passphrases=("x", "x")
    )
    await secure.change(secure.tls.manager.assignment.add_path, path)
    assert (await secure.presented(name="x")).subject.rfc4514_string() == "CN=leaf"
    status, output = await secure.s_client("-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0")
    assert status != 0
    assert "Cipher is (NONE)" in output


# ---- clients with certificates ------------------------------------------------------------------------


async def require_clients(secure: Secure, *, usage: bool = False, anchor: str = "ca") -> str:
    manager = secure.tls.manager
    if not (secure.openssl.folder / f"{anchor}.pem").exists():
        secure.openssl.root(anchor)
    key, _ = await secure.change(secure.keystore.upload_certificate, secure.openssl.der(anchor), None, None, False)
    policy = await secure.change(manager.validation.create_policy, None, usage, True, (key,))
    await secure.change(manager.assignment.add_policy, policy)
    await secure.change(manager.assignment.require_clients, True)
    found: str = policy
    return found


async def served(secure: Secure, certificate: str | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bool:
    """Whether a client gets an answer."""
    context = secure.client(certificate=certificate)
    context.maximum_version = version
    try:
        connection = await secure.connect(context)
    except (ssl.SSLError, ConnectionError):
        return False
    try:
        return (await connection.get())[0] == 200
    except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
        return False
    finally:
        await connection.close()


@pytest.mark.covers("SEC-15")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_clients_must_have_a_certificate_of_the_anchor(secure: Secure, version: ssl.TLSVersion) -> None:
    openssl = secure.openssl
    openssl.root()
    openssl.root("stranger")
    openssl.issue("good")
    openssl.issue("bad", "stranger")
    connected = await secure.connect()
    await require_clients(secure)
    assert await served(secure, "good", version)
    assert not await served(secure, "bad", version)
    assert not await served(secure, None, version)
    assert (await connected.get())[0] == 200  # who was connected stays
    await connected.close()
    await secure.change(secure.tls.manager.assignment.require_clients, False)
    assert await served(secure, None, version)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_revoked_clients_are_kept_out_and_others_are_not(secure: Secure, version: ssl.TLSVersion) -> None:
    """ADVANCED_SECURITY-3-3-2, with its SHA-1 signatures and a list whose issuer has another name than the authority."""
    openssl = secure.openssl
    openssl.root(digest="-sha1")
    for name in ("cert2", "cert3"):
        openssl.issue(name, digest="-sha1")
    await require_clients(secure)
    assert await served(secure, "cert3", version)
    key: Any = serialization.load_pem_private_key(openssl.read("ca.key"), None)
    revoked = x509.load_pem_x509_certificate(openssl.read("cert3.pem"))
    crl = await secure.change(secure.tls.manager.validation.upload_crl, crl_of(key, revoked), None)
    assert await served(secure, "cert2", version)
    assert not await served(secure, "cert3", version)
    await secure.change(secure.tls.manager.validation.delete_crl, crl)
    assert await served(secure, "cert3", version)


def crl_of(key: Any, *revoked: x509.Certificate, number: int = 1, base: int | None = None, reason: x509.ReasonFlags | None = None) -> bytes:  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.Name.from_rfc4514_string("CN=ONVIF_DTT"))
        .last_update(now - datetime.timedelta(days=1))
        .next_update(now + datetime.timedelta(days=1))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), critical=True)
    for certificate_ in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate_.serial_number)
        entry = entry.revocation_date(now - datetime.timedelta(days=1))
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def test_the_usage_of_the_certificate_can_be_demanded(secure: Secure) -> None:
    openssl = secure.openssl
    openssl.root()
    openssl.issue("without")
    openssl.issue("with", extensions="extendedKeyUsage=clientAuth")
    openssl.issue("server", extensions="extendedKeyUsage=serverAuth")
    await require_clients(secure, usage=True)
    assert await served(secure, "with")
    assert not await served(secure, "without")
    assert not await served(secure, "server")


async def test_intermediates_of_the_keystore_complete_a_path_but_are_not_trusted(secure: Secure) -> None:
    openssl = secure.openssl
    openssl.root()
    openssl.root("foreign", subject="/CN=foreign")
    authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign"
    openssl.issue("mid", extensions=authority)
    openssl.issue("outside", "foreign", extensions=authority)
    openssl.issue("leaf", "mid")
    openssl.issue("other", "outside")
    await require_clients(secure)
    assert not await served(secure, "leaf")
    for name in ("mid", "outside"):
        await secure.change(secure.keystore.upload_certificate, openssl.der(name), None, None, False)
    assert await served(secure, "leaf")
    assert not await served(secure, "other")
    # An anchor that is itself issued by another is trusted as it is (RFC 5280 6.1.1 d).


async def test_an_anchor_need_not_be_a_root(secure: Secure) -> None:
    openssl = secure.openssl
    openssl.root()
    openssl.issue("mid", extensions="basicConstraints=critical,CA:TRUE")
    openssl.issue("leaf", "mid")
    openssl.issue("sister")
    await require_clients(secure, anchor="mid")
    assert await served(secure, "leaf")
    assert not await served(secure, "sister")


@pytest.mark.covers("P231")
async def test_the_name_in_the_certificate_stands_for_an_account(secure: Secure) -> None:
    openssl = secure.openssl
    openssl.root()
    for name in ("admin", "vms", "nobody"):
        openssl.issue(name)
    await require_clients(secure)
    request = soap(tas.GetAllKeys())

    async def status(name: str) -> int:
        connection = await secure.connect(secure.client(certificate=name))
        found, _ = await connection.get("/onvif/security_service", body=request)
        await connection.close()
        return found

    assert await status("admin") == 401
    await secure.change(secure.tls.manager.assignment.map_names, True)
    assert await status("admin") == 200
    assert await status("vms") == 403  # a user may not see the keystore (Security 5.3.2)
    assert await status("nobody") == 403


# ---- the rest -------------------------------------------------------------------------------------------


async def test_key_statuses_are_events(secure: Secure) -> None:
    key, _ = await secure.tls.manager.create_key("ECC", "secp256r1", None)
    async with asyncio.timeout(30):
        while len(secure.events) < 2:
            await asyncio.sleep(0)
    assert [(event.topic, event.source, event.data) for event in secure.events] == [
        ("Advancedsecurity/Keystore/KeyStatus", (("KeyID", key),), (("NewStatus", "generating"),)),
        ("Advancedsecurity/Keystore/KeyStatus", (("KeyID", key),), (("OldStatus", "generating"), ("NewStatus", "ok"))),
    ]


async def test_changes_of_other_processes_are_taken_over(secure: Secure) -> None:
    await asyncio.to_thread(secure.tls.manager.assignment.set_versions, ("1.2",))
    assert "TLSv1.3" in (await secure.s_client())[1]
    await secure.tls.refresh()
    assert "TLSv1.2" in (await secure.s_client())[1]


@pytest.mark.covers("SEC-15")
async def test_trust_for_connections_to_others(secure: Secure) -> None:
    authority = secure.tls.authority()
    assert authority is not None
    key = next(row.id for row in secure.tls.manager.state.certificates.values() if row.role == CA)
    policy = await secure.change(secure.tls.manager.validation.create_policy, None, False, False, (key,))
    for context in (secure.tls.outgoing(policy), secure.tls.outgoing(further=[authority])):
        connection = await secure.connect(context, "localhost")
        await connection.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await secure.connect(secure.tls.outgoing(policy), "elsewhere")
    with pytest.raises(ssl.SSLCertVerificationError):
        await secure.connect(secure.tls.outgoing())
    with pytest.raises(NotFound):
        secure.tls.outgoing("none")
