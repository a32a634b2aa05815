"""Workers as processes: start, serve, die, return, stop."""

import asyncio
import os
import signal

import pytest

from onvifd.errors import Unavailable
from onvifd.workers.link import Link
from onvifd.workers.messages import AnyMessage, Failure, MakeJpeg, Ping, Pong, Setup
from onvifd.workers.process import start_local
from onvifd.workers.supervisor import Handle, Launch, Worker, launch_local, launch_process
from tests.workers.conftest import worker_setup


def setup_of(kind: str) -> Setup:
    return worker_setup(kind=kind, name=f"{kind}-0", max_clients=100)


class Control:
    """The part of control that a worker meets."""

    def __init__(self) -> None:
        self.briefed = 0
        self.lost: list[str] = []
        self.running_when_lost: list[bool] = []
        self._worker: Worker | None = None

    async def receive(self, name: str, message: AnyMessage) -> AnyMessage | None:
        return None

    async def brief(self, name: str, link: Link) -> None:
        self.briefed += 1

    async def died(self, name: str) -> None:
        assert self._worker is not None
        self.lost.append(name)
        self.running_when_lost.append(self._worker.handle is not None)
        await asyncio.sleep(0)

    def worker(self, launch: Launch) -> Worker:
        self._worker = Worker(setup_of("vision"), launch, self.receive, self.brief, self.died)
        return self._worker


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
    assert control.lost == []  # nobody is told of a loss when it was stopped
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
    assert control.running_when_lost == [False]
    assert control.briefed == 2
    assert not isinstance(await worker.request(Ping()), Failure)
    await worker.stop()


async def test_worker_that_died_is_stopped_to_the_end_though_control_stops_meanwhile() -> None:
    control = Control()
    ends = asyncio.Event()
    began: list[bool] = []
    ended: list[bool] = []
    local = launch_local(start_local)

    async def launch(setup: Setup) -> Handle:
        handle = await local(setup)
        stop = handle.stop

        async def slow() -> None:
            began.append(True)
            await ends.wait()
            await stop()
            ended.append(True)

        handle.stop = slow
        return handle

    worker = control.worker(launch)
    worker.start()
    await asyncio.wait_for(worker.started.wait(), 20)
    assert worker.handle is not None
    worker.handle.link._lost()
    async with asyncio.timeout(20):
        while not began:
            await asyncio.sleep(0)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    ends.set()
    await asyncio.wait_for(stopping, 20)
    assert ended == [True]


async def test_fault_of_control_does_not_end_supervision() -> None:
    control = Control()
    worker = control.worker(launch_process)
    faults = iter([RuntimeError("fault")])

    async def faulty(name: str) -> None:
        raise next(faults)

    worker.lost = faulty
    worker.start()
    await asyncio.wait_for(worker.started.wait(), 20)
    assert worker.handle is not None
    first = worker.handle.pid
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(20):
        while worker.handle is None or worker.handle.pid == first:
            await asyncio.sleep(0.02)
    await worker.stop()
