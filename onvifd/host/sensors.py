"""What the machine's sensors say: fans, temperatures, power supplies, links. Linux's /sys, or any tree that looks like it.

A sensor counts only where it says what would be wrong: a fan with an alarm, a fault or a least speed, a temperature with a
critical one, a supply that is or is not on line, a link whose speed is known. Reading only; every function blocks on files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onvifd.host.reading import read

MAX_SENSORS = 64
"""Sensors of a kind that are looked at."""
MILLI = 1000.0
HYSTERESIS = 3.0
"""Kelvin that a critical temperature must fall below its bound to be normal again, where the chip names no other."""

_NOT_A_TOKEN = re.compile(r"[^A-Za-z0-9_.-]+")
_ETHERNET = "1"  # linux/if_arp.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """Degrees Celsius. `critical` and `normal` are the bounds that are reached and left; `alarm` is the chip's own word."""

    token: str
    value: float | None
    critical: float | None
    normal: float | None
    alarm: bool = False

    def is_critical(self, before: bool) -> bool:
        """`before` is whether it was: between the two bounds it stays as it was."""
        if self.alarm:
            return True
        if self.value is None or self.critical is None or self.normal is None:
            return False
        return self.value >= self.critical or (before and self.value > self.normal)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """An Ethernet link: speed in Mbit/s, 0 without a carrier."""

    token: str
    speed: int
    full_duplex: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """`fans` and `supplies` are whether each has failed, by token."""

    fans: tuple[tuple[str, bool], ...] = ()
    supplies: tuple[tuple[str, bool], ...] = ()
    temperatures: tuple[Temperature, ...] = ()
    links: tuple[LinkState, ...] = ()


class Sensors:
    """The sensors below `root`. `first` is what they said when this was made."""

    def __init__(self, root: Path = Path("/sys")) -> None:
        self._root = root
        self.first = self.read()

    def read(self) -> Readings:
        chips = list(_folders(self._root / "class/hwmon"))
        return Readings(
            fans=tuple(found for chip in chips for found in _fans(chip))[:MAX_SENSORS],
            supplies=tuple(_supplies(self._root / "class/power_supply"))[:MAX_SENSORS],
            temperatures=(
                *(found for chip in chips for found in _temperatures(chip)),
                *_zones(self._root / "class/thermal"),
            )[:MAX_SENSORS],
            links=tuple(_links(self._root / "class/net"))[:MAX_SENSORS],
        )


def _folders(parent: Path) -> Iterator[Path]:
    try:
        yield from sorted(parent.iterdir())
    except OSError:
        return


def _number(path: Path) -> int | None:
    text = read(path).strip()
    try:
        return int(text)
    except ValueError:
        return None


def _inputs(chip: Path, kind: str) -> Iterator[str]:
    """The sensors of a kind by number: `fan1`, `fan2`, ... (kernel: hwmon/sysfs-interface)."""
    names = {match[0] for path in _folders(chip) if (match := re.match(rf"{kind}\d+(?=_)", path.name))}
    yield from sorted(names, key=lambda name: int(name.removeprefix(kind)))


def _token(chip: Path, sensor: str) -> str:
    label = read(chip / f"{sensor}_label").strip() or sensor
    name = read(chip / "name").strip() or "hwmon"
    # Two chips may have one name; the folder tells them apart.
    return _NOT_A_TOKEN.sub("-", f"{chip.name}-{name}-{label}")[:64]


def _fans(chip: Path) -> Iterator[tuple[str, bool]]:
    for fan in _inputs(chip, "fan"):
        alarms = [_number(chip / f"{fan}_{name}") for name in ("fault", "alarm", "min_alarm")]
        speed, least = _number(chip / f"{fan}_input"), _number(chip / f"{fan}_min")
        judged = [alarm == 1 for alarm in alarms if alarm is not None]
        if least and speed is not None:
            judged.append(speed < least)
        if judged:
            yield _token(chip, fan), any(judged)


def _temperatures(chip: Path) -> Iterator[Temperature]:
    for sensor in _inputs(chip, "temp"):
        alarm = _number(chip / f"{sensor}_crit_alarm")
        critical = _celsius(chip / f"{sensor}_crit")
        if alarm is None and critical is None:
            continue
        normal = _celsius(chip / f"{sensor}_crit_hyst")
        yield Temperature(
            token=_token(chip, sensor),
            value=None if _number(chip / f"{sensor}_fault") == 1 else _celsius(chip / f"{sensor}_input"),
            critical=critical,
            normal=normal if normal is not None else None if critical is None else critical - HYSTERESIS,
            alarm=alarm == 1,
        )


def _zones(folder: Path) -> Iterator[Temperature]:
    """Thermal zones with a critical trip point (kernel: driver-api/thermal/sysfs-api)."""
    for zone in _folders(folder):
        trips = [path for path in _folders(zone) if re.fullmatch(r"trip_point_\d+_type", path.name)]
        points = [
            _celsius(path.with_name(path.name.replace("_type", "_temp")))
            for path in trips
            if read(path).strip() == "critical"
        ]
        bounds = [point for point in points if point is not None and point > 0]
        if bounds:
            yield Temperature(
                token=_NOT_A_TOKEN.sub("-", f"{zone.name}-{read(zone / 'type').strip()}")[:64],
                value=_celsius(zone / "temp"),
                critical=min(bounds),
                normal=min(bounds) - HYSTERESIS,
            )


def _celsius(path: Path) -> float | None:
    number = _number(path)
    return None if number is None else number / MILLI


def _supplies(folder: Path) -> Iterator[tuple[str, bool]]:
    """Mains supplies; batteries have levels of their own (kernel: ABI/testing/sysfs-class-power)."""
    for supply in _folders(folder):
        online = _number(supply / "online")
        if read(supply / "type").strip() == "Mains" and online is not None:
            yield _NOT_A_TOKEN.sub("-", supply.name)[:64], online == 0


def _links(folder: Path) -> Iterator[LinkState]:
    for link in _folders(folder):
        if read(link / "type").strip() != _ETHERNET or (link / "wireless").exists():
            continue
        # Of an interface that is shut down the kernel gives neither.
        carrier, speed = _number(link / "carrier"), _number(link / "speed")
        if carrier == 1 and speed is not None and speed > 0:
            yield LinkState(token=link.name, speed=speed, full_duplex=read(link / "duplex").strip() != "half")
        elif carrier != 1:
            yield LinkState(token=link.name, speed=0, full_duplex=True)
