"""A real mosquitto with all four kinds of listener."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.harness import free_ports

USER, PASSWORD = "recorder", "secret-of-the-broker"


@dataclass
class Mosquitto:
    """Ports by scheme; `ca_file` vouches for the TLS ones."""

    folder: Path
    ports: dict[str, int]
    ca_file: Path
    process: subprocess.Popen[bytes] | None = None

    def url(self, scheme: str) -> str:
        return f"{scheme}://localhost:{self.ports[scheme]}"

    async def start(self) -> None:
        binary = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        assert binary is not None
        self.process = subprocess.Popen(
            [binary, "-c", str(self.folder / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            for port in self.ports.values():
                while True:
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                    except OSError:
                        await asyncio.sleep(0.02)
                    else:
                        writer.close()
                        break

    async def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            await asyncio.to_thread(process.wait, 10)


def _certificates(folder: Path) -> None:
    """An authority and a server certificate for localhost."""
    now = datetime.datetime.now(datetime.UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "server")}
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    for name, subject, extension in (
        ("ca", issuer, x509.BasicConstraints(ca=True, path_length=None)),
        (
            "server",
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]),
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
        ),
    ):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(keys[name].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=name == "ca")
            .sign(keys["ca"], hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key = keys[name].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.key").write_bytes(key)


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        pytest.skip("mosquitto is not installed")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    _certificates(folder)
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), USER, PASSWORD], check=True)
    ports = dict(zip(("mqtt", "mqtts", "ws", "wss"), free_ports(4), strict=True))
    lines = ["allow_anonymous false", f"password_file {passwords}", "user root", "persistence false"]
    for scheme, port in ports.items():
        lines.append(f"listener {port} 127.0.0.1")
        if scheme.startswith("ws"):
            lines.append("protocol websockets")
        if scheme in ("mqtts", "wss"):
            lines += [f"certfile {folder / 'server.pem'}", f"keyfile {folder / 'server.key'}"]
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    made = Mosquitto(folder, ports, folder / "ca.pem")
    await made.start()
    yield made
    await made.stop()
