"""Live relay: cameras in, many clients out; gst-rtsp-server beside us."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import LOAD_CORE, Figure, Program, free_ports, load, program, settle
from benchmarks.servers import PASSWORD, USER, floor_relay, gst_relay, onvifd_relay

Server = Callable[[int, int, int], AbstractContextManager[tuple[Program, str]]]
"""Port, camera port and number of cameras to a running server and the address of its streams."""

ACCOUNT = ("--user", USER, "--password", PASSWORD)


@dataclass(frozen=True, slots=True)
class Case:
    title: str
    clients: int
    hold: float
    cameras: int = 1
    pace: int = 0
    load: tuple[str, ...] = ()
    floor: bool = False
    """Whether the kernel's floor is measured as well."""


CASES = (
    Case("TCP, 1 camera to 400 clients", 400, 1.8, floor=True),
    Case("TCP, 1 camera to 200 clients", 200, 1.8),
    Case("same, the camera paces its packets", 400, 1.5, pace=300),
    Case("UDP, 1 camera to 400 clients", 400, 1.5, load=("--udp",)),
    Case("TCP, 64 cameras to 2 clients each", 128, 3.0, cameras=64, floor=True),
)


def measured(server: Server, case: Case, seconds: float, *more: str) -> dict[str, Any]:
    camera_port, port = free_ports(2)
    camera = (sys.executable, "-m", "benchmarks.camera", str(camera_port), "--pace", str(case.pace))
    with program(*camera, core=LOAD_CORE), server(port, camera_port, case.cameras) as (running, url):
        arguments = ("--clients", str(case.clients), "--cameras", str(case.cameras), "--seconds", str(seconds))
        result = load(running, url, *arguments, *case.load, *ACCOUNT, *more)
    settle()
    return result


def described(result: dict[str, Any]) -> str:
    return (
        f"{result['cpu'] / result['gbits']:.3f} s/Gbit, {result['cpu'] / result['seconds']:.0%} of a core, "
        f"{result['fps']:.1f} fps, {result['lost']} lost, p50 {result['latency_p50'] or 0:.1f} ms, p99 {result['latency_p99'] or 0:.1f} ms, "
        f"{result['memory']:.0f} MiB"
    )


def run(seconds: float) -> Sequence[Figure]:
    figures = []
    for case in CASES:
        ours = measured(onvifd_relay, case, seconds)
        peer = measured(gst_relay, case, seconds)
        ratio = (peer["cpu"] / peer["gbits"]) / (ours["cpu"] / ours["gbits"])
        floor = measured(floor_relay, case, seconds) if case.floor else None
        held = ratio >= case.hold and ours["fps"] > 24.5 and not ours["lost"]
        figures.append(
            Figure(
                f"{case.title}, CPU per Gbit",
                described(ours),
                f"gst: {described(peer)}" + (f"; floor: {described(floor)}" if floor else ""),
                f"{ratio:.1f}",
                f">= {case.hold}",
                held,
            )
        )
    figures.append(latency(seconds))
    figures.append(stalled(max(seconds, 15)))
    return figures


def latency(seconds: float) -> Figure:
    case = Case("latency", 128, 0, cameras=64)
    ours = measured(onvifd_relay, case, seconds)
    p99 = ours["latency_p99"]
    return Figure(
        "64 x 2, from camera to client, p50 and p99",
        f"{ours['latency_p50']:.1f} ms",
        "",
        f"{p99:.1f} ms",
        "< 10 ms",
        p99 < 10,
    )


def stalled(seconds: float) -> Figure:
    """A tenth of the clients stop reading; what do the others see?"""
    ours = measured(onvifd_relay, Case("stalled", 200, 0), seconds, "--stalled", "20", "--warm-up", "6")
    held = ours["fps"] > 24.5 and not ours["lost"] and ours["latency_p99"] < 20
    return Figure(
        "20 of 220 clients stalled: frame rate of the others, p99 latency",
        f"{ours['fps']:.1f} fps, {ours['lost']} lost",
        "",
        f"{ours['latency_p99']:.1f} ms",
        "unchanged, < 20 ms",
        held,
    )
