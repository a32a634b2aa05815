"""An intake and live555 before it, in a network that is theirs alone: live555's servers choose their ports themselves.

`python -m tests.cameras.live555_reader relay|file WAY FOLDER|FILE` prints what came, as one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from onvifd.media import nal
from onvifd.media.types import AccessUnit, Codec
from onvifd.rtsp.client_transport import Way
from tests.cameras.fault_camera import Camera, Rig
from tests.rtsp.sample import encoded

RTSP, HTTP = 8700, 80
ENOUGH = 60


def slices(data: bytes) -> list[bytes]:
    """The coded pictures among the NAL units of H.264."""
    return [bytes(unit) for unit in nal.iterate(data) if unit[0] & 31 in (1, 5)]


def numbers(frames: list[AccessUnit]) -> list[int]:
    """Which picture of the sample each is, to the last octet; -1 if it is none."""
    known = {tuple(slices(data)): number for number, (_, data) in enumerate(encoded()[1])}
    return [known.get(tuple(slices(each.data)), -1) for each in frames]


@contextlib.asynccontextmanager
async def live555(folder: Path, port: int, *command: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield
    finally:
        process.kill()
        await process.wait()


async def received(url: str, way: Way) -> dict[str, object]:
    """Until there is enough of every track, by our own client."""
    async with Rig(url, transport=way, tunnel_port=HTTP, quirks=["no-libav"]).running() as rig:

        def enough() -> bool:
            tracks = range(len(rig.intake.tracks)) if rig.frames else (0,)
            return all(sum(each.track == track for each in rig.frames) >= ENOUGH for track in tracks)

        await rig.until(enough)
        counters = rig.intake.counters
        video = [each for each in rig.frames if each.track == 0]
        formats = [each.codec for each in rig.formats[0]]
        return {
            "codecs": [each.name for each in formats],
            "states": rig.states,
            "lost": counters.lost_packets,
            "bad": counters.bad_frames,
            "first is key": video[0].key,
            "ticks": [each.ticks for each in video],
            "numbers": numbers(video) if formats[0] is Codec.H264 else [],
        }


async def relay(way: Way, folder: Path) -> dict[str, object]:
    """A camera of ours, fetched by live555's relay, fetched by us."""
    async with (
        Camera(interval=0.04).url() as url,
        live555(folder, RTSP, "live555ProxyServer", "-t", "-p", str(RTSP), url),
    ):
        return await received(f"rtsp://127.0.0.1:{RTSP}/proxyStream", way)


async def file(way: Way, path: Path) -> dict[str, object]:
    async with live555(path.parent, 554, "live555MediaServer"):
        return await received(f"rtsp://127.0.0.1/{path.name}", way)


if __name__ == "__main__":
    scene = {"relay": relay, "file": file}[sys.argv[1]]
    print(json.dumps(asyncio.run(scene(Way(sys.argv[2]), Path(sys.argv[3])))))
