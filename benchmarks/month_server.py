"""A PostgreSQL server for the length of a benchmark, with its own settings but for memory: what is written is synced."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import free_ports


@contextmanager
def postgresql() -> Iterator[str]:
    """URL of an empty database on a server in a temporary folder."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parts[4]), default=None)
    if programs is None:
        raise SystemExit("PostgreSQL is not installed (Debian: postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="onvifd-month-"))
    # PostgreSQL refuses to run as root.
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    try:
        if user:
            shutil.chown(folder, "postgres", "postgres")
        (port,) = free_ports(1)
        data = str(folder / "data")
        control = [*user, str(programs / "pg_ctl"), "-D", data, "-w", "-t", "60"]
        _run(
            [
                *user,
                str(programs / "initdb"),
                "-D",
                data,
                "-U",
                "onvifd",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ]
        )
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} "
            "-c shared_buffers=1GB -c max_wal_size=4GB"
        )
        _run([*control, "-l", str(folder / "log"), "-o", options, "start"])
        try:
            yield f"postgresql://onvifd@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "fast", "stop"])
    finally:
        shutil.rmtree(folder)


def _run(command: list[str]) -> None:
    # The server would inherit and hold open a pipe.
    subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300, check=True)
