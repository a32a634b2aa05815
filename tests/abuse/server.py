"""A recorder in a process of its own, to be abused, and the few ways in which its victims and its attackers speak to it."""

from __future__ import annotations

import http.client
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from tests.e2e import harness
from tests.e2e.soap import NS, Device

MEGABYTE = 1 << 20
USER, PASSWORD = "admin", "Tele-scope47"
DEVICE = "/onvif/device_service"
TIME = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
    b'<GetSystemDateAndTime xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body></s:Envelope>'
)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def subcodes(self) -> list[str]:
        """Code and subcodes of a fault, without prefixes."""
        found = etree.fromstring(self.body).iter(f"{{{NS['s']}}}Value")
        return [(each.text or "").rpartition(":")[2] for each in found]


@dataclass(slots=True)
class Server:
    """`onvifd run` without cameras. Attackers come from other addresses of the loopback network than those who behave."""

    data: Path
    http_port: int = 0
    https_port: int = 0
    rtsp_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # Descriptors for thousands of connections in this process.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
        self.http_port, self.https_port, self.rtsp_port = harness.free_ports(3)
        environment = os.environ | {"ONVIFD_ADMIN_PASSWORD": PASSWORD, "ONVIFD_NETWORK_DISCOVERY": "false"}
        command, ports = harness.onvifd(), (self.http_port, self.https_port, self.rtsp_port)
        subprocess.run(
            [command, "init", "--data", self.data], env=environment, check=True, capture_output=True, timeout=60
        )
        arguments = [f"--{kind}-port={port}" for kind, port in zip(("http", "https", "rtsp"), ports, strict=True)]
        with self.data.with_name("abuse.log").open("wb") as output:
            self.process = subprocess.Popen(
                [command, "run", "--data", self.data, "--host", "127.0.0.1", *arguments],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + harness.START_BOUND
        while True:
            try:
                assert self.post(TIME).status == 200
                return
            except OSError:
                assert self.process.poll() is None, self.log()[-4000:]
                assert time.monotonic() < deadline, self.log()[-4000:]
                time.sleep(0.1)

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            harness.with_group(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            raise

    def log(self) -> str:
        return self.data.with_name("abuse.log").read_text(errors="replace")

    def memory(self) -> int:
        """Resident bytes of all its processes."""
        assert self.process is not None
        return sum(harness.resident(pid) for pid in harness.processes(self.process.pid))

    def descriptors(self) -> int:
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # ---- those who behave

    def device(self) -> Device:
        return Device(f"http://127.0.0.1:{self.http_port}{DEVICE}", USER, PASSWORD)

    def post(
        self, body: bytes, *, path: str = DEVICE, source: str = "127.0.0.1", headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20, source_address=(source, 0))
        try:
            connection.request("POST", path, body, {"Content-Type": "application/soap+xml", **(headers or {})})
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def answer_time(self) -> float:
        """Seconds for one answer to a client that behaves; the best of three, for the machine has other work."""
        times = []
        for _ in range(3):
            began = time.monotonic()
            assert self.post(TIME).status == 200
            times.append(time.monotonic() - began)
        return min(times)

    # ---- those who do not

    def connect(self, port: int = 0, source: str = "127.0.0.66") -> socket.socket:
        return socket.create_connection(("127.0.0.1", port or self.http_port), 10, source_address=(source, 0))

    def send(self, data: bytes, *, port: int = 0, source: str = "127.0.0.66", wait: float = 10.0) -> bytes:
        """What comes back for raw bytes until the other side closes or `wait` is over."""
        answer = b""
        with self.connect(port, source) as connection:
            connection.settimeout(wait)
            try:
                connection.sendall(data)
                while chunk := connection.recv(65536):
                    answer += chunk
            except OSError:
                pass
        return answer
