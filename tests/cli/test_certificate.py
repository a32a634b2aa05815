"""`onvifd certificate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cryptography import x509

from tests.cli.conftest import Run
from tests.pki.conftest import OpenSsl


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    made = OpenSsl(tmp_path / "openssl")
    made.folder.mkdir()
    made.root()
    made.issue("nvr", extensions="subjectAltName=DNS:nvr.example")
    return made


def listed(recorder: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(recorder("certificate", "list", "--json").output)
    return found


def presented(recorder: Run) -> list[str]:
    return [str(each["subject"]) for each in listed(recorder) if each["presented"]]


def good(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.covers("A039", "SEC-12")
def test_the_authority_can_be_exported_before_the_first_start(recorder: Run, tmp_path: Path) -> None:
    pem = x509.load_pem_x509_certificate(recorder("certificate", "export").stdout_bytes)
    assert pem.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    out = tmp_path / "ca.crt"
    good(recorder("certificate", "export", "--format", "der", "--out", str(out)))
    assert x509.load_der_x509_certificate(out.read_bytes()) == pem
    server = next(each for each in listed(recorder) if each["profile"] == "server-rsa")
    assert "localhost" in server["names"]
    one = x509.load_pem_x509_certificate(recorder("certificate", "export", server["id"]).stdout_bytes)
    assert one.subject != pem.subject
    assert "HTTPS" in good(recorder("certificate", "list"))
    assert recorder("certificate", "export", "nothing").exit_code == 1
    assert recorder("certificate", "export", "--format", "txt").exit_code == 2


@pytest.mark.covers("SEC-14")
def test_pkcs12_is_imported_and_replaced(recorder: Run, openssl: OpenSsl) -> None:
    file = openssl.folder / "nvr.p12"
    openssl("pkcs12", "-export", "-inkey", "nvr.key", "-in", "nvr.pem", "-out", "nvr.p12", "-passout", "pass:s3cret")
    wrong = recorder("certificate", "import", str(file), ONVIFD_CERTIFICATE_PASSPHRASE="other")
    assert (wrong.exit_code, wrong.output.count("\n")) == (1, 1)
    assert "CN=nvr" not in presented(recorder)
    good(recorder("certificate", "import", str(file), "--password-stdin", stdin="s3cret\n"))
    assert "CN=nvr" in presented(recorder)
    before = len(presented(recorder))
    openssl.issue("nvr")
    openssl("pkcs12", "-export", "-inkey", "nvr.key", "-in", "nvr.pem", "-out", "nvr.p12", "-passout", "pass:s3cret")
    good(recorder("certificate", "import", str(file), ONVIFD_CERTIFICATE_PASSPHRASE="s3cret"))
    assert len(presented(recorder)) == before


@pytest.mark.covers("SEC-14")
def test_pem_is_imported_with_its_key(recorder: Run, openssl: OpenSsl) -> None:
    chain = openssl.folder / "chain.pem"
    chain.write_bytes(openssl.read("nvr.pem") + openssl.read("ca.pem"))
    openssl("rsa", "-in", "nvr.key", "-aes128", "-passout", "pass:s3cret", "-out", "sealed.key")
    without = recorder("certificate", "import", str(chain))
    assert without.exit_code == 1
    assert "--key" in without.output
    key = str(openssl.folder / "sealed.key")
    assert recorder("certificate", "import", str(chain), "--key", key).exit_code == 1
    good(
        recorder(
            "certificate", "import", str(chain), "--key", key, "--no-assign", ONVIFD_CERTIFICATE_PASSPHRASE="s3cret"
        )
    )
    assert "CN=nvr" not in presented(recorder)
    other = openssl.folder / "both.pem"
    other.write_bytes(openssl.read("nvr.pem") + openssl.read("nvr.key"))
    good(recorder("certificate", "import", str(other)))
    assert "CN=nvr" in presented(recorder)


@pytest.mark.covers("SEC-12")
def test_renewal_by_hand(recorder: Run) -> None:
    authority = recorder("certificate", "export").stdout_bytes
    before = {each["id"] for each in listed(recorder) if each["presented"]}
    assert "server-ec, server-rsa" in good(recorder("certificate", "renew"))
    after = {each["id"] for each in listed(recorder) if each["presented"]}
    assert not before & after
    assert recorder("certificate", "export").stdout_bytes == authority
    assert "ca" in good(recorder("certificate", "renew", "--authority"))
    assert recorder("certificate", "export").stdout_bytes != authority
    assert len(listed(recorder)) == 3
