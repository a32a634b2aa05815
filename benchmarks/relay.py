"""Live relay: cameras in, many clients out; gst-rtsp-server and, where it is installed, live555ProxyServer beside us."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import LOAD_CORE, Figure, Program, free_ports, load, program, settle
from benchmarks.servers import LIVE555_PROXY, PASSWORD, USER, floor_relay, gst_relay, live555_relay, onvifd_relay

Server = Callable[[int, int, int], AbstractContextManager[tuple[Program, str]]]
"""Port, camera port and number of cameras to a running server and the address of its streams."""

ACCOUNT = ("--user", USER, "--password", PASSWORD)


@dataclass(frozen=True, slots=True)
class Case:
    """`hold` and `live555` are what the CPU per Gbit of gst-rtsp-server and of live555 is to be, of ours at least; 0 if nothing
    is to hold."""

    title: str
    clients: int
    hold: float
    cameras: int = 1
    pace: int = 0
    load: tuple[str, ...] = ()
    live555: float = 0.0


CASES = (
    Case("TCP, 1 camera to 400 clients", 400, 1.8, live555=3.0),
    Case("same, the camera paces its packets", 400, 1.5, pace=300, live555=2.5),
    Case("UDP, 1 camera to 400 clients", 400, 1.5, load=("--udp",), live555=1.8),
    Case("TCP, 64 cameras to 2 clients each", 128, 3.0, cameras=64),
    Case("TCP, 200 cameras to 1 client each", 200, 0.0, cameras=200),
)


def measured(server: Server, case: Case, seconds: float, *more: str) -> dict[str, Any]:
    camera_port, port = free_ports(2)
    camera = (sys.executable, "-m", "benchmarks.camera", str(camera_port), "--pace", str(case.pace))
    with program(*camera, core=LOAD_CORE), server(port, camera_port, case.cameras) as (running, url):
        arguments = ("--clients", str(case.clients), "--cameras", str(case.cameras), "--seconds", str(seconds))
        first = ("--first", "1") if server is live555_relay else ()
        result = load(running, url, *arguments, *first, *case.load, *ACCOUNT, *more)
    settle()
    return result


def described(result: dict[str, Any]) -> str:
    return (
        f"{result['cpu'] / result['gbits']:.3f} s/Gbit, {result['cpu'] / result['seconds']:.0%} of a core, "
        f"{result['fps']:.1f} fps, {result['lost']} lost, p50 {result['latency_p50'] or 0:.1f} ms, p99 {result['latency_p99'] or 0:.1f} ms, "
        f"{result['memory']:.0f} MiB"
    )


def tried(server: Server, case: Case, seconds: float, *more: str) -> dict[str, Any] | None:
    """What a peer does; None if it does not bear the case to its end."""
    try:
        return measured(server, case, seconds, *more)
    except (RuntimeError, TimeoutError, OSError) as error:
        print(f"{case.title}: {error}", file=sys.stderr)
        settle()
        return None


def compared(case: Case, seconds: float) -> Figure:
    ours = measured(onvifd_relay, case, seconds)
    peers: dict[str, tuple[Server, float]] = {"gst": (gst_relay, case.hold)}
    if shutil.which(LIVE555_PROXY):
        peers["live555"] = (live555_relay, case.live555)
    said, ratios, holds = [], [], []
    held = ours["fps"] > 24.5 and not ours["lost"]
    for name, (server, hold) in peers.items():
        peer = tried(server, case, seconds)
        said.append(f"{name}: {described(peer) if peer else 'did not bear it'}")
        if hold:
            holds.append(f">= {hold}" if len(peers) == 1 else f"{name} >= {hold}")
        if peer and peer["gbits"]:
            ratio = (peer["cpu"] / peer["gbits"]) / (ours["cpu"] / ours["gbits"])
            ratios.append(f"{ratio:.1f}" if len(peers) == 1 else f"{name} {ratio:.1f}")
            held = held and ratio >= hold
    floor = tried(floor_relay, case, seconds)
    said.append(f"floor: {described(floor) if floor else 'did not bear it'}")
    title = f"{case.title}, CPU per Gbit"
    return Figure(title, described(ours), "; ".join(said), ", ".join(ratios), ", ".join(holds), held if holds else None)


def run(seconds: float) -> Sequence[Figure]:
    figures = [compared(case, seconds) for case in CASES]
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
    case, more = Case("20 of 200 clients stalled", 180, 0), ("--stalled", "20", "--warm-up", "6")
    ours = measured(onvifd_relay, case, seconds, *more)
    peer = tried(gst_relay, case, seconds, *more)
    held = ours["fps"] > 24.5 and not ours["lost"] and ours["latency_p99"] < 20
    return Figure(
        "20 of 200 clients stalled: frame rate of the others, p99 latency",
        described(ours),
        f"gst: {described(peer) if peer else 'did not bear it'}",
        f"{ours['latency_p99']:.1f} ms",
        "unchanged, < 20 ms",
        held,
    )
