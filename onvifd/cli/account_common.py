"""What the commands of both kinds of accounts share: ONVIF's and the console's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onvifd.cli.common import read_password

if TYPE_CHECKING:
    from onvifd.store.catalogue import Catalogue

Name = Annotated[str, typer.Argument(help="Name of the account.")]
Periods = Annotated[
    str | None,
    typer.Option(help="When it may sign in, like 'mon-fri 08:00-18:00; sat 09:00-12:00'; empty for always."),
]


def note(catalogue: Catalogue, action: str, detail: str) -> None:
    """Enter what was done here into the audit log."""
    import getpass

    from onvifd.access.audit import Kind, entry
    from onvifd.clock import SystemClock

    try:
        who = getpass.getuser()
    except (KeyError, OSError):
        who = ""  # a container may have no name for its user
    catalogue.audit.insert([entry(SystemClock().utc(), Kind.ACCOUNT, action, who, "", "cli", "done", detail)])


def new_password(variable: str, name: str, from_stdin: bool) -> str:
    """The password that an account shall have. Raises typer.BadParameter if nobody gives one."""
    password = read_password(variable, from_stdin, f"Password of {name}", confirm=True)
    if password is None:
        raise typer.BadParameter(f"give the password with --password-stdin, {variable} or at a terminal")
    return password


def confirm_removal(what: str, yes: bool) -> None:
    """Ask a person, unless `yes` was said already. Raises typer.Abort."""
    if not yes:
        typer.confirm(f"Remove {what}?", abort=True)
