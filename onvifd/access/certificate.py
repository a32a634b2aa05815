"""The certificate of the HTTPS port: self-signed, made at first start after the profile `certs/server.toml`."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""TLS 1.2 suites of the security baseline; those of TLS 1.3 are fixed by the library."""

RENEW_BEFORE = timedelta(days=30)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _alternative_names(hostname: str, addresses: tuple[str, ...]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(hostname)]
    if hostname != "localhost":
        names.append(x509.DNSName("localhost"))
    names.extend(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)
    return names


def make_certificate(profile: bytes, hostname: str, addresses: tuple[str, ...], now: datetime) -> tuple[bytes, bytes]:
    """A new key and self-signed certificate, both PEM."""
    settings = tomllib.loads(profile.decode())
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, settings["organization"]),
            x509.NameAttribute(NameOID.COMMON_NAME, settings["common_name"].format(hostname=hostname)[:64]),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a client's clock may lag
        .not_valid_after(now + timedelta(days=settings["days"]))
        .add_extension(x509.SubjectAlternativeName(_alternative_names(hostname, addresses)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


def _usable(path: Path, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_after_utc - RENEW_BEFORE > now


def server_context(folder: Path, profile: bytes, hostname: str, addresses: tuple[str, ...]) -> ssl.SSLContext:
    """TLS context of the HTTPS port; makes key and certificate in `folder` when missing or about to end. Blocking."""
    now = datetime.now(UTC)
    key_path, certificate_path = folder / "server.key", folder / "server.crt"
    if not key_path.exists() or not _usable(certificate_path, now):
        key, certificate = make_certificate(profile, hostname, addresses, now)
        write_private(key_path, key)
        write_private(certificate_path, certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.load_cert_chain(certificate_path, key_path)
    return context
