"""`onvifd init`."""

from __future__ import annotations

from typing import Annotated

import typer

from onvifd.cli.common import ConfigFile, Data, FromStdin, one_line_errors, read_password, settings

ADMIN_VARIABLE = "ONVIFD_ADMIN_PASSWORD"


@one_line_errors
def init(
    data: Data = None,
    config: ConfigFile = None,
    admin: Annotated[str, typer.Option(help="Name of the first administrator.")] = "admin",
    password_stdin: FromStdin = False,
    generate: Annotated[bool, typer.Option("--generate", help="Make a password without asking.")] = False,
) -> None:
    """Make a new recorder: data folder, key, catalogue and the first administrator.

    The password comes from --password-stdin, ONVIFD_ADMIN_PASSWORD or a prompt; without any of them, or with --generate, one
    is made and printed once. An existing recorder is left as it is.
    """
    resolved = settings(data, config)
    from onvifd.access.passwords import generate_password
    from onvifd.cli.setup import initialise

    given = None
    if not generate:
        given = read_password(ADMIN_VARIABLE, password_stdin, f"Password of {admin}", confirm=True)
    password = given if given is not None else generate_password()
    if not initialise(resolved, admin, password):
        typer.echo(f"{resolved.data} holds a recorder already; nothing was changed")
        return
    if not resolved.archive.volumes:
        resolved.volume_paths[0].mkdir(mode=0o700, exist_ok=True)
    typer.echo(f"new recorder in {resolved.data}, administrator {admin}")
    if given is None:
        typer.echo(f"password of {admin}: {password}   (shown this once)")
