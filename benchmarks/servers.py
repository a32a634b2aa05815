"""The servers that are measured, as running programs: ours and our peers'."""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.clip import FOLDER, elementary_stream, mp4
from benchmarks.measure import SERVER_CORE, Program, program
from onvifd.store.catalogue import Catalogue
from onvifd.volumes.register import register

USER, PASSWORD = "bench", "Bench-mark47"
SYSTEM_PYTHON = "/usr/bin/python3"
GST = str(Path(__file__).with_name("gst_server.py"))
LIVE555_PROXY, LIVE555_FILES = "live555ProxyServer", "live555MediaServer"
"""Of the package livemedia-utils or of live555 itself, where they are on the path."""
OURS = (sys.executable, "-m", "benchmarks.onvifd_server")


@contextmanager
def gst_relay(port: int, camera_port: int, cameras: int, *pem: str) -> Iterator[tuple[Program, str]]:
    command = (SYSTEM_PYTHON, GST, str(port), "relay", str(camera_port), str(cameras), *pem)
    with program(*command, core=SERVER_CORE) as running:
        yield running, f"rtsp://127.0.0.1:{port}/cam%d"


@contextmanager
def floor_relay(port: int, camera_port: int, cameras: int) -> Iterator[tuple[Program, str]]:
    """The smallest relay that there can be."""
    command = (sys.executable, "-m", "benchmarks.floor_server", str(port), str(camera_port), str(cameras))
    with program(*command, core=SERVER_CORE) as running:
        yield running, f"rtsp://127.0.0.1:{port}/cam%d"


def listening(port: int, bound: float = 20.0) -> None:
    """Wait for a server that does not say when it is ready."""
    deadline = time.monotonic() + bound
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def live555_relay(port: int, camera_port: int, cameras: int) -> Iterator[tuple[Program, str]]:
    """Streams are numbered from 1, a single one is not.

    It cuts off what is beyond 100,000 octets of a picture (the same holds for its file server): of the clip's first key frame.
    """
    urls = [f"rtsp://127.0.0.1:{camera_port}/cam{number}" for number in range(cameras)]
    with program(LIVE555_PROXY, "-t", "-p", str(port), *urls, core=SERVER_CORE, ready=False) as running:
        listening(port)
        time.sleep(3)  # it answers for a stream only when the camera has told what it is
        yield running, f"rtsp://127.0.0.1:{port}/proxyStream" + ("-%d" if cameras > 1 else "")


@contextmanager
def live555_files(space: str) -> Iterator[tuple[Program, str]]:
    """The test clip as a file. The server takes no port but 554 of all addresses: it runs in a network namespace."""
    path = elementary_stream()
    link = path.with_suffix(".264")  # the kind of file goes by its name, which is that of a symbolic link's target
    link.unlink(missing_ok=True)
    link.hardlink_to(path)
    within = ("ip", "netns", "exec", space, "env", f"--chdir={path.parent}")
    with program(*within, LIVE555_FILES, core=SERVER_CORE, ready=False) as running:
        time.sleep(2)
        yield running, f"rtsp://127.0.0.1/{link.name}"


@contextmanager
def floor_files(port: int) -> Iterator[Program]:
    """The test clip as often as asked, straight from the page cache to the socket."""
    command = (sys.executable, "-m", "benchmarks.floor_server", str(port), "file", str(elementary_stream()))
    with program(*command, core=SERVER_CORE) as running:
        yield running


@contextmanager
def gst_files(port: int) -> Iterator[tuple[Program, str]]:
    """The test clip as a file, one pipeline per client."""
    with program(SYSTEM_PYTHON, GST, str(port), "file", str(mp4()), core=SERVER_CORE) as running:
        yield running, f"rtsp://127.0.0.1:{port}/cam0"


@contextmanager
def archive() -> Iterator[Path]:
    """A fresh data folder with an empty catalogue, and one volume in it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        data = Path(folder)
        (data / "volume").mkdir()
        catalogue = Catalogue.open(database_url(data), migrate=True)
        register(catalogue, [data / "volume"], 0, time.time_ns() // 1000)
        catalogue.close()
        yield data


def database_url(data: Path) -> str:
    return f"sqlite:///{data / 'catalogue.db'}"


@contextmanager
def onvifd_media(
    port: int, camera_port: int, cameras: int, data: Path, *, record: bool
) -> Iterator[tuple[Program, str]]:
    """A media worker behind the front door, as `onvifd run` starts them."""
    flags = ("--record",) if record else ()
    with program(
        *OURS, str(port), "media", str(camera_port), str(cameras), str(data), *flags, core=SERVER_CORE
    ) as running:
        yield running, f"rtsp://127.0.0.1:{port}/live/cam-%d/main"


@contextmanager
def onvifd_relay(port: int, camera_port: int, cameras: int) -> Iterator[tuple[Program, str]]:
    with archive() as data, onvifd_media(port, camera_port, cameras, data, record=False) as server:
        yield server


@contextmanager
def onvifd_replay(port: int, data: Path) -> Iterator[tuple[Program, str]]:
    with program(*OURS, str(port), "replay", str(data), core=SERVER_CORE) as running:
        yield running, f"rtsp://127.0.0.1:{port}/replay/rec-cam-0"
