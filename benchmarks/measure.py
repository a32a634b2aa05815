"""Child processes on chosen cores, their CPU time, and tables of results."""

from __future__ import annotations

import json
import mmap
import os
import platform
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.clip import ROOT
from tests.e2e.harness import free_ports, processes

__all__ = [
    "LOAD_CORE",
    "SERVER_CORE",
    "Figure",
    "Program",
    "cpu_seconds",
    "free_ports",
    "load",
    "program",
    "report",
    "table",
]

DOCUMENT = ROOT / "docs" / "benchmarks.md"
SERVER_CORE = 0
LOAD_CORE = 1 if (os.cpu_count() or 1) > 1 else 0
BOUND = 120.0
"""Seconds that any child may take to answer."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a result table. `ratio` is peer / ours, or whatever `hold` is stated in; `held` None if nothing is to hold."""

    path: str
    ours: str
    peer: str
    ratio: str
    hold: str
    held: bool | None


@dataclass(slots=True)
class Program:
    """A child pinned to one core."""

    process: subprocess.Popen[str]

    def line(self, bound: float = BOUND) -> str:
        """Its next line of output."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], bound)
        if not ready:
            raise TimeoutError(f"{self.process.args} said nothing for {bound} s")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait(10)}")
        return line.strip()

    def cpu(self) -> float:
        """CPU seconds of it and its descendants up to now."""
        return sum(cpu_seconds(pid) for pid in processes(self.process.pid))

    def memory(self) -> float:
        """MiB that it and its descendants hold, what they share counted once."""
        return sum(map(proportional_set_size, processes(self.process.pid))) / (1 << 20)


def proportional_set_size(pid: int) -> int:
    """Bytes (`/proc/PID/smaps_rollup`)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    return 0


def cpu_seconds(pid: int) -> float:
    """Time on a CPU of all threads, in nanosecond resolution (`/proc/PID/task/*/schedstat`)."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1e9


@contextmanager
def program(*command: str, core: int, ready: bool = True, log: Path | None = None) -> Iterator[Program]:
    """Run a program on a core, wait for its line `ready`, end it afterwards; what it writes to standard error goes to `log`."""
    errors = log.open("wb") if log is not None else None
    # Line buffered text through `select` needs the pipe unbuffered on our side: each line is read as it comes.
    child = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        cwd=ROOT,
        env=os.environ | {"ONVIFD_LOG_LEVEL": "WARNING"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        bufsize=1,
    )
    if errors is not None:
        errors.close()
    running = Program(child)
    try:
        if ready:
            while "ready" not in running.line(60):
                pass
        yield running
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)
        assert child.stdout is not None
        child.stdout.close()


def claim_memory(size: int = 3 << 30) -> None:
    """Touch memory and let it go, so that a virtual machine has it from its host before the measurement.

    Otherwise the first writes to each page, in sockets and page cache, cost several times what they do later, for whoever is
    measured first.
    """
    with mmap.mmap(-1, size) as memory:
        block = bytes(1 << 20)
        while memory.tell() < size:
            memory.write(block)


def load(server: Program, url: str, *arguments: str, within: tuple[str, ...] = ()) -> dict[str, Any]:
    """Put load on a server; the result has the server's `cpu` seconds of the measured time in it. `within` is what runs the
    load, as `ip netns exec`."""
    claim_memory()
    return loaded(server, *within, sys.executable, "-m", "benchmarks.load", url, *arguments)


def loaded(server: Program, *command: str) -> dict[str, Any]:
    """Run a load that says when it measures and then its result; that has the server's `cpu` seconds meanwhile and its `memory`
    in it."""
    with program(*command, core=LOAD_CORE, ready=False) as client:
        while client.line() != "measuring":
            pass
        before = server.cpu()
        result: dict[str, Any] = json.loads(client.line())
        result["cpu"] = server.cpu() - before
        result["memory"] = server.memory()
    return result


def percentile(values: list[float], share: float) -> float | None:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else None


def table(figures: Sequence[Figure]) -> str:
    lines = ["| Path | Ours | Peer | Result | Hold | |", "|---|---|---|---|---|---|"]
    for each in figures:
        verdict = "" if each.held is None else ("held" if each.held else "**not held**")
        lines.append(f"| {each.path} | {each.ours} | {each.peer} | {each.ratio} | {each.hold} | {verdict} |")
    return "\n".join(lines)


def report(name: str, figures: Sequence[Figure], command: str = "") -> None:
    """Print the table and put it between the markers of its name in docs/benchmarks.md."""
    text = table(figures)
    print(f"\n{name}\n{text}", flush=True)
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    busy = os.getloadavg()[0]
    about = (
        f"`python -m benchmarks {command or name}`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {cpu}, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, load average at the end {busy:.1f}"
    )
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    document = DOCUMENT.read_text(encoding="utf-8")
    if begin not in document:
        document += f"\n{begin}\n{end}\n"
    head, _, rest = document.partition(begin)
    _, _, tail = rest.partition(end)
    DOCUMENT.write_text(f"{head}{begin}\n{about}\n\n{text}\n{end}{tail}", encoding="utf-8")


def settle(seconds: float = 1.0) -> None:
    """Let sockets and caches of the last server go."""
    time.sleep(seconds)
