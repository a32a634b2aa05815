"""Our workers as `onvifd run` starts them: supervisor, front door, media or replay worker; without the ONVIF side.

`python -m benchmarks.onvifd_server PORT media CAMERA_PORT CAMERAS DATA [--record]` relays (and records) cameras as
`/live/cam-0/main`, ...; `... PORT replay DATA` serves what was recorded there as `/replay/rec-cam-0`, ...
"""

from __future__ import annotations

import argparse
import asyncio
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
from onvifd.workers.supervisor import Worker, launch_process

REALM = "benchmark"


def volumes_of(data: Path) -> tuple[VolumeSpec, ...]:
    """Those that the catalogue of the data folder names."""
    catalogue = Catalogue.open(database_url(data))
    try:
        return tuple(VolumeSpec(id=row.id, path=row.path, uuid=row.uuid) for row in catalogue.volumes.all())
    finally:
        catalogue.close()


def setup(kind: str, data: Path, volumes: tuple[VolumeSpec, ...]) -> Setup:
    return Setup(
        kind=kind,
        name=f"{kind}-0",
        database_url=database_url(data),
        volumes=volumes,
        realm=REALM,
        segment_seconds=60,
        session_timeout=60,
        replay_timeout=60,
        max_clients=4000,
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


async def serve(options: argparse.Namespace) -> None:
    volumes = await asyncio.to_thread(volumes_of, options.data)
    cameras: tuple[CameraSpec, ...] = ()
    if options.kind == "media":
        ids = tuple(each.id for each in volumes) if options.record else ()
        cameras = tuple(camera(number, options.camera_port, ids) for number in range(options.cameras))

    async def receive(_: str, message: AnyMessage) -> AnyMessage:
        return Done()

    async def brief(_: str, link: Link) -> None:
        account = CredentialSpec(name=USER, level="Administrator", ha1=make_ha1(USER, REALM, PASSWORD))
        await link.request(Credentials(accounts=(account,)))
        if options.kind == "media":
            recordings = (each.recording for spec in cameras for stream in spec.streams for each in stream.recordings)
            await link.request(Orders(active=tuple(recordings)))
            await link.request(Cameras(cameras=cameras), 30)

    worker = Worker(setup(options.kind, options.data, volumes), launch_process, receive, brief, lambda _: None)

    async def route(_: str, arrival: Arrival) -> None:
        await worker.hand_over(arrival)

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    worker.start()
    door = FrontDoor(route)
    try:
        async with asyncio.timeout(30):
            await worker.started.wait()
        door.listen("127.0.0.1", options.port)
        print("ready", flush=True)
        await stopped.wait()
    finally:
        await door.close()
        await worker.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    kinds = parser.add_subparsers(dest="kind", required=True)
    media = kinds.add_parser("media")
    media.add_argument("camera_port", type=int)
    media.add_argument("cameras", type=int)
    media.add_argument("data", type=Path)
    media.add_argument("--record", action="store_true")
    replay = kinds.add_parser("replay")
    replay.add_argument("data", type=Path)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
