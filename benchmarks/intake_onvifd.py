"""Our intake alone, in one process: `python -m benchmarks.intake_onvifd PORT CAMERAS`. Makes flush units and access units."""

from __future__ import annotations

import asyncio
import signal
import sys

from onvifd.cameras.intake import Intake, Source
from onvifd.clock import SystemClock
from onvifd.live.hub import LiveStream
from onvifd.rtsp.poller import ReadPoller
from onvifd.workers.process import run_loop


async def receive(port: int, cameras: int) -> None:
    clock = SystemClock()
    poller = ReadPoller(lambda: False)
    received = [0] * cameras
    intakes = []
    for number in range(cameras):
        name = f"cam-{number}/main"

        def on_frame(_: object, number: int = number) -> None:
            received[number] += 1

        intakes.append(
            Intake(
                Source(name, f"rtsp://127.0.0.1:{port}/cam{number}", audio=False),
                LiveStream(name),
                clock,
                on_state=lambda online, reason: None,
                on_tracks=lambda tracks: None,
                on_frame=on_frame,
                poller=poller,
            )
        )
    tasks = [asyncio.create_task(each.run()) for each in intakes]
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    while not all(received):
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    await stopped.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    run_loop(receive(int(sys.argv[1]), int(sys.argv[2])))
