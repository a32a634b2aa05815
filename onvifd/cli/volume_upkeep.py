"""`onvifd volume`, second part: check, repair and rebuild; forecast, calculator, health of disks; locks of footage."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onvifd.cli.common import (
    FAILED,
    AsJson,
    ConfigFile,
    Data,
    counting,
    one_line_errors,
    print_json,
    print_table,
    settings,
    waiting,
)
from onvifd.cli.volume import MAX_SHOWN, app, find, statuses
from onvifd.cli.volume import _active as active
from onvifd.cli.volume import _now as now_utc
from onvifd.cli.volume import _volume as volume_of

__all__ = ["app"]

if TYPE_CHECKING:
    from onvifd.archive.doctor import Finding
    from onvifd.config import Config
    from onvifd.store.catalogue import Catalogue
    from onvifd.store.rows import VolumeRow

Some = Annotated[list[str] | None, typer.Argument(help="Volumes; all if left out.")]


def _chosen(catalogue: Catalogue, config: Config, which: list[str] | None) -> list[VolumeRow]:
    return [find(catalogue, each) for each in which] if which else list(active(catalogue, config))


def _findings(catalogue: Catalogue, row: VolumeRow, full: bool, *, boxes: bool = False) -> list[Finding]:
    """What is wrong with a volume, with a bar for people."""
    from onvifd.archive.catalogue_index import CatalogueSegmentStore
    from onvifd.archive.doctor import Depth, examine

    depth = Depth.FULL if full else Depth.BOXES if boxes else Depth.QUICK
    total, done = catalogue.segments.count(row.id), 0
    with counting(f"segment files of {row.id}") as progress:

        def examined() -> None:
            nonlocal done
            done += 1
            progress(done, max(done, total))

        return list(examine(CatalogueSegmentStore(catalogue), [volume_of(row)], examined, depth=depth))


@app.command()
@one_line_errors
def check(
    which: Some = None,
    full: Annotated[bool, typer.Option(help="Read every byte, and look for files that nobody knows.")] = False,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Hold files and index against each other, changing nothing. Exit status 1 if there are findings."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.cli.setup import open_catalogue

    with open_catalogue(resolved) as catalogue:
        rows = _chosen(catalogue, resolved, which)
        found = [finding for row in rows for finding in _findings(catalogue, row, full)]
        examined = sum(catalogue.segments.count(row.id) for row in rows)
        if full and not which:
            wrong = catalogue.segments.usage.check()
            if wrong:
                typer.echo(f"{len(wrong)} counters of bytes are wrong: onvifd volume repair", err=True)
        else:
            wrong = ()
    if json:
        print_json([asdict(finding) for finding in found])
    else:
        table = [[each.volume, each.path, each.kind.value, each.detail] for each in found[:MAX_SHOWN]]
        print_table(["Volume", "File", "Finding", ""], table, empty=f"{examined} segments agree with their files")
        if len(found) > MAX_SHOWN:
            typer.echo(f"{len(found) - MAX_SHOWN} more findings")
    if found or wrong:
        raise typer.Exit(FAILED)


@app.command()
@one_line_errors
def repair(
    which: Some = None,
    full: Annotated[bool, typer.Option(help="Read every byte first.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Put right what a check finds. Exit status 1 if something could not be."""
    resolved = settings(data, config)
    from onvifd.archive.catalogue_index import CatalogueSegmentStore
    from onvifd.cli.setup import open_catalogue
    from onvifd.volumes.repair import repair as put_right

    left = 0
    with open_catalogue(resolved) as catalogue:
        for row in _chosen(catalogue, resolved, which):
            findings = _findings(catalogue, row, full, boxes=True)
            store = CatalogueSegmentStore(catalogue)
            done = put_right(catalogue, store, volume_of(row), findings, copy=row.access == "redundant")
            typer.echo(f"{row.id}: {done.said()}")
            for reason in done.left[:MAX_SHOWN]:
                typer.echo(f"  {reason}", err=True)
            left += len(done.left)
        counters = catalogue.segments.usage.repair()
        if counters:
            typer.echo(f"{len(counters)} counters of bytes put right")
    if left:
        raise typer.Exit(FAILED)


@app.command()
@one_line_errors
def rebuild(which: Some = None, data: Data = None, config: ConfigFile = None) -> None:
    """Take all footage of a volume into the index from its files alone: one from elsewhere, a restored one, or after the
    catalogue was lost. Exit status 1 if files could not be taken in."""
    resolved = settings(data, config)
    from onvifd.archive.catalogue_index import CatalogueSegmentStore
    from onvifd.bodies.storage_report import size
    from onvifd.cli.setup import open_catalogue
    from onvifd.volumes.rebuild import rebuild as take_in
    from onvifd.volumes.register import register

    failed = 0
    with open_catalogue(resolved) as catalogue:
        register(catalogue, resolved.volume_paths, resolved.archive.max_bytes, now_utc())
        for row in _chosen(catalogue, resolved, which):
            store, done = CatalogueSegmentStore(catalogue), 0
            with counting(f"files of {row.id}") as progress:

                def examined() -> None:
                    nonlocal done
                    done += 1
                    progress(done, done)

                found = take_in(catalogue, store, volume_of(row), copy=row.access == "redundant", examined=examined)
            typer.echo(
                f"{row.id}: {found.adopted} files taken in ({size(found.bytes)}), {found.damaged} damaged files put aside, "
                f"{found.removed} empty files removed, {len(found.failed)} failed"
            )
            for token in found.recordings:
                typer.echo(f"  {token} was not known: it is an archived recording now")
            for reason in found.failed[:MAX_SHOWN]:
                typer.echo(f"  {reason}", err=True)
            failed += len(found.failed)
    if failed:
        raise typer.Exit(FAILED)


# ---- how far it reaches ------------------------------------------------------------------------------------


@app.command()
@one_line_errors
def forecast(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show how far the archive of each channel reaches, and how far it will at today's rate."""
    resolved = settings(data, config)
    from onvifd.bodies.storage_report import said, size
    from onvifd.cli.setup import open_catalogue
    from onvifd.clock import US
    from onvifd.volumes import forecast as reach
    from onvifd.volumes.model import DEFAULT_GROUP, Mode, load_options

    now, archive = now_utc(), resolved.archive
    with open_catalogue(resolved) as catalogue:
        options = load_options(catalogue.settings)
        depths = reach.depths(catalogue, now)
        groups = {rule.owner: rule.group for rule in catalogue.storage_rules.all()}
        ages = reach.ages(catalogue)
        reserve = archive.reserve_percent / 100
        reaches = reach.reaches(statuses(catalogue, resolved), depths, groups, options, reserve)
    by_group = {each.group: each.days for each in reaches}
    rows = []
    for each in depths:
        group = groups.get(each.recording, DEFAULT_GROUP) if options.mode is Mode.GROUPS else None
        will = reach.limited(by_group.get(group), each.recording, ages, archive.retention_seconds * US)
        rows.append((each, each.days(now), will))
    if json:
        from dataclasses import asdict

        print_json(
            {
                "groups": [asdict(each) for each in reaches],
                "recordings": [{**asdict(depth), "days": days, "will_reach": will} for depth, days, will in rows],
            }
        )
        return
    for each_group in reaches:
        name = "all volumes" if each_group.group is None else f"group {each_group.group}"
        typer.echo(f"{name}: {said(each_group)}")
    table = [
        [
            depth.recording,
            f"{days:.1f}",
            size(depth.bytes),
            size(depth.rate),
            f"{100 * depth.recorded:.0f} %",
            f"{will:.1f}" if will is not None else "",
        ]
        for depth, days, will in rows
    ]
    columns = ["Recording", "Days back", "Bytes", "A day", "Of the last day", "Will reach"]
    print_table(columns, table, empty="nothing is recorded yet")


@app.command()
@one_line_errors
def calculate(
    days: Annotated[float | None, typer.Option(min=0, help="How long footage is to be kept: gives the space.")] = None,
    space: Annotated[int | None, typer.Option(min=0, help="Bytes: gives the days.")] = None,
    volumes: Annotated[
        list[str] | None, typer.Option("--volume", help="Space of these volumes instead of --space.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, help="So many channels like this; without, the cameras.")
    ] = None,
    bitrate: Annotated[int, typer.Option(min=0, help="kbit/s of a channel; 0: from picture and codec.")] = 0,
    picture: Annotated[str, typer.Option(help="Size of the picture.")] = "1920x1080",
    framerate: Annotated[float, typer.Option(min=0.1, max=240, help="Frames per second.")] = 25,
    codec: Annotated[str, typer.Option(help="h264, h265 or jpeg.")] = "h264",
    hours: Annotated[float, typer.Option(min=0, max=24, help="Recorded hours a day.")] = 24,
    alarm_rate: Annotated[float, typer.Option(min=0, max=1, help="Part of that time that is kept; 1: always.")] = 1,
    json: AsJson = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Days from space, or space from days, for the cameras that there are or for channels that may be."""
    resolved = settings(data, config)
    from onvifd.bodies.storage_report import size
    from onvifd.cli.setup import open_catalogue
    from onvifd.volumes.calculator import ChannelEstimate, days_from, estimated_bitrate, space_for
    from onvifd.volumes.forecast import capacity

    if channels is not None:
        rate = bitrate * 1000 or estimated_bitrate(*_size(picture), framerate, codec)
        found = [
            ChannelEstimate(name=str(number), bitrate=rate, hours=hours, alarm_rate=alarm_rate)
            for number in range(1, channels + 1)
        ]
    with open_catalogue(resolved) as catalogue:
        if channels is None:
            found = _estimates(catalogue, hours, alarm_rate)
        if volumes or (space is None and days is None):
            wanted = {find(catalogue, each).id for each in volumes or ()}
            reserve = resolved.archive.reserve_percent / 100
            space = sum(
                capacity(each, reserve) for each in statuses(catalogue, resolved) if not wanted or each.id in wanted
            )
    result: dict[str, Any] = {
        "channels": [
            {"name": each.name, "bitrate": each.bitrate, "per_hour": each.per_hour, "per_day": each.per_day}
            for each in found
        ]
    }
    if days is not None:
        result |= {"days": days, "space": space_for(found, days)}
    else:
        result |= {"space": space, "days": days_from(found, space or 0)}
    if json:
        print_json(result)
        return
    table = [
        [each.name, f"{each.bitrate / 1000:.0f} kbit/s", size(each.per_hour), size(each.per_day)] for each in found
    ]
    print_table(["Channel", "Rate", "An hour", "A day"], table, empty="there are no channels")
    lasts = result["days"]
    said = "for ever: nothing is recorded" if lasts is None else f"{lasts:.1f} days ({lasts * 24:.0f} hours)"
    typer.echo(f"{size(result['space'])} last {said}")


def _size(picture: str) -> tuple[int, int]:
    width, _, height = picture.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise typer.BadParameter(f"{picture} is no size like 1920x1080")
    return int(width), int(height)


def _estimates(catalogue: Catalogue, hours: float, alarm_rate: float) -> list[Any]:
    """The main streams of the cameras, by what is known of them."""
    from onvifd.volumes.calculator import ChannelEstimate, estimated_bitrate

    found = []
    for camera in catalogue.cameras.all():
        for stream in camera.streams[:1]:
            rate = stream.bitrate * 1000.0
            if not rate and stream.width and stream.height and stream.framerate and stream.video_codec:
                rate = estimated_bitrate(stream.width, stream.height, stream.framerate, stream.video_codec)
            if rate:
                rate += stream.audio_bitrate * 1000
                found.append(ChannelEstimate(name=camera.name, bitrate=rate, hours=hours, alarm_rate=alarm_rate))
            else:
                typer.echo(f"{camera.name}: nothing is known of its stream yet, it is left out", err=True)
    return found


@app.command()
@one_line_errors
def smart(which: Some = None, json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show what the disks below volumes say of themselves. Exit status 1 if one says that it will fail."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.cli.setup import open_catalogue
    from onvifd.volumes.look import look
    from onvifd.volumes.model import Access
    from onvifd.volumes.smart import read

    with open_catalogue(resolved) as catalogue:
        rows = _chosen(catalogue, resolved, which)
    found = []
    with waiting("asking the disks"):
        for row in rows:
            seen = look(volume_of(row).root, row.uuid, Access(row.access), probe=False)
            found += [(row.id, disk) for disk in (read(seen.device) if seen.device else ())]
    if json:
        print_json([{"volume": volume, **asdict(disk)} for volume, disk in found])
    else:
        verdict = {True: "passed", False: "FAILS", None: ""}
        table = [
            [
                volume,
                disk.device,
                disk.model,
                disk.serial,
                verdict[disk.passed],
                _said(disk.celsius, " °C"),
                _said(disk.hours, " h"),
            ]
            for volume, disk in found
        ]
        columns = ["Volume", "Disk", "Model", "Serial", "Health", "Temperature", "Powered on"]
        print_table(columns, table, empty="no disk says anything of itself (or smartctl is not installed)")
        for volume, disk in found:
            if which and disk.attributes:
                rows_of = [
                    [name, str(value), str(worst), str(limit), raw]
                    for name, value, worst, limit, raw in disk.attributes
                ]
                print_table([f"{volume} {disk.device}", "Value", "Worst", "Threshold", "Raw"], rows_of, empty="")
    if any(disk.passed is False for _, disk in found):
        raise typer.Exit(FAILED)


def _said(value: int | None, unit: str) -> str:
    return "" if value is None else f"{value}{unit}"


# ---- locks -------------------------------------------------------------------------------------------------


def _moment(text: str) -> int:
    """A time in ISO 8601; without a zone it is UTC."""
    from onvifd.clock import US

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text} is no time like 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        from datetime import UTC

        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * US)


@app.command()
@one_line_errors
def lock(
    recording: Annotated[str, typer.Argument(help="Recording.")],
    start: Annotated[str, typer.Argument(help="From, ISO 8601.")],
    end: Annotated[str, typer.Argument(help="To, ISO 8601.")],
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    until: Annotated[str | None, typer.Option(help="When the lock ends by itself, ISO 8601.")] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Lock footage: it is not deleted, neither for room nor for age."""
    import getpass

    resolved = settings(data, config)
    from onvifd.cli.setup import open_catalogue

    with open_catalogue(resolved) as catalogue:
        catalogue.recordings.get(recording)
        made = catalogue.locks.add(
            recording,
            _moment(start),
            _moment(end),
            account=getpass.getuser(),
            now=now_utc(),
            reason=reason,
            until=None if until is None else _moment(until),
        )
    typer.echo(f"lock {made.id}")


@app.command()
@one_line_errors
def unlock(
    number: Annotated[int, typer.Argument(help="Number of the lock.")], data: Data = None, config: ConfigFile = None
) -> None:
    """Take a lock away."""
    resolved = settings(data, config)
    from onvifd.cli.setup import open_catalogue

    with open_catalogue(resolved) as catalogue:
        catalogue.locks.remove(number)
    typer.echo(f"lock {number} removed")


@app.command()
@one_line_errors
def locks(json: AsJson = False, data: Data = None, config: ConfigFile = None) -> None:
    """Show the locks."""
    resolved = settings(data, config)
    from dataclasses import asdict

    from onvifd.cli.setup import open_catalogue
    from onvifd.clock import isoformat

    with open_catalogue(resolved) as catalogue:
        found = catalogue.locks.all()
    if json:
        print_json([asdict(each) for each in found])
        return
    table = [
        [
            str(each.id),
            each.recording,
            isoformat(each.start),
            isoformat(each.end),
            each.account,
            each.reason,
            "" if each.until is None else isoformat(each.until),
        ]
        for each in found
    ]
    print_table(["Lock", "Recording", "From", "To", "By", "Why", "Until"], table, empty="nothing is locked")
