"""A simulated camera, and a media worker at the end of a link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.simulated.encode import CameraClips
from onvifd.store.catalogue import Catalogue
from onvifd.store.rows import SegmentRow
from onvifd.workers.link import LocalLink
from onvifd.workers.media import MediaWorker
from onvifd.workers.messages import AnyMessage, Cameras, Orders, Setup
from onvifd.workers.specs import CameraSpec, RecordSpec, StreamSpec, VolumeSpec
from tests.local import running_camera, small_clips

PASSWORD = "camera-pass-1"
RECORDING = "rec-cam-1"


@pytest.fixture(scope="session")
def tiny_clips(clip_folder: Path) -> CameraClips:
    """One small picture for both streams."""
    return small_clips(clip_folder, 7)


@pytest.fixture
async def camera(tiny_clips: CameraClips) -> AsyncIterator[SimulatedDevice]:
    async with running_camera(tiny_clips, number=7, motion=False, password=PASSWORD) as device:
        yield device


def worker_setup(**named: Any) -> Setup:
    """What workers are told at first, without database and volumes unless they are named."""
    usual: dict[str, Any] = {
        "kind": "",
        "name": "",
        "database_url": "",
        "volumes": (),
        "realm": "onvifd",
        "segment_seconds": 60,
        "session_timeout": 60,
        "replay_timeout": 60,
        "max_clients": 10,
    }
    return Setup(**(usual | named))


def spec(camera: SimulatedDevice, stream: str = "main", *recordings: RecordSpec) -> Cameras:
    """The camera with one stream, which feeds one recording unless others are named."""
    url = f"rtsp://127.0.0.1:{camera.rtsp_port}/{stream}"
    fed = recordings or (RecordSpec(recording=RECORDING, volumes=("vol-1",)),)
    wanted = StreamSpec(name="main", url=url, user="admin", password=PASSWORD, recordings=fed)
    return Cameras(cameras=(CameraSpec(id="cam-1", channel=1, streams=(wanted,)),))


class Control:
    """Control's end of the link: what the worker told, and what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.volume = folder / "volume"
        self.volume.mkdir()
        self.database = f"sqlite:///{folder / 'catalogue.sqlite3'}"
        self.heard: list[AnyMessage] = []
        self._link, self._theirs = LocalLink.pair()
        self._link.listen(self._hear)
        self.worker = MediaWorker(self._theirs)
        self._theirs.listen(self.worker.handle)
        self.setup = worker_setup(
            kind="media",
            name="media-0",
            database_url=self.database,
            volumes=(VolumeSpec(id="vol-1", path=str(self.volume)),),
            camera_silence=2.0,
        )

    async def _hear(self, message: AnyMessage) -> AnyMessage | None:
        self.heard.append(message)
        return None

    async def begin(self, *, record: bool = True, **changes: object) -> AnyMessage:
        answer = await self.ask(msgspec.structs.replace(self.setup, **changes))
        if record:
            await self.order(RECORDING)
        return answer

    async def order(self, *active: str) -> None:
        await self.ask(Orders(active=active))

    async def ask(self, message: AnyMessage) -> AnyMessage:
        return await self._link.request(message, 30)

    def of(self, kind: type[msgspec.Struct]) -> list[AnyMessage]:
        return [message for message in self.heard if isinstance(message, kind)]

    async def until(self, condition: Callable[[], object], what: str) -> None:
        try:
            async with asyncio.timeout(20):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"no {what}: {self.heard}") from None

    def segments(self) -> tuple[SegmentRow, ...]:
        catalogue = Catalogue.open(self.database)
        try:
            return catalogue.segments.between(RECORDING, 0, 1 << 62, 100)
        finally:
            catalogue.close()

    async def close(self) -> None:
        await self.worker.stop()
        await self._theirs.close()
        await self._link.close()


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    made = Control(tmp_path)
    (await asyncio.to_thread(Catalogue.open, made.database, migrate=True)).close()
    yield made
    await made.close()
