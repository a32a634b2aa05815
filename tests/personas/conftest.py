"""A recorder with one simulated camera, and a client that sends exactly the bytes that a persona sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from onvifd.app import RecorderApp
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.drivers import prepare
from onvifd.cameras.registry import Credentials
from onvifd.cameras.simulated.encode import CameraClips, load_cameras
from onvifd.cli.setup import initialise, open_registry
from onvifd.clock import SystemClock
from onvifd.config import load
from tests.onvif import oracle

USER, PASSWORD = "admin", "Recorder-1"
CAMERA_PASSWORD = "Camera-pass1"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it came over the wire."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> list[str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return [line.partition(":")[2].strip() for line in lines if line.lower().startswith(name.lower() + ":")]

    def content(self) -> Any:
        """The content of the Body, which must be valid by the official schemas and readable for zeep."""
        assert self.status == 200, self.body.decode()
        found = oracle.assert_valid(self.body)
        oracle.zeep_decode(self.body)
        return found

    def subcodes(self) -> list[str]:
        values = etree.fromstring(self.body).iter("{http://www.w3.org/2003/05/soap-envelope}Value")
        return [(value.text or "").rpartition(":")[2] for value in values]


@dataclass(slots=True)
class Wire:
    """Sends octets to the recorder, one connection per request as simple clients do."""

    app: RecorderApp

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.app.ports.http}"

    async def post(self, path: str, body: str, *headers: str) -> Answer:
        data = body.encode()
        lines = (
            f"POST {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self.app.ports.http}",
            "Content-Type: application/soap+xml; charset=utf-8",
            f"Content-Length: {len(data)}",
            "Connection: close",
            *headers,
        )
        return await self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + data)

    async def raw(self, data: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.app.ports.http)
        try:
            writer.write(data)
            answer = await asyncio.wait_for(reader.read(), 15)
        finally:
            writer.close()
        head, _, rest = answer.partition(b"\r\n\r\n")
        return Answer(int(head.split()[1]), head, rest)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> CameraClips:
    return load_cameras(tmp_path_factory.mktemp("clips"), [1])[1]


@pytest.fixture
async def wire(clips: CameraClips, tmp_path: Path) -> AsyncIterator[Wire]:
    camera = SimulatedDevice(
        1,
        clips,
        seed="persona",
        host="127.0.0.1",
        http_port=0,
        rtsp_port=0,
        user="admin",
        password=CAMERA_PASSWORD,
        clock=SystemClock(),
        discovery=False,
    )
    await camera.start()
    ports = {f"network.{kind}_port": 0 for kind in ("http", "https", "rtsp")}
    config = load(
        {
            "data": tmp_path / "data",
            "network.host": "127.0.0.1",
            "network.discovery": False,
            "workers.one_process": True,
            **ports,
        },
        environment={},
    )
    try:
        await asyncio.to_thread(initialise, config, USER, PASSWORD)
        found = await prepare(camera.device_url, Credentials(user="admin", password=CAMERA_PASSWORD))
        with open_registry(config) as registry:
            await asyncio.to_thread(registry.add, found)
        app = RecorderApp(config)
        await app.start()
        try:
            yield Wire(app)
        finally:
            await app.stop()
    finally:
        await camera.stop()
