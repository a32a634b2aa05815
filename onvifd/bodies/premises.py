"""Where the recorder lives: its data folder, volumes and ports. Everything here blocks on the disk."""

from __future__ import annotations

import fcntl
import os
import resource
import socket
from importlib.resources import files
from pathlib import Path

from onvifd.errors import Unavailable

DESCRIPTORS = 65_536
"""Descriptors that a process may have, where the system allows it."""


def data_file(name: str) -> bytes:
    """A file that is installed with the package, or stands beside it in the source tree (`certs/server.toml`)."""
    installed = files("onvifd").joinpath("_data", name)
    if installed.is_file():
        return installed.read_bytes()
    return (Path(__file__).resolve().parents[2] / name).read_bytes()


def lock(folder: Path) -> int:
    """Make sure that one recorder alone uses a data folder; gives the descriptor that holds the lock. Raises Unavailable."""
    fd = os.open(folder / "onvifd.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise Unavailable(f"another recorder runs on the data folder {folder}") from None
    return fd


def raise_descriptors() -> None:
    """Let this process and its workers have as many descriptors as the system allows: each client takes one, and the usual
    1024 are fewer than the bounds on clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def free_port(address: str, port: int) -> int:
    """`port`, or a free one for 0: the body must know its ports before it listens."""
    if port:
        return port
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
