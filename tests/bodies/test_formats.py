"""What streams carry is remembered in the order in which it was told."""

from __future__ import annotations

import asyncio
from typing import Any

from onvifd.bodies.formats import FormatMemory
from onvifd.cameras.registry import Camera, Driver, Role, Stream
from onvifd.errors import Unavailable
from onvifd.media.types import PtzPart
from onvifd.workers.messages import StreamFormats
from onvifd.workers.specs import StreamStats, TrackSpec


class Slow:
    """A catalogue of which every answer is waited for, and the registry over it. `let` allows one."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Event] = []
        self.stored: list[tuple[str, int]] = []
        self.broken = False

    async def run(self, call: Any, *args: Any) -> Any:
        gate = asyncio.Event()
        self.waiting.append(gate)
        await gate.wait()
        return call(*args)

    def learn(self, camera: str, stream: str, formats: Any) -> None:
        if self.broken:
            raise Unavailable("The disk is full.")
        self.stored.append((camera, formats[0].width))

    async def settle(self) -> None:
        while self.waiting:
            # Whoever asked last is answered first.
            self.waiting.pop().set()
            for _ in range(5):
                await asyncio.sleep(0)


def carried(camera: str, width: int) -> StreamFormats:
    track = TrackSpec(codec="h264", clock_rate=90_000, width=width, height=96)
    return StreamFormats(camera=camera, stream="main", tracks=(track,))


async def test_what_was_told_last_is_kept() -> None:
    slow: Any = Slow()
    memory = FormatMemory(slow, slow)
    for width in (160, 320, 640):
        memory.keep(carried("one", width))
        memory.keep(carried("two", width + 8))
        await asyncio.sleep(0)
    await slow.settle()
    last = dict(slow.stored)
    assert last == {"one": 640, "two": 648}
    slow.broken = True
    memory.keep(carried("one", 800))
    await asyncio.sleep(0)
    await slow.settle()
    slow.broken = False
    memory.keep(carried("one", 960))
    await asyncio.sleep(0)
    await slow.settle()
    assert slow.stored[-1] == ("one", 960)
    await memory.close()


async def test_it_does_not_wait_at_the_end() -> None:
    slow: Any = Slow()
    memory = FormatMemory(slow, slow)
    memory.keep(carried("one", 160))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await memory.close()
    assert slow.stored == []


async def test_what_metadata_tells_is_kept_with_what_was_known() -> None:
    slow: Any = Slow()
    camera = Camera(
        id="one",
        channel=1,
        name="One",
        driver=Driver.RTSP,
        address="rtsp://192.0.2.1/",
        streams=(
            Stream(role=Role.MAIN, uri="rtsp://192.0.2.1/1", ptz=frozenset({PtzPart.ZOOM_STATUS})),
            Stream(role=Role.SUB, uri="rtsp://192.0.2.1/2"),
        ),
        credentials=None,
        enabled=True,
        manufacturer="",
        model="",
        firmware="",
        serial="",
        event_address="",
        created=0,
    )
    kept: list[Camera] = []
    slow.change = lambda which, work: kept.append(work(camera))
    memory = FormatMemory(slow, slow)
    counted: Any = dict.fromkeys(
        ("frames", "bytes", "lost_packets", "bad_frames", "reconnects", "clients", "bitrate", "gov_length", "last_utc"),
        0,
    )
    memory.keep(StreamStats(camera="one", stream="main", online=True, framerate=25.0, ptz="zoom-position", **counted))
    await asyncio.sleep(0)
    await slow.settle()
    assert [each.ptz for each in kept[0].streams] == [{PtzPart.ZOOM_STATUS, PtzPart.ZOOM_POSITION}, frozenset()]
    await memory.close()
