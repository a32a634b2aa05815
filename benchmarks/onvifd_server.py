"""Our workers as `onvifd run` starts them: supervisor, front door, media or replay worker; without the ONVIF side.

`python -m benchmarks.onvifd_server PORT media CAMERA_PORT CAMERAS DATA [--record]` relays (and records) cameras as
`/live/cam-0/main`, ...; `... PORT replay DATA` serves what was recorded there as `/replay/rec-cam-0`, ... With `--workers N`
there are N media workers, the first on core 0, the second on core 1, ..., and each has every Nth camera.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
from pathlib import Path

from benchmarks.servers import PASSWORD, USER, database_url
from onvifd.access.digest import make_ha1
from onvifd.rtsp.arrival import Arrival
from onvifd.store.catalogue import Catalogue
from onvifd.workers.frontdoor import FrontDoor
from onvifd.workers.link import Link
from onvifd.workers.messages import AnyMessage, Cameras, Credentials, Done, Orders, Setup
from onvifd.workers.specs import CameraSpec, CredentialSpec, RecordSpec, StreamSpec, VolumeSpec
from onvifd.workers.supervisor import Handle, Launch, Worker, launch_process

REALM = "benchmark"


def volumes_of(data: Path) -> tuple[VolumeSpec, ...]:
    """Those that the catalogue of the data folder names."""
    catalogue = Catalogue.open(database_url(data))
    try:
        return tuple(VolumeSpec(id=row.id, path=row.path, uuid=row.uuid) for row in catalogue.volumes.all())
    finally:
        catalogue.close()


def setup(kind: str, data: Path, volumes: tuple[VolumeSpec, ...], number: int = 0, timeout: int = 60) -> Setup:
    return Setup(
        kind=kind,
        name=f"{kind}-{number}",
        database_url=database_url(data),
        volumes=volumes,
        realm=REALM,
        segment_seconds=60,
        session_timeout=timeout,
        replay_timeout=60,
        max_clients=8000,
        log_level="WARNING",
    )


def camera(number: int, port: int, volumes: tuple[str, ...]) -> CameraSpec:
    """It is recorded if there are volumes."""
    stream = StreamSpec(
        name="main",
        url=f"rtsp://127.0.0.1:{port}/cam{number}",
        audio=False,
        recordings=(RecordSpec(recording=f"rec-cam-{number}", volumes=volumes, metadata=False),) if volumes else (),
    )
    return CameraSpec(id=f"cam-{number}", channel=number + 1, streams=(stream,))


def launch_on(core: int) -> Launch:
    """Start workers on a core of their own: a process begins where its parent is."""

    async def launch(setup: Setup) -> Handle:
        here = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {core})
        try:
            return await launch_process(setup)
        finally:
            os.sched_setaffinity(0, here)

    return launch


def worker_of(path: str, workers: int) -> int:
    """Who has the camera that a path names."""
    found = re.search(r"/cam-(\d+)", path)
    return int(found[1]) % workers if found else 0


async def serve(options: argparse.Namespace) -> None:
    volumes = await asyncio.to_thread(volumes_of, options.data)
    cameras: tuple[CameraSpec, ...] = ()
    own_cores, count = False, 1
    if options.kind == "media":
        own_cores, count = options.workers > 0, max(1, options.workers)
        ids = tuple(each.id for each in volumes) if options.record else ()
        cameras = tuple(camera(number, options.camera_port, ids) for number in range(options.cameras))

    async def receive(_: str, message: AnyMessage) -> AnyMessage:
        return Done()

    async def lost(_: str) -> None:
        """What died is started again, which a benchmark shows by its figures."""

    async def brief(name: str, link: Link) -> None:
        account = CredentialSpec(name=USER, level="Administrator", ha1=make_ha1(USER, REALM, PASSWORD))
        await link.request(Credentials(accounts=(account,)))
        if options.kind == "media":
            mine = cameras[int(name.rpartition("-")[2]) :: count]
            recordings = (each.recording for spec in mine for stream in spec.streams for each in stream.recordings)
            await link.request(Orders(active=tuple(recordings)))
            await link.request(Cameras(cameras=mine), 30)

    def worker(number: int) -> Worker:
        launch = launch_on(number) if own_cores else launch_process
        return Worker(setup(options.kind, options.data, volumes, number, options.timeout), launch, receive, brief, lost)

    workers = [worker(number) for number in range(count)]

    async def route(path: str, arrival: Arrival) -> None:
        await workers[worker_of(path, count)].hand_over(arrival)

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    door = FrontDoor(route)
    try:
        for each in workers:
            each.start()
            async with asyncio.timeout(30):
                await each.started.wait()
        door.listen(options.host, options.port)
        print("ready", flush=True)
        await stopped.wait()
    finally:
        await door.close()
        await asyncio.gather(*(each.stop() for each in workers))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--timeout", type=int, default=60, help="seconds after which a silent session ends")
    kinds = parser.add_subparsers(dest="kind", required=True)
    media = kinds.add_parser("media")
    media.add_argument("camera_port", type=int)
    media.add_argument("cameras", type=int)
    media.add_argument("data", type=Path)
    media.add_argument("--record", action="store_true")
    media.add_argument("--workers", type=int, default=0)
    replay = kinds.add_parser("replay")
    replay.add_argument("data", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
