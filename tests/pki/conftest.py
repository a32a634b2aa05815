"""Makes certificates as an authority outside the recorder does, and a keystore to put them in."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from onvifd.access.keyfile import SecretBox
from onvifd.clock import SimulatedClock
from onvifd.pki.keystore import Keystore
from onvifd.store.catalogue import Catalogue


@pytest.fixture
def clock() -> SimulatedClock:
    """Its present is that of the machine, for TLS libraries look at the machine's clock."""
    return SimulatedClock(int((datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)))


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    found = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite3'}", migrate=True)
    yield found
    found.close()


@pytest.fixture
def box() -> SecretBox:
    return SecretBox(b"k" * 32)


@pytest.fixture
def keystore(catalogue: Catalogue, box: SecretBox, clock: SimulatedClock) -> Keystore:
    return Keystore(catalogue.security, box, clock)


@dataclass(frozen=True)
class OpenSsl:
    """The openssl command in a folder of its own."""

    folder: Path

    def __call__(self, *arguments: str, data: bytes = b"") -> bytes:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.folder, input=data, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def root(self, name: str = "ca", subject: str = "/C=US/CN=ONVIF TT", digest: str = "-sha256") -> None:
        """A self-signed authority: `name`.key, `name`.pem."""
        self("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", digest,
             "-subj", subject, "-days", "30", "-addext", "keyUsage=keyCertSign,cRLSign,digitalSignature")  # fmt: skip

    def issue(
        self, name: str, issuer: str = "ca", *, subject: str = "", extensions: str = "", digest: str = "-sha256"
    ) -> None:
        """A certificate for a new key: `name`.key, `name`.pem."""
        self("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
             "-subj", subject or f"/CN={name}")  # fmt: skip
        self.sign(name, issuer, extensions=extensions, digest=digest)

    def sign(self, name: str, issuer: str = "ca", *, extensions: str = "", digest: str = "-sha256") -> None:
        """The certificate `name`.pem for the request `name`.csr, with the extensions of the request."""
        (self.folder / f"{name}.ext").write_text(extensions)
        self("x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial",
             digest, "-days", "20", "-out", f"{name}.pem", "-extfile", f"{name}.ext", "-copy_extensions", "copy")  # fmt: skip

    def der(self, name: str) -> bytes:
        return self("x509", "-in", f"{name}.pem", "-outform", "DER")


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    folder = tmp_path / "openssl"
    folder.mkdir()
    return OpenSsl(folder)


Bundle = Callable[..., bytes]
