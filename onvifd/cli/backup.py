"""`onvifd backup`: the configuration as an encrypted file, and back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from onvifd.cli.common import ConfigFile, Data, FromStdin, one_line_errors, read_password, settings

PASSWORD_VARIABLE = "ONVIFD_BACKUP_PASSWORD"

app = typer.Typer(
    help="The configuration as an encrypted file: cameras, accounts, keys, certificates, everything that was set.",
    no_args_is_help=True,
)


@app.command()
@one_line_errors
def password(
    clear: Annotated[bool, typer.Option("--clear", help="Encrypt with the recorder's own key again.")] = False,
    password_stdin: FromStdin = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Set the password of backups, also of those that are fetched by ONVIF. Without one only this recorder can restore them."""
    from onvifd.access.keyfile import load_key
    from onvifd.bodies.device_archive import set_password
    from onvifd.store.catalogue import Catalogue

    given = None if clear else _asked(password_stdin, confirm=True)
    chosen = settings(data, config)
    catalogue = Catalogue.open(chosen.database_url, timeout=chosen.database.timeout, migrate=True)
    try:
        set_password(catalogue.settings, load_key(chosen.key_file), given)
    finally:
        catalogue.close()


@app.command()
@one_line_errors
def create(
    file: Annotated[Path, typer.Argument(help="The file to write.")], data: Data = None, config: ConfigFile = None
) -> None:
    """Write a backup. It may be done while the recorder runs."""
    from importlib.metadata import version

    from onvifd.access.keyfile import load_key
    from onvifd.access.private_files import write_private
    from onvifd.bodies.device_archive import Premises, key_of, make, password_of, seal
    from onvifd.clock import SystemClock
    from onvifd.store.catalogue import Catalogue

    chosen = settings(data, config)
    premises = Premises(chosen.data, chosen.key_file)
    catalogue = Catalogue.open(chosen.database_url, timeout=chosen.database.timeout, migrate=True)
    try:
        secret = password_of(catalogue.settings, load_key(chosen.key_file))
        content = make(catalogue.configuration, premises, version=version("onvifd"), now=SystemClock().utc())
    finally:
        catalogue.close()
    write_private(file, seal(content, password=secret, key=key_of(premises)))
    typer.echo(f"{file} is encrypted with {'the password of backups' if secret else 'the key of this recorder'}")


@app.command()
@one_line_errors
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A backup.")],
    password_stdin: FromStdin = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Lay a backup ready: the recorder takes it over when it starts next. The data folder may be a new one."""
    from onvifd.bodies.device_archive import Premises, key_of, sealed_by_password, stage, unseal
    from onvifd.config import prepare_data_folder

    chosen = settings(data, config)
    prepare_data_folder(chosen)
    premises = Premises(chosen.data, chosen.key_file)
    archive = file.read_bytes()
    secret = _asked(password_stdin) if sealed_by_password(archive) else None
    key = key_of(premises) if chosen.key_file.exists() else b""
    stage(unseal(archive, password=secret, key=key), premises)
    typer.echo("the backup is taken over when the recorder starts next")


def _asked(from_stdin: bool, *, confirm: bool = False) -> str:
    found = read_password(PASSWORD_VARIABLE, from_stdin, "Password of the backup", confirm=confirm)
    os.environ.pop(PASSWORD_VARIABLE, None)
    if found is None:
        raise typer.BadParameter(f"give the password with --password-stdin, {PASSWORD_VARIABLE} or at a terminal")
    return found
