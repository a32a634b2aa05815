"""Answers of the ONVIF face: one client after another for the time of an answer, four at once for the number of them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.measure import SERVER_CORE, Figure, Program, free_ports, loaded, program
from tests.e2e.harness import processes, resident

CHANNELS = (2, 16, 64)
HOLD = 5.0
"""Stock spyne's median to ours, GetProfiles of 16 channels."""
AT_ONCE = 4


def asked(server: Program, port: int, operation: str, *arguments: str) -> dict[str, Any]:
    """One run of the load; `cpu` is the server's CPU seconds in the measured time."""
    return loaded(server, sys.executable, "-m", "benchmarks.face_load", str(port), operation, *arguments)


def measured(kind: str, channels: int, operation: str, seconds: float) -> dict[str, Any]:
    """Median, 99th percentile and CPU (ms) of one client's requests, requests per second of several, and memory (MiB) after."""
    (port,) = free_ports(1)
    account = ("--account",) if kind == "ours" else ()
    server = (sys.executable, "-m", "benchmarks.face_server", kind, str(port), str(channels))
    with program(*server, core=SERVER_CORE) as running:
        single = asked(running, port, operation, "--seconds", str(seconds), *account)
        several = asked(running, port, operation, "--seconds", str(seconds), "--connections", str(AT_ONCE), *account)
        memory = sum(resident(pid) for pid in processes(running.process.pid)) / (1 << 20)
    return {
        "p50": single["p50"],
        "p99": single["p99"],
        "cpu": 1000 * single["cpu"] / max(1, single["requests"]),
        "per_second": several["per_second"],
        "memory": memory,
    }


def described(result: dict[str, Any]) -> str:
    return (
        f"p50 {result['p50']:.2f} ms, p99 {result['p99']:.2f} ms, {result['cpu']:.2f} ms CPU, "
        f"{result['per_second']:.0f} requests/s, {result['memory']:.0f} MiB"
    )


def spyne_here() -> bool:
    """Stock spyne 2.14 does not import on Python 3.12 and later."""
    if sys.version_info >= (3, 12):
        return False
    return importlib.util.find_spec("spyne") is not None


def run(seconds: float) -> Sequence[Figure]:
    each = min(5.0, max(1.0, seconds / 4))
    figures = []
    for operation in ("GetProfiles", "GetDeviceInformation"):
        for channels in CHANNELS:
            ours = measured("ours", channels, operation, each)
            title = f"{operation}, {channels} channels, with account"
            if not spyne_here():
                figures.append(Figure(title, described(ours), "spyne is not importable here", "", "", None))
                continue
            peer = measured("spyne", channels, operation, each)
            ratio = peer["p50"] / ours["p50"]
            wanted = operation == "GetProfiles" and channels == 16
            figures.append(
                Figure(
                    title,
                    described(ours),
                    f"spyne, without account: {described(peer)}",
                    f"{ratio:.1f}",
                    f">= {HOLD:g}" if wanted else "",
                    ratio >= HOLD if wanted else None,
                )
            )
    return figures
