"""Fixtures of a real PostgreSQL that the tests start, for whatever keeps its catalogue there."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from onvifd.store.engine import open_engine
from tests.e2e.harness import free_ports

_numbers = itertools.count(1)


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs: the newest of Debian's, else the one on the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    return Path(found).parent if found else None


def _as_postgres(command: list[str]) -> list[str]:
    # PostgreSQL refuses to run as root.
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL server of our own, without the name of a database."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        pytest.skip("root needs runuser to start PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="onvifd-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        (port,) = free_ports(1)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        initdb = [
            str(programs / "initdb"),
            "-D",
            str(folder / "data"),
            "-U",
            "onvifd",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "-N",
        ]
        control = [str(programs / "pg_ctl"), "-D", str(folder / "data")]
        _run([*initdb, "--locale=C.UTF-8"], folder)
        _run([*control, "-w", "-t", "30", "-l", str(folder / "log"), "-o", options, "start"], folder)
        try:
            yield f"postgresql://onvifd@127.0.0.1:{port}"
        finally:
            _run([*control, "-w", "-m", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder)


def _run(command: list[str], folder: Path) -> None:
    # Output goes to a file: the server would inherit and hold open a pipe.
    with (folder / f"output-{next(_numbers)}").open("w+") as output:
        done = subprocess.run(_as_postgres(command), cwd=folder, stdout=output, stderr=subprocess.STDOUT, timeout=60)
        output.seek(0)
        assert done.returncode == 0, output.read()


@pytest.fixture
def postgresql_url(postgresql: str) -> str:
    """URL of an empty database on that server."""
    name = f"catalogue_{next(_numbers)}"
    engine = open_engine(f"{postgresql}/postgres")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{postgresql}/{name}"
