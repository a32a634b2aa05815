"""What settings may look like when they are written: numbers, sizes, truth, folders. No settings are named here."""

from __future__ import annotations

import ipaddress
import os
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin

SIZES = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
SIZES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
"""Units that a setting in bytes may be written with."""


WAYS = frozenset(("tcp", "http", "rtsps", "https"))
"""Ways by which a camera can be asked what it streams."""


def convert(value: object, kind: Any, unit: str) -> object:
    """A value as written in a file, the environment or an option, as the type of its setting. Raises ValueError."""
    if kind is bool:
        return _boolean(value)
    if kind is int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"{value!r} is not a whole number")
        return _size(value) if unit == "bytes" else _number(value, int)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{value!r} is not a number")
        return _number(value, float)
    if kind is Path:
        if not isinstance(value, str | Path) or not str(value):
            raise ValueError(f"{value!r} is not a path")
        return Path(value)
    if get_origin(kind) is tuple and get_args(kind)[0] is Path:
        return _paths(value)
    if get_origin(kind) in (Union, types.UnionType) or kind is not str:
        raise TypeError(f"settings of type {kind} are not supported")
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not text")
    return value


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise ValueError(f"{value!r} is not true or false")


def _number(value: int | float | str, kind: type[int] | type[float]) -> int | float:
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a {'whole ' if kind is int else ''}number") from None


def _size(value: int | str) -> int:
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", value)
    if match is None or match[2].lower() not in SIZES:
        raise ValueError(f"{value!r} is not a size such as 500 GB")
    return round(float(match[1]) * SIZES[match[2].lower()])


def _paths(value: object) -> tuple[Path, ...]:
    if isinstance(value, str):
        value = [part for part in value.split(os.pathsep) if part]
    if not isinstance(value, list | tuple) or not all(isinstance(part, str | Path) and str(part) for part in value):
        raise ValueError(f"{value!r} is not a list of folders")
    return tuple(Path(part).expanduser().absolute() for part in value)


def check(value: object, about: Mapping[str, Any]) -> None:
    """Raises ValueError for what is out of the range, choices or form that a setting is declared with."""
    low, high = about["low"], about["high"]
    size = len(value) if isinstance(value, str) else value
    if isinstance(size, int | float) and not isinstance(size, bool):
        _check_range(value, size, low, high)
    if about["choices"] and value not in about["choices"]:
        raise ValueError(f"{value!r} is not among the choices")
    if about["check"] == "address":
        ipaddress.ip_address(str(value))
    if about["check"] == "networks":
        for part in filter(None, map(str.strip, str(value).split(","))):
            ipaddress.ip_network(part)
    if about["check"] == "ways":
        words = str(value).lower().replace(",", " ").split()
        if not words or not set(words) <= WAYS:
            raise ValueError(f"{value!r} is no list of {', '.join(sorted(WAYS))}")


def _check_range(value: object, size: float, low: float | None, high: float | None) -> None:
    if size != size or (low is not None and size < low) or (high is not None and size > high):
        raise ValueError(f"{value!r} is out of range")
