"""`onvifd volume`: volumes, what is stored on which for how long, and the upkeep of what lies on them.

All of it works while the recorder runs (it follows within a second) and while it stands still.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onvifd.cli.common import (
    AsJson,
    ConfigFile,
    Data,
    Yes,
    one_line_errors,
    print_json,
    print_table,
    settings,
    waiting,
)

if TYPE_CHECKING:
    from onvifd.archive.disk import Volume
    from onvifd.config import Config
    from onvifd.store.catalogue import Catalogue
    from onvifd.store.rows import VolumeRow

MAX_SHOWN = 1000
"""Findings that are shown; a volume that was lost has one for every file."""
INITIALISE_WAIT = 30.0
"""Seconds for a running recorder to leave a volume alone."""

app = typer.Typer(help="Volumes: folders that hold footage.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="Id, name or path of a volume.")]


def find(catalogue: Catalogue, which: str) -> VolumeRow:
    """A volume by id, path or name. Raises NotFound."""
    from onvifd.errors import NotFound

    rows = catalogue.volumes.all()
    path = str(Path(which).resolve()) if "/" in which else which
    for key in ("id", "path", "name"):
        for row in rows:
            if getattr(row, key) in (which, path):
                return row
    raise NotFound(f"there is no volume {which}")


def _active(catalogue: Catalogue, config: Config) -> tuple[VolumeRow, ...]:
    from onvifd.volumes.register import active_rows

    return active_rows(catalogue, [str(path) for path in config.volume_paths])


def _volume(row: VolumeRow) -> Volume:
    from onvifd.archive.disk import Volume

    return Volume(row.id, Path(row.path), row.uuid)


def _now() -> int:
    from onvifd.clock import SystemClock

    return SystemClock().utc()


def statuses(catalogue: Catalogue, config: Config) -> list[Any]:
    """The state of all volumes, looked at now."""
    from onvifd.volumes.look import look
    from onvifd.volumes.model import INITIALISING, Access, VolumeState, VolumeStatus, load_options
    from onvifd.volumes.state import Circumstances, judge

    options, used = load_options(catalogue.settings), catalogue.upkeep.volume_bytes()
    found = []
    for row in _active(catalogue, config):
        access = Access(row.access)
        seen = look(Path(row.path), row.uuid, access, probe=False)
        segments, size = used.get(row.id, (0, 0))
        about = Circumstances(
            access=access,
            overwrite=options.overwrite,
            reserve=config.archive.reserve_percent / 100,
            max_bytes=row.max_bytes,
            used=size,
            locked_up=False,
        )
        state, reason = judge(seen, about, None)
        if row.uuid == INITIALISING:
            state, reason = VolumeState.INITIALISING, "it is being made anew"
        found.append(
            VolumeStatus(
                id=row.id,
                name=row.name,
                path=row.path,
                uuid=row.uuid,
                access=access,
                group=row.group,
                state=state,
                reason=reason,
                total=seen.total,
                free=seen.free,
                used=size,
                segments=segments,
                max_bytes=row.max_bytes,
                low=bool(seen.total) and seen.free < seen.total * options.low_percent / 100,
            )
        )
    return found


@app.command("list")
@one_line_errors
def list_(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the volumes: state, property, group, space, and the dates that they hold."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.bodies.storage_report import size
    from onvifd.cli.setup import open_catalogue
    from onvifd.clock import isoformat

    with open_catalogue(resolved) as catalogue:
        found = statuses(catalogue, resolved)
        times = {each.id: catalogue.upkeep.volume_times(each.id) for each in found}
    if json:
        print_json(
            [{**asdict(each), "times": [isoformat(t) for t in times[each.id] or ()], "health": None} for each in found]
        )
        return
    rows = []
    for each in found:
        held = times[each.id]
        rows.append(
            [
                each.id,
                each.name,
                each.path,
                each.state.value + (f": {each.reason}" if each.reason else "") + (", low space" if each.low else ""),
                each.access.value,
                str(each.group),
                size(each.used),
                f"{size(each.free)} of {size(each.total)}",
                " to ".join(isoformat(t)[:10] for t in held) if held else "",
            ]
        )
    columns = ["Id", "Name", "Path", "State", "Property", "Group", "Footage", "Free", "Dates"]
    print_table(columns, rows, empty="there are no volumes")


@app.command()
@one_line_errors
def add(
    path: Annotated[Path, typer.Argument(help="Folder, the root of a disk of its own as a rule.")],
    name: Annotated[str, typer.Option(help="Name for people.")] = "",
    access: Annotated[str, typer.Option("--property", help="read-write, read-only or redundant.")] = "read-write",
    group: Annotated[int, typer.Option(min=1, max=64, help="Group of volumes.")] = 1,
    max_bytes: Annotated[int, typer.Option(min=0, help="Most bytes it may hold; 0 for all but the reserve.")] = 0,
    init: Annotated[bool, typer.Option("--init", help="Make it a volume though other things lie in it.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Add a folder as a volume. An empty one is initialised; one that is a volume is taken as it is (see rebuild)."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_catalogue
    from onvifd.volumes import register

    with open_catalogue(resolved) as catalogue:
        row = register.add(
            catalogue,
            path.absolute(),
            _now(),
            name=name,
            access=_access(access),
            group=group,
            max_bytes=max_bytes,
            initialise=init,
        )
    typer.echo(f"volume {row.id} added: {row.path}")


def _access(text: str) -> Any:
    from onvifd.volumes.model import Access

    try:
        return Access(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is none of {', '.join(Access)}") from None


@app.command()
@one_line_errors
def remove(
    which: Which,
    forget: Annotated[bool, typer.Option("--forget", help="Forget the footage on it too; its files stay.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Take a volume out of use. Its files are left as they are, and can be taken in again."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_catalogue
    from onvifd.errors import Conflict

    with open_catalogue(resolved) as catalogue:
        row = find(catalogue, which)
        if row.path in {str(path) for path in resolved.volume_paths}:
            raise Conflict(f"volume {row.id} is named in the settings (archive.volumes): take it out there")
        count = catalogue.volumes.remove(row.id, forget=forget)
    typer.echo(f"volume {row.id} removed, {count} segments forgotten")


@app.command("set")
@one_line_errors
def set_(
    which: Which,
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    access: Annotated[str | None, typer.Option("--property", help="read-write, read-only or redundant.")] = None,
    max_bytes: Annotated[
        int | None, typer.Option(min=0, help="Most bytes it may hold; 0: all but the reserve.")
    ] = None,
    path: Annotated[Path | None, typer.Option(help="Where it is now.")] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Change what a volume is for, or where it is. Nothing that is on it is lost."""
    resolved = settings(data, config)
    from onvifd.archive.marker import is_marked
    from onvifd.cli.setup import open_catalogue
    from onvifd.errors import Conflict

    with open_catalogue(resolved) as catalogue:
        row = find(catalogue, which)
        named = row.path in {str(each) for each in resolved.volume_paths}
        if named and (path is not None or max_bytes is not None):
            raise Conflict(f"volume {row.id} is named in the settings: its path and archive.max_bytes are set there")
        values: dict[str, Any] = {}
        if name is not None:
            values["name"] = name[:64]
        if access is not None:
            values["access"] = _access(access).value
        if max_bytes is not None:
            values["max_bytes"] = max_bytes
        if path is not None:
            if not is_marked(path.absolute(), row.uuid):
                raise Conflict(f"{path} does not hold volume {row.id}")
            values["path"] = str(path.resolve())
        if not values:
            raise typer.BadParameter("say what is to be changed")
        catalogue.volumes.change(row.id, **values)
        promoted = catalogue.upkeep.promote(row.id) if values.get("access") in ("read-write", "read-only") else 0
    if promoted:
        typer.echo(f"{promoted} second copies are played now: what they were copies of is gone")
    typer.echo(f"volume {row.id} changed")


@app.command()
@one_line_errors
def init(
    which: Which,
    erase: Annotated[bool, typer.Option("--erase", help="Delete footage and snapshots on it for good.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Mark the folder as this volume again, with all that is in it.")
    ] = False,
    yes: Yes = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Make a volume anew. Refused while it holds footage, unless --erase (or --keep) says what to do with it."""
    import time

    resolved = settings(data, config)
    from onvifd.cli.setup import open_catalogue
    from onvifd.errors import Unavailable
    from onvifd.volumes import register

    with open_catalogue(resolved) as catalogue:
        row = find(catalogue, which)
        if keep:
            register.mark(catalogue, row, _now())
            typer.echo(f"volume {row.id} is marked; onvifd volume rebuild takes in what is on it")
            return
        register.check_erasable(catalogue, row, erase=erase, now=_now())
        if erase and not yes:
            typer.confirm(f"Delete all footage and snapshots on {row.id} ({row.path}) for good?", abort=True)
        register.begin_initialising(catalogue, row)
        until = time.monotonic() + INITIALISE_WAIT
        with waiting("waiting until nothing is written to it"):
            while any(each.volume == row.id for each in catalogue.segments.open()):
                if time.monotonic() > until:
                    catalogue.volumes.change(row.id, uuid=row.uuid)
                    raise Unavailable(f"volume {row.id} is still being written")
                time.sleep(0.5)
        with waiting("erasing"):
            count = register.finish_initialising(catalogue, row, _now())
    typer.echo(f"volume {row.id} initialised, {count} files deleted")


# ---- what is stored where ------------------------------------------------------------------------------


@app.command()
@one_line_errors
def group(
    number: Annotated[int | None, typer.Argument(min=1, max=64, help="Group; without, all are shown.")] = None,
    volume: Annotated[list[str] | None, typer.Option(help="Volume to move into the group; may be repeated.")] = None,
    recording: Annotated[
        list[str] | None, typer.Option(help="Recording (or snapshots-<camera>) to store there; may be repeated.")
    ] = None,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Show groups, or move volumes and recordings into one. What was recorded stays where it is."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_catalogue
    from onvifd.errors import Conflict
    from onvifd.volumes.model import Mode, load_options

    with open_catalogue(resolved) as catalogue:
        if number is not None:
            if load_options(catalogue.settings).mode is not Mode.GROUPS:
                raise Conflict("recordings have quotas, not groups: onvifd volume policy --mode groups")
            rows = [find(catalogue, each) for each in volume or ()]
            rules = [
                replace(catalogue.storage_rules.get(_owner(catalogue, each)), group=number) for each in recording or ()
            ]
            for row in rows:
                catalogue.volumes.change(row.id, group=number)
            if rules:
                catalogue.storage_rules.put(rules)
            if rules and not any(
                row.group == number and row.access == "read-write" for row in _active(catalogue, resolved)
            ):
                typer.echo(f"group {number} has no volume to record to: its recordings will not be written", err=True)
        shown = _groups(catalogue, resolved)
    if json:
        print_json(shown)
        return
    table = [[str(each["group"]), ", ".join(each["volumes"]), ", ".join(each["recordings"])] for each in shown]
    print_table(["Group", "Volumes", "Recordings"], table, empty="there are no groups")


def _owner(catalogue: Catalogue, text: str) -> str:
    """A recording, or the snapshots of a camera. Raises NotFound."""
    from onvifd.volumes.model import snapshots_of

    cameras = {camera.id for camera in catalogue.cameras.all()}
    if any(text == snapshots_of(camera) for camera in cameras) or text in {f"rec-{each}-sub" for each in cameras}:
        return text
    return catalogue.recordings.get(text).token


def _groups(catalogue: Catalogue, config: Config) -> list[dict[str, Any]]:
    from onvifd.volumes.model import DEFAULT_GROUP

    groups: dict[int, dict[str, Any]] = {}

    def of(number: int) -> dict[str, Any]:
        return groups.setdefault(number, {"group": number, "volumes": [], "recordings": []})

    of(DEFAULT_GROUP)
    for row in _active(catalogue, config):
        of(row.group)["volumes"].append(row.id)
    rules = {rule.owner: rule.group for rule in catalogue.storage_rules.all()}
    for token in [row.token for row in catalogue.recordings.all()]:
        of(rules.pop(token, DEFAULT_GROUP))["recordings"].append(token)
    for owner, number in rules.items():
        of(number)["recordings"].append(owner)
    return [groups[number] for number in sorted(groups)]


@app.command()
@one_line_errors
def quota(
    recording: Annotated[list[str] | None, typer.Argument(help="Recordings; without, all quotas are shown.")] = None,
    size: Annotated[int | None, typer.Option("--bytes", min=0, help="Most bytes it may take; 0 for no quota.")] = None,
    days: Annotated[
        int | None, typer.Option(min=0, max=360, help="Most days that it is kept; 0 for unlimited.")
    ] = None,
    default_days: Annotated[bool, typer.Option("--default-days", help="Kept as long as the settings say.")] = False,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Show or set how much of a recording is kept: days always, bytes where quotas are used instead of groups."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.cli.setup import open_catalogue
    from onvifd.errors import Conflict, InvalidArgument
    from onvifd.volumes.model import Mode, load_options, snapshots_of

    with open_catalogue(resolved) as catalogue:
        if recording:
            if size is None and days is None and not default_days:
                raise typer.BadParameter("say --bytes, --days or --default-days")
            if size and load_options(catalogue.settings).mode is not Mode.QUOTAS:
                raise Conflict("recordings have groups, not quotas: onvifd volume policy --mode quotas")
            rules = []
            for each in recording:
                owner = _owner(catalogue, each)
                if owner.startswith(snapshots_of("")):
                    raise InvalidArgument("how long snapshots are kept is said by onvifd record snapshots set --days")
                rule = catalogue.storage_rules.get(owner)
                rule = rule if size is None else replace(rule, quota=size)
                rule = rule if days is None else replace(rule, days=days)
                rules.append(replace(rule, days=None) if default_days else rule)
            catalogue.storage_rules.put(rules)
        shown = catalogue.storage_rules.all()
    if json:
        print_json([asdict(rule) for rule in shown])
        return
    table = [
        [
            rule.owner,
            str(rule.quota or ""),
            {None: "as the settings say", 0: "unlimited"}.get(rule.days, str(rule.days)),
        ]
        for rule in shown
    ]
    print_table(["Recording", "Bytes", "Days"], table, empty="there are no quotas")


@app.command()
@one_line_errors
def policy(
    full: Annotated[str | None, typer.Option(help="overwrite (the oldest) or stop.")] = None,
    mode: Annotated[str | None, typer.Option(help="groups or quotas: one excludes the other.")] = None,
    low: Annotated[
        float | None, typer.Option(min=0, max=90, help="Free space in % below which there is an event.")
    ] = None,
    hot: Annotated[
        int | None, typer.Option(min=30, max=100, help="Temperature of a disk in °C that is an event.")
    ] = None,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Show or set what holds for all volumes."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.cli.setup import open_catalogue
    from onvifd.store.settings import put_setting
    from onvifd.volumes.model import OPTIONS_SETTING, Mode, dump_options, load_options

    if full not in (None, "overwrite", "stop") or mode not in (None, *Mode):
        raise typer.BadParameter("--full is overwrite or stop, --mode is groups or quotas")
    with open_catalogue(resolved) as catalogue:
        options = before = load_options(catalogue.settings)
        options = options if full is None else replace(options, overwrite=full == "overwrite")
        options = options if mode is None else replace(options, mode=Mode(mode))
        options = options if low is None else replace(options, low_percent=low)
        options = options if hot is None else replace(options, critical_celsius=hot)
        if options != before:
            put_setting(catalogue.database, OPTIONS_SETTING, dump_options(options))
    if json:
        print_json(asdict(options))
        return
    typer.echo(f"full volumes: {'overwrite the oldest' if options.overwrite else 'stop'}")
    typer.echo(f"recordings are spread by: {options.mode.value}")
    typer.echo(f"low space: below {options.low_percent:g} % free")
    typer.echo(f"critical temperature: {options.critical_celsius} °C")
