"""What a volume is to the recorder, and the options that hold for all of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from onvifd.errors import InvalidArgument
from onvifd.store.settings import Settings

MAX_GROUP = 64
DEFAULT_GROUP = 1
MAX_DAYS = 360
"""Longest age that can be set for a recording; without one it is kept while there is room."""
INITIALISING = "initialising"
"""In place of the uuid of a volume while it is being made anew."""
OPTIONS_SETTING = "storage.options"


class VolumeState(StrEnum):
    OK = "ok"
    ERROR = "error"
    """It is there, but does not take or give data."""
    NEEDS_INITIALISING = "needs initialising"
    """The folder is there and no volume."""
    INITIALISING = "initialising"
    MISSING = "missing"
    """Its folder or its file system is not there."""
    FULL = "full"
    """It takes no more: what it holds may not be overwritten."""


class Access(StrEnum):
    READ_WRITE = "read-write"
    READ_ONLY = "read-only"
    """What is on it is played and nothing is written or deleted."""
    REDUNDANT = "redundant"
    """It takes second copies of what others hold."""


class Mode(StrEnum):
    """Where a recording goes: one of the two, never both."""

    GROUPS = "groups"
    """To the volumes of its group."""
    QUOTAS = "quotas"
    """To all volumes, and each recording may have a bound of bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`overwrite`: a full volume loses its oldest footage; without, it stays full. `low_percent` is the part of a file system
    that, when less is free, is worth an event (0: none). `critical_celsius` is the temperature of a disk that is."""

    mode: Mode = Mode.GROUPS
    overwrite: bool = True
    low_percent: float = 5.0
    critical_celsius: int = 60

    def __post_init__(self) -> None:
        if not 0 <= self.low_percent <= 90:
            raise InvalidArgument("the threshold of low space is 0 to 90 %")
        if not 30 <= self.critical_celsius <= 100:
            raise InvalidArgument("the critical temperature is 30 to 100 °C")


def load_options(settings: Settings) -> Options:
    """What was set last. Raises InvalidArgument for what cannot be read. Blocks."""
    return parse_options(settings.get(OPTIONS_SETTING))


def parse_options(text: str | None) -> Options:
    """Raises InvalidArgument."""
    if text is None:
        return Options()
    try:
        said = json.loads(text)
        return Options(
            mode=Mode(said["mode"]),
            overwrite=bool(said["overwrite"]),
            low_percent=float(said["low_percent"]),
            critical_celsius=int(said["critical_celsius"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidArgument("the options of the storage cannot be read") from error


def dump_options(options: Options) -> str:
    return json.dumps(asdict(options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the disk below a volume says of itself; None for what it does not say. `attributes` are name, value, worst,
    threshold, raw value."""

    device: str
    model: str = ""
    serial: str = ""
    passed: bool | None = None
    celsius: int | None = None
    hours: int | None = None
    attributes: tuple[tuple[str, int, int, int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeStatus:
    """A volume as it is now. `total` and `free` are bytes of the file system, `used` bytes of footage by the index."""

    id: str
    name: str
    path: str
    uuid: str
    access: Access
    group: int
    state: VolumeState
    reason: str = ""
    total: int = 0
    free: int = 0
    used: int = 0
    segments: int = 0
    max_bytes: int = 0
    low: bool = False
    health: Health | None = None


def snapshots_of(camera: str) -> str:
    """The owner under whose rule snapshots of a camera are stored."""
    return f"snapshots-{camera}"
