"""`onvifd record`: what is recorded when, and how it stands. A running recorder follows within a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from onvifd.cli.common import AsJson, ConfigFile, Data, one_line_errors, print_json, print_table, settings

if TYPE_CHECKING:
    from onvifd.cameras.registry import Registry
    from onvifd.config import Config
    from onvifd.store.catalogue import Catalogue

app = typer.Typer(help="What is recorded when.", no_args_is_help=True)
snapshots = typer.Typer(help="Pictures by schedule and at events.", no_args_is_help=True)
app.add_typer(snapshots, name="snapshots")

ALL = "all"
Which = Annotated[str, typer.Argument(help="Id, channel number or name of a camera, or all.")]
One = Annotated[str, typer.Argument(help="Id, channel number or name of a camera.")]
StreamName = Annotated[str, typer.Option(help="main or sub.")]


@contextmanager
def opened(config: Config) -> Iterator[tuple[Catalogue, Registry]]:
    """The catalogue of an initialised recorder, and its cameras."""
    from onvifd.access.keyfile import load_key
    from onvifd.cameras.registry import Registry
    from onvifd.cli.setup import open_catalogue
    from onvifd.clock import SystemClock

    with open_catalogue(config) as catalogue:
        yield catalogue, Registry(catalogue, load_key(config.key_file), SystemClock(), limit=config.limits.cameras)


def chosen(registry: Registry, which: str) -> list[str]:
    """Ids of the cameras that are meant. Raises NotFound or Conflict."""
    if which == ALL:
        return [camera.id for camera in registry.all()]
    return [registry.find(which).id]


@app.command()
@one_line_errors
def status(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show for each channel whether it is recorded, why, and why not."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.recording.status import recording_of

    with opened(resolved) as (catalogue, registry):
        names = {camera.id: f"{camera.channel} {camera.name}" for camera in registry.all()}
        states = {row.recording: row for row in catalogue.policies.states()}
        policies = catalogue.policies.all()
    if json:
        print_json([asdict(row) | {"marks": row.marks.split(",") if row.marks else []} for row in states.values()])
        return
    order = [recording_of(policy.camera, policy.stream) for policy in policies]
    rows = [
        [
            names.get(row.camera, row.camera) or row.recording,
            row.stream or row.recording,
            row.mode,
            "yes" if row.active else "no",
            row.marks.replace(",", " ") or row.kind,
            row.reason,
        ]
        for token in dict.fromkeys((*order, *states))
        if (row := states.get(token)) is not None
    ]
    columns = ["Channel", "Stream", "Mode", "Recorded", "Types", "Why not"]
    print_table(columns, rows, empty="the recorder does not run, or has no cameras")


@app.command("show")
@one_line_errors
def show(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show how the streams of each channel are set to be recorded."""
    resolved = settings(data, config)
    from dataclasses import asdict

    with opened(resolved) as (catalogue, registry):
        names = {camera.id: f"{camera.channel} {camera.name}" for camera in registry.all()}
        policies = catalogue.policies.all()
    if json:
        print_json([asdict(policy) for policy in policies])
        return
    rows = [
        [
            names.get(each.camera, each.camera),
            each.stream,
            each.mode + (", started by hand" if each.manual else ""),
            f"{each.pre} s",
            f"{each.post} s",
            "yes" if each.audio else "no",
            "yes" if each.redundant else "no",
        ]
        for each in policies
    ]
    columns = ["Channel", "Stream", "Mode", "Before", "After", "Sound", "Second copy"]
    print_table(columns, rows, empty="there are no cameras")


@app.command()
@one_line_errors
def mode(
    which: Which,
    to: Annotated[str, typer.Argument(metavar="MODE", help="auto (by schedule), manual (always) or off.")],
    stream: StreamName = "main",
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Record by schedule, always, or never."""
    resolved = settings(data, config)
    from onvifd.recording.settings import Changes
    from onvifd.recording.types import Mode

    if to not in list(Mode):
        raise typer.BadParameter(f"modes are {', '.join(Mode)}")
    with opened(resolved) as (catalogue, registry):
        Changes(catalogue).set_mode(chosen(registry, which), stream, Mode(to))
    typer.echo(f"recording of {which} {stream}: {to}")


@app.command("set")
@one_line_errors
def set_(
    which: Which,
    stream: StreamName = "main",
    pre: Annotated[int | None, typer.Option(help="Seconds kept before an event, 0 to 60.")] = None,
    post: Annotated[int | None, typer.Option(help="Seconds recorded after an event, 5 to 300.")] = None,
    audio: Annotated[bool | None, typer.Option(help="Record sound.")] = None,
    redundant: Annotated[bool | None, typer.Option(help="Write a second copy to a redundant volume.")] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Change how a stream is recorded; what is not named stays."""
    resolved = settings(data, config)
    from dataclasses import replace

    from onvifd.recording.settings import Changes

    given = {"pre": pre, "post": post, "audio": audio, "redundant": redundant}
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        raise typer.BadParameter("name what is to be changed")
    with opened(resolved) as (catalogue, registry):
        Changes(catalogue).policies(
            lambda known: replace(known, **values),  # type: ignore[arg-type]
            chosen(registry, which),
            stream,
        )
    typer.echo(f"recording of {which} {stream} changed")


@app.command()
@one_line_errors
def start(which: Which, stream: StreamName = "main", data: Data = None, config: ConfigFile = None) -> None:
    """Record now, until it is stopped by hand; schedules are not asked."""
    _by_hand(settings(data, config), which, stream, True)
    typer.echo(f"recording of {which} {stream} started")


@app.command()
@one_line_errors
def stop(which: Which, stream: StreamName = "main", data: Data = None, config: ConfigFile = None) -> None:
    """End what was started by hand; what schedules and events ask for goes on."""
    _by_hand(settings(data, config), which, stream, False)
    typer.echo(f"recording of {which} {stream} is no longer recording by hand")


def _by_hand(config: Config, which: str, stream: str, on: bool) -> None:
    from onvifd.recording.settings import Changes

    with opened(config) as (catalogue, registry):
        Changes(catalogue).set_manual(chosen(registry, which), stream, on)


@app.command("one-click")
@one_line_errors
def one_click(
    name: Annotated[str, typer.Argument(help="motion, sensor, always+motion, always+motion+analytics, ...")],
    which: Annotated[str, typer.Argument(help="Id, channel number or name of a camera, or all.")] = ALL,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Record day and night by a ready-made mode; other schedules of these channels are given up."""
    resolved = settings(data, config)
    from onvifd.recording.schedule import one_click as week
    from onvifd.recording.settings import Changes

    with opened(resolved) as (catalogue, registry):
        Changes(catalogue).one_click(chosen(registry, which), week(name))
    typer.echo(f"recording of {which}: {name}")


@app.command()
@one_line_errors
def link(
    which: One,
    event: Annotated[str, typer.Argument(help="motion, alarm, intelligent or pos.")],
    others: Annotated[
        list[str] | None, typer.Argument(help="Cameras that such an event records as well; none ends it.")
    ] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Record other channels, too, when something happens on one. Their schedules must have that type armed."""
    resolved = settings(data, config)
    from onvifd.recording.settings import Changes
    from onvifd.recording.types import record_type

    with opened(resolved) as (catalogue, registry):
        targets = [camera for each in others or () for camera in chosen(registry, each)]
        Changes(catalogue).set_links(registry.find(which).id, record_type(event), targets)
    typer.echo(f"{event} of {which} records {', '.join(others or ()) or 'no others'}")


# ---- snapshots -----------------------------------------------------------------------------------


@snapshots.command("set")
@one_line_errors
def snapshots_set(
    which: Which,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Take snapshots.")] = None,
    stream: Annotated[str | None, typer.Option(help="main or sub.")] = None,
    interval: Annotated[int | None, typer.Option(help="Seconds between two while general is armed.")] = None,
    event_interval: Annotated[
        int | None, typer.Option(help="Seconds between two while an event lasts; 0 for one at its beginning.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="For how long they are kept; 0 for ever.")] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Change when snapshots are taken; what is not named stays. Their times: `record schedule set --snapshots`."""
    resolved = settings(data, config)
    from dataclasses import replace

    from onvifd.recording.settings import Changes, load
    from onvifd.store.rows import SnapshotPolicyRow

    given = {"enabled": on, "stream": stream, "interval": interval, "event_interval": event_interval, "days": days}
    values = {name: value for name, value in given.items() if value is not None}
    if not values:
        raise typer.BadParameter("name what is to be changed")
    with opened(resolved) as (catalogue, registry):
        known = load(catalogue).snapshots
        for camera in chosen(registry, which):
            row = known.get(camera, SnapshotPolicyRow(camera=camera))
            Changes(catalogue).set_snapshots(replace(row, **values))  # type: ignore[arg-type]
    typer.echo(f"snapshots of {which} changed")


@snapshots.command("list")
@one_line_errors
def snapshots_list(
    which: Which = ALL,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 20,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Show the newest snapshots."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.clock import isoformat

    with opened(resolved) as (catalogue, registry):
        cameras = () if which == ALL else chosen(registry, which)
        found = catalogue.snapshots.list(cameras=cameras, newest_first=True, limit=limit)
    if json:
        print_json([asdict(row) for row in found])
        return
    rows = [[isoformat(row.utc), row.camera, row.kind, row.volume, row.path, str(row.size)] for row in found]
    print_table(["Time", "Camera", "Type", "Volume", "File", "Bytes"], rows, empty="there are no snapshots")
