"""What openssl writes is read, and what is broken is told apart from what cannot be decrypted."""

from __future__ import annotations

import contextlib
import random
import shutil
from pathlib import Path

import pytest

from onvifd.errors import InvalidArgument
from onvifd.pki import der, material
from tests.pki.conftest import OpenSsl


def refused(detail: str, call: object, *arguments: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call(*arguments)  # type: ignore[operator]
    assert caught.value.detail == detail


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three keys and their certificates, which take openssl a second."""
    openssl = OpenSsl(tmp_path_factory.mktemp("made"))
    openssl.root()
    openssl.issue("mid", extensions="basicConstraints=critical,CA:TRUE")
    openssl.issue("leaf", "mid")
    (openssl.folder / "chain.pem").write_bytes(openssl.read("mid.pem") + openssl.read("ca.pem"))
    return openssl.folder


@pytest.fixture
def ready(openssl: OpenSsl, made: Path) -> OpenSsl:
    shutil.copytree(made, openssl.folder, dirs_exist_ok=True)
    return openssl


def pfx(openssl: OpenSsl, *options: str, password: str = "abc", key: str = "leaf", cert: str = "leaf") -> bytes:
    return openssl("pkcs12", "-export", "-inkey", f"{key}.key", "-in", f"{cert}.pem", "-passout", f"pass:{password}", *options)  # fmt: skip


class TestPkcs12:
    def test_the_path_keeps_its_order(self, ready: OpenSsl) -> None:
        bundle = material.read_pkcs12(pfx(ready, "-certfile", "chain.pem"), None, "abc")
        assert [each.subject.rfc4514_string() for each in bundle.certificates] == [
            "CN=leaf",
            "CN=mid",
            "CN=ONVIF TT,C=US",
        ]

    @pytest.mark.parametrize(
        "options",
        [
            ("-keypbe", "AES-128-CBC", "-certpbe", "AES-128-CBC"),
            ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
            ("-nomac",),
        ],
    )
    def test_encryptions(self, ready: OpenSsl, options: tuple[str, ...]) -> None:
        assert material.read_pkcs12(pfx(ready, *options), None, "abc").key.key_size == 2048
        refused("DecryptionFailed", material.read_pkcs12, pfx(ready, *options), None, "wrong")
        refused("DecryptionFailed", material.read_pkcs12, pfx(ready, *options), None, None)

    @pytest.mark.parametrize(
        "options", [("-keypbe", "NONE", "-certpbe", "NONE", "-nomac"), ("-keypbe", "NONE", "-certpbe", "NONE")]
    )
    def test_without_a_passphrase(self, ready: OpenSsl, options: tuple[str, ...]) -> None:
        data = pfx(ready, *options, password="")
        assert len(material.read_pkcs12(data, None, None).certificates) == 1

    @pytest.mark.parametrize("digest", ["sha1", "sha256", "sha384", "sha512"])
    def test_integrity_and_encryption_may_have_passphrases_of_their_own(self, ready: OpenSsl, digest: str) -> None:
        # Nobody writes such files: the MAC is replaced by one under another passphrase.
        data = pfx(ready, "-macalg", digest, "-iter", "10")
        parts = der.parse(data).children()
        content = parts[1].children()[1].children()[0].content
        info, salt, rounds = parts[2].children()
        algorithm = info.children()[0]
        name, block = material._MACS[algorithm.children()[0].whole]
        import hmac

        key = material.mac_key(name, block, "integrity", salt.content, int.from_bytes(rounds.content, "big"))
        mac = der.sequence(
            der.sequence(algorithm.whole, der.write(der.OCTET_STRING, hmac.digest(key, content, name))),
            salt.whole,
            rounds.whole,
        )
        both = der.sequence(parts[0].whole, parts[1].whole, mac)
        assert material.read_pkcs12(both, "integrity", "abc").key.key_size == 2048
        refused("DecryptionFailed", material.read_pkcs12, both, "other", "abc")
        # The derivation is that of the file's own passphrase as well.
        own = material.mac_key(name, block, "abc", salt.content, int.from_bytes(rounds.content, "big"))
        assert hmac.digest(own, content, name) == info.children()[1].content

    def test_integrity_that_is_not_there(self, ready: OpenSsl) -> None:
        refused("BadPKCS12File", material.read_pkcs12, pfx(ready, "-nomac"), "abc", "abc")

    def test_key_and_certificate_that_do_not_belong_together(self, ready: OpenSsl) -> None:
        whole = material.read_pkcs12(pfx(ready), None, "abc")
        from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

        other = material.read_pkcs12(pfx(ready, key="mid", cert="mid"), None, "abc")
        mixed = pkcs12.serialize_key_and_certificates(None, whole.key, None, other.certificates, NoEncryption())
        refused("PublicPrivateKeyMismatch", material.read_pkcs12, mixed, None, None)

    def test_what_is_no_pkcs12(self, ready: OpenSsl) -> None:
        for data in (b"", b"xyz", pfx(ready)[:-4], ready.der("leaf"), b"\x30\x80\x00\x00", pfx(ready) + b"0"):
            refused("BadPKCS12File", material.read_pkcs12, data, None, "abc")
        refused("BadPKCS12File", material.read_pkcs12, b"\0" * (material.MAX_DER + 1), None, "abc")

    def test_key_derivation_that_takes_for_ever(self, ready: OpenSsl) -> None:
        refused("BadPKCS12File", material.read_pkcs12, pfx(ready, "-iter", "1000001"), None, "abc")


class TestPkcs8:
    @pytest.mark.parametrize("options", [("-v1", "PBE-SHA1-3DES"), ("-v2", "aes-128-cbc"), ("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"), ("-scrypt",)])  # fmt: skip
    def test_encrypted(self, ready: OpenSsl, options: tuple[str, ...]) -> None:
        data = ready("pkcs8", "-topk8", "-in", "leaf.key", "-outform", "DER", "-passout", "pass:abc", *options)
        assert material.read_pkcs8(data, "abc").key_size == 2048
        refused("DecryptionFailed", material.read_pkcs8, data, "wrong")
        refused("DecryptionFailed", material.read_pkcs8, data, None)

    def test_plain_with_and_without_the_public_key(self, ready: OpenSsl) -> None:
        data = ready("pkcs8", "-topk8", "-in", "leaf.key", "-outform", "DER", "-nocrypt")
        assert material.read_pkcs8(data, None).key_size == 2048
        # OneAsymmetricKey version 2 (RFC 5958), which the test specification wants.
        version, *rest = der.parse(data).children()
        second = der.sequence(der.integer(1), *(node.whole for node in rest), der.write(0x81, b"\0public"))
        assert version.content == b"\0"
        assert material.read_pkcs8(second, "not needed").key_size == 2048

    def test_broken_and_of_kinds_that_are_not_taken(self, ready: OpenSsl) -> None:
        for data in (b"", b"\x30\x00", b"abc", ready.der("leaf")):
            with pytest.raises(InvalidArgument) as caught:
                material.read_pkcs8(data, None)
            assert caught.value.detail in ("BadPKCS8File", "DecryptionFailed")
        for options in (("-algorithm", "ED25519"), ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"), ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:768")):  # fmt: skip
            pem = ready("genpkey", *options)
            data = ready("pkcs8", "-topk8", "-outform", "DER", "-nocrypt", data=pem)
            refused("UnsupportedPublicKeyAlgorithm", material.read_pkcs8, data, None)


class TestCertificates:
    def test_broken(self, ready: OpenSsl) -> None:
        data = ready.der("leaf")
        for wrong in (b"", data[:-1], data + b"\0", b"\x30\x03\x02\x01\x00", ready.read("leaf.pem")):
            refused("BadCertificate", material.read_certificate, wrong)

    def test_kinds_that_are_not_taken(self, openssl: OpenSsl) -> None:
        openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "e.key", "-out", "e.pem", "-subj", "/CN=e")
        refused("UnsupportedSignatureAlgorithm", material.read_certificate, openssl.der("e"))
        openssl("req", "-x509", "-newkey", "rsa:2048", "-md5", "-nodes", "-keyout", "m.key", "-out", "m.pem", "-subj", "/CN=m")  # fmt: skip
        refused("UnsupportedSignatureAlgorithm", material.read_certificate, openssl.der("m"))
        openssl("req", "-x509", "-newkey", "rsa:768", "-nodes", "-keyout", "s.key", "-out", "s.pem", "-subj", "/CN=s")
        refused("UnsupportedPublicKeyAlgorithm", material.read_certificate, openssl.der("s"))


@pytest.mark.parametrize("kind", ["certificate", "crl", "plain", "sealed", "pkcs12"])
def test_damaged_files_are_refused_and_do_nothing_else(ready: OpenSsl, kind: str) -> None:
    """What the library raises for damage is many things."""
    samples: dict[str, tuple[object, bytes, tuple[object, ...]]] = {
        "certificate": (material.read_certificate, ready.der("leaf"), ()),
        "crl": (material.read_crl, crl_of(ready), ()),
        "plain": (material.read_pkcs8, pkcs8(ready, "-nocrypt"), (None,)),
        "sealed": (material.read_pkcs8, pkcs8(ready, "-passout", "pass:abc", "-iter", "10"), ("abc",)),
        "pkcs12": (material.read_pkcs12, pfx(ready, "-iter", "10", "-certfile", "chain.pem"), (None, "abc")),
    }
    read, good, arguments = samples[kind]
    chance = random.Random(7)
    for _ in range(400):
        damaged = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(damaged))
            damaged[at : at + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 2))
        with contextlib.suppress(InvalidArgument):
            read(bytes(damaged), *arguments)  # type: ignore[operator]


def pkcs8(openssl: OpenSsl, *options: str) -> bytes:
    return openssl("pkcs8", "-topk8", "-in", "leaf.key", "-outform", "DER", *options)


def crl_of(openssl: OpenSsl) -> bytes:
    (openssl.folder / "index").touch()
    (openssl.folder / "number").write_text("01\n")
    settings = "database=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=30\n"
    (openssl.folder / "ca.cnf").write_text(f"[ca]\ndefault_ca=me\n[me]\n{settings}")
    pem = openssl("ca", "-config", "ca.cnf", "-gencrl", "-keyfile", "ca.key", "-cert", "ca.pem")
    return openssl("crl", "-outform", "DER", data=pem)
