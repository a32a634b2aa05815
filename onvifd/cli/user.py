"""`onvifd user`: the accounts with which VMS and people log in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onvifd.cli.common import (
    AsJson,
    ConfigFile,
    Data,
    FromStdin,
    Yes,
    one_line_errors,
    print_json,
    print_table,
    read_password,
    settings,
)

if TYPE_CHECKING:
    from onvifd.access.types import Level

PASSWORD_VARIABLE = "ONVIFD_USER_PASSWORD"
LEVELS = ("administrator", "operator", "user")

app = typer.Typer(help="Accounts with which VMS and people log in.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the account.")]


def _level(text: str) -> Level:
    from onvifd.access.types import Level

    if text.lower() not in LEVELS:
        raise typer.BadParameter(f"a level is one of {', '.join(LEVELS)}")
    return Level(text.capitalize())


def _password(name: str, from_stdin: bool) -> str:
    password = read_password(PASSWORD_VARIABLE, from_stdin, f"Password of {name}", confirm=True)
    if password is None:
        raise typer.BadParameter(f"give the password with --password-stdin, {PASSWORD_VARIABLE} or at a terminal")
    return password


@app.command()
@one_line_errors
def add(
    name: Name,
    level: Annotated[str, typer.Option(help="administrator, operator or user.")] = "operator",
    password_stdin: FromStdin = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Make an account. VMS want level operator: it may ask cameras for key frames."""
    chosen = _level(level)
    resolved = settings(data, config)
    from onvifd.access.accounts import NewAccount
    from onvifd.cli.setup import open_accounts

    with open_accounts(resolved) as accounts:
        password = _password(name, password_stdin)
        accounts.create([NewAccount(name=name, level=chosen, password=password)])
    typer.echo(f"account {name} made, level {chosen.value}")


@app.command("list")
@one_line_errors
def list_(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the accounts."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_accounts

    with open_accounts(resolved) as accounts:
        found = accounts.all()
    if json:
        print_json([{"name": account.name, "level": account.level.value} for account in found])
        return
    print_table(["Name", "Level"], [[one.name, one.level.value] for one in found], empty="there are no accounts")


@app.command()
@one_line_errors
def passwd(name: Name, password_stdin: FromStdin = False, data: Data = None, config: ConfigFile = None) -> None:
    """Change the password of an account."""
    resolved = settings(data, config)
    from onvifd.access.accounts import AccountChange
    from onvifd.cli.setup import open_accounts
    from onvifd.errors import NotFound

    with open_accounts(resolved) as accounts:
        if accounts.lookup(name) is None:
            raise NotFound(f"there is no account {name}", detail="UsernameMissing")
        accounts.change([AccountChange(name=name, password=_password(name, password_stdin))])
    typer.echo(f"password of {name} changed")


@app.command()
@one_line_errors
def remove(name: Name, yes: Yes = False, data: Data = None, config: ConfigFile = None) -> None:
    """Remove an account. The last administrator stays."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_accounts

    with open_accounts(resolved) as accounts:
        if not yes:
            typer.confirm(f"Remove account {name}?", abort=True)
        accounts.remove([name])
    typer.echo(f"account {name} removed")
