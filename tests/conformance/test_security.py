"""The cases of the Security specification: all are there, and the recorder passes those that apply."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_private_key, pkcs12
from lxml import etree

from conformance import runner
from conformance.cases import certificates
from conformance.cases.security_common import differences, same_name
from conformance.soap import envelope
from tests.conformance.laboratory import Laboratory, laboratory

OFFICIAL = frozenset(
    f"ADVANCED_SECURITY-{group}-{number}"
    for group, numbers in (
        ("1-1", range(1, 6)),
        ("2-1", (*range(1, 25), 27, 28)),
        ("3-1", range(1, 9)),
        ("3-2", (3, 4, 5)),
        ("3-3", (1, 2, 3)),
        ("4-1", (1, 2)),
        ("5-1", (1, 2)),
        ("6-1", (1, 2)),
        ("6-2", (1, 2)),
        ("6-3", (1, 2, 4)),
        ("8-1", range(1, 7)),
        ("9-1", (1, 2)),
    )
    for number in numbers
)


def test_all_official_cases_are_there() -> None:
    assert len(OFFICIAL) == 64
    assert {each.id for each in runner.select(documents=["Security"])} == OFFICIAL


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with laboratory(tmp_path_factory.mktemp("security")) as made:
        made.start()
        yield made


@pytest.mark.e2e
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("recorder")
def test_no_case_fails(place: Laboratory) -> None:
    report = place.examine("--document", "Security", "--case-timeout", "90", timeout=560)
    failed = {each["id"]: each["why"] for each in report["cases"] if each["verdict"] == "FAIL"}
    assert failed == {}
    verdicts = Counter(each["verdict"] for each in report["cases"])
    assert verdicts["PASS"] > 0.9 * len(report["cases"])


# ---- parts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("oid", "algorithm"), [(certificates.SHA1_RSA, hashes.SHA1), (certificates.SHA256_RSA, hashes.SHA256)]
)
def test_certificates_are_signed_as_asked(oid: str, algorithm: type[hashes.HashAlgorithm]) -> None:
    issuer = certificates.authority(2048, algorithm=oid)
    made = certificates.make_certificate(
        certificates.name("leaf"), certificates.rsa_key(2048), issuer=issuer, algorithm=oid
    )
    for der in (issuer.der, made.der):
        read = x509.load_der_x509_certificate(der)
        assert read.signature_algorithm_oid.dotted_string == oid
        assert certificates.is_der(der)
        issuer.key.public_key().verify(read.signature, read.tbs_certificate_bytes, padding.PKCS1v15(), algorithm())
    assert made.certificate.not_valid_before_utc == datetime(1970, 1, 1, tzinfo=UTC)
    assert made.certificate.issuer == issuer.certificate.subject


@pytest.mark.parametrize("oid", [certificates.SHA1_RSA, certificates.SHA256_RSA])
def test_revocation_lists_name_what_is_revoked(oid: str) -> None:
    issuer = certificates.authority(2048)
    leaf = certificates.make_certificate(certificates.name("leaf"), certificates.rsa_key(2048), issuer=issuer)
    crl = x509.load_der_x509_crl(certificates.revocation_list(issuer, leaf.certificate, oid))
    assert crl.signature_algorithm_oid.dotted_string == oid
    assert crl.get_revoked_certificate_by_serial_number(leaf.certificate.serial_number) is not None


def test_requests_are_answered_with_their_subject_and_key() -> None:
    issuer, key = certificates.authority(2048), certificates.rsa_key(2048, 1)
    builder = x509.CertificateSigningRequestBuilder().subject_name(certificates.name("device"))
    request = builder.sign(key, hashes.SHA256())
    assert certificates.request_is_signed(request)
    made = x509.load_der_x509_certificate(
        certificates.from_request(
            request.public_bytes(certificates.serialization.Encoding.DER), issuer, certificates.SHA1_RSA
        )
    )
    assert made.subject == certificates.name("device")
    assert made.public_key() == key.public_key()


def test_containers_open_with_their_passphrase_alone() -> None:
    identity = certificates.authority(2048)
    secret = certificates.PASSPHRASE.encode()
    key, certificate, _ = pkcs12.load_key_and_certificates(
        certificates.pkcs12_of(identity, certificates.PASSPHRASE), secret
    )
    assert certificate == identity.certificate
    assert key is not None
    assert pkcs12.load_key_and_certificates(certificates.pkcs12_of(identity), None)[1] == identity.certificate
    assert load_der_private_key(certificates.pkcs8(identity.key, certificates.PASSPHRASE), secret)
    with pytest.raises(ValueError, match=r"(?i)password|decrypt"):
        load_der_private_key(certificates.pkcs8(identity.key, certificates.PASSPHRASE), b"another")


@pytest.mark.parametrize(
    "content", [b"", b"\x30\x80\0\0", b"\x30\x81\x02\x05\0", b"\x30\x02\x05\0\0", b"\x30\x03\x05\0"]
)
def test_what_is_no_der_is_told_from_der(content: bytes) -> None:
    assert certificates.is_der(b"\x30\x02\x05\0")
    assert not certificates.is_der(content)


def test_contexts_for_servers_can_be_made() -> None:
    assert isinstance(certificates.broker_context("127.0.0.1", certificates.authority(2048)), ssl.SSLContext)


def test_capabilities_that_disagree_are_named() -> None:
    def read(text: str) -> etree._Element:
        return etree.fromstring(envelope(text))[-1][0]

    one = read('<tev:Capabilities MaxPullPoints="2" EventBrokerProtocols="ws mqtt"/>')
    same = read('<tev:Capabilities EventBrokerProtocols="mqtt ws" MaxPullPoints="2" MetadataOverMQTT="false"/>')
    other = read('<tev:Capabilities MaxPullPoints="3" EventBrokerProtocols="ws mqtt"/>')
    defaults = {"MetadataOverMQTT": "false"}
    assert differences(one, same, defaults) == ""
    assert "MaxPullPoints is 2 and 3" in differences(one, other, defaults)
    assert same_name(certificates.name("a"), x509.Name(list(reversed(list(certificates.name("a"))))))
