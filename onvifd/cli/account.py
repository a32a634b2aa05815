"""`onvifd account`, `onvifd group` and `onvifd audit`: who signs in at the console, what they may, and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
    from onvifd.access.permissions import ConsoleAccount, Permissions

PASSWORD_VARIABLE = "ONVIFD_ACCOUNT_PASSWORD"
MAX_LISTED = 1000

app = typer.Typer(help="Accounts of people who use the console.", no_args_is_help=True)
groups = typer.Typer(help="Groups of console accounts and their rights.", no_args_is_help=True)

GroupName = Annotated[str, typer.Argument(help="Name of the group.")]
Group = Annotated[str, typer.Option("--group", help="Its group.")]
Rights = Annotated[
    list[str] | None,
    typer.Option(
        "--right",
        help="accounts, storage, network, maintenance, onvif; or live, playback, export, ptz, record, configure for all "
        "cameras, and for one as live=cam-1a2b3c4d. May be repeated.",
    ),
]


def permissions_of(rights: list[str]) -> Permissions:
    """Rights as they are written on the command line. Raises InvalidArgument."""
    from onvifd.access.permissions import EVERYWHERE, RECORDER_RIGHTS, Permissions

    recorder: list[str] = []
    channels: dict[str, list[str]] = {}
    for text in rights:
        name, given, camera = text.partition("=")
        if not given and name in RECORDER_RIGHTS:
            recorder.append(name)
        else:
            channels.setdefault(name, []).append(camera if given else EVERYWHERE)
    return Permissions.of(recorder, channels)


def _written(permissions: Permissions) -> list[str]:
    """Rights as `permissions_of` takes them."""
    from onvifd.access.permissions import EVERYWHERE

    found: list[str] = sorted(permissions.recorder)
    for right, where in permissions.channels.items():
        found += [right] if EVERYWHERE in where else [f"{right}={camera}" for camera in sorted(where)]
    return [str(one) for one in found]


# ---- accounts


@app.command()
@one_line_errors
def add(
    name: Name,
    group: Group = "operators",
    periods: Periods = None,
    email: Annotated[str, typer.Option(help="Where it can be reached.")] = "",
    remark: Annotated[str, typer.Option(help="For people.")] = "",
    password_stdin: FromStdin = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Make an account for the console."""
    resolved = settings(data, config)
    from onvifd.access.periods import WeekPlan
    from onvifd.cli.setup import open_console

    with open_console(resolved) as accounts:
        plan = WeekPlan.parse(periods or "")
        password = new_password(PASSWORD_VARIABLE, name, password_stdin)
        accounts.create(name, group, password, periods=plan, email=email, remark=remark)
        note(accounts.catalogue, "made", f"console account {name}, group {group}")
    typer.echo(f"console account {name} made, group {group}")


def _shown(account: ConsoleAccount) -> dict[str, Any]:
    return {
        "name": account.name,
        "group": account.group,
        "enabled": account.enabled,
        "fixed": account.fixed,
        "periods": account.periods.format(),
        "email": account.email,
        "remark": account.remark,
        "rights": _written(account.permissions),
    }


@app.command("list")
@one_line_errors
def list_(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the accounts and what they may."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_console

    with open_console(resolved) as accounts:
        found = [_shown(account) for account in accounts.all()]
    if json:
        print_json(found)
        return
    columns = ["Name", "Group", "State", "Signs in", "Rights", "Remark"]
    rows = [
        [
            one["name"],
            one["group"],
            "enabled" if one["enabled"] else "disabled",
            one["periods"] or "always",
            ", ".join(one["rights"]),
            one["remark"],
        ]
        for one in found
    ]
    print_table(columns, rows, empty="there are no console accounts")


@app.command()
@one_line_errors
def passwd(name: Name, password_stdin: FromStdin = False, data: Data = None, config: ConfigFile = None) -> None:
    """Change the password of an account; its sessions end, and it is unlocked."""
    resolved = settings(data, config)
    from onvifd.access.console import ConsoleChange
    from onvifd.cli.setup import open_console
    from onvifd.errors import NotFound

    with open_console(resolved) as accounts:
        if accounts.lookup(name) is None:
            raise NotFound(f"there is no console account {name}")
        accounts.change(ConsoleChange(name=name, password=new_password(PASSWORD_VARIABLE, name, password_stdin)))
        note(accounts.catalogue, "password", f"console account {name}")
    typer.echo(f"password of console account {name} changed")


@app.command("set")
@one_line_errors
def set_(
    name: Name,
    group: Annotated[str | None, typer.Option("--group", help="Its group.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it may sign in.")] = None,
    periods: Periods = None,
    email: Annotated[str | None, typer.Option(help="Where it can be reached.")] = None,
    remark: Annotated[str | None, typer.Option(help="For people.")] = None,
    right: Rights = None,
    all_rights: Annotated[bool, typer.Option("--group-rights", help="All rights of its group again.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Change an account. With --right it has these of its group's rights only."""
    resolved = settings(data, config)
    from onvifd.access.console import ConsoleChange
    from onvifd.access.periods import WeekPlan
    from onvifd.cli.setup import open_console

    with open_console(resolved) as accounts:
        accounts.change(
            ConsoleChange(
                name=name,
                group=group,
                enabled=enabled,
                periods=WeekPlan.parse(periods) if periods is not None else None,
                email=email,
                remark=remark,
                own=permissions_of(right) if right and not all_rights else None,
                set_own=bool(right) or all_rights,
            )
        )
        note(accounts.catalogue, "changed", f"console account {name}")
    typer.echo(f"console account {name} changed")


@app.command()
@one_line_errors
def unlock(name: Name, data: Data = None, config: ConfigFile = None) -> None:
    """Let an account try again that was locked after wrong passwords."""
    resolved = settings(data, config)
    from onvifd.access.console import ConsoleChange
    from onvifd.cli.setup import open_console

    with open_console(resolved) as accounts:
        accounts.change(ConsoleChange(name=name))
        note(accounts.catalogue, "unlocked", f"console account {name}")
    typer.echo(f"console account {name} unlocked")


@app.command()
@one_line_errors
def remove(name: Name, yes: Yes = False, data: Data = None, config: ConfigFile = None) -> None:
    """Remove an account. The first administrator stays."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_console

    with open_console(resolved) as accounts:
        confirm_removal(f"console account {name}", yes)
        accounts.remove(name)
        note(accounts.catalogue, "removed", f"console account {name}")
    typer.echo(f"console account {name} removed")


# ---- groups


@groups.command("list")
@one_line_errors
def list_groups(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the groups and their rights."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_console

    with open_console(resolved) as accounts:
        found = [
            {
                "name": one.name,
                "builtin": one.builtin,
                "remark": one.remark,
                "rights": _written(one.permissions),
                "accounts": [account.name for account in accounts.all() if account.group == one.name],
            }
            for one in accounts.groups()
        ]
    if json:
        print_json(found)
        return
    rows = [[str(g["name"]), ", ".join(g["rights"]), ", ".join(g["accounts"]), str(g["remark"])] for g in found]  # type: ignore[arg-type]
    print_table(["Group", "Rights", "Accounts", "Remark"], rows, empty="there are no groups")


@groups.command("add")
@one_line_errors
def add_group(
    name: GroupName,
    right: Rights = None,
    copy: Annotated[str | None, typer.Option("--like", help="Begin with the rights of this group.")] = None,
    remark: Annotated[str, typer.Option(help="For people.")] = "",
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Make a group."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_console
    from onvifd.errors import NotFound

    with open_console(resolved) as accounts:
        rights = list(right or ())
        if copy is not None:
            like = next((one for one in accounts.groups() if one.name == copy), None)
            if like is None:
                raise NotFound(f"there is no group {copy}")
            rights += _written(like.permissions)
        accounts.put_group(name, permissions_of(rights), remark=remark, new=True)
        note(accounts.catalogue, "made", f"group {name}: {', '.join(rights)}")
    typer.echo(f"group {name} made")


@groups.command("set")
@one_line_errors
def set_group(
    name: GroupName,
    right: Rights = None,
    remark: Annotated[str | None, typer.Option(help="For people.")] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Give a group exactly these rights."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_console

    with open_console(resolved) as accounts:
        accounts.put_group(name, permissions_of(right or []), remark=remark)
        note(accounts.catalogue, "changed", f"group {name}: {', '.join(right or [])}")
    typer.echo(f"group {name} changed")


@groups.command("remove")
@one_line_errors
def remove_group(name: GroupName, yes: Yes = False, data: Data = None, config: ConfigFile = None) -> None:
    """Remove a group that has no accounts. The built-in ones stay."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_console

    with open_console(resolved) as accounts:
        confirm_removal(f"group {name}", yes)
        accounts.remove_group(name)
        note(accounts.catalogue, "removed", f"group {name}")
    typer.echo(f"group {name} removed")


# ---- audit


@one_line_errors
def audit(
    kind: Annotated[
        list[str] | None,
        typer.Option(help="login, logout, refused, locked, change, account or session; may be repeated."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only of this account.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on, like 2026-01-31T08:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="At most so many entries.")] = 100,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Show who did what and who was refused, the newest first."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.access.audit import Kind
    from onvifd.cli.setup import open_catalogue
    from onvifd.clock import isoformat

    known = [one.value for one in Kind]
    if any(one not in known for one in kind or ()):
        raise typer.BadParameter(f"kinds are {', '.join(known)}")
    with open_catalogue(resolved) as catalogue:
        found = catalogue.audit.find(start=_utc(since), end=_utc(until), kinds=kind or (), account=account, limit=limit)
    if json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        [
            isoformat(one.utc - one.utc % 1_000_000),
            one.kind,
            one.account,
            one.address,
            one.face,
            one.action,
            one.outcome + (f" ({one.count} times)" if one.count > 1 else ""),
            one.detail,
        ]
        for one in found
    ]
    columns = ["Time", "Kind", "Account", "Address", "Face", "Action", "Outcome", "Detail"]
    print_table(columns, rows, empty="nothing was entered")


def _utc(text: str | None) -> int | None:
    """A time as a person writes it; without a zone it is UTC."""
    if text is None:
        return None
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a time is written like 2026-01-31T08:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)
