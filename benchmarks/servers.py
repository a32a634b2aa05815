"""The servers that are measured, as running programs: ours and our peers'."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.clip import mp4
from benchmarks.measure import SERVER_CORE, Program, program

USER, PASSWORD = "bench", "Bench-mark47"
SYSTEM_PYTHON = "/usr/bin/python3"
GST = str(Path(__file__).with_name("gst_server.py"))


@contextmanager
def gst_relay(port: int, camera_port: int, cameras: int) -> Iterator[tuple[Program, str]]:
    with program(SYSTEM_PYTHON, GST, str(port), "relay", str(camera_port), str(cameras), core=SERVER_CORE) as running:
        yield running, f"rtsp://127.0.0.1:{port}/cam%d"


@contextmanager
def gst_files(port: int) -> Iterator[tuple[Program, str]]:
    """The test clip as a file, one pipeline per client."""
    with program(SYSTEM_PYTHON, GST, str(port), "file", str(mp4()), core=SERVER_CORE) as running:
        yield running, f"rtsp://127.0.0.1:{port}/cam0"


@contextmanager
def onvifd_relay(port: int, camera_port: int, cameras: int) -> Iterator[tuple[Program, str]]:
    """A media worker behind the front door, as `onvifd run` starts them."""
    command = (sys.executable, "-m", "benchmarks.onvifd_server", str(port), str(camera_port), str(cameras))
    with program(*command, core=SERVER_CORE) as running:
        yield running, f"rtsp://127.0.0.1:{port}/cam%d"
