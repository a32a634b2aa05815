"""Workers as processes: start, serve, die, return, stop."""

import asyncio
import os
import signal

import pytest

from onvifd.errors import Unavailable
from onvifd.workers.link import Link
from onvifd.workers.messages import AnyMessage, Failure, MakeJpeg, Ping, Pong, Setup
from onvifd.workers.process import start_local
from onvifd.workers.supervisor import Launch, Worker, launch_local, launch_process


def setup_of(kind: str) -> Setup:
    return Setup(
        kind=kind,
        name=f"{kind}-0",
        database_url="",
        volumes=(),
        realm="onvifd",
        segment_seconds=60,
        session_timeout=60,
        replay_timeout=60,
        max_clients=100,
    )


class Control:
    """The part of control that a worker meets."""

    def __init__(self) -> None:
        self.briefed = 0
        self.lost: list[str] = []

    async def receive(self, name: str, message: AnyMessage) -> AnyMessage | None:
        return None

    def brief(self, name: str, link: Link) -> None:
        self.briefed += 1

    def worker(self, launch: Launch) -> Worker:
        return Worker(setup_of("vision"), launch, self.receive, self.brief, self.lost.append)


@pytest.mark.parametrize("launch", [launch_process, launch_local(start_local)], ids=["process", "local"])
async def test_worker_serves_and_stops(launch: Launch) -> None:
    control = Control()
    worker = control.worker(launch)
    with pytest.raises(Unavailable):
        await worker.request(Ping())
    worker.start()
    await asyncio.wait_for(worker.started.wait(), 20)
    assert await worker.request(Ping()) == Pong()
    with pytest.raises(Unavailable, match="no picture"):
        await worker.request(MakeJpeg(codec="pcmu", parameter_sets=(), data=b""))
    assert control.briefed == 1
    await worker.stop()
    assert worker.handle is None
    with pytest.raises(Unavailable):
        await worker.request(Ping())


async def test_killed_worker_returns_and_is_briefed_again() -> None:
    control = Control()
    worker = control.worker(launch_process)
    worker.start()
    await asyncio.wait_for(worker.started.wait(), 20)
    assert worker.handle is not None
    first = worker.handle.pid
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(20):
        while worker.handle is None or worker.handle.pid == first:
            await asyncio.sleep(0.02)
    assert control.lost == ["vision-0"]
    assert control.briefed == 2
    assert not isinstance(await worker.request(Ping()), Failure)
    await worker.stop()
