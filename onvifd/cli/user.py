"""`onvifd user`: the ONVIF accounts, with which VMS log in. People have console accounts (`onvifd account`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onvifd.cli.account_common import Name, Periods, confirm_removal, new_password, note
from onvifd.cli.common import (
    AsJson,
    ConfigFile,
    Data,
    FromStdin,
    Yes,
    one_line_errors,
    print_json,
    print_table,
    settings,
)

if TYPE_CHECKING:
    from onvifd.access.types import Level

PASSWORD_VARIABLE = "ONVIFD_USER_PASSWORD"
LEVELS = ("administrator", "operator", "user")

app = typer.Typer(help="ONVIF accounts, with which VMS log in.", no_args_is_help=True)


def _level(text: str) -> Level:
    from onvifd.access.types import Level

    if text.lower() not in LEVELS:
        raise typer.BadParameter(f"a level is one of {', '.join(LEVELS)}")
    return Level(text.capitalize())


@app.command()
@one_line_errors
def add(
    name: Name,
    level: Annotated[str, typer.Option(help="administrator, operator or user.")] = "operator",
    periods: Periods = None,
    password_stdin: FromStdin = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Make an account. VMS want level operator: it may ask cameras for key frames."""
    chosen = _level(level)
    resolved = settings(data, config)
    from onvifd.access.accounts import NewAccount
    from onvifd.access.periods import WeekPlan
    from onvifd.cli.setup import open_accounts

    with open_accounts(resolved) as accounts:
        plan = WeekPlan.parse(periods or "")
        password = new_password(PASSWORD_VARIABLE, name, password_stdin)
        accounts.create([NewAccount(name=name, level=chosen, password=password, periods=plan)])
        note(accounts.catalogue, "made", f"{name}, {chosen.value}")
    typer.echo(f"account {name} made, level {chosen.value}")


@app.command("list")
@one_line_errors
def list_(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the accounts."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_accounts

    with open_accounts(resolved) as accounts:
        found = accounts.all()
        rows = accounts.rows()
    if json:
        print_json(
            [
                {
                    "name": one.name,
                    "level": one.level.value,
                    "fixed": rows[one.name].fixed,
                    "periods": rows[one.name].periods,
                }
                for one in found
            ]
        )
        return
    print_table(
        ["Name", "Level", "Logs in"],
        [[one.name, one.level.value, rows[one.name].periods or "always"] for one in found],
        empty="there are no accounts",
    )


@app.command()
@one_line_errors
def passwd(name: Name, password_stdin: FromStdin = False, data: Data = None, config: ConfigFile = None) -> None:
    """Change the password of an account, and unlock it."""
    resolved = settings(data, config)
    from onvifd.access.accounts import AccountChange
    from onvifd.cli.setup import open_accounts
    from onvifd.errors import NotFound

    with open_accounts(resolved) as accounts:
        if accounts.lookup(name) is None:
            raise NotFound(f"there is no account {name}", detail="UsernameMissing")
        accounts.change([AccountChange(name=name, password=new_password(PASSWORD_VARIABLE, name, password_stdin))])
        note(accounts.catalogue, "password", name)
    typer.echo(f"password of {name} changed")


@app.command("set")
@one_line_errors
def set_(
    name: Name,
    level: Annotated[str | None, typer.Option(help="administrator, operator or user.")] = None,
    periods: Periods = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Change the level of an account, or when it may log in."""
    chosen = _level(level) if level is not None else None
    resolved = settings(data, config)
    from onvifd.access.accounts import AccountChange
    from onvifd.access.periods import WeekPlan
    from onvifd.cli.setup import open_accounts

    with open_accounts(resolved) as accounts:
        plan = WeekPlan.parse(periods) if periods is not None else None
        accounts.change([AccountChange(name=name, level=chosen, periods=plan)])
        note(accounts.catalogue, "changed", name)
    typer.echo(f"account {name} changed")


@app.command()
@one_line_errors
def unlock(name: Name, data: Data = None, config: ConfigFile = None) -> None:
    """Let an account try again that was locked after wrong passwords."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_accounts

    with open_accounts(resolved) as accounts:
        accounts.unlock(name)
        note(accounts.catalogue, "unlocked", name)
    typer.echo(f"account {name} unlocked")


@app.command()
@one_line_errors
def remove(name: Name, yes: Yes = False, data: Data = None, config: ConfigFile = None) -> None:
    """Remove an account. The first administrator stays."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_accounts

    with open_accounts(resolved) as accounts:
        confirm_removal(f"account {name}", yes)
        accounts.remove([name])
        note(accounts.catalogue, "removed", name)
    typer.echo(f"account {name} removed")
