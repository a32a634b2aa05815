"""A whole recorder with one simulated camera that raises motion events: `python -m benchmarks.events_server HTTP RTSP CAMERA`.

Camera and recorder are as `onvifd demo` has them, in processes of their own; the camera's motion ticks faster.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.clip import FOLDER
from benchmarks.measure import LOAD_CORE
from benchmarks.servers import PASSWORD, USER
from onvifd.app import RecorderApp
from onvifd.bodies.simulated_device import SimulatedDevice
from onvifd.cameras.drivers import prepare
from onvifd.cameras.registry import Credentials
from onvifd.cameras.simulated.encode import load_cameras
from onvifd.cli.setup import initialise, open_registry
from onvifd.clock import SystemClock
from onvifd.config import load
from onvifd.events import topics
from onvifd.workers.process import run_loop

PERIOD = 0.5
"""Seconds between events."""
CAMERA = Credentials(user="admin", password="camera-pass1")


async def camera(port: int) -> None:
    """The camera: motion begins and ends, with the moment as the time of the message."""
    clips = (await asyncio.to_thread(load_cameras, FOLDER / "events", [1]))[1]
    device = SimulatedDevice(
        1,
        clips,
        seed="bench",
        host="127.0.0.1",
        http_port=port,
        rtsp_port=0,
        user=CAMERA.user,
        password=CAMERA.password,
        clock=SystemClock(),
        motion=False,
        discovery=False,
    )
    await device.start()
    print("ready", flush=True)
    for number in itertools.count(1):
        await asyncio.sleep(PERIOD)
        device.publish(topics.motion_alarm("vs-1", number % 2 == 1, time.time_ns() // 1000))


async def recorder(http: int, rtsp: int, camera_port: int, folder: Path) -> None:
    """The recorder, until SIGTERM."""
    config = load(
        {
            "data": folder,
            "network.host": "127.0.0.1",
            "network.http_port": http,
            "network.https": False,
            "network.rtsp_port": rtsp,
            "network.discovery": False,
            "limits.pull_points": 256,
        },
        environment={},
    )
    await asyncio.to_thread(initialise, config, USER, PASSWORD)
    found = await prepare(f"http://127.0.0.1:{camera_port}/onvif/device_service", CAMERA)

    def add() -> None:
        with open_registry(config) as registry:
            registry.add(found)

    await asyncio.to_thread(add)
    app = RecorderApp(config)
    await app.start()
    print("ready", flush=True)
    await app.run()


async def both(options: argparse.Namespace) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.events_server", "--camera", str(options.camera_port)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(120):
            await child.stdout.readline()
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            await recorder(options.http, options.rtsp, options.camera_port, Path(folder) / "data")
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("http", type=int, nargs="?")
    parser.add_argument("rtsp", type=int, nargs="?")
    parser.add_argument("camera_port", type=int, nargs="?")
    parser.add_argument("--camera", type=int)
    options = parser.parse_args()
    if options.camera:
        # another machine in truth: it does not take the recorder's core
        os.sched_setaffinity(0, {LOAD_CORE})
        asyncio.run(camera(options.camera))
    else:
        run_loop(both(options))


if __name__ == "__main__":
    main()
