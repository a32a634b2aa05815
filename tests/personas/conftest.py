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
from onvifd.cameras.simulated.encode import CameraClips, load_cameras
from tests.local import recorder_config, running_camera, running_recorder
from tests.onvif import oracle


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
def clips(clip_folder: Path) -> CameraClips:
    return load_cameras(clip_folder, [1])[1]


@pytest.fixture
async def wire(clips: CameraClips, tmp_path: Path) -> AsyncIterator[Wire]:
    async with running_camera(clips) as camera, running_recorder(recorder_config(tmp_path), camera) as app:
        yield Wire(app)
