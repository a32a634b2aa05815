"""Which volumes a recording may go to, and in which order. Pure functions.

Recordings are spread over the volumes of their group in proportion to what is free there, so that all of them fill up evenly and
all disks share the work. Each recording has a lot for each volume, drawn from both their names (weighted rendezvous hashing): so
few recordings move when a volume comes, goes or has filled up a step further. When none has room left, what they can hold at all
decides, and each overwrites its oldest.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = 16
"""Free space counts in sixteenths of a volume: an order that followed every byte would never hold still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A volume that takes footage. `room` is bytes until it has to overwrite, `total` what it can hold at all."""

    id: str
    room: int
    total: int


def step_of(room: int, total: int, former: int | None = None) -> int:
    """Sixteenths of a volume that are free. One step is kept until the next is clearly reached."""
    if total <= 0:
        return 0
    exact = max(0.0, min(1.0, room / total)) * STEPS
    if former is not None and abs(exact - (former + 0.5)) < 0.75:
        return former
    return min(STEPS, int(exact))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighted:
    """A volume with the step that it has filled up to."""

    id: str
    step: int
    total: int


def order(recording: str, volumes: Iterable[Weighted]) -> tuple[str, ...]:
    """Ids of all volumes, the one that the recording should go to first."""
    found = tuple(volumes)
    empty = any(volume.step for volume in found)
    return tuple(
        volume.id for volume in sorted(found, key=lambda each: (-_weight(recording, each, empty), -each.total, each.id))
    )


def _weight(recording: str, volume: Weighted, empty: bool) -> float:
    weight = (volume.step / STEPS if empty else 1.0) * volume.total
    if weight <= 0:
        return 0.0
    return -weight / math.log(_lot(recording, volume.id))


def _lot(recording: str, volume: str) -> float:
    """A number between 0 and 1 that is the same in all processes and at every start."""
    digest = hashlib.blake2b(f"{recording}\0{volume}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / (1 << 64)
