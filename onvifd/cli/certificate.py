"""`onvifd certificate`: what HTTPS presents, and the authority that a VMS trusts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onvifd.cli.common import (
    AsJson,
    ConfigFile,
    Data,
    FromStdin,
    one_line_errors,
    print_json,
    print_table,
    read_password,
    settings,
)

if TYPE_CHECKING:
    from onvifd.config import Config
    from onvifd.pki.device import DeviceCertificates
    from onvifd.pki.keystore import Keystore

PASSPHRASE_VARIABLE = "ONVIFD_CERTIFICATE_PASSPHRASE"

app = typer.Typer(help="Certificates of HTTPS, and the authority that a VMS trusts.", no_args_is_help=True)

Out = Annotated[
    Path | None, typer.Option("--out", "-o", dir_okay=False, help="File to write; standard output without.")
]


@contextmanager
def _open(config: Config) -> Iterator[tuple[Keystore, DeviceCertificates]]:
    from onvifd.access.keyfile import load_key
    from onvifd.bodies.tls import certificates
    from onvifd.cli.setup import open_catalogue
    from onvifd.clock import SystemClock

    with open_catalogue(config) as catalogue:
        yield certificates(catalogue, load_key(config.key_file), SystemClock())


def _prepared(config: Config, keystore: Keystore, own: DeviceCertificates) -> None:
    """Make the recorder's own certificates if it never ran."""
    from onvifd.bodies.tls import host_names
    from onvifd.pki.device import authority

    if authority(keystore.load()) is None:
        own.ensure(host_names(config.network.host), enabled=config.network.https)


@app.command()
@one_line_errors
def export(
    certificate: Annotated[str, typer.Argument(help="Id of a certificate; the recorder's authority without.")] = "",
    form: Annotated[str, typer.Option("--format", help="pem or der.")] = "pem",
    out: Out = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Write a certificate: the recorder's own authority, which a VMS imports, or one from the list. Never a private key."""
    if form not in ("pem", "der"):
        raise typer.BadParameter("a format is pem or der")
    resolved = settings(data, config)
    from cryptography.hazmat.primitives import serialization

    from onvifd.errors import NotFound
    from onvifd.pki.device import authority
    from onvifd.pki.rows import certificate_of, find

    with _open(resolved) as (keystore, own):
        _prepared(resolved, keystore, own)
        state = keystore.load()
    found = certificate_of(find(state.certificates, certificate, "CertificateID")) if certificate else authority(state)
    if found is None:
        raise NotFound("there is no certificate")
    encoding = serialization.Encoding.PEM if form == "pem" else serialization.Encoding.DER
    content = found.public_bytes(encoding)
    if out is None:
        sys.stdout.buffer.write(content)
    else:
        out.write_bytes(content)
        typer.echo(f"{found.subject.rfc4514_string()} written to {out}")


@app.command("list")
@one_line_errors
def list_(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the certificates, and which of them HTTPS presents."""
    resolved = settings(data, config)
    from onvifd.pki.issue import names_of
    from onvifd.pki.rows import certificate_of

    with _open(resolved) as (keystore, own):
        _prepared(resolved, keystore, own)
        state = keystore.load()
    presented = {state.paths[path].certificates[0] for path in state.tls.paths}
    found = []
    for row in state.certificates.values():
        content = certificate_of(row)
        found.append(
            {
                "id": row.id,
                "alias": row.alias or "",
                "subject": content.subject.rfc4514_string(),
                "names": sorted(names_of(content)),
                "until": content.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "private_key": state.keys[row.key].private is not None,
                "presented": row.id in presented,
                "profile": row.role,
            }
        )
    if json:
        print_json(found)
        return
    rows = [
        [str(each["id"]), str(each["subject"]), str(each["until"])[:10], "yes" if each["private_key"] else "no",
         "HTTPS" if each["presented"] else str(each["profile"])]
        for each in found
    ]  # fmt: skip
    print_table(["Id", "Subject", "Until", "Key", "Use"], rows, empty="there are no certificates")


@app.command("import")
@one_line_errors
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="PKCS#12 file, or certificates in PEM.")],
    key: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Private key in PEM, if it is in a file of its own."),
    ] = None,
    assign: Annotated[bool, typer.Option(help="Present it on HTTPS from now on.")] = True,
    password_stdin: FromStdin = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Take over a certificate with its private key. A file of the same name replaces what was imported from it before.

    The passphrase comes from --password-stdin, ONVIFD_CERTIFICATE_PASSPHRASE or a prompt.
    """
    resolved = settings(data, config)
    content = file.read_bytes()
    with _open(resolved) as (keystore, own):
        _prepared(resolved, keystore, own)
        passphrase = read_password(PASSPHRASE_VARIABLE, password_stdin, f"Passphrase of {key or file}")
        if b"-----BEGIN" in content[:4096]:
            content = _from_pem(content + (key.read_bytes() if key else b""), passphrase)
            passphrase = None
        path, _ = keystore.upload_pkcs12(
            content, file.stem, file.stem, first_only=False, passphrases=(passphrase, passphrase)
        )
        if assign:
            _present(keystore, path)
    typer.echo(f"{file.name} imported as {path}" + (", presented on HTTPS" if assign else ""))


def _present(keystore: Keystore, path: str) -> None:
    """Assign a path, in the place of one that was imported from a file of the same name."""
    from onvifd.pki.assignment import Assignment

    state = keystore.load()
    name = state.paths[path].alias
    former = next((each for each in state.tls.paths if state.paths[each].alias == name), None)
    if former is None:
        Assignment(keystore).add_path(path)
        return
    Assignment(keystore).replace_path(former, path)
    keystore.delete_path(former)


def _from_pem(content: bytes, passphrase: str | None) -> bytes:
    """Certificates and key in PEM as a PKCS#12 structure in memory. Raises InvalidArgument."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12

    from onvifd.errors import InvalidArgument

    begin = content.find(b"PRIVATE KEY-----")
    start = content.rfind(b"-----BEGIN", 0, begin) if begin >= 0 else -1
    if start < 0:
        raise InvalidArgument("there is no private key: give it with --key")
    try:
        certificates = x509.load_pem_x509_certificates(content)
        secret = passphrase.encode() if passphrase and b"ENCRYPTED" in content[start:] else None
        private = serialization.load_pem_private_key(content[start:], secret)
        return pkcs12.serialize_key_and_certificates(
            None,
            private,  # type: ignore[arg-type]
            certificates[0],
            certificates[1:],
            serialization.NoEncryption(),
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidArgument(f"the file cannot be read: {error}") from None


@app.command()
@one_line_errors
def renew(
    authority: Annotated[
        bool, typer.Option("--authority", help="The authority as well; VMS must import it anew.")
    ] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Make the recorder's own certificates anew, for the present names and addresses of the host."""
    resolved = settings(data, config)
    from onvifd.bodies.tls import host_names

    with _open(resolved) as (_, own):
        names = host_names(resolved.network.host)
        made = own.ensure(names, enabled=resolved.network.https, force=True, force_authority=authority)
    typer.echo(f"made anew: {', '.join(made)}" if made else "HTTPS presents no certificate of the recorder's own")
