"""Volumes, depth of the archive and forecast as text, for the status page and support."""

from __future__ import annotations

from collections.abc import Sequence

from onvifd.clock import US
from onvifd.config import Config
from onvifd.store.catalogue import Catalogue
from onvifd.volumes import forecast
from onvifd.volumes.keeper import DAY
from onvifd.volumes.model import VolumeStatus, load_options


def size(count: float) -> str:
    """Bytes for people, in powers of ten as makers of disks count."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def storage_report(catalogue: Catalogue, volumes: Sequence[VolumeStatus], config: Config, now: int) -> str:
    """A line for each volume, recording and group. Blocks."""
    archive = config.archive
    options = load_options(catalogue.settings)
    reserve = archive.reserve_percent / 100
    lines = [
        f"{each.id} {each.path}: {each.state.value}{f' ({each.reason})' if each.reason else ''}, {each.access.value}, "
        f"group {each.group}, {size(each.used)} of footage, {size(each.free)} of {size(each.total)} free"
        for each in volumes
    ]
    depths = forecast.depths(catalogue, now)
    groups = {rule.owner: rule.group for rule in catalogue.storage_rules.all()}
    reaches = forecast.reaches(volumes, depths, groups, options, reserve)
    for reach in reaches:
        name = "all volumes" if reach.group is None else f"group {reach.group}"
        lines.append(f"{name}: {said(reach)}")
    lines += [
        f"{each.recording}: reaches back {each.days(now):.1f} days, {size(each.bytes)}, {size(each.rate)} a day"
        for each in depths
    ]
    if archive.retention_seconds:
        lines.append(f"nothing is kept longer than {archive.retention_seconds * US / DAY:.1f} days by default")
    return "\n".join(lines)


def said(reach: forecast.Reach) -> str:
    """A forecast in a sentence."""
    if reach.days is None:
        return f"nothing was recorded in the last day; {size(reach.capacity - reach.used)} are left"
    return f"at today's rate of {size(reach.rate)} a day the archive reaches {reach.days:.1f} days"
