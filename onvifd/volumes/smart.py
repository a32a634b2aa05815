"""What disks say of themselves, asked through smartctl (smartmontools) where it is installed. Everything here blocks.

What a disk does not say is None: no value is made up. A disk behind a RAID controller, a network or in a virtual machine says
nothing.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onvifd.volumes.model import Health

log = logging.getLogger(__name__)

TIMEOUT = 30.0
"""Seconds; a disk that has to spin up takes ten."""
MAX_OUTPUT = 1 << 20
MAX_ATTRIBUTES = 64
MAX_TEXT = 80
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAME = re.compile(r"[A-Za-z0-9_!.-]{1,64}")

Run = Callable[[str], str]
"""`run(device)` gives what smartctl printed; empty if it is not installed or says nothing."""


def disks_of(device: str, sys: Path = Path("/sys")) -> tuple[str, ...]:
    """Names of the disks below a file system (`major:minor`): through partitions, device mapper and md; empty for none."""
    found: list[str] = []
    _walk(sys / "dev" / "block" / device, found, 0)
    return tuple(dict.fromkeys(found))


def _walk(node: Path, found: list[str], depth: int) -> None:
    try:
        folder = node.resolve(strict=True)
    except OSError:
        return
    if depth > 8 or len(found) >= 64:
        return
    if (folder / "partition").exists():
        folder = folder.parent
    try:
        below = sorted(os.listdir(folder / "slaves"))
    except OSError:
        below = []
    if below:
        for name in below:
            _walk(folder / "slaves" / name, found, depth + 1)
    elif _NAME.fullmatch(folder.name):
        found.append(folder.name.replace("!", "/"))


def run_smartctl(device: str) -> str:
    """See Run."""
    tool = shutil.which("smartctl", path=_PATH)
    if tool is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - an argument list of checked values
            [tool, "--json=c", "--nocheck=standby", "-i", "-H", "-A", f"/dev/{device}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=TIMEOUT,
            check=False,
            env={"PATH": _PATH, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("smartctl %s: %s", device, type(error).__name__)
        return ""
    # The exit status has a bit for each finding: what was printed counts (smartctl(8)).
    return done.stdout[:MAX_OUTPUT].decode("utf-8", "replace")


def parse(device: str, text: str) -> Health | None:
    """What smartctl said; None if that is nothing about a disk."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    passed = _in(said, "smart_status", "passed")
    health = Health(
        device=device,
        model=_text(said.get("model_name")) or _text(said.get("scsi_model_name")),
        serial=_text(said.get("serial_number")),
        passed=passed if isinstance(passed, bool) else None,
        celsius=_number(_in(said, "temperature", "current"), -60, 200),
        hours=_number(_in(said, "power_on_time", "hours"), 0, 10_000_000),
        attributes=_attributes(_in(said, "ata_smart_attributes", "table")),
    )
    known = health.model or health.serial or health.attributes
    return health if known or health.passed is not None or health.celsius is not None else None


def _in(said: dict[str, Any], *path: str) -> Any:
    value: Any = said
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str:
    return "".join(c for c in value if c.isprintable())[:MAX_TEXT].strip() if isinstance(value, str) else ""


def _number(value: Any, least: int, most: int) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        return None
    return value


def _attributes(table: Any) -> tuple[tuple[str, int, int, int, str], ...]:
    found = []
    for row in table[:MAX_ATTRIBUTES] if isinstance(table, list) else ():
        if not isinstance(row, dict):
            continue
        value, worst, threshold = (_number(row.get(key), 0, 255) for key in ("value", "worst", "thresh"))
        if _text(row.get("name")) and value is not None:
            raw = _text(_in(row, "raw", "string"))
            found.append((_text(row["name"]), value, worst or 0, threshold or 0, raw))
    return tuple(found)


def read(device: str, run: Run = run_smartctl) -> tuple[Health, ...]:
    """The disks below a file system that say something of themselves."""
    found = (parse(disk, run(disk)) for disk in disks_of(device))
    return tuple(health for health in found if health is not None)


def worst_of(disks: tuple[Health, ...]) -> Health | None:
    """The one that matters most: one that fails, else the hottest."""
    return max(disks, key=lambda each: (each.passed is False, each.celsius or -100), default=None)
