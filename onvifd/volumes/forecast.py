"""How far the archive reaches now, and how far it will at today's rate. Pure functions, and one that asks the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from onvifd.clock import US
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.keeper import DAY, ages_of, set_by_clients
from onvifd.volumes.model import DEFAULT_GROUP, Access, Mode, Options, VolumeState, VolumeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """A recording's footage. Times are microseconds UTC, None without footage; `bytes` with second copies; `rate` is bytes per
    day over the last day, measured over the time since the first segment if that is less."""

    recording: str
    earliest: int | None
    latest: int | None
    bytes: int
    rate: float
    recorded: float
    """Part of the last day (0 to 1) of which there is footage."""

    def days(self, now: int) -> float:
        """How far it reaches back."""
        return max(0, now - self.earliest) / DAY if self.earliest is not None else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far recordings that share volumes will reach. `days` is None when nothing is recorded (then nothing is ever
    overwritten), `full_in` days until the first is overwritten or recording stops; 0 when that is so already."""

    group: int | None
    """None for all volumes."""
    capacity: int
    used: int
    rate: float
    days: float | None
    full_in: float | None


def depths(catalogue: Catalogue, now: int) -> tuple[Depth, ...]:
    """Of all recordings that have footage. Blocks."""
    found = []
    for recording in catalogue.segments.recorded():
        times = catalogue.upkeep.times(recording)
        size, covered = catalogue.upkeep.recorded_between(recording, now - DAY, now)
        since = min(DAY, max(0, now - times[0])) if times else 0
        # Less than a minute tells nothing of a day.
        part = max(since, 60 * US)
        found.append(
            Depth(
                recording=recording,
                earliest=times[0] if times else None,
                latest=times[1] if times else None,
                bytes=catalogue.segments.recording_bytes(recording),
                rate=size * DAY / part,
                recorded=min(1.0, covered / part),
            )
        )
    return tuple(found)


def capacity(status: VolumeStatus, reserve: float) -> int:
    """Bytes of footage that a volume can hold beside what others have on the disk: what it has, and what is free."""
    room = max(0, status.free - int(status.total * reserve))
    return min(status.used + room, status.max_bytes) if status.max_bytes else status.used + room


def reaches(
    volumes: Iterable[VolumeStatus],
    depths: Iterable[Depth],
    groups: Mapping[str, int],
    options: Options,
    reserve: float,
) -> tuple[Reach, ...]:
    """One for each group of volumes, or one for all. `groups` has those of recordings that are not in the first group."""
    usable = [v for v in volumes if v.access is Access.READ_WRITE and v.state in (VolumeState.OK, VolumeState.FULL)]
    apart = options.mode is Mode.GROUPS
    found = []
    for group in sorted({v.group for v in usable}) if apart else [None]:
        mine = [v for v in usable if group is None or v.group == group]
        rate = sum(d.rate for d in depths if group is None or groups.get(d.recording, DEFAULT_GROUP) == group)
        total, used = sum(capacity(v, reserve) for v in mine), sum(v.used for v in mine)
        found.append(
            Reach(
                group=group,
                capacity=total,
                used=used,
                rate=rate,
                days=total / rate if rate else None,
                full_in=max(0, total - used) / rate if rate else None,
            )
        )
    return tuple(found)


def limited(days: float | None, recording: str, ages: Mapping[str, int], max_age: int) -> float | None:
    """Days that a recording will reach: no further than it may be kept. None for ever."""
    age = ages.get(recording, max_age)
    if not age:
        return days
    return age / DAY if days is None else min(days, age / DAY)


def ages(catalogue: Catalogue) -> dict[str, int]:
    """Microseconds that recordings are kept, for those with an age of their own. Blocks."""
    rules = {rule.owner: rule for rule in catalogue.storage_rules.all()}
    return ages_of(rules, set_by_clients(catalogue.recordings.all()))
