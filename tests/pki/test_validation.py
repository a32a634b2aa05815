"""Revocation by complete and delta lists (RFC 5280 5.2.4, 6.3.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

from onvifd.errors import InvalidArgument
from onvifd.pki.assignment import swapped
from onvifd.pki.material import read_crl
from onvifd.pki.validation import revoked
from tests.pki.conftest import OpenSsl

NOW = datetime.now(UTC)


class Authority:
    def __init__(self, openssl: OpenSsl) -> None:
        openssl.root()
        openssl.issue("leaf")
        openssl.issue("other")
        self.key: Any = serialization.load_pem_private_key(openssl.read("ca.key"), None)
        self.certificate, self.leaf, self.other = (
            x509.load_pem_x509_certificate(openssl.read(f"{name}.pem")) for name in ("ca", "leaf", "other")
        )

    def crl(
        self,
        *serials: int,
        number: int | None = 1,
        base: int | None = None,
        reason: x509.ReasonFlags | None = None,
        age: int = 1,
    ) -> x509.CertificateRevocationList:
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(NOW - timedelta(days=age)).next_update(NOW - timedelta(days=age - 2))
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        if base is not None:
            builder = builder.add_extension(x509.DeltaCRLIndicator(base), critical=True)
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256())

    def revokes(self, *crls: x509.CertificateRevocationList, deltas: bool = True) -> bool:
        return revoked(self.leaf, self.certificate, crls, deltas=deltas)


@pytest.fixture
def authority(openssl: OpenSsl) -> Authority:
    return Authority(openssl)


def test_complete_lists(authority: Authority) -> None:
    serial = authority.leaf.serial_number
    assert not authority.revokes()
    assert not authority.revokes(authority.crl(authority.other.serial_number))
    assert authority.revokes(authority.crl(serial))
    assert authority.revokes(authority.crl(), authority.crl(serial, number=None))
    assert authority.revokes(authority.crl(serial, age=400))  # a list counts however old it is


def test_a_list_of_another_issuer_says_nothing(authority: Authority, openssl: OpenSsl) -> None:
    crl = authority.crl(authority.leaf.serial_number)
    openssl.root("same", subject="/C=US/CN=ONVIF TT")
    same_name = x509.load_pem_x509_certificate(openssl.read("same.pem"))
    assert same_name.subject == authority.certificate.subject
    assert not revoked(authority.leaf, same_name, [crl], deltas=True)


def test_deltas_add_and_take_away_in_order_of_their_numbers(authority: Authority) -> None:
    serial = authority.leaf.serial_number
    complete, later = authority.crl(number=5), authority.crl(serial, number=7, base=5)
    assert authority.revokes(complete, later)
    assert not authority.revokes(complete, later, deltas=False)
    released = authority.crl(serial, number=8, base=5, reason=x509.ReasonFlags.remove_from_crl)
    assert not authority.revokes(released, complete, later)
    held = authority.crl(serial, number=5)
    assert not authority.revokes(held, released)
    assert authority.revokes(held, released, deltas=False)


def test_deltas_to_lists_that_are_not_here_say_nothing(authority: Authority) -> None:
    serial = authority.leaf.serial_number
    assert not authority.revokes(authority.crl(serial, number=9, base=8))
    assert not authority.revokes(authority.crl(number=5), authority.crl(serial, number=9, base=8))
    assert not authority.revokes(authority.crl(number=9), authority.crl(serial, number=7, base=5))


def test_lists_of_a_part_are_not_taken(authority: Authority) -> None:
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.certificate.subject)
    builder = builder.last_update(NOW).next_update(NOW + timedelta(days=1))
    part = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
    crl = builder.add_extension(part, critical=True).sign(authority.key, hashes.SHA256())
    with pytest.raises(InvalidArgument) as caught:
        read_crl(crl.public_bytes(serialization.Encoding.DER))
    assert caught.value.detail == "BadCRL"


def test_a_list_signed_with_an_algorithm_that_is_not_known(openssl: OpenSsl) -> None:
    openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "e.key", "-out", "e.pem", "-subj", "/CN=e")
    key: Any = serialization.load_pem_private_key(openssl.read("e.key"), None)
    builder = x509.CertificateRevocationListBuilder().issuer_name(x509.Name.from_rfc4514_string("CN=e"))
    crl = builder.last_update(NOW).next_update(NOW + timedelta(days=1)).sign(key, None)
    with pytest.raises(InvalidArgument) as caught:
        read_crl(crl.public_bytes(serialization.Encoding.DER))
    assert caught.value.detail == "UnsupportedSignatureAlgorithm"


@given(st.lists(st.sampled_from("abcd"), unique=True), st.sampled_from("abcd"), st.sampled_from("abcd"))
def test_the_new_assignment_takes_the_place_of_the_old_one(members: list[str], old: str, new: str) -> None:
    after = swapped(tuple(members), old, new)
    if old in members:
        assert new in after
        assert (old in after) == (old == new)
        assert [each for each in after if each != new] == [each for each in members if each not in (old, new)]
    assert len(set(after)) == len(after)
