"""A recorder on a machine of its own, seen from another machine: two network namespaces joined by a cable.

The recorder also has its own host name and its own copy of /etc, so that cases may change both.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import PASSWORD, ROOT, START_BOUND, USER, onvifd, with_group

RECORDER, EXAMINER, PREFIX = "10.77.3.1", "10.77.3.2", 24
URL = f"http://{RECORDER}/onvif/device_service"


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@dataclass
class Laboratory:
    folder: Path
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:6])
    process: subprocess.Popen[bytes] | None = None

    @property
    def spaces(self) -> tuple[str, str]:
        return f"er{self.tag}", f"ee{self.tag}"

    def build(self) -> None:
        for name in self.spaces:
            _ip("netns", "add", name)
        one, other = self.spaces
        _ip("link", "add", "eth0", "netns", one, "type", "veth", "peer", "name", "eth0", "netns", other)
        for name, address, number in ((one, RECORDER, 1), (other, EXAMINER, 2)):
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "addr", "add", f"{address}/{PREFIX}", "brd", "+", "dev", "eth0")
            _ip("-n", name, "addr", "add", f"fd77:3::{number}/64", "dev", "eth0", "nodad")
            _ip("-n", name, "link", "set", "eth0", "up")
        # Without a router: where multicast goes must be said, for discovery here and for streams there.
        for name in self.spaces:
            _ip("-n", name, "route", "add", "224.0.0.0/4", "dev", "eth0")

    def start(self, cameras: int = 1, host: str = "0.0.0.0", audio: str = "pcmu", **settings: str) -> None:
        """`onvifd demo` on the standard ports, with a host that it may configure; at `::` it is there by IPv6 as well."""
        etc = self.folder / "etc"
        shutil.copytree("/etc", etc, symlinks=True, ignore=shutil.ignore_patterns("alternatives", "ssl", "shadow*"))
        script = f'mount --bind "{etc}" /etc && exec "$@"'
        self.log = self.folder / "recorder.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.spaces[0], "unshare", "--uts", "--mount", "sh", "-c", script, "sh"),
                    *(onvifd(), "demo", "--cameras", str(cameras), "--data", str(self.folder / "data")),
                    *(
                        "--audio",
                        audio,
                        "--host",
                        host,
                        "--http-port",
                        "80",
                        "--https-port",
                        "443",
                        "--rtsp-port",
                        "554",
                    ),
                ],
                env=os.environ | {"ONVIFD_ADMIN_PASSWORD": PASSWORD, "ONVIFD_HOST_NETWORK": "iproute2"} | settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        began = time.monotonic()
        while not re.search(r"(?m)^.*\bready\b.*http://", self.text()):
            if self.process.poll() is not None:
                raise AssertionError(f"onvifd demo ended with {self.process.returncode}:\n{self.text()[-4000:]}")
            if time.monotonic() - began > START_BOUND:
                raise AssertionError(f"onvifd demo was not ready after {START_BOUND} s:\n{self.text()[-4000:]}")
            time.sleep(0.05)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def examine(self, *arguments: str, timeout: float = 200.0) -> dict[str, Any]:
        """Run the examiner from the other machine; returns report.json."""
        report = self.folder / "report"
        command = [
            *("ip", "netns", "exec", self.spaces[1], sys.executable, "-m", "conformance", URL, "--user", USER),
            *("--report", str(report), "--interface", EXAMINER, "--operation-delay", "0.5"),
            *("--discovery-timeout", "1.5", "--reboot-timeout", "60", "--case-timeout", "30", *arguments),
        ]
        environment = os.environ | {"CONFORMANCE_PASSWORD": PASSWORD}
        try:
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the examiner did not end in {timeout} s:\n{error.stdout}") from None
        if not (report / "report.json").exists():
            raise AssertionError(
                f"the examiner ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            )
        read: dict[str, Any] = json.loads((report / "report.json").read_text())
        assert PASSWORD not in (report / "report.html").read_text(encoding="utf-8")
        return read

    def close(self) -> None:
        if self.process is not None:
            with_group(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                with_group(self.process.pid, signal.SIGKILL)
                self.process.wait(timeout=10)
        for name in self.spaces:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=10)


@contextmanager
def laboratory(folder: Path) -> Iterator[Laboratory]:
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("network namespaces need root, iproute2 and util-linux")
    made = Laboratory(folder)
    try:
        try:
            made.build()
        except OSError as error:
            pytest.skip(f"this machine does not allow network namespaces: {error}")
        yield made
    finally:
        made.close()
