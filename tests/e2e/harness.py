"""What every end-to-end test needs: a recorder started as a user starts it, and the programs that foreign clients run on."""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "clients"
CLIENTS = Path(__file__).resolve().parent / "clients"
ONVIFD = ROOT / ".venv" / "bin" / "onvifd"

HOST = "127.0.0.1"
USER = "admin"
PASSWORD = "Tele-scope47"

START_BOUND = 90.0
"""Seconds until a demo must be ready here: encoding included, on a machine that runs other tests as well."""

STOP_BOUND = 20.0


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens on now.

    They lie below those that the kernel gives to outgoing connections: of these, tests make thousands, and each could take
    the port between this answer and its use.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def onvifd() -> str:
    """The installed command; tests may run from another environment than `.venv`."""
    beside = Path(sys.executable).with_name("onvifd")
    return str(beside if beside.exists() else ONVIFD)


@dataclass(slots=True)
class Recorder:
    """`onvifd demo` as a child process on free ports of the loopback interface."""

    data: Path
    cameras: int = 2
    codec: str = "h264"
    audio: str = "pcmu"
    prefix: tuple[str, ...] = ()
    """What runs it, as `ip netns exec`."""
    http_port: int = 0
    https_port: int = 0
    rtsp_port: int = 0
    rtsps_port: int = 0
    process: subprocess.Popen[bytes] | None = None
    logs: list[Path] = field(default_factory=list)

    host: str = HOST
    user: str = USER
    password: str = PASSWORD

    def start(self) -> float:
        """Start and wait for the line with `ready`. Returns the seconds it took."""
        if not self.http_port:
            self.http_port, self.https_port, self.rtsp_port, self.rtsps_port = free_ports(4)
        log = self.data.with_name(f"{self.data.name}-{len(self.logs)}.log")
        self.logs.append(log)
        began = time.monotonic()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *self.prefix,
                    *(onvifd(), "demo", "--cameras", str(self.cameras), "--data", str(self.data), "--host", self.host),
                    *("--codec", self.codec, "--audio", self.audio),
                    *("--http-port", str(self.http_port), "--https-port", str(self.https_port)),
                    *("--rtsp-port", str(self.rtsp_port), "--rtsps-port", str(self.rtsps_port)),
                ],
                env=os.environ | {"ONVIFD_ADMIN_PASSWORD": self.password},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while not re.search(r"(?m)^.*\bready\b.*http://", self.log()):
            if self.process.poll() is not None:
                raise AssertionError(f"onvifd demo ended with {self.process.returncode}:\n{self.log()[-4000:]}")
            if time.monotonic() - began > START_BOUND:
                self.kill()
                raise AssertionError(f"onvifd demo was not ready after {START_BOUND} s:\n{self.log()[-4000:]}")
            time.sleep(0.05)
        return time.monotonic() - began

    def log(self) -> str:
        return self.logs[-1].read_text(encoding="utf-8", errors="replace")

    def stop(self) -> float:
        """SIGTERM, then wait until all processes are gone. Returns the seconds it took; fails after `STOP_BOUND`."""
        assert self.process is not None
        family = processes(self.process.pid)
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=STOP_BOUND)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"onvifd did not stop within {STOP_BOUND} s:\n{self.log()[-4000:]}") from None
        took = time.monotonic() - began
        left = [pid for pid in family if alive(pid)]
        code, self.process = self.process.returncode, None
        assert code == 0, f"exit status {code}:\n{self.log()[-4000:]}"
        assert not left, f"processes left behind: {left}"
        return took

    def kill(self) -> None:
        """Take down the whole process group; for the end of a failed test."""
        if self.process is not None:
            with_group(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=10)
            self.process = None

    def workers(self, role: str) -> list[int]:
        """Process ids of the workers of a role ("media", "replay", "vision")."""
        assert self.process is not None
        return [pid for pid in processes(self.process.pid) if "onvifd.workers" in cmdline(pid) and role in cmdline(pid)]

    def memory(self) -> int:
        """Resident bytes of all processes."""
        assert self.process is not None
        return sum(resident(pid) for pid in processes(self.process.pid))


def with_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def cmdline(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def processes(root: int) -> list[int]:
    """`root` and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


# ---- programs of others --------------------------------------------------------------------------


def need(program: str) -> str:
    """Path of a program, or skip."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


@contextmanager
def locked(path: Path, bound: float = 600.0) -> Iterator[None]:
    """Exclusive across processes (xdist workers, parallel checkouts of one tree)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        deadline = time.monotonic() + bound
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    pytest.skip(f"{path.name} stayed locked for {bound:.0f} s")
                time.sleep(0.2)
        yield


def install(folder: Path, *commands: list[str]) -> None:
    """Run `commands` once to fill `folder`; skip the test if they fail (no network, no registry)."""
    done = folder / ".done"
    with locked(folder.with_suffix(".lock")):
        if done.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for command in commands:
            try:
                result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
            except subprocess.TimeoutExpired:
                pytest.skip(f"{' '.join(command)} took longer than 300 s")
            if result.returncode:
                pytest.skip(f"{' '.join(command)} failed: {result.stderr.strip()[-400:]}")
        done.touch()


def python_with(requirement: str) -> str:
    """A Python of its own with one requirement: three clients install the same top-level package `onvif`."""
    folder = CACHE / requirement.replace("==", "-")
    python = str(folder / "bin" / "python")
    install(folder, [sys.executable, "-m", "venv", "."], [python, "-m", "pip", "install", "--quiet", requirement])
    return python


def node_modules(requirement: str) -> Path:
    """Folder to run node in, with one npm package."""
    need("node")
    folder = CACHE / requirement.replace("@", "-npm-")
    install(
        folder,
        [need("npm"), "init", "--yes"],
        [need("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", requirement],
    )
    return folder


def run_client(
    command: list[str], *, timeout: float = 100.0, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> dict[str, object]:
    """Run a client script that prints one JSON object as its last line."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=os.environ | dict(env or {}), cwd=cwd
        )
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{command[:3]} did not end in {timeout} s:\n{error.stdout}\n{error.stderr}") from None
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(answer, dict)
    return answer
