"""`onvifd record schedule`, `named` and `holiday`: times of the week and of the year at which something is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onvifd.cli.common import AsJson, ConfigFile, Data, one_line_errors, print_json, print_table, settings
from onvifd.cli.record import One, Which, chosen, opened

if TYPE_CHECKING:
    from onvifd.recording.schedule import Week

app = typer.Typer(help="Weekly schedules of channels.", no_args_is_help=True)
named = typer.Typer(help="Schedules with a name, to be assigned to record types.", no_args_is_help=True)
holiday = typer.Typer(help="Days on which the row of holidays holds.", no_args_is_help=True)

Day = Annotated[str, typer.Option("--day", help="mon, mon-fri, sat,sun, all or holiday.")]
Snapshots = Annotated[bool, typer.Option("--snapshots", help="The schedule of snapshots, not that of video.")]
PLAIN = "as the day"


def _purpose(snapshots: bool) -> str:
    from onvifd.store.schedules import SNAPSHOT, VIDEO

    return SNAPSHOT if snapshots else VIDEO


def _rows(week: Week) -> list[list[str]]:
    from onvifd.recording.schedule import DAYS, HOLIDAY, format_row

    rows = [[name, format_row(row)] for name, row in zip(DAYS, week.days, strict=True)]
    return [*rows, [HOLIDAY, PLAIN if week.holiday is None else format_row(week.holiday)]]


@app.command("show")
@one_line_errors
def show(
    which: One, snapshots: Snapshots = False, json: AsJson = False, data: Data = None, config: ConfigFile = None
) -> None:
    """Show the week of a channel, and the named schedules that take the place of its own times."""
    resolved = settings(data, config)
    from onvifd.recording.settings import load

    with opened(resolved) as (catalogue, registry):
        camera = registry.find(which).id
        kept = load(catalogue)
    week = kept.week(camera, _purpose(snapshots))
    assigned = {} if snapshots else {kind.value: name for kind, name in kept.assigned.get(camera, {}).items()}
    if json:
        print_json({"camera": camera, "week": dict(_rows(week)), "assigned": assigned})
        return
    print_table(["Day", "Periods"], _rows(week), empty="")
    for kind, name in sorted(assigned.items()):
        typer.echo(f"{kind}: {'never' if name is None else name}")


@app.command("set")
@one_line_errors
def set_(
    which: Which,
    day: Day = "all",
    period: Annotated[
        list[str] | None, typer.Option("--period", help="08:00-18:00=motion,alarm; up to six; none clears the day.")
    ] = None,
    as_days: Annotated[bool, typer.Option("--as-days", help="Holidays have no row of their own.")] = False,
    snapshots: Snapshots = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Give some days of a channel their periods; other days stay."""
    resolved = settings(data, config)
    from onvifd.recording.schedule import HOLIDAY_ROW, parse_days, parse_period
    from onvifd.recording.settings import Changes, load

    row = tuple(parse_period(text) for text in period or ())
    days = (HOLIDAY_ROW,) if as_days else parse_days(day)
    purpose = _purpose(snapshots)
    with opened(resolved) as (catalogue, registry):
        kept = load(catalogue)
        for camera in chosen(registry, which):
            week = kept.week(camera, purpose)
            for each in days:
                week = week.with_row(each, None if as_days else row)
            Changes(catalogue).set_week([camera], week, purpose)
    typer.echo(f"schedule of {which} changed")


@app.command("copy-day")
@one_line_errors
def copy_day(
    which: Which,
    source: Annotated[str, typer.Argument(help="The day to copy: mon, ..., sun or holiday.")],
    targets: Annotated[str, typer.Argument(help="The days that become like it: tue-fri, all, holiday.")],
    snapshots: Snapshots = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Copy a day of a channel to other days."""
    resolved = settings(data, config)
    from onvifd.recording.schedule import parse_days
    from onvifd.recording.settings import Changes, load

    days = parse_days(source)
    if len(days) != 1:
        raise typer.BadParameter("one day is copied")
    purpose = _purpose(snapshots)
    with opened(resolved) as (catalogue, registry):
        kept = load(catalogue)
        for camera in chosen(registry, which):
            week = kept.week(camera, purpose).copy_row(days[0], parse_days(targets))
            Changes(catalogue).set_week([camera], week, purpose)
    typer.echo(f"schedule of {which}: {source} copied to {targets}")


@app.command("copy")
@one_line_errors
def copy(
    source: One,
    targets: Annotated[list[str], typer.Argument(help="Cameras that get the same schedule, or all.")],
    snapshots: Snapshots = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Copy the schedule of a channel to others."""
    resolved = settings(data, config)
    from onvifd.recording.settings import Changes

    with opened(resolved) as (catalogue, registry):
        cameras = dict.fromkeys(camera for each in targets for camera in chosen(registry, each))
        Changes(catalogue).copy_week(registry.find(source).id, cameras, _purpose(snapshots))
    typer.echo(f"schedule of {source} copied to {', '.join(targets)}")


@app.command("assign")
@one_line_errors
def assign(
    which: Which,
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="general, motion, alarm, motion-and-alarm, ...")],
    name: Annotated[str, typer.Argument(help="A named schedule, none for never, own for the channel's own times.")],
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Let a named schedule say when a record type is armed."""
    resolved = settings(data, config)
    from onvifd.recording.settings import Changes
    from onvifd.recording.types import record_type

    wanted = None if name in ("none", "own") else name
    with opened(resolved) as (catalogue, registry):
        Changes(catalogue).assign(chosen(registry, which), record_type(kind), wanted, own=name == "own")
    typer.echo(f"{kind} of {which}: {name}")


# ---- named schedules -----------------------------------------------------------------------------


@named.command("list")
@one_line_errors
def named_list(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the named schedules."""
    resolved = settings(data, config)
    from onvifd.recording.settings import load

    with opened(resolved) as (catalogue, _):
        found = load(catalogue).named.values()
    if json:
        print_json([{"name": each.name, "fixed": each.fixed, "week": dict(_rows(each.week))} for each in found])
        return
    for each in found:
        typer.echo(f"{each.name}{' (fixed)' if each.fixed else ''}")
        print_table(["Day", "Periods"], _rows(each.week), empty="")


@named.command("set")
@one_line_errors
def named_set(
    name: Annotated[str, typer.Argument(help="Its name; one that is not there is made.")],
    day: Day = "all",
    period: Annotated[
        list[str] | None, typer.Option("--period", help="08:00-18:00; up to six; none clears the day.")
    ] = None,
    as_days: Annotated[bool, typer.Option("--as-days", help="Holidays have no row of their own.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Give some days of a named schedule their periods; other days stay."""
    resolved = settings(data, config)
    from onvifd.recording.schedule import HOLIDAY_ROW, NamedSchedule, Week, check_name, parse_days, parse_period
    from onvifd.recording.settings import Changes, load

    row = tuple(parse_period(text, typed=False) for text in period or ())
    with opened(resolved) as (catalogue, _):
        name = check_name(name)
        known = load(catalogue).named.get(name)
        week = known.week if known is not None else Week()
        for each in (HOLIDAY_ROW,) if as_days else parse_days(day):
            week = week.with_row(each, None if as_days else row)
        Changes(catalogue).put_named(NamedSchedule(name, week))
    typer.echo(f"schedule {name} {'changed' if known else 'made'}")


@named.command("remove")
@one_line_errors
def named_remove(name: str, data: Data = None, config: ConfigFile = None) -> None:
    """Remove a named schedule that is not assigned to any channel."""
    resolved = settings(data, config)
    from onvifd.recording.settings import Changes

    with opened(resolved) as (catalogue, _):
        Changes(catalogue).remove_named(name)
    typer.echo(f"schedule {name} removed")


# ---- holidays ------------------------------------------------------------------------------------


@holiday.command("list")
@one_line_errors
def holiday_list(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the holidays."""
    resolved = settings(data, config)
    from onvifd.recording.settings import load

    with opened(resolved) as (catalogue, _):
        found = load(catalogue).holidays
    as_json = [
        {
            "name": each.name,
            "first": each.first.isoformat(),
            "last": each.last.isoformat(),
            "yearly": each.yearly,
            "enabled": each.enabled,
        }
        for each in found
    ]
    if json:
        print_json(as_json)
        return
    rows = [
        [
            each.name,
            each.first.isoformat(),
            each.last.isoformat(),
            "yearly" if each.yearly else "once",
            "yes" if each.enabled else "no",
        ]
        for each in found
    ]
    print_table(["Name", "From", "To", "Repeats", "Enabled"], rows, empty="there are no holidays")


@holiday.command("add")
@one_line_errors
def holiday_add(
    name: str,
    first: Annotated[str, typer.Argument(help="First day, 2026-12-24.")],
    last: Annotated[str | None, typer.Argument(help="Last day; the first if left out.")] = None,
    yearly: Annotated[bool, typer.Option(help="Every year on these days, or once.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Add a holiday."""
    resolved = settings(data, config)
    from onvifd.recording.holidays import Holiday, parse_date
    from onvifd.recording.settings import Changes

    made = Holiday(name=name, first=parse_date(first), last=parse_date(last or first), yearly=yearly)
    with opened(resolved) as (catalogue, _):
        Changes(catalogue).add_holiday(made)
    typer.echo(f"holiday {name} added")


@holiday.command("change")
@one_line_errors
def holiday_change(
    name: str,
    first: Annotated[str | None, typer.Option(help="First day.")] = None,
    last: Annotated[str | None, typer.Option(help="Last day.")] = None,
    yearly: Annotated[bool | None, typer.Option("--yearly/--once", help="Every year, or once.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether it counts.")] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Change a holiday; what is not named stays."""
    resolved = settings(data, config)
    from dataclasses import replace

    from onvifd.recording.holidays import Holiday, parse_date
    from onvifd.recording.settings import Changes

    def change(known: Holiday) -> Holiday:
        return replace(
            known,
            first=parse_date(first) if first else known.first,
            last=parse_date(last) if last else known.last,
            yearly=known.yearly if yearly is None else yearly,
            enabled=known.enabled if enabled is None else enabled,
        )

    with opened(resolved) as (catalogue, _):
        Changes(catalogue).change_holiday(name, change)
    typer.echo(f"holiday {name} changed")


@holiday.command("remove")
@one_line_errors
def holiday_remove(name: str, data: Data = None, config: ConfigFile = None) -> None:
    """Remove a holiday."""
    resolved = settings(data, config)
    from onvifd.recording.settings import Changes

    with opened(resolved) as (catalogue, _):
        Changes(catalogue).remove_holiday(name)
    typer.echo(f"holiday {name} removed")
