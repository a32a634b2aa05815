"""The HTTPS certificate."""

import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from onvifd.access.certificate import make_certificate, server_context, write_private

PROFILE = (Path(__file__).parents[2] / "certs" / "server.toml").read_bytes()


@pytest.mark.covers("SEC-06", "SEC-12")
def test_made_once_private_and_for_the_hosts_names(tmp_path: Path) -> None:
    context = server_context(tmp_path, PROFILE, "nvr.example", ("192.0.2.7", "::1"))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert stat.S_IMODE((tmp_path / "server.key").stat().st_mode) == 0o600
    first = (tmp_path / "server.crt").read_bytes()
    names = x509.load_pem_x509_certificate(first).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["nvr.example", "localhost"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "::1"]
    server_context(tmp_path, PROFILE, "nvr.example", ())
    assert (tmp_path / "server.crt").read_bytes() == first


@pytest.mark.covers("SEC-12")
def test_renewed_before_it_ends(tmp_path: Path) -> None:
    key, old = make_certificate(PROFILE, "nvr", (), datetime(2020, 1, 1, tzinfo=UTC))
    write_private(tmp_path / "server.key", key)
    write_private(tmp_path / "server.crt", old)
    server_context(tmp_path, PROFILE, "nvr", ())
    assert (tmp_path / "server.crt").read_bytes() != old
