"""What one media worker on a core of its own carries, and what two carry on two.

On a machine of two cores the load must cost nothing: server and clients are in network namespaces joined by a veth pair, and what
is sent to the clients is dropped as it arrives there (see scale_load). Clients are added until frames come late or the core of
each worker is full. Control, cameras and the load stay on the last core, beside the second worker.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.clients import SPARE_FILES
from benchmarks.measure import LOAD_CORE, Figure, Program, claim_memory, free_ports, program, settle
from benchmarks.scale_load import ADDRESS, CROWD, DEVICE, SERVER
from benchmarks.servers import OURS, archive
from tests.e2e.harness import cmdline, processes

HOLD = 1.8
HOLD_OFFLOAD = 2.0
LIMIT = 60.0
"""Seconds that clients are added for."""
GRACE = 60.0
"""Seconds more for the last level."""
FILES = 3
"""That a client takes at a worker: its connection and two UDP ports."""
MOST = 6000
"""Clients of one worker; there are 15,000 pairs of ports."""


class Unable(Exception):
    """Why it cannot be measured here."""


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise Unable(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@contextmanager
def space() -> Iterator[str]:
    """A network namespace with nothing but its loopback interface."""
    name = f"onvifd-{uuid.uuid4().hex[:8]}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


@contextmanager
def spaces() -> Iterator[tuple[str, str]]:
    """Network namespaces for the server and for its clients, joined by a veth pair."""
    with space() as server, space() as clients:
        ip("-n", server, "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns", clients)
        for name, address in ((server, SERVER), (clients, ADDRESS)):
            ip("-n", name, "addr", "add", f"{address}/16", "dev", DEVICE)
            ip("-n", name, "link", "set", DEVICE, "up")
        ip("-n", clients, "route", "add", "local", f"{CROWD}0/24", "dev", "lo")
        yield server, clients


def within(space: str, *command: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", space, *command)


def media_workers(server: Program) -> list[int]:
    """Process ids in the order of their cores."""
    found = [pid for pid in processes(server.process.pid) if "onvifd.workers media " in cmdline(pid)]
    return sorted(found, key=lambda pid: min(os.sched_getaffinity(pid)))


def measured(workers: int, most: int, limit: float) -> dict[str, Any]:
    """The most that so many workers carry (see scale_load)."""
    camera_port, port = free_ports(2)
    with spaces() as (inside, outside), archive() as data:
        camera = within(inside, sys.executable, "-m", "benchmarks.camera", str(camera_port))
        ours = within(
            inside,
            *(*OURS, "--host", SERVER, "--timeout", "900", str(port), "media", str(camera_port), str(workers)),
            *(str(data), "--workers", str(workers)),
        )
        with program(*camera, core=LOAD_CORE), program(*ours, core=LOAD_CORE) as server:
            pids = [str(pid) for pid in media_workers(server)]
            if len(pids) != workers:
                raise Unable(f"{len(pids)} of {workers} media workers run")
            load = within(outside, sys.executable, "-m", "benchmarks.scale_load", inside, str(port), str(most))
            with program(*load, str(limit), *pids, core=LOAD_CORE, ready=False) as clients:
                result: dict[str, Any] = json.loads(clients.line(limit + GRACE))
            if "unable" in result:
                raise Unable(result["unable"])
            result["memory"] = server.memory()
    settle()
    return result


def described(result: dict[str, Any]) -> str:
    shares = " and ".join(f"{share:.0%}" for share in result["shares"])
    return (
        f"{result['clients']} clients, {result['gbits']:.1f} Gbit/s, {result['cost']:.3f} s/Gbit, {shares} of a core, "
        f"{result['fps']:.1f} fps, {result['lost']} lost, p99 {result['latency_p99'] or 0:.1f} ms, {result['memory']:.0f} MiB; "
        f"then {result['ended']}"
    )


def scaled(one: dict[str, Any], two: dict[str, Any]) -> Figure:
    if one["full"] and two["full"]:
        # Clients, not gigabits: pictures differ in size, and each level sees some seconds of them.
        ratio = two["clients"] / one["clients"]
        title = "two media workers on two cores, beside one on one: what they carry, 4 Mbit/s each by UDP"
        said = f"{ratio:.2f}"
    else:
        # Something other than the workers was at its end first: what is left to compare is what each gigabit cost them.
        ratio = 2 * one["cost"] / two["cost"]
        title = "two media workers on two cores, beside one on one, not filled: twice the ratio of CPU per Gbit"
        said = f"{ratio:.2f} (computed)"
    return Figure(title, described(two), f"one: {described(one)}", said, f">= {HOLD}", ratio >= HOLD)


def offload(result: dict[str, Any]) -> Figure:
    """Whether datagrams go down to the interface joined (UDP_SEGMENT): with it one packet is most of a picture."""
    joined = result["joined"]
    return Figure(
        "UDP segmentation offload through veth",
        f"{result['octets']:.0f} octets per packet of the interface",
        "",
        f"{joined:.1f} datagrams per packet",
        f">= {HOLD_OFFLOAD:.0f}",
        joined >= HOLD_OFFLOAD,
    )


def run(seconds: float) -> Sequence[Figure]:
    title = "two media workers beside one"
    if os.geteuid() or (os.cpu_count() or 1) < 2:
        return (Figure(title, "needs root and two cores", "", "", f">= {HOLD}", None),)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 2 * FILES * MOST if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))  # inherited by server and load
    most = min(MOST, (files - SPARE_FILES) // FILES)
    # A smoke run is a short one: `seconds` is that of other benchmarks, ten usually.
    limit = LIMIT * min(1.0, seconds / 10)
    claim_memory()
    try:
        one, two = measured(1, most, limit), measured(2, most, limit)
    except (Unable, RuntimeError, TimeoutError) as error:
        return (Figure(title, str(error), "", "", f">= {HOLD}", None),)
    return (scaled(one, two), offload(one))
