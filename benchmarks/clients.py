"""How many clients one core serves: 2000 of one 4 Mbit/s stream, by TCP."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from benchmarks.measure import Figure
from benchmarks.relay import Case, described, measured
from benchmarks.servers import onvifd_relay

CLIENTS = 2000
HOLD = 0.60
"""Share of a core."""
SPARE_FILES = 200
LONGEST = 10.0
"""Seconds that are measured at most: 8 Gbit/s keep a machine busy."""


def run(seconds: float) -> Sequence[Figure]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CLIENTS + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        return (Figure(f"{CLIENTS} clients of one stream", f"{hard} open files allowed", "", "", "< 60 %", None),)
    # Inherited by server and load.
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    result = measured(onvifd_relay, Case("clients", CLIENTS, 0), min(seconds, LONGEST))
    share = result["cpu"] / result["seconds"]
    held = share < HOLD and result["fps"] > 24.5 and not result["lost"]
    return (
        Figure(
            f"{CLIENTS} clients of one 4 Mbit/s stream by TCP",
            f"{result['gbits'] / result['seconds']:.1f} Gbit/s, {described(result)}",
            "",
            f"{share:.0%} of a core",
            f"< {HOLD:.0%}",
            held,
        ),
    )
